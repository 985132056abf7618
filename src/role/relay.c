/* relay: dials out. It resolves, connects, verifies and sends what the store hands it, one fiber per
 * attempt, and answers per recipient with the record of the attempt. It opens no file: trust store and
 * DNS anchors come as contents from serve. */
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ask/questions.h"
#include "base/log.h"
#include "base/mem.h"
#include "cert/tls.h"
#include "io/fiber.h"
#include "role/relay_deliver.h"
#include "role/start.h"

enum { FILE_MAX_BYTES = 16 * 1024 * 1024 };

/* What a file from outside the home held when it was last good; empty if none is set. serve sends it
 * with every change of settings; what has not changed is not worth a new context, or the loss of a
 * cache. */
struct file {
	struct arena *arena;
	struct str contents;
	bool read;
	char fault[400]; /* why the file as it is now cannot be used */
};

struct relay {
	struct relay_means now; /* what the next attempt works with */
	struct ask_link *store;
	struct file trust, anchors;
	unsigned running; /* attempts */
	struct fiber *stopping;
};

/* ---- delivering ---- */

/* In the question or beside it. */
static int find_body(struct ask_question *q, const struct ask_deliver *m, struct str *ret)
{
	if (q->fd[0] >= 0)
		return body_map_file(q->fd[0], m->body_size, ret, &q->err);
	if (m->body.n != m->body_size)
		return err_perm(&q->err, "internal error", "deliver: the message came without its body");
	*ret = m->body;
	return 0;
}

static void deliver(struct relay *r, struct ask_question *q)
{
	struct ask_deliver message;
	struct ask_deliver_answer answer;
	struct str body;
	if (ask_take(q, xfer_ask_deliver, &message) != 0 || relay_check_message(&message, &q->err) != 0)
		return;
	if (!r->now.conf) {
		err_temp(&q->err, NULL, "relay: no settings yet");
		return;
	}
	if (find_body(q, &message, &body) != 0)
		return;
	struct relay_means means = r->now;
	conf_hold(means.conf);
	resolver_hold(means.resolver);
	relay_deliver(&means, &message, body, q->arena, &answer);
	ask_answer(q, xfer_ask_deliver_answer, &answer);
	if (q->fd[0] >= 0)
		body_unmap(body);
	resolver_drop(means.resolver);
	conf_drop(means.conf);
}

static void answer_store(struct ask_question *q, void *arg)
{
	struct relay *r = arg;
	if (q->kind != ASK_DELIVER) {
		err_perm(&q->err, NULL, "relay does not answer question %u", q->kind);
		return;
	}
	r->running++;
	deliver(r, q);
	r->running--;
	if (r->stopping && !r->running)
		fiber_wake(r->stopping);
}

/* ---- what serve tells ---- */

static void take_link(struct role *role, const struct ask_link_peer *peer, int fd)
{
	struct relay *r = role->arg;
	if (!str_eq(peer->role, STR("store"))) {
		close(fd);
		return;
	}
	ask_link_free(r->store);
	r->store = ask_link_new(fd, "store", answer_store, NULL, r);
}

static bool is_news(const struct file *f, struct str contents)
{
	return !f->read || !str_eq(f->contents, contents);
}

static void keep(struct file *f, struct str contents)
{
	arena_free(f->arena);
	f->arena = arena_new();
	f->contents = arena_dup(f->arena, contents);
	f->read = true;
}

static int take_trust(
	struct relay *r, const struct ask_file *file, struct str contents, struct err *err)
{
	unsigned count;
	if (!is_news(&r->trust, contents))
		return 0;
	if (file->trial) {
		SSL_CTX *ctx = tls_client_context(TLS_VERIFY, contents, err);
		SSL_CTX_free(ctx);
		return ctx ? 0 : -1;
	}
	if (relay_tls_trust(r->now.tls, contents, &count, err) != 0)
		return -1;
	keep(&r->trust, contents);
	r->now.trust_revision++;
	relay_pool_clear(r->now.pool);
	log_info("relay.trust", "file=%.*s anchors=%u", STR_ARG(file->path), count);
	return 0;
}

/* A resolver's settings freeze at its birth, so new ones take a new resolver; attempts that are under
 * way keep theirs. */
static void set_resolver(struct relay *r, struct resolver *resolver)
{
	resolver_drop(r->now.resolver);
	r->now.resolver = resolver;
}

static int take_anchors(
	struct relay *r, const struct ask_file *file, struct str contents, struct err *err)
{
	static const struct conf_addresses none;
	if (!is_news(&r->anchors, contents))
		return 0;
	/* Before the first settings a resolver is made too: to see whether the anchors are good. */
	struct resolver *resolver =
		resolver_new(r->now.conf ? &r->now.conf->dns_servers : &none, contents, err);
	if (!resolver)
		return -1;
	if (file->trial) {
		resolver_drop(resolver);
		return 0;
	}
	keep(&r->anchors, contents);
	set_resolver(r, resolver);
	log_info("relay.anchors", "file=%.*s bytes=%zu", STR_ARG(file->path), contents.n);
	return 0;
}

static int use_file(struct relay *r, const struct ask_file *file, int fd, struct err *err)
{
	struct str contents;
	if (fd < 0)
		return err_say(err, "%.*s", STR_ARG(file->error));
	if (body_map(fd, FILE_MAX_BYTES, &contents, err) != 0)
		return -1;
	int status = str_eq(file->setting, STR("trust.store")) ? take_trust(r, file, contents, err)
														   : take_anchors(r, file, contents, err);
	body_unmap(contents);
	return status;
}

/* Damaged anchors change nothing: the last good ones go on serving (P2). */
static int take_file(struct role *role, const struct ask_file *file, int fd, struct err *err)
{
	struct relay *r = role->arg;
	struct err why;
	struct file *f = str_eq(file->setting, STR("trust.store")) ? &r->trust : &r->anchors;
	int status = use_file(r, file, fd, &why);
	if (fd >= 0)
		close(fd);
	if (status != 0)
		err_say(err, "%.*s: %.*s cannot be used: %.120s", STR_ARG(file->setting),
			STR_ARG(str_take(file->path, 100)), why.log);
	if (!file->trial)
		snprintf(f->fault, sizeof f->fault, "%s%s", status ? err->log : "",
			!status       ? ""
				: f->read ? "; what was read before is still in use"
						  : "; nothing is trusted until it is mended");
	return status;
}

static bool same_servers(const struct conf *a, const struct conf *b)
{
	if (a->dns_servers.n != b->dns_servers.n)
		return false;
	for (size_t i = 0; i < a->dns_servers.n; i++)
		if (!str_eq(a->dns_servers.at[i].text, b->dns_servers.at[i].text))
			return false;
	return true;
}

static int take_conf(struct role *role, struct conf *c, struct err *err)
{
	struct relay *r = role->arg;
	if (!r->now.conf || !same_servers(r->now.conf, c)) {
		struct resolver *resolver = resolver_new(&c->dns_servers, r->anchors.contents, err);
		if (!resolver)
			return -1;
		set_resolver(r, resolver);
	}
	if (r->now.conf)
		conf_drop(r->now.conf);
	r->now.conf = conf_hold(c);
	relay_pool_clear(r->now.pool);
	if (r->trust.fault[0])
		role_fault(role, str_from_c(r->trust.fault));
	if (r->anchors.fault[0])
		role_fault(role, str_from_c(r->anchors.fault));
	return 0;
}

static void stop(struct role *role)
{
	struct relay *r = role->arg;
	r->stopping = fiber_self();
	while (r->running && ask_link_alive(r->store)) /* without store, nobody would hear of them */
		fiber_park("for the deliveries under way", FIBER_NEVER);
	relay_pool_clear(r->now.pool);
	role_exit(role, 0);
}

int main(void)
{
	static const struct role_calls calls = {
		.link = take_link, .file = take_file, .conf = take_conf, .stop = stop};
	static struct relay relay;
	static struct role role = {.name = "relay", .calls = &calls, .arg = &relay};
	relay.now.pool = relay_pool_new();
	relay.now.tls = relay_tls_new();
	role_hello(&role);
	tls_init(); /* reads files of its own */
	role_walls(&role);
	role_loop(&role);
}
