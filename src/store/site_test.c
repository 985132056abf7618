#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "conf/settings.h"
#include "store/db.h"
#include "store/site.h"

/* One home per test. */
struct fixture {
	char home[64];
	struct site_db *db;
	struct db *editor; /* somebody with an SQL editor */
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f); /* style: tests use plain memory */
	struct err err = {0};
	char path[96];
	snprintf(f->home, sizeof f->home, "/tmp/site-test-XXXXXX");
	assert_non_null(mkdtemp(f->home));
	f->db = site_db_create(f->home, &err);
	assert_non_null(f->db);
	snprintf(path, sizeof path, "%s/" SITE_DB, f->home);
	f->editor = db_open(path, DB_SHARED, &err);
	assert_non_null(f->editor);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char path[96];
	db_close(f->editor);
	site_db_close(f->db);
	snprintf(path, sizeof path, "%s/" SITE_DB, f->home);
	unlink(path);
	snprintf(path, sizeof path, "%s/" DATA_FOLDER, f->home);
	rmdir(path);
	rmdir(f->home);
	free(f);
	return 0;
}

static void set(struct fixture *f, const char *name, const char *old, const char *value)
{
	uint64_t revision;
	assert_int_equal(site_begin(f->db, STR("tester"), NULL), 0);
	assert_int_equal(site_put_setting(f->db, name, str_from_c(old), str_from_c(value), NULL), 0);
	assert_int_equal(site_commit(f->db, &revision, NULL), 0);
}

static struct site *load(struct fixture *f)
{
	struct err err = {0};
	struct site *s = site_load(f->db, &err);
	if (!s)
		fail_msg("%s", err.log);
	return s;
}

static void edit(struct fixture *f, const char *sql)
{
	struct err err = {0};
	if (db_exec(f->editor, sql, &err) < 0)
		fail_msg("%s", err.log);
}

static size_t at(const char *name)
{
	return (size_t)(setting_find(str_from_c(name)) - settings);
}

static void an_empty_site_has_the_defaults(void **state)
{
	struct site *s = load(*state);
	assert_int_equal(s->revision, 0);
	assert_int_equal(s->conf->smtp_tls, TLS_INBOUND_AVAILABLE);
	assert_false(s->origins[at("smtp.tls")].given);
	assert_int_equal(s->finding_count, 0);
	site_drop(s);
}

static void a_change_is_a_numbered_revision_with_old_and_new(void **state)
{
	struct fixture *f = *state;
	clock_set_wall_ms(1000000000000);
	set(f, "smtp.tls", "available", "required");
	set(f, "smtp.tls", "required", "off");
	clock_set_wall_ms(-1);
	struct site *s = load(f);
	const struct site_origin *o = &s->origins[at("smtp.tls")];
	assert_int_equal(s->revision, 2);
	assert_int_equal(s->conf->revision, 2);
	assert_int_equal(s->conf->smtp_tls, TLS_INBOUND_OFF);
	assert_true(o->given);
	assert_int_equal(o->revision, 2);
	assert_int_equal(o->at_ms, 1000000000000);
	assert_true(str_eq(o->by, STR("tester")));
	struct db_query *q = db_query(f->editor,
		"SELECT r.by, c.old, c.new FROM revision r JOIN change c ON c.revision = r.number"
		" WHERE r.number = 2");
	assert_int_equal(db_step(q, NULL), 1);
	assert_true(str_eq(db_str(q, 0), STR("tester")));
	assert_true(str_eq(db_str(q, 1), STR("required")));
	assert_true(str_eq(db_str(q, 2), STR("off")));
	db_end(q);
	site_drop(s);
}

static void a_rolled_back_change_leaves_no_trace(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(site_begin(f->db, STR("x"), NULL), 0);
	assert_int_equal(site_put_setting(f->db, "smtp.tls", STR("available"), STR("off"), NULL), 0);
	/* Inside, the candidate is seen; outside, nothing. */
	struct site *s = load(f);
	assert_int_equal(s->conf->smtp_tls, TLS_INBOUND_OFF);
	assert_int_equal(s->revision, 1);
	site_drop(s);
	site_rollback(f->db);
	s = load(f);
	assert_int_equal(s->conf->smtp_tls, TLS_INBOUND_AVAILABLE);
	assert_int_equal(s->revision, 0);
	site_drop(s);
}

static void a_bad_row_keeps_the_last_good_value(void **state)
{
	struct fixture *f = *state;
	set(f, "relay.tls", "may", "verify");
	edit(f, "UPDATE setting SET value = 'maybe' WHERE section = 'relay' AND name = 'tls'");
	struct site *s = load(f);
	assert_int_equal(s->conf->relay_tls, TLS_VERIFY);
	assert_int_equal(s->finding_count, 1);
	assert_true(str_eq(s->findings[0].key, STR("relay.tls")));
	assert_true(str_eq(s->findings[0].value, STR("maybe")));
	assert_non_null(memmem(s->findings[0].text.p, s->findings[0].text.n, "verify", 6));
	site_drop(s);
}

static void a_bad_row_without_a_history_keeps_the_default(void **state)
{
	struct fixture *f = *state;
	edit(f,
		"INSERT INTO setting (section, name, value) VALUES ('relay', 'tls', 'maybe'),"
		" ('no', 'such', '1')");
	struct site *s = load(f);
	assert_int_equal(s->conf->relay_tls, TLS_MAY);
	assert_false(s->origins[at("relay.tls")].given);
	assert_int_equal(s->finding_count, 2);
	site_drop(s);
}

static void a_good_edit_from_outside_is_taken(void **state)
{
	struct fixture *f = *state;
	edit(f, "INSERT INTO setting (section, name, value) VALUES ('smtp', 'tls', 'off')");
	struct site *s = load(f);
	assert_int_equal(s->conf->smtp_tls, TLS_INBOUND_OFF);
	assert_true(str_eq(s->origins[at("smtp.tls")].by, STR("sql")));
	site_drop(s);
}

static void an_editor_in_a_transaction_makes_us_wait(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	edit(f, "BEGIN IMMEDIATE");
	assert_int_equal(site_begin(f->db, STR("x"), &err), -1);
	assert_int_equal(err.kind, ERR_TEMP);
	edit(f, "ROLLBACK");
	assert_int_equal(site_begin(f->db, STR("x"), &err), 0);
	site_rollback(f->db);
}

static void domains_and_connectors_come_and_go(void **state)
{
	struct fixture *f = *state;
	uint64_t revision;
	struct route_domain d = {STR("example.org"), STR("mx.inside.example"), 2525};
	struct route_connector k = {.name = STR("hop"),
		.host = STR("relay.example"),
		.port = 587,
		.for_domain = STR("*"),
		.has_tls = true,
		.tls = TLS_VERIFY,
		.sni = STR("other.example")};
	assert_int_equal(site_begin(f->db, STR("x"), NULL), 0);
	assert_int_equal(site_put_domain(f->db, &d, NULL), 0);
	assert_int_equal(site_put_connector(f->db, &k, NULL), 0);
	assert_int_equal(site_commit(f->db, &revision, NULL), 0);
	struct site *s = load(f);
	const struct route_domain *sd = site_domain(s, STR("EXAMPLE.org"));
	const struct route_connector *sk = site_connector(s, STR("Hop"));
	assert_non_null(sd);
	assert_int_equal(sd->port, 2525);
	assert_non_null(sk);
	assert_true(sk->has_tls);
	assert_int_equal(sk->tls, TLS_VERIFY);
	assert_true(str_eq(sk->sni, STR("other.example")));
	assert_int_equal(sk->trust.n, 0);
	site_drop(s);
	assert_int_equal(site_begin(f->db, STR("x"), NULL), 0);
	assert_int_equal(site_remove_domain(f->db, STR("example.org"), NULL), 1);
	assert_int_equal(site_remove_domain(f->db, STR("example.org"), NULL), 0);
	assert_int_equal(site_remove_connector(f->db, STR("nobody"), NULL), 0);
	assert_int_equal(site_commit(f->db, &revision, NULL), 0);
	s = load(f);
	assert_null(site_domain(s, STR("example.org")));
	assert_non_null(site_connector(s, STR("hop")));
	site_drop(s);
}

static void an_unknown_tls_level_of_a_connector_is_the_strictest(void **state)
{
	struct fixture *f = *state;
	edit(f, "INSERT INTO connector (name, host, tls) VALUES ('hop', 'h.example', 'strong')");
	struct site *s = load(f);
	assert_int_equal(site_connector(s, STR("hop"))->tls, TLS_VERIFY);
	assert_int_equal(s->finding_count, 1);
	site_drop(s);
}

#define CHAIN "-----BEGIN CERTIFICATE-----\n"
#define KEY_ID "00000000000000000000000000000000000000000000000000000000000000aa"

static void put_certificate(struct fixture *f, const char *names, const char *thumbprint)
{
	uint64_t revision;
	struct site_certificate c = {.facts = {.names = str_from_c(names),
									 .thumbprint = str_from_c(thumbprint),
									 .key_id = STR(KEY_ID)},
		.chain = STR(CHAIN)};
	assert_int_equal(site_begin(f->db, STR("x"), NULL), 0);
	assert_int_equal(site_put_certificate(f->db, &c, NULL), 0);
	assert_int_equal(site_commit(f->db, &revision, NULL), 0);
}

static void a_new_certificate_takes_over_its_names_only(void **state)
{
	struct fixture *f = *state;
	set(f, "server.hostname", "localhost", "b.example");
	put_certificate(f, "a.example b.example", "one");
	put_certificate(f, "B.example", "two");
	struct site *s = load(f);
	assert_int_equal(s->certificate_count, 2);
	assert_true(str_eq(s->certificates[0].facts.thumbprint, STR("two")));
	assert_true(str_eq(s->certificates[0].serves, STR("b.example")));
	assert_true(str_eq(s->certificates[1].serves, STR("a.example")));
	/* The one for server.hostname is the default: first of the snapshot. */
	assert_true(str_eq(s->conf->certificates[0].names, STR("b.example")));
	assert_true(str_eq(s->conf->certificates[1].names, STR("a.example")));
	/* If the new one turns out to be unusable, the one before has the name. */
	assert_int_equal(s->conf->certificate_count, 3);
	assert_true(str_eq(s->conf->certificates[2].names, STR("a.example b.example")));
	put_certificate(f, "a.example", "three");
	site_drop(s);
	s = load(f);
	assert_int_equal(s->certificate_count, 3);
	assert_int_equal(s->certificates[2].serves.n, 0); /* kept, serves nothing */
	site_drop(s);
}

static void damaged_rows_are_told_and_not_used(void **state)
{
	struct fixture *f = *state;
	put_certificate(f, "a.example", "one");
	put_certificate(f, "b.example", "two");
	edit(f, "UPDATE certificate SET key_id = '../../etc/passwd' WHERE id = 2");
	edit(f, "INSERT INTO connector (name, host, port) VALUES ('hop', 'h.example', 70000)");
	struct site *s = load(f);
	assert_int_equal(s->certificate_count, 1);
	assert_int_equal(s->conf->certificate_count, 1);
	assert_int_equal(site_connector(s, STR("hop"))->port, 0);
	assert_int_equal(s->finding_count, 2);
	site_drop(s);
}

/* Two values that are good, but not together (P2). */
static void listeners_that_collide_stay_as_they_were(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	set(f, "listen.smtp", "", "127.0.0.1:2525");
	set(f, "listen.submission", "", "127.0.0.1:2587");
	edit(f, "UPDATE setting SET value = '127.0.0.1:2525' WHERE name = 'submission'");
	struct site *s = load(f);
	assert_int_equal(conf_check(s->conf, &err), 0);
	assert_true(str_eq(s->conf->listen_submission.at[0].text, STR("127.0.0.1:2587")));
	assert_int_equal(s->finding_count, 1);
	site_drop(s);
}

/* One row of the snapshot each, however many names. */
static void a_certificate_may_have_many_names(void **state)
{
	struct fixture *f = *state;
	static char names[1100 * 8];
	for (int i = 0; i < 1100; i++)
		snprintf(names + strlen(names), 10, "%sa%d.x", i ? " " : "", i);
	put_certificate(f, names, "one");
	struct site *s = load(f);
	assert_int_equal(s->conf->certificate_count, 1);
	site_drop(s);
	edit(f, "UPDATE serving SET name = 'a' || char(10) || 'b' WHERE name = 'a7.x'");
	s = load(f);
	assert_int_equal(s->conf->certificate_count, 0);
	assert_int_equal(s->finding_count, 1);
	site_drop(s);
}

static void what_is_no_site_db_is_refused(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	assert_null(site_db_create(f->home, &err)); /* there is one */
	assert_non_null(strstr(err.log, "exists"));
	assert_null(site_db_open("/tmp/no-such-home", &err));
	assert_non_null(strstr(err.log, "letterlock setup"));
	edit(f, "PRAGMA user_version = 99");
	assert_null(site_db_open(f->home, &err));
	assert_non_null(strstr(err.log, "newer"));
	edit(f, "PRAGMA application_id = 1");
	assert_null(site_db_open(f->home, &err));
	assert_non_null(strstr(err.log, "not a site.db"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_site_has_the_defaults),
		TEST(a_change_is_a_numbered_revision_with_old_and_new),
		TEST(a_rolled_back_change_leaves_no_trace),
		TEST(a_bad_row_keeps_the_last_good_value),
		TEST(a_bad_row_without_a_history_keeps_the_default),
		TEST(a_good_edit_from_outside_is_taken),
		TEST(an_editor_in_a_transaction_makes_us_wait),
		TEST(domains_and_connectors_come_and_go),
		TEST(an_unknown_tls_level_of_a_connector_is_the_strictest),
		TEST(a_new_certificate_takes_over_its_names_only),
		TEST(damaged_rows_are_told_and_not_used),
		TEST(listeners_that_collide_stay_as_they_were),
		TEST(a_certificate_may_have_many_names),
		TEST(what_is_no_site_db_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
