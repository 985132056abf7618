/* What an edge that was taken over may say to store: recipients, messages, spool files, records, in any
 * form and order; and then what administrators ask about them. A message that was taken is there as
 * it was sent, byte for byte, with its recipients in their order; all else left nothing behind.
 *
 *   input    = *question
 *   question = u8 (0 rcpt, 1 accept, 2 spool, 3 record, 4 verb, 5 any packet to one of the first
 *              four), and what the functions below take */
#include <fcntl.h>

#include "ask/questions.h"
#include "base/id.h"
#include "io/body.h"
#include "store/fuzz_store.h"
#include "store/fuzz_verb.h"

enum { QUESTIONS = 8, IDS = 4, RECIPIENTS = 6 };

static struct {
	struct store *store;
	struct site *site;
	struct admin admin;
	struct ask_link *link;
	uint64_t ids[IDS];
	uint64_t spool; /* number of the last file lent in this run, and its size */
	uint64_t spool_size;
} world;

/* ---- before and after ------------------------------------------------------------------------- */

static void make_world(void)
{
	struct err err;
	const char *home = fuzz_home_make();
	world.site = site_fake();
	world.store = store_open(home, world.site, &err);
	assert(world.store);
	world.admin = (struct admin){.home = home, .site = world.site, .store = world.store};
	for (int i = 0; i < IDS; i++)
		world.ids[i] = id_make();
}

/* Every run finds the same empty store. */
static void forget(void)
{
	fuzz_store_empty(world.store, world.ids, IDS);
	store_link_gone(world.store, world.link);
	world.spool = 0;
}

/* ---- asking ----------------------------------------------------------------------------------- */

typedef void answer_fn(struct store *s, struct ask_question *q);

/* True if it was not refused; descriptors that came back are the caller's. */
static bool ask(answer_fn *fn, struct ask_question *q)
{
	err_clear(&q->err);
	fn(world.store, q);
	if (q->fd[0] >= 0)
		close(q->fd[0]);
	assert(q->err.kind == ERR_NONE || q->err.log[0]);
	return q->err.kind == ERR_NONE;
}

static bool ask_packed(answer_fn *fn, xfer_fn *move, void *v, int fd, struct ask_question *q)
{
	struct buf packed;
	buf_init(&packed, 1 << 20);
	struct xfer x = xfer_writer(&packed);
	move(&x, v);
	q->body = arena_dup(q->arena, buf_str(&packed));
	q->fd[0] = fd;
	buf_done(&packed);
	if (xfer_done(&x))
		return ask(fn, q);
	if (fd >= 0)
		close(fd);
	return false;
}

static struct ask_question question(struct arena *arena)
{
	return (struct ask_question){
		.link = world.link, .arena = arena, .fd = {-1, -1}, .answer_fd = {-1, -1}};
}

/* By relay.networks and the one domain of site_fake(). */
static bool may_be_taken(struct str client, struct str recipient)
{
	return str_ends_nocase(recipient, STR("@example.org")) || str_starts(client, STR("127.")) ||
		str_find(client, ':') >= 0;
}

static void try_rcpt(struct str *script, struct arena *arena)
{
	struct ask_question q = question(arena);
	struct ask_rcpt rcpt = {.listener = (enum listener)(fuzz_byte(script) % 3)};
	struct ask_rcpt_answer answer = {0};
	rcpt.client = fuzz_slice(script);
	rcpt.recipient = fuzz_slice(script);
	if (!ask_packed(store_answer_rcpt, xfer_ask_rcpt, &rcpt, -1, &q))
		return;
	struct xfer x = xfer_reader(q.answer, arena);
	xfer_ask_rcpt_answer(&x, &answer);
	assert(xfer_done(&x) && answer.text.n > 6);
	assert(answer.code == 250 || answer.code == 501 || answer.code == 550);
	/* No open relay: outside our networks only our own domain. */
	assert(answer.code != 250 || may_be_taken(rcpt.client, rcpt.recipient));
}

/* Content of a message: the slice again and again. */
static struct str take_content(struct str *script, struct arena *arena)
{
	size_t times = fuzz_byte(script);
	struct str s = fuzz_slice(script);
	times = times < 128 ? 1 : (times - 127) * 4;
	char *p = arena_alloc(arena, times * s.n + 1);
	for (size_t i = 0; i < times; i++)
		memcpy(p + i * s.n, s.p, s.n);
	return str_make(p, times * s.n);
}

static void try_spool(struct str *script, struct arena *arena)
{
	struct ask_question q = question(arena);
	struct ask_spool_answer answer = {0};
	struct str content = take_content(script, arena);
	if (!ask(store_answer_spool, &q))
		return;
	struct xfer x = xfer_reader(q.answer, arena);
	xfer_ask_spool_answer(&x, &answer);
	assert(xfer_done(&x) && q.answer_fd[0] >= 0);
	assert(write(q.answer_fd[0], content.p, content.n) == (ssize_t)content.n);
	close(q.answer_fd[0]);
	world.spool = answer.spool;
	world.spool_size = content.n;
}

static struct envelope_recipient *take_recipients(
	struct str *script, struct arena *arena, uint32_t *ret_n)
{
	struct envelope_recipient *r = arena_alloc(arena, RECIPIENTS * sizeof *r);
	*ret_n = fuzz_byte(script) % (RECIPIENTS + 1);
	for (uint32_t i = 0; i < *ret_n; i++) {
		r[i].address = fuzz_slice(script);
		if (r[i].address.n == 0)
			r[i].address = STR("b@example.org");
		r[i].notify = fuzz_byte(script);
		if (r[i].notify & 32)
			r[i].orcpt = fuzz_slice(script);
		r[i].notify &= 31;
	}
	return r;
}

/* A good question; what the bits of u16 `strange` name is taken from the script. */
static struct ask_accept take_accept(struct str *script, struct arena *arena)
{
	unsigned strange = fuzz_byte(script);
	strange |= (unsigned)fuzz_byte(script) << 8;
	struct ask_accept q = {.queue_id = world.ids[strange >> 14],
		.session_id = 7,
		.envelope.sender = strange & 1 ? fuzz_slice(script) : STR("a@client.example"),
		.envelope.envid = strange & 2 ? fuzz_slice(script) : STR(""),
		.prefix = strange & 4 ? fuzz_slice(script) : STR("Received: from x\r\n"),
		.message_id = strange & 8 ? fuzz_slice(script) : STR("<1@client.example>"),
		.client = strange & 16 ? fuzz_slice(script) : STR("192.0.2.9"),
		.helo = strange & 32 ? fuzz_slice(script) : STR("client.example"),
		.tls = strange & 64 ? fuzz_slice(script) : STR(""),
		.again = strange & 128,
		.has_8bit = strange & 256};
	if (strange & 512) {
		uint8_t kinds = fuzz_byte(script);
		q.envelope.ret = (enum dsn_ret)(kinds % 4);
		q.envelope.body_type = (enum body_type)(kinds / 4 % 4);
		q.listener = (enum listener)(kinds / 16 % 4);
	}
	q.envelope.recipients = take_recipients(script, arena, &q.envelope.recipient_count);
	return q;
}

static void check_recipients(const struct envelope *e, uint64_t id, struct arena *arena)
{
	struct recipient_filter f = {.message = id};
	struct recipient_place at = {0};
	struct recipient_row *rows;
	uint32_t n;
	struct err err;
	assert(store_list(world.store, &f, &at, RECIPIENTS + 1, arena, &rows, &n, &err) == 0);
	assert(n == e->recipient_count);
	for (uint32_t i = 0; i < n; i++) {
		assert(str_eq(rows[i].address, e->recipients[i].address));
		assert(str_eq(rows[i].orcpt, e->recipients[i].orcpt));
		assert(rows[i].notify == e->recipients[i].notify && rows[i].state == RECIPIENT_READY);
	}
}

static void check_body(uint64_t id, enum body_kind kind, struct str body, struct arena *arena)
{
	struct err err;
	char *copy = arena_alloc(arena, body.n + 2);
	if (kind == BODY_ROW) {
		struct db_query *row = db_query(world.store->reader, "SELECT data FROM body WHERE id = $1");
		db_bind_int(row, 1, (int64_t)id);
		assert(db_step(row, &err) == 1 && str_eq(db_str(row, 0), body));
		db_end(row);
		return;
	}
	int fd;
	assert(kind == BODY_FILE && spool_read(world.store->spool, id, &fd, &err) == 0);
	assert(pread(fd, copy, body.n + 1, 0) == (ssize_t)body.n && memcmp(copy, body.p, body.n) == 0);
	close(fd);
}

static void check_accepted(const struct ask_accept *q, struct str body, struct arena *arena)
{
	struct message_row row = {0};
	struct err err;
	assert(store_message(world.store, q->queue_id, arena, &row, &err) == 1);
	assert(str_eq(row.sender, q->envelope.sender) && str_eq(row.prefix, q->prefix));
	assert(str_eq(row.message_id, q->message_id) && str_eq(row.helo, q->helo));
	assert(row.size == body.n && row.recipient_count == q->envelope.recipient_count);
	check_recipients(&q->envelope, q->queue_id, arena);
	for (uint32_t i = 0; i < q->envelope.recipient_count; i++)
		assert(may_be_taken(q->client, q->envelope.recipients[i].address));
	if (!q->body.spool)
		check_body(q->queue_id, row.body_kind, body, arena);
}

/* u8: 1 the spool file, 2 a size that is wrong, 4 a descriptor that is no body, 8 in the packet */
static void try_accept(struct str *script, struct arena *arena)
{
	struct ask_question q = question(arena);
	struct ask_accept accept = take_accept(script, arena);
	struct message_row before = {0};
	struct err err;
	struct str body = take_content(script, arena);
	uint8_t wrong = fuzz_byte(script);
	if (!world.spool)
		wrong &= (uint8_t)~1;
	bool no_body = (wrong & 4) && !(wrong & 1);
	int fd = -1;
	if (wrong & 1) {
		accept.body.spool = world.spool;
		body.n = world.spool_size;
	} else if (!(wrong & 8)) {
		fd = no_body ? open("/dev/null", O_RDONLY | O_CLOEXEC) : body_from_str(body, "fuzz", NULL);
	}
	if (wrong & 8)
		accept.body.bytes = wrong & 1 ? STR("both") : body;
	accept.body.size = body.n + (wrong & 2);
	bool there = store_message(world.store, accept.queue_id, arena, &before, &err) == 1;
	if (ask_packed(store_answer_accept, xfer_ask_accept, &accept, fd, &q)) {
		assert(!there || accept.again);
		assert(there || !no_body || (wrong & 8));
		if (!there)
			check_accepted(&accept, body, arena);
	} else if (!there) {
		assert(store_message(world.store, accept.queue_id, arena, &before, &err) == 0);
	}
}

static void try_record(struct str *script, struct arena *arena)
{
	struct ask_question q = question(arena);
	struct record *r = record_new(arena, RECORD_SESSION, STR("192.0.2.9:25"));
	uint8_t strange = fuzz_byte(script);
	if (strange & 1)
		r->peer = fuzz_slice(script);
	if (strange & 2)
		r->started_ms = (int64_t)((uint64_t)fuzz_byte(script) << 56);
	if (strange & 4)
		r->id = (uint64_t)fuzz_byte(script) << 56;
	for (unsigned i = 0; i < strange / 8 % 8; i++)
		record_add(r, (enum record_event_kind)(i % 9), "%.*s", STR_ARG(fuzz_slice(script)));
	if (strange & 64)
		record_message(r, world.ids[0]);
	/* The packed form is what counts: nothing of ours is shared with the store. */
	ask_packed(store_answer_record, (xfer_fn *)(void (*)(void))xfer_record, r, -1, &q);
}

static void try_verb(struct str *script, struct arena *arena)
{
	static const char *const names[] = {"queue.list", "queue.show", "trace", "queue.retry",
		"queue.hold", "queue.release", "queue.remove"};
	const struct admin_verb *v =
		admin_verb_find(str_from_c(names[fuzz_byte(script) % (sizeof names / sizeof *names)]));
	char id[ID_TEXT];
	uint8_t known = fuzz_byte(script);
	if (known < IDS) { /* the id of a message cannot be guessed */
		struct str args = arena_fmt(arena, "{\"%s\":%s\"%s\"%s}", v->arguments[0].name,
			v->arguments[0].type == ADMIN_TEXTS ? "[" : "", id_format(world.ids[known], id),
			v->arguments[0].type == ADMIN_TEXTS ? "]" : "");
		fuzz_verb(&world.admin, v, args, arena);
	} else {
		fuzz_verb(&world.admin, v, fuzz_arguments(v, script, arena), arena);
	}
}

static void try_packet(struct str *script, struct arena *arena)
{
	static answer_fn *const answers[] = {
		store_answer_rcpt, store_answer_accept, store_answer_spool, store_answer_record};
	struct ask_question q = question(arena);
	answer_fn *fn = answers[fuzz_byte(script) % 4];
	q.body = arena_dup(arena, fuzz_slice(script));
	ask(fn, &q);
	if (q.answer_fd[0] >= 0)
		close(q.answer_fd[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const questions[])(struct str *, struct arena *) = {
		try_rcpt, try_accept, try_spool, try_record, try_verb, try_packet};
	struct str script = str_make((const char *)data, size);
	int pair[2];
	if (!world.store)
		make_world();
	ask_pair(pair);
	world.link = ask_link_new(pair[0], "edge", NULL, NULL, NULL);
	for (int i = 0; script.n > 0 && i < QUESTIONS; i++) {
		struct arena *arena = arena_new();
		questions[fuzz_byte(&script) % (sizeof questions / sizeof *questions)](&script, arena);
		arena_free(arena);
	}
	forget();
	ask_link_free(world.link);
	close(pair[1]);
	return 0;
}
