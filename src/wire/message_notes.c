#include "wire/message_notes.h"

/* Which field a line of the header section belongs to. */
enum {
	FIELD_NAME,  /* its name is being read */
	FIELD_OTHER, /* one that is not noted */
	FIELD_ID,    /* the first Message-ID: its value is kept */
};

void message_notes_init(struct message_notes *n)
{
	*n = (struct message_notes){.field = FIELD_NAME};
}

/* The name of a field is complete. Blanks before the colon are let pass (RFC 5322 4.5.8). */
static void note_field(struct message_notes *n)
{
	struct str name = str_trim(str_make(n->name, n->name_n));
	n->field = FIELD_OTHER;
	if (str_eq_nocase(name, STR("Received"))) {
		n->received++;
	} else if (str_eq_nocase(name, STR("Date"))) {
		n->has_date = true;
	} else if (str_eq_nocase(name, STR("From"))) {
		n->has_from = true;
	} else if (str_eq_nocase(name, STR("Message-ID"))) {
		if (!n->has_message_id)
			n->field = FIELD_ID;
		n->has_message_id = true;
	}
}

static void keep_id(struct message_notes *n, struct str bytes)
{
	struct str kept = str_take(bytes, sizeof(n->id) - n->id_n);
	memcpy(n->id + n->id_n, kept.p, kept.n);
	n->id_n += (uint16_t)kept.n;
}

/* Part of a line of the header section without its line end; `start`: its beginning. */
static void header_part(struct message_notes *n, struct str part, bool start)
{
	if (part.n == 0)
		return;
	/* A line that begins with a blank continues the field before it (RFC 5322 2.2.3). */
	bool folded = part.p[0] == ' ' || part.p[0] == '\t';
	if (start && !folded) {
		n->field = FIELD_NAME;
		n->name_n = 0;
	} else if (start && n->field == FIELD_NAME) {
		n->field = FIELD_OTHER;
	}
	if (n->field == FIELD_NAME) {
		ptrdiff_t colon = str_find(part, ':');
		struct str name = colon < 0 ? part : str_take(part, (size_t)colon);
		if (n->name_n + name.n > sizeof(n->name)) {
			n->field = FIELD_OTHER;
			return;
		}
		memcpy(n->name + n->name_n, name.p, name.n);
		n->name_n += (uint8_t)name.n;
		if (colon < 0)
			return;
		note_field(n);
		part = str_skip(part, (size_t)colon + 1);
	}
	if (n->field == FIELD_ID && part.n)
		keep_id(n, part);
}

/* Thirty-two bytes at a step. */
static bool any_8bit(struct str s)
{
	const uint64_t high = 0x8080808080808080u;
	unsigned char rest = 0;
	for (; s.n >= 32; s = str_make(s.p + 32, s.n - 32)) {
		uint64_t w[4];
		memcpy(w, s.p, sizeof(w));
		if ((w[0] | w[1] | w[2] | w[3]) & high)
			return true;
	}
	for (size_t i = 0; i < s.n; i++)
		rest |= (unsigned char)s.p[i];
	return rest & 0x80;
}

/* A line is over: it had `length` bytes up to its LF, a CR before that included. */
static void end_line(struct message_notes *n, uint64_t length, bool cr)
{
	length -= cr;
	if (length > n->longest_line)
		n->longest_line = length;
	if (length == 0)
		n->in_body = true;
}

void message_notes_add(struct message_notes *n, struct str piece)
{
	if (piece.n == 0)
		return;
	if (n->size == 0)
		n->begins_folded = piece.p[0] == ' ' || piece.p[0] == '\t';
	n->size += piece.n;
	if (!n->has_8bit)
		n->has_8bit = any_8bit(piece);
	if (!n->has_nul)
		n->has_nul = str_find(piece, 0) >= 0;
	while (piece.n) {
		const char *lf = memchr(piece.p, '\n', piece.n);
		struct str part = str_take(piece, lf ? (size_t)(lf - piece.p) : piece.n);
		if (!n->in_body)
			header_part(n, part, n->line_n == 0);
		n->line_n += part.n;
		if (part.n)
			n->after_cr = part.p[part.n - 1] == '\r';
		if (!lf)
			return;
		end_line(n, n->line_n, n->after_cr);
		n->line_n = 0;
		n->after_cr = false;
		piece = str_skip(piece, part.n + 1);
	}
}

void message_notes_end(struct message_notes *n)
{
	if (n->line_n)
		end_line(n, n->line_n, n->after_cr);
	n->line_n = 0;
}

struct str message_notes_id(const struct message_notes *n)
{
	struct str s = str_make(n->id, n->id_n);
	ptrdiff_t from = str_find(s, '<');
	if (from < 0)
		return str_make("", 0);
	s = str_skip(s, (size_t)from);
	ptrdiff_t to = str_find(s, '>');
	if (to < 0)
		return str_make("", 0);
	s = str_take(s, (size_t)to + 1);
	return str_is_graph(s) ? s : str_make("", 0);
}
