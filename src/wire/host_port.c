#include "wire/host_port.h"

bool host_port_split(struct str s, struct str *ret_host, struct str *ret_port)
{
	bool bracketed = s.n && s.p[0] == '[';
	ptrdiff_t close = str_rfind(s, ']'), colon = str_find(s, ':');
	struct str host = s, rest = STR("");
	if (bracketed && close < 0)
		return false;
	if (bracketed) {
		host = str_take(str_skip(s, 1), (size_t)close - 1);
		rest = str_skip(s, (size_t)close + 1);
	} else if (colon >= 0 && colon == str_rfind(s, ':')) {
		host = str_take(s, (size_t)colon);
		rest = str_skip(s, (size_t)colon);
	}
	if (rest.n && (rest.p[0] != ':' || rest.n == 1))
		return false;
	*ret_host = host;
	*ret_port = str_skip(rest, 1);
	return true;
}

bool port_parse(struct str s, uint16_t *ret)
{
	uint64_t port;
	if (!str_to_u64(s, UINT16_MAX, &port) || port == 0)
		return false;
	*ret = (uint16_t)port;
	return true;
}
