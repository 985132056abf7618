#include "store/admin_mail.h"

#include "wire/ip.h"

enum {
	MESSAGES_MAX = 20,
	RECORDS_MAX = 400,  /* of one message */
	ATTEMPTS_TOLD = 10, /* the last ones with every event; those before only as a line */
	SESSIONS_MAX = 10,  /* that brought no mail */
};

static json_t *events_json(const struct record *r)
{
	json_t *events = json_array();
	for (uint32_t i = 0; i < r->event_count; i++)
		json_array_append_new(events,
			json_pack("{s:I, s:s, s:o}", "ms", (json_int_t)r->events[i].ms, "kind",
				record_event_name(r->events[i].kind), "text", admin_json(r->events[i].text)));
	return events;
}

static json_t *record_json(const struct record *r, bool told)
{
	json_t *j = json_pack("{s:s, s:o, s:o, s:o}", "kind",
		r->kind == RECORD_SESSION ? "session" : "attempt", "id", admin_id_json(r->id), "at",
		admin_json_time(r->started_ms), "peer", admin_json(r->peer));
	if (told)
		json_object_set_new(j, "events", events_json(r));
	if (r->dropped)
		json_object_set_new(j, "events_dropped", json_integer(r->dropped));
	return j;
}

/* The records in order of time; old attempts without their events. */
static json_t *records_json(struct record **records, uint32_t n)
{
	json_t *list = json_array();
	uint32_t first_told = n > ATTEMPTS_TOLD ? n - ATTEMPTS_TOLD : 0;
	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(
			list, record_json(records[i], i >= first_told || records[i]->kind == RECORD_SESSION));
	return list;
}

/* The cause that holds the message up now: of a recipient that waits, else of one that failed. The
 * reference is borrowed. */
static json_t *message_cause(json_t *recipients)
{
	json_t *failed = NULL;
	for (size_t i = 0; i < json_array_size(recipients); i++) {
		json_t *r = json_array_get(recipients, i), *cause = json_object_get(r, "cause");
		const char *state = json_string_value(json_object_get(r, "state"));
		if (json_is_null(cause) || strcmp(state, "delivered") == 0)
			continue;
		if (strcmp(state, "bounced") != 0 && strcmp(state, "expired") != 0 &&
			strcmp(state, "removed") != 0)
			return cause;
		if (!failed)
			failed = cause;
	}
	return failed;
}

/* NULL with *err; json_null() if the message is gone meanwhile. */
static json_t *trace_message(struct admin_call *c, uint64_t id, struct err *err)
{
	struct message_row m = {0};
	struct record **records;
	uint32_t n;
	int found = store_message(c->admin->store, id, c->arena, &m, err);
	if (found <= 0)
		return found == 0 ? json_null() : NULL;
	if (store_records(c->admin->store, id, STR(""), RECORDS_MAX, c->arena, &records, &n, err) < 0)
		return NULL;
	json_t *recipients = admin_recipients_json(c, id, err);
	if (!recipients)
		return NULL;
	json_t *j = admin_message_json(&m), *cause = message_cause(recipients);
	json_object_set(j, "cause", cause ? cause : json_null());
	json_object_set_new(j, "recipients", recipients);
	json_object_set_new(j, "records", records_json(records, n));
	return j;
}

static int trace_messages(
	struct admin_call *c, struct str what, uint32_t limit, json_t *messages, struct err *err)
{
	uint64_t *ids;
	uint32_t n;
	if (store_find(c->admin->store, what, limit, c->arena, &ids, &n, err) < 0)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		json_t *j = trace_message(c, ids[i], err);
		if (!j)
			return -1;
		if (json_is_null(j))
			json_decref(j);
		else
			json_array_append_new(messages, j);
	}
	return 0;
}

/* Sessions of a client that brought no mail: refused recipients, failed handshakes. Their peer is
 * written as "192.0.2.1:4711" or "[2001:db8::1]:4711". */
static int trace_sessions(
	struct admin_call *c, const struct ip *client, json_t *sessions, struct err *err)
{
	struct record **records;
	uint32_t n;
	char text[IP_TEXT];
	struct str peer =
		arena_fmt(c->arena, ip_is_v4(client) ? "%s:" : "[%s]:", ip_format(client, text));
	if (store_records(c->admin->store, 0, peer, SESSIONS_MAX, c->arena, &records, &n, err) < 0)
		return -1;
	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(sessions, record_json(records[i], true));
	return 0;
}

/* The first message that waits, else the first that failed: what the question was most likely for. */
static json_t *top_cause(json_t *messages)
{
	json_t *failed = json_null();
	for (size_t i = 0; i < json_array_size(messages); i++) {
		json_t *m = json_array_get(messages, i), *cause = json_object_get(m, "cause");
		if (json_is_null(cause))
			continue;
		if (json_is_null(json_object_get(m, "finished")))
			return cause;
		if (json_is_null(failed))
			failed = cause;
	}
	return failed;
}

static json_t *nothing_known(struct admin_call *c, struct str what, bool client)
{
	if (client)
		return admin_refuse(c, 404, "not-found", "what",
			"%.*s has no session on record that brought no mail (those with mail are found by "
			"queue "
			"id, Message-ID, address or domain)",
			STR_ARG(what));
	return admin_refuse(c, 404, "not-found", "what",
		"nothing is known of \"%.*s\": no message has such an id, Message-ID, address or domain "
		"(what "
		"is finished is forgotten after record.keep)",
		STR_ARG(str_take(what, 120)));
}

json_t *admin_trace(struct admin_call *c)
{
	struct str what = str_trim(admin_text(c, "what"));
	struct err err = {0};
	struct ip ip;
	uint32_t limit = MESSAGES_MAX;
	bool client = ip_parse(what, &ip);
	if (!c->admin->store)
		return admin_need_store(c);
	if (what.n == 0)
		return admin_refuse(c, 400, "bad-value", "what", "say what to look for");
	if (admin_given(c, "limit") && !admin_limit_argument(c, &limit))
		return NULL;
	json_t *messages = json_array(), *sessions = json_array();
	int r = client
		? trace_sessions(c, &ip, sessions, &err)
		: trace_messages(c, what, limit < MESSAGES_MAX ? limit : MESSAGES_MAX, messages, &err);
	bool empty = json_array_size(messages) == 0 && json_array_size(sessions) == 0;
	json_t *answer = json_pack("{s:o, s:O, s:o, s:o}", "what", admin_json(what), "cause",
		top_cause(messages), "messages", messages, "sessions", sessions);
	if (r == 0 && !empty)
		return answer;
	json_decref(answer);
	return r < 0 ? admin_refuse_err(c, "failed", NULL, &err) : nothing_known(c, what, client);
}
