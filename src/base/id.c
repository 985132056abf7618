#include "base/id.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

enum { COUNTER_BITS = 20 };

uint64_t id_make(void)
{
	static uint32_t counter;
	static bool started;
	if (!started) {
		if (getrandom(&counter, sizeof counter, 0) != sizeof counter)
			abort();
		started = true;
	}
	uint64_t low = counter++ & ((1u << COUNTER_BITS) - 1);
	return (uint64_t)clock_wall_ms() << COUNTER_BITS | low;
}

char *id_format(uint64_t id, char dst[ID_TEXT])
{
	for (int i = ID_TEXT - 2; i >= 0; i--, id >>= 5)
		dst[i] = digits[id & 31];
	dst[ID_TEXT - 1] = 0;
	return dst;
}

bool id_parse(struct str s, uint64_t *ret)
{
	uint64_t id = 0;
	if (s.n != ID_TEXT - 1)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		const char *at = strchr(digits, ascii_upper(s.p[i]));
		if (!at || !*at || (i == 0 && at - digits > 7))
			return false;
		id = id << 5 | (uint64_t)(at - digits);
	}
	*ret = id;
	return true;
}

int64_t id_time_ms(uint64_t id)
{
	return (int64_t)(id >> COUNTER_BITS);
}

uint64_t id_first(int64_t wall_ms)
{
	return wall_ms > 0 ? (uint64_t)wall_ms << COUNTER_BITS : 0;
}
