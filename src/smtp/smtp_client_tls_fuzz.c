/* STARTTLS of the client with a real handshake: the server greets, offers STARTTLS, shakes hands with a
 * certificate that is good or not, or answers with anything, and then says anything. Whatever it says,
 *
 *   - `verify` never says EHLO to a server whose certificate is not good, `encrypt` never MAIL in clear;
 *   - what came in clear counts no more: EHLO is said again, and words that were there before do not
 *     answer it;
 *   - every recipient has one result that tells the TLS it came over.
 *
 *   input = u8 level, certificate, way; u8 size of pieces; what the server says behind the handshake */
#include "base/clock.h"
#include "base/log.h"
#include "conf/settings.h"
#include "smtp/fuzz_pair.h"
#include "smtp/smtp_client.h"

enum { RECIPIENTS = 3, OUTPUT_MAX = 1 << 20, CERTIFICATES = 5 };
/* What the server does after STARTTLS was said. */
enum way { SHAKES, REFUSES, NONSENSE, SPEAKS_EARLY };

struct scene {
	enum tls_level level;
	unsigned certificate;
	enum way way;
	size_t piece;
	struct str words;
	bool offered, good; /* the certificate */
	bool shaken;        /* as the server saw it */
	struct buf
		in_clear;    /* what the client said before it asked for STARTTLS, and behind it in clear */
	struct buf said; /* under TLS */
	bool opened;
	struct smtp_failure failure;
	struct recipient_result results[RECIPIENTS];
	enum smtp_sent sent;
	struct arena *arena;
};

/* ---- the server ------------------------------------------------------------------------------- */

static struct ssl_ctx_st *context(unsigned which)
{
	static struct ssl_ctx_st *made[CERTIFICATES];
	const struct fuzz_pki *p = fuzz_pki();
	const struct pki_pair *all[CERTIFICATES][2] = {{&p->leaf, &p->inter}, {&p->old, &p->inter},
		{&p->self, NULL}, {&p->stranger, NULL}, {&p->leaf, NULL}};
	if (!made[which])
		made[which] = fuzz_server_context(all[which][0], all[which][1]);
	return made[which];
}

static bool hear(struct stream *s, struct buf *to, struct str *ret)
{
	if (stream_line(s, 2000, ret, NULL) != STREAM_LINE)
		return false;
	buf_add(to, *ret);
	buf_add_c(to, "\r\n");
	return true;
}

static void say_words(struct scene *scene, struct stream *s)
{
	for (struct str rest = scene->words; rest.n > 0; rest = str_skip(rest, scene->piece)) {
		stream_put(s, str_take(rest, scene->piece));
		stream_flush(s, NULL);
	}
}

static void answer_starttls(struct scene *scene, struct stream *s)
{
	if (scene->way == REFUSES) {
		stream_put(s, STR("454 4.7.0 not now\r\n"));
		return;
	}
	stream_put(s, STR("220 go on\r\n"));
	if (scene->way == NONSENSE) {
		say_words(scene, s);
		return;
	}
	if (scene->way == SPEAKS_EARLY)
		say_words(scene, s); /* in clear: must not answer what is asked under TLS */
	scene->shaken = stream_accept_tls(s, context(scene->certificate), NULL, NULL, NULL) == 0;
}

static void be_server(void *arg, struct stream *s, int fd)
{
	struct scene *scene = arg;
	struct str line;
	stream_put(s, STR("220 mx.example\r\n"));
	if (hear(s, &scene->in_clear, &line)) {
		stream_put(s, scene->offered ? STR("250-mx\r\n250 STARTTLS\r\n") : STR("250 mx\r\n"));
		if (scene->offered && hear(s, &scene->in_clear, &line) && str_eq(line, STR("STARTTLS")))
			answer_starttls(scene, s);
		/* All at once, and then nothing: a client that waits for more sees the end. */
		if (scene->way != NONSENSE)
			say_words(scene, s);
	}
	fuzz_end_talk(s, fd, scene->shaken ? &scene->said : &scene->in_clear);
	stream_close(s);
}

/* ---- the client ------------------------------------------------------------------------------- */

static struct ssl_ctx_st *client_context(enum tls_level level)
{
	static struct ssl_ctx_st *made[TLS_VERIFY + 1];
	struct buf anchors;
	struct err err;
	buf_init(&anchors, 1 << 16);
	if (level == TLS_VERIFY)
		pki_add_pem(&anchors, &fuzz_pki()->root);
	if (!made[level])
		made[level] = tls_client_context(level, buf_str(&anchors), &err);
	assert(made[level]);
	buf_done(&anchors);
	return made[level];
}

static void send_one(struct scene *scene, struct smtp_client *c, struct record *record)
{
	static const char body[] = "Subject: x\r\n\r\n.a line\r\n";
	struct envelope_recipient to[RECIPIENTS];
	for (int i = 0; i < RECIPIENTS; i++)
		to[i] = (struct envelope_recipient){.address = STR("r@x.example"), .notify = i};
	struct ask_deliver message = {.queue_id = 1,
		.prefix = STR("Received: here\r\n"),
		.envelope = {
			.sender = STR("a@client.example"), .recipients = to, .recipient_count = RECIPIENTS}};
	scene->sent =
		smtp_client_send(c, &message, str_from_c(body), 0, record, scene->arena, scene->results);
}

static void be_client(void *arg, struct stream *s, int fd)
{
	struct scene *scene = arg;
	(void)fd;
	struct conf *conf = conf_new();
	conf->relay_timeout_ms = FUZZ_WAIT_MS;
	struct record *record = record_new(scene->arena, RECORD_ATTEMPT, STR("x.example"));
	struct smtp_target target = {.host = STR("mx.example"),
		.address = STR("192.0.2.1:25"),
		.helo = STR("client.example"),
		.tls = scene->level,
		.tls_ctx = client_context(scene->level)};
	struct smtp_client *c =
		smtp_client_open(s, &target, conf, record, scene->arena, &scene->failure);
	scene->opened = c != NULL;
	if (c)
		send_one(scene, c, record);
	smtp_client_close(c);
	conf_drop(conf);
}

/* ---- what holds ------------------------------------------------------------------------------- */

static bool holds(const struct buf *b, const char *word)
{
	return b->n && memmem(b->p, b->n, word, strlen(word));
}

static void check_results(const struct scene *scene)
{
	for (int i = 0; i < RECIPIENTS; i++) {
		const struct recipient_result *r = &scene->results[i];
		assert(r->outcome <= DELIVERY_LAST && r->command.n && r->enhanced.n >= 5 && r->tls.n);
		assert((r->outcome == DELIVERY_DONE) == (r->cause.n == 0));
		assert(str_is_print(r->text) && str_is_print(r->tls));
		assert(str_starts(r->tls, STR("TLSv1.")) == scene->shaken);
		assert(r->outcome != DELIVERY_DONE ||
			holds(scene->shaken ? &scene->said : &scene->in_clear, "\r\n.\r\n"));
		if (scene->shaken)
			assert(str_ends_nocase(r->tls, STR(" not verified")) == (scene->level != TLS_VERIFY));
	}
}

static void check(const struct scene *scene)
{
	assert(scene->level == TLS_MAY || !holds(&scene->in_clear, "MAIL FROM"));
	if (scene->level == TLS_VERIFY && !scene->good)
		assert(!holds(&scene->said, "EHLO") && !scene->opened);
	if (scene->shaken && scene->said.n)
		assert(str_starts(buf_str(&scene->said), STR("EHLO client.example\r\n")) ||
			str_eq(buf_str(&scene->said), STR("QUIT\r\n")));
	if (scene->opened) {
		check_results(scene);
	} else {
		const struct smtp_failure *f = &scene->failure;
		assert(f->outcome != DELIVERY_DONE && f->cause.n && f->text.n && str_is_print(f->text));
		assert(!f->retry_in_clear || scene->level == TLS_MAY);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str script = str_make((const char *)data, size);
	struct scene scene = {.arena = arena_new()};
	uint8_t choice = fuzz_byte(&script), piece = fuzz_byte(&script);
	fuzz_pki();
	scene.level = (enum tls_level)(TLS_MAY + choice % 3);
	scene.certificate = choice / 3 % CERTIFICATES;
	scene.good = scene.certificate == 0;
	scene.way = (enum way)(choice / 16 % 4);
	scene.offered = choice < 192;
	scene.piece = piece < 128 ? SIZE_MAX : 1u + (piece % 128) * 16u;
	scene.words = script;
	buf_init(&scene.in_clear, OUTPUT_MAX);
	buf_init(&scene.said, OUTPUT_MAX);
	fuzz_pair_run(be_server, be_client, &scene);
	check(&scene);
	buf_done(&scene.in_clear);
	buf_done(&scene.said);
	arena_free(scene.arena);
	return 0;
}
