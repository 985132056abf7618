#include "cli/mail.h"

#include "base/clock.h"
#include "cli/table.h"

/* "ready", "deferred", with emphasis by what it means. */
static void print_state(struct str state)
{
	enum style style = STYLE_BOLD;
	if (str_eq(state, STR("delivered")))
		style = STYLE_GOOD;
	else if (str_eq(state, STR("deferred")) || str_eq(state, STR("held")))
		style = STYLE_WARN;
	else if (str_eq(state, STR("bounced")) || str_eq(state, STR("expired")))
		style = STYLE_BAD;
	style_begin(stdout, style);
	fprintf(stdout, "%.*s", STR_ARG(state));
	style_end(stdout);
}

struct str mail_next_try(struct cli *c, const json_t *r, int64_t now_ms)
{
	int64_t at = text_time_ms(text_of(c->arena, r, "next_try"));
	if (text_is(r, "state", "active"))
		return STR("at work");
	if (text_is(r, "state", "ready") && at <= now_ms)
		return STR("now");
	if (at == 0)
		return STR("");
	if (at <= now_ms)
		return STR("now");
	return arena_fmt(c->arena, "in %.*s", STR_ARG(text_span(c->arena, at - now_ms)));
}

/* "550 5.1.1 no such user here", or our own sentence, which has no code. */
static struct str said(struct cli *c, const json_t *r)
{
	const json_t *last = json_object_get(r, "last");
	struct str text = text_of(c->arena, last, "text"), code = text_of(c->arena, last, "code");
	struct str enhanced = text_of(c->arena, last, "enhanced");
	if (code.n == 0 || str_eq(code, STR("0")))
		return text;
	return arena_fmt(c->arena, "%.*s%s%.*s %.*s", STR_ARG(code), enhanced.n ? " " : "",
		STR_ARG(enhanced), STR_ARG(text));
}

struct str mail_reason(struct cli *c, const json_t *r)
{
	struct str text = said(c, r), id = text_of(c->arena, json_object_get(r, "cause"), "id");
	if (text_is(r, "state", "delivered"))
		return text;
	if (id.n && text.n)
		return arena_fmt(c->arena, "%.*s: %.*s", STR_ARG(id), STR_ARG(text));
	return id.n ? id : text;
}

static const char *owner_text(struct str owner)
{
	static const struct {
		const char *owner, *text;
	} texts[] = {
		{"us", "us (this server)"},
		{"them", "them (the other server)"},
		{"sender", "the sender of the message"},
		{"network", "the network in between"},
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (str_eq(owner, str_from_c(texts[i].owner)))
			return texts[i].text;
	return "";
}

static void line(const char *label, struct str text)
{
	if (text.n == 0)
		return;
	printf("  %-7s ", label);
	text_wrap(stdout, 10, 10, text);
}

/* "mx1.example.org:25 (192.0.2.1), by connector hop"; address = IP ":" port. */
static struct str where(struct cli *c, const json_t *recipient)
{
	const json_t *last = json_object_get(recipient, "last");
	struct str host = text_of(c->arena, last, "host");
	struct str address = text_of(c->arena, last, "address");
	struct str way = text_of(c->arena, recipient, "destination");
	ptrdiff_t colon = str_rfind(address, ':');
	struct str text = address;
	if (host.n && colon > 0)
		text = arena_fmt(c->arena, "%.*s%.*s (%.*s)", STR_ARG(host),
			STR_ARG(str_skip(address, (size_t)colon)), STR_ARG(str_take(address, (size_t)colon)));
	if (way.n)
		text =
			arena_fmt(c->arena, "%.*s%s%.*s", STR_ARG(text), text.n ? ", by " : "", STR_ARG(way));
	return text;
}

void mail_print_cause(struct cli *c, const json_t *recipient)
{
	const json_t *cause = json_object_get(recipient, "cause");
	const json_t *last = json_object_get(recipient, "last");
	line("why",
		arena_fmt(c->arena, "%.*s [%.*s]", STR_ARG(text_of(c->arena, cause, "text")),
			STR_ARG(text_of(c->arena, cause, "id"))));
	line("said", said(c, recipient));
	line("where", where(c, recipient));
	line("tls", text_of(c->arena, last, "tls"));
	line("owner", str_from_c(owner_text(text_of(c->arena, cause, "owner"))));
	line("next", text_of(c->arena, cause, "next"));
}

void mail_print_message(struct cli *c, const json_t *m)
{
	struct str sender = text_of(c->arena, m, "sender"), tls = text_of(c->arena, m, "tls");
	struct str client = text_of(c->arena, m, "client"), helo = text_of(c->arena, m, "helo");
	struct str bounce = text_of(c->arena, m, "bounce_of");
	style_begin(stdout, STYLE_BOLD);
	printf("Message %.*s\n", STR_ARG(text_of(c->arena, m, "id")));
	style_end(stdout);
	line("from", sender.n ? sender : STR("<> (a bounce)"));
	line("id", text_of(c->arena, m, "message_id"));
	if (bounce.n)
		line("about",
			arena_fmt(c->arena, "message %.*s, which could not be delivered", STR_ARG(bounce)));
	if (client.n)
		line("came",
			arena_fmt(c->arena, "%.*s from %.*s (%.*s) on %.*s, %.*s",
				STR_ARG(text_time(c->arena, text_of(c->arena, m, "received"))), STR_ARG(client),
				STR_ARG(helo), STR_ARG(text_of(c->arena, m, "listener")),
				STR_ARG(tls.n ? tls : STR("without TLS"))));
	else
		line("made", text_time(c->arena, text_of(c->arena, m, "received")));
	line("size", text_size(c->arena, json_integer_value(json_object_get(m, "size"))));
}

static void print_last(struct cli *c, const json_t *r)
{
	const json_t *last = json_object_get(r, "last");
	struct str text = said(c, r), host = text_of(c->arena, last, "host");
	struct str command = text_of(c->arena, last, "command");
	if (text.n == 0)
		return;
	if (host.n)
		text = arena_fmt(c->arena, "%.*s%s%.*s: %.*s", STR_ARG(host), command.n ? " to " : "",
			STR_ARG(command), STR_ARG(text));
	printf("          ");
	text_wrap(stdout, 10, 10, text);
}

void mail_print_recipients(struct cli *c, const json_t *m, const json_t *told)
{
	size_t i;
	json_t *r;
	int64_t now = clock_wall_ms();
	json_array_foreach(json_object_get(m, "recipients"), i, r)
	{
		struct str next = mail_next_try(c, r, now), way = text_of(c->arena, r, "destination");
		long long attempts = json_integer_value(json_object_get(r, "attempts"));
		printf("  to      %.*s: ", STR_ARG(text_of(c->arena, r, "address")));
		print_state(text_of(c->arena, r, "state"));
		if (attempts)
			printf(" after %lld attempt%s", attempts, attempts == 1 ? "" : "s");
		if (next.n && !text_is(r, "state", "active"))
			printf(", next try %.*s", STR_ARG(next));
		if (way.n)
			printf(" (%.*s)", STR_ARG(way));
		putchar('\n');
		if (!told || !json_equal(json_object_get(r, "last"), json_object_get(told, "last")))
			print_last(c, r);
	}
}
