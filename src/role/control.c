#include "role/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ask/ask_mail.h"
#include "ask/questions.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/body.h"
#include "io/fd.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "role/http_gate.h"

enum {
	HEADERS_MAX = 32 * 1024,
	BODY_MAX = 1024 * 1024 + 64 * 1024, /* a pile of certificates; arguments with trust anchors */
	IDLE_S = 30,                        /* a connection that says nothing */
	ASK_MS = 120 * 1000,                /* changing a queue of a million messages takes a while */
	VERB_MAX = 40,
	EXTENTS = 64,
};

struct control {
	struct evhttp *http;
	struct evhttp_bound_socket *socket;
	struct ask_link *store;
	unsigned busy;
};

/* One request from its arrival to its answer. */
struct request {
	struct control *control;
	struct evhttp_request *http; /* NULL: the client has gone */
	struct arena *arena;
	struct str verb, args;
	int caller; /* our own descriptor of the connection: its number cannot be reused meanwhile */
	int raw;    /* sealed memfd, or -1 */
};

void control_guard(void)
{
	event_set_mem_functions(malloc, mem_wiping_resize, mem_wiping_free);
}

struct control *control_new(void)
{
	return mem_new(sizeof(struct control));
}

void control_set_store(struct control *c, struct ask_link *store)
{
	c->store = store;
}

unsigned control_busy(const struct control *c)
{
	return c->busy;
}

/* ---- answering */

static void reply(struct evhttp_request *http, unsigned status, struct str json, bool close_it)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(http);
	struct evbuffer *body = evhttp_request_get_output_buffer(http);
	evhttp_add_header(headers, "Content-Type", "application/json");
	evhttp_add_header(headers, "Cache-Control", "no-store");
	if (close_it)
		evhttp_add_header(headers, "Connection", "close");
	evbuffer_add(body, json.p, json.n);
	evbuffer_add(body, "\n", 1);
	evhttp_send_reply(http, (int)status, status == 200 ? "OK" : "Refused", NULL);
}

/* `text` is ours and needs no quoting. */
static void refuse(struct evhttp_request *http, unsigned status, const char *code, const char *text)
{
	char json[400];
	int n =
		snprintf(json, sizeof json, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}", code, text);
	reply(http, status, str_make(json, (size_t)n), true);
}

static void gone(struct evhttp_connection *connection, void *arg)
{
	struct request *r = arg;
	(void)connection;
	r->http = NULL;
}

/* The client's request, to be answered now, or NULL if he has gone. */
static struct evhttp_request *take_http(struct request *r)
{
	struct evhttp_request *http = r->http;
	if (http)
		evhttp_connection_set_closecb(evhttp_request_get_connection(http), NULL, NULL);
	r->http = NULL;
	return http;
}

/* There may be a passphrase in it. */
static void wipe(struct str args)
{
	if (args.n)
		mem_wipe((char *)(uintptr_t)args.p, args.n);
}

static void request_free(struct request *r)
{
	wipe(r->args);
	if (r->caller >= 0)
		close(r->caller);
	if (r->raw >= 0)
		close(r->raw);
	r->control->busy--;
	arena_free(r->arena);
	free(r);
}

static void answer(void *arg)
{
	struct request *r = arg;
	struct ask_admin question = {.verb = r->verb, .args = r->args};
	struct ask_admin_answer admin = {0};
	struct err err = {0};
	int fds[ASK_FDS] = {r->caller, r->raw};
	int asked = ask_put(r->control->store, ASK_ADMIN, xfer_ask_admin, &question, fds,
		xfer_ask_admin_answer, &admin, NULL, ASK_MS, r->arena, &err);
	if (asked < 0)
		log_warn("control.ask", "verb=%.*s err=\"%s\"", STR_ARG(r->verb), err.log);
	struct evhttp_request *http = take_http(r);
	if (http && asked < 0)
		refuse(http, 503, "unavailable", "the store does not answer; it may be starting again");
	else if (http)
		reply(http, admin.status, admin.json, false);
	request_free(r);
}

/* ---- taking */

/* The body as one slice in `arena`. */
static struct str body_text(struct evbuffer *body, struct arena *arena)
{
	size_t n = evbuffer_get_length(body);
	char *p = arena_alloc(arena, n + 1);
	evbuffer_remove(body, p, n);
	return str_make(p, n);
}

/* The body as a sealed memfd; its bytes, which may be a private key, are wiped from the buffer. (What
 * libevent moved while the buffer grew was wiped then: control_guard().) -1: no descriptor to be had. */
static int body_memfd(struct evbuffer *body)
{
	struct evbuffer_iovec extent[EXTENTS];
	int fd = body_memory("upload", NULL);
	bool good = fd >= 0;
	while (good && evbuffer_get_length(body) > 0) {
		int n = evbuffer_peek(body, -1, NULL, extent, EXTENTS);
		size_t taken = 0;
		for (int i = 0; i < n && i < EXTENTS; i++) {
			good = good && fd_write_all(fd, str_make(extent[i].iov_base, extent[i].iov_len)) == 0;
			mem_wipe(extent[i].iov_base, extent[i].iov_len);
			taken += extent[i].iov_len;
		}
		evbuffer_drain(body, taken);
	}
	if (good && body_seal(fd, NULL) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* path = "/v1/" verb, verb = 1*( %x61-7A / "." ) */
static bool read_verb(const char *uri, struct str *ret)
{
	struct str path = str_from_c(uri);
	if (!str_starts(path, STR("/v1/")))
		return false;
	*ret = str_skip(path, 4);
	for (size_t i = 0; i < ret->n; i++)
		if (ret->p[i] != '.' && !(ret->p[i] >= 'a' && ret->p[i] <= 'z'))
			return false;
	return ret->n > 0 && ret->n <= VERB_MAX;
}

static void on_request(struct evhttp_request *http, void *arg)
{
	struct control *c = arg;
	struct str verb;
	struct evkeyvalq *headers = evhttp_request_get_input_headers(http);
	struct evhttp_connection *connection = evhttp_request_get_connection(http);
	const char *wrong = http_gate(headers);
	if (wrong) {
		refuse(http, 400, "bad-request", wrong);
		return;
	}
	if (evhttp_request_get_command(http) != EVHTTP_REQ_POST) {
		refuse(http, 405, "bad-method", "verbs are asked with POST");
		return;
	}
	if (!read_verb(evhttp_request_get_uri(http), &verb)) {
		refuse(http, 404, "unknown-verb", "the path must be /v1/ and a verb, such as /v1/status");
		return;
	}
	struct request *r = mem_new(sizeof *r);
	c->busy++;
	*r = (struct request){.control = c, .http = http, .arena = arena_new(), .raw = -1};
	r->verb = arena_dup(r->arena, verb);
	evhttp_connection_set_closecb(connection, gone, r);
	r->caller =
		fcntl(bufferevent_getfd(evhttp_connection_get_bufferevent(connection)), F_DUPFD_CLOEXEC, 3);
	const char *args = evhttp_find_header(headers, "Letterlock-Args");
	struct evbuffer *body = evhttp_request_get_input_buffer(http);
	if (args) {
		r->args = arena_dup(r->arena, str_from_c(args));
		wipe(str_from_c(args));
		r->raw = body_memfd(body);
	} else {
		r->args = body_text(body, r->arena);
	}
	if (r->caller < 0 || (args && r->raw < 0)) {
		refuse(take_http(r), 503, "unavailable", "no descriptor is left; try again");
		request_free(r);
		return;
	}
	fiber_start("admin", answer, r);
}

int control_listen(struct control *c, int fd, struct err *err)
{
	struct evhttp *http = evhttp_new(loop_base());
	if (!http)
		return err_temp(err, NULL, "evhttp cannot be made");
	evhttp_set_max_headers_size(http, HEADERS_MAX);
	evhttp_set_max_body_size(http, BODY_MAX);
	evhttp_set_timeout(http, IDLE_S);
	evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_POST);
	evhttp_set_gencb(http, on_request, c);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	c->socket = evhttp_accept_socket_with_handle(http, fd);
	if (!c->socket) {
		evhttp_free(http);
		return err_temp(err, NULL, "the control socket cannot be listened on");
	}
	c->http = http;
	return 0;
}

void control_stop(struct control *c)
{
	if (c->socket)
		evhttp_del_accept_socket(c->http, c->socket);
	c->socket = NULL;
}

void control_free(struct control *c)
{
	if (c->http)
		evhttp_free(c->http);
	free(c);
}
