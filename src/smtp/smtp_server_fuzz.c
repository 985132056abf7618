/* Whole dialogues: any input is served to its end. Whatever it is,
 *   - every reply line ends with CRLF, is short, printable, and has a code that SMTP knows;
 *   - nothing is accepted without its end of data: as many messages as "250 2.0.0 <id> accepted";
 *   - an accepted body has no bare CR or LF and is not larger than allowed;
 *   - our prefix is well-formed, and holds one Received line;
 *   - how the input is cut makes no difference.
 * The first byte chooses listener, TLS setting, limits, and how far the dialogue has come before the
 * input begins; the second one how it is cut. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "smtp/smtp_fake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static const char *const codes[] = {"220", "221", "214", "250", "252", "354", "421", "451", "452",
	"454", "500", "501", "502", "503", "530", "550", "552", "553", "554", "555"};

static bool known_code(struct str line)
{
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (str_starts(line, str_from_c(codes[i])))
			return true;
	return false;
}

/* Returns how many messages the replies accepted. */
static unsigned check_replies(struct str output)
{
	unsigned accepted = 0;
	while (output.n) {
		ptrdiff_t lf = str_find(output, '\n');
		require(lf >= 4 && lf < 512 && output.p[lf - 1] == '\r');
		struct str line = str_take(output, (size_t)lf - 1);
		output = str_skip(output, (size_t)lf + 1);
		require(known_code(line) && (line.p[3] == ' ' || line.p[3] == '-'));
		for (size_t i = 0; i < line.n; i++)
			require(line.p[i] >= ' ' && line.p[i] <= '~');
		accepted +=
			str_starts(line, STR("250 2.0.0 <")) && str_ends_nocase(line, STR("> accepted"));
	}
	return accepted;
}

/* Lines end with CRLF and nothing else. */
static void check_lines(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\r')
			require(i + 1 < text.n && text.p[i + 1] == '\n');
		if (text.p[i] == '\n')
			require(i > 0 && text.p[i - 1] == '\r');
	}
}

static void check_accepted(const struct smtp_fake *f)
{
	check_lines(f->body);
	require(f->body.n <= f->conf.smtp_max_size);
	require(f->body.n == 0 || f->body.p[f->body.n - 1] == '\n');
	check_lines(f->prefix);
	require(str_starts(f->prefix, STR("Received: from ")));
	require(str_ends_nocase(f->prefix, STR("\r\n")));
	/* An empty line only where the content would otherwise continue our last field. */
	struct str fields = f->prefix;
	if (f->body.n && (f->body.p[0] == ' ' || f->body.p[0] == '\t')) {
		require(str_ends_nocase(fields, STR("\r\n\r\n")));
		fields = str_take(fields, fields.n - 2);
	}
	require(!memmem(fields.p, fields.n, "\r\n\r\n", 4));
	for (size_t i = 0; i < f->prefix.n; i++)
		require((unsigned char)f->prefix.p[i] < 127);
	require(f->envelope.recipient_count >= 1);
	require(f->envelope.recipient_count <= f->conf.smtp_max_recipients);
}

static void prepare(struct smtp_fake *f, uint8_t choice)
{
	f->server.listener = choice & 1 ? LISTENER_SUBMISSION : LISTENER_SMTP;
	f->conf.smtp_tls = choice & 2 ? TLS_INBOUND_REQUIRED : TLS_INBOUND_AVAILABLE;
	f->conf.smtp_max_size = choice & 4 ? 64 : 1 << 20;
	f->conf.smtp_max_errors = choice & 8 ? 3 : 1000;
	f->accept_error = choice & 16 ? ERR_TEMP : ERR_NONE;
	f->rcpt_error = choice & 32 ? ERR_TEMP : ERR_NONE;
}

/* The output with all that changes from run to run (the 13 characters of ids) taken out. */
static void mask_ids(struct buf *out)
{
	for (size_t i = 0; i + 24 < out->n; i++)
		if (!memcmp(out->p + i, "250 2.0.0 <", 11))
			memset(out->p + i + 11, 'x', 13);
}

static struct smtp_fake *run(struct str input, uint8_t choice, size_t piece, struct buf *out)
{
	struct smtp_fake *f = smtp_fake_new();
	prepare(f, choice);
	buf_init(out, 64 << 20);
	struct stream *s = stream_new_memory(input, piece, out);
	smtp_serve(s, &f->server);
	stream_free(s);
	unsigned accepted = check_replies(buf_str(out));
	require(accepted == f->accepted);
	if (f->accepted)
		check_accepted(f);
	mask_ids(out);
	return f;
}

static const char *const beginnings[] = {
	"",
	"EHLO x\r\n",
	"EHLO x\r\nMAIL FROM:<a@b.example>\r\n",
	"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@example.org>\r\nDATA\r\n",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	log_open(-1, LOG_ERROR);
	clock_set_wall_ms(1795287600000);
	struct buf input, whole, cut;
	buf_init(&input, 64 << 20);
	buf_add_c(&input, beginnings[data[0] >> 6]);
	buf_add(&input, str_make((const char *)data + 2, size - 2));
	struct smtp_fake *a = run(buf_str(&input), data[0], 0, &whole);
	struct smtp_fake *b = run(buf_str(&input), data[0], 1 + data[1] % 16, &cut);
	require(a->accepted == b->accepted && a->asked == b->asked);
	require(str_eq(buf_str(&whole), buf_str(&cut)));
	require(str_eq(a->body, b->body) && str_eq(a->recipients, b->recipients));
	buf_done(&input);
	buf_done(&whole);
	buf_done(&cut);
	smtp_fake_free(a);
	smtp_fake_free(b);
	return 0;
}
