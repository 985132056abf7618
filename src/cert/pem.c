#include "cert/pem.h"

#include "base/buf.h"

enum { LABEL_MAX = 64 };

/* The next line of *rest without line end and without blanks around it; false at the end. */
static bool next_line(struct str *rest, struct str *ret)
{
	if (rest->n == 0)
		return false;
	size_t n = 0;
	while (n < rest->n && rest->p[n] != '\n' && rest->p[n] != '\r')
		n++;
	*ret = str_trim(str_take(*rest, n));
	*rest = str_skip(*rest, n < rest->n ? n + 1 : n);
	return true;
}

/* preeb / posteb = "-----" word SP label "-----"                                    RFC 7468 3
 * A byte order mark or other text may stand in front of BEGIN on its line. */
static bool is_boundary(struct str line, struct str begin, struct str *ret_label)
{
	static const char dashes[] = "-----";
	if (line.n < begin.n + 5 || memcmp(line.p + line.n - 5, dashes, 5) != 0)
		return false;
	const char *at = memmem(line.p, line.n - 5, begin.p, begin.n);
	if (!at)
		return false;
	struct str label = str_skip(line, (size_t)(at - line.p) + begin.n);
	label.n -= 5;
	if (label.n == 0 || label.n > LABEL_MAX || memchr(label.p, '-', label.n))
		return false;
	*ret_label = label;
	return true;
}

/* Lines with a colon are headers ("Proc-Type: 4,ENCRYPTED"); the empty line behind them counts. */
static void add_line(struct buf *out, struct str line, bool *after_header)
{
	if (line.n == 0 && !*after_header)
		return;
	*after_header = line.n > 0 && (str_find(line, ':') >= 0 || *after_header);
	buf_add(out, line);
	buf_add_char(out, '\n');
}

enum pem_found pem_next(struct str *rest, struct arena *arena, struct pem_block *ret)
{
	struct str line, label, end;
	do {
		if (!next_line(rest, &line))
			return PEM_END;
	} while (!is_boundary(line, STR("-----BEGIN "), &label));
	*ret = (struct pem_block){.label = label};

	struct buf text;
	buf_init(&text, rest->n + 2 * LABEL_MAX + 64);
	buf_addf(&text, "-----BEGIN %.*s-----\n", STR_ARG(label));
	enum pem_found found = PEM_BROKEN;
	bool after_header = false;
	for (struct str before = *rest; next_line(rest, &line); before = *rest) {
		if (is_boundary(line, STR("-----BEGIN "), &end)) {
			*rest = before; /* the next block is not lost with this one */
			break;
		}
		if (!is_boundary(line, STR("-----END "), &end)) {
			add_line(&text, line, &after_header);
			continue;
		}
		if (str_eq(end, label)) {
			buf_addf(&text, "-----END %.*s-----\n", STR_ARG(label));
			ret->text = arena_dup(arena, buf_str(&text));
			found = PEM_BLOCK;
		}
		break;
	}
	buf_done(&text);
	return found;
}
