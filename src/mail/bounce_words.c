/* bounce_words: the part of a bounce that people read. It says in this order what happened, to whom,
 * why, in whose words, under which protection, how long it was tried, and what to do. */
#include <stdio.h>

#include "base/clock.h"
#include "mail/bounce_part.h"
#include "mail/cause.h"

enum { WIDTH = 72, WORDS_MAX = 2048, WORDS_RECIPIENTS = 50 };
enum { SECOND = 1000, MINUTE = 60 * SECOND };
#define HOUR ((int64_t)60 * MINUTE)
#define DAY (24 * HOUR)

/* Adds `text` as lines of at most WIDTH bytes, each behind `indent` blanks; longer words are cut in
 * two. What is not printable ASCII becomes '?', so nothing from outside can forge a line. */
static void put_wrapped(struct buf *out, int indent, struct str text)
{
	size_t column = 0, width = (size_t)(WIDTH - indent);
	while (text.n) {
		size_t n = 0;
		while (n < text.n && n < width && text.p[n] != ' ')
			n++;
		if (n && column && column + 1 + n > width) {
			buf_add_c(out, "\r\n");
			column = 0;
		}
		if (n && column == 0) {
			buf_addf(out, "%*s", indent, "");
		} else if (n) {
			buf_add_char(out, ' ');
			column++;
		}
		for (size_t i = 0; i < n; i++)
			buf_add_char(out, ascii_is_print(text.p[i]) ? text.p[i] : '?');
		column += n;
		text = str_skip(text, n);
		while (text.n && text.p[0] == ' ')
			text = str_skip(text, 1);
	}
	buf_add_c(out, "\r\n");
}

static void put_line(struct buf *out, int indent, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void put_line(struct buf *out, int indent, const char *fmt, ...)
{
	struct buf line;
	va_list ap;
	buf_init(&line, WORDS_MAX);
	va_start(ap, fmt);
	buf_addv(&line, fmt, ap);
	va_end(ap);
	put_wrapped(out, indent, buf_str(&line));
	buf_done(&line);
}

/* "5 days", "1 hour", "less than a second". */
static char *age(int64_t ms, char dst[CLOCK_TEXT])
{
	static const struct {
		int64_t ms;
		const char *name;
	} units[] = {{DAY, "day"}, {HOUR, "hour"}, {MINUTE, "minute"}, {SECOND, "second"}};
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		long long n = ms / units[i].ms;
		if (n > 0) {
			snprintf(dst, CLOCK_TEXT, "%lld %s%s", n, units[i].name, n == 1 ? "" : "s");
			return dst;
		}
	}
	snprintf(dst, CLOCK_TEXT, "less than a second");
	return dst;
}

enum bounce_action bounce_gravest(const struct bounce *b)
{
	enum bounce_action gravest = BOUNCE_RELAYED;
	for (size_t i = 0; i < b->recipient_count; i++)
		if (b->recipients[i].action < gravest)
			gravest = b->recipients[i].action;
	return gravest;
}

/* Which host said what to which command. */
static void put_reply(const struct bounce_recipient *r, struct buf *out)
{
	struct str text = str_take(r->text, WORDS_MAX / 2);
	struct str tls = str_take(r->tls, WORDS_MAX / 4);
	bool twice = r->enhanced.n && str_starts(text, r->enhanced);
	if (r->code && r->remote_host.n)
		put_line(out, 4, "%.*s (%.*s) said%s%.*s:", STR_ARG(r->remote_host),
			STR_ARG(r->remote_address), r->command.n ? " at " : "", STR_ARG(r->command));
	else if (r->remote_host.n)
		put_line(out, 4, "At %.*s (%.*s):", STR_ARG(r->remote_host), STR_ARG(r->remote_address));
	if (r->code)
		put_line(out, 6, "%u %.*s%s%.*s", r->code, twice ? 0 : (int)r->enhanced.n, r->enhanced.p,
			twice || r->enhanced.n == 0 ? "" : " ", STR_ARG(text));
	else if (text.n)
		put_line(out, 6, "%.*s", STR_ARG(text));
	if (tls.n)
		put_line(out, 4, "TLS: %.*s", STR_ARG(tls));
	else if (r->code)
		put_line(out, 4, "TLS: none, the connection was in clear.");
}

static void put_attempts(const struct bounce *b, const struct bounce_recipient *r, struct buf *out)
{
	char last[CLOCK_TEXT], over[CLOCK_TEXT];
	if (r->attempts == 0 || r->last_ms == 0)
		put_line(out, 4, "No delivery was attempted.");
	else if (r->attempts == 1)
		put_line(out, 4, "Tried once, on %s.", clock_rfc5322(r->last_ms, last));
	else
		put_line(out, 4, "Tried %u times over %s, last on %s.", r->attempts,
			age(r->last_ms - b->arrived_ms, over), clock_rfc5322(r->last_ms, last));
	if (r->action == BOUNCE_DELAYED)
		put_line(out, 4, "It will be tried until %s; you need not send it again.",
			clock_rfc5322(r->give_up_ms, last));
}

static void put_recipient(const struct bounce *b, const struct bounce_recipient *r, struct buf *out)
{
	const struct cause *cause = cause_find(r->cause);
	buf_add_c(out, "\r\n");
	put_line(out, 2, "<%.*s>", STR_ARG(r->address));
	if (r->action == BOUNCE_RELAYED) {
		put_line(out, 4,
			"Handed to %.*s, which sends no notifications: this is the last you hear of it.",
			STR_ARG(r->remote_host));
		return;
	}
	put_line(out, 4, "%s", cause->text);
	put_reply(r, out);
	put_attempts(b, r, out);
	if (r->action == BOUNCE_FAILED)
		put_line(out, 4, "What you can do: %s", cause->advice);
}

void bounce_words(const struct bounce *b, struct str subject, const char *returned, struct buf *out)
{
	static const char *const opening[] = {
		[BOUNCE_FAILED] = "could not be delivered to",
		[BOUNCE_DELAYED] = "has not been delivered yet to",
		[BOUNCE_RELAYED] = "was handed on for",
	};
	char date[CLOCK_TEXT];
	size_t n = b->recipient_count;
	put_line(out, 0, "This is the mail system at %.*s.", STR_ARG(b->hostname));
	buf_add_c(out, "\r\n");
	put_line(out, 0, "Your message of %s", clock_rfc5322(b->arrived_ms, date));
	if (subject.n)
		put_line(out, 4, "Subject: %.*s", STR_ARG(subject));
	put_line(out, 0, "%s %zu recipient%s:", opening[bounce_gravest(b)], n, n == 1 ? "" : "s");
	for (size_t i = 0; i < n && i < WORDS_RECIPIENTS; i++)
		put_recipient(b, &b->recipients[i], out);
	if (n > WORDS_RECIPIENTS) {
		buf_add_c(out, "\r\n");
		put_line(out, 2, "and %zu more, who stand in the report below.", n - WORDS_RECIPIENTS);
	}
	buf_add_c(out, "\r\n");
	put_line(out, 0,
		"A report for programs follows, then %s. If you ask your postmaster, give this number: "
		"%.*s (for `letterlock trace`).",
		returned, STR_ARG(b->queue_id));
}
