/* stream: the peer of a session. Plain, TLS or memory. Outside a fiber all calls block.
 *
 * Reading fills one input buffer, given back when it is empty and the stream waits: an idle stream
 * owns no buffer. Writing gathers in an output buffer that is flushed before the next wait for
 * input, so pipelining comes for free; it flushes by itself when it holds more than 64 KB.
 *
 * Once anything failed (peer gone, time-out) the stream is dead: every later call fails at once with
 * the same error, so a session may write several replies and look once. Only if it died waiting for
 * input, at its end or by a time-out, may a last word still be written ("421 … timeout"). */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include <sys/socket.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct stream;
struct ssl_st;     /* SSL */
struct ssl_ctx_st; /* SSL_CTX */

/* Takes the connected socket over and closes it in the end. It is made non-blocking. */
struct stream *stream_new_fd(int fd);
/* Reads what is in `input` and then ends; all that is written gathers in *output (may be NULL). The
 * input is handed out in pieces of at most `piece` bytes (0: whole): tests cut anywhere. */
struct stream *stream_new_memory(struct str input, size_t piece, struct buf *output);
/* Closes without flushing. */
void stream_free(struct stream *s);

/* The longest single wait for input, and for the peer to take what is flushed. Default 300 s. */
void stream_set_timeout(struct stream *s, int64_t ms);
/* The moment (clock_steady_ms) after which every wait fails, whatever the peer trickles; 0: none. */
void stream_set_deadline(struct stream *s, int64_t steady_ms);
/* How long the peer may take from the first byte of a line to its end, and for a TLS handshake; 0, the
 * default: any time. */
void stream_set_line_timeout(struct stream *s, int64_t ms);
/* From now on the peer must send at least `bytes` in every `ms`, until 0 of either ends it. */
void stream_set_pace(struct stream *s, size_t bytes, int64_t ms);

enum stream_line {
	STREAM_LINE,     /* *ret is the line without its CRLF, good until the next read */
	STREAM_TOO_LONG, /* more than `max` bytes before CRLF; the rest up to its end was dropped */
	STREAM_BARE, /* a bare CR or LF stood in it (the whole line up to the next LF was dropped) */
	STREAM_END,  /* closed by the peer, or dead: *err says */
};
/* The next line, ended strictly by CRLF (RFC 5321 2.3.8). `max` counts the bytes before CRLF. */
enum stream_line stream_line(struct stream *s, size_t max, struct str *ret, struct err *err);
/* Some bytes of input, at least one, waiting for them if there are none; they stay in the stream
 * until stream_skip(). 0, or -1 at the end. */
int stream_peek(struct stream *s, struct str *ret, struct err *err);
void stream_skip(struct stream *s, size_t n);
/* Input that was read but not yet taken. */
size_t stream_pending(const struct stream *s);
/* The peer has said something already, read or not; its end is nothing said. Under TLS only what was
 * read counts: the rest may be TLS's own. Of a memory stream, whose input is there from the start,
 * false. Does not wait. */
bool stream_spoke(const struct stream *s);

void stream_put(struct stream *s, struct str bytes);
void stream_putf(struct stream *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int stream_flush(struct stream *s, struct err *err);
/* Dead: nothing can be read any more. */
bool stream_dead(const struct stream *s);
/* It died because the peer let a time-out or the deadline pass. */
bool stream_timed_out(const struct stream *s);

/* Flushes, then turns the plain stream into TLS with a fresh SSL of `ctx`; returns when the handshake
 * is done. Refuses (ERR_PERM) if plaintext is pending: nothing said before TLS counts after it
 * (RFC 3207 section 4, CVE-2011-0411). The server form accepts, the client form connects and sends
 * `sni` unless it is empty. On failure the stream is dead; err->log holds OpenSSL's reason.
 * `prepare` (may be NULL) is called with the new SSL and `arg` before the handshake, to set
 * application data; it returns 0, or -1 with *err set. */
typedef int stream_prepare_tls(struct ssl_st *ssl, void *arg, struct err *err);
int stream_accept_tls(struct stream *s, struct ssl_ctx_st *ctx, stream_prepare_tls *prepare,
	void *arg, struct err *err);
int stream_connect_tls(struct stream *s, struct ssl_ctx_st *ctx, struct str sni,
	stream_prepare_tls *prepare, void *arg, struct err *err);
/* NULL while plain. Owned by the stream. */
struct ssl_st *stream_ssl(const struct stream *s);

/* Connects, in a fiber without blocking the others. Returns a stream, or NULL with errno set and *err:
 * ERR_TEMP, log "connect to 192.0.2.1:25: Connection refused". */
struct stream *stream_connect(
	const struct sockaddr *to, socklen_t to_len, int64_t timeout_ms, struct err *err);
/* For a side that ends a conversation the other did not end: flushes, says that no more will come, and
 * reads past what the peer still sends, for at most STREAM_LINGER_MS and STREAM_LINGER_BYTES. Closing
 * with unread input makes TCP reset the connection, and the peer would lose our last words. */
enum { STREAM_LINGER_MS = 2000, STREAM_LINGER_BYTES = 256 * 1024 };
void stream_linger(struct stream *s);
/* Sends TLS close_notify if there is TLS, then closes. */
void stream_close(struct stream *s);

#endif
