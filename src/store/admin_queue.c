#include "store/admin_mail.h"

#include "ask/record.h"
#include "base/clock.h"
#include "base/id.h"
#include "conf/value.h"
#include "io/fiber.h"
#include "mail/cause.h"
#include "wire/smtp_address.h"

enum { PAGE = 500, LIMIT_DEFAULT = 100, LIMIT_MAX = 1000, TURN_MS = 10 };
#define AGE_MAX_MS ((int64_t)10 * 365 * 24 * 3600 * 1000)

/* ---- rows as JSON */

json_t *admin_id_json(uint64_t id)
{
	char text[ID_TEXT];
	return id ? json_string(id_format(id, text)) : json_null();
}

/* Empty texts are null: nobody has said anything. */
static json_t *text_or_null(struct str s)
{
	return s.n ? admin_json(s) : json_null();
}

json_t *admin_cause_json(struct str id)
{
	if (id.n == 0)
		return json_null();
	const struct cause *k = cause_find(id);
	return json_pack("{s:s, s:s, s:s, s:s}", "id", k->id, "owner", cause_owner_name(k->owner),
		"text", k->text, "next", k->next);
}

static json_t *last_json(const struct recipient_row *r)
{
	if (r->attempts == 0 && r->text.n == 0)
		return json_null();
	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "code", (int)r->code, "enhanced",
		text_or_null(r->enhanced), "text", text_or_null(r->text), "command",
		text_or_null(r->command), "host", text_or_null(r->remote_host), "address",
		text_or_null(r->remote_address), "tls", text_or_null(r->tls));
}

json_t *admin_recipient_json(const struct recipient_row *r)
{
	bool waits = r->state == RECIPIENT_READY || r->state == RECIPIENT_DEFERRED;
	return json_pack("{s:o, s:s, s:o, s:o, s:i, s:o, s:o, s:o}", "address", admin_json(r->address),
		"state", r->active ? "active" : recipient_state_name(r->state), "destination",
		text_or_null(r->destination), "next_try", admin_json_time(waits ? r->next_ms : 0),
		"attempts", (int)r->attempts, "last_try", admin_json_time(r->last_ms), "cause",
		admin_cause_json(r->cause), "last", last_json(r));
}

json_t *admin_message_json(const struct message_row *m)
{
	static const char *const listeners[] = {"smtp", "submission", "submissions"};
	return json_pack("{s:o, s:o, s:o, s:I, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:i}", "id",
		admin_id_json(m->id), "received", admin_json_time(m->received_ms), "finished",
		admin_json_time(m->finished_ms), "size", (json_int_t)m->size, "sender",
		admin_json(m->sender), "message_id", text_or_null(m->message_id), "listener",
		listeners[m->listener <= LISTENER_LAST ? m->listener : 0], "client",
		text_or_null(m->client), "helo", text_or_null(m->helo), "tls", text_or_null(m->tls),
		"session", admin_id_json(m->session), "bounce_of", admin_id_json(m->parent), "deaths",
		(int)m->deaths);
}

/* ---- what the arguments name */

json_t *admin_need_store(struct admin_call *c)
{
	return admin_refuse(c, 503, "no-queue", NULL, "the queue cannot be opened now");
}

static bool id_argument(struct admin_call *c, struct str text, uint64_t *ret)
{
	if (id_parse(text, ret))
		return true;
	admin_refuse(c, 400, "bad-value", "id",
		"\"%.*s\" is not a queue id (13 letters and digits, as `letterlock queue list` shows)",
		STR_ARG(str_take(text, 60)));
	return false;
}

/* "active" is known to the queue only, not to the table. */
static bool state_argument(struct admin_call *c, struct recipient_filter *f)
{
	enum recipient_state state;
	struct str text = admin_text(c, "state");
	f->active = str_eq(text, STR("active"));
	if (!admin_given(c, "state") || f->active)
		return true;
	if (recipient_state_parse(text, &state)) {
		f->states = 1u << state;
		return true;
	}
	admin_refuse(c, 400, "bad-value", "state",
		"\"%.*s\" is none of ready, active, deferred, held, delivered, bounced, removed, expired",
		STR_ARG(str_take(text, 40)));
	return false;
}

/* A connector is one kind of destination. */
static bool destination_argument(struct admin_call *c, struct recipient_filter *f)
{
	struct str name = admin_text(c, "connector");
	f->destination = admin_text(c, "destination");
	if (!admin_given(c, "connector"))
		return true;
	if (admin_given(c, "destination")) {
		admin_refuse(c, 400, "bad-value", "connector", "a connector is a destination: give one");
		return false;
	}
	const struct route_connector *known = site_connector(c->admin->site, name);
	f->destination = arena_fmt(c->arena, "connector %.*s", STR_ARG(known ? known->name : name));
	return true;
}

/* sender = "<>" / domain / address */
static bool sender_argument(struct admin_call *c, struct recipient_filter *f)
{
	struct str text = admin_text(c, "sender");
	struct mailbox m;
	char lower[SMTP_DOMAIN_MAX];
	f->by_sender = admin_given(c, "sender");
	if (!f->by_sender || str_eq(text, STR("<>")))
		return true;
	if (str_find(text, '@') < 0 && text.n && text.n <= SMTP_DOMAIN_MAX) {
		f->sender_domain = arena_dup(c->arena, str_lower(text, lower));
		return true;
	}
	if (mailbox_from_str(text, &m) && m.domain.n) {
		f->sender_domain = arena_dup(c->arena, domain_lower(m.domain, lower));
		f->sender = text;
		return true;
	}
	admin_refuse(c, 400, "bad-value", "sender",
		"\"%.*s\" is neither an address, nor a domain, nor <> (bounces)",
		STR_ARG(str_take(text, 60)));
	return false;
}

static bool cause_argument(struct admin_call *c, struct recipient_filter *f)
{
	f->cause = admin_text(c, "cause");
	if (f->cause.n == 0 || str_eq(f->cause, str_from_c(cause_find(f->cause)->id)))
		return true;
	admin_refuse(c, 400, "bad-value", "cause",
		"\"%.*s\" is no cause; `letterlock queue summary` shows those that were met",
		STR_ARG(str_take(f->cause, 40)));
	return false;
}

/* How long ago, as a moment; 0 if it was not given. */
static bool age_argument(struct admin_call *c, const char *name, int64_t *ret_ms)
{
	int64_t age;
	struct err err = {0};
	*ret_ms = 0;
	if (!admin_given(c, name))
		return true;
	if (value_duration(admin_text(c, name), 0, AGE_MAX_MS, &age, &err)) {
		admin_refuse(c, 400, "bad-value", name, "%s", err.log);
		return false;
	}
	*ret_ms = clock_wall_ms() - age;
	return true;
}

/* Everything by which recipients can be chosen. */
static bool filter_arguments(struct admin_call *c, struct recipient_filter *f)
{
	struct str domain = admin_text(c, "domain");
	char *lower = arena_alloc(c->arena, domain.n + 1);
	*f = (struct recipient_filter){.domain = str_lower(domain, lower)};
	return state_argument(c, f) && destination_argument(c, f) && sender_argument(c, f) &&
		cause_argument(c, f) && age_argument(c, "older", &f->before_ms) &&
		age_argument(c, "younger", &f->from_ms);
}

bool admin_limit_argument(struct admin_call *c, uint32_t *ret)
{
	json_t *limit = json_object_get(c->args, "limit");
	json_int_t n = limit ? json_integer_value(limit) : LIMIT_DEFAULT;
	if (n < 1 || n > LIMIT_MAX) {
		admin_refuse(c, 400, "bad-value", "limit", "the limit must be 1 to %d", LIMIT_MAX);
		return false;
	}
	*ret = (uint32_t)n;
	return true;
}

/* place = queue-id [ "/" recipient number ]: behind this recipient, or behind the whole message. */
static bool place_argument(struct admin_call *c, struct recipient_place *ret)
{
	struct str rest = admin_text(c, "after"), id, number;
	uint64_t n = UINT32_MAX;
	if (!admin_given(c, "after"))
		return true;
	str_split(&rest, '/', &id);
	if (!id_argument(c, id, &ret->message))
		return false;
	if (str_split(&rest, '/', &number) && !str_to_u64(number, UINT32_MAX, &n)) {
		admin_refuse(c, 400, "bad-value", "after", "\"after\" is not a place in the list");
		return false;
	}
	ret->n = (uint32_t)n;
	return true;
}

static json_t *place_json(const struct recipient_place *at, struct arena *arena)
{
	char id[ID_TEXT];
	return admin_json(arena_fmt(arena, "%s/%u", id_format(at->message, id), at->n));
}

/* ---- list and show */

/* Puts a recipient below its message, which is the last of the list or a new one. */
static int add_row(struct admin_call *c, json_t *messages, const struct recipient_row *r,
	uint64_t *last, struct err *err)
{
	size_t n = json_array_size(messages);
	struct message_row m = {0};
	if (n == 0 || *last != r->message) {
		int found = store_message(c->admin->store, r->message, c->arena, &m, err);
		if (found <= 0)
			return found; /* gone meanwhile: not listed */
		json_t *j = admin_message_json(&m);
		json_object_set_new(j, "recipients", json_array());
		json_array_append_new(messages, j);
		*last = r->message;
		n++;
	}
	json_t *list = json_object_get(json_array_get(messages, n - 1), "recipients");
	json_array_append_new(list, admin_recipient_json(r));
	return 1;
}

/* Fills `messages` with up to `limit` recipients; *ret_more: where to go on, if there are more. */
static int list_rows(struct admin_call *c, const struct recipient_filter *f,
	struct recipient_place *at, uint32_t limit, json_t *messages, json_t **ret_more,
	struct err *err)
{
	uint64_t last = 0;
	uint32_t n;
	struct recipient_row *rows;
	if (store_list(c->admin->store, f, at, limit, c->arena, &rows, &n, err) < 0)
		return -1;
	int64_t since = clock_steady_ms();
	for (uint32_t i = 0; i < n; i++) {
		if (add_row(c, messages, &rows[i], &last, err) < 0)
			return -1;
		if (clock_steady_ms() - since >= TURN_MS) {
			fiber_sleep("to let others run", 0);
			since = clock_steady_ms();
		}
	}
	if (n == limit)
		*ret_more = place_json(at, c->arena);
	return 0;
}

json_t *admin_queue_list(struct admin_call *c)
{
	struct recipient_filter f;
	struct recipient_place at = {0};
	struct err err = {0};
	uint32_t limit;
	if (!c->admin->store)
		return admin_need_store(c);
	if (!filter_arguments(c, &f) || !admin_limit_argument(c, &limit) || !place_argument(c, &at))
		return NULL;
	json_t *messages = json_array(), *more = NULL;
	if (list_rows(c, &f, &at, limit, messages, &more, &err) < 0) {
		json_decref(messages);
		return admin_refuse_err(c, "failed", NULL, &err);
	}
	return json_pack("{s:o, s:o}", "messages", messages, "more", more ? more : json_null());
}

json_t *admin_recipients_json(struct admin_call *c, uint64_t message, struct err *err)
{
	struct recipient_filter f = {.message = message, .states = ~0u};
	struct recipient_place at = {0};
	struct recipient_row *rows;
	uint32_t n;
	json_t *list = json_array();
	do {
		if (store_list(c->admin->store, &f, &at, PAGE, c->arena, &rows, &n, err) < 0) {
			json_decref(list);
			return NULL;
		}
		for (uint32_t i = 0; i < n; i++)
			json_array_append_new(list, admin_recipient_json(&rows[i]));
	} while (n == PAGE);
	return list;
}

json_t *admin_queue_show(struct admin_call *c)
{
	struct message_row m = {0};
	struct err err = {0};
	uint64_t id;
	if (!c->admin->store)
		return admin_need_store(c);
	if (!id_argument(c, admin_text(c, "id"), &id))
		return NULL;
	int found = store_message(c->admin->store, id, c->arena, &m, &err);
	if (found == 0)
		return admin_refuse(
			c, 404, "not-found", "id", "there is no message %.*s", STR_ARG(admin_text(c, "id")));
	json_t *recipients = found > 0 ? admin_recipients_json(c, id, &err) : NULL;
	if (!recipients)
		return admin_refuse_err(c, "failed", NULL, &err);
	json_t *j = admin_message_json(&m);
	json_object_set_new(j, "recipients", recipients);
	return j;
}

/* ---- changes */

/* Ids, or all, or filters, and not none of them: "retry everything" must be said. */
static bool check_selection(struct admin_call *c, const struct recipient_filter *f)
{
	static const char *const filters[] = {
		"domain", "connector", "destination", "sender", "cause", "state", "older", "younger"};
	bool filtered = false;
	for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
		filtered |= admin_given(c, filters[i]);
	bool all = json_is_true(json_object_get(c->args, "all"));
	if (admin_given(c, "ids") + all + filtered != 1) {
		admin_refuse(c, 400, "bad-selection", NULL,
			"say which mail: queue ids, or all, or by what it is chosen (domain, connector, "
			"destination, sender, cause, state, older, younger)");
		return false;
	}
	if (f->states >> RECIPIENT_DELIVERED == 0)
		return true;
	admin_refuse(c, 400, "bad-value", "state", "only what waits can be changed");
	return false;
}

/* -1: *err, or c->error is set. */
static int change_ids(
	struct admin_call *c, enum store_change change, uint64_t *count, struct err *err)
{
	json_t *ids = json_object_get(c->args, "ids");
	for (size_t i = 0; i < json_array_size(ids); i++) {
		json_t *j = json_array_get(ids, i);
		struct str text = str_make(json_string_value(j), json_string_length(j));
		struct recipient_filter f = {0};
		struct message_row m = {0};
		uint64_t changed = 0;
		if (!id_argument(c, text, &f.message))
			return -1;
		int found = store_message(c->admin->store, f.message, c->arena, &m, err);
		if (found == 0)
			admin_refuse(c, 404, "not-found", "ids", "there is no message %.*s", STR_ARG(text));
		if (found <= 0 || store_change(c->admin->store, change, &f, c->who, &changed, err) < 0)
			return -1;
		*count += changed;
	}
	return 0;
}

static json_t *change(struct admin_call *c, enum store_change what)
{
	struct recipient_filter f;
	struct err err = {0};
	uint64_t count = 0;
	if (!c->admin->store)
		return admin_need_store(c);
	if (!filter_arguments(c, &f) || !check_selection(c, &f))
		return NULL;
	int r = admin_given(c, "ids") ? change_ids(c, what, &count, &err)
								  : store_change(c->admin->store, what, &f, c->who, &count, &err);
	if (r < 0)
		return c->error ? NULL : admin_refuse_err(c, "failed", NULL, &err);
	return json_pack("{s:I}", "recipients", (json_int_t)count);
}

json_t *admin_queue_retry(struct admin_call *c)
{
	return change(c, CHANGE_RETRY);
}

json_t *admin_queue_hold(struct admin_call *c)
{
	return change(c, CHANGE_HOLD);
}

json_t *admin_queue_release(struct admin_call *c)
{
	return change(c, CHANGE_RELEASE);
}

json_t *admin_queue_remove(struct admin_call *c)
{
	return change(c, CHANGE_REMOVE);
}
