#include "mail/bounce.h"

#include <stdio.h>

#include "base/clock.h"
#include "mail/bounce_part.h"
#include "wire/message_write.h"
#include "wire/quoted_printable.h"

enum { LINE_MAX_MIME = 998, BOUNDARY_MAX = 80, SUBJECT_MAX = 200 };

/* ---- what is returned of the message ------------------------------------------------------- */

struct original {
	struct buf text; /* the whole message, or its header section without the empty line */
	bool full;
	bool has_8bit;
	bool plain; /* no line and no byte that MIME forbids without an encoding */
};

/* Length of the header section, its last CRLF included. */
static size_t header_length(struct str s)
{
	for (size_t at = 0; at < s.n;) {
		struct str line = str_skip(s, at);
		ptrdiff_t lf = str_find(line, '\n');
		if (lf == 0 || (lf == 1 && line.p[0] == '\r'))
			return at;
		at += lf < 0 ? line.n : (size_t)lf + 1;
	}
	return s.n;
}

/* Cuts behind the last line that is whole. */
static void cut_at_line(struct buf *b)
{
	ptrdiff_t lf = str_rfind(buf_str(b), '\n');
	b->n = lf < 0 ? 0 : (size_t)lf + 1;
}

static void look_at_bytes(struct original *o)
{
	size_t line = 0;
	char before = 0;
	o->has_8bit = false;
	o->plain = true;
	for (size_t i = 0; i < o->text.n; i++) {
		char c = o->text.p[i];
		bool bare = (c == '\n') != (before == '\r');
		line = c == '\n' || c == '\r' ? 0 : line + 1;
		o->has_8bit |= (unsigned char)c >= 0x80;
		if (c == 0 || bare || line > LINE_MAX_MIME)
			o->plain = false;
		before = c;
	}
	o->plain &= before != '\r';
}

static void original_take(const struct bounce *b, struct original *o)
{
	buf_init(&o->text, BOUNCE_FULL_MAX);
	o->full = b->full && b->prefix.n + b->body.n <= BOUNCE_FULL_MAX;
	if (o->full) {
		buf_add(&o->text, b->prefix);
		buf_add(&o->text, b->body);
		look_at_bytes(o);
		o->full = o->plain;
	}
	if (o->full)
		return;
	buf_clear(&o->text);
	buf_add(&o->text, str_take(b->prefix, BOUNCE_HEADERS_MAX));
	buf_add(&o->text, str_take(b->body, BOUNCE_HEADERS_MAX - o->text.n));
	size_t n = header_length(buf_str(&o->text));
	bool cut = n == o->text.n && n < b->prefix.n + b->body.n;
	o->text.n = n;
	if (cut)
		cut_at_line(&o->text);
	look_at_bytes(o);
}

/* The value of Subject, if it is plain ASCII on one line: anything else is better read where it
 * stands, in the headers that are returned. */
static struct str find_subject(struct str headers)
{
	struct str line;
	headers = str_take(headers, header_length(headers));
	while (str_split(&headers, '\n', &line)) {
		if (!str_starts_nocase(line, STR("Subject:")))
			continue;
		bool folded = headers.n && (headers.p[0] == ' ' || headers.p[0] == '\t');
		line = str_trim(str_skip(line, sizeof "Subject:" - 1));
		bool encoded = line.n > 1 && line.p[0] == '=' && line.p[1] == '?';
		return folded || encoded || line.n > SUBJECT_MAX || !str_is_print(line) ? str_make("", 0)
																				: line;
	}
	return str_make("", 0);
}

/* ---- the message --------------------------------------------------------------------------- */

static bool contains(struct str s, struct str what)
{
	return memmem(s.p, s.n, what.p, what.n) != NULL;
}

/* A boundary that stands nowhere in what is returned (RFC 2046 5.1.1). The other parts cannot hold
 * it: their lines never begin with hyphens. */
static void choose_boundary(const struct bounce *b, struct str original, char dst[BOUNDARY_MAX])
{
	unsigned n = 0;
	do
		snprintf(dst, BOUNDARY_MAX, "=_%.*s.%u", (int)str_take(b->id, 40).n, b->id.p, n++);
	while (contains(original, str_from_c(dst)));
}

static void put_subject(const struct bounce *b, struct buf *out)
{
	static const char *const subjects[] = {
		[BOUNCE_FAILED] = "Not delivered",
		[BOUNCE_DELAYED] = "Delayed",
		[BOUNCE_RELAYED] = "Handed on",
	};
	char subject[400];
	const char *what = subjects[bounce_gravest(b)];
	if (b->recipient_count == 1)
		snprintf(subject, sizeof subject, "%s: your message to %.*s", what,
			STR_ARG(b->recipients[0].address));
	else
		snprintf(subject, sizeof subject, "%s: your message to %zu recipients", what,
			b->recipient_count);
	message_field(out, "Subject", str_from_c(subject));
}

static void put_head(const struct bounce *b, const char *boundary, bool has_8bit, struct buf *out)
{
	char text[512], date[CLOCK_TEXT];
	snprintf(text, sizeof text, "Mail Delivery System <postmaster@%.*s>", STR_ARG(b->hostname));
	message_field_raw(out, "From", str_from_c(text));
	snprintf(text, sizeof text, "<%.*s>", STR_ARG(b->sender));
	message_field_raw(out, "To", str_from_c(text));
	put_subject(b, out);
	message_field_raw(out, "Date", str_from_c(clock_rfc5322(b->now_ms, date)));
	snprintf(text, sizeof text, "<%.*s@%.*s>", STR_ARG(b->id), STR_ARG(b->hostname));
	message_field_raw(out, "Message-ID", str_from_c(text));
	message_field_raw(out, "Auto-Submitted", STR("auto-replied"));
	message_field_raw(out, "MIME-Version", STR("1.0"));
	snprintf(text, sizeof text, "multipart/report; report-type=delivery-status; boundary=\"%s\"",
		boundary);
	message_field_raw(out, "Content-Type", str_from_c(text));
	/* The whole is what its parts are (RFC 2045 6.4). */
	if (has_8bit)
		message_field_raw(out, "Content-Transfer-Encoding", STR("8bit"));
	buf_add_c(out, "\r\nThis is a report in MIME format (RFC 3464).\r\n");
}

static void put_part(struct buf *out, const char *boundary, const char *type)
{
	buf_addf(out, "\r\n--%s\r\nContent-Type: %s\r\n", boundary, type);
}

static void put_original(const struct original *o, const char *boundary, struct buf *out)
{
	put_part(out, boundary, o->full ? "message/rfc822" : "text/rfc822-headers");
	if (o->full) {
		/* A message part may not be encoded (RFC 2046 5.2.1), so 8-bit travels as it is. */
		buf_addf(out, "Content-Transfer-Encoding: %s\r\n\r\n", o->has_8bit ? "8bit" : "7bit");
		buf_add(out, buf_str(&o->text));
	} else if (o->has_8bit || !o->plain) {
		buf_add_c(out, "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
		quoted_printable_encode(buf_str(&o->text), out);
	} else {
		buf_add_c(out, "\r\n");
		buf_add(out, buf_str(&o->text));
	}
	buf_addf(out, "\r\n--%s--\r\n", boundary);
}

bool bounce_write(const struct bounce *b, struct buf *out, bool *ret_has_8bit)
{
	struct original o;
	char boundary[BOUNDARY_MAX];
	if (b->sender.n == 0 || b->recipient_count == 0 || b->recipient_count > BOUNCE_RECIPIENTS)
		return false;
	original_take(b, &o);
	choose_boundary(b, buf_str(&o.text), boundary);
	buf_clear(out);
	*ret_has_8bit = o.full && o.has_8bit;
	put_head(b, boundary, *ret_has_8bit, out);
	put_part(out, boundary, "text/plain; charset=us-ascii");
	buf_add_c(out, "Content-Description: What happened\r\n\r\n");
	bounce_words(b, find_subject(buf_str(&o.text)),
		o.full ? "your message" : "the headers of your message", out);
	put_part(out, boundary, "message/delivery-status");
	buf_add_c(out, "Content-Description: Delivery report\r\n\r\n");
	bounce_status(b, out);
	put_original(&o, boundary, out);
	buf_done(&o.text);
	return true;
}
