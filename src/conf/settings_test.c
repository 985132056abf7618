/* The table of settings: every row, every type, every refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/doc_check.h"
#include "conf/settings.h"

static void rows_are_complete(void **state)
{
	(void)state;
	for (size_t i = 0; i < setting_count; i++) {
		const struct setting *s = &settings[i];
		assert_ptr_equal(setting_find(str_from_c(s->name)), s); /* no name twice */
		assert_true(strchr(s->name, '.') != NULL);
		assert_true(s->roles != 0);
		assert_true(s->offset != 0);
		assert_true(strlen(s->text) > 40);
		assert_int_equal(s->text[strlen(s->text) - 1], '.');
		assert_non_null(setting_type_name(s->type));
		assert_non_null(setting_effect_name(s->effect));
		for (size_t k = 0; k < i; k++)
			assert_true(settings[k].offset != s->offset);
	}
	assert_null(setting_find(STR("smtp")));
	assert_null(setting_find(STR("")));
	assert_null(setting_find(STR("SMTP.TLS")));
}

/* The default in its normal form is the default as written, and reads back the same. */
static void defaults_round_trip(void **state)
{
	(void)state;
	struct conf *c = conf_new();
	struct buf text;
	buf_init(&text, 4096);
	for (size_t i = 0; i < setting_count; i++) {
		struct err err;
		buf_clear(&text);
		setting_format(&settings[i], c, &text);
		assert_string_equal(buf_c(&text), settings[i].value);
		assert_int_equal(setting_parse(&settings[i], buf_str(&text), c, &err), 0);
	}
	assert_int_equal(conf_check(c, NULL), 0);
	buf_done(&text);
	conf_drop(c);
}

static void values_have_a_normal_form(void **state)
{
	(void)state;
	static const struct {
		const char *name, *value, *normal;
	} table[] = {
		{"server.hostname", "Mail.Example.ORG", "mail.example.org"},
		{"server.hostname", " localhost\n", "localhost"},
		{"server.hostname", "a-1.x2", "a-1.x2"},
		{"listen.smtp", "", ""},
		{"listen.smtp", "127.0.0.1:2525", "127.0.0.1:2525"},
		{"listen.smtp", "  [::1]:25\t127.0.0.1:25\n", "[::1]:25 127.0.0.1:25"},
		{"listen.smtp", "[2001:DB8:0:0::1]:65535", "[2001:db8::1]:65535"},
		{"dns.servers", "9.9.9.9 2620:fe::fe", "9.9.9.9:53 [2620:fe::fe]:53"},
		{"dns.servers", "[2620:fe::fe] 127.0.0.1:5353", "[2620:fe::fe]:53 127.0.0.1:5353"},
		{"relay.networks", "", ""},
		{"relay.networks", "10.0.0.0/8 192.0.2.1/32 ::1/128", "10.0.0.0/8 192.0.2.1 ::1"},
		{"relay.networks", "2001:db8:8000::/33", "2001:db8:8000::/33"},
		{"relay.retry", "100ms 1000ms 60s 3600s 24h", "100ms 1s 1m 1h 1d"},
		{"relay.retry", "90s", "90s"},
		{"relay.port", "2525", "2525"},
		{"relay.tls", "VERIFY", "verify"},
		{"relay.idle", "0s", "0s"},
		{"relay.idle", "0ms", "0s"},
		{"smtp.tls", "Required", "required"},
		{"smtp.max_size", "1024K", "1M"},
		{"smtp.max_size", "1024m", "1G"},
		{"smtp.max_size", "1500", "1500"},
		{"queue.give_up", "48h", "2d"},
		{"queue.give_up", "1500ms", "1500ms"},
		{"trust.store", "", ""},
		{"trust.store", "/srv/my cas.pem", "/srv/my cas.pem"},
		{"log.level", "debug", "debug"},
	};
	struct conf *c = conf_new();
	struct buf text;
	buf_init(&text, 4096);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		const struct setting *s = setting_find(str_from_c(table[i].name));
		struct err err = {0};
		assert_non_null(s);
		if (setting_parse(s, str_from_c(table[i].value), c, &err) != 0)
			fail_msg("%s", err.log);
		buf_clear(&text);
		setting_format(s, c, &text);
		assert_string_equal(buf_c(&text), table[i].normal);
	}
	buf_done(&text);
	conf_drop(c);
}

static void values_reach_their_fields(void **state)
{
	(void)state;
	struct conf *c = conf_new();
	assert_int_equal(c->relay_port, 25);
	assert_int_equal(c->smtp_tls, TLS_INBOUND_AVAILABLE);
	assert_int_equal(c->submission_tls, TLS_INBOUND_REQUIRED);
	assert_int_equal(c->relay_tls, TLS_MAY);
	assert_int_equal(c->relay_retry.n, 7);
	assert_int_equal(c->relay_retry.ms[6], 4 * 3600 * 1000);
	assert_int_equal(c->queue_give_up_ms, (int64_t)5 * 24 * 3600 * 1000);
	assert_int_equal(c->smtp_max_size, 50 << 20);
	assert_int_equal(c->listen_smtp.n, 2);
	assert_int_equal(c->listen_smtp.at[0].port, 25);
	assert_true(ip_is_v4(&c->listen_smtp.at[0].ip) && !ip_is_v4(&c->listen_smtp.at[1].ip));
	assert_int_equal(c->listen_https.n, 0);
	assert_int_equal(c->log_level, 2);
	conf_drop(c);
}

/* Each refusal names the setting and says what would be right; the text is the contract. */
static void bad_values_are_explained(void **state)
{
	(void)state;
	static const struct {
		const char *name, *value, *error;
	} table[] = {
		{"smtp.tls", "yes", "smtp.tls: \"yes\" is none of off, available, required"},
		{"smtp.tls", "", "smtp.tls: \"\" is none of off, available, required"},
		{"relay.tls", "required", "relay.tls: \"required\" is none of off, may, encrypt, verify"},
		{"log.level", "loud", "log.level: \"loud\" is none of error, warn, info, debug"},
		{"relay.port", "0", "relay.port: \"0\" is too small; at least 1"},
		{"relay.port", "65536", "relay.port: \"65536\" is too large; at most 65535"},
		{"relay.port", "-1",
			"relay.port: \"-1\" is not a number; write digits only, from 1 to 65535"},
		{"relay.port", "25x",
			"relay.port: \"25x\" is not a number; write digits only, from 1 to 65535"},
		{"relay.port", "99999999999999999999999",
			"relay.port: \"99999999999999999999999\" is too large; at most 65535"},
		{"smtp.max_size", "50MB",
			"smtp.max_size: \"50MB\" is not a size; write digits and K, M or G (or nothing for "
			"bytes), such as 50M"},
		{"smtp.max_size", "9999999999G", "smtp.max_size: \"9999999999G\" is too large; at most 4G"},
		{"smtp.max_size", "99999999999999G",
			"smtp.max_size: \"99999999999999G\" is too large; at most 4G"},
		{"smtp.max_size", "1", "smtp.max_size: \"1\" is too small; at least 1K"},
		{"smtp.timeout", "30",
			"smtp.timeout: \"30\" lacks its unit; add ms, s, m, h or d (5m is five minutes)"},
		{"smtp.timeout", "5 m",
			"smtp.timeout: \"5 m\" is not a duration; write digits and ms, s, m, h or d, such as "
			"5m"},
		{"smtp.timeout", "2h", "smtp.timeout: \"2h\" is too large; at most 1h"},
		{"smtp.timeout", "",
			"smtp.timeout: \"\" is not a duration; write digits and ms, s, m, h or d, such as 5m"},
		{"relay.retry", "",
			"relay.retry: the list is empty; write at least one duration, such as 5m"},
		{"relay.retry", "5m 10x 1h",
			"relay.retry: \"10x\" is not a duration; write digits and ms, s, m, h or d, such as "
			"5m"},
		{"relay.retry", "5m 99ms", "relay.retry: \"99ms\" is too small; at least 100ms"},
		{"server.hostname", "mail_1.example.org",
			"server.hostname: \"mail_1.example.org\" is not a host name; write letters, digits and "
			"hyphens between dots, such as mail.example.org"},
		{"server.hostname", "192.0.2.1",
			"server.hostname: \"192.0.2.1\" is not a host name; write letters, digits and hyphens "
			"between dots, such as mail.example.org"},
		{"server.hostname", "",
			"server.hostname: \"\" is not a host name; write letters, digits and hyphens between "
			"dots, such as mail.example.org"},
		{"trust.store", "ca.pem",
			"trust.store: \"ca.pem\" is not an absolute path; begin it with /"},
		{"trust.store", "/a\nb", "trust.store: \"/a?b\" holds a control character; a path may not"},
		{"listen.smtp", "127.0.0.1",
			"listen.smtp: \"127.0.0.1\" lacks its port; write address:port, such as 192.0.2.1:25"},
		{"listen.smtp", "::1",
			"listen.smtp: \"::1\" lacks its port; write [address]:port, such as [2001:db8::1]:25"},
		{"listen.smtp", "127.0.0.1:0",
			"listen.smtp: \"127.0.0.1:0\" has no good port; ports go from 1 to 65535"},
		{"listen.smtp", "127.0.0.1:65536",
			"listen.smtp: \"127.0.0.1:65536\" has no good port; ports go from 1 to 65535"},
		{"listen.smtp", "localhost:25",
			"listen.smtp: \"localhost:25\" is not an address and port; write an IP address (not a "
			"name), such as 192.0.2.1:25 or [2001:db8::1]:25"},
		{"listen.smtp", "*:25",
			"listen.smtp: \"*:25\" is not an address and port; write an IP address (not a name), "
			"such as 192.0.2.1:25 or [2001:db8::1]:25"},
		{"listen.smtp", "127.0.0.1:",
			"listen.smtp: \"127.0.0.1:\" is not an address and port; write an IP address (not a "
			"name), such as 192.0.2.1:25 or [2001:db8::1]:25"},
		{"listen.smtp", "[::1]25",
			"listen.smtp: \"[::1]25\" is not an address and port; write an IP address (not a "
			"name), "
			"such as 192.0.2.1:25 or [2001:db8::1]:25"},
		{"listen.smtp", "127.0.0.1:25 [::1]:25 127.0.0.1:25",
			"listen.smtp: \"127.0.0.1:25\" stands there twice; write each address once"},
		{"listen.smtp", "[::1]:25 [0:0::1]:25",
			"listen.smtp: \"[::1]:25\" stands there twice; write each address once"},
		{"listen.smtp", "[::ffff:192.0.2.1]:25",
			"listen.smtp: \"[::ffff:192.0.2.1]:25\" is an IPv4 address in IPv6 clothes; write it "
			"as "
			"IPv4, such as 192.0.2.1"},
		{"relay.networks", "10.1.2.3/8",
			"relay.networks: \"10.1.2.3/8\" has bits set behind its prefix; write 10.0.0.0/8 for "
			"the "
			"network, or 10.1.2.3 for the one address"},
		{"relay.networks", "2001:db8::1/32",
			"relay.networks: \"2001:db8::1/32\" has bits set behind its prefix; write "
			"2001:db8::/32 "
			"for the network, or 2001:db8::1 for the one address"},
		{"relay.networks", "10.0.0.0/33",
			"relay.networks: \"10.0.0.0/33\" has no good prefix length; it goes from 1 to 32 after "
			"the slash"},
		{"relay.networks", "::1/",
			"relay.networks: \"::1/\" has no good prefix length; it goes from 1 to 128 after the "
			"slash"},
		{"relay.networks", "0.0.0.0/0",
			"relay.networks: \"0.0.0.0/0\" is the whole internet; name the networks that you mean"},
		{"relay.networks", "::1 ::1/128",
			"relay.networks: \"::1/128\" stands there twice; write each network once"},
		{"relay.networks", "example.org",
			"relay.networks: \"example.org\" is not a network; write an IP address or a prefix, "
			"such "
			"as 192.0.2.0/24 or 2001:db8::/32"},
		{"relay.networks", "127.0.0.0/8,10.0.0.0/8",
			"relay.networks: \"127.0.0.0/8,10.0.0.0/8\" has no good prefix length; it goes from 1 "
			"to "
			"32 after the slash"},
	};
	struct conf *c = conf_new();
	struct buf text;
	buf_init(&text, 4096);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		const struct setting *s = setting_find(str_from_c(table[i].name));
		struct err err = {0};
		assert_non_null(s);
		assert_int_equal(setting_parse(s, str_from_c(table[i].value), c, &err), -1);
		assert_string_equal(err.log, table[i].error);
		assert_int_equal(err.kind, ERR_PERM);
		buf_clear(&text);
		setting_format(s, c, &text);
		assert_string_equal(buf_c(&text), s->value); /* what was there before stays */
	}
	buf_done(&text);
	conf_drop(c);
}

static void odd_bytes_do_no_harm(void **state)
{
	(void)state;
	struct conf *c = conf_new();
	struct err err;
	char text[4096];
	memset(text, 'a', sizeof text);
	const struct setting *hostname = setting_find(STR("server.hostname"));
	assert_int_equal(setting_parse(hostname, str_make(text, sizeof text), c, &err), -1);
	assert_true(strstr(err.log, "aaa...\"") != NULL);
	text[0] = '/';
	assert_int_equal(
		setting_parse(setting_find(STR("trust.store")), str_make(text, 1025), c, &err), -1);
	/* A NUL must not hide what follows it. */
	assert_int_equal(
		setting_parse(setting_find(STR("listen.smtp")), STR("127.0.0.1\0x:25"), c, &err), -1);
	assert_int_equal(
		setting_parse(setting_find(STR("relay.networks")), STR("10.0.0.0\0/8"), c, &err), -1);
	assert_int_equal(setting_parse(hostname, STR("a\0b"), c, &err), -1);
	/* Labels and names at their limits. */
	memset(text, 'a', sizeof text);
	assert_int_equal(setting_parse(hostname, str_make(text, 63), c, &err), 0);
	assert_int_equal(setting_parse(hostname, str_make(text, 64), c, &err), -1);
	for (size_t i = 63; i < 253; i += 64)
		text[i] = '.';
	assert_int_equal(setting_parse(hostname, str_make(text, 253), c, &err), 0);
	assert_int_equal(setting_parse(hostname, str_make(text, 254), c, &err), -1);
	conf_drop(c);
}

static void lists_are_bounded(void **state)
{
	(void)state;
	struct conf *c = conf_new();
	struct buf text;
	struct err err;
	buf_init(&text, 1 << 16);
	for (int i = 1; i <= 33; i++)
		buf_addf(&text, "127.0.0.%d:25 ", i);
	assert_int_equal(setting_parse(setting_find(STR("listen.smtp")), buf_str(&text), c, &err), -1);
	assert_string_equal(err.log, "listen.smtp: 33 addresses are too many; at most 32");
	buf_clear(&text);
	for (int i = 0; i < 257; i++)
		buf_addf(&text, "10.0.%d.0/24 ", i);
	assert_int_equal(
		setting_parse(setting_find(STR("relay.networks")), buf_str(&text), c, &err), -1);
	assert_string_equal(err.log, "relay.networks: 257 networks are too many; at most 256");
	buf_clear(&text);
	for (int i = 0; i < 257; i++)
		buf_add_c(&text, "1m ");
	assert_int_equal(setting_parse(setting_find(STR("relay.retry")), buf_str(&text), c, &err), -1);
	buf_done(&text);
	conf_drop(c);
}

static void manual_is_up_to_date(void **state)
{
	(void)state;
	struct buf page;
	buf_init(&page, DOC_CHECK_MAX);
	settings_manual(&page);
	assert_false(page.overflow);
	assert_true(doc_check("doc/letterlock-settings.5", buf_str(&page), "conf/settings_test"));
	buf_done(&page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_complete),
		cmocka_unit_test(defaults_round_trip),
		cmocka_unit_test(values_have_a_normal_form),
		cmocka_unit_test(values_reach_their_fields),
		cmocka_unit_test(bad_values_are_explained),
		cmocka_unit_test(odd_bytes_do_no_harm),
		cmocka_unit_test(lists_are_bounded),
		cmocka_unit_test(manual_is_up_to_date),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
