/* Whole dialogues with the server, on a memory stream: any input is served to its end. Beside what
 * fuzz_dialogue.h says of every dialogue,
 *
 *   - an accepted message is what was sent, byte for byte, has no bare CR or LF, is not larger than
 *     allowed and has not more recipients; our prefix is well-formed and holds one Received line;
 *   - how the input is cut makes no difference.
 *
 *   input = u8 listener, TLS setting, limits, answers, beginning; u8 how it is cut; u8 more limits
 *           and answers; what the client says, where byte 1 stands for a great many lines */
#include "base/clock.h"
#include "base/log.h"
#include "smtp/fuzz_dialogue.h"
#include "smtp/smtp_fake.h"

enum { INPUT_MAX = 16 << 20, MANY = 6000, MANY_TIMES = 4, BIG = 64, NO_TIME = 128 };

/* Lines end with CRLF and nothing else. */
static void check_lines(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\r')
			assert(i + 1 < text.n && text.p[i + 1] == '\n');
		if (text.p[i] == '\n')
			assert(i > 0 && text.p[i - 1] == '\r');
	}
}

static void check_prefix(const struct smtp_fake *f, struct str sent)
{
	check_lines(f->prefix);
	assert(str_starts(f->prefix, STR("Received: from ")));
	assert(str_ends_nocase(f->prefix, STR("\r\n")));
	/* An empty line only where the content would otherwise continue our last field. */
	struct str fields = f->prefix;
	if (sent.n && (sent.p[0] == ' ' || sent.p[0] == '\t')) {
		assert(str_ends_nocase(fields, STR("\r\n\r\n")));
		fields = str_take(fields, fields.n - 2);
	}
	assert(!memmem(fields.p, fields.n, "\r\n\r\n", 4));
	for (size_t i = 0; i < f->prefix.n; i++)
		assert((unsigned char)f->prefix.p[i] < 127);
}

static void check_accepted(const struct smtp_fake *f, struct str content)
{
	struct buf sent;
	buf_init(&sent, INPUT_MAX);
	dialogue_unstuff(content, &sent);
	assert(f->spooled || str_eq(buf_str(&sent), f->body));
	assert(sent.n <= f->conf.smtp_max_size);
	check_lines(buf_str(&sent));
	check_prefix(f, buf_str(&sent));
	buf_done(&sent);
	assert(f->envelope.recipient_count >= 1);
	assert(f->envelope.recipient_count <= f->conf.smtp_max_recipients);
}

/* ---- a session -------------------------------------------------------------------------------- */

/* A recipient of this name means that the service stops now. */
static int ask_rcpt(void *arg, const struct ask_rcpt *q, struct arena *arena,
	struct ask_rcpt_answer *ret, struct err *err)
{
	struct smtp_fake *f = arg;
	if (str_starts(q->recipient, STR("stop@")))
		*(bool *)(uintptr_t)f->server.stop = true;
	return smtp_fake_rcpt(arg, q, arena, ret, err);
}

static void prepare(struct smtp_fake *f, uint8_t choice, uint8_t more, bool *stop)
{
	static const struct smtp_questions questions = {.rcpt = ask_rcpt,
		.accept = smtp_fake_accept,
		.open_spool = smtp_fake_spool,
		.take_room = smtp_fake_take_room,
		.give_room = smtp_fake_give_room,
		.record = smtp_fake_record};
	static const uint16_t codes[] = {0, 0, 0, 250, 299, 451, 550, 999};
	f->server.questions = &questions;
	f->server.stop = stop;
	f->server.listener = choice & 1 ? LISTENER_SUBMISSION : LISTENER_SMTP;
	f->conf.smtp_tls = choice & 2 ? TLS_INBOUND_REQUIRED : TLS_INBOUND_AVAILABLE;
	f->conf.submission_tls = choice & 2 ? TLS_INBOUND_OFF : TLS_INBOUND_AVAILABLE;
	f->conf.smtp_max_size = choice & 4 ? 64 : more & BIG ? 3 << 20 : 1 << 20;
	f->conf.smtp_max_errors = choice & 8 ? 3 : 1000;
	f->accept_error = choice & 16 ? (enum err_kind)(ERR_TEMP + more % 3) : ERR_NONE;
	f->rcpt_error = choice & 32 ? ERR_TEMP : ERR_NONE;
	f->rcpt_code = codes[more % 8];
	f->rcpt_scope = (enum rcpt_scope)(more % 3);
	f->conf.smtp_max_commands = more & 8 ? 4 : 1000;
	f->conf.smtp_max_messages = more & 16 ? 2 : 1000;
	f->conf.smtp_max_recipients = more & 16 ? 1 : 100;
	f->spool_error = more & 32 ? ERR_FULL : ERR_NONE;
	f->conf.smtp_session_ms = more & NO_TIME ? 0 : 20000;
}

/* The output with all that changes from run to run (the 13 characters of ids) taken out. */
static void mask_ids(struct buf *out)
{
	for (size_t i = 0; i + 24 < out->n; i++)
		if (!memcmp(out->p + i, "250 2.0.0 <", 11))
			memset(out->p + i + 11, 'x', 13);
}

static struct smtp_fake *run(
	struct str input, uint8_t choice, uint8_t more, size_t piece, struct buf *out)
{
	struct smtp_fake *f = smtp_fake_new();
	struct str greeting;
	bool stop = false, idle = true;
	prepare(f, choice, more, &stop);
	f->server.idle = &idle;
	buf_init(out, INPUT_MAX);
	struct stream *s = stream_new_memory(input, piece, out);
	smtp_serve(s, &f->server);
	stream_free(s);
	assert(!idle);
	struct dialogue d = {.said = input, .replies = buf_str(out)};
	assert(dialogue_reply(&d, &greeting) && str_starts(greeting, STR("220 ")));
	dialogue_walk(&d, !(more & NO_TIME));
	assert(d.accepted == f->accepted);
	if (d.accepted)
		check_accepted(f, d.content);
	mask_ids(out);
	return f;
}

static void take_input(struct str said, uint8_t choice, uint8_t more, struct buf *input)
{
	static const char *const beginnings[] = {
		"",
		"EHLO x\r\n",
		"EHLO x\r\nMAIL FROM:<a@b.example>\r\n",
		"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@example.org>\r\nDATA\r\n",
	};
	unsigned times = 0;
	buf_init(input, INPUT_MAX);
	buf_add_c(input, beginnings[choice >> 6]);
	for (size_t i = 0; i < said.n; i++) {
		if (said.p[i] != 1 || !(more & BIG) || times++ >= MANY_TIMES)
			buf_add_char(input, said.p[i]);
		else
			for (int line = 0; line < MANY; line++)
				buf_add_c(input, "many lines of one message, all of them the same, and more\r\n");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str script = str_make((const char *)data, size);
	uint8_t choice = fuzz_byte(&script), cut = fuzz_byte(&script), more = fuzz_byte(&script);
	struct buf input, whole, pieces;
	log_open(-1, LOG_ERROR);
	clock_set_wall_ms(1795287600000);
	take_input(script, choice, more, &input);
	struct smtp_fake *a = run(buf_str(&input), choice, more, 0, &whole);
	size_t piece = more & BIG ? 1021u * (1u + cut % 16) : 1u + cut % 16;
	struct smtp_fake *b = run(buf_str(&input), choice, more, piece, &pieces);
	if (!(more & NO_TIME)) {
		assert(a->accepted == b->accepted && a->asked == b->asked);
		assert(str_eq(buf_str(&whole), buf_str(&pieces)));
		assert(str_eq(a->body, b->body) && str_eq(a->recipients, b->recipients));
	}
	buf_done(&input);
	buf_done(&whole);
	buf_done(&pieces);
	smtp_fake_free(a);
	smtp_fake_free(b);
	return 0;
}
