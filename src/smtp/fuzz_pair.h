/* fuzz_pair: two ends of a connection, each written straight down in a fiber of its own, for fuzzers
 * that need real TLS. One thread, so every run is the same. Included by fuzzers only. */
#ifndef SMTP_FUZZ_PAIR_H
#define SMTP_FUZZ_PAIR_H

#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/fuzz.h"
#include "cert/fuzz_pki.h"
#include "cert/tls.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/stream.h"

enum { FUZZ_WAIT_MS = 2000 }; /* nobody waits so long but for a mistake of ours */

/* Closes or frees its stream in the end; `fd` is that of the stream. */
typedef void fuzz_end_fn(void *arg, struct stream *s, int fd);

struct fuzz_end {
	fuzz_end_fn *run;
	void *arg;
	int fd;
	int *running;
};

static inline void fuzz_end_run(void *arg)
{
	struct fuzz_end *end = arg;
	struct stream *s = stream_new_fd(end->fd);
	stream_set_timeout(s, FUZZ_WAIT_MS);
	end->run(end->arg, s, end->fd);
	if (--*end->running == 0)
		loop_stop();
}

/* Runs both until they have returned. */
static inline void fuzz_pair_run(fuzz_end_fn *one, fuzz_end_fn *other, void *arg)
{
	int fds[2], running = 2;
	if (!loop_base())
		loop_init();
	signal(SIGPIPE, SIG_IGN); /* as every role */
	int made = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
	assert(made == 0);
	struct fuzz_end ends[] = {{one, arg, fds[0], &running}, {other, arg, fds[1], &running}};
	fiber_start("one", fuzz_end_run, &ends[0]);
	fiber_start("other", fuzz_end_run, &ends[1]);
	loop_run();
}

/* A server's context with one of fuzz_pki()'s leaves and, if it is not NULL, its issuer. */
static inline struct ssl_ctx_st *fuzz_server_context(
	const struct pki_pair *leaf, const struct pki_pair *issuer)
{
	struct buf pem;
	struct err err;
	buf_init(&pem, 1 << 16);
	pki_add_pem(&pem, leaf);
	if (issuer)
		pki_add_pem(&pem, issuer);
	struct ssl_ctx_st *ctx = tls_server_context_with_key(buf_str(&pem), leaf->key, &err);
	assert(ctx);
	buf_done(&pem);
	return ctx;
}

/* Says that no more will come, so that nobody waits for it, and takes all that still comes. */
static inline void fuzz_end_talk(struct stream *s, int fd, struct buf *to)
{
	struct str some;
	stream_flush(s, NULL);
	if (stream_ssl(s)) {
		ERR_clear_error();
		SSL_shutdown(stream_ssl(s));
		ERR_clear_error();
	}
	shutdown(fd, SHUT_WR);
	while (stream_peek(s, &some, NULL) == 0) {
		buf_add(to, some);
		stream_skip(s, some.n);
	}
}

#endif
