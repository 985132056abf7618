/* test_peer: a next hop for tests, a thread for each connection, each reply as the test wishes.
 * Everything fails loudly. (size: a whole server, kept together so that a test needs one include.) */
#ifndef SMTP_TEST_PEER_H
#define SMTP_TEST_PEER_H

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "io/stream.h"

enum { PEER_CONNECTIONS_MAX = 64 };

struct peer {
	/* Wishes; what is NULL is answered with a plain yes. Replies with their CRLF. */
	const char *greeting, *ehlo, *mail, *rcpt, *data, *end;
	const char *refused;  /* recipients with this in them get 550 */
	SSL_CTX *tls;         /* offers STARTTLS */
	bool break_handshake; /* offers STARTTLS and answers the handshake with nonsense */
	unsigned hang_up;     /* closes without a word after so many messages of a connection */
	bool hang_up_on_end;  /* closes in place of the reply to the end of data */
	unsigned stay_silent; /* seconds of silence in place of the greeting */

	/* What came. */
	atomic_uint connections, messages, encrypted;
	struct buf said; /* commands, one a line; messages as they came */

	int fd;
	uint16_t port;
	pthread_t thread, sessions[PEER_CONNECTIONS_MAX];
	pthread_mutex_t lock; /* of `said` */
};

static inline void peer_note(struct peer *p, struct str line)
{
	pthread_mutex_lock(&p->lock);
	buf_add(&p->said, line);
	buf_add_c(&p->said, "\n");
	pthread_mutex_unlock(&p->lock);
}

static inline void peer_say(struct stream *s, const char *wish, const char *otherwise)
{
	stream_put(s, str_from_c(wish ? wish : otherwise));
}

/* Until the lone dot. */
static inline bool peer_read_message(struct peer *p, struct stream *s)
{
	struct str line;
	while (stream_line(s, 2000, &line, NULL) == STREAM_LINE) {
		if (str_eq(line, STR(".")))
			return true;
		peer_note(p, line);
	}
	return false;
}

static inline bool peer_ehlo(struct peer *p, struct stream *s)
{
	bool offers_tls = (p->tls || p->break_handshake) && !stream_ssl(s);
	stream_putf(s, "250-peer.example\r\n%s250 %s\r\n", p->ehlo ? p->ehlo : "",
		offers_tls ? "STARTTLS" : "HELP");
	return true;
}

static inline bool peer_starttls(struct peer *p, struct stream *s)
{
	stream_put(s, STR("220 go on\r\n"));
	if (p->break_handshake) {
		stream_put(s, STR("this is no TLS record at all\r\n"));
		stream_flush(s, NULL);
		return false;
	}
	p->encrypted++;
	return stream_accept_tls(s, p->tls, NULL, NULL, NULL) == 0;
}

/* False ends the connection. */
static inline bool peer_command(struct peer *p, struct stream *s, struct str line)
{
	if (str_starts(line, STR("EHLO")))
		return peer_ehlo(p, s);
	if (str_starts(line, STR("STARTTLS")))
		return peer_starttls(p, s);
	if (str_starts(line, STR("MAIL")))
		peer_say(s, p->mail, "250 ok\r\n");
	else if (str_starts(line, STR("RCPT")) && p->refused &&
		memmem(line.p, line.n, p->refused, strlen(p->refused)))
		stream_put(s, STR("550 5.1.1 no such user\r\n"));
	else if (str_starts(line, STR("RCPT")))
		peer_say(s, p->rcpt, "250 ok\r\n");
	else if (str_starts(line, STR("DATA"))) {
		peer_say(s, p->data, "354 go\r\n");
		if (p->data)
			return true;
		if (!peer_read_message(p, s) || p->hang_up_on_end)
			return false;
		p->messages++;
		peer_say(s, p->end, "250 2.0.0 queued\r\n");
	} else if (str_starts(line, STR("QUIT"))) {
		return false;
	} else {
		stream_put(s, STR("250 ok\r\n"));
	}
	return true;
}

struct peer_connection {
	struct peer *peer;
	int fd;
};

static inline void *peer_session(void *arg)
{
	struct peer_connection connection = *(struct peer_connection *)arg;
	struct peer *p = connection.peer;
	struct stream *s = stream_new_fd(connection.fd);
	struct str line;
	unsigned before = p->messages;
	free(arg);
	stream_set_timeout(s, 10000);
	sleep(p->stay_silent); /* style: a thread of its own */
	peer_say(s, p->greeting, "220 peer.example\r\n");
	while (stream_line(s, 2000, &line, NULL) == STREAM_LINE) {
		peer_note(p, line);
		if (!peer_command(p, s, line))
			break;
		if (p->hang_up && p->messages - before == p->hang_up) {
			stream_flush(s, NULL);
			break;
		}
	}
	stream_close(s);
	return NULL;
}

static inline void *peer_run(void *arg)
{
	struct peer *p = arg;
	int fd;
	while ((fd = accept(p->fd, NULL, NULL)) >= 0) {
		struct peer_connection *c = mem_new(sizeof *c);
		*c = (struct peer_connection){p, fd};
		assert(p->connections < PEER_CONNECTIONS_MAX);
		int failed = pthread_create(&p->sessions[p->connections++], NULL, peer_session, c);
		assert(!failed);
		(void)failed;
	}
	return NULL;
}

/* Listens at `address`; port 0 takes a free one, see p->port. */
static inline void peer_start(struct peer *p, const char *address, uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t n = sizeof sa;
	inet_pton(AF_INET, address, &sa.sin_addr);
	buf_init(&p->said, 64 * 1024 * 1024);
	pthread_mutex_init(&p->lock, NULL);
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(p->fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	int failed = bind(p->fd, (struct sockaddr *)&sa, sizeof sa) || listen(p->fd, 100) ||
		getsockname(p->fd, (struct sockaddr *)&sa, &n) ||
		pthread_create(&p->thread, NULL, peer_run, p);
	assert(!failed);
	(void)failed;
	p->port = ntohs(sa.sin_port);
}

/* Waits for the connections that are open. */
static inline void peer_stop(struct peer *p)
{
	shutdown(p->fd, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	for (unsigned i = 0; i < p->connections; i++)
		pthread_join(p->sessions[i], NULL);
	close(p->fd);
}

static inline void peer_free(struct peer *p)
{
	buf_done(&p->said);
	SSL_CTX_free(p->tls);
}

#endif
