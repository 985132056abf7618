#include "wire/smtp_command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define X10 "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10

static void test_split(void **state)
{
	static const struct {
		const char *line;
		enum smtp_verb verb;
		const char *name, *argument;
	} rows[] = {
		{"QUIT", VERB_QUIT, "QUIT", ""},
		{"quit", VERB_QUIT, "quit", ""},
		{"Quit  ", VERB_QUIT, "Quit", ""},
		{"QUIT\t", VERB_QUIT, "QUIT", ""},
		{"QUIT now", VERB_QUIT, "QUIT", "now"},
		{"EHLO  client.example ", VERB_EHLO, "EHLO", "client.example"},
		{"HELO x", VERB_HELO, "HELO", "x"},
		{"MAIL FROM:<a@b> SIZE=1", VERB_MAIL, "MAIL", "FROM:<a@b> SIZE=1"},
		{"rcpt to:<a@b>", VERB_RCPT, "rcpt", "to:<a@b>"},
		{"DATA", VERB_DATA, "DATA", ""},
		{"RSET", VERB_RSET, "RSET", ""},
		{"NOOP ignored text", VERB_NOOP, "NOOP", "ignored text"},
		{"VRFY a", VERB_VRFY, "VRFY", "a"},
		{"EXPN a", VERB_EXPN, "EXPN", "a"},
		{"HELP", VERB_HELP, "HELP", ""},
		{"STARTTLS", VERB_STARTTLS, "STARTTLS", ""},
		{"AUTH PLAIN =", VERB_AUTH, "AUTH", "PLAIN ="},
		{"BDAT 100 LAST", VERB_BDAT, "BDAT", "100 LAST"},
		{"TURN", VERB_TURN, "TURN", ""},
		{"", VERB_UNKNOWN, "", ""},
		{"   ", VERB_UNKNOWN, "", ""},
		{" QUIT", VERB_UNKNOWN, "", "QUIT"},
		{"QUITE", VERB_UNKNOWN, "QUITE", ""},
		{"QUI", VERB_UNKNOWN, "QUI", ""},
		{"?", VERB_UNKNOWN, "?", ""},
		{"GET / HTTP/1.1", VERB_UNKNOWN, "GET", "/ HTTP/1.1"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct smtp_command command;
		smtp_command_split(str_from_c(rows[i].line), &command);
		assert_int_equal(command.verb, rows[i].verb);
		assert_true(str_eq(command.name, str_from_c(rows[i].name)));
		assert_true(str_eq(command.argument, str_from_c(rows[i].argument)));
	}
	assert_string_equal(smtp_verb_name(VERB_STARTTLS), "STARTTLS");
	for (enum smtp_verb verb = 0; verb < VERB_COUNT; verb++)
		assert_non_null(smtp_verb_name(verb));
}

static void check_fault(const char *line, const struct smtp_fault *fault, unsigned code,
	const char *enhanced, const char *what)
{
	if (fault->code != code || strcmp(fault->enhanced, enhanced) != 0 ||
		!str_eq(fault->what, str_from_c(what)))
		fail_msg("%s: %u %s %s: %.*s", line, fault->code, fault->enhanced, fault->text,
			STR_ARG(fault->what));
}

static void test_helo(void **state)
{
	static const struct {
		const char *argument;
		bool ok, literal;
		const char *what;
	} rows[] = {
		{"client.example", true, false, NULL},
		{"localhost", true, false, NULL},
		{"my_laptop", true, false, NULL},
		{"-odd-.example.", true, false, NULL},
		{"[192.0.2.1]", true, true, NULL},
		{"[IPv6:2001:db8::1]", true, true, NULL},
		{"[2001:db8::1]", true, true, NULL},
		{"[::1]", true, true, NULL},
		{"", false, false, ""},
		{"[192.0.2]", false, false, "[192.0.2]"},
		{"[", false, false, "["},
		{"a b", false, false, "a"},
		{"a(b", false, false, "a(b"},
		{"a\x01", false, false, "a"},
		{"<script>", false, false, "<script>"},
		{"m\xc3\xbcller", false, false, "m"},
		{X100 X100 X10 X10 X10 X10 X10 "12345", true, false, NULL},
		{X100 X100 X10 X10 X10 X10 X10 "123456", false, false, X10 X10 X10 X10 X10 X10 "xxxx"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str argument = str_from_c(rows[i].argument);
		struct str name;
		struct smtp_fault fault;
		bool literal = false;
		assert_int_equal(smtp_helo_argument(argument, &name, &literal, &fault), rows[i].ok);
		assert_int_equal(literal, rows[i].literal);
		if (rows[i].ok)
			assert_true(str_eq(name, argument));
		else
			check_fault(rows[i].argument, &fault, 501, "5.5.4", rows[i].what);
	}
}

static void test_good_mail(void **state)
{
	static const struct {
		const char *argument;
		const char *local, *domain;
		uint64_t size;
		enum body_type body_type;
		enum dsn_ret ret;
		const char *envid, *auth;
	} rows[] = {
		{"FROM:<a@b>", "a", "b", 0, BODY_UNSET, RET_UNSET, "", ""},
		{"from:<a@b>", "a", "b", 0, BODY_UNSET, RET_UNSET, "", ""},
		{"FROM: <a@b>", "a", "b", 0, BODY_UNSET, RET_UNSET, "", ""},
		{"FROM:<>", "", "", 0, BODY_UNSET, RET_UNSET, "", ""},
		{"FROM:<@x,@y:a@b>", "a", "b", 0, BODY_UNSET, RET_UNSET, "", ""},
		{"FROM:<\"a b\"@c> size=7", "\"a b\"", "c", 7, BODY_UNSET, RET_UNSET, "", ""},
		{"FROM:<a@b> SIZE=0", "a", "b", 0, BODY_UNSET, RET_UNSET, "", ""},
		{"FROM:<a@b> SIZE=18446744073709551615", "a", "b", UINT64_MAX, BODY_UNSET, RET_UNSET, "",
			""},
		{"FROM:<a@b> SIZE=99999999999999999999", "a", "b", UINT64_MAX, BODY_UNSET, RET_UNSET, "",
			""},
		{"FROM:<a@b> BODY=7BIT", "a", "b", 0, BODY_7BIT, RET_UNSET, "", ""},
		{"FROM:<a@b>  BODY=8bitmime\tRET=hdrs", "a", "b", 0, BODY_8BITMIME, RET_HDRS, "", ""},
		{"FROM:<a@b> RET=FULL ENVID=QQ+2B314159 AUTH=<>", "a", "b", 0, BODY_UNSET, RET_FULL,
			"QQ+2B314159", "<>"},
		{"FROM:<a@b> ENVID=" X100, "a", "b", 0, BODY_UNSET, RET_UNSET, X100, ""},
		{"FROM:<a@b> AUTH=e+3Dmc2@example.com", "a", "b", 0, BODY_UNSET, RET_UNSET, "",
			"e+3Dmc2@example.com"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct smtp_mail mail;
		struct smtp_fault fault;
		if (!smtp_mail_argument(str_from_c(rows[i].argument), &mail, &fault))
			fail_msg("%s: %s", rows[i].argument, fault.text);
		assert_true(str_eq(mail.sender.local, str_from_c(rows[i].local)));
		assert_true(str_eq(mail.sender.domain, str_from_c(rows[i].domain)));
		assert_true(mail.size == rows[i].size);
		assert_int_equal(mail.body_type, rows[i].body_type);
		assert_int_equal(mail.ret, rows[i].ret);
		assert_true(str_eq(mail.envid, str_from_c(rows[i].envid)));
		assert_true(str_eq(mail.auth, str_from_c(rows[i].auth)));
	}
}

struct bad_row {
	const char *argument;
	unsigned code;
	const char *enhanced, *what;
};

static void test_bad_mail(void **state)
{
	static const struct bad_row rows[] = {
		{"", 501, "5.5.4", ""},
		{"FROM", 501, "5.5.4", "FROM"},
		{"FROM:", 501, "5.5.4", ""},
		{"TO:<a@b>", 501, "5.5.4", "TO:<a@b>"},
		{"FROM :<a@b>", 501, "5.5.4", "FROM"},
		{"FROM:a@b", 501, "5.5.4", "a@b"},
		{"FROM:<a>", 501, "5.1.7", "<a>"},
		{"FROM:<a@b", 501, "5.1.7", "<a@b"},
		{"FROM:<a@b>SIZE=1", 501, "5.1.7", "<a@b>SIZE=1"},
		{"FROM:<a@b c>", 501, "5.1.7", "<a@b"},
		{"FROM:<a@b\x01>", 501, "5.1.7", "<a@b"},
		{"FROM:<m\xc3\xbcller@example.org>", 553, "5.6.7", "<m"},
		{"FROM:<a@b> FOO=BAR", 555, "5.5.4", "FOO"},
		{"FROM:<a@b> SMTPUTF8", 555, "5.5.4", "SMTPUTF8"},
		{"FROM:<a@b> NOTIFY=NEVER", 555, "5.5.4", "NOTIFY"},
		{"FROM:<a@b> SIZ=1", 555, "5.5.4", "SIZ"},
		{"FROM:<a@b> SIZE=1 SIZE=1", 501, "5.5.4", "SIZE"},
		{"FROM:<a@b> BODY=7BIT body=8BITMIME", 501, "5.5.4", "body"},
		{"FROM:<a@b> AUTH=<> AUTH=<>", 501, "5.5.4", "AUTH"},
		{"FROM:<a@b> SIZE", 501, "5.5.4", "SIZE"},
		{"FROM:<a@b> SIZE=", 501, "5.5.4", "SIZE="},
		{"FROM:<a@b> SIZE=-1", 501, "5.5.4", "SIZE=-1"},
		{"FROM:<a@b> SIZE=1k", 501, "5.5.4", "SIZE=1k"},
		{"FROM:<a@b> SIZE=100000000000000000000", 501, "5.5.4", "SIZE=100000000000000000000"},
		{"FROM:<a@b> BODY=BINARYMIME", 501, "5.5.4", "BODY=BINARYMIME"},
		{"FROM:<a@b> RET=ALL", 501, "5.5.4", "RET=ALL"},
		{"FROM:<a@b> ENVID=a=b", 501, "5.5.4", "ENVID=a=b"},
		{"FROM:<a@b> ENVID=a+xy", 501, "5.5.4", "ENVID=a+xy"},
		{"FROM:<a@b> ENVID=a+0D+0AEvil:+20x", 501, "5.5.4", "ENVID=a+0D+0AEvil:+20x"},
		{"FROM:<a@b> ENVID=" X100 "y", 501, "5.5.4", "ENVID=" X10 X10 X10 X10 X10 "xxxxxxxx"},
		{"FROM:<a@b> AUTH=+", 501, "5.5.4", "AUTH=+"},
		{"FROM:<a@b> =1", 501, "5.5.4", "=1"},
		{"FROM:<a@b> -X=1", 501, "5.5.4", "-X=1"},
		{"FROM:<a@b> X_Y=1", 501, "5.5.4", "X_Y=1"},
		{"FROM:<a@b> <c@d>", 501, "5.5.4", "<c@d>"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct smtp_mail mail = {.size = 42};
		struct smtp_fault fault;
		if (smtp_mail_argument(str_from_c(rows[i].argument), &mail, &fault))
			fail_msg("accepted: %s", rows[i].argument);
		check_fault(rows[i].argument, &fault, rows[i].code, rows[i].enhanced, rows[i].what);
		assert_int_equal(mail.size, 42);
	}
}

static void test_good_rcpt(void **state)
{
	static const struct {
		const char *argument;
		const char *local, *domain;
		unsigned notify;
		const char *orcpt;
	} rows[] = {
		{"TO:<a@b>", "a", "b", 0, ""},
		{"to: <a@b>", "a", "b", 0, ""},
		{"TO:<Postmaster>", "Postmaster", "", 0, ""},
		{"TO:<@x:a@[192.0.2.1]>", "a", "[192.0.2.1]", 0, ""},
		{"TO:<a@b> NOTIFY=NEVER", "a", "b", NOTIFY_NEVER, ""},
		{"TO:<a@b> NOTIFY=success,DELAY", "a", "b", NOTIFY_SUCCESS | NOTIFY_DELAY, ""},
		{"TO:<a@b> NOTIFY=FAILURE ORCPT=rfc822;a+2Bx@b", "a", "b", NOTIFY_FAILURE,
			"rfc822;a+2Bx@b"},
		{"TO:<a@b> ORCPT=x-local;0", "a", "b", 0, "x-local;0"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct smtp_rcpt rcpt;
		struct smtp_fault fault;
		if (!smtp_rcpt_argument(str_from_c(rows[i].argument), &rcpt, &fault))
			fail_msg("%s: %s", rows[i].argument, fault.text);
		assert_true(str_eq(rcpt.recipient.local, str_from_c(rows[i].local)));
		assert_true(str_eq(rcpt.recipient.domain, str_from_c(rows[i].domain)));
		assert_int_equal(rcpt.notify, rows[i].notify);
		assert_true(str_eq(rcpt.orcpt, str_from_c(rows[i].orcpt)));
	}
}

static void test_bad_rcpt(void **state)
{
	static const struct bad_row rows[] = {
		{"", 501, "5.5.4", ""},
		{"FROM:<a@b>", 501, "5.5.4", "FROM:<a@b>"},
		{"TO:<>", 501, "5.1.3", "<>"},
		{"TO:<a b@c>", 501, "5.1.3", "<a"},
		{"TO:<a@b> SIZE=1", 555, "5.5.4", "SIZE"},
		{"TO:<a@b> NOTIFY=", 501, "5.5.4", "NOTIFY="},
		{"TO:<a@b> NOTIFY=SOMETIMES", 501, "5.5.4", "NOTIFY=SOMETIMES"},
		{"TO:<a@b> NOTIFY=NEVER,DELAY", 501, "5.5.4", "NOTIFY=NEVER,DELAY"},
		{"TO:<a@b> NOTIFY=DELAY,", 501, "5.5.4", "NOTIFY=DELAY,"},
		{"TO:<a@b> NOTIFY=DELAY NOTIFY=DELAY", 501, "5.5.4", "NOTIFY"},
		{"TO:<a@b> ORCPT=a@b", 501, "5.5.4", "ORCPT=a@b"},
		{"TO:<a@b> ORCPT=;a@b", 501, "5.5.4", "ORCPT=;a@b"},
		{"TO:<a@b> ORCPT=rfc822;", 501, "5.5.4", "ORCPT=rfc822;"},
		{"TO:<a@b> ORCPT=rfc822;a+0Ab", 501, "5.5.4", "ORCPT=rfc822;a+0Ab"},
		{"TO:<a@b> ORCPT=rf(c;a", 501, "5.5.4", "ORCPT=rf(c;a"},
		{"TO:<a@b> ORCPT=rfc822;" X100 X100 X100 X100 X100, 501, "5.5.4",
			"ORCPT=rfc822;" X10 X10 X10 X10 X10 "x"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct smtp_rcpt rcpt = {.notify = 42};
		struct smtp_fault fault;
		if (smtp_rcpt_argument(str_from_c(rows[i].argument), &rcpt, &fault))
			fail_msg("accepted: %s", rows[i].argument);
		check_fault(rows[i].argument, &fault, rows[i].code, rows[i].enhanced, rows[i].what);
		assert_int_equal(rcpt.notify, 42);
	}
}

static void test_no_argument(void **state)
{
	struct smtp_fault fault;
	(void)state;
	assert_true(smtp_no_argument(STR(""), &fault));
	assert_false(smtp_no_argument(STR("now please"), &fault));
	check_fault("now please", &fault, 501, "5.5.4", "now");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_helo),
		cmocka_unit_test(test_good_mail),
		cmocka_unit_test(test_bad_mail),
		cmocka_unit_test(test_good_rcpt),
		cmocka_unit_test(test_bad_rcpt),
		cmocka_unit_test(test_no_argument),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
