#include "cert/name.h"

#include "wire/domain_name.h"

bool name_is_address(struct str host, struct ip *ret)
{
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
		host = str_make(host.p + 1, host.n - 2);
		if (str_starts_nocase(host, STR("IPv6:")))
			host = str_skip(host, 5);
	}
	return ip_parse(host, ret);
}

bool name_matches(struct str presented, struct str host)
{
	host = domain_name_trim_dot(host);
	if (presented.n == 0 || host.n == 0)
		return false;
	if (!str_starts(presented, STR("*.")))
		return !memchr(presented.p, '*', presented.n) && str_eq_nocase(presented, host);
	struct str below = str_skip(presented, 1); /* ".example.org" */
	if (str_find(str_skip(below, 1), '.') < 0 || memchr(below.p, '*', below.n))
		return false;
	ptrdiff_t dot = str_find(host, '.');
	return dot > 0 && str_eq_nocase(below, str_skip(host, (size_t)dot));
}
