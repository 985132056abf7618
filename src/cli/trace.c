#include "base/clock.h"
#include "cli/cli.h"
#include "cli/mail.h"
#include "cli/table.h"

/* ---- the dialogue */

/* How an event is marked at the left of its line: who said it, or what it is. */
static const char *mark(const json_t *event)
{
	static const struct {
		const char *kind, *mark;
	} marks[] = {
		{"dns", "dns"},
		{"connect", "connect"},
		{"tls", "tls"},
		{"certificate", "cert"},
		{"verdict", "verdict"},
		{"error", "error"},
	};
	if (text_is(event, "kind", "sent"))
		return "we say";
	if (text_is(event, "kind", "received"))
		return "they say";
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
		if (text_is(event, "kind", marks[i].kind))
			return marks[i].mark;
	return "";
}

static void print_event(struct cli *c, const json_t *event)
{
	enum { INDENT = 24 };
	bool bad = text_is(event, "kind", "error");
	printf("  %+8lld ms  ", (long long)json_integer_value(json_object_get(event, "ms")));
	if (bad)
		style_begin(stdout, STYLE_BAD);
	else if (text_is(event, "kind", "verdict"))
		style_begin(stdout, STYLE_BOLD);
	else if (text_is(event, "kind", "dns") || text_is(event, "kind", "certificate"))
		style_begin(stdout, STYLE_DIM);
	printf("%-9s", mark(event));
	text_wrap(stdout, INDENT, INDENT + 2, text_of(c->arena, event, "text"));
	style_end(stdout);
}

static void print_record(struct cli *c, const json_t *record, int attempt)
{
	size_t i;
	json_t *event;
	bool session = text_is(record, "kind", "session");
	long long dropped = json_integer_value(json_object_get(record, "events_dropped"));
	putchar('\n');
	style_begin(stdout, STYLE_BOLD);
	printf("%.*s  ", STR_ARG(text_time(c->arena, text_of(c->arena, record, "at"))));
	if (session)
		printf("session from %.*s", STR_ARG(text_of(c->arena, record, "peer")));
	else
		printf("attempt %d to %.*s", attempt, STR_ARG(text_of(c->arena, record, "peer")));
	style_end(stdout);
	putchar('\n');
	json_array_foreach(json_object_get(record, "events"), i, event) print_event(c, event);
	if (dropped)
		printf("  (%lld events in the middle were dropped: the record was full)\n", dropped);
}

static void print_records(struct cli *c, const json_t *records)
{
	size_t i;
	json_t *record;
	int attempts = 0;
	json_array_foreach((json_t *)records, i, record)
	{
		if (text_is(record, "kind", "attempt"))
			attempts++;
		print_record(c, record, attempts);
	}
}

/* ---- what it comes down to */

static bool final(const json_t *recipient)
{
	return text_is(recipient, "state", "delivered") || text_is(recipient, "state", "bounced") ||
		text_is(recipient, "state", "removed") || text_is(recipient, "state", "expired");
}

/* "Not relayed yet: 2 of 3 recipients wait." */
static void print_verdict(const json_t *message)
{
	size_t i, waiting = 0, delivered = 0;
	json_t *r, *list = json_object_get(message, "recipients");
	json_array_foreach(list, i, r)
	{
		waiting += !final(r);
		delivered += text_is(r, "state", "delivered");
	}
	size_t n = json_array_size(list);
	if (waiting) {
		style_begin(stdout, STYLE_WARN);
		printf("Not relayed yet: %zu of %zu recipient%s wait%s.", waiting, n, n == 1 ? "" : "s",
			waiting == 1 ? "s" : "");
	} else if (delivered == n) {
		style_begin(stdout, STYLE_GOOD);
		printf("Delivered to %s.", n == 1 ? "its recipient" : "all its recipients");
	} else {
		style_begin(stdout, STYLE_BAD);
		printf("Not delivered to %zu of %zu recipient%s.", n - delivered, n, n == 1 ? "" : "s");
	}
	style_end(stdout);
	putchar('\n');
}

/* The recipient that the message's cause is of; NULL: nothing is wrong. */
static const json_t *held_up(const json_t *message)
{
	size_t i;
	json_t *r, *cause = json_object_get(message, "cause");
	json_array_foreach(json_object_get(message, "recipients"), i, r) if (json_is_object(cause) &&
		json_equal(json_object_get(r, "cause"), cause) &&
		!text_is(r, "state", "delivered")) return r;
	return NULL;
}

static void print_head(struct cli *c, const json_t *message)
{
	const json_t *recipient = held_up(message);
	print_verdict(message);
	if (recipient)
		mail_print_cause(c, recipient);
	putchar('\n');
	mail_print_message(c, message);
	mail_print_recipients(c, message, recipient);
}

/* Several messages: a line each; the dialogue only of the one that matters most. */
static void print_list(struct cli *c, const json_t *messages)
{
	size_t i, k;
	json_t *m, *r;
	struct table t;
	int64_t now = clock_wall_ms();
	table_init(&t, c->arena, "ID|>AGE|SENDER|RECIPIENT|STATE|NEXT TRY|WHY");
	json_array_foreach((json_t *)messages, i, m)
	{
		struct str sender = text_of(c->arena, m, "sender");
		json_array_foreach(json_object_get(m, "recipients"), k, r)
		{
			table_add(&t, text_of(c->arena, m, "id"));
			table_add(
				&t, text_span(c->arena, now - text_time_ms(text_of(c->arena, m, "received"))));
			table_add(&t, sender.n ? sender : STR("<>"));
			table_add(&t, text_of(c->arena, r, "address"));
			table_add(&t, text_of(c->arena, r, "state"));
			table_add(&t, mail_next_try(c, r, now));
			table_add(&t, mail_reason(c, r));
		}
	}
	table_print(&t, stdout);
	printf("\nThe story of each: letterlock trace ID. ");
}

/* The newest that is not finished, else the newest. */
static const json_t *most_wanted(const json_t *messages)
{
	size_t i;
	json_t *m;
	json_array_foreach(
		(json_t *)messages, i, m) if (json_is_null(json_object_get(m, "finished"))) return m;
	return json_array_get(messages, 0);
}

int cli_trace(struct cli *c)
{
	json_t *j;
	int status = cli_ask_shown(c, "trace", cli_args("what", c->arguments[0], NULL), NULL, &j);
	if (!j)
		return status;
	const json_t *messages = json_object_get(j, "messages");
	const json_t *sessions = json_object_get(j, "sessions");
	if (json_array_size(messages) > 1)
		print_list(c, messages);
	if (json_array_size(messages)) {
		const json_t *m = most_wanted(messages);
		if (json_array_size(messages) > 1)
			printf("This is that of %.*s:\n\n", STR_ARG(text_of(c->arena, m, "id")));
		print_head(c, m);
		print_records(c, json_object_get(m, "records"));
	} else {
		printf("No mail, but %zu session%s that brought none:\n", json_array_size(sessions),
			json_array_size(sessions) == 1 ? "" : "s");
		print_records(c, sessions);
	}
	json_decref(j);
	return status;
}
