#include "wire/smtp_address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define A16 "aaaaaaaaaaaaaaaa"
#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A64 A16 A16 A16 A16
#define DOMAIN_190  \
	A63 "." A63 "." \
		"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.example"

static void test_good_mailboxes(void **state)
{
	/* What is written, and its shortest spelling if that differs. */
	static const struct {
		const char *text, *canonical;
	} rows[] = {
		{"a@b", NULL},
		{"user@example.org", NULL},
		{"User.Name+tag@Example.ORG", NULL},
		{"!#$%&'*+-/=?^_`{|}~@example.org", NULL},
		{"a.b.c@x.y.z", NULL},
		{"user@[192.0.2.1]", NULL},
		{"user@[IPv6:2001:db8::1]", NULL},
		{"\"a b\"@example.org", NULL},
		{"\"a@b\"@example.org", NULL},
		{"\"a..b\"@example.org", NULL},
		{"\"\"@example.org", NULL},
		{"\".a\"@example.org", NULL},
		{"\"a\\\"b\"@example.org", NULL},
		{"\"a\\\\b\"@example.org", NULL},
		{"\">\"@example.org", NULL},
		{"\"user\"@example.org", "user@example.org"},
		{"\"u\\ser\"@example.org", "user@example.org"},
		{"\"a\\ b\"@example.org", "\"a b\"@example.org"},
		{"a@host_name.example", NULL},
		{"a@1.2.3.4", NULL},
		{"a@x--y.example", NULL},
		{A64 "@example.org", NULL},
		{A64 A64 "@example.org", NULL},
		{A63 "@" DOMAIN_190, NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mailbox m;
		char dst[SMTP_PATH_MAX];
		const char *want = rows[i].canonical ? rows[i].canonical : rows[i].text;
		if (!mailbox_from_str(str_from_c(rows[i].text), &m))
			fail_msg("refused: %s", rows[i].text);
		assert_true(str_eq(mailbox_format(&m, dst), str_from_c(want)));
		assert_int_equal(m.literal, strchr(rows[i].text, '[') != NULL);
	}
}

static void test_bad_mailboxes(void **state)
{
	static const char *const rows[] = {
		"",
		"a",
		"a@",
		"@b",
		"a@@b",
		"a b@c",
		".a@b",
		"a.@b",
		"a..b@c",
		"a@.b",
		"a@b.",
		"a@b..c",
		"a@-b",
		"a@b-",
		"a@b-.c",
		"a@b c",
		"a@b>",
		"<a@b>",
		"a@b\r",
		"a\r\n@b",
		"a\tb@c",
		"a@b\n",
		"\"a@b",
		"\"a\"b@c",
		"\"a\\\"@b",
		"\"a\x01\"@b",
		"\"a\\\x7f\"@b",
		"\"a\nb\"@c",
		"a(b)@c",
		"a@[192.0.2]",
		"a@[192.0.2.1",
		"a@[2001:db8::1]",
		"a@[IPv6:192.0.2.1]",
		"a@[]",
		"a@[tag:content]",
		"a@[192.0.2.1]x",
		"m\xc3\xbcller@example.org",
		"\"m\xc3\xbcller\"@example.org",
		"a@m\xc3\xbcnchen.example",
		"a@" A64 ".example",
		"a@" DOMAIN_190 "." A63 ".a",
		A64 "@" DOMAIN_190,
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mailbox m = {.local = STR("untouched")};
		if (mailbox_from_str(str_from_c(rows[i]), &m))
			fail_msg("accepted: %s", rows[i]);
		assert_true(str_eq(m.local, STR("untouched")));
	}
	struct mailbox m;
	assert_false(mailbox_from_str(str_make("a\0@b", 4), &m));
	assert_false(mailbox_from_str(str_make("a@b\0", 4), &m));
}

/* A path is at most 256 bytes, so a mailbox 254 (RFC 5321 4.5.3.1.3), a domain 255 (4.5.3.1.2). */
static void test_limits(void **state)
{
	char text[600];
	(void)state;
	for (size_t local = 1; local < 400; local++) {
		struct mailbox m;
		memset(text, 'a', local);
		memcpy(text + local, "@b.example", 10);
		assert_int_equal(mailbox_from_str(str_make(text, local + 10), &m), local + 10 <= 254);
		text[0] = '"';
		text[local + 1] = '"';
		memset(text + 1, 'a', local);
		memcpy(text + local + 2, "@b.example", 10);
		assert_int_equal(mailbox_from_str(str_make(text, local + 12), &m), local + 12 <= 254);
	}
	for (size_t n = 1; n < 400; n++) {
		struct str domain;
		for (size_t i = 0; i < n; i++)
			text[i] = i % 50 == 40 && i + 1 < n ? '.' : 'd';
		struct str at = str_make(text, n);
		assert_int_equal(smtp_domain(&at, &domain), n <= 255 ? PARSE_DONE : PARSE_BAD);
	}
}

/* Too long is bad at every later cut, whether the last domain is whole there ("a.b") or not ("a."). */
static void test_too_long_stays_bad(void **state)
{
	(void)state;
	for (size_t shift = 0; shift < 6; shift++) { /* so that the limit falls on every place */
		char text[700] = "<@dddddd.e,";
		size_t begin = 4 + shift;
		bool bad = false;
		struct mailbox m;
		for (size_t n = begin; n + 5 < sizeof text; n += 5)
			memcpy(text + n, ".e,@a", 5);
		for (size_t n = 1; n < 600; n++) {
			struct str at = str_make(text, n);
			bool now = smtp_reverse_path(&at, &m) == PARSE_BAD;
			assert_true(now || !bad);
			bad = now;
		}
		assert_true(bad);
	}
}

struct path_row {
	const char *text;
	enum parse result;
	const char *local, *domain, *rest;
};

static void check_paths(
	enum parse (*parse)(struct str *, struct mailbox *), const struct path_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct str at = str_from_c(rows[i].text);
		struct mailbox m = {.local = STR("untouched"), .domain = STR("untouched")};
		enum parse result = parse(&at, &m);
		if (result != rows[i].result)
			fail_msg("%s: %d", rows[i].text, (int)result);
		bool done = result == PARSE_DONE;
		assert_true(str_eq(m.local, str_from_c(done ? rows[i].local : "untouched")));
		assert_true(str_eq(m.domain, str_from_c(done ? rows[i].domain : "untouched")));
		assert_true(str_eq(at, str_from_c(done ? rows[i].rest : rows[i].text)));
	}
}

static void test_paths(void **state)
{
	static const struct path_row both[] = {
		{"<a@b>", PARSE_DONE, "a", "b", ""},
		{"<a@b> SIZE=1", PARSE_DONE, "a", "b", " SIZE=1"},
		{"<a@b>x", PARSE_DONE, "a", "b", "x"},
		{"<@x:a@b>", PARSE_DONE, "a", "b", ""},
		{"<@x.example,@y.example:a@b>", PARSE_DONE, "a", "b", ""},
		{"<\"a>\"@b>", PARSE_DONE, "\"a>\"", "b", ""},
		{"<a@[192.0.2.1]>", PARSE_DONE, "a", "[192.0.2.1]", ""},
		{"", PARSE_MORE, NULL, NULL, NULL},
		{"<", PARSE_MORE, NULL, NULL, NULL},
		{"<a@b", PARSE_MORE, NULL, NULL, NULL},
		{"<@x:", PARSE_MORE, NULL, NULL, NULL},
		{"a@b", PARSE_BAD, NULL, NULL, NULL},
		{"<a@b >", PARSE_BAD, NULL, NULL, NULL},
		{"< a@b>", PARSE_BAD, NULL, NULL, NULL},
		{"<<a@b>>", PARSE_BAD, NULL, NULL, NULL},
		{"<a>", PARSE_BAD, NULL, NULL, NULL},
		{"<@x,a@b>", PARSE_BAD, NULL, NULL, NULL},
		{"<@x:@y:a@b>", PARSE_BAD, NULL, NULL, NULL},
		{"<@x:>", PARSE_BAD, NULL, NULL, NULL},
		{"<a@b,c@d>", PARSE_BAD, NULL, NULL, NULL},
	};
	static const struct path_row reverse[] = {
		{"<>", PARSE_DONE, "", "", ""},
		{"<> SIZE=1", PARSE_DONE, "", "", " SIZE=1"},
		{"<Postmaster>", PARSE_BAD, NULL, NULL, NULL},
		{"< >", PARSE_BAD, NULL, NULL, NULL},
	};
	static const struct path_row forward[] = {
		{"<>", PARSE_BAD, NULL, NULL, NULL},
		{"<Postmaster>", PARSE_DONE, "Postmaster", "", ""},
		{"<POSTMASTER> NOTIFY=NEVER", PARSE_DONE, "POSTMASTER", "", " NOTIFY=NEVER"},
		{"<postmaster@b>", PARSE_DONE, "postmaster", "b", ""},
		{"<postmaster", PARSE_MORE, NULL, NULL, NULL},
		{"<postmasters>", PARSE_BAD, NULL, NULL, NULL},
		{"<\"postmaster\">", PARSE_BAD, NULL, NULL, NULL},
	};
	(void)state;
	check_paths(smtp_reverse_path, both, sizeof(both) / sizeof(both[0]));
	check_paths(smtp_forward_path, both, sizeof(both) / sizeof(both[0]));
	check_paths(smtp_reverse_path, reverse, sizeof(reverse) / sizeof(reverse[0]));
	check_paths(smtp_forward_path, forward, sizeof(forward) / sizeof(forward[0]));
}

static void test_route_is_bounded(void **state)
{
	char text[4096];
	size_t n = 0;
	(void)state;
	text[n++] = '<';
	for (int i = 0; i < 100; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s@host%d.example", i ? "," : "", i);
	n += (size_t)snprintf(text + n, sizeof(text) - n, ":a@b>");
	struct str at = str_make(text, n);
	struct mailbox m;
	assert_int_equal(smtp_reverse_path(&at, &m), PARSE_BAD);
}

/* Every beginning of something good asks for more, or is good itself; nothing moves meanwhile. */
static void test_beginnings(void **state)
{
	static const char *const paths[] = {"<user.name@sub.example-x.org>",
		"<\"a\\\"b c\"@example.org>", "<a@[192.0.2.1]>", "<a@[IPv6:2001:db8::1]>",
		"<@a.example,@b.example:c@d.example>", "<>", "<Postmaster>"};
	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		for (size_t n = 0; n < strlen(paths[i]); n++) {
			struct str at = str_make(paths[i], n);
			struct mailbox m;
			if (strcmp(paths[i], "<Postmaster>") != 0)
				assert_int_equal(smtp_reverse_path(&at, &m), PARSE_MORE);
			if (strcmp(paths[i], "<>") != 0)
				assert_int_equal(smtp_forward_path(&at, &m), PARSE_MORE);
			assert_ptr_equal(at.p, paths[i]);
			assert_int_equal(at.n, n);
		}
	}
}

static void test_helpers(void **state)
{
	char dst[SMTP_PATH_MAX];
	char domain[SMTP_DOMAIN_MAX];
	struct mailbox m;
	(void)state;
	assert_true(str_eq(smtp_local_plain(STR("\"a\\\"b\\\\c\""), dst), STR("a\"b\\c")));
	assert_true(str_eq(smtp_local_plain(STR("a.b"), dst), STR("a.b")));
	assert_true(str_eq(domain_lower(STR("EXAMPLE.Org"), domain), STR("example.org")));
	char long_domain[300];
	memset(long_domain, 'X', sizeof(long_domain));
	assert_int_equal(domain_lower(str_make(long_domain, 255), domain).n, 255);
	assert_int_equal(domain_lower(str_make(long_domain, 256), domain).n, 0);

	struct str at = STR("<>");
	assert_int_equal(smtp_reverse_path(&at, &m), PARSE_DONE);
	assert_true(mailbox_is_null(&m));
	assert_int_equal(mailbox_format(&m, dst).n, 0);
	at = STR("<Postmaster>");
	assert_int_equal(smtp_forward_path(&at, &m), PARSE_DONE);
	assert_false(mailbox_is_null(&m));
	assert_true(str_eq(mailbox_format(&m, dst), STR("Postmaster")));
	/* One that no parser made and that does not fit gives nothing, and writes nothing beyond. */
	m = (struct mailbox){.local = str_make(long_domain, 200), .domain = str_make(long_domain, 200)};
	assert_int_equal(mailbox_format(&m, dst).n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_mailboxes),
		cmocka_unit_test(test_bad_mailboxes),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_too_long_stays_bad),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_route_is_bounded),
		cmocka_unit_test(test_beginnings),
		cmocka_unit_test(test_helpers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
