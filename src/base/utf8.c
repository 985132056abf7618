#include "base/utf8.h"

size_t utf8_length(struct str s)
{
	unsigned char lead = (unsigned char)s.p[0];
	unsigned char low = 0x80;
	unsigned char high = 0xbf;
	size_t n = lead < 0x80 ? 1
		: lead < 0xc2      ? 0
		: lead < 0xe0      ? 2
		: lead < 0xf0      ? 3
		: lead < 0xf5      ? 4
						   : 0;
	if (lead == 0xe0)
		low = 0xa0;
	else if (lead == 0xed)
		high = 0x9f;
	else if (lead == 0xf0)
		low = 0x90;
	else if (lead == 0xf4)
		high = 0x8f;
	if (n > s.n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c < low || c > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return n;
}
