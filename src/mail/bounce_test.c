#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "mail/bounce.h"

static const int64_t arrived = 1763752410000; /* Fri, 21 Nov 2025 19:13:30 +0000 */
enum { SECOND = 1000 };
#define DAY ((int64_t)24 * 3600 * SECOND)

static const struct bounce_recipient refused = {
	.action = BOUNCE_FAILED,
	.address = STR("bob@example.org"),
	.orcpt = STR("rfc822;Bob+2Bnews@example.org"),
	.code = 550,
	.enhanced = STR("5.1.1"),
	.text = STR("5.1.1 <bob@example.org>: Recipient address rejected: User unknown"),
	.command = STR("RCPT TO"),
	.cause = STR("reply.no-mailbox"),
	.remote_host = STR("mx1.example.org"),
	.remote_address = STR("192.0.2.1:25"),
	.tls = STR("TLSv1.3 TLS_AES_256_GCM_SHA384 verified"),
	.attempts = 1,
	.last_ms = 1763752413000,
};

static const struct bounce_recipient expired = {
	.action = BOUNCE_FAILED,
	.address = STR("carol@example.net"),
	.text = STR("the certificate of mx2.example.net expired on 2025-10-01"),
	.cause = STR("tls.expired"),
	.remote_host = STR("mx2.example.net"),
	.remote_address = STR("[2001:db8::1]:25"),
	.attempts = 42,
	.last_ms = 1763752410000 + 5 * 24 * 3600 * (int64_t)SECOND,
};

static struct bounce example(const struct bounce_recipient *r, size_t n)
{
	return (struct bounce){
		.hostname = STR("mail.example.com"),
		.id = STR("0ABCDEFGHJKMN"),
		.now_ms = arrived + 5 * DAY + SECOND,
		.sender = STR("alice@example.com"),
		.queue_id = STR("0123456789ABC"),
		.envid = STR("QQ+2B1"),
		.arrived_ms = arrived,
		.prefix = STR("Received: from c by s;\r\n\tFri, 21 Nov 2025 19:13:30 +0000\r\n"),
		.body = STR("Subject: Hello Bob\r\nFrom: <alice@example.com>\r\n\r\nHi.\r\n"),
		.recipients = r,
		.recipient_count = n,
	};
}

/* The message as one string; the caller frees it with buf_done(). */
static const char *write_it(const struct bounce *b, struct buf *out, bool want_8bit)
{
	bool has_8bit = !want_8bit;
	buf_init(out, BOUNCE_MAX);
	assert_true(bounce_write(b, out, &has_8bit));
	assert_false(out->overflow);
	assert_int_equal(has_8bit, want_8bit);
	return buf_c(out);
}

static void assert_has(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("missing: %s\nin:\n%s", what, text);
}

static void assert_lacks(const char *text, const char *what)
{
	if (strstr(text, what))
		fail_msg("there is: %s\nin:\n%s", what, text);
}

static void the_whole_message(void **state)
{
	(void)state;
	static const char want[] =
		"From: Mail Delivery System <postmaster@mail.example.com>\r\n"
		"To: <alice@example.com>\r\n"
		"Subject: Not delivered: your message to 2 recipients\r\n"
		"Date: Wed, 26 Nov 2025 19:13:31 +0000\r\n"
		"Message-ID: <0ABCDEFGHJKMN@mail.example.com>\r\n"
		"Auto-Submitted: auto-replied\r\n"
		"MIME-Version: 1.0\r\n"
		"Content-Type: multipart/report; report-type=delivery-status;\r\n"
		" boundary=\"=_0ABCDEFGHJKMN.0\"\r\n"
		"\r\n"
		"This is a report in MIME format (RFC 3464).\r\n"
		"\r\n"
		"--=_0ABCDEFGHJKMN.0\r\n"
		"Content-Type: text/plain; charset=us-ascii\r\n"
		"Content-Description: What happened\r\n"
		"\r\n"
		"This is the mail system at mail.example.com.\r\n"
		"\r\n"
		"Your message of Fri, 21 Nov 2025 19:13:30 +0000\r\n"
		"    Subject: Hello Bob\r\n"
		"could not be delivered to 2 recipients:\r\n"
		"\r\n"
		"  <bob@example.org>\r\n"
		"    There is no such mailbox at the domain.\r\n"
		"    mx1.example.org (192.0.2.1:25) said at RCPT TO:\r\n"
		"      550 5.1.1 <bob@example.org>: Recipient address rejected: User\r\n"
		"      unknown\r\n"
		"    TLS: TLSv1.3 TLS_AES_256_GCM_SHA384 verified\r\n"
		"    Tried once, on Fri, 21 Nov 2025 19:13:33 +0000.\r\n"
		"    What you can do: Check the address for typing mistakes and send the\r\n"
		"    message again.\r\n"
		"\r\n"
		"  <carol@example.net>\r\n"
		"    A certificate in the server's chain has expired.\r\n"
		"    At mx2.example.net ([2001:db8::1]:25):\r\n"
		"      the certificate of mx2.example.net expired on 2025-10-01\r\n"
		"    Tried 42 times over 5 days, last on Wed, 26 Nov 2025 19:13:30 +0000.\r\n"
		"    What you can do: Reach the recipient another way, and let your\r\n"
		"    postmaster and theirs know: the message was not sent because the\r\n"
		"    connection would not have been safe.\r\n"
		"\r\n"
		"A report for programs follows, then the headers of your message. If you\r\n"
		"ask your postmaster, give this number: 0123456789ABC (for `letterlock\r\n"
		"trace`).\r\n"
		"\r\n"
		"--=_0ABCDEFGHJKMN.0\r\n"
		"Content-Type: message/delivery-status\r\n"
		"Content-Description: Delivery report\r\n"
		"\r\n"
		"Original-Envelope-Id: QQ+1\r\n"
		"Reporting-MTA: dns; mail.example.com\r\n"
		"X-Letterlock-Queue-ID: 0123456789ABC\r\n"
		"Arrival-Date: Fri, 21 Nov 2025 19:13:30 +0000\r\n"
		"\r\n"
		"Original-Recipient: rfc822;Bob+news@example.org\r\n"
		"Final-Recipient: rfc822; bob@example.org\r\n"
		"Action: failed\r\n"
		"Status: 5.1.1\r\n"
		"Remote-MTA: dns; mx1.example.org\r\n"
		"Diagnostic-Code: smtp; 550 5.1.1 <bob@example.org>: Recipient address\r\n"
		" rejected: User unknown\r\n"
		"Last-Attempt-Date: Fri, 21 Nov 2025 19:13:33 +0000\r\n"
		"X-Letterlock-Cause: reply.no-mailbox (owner: sender)\r\n"
		"\r\n"
		"Final-Recipient: rfc822; carol@example.net\r\n"
		"Action: failed\r\n"
		"Status: 5.7.5\r\n"
		"Remote-MTA: dns; mx2.example.net\r\n"
		"Diagnostic-Code: X-Letterlock; the certificate of mx2.example.net expired on\r\n"
		" 2025-10-01\r\n"
		"Last-Attempt-Date: Wed, 26 Nov 2025 19:13:30 +0000\r\n"
		"X-Letterlock-Cause: tls.expired (owner: them)\r\n"
		"\r\n"
		"--=_0ABCDEFGHJKMN.0\r\n"
		"Content-Type: text/rfc822-headers\r\n"
		"\r\n"
		"Received: from c by s;\r\n"
		"\tFri, 21 Nov 2025 19:13:30 +0000\r\n"
		"Subject: Hello Bob\r\n"
		"From: <alice@example.com>\r\n"
		"\r\n"
		"--=_0ABCDEFGHJKMN.0--\r\n";
	struct bounce_recipient both[] = {refused, expired};
	struct bounce b = example(both, 2);
	struct buf out;
	assert_string_equal(write_it(&b, &out, false), want);
	buf_done(&out);
}

static void a_bounce_never_causes_another(void **state)
{
	(void)state;
	struct bounce b = example(&refused, 1);
	struct buf out;
	bool has_8bit = true;
	buf_init(&out, BOUNCE_MAX);
	buf_add_c(&out, "kept");
	b.sender = STR("");
	assert_false(bounce_write(&b, &out, &has_8bit));
	b = example(&refused, 0);
	assert_false(bounce_write(&b, &out, &has_8bit));
	assert_string_equal(buf_c(&out), "kept");
	assert_true(has_8bit);
	buf_done(&out);
}

static void one_recipient_stands_in_the_subject(void **state)
{
	(void)state;
	struct bounce b = example(&refused, 1);
	struct buf out;
	const char *text = write_it(&b, &out, false);
	assert_has(text, "\r\nSubject: Not delivered: your message to bob@example.org\r\n");
	assert_has(text, "\r\ncould not be delivered to 1 recipient:\r\n");
	buf_done(&out);
}

static void delays_say_how_long(void **state)
{
	(void)state;
	struct bounce_recipient r = expired;
	r.action = BOUNCE_DELAYED;
	r.code = 451;
	r.enhanced = STR("4.3.0");
	r.text = STR("try later");
	r.command = STR("end of data");
	r.cause = STR("reply.temporary");
	r.last_ms = arrived + 4 * 3600 * SECOND;
	r.give_up_ms = arrived + 5 * DAY;
	struct bounce b = example(&r, 1);
	struct buf out;
	const char *text = write_it(&b, &out, false);
	assert_has(text, "\r\nSubject: Delayed: your message to carol@example.net\r\n");
	assert_has(text, "\r\nhas not been delivered yet to 1 recipient:\r\n");
	assert_has(text,
		"\r\n    mx2.example.net ([2001:db8::1]:25) said at end of data:\r\n"
		"      451 4.3.0 try later\r\n"
		"    TLS: none, the connection was in clear.\r\n"
		"    Tried 42 times over 4 hours, last on Fri, 21 Nov 2025 23:13:30\r\n    +0000.\r\n"
		"    It will be tried until Wed, 26 Nov 2025 19:13:30 +0000; you need not\r\n"
		"    send it again.\r\n");
	assert_has(text, "\r\nAction: delayed\r\nStatus: 4.3.0\r\n");
	assert_has(text, "\r\nDiagnostic-Code: smtp; 451 4.3.0 try later\r\n");
	assert_has(text, "\r\nWill-Retry-Until: Wed, 26 Nov 2025 19:13:30 +0000\r\n");
	assert_lacks(text, "What you can do");
	buf_done(&out);
}

static void relayed_is_the_last_word(void **state)
{
	(void)state;
	struct bounce_recipient r = {
		.action = BOUNCE_RELAYED,
		.address = STR("bob@example.org"),
		.remote_host = STR("192.0.2.1"),
		.code = 250,
		.text = STR("ok queued as 1"),
		.attempts = 1,
		.last_ms = arrived + SECOND,
	};
	struct bounce b = example(&r, 1);
	struct buf out;
	const char *text = write_it(&b, &out, false);
	assert_has(text, "\r\nSubject: Handed on: your message to bob@example.org\r\n");
	assert_has(text,
		"\r\nAction: relayed\r\nStatus: 2.0.0\r\nRemote-MTA: dns; [192.0.2.1]\r\n"
		"Diagnostic-Code: smtp; 250 ok queued as 1\r\n");
	assert_lacks(text, "X-Letterlock-Cause");
	buf_done(&out);
}

static void status_comes_from_reply_or_cause(void **state)
{
	(void)state;
	static const struct {
		enum bounce_action action;
		unsigned code;
		const char *enhanced, *cause, *status;
	} table[] = {
		{BOUNCE_FAILED, 550, "5.7.1", "reply.policy", "\r\nStatus: 5.7.1\r\n"},
		{BOUNCE_FAILED, 550, "", "reply.no-mailbox", "\r\nStatus: 5.1.1\r\n"},
		{BOUNCE_FAILED, 450, "", "reply.mailbox-full", "\r\nStatus: 4.2.2\r\n"},
		{BOUNCE_FAILED, 0, "", "connect.timeout", "\r\nStatus: 5.4.1\r\n"},
		{BOUNCE_FAILED, 0, "", "queue.gave-up", "\r\nStatus: 5.4.7\r\n"},
		{BOUNCE_DELAYED, 0, "", "connect.timeout", "\r\nStatus: 4.4.1\r\n"},
		{BOUNCE_FAILED, 550, "5.1.1\r\nX: y", "reply.policy", "\r\nStatus: 5.7.1\r\n"},
		{BOUNCE_FAILED, 550, "5.1.1 x", "reply.policy", "\r\nStatus: 5.7.1\r\n"},
		{BOUNCE_FAILED, 550, "nonsense", "", "\r\nStatus: 5.0.0\r\n"},
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct bounce_recipient r = refused;
		r.action = table[i].action;
		r.code = (uint16_t)table[i].code;
		r.enhanced = str_from_c(table[i].enhanced);
		r.cause = str_from_c(table[i].cause);
		r.text = STR("");
		struct bounce b = example(&r, 1);
		struct buf out;
		assert_has(write_it(&b, &out, false), table[i].status);
		buf_done(&out);
	}
}

/* What a stranger's server says cannot forge a field, a line or a part. */
static void hostile_texts_stay_inside(void **state)
{
	(void)state;
	struct bounce_recipient r = refused;
	r.enhanced = STR("");
	r.text = STR("a\r\n\r\n--=_0ABCDEFGHJKMN.0--\r\nAction: delivered\n\0\x80\xff b");
	r.tls = STR("x\r\ny");
	r.remote_host = STR("evil\r\nAction: delivered");
	r.remote_address = STR("\r\n\r\n");
	r.command = STR("\n");
	r.orcpt = STR("rfc822;a+0D+0AAction:+20delivered");
	struct bounce b = example(&r, 1);
	b.envid = STR("+0D+0AAction:+20delivered");
	struct buf out;
	const char *text = write_it(&b, &out, false);
	assert_int_equal(strlen(text), out.n);
	assert_lacks(text, "\nAction: delivered");
	assert_lacks(text, "\n--=_0ABCDEFGHJKMN.0--\r\nAction");
	for (size_t i = 0; i < out.n; i++) {
		assert_true((unsigned char)text[i] < 0x7f);
		assert_int_equal(text[i] == '\n', i > 0 && text[i - 1] == '\r');
	}
	/* What may not be decoded stays as it was given. */
	assert_has(text, "\r\nOriginal-Recipient: rfc822;a+0D+0AAction:+20delivered\r\n");
	assert_has(text, "\r\nOriginal-Envelope-Id: +0D+0AAction:+20delivered\r\n");
	buf_done(&out);
}

static void odd_orcpt_is_left_out(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "rfc822", "rfc822;", ";a@b"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct bounce_recipient r = refused;
		r.orcpt = str_from_c(bad[i]);
		struct bounce b = example(&r, 1);
		struct buf out;
		assert_lacks(write_it(&b, &out, false), "Original-Recipient");
		buf_done(&out);
	}
}

/* ---- what is returned ----------------------------------------------------------------------- */

static void full_returns_the_message(void **state)
{
	(void)state;
	struct bounce b = example(&refused, 1);
	struct buf out;
	b.full = true;
	const char *text = write_it(&b, &out, false);
	assert_has(text, "follows, then your message. If");
	assert_has(text,
		"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
		"Received: from c by s;\r\n");
	assert_has(text, "\r\n\r\nHi.\r\n\r\n--=_0ABCDEFGHJKMN.0--\r\n");
	buf_done(&out);

	b.body = STR("Subject: x\r\n\r\nGr\xc3\xbc\xc3\x9f"
				 "e\r\n");
	text = write_it(&b, &out, true);
	assert_has(text, "boundary=\"=_0ABCDEFGHJKMN.0\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
	assert_has(text, "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
	assert_has(text,
		"\r\n\r\nGr\xc3\xbc\xc3\x9f"
		"e\r\n\r\n--");
	buf_done(&out);
}

static void too_large_or_odd_comes_back_as_headers(void **state)
{
	(void)state;
	static const char *const odd[] = {"a\nb", "a\rb", "a\r"};
	struct bounce b = example(&refused, 1);
	struct buf body, out;
	b.full = true;
	buf_init(&body, 1 << 20);
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		buf_clear(&body);
		buf_addf(&body, "Subject: x\r\n\r\n%s", odd[i]);
		b.body = buf_str(&body);
		const char *text = write_it(&b, &out, false);
		assert_has(text, "Content-Type: text/rfc822-headers\r\n\r\n");
		assert_has(text, "\r\nSubject: x\r\n\r\n--=_0ABCDEFGHJKMN.0--\r\n");
		buf_done(&out);
	}
	b.body = STR("Subject: x\r\n\r\na\0b\r\n");
	assert_has(write_it(&b, &out, false), "text/rfc822-headers");
	buf_done(&out);

	buf_clear(&body);
	buf_add_c(&body, "Subject: x\r\n\r\n");
	for (int i = 0; i < 998; i++)
		buf_add_char(&body, 'a');
	buf_add_c(&body, "\r\n");
	b.body = buf_str(&body);
	assert_has(write_it(&b, &out, false), "message/rfc822");
	buf_done(&out);
	body.n -= 2;
	buf_add_c(&body, "a\r\n");
	b.body = buf_str(&body);
	assert_has(write_it(&b, &out, false), "text/rfc822-headers");
	buf_done(&out);

	while (body.n < BOUNCE_FULL_MAX)
		buf_add_c(&body, "0123456789\r\n");
	b.body = buf_str(&body);
	assert_has(write_it(&b, &out, false), "text/rfc822-headers");
	buf_done(&out);
	buf_done(&body);
}

static void headers_with_8bit_are_encoded(void **state)
{
	(void)state;
	struct bounce b = example(&refused, 1);
	struct buf out;
	b.body = STR("From: J\xc3\xbcrg <a@b>\r\nSubject: Gr\xc3\xbc\xc3\x9f"
				 "e\r\n\r\nx");
	const char *text = write_it(&b, &out, false);
	assert_has(text,
		"Content-Type: text/rfc822-headers\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n");
	assert_has(text, "\r\nFrom: J=C3=BCrg <a@b>\r\nSubject: Gr=C3=BC=C3=9Fe\r\n\r\n--");
	assert_lacks(text, "    Subject:"); /* what is not plain is not repeated in the plain part */
	buf_done(&out);
}

static void long_headers_are_cut_at_a_line(void **state)
{
	(void)state;
	struct bounce b = example(&refused, 1);
	struct buf body, out;
	buf_init(&body, 1 << 20);
	while (body.n < 2 * BOUNCE_HEADERS_MAX)
		buf_add_c(&body, "X-Long: header field\r\n");
	buf_add_c(&body, "\r\nbody");
	b.body = buf_str(&body);
	const char *text = write_it(&b, &out, false);
	assert_has(text, "\r\nX-Long: header field\r\n\r\n--=_0ABCDEFGHJKMN.0--\r\n");
	assert_true(out.n < BOUNCE_HEADERS_MAX + 4096);
	buf_done(&out);
	buf_done(&body);
}

static void a_boundary_stands_nowhere_else(void **state)
{
	(void)state;
	struct bounce b = example(&refused, 1);
	struct buf out;
	b.full = true;
	b.body = STR("Subject: x\r\n\r\n--=_0ABCDEFGHJKMN.0--\r\n--=_0ABCDEFGHJKMN.1\r\n");
	assert_has(write_it(&b, &out, false), "boundary=\"=_0ABCDEFGHJKMN.2\"\r\n");
	buf_done(&out);
}

static void the_subject_is_shown_if_it_is_plain(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		const char *shown; /* NULL: not at all */
	} table[] = {
		{"subject:  Hi there \r\n\r\n", "\r\n    Subject: Hi there\r\n"},
		{"From: x\r\nSubject: a\r\nTo: b\r\n\r\n", "\r\n    Subject: a\r\n"},
		{"Subject: =?utf-8?q?x?=\r\n\r\n", NULL},
		{"Subject: a\r\n b\r\n\r\n", NULL},
		{"X-Subject: a\r\n\r\nSubject: in the body\r\n", NULL},
		{"Subject:\r\n\r\n", NULL},
		{"Subject", NULL},
		{"", NULL},
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct bounce b = example(&refused, 1);
		struct buf out;
		b.body = str_from_c(table[i].body);
		const char *text = write_it(&b, &out, false);
		if (table[i].shown)
			assert_has(text, table[i].shown);
		else
			assert_lacks(text, "    Subject:");
		buf_done(&out);
	}
}

/* The promise of BOUNCE_MAX: the most and longest of everything fits. */
static void the_worst_case_fits(void **state)
{
	(void)state;
	static struct bounce_recipient r[BOUNCE_RECIPIENTS + 1];
	static char text[8192], header[BOUNCE_FULL_MAX];
	memset(text, 'x', sizeof text);
	memset(header, 0xff, sizeof header);
	for (size_t i = 0; i <= BOUNCE_RECIPIENTS; i++)
		r[i] = (struct bounce_recipient){
			.action = BOUNCE_DELAYED,
			.address = str_make(text, 320),
			.orcpt = str_make("rfc822;x", 8),
			.code = 450,
			.text = str_make(text, sizeof text),
			.command = str_make(text, 100),
			.cause = STR("tls.incomplete-chain"),
			.remote_host = str_make(text, 255),
			.remote_address = str_make(text, 60),
			.tls = str_make(text, sizeof text),
			.attempts = 4000000000u,
			.last_ms = arrived + 60 * DAY,
			.give_up_ms = arrived + 60 * DAY,
		};
	struct bounce b = example(r, BOUNCE_RECIPIENTS);
	struct buf out;
	bool has_8bit;
	b.body = str_make(header, sizeof header);
	assert_has(write_it(&b, &out, false), "\r\n    TLS:\r\n    xxxxxxxx");
	for (size_t i = 0, line = 0; i < out.n; i++) {
		line = out.p[i] == '\n' ? 0 : line + 1;
		assert_true(line <= 999); /* with CR */
	}
	b.recipient_count++;
	assert_false(bounce_write(&b, &out, &has_8bit));
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_whole_message),
		cmocka_unit_test(a_bounce_never_causes_another),
		cmocka_unit_test(one_recipient_stands_in_the_subject),
		cmocka_unit_test(delays_say_how_long),
		cmocka_unit_test(relayed_is_the_last_word),
		cmocka_unit_test(status_comes_from_reply_or_cause),
		cmocka_unit_test(hostile_texts_stay_inside),
		cmocka_unit_test(odd_orcpt_is_left_out),
		cmocka_unit_test(full_returns_the_message),
		cmocka_unit_test(too_large_or_odd_comes_back_as_headers),
		cmocka_unit_test(headers_with_8bit_are_encoded),
		cmocka_unit_test(long_headers_are_cut_at_a_line),
		cmocka_unit_test(a_boundary_stands_nowhere_else),
		cmocka_unit_test(the_subject_is_shown_if_it_is_plain),
		cmocka_unit_test(the_worst_case_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
