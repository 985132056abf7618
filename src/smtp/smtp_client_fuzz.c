/* Whole dialogues of the client, on a memory stream: the input is what the server says. Two messages go
 * over the connection. Whatever the server says, every recipient has a result that can be shown, what
 * counts as delivered was sent whole, with the dots it takes, and no line of ours is broken.
 *
 *   input = u8 size of pieces, u8 recipients, u8 TLS level, u8 what the message asks for,
 *           u8 what is wrong on our side, what the server says */
#include "base/clock.h"
#include "base/fuzz.h"
#include "conf/settings.h"
#include "smtp/smtp_client.h"
#include "wire/smtp_data.h"

enum { RECIPIENTS_MAX = 150, ROUNDS = 2, OUTPUT_MAX = 1 << 20, LARGE = 100 * 1000 };
enum { OUTPUT_FULL = 1, TIME_OVER = 2, BARE = 4, IN_CLEAR = 8, ORCPT = 16, LARGE_BODY = 32 };

static const char prefix[] = "Received: here\r\n";

struct sending {
	struct arena *arena;
	struct buf said;
	struct ask_deliver message;
	struct str bodies[ROUNDS];
	struct recipient_result results[RECIPIENTS_MAX];
	int64_t until_ms;
};

static void take_message(struct sending *s, uint8_t recipients, uint8_t asks, uint8_t wrong)
{
	struct ask_deliver *m = &s->message;
	struct envelope *e = &m->envelope;
	*m = (struct ask_deliver){.queue_id = 1, .prefix = str_from_c(prefix)};
	m->has_8bit = asks & 1;
	e->sender = asks & 2 ? STR("") : STR("a@client.example");
	e->ret = asks & 4 ? RET_FULL : RET_UNSET;
	e->envid = asks & 8 ? STR("QQ314159") : STR("");
	e->recipient_count = recipients % RECIPIENTS_MAX + 1;
	e->recipients = arena_alloc(s->arena, e->recipient_count * sizeof *e->recipients);
	for (uint32_t i = 0; i < e->recipient_count; i++)
		e->recipients[i] = (struct envelope_recipient){.address = STR("r@x.example"),
			.orcpt = wrong & ORCPT ? STR("rfc822;o+2Br@x.example") : STR(""),
			.notify = asks >> 4};
	s->bodies[0] = STR("Subject: x\r\n\r\n.\r\nend\r\n");
	s->bodies[1] = wrong & BARE ? STR("x\r\n.\nQUIT\r\n") : STR("\r\n..\r\nno line end");
	if (!(wrong & LARGE_BODY))
		return;
	char *p = arena_alloc(s->arena, LARGE);
	for (size_t i = 0; i + 10 <= LARGE; i += 10)
		memcpy(p + i, ".a line.\r\n", 10);
	s->bodies[0] = str_make(p, LARGE);
}

/* The message went out whole: prefix and body with their dots, and the end. */
static bool was_sent(const struct sending *s, struct str body)
{
	const struct str parts[] = {str_from_c(prefix), body};
	struct smtp_stuff stuff;
	struct buf want;
	buf_init(&want, OUTPUT_MAX);
	smtp_stuff_init(&stuff);
	for (size_t i = 0; i < 2; i++) {
		struct str rest = parts[i], run;
		while (smtp_stuff_write(&stuff, &rest, &run))
			buf_add(&want, run);
	}
	buf_add(&want, smtp_stuff_end(&stuff));
	bool found = memmem(s->said.p, s->said.n, want.p, want.n);
	buf_done(&want);
	return found;
}

static void check_result(const struct recipient_result *r)
{
	static const char classes[] = {[DELIVERY_DONE] = '2', [DELIVERY_TEMP] = '4', '5'};
	assert(r->outcome <= DELIVERY_LAST && r->command.n && r->enhanced.n >= 5);
	assert(r->code == 0 || (r->code >= 200 && r->code <= 599));
	assert((r->outcome == DELIVERY_DONE) == (r->cause.n == 0));
	assert(r->enhanced.p[0] == classes[r->outcome]);
	assert(str_is_print(r->text) && str_is_print(r->tls));
}

static void check_results(const struct sending *s, struct str body)
{
	bool delivered = false;
	for (uint32_t i = 0; i < s->message.envelope.recipient_count; i++) {
		check_result(&s->results[i]);
		delivered |= s->results[i].outcome == DELIVERY_DONE;
	}
	assert(!delivered || was_sent(s, body));
}

static void check_said(struct str said)
{
	for (size_t i = 0; i < said.n; i++) {
		assert(said.p[i] != '\n' || (i > 0 && said.p[i - 1] == '\r'));
		assert(said.p[i] != '\r' || i + 1 == said.n || said.p[i + 1] == '\n');
	}
}

static void send_both(struct sending *s, struct smtp_client *c, struct record *record)
{
	for (int round = 0; c && round < ROUNDS; round++) {
		enum smtp_sent sent = smtp_client_send(
			c, &s->message, s->bodies[round], s->until_ms, record, s->arena, s->results);
		assert(sent != SMTP_SENT_STALE || round > 0);
		if (sent != SMTP_SENT_STALE)
			check_results(s, s->bodies[round]);
		if (sent != SMTP_SENT_OPEN)
			break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str script = str_make((const char *)data, size);
	uint8_t piece = fuzz_byte(&script), recipients = fuzz_byte(&script);
	uint8_t tls = fuzz_byte(&script), asks = fuzz_byte(&script), wrong = fuzz_byte(&script);
	struct arena *arena = arena_new();
	struct conf *conf = conf_new();
	struct sending s = {.arena = arena};
	buf_init(&s.said, wrong & OUTPUT_FULL ? 300 : OUTPUT_MAX);
	take_message(&s, recipients, asks, wrong);
	s.until_ms = wrong & TIME_OVER ? clock_steady_ms() : 0;
	struct record *record = record_new(arena, RECORD_ATTEMPT, STR("x.example"));
	struct smtp_target target = {.host = STR("mx.example"),
		.address = STR("192.0.2.1:25"),
		.helo = STR("client.example"),
		.tls = tls & 1 ? TLS_MAY
			: tls & 2  ? TLS_ENCRYPT
					   : TLS_OFF,
		.in_clear = wrong & IN_CLEAR};
	struct smtp_failure failure = {0};
	struct stream *stream = stream_new_memory(script, piece, &s.said);
	struct smtp_client *c = smtp_client_open(stream, &target, conf, record, arena, &failure);
	if (!c) {
		assert(failure.outcome != DELIVERY_DONE && failure.cause.n && failure.text.n);
		assert(str_is_print(failure.text));
	} else {
		/* A memory stream cannot be encrypted. */
		assert(target.tls != TLS_ENCRYPT && str_starts(smtp_client_tls(c), STR("in clear: ")));
		assert(smtp_client_host(c).n && smtp_client_address(c).n);
	}
	send_both(&s, c, record);
	smtp_client_close(c);
	check_said(buf_str(&s.said));
	buf_done(&s.said);
	conf_drop(conf);
	arena_free(arena);
	return 0;
}
