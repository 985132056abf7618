/* edge_ask: see edge.h. */
#include <unistd.h>

#include "ask/questions.h"
#include "base/buf.h"
#include "base/log.h"
#include "io/fiber.h"
#include "role/edge.h"

enum {
	RCPT_MS = 60 * 1000,
	/* RFC 5321 4.5.3.2.6: the client waits ten minutes for the reply; if we gave up before store did,
	 * the message would come twice. */
	ACCEPT_MS = 9 * 60 * 1000,
	NEXT_STORE_MS = 60 * 1000, /* serve brings it back much sooner */
	LOOK_MS = 10,
	STORES_MAX = 6, /* that may die with one message */
	SPOOL_MS = 60 * 1000,
	RECORD_MAX = 64 * 1024,
};

static int ask_store_rcpt(void *arg, const struct ask_rcpt *q, struct arena *arena,
	struct ask_rcpt_answer *ret, struct err *err)
{
	struct edge *e = arg;
	struct ask_rcpt question = *q;
	return ask_put(e->store, ASK_RCPT, xfer_ask_rcpt, &question, NULL, xfer_ask_rcpt_answer, ret,
		NULL, RCPT_MS, arena, err);
}

/* True when there is another store than the `stores`th. */
static bool wait_for_next_store(const struct edge *e, unsigned stores)
{
	for (int ms = 0; ms < NEXT_STORE_MS && e->stores == stores && !e->stopping; ms += LOOK_MS)
		fiber_sleep("for store to come back", LOOK_MS);
	return e->stores != stores;
}

/* If store goes away before it answers, nobody can say whether it kept the message: the next one is
 * asked again, and knows. So the client hears the truth, and no message comes twice. */
static int ask_store_accept(void *arg, const struct ask_accept *q, struct err *err)
{
	struct edge *e = arg;
	struct ask_accept question = *q;
	int status = -1;
	for (int stores_asked = 0; stores_asked < STORES_MAX; stores_asked++) {
		unsigned stores = e->stores;
		struct arena *arena = arena_new();
		status = ask_put(e->store, ASK_ACCEPT, xfer_ask_accept, &question, (int[]){q->body.fd, -1},
			NULL, NULL, NULL, ACCEPT_MS, arena, err);
		arena_free(arena);
		bool answered = status == 0 || (e->stores == stores && ask_link_alive(e->store));
		if (answered || !wait_for_next_store(e, stores))
			return status;
		question.again = true;
	}
	return status;
}

static int ask_store_spool(void *arg, int *ret_fd, uint64_t *ret_spool, struct err *err)
{
	struct edge *e = arg;
	struct ask_spool_answer answer;
	int fds[ASK_FDS];
	struct arena *arena = arena_new();
	int status = ask_put(e->store, ASK_SPOOL, NULL, NULL, NULL, xfer_ask_spool_answer, &answer, fds,
		SPOOL_MS, arena, err);
	arena_free(arena);
	if (status != 0)
		return -1;
	if (fds[1] >= 0)
		close(fds[1]);
	if (fds[0] < 0)
		return err_temp(err, "no room for large messages", "store gave no spool file");
	*ret_fd = fds[0];
	*ret_spool = answer.spool;
	return 0;
}

/* Several edges share the disk and none knows of the others: together they may take more than there
 * is. Then store refuses. */
static bool take_room(void *arg, uint64_t bytes)
{
	struct edge *e = arg;
	bool room = !e->room.low && bytes <= e->room.bytes && e->room_taken <= e->room.bytes - bytes;
	if (e->room_told && !room)
		return false;
	e->room_taken += bytes;
	return true;
}

static void give_room(void *arg, uint64_t bytes)
{
	struct edge *e = arg;
	e->room_taken -= bytes;
}

/* As the settings say; but while the disk is low, sessions, which are refused then, shall not fill what is
 * left of it with their stories. */
static void set_log_level(const struct edge *e)
{
	enum log_level level = e->conf ? (enum log_level)e->conf->log_level : LOG_INFO;
	log_set_level(e->room.low && level > LOG_WARN ? LOG_WARN : level);
}

void edge_answer_store(struct ask_question *q, void *arg)
{
	struct edge *e = arg;
	struct ask_room room;
	if (q->kind != ASK_ROOM) {
		err_perm(&q->err, NULL, "edge does not answer question %u of store", q->kind);
	} else if (ask_take(q, xfer_ask_room, &room) == 0) {
		if (room.low != e->room.low)
			log_warn("edge.room", "low=%s", room.low ? "yes" : "no");
		e->room = room;
		e->room_told = true;
		set_log_level(e);
	}
}

/* Nobody waits for a record; when store is slow it is dropped. */
static void tell_store_record(void *arg, struct record *r)
{
	struct edge *e = arg;
	struct buf packed;
	buf_init(&packed, RECORD_MAX);
	struct xfer x = xfer_writer(&packed);
	xfer_record(&x, r);
	if (xfer_done(&x))
		ask_tell(e->store, ASK_RECORD, buf_str(&packed), NULL);
	buf_done(&packed);
}

const struct smtp_questions edge_questions = {
	.rcpt = ask_store_rcpt,
	.accept = ask_store_accept,
	.open_spool = ask_store_spool,
	.take_room = take_room,
	.give_room = give_room,
	.record = tell_store_record,
};
