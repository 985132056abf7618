/* edge_listen: see edge.h. One fiber per session; a session keeps the settings and the TLS context it
 * began with. */
#include <errno.h>
#include <event2/event.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_thin.h"
#include "base/mem.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "role/edge.h"
#include "wire/ip.h"

enum {
	/* Connections in a row before the sessions get their turn, and other processes theirs to take
	 * some: all are woken for each that waits. */
	ACCEPT_TURN = 8,
	NO_FILES_MS = 200, /* pause when the process is out of descriptors */
	FINISH_MS =
		8 * 1000, /* what runs at ASK_STOP may take so long; serve kills after ten seconds */
};

struct edge_listener {
	struct edge *edge;
	uint32_t number;
	enum listener listener;
	int fd;
	struct event *readable;
	struct loop_timer *pause;
};

struct edge_session {
	struct edge *edge;
	struct edge_session *prev, *next;
	struct conf *conf;
	struct ssl_ctx_st *tls;
	enum listener listener;
	int fd; /* owned by the session's stream */
	struct stream *stream;
	bool idle;
	struct ip client;
	char client_text[IP_TEXT];
	char port_text[8];
};

/* ---- limits ------------------------------------------------------------------------------------ */

/* What a client is told whom the limits keep out. RFC 5321 3.8: 421, and the connection closes. */
static const char *const refusals[] = {
	[CLIENTS_WELCOME] = NULL,
	[CLIENTS_FULL] = "421 4.7.0 Too many connections, try again later\r\n",
	[CLIENTS_ADDRESS_FULL] =
		"421 4.7.0 Too many connections from your address, try again later\r\n",
	[CLIENTS_TOO_FAST] = "421 4.7.0 Too many new connections from your address, wait a minute\r\n",
};

/* NULL and one more session is counted, or what the client is told. */
static const char *refusal(struct edge *e, const struct ip *ip)
{
	const struct conf *c = e->conf;
	if (!c)
		return "421 4.3.2 Not ready yet, try again in a minute\r\n";
	const struct clients_limits limits = {
		.sessions = c->smtp_max_sessions,
		.per_address = c->smtp_max_sessions_per_address,
		.per_minute =
			conf_networks_match(&c->relay_networks, ip) ? 0 : c->smtp_max_sessions_per_minute,
	};
	return refusals[clients_enter(e->clients, ip, &limits, clock_steady_ms())];
}

/* ---- a session --------------------------------------------------------------------------------- */

static void session_free(struct edge_session *s)
{
	struct edge *e = s->edge;
	if (s->prev)
		s->prev->next = s->next;
	else
		e->sessions = s->next;
	if (s->next)
		s->next->prev = s->prev;
	clients_leave(e->clients, &s->client);
	e->session_count--;
	conf_drop(s->conf);
	SSL_CTX_free(s->tls);
	free(s);
	if (e->stopper && !e->sessions)
		fiber_wake(e->stopper);
	else if (e->retiring && !e->sessions)
		role_exit(e->role, 0);
}

/* The submissions port: TLS before the first word (RFC 8314 3.3). */
static bool tls_from_the_start(struct edge_session *s, struct stream *stream)
{
	struct err err;
	err_clear(&err);
	if (!s->tls) {
		log_warn("edge.no-certificate", "client=%s listener=submissions", s->client_text);
		return false;
	}
	stream_set_timeout(stream, (int64_t)s->conf->smtp_timeout_ms);
	stream_set_line_timeout(stream, (int64_t)s->conf->smtp_line_ms);
	if (stream_accept_tls(stream, s->tls, NULL, NULL, &err) == 0)
		return true;
	log_info("smtp.tls-failed", "client=%s error=\"%s\"", s->client_text, err.log);
	return false;
}

static void session_run(void *arg)
{
	struct edge_session *s = arg;
	struct edge *e = s->edge;
	struct stream *stream = s->stream = stream_new_fd(s->fd);
	const struct smtp_server server = {
		.conf = s->conf,
		.listener = s->listener,
		.client = str_from_c(s->client_text),
		.client_port = str_from_c(s->port_text),
		.tls = s->tls,
		.questions = &edge_questions,
		.arg = e,
		.stop = &e->stopping,
		.idle = &s->idle,
		.refused = &e->refused,
	};
	if (s->listener != LISTENER_SUBMISSIONS || tls_from_the_start(s, stream))
		smtp_serve(stream, &server);
	s->stream = NULL;
	stream_close(stream);
	session_free(s);
}

static void session_start(
	struct edge *e, enum listener listener, int fd, const struct ip *client, uint16_t port)
{
	static unsigned number;
	char name[24];
	struct edge_session *s = mem_new(sizeof *s);
	s->edge = e;
	s->conf = conf_hold(e->conf);
	s->tls = e->tls;
	if (s->tls)
		SSL_CTX_up_ref(s->tls);
	s->listener = listener;
	s->fd = fd;
	s->client = *client;
	ip_format(client, s->client_text);
	snprintf(s->port_text, sizeof s->port_text, "%u", port);
	s->next = e->sessions;
	if (s->next)
		s->next->prev = s;
	e->sessions = s;
	e->session_count++;
	snprintf(name, sizeof name, "smtp-%u", ++number);
	fiber_start(name, session_run, s);
}

/* ---- accepting --------------------------------------------------------------------------------- */

/* On submissions the client expects TLS and could not read the text. */
static void refuse(struct edge_listener *l, int fd, const struct ip *client, const char *text)
{
	static struct log_thin thin;
	char address[IP_TEXT];
	if (log_thin_may(&thin, "smtp.refuse", clock_steady_ms()))
		log_info("smtp.refuse", "client=%s reply=\"%.*s\"", ip_format(client, address),
			(int)strcspn(text, "\r"), text);
	meter_add(&l->edge->refused, 1, clock_tick_ms());
	if (l->listener != LISTENER_SUBMISSIONS)
		send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static bool out_of_descriptors(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* The connections wait in the kernel meanwhile; asking at once would only burn CPU. */
static void pause_accepting(struct edge_listener *l)
{
	log_error("edge.accept", "error=\"%s\" sessions=%llu", strerror(errno),
		(unsigned long long)l->edge->session_count);
	event_del(l->readable);
	loop_timer_start(l->pause, NO_FILES_MS);
}

/* Takes one connection; false when there is nothing to take now. */
static bool accept_one(struct edge_listener *l)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	int fd = accept4(l->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 && out_of_descriptors(errno)) {
		pause_accepting(l);
		return false;
	}
	if (fd < 0)
		return errno != EAGAIN; /* the others are one connection's own trouble, see accept(2) */
	struct ip client = {0};
	uint16_t port = 0;
	ip_from_sockaddr((const struct sockaddr *)&sa, &client, &port);
	const char *text = refusal(l->edge, &client);
	if (text)
		refuse(l, fd, &client, text);
	else
		session_start(l->edge, l->listener, fd, &client, port);
	return true;
}

static void on_connections(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	for (int i = 0; i < ACCEPT_TURN && accept_one(arg); i++)
		;
}

static void on_pause_over(void *arg)
{
	struct edge_listener *l = arg;
	event_add(l->readable, NULL);
}

void edge_listen(struct edge *e, const struct ask_listen *listen, int fd)
{
	struct edge_listener *l = mem_new(sizeof *l);
	e->retiring = false;
	*l = (struct edge_listener){
		.edge = e, .number = listen->number, .listener = listen->listener, .fd = fd};
	l->pause = loop_timer_new(on_pause_over, l);
	l->readable = event_new(loop_base(), fd, EV_READ | EV_PERSIST, on_connections, l);
	if (!l->readable || event_add(l->readable, NULL) != 0)
		mem_exhausted(sizeof *l);
	vec_add(&e->listeners, &l);
	log_info("edge.listen", "address=%.*s", STR_ARG(listen->address));
}

static void listener_free(struct edge_listener *l)
{
	loop_timer_free(l->pause);
	event_free(l->readable);
	close(l->fd);
	free(l);
}

void edge_unlisten(struct edge *e, uint32_t number)
{
	for (size_t i = e->listeners.n; i-- > 0;) {
		struct edge_listener *l = *(struct edge_listener **)vec_at(&e->listeners, i);
		if (l->number != number)
			continue;
		vec_remove(&e->listeners, i);
		listener_free(l);
	}
}

/* ---- for those who watch ------------------------------------------------------------------------ */

void edge_look(struct look_numbers *l, void *arg)
{
	static const struct {
		const char *open, *idle, *tls;
	} names[LISTENER_LAST + 1] = {
		{"smtp.open", "smtp.idle", "smtp.tls"},
		{"submission.open", "submission.idle", "submission.tls"},
		{"submissions.open", "submissions.idle", "submissions.tls"},
	};
	struct edge *e = arg;
	uint64_t open[LISTENER_LAST + 1] = {0}, idle[LISTENER_LAST + 1] = {0},
								  tls[LISTENER_LAST + 1] = {0};
	bool listens[LISTENER_LAST + 1] = {0};
	for (size_t i = 0; i < e->listeners.n; i++)
		listens[(*(struct edge_listener **)vec_at(&e->listeners, i))->listener] = true;
	for (const struct edge_session *s = e->sessions; s; s = s->next) {
		open[s->listener]++;
		idle[s->listener] += s->idle;
		tls[s->listener] += s->stream && stream_ssl(s->stream);
	}
	for (int i = 0; i <= LISTENER_LAST; i++) {
		if (!listens[i] && !open[i])
			continue;
		look_number(l, names[i].open, open[i]);
		look_number(l, names[i].idle, idle[i]);
		look_number(l, names[i].tls, tls[i]);
	}
	look_rate(l, "refused", &e->refused);
}

/* ---- the end ----------------------------------------------------------------------------------- */

void edge_retire(struct edge *e)
{
	e->retiring = true;
	if (!e->sessions)
		role_exit(e->role, 0);
}

void edge_finish(struct edge *e)
{
	e->stopping = true;
	while (e->listeners.n) {
		struct edge_listener *l = *(struct edge_listener **)vec_at(&e->listeners, 0);
		vec_remove(&e->listeners, 0);
		listener_free(l);
	}
	/* A session that waits for a command wakes up at the end of its input, and says 421. */
	for (struct edge_session *s = e->sessions; s; s = s->next)
		if (s->idle)
			shutdown(s->fd, SHUT_RD);
	e->stopper = fiber_self();
	if (e->sessions)
		fiber_park("for the last sessions", FINISH_MS);
	log_info("edge.finish", "sessions=%llu", (unsigned long long)e->session_count);
}
