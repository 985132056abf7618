#include "conf/value.h"

#include <stdio.h>

#include "wire/domain_name.h"
#include "wire/host_port.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

struct unit {
	const char *name;
	int64_t factor;
};
/* Largest first: the writers take the first that divides. */
static const struct unit duration_units[] = {
	{"d", DAY}, {"h", HOUR}, {"m", MINUTE}, {"s", SECOND}, {"ms", 1}};
static const struct unit size_units[] = {{"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1}};
enum {
	DURATION_UNITS = sizeof duration_units / sizeof duration_units[0],
	SIZE_UNITS = sizeof size_units / sizeof size_units[0],
};

enum { UNIT_TEXT = 32 };

char *value_quote(struct str word, char dst[VALUE_QUOTE])
{
	enum { SHOWN = VALUE_QUOTE - sizeof "\"...\"" };
	size_t n = word.n < SHOWN ? word.n : SHOWN, at = 0;
	dst[at++] = '"';
	for (size_t i = 0; i < n; i++)
		dst[at++] = ascii_is_print(word.p[i]) ? word.p[i] : '?';
	for (int dots = 0; word.n > SHOWN && dots < 3; dots++)
		dst[at++] = '.';
	dst[at++] = '"';
	dst[at] = 0;
	return dst;
}

/* The next word of a list separated by blanks; false at its end. */
static bool next_word(struct str *rest, struct str *ret)
{
	size_t begin = 0, end;
	while (begin < rest->n && ascii_is_space(rest->p[begin]))
		begin++;
	for (end = begin; end < rest->n && !ascii_is_space(rest->p[end]);)
		end++;
	*ret = str_take(str_skip(*rest, begin), end - begin);
	*rest = str_skip(*rest, end);
	return ret->n > 0;
}

static size_t count_words(struct str s)
{
	struct str word;
	size_t n = 0;
	while (next_word(&s, &word))
		n++;
	return n;
}

/* ---- host names and paths ------------------------------------------------------------------ */

int value_hostname(struct str s, struct arena *arena, struct str *ret, struct err *err)
{
	char quoted[VALUE_QUOTE];
	if (!domain_name_ok(s) || domain_name_ends_in_number(s))
		return err_say(err,
			"%s is not a host name; write letters, digits and hyphens between dots, such as "
			"mail.example.org",
			value_quote(s, quoted));
	*ret = arena_lower(arena, s);
	return 0;
}

int value_path(struct str s, struct arena *arena, struct str *ret, struct err *err)
{
	char quoted[VALUE_QUOTE];
	if (s.n > VALUE_PATH_MAX)
		return err_say(err, "%s is too long for a path; at most %d bytes", value_quote(s, quoted),
			VALUE_PATH_MAX);
	if (s.n && s.p[0] != '/')
		return err_say(err, "%s is not an absolute path; begin it with /", value_quote(s, quoted));
	for (size_t i = 0; i < s.n; i++)
		if (ascii_is_control(s.p[i]))
			return err_say(
				err, "%s holds a control character; a path may not", value_quote(s, quoted));
	*ret = arena_dup(arena, s);
	return 0;
}

/* ---- numbers with and without units -------------------------------------------------------- */

static char *unit_text(const struct unit *units, int64_t value, char dst[UNIT_TEXT])
{
	while (units->factor > 1 && (value == 0 || value % units->factor))
		units++;
	snprintf(dst, UNIT_TEXT, "%lld%s", (long long)(value / units->factor), units->name);
	return dst;
}

static const struct unit number_unit[] = {{"", 1}};

/* Reads digits and one of the units. -1 if it is something else, 1 if it is too large to count. */
static int read_unit(struct str s, const struct unit *units, size_t count, int64_t *ret)
{
	size_t digits = 0;
	while (digits < s.n && ascii_is_digit(s.p[digits]))
		digits++;
	struct str name = str_skip(s, digits);
	size_t i = 0;
	while (i < count && !str_eq_nocase(name, str_from_c(units[i].name)))
		i++;
	if (digits == 0 || i == count)
		return -1;
	uint64_t n;
	if (!str_to_u64(str_take(s, digits), INT64_MAX, &n))
		return 1;
	return __builtin_mul_overflow((int64_t)n, units[i].factor, ret) ? 1 : 0;
}

/* What read_unit() gave into *ret, if it lies in the range. */
static int keep_in_range(struct str s, const struct unit *units, int64_t value, bool huge,
	int64_t min, int64_t max, int64_t *ret, struct err *err)
{
	char quoted[VALUE_QUOTE], limit[UNIT_TEXT];
	if (huge || value > max)
		return err_say(err, "%s is too large; at most %s", value_quote(s, quoted),
			unit_text(units, max, limit));
	if (value < min)
		return err_say(err, "%s is too small; at least %s", value_quote(s, quoted),
			unit_text(units, min, limit));
	*ret = value;
	return 0;
}

int value_number(struct str s, int64_t min, int64_t max, int64_t *ret, struct err *err)
{
	char quoted[VALUE_QUOTE];
	int64_t value = 0;
	int state = read_unit(s, number_unit, 1, &value);
	if (state < 0)
		return err_say(err, "%s is not a number; write digits only, from %lld to %lld",
			value_quote(s, quoted), (long long)min, (long long)max);
	return keep_in_range(s, number_unit, value, state > 0, min, max, ret, err);
}

int value_size(struct str s, int64_t min, int64_t max, int64_t *ret, struct err *err)
{
	char quoted[VALUE_QUOTE];
	int64_t value = 0;
	int state = read_unit(s, size_units, SIZE_UNITS, &value);
	if (state < 0)
		return err_say(err,
			"%s is not a size; write digits and K, M or G (or nothing for bytes), such as 50M",
			value_quote(s, quoted));
	return keep_in_range(s, size_units, value, state > 0, min, max, ret, err);
}

int value_duration(struct str s, int64_t min, int64_t max, int64_t *ret, struct err *err)
{
	char quoted[VALUE_QUOTE];
	int64_t value = 0;
	int state = read_unit(s, duration_units, DURATION_UNITS, &value);
	if (state < 0 && str_is_number(s))
		return err_say(err, "%s lacks its unit; add ms, s, m, h or d (5m is five minutes)",
			value_quote(s, quoted));
	if (state < 0)
		return err_say(err, "%s is not a duration; write digits and ms, s, m, h or d, such as 5m",
			value_quote(s, quoted));
	return keep_in_range(s, duration_units, value, state > 0, min, max, ret, err);
}

int value_durations(struct str s, int64_t min, int64_t max, struct arena *arena,
	struct conf_durations *ret, struct err *err)
{
	struct str word;
	size_t n = count_words(s);
	if (n == 0)
		return err_say(err, "the list is empty; write at least one duration, such as 5m");
	if (n > VALUE_LIST_MAX)
		return err_say(err, "%zu durations are too many; at most %d", n, VALUE_LIST_MAX);
	struct conf_durations list = {arena_alloc(arena, n * sizeof *list.ms), 0};
	while (next_word(&s, &word))
		if (value_duration(word, min, max, &list.ms[list.n++], err) != 0)
			return -1;
	*ret = list;
	return 0;
}

/* ---- addresses and networks ---------------------------------------------------------------- */

/* An IPv4 address that was written as an IPv6 one. */
static bool is_mapped(struct str text, const struct ip *ip)
{
	return ip_is_v4(ip) && str_find(text, ':') >= 0;
}

static int refuse_mapped(struct str word, struct err *err)
{
	char quoted[VALUE_QUOTE];
	return err_say(err,
		"%s is an IPv4 address in IPv6 clothes; write it as IPv4, such as 192.0.2.1",
		value_quote(word, quoted));
}

static int read_address(struct str word, uint16_t default_port, struct arena *arena,
	struct conf_address *ret, struct err *err)
{
	char quoted[VALUE_QUOTE];
	char text[IP_PORT_TEXT];
	struct str ip_text, port_text;
	struct ip ip;
	uint16_t port = default_port;
	if (!host_port_split(word, &ip_text, &port_text) || !ip_parse(ip_text, &ip))
		return err_say(err,
			"%s is not an address and port; write an IP address (not a name), such as "
			"192.0.2.1:%u or [2001:db8::1]:%u",
			value_quote(word, quoted), default_port ? default_port : 25,
			default_port ? default_port : 25);
	if (is_mapped(ip_text, &ip))
		return refuse_mapped(word, err);
	if (port_text.n == 0 && default_port == 0)
		return err_say(err, "%s lacks its port; write %s", value_quote(word, quoted),
			ip_is_v4(&ip) ? "address:port, such as 192.0.2.1:25"
						  : "[address]:port, such as [2001:db8::1]:25");
	if (port_text.n && !port_parse(port_text, &port))
		return err_say(
			err, "%s has no good port; ports go from 1 to 65535", value_quote(word, quoted));
	*ret = (struct conf_address){.ip = ip, .port = port};
	ret->text = arena_dup(arena, str_from_c(ip_port_format(&ip, port, text)));
	return 0;
}

int value_addresses(struct str s, uint16_t port, size_t max, struct arena *arena,
	struct conf_addresses *ret, struct err *err)
{
	char quoted[VALUE_QUOTE];
	struct str word;
	size_t n = count_words(s);
	if (n > max)
		return err_say(err, "%zu addresses are too many; at most %zu", n, max);
	struct conf_addresses list = {arena_alloc(arena, n * sizeof *list.at), 0};
	while (next_word(&s, &word)) {
		struct conf_address *a = &list.at[list.n];
		if (read_address(word, port, arena, a, err) != 0)
			return -1;
		for (size_t i = 0; i < list.n; i++)
			if (str_eq(list.at[i].text, a->text))
				return err_say(err, "%s stands there twice; write each address once",
					value_quote(a->text, quoted));
		list.n++;
	}
	*ret = list;
	return 0;
}

static int read_network(struct str word, unsigned min_bits, struct ip_network *ret, struct err *err)
{
	char quoted[VALUE_QUOTE], right[IP_NETWORK_TEXT], text[IP_TEXT];
	struct str rest = word, ip_text;
	struct ip_network net;
	struct ip ip;
	str_split(&rest, '/', &ip_text);
	bool v4 = str_find(ip_text, ':') < 0;
	enum ip_network_fault fault = ip_network_parse(word, &net);
	if (fault == IP_NETWORK_NO_ADDRESS)
		return err_say(err,
			"%s is not a network; write an IP address or a prefix, such as 192.0.2.0/24 or "
			"2001:db8::/32",
			value_quote(word, quoted));
	if (fault == IP_NETWORK_BAD_PREFIX)
		return err_say(err, "%s has no good prefix length; it goes from %u to %u after the slash",
			value_quote(word, quoted), min_bits, v4 ? 32 : 128);
	ip_parse(ip_text, &ip);
	if (is_mapped(ip_text, &ip))
		return refuse_mapped(word, err);
	if (net.bits - (v4 ? 96 : 0) < min_bits)
		return err_say(err, "%s is the whole internet; name the networks that you mean",
			value_quote(word, quoted));
	if (fault == IP_NETWORK_HOST_BITS)
		return err_say(err,
			"%s has bits set behind its prefix; write %s for the network, or %s for the one "
			"address",
			value_quote(word, quoted), ip_network_format(&net, right), ip_format(&ip, text));
	*ret = net;
	return 0;
}

int value_networks(struct str s, unsigned min_bits, struct arena *arena, struct conf_networks *ret,
	struct err *err)
{
	char quoted[VALUE_QUOTE];
	struct str word;
	size_t n = count_words(s);
	if (n > VALUE_LIST_MAX)
		return err_say(err, "%zu networks are too many; at most %d", n, VALUE_LIST_MAX);
	struct conf_networks list = {arena_alloc(arena, n * sizeof *list.at), 0};
	while (next_word(&s, &word)) {
		struct ip_network *net = &list.at[list.n];
		if (read_network(word, min_bits, net, err) != 0)
			return -1;
		for (size_t i = 0; i < list.n; i++)
			if (ip_network_eq(&list.at[i], net))
				return err_say(err, "%s stands there twice; write each network once",
					value_quote(word, quoted));
		list.n++;
	}
	*ret = list;
	return 0;
}

int value_name(struct str s, const char *const *names, size_t count, unsigned *ret, struct err *err)
{
	char quoted[VALUE_QUOTE];
	struct buf all;
	for (size_t i = 0; i < count; i++)
		if (str_eq_nocase(s, str_from_c(names[i]))) {
			*ret = (unsigned)i;
			return 0;
		}
	buf_init(&all, 256);
	for (size_t i = 0; i < count; i++)
		buf_addf(&all, "%s%s", i ? ", " : "", names[i]);
	err_say(err, "%s is none of %s", value_quote(s, quoted), buf_c(&all));
	buf_done(&all);
	return -1;
}

/* ---- normal forms -------------------------------------------------------------------------- */

void value_put_size(int64_t bytes, struct buf *out)
{
	char text[UNIT_TEXT];
	buf_add_c(out, unit_text(size_units, bytes, text));
}

void value_put_duration(int64_t ms, struct buf *out)
{
	char text[UNIT_TEXT];
	/* "0s", not "0ms". */
	buf_add_c(out, ms ? unit_text(duration_units, ms, text) : "0s");
}

void value_put_durations(const struct conf_durations *d, struct buf *out)
{
	for (size_t i = 0; i < d->n; i++) {
		if (i)
			buf_add_char(out, ' ');
		value_put_duration(d->ms[i], out);
	}
}

void value_put_addresses(const struct conf_addresses *a, struct buf *out)
{
	for (size_t i = 0; i < a->n; i++) {
		if (i)
			buf_add_char(out, ' ');
		buf_add(out, a->at[i].text);
	}
}

void value_put_networks(const struct conf_networks *n, struct buf *out)
{
	char text[IP_NETWORK_TEXT];
	for (size_t i = 0; i < n->n; i++) {
		if (i)
			buf_add_char(out, ' ');
		buf_add_c(out, ip_network_format(&n->at[i], text));
	}
}
