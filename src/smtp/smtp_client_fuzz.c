/* Whole dialogues of the client: the input is what the server says, save its first four bytes, which
 * choose how the stream is cut, the recipients, the TLS level and what the message asks for. Two
 * messages go over the connection. Whatever the server says, every recipient has a result that can be
 * shown, delivered ones were delivered, and no line of ours is broken. */
#include <assert.h>
#include <string.h>

#include "conf/settings.h"
#include "smtp/smtp_client.h"

enum { RECIPIENTS_MAX = 150 };

static void check_text(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		assert(s.p[i] >= ' ' && s.p[i] <= '~');
}

static void check_result(const struct recipient_result *r, struct str said)
{
	static const char end[] = "\r\n.\r\n";
	assert(r->outcome <= DELIVERY_LAST && r->command.n && r->enhanced.n >= 5);
	assert(r->code == 0 || (r->code >= 200 && r->code <= 599));
	assert((r->outcome == DELIVERY_DONE) == (r->cause.n == 0));
	assert(r->enhanced.p[0] ==
		(r->outcome == DELIVERY_DONE          ? '2'
				: r->outcome == DELIVERY_TEMP ? '4'
											  : '5'));
	assert(r->outcome != DELIVERY_DONE || memmem(said.p, said.n, end, strlen(end)));
	check_text(r->text);
	check_text(r->tls);
}

static void check_said(struct str said)
{
	for (size_t i = 0; i < said.n; i++) {
		assert(said.p[i] != '\n' || (i > 0 && said.p[i - 1] == '\r'));
		assert(said.p[i] != '\r' || (i + 1 < said.n && said.p[i + 1] == '\n'));
	}
}

static struct ask_deliver message_make(const uint8_t *choice, struct arena *arena)
{
	struct ask_deliver m = {.queue_id = 1, .prefix = STR("Received: here\r\n")};
	struct envelope *e = &m.envelope;
	m.has_8bit = choice[3] & 1;
	e->sender = choice[3] & 2 ? STR("") : STR("a@client.example");
	e->ret = choice[3] & 4 ? RET_FULL : RET_UNSET;
	e->envid = choice[3] & 8 ? STR("QQ314159") : STR("");
	e->recipient_count = choice[1] % RECIPIENTS_MAX + 1;
	e->recipients = arena_alloc(arena, e->recipient_count * sizeof *e->recipients);
	for (uint32_t i = 0; i < e->recipient_count; i++) {
		e->recipients[i].address = STR("r@x.example");
		e->recipients[i].notify = choice[3] >> 4;
	}
	return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct str bodies[] = {
		{"Subject: x\r\n\r\n.\r\nend\r\n", 22}, {"\r\n..\r\nno line end", 17}};
	static struct recipient_result results[RECIPIENTS_MAX];
	if (size < 4)
		return 0;
	struct arena *arena = arena_new();
	struct conf *conf = conf_new();
	struct buf said;
	buf_init(&said, 1024 * 1024);
	struct record *record = record_new(arena, RECORD_ATTEMPT, STR("x.example"));
	struct ask_deliver message = message_make(data, arena);
	struct smtp_target target = {.host = STR("mx.example"),
		.address = STR("192.0.2.1:25"),
		.helo = STR("client.example"),
		.tls = data[2] & 1 ? TLS_MAY : TLS_OFF};
	struct smtp_failure failure = {0};
	struct stream *s =
		stream_new_memory(str_make((const char *)data + 4, size - 4), data[0], &said);
	struct smtp_client *c = smtp_client_open(s, &target, conf, record, arena, &failure);
	if (!c) {
		assert(failure.outcome != DELIVERY_DONE && failure.cause.n && failure.text.n);
		check_text(failure.text);
	}
	for (int round = 0; c && round < 2; round++) {
		enum smtp_sent sent =
			smtp_client_send(c, &message, bodies[round], 0, record, arena, results);
		assert(sent != SMTP_SENT_STALE || round > 0);
		for (uint32_t i = 0; i < message.envelope.recipient_count && sent != SMTP_SENT_STALE; i++)
			check_result(&results[i], buf_str(&said));
		if (sent != SMTP_SENT_OPEN)
			break;
	}
	smtp_client_close(c);
	check_said(buf_str(&said));
	buf_done(&said);
	conf_drop(conf);
	arena_free(arena);
	return 0;
}
