/* How far the store's word on one recipient goes within a session, and a stop after it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "smtp/smtp_fake.h"

#define HELLO "EHLO client.example.net\r\n"
#define MAIL "MAIL FROM:<a@example.net>\r\n"

/* How often the store is asked in a session of which each answer holds for `scope`. */
static unsigned asked(const char *input, enum rcpt_scope scope, uint16_t code)
{
	struct smtp_fake *f = smtp_fake_new();
	struct buf out;
	buf_init(&out, 1 << 20);
	f->conf.smtp_max_recipients = 100;
	f->rcpt_scope = scope;
	f->rcpt_code = code;
	struct stream *s = stream_new_memory(str_from_c(input), 0, &out);
	smtp_serve(s, &f->server);
	stream_free(s);
	buf_done(&out);
	unsigned n = f->asked;
	smtp_fake_free(f);
	return n;
}

static void each_recipient_is_asked_about(void **state)
{
	(void)state;
	assert_int_equal(asked(HELLO MAIL "RCPT TO:<1@example.org>\r\nRCPT TO:<2@example.org>\r\n"
									  "RCPT TO:<3@other.example>\r\n",
						 RCPT_ONE, 0),
		3);
}

static void a_domain_is_asked_about_once(void **state)
{
	(void)state;
	assert_int_equal(asked(HELLO MAIL "RCPT TO:<1@example.org>\r\nRCPT TO:<2@EXAMPLE.org>\r\n"
									  "RSET\r\n" MAIL "RCPT TO:<3@example.org>\r\n",
						 RCPT_DOMAIN, 0),
		1);
	/* Not for its subdomains, nor for others. */
	assert_int_equal(asked(HELLO MAIL "RCPT TO:<1@example.org>\r\nRCPT TO:<2@sub.example.org>\r\n"
									  "RCPT TO:<2@org>\r\nRCPT TO:<3@example.net>\r\n",
						 RCPT_DOMAIN, 0),
		4);
}

static void a_client_is_asked_about_once(void **state)
{
	(void)state;
	assert_int_equal(
		asked(HELLO MAIL "RCPT TO:<1@example.org>\r\nRCPT TO:<2@other.example>\r\n", RCPT_ALL, 250),
		1);
	/* A new hello may be another client. */
	assert_int_equal(
		asked(HELLO MAIL "RCPT TO:<1@example.org>\r\n" HELLO MAIL "RCPT TO:<2@example.org>\r\n",
			RCPT_ALL, 250),
		2);
}

static void a_refusal_holds_for_nobody_else(void **state)
{
	(void)state;
	assert_int_equal(asked(HELLO MAIL "RCPT TO:<1@other.example>\r\nRCPT TO:<2@other.example>\r\n"
									  "RCPT TO:<3@other.example>\r\n",
						 RCPT_ALL, 0),
		3);
}

/* The reply to that is logged, and the command before is no more. */
static void a_service_that_stops_ends_the_session(void **state)
{
	(void)state;
	struct smtp_fake *f = smtp_fake_new();
	struct buf out;
	buf_init(&out, 1 << 20);
	f->server.stop = &f->stop;
	f->stops_at_rcpt = true;
	struct stream *s = stream_new_memory(
		STR(HELLO MAIL "RCPT TO:<1@example.org>\r\nRCPT TO:<2@example.org>\r\n"), 0, &out);
	smtp_serve(s, &f->server);
	stream_free(s);
	assert_int_equal(f->asked, 1);
	assert_non_null(strstr(buf_c(&out), "\r\n421 4.3.2 "));
	buf_done(&out);
	smtp_fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_recipient_is_asked_about),
		cmocka_unit_test(a_domain_is_asked_about_once),
		cmocka_unit_test(a_client_is_asked_about_once),
		cmocka_unit_test(a_refusal_holds_for_nobody_else),
		cmocka_unit_test(a_service_that_stops_ends_the_session),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
