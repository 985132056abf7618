/* Room for messages, set aside at MAIL and while they grow: what is refused where, and that all of it is
 * given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/log.h"
#include "smtp/smtp_fake.h"

enum { ROOM = 200 };

#define HELLO "EHLO client.example.net\r\n"
#define MAIL "MAIL FROM:<a@example.net>"
#define REST "\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
#define LINE "0123456789012345678901234567890123456789012345678901234567890123456789\r\n"
#define SMALL "Subject: x\r\n\r\n.\r\n"
#define LARGE "Subject: x\r\n\r\n" LINE LINE LINE ".\r\n"

/* The codes of all replies but those of greeting, EHLO and QUIT, which stand for themselves. */
static void codes(struct str output, char *dst, size_t size)
{
	size_t n = 0;
	struct str line;
	unsigned number = 0;
	dst[0] = 0;
	while (str_split(&output, '\n', &line))
		if (line.n > 9 && line.p[3] == ' ' && number++ > 1 && line.p[0] != '3')
			n += (size_t)snprintf(dst + n, size - n, "%s%.9s", n ? ", " : "", line.p);
}

static void check(struct smtp_fake *f, const char *input, const char *want, unsigned accepted)
{
	struct buf out;
	char got[1000];
	buf_init(&out, 1 << 16);
	struct stream *s = stream_new_memory(str_from_c(input), 0, &out);
	smtp_serve(s, &f->server);
	stream_free(s);
	codes(buf_str(&out), got, sizeof got);
	assert_string_equal(got, want);
	assert_int_equal(f->accepted, accepted);
	assert_int_equal(f->room_taken, 0);
	buf_done(&out);
}

static int set_up(void **state)
{
	struct smtp_fake *f = smtp_fake_new();
	f->room = ROOM;
	log_set_level(LOG_ERROR);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	smtp_fake_free(*state);
	return 0;
}

#define MAIL_R "250 2.1.0"
#define RCPT_R "250 2.1.5"
#define KEPT_R "250 2.0.0"
#define FULL_R "452 4.3.1"

static void size_is_judged_at_mail(void **state)
{
	check(*state, HELLO MAIL " SIZE=201\r\n" MAIL " SIZE=200" REST SMALL,
		FULL_R ", " MAIL_R ", " RCPT_R ", " KEPT_R, 1);
}

/* Pipelined behind a refused MAIL: nothing of it is taken for a transaction. */
static void what_follows_a_refused_mail_is_refused_too(void **state)
{
	check(*state, HELLO MAIL " SIZE=201" REST, FULL_R ", 503 5.5.1, 503 5.5.1", 0);
}

static void without_room_for_anything_mail_is_refused_without_size_too(void **state)
{
	struct smtp_fake *f = *state;
	f->low = true;
	check(f, HELLO MAIL "\r\n" MAIL " SIZE=1\r\nNOOP\r\n", FULL_R ", " FULL_R ", " KEPT_R, 0);
}

/* Nothing shorter than the message may be kept in its place, and the session goes on. */
static void a_message_that_outgrows_the_room_is_refused_at_its_end(void **state)
{
	check(*state, HELLO MAIL REST LARGE MAIL " SIZE=14" REST LARGE MAIL " SIZE=10" REST SMALL,
		MAIL_R ", " RCPT_R ", " FULL_R ", " MAIL_R ", " RCPT_R ", " FULL_R ", " MAIL_R ", " RCPT_R
			   ", " KEPT_R,
		1);
}

static void room_is_given_back_whatever_ends_the_transaction(void **state)
{
	check(*state,
		HELLO MAIL " SIZE=200\r\nRSET\r\n" MAIL " SIZE=200\r\n" HELLO MAIL " SIZE=200\r\n",
		MAIL_R ", " KEPT_R ", " MAIL_R ", 250 ENHAN, " MAIL_R, 0);
	check(*state, HELLO MAIL " SIZE=150" REST "cut in ha", MAIL_R ", " RCPT_R, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(size_is_judged_at_mail),
		TEST(what_follows_a_refused_mail_is_refused_too),
		TEST(without_room_for_anything_mail_is_refused_without_size_too),
		TEST(a_message_that_outgrows_the_room_is_refused_at_its_end),
		TEST(room_is_given_back_whatever_ends_the_transaction),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
