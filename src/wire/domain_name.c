#include "wire/domain_name.h"

/* label = let-dig [ *( let-dig / "-" ) let-dig ]              RFC 1123 2.1, RFC 1034 3.5 */
static bool label_ok(struct str label, bool underscore)
{
	if (label.n == 0 || label.n > DOMAIN_LABEL_MAX)
		return false;
	for (size_t i = 0; i < label.n; i++) {
		char c = label.p[i];
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && !(underscore && c == '_'))
			return false;
	}
	return label.p[0] != '-' && label.p[label.n - 1] != '-';
}

static bool labels_ok(struct str s, bool underscore)
{
	struct str label;
	if (s.n == 0 || s.n > DOMAIN_NAME_MAX)
		return false;
	while (str_split(&s, '.', &label))
		if (!label_ok(label, underscore))
			return false;
	return true;
}

bool domain_name_ok(struct str s)
{
	return labels_ok(s, false);
}

bool domain_name_dns_ok(struct str s)
{
	return labels_ok(s, true);
}

bool domain_name_ends_in_number(struct str s)
{
	return str_is_number(str_skip(s, (size_t)(str_rfind(s, '.') + 1)));
}

struct str domain_name_trim_dot(struct str s)
{
	return s.n && s.p[s.n - 1] == '.' ? str_take(s, s.n - 1) : s;
}

bool domain_name_eq(struct str a, struct str b)
{
	return str_eq_nocase(domain_name_trim_dot(a), domain_name_trim_dot(b));
}
