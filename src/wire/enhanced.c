#include "wire/enhanced.h"

/* "." 1*3DIGIT */
static enum parse number(struct str *at)
{
	size_t n = 1;
	if (at->n && at->p[0] != '.')
		return PARSE_BAD;
	while (n < at->n && n <= 3 && ascii_is_digit(at->p[n]))
		n++;
	if (n < 2)
		return at->n < 2 ? PARSE_MORE : PARSE_BAD;
	*at = str_make(at->p + n, at->n - n);
	return PARSE_DONE;
}

/* status-code = ( "2" / "4" / "5" ) "." 1*3DIGIT "." 1*3DIGIT                    RFC 3463 2 */
enum parse enhanced_code(struct str *at, struct str *ret)
{
	struct str s = *at;
	if (s.n == 0)
		return PARSE_MORE;
	if (s.p[0] != '2' && s.p[0] != '4' && s.p[0] != '5')
		return PARSE_BAD;
	s = str_make(s.p + 1, s.n - 1);
	for (int i = 0; i < 2; i++) {
		enum parse got = number(&s);
		if (got != PARSE_DONE)
			return got;
	}
	if (s.n && s.p[0] != ' ' && s.p[0] != '\t')
		return PARSE_BAD;
	*ret = str_make(at->p, at->n - s.n);
	*at = s;
	return PARSE_DONE;
}
