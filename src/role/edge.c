/* edge: main of the role that faces the net; see edge.h. */
#include "role/edge.h"

#include <openssl/ssl.h>

#include "base/log.h"
#include "cert/tls.h"
#include "io/fiber.h"
#include "role/control.h"

enum { FAULTS_MAX = 4000 };

/* The link before is dead or about to be: what was asked on it fails and the client tries again. */
static void take_link(struct role *r, const struct ask_link_peer *peer, int fd)
{
	struct edge *e = r->arg;
	bool is_store = str_eq(peer->role, STR("store"));
	struct ask_link **link = is_store ? &e->store : &e->keys;
	struct ask_link *before = *link;
	if (is_store)
		e->room_told = false;
	*link = ask_link_new(fd, is_store ? "store" : "keys",
		is_store && !e->control ? edge_answer_store : NULL, NULL, e);
	e->stores += is_store;
	if (e->control)
		control_set_store(e->control, e->store);
	ask_link_free(before);
}

/* New sessions take the new settings, those that run keep theirs. A certificate that cannot be used
 * is told and passed over; if none is left, everything stays as it was (P2). */
static int take_conf(struct role *r, struct conf *conf, struct err *err)
{
	struct edge *e = r->arg;
	struct buf faults;
	struct str rest, line;
	struct err none;
	if (e->control)
		return 0; /* it has no settings */
	buf_init(&faults, FAULTS_MAX);
	struct ssl_ctx_st *tls = tls_server_context(conf, &e->keys, &faults, &none);
	rest = buf_str(&faults);
	while (str_split(&rest, '\n', &line))
		if (line.n)
			role_fault(r, line);
	buf_done(&faults);
	bool stale = e->conf && e->conf->revision > conf->revision; /* trying takes its time */
	if (stale || (!tls && e->tls)) {
		SSL_CTX_free(tls);
		return stale ? 0 : err_say(err, "%s", none.log);
	}
	if (!tls)
		role_fault(r, STR("no certificate can be used: no listener offers TLS"));
	SSL_CTX_free(e->tls);
	e->tls = tls;
	if (e->conf)
		conf_drop(e->conf);
	e->conf = conf_hold(conf);
	return 0;
}

static bool is_in_use(const struct edge *e, const struct conf_certificate *c)
{
	for (size_t i = 0; e->conf && i < e->conf->certificate_count; i++)
		if (str_eq(e->conf->certificates[i].chain_pem, c->chain_pem))
			return true;
	return false;
}

/* New certificates must be good. One that is bad already, say since its key was lost, shall not stand
 * in the way of the change that mends it. */
static int try_conf(struct role *r, const struct conf *conf, struct err *err)
{
	struct edge *e = r->arg;
	for (size_t i = 0; !e->control && i < conf->certificate_count; i++)
		if (!is_in_use(e, &conf->certificates[i]) &&
			tls_server_prove(&conf->certificates[i], &e->keys, err) != 0)
			return -1;
	return 0;
}

static void take_socket(struct role *r, const struct ask_listen *listen, int fd)
{
	struct edge *e = r->arg;
	struct err err;
	if (!e->control)
		edge_listen(e, listen, fd);
	else if (control_listen(e->control, fd, &err) != 0)
		log_error("edge.control", "error=\"%s\"", err.log);
}

static void drop_socket(struct role *r, uint32_t number)
{
	edge_unlisten(r->arg, number);
}

static void retire(struct role *r)
{
	edge_retire(r->arg);
}

static void stop(struct role *r)
{
	struct edge *e = r->arg;
	if (e->control)
		control_stop(e->control);
	else
		edge_finish(e);
	for (int i = 0; e->control && control_busy(e->control) && i < 100; i++)
		fiber_sleep("for the last answers", 100);
	role_exit(r, 0);
}

int main(void)
{
	static const struct role_calls calls = {
		.link = take_link,
		.conf = take_conf,
		.try_conf = try_conf,
		.listen = take_socket,
		.unlisten = drop_socket,
		.retire = retire,
		.look = edge_look,
		.stop = stop,
	};
	static struct edge e;
	static struct role r = {.name = "edge", .calls = &calls, .arg = &e};
	struct err err;
	e.role = &r;
	vec_init(&e.listeners, sizeof(struct edge_listener *));
	control_guard();
	role_hello(&r);
	if (str_eq(str_from_c(r.group), STR("control")))
		e.control = control_new();
	else if (!(e.clients = clients_open(r.clients_fd, r.number, &err)))
		role_fail(&r, &err);
	tls_init();
	role_walls(&r);
	role_loop(&r);
}
