/* Snapshots, networks, levels: the settings as running code sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "conf/settings.h"

static const enum conf_role roles[] = {CONF_SERVE, CONF_EDGE, CONF_STORE, CONF_RELAY, CONF_KEYS};
enum { ROLES = sizeof roles / sizeof roles[0] };

#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void set(struct conf *c, const char *name, const char *value)
{
	struct err err = {0};
	if (setting_parse(setting_find(str_from_c(name)), str_from_c(value), c, &err) != 0)
		fail_msg("%s", err.log);
}

/* Every row away from its default, with two certificates. */
static struct conf *example(void)
{
	static struct conf_certificate certificates[] = {
		{STR("mail.example.org"), STR("-----BEGIN A-----\nAA==\n"), STR(KEY_A), false},
		{STR("old.example.org"), STR("-----BEGIN B-----\nBB==\n"), STR(KEY_B), true},
	};
	static const struct {
		enum setting_type type;
		const char *value;
	} values[] = {
		{SETTING_HOSTNAME, "mx.example.org"},
		{SETTING_PATH, "/srv/x.pem"},
		{SETTING_NUMBER, "12"},
		{SETTING_SIZE, "70K"},
		{SETTING_DURATION, "33s"},
		{SETTING_DURATIONS, "100ms 7m"},
		{SETTING_ADDRESSES, "127.0.0.1:2525 [::1]:2526"},
		{SETTING_NETWORKS, "10.0.0.0/9 2001:db8::/33"},
		{SETTING_TLS_INBOUND, "off"},
		{SETTING_TLS_LEVEL, "encrypt"},
		{SETTING_LOG_LEVEL, "warn"},
	};
	struct conf *c = conf_new();
	c->revision = 42;
	for (size_t i = 0; i < setting_count; i++)
		for (size_t k = 0; k < sizeof values / sizeof values[0]; k++)
			if (settings[i].type == values[k].type)
				set(c, settings[i].name, values[k].value);
	c->certificates = certificates;
	c->certificate_count = 2;
	return c;
}

static void snapshots_carry_the_rows_of_their_role(void **state)
{
	(void)state;
	struct conf *c = example();
	for (int r = 0; r < ROLES; r++) {
		struct buf bytes, want, have;
		struct err err = {0};
		buf_init(&bytes, CONF_SNAPSHOT_MAX);
		buf_init(&want, 4096);
		buf_init(&have, 4096);
		conf_pack(c, roles[r], &bytes);
		struct conf *got = conf_unpack(buf_str(&bytes), &err);
		if (!got)
			fail_msg("%s", err.log);
		assert_int_equal(got->revision, 42);
		for (size_t i = 0; i < setting_count; i++) {
			static const struct conf zero;
			const struct setting *s = &settings[i];
			bool sent = memmem(bytes.p, bytes.n, s->name, strlen(s->name) + 1) != NULL;
			assert_int_equal(sent, (s->roles & roles[r]) != 0);
			if (!sent) /* all bytes of the field are zero: no value slipped through */
				assert_memory_equal((char *)got + s->offset, (char *)&zero + s->offset, 4);
			buf_clear(&want);
			buf_clear(&have);
			setting_format(s, s->roles & roles[r] ? c : &zero, &want);
			setting_format(s, got, &have);
			assert_string_equal(buf_c(&have), buf_c(&want));
		}
		assert_int_equal(got->certificate_count, roles[r] == CONF_EDGE ? 2 : 0);
		conf_drop(got);
		buf_done(&bytes);
		buf_done(&want);
		buf_done(&have);
	}
	conf_drop(c);
}

static void certificates_go_to_the_edge(void **state)
{
	(void)state;
	struct conf *c = example();
	struct buf bytes;
	struct err err;
	buf_init(&bytes, CONF_SNAPSHOT_MAX);
	conf_pack(c, CONF_EDGE, &bytes);
	struct conf *got = conf_unpack(buf_str(&bytes), &err);
	assert_non_null(got);
	memset(bytes.p, 'x', bytes.n); /* a snapshot may be unmapped once it was read */
	assert_true(str_eq(got->certificates[0].names, STR("mail.example.org")));
	assert_true(str_eq(got->certificates[0].chain_pem, STR("-----BEGIN A-----\nAA==\n")));
	assert_true(str_eq(got->certificates[0].key_id, STR(KEY_A)));
	assert_false(got->certificates[0].self_signed);
	assert_true(got->certificates[1].self_signed);
	assert_true(str_eq(got->hostname, STR("mx.example.org")));
	conf_drop(got);
	conf_drop(c);
	buf_done(&bytes);
}

/* Whatever is cut off, the whole is refused; and no single wrong byte does harm. */
static void damaged_snapshots_are_refused(void **state)
{
	(void)state;
	struct conf *c = example();
	struct buf bytes;
	struct err err;
	buf_init(&bytes, CONF_SNAPSHOT_MAX);
	conf_pack(c, CONF_EDGE, &bytes);
	for (size_t n = 0; n < bytes.n; n++) {
		/* Exactly n bytes on the heap: a look beyond the end does not go unseen. */
		struct buf part;
		buf_init(&part, n);
		buf_add(&part, str_take(buf_str(&bytes), n));
		assert_null(conf_unpack(buf_str(&part), &err));
		buf_done(&part);
	}
	for (size_t i = 0; i < bytes.n; i++) {
		bytes.p[i] ^= 1;
		conf_drop(conf_unpack(buf_str(&bytes), &err));
		bytes.p[i] ^= 1;
	}
	buf_add_char(&bytes, 'x');
	assert_null(conf_unpack(buf_str(&bytes), &err));
	assert_string_equal(err.log, "snapshot: it does not end as it should");
	buf_done(&bytes);
	conf_drop(c);
}

static void snapshots_keep_to_the_table(void **state)
{
	(void)state;
	static const struct {
		struct str bytes;
		const char *error;
	} table[] = {
		{STR(""), "snapshot: it does not begin as one of this version"},
		{STR("letterlock-conf 2\0"), "snapshot: it does not begin as one of this version"},
		{STR("letterlock-conf 1\0x\0001\0"), "snapshot: role or revision is no number"},
		{STR("letterlock-conf 1\00016\0\0"), "snapshot: role or revision is no number"},
		{STR("letterlock-conf 1\00099\0001\0"), "snapshot: role or revision is no number"},
		{STR("letterlock-conf 1\00016\0001\0end\0"),
			"snapshot: log.level is missing or out of order"},
		{STR("letterlock-conf 1\00016\0001\0relay.port\00025\0end\0"),
			"snapshot: log.level is missing or out of order"},
		{STR("letterlock-conf 1\00016\0001\0log.level\0loud\0end\0"),
			"log.level: \"loud\" is none of error, warn, info, debug"},
		{STR("letterlock-conf 1\00016\0001\0log.level\0warn\0log.level\0warn\0end\0"),
			"snapshot: it does not end as it should"},
		{STR("letterlock-conf 1\00016\0001\0log.level\0warn\0certificate\0x\n" KEY_A
			 "\n2\npem\0end\0"),
			"snapshot: certificate \"x\" is malformed"},
		{STR("letterlock-conf 1\00016\0001\0log.level\0warn\0certificate\0x\nshort\n1\npem\0end\0"),
			"snapshot: certificate \"x\" is malformed"},
		{STR("letterlock-conf 1\00016\0001\0log.level\0warn\0certificate\0x\n" KEY_A
			 "\n1\n\0end\0"),
			"snapshot: certificate \"x\" is malformed"},
		{STR("letterlock-conf 1\00016\0001\0log.level\0warn\0certificate\0nothing\0end\0"),
			"snapshot: certificate \"nothing\" is malformed"},
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct err err = {0};
		assert_null(conf_unpack(table[i].bytes, &err));
		assert_string_equal(err.log, table[i].error);
	}
	struct conf *c =
		conf_unpack(STR("letterlock-conf 1\00016\0007\0log.level\0debug\0end\0"), NULL);
	assert_non_null(c);
	assert_int_equal(c->revision, 7);
	assert_int_equal(c->log_level, 3);
	conf_drop(c);
}

static void too_many_certificates_are_refused(void **state)
{
	(void)state;
	struct conf *c = conf_new();
	struct buf bytes;
	struct err err;
	buf_init(&bytes, CONF_SNAPSHOT_MAX);
	c->certificate_count = CONF_CERTIFICATES_MAX + 1;
	c->certificates = arena_alloc(c->arena, c->certificate_count * sizeof *c->certificates);
	for (size_t i = 0; i < c->certificate_count; i++)
		c->certificates[i] = (struct conf_certificate){STR("a.example"), STR("pem"), STR(KEY_B), 0};
	conf_pack(c, CONF_EDGE, &bytes);
	assert_null(conf_unpack(buf_str(&bytes), &err));
	assert_string_equal(err.log, "snapshot: more than 1000 certificates");
	buf_clear(&bytes);
	c->certificate_count--;
	conf_pack(c, CONF_EDGE, &bytes);
	struct conf *got = conf_unpack(buf_str(&bytes), &err);
	assert_int_equal(got->certificate_count, CONF_CERTIFICATES_MAX);
	conf_drop(got);
	conf_drop(c);
	buf_done(&bytes);
}

static bool matches(const struct conf_networks *n, const char *text)
{
	struct ip ip;
	assert_true(ip_parse(str_from_c(text), &ip));
	return conf_networks_match(n, &ip);
}

static void networks_match_their_addresses(void **state)
{
	(void)state;
	struct conf *c = conf_new();
	const struct conf_networks *n = &c->relay_networks;
	assert_true(matches(n, "127.0.0.1"));
	assert_true(matches(n, "127.255.255.255"));
	assert_false(matches(n, "128.0.0.1"));
	assert_false(matches(n, "126.255.255.255"));
	assert_true(matches(n, "::1"));
	assert_false(matches(n, "::2"));
	assert_true(matches(n, "::ffff:127.0.0.1"));
	assert_false(matches(n, "::ffff:192.0.2.1"));
	set(c, "relay.networks", "10.0.0.0/15 192.0.2.7 2001:db8:8000::/33");
	assert_true(matches(n, "10.1.255.255"));
	assert_false(matches(n, "10.2.0.0"));
	assert_true(matches(n, "192.0.2.7"));
	assert_false(matches(n, "192.0.2.6"));
	assert_true(matches(n, "2001:db8:ffff::1"));
	assert_false(matches(n, "2001:db8:7fff::1"));
	assert_false(matches(n, "a01::")); /* its first bytes are those of 10.1.0.0 */
	set(c, "relay.networks", "");
	assert_false(matches(n, "127.0.0.1"));
	conf_drop(c);
}

static void listeners_may_not_collide(void **state)
{
	(void)state;
	struct conf *c = conf_new();
	struct err err;
	assert_int_equal(conf_check(c, &err), 0);
	set(c, "listen.submission", "127.0.0.1:25");
	assert_int_equal(conf_check(c, &err), -1);
	assert_string_equal(err.log,
		"listen.submission: 127.0.0.1:25 collides with 0.0.0.0:25 of listen.smtp; choose another "
		"port");
	set(c, "listen.smtp", "127.0.0.2:25 [::]:25");
	assert_int_equal(conf_check(c, &err), 0);
	set(c, "listen.smtp", "127.0.0.1:2525 127.0.0.2:2525 0.0.0.0:2525");
	assert_int_equal(conf_check(c, &err), -1);
	set(c, "listen.smtp", "127.0.0.2:2525");
	set(c, "listen.https", "127.0.0.2:2525");
	assert_int_equal(conf_check(c, &err), -1);
	conf_drop(c);
}

static void levels_have_names(void **state)
{
	(void)state;
	enum tls_level level;
	for (unsigned i = TLS_OFF; i <= TLS_VERIFY; i++) {
		assert_true(tls_level_parse(str_from_c(tls_level_name((enum tls_level)i)), &level));
		assert_int_equal(level, i);
	}
	assert_false(tls_level_parse(STR("on"), &level));
	assert_false(tls_level_parse(STR(""), &level));
}

static void a_conf_lives_as_long_as_it_is_held(void **state)
{
	(void)state;
	struct conf *c = conf_new();
	assert_ptr_equal(conf_hold(c), c);
	conf_drop(c);
	assert_true(str_eq(c->hostname, STR("localhost")));
	conf_drop(c);
	conf_drop(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(snapshots_carry_the_rows_of_their_role),
		cmocka_unit_test(certificates_go_to_the_edge),
		cmocka_unit_test(damaged_snapshots_are_refused),
		cmocka_unit_test(snapshots_keep_to_the_table),
		cmocka_unit_test(too_many_certificates_are_refused),
		cmocka_unit_test(networks_match_their_addresses),
		cmocka_unit_test(listeners_may_not_collide),
		cmocka_unit_test(levels_have_names),
		cmocka_unit_test(a_conf_lives_as_long_as_it_is_held),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
