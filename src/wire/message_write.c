#include "wire/message_write.h"

#include "base/utf8.h"

enum {
	LINE_GOOD = 76,   /* RFC 2047 2, where RFC 5322 2.1.1 would allow 78 */
	WORD_MAX = 900,   /* longer ones are cut: with the name before it a line stays within 998 */
	ENCODED_MAX = 75, /* RFC 2047 2 */
	Q_MAX = 12,       /* a character of four bytes */
};

/* A field on its way out: words are put one by one and folded between them. */
struct field {
	struct buf *out;
	size_t column;
	bool empty; /* no word yet: the first one follows the name without a fold */
};

static void field_begin(struct field *f, struct buf *out, const char *name)
{
	*f = (struct field){.out = out, .column = strlen(name) + 1, .empty = true};
	buf_addf(out, "%s:", name);
}

static void field_word(struct field *f, struct str word)
{
	do {
		struct str part = str_take(word, WORD_MAX);
		if (!f->empty && f->column + 1 + part.n > LINE_GOOD) {
			buf_add_c(f->out, "\r\n");
			f->column = 0;
		}
		buf_add_char(f->out, ' ');
		buf_add(f->out, part);
		f->column += 1 + part.n;
		f->empty = false;
		word = str_skip(word, part.n);
	} while (word.n);
}

static void field_end(struct field *f)
{
	buf_add_c(f->out, "\r\n");
}

static bool is_separator(char c)
{
	return (unsigned char)c <= 32 || c == 127;
}

/* Takes the next run of bytes other than blanks and control characters; false at the end. */
static bool next_word(struct str *at, struct str *ret)
{
	size_t n = 0;
	while (at->n && is_separator(at->p[0]))
		*at = str_skip(*at, 1);
	while (n < at->n && !is_separator(at->p[n]))
		n++;
	*ret = str_take(*at, n);
	*at = str_skip(*at, n);
	return n > 0;
}

static bool needs_encoding(struct str word)
{
	for (size_t i = 0; i < word.n; i++)
		if ((unsigned char)word.p[i] > 126)
			return true;
	/* Plain text that a reader would take for an encoded-word, or that is too long for one line. */
	return str_starts(word, STR("=?")) || word.n > WORD_MAX;
}

/* One character in the Q encoding (RFC 2047 4.2), in the set good for any place (5, rule 3). */
static size_t q_encode(struct str character, char dst[Q_MAX])
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;
	for (size_t i = 0; i < character.n; i++) {
		char c = character.p[i];
		if (c == ' ') {
			dst[n++] = '_';
		} else if (ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '.') {
			dst[n++] = c;
		} else {
			dst[n++] = '=';
			dst[n++] = hex[(unsigned char)c >> 4];
			dst[n++] = hex[c & 15];
		}
	}
	return n;
}

/* An encoded-word under construction; characters are never divided between two (RFC 2047 5). */
struct encoded {
	char text[ENCODED_MAX];
	size_t n;
	size_t max; /* what fits on the line that it will stand on */
};

static void encoded_flush(struct encoded *e, struct field *f)
{
	if (e->n == 0)
		return;
	memcpy(e->text + e->n, "?=", 2);
	field_word(f, str_make(e->text, e->n + 2));
	e->n = 0;
}

static void encoded_begin(struct encoded *e, const struct field *f)
{
	static const struct str begin = {"=?UTF-8?Q?", 10};
	size_t room = f->column + 1 < LINE_GOOD ? LINE_GOOD - f->column - 1 : 0;
	/* With little room it goes to the next line, unless it is the first word. */
	size_t least = begin.n + Q_MAX + 2;
	if (room < least)
		room = f->empty ? least : ENCODED_MAX;
	e->max = room;
	memcpy(e->text, begin.p, begin.n);
	e->n = begin.n;
}

static void encoded_add(struct encoded *e, struct field *f, struct str text)
{
	while (text.n) {
		char q[Q_MAX];
		size_t length = utf8_length(text);
		size_t n = q_encode(length ? str_take(text, length) : STR("?"), q);
		if (e->n && e->n + n + 2 > e->max)
			encoded_flush(e, f);
		if (e->n == 0)
			encoded_begin(e, f);
		memcpy(e->text + e->n, q, n);
		e->n += n;
		text = str_skip(text, length ? length : 1);
	}
}

void message_field(struct buf *out, const char *name, struct str value)
{
	struct field f;
	struct encoded e = {.n = 0};
	struct str word;
	field_begin(&f, out, name);
	while (next_word(&value, &word)) {
		if (!needs_encoding(word)) {
			encoded_flush(&e, &f);
			field_word(&f, word);
			continue;
		}
		/* The blank between two encoded-words is not shown (RFC 2047 6.2), so it is encoded too. */
		if (e.n)
			encoded_add(&e, &f, STR(" "));
		encoded_add(&e, &f, word);
	}
	encoded_flush(&e, &f);
	field_end(&f);
}

void message_field_raw(struct buf *out, const char *name, struct str value)
{
	struct field f;
	struct str word;
	field_begin(&f, out, name);
	while (next_word(&value, &word)) {
		char clean[WORD_MAX];
		while (word.n) {
			size_t n = word.n < WORD_MAX ? word.n : WORD_MAX;
			for (size_t i = 0; i < n; i++)
				clean[i] = (unsigned char)word.p[i] > 126 ? '?' : word.p[i];
			field_word(&f, str_make(clean, n));
			word = str_skip(word, n);
		}
	}
	field_end(&f);
}

/* ---- Received ------------------------------------------------------------------------------ */

/* Adds a fact from outside: at most 255 bytes of it, printable ASCII alone, and nothing that stands
 * in `unwelcome`, which could be taken for the structure around it. */
static void add_clean(struct buf *out, struct str s, const char *unwelcome)
{
	s = str_take(s, 255);
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		buf_add_char(out, ascii_is_print(c) && !strchr(unwelcome, c) ? c : '?');
	}
}

static void add_word(struct buf *out, struct str s)
{
	add_clean(out, s, "();\\\"<>");
}

/* The client's address as a literal; IPv6 is known by its colons. */
static void add_address(struct buf *out, struct str address)
{
	buf_add_c(out, str_find(address, ':') >= 0 ? "[IPv6:" : "[");
	add_word(out, address);
	buf_add_c(out, "]");
}

/* Time-stamp-line = "Received:" From-domain By-domain Opt-info [CFWS] ";" FWS date-time
 * From-domain = "FROM" FWS Extended-Domain ; Extended-Domain = Domain FWS "(" TCP-info ")"
 *                                                                                RFC 5321 4.4 */
void message_received(struct buf *out, const struct message_received *r)
{
	buf_add_c(out, "Received: from ");
	if (r->helo.n)
		add_word(out, r->helo);
	else
		add_address(out, r->client);
	buf_add_c(out, " (");
	add_address(out, r->client);
	buf_add_c(out, ")\r\n\tby ");
	add_word(out, r->by);
	buf_add_c(out, " with ");
	add_word(out, r->protocol);
	if (r->tls.n) {
		buf_add_c(out, " (");
		add_word(out, r->tls);
		buf_add_c(out, ")");
	}
	buf_add_c(out, "\r\n\tid ");
	add_word(out, r->id);
	if (r->recipient.n) {
		buf_add_c(out, "\r\n\tfor <");
		/* A quoted local part may hold anything printable: its quotes guard it. */
		add_clean(out, r->recipient, "");
		buf_add_c(out, ">");
	}
	buf_add_c(out, ";\r\n\t");
	add_word(out, r->date);
	buf_add_c(out, "\r\n");
}
