/* store: owns the databases, the spool and the queue. It answers edge (may this recipient be taken?
 * keep this letter; an administrator asks) and asks relay (deliver), keys and serve. It listens
 * nowhere and reads no mail. */
#include <unistd.h>

#include "ask/questions.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/fiber.h"
#include "role/start.h"
#include "store/admin.h"
#include "store/store.h"

enum { LAST_WORDS_MS = 200, STOP_MS = 6 * 1000, STOP_STEP_MS = 20, PUBLISH_AGAIN_MS = 1000 };

struct store_role {
	struct role *role;
	struct admin admin;
	struct store *store;
	/* The neighbours' links; the admin holds those to serve and keys. */
	struct ask_link *relay;
	bool published; /* the settings in force were handed to serve */
};

/* ---- questions -------------------------------------------------------------------------------- */

typedef void answer_fn(struct store *s, struct ask_question *q);

static const struct {
	enum ask_kind kind;
	answer_fn *answer;
} edge_asks[] = {
	{ASK_RCPT, store_answer_rcpt},
	{ASK_ACCEPT, store_answer_accept},
	{ASK_SPOOL, store_answer_spool},
	{ASK_RECORD, store_answer_record},
};

static void answer_edge(struct ask_question *q, void *arg)
{
	struct store_role *r = arg;
	for (size_t i = 0; i < sizeof edge_asks / sizeof *edge_asks; i++)
		if (edge_asks[i].kind == (enum ask_kind)q->kind) {
			edge_asks[i].answer(r->store, q);
			return;
		}
	err_perm(&q->err, NULL, "store does not answer question %u of an edge", q->kind);
}

static void answer_control(struct ask_question *q, void *arg)
{
	struct store_role *r = arg;
	if (q->kind == ASK_ADMIN)
		admin_answer(q, &r->admin);
	else
		err_perm(&q->err, NULL, "store does not answer question %u of control", q->kind);
}

static void edge_gone(struct ask_link *l, void *arg)
{
	struct store_role *r = arg;
	store_link_gone(r->store, l);
	ask_link_free(l);
}

static void control_gone(struct ask_link *l, void *arg)
{
	(void)arg;
	ask_link_free(l);
}

/* ---- neighbours ------------------------------------------------------------------------------- */

/* First start makes a key, so this waits for keys; after a restart it tells serve what is in force.
 * Nobody is served before it is done. */
static void publish(void *arg)
{
	struct store_role *r = arg;
	struct err err = {0};
	if (r->published)
		return;
	r->published = true;
	while (admin_publish(&r->admin, &err)) {
		log_error("store.publish", "%s", err.log);
		fiber_sleep("to publish the settings again", PUBLISH_AGAIN_MS);
	}
}

/* Each process of an edge has a link of its own; it goes when that process does. */
static void take_edge(struct store_role *r, const struct ask_link_peer *peer, int fd)
{
	if (str_eq(peer->group, STR("control")))
		ask_link_new(fd, "control", answer_control, control_gone, r);
	else
		store_add_edge(r->store, ask_link_new(fd, "edge", answer_edge, edge_gone, r));
}

static void take_link(struct role *role, const struct ask_link_peer *peer, int fd)
{
	struct store_role *r = role->arg;
	if (str_eq(peer->role, STR("edge"))) {
		take_edge(r, peer, fd);
	} else if (str_eq(peer->role, STR("relay"))) {
		struct ask_link *old = r->relay;
		r->relay = ask_link_new(fd, "relay", NULL, NULL, r);
		store_set_relay(r->store, r->relay);
		ask_link_free(old);
	} else if (str_eq(peer->role, STR("keys"))) {
		ask_link_free(r->admin.keys);
		r->admin.keys = ask_link_new(fd, "keys", NULL, NULL, r);
		fiber_start("publish", publish, r);
	} else {
		close(fd);
	}
}

/* ---- settings, failure, end ------------------------------------------------------------------- */

static void site_changed(void *arg)
{
	struct store_role *r = arg;
	store_set_site(r->store, r->admin.site);
	log_set_level((enum log_level)r->admin.site->conf->log_level);
}

static void last_words(void *arg)
{
	struct store_role *r = arg;
	fiber_sleep("for answers to go out", LAST_WORDS_MS);
	role_exit(r->role, 1);
}

static void store_failed(const char *why, void *arg)
{
	(void)why;
	fiber_start("last-words", last_words, arg);
}

static void neighbour_leaves(struct role *role, const struct ask_link_peer *peer)
{
	struct store_role *r = role->arg;
	if (r->store && str_eq(peer->role, STR("relay")))
		store_relay_leaves(r->store);
}

static void stop(struct role *role)
{
	struct store_role *r = role->arg;
	int64_t until = clock_steady_ms() + STOP_MS;
	store_stop(r->store);
	while (store_busy(r->store) && clock_steady_ms() < until)
		fiber_sleep("for deliveries under way", STOP_STEP_MS);
	store_close(r->store);
	admin_close(&r->admin);
	role_exit(role, 0);
}

static void open_all(struct store_role *r)
{
	struct err err = {0};
	if (admin_open(&r->admin, r->role->home, &err) == 0)
		r->store = store_open(r->role->home, r->admin.site, &err);
	if (!r->store)
		role_fail(r->role, &err);
	r->admin.store = r->store;
	r->admin.serve = r->role->serve;
	r->admin.site_changed = site_changed;
	r->admin.arg = r;
	store_on_failure(r->store, store_failed, r);
}

int main(void)
{
	static const struct role_calls calls = {
		.link = take_link, .leaving = neighbour_leaves, .stop = stop};
	static struct store_role store;
	static struct role role = {.name = "store", .calls = &calls, .arg = &store};
	store.role = &role;
	role_hello(&role);
	role_walls(&role);
	open_all(&store);
	role_loop(&role);
}
