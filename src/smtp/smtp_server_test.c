/* Dialogues on a memory stream: what the client says at once, and the replies as a list of codes.
 * Each runs with the input whole and cut into pieces of 1, 2, 3 and 7 bytes, which must make no
 * difference. TLS has tests of its own in smtp_server_tls_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "smtp/smtp_fake.h"

/* ---- helpers ----------------------------------------------------------------------------------- */

/* "220 250 250/2.1.0 …": each reply's code, and its enhanced code if there is one. Fails on a line
 * that is no reply. */
static void reply_codes(struct str output, char *dst, size_t size)
{
	size_t n = 0;
	dst[0] = 0;
	while (output.n) {
		ptrdiff_t end = str_find(output, '\n');
		assert_true(end > 4 && output.p[end - 1] == '\r');
		struct str line = str_take(output, (size_t)end - 1), enhanced;
		output = str_skip(output, (size_t)end + 1);
		assert_true(line.n <= 510);
		assert_true(line.p[0] >= '2' && line.p[0] <= '5');
		assert_true(ascii_is_digit(line.p[1]) && ascii_is_digit(line.p[2]));
		assert_true(line.p[3] == ' ' || line.p[3] == '-');
		if (line.p[3] == '-')
			continue;
		struct str rest = str_skip(line, 4);
		str_split(&rest, ' ', &enhanced);
		bool is_code = enhanced.n >= 5 && enhanced.p[1] == '.' && enhanced.p[3] == '.';
		n += (size_t)snprintf(dst + n, size - n, "%s%.3s%s%.*s", n ? " " : "", line.p,
			is_code ? "/" : "", is_code ? (int)enhanced.n : 0, enhanced.p);
		assert_true(n < size);
	}
}

/* Runs a session over `input`; the whole output stays in *out. */
static void run(struct smtp_fake *f, struct str input, size_t piece, struct buf *out)
{
	buf_init(out, 1 << 20);
	struct stream *s = stream_new_memory(input, piece, out);
	smtp_serve(s, &f->server);
	stream_free(s);
}

static const size_t pieces[] = {0, 1, 2, 3, 7};
enum { PIECES = sizeof pieces / sizeof pieces[0] };

struct dialogue {
	const char *name;
	const char *input;
	const char *replies;
	unsigned accepted;
};

#define HELLO "EHLO client.example.net\r\n"
#define MAIL_TO HELLO "MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n"
#define TO_DATA MAIL_TO "DATA\r\n"
#define HELLO_R "220 250 "
#define MAIL_R HELLO_R "250/2.1.0 250/2.1.5 "
#define DATA_R MAIL_R "354 "
#define QUIT "QUIT\r\n"
#define QUIT_R " 221/2.0.0"

/* Runs each dialogue in all pieces on a fake that `prepare` (may be NULL) has changed. */
static void check_all(const struct dialogue *d, size_t count, void (*prepare)(struct smtp_fake *))
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < PIECES; j++) {
			struct smtp_fake *f = smtp_fake_new();
			struct buf out;
			char got[4096];
			if (prepare)
				prepare(f);
			run(f, str_from_c(d[i].input), pieces[j], &out);
			reply_codes(buf_str(&out), got, sizeof got);
			if (strcmp(got, d[i].replies) != 0 || f->accepted != d[i].accepted)
				fail_msg("%s (pieces of %zu): got %s, accepted %u; wanted %s, accepted %u",
					d[i].name, pieces[j], got, f->accepted, d[i].replies, d[i].accepted);
			buf_done(&out);
			smtp_fake_free(f);
		}
}
#define CHECK_ALL(table, prepare) check_all(table, sizeof table / sizeof table[0], prepare)

static void assert_str(struct str got, const char *want)
{
	if (!str_eq(got, str_from_c(want)))
		fail_msg("got \"%.*s\", wanted \"%s\"", STR_ARG(got), want);
}

static void assert_holds(struct str text, const char *part)
{
	if (!memmem(text.p, text.n, part, strlen(part)))
		fail_msg("\"%.*s\" does not hold \"%s\"", STR_ARG(text), part);
}

static void assert_lacks(struct str text, const char *part)
{
	if (memmem(text.p, text.n, part, strlen(part)))
		fail_msg("\"%.*s\" holds \"%s\"", STR_ARG(text), part);
}

/* One session over `input` on a fake of the test's own; *out is for the test to look at and free. */
static struct smtp_fake *session(const char *input, struct buf *out)
{
	struct smtp_fake *f = smtp_fake_new();
	run(f, str_from_c(input), 0, out);
	return f;
}

/* ---- commands and their order ------------------------------------------------------------------ */

static void commands(void **state)
{
	(void)state;
	static const struct dialogue d[] = {
		{"nothing", "", "220", 0},
		{"quit", QUIT, "220 221/2.0.0", 0},
		{"helo", "HELO client\r\n" QUIT, "220 250 221/2.0.0", 0},
		{"ehlo", HELLO QUIT, "220 250 221/2.0.0", 0},
		{"small letters", "ehlo client\r\nmail from:<a@b.example>\r\nquit\r\n",
			"220 250 250/2.1.0 221/2.0.0", 0},
		{"hello without a name", "EHLO\r\nHELO \r\n" QUIT, "220 501/5.5.4 501/5.5.4 221/2.0.0", 0},
		{"hello that would break Received", "EHLO a(b\r\nEHLO a b\r\nEHLO a\"b\r\n" QUIT,
			"220 501/5.5.4 501/5.5.4 501/5.5.4 221/2.0.0", 0},
		{"hello of all kinds", "EHLO [192.0.2.1]\r\nEHLO [IPv6:2001:db8::1]\r\nEHLO my_pc\r\n",
			"220 250 250 250", 0},
		{"refused hello keeps the old one", HELLO "EHLO a b\r\nMAIL FROM:<>\r\n",
			HELLO_R "501/5.5.4 250/2.1.0", 0},
		{"noop, help, vrfy", "NOOP\r\nNOOP at all\r\nHELP\r\nVRFY bob\r\n" QUIT,
			"220 250/2.0.0 250/2.0.0 214/2.0.0 252/2.0.0 221/2.0.0", 0},
		{"not offered", "EXPN list\r\nTURN\r\nBDAT 5 LAST\r\nAUTH PLAIN AGEAYg==\r\n" QUIT,
			"220 502/5.5.1 502/5.5.1 502/5.5.1 502/5.5.1 221/2.0.0", 0},
		{"unknown", "XYZZY\r\n\r\n EHLO x\r\nEHLOX\r\n" QUIT,
			"220 500/5.5.2 500/5.5.2 500/5.5.2 500/5.5.2 221/2.0.0", 0},
		{"parameters where none belong", HELLO "RSET x\r\nDATA x\r\nQUIT now\r\n" QUIT,
			HELLO_R "501/5.5.4 503/5.5.1 501/5.5.4 221/2.0.0", 0},
		{"blanks at the end", HELLO "RSET  \r\nQUIT \r\n", HELLO_R "250/2.0.0 221/2.0.0", 0},
		{"nothing is read after quit", QUIT "NOOP\r\n", "220 221/2.0.0", 0},
		{"starttls without a context", HELLO "STARTTLS\r\n", HELLO_R "454/4.7.0", 0},
		{"starttls with a parameter", HELLO "STARTTLS now\r\n", HELLO_R "501/5.5.4", 0},
		{"starttls before hello", "STARTTLS\r\n", "220 503/5.5.1", 0},
	};
	CHECK_ALL(d, NULL);
}

static void order(void **state)
{
	(void)state;
	static const struct dialogue d[] = {
		{"mail before hello", "MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n",
			"220 503/5.5.1 503/5.5.1 503/5.5.1", 0},
		{"rcpt before mail", HELLO "RCPT TO:<b@example.org>\r\nDATA\r\n",
			HELLO_R "503/5.5.1 503/5.5.1", 0},
		{"mail twice", HELLO "MAIL FROM:<>\r\nMAIL FROM:<>\r\n", HELLO_R "250/2.1.0 503/5.5.1", 0},
		{"data without recipient", HELLO "MAIL FROM:<>\r\nDATA\r\n" QUIT,
			HELLO_R "250/2.1.0 554/5.5.1" QUIT_R, 0},
		{"data after refused recipients",
			HELLO "MAIL FROM:<>\r\nRCPT TO:<b@elsewhere.example>\r\nDATA\r\n" QUIT,
			HELLO_R "250/2.1.0 550/5.7.1 554/5.5.1" QUIT_R, 0},
		{"rset forgets", MAIL_TO "RSET\r\nRCPT TO:<b@example.org>\r\nDATA\r\n",
			MAIL_R "250/2.0.0 503/5.5.1 503/5.5.1", 0},
		{"hello forgets", MAIL_TO HELLO "DATA\r\n", MAIL_R "250 503/5.5.1", 0},
		{"a message", TO_DATA "Subject: x\r\n\r\nhi\r\n.\r\n" QUIT, DATA_R "250/2.0.0" QUIT_R, 1},
		{"an empty message", TO_DATA ".\r\n" QUIT, DATA_R "250/2.0.0" QUIT_R, 1},
		{"two messages",
			TO_DATA "1\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<c@example.org>\r\nDATA\r\n2\r\n.\r\n" QUIT,
			DATA_R "250/2.0.0 250/2.1.0 250/2.1.5 354 250/2.0.0" QUIT_R, 2},
		{"the message ends the transaction", TO_DATA "1\r\n.\r\nDATA\r\n",
			DATA_R "250/2.0.0 503/5.5.1", 1},
		{"lost inside the message", TO_DATA "1\r\n2", MAIL_R "354", 0},
		{"lost just before the end", TO_DATA "1\r\n.\r", MAIL_R "354", 0},
	};
	CHECK_ALL(d, NULL);
}

static void envelopes(void **state)
{
	(void)state;
	static const struct dialogue d[] = {
		{"parameters of MAIL",
			HELLO "MAIL FROM:<a@b.example> SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=x+20y\r\n",
			HELLO_R "250/2.1.0", 0},
		{"auth is ignored", HELLO "MAIL FROM:<a@b.example> AUTH=<>\r\n", HELLO_R "250/2.1.0", 0},
		{"unknown parameters",
			HELLO "MAIL FROM:<> FOO=1\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org> FOO\r\n",
			HELLO_R "555/5.5.4 250/2.1.0 555/5.5.4", 0},
		{"bad values", HELLO "MAIL FROM:<> SIZE=x\r\nMAIL FROM:<> RET=ALL\r\n",
			HELLO_R "501/5.5.4 501/5.5.4", 0},
		{"too large by SIZE", HELLO "MAIL FROM:<> SIZE=1000001\r\nMAIL FROM:<> SIZE=1000000\r\n",
			HELLO_R "552/5.3.4 250/2.1.0", 0},
		{"bad addresses", HELLO "MAIL FROM:a@b\r\nMAIL FROM:<a@b\r\nMAIL <a@b>\r\nMAIL\r\n",
			HELLO_R "501/5.5.4 501/5.1.7 501/5.5.4 501/5.5.4", 0},
		{"bad recipients", HELLO "MAIL FROM:<>\r\nRCPT TO:<>\r\nRCPT TO:<b@>\r\nRCPT TO:\r\n",
			HELLO_R "250/2.1.0 501/5.1.3 501/5.1.3 501/5.5.4", 0},
		{"postmaster", HELLO "MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\n",
			HELLO_R "250/2.1.0 550/5.7.1", 0},
		{"too many recipients",
			HELLO "MAIL FROM:<>\r\nRCPT TO:<1@example.org>\r\nRCPT TO:<2@example.org>\r\n"
				  "RCPT TO:<3@example.org>\r\nRCPT TO:<4@example.org>\r\n"
				  "RCPT TO:<1@example.org>\r\nDATA\r\n.\r\n",
			HELLO_R "250/2.1.0 250/2.1.5 250/2.1.5 250/2.1.5 452/4.5.3 250/2.1.5 354 250/2.0.0", 1},
	};
	CHECK_ALL(d, NULL);
}

static void envelope_contents(void **state)
{
	(void)state;
	struct buf out;
	struct smtp_fake *f = session(HELLO
		"MAIL FROM:<@relay.example:a@Example.NET> BODY=8BITMIME RET=HDRS ENVID=e+3D1\r\n"
		"RCPT TO:<b@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bx@example.org\r\n"
		"RCPT TO:<b@EXAMPLE.org> NOTIFY=NEVER\r\n"
		"RCPT TO:<B@example.org>\r\n"
		"DATA\r\n\303\244\r\n.\r\n",
		&out);
	assert_int_equal(f->accepted, 1);
	assert_int_equal(f->asked, 2); /* the same recipient is asked once */
	assert_str(f->sender, "a@Example.NET");
	assert_str(f->recipients, "b@example.org B@example.org");
	assert_str(f->envelope.envid, "e+3D1");
	assert_int_equal(f->envelope.ret, RET_HDRS);
	assert_int_equal(f->envelope.body_type, BODY_8BITMIME);
	assert_int_equal(f->first.notify, NOTIFY_SUCCESS | NOTIFY_DELAY);
	assert_str(f->first.orcpt, "rfc822;b+2Bx@example.org");
	assert_str(f->helo, "client.example.net");
	assert_true(f->has_8bit);
	buf_done(&out);
	smtp_fake_free(f);
}

static void postmaster_is_here(void **state)
{
	(void)state;
	struct smtp_fake *f = smtp_fake_new();
	struct buf out;
	f->conf.hostname = STR("example.org");
	run(f, STR(HELLO "MAIL FROM:<>\r\nRCPT TO:<PostMaster>\r\nDATA\r\n.\r\n"), 0, &out);
	assert_str(f->recipients, "postmaster@example.org");
	assert_str(f->sender, "");
	buf_done(&out);
	smtp_fake_free(f);
}

static void ehlo_lists(void **state)
{
	(void)state;
	struct buf out;
	struct smtp_fake *f = session(HELLO, &out);
	assert_holds(buf_str(&out), "220 mx.example.org ESMTP Letterlock\r\n");
	assert_holds(buf_str(&out), "250-mx.example.org\r\n");
	assert_holds(buf_str(&out), "PIPELINING\r\n");
	assert_holds(buf_str(&out), "SIZE 1000000\r\n");
	assert_holds(buf_str(&out), "8BITMIME\r\n");
	assert_holds(buf_str(&out), "DSN\r\n");
	assert_holds(buf_str(&out), "250 ENHANCEDSTATUSCODES\r\n");
	assert_lacks(buf_str(&out), "STARTTLS"); /* no context */
	buf_done(&out);
	/* The context is not looked into before STARTTLS, so any pointer will do. */
	static const struct {
		enum tls_inbound level;
		bool offered;
	} levels[] = {
		{TLS_INBOUND_OFF, false}, {TLS_INBOUND_AVAILABLE, true}, {TLS_INBOUND_REQUIRED, true}};
	for (size_t i = 0; i < 3; i++) {
		f->server.tls = (struct ssl_ctx_st *)f;
		f->conf.smtp_tls = levels[i].level;
		run(f, STR(HELLO), 0, &out);
		if (levels[i].offered)
			assert_holds(buf_str(&out), "250-STARTTLS\r\n");
		else
			assert_lacks(buf_str(&out), "STARTTLS");
		buf_done(&out);
	}
	smtp_fake_free(f);
}

/* ---- TLS as a rule ----------------------------------------------------------------------------- */

static void require_tls(struct smtp_fake *f)
{
	f->conf.smtp_tls = TLS_INBOUND_REQUIRED;
	f->server.tls = (struct ssl_ctx_st *)f; /* never used: no dialogue gets so far */
}

static void submission_requires_tls(struct smtp_fake *f)
{
	f->conf.submission_tls = TLS_INBOUND_REQUIRED;
	f->server.listener = LISTENER_SUBMISSION;
	f->server.tls = (struct ssl_ctx_st *)f;
}

static void offer_no_tls(struct smtp_fake *f)
{
	f->conf.smtp_tls = TLS_INBOUND_OFF;
	f->server.tls = (struct ssl_ctx_st *)f;
}

static void offer_tls(struct smtp_fake *f)
{
	f->server.tls = (struct ssl_ctx_st *)f;
}

static void tls_required(void **state)
{
	(void)state;
	static const struct dialogue d[] = {
		{"what is refused",
			HELLO "MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nVRFY b\r\nAUTH PLAIN x\r\n",
			HELLO_R "530/5.7.0 530/5.7.0 530/5.7.0 530/5.7.0 530/5.7.0", 0},
		{"what is not", "NOOP\r\n" HELLO "HELO x\r\nRSET\r\n" QUIT,
			"220 250/2.0.0 250 250 250/2.0.0" QUIT_R, 0},
	};
	CHECK_ALL(d, require_tls);
	CHECK_ALL(d, submission_requires_tls);
}

static void tls_off(void **state)
{
	(void)state;
	static const struct dialogue d[] = {
		{"starttls", HELLO "STARTTLS\r\n" QUIT, HELLO_R "502/5.5.1" QUIT_R, 0}};
	CHECK_ALL(d, offer_no_tls);
}

/* Said in one breath with STARTTLS: none of it counts, and the session ends (CVE-2011-0411). */
static void starttls_injection(void **state)
{
	(void)state;
	struct smtp_fake *f = smtp_fake_new();
	struct buf out;
	char codes[256];
	offer_tls(f);
	run(f, STR(HELLO "STARTTLS\r\nMAIL FROM:<evil@example.net>\r\n"), 0, &out);
	reply_codes(buf_str(&out), codes, sizeof codes);
	assert_string_equal(codes, HELLO_R "554/5.5.1");
	assert_int_equal(f->recorded, 1);
	assert_holds(str_from_c(f->record), "30 bytes of plaintext behind STARTTLS");
	assert_lacks(str_from_c(f->record), "evil");
	buf_done(&out);
	smtp_fake_free(f);
}

/* ---- line ends --------------------------------------------------------------------------------- */

static void bare_in_commands(void **state)
{
	(void)state;
	static const struct dialogue d[] = {
		{"LF alone", "NOOP\nNOOP\r\n" QUIT, "220 500/5.5.2 250/2.0.0" QUIT_R, 0},
		{"CR inside", "NOOP\rNOOP\r\n" QUIT, "220 500/5.5.2" QUIT_R, 0},
		{"CR CR LF", "NOOP\r\r\n" QUIT, "220 500/5.5.2" QUIT_R, 0},
		{"NUL", HELLO "MAIL FROM:<a@b.example> \r\nRSET\r\n", HELLO_R "250/2.1.0 250/2.0.0", 0},
	};
	CHECK_ALL(d, NULL);
}

/* Sequences that some servers take for the end of data. Here each stays inside one message, which is
 * read to its true end and refused; what follows is not taken for commands. */
static void smuggling(void **state)
{
	(void)state;
#define SMUGGLED "MAIL FROM:<evil@example.net>\r\nRCPT TO:<c@example.org>\r\nDATA\r\nevil\r\n"
#define REFUSED DATA_R "550/5.6.0 250/2.0.0" QUIT_R
#define THE_END ".\r\nNOOP\r\n" QUIT
	static const struct dialogue d[] = {
		{"LF . LF", TO_DATA "x\r\n\n.\n" SMUGGLED THE_END, REFUSED, 0},
		{"x LF . LF", TO_DATA "x\n.\n" SMUGGLED THE_END, REFUSED, 0},
		{"LF . CRLF", TO_DATA "x\n.\r\n" SMUGGLED THE_END, REFUSED, 0},
		{"CRLF . LF", TO_DATA "x\r\n.\n" SMUGGLED THE_END, REFUSED, 0},
		{"CR . CR", TO_DATA "x\r.\r" SMUGGLED THE_END, REFUSED, 0},
		{"CR . CRLF", TO_DATA "x\r.\r\n" SMUGGLED THE_END, REFUSED, 0},
		{"CRLF . CR", TO_DATA "x\r\n.\r" SMUGGLED THE_END, REFUSED, 0},
		{"CR CRLF . CRLF ends", TO_DATA "x\r\r\n.\r\nNOOP\r\n" QUIT, REFUSED, 0},
		{"LF at the very start", TO_DATA "\n.\r\n" SMUGGLED THE_END, REFUSED, 0},
		{". LF at the very start", TO_DATA ".\n" SMUGGLED THE_END, REFUSED, 0},
		{". CR at the very start", TO_DATA ".\rx\r\n" SMUGGLED THE_END, REFUSED, 0},
		{"CRLF .. CRLF", TO_DATA "x\r\n..\r\ny\r\n.\r\n" QUIT, DATA_R "250/2.0.0" QUIT_R, 1},
		{"CRLF . x CRLF", TO_DATA "x\r\n.x\r\ny\r\n.\r\n" QUIT, DATA_R "250/2.0.0" QUIT_R, 1},
	};
	CHECK_ALL(d, NULL);
}

/* The same with a NUL in the place of, before and behind each byte of the terminator. */
static void smuggling_with_nul(void **state)
{
	(void)state;
	static const char *const ends[] = {"\r\n\0.\r\n", "\r\n.\0\r\n", "\r\n.\r\0\n", "\r\0\n.\r\n",
		"\0\n.\r\n\r\n", "\r\n.\0\n\r\n"};
	static const size_t lengths[] = {6, 6, 6, 6, 7, 7};
	for (size_t i = 0; i < 6; i++)
		for (size_t j = 0; j < PIECES; j++) {
			struct smtp_fake *f = smtp_fake_new();
			struct buf in, out;
			buf_init(&in, 4096);
			buf_add(&in, STR(TO_DATA "x"));
			buf_add(&in, str_make(ends[i], lengths[i]));
			buf_add(&in, STR("MAIL FROM:<evil@example.net>\r\n.\r\n" QUIT));
			run(f, buf_str(&in), pieces[j], &out);
			assert_lacks(buf_str(&out), "evil");
			assert_holds(buf_str(&out), "221 2.0.0");
			if (f->accepted)
				assert_holds(f->body, "MAIL FROM:<evil@example.net>\r\n");
			buf_done(&in);
			buf_done(&out);
			smtp_fake_free(f);
		}
}

static void content_is_kept(void **state)
{
	(void)state;
	static const char input[] = TO_DATA "A: b\r\n\r\n..\r\n...x\r\n.y\r\n \0 \377\r\n\r\n.\r\n";
	static const char want[] = "A: b\r\n\r\n.\r\n..x\r\ny\r\n \0 \377\r\n\r\n";
	for (size_t j = 0; j < PIECES; j++) {
		struct smtp_fake *f = smtp_fake_new();
		struct buf out;
		run(f, str_make(input, sizeof input - 1), pieces[j], &out);
		assert_int_equal(f->body.n, sizeof want - 1);
		assert_memory_equal(f->body.p, want, sizeof want - 1);
		assert_true(f->has_8bit);
		buf_done(&out);
		smtp_fake_free(f);
	}
}

/* ---- limits ------------------------------------------------------------------------------------ */

static void long_lines(void **state)
{
	(void)state;
	for (size_t n = 2040; n < 2056; n++)
		for (size_t j = 0; j < PIECES; j++) {
			struct smtp_fake *f = smtp_fake_new();
			struct buf in, out;
			char codes[256];
			buf_init(&in, 8192);
			buf_add(&in, STR("NOOP "));
			while (in.n < n)
				buf_add_char(&in, 'x');
			buf_add(&in, STR("\r\nNOOP\r\n"));
			run(f, buf_str(&in), pieces[j], &out);
			reply_codes(buf_str(&out), codes, sizeof codes);
			assert_string_equal(
				codes, n <= 2046 ? "220 250/2.0.0 250/2.0.0" : "220 500/5.5.2 250/2.0.0");
			buf_done(&in);
			buf_done(&out);
			smtp_fake_free(f);
		}
}

static void few_errors(struct smtp_fake *f)
{
	f->conf.smtp_max_errors = 3;
}

static void few_commands(struct smtp_fake *f)
{
	f->conf.smtp_max_commands = 3;
}

static void too_much(void **state)
{
	(void)state;
	static const struct dialogue errors[] = {
		{"unknown commands", "X\r\nX\r\nX\r\nNOOP\r\n",
			"220 500/5.5.2 500/5.5.2 500/5.5.2 421/4.7.0", 0},
		{"bare LF", "X\nX\nX\nNOOP\r\n", "220 500/5.5.2 500/5.5.2 500/5.5.2 421/4.7.0", 0},
		{"guessing recipients",
			HELLO "MAIL FROM:<>\r\nRCPT TO:<a@x.example>\r\nRCPT TO:<b@x.example>\r\n"
				  "RCPT TO:<c@x.example>\r\nRCPT TO:<d@x.example>\r\n",
			HELLO_R "250/2.1.0 550/5.7.1 550/5.7.1 550/5.7.1 421/4.7.0", 0},
		{"two are forgiven", "X\r\nX\r\n" QUIT, "220 500/5.5.2 500/5.5.2 221/2.0.0", 0},
	};
	CHECK_ALL(errors, few_errors);
	static const struct dialogue many[] = {
		{"commands", "NOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\n",
			"220 250/2.0.0 250/2.0.0 250/2.0.0 421/4.7.0", 0},
		{"the last one may be quit", "NOOP\r\nNOOP\r\n" QUIT, "220 250/2.0.0 250/2.0.0 221/2.0.0",
			0},
	};
	CHECK_ALL(many, few_commands);
}

static void small_messages(struct smtp_fake *f)
{
	f->conf.smtp_max_size = 10;
}

static void sizes(void **state)
{
	(void)state;
	static const struct dialogue d[] = {
		{"just fits", TO_DATA "12345678\r\n.\r\n" QUIT, DATA_R "250/2.0.0" QUIT_R, 1},
		{"one too many", TO_DATA "123456789\r\n.\r\n" QUIT, DATA_R "552/5.3.4" QUIT_R, 0},
		{"dots do not count", TO_DATA "..345678\r\n..\r\n.\r\n" QUIT, DATA_R "250/2.0.0" QUIT_R, 1},
		{"read to the end", TO_DATA "1234567890\r\nMAIL FROM:<>\r\n.\r\nNOOP\r\n" QUIT,
			DATA_R "552/5.3.4 250/2.0.0" QUIT_R, 0},
	};
	/* "..345678" is 7 bytes and CRLF 9; the second ".." makes 3 more: too many by two */
	check_all(d, 2, small_messages);
	check_all(d + 3, 1, small_messages);
}

static void hops(void **state)
{
	(void)state;
#define HOP "Received: from a by b\r\n"
	static const struct dialogue d[] = {
		{"four", TO_DATA HOP HOP HOP HOP "\r\nx\r\n.\r\n", DATA_R "250/2.0.0", 1},
		{"five", TO_DATA HOP HOP HOP HOP HOP "\r\nx\r\n.\r\n", DATA_R "554/5.4.6", 0},
		{"in the body", TO_DATA HOP HOP HOP HOP "\r\n" HOP HOP HOP ".\r\n", DATA_R "250/2.0.0", 1},
	};
	CHECK_ALL(d, NULL);
}

static void stop(struct smtp_fake *f)
{
	static const bool stopped = true;
	f->server.stop = &stopped;
}

static void stopping(void **state)
{
	(void)state;
	static const struct dialogue d[] = {
		{"before the next command", "NOOP\r\nNOOP\r\n", "220 421/4.3.2", 0},
		{"at the end of input", "", "220 421/4.3.2", 0},
	};
	CHECK_ALL(d, stop);
}

/* ---- what the others answer -------------------------------------------------------------------- */

static void store_away(struct smtp_fake *f)
{
	f->rcpt_error = ERR_TEMP;
}

static void store_talks_nonsense(struct smtp_fake *f)
{
	f->rcpt_code = 299;
}

static void store_talks_nonsense_again(struct smtp_fake *f)
{
	f->rcpt_code = 550; /* without an enhanced code */
}

static void accept_later(struct smtp_fake *f)
{
	f->accept_error = ERR_TEMP;
}

static void accept_when_there_is_room(struct smtp_fake *f)
{
	f->accept_error = ERR_FULL;
}

static void accept_never(struct smtp_fake *f)
{
	f->accept_error = ERR_PERM;
}

static void answers(void **state)
{
	(void)state;
	static const struct dialogue rcpt[] = {
		{"rcpt", MAIL_TO "DATA\r\n" QUIT, HELLO_R "250/2.1.0 451/4.3.0 554/5.5.1" QUIT_R, 0}};
	CHECK_ALL(rcpt, store_away);
	CHECK_ALL(rcpt, store_talks_nonsense);
	CHECK_ALL(rcpt, store_talks_nonsense_again);
	static const struct dialogue later[] = {
		{"later", TO_DATA "x\r\n.\r\n" QUIT, DATA_R "451/4.3.0" QUIT_R, 0}};
	CHECK_ALL(later, accept_later);
	static const struct dialogue full[] = {
		{"full", TO_DATA "x\r\n.\r\n" QUIT, DATA_R "452/4.3.1" QUIT_R, 0}};
	CHECK_ALL(full, accept_when_there_is_room);
	static const struct dialogue never[] = {
		{"never", TO_DATA "x\r\n.\r\n" QUIT, DATA_R "554/5.3.0" QUIT_R, 0}};
	CHECK_ALL(never, accept_never);
}

static void no_room(void **state)
{
	(void)state;
	struct smtp_fake *f = smtp_fake_new();
	struct buf in, out;
	char codes[256];
	f->spool_error = ERR_FULL;
	f->conf.smtp_max_size = 4 << 20;
	buf_init(&in, 4 << 20);
	buf_add(&in, STR(TO_DATA));
	for (int i = 0; i < 40000; i++)
		buf_add(&in, STR("a line of fifty bytes, or so they say, with CRLF\r\n"));
	buf_add(&in, STR(".\r\nNOOP\r\n"));
	run(f, buf_str(&in), 0, &out);
	reply_codes(buf_str(&out), codes, sizeof codes);
	assert_string_equal(codes, DATA_R "452/4.3.1 250/2.0.0");
	assert_int_equal(f->accepted, 0);
	buf_done(&out);
	f->spool_error = ERR_TEMP; /* the store is away: that is no want of room */
	run(f, buf_str(&in), 0, &out);
	reply_codes(buf_str(&out), codes, sizeof codes);
	assert_string_equal(codes, DATA_R "451/4.3.0 250/2.0.0");
	assert_int_equal(f->accepted, 0);
	buf_done(&out);
	f->spool_error = ERR_NONE;
	run(f, buf_str(&in), 0, &out);
	assert_int_equal(f->accepted, 1);
	assert_int_equal(f->spooled, 1);
	buf_done(&out);
	buf_done(&in);
	smtp_fake_free(f);
}

/* ---- what we add ------------------------------------------------------------------------------- */

static void received_header(void **state)
{
	(void)state;
	struct buf out;
	clock_set_wall_ms(1795287600000); /* 2026-11-21 19:00 */
	struct smtp_fake *f = session(TO_DATA "x\r\n.\r\n", &out);
	struct str id = str_skip(buf_str(&out), 0);
	assert_true(str_starts(f->prefix, STR("Received: from client.example.net ")));
	assert_holds(f->prefix, "[192.0.2.1]");
	assert_holds(f->prefix, "by mx.example.org");
	assert_holds(f->prefix, "ESMTP");
	assert_lacks(f->prefix, "ESMTPS");
	assert_holds(f->prefix, "b@example.org");
	assert_holds(f->prefix, "+0000\r\n");
	assert_lacks(f->prefix, "Message-ID");
	assert_lacks(f->prefix, "Date:");
	/* the id of the reply is the id in the header */
	const char *at = memmem(id.p, id.n, "250 2.0.0 <", 11);
	assert_non_null(at);
	char text[14];
	str_to_c(str_make(at + 11, 13), text, sizeof text);
	assert_holds(f->prefix, text);
	buf_done(&out);
	smtp_fake_free(f);

	f = session(
		"HELO client\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\n"
		"DATA\r\nx\r\n.\r\n",
		&out);
	assert_lacks(f->prefix, "ESMTP");
	assert_holds(f->prefix, "SMTP");
	assert_lacks(f->prefix, "b@example.org"); /* nobody's Bcc is told to the others */
	buf_done(&out);
	smtp_fake_free(f);
	clock_set_wall_ms(-1);
}

/* What is no header must not become part of ours. */
static void a_folded_beginning_is_body(void **state)
{
	(void)state;
	struct buf out;
	static const char *const apart[] = {" by nobody\r\n.\r\n", "\tby nobody\r\n.\r\n"};
	static const char *const plain[] = {"Subject: x\r\n y\r\n.\r\n", "\r\n x\r\n.\r\n", ".\r\n"};
	char dialogue[512];
	for (size_t i = 0; i < 5; i++) {
		snprintf(dialogue, sizeof dialogue, TO_DATA "%s", i < 2 ? apart[i] : plain[i - 2]);
		struct smtp_fake *f = session(dialogue, &out);
		assert_int_equal(str_ends_nocase(f->prefix, STR("\r\n\r\n")), i < 2);
		buf_done(&out);
		smtp_fake_free(f);
	}
}

static void submission_adds(void **state)
{
	(void)state;
	struct smtp_fake *f = smtp_fake_new();
	struct buf out;
	f->server.listener = LISTENER_SUBMISSION;
	run(f, STR(TO_DATA "Subject: x\r\n\r\nx\r\n.\r\n"), 0, &out);
	assert_holds(f->prefix, "\r\nDate: ");
	assert_holds(f->prefix, "\r\nMessage-ID: <");
	assert_holds(f->message_id, "@mx.example.org>");
	assert_holds(f->prefix, "@mx.example.org>\r\n");
	buf_done(&out);
	run(f, STR(TO_DATA "Date: x\r\nMessage-ID: <y@z>\r\n\r\nx\r\n.\r\n"), 0, &out);
	assert_lacks(f->prefix, "Date:");
	assert_lacks(f->prefix, "Message-ID");
	assert_str(f->message_id, "<y@z>");
	buf_done(&out);
	smtp_fake_free(f);
}

/* ---- the record -------------------------------------------------------------------------------- */

static void records(void **state)
{
	(void)state;
	static const struct {
		const char *input;
		unsigned recorded;
	} when[] = {{"", 0}, {QUIT, 0}, {HELLO QUIT, 0}, {HELLO "MAIL FROM:<>\r\n", 1}, {"X\r\n", 1},
		{TO_DATA ".\r\n", 1}};
	for (size_t i = 0; i < sizeof when / sizeof when[0]; i++) {
		struct buf out;
		struct smtp_fake *f = session(when[i].input, &out);
		assert_int_equal(f->recorded, when[i].recorded);
		buf_done(&out);
		smtp_fake_free(f);
	}
	struct buf out;
	struct smtp_fake *f = session(TO_DATA "Subject: inside\r\n\r\n.\r\n" QUIT, &out);
	struct str record = str_from_c(f->record);
	assert_holds(record, "connect 192.0.2.1:4711 smtp\n");
	assert_holds(record, "received MAIL FROM:<a@example.net>\n");
	assert_holds(record, "sent 354 ");
	assert_holds(record, "sent 250 2.0.0 <");
	assert_holds(record, "note quit\n");
	assert_lacks(record, "inside");
	buf_done(&out);
	smtp_fake_free(f);
}

/* A long session leaves several records; each message names the one that tells of it. */
static void records_are_split(void **state)
{
	(void)state;
	struct smtp_fake *f = smtp_fake_new();
	struct buf in, out;
	buf_init(&in, 1 << 20);
	buf_add(&in, STR(HELLO));
	for (int i = 0; i < 20; i++)
		buf_add(&in, STR("MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n.\r\n"));
	buf_add(&in, STR(QUIT));
	run(f, buf_str(&in), 0, &out);
	assert_int_equal(f->accepted, 20);
	assert_int_equal(f->recorded, 2);
	assert_int_equal(f->session_id, f->record_id);
	assert_holds(str_from_c(f->record), "note goes on from record ");
	assert_lacks(str_from_c(f->record), "EHLO");
	buf_done(&in);
	buf_done(&out);
	smtp_fake_free(f);
}

static void secrets_stay_out(void **state)
{
	(void)state;
	struct buf out;
	struct smtp_fake *f =
		session(HELLO "AUTH LOGIN c2VjcmV0\r\nc2VjcmV0\r\npassword c2VjcmV0\r\n" QUIT, &out);
	assert_int_equal(f->recorded, 1);
	assert_lacks(str_from_c(f->record), "c2VjcmV0");
	assert_holds(str_from_c(f->record), "received AUTH (");
	assert_lacks(buf_str(&out), "c2VjcmV0");
	buf_done(&out);
	smtp_fake_free(f);
}

int main(void)
{
	log_open(-1, LOG_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands),
		cmocka_unit_test(order),
		cmocka_unit_test(envelopes),
		cmocka_unit_test(envelope_contents),
		cmocka_unit_test(postmaster_is_here),
		cmocka_unit_test(ehlo_lists),
		cmocka_unit_test(tls_required),
		cmocka_unit_test(tls_off),
		cmocka_unit_test(starttls_injection),
		cmocka_unit_test(bare_in_commands),
		cmocka_unit_test(smuggling),
		cmocka_unit_test(smuggling_with_nul),
		cmocka_unit_test(content_is_kept),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(too_much),
		cmocka_unit_test(sizes),
		cmocka_unit_test(hops),
		cmocka_unit_test(stopping),
		cmocka_unit_test(answers),
		cmocka_unit_test(no_room),
		cmocka_unit_test(received_header),
		cmocka_unit_test(a_folded_beginning_is_body),
		cmocka_unit_test(submission_adds),
		cmocka_unit_test(records),
		cmocka_unit_test(records_are_split),
		cmocka_unit_test(secrets_stay_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
