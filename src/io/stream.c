#include "io/stream.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/fiber.h"
#include "wire/ip.h"

enum {
	INPUT_BULK = 64 * 1024, /* one read */
	OUTPUT_MAX = 64 * 1024, /* gathered before a flush */
	DEFAULT_TIMEOUT_MS = 300 * 1000,
	/* What a stream may do without a wait, in its turn: 16 reads, up to a megabyte, or 256 lines. */
	TURN = 1024,
	TURN_READ = 64,
	TURN_LINE = 4,
	UNASKED_MS = 1000, /* a wait before which nothing was read is no longer */
};

struct stream {
	int fd; /* -1: memory */
	struct fiber_fd *wait;
	SSL *ssl;

	struct str memory_input;
	size_t memory_piece;
	struct buf *memory_output;

	struct buf in;
	size_t in_at;   /* taken up to here */
	size_t scanned; /* bytes from in_at on that hold no LF */
	bool dropping;  /* inside a line that is too long */
	struct buf out;

	int64_t timeout_ms;
	int64_t deadline;
	int64_t line_ms, line_until; /* until: 0 while no line has begun */
	int64_t pace_ms, pace_until; /* until then `pace_left` more bytes have to come */
	size_t pace_bytes, pace_left;
	bool deaf; /* nothing more will be read, but a last word may still be written */
	bool dead;
	bool timed_out;
	bool drained;  /* the last read took all there was */
	unsigned turn; /* done without a wait */
	struct err err;
};

static void check_error_queue(const char *fiber)
{
	(void)fiber;
	assert(ERR_peek_error() == 0);
}

static struct stream *stream_new(int fd)
{
	struct stream *s = mem_new(sizeof *s);
	s->fd = fd;
	s->timeout_ms = DEFAULT_TIMEOUT_MS;
	buf_init(&s->in, 2 * INPUT_BULK);
	buf_init(&s->out, OUTPUT_MAX);
	return s;
}

struct stream *stream_new_fd(int fd)
{
	struct stream *s = stream_new(fd);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	s->wait = fiber_fd_new(fd);
	return s;
}

struct stream *stream_new_memory(struct str input, size_t piece, struct buf *output)
{
	struct stream *s = stream_new(-1);
	s->memory_input = input;
	s->memory_piece = piece;
	s->memory_output = output;
	return s;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	SSL_free(s->ssl);
	ERR_clear_error();
	fiber_fd_free(s->wait);
	if (s->fd >= 0)
		close(s->fd);
	buf_done(&s->in);
	buf_done(&s->out);
	free(s);
}

void stream_set_timeout(struct stream *s, int64_t ms)
{
	s->timeout_ms = ms;
}

void stream_set_deadline(struct stream *s, int64_t steady_ms)
{
	s->deadline = steady_ms;
}

void stream_set_line_timeout(struct stream *s, int64_t ms)
{
	s->line_ms = ms;
}

static void begin_pace(struct stream *s)
{
	s->pace_left = s->pace_bytes;
	s->pace_until = s->pace_left ? clock_steady_ms() + s->pace_ms : 0;
}

void stream_set_pace(struct stream *s, size_t bytes, int64_t ms)
{
	s->pace_bytes = ms ? bytes : 0;
	s->pace_ms = ms;
	begin_pace(s);
}

bool stream_dead(const struct stream *s)
{
	return s->dead || s->deaf;
}

bool stream_timed_out(const struct stream *s)
{
	return s->timed_out;
}

struct ssl_st *stream_ssl(const struct stream *s)
{
	return s->ssl;
}

size_t stream_pending(const struct stream *s)
{
	return s->in.n - s->in_at;
}

bool stream_spoke(const struct stream *s)
{
	char byte;
	if (s->fd < 0)
		return false;
	if (stream_pending(s) > 0)
		return true;
	if (s->ssl)
		return SSL_pending(s->ssl) > 0;
	return recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* ---- failing ---- */

static int fail(struct stream *s, const char *doing, const char *why)
{
	if (!stream_dead(s))
		err_temp(&s->err, "connection lost", "%s: %s", doing, why);
	s->dead = true;
	return -1;
}

/* After fail() while nothing but input was wanted: the other direction still works. */
static int fail_input_only(struct stream *s)
{
	s->deaf = true;
	s->dead = false;
	return -1;
}

static int pass_error(const struct stream *s, struct err *err)
{
	if (err)
		*err = s->err;
	return -1;
}

/* What OpenSSL says, emptied from its queue (fiber.h F1). */
static int fail_tls(struct stream *s, const char *doing, int ssl_error, int saved_errno)
{
	const char *data = NULL;
	unsigned long code = ERR_get_error_all(NULL, NULL, NULL, &data, NULL);
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	if (code && ERR_GET_LIB(code) == ERR_LIB_USER && data)
		reason = data; /* our own code below OpenSSL says more than a number: why nobody signed */
	if (!reason && ssl_error == SSL_ERROR_SYSCALL && saved_errno)
		reason = strerror(saved_errno);
	fail(s, doing, reason ? reason : "closed by the peer");
	ERR_clear_error();
	return -1;
}

static int fail_late(struct stream *s, const char *reason)
{
	fail(s, reason, "timed out");
	s->timed_out = true;
	str_to_c(STR("timeout"), s->err.peer, sizeof s->err.peer);
	return -1;
}

/* The first of the moments that end every wait; 0: none. */
static int64_t last_moment(const struct stream *s)
{
	const int64_t moments[] = {s->deadline, s->line_until, s->pace_until};
	int64_t first = 0;
	for (size_t i = 0; i < sizeof moments / sizeof *moments; i++)
		if (moments[i] && (!first || moments[i] < first))
			first = moments[i];
	return first;
}

/* 0 when ready; after `ms` or the last moment the stream is dead. */
static int wait_at_most(struct stream *s, enum fiber_dir dir, const char *reason, int64_t ms)
{
	int64_t last = last_moment(s);
	if (last) {
		int64_t left = last - clock_steady_ms();
		if (left < ms)
			ms = left;
	}
	s->turn = 0;
	return fiber_fd_wait(s->wait, dir, reason, ms < 0 ? 0 : ms) ? 0 : fail_late(s, reason);
}

/* The time-out begins with the first wait (*until 0) and is not renewed by the next ones for the same
 * thing: a peer may take output, or send a TLS record, byte by byte. */
static int wait_for(struct stream *s, enum fiber_dir dir, const char *reason, int64_t *until)
{
	int64_t now = clock_steady_ms();
	if (!*until)
		*until = now + s->timeout_ms;
	return wait_at_most(s, dir, reason, *until - now);
}

/* When nothing was read because the last read took all there was. libevent tells of a reset as of
 * data: one that came together with that data is not told again, so after a moment a read asks. */
static int wait_unasked(struct stream *s, const char *reason, int64_t *until)
{
	int64_t now = clock_steady_ms(), last = last_moment(s);
	*until = now + s->timeout_ms;
	if (s->timeout_ms <= UNASKED_MS || (last && last - now <= UNASKED_MS))
		return wait_for(s, FIBER_READ, reason, until);
	s->turn = 0;
	fiber_fd_wait(s->wait, FIBER_READ, reason, UNASKED_MS);
	return 0;
}

/* A peer that sends without a pause must neither keep other fibers from running nor outlast its
 * deadline: this stands in for the wait that never comes. */
static int take_turns(struct stream *s, unsigned cost)
{
	s->turn += cost;
	if (s->turn < TURN)
		return 0;
	s->turn = 0;
	if (fiber_self())
		fiber_sleep("for its turn", 0);
	int64_t last = last_moment(s);
	if (last && clock_steady_ms() >= last)
		return fail_late(s, "for the peer to pause");
	return 0;
}

/* ---- the descriptor: one read and one write, plain or TLS ---- */

enum { READ_END = 0, READ_DEAD = -1, READ_NOTHING_YET = -2, READ_UNASKED = -3 };

static ssize_t read_tls(struct stream *s, char *p, size_t max)
{
	ERR_clear_error();
	errno = 0;
	int n = SSL_read(s->ssl, p, (int)max);
	if (n > 0)
		return n;
	int error = SSL_get_error(s->ssl, n), saved = errno;
	if (error == SSL_ERROR_ZERO_RETURN || (error == SSL_ERROR_SYSCALL && saved == 0))
		n = READ_END;
	else if (error == SSL_ERROR_WANT_READ)
		n = READ_NOTHING_YET;
	else
		n = fail_tls(s, "reading from the peer", error, saved);
	ERR_clear_error();
	return n;
}

/* Bytes read, or one of the above. Does not wait. */
static ssize_t read_some(struct stream *s, char *p, size_t max)
{
	if (s->ssl)
		return read_tls(s, p, max);
	/* The next edge will tell of more, or has told of the end: no call to hear "not yet". */
	if (s->drained && !fiber_fd_hung_up(s->wait)) {
		s->drained = false;
		return READ_UNASKED;
	}
	ssize_t n;
	while ((n = recv(s->fd, p, max, 0)) < 0 && errno == EINTR)
		;
	s->drained = n > 0 && (size_t)n < max;
	if (n >= 0)
		return n;
	if (errno == EAGAIN)
		return READ_NOTHING_YET;
	return fail(s, "reading from the peer", strerror(errno));
}

static int write_all(struct stream *s, const char *p, size_t n)
{
	static const char doing[] = "writing to the peer", wait[] = "for the peer to take our output";
	int64_t until = 0;
	while (n > 0) {
		ssize_t done;
		if (s->ssl) {
			ERR_clear_error();
			errno = 0;
			done = SSL_write(s->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
			if (done <= 0) {
				int error = SSL_get_error(s->ssl, (int)done), saved = errno;
				if (error != SSL_ERROR_WANT_WRITE && error != SSL_ERROR_WANT_READ)
					return fail_tls(s, doing, error, saved);
				ERR_clear_error();
				if (wait_for(s, error == SSL_ERROR_WANT_WRITE ? FIBER_WRITE : FIBER_READ, wait,
						&until) != 0)
					return -1;
				continue;
			}
		} else {
			done = send(s->fd, p, n, MSG_NOSIGNAL);
			if (done < 0 && errno == EINTR)
				continue;
			if (done < 0 && errno != EAGAIN)
				return fail(s, doing, strerror(errno));
			if (done < 0) {
				if (wait_for(s, FIBER_WRITE, wait, &until) != 0)
					return -1;
				continue;
			}
		}
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

static int send_out(struct stream *s, struct str bytes)
{
	if (s->dead)
		return -1;
	if (s->fd >= 0)
		return write_all(s, bytes.p, bytes.n);
	if (s->memory_output && !buf_add(s->memory_output, bytes))
		return fail(s, "writing", "the memory stream is full");
	return 0;
}

/* ---- output ---- */

int stream_flush(struct stream *s, struct err *err)
{
	if (s->out.n > 0) {
		send_out(s, buf_str(&s->out));
		buf_done(&s->out);
	}
	return s->dead ? pass_error(s, err) : 0;
}

void stream_put(struct stream *s, struct str bytes)
{
	if (s->dead)
		return;
	if (s->out.n + bytes.n > OUTPUT_MAX && stream_flush(s, NULL) != 0)
		return;
	if (bytes.n >= OUTPUT_MAX)
		send_out(s, bytes);
	else
		buf_add(&s->out, bytes);
}

void stream_putf(struct stream *s, const char *fmt, ...)
{
	struct buf text;
	buf_init(&text, OUTPUT_MAX - 1);
	va_list ap;
	va_start(ap, fmt);
	buf_addv(&text, fmt, ap);
	va_end(ap);
	stream_put(s, buf_str(&text));
	buf_done(&text);
}

/* ---- input ---- */

static ssize_t read_memory(struct stream *s, char *p, size_t max)
{
	size_t n = s->memory_input.n;
	if (s->memory_piece && n > s->memory_piece)
		n = s->memory_piece;
	if (n > max)
		n = max;
	if (n)
		memcpy(p, s->memory_input.p, n);
	s->memory_input = str_skip(s->memory_input, n);
	return (ssize_t)n;
}

static void give_back_taken(struct stream *s)
{
	if (s->in_at == s->in.n) {
		buf_done(&s->in);
		s->in_at = s->scanned = 0;
	} else if (s->in_at > 0) {
		buf_consume(&s->in, s->in_at);
		s->in_at = 0;
	}
}

/* More input behind what is there. Flushes first, as the peer may be waiting for it. What is read
 * passes through a buffer of the thread, so that a waiting stream owns none. */
static int fill(struct stream *s)
{
	static _Thread_local char passing[INPUT_BULK];
	give_back_taken(s);
	if (stream_dead(s) || stream_flush(s, NULL) != 0)
		return -1;
	if (take_turns(s, TURN_READ) != 0)
		return fail_input_only(s);
	static const char wait[] = "for the peer to speak";
	ssize_t n;
	int64_t until = 0;
	for (;;) {
		n = s->fd >= 0 ? read_some(s, passing, sizeof passing)
					   : read_memory(s, passing, sizeof passing);
		if (n != READ_NOTHING_YET && n != READ_UNASKED)
			break;
		if ((n == READ_UNASKED ? wait_unasked(s, wait, &until)
							   : wait_for(s, FIBER_READ, wait, &until)) != 0)
			return fail_input_only(s);
	}
	if (n == READ_END) {
		fail(s, "reading from the peer", "connection closed by the peer");
		return fail_input_only(s);
	}
	if (n < 0)
		return -1;
	if (s->pace_bytes && (size_t)n >= s->pace_left)
		begin_pace(s);
	else if (s->pace_bytes)
		s->pace_left -= (size_t)n;
	buf_add(&s->in, str_make(passing, (size_t)n));
	return 0;
}

int stream_peek(struct stream *s, struct str *ret, struct err *err)
{
	if (stream_pending(s) == 0 && fill(s) != 0)
		return pass_error(s, err);
	*ret = str_skip(buf_str(&s->in), s->in_at);
	return 0;
}

static void take(struct stream *s, size_t n)
{
	s->in_at += n < stream_pending(s) ? n : stream_pending(s);
	s->scanned = 0;
}

void stream_skip(struct stream *s, size_t n)
{
	take(s, n);
	if (stream_pending(s) == 0)
		give_back_taken(s); /* what was read may be waited for long, say until it is on disk */
}

/* A line that ends at the LF at line.p[line.n]. */
static enum stream_line judge_line(struct str line, size_t max, struct str *ret)
{
	if (line.n > max + 1)
		return STREAM_TOO_LONG; /* whatever else it is: it may have been cut already */
	if (line.n == 0 || line.p[line.n - 1] != '\r' ||
		str_find(str_take(line, line.n - 1), '\r') >= 0)
		return STREAM_BARE;
	*ret = str_take(line, line.n - 1);
	return STREAM_LINE;
}

enum stream_line stream_line(struct stream *s, size_t max, struct str *ret, struct err *err)
{
	assert(max + 2 <= INPUT_BULK);
	if (!stream_dead(s) && take_turns(s, TURN_LINE) != 0) {
		fail_input_only(s);
		pass_error(s, err);
		return STREAM_END;
	}
	for (;;) {
		struct str have = str_skip(buf_str(&s->in), s->in_at);
		ptrdiff_t lf = str_find(str_skip(have, s->scanned), '\n');
		if (lf >= 0) {
			struct str line = str_take(have, s->scanned + (size_t)lf);
			bool dropped = s->dropping;
			s->dropping = false;
			s->line_until = 0;
			take(s, line.n + 1);
			return dropped ? STREAM_TOO_LONG : judge_line(line, max, ret);
		}
		s->scanned = have.n;
		if (have.n > max + 1 || s->dropping) {
			s->dropping = true;
			take(s, have.n);
		}
		if (have.n > 0 && s->line_ms && !s->line_until)
			s->line_until = clock_steady_ms() + s->line_ms;
		if (fill(s) != 0) {
			pass_error(s, err);
			return STREAM_END;
		}
	}
}

/* ---- TLS ---- */

static int handshake(struct stream *s, struct err *err)
{
	int64_t until = 0;
	s->line_until = s->line_ms ? clock_steady_ms() + s->line_ms : 0;
	for (;;) {
		ERR_clear_error();
		errno = 0;
		int n = SSL_do_handshake(s->ssl);
		if (n == 1) {
			ERR_clear_error();
			/* The client spoke last. If its Nagle waits for our acknowledgement before it sends its
			 * first command, and our acknowledgement for something to send, 40 ms are lost. */
			setsockopt(s->fd, IPPROTO_TCP, TCP_QUICKACK, &(int){1}, sizeof(int));
			s->line_until = 0;
			return 0;
		}
		int error = SSL_get_error(s->ssl, n), saved = errno;
		if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
			fail_tls(s, "TLS handshake", error, saved);
			break;
		}
		ERR_clear_error();
		if (wait_for(s, error == SSL_ERROR_WANT_READ ? FIBER_READ : FIBER_WRITE,
				"for the TLS handshake", &until) != 0)
			break;
	}
	return pass_error(s, err);
}

static int start_tls(struct stream *s, SSL_CTX *ctx, bool accept, struct str sni,
	stream_prepare_tls *prepare, void *arg, struct err *err)
{
	fiber_check_switches(check_error_queue);
	if (s->ssl || s->fd < 0)
		return err_perm(err, NULL, "this stream cannot start TLS");
	if (stream_flush(s, err) != 0)
		return -1;
	if (stream_pending(s) > 0) {
		size_t n = stream_pending(s);
		fail(s, "TLS handshake", "plaintext was sent ahead of it");
		return err_perm(
			err, "plaintext sent ahead of TLS", "%zu bytes of plaintext sent ahead of TLS", n);
	}
	give_back_taken(s);
	s->ssl = SSL_new(ctx);
	if (!s->ssl || SSL_set_fd(s->ssl, s->fd) != 1)
		mem_exhausted(0);
	SSL_set_mode(s->ssl,
		SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
			SSL_MODE_RELEASE_BUFFERS);
	SSL_set_read_ahead(s->ssl, 1);
	if (accept)
		SSL_set_accept_state(s->ssl);
	else
		SSL_set_connect_state(s->ssl);
	char name[256];
	if (sni.n > 0 && sni.n < sizeof name)
		SSL_set_tlsext_host_name(s->ssl, str_to_c(sni, name, sizeof name));
	ERR_clear_error();
	if (prepare && prepare(s->ssl, arg, err) != 0) {
		fail(s, "TLS handshake", "could not be prepared");
		ERR_clear_error();
		return -1;
	}
	return handshake(s, err);
}

int stream_accept_tls(struct stream *s, struct ssl_ctx_st *ctx, stream_prepare_tls *prepare,
	void *arg, struct err *err)
{
	return start_tls(s, ctx, true, STR(""), prepare, arg, err);
}

int stream_connect_tls(struct stream *s, struct ssl_ctx_st *ctx, struct str sni,
	stream_prepare_tls *prepare, void *arg, struct err *err)
{
	return start_tls(s, ctx, false, sni, prepare, arg, err);
}

/* ---- opening and closing ---- */

struct stream *stream_connect(
	const struct sockaddr *to, socklen_t to_len, int64_t timeout_ms, struct err *err)
{
	struct ip ip;
	uint16_t port;
	char where[IP_PORT_TEXT] = "a local socket";
	if (ip_from_sockaddr(to, &ip, &port))
		ip_port_format(&ip, port, where);
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		err_temp(err, "cannot connect", "connect to %s: socket: %s", where, strerror(errno));
		return NULL;
	}
	struct stream *s = stream_new_fd(fd);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	int failed = 0;
	if (connect(fd, to, to_len) != 0 && errno != EINPROGRESS)
		failed = errno;
	else if (!fiber_fd_wait(s->wait, FIBER_WRITE, "for the connection", timeout_ms))
		failed = ETIMEDOUT;
	else
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &(socklen_t){sizeof failed});
	if (failed) {
		err_temp(err, "cannot connect", "connect to %s: %s", where, strerror(failed));
		stream_free(s);
		errno = failed;
		return NULL;
	}
	return s;
}

static void say_tls_end(struct stream *s)
{
	if (!s->ssl)
		return;
	ERR_clear_error();
	SSL_shutdown(s->ssl);
	ERR_clear_error();
}

void stream_linger(struct stream *s)
{
	char dropped[1024];
	stream_flush(s, NULL);
	if (s->fd < 0)
		return;
	say_tls_end(s);
	if (shutdown(s->fd, SHUT_WR) != 0)
		return;
	int64_t until = clock_steady_ms() + STREAM_LINGER_MS;
	for (size_t n = 0; n < STREAM_LINGER_BYTES;) {
		ssize_t got = recv(s->fd, dropped, sizeof dropped, 0);
		if (got > 0) {
			n += (size_t)got;
			continue;
		}
		int64_t left = until - clock_steady_ms();
		if (got == 0 || errno != EAGAIN || left <= 0 ||
			!fiber_fd_wait(s->wait, FIBER_READ, "for the peer to hang up", left))
			return;
	}
}

void stream_close(struct stream *s)
{
	if (!s)
		return;
	if (!s->dead && stream_flush(s, NULL) == 0)
		say_tls_end(s);
	stream_free(s);
}
