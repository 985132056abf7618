/* bounce_status: the part of a bounce that programs read (RFC 3464). */
#include <stdio.h>

#include "base/clock.h"
#include "mail/bounce_part.h"
#include "mail/cause.h"
#include "wire/enhanced.h"
#include "wire/ip.h"
#include "wire/message_write.h"
#include "wire/xtext.h"

enum { FIELD_MAX = 2048, TEXT_MAX = 1000 };

static void put_field(struct buf *out, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void put_field(struct buf *out, const char *name, const char *fmt, ...)
{
	struct buf value;
	va_list ap;
	buf_init(&value, FIELD_MAX);
	va_start(ap, fmt);
	buf_addv(&value, fmt, ap);
	va_end(ap);
	message_field_raw(out, name, buf_str(&value));
	buf_done(&value);
}

static void put_date(struct buf *out, const char *name, int64_t ms)
{
	char date[CLOCK_TEXT];
	put_field(out, name, "%s", clock_rfc5322(ms, date));
}

/* xtext becomes what it stands for, unless that could not stand in a header. */
static void put_xtext(struct buf *out, const char *name, const char *before, struct str xtext)
{
	struct buf plain;
	buf_init(&plain, FIELD_MAX);
	if (!xtext_printable(xtext) || !xtext_decode(xtext, &plain)) {
		buf_clear(&plain);
		buf_add(&plain, xtext);
	}
	put_field(out, name, "%s%.*s", before, STR_ARG(buf_str(&plain)));
	buf_done(&plain);
}

/* original-recipient-field = "Original-Recipient" ":" address-type ";" generic-address
 * ORCPT has the same form, with the address in xtext (RFC 3461 4.2). */
static void put_orcpt(struct buf *out, struct str orcpt)
{
	struct str type, rest = orcpt;
	char before[64];
	if (!str_split(&rest, ';', &type) || rest.n == 0 || type.n == 0 || type.n > sizeof before - 3)
		return;
	snprintf(before, sizeof before, "%.*s;", STR_ARG(type));
	put_xtext(out, "Original-Recipient", before, rest);
}

/* Status of RFC 3463: the one of the attempt, else from the cause. */
static void put_status(struct buf *out, const struct bounce_recipient *r)
{
	struct str at = r->enhanced, code;
	char class = r->action == BOUNCE_FAILED ? '5' : r->action == BOUNCE_DELAYED ? '4' : '2';
	if (r->code >= 400 && r->code < 500)
		class = '4';
	if (enhanced_code(&at, &code) == PARSE_DONE && at.n == 0)
		put_field(out, "Status", "%.*s", STR_ARG(code));
	else
		put_field(out, "Status", "%c.%s", class,
			r->action == BOUNCE_RELAYED ? "0.0" : cause_find(r->cause)->enhanced);
}

/* An IP address where a name is asked for stands as a literal. */
static void put_remote(struct buf *out, struct str host)
{
	struct ip ip;
	char literal[IP_LITERAL_TEXT];
	if (ip_parse(host, &ip))
		put_field(out, "Remote-MTA", "dns; %s", ip_literal_format(&ip, literal));
	else if (host.n)
		put_field(out, "Remote-MTA", "dns; %.*s", STR_ARG(host));
}

static void put_diagnostic(struct buf *out, const struct bounce_recipient *r)
{
	struct str text = str_take(r->text, TEXT_MAX);
	bool twice = r->enhanced.n && str_starts(text, r->enhanced);
	if (r->code)
		put_field(out, "Diagnostic-Code", "smtp; %u %.*s%s%.*s", r->code,
			twice ? 0 : (int)r->enhanced.n, r->enhanced.p, twice || !r->enhanced.n ? "" : " ",
			STR_ARG(text));
	else if (text.n)
		put_field(out, "Diagnostic-Code", "X-Letterlock; %.*s", STR_ARG(text));
}

static void put_recipient(struct buf *out, const struct bounce_recipient *r)
{
	static const char *const actions[] = {
		[BOUNCE_FAILED] = "failed",
		[BOUNCE_DELAYED] = "delayed",
		[BOUNCE_RELAYED] = "relayed",
	};
	const struct cause *cause = cause_find(r->cause);
	buf_add_c(out, "\r\n");
	if (r->orcpt.n)
		put_orcpt(out, r->orcpt);
	put_field(out, "Final-Recipient", "rfc822; %.*s", STR_ARG(r->address));
	put_field(out, "Action", "%s", actions[r->action]);
	put_status(out, r);
	put_remote(out, r->remote_host);
	put_diagnostic(out, r);
	if (r->last_ms)
		put_date(out, "Last-Attempt-Date", r->last_ms);
	if (r->action == BOUNCE_DELAYED)
		put_date(out, "Will-Retry-Until", r->give_up_ms);
	if (r->cause.n)
		put_field(
			out, "X-Letterlock-Cause", "%s (owner: %s)", cause->id, cause_owner_name(cause->owner));
}

void bounce_status(const struct bounce *b, struct buf *out)
{
	if (b->envid.n)
		put_xtext(out, "Original-Envelope-Id", "", b->envid);
	put_field(out, "Reporting-MTA", "dns; %.*s", STR_ARG(b->hostname));
	put_field(out, "X-Letterlock-Queue-ID", "%.*s", STR_ARG(b->queue_id));
	put_date(out, "Arrival-Date", b->arrived_ms);
	for (size_t i = 0; i < b->recipient_count; i++)
		put_recipient(out, &b->recipients[i]);
}
