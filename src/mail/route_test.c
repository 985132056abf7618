#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "conf/settings.h"
#include "mail/route.h"

static const struct route_connector connectors[] = {
	{
		.name = STR("partner"),
		.host = STR("mx.partner.example"),
		.port = 2525,
		.for_domain = STR("partner.example"),
		.has_tls = true,
		.tls = TLS_VERIFY,
		.sni = STR("real.partner.example"),
		.helo = STR("gw.example.org"),
		.trust = STR("PEM"),
	},
	{
		.name = STR("smarthost"),
		.host = STR("2001:db8::25"),
		.port = 587,
		.for_domain = STR("*"),
	},
	{
		.name = STR("inside"),
		.host = STR("10.0.0.2"),
		.port = 25,
		.for_domain = STR("both.example"),
	},
};
static const struct route_domain domains[] = {
	{.name = STR("gateway.example"), .host = STR("exchange.lan"), .port = 2500},
	{.name = STR("plain.example")},
	{.name = STR("both.example"), .host = STR("never.example"), .port = 25},
};
static const struct route_table with_star = {connectors, 3, domains, 3};
static const struct route_table without_star = {connectors, 1, domains, 3};

static void the_first_that_fits_wins(void **state)
{
	(void)state;
	static const struct {
		const struct route_table *table;
		const char *domain, *key, *host;
		unsigned port;
		enum tls_level tls;
	} table[] = {
		{&with_star, "partner.example", "connector partner", "mx.partner.example", 2525,
			TLS_VERIFY},
		{&with_star, "PARTNER.example", "connector partner", "mx.partner.example", 2525,
			TLS_VERIFY},
		{&with_star, "sub.partner.example", "connector smarthost", "2001:db8::25", 587, TLS_MAY},
		{&with_star, "both.example", "connector inside", "10.0.0.2", 25, TLS_MAY},
		{&with_star, "gateway.example", "host exchange.lan:2500", "exchange.lan", 2500, TLS_MAY},
		{&with_star, "plain.example", "connector smarthost", "2001:db8::25", 587, TLS_MAY},
		{&with_star, "other.example", "connector smarthost", "2001:db8::25", 587, TLS_MAY},
		{&with_star, "[192.0.2.1]", "connector smarthost", "2001:db8::25", 587, TLS_MAY},
		{&without_star, "plain.example", "mx plain.example", "", 26, TLS_MAY},
		{&without_star, "other.example", "mx other.example", "", 26, TLS_MAY},
		{&without_star, "[192.0.2.1]", "host 192.0.2.1:26", "192.0.2.1", 26, TLS_MAY},
		{&without_star, "[IPv6:2001:db8::1]", "host [2001:db8::1]:26", "2001:db8::1", 26, TLS_MAY},
		{&without_star, "[ipv6:2001:db8::1]", "host [2001:db8::1]:26", "2001:db8::1", 26, TLS_MAY},
		{&without_star, "[tag:what]", "mx [tag:what]", "", 26, TLS_MAY},
		{&without_star, "[]", "mx []", "", 26, TLS_MAY},
	};
	struct conf *c = conf_new();
	struct buf key;
	buf_init(&key, 1024);
	c->relay_port = 26;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct str domain = str_from_c(table[i].domain);
		struct route r = route_find(table[i].table, c, domain);
		buf_clear(&key);
		route_key(&r, &key);
		assert_string_equal(buf_c(&key), table[i].key);
		assert_true(str_eq(r.host, str_from_c(table[i].host)));
		assert_true(str_eq(r.domain, domain));
		assert_int_equal(r.port, table[i].port);
		assert_int_equal(r.tls, table[i].tls);
	}
	buf_done(&key);
	conf_drop(c);
}

static void a_connector_brings_its_own(void **state)
{
	(void)state;
	struct conf *c = conf_new();
	c->relay_tls = TLS_ENCRYPT;
	struct route r = route_find(&with_star, c, STR("partner.example"));
	assert_true(str_eq(r.connector, STR("partner")));
	assert_true(str_eq(r.sni, STR("real.partner.example")));
	assert_true(str_eq(r.helo, STR("gw.example.org")));
	assert_true(str_eq(r.trust, STR("PEM")));
	assert_int_equal(r.tls, TLS_VERIFY);
	r = route_find(&with_star, c, STR("other.example")); /* says nothing of TLS: relay.tls */
	assert_int_equal(r.tls, TLS_ENCRYPT);
	assert_int_equal(r.trust.n, 0);
	r = route_find(&with_star, c, STR("gateway.example"));
	assert_int_equal(r.connector.n, 0);
	assert_int_equal(r.tls, TLS_ENCRYPT);
	conf_drop(c);
}

static void targets_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *text, *host;
		unsigned port;
		const char *normal;
	} table[] = {
		{"mail.example.org:2525", "mail.example.org", 2525, "mail.example.org:2525"},
		{"mail.example.org", "mail.example.org", 25, "mail.example.org:25"},
		{"localhost", "localhost", 25, "localhost:25"},
		{"mail_in.lan:1", "mail_in.lan", 1, "mail_in.lan:1"},
		{"192.0.2.1:65535", "192.0.2.1", 65535, "192.0.2.1:65535"},
		{"192.0.2.1", "192.0.2.1", 25, "192.0.2.1:25"},
		{"[2001:db8::1]:26", "2001:db8::1", 26, "[2001:db8::1]:26"},
		{"[::1]", "::1", 25, "[::1]:25"},
	};
	struct buf text;
	buf_init(&text, 1024);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct route_target t;
		struct err err;
		assert_int_equal(route_target_parse(str_from_c(table[i].text), 25, &t, &err), 0);
		assert_true(str_eq(t.host, str_from_c(table[i].host)));
		assert_int_equal(t.port, table[i].port);
		buf_clear(&text);
		route_target_format(&t, &text);
		assert_string_equal(buf_c(&text), table[i].normal);
	}
	buf_done(&text);
}

static void bad_targets_are_explained(void **state)
{
	(void)state;
	static const char *const form[] = {"", ":25", "mail:", "mail:25:26", "2001:db8::1",
		"2001:db8::1:25", "[2001:db8::1", "[2001:db8::1]25", "[2001:db8::1]:", "[192.0.2.1]:25",
		"[mail]:25", "[]:25", "192.0.2.256", "10.1", "1.2.3", "a b", "a..b", "-a", "mail\n", "*"};
	static const char *const port[] = {
		"mail:0", "mail:65536", "mail:x", "[::1]:0", "mail:-1", "mail:99999999999999999999"};
	struct route_target t = {STR("kept"), 7};
	struct err err;
	for (size_t i = 0; i < sizeof form / sizeof form[0]; i++) {
		assert_int_equal(route_target_parse(str_from_c(form[i]), 25, &t, &err), -1);
		assert_non_null(strstr(err.log, "is not HOST:PORT; write mail.example.org:25"));
	}
	for (size_t i = 0; i < sizeof port / sizeof port[0]; i++) {
		assert_int_equal(route_target_parse(str_from_c(port[i]), 25, &t, &err), -1);
		assert_non_null(strstr(err.log, "has no good port; ports go from 1 to 65535"));
	}
	assert_int_equal(route_target_parse(STR("192.0.2.1\0x:25"), 25, &t, &err), -1);
	assert_true(str_eq(t.host, STR("kept")) && t.port == 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_that_fits_wins),
		cmocka_unit_test(a_connector_brings_its_own),
		cmocka_unit_test(targets_are_read),
		cmocka_unit_test(bad_targets_are_explained),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
