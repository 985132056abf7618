#include "wire/xtext.h"

static int hex_value(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* xchar = %d33-42 / %d44-60 / %d62-126 */
static bool is_xchar(char c)
{
	return c >= 33 && c <= 126 && c != '+' && c != '=';
}

/* xchar / ( "+" 2HEXDIG ), with upper-case digits          RFC 3461 4
 * Takes one character from the front of *s; its value, or -1. */
static int xtext_take(struct str *s)
{
	char c = s->p[0];
	if (is_xchar(c)) {
		*s = str_skip(*s, 1);
		return c;
	}
	if (c != '+' || s->n < 3)
		return -1;
	int high = hex_value(s->p[1]);
	int low = hex_value(s->p[2]);
	if (high < 0 || low < 0)
		return -1;
	*s = str_skip(*s, 3);
	return high * 16 + low;
}

bool xtext_ok(struct str s)
{
	while (s.n)
		if (xtext_take(&s) < 0)
			return false;
	return true;
}

bool xtext_printable(struct str s)
{
	while (s.n) {
		int c = xtext_take(&s);
		if (c < 32 || c > 126)
			return false;
	}
	return true;
}

bool xtext_decode(struct str s, struct buf *out)
{
	char *at = xtext_ok(s) ? buf_reserve(out, s.n) : NULL;
	if (!at)
		return false;
	while (s.n) {
		*at++ = (char)xtext_take(&s);
		out->n++;
	}
	return true;
}

bool xtext_encode(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		if (is_xchar(s.p[i]))
			buf_add_char(out, s.p[i]);
		else
			buf_addf(out, "+%02X", (unsigned char)s.p[i]);
	}
	return !out->overflow;
}
