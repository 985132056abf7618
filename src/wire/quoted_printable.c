#include "wire/quoted_printable.h"

static bool is_line_end(struct str s)
{
	return str_starts(s, STR("\r\n"));
}

/* Blanks may stand for themselves except at a line's end, where transports drop them. */
static bool is_safe(struct str s)
{
	unsigned char c = (unsigned char)s.p[0];
	if (c == ' ' || c == '\t')
		return s.n > 1 && !is_line_end(str_skip(s, 1));
	return c > ' ' && c < 0x7f && c != '=';
}

/*   quoted-printable = qp-line *(CRLF qp-line)
 *   qp-line          = *(qp-segment transport-padding CRLF) qp-part transport-padding
 *   qp-segment       = qp-section *(SPACE / TAB) "="         ; at most 76 characters
 *   hex-octet        = "=" 2(DIGIT / "A" - "F") */
void quoted_printable_encode(struct str text, struct buf *out)
{
	size_t column = 0;
	while (text.n) {
		if (is_line_end(text)) {
			buf_add_c(out, "\r\n");
			text = str_skip(text, 2);
			column = 0;
			continue;
		}
		bool safe = is_safe(text);
		size_t width = safe ? 1 : 3;
		/* The last place of a line is kept for the "=" of a soft line break. */
		if (column + width > QUOTED_PRINTABLE_LINE - 1) {
			buf_add_c(out, "=\r\n");
			column = 0;
		}
		if (safe)
			buf_add_char(out, text.p[0]);
		else
			buf_addf(out, "=%02X", (unsigned char)text.p[0]);
		column += width;
		text = str_skip(text, 1);
	}
}
