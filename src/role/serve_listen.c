/* serve_listen: see serve.h. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ask/questions.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "role/serve.h"

enum { BACKLOG = 1024, HAND_OVER_MS = 10 * 1000 };

static const char *setting_of(enum listener l)
{
	static const char *const name[] = {"listen.smtp", "listen.submission", "listen.submissions"};
	return name[l];
}

static const char *group_of(enum listener l)
{
	return l == LISTENER_SMTP ? "mx" : "user";
}

static bool serves(const struct child *edge, enum listener l)
{
	return !strcmp(edge->group, group_of(l));
}

/* The first process of the group: as long as it is wanted, the group is. */
static struct child *edge_of(struct serve *s, enum listener l)
{
	return child_find(s, str_from_c(group_of(l)));
}

static uint64_t bit_of(const struct child *edge)
{
	return UINT64_C(1) << (edge - edge->serve->children);
}

static struct socket_bound *find(struct serve *s, enum listener l, struct str address)
{
	for (size_t i = 0; i < s->sockets->n; i++) {
		struct socket_bound *b = vec_at(s->sockets, i);
		if (b->listener == l && str_eq(b->address, address))
			return b;
	}
	return NULL;
}

static int bind_one(enum listener l, const struct conf_address *a, struct err *err)
{
	struct sockaddr_storage sa;
	socklen_t sa_len = ip_to_sockaddr(&a->ip, a->port, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		/* Accepted connections inherit it: a greeting must not wait for an acknowledgement. */
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		if (sa.ss_family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
		if (bind(fd, (const struct sockaddr *)&sa, sa_len) == 0 && listen(fd, BACKLOG) == 0)
			return fd;
	}
	const char *remedy = errno == EADDRINUSE ? "; another program listens there"
		: errno == EACCES        ? "; ports below 1024 need root or CAP_NET_BIND_SERVICE"
		: errno == EADDRNOTAVAIL ? "; this machine does not have that address"
								 : "";
	err_say(err, "%s: cannot listen on %.*s: %s%s", setting_of(l), STR_ARG(a->text),
		strerror(errno), remedy);
	if (fd >= 0)
		close(fd);
	return -1;
}

static void close_socket(const struct socket_bound *b)
{
	close(b->fd);
	free((void *)(uintptr_t)b->address.p);
}

static void drop(struct serve *s, size_t i)
{
	close_socket(vec_at(s->sockets, i));
	vec_remove(s->sockets, i);
}

static const struct conf_addresses *list_of(const struct conf *c, enum listener l)
{
	return l == LISTENER_SMTP      ? &c->listen_smtp
		: l == LISTENER_SUBMISSION ? &c->listen_submission
								   : &c->listen_submissions;
}

static bool is_listed(const struct conf *c, const struct socket_bound *b)
{
	const struct conf_addresses *list = list_of(c, b->listener);
	for (size_t i = 0; i < list->n; i++)
		if (str_eq(list->at[i].text, b->address))
			return true;
	return false;
}

static int bind_list(struct serve *s, enum listener l, const struct conf_addresses *list,
	bool fresh, struct err *err)
{
	static uint32_t number;
	for (size_t i = 0; i < list->n; i++) {
		if (find(s, l, list->at[i].text))
			continue;
		int fd = bind_one(l, &list->at[i], err);
		if (fd < 0)
			return -1;
		char *address = mem_new(list->at[i].text.n + 1);
		str_to_c(list->at[i].text, address, list->at[i].text.n + 1);
		const struct socket_bound b = {.number = ++number,
			.listener = l,
			.address = str_from_c(address),
			.fd = fd,
			.fresh = fresh};
		vec_add(s->sockets, &b);
	}
	return 0;
}

/* What `c` lists for the edges that nobody stopped, or for one edge. On failure those bound here are
 * closed again. */
static int bind_missing(struct serve *s, const struct conf *c, const struct child *only_edge,
	bool fresh, struct err *err)
{
	size_t before = s->sockets->n;
	for (enum listener l = 0; l <= LISTENER_LAST; l++) {
		if (only_edge ? edge_of(s, l) != only_edge : !edge_of(s, l)->wanted)
			continue;
		if (bind_list(s, l, list_of(c, l), fresh, err) == 0)
			continue;
		while (s->sockets->n > before)
			drop(s, s->sockets->n - 1);
		return -1;
	}
	return 0;
}

int sockets_prepare(struct serve *s, const struct conf *next, struct err *err)
{
	/* Of a preparation that was never applied. */
	for (size_t i = s->sockets->n; i-- > 0;)
		if (((struct socket_bound *)vec_at(s->sockets, i))->fresh)
			drop(s, i);
	return bind_missing(s, next, NULL, true, err);
}

int sockets_bind(struct serve *s, const struct child *edge, struct err *err)
{
	return s->conf ? bind_missing(s, s->conf, edge, false, err) : 0;
}

/* An edge may die, and sockets come and go, while one of them is handed over: nothing that points
 * into s->sockets outlives the question. */
static void give(struct child *edge, struct socket_bound *b)
{
	struct arena *arena = arena_new();
	struct ask_listen listen = {
		.number = b->number, .listener = b->listener, .address = arena_dup(arena, b->address)};
	struct err err;
	b->holders |= bit_of(edge);
	if (ask_put(edge->link, ASK_LISTEN, xfer_ask_listen, &listen, (int[]){b->fd, -1}, NULL, NULL,
			NULL, HAND_OVER_MS, arena, &err) != 0)
		log_warn("serve.listen", "role=%s address=%.*s err=\"%s\"", edge->name,
			STR_ARG(listen.address), err.log);
	arena_free(arena);
}

static void take(struct child *edge, uint32_t number)
{
	struct ask_unlisten unlisten = {.number = number};
	struct arena *arena = arena_new();
	struct err err;
	if (ask_link_alive(edge->link))
		ask_put(edge->link, ASK_UNLISTEN, xfer_ask_unlisten, &unlisten, NULL, NULL, NULL, NULL,
			HAND_OVER_MS, arena, &err);
	arena_free(arena);
}

static void take_from_all(struct serve *s, const struct socket_bound *b)
{
	for (int i = 0; i < CHILDREN; i++)
		if (b->holders & bit_of(&s->children[i]))
			take(&s->children[i], b->number);
}

static struct socket_bound *next_to_take(struct serve *s, const struct child *edge)
{
	for (size_t i = 0; i < s->sockets->n; i++) {
		struct socket_bound *b = vec_at(s->sockets, i);
		if (b->holders & bit_of(edge))
			return b;
	}
	return NULL;
}

void sockets_take(struct serve *s, struct child *edge)
{
	struct socket_bound *b;
	while (edge->retiring && (b = next_to_take(s, edge))) {
		b->holders &= ~bit_of(edge);
		take(edge, b->number);
	}
}

/* The settings in force want it, and nobody stopped its edge. */
static bool is_wanted(struct serve *s, const struct socket_bound *b)
{
	return is_listed(s->conf, b) && edge_of(s, b->listener)->wanted;
}

/* Takes one socket that is wanted no more out of the list. */
static bool next_unwanted(struct serve *s, struct socket_bound *ret)
{
	for (size_t i = 0; i < s->sockets->n; i++) {
		struct socket_bound *b = vec_at(s->sockets, i);
		if (b->fresh || is_wanted(s, b))
			continue;
		*ret = *b;
		vec_remove(s->sockets, i);
		return true;
	}
	return false;
}

static struct socket_bound *next_to_give(struct serve *s, const struct child *edge)
{
	for (size_t i = 0; i < s->sockets->n; i++) {
		struct socket_bound *b = vec_at(s->sockets, i);
		if (serves(edge, b->listener) && !b->fresh && !(b->holders & bit_of(edge)))
			return b;
	}
	return NULL;
}

static void give_control(struct child *edge)
{
	struct ask_listen listen = {.address = STR("control.sock")};
	struct arena *arena = arena_new();
	struct err err;
	if (ask_put(edge->link, ASK_LISTEN, xfer_ask_listen, &listen,
			(int[]){edge->serve->control_fd, -1}, NULL, NULL, NULL, HAND_OVER_MS, arena, &err) != 0)
		log_warn("serve.listen", "role=%s err=\"%s\"", edge->name, err.log);
	arena_free(arena);
}

static void give_all(struct serve *s, struct child *edge)
{
	struct socket_bound *b;
	while (edge->state == CHILD_RUNNING && !edge->retiring && ask_link_alive(edge->link) &&
		(b = next_to_give(s, edge)))
		give(edge, b);
}

void sockets_give(struct serve *s, struct child *edge)
{
	if (child_find(s, STR("control")) == edge)
		give_control(edge);
	else
		give_all(s, edge);
}

void sockets_apply(struct serve *s)
{
	struct err err;
	/* Prepared they are, but for an edge that was started again since. */
	if (bind_missing(s, s->conf, NULL, false, &err) != 0)
		log_error("serve.listen", "err=\"%s\"", err.log);
	for (size_t i = 0; i < s->sockets->n; i++) {
		struct socket_bound *b = vec_at(s->sockets, i);
		if (is_listed(s->conf, b))
			b->fresh = false;
	}
	for (struct socket_bound b; next_unwanted(s, &b); close_socket(&b))
		take_from_all(s, &b);
	for (int i = 0; i < CHILDREN; i++)
		if (s->children[i].conf_role == CONF_EDGE)
			give_all(s, &s->children[i]);
}

void sockets_lost(struct serve *s, struct child *edge)
{
	for (size_t i = 0; i < s->sockets->n; i++) {
		struct socket_bound *b = vec_at(s->sockets, i);
		if (!(b->holders & bit_of(edge)))
			continue;
		b->holders &= ~bit_of(edge);
		/* Whoever took it over may have shut it down; to one that listens this is nothing. */
		if (listen(b->fd, BACKLOG) != 0)
			log_error(
				"serve.listen", "address=%.*s err=\"%s\"", STR_ARG(b->address), strerror(errno));
	}
}

static int control_address(struct serve *s, struct sockaddr_un *ret, struct err *err)
{
	static const char name[] = "/control.sock";
	size_t n = strlen(s->home);
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (n + sizeof name > sizeof ret->sun_path)
		return err_say(err,
			"the path of the home is too long for its control socket (at most %zu bytes): %s",
			sizeof ret->sun_path - sizeof name, s->home);
	memcpy(ret->sun_path, s->home, n);
	memcpy(ret->sun_path + n, name, sizeof name);
	return 0;
}

int sockets_open_control(struct serve *s, struct err *err)
{
	struct sockaddr_un sa;
	if (control_address(s, &sa, err) != 0)
		return -1;
	unlink(sa.sun_path); /* of a run that was killed; the home's lock is ours */
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0 ||
		chmod(sa.sun_path, 0600) != 0 || listen(fd, BACKLOG) != 0) {
		err_say(err, "cannot open %s: %s", sa.sun_path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	s->control_fd = fd;
	return 0;
}

void sockets_close_control(struct serve *s)
{
	struct sockaddr_un sa;
	if (control_address(s, &sa, NULL) == 0)
		unlink(sa.sun_path);
	close(s->control_fd);
	s->control_fd = -1;
}
