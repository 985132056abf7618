#include "base/str.h"

bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_eq_nocase(struct str a, struct str b)
{
	return a.n == b.n && str_starts_nocase(a, b);
}

bool str_eq_const_time(struct str a, struct str b)
{
	unsigned char differ = 0;
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		differ |= (unsigned char)(a.p[i] ^ b.p[i]);
	return differ == 0;
}

int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n ? memcmp(a.p, b.p, n) : 0;
	if (order == 0)
		order = (a.n > b.n) - (a.n < b.n);
	return order;
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool str_starts_nocase(struct str s, struct str prefix)
{
	if (s.n < prefix.n)
		return false;
	for (size_t i = 0; i < prefix.n; i++)
		if (ascii_lower(s.p[i]) != ascii_lower(prefix.p[i]))
			return false;
	return true;
}

bool str_ends_nocase(struct str s, struct str suffix)
{
	return s.n >= suffix.n && str_eq_nocase(str_skip(s, s.n - suffix.n), suffix);
}

struct str str_skip(struct str s, size_t from)
{
	return from < s.n ? str_make(s.p + from, s.n - from) : str_make("", 0);
}

struct str str_take(struct str s, size_t n)
{
	return str_make(s.p, n < s.n ? n : s.n);
}

ptrdiff_t str_find(struct str s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
	return at ? at - s.p : -1;
}

ptrdiff_t str_rfind(struct str s, char c)
{
	const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;
	return at ? at - s.p : -1;
}

struct str str_trim(struct str s)
{
	while (s.n && ascii_is_space(s.p[0]))
		s = str_skip(s, 1);
	while (s.n && ascii_is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool str_split(struct str *rest, char sep, struct str *ret)
{
	if (!rest->p)
		return false;
	ptrdiff_t at = str_find(*rest, sep);
	if (at < 0) {
		*ret = *rest;
		*rest = (struct str){NULL, 0};
	} else {
		*ret = str_take(*rest, (size_t)at);
		*rest = str_make(rest->p + at + 1, rest->n - (size_t)at - 1);
	}
	return true;
}

bool str_is_print(struct str s)
{
	size_t i = 0;
	while (i < s.n && ascii_is_print(s.p[i]))
		i++;
	return i == s.n;
}

bool str_is_graph(struct str s)
{
	return str_is_print(s) && str_find(s, ' ') < 0;
}

bool str_is_number(struct str s)
{
	size_t i = 0;
	while (i < s.n && ascii_is_digit(s.p[i]))
		i++;
	return s.n > 0 && i == s.n;
}

bool str_to_u64(struct str s, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;
	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_digit(s.p[i]))
			return false;
		if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value) || value > max)
			return false;
	}
	*ret = value;
	return true;
}

char *str_to_c(struct str s, char *dst, size_t size)
{
	size_t n = s.n < size - 1 ? s.n : size - 1;
	if (n)
		memcpy(dst, s.p, n);
	dst[n] = 0;
	return dst;
}

struct str str_lower(struct str s, char *dst)
{
	for (size_t i = 0; i < s.n; i++)
		dst[i] = ascii_lower(s.p[i]);
	return str_make(dst, s.n);
}

void ascii_clean(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ascii_is_control(p[i]))
			p[i] = '?';
}
