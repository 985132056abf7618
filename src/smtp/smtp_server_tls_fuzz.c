/* STARTTLS with a real handshake: commands in clear, then STARTTLS, then anything: under TLS, or raw in
 * place of the handshake, or behind STARTTLS in one packet with it. Beside what fuzz_dialogue.h says,
 *
 *   - what was said in clear counts no more: MAIL needs a new EHLO, and no transaction goes on;
 *   - plaintext behind STARTTLS is refused and ends the session;
 *   - without a handshake nothing is accepted; where TLS is required nothing is accepted in clear;
 *   - what is accepted under TLS is what was sent, and says so in its Received line.
 *
 *   input = u8 how far it goes in clear, listener, TLS setting, way; u8 beginning under TLS, size of
 *           pieces; what the client says */
#include "base/clock.h"
#include "base/log.h"
#include "smtp/fuzz_dialogue.h"
#include "smtp/fuzz_pair.h"
#include "smtp/smtp_fake.h"

enum { OUTPUT_MAX = 1 << 20, LINES = 7 };
enum way { UNDER_TLS, RAW, INJECTED };

/* Commands in clear, each with the beginning of its reply where TLS is not required. */
static const struct {
	const char *said, *reply;
} in_clear[LINES] = {
	{"EHLO client.example\r\n", "250 "},
	{"MAIL FROM:<evil@client.example>\r\n", "250 2.1.0"},
	{"RCPT TO:<c@example.org>\r\n", "250 2.1.5"},
	{"DATA\r\n", "354 "},
	{"Subject: in clear\r\n\r\nx\r\n.\r\n", "250 2.0.0"},
	{"MAIL FROM:<again@client.example>\r\n", "250 2.1.0"},
	{"RCPT TO:<c@example.org>\r\n", "250 2.1.5"},
};

struct scene {
	struct smtp_fake *fake;
	enum way way;
	unsigned clear_lines;
	size_t piece;
	struct str said;
	unsigned accepted_in_clear;
	bool shaken;
	struct buf replies; /* behind STARTTLS, without its own */
	char starttls_reply[512];
};

static void serve(void *arg, struct stream *s, int fd)
{
	struct scene *scene = arg;
	(void)fd;
	smtp_serve(s, &scene->fake->server);
	stream_close(s);
}

/* The last line of the next reply. */
static bool hear(struct stream *s, struct str *ret)
{
	do {
		if (stream_line(s, 510, ret, NULL) != STREAM_LINE)
			return false;
		dialogue_check_line(*ret);
	} while (ret->p[3] == '-');
	return true;
}

static void say_in_clear(struct scene *scene, struct stream *s)
{
	struct str reply;
	bool heard = hear(s, &reply), required = scene->fake->conf.smtp_tls == TLS_INBOUND_REQUIRED;
	assert(heard && str_starts(reply, STR("220 ")));
	for (unsigned i = 0; i < scene->clear_lines; i++) {
		stream_put(s, str_from_c(in_clear[i].said));
		heard = hear(s, &reply);
		assert(heard);
		if (required && i > 0) {
			assert(str_starts(reply, STR("530 5.7.0")));
			break;
		}
		assert(str_starts(reply, str_from_c(in_clear[i].reply)));
	}
	scene->accepted_in_clear = scene->fake->accepted;
}

static void say_all(struct scene *scene, struct stream *s)
{
	for (struct str rest = scene->said; rest.n > 0; rest = str_skip(rest, scene->piece)) {
		stream_put(s, str_take(rest, scene->piece));
		stream_flush(s, NULL);
	}
}

static void start_tls(struct scene *scene, struct stream *s)
{
	static struct ssl_ctx_st *ctx;
	struct str reply;
	stream_put(s, STR("STARTTLS\r\n"));
	if (scene->way == INJECTED)
		stream_put(s, scene->said);
	if (!hear(s, &reply))
		return;
	str_to_c(reply, scene->starttls_reply, sizeof scene->starttls_reply);
	if (scene->way == UNDER_TLS && str_starts(reply, STR("220 "))) {
		if (!ctx)
			ctx = tls_client_context(TLS_ENCRYPT, STR(""), NULL);
		scene->shaken = stream_connect_tls(s, ctx, STR("mx.example"), NULL, NULL, NULL) == 0;
	}
	if (scene->way != INJECTED && (scene->way == RAW || scene->shaken))
		say_all(scene, s);
}

static void be_client(void *arg, struct stream *s, int fd)
{
	struct scene *scene = arg;
	say_in_clear(scene, s);
	start_tls(scene, s);
	fuzz_end_talk(s, fd, &scene->replies);
	stream_free(s);
}

static void check_under_tls(struct scene *scene)
{
	const struct smtp_fake *f = scene->fake;
	struct dialogue d = {.said = scene->said, .replies = buf_str(&scene->replies)};
	dialogue_walk(&d, true);
	assert(f->accepted == scene->accepted_in_clear + d.accepted);
	if (d.accepted == 0)
		return;
	struct buf sent;
	buf_init(&sent, OUTPUT_MAX);
	dialogue_unstuff(d.content, &sent);
	assert(str_eq(buf_str(&sent), f->body));
	assert(str_starts(f->tls, STR("TLSv1.")));
	assert(memmem(f->prefix.p, f->prefix.n, "TLSv1.", 6));
	assert(!str_eq(f->sender, STR("evil@client.example")) || d.hello);
	buf_done(&sent);
}

static void check(struct scene *scene)
{
	const struct smtp_fake *f = scene->fake;
	struct str reply = str_from_c(scene->starttls_reply);
	bool offered = f->conf.smtp_tls != TLS_INBOUND_OFF && scene->clear_lines > 0;
	if (!str_starts(reply, STR("220 "))) {
		assert(!offered || (scene->way == INJECTED && scene->said.n > 0));
		assert(offered || str_starts(reply, STR("50")));
	}
	if (f->conf.smtp_tls == TLS_INBOUND_REQUIRED)
		assert(scene->accepted_in_clear == 0);
	if (scene->shaken)
		check_under_tls(scene);
	else if (offered)
		assert(f->accepted == scene->accepted_in_clear);
}

static void prepare(struct scene *scene, uint8_t choice)
{
	static struct ssl_ctx_st *ctx;
	static const enum tls_inbound settings[] = {
		TLS_INBOUND_AVAILABLE, TLS_INBOUND_REQUIRED, TLS_INBOUND_AVAILABLE, TLS_INBOUND_OFF};
	const struct fuzz_pki *pki = fuzz_pki();
	if (!ctx)
		ctx = fuzz_server_context(&pki->leaf, &pki->inter);
	scene->fake = smtp_fake_new();
	scene->fake->server.tls = ctx;
	scene->fake->conf.smtp_tls = settings[choice >> 3 & 3];
	scene->fake->conf.smtp_timeout_ms = scene->fake->conf.smtp_data_timeout_ms = FUZZ_WAIT_MS;
	scene->clear_lines = choice % (LINES + 1);
	/* STARTTLS is a command, so not behind DATA or inside of a message. */
	scene->clear_lines -= scene->clear_lines == 4;
	scene->way = (enum way)((choice >> 5) % 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const beginnings[] = {"", "EHLO x\r\n",
		"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@example.org>\r\nDATA\r\n",
		"HELO x\r\nSTARTTLS\r\n"};
	struct str script = str_make((const char *)data, size);
	struct scene scene = {0};
	struct buf said;
	uint8_t choice = fuzz_byte(&script), under_tls = fuzz_byte(&script);
	prepare(&scene, choice);
	buf_init(&said, 1 << 16);
	buf_init(&scene.replies, OUTPUT_MAX);
	buf_add_c(&said, beginnings[under_tls % 4]);
	buf_add(&said, script);
	scene.said = buf_str(&said);
	scene.piece = under_tls < 128 ? SIZE_MAX : 1u + (under_tls / 4 % 32) * 64u;
	fuzz_pair_run(serve, be_client, &scene);
	check(&scene);
	buf_done(&said);
	buf_done(&scene.replies);
	smtp_fake_free(scene.fake);
	return 0;
}
