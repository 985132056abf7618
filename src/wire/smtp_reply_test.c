#include "wire/smtp_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* Feeds lines separated by '|'; the answer to the last one is returned. */
static enum parse take(struct smtp_reply *r, const char *lines)
{
	struct str rest = str_from_c(lines);
	struct str line;
	enum parse got = PARSE_BAD;
	smtp_reply_clear(r);
	while (str_split(&rest, '|', &line)) {
		got = smtp_reply_add(r, line);
		if (got != PARSE_MORE)
			assert_null(rest.p);
	}
	return got;
}

static void test_replies(void **state)
{
	static const struct {
		const char *lines;
		enum parse result;
		unsigned code;
		const char *enhanced, *text;
	} rows[] = {
		{"250 ok", PARSE_DONE, 250, "", "ok"},
		{"250", PARSE_DONE, 250, "", ""},
		{"250 ", PARSE_DONE, 250, "", ""},
		{"354 go on", PARSE_DONE, 354, "", "go on"},
		{"550 5.1.1 no such user", PARSE_DONE, 550, "5.1.1", "no such user"},
		{"550 5.1.1", PARSE_DONE, 550, "5.1.1", ""},
		{"250 5.1.1 class differs", PARSE_DONE, 250, "", "5.1.1 class differs"},
		{"550 5.1 not one", PARSE_DONE, 550, "", "5.1 not one"},
		{"250-a|250 b", PARSE_DONE, 250, "", "a\nb"},
		{"250-|250", PARSE_DONE, 250, "", "\n"},
		{"250-a", PARSE_MORE, 250, "", "a"},
		{"550-5.7.1 a|550-5.7.1 b|550 5.7.1 c", PARSE_DONE, 550, "5.7.1", "a\nb\nc"},
		{"550-5.7.1 a|550 5.7.2 b", PARSE_DONE, 550, "5.7.1", "a\n5.7.2 b"},
		{"550-a|550 5.7.2 b", PARSE_DONE, 550, "", "a\n5.7.2 b"},
		{"299 odd second digit", PARSE_DONE, 299, "", "odd second digit"},
		{"250-a|251 b", PARSE_BAD, 0, NULL, NULL},
		{"250-a|xyz", PARSE_BAD, 0, NULL, NULL},
		{"", PARSE_BAD, 0, NULL, NULL},
		{"25", PARSE_BAD, 0, NULL, NULL},
		{"2500 x", PARSE_BAD, 0, NULL, NULL},
		{"250x", PARSE_BAD, 0, NULL, NULL},
		{"250\tx", PARSE_BAD, 0, NULL, NULL},
		{" 250 x", PARSE_BAD, 0, NULL, NULL},
		{"150 x", PARSE_BAD, 0, NULL, NULL},
		{"600 x", PARSE_BAD, 0, NULL, NULL},
		{"000 x", PARSE_BAD, 0, NULL, NULL},
		{"+25 x", PARSE_BAD, 0, NULL, NULL},
		{"250 a\nb", PARSE_BAD, 0, NULL, NULL},
		{"250 a\rb", PARSE_BAD, 0, NULL, NULL},
		{"SSH-2.0-OpenSSH", PARSE_BAD, 0, NULL, NULL},
	};
	struct smtp_reply r;
	(void)state;
	smtp_reply_init(&r);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (take(&r, rows[i].lines) != rows[i].result)
			fail_msg("%s", rows[i].lines);
		if (rows[i].result == PARSE_BAD)
			continue;
		assert_int_equal(r.code, rows[i].code);
		assert_string_equal(r.enhanced, rows[i].enhanced);
		assert_string_equal(buf_c(&r.text), rows[i].text);
	}
	smtp_reply_done(&r);
}

static void test_limits(void **state)
{
	struct smtp_reply r;
	char line[SMTP_REPLY_LINE_MAX];
	(void)state;
	smtp_reply_init(&r);
	memset(line, 'x', sizeof(line));
	memcpy(line, "250-", 4);
	for (unsigned i = 0; i < SMTP_REPLY_LINES; i++)
		assert_int_equal(smtp_reply_add(&r, str_make(line, sizeof(line))), PARSE_MORE);
	assert_int_equal(r.text.n, SMTP_REPLY_TEXT_MAX);
	assert_int_equal(smtp_reply_add(&r, STR("250 end")), PARSE_BAD);
	/* The same reply object serves the next command. */
	assert_int_equal(take(&r, "221 2.0.0 bye"), PARSE_DONE);
	assert_string_equal(buf_c(&r.text), "bye");
	assert_int_equal(r.lines, 1);
	smtp_reply_done(&r);
}

static void test_describe(void **state)
{
	struct smtp_reply r;
	struct buf out;
	(void)state;
	smtp_reply_init(&r);
	buf_init(&out, 1000);
	assert_int_equal(
		take(&r, "550-5.7.1 no\x1b[2J|550-5.7.1 way\xc3\xbc|550 5.7.1 here"), PARSE_DONE);
	smtp_reply_describe(&r, 500, &out);
	assert_string_equal(buf_c(&out), "no?[2J / way?? / here");
	buf_clear(&out);
	smtp_reply_describe(&r, 7, &out);
	assert_string_equal(buf_c(&out), "no?[2J");
	buf_done(&out);
	smtp_reply_done(&r);
}

static void test_extensions(void **state)
{
	struct smtp_reply r;
	struct smtp_extensions e;
	(void)state;
	smtp_reply_init(&r);
	assert_int_equal(take(&r,
						 "250-mx.example STARTTLS|250-PIPELINING|250-size 52428800|250-8BITMIME|"
						 "250-DSN|250-ENHANCEDSTATUSCODES|250-CHUNKING|250-SMTPUTF8|"
						 "250-X-WHATEVER a b|250 AUTH PLAIN LOGIN"),
		PARSE_DONE);
	smtp_extensions_parse(&r, &e);
	assert_true(e.pipelining && e.eightbitmime && e.dsn && e.enhanced_status_codes);
	assert_true(e.chunking && e.smtputf8 && e.size);
	assert_false(e.starttls); /* it stood in the greeting */
	assert_int_equal(e.size_max, 52428800);
	assert_true(str_eq(e.auth, STR("PLAIN LOGIN")));

	assert_int_equal(take(&r, "250-mx.example|250-SIZE|250-STARTTLS |250 PIPELININGS"), PARSE_DONE);
	smtp_extensions_parse(&r, &e);
	assert_true(e.starttls && e.size);
	assert_false(e.pipelining || e.eightbitmime || e.dsn);
	assert_int_equal(e.size_max, 0);
	assert_int_equal(e.auth.n, 0);

	assert_int_equal(take(&r, "250-mx.example|250 SIZE 99999999999999999999999"), PARSE_DONE);
	smtp_extensions_parse(&r, &e);
	assert_int_equal(e.size_max, 0);

	assert_int_equal(take(&r, "250 mx.example"), PARSE_DONE);
	smtp_extensions_parse(&r, &e);
	assert_false(e.starttls || e.size || e.pipelining);
	smtp_reply_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_describe),
		cmocka_unit_test(test_extensions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
