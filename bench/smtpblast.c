/* smtpblast - SMTP/LMTP load generator.
 *
 * Opens CONNS concurrent connections, sends TOTAL messages, MSGS of them per
 * connection, and reports accepted messages per second and the latency of each
 * transaction (MAIL sent .. last reply to the message read).
 *
 * One epoll loop per thread, non-blocking sockets, OpenSSL for TLS.  It sends
 * only to loopback addresses unless --any-host is given, and every run is
 * bounded by a count and by a time.  See README.md for the options.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MAX_RCPT 200

enum tls_mode { TLS_OFF, TLS_STARTTLS, TLS_WRAPPED };

/* ---- settings ---------------------------------------------------------- */

static struct {
	const char *host, *port;
	struct sockaddr_storage addr;
	socklen_t addrlen;
	int conns, threads, per_conn, rcpts, rcpt_mod, spread;
	long total;
	size_t size;
	double max_seconds, rate;
	enum tls_mode tls;
	int resume, lmtp, pipeline, bdat, any_host, quiet, no_quit, abort_after_data;
	const char *from, *rcpt, *helo, *auth, *file, *tls_version;
} o = {
	.host = "127.0.0.1",
	.port = "25",
	.conns = 1,
	.threads = 1,
	.per_conn = 1,
	.rcpts = 1,
	.rcpt_mod = 1,
	.total = 1000,
	.size = 4096,
	.max_seconds = 60,
	.from = "sender@example.com",
	.rcpt = "user%d@example.net",
	.helo = "localhost",
};

static char *body; /* everything after the generated header, dot-stuffed */
static size_t body_len;
static SSL_CTX *ctx;

/* ---- shared counters --------------------------------------------------- */

static _Atomic long next_msg; /* messages handed out so far */
static _Atomic int stop_now;

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("smtpblast: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

/* ---- samples ----------------------------------------------------------- */

struct samples {
	float *v;
	size_t n, cap;
};

static void sample(struct samples *s, double seconds)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 4096;
		s->v = realloc(s->v, s->cap * sizeof *s->v);
		if (!s->v)
			die("out of memory");
	}
	s->v[s->n++] = (float)(seconds * 1e3);
}

static int cmp_float(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

/* ---- connections ------------------------------------------------------- */

enum step { /* what a reply answers */
	S_BANNER,
	S_EHLO,
	S_STARTTLS,
	S_AUTH,
	S_MAIL,
	S_RCPT,
	S_DATA,
	S_DOT,
	S_RSET,
	S_QUIT
};

struct conn {
	int fd;
	int want_write; /* EPOLLOUT is armed */
	int connecting, handshaking, tls_on, closing;
	SSL *ssl;
	SSL_SESSION *sess; /* for --resume */
	enum step expect[MAX_RCPT + 8];
	int exp_head, exp_n;
	int lmtp_left;                  /* LMTP: replies still due after the dot */
	int rcpt_ok, rcpt_sent, failed; /* of the message in flight */
	int ext_pipelining, ext_chunking, ext_starttls;
	int sent_here, busy; /* messages on this connection; one in flight */
	int dead_wait;       /* consecutive failures to connect */
	double t_conn, t_msg;
	char in[8192];
	size_t in_n;
	char out[MAX_RCPT * 160 + 4096];
	size_t out_n, out_at;
	size_t body_at, body_left; /* shared body still to be sent after out[] */
	char tail[8];
	size_t tail_n, tail_at;
};

struct thread {
	pthread_t tid;
	int ep, live;
	struct conn *c;
	int nconn;
	long accepted, rejected4, rejected5, conns, conn_errors, tls_full, tls_resumed, lost;
	int last_code;
	char last_text[160];
	struct samples lat, conn_lat;
	double t_last;
	uint64_t rnd;
};

static void conn_open(struct thread *t, struct conn *c);
static void conn_close(struct thread *t, struct conn *c, int reopen);

static void put(struct conn *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(c->out + c->out_n, sizeof c->out - c->out_n, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof c->out - c->out_n)
		die("output buffer too small");
	c->out_n += (size_t)n;
}

static void expect(struct conn *c, enum step s)
{
	int cap = (int)(sizeof c->expect / sizeof *c->expect);
	if (c->exp_n == cap)
		die("too many commands in flight");
	c->expect[(c->exp_head + c->exp_n++) % cap] = s;
}

static void arm(struct thread *t, struct conn *c, int want_write)
{
	if (c->want_write == want_write)
		return;
	c->want_write = want_write;
	struct epoll_event ev = {.events = EPOLLIN | (want_write ? EPOLLOUT : 0), .data.ptr = c};
	epoll_ctl(t->ep, EPOLL_CTL_MOD, c->fd, &ev);
}

/* Write as much as the socket takes.  Returns -1 when the connection is dead. */
static int flush_out(struct thread *t, struct conn *c)
{
	for (;;) {
		struct iovec v[3] = {
			{c->out + c->out_at, c->out_n - c->out_at},
			{body + c->body_at, c->body_left},
			{c->tail + c->tail_at, c->tail_n - c->tail_at},
		};
		ssize_t k = 0;
		if (!v[0].iov_len && !v[1].iov_len && !v[2].iov_len) {
			c->out_n = c->out_at = c->tail_n = c->tail_at = 0;
			arm(t, c, 0);
			return 0;
		}
		if (c->tls_on) {
			int i = v[0].iov_len ? 0 : v[1].iov_len ? 1 : 2;
			int len = v[i].iov_len > 1 << 20 ? 1 << 20 : (int)v[i].iov_len;
			int r = SSL_write(c->ssl, v[i].iov_base, len);
			if (r <= 0) {
				int e = SSL_get_error(c->ssl, r);
				if (e == SSL_ERROR_WANT_WRITE || e == SSL_ERROR_WANT_READ) {
					arm(t, c, 1);
					return 0;
				}
				return -1;
			}
			k = r;
		} else {
			struct msghdr m = {.msg_iov = v, .msg_iovlen = 3};
			k = sendmsg(c->fd, &m, MSG_NOSIGNAL);
			if (k < 0) {
				if (errno == EAGAIN) {
					arm(t, c, 1);
					return 0;
				}
				if (errno == EINTR)
					continue;
				return -1;
			}
		}
		size_t n = (size_t)k, a = n < v[0].iov_len ? n : v[0].iov_len;
		c->out_at += a;
		n -= a;
		a = n < c->body_left ? n : c->body_left;
		c->body_at += a;
		c->body_left -= a;
		n -= a;
		c->tail_at += n;
	}
}

/* ---- the messages ------------------------------------------------------ */

static void queue_content(struct thread *t, struct conn *c)
{
	t->rnd = t->rnd * 6364136223846793005u + 1442695040888963407u;
	char hdr[512];
	int h = snprintf(hdr, sizeof hdr, "Message-ID: <%016llx.%ld@%s>\r\n",
		(unsigned long long)t->rnd, (long)getpid(), o.helo);
	if (o.bdat && c->ext_chunking)
		put(c, "BDAT %zu LAST\r\n", (size_t)h + body_len);
	put(c, "%s", hdr);
	c->body_at = 0;
	c->body_left = body_len;
	if (!(o.bdat && c->ext_chunking)) {
		memcpy(c->tail, ".\r\n", 3);
		c->tail_n = 3;
		c->tail_at = 0;
	}
}

static void start_message(struct thread *t, struct conn *c)
{
	long id = -1;
	if (!stop_now && c->sent_here < o.per_conn)
		id = next_msg++;
	if (id < 0 || id >= o.total) {
		c->busy = 0;
		if (o.no_quit) {
			c->closing = 1; /* parse_input() drops it */
			return;
		}
		put(c, "QUIT\r\n");
		expect(c, S_QUIT);
		return;
	}
	c->busy = 1;
	c->sent_here++;
	c->rcpt_ok = c->rcpt_sent = c->failed = 0;
	c->t_msg = now();
	put(c, "MAIL FROM:<%s>\r\n", o.from);
	expect(c, S_MAIL);
	if (o.pipeline && c->ext_pipelining) {
		for (int i = 0; i < o.rcpts; i++) {
			put(c, "RCPT TO:<");
			put(c, o.rcpt, (int)((id * o.rcpts + i) % o.rcpt_mod));
			put(c, ">\r\n");
			expect(c, S_RCPT);
			c->rcpt_sent++;
		}
		if (o.bdat && c->ext_chunking) {
			queue_content(t, c);
			expect(c, S_DOT);
		} else {
			put(c, "DATA\r\n");
			expect(c, S_DATA);
		}
	}
}

static void next_rcpt_or_data(struct thread *t, struct conn *c)
{
	if (c->rcpt_sent < o.rcpts) {
		put(c, "RCPT TO:<");
		put(c, o.rcpt, (int)((next_msg * o.rcpts + c->rcpt_sent) % o.rcpt_mod));
		put(c, ">\r\n");
		c->rcpt_sent++;
		expect(c, S_RCPT);
	} else if (o.bdat && c->ext_chunking) {
		queue_content(t, c);
		expect(c, S_DOT);
	} else {
		put(c, "DATA\r\n");
		expect(c, S_DATA);
	}
}

static void message_failed(struct thread *t, struct conn *c, int code, const char *text)
{
	(void)c;
	if (code >= 500)
		t->rejected5++;
	else
		t->rejected4++;
	t->last_code = code;
	snprintf(t->last_text, sizeof t->last_text, "%s", text);
}

static void greet(struct conn *c)
{
	put(c, "%s %s\r\n", o.lmtp ? "LHLO" : "EHLO", o.helo);
	expect(c, S_EHLO);
	c->ext_pipelining = c->ext_chunking = c->ext_starttls = 0;
}

static void start_tls(struct conn *c)
{
	c->ssl = SSL_new(ctx);
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_connect_state(c->ssl);
	SSL_set_tlsext_host_name(c->ssl, "localhost");
	if (o.resume && c->sess)
		SSL_set_session(c->ssl, c->sess);
	SSL_set_app_data(c->ssl, (char *)c);
	c->handshaking = 1;
}

static void authenticate(struct conn *c)
{
	char raw[512], b64[1024];
	const char *colon = strchr(o.auth, ':');
	if (!colon)
		die("--auth wants USER:PASSWORD");
	int ul = (int)(colon - o.auth);
	int n = snprintf(raw, sizeof raw, "%c%.*s%c%s", 0, ul, o.auth, 0, colon + 1);
	EVP_EncodeBlock((unsigned char *)b64, (unsigned char *)raw, n);
	put(c, "AUTH PLAIN %s\r\n", b64);
	expect(c, S_AUTH);
}

/* One complete reply.  Returns -1 when the connection is to be dropped. */
static int on_reply(struct thread *t, struct conn *c, int code, const char *text)
{
	if (!c->exp_n)
		return -1;
	enum step s = c->expect[c->exp_head];
	if (s == S_DOT && c->lmtp_left > 1)
		c->lmtp_left--; /* one reply per accepted recipient */
	else {
		c->exp_head = (c->exp_head + 1) % (int)(sizeof c->expect / sizeof *c->expect);
		c->exp_n--;
	}
	int good = code >= 200 && code < 400;
	switch (s) {
	case S_BANNER:
		if (!good) {
			message_failed(t, c, code, text);
			t->conn_errors++;
			return -1;
		}
		greet(c);
		break;
	case S_EHLO:
		if (!good)
			return -1;
		if (o.tls == TLS_STARTTLS && !c->tls_on) {
			if (!c->ext_starttls)
				die("the server does not offer STARTTLS");
			put(c, "STARTTLS\r\n");
			expect(c, S_STARTTLS);
		} else {
			sample(&t->conn_lat, now() - c->t_conn);
			if (o.auth)
				authenticate(c);
			else
				start_message(t, c);
		}
		break;
	case S_STARTTLS:
		if (!good)
			return -1;
		start_tls(c);
		break;
	case S_AUTH:
		if (!good)
			die("authentication failed: %d %s", code, text);
		start_message(t, c);
		break;
	case S_MAIL:
		if (!good) {
			message_failed(t, c, code, text);
			c->failed = 1;
			if (!(o.pipeline && c->ext_pipelining)) {
				start_message(t, c);
				break;
			}
		} else if (!(o.pipeline && c->ext_pipelining))
			next_rcpt_or_data(t, c);
		break;
	case S_RCPT:
		if (good)
			c->rcpt_ok++;
		else if (!c->failed) {
			message_failed(t, c, code, text);
			c->failed = 1;
		}
		if (!(o.pipeline && c->ext_pipelining)) {
			if (c->failed) {
				put(c, "RSET\r\n");
				expect(c, S_RSET);
			} else
				next_rcpt_or_data(t, c);
		}
		break;
	case S_DATA:
		if (code != 354) {
			if (!c->failed)
				message_failed(t, c, code, text);
			start_message(t, c);
			break;
		}
		queue_content(t, c);
		c->lmtp_left = o.lmtp ? c->rcpt_ok : 1;
		expect(c, S_DOT);
		break;
	case S_DOT:
		if (!good) {
			message_failed(t, c, code, text);
			c->failed = 1;
		}
		if (o.lmtp && c->exp_n && c->expect[c->exp_head] == S_DOT)
			break; /* more LMTP replies due */
		if (!c->failed) {
			t->t_last = now();
			t->accepted++;
			sample(&t->lat, t->t_last - c->t_msg);
		}
		c->busy = 0;
		start_message(t, c);
		break;
	case S_QUIT:
		return -1;
	case S_RSET:
		start_message(t, c);
		break;
	}
	return 0;
}

static void note_extension(struct conn *c, const char *l)
{
	if (!strncasecmp(l, "PIPELINING", 10))
		c->ext_pipelining = 1;
	else if (!strncasecmp(l, "CHUNKING", 8))
		c->ext_chunking = 1;
	else if (!strncasecmp(l, "STARTTLS", 8))
		c->ext_starttls = 1;
}

static int parse_input(struct thread *t, struct conn *c)
{
	size_t at = 0;
	char *nl;
	while (at < c->in_n && (nl = memchr(c->in + at, '\n', c->in_n - at))) {
		char *l = c->in + at;
		size_t n = (size_t)(nl - l);
		at += n + 1;
		*nl = 0;
		if (n && l[n - 1] == '\r')
			l[--n] = 0;
		if (n < 3)
			return -1;
		int code = atoi(l);
		if (c->exp_n && c->expect[c->exp_head] == S_EHLO && n > 4)
			note_extension(c, l + 4);
		if (n > 3 && l[3] == '-')
			continue;
		if (on_reply(t, c, code, n > 4 ? l + 4 : "") < 0)
			return -1;
		if (c->closing)
			return -1;
		if (c->handshaking)
			break;
	}
	memmove(c->in, c->in + at, c->in_n - at);
	c->in_n -= at;
	if (c->in_n == sizeof c->in)
		return -1;
	return 0;
}

static int do_handshake(struct thread *t, struct conn *c)
{
	int r = SSL_do_handshake(c->ssl);
	if (r == 1) {
		c->handshaking = 0;
		c->tls_on = 1;
		if (SSL_session_reused(c->ssl))
			t->tls_resumed++;
		else
			t->tls_full++;
		if (o.tls == TLS_WRAPPED)
			expect(c, S_BANNER);
		else
			greet(c);
		arm(t, c, 0);
		return flush_out(t, c);
	}
	int e = SSL_get_error(c->ssl, r);
	if (e == SSL_ERROR_WANT_READ) {
		arm(t, c, 0);
		return 0;
	}
	if (e == SSL_ERROR_WANT_WRITE) {
		arm(t, c, 1);
		return 0;
	}
	if (!o.quiet)
		ERR_print_errors_fp(stderr);
	return -1;
}

static int on_event(struct thread *t, struct conn *c, uint32_t ev)
{
	if (c->connecting) {
		int err = 0;
		socklen_t l = sizeof err;
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &l);
		if (err) {
			errno = err;
			return -1;
		}
		c->connecting = 0;
		c->dead_wait = 0;
		arm(t, c, 0);
		if (o.tls == TLS_WRAPPED)
			start_tls(c);
		else
			expect(c, S_BANNER);
	}
	if (c->handshaking && do_handshake(t, c) < 0)
		return -1;
	if (c->handshaking)
		return 0;
	if (ev & EPOLLOUT && flush_out(t, c) < 0)
		return -1;
	for (;;) {
		ssize_t n;
		if (c->tls_on) {
			int r = SSL_read(c->ssl, c->in + c->in_n, (int)(sizeof c->in - c->in_n));
			if (r <= 0) {
				int e = SSL_get_error(c->ssl, r);
				if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
					return 0;
				return -1;
			}
			n = r;
		} else {
			n = recv(c->fd, c->in + c->in_n, sizeof c->in - c->in_n, 0);
			if (n < 0 && errno == EAGAIN)
				return 0;
			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				return -1;
		}
		int full = (size_t)n == sizeof c->in - c->in_n;
		c->in_n += (size_t)n;
		if (parse_input(t, c) < 0)
			return -1;
		if (flush_out(t, c) < 0)
			return -1;
		if (c->handshaking) { /* STARTTLS accepted just now */
			if (do_handshake(t, c) < 0)
				return -1;
			if (c->handshaking)
				return 0;
		}
		if (!c->tls_on && !full)
			return 0;
	}
}

static int keep_session(SSL *s, SSL_SESSION *sess)
{
	struct conn *c = (struct conn *)SSL_get_app_data(s);
	if (!c)
		return 0;
	if (c->sess)
		SSL_SESSION_free(c->sess);
	c->sess = sess;
	return 1;
}

static void conn_open(struct thread *t, struct conn *c)
{
	SSL_SESSION *sess = c->sess;
	int waits = c->dead_wait;
	memset(c, 0, offsetof(struct conn, in));
	c->in_n = c->out_n = c->out_at = c->body_at = c->body_left = c->tail_n = c->tail_at = 0;
	c->sess = sess;
	c->dead_wait = waits;
	c->t_conn = now();
	c->fd = socket(o.addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket: %s", strerror(errno));
	int one = 1;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (o.spread && o.addr.ss_family == AF_INET) {
		/* take the source from 127.0.0.1 .. 127.0.0.SPREAD */
		struct sockaddr_in src = {.sin_family = AF_INET};
		src.sin_addr.s_addr = htonl(0x7f000001u + (uint32_t)((c - t->c) % o.spread));
		setsockopt(c->fd, IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &one, sizeof one);
		if (bind(c->fd, (struct sockaddr *)&src, sizeof src))
			die("bind: %s", strerror(errno));
	}
	c->connecting = 1;
	c->want_write = 1;
	t->conns++;
	t->live++;
	if (connect(c->fd, (struct sockaddr *)&o.addr, o.addrlen) && errno != EINPROGRESS)
		die("connect: %s", strerror(errno));
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
	epoll_ctl(t->ep, EPOLL_CTL_ADD, c->fd, &ev);
}

static void conn_close(struct thread *t, struct conn *c, int reopen)
{
	if (c->ssl) {
		if (c->tls_on)
			SSL_shutdown(c->ssl);
		SSL_set_app_data(c->ssl, NULL);
		SSL_free(c->ssl);
		ERR_clear_error();
		c->ssl = NULL;
	}
	close(c->fd);
	c->fd = -1;
	t->live--;
	if (reopen)
		conn_open(t, c);
}

static void conn_failed(struct thread *t, struct conn *c)
{
	int clean = c->exp_n == 0 || c->expect[c->exp_head] == S_QUIT;
	if (c->busy)
		t->lost++;
	if (!clean || c->connecting || c->handshaking) {
		t->conn_errors++;
		if (++c->dead_wait > 20) {
			if (!o.quiet)
				fprintf(stderr, "smtpblast: giving up on a connection: %s\n", strerror(errno));
			conn_close(t, c, 0);
			return;
		}
		struct timespec ts = {0, 5000000};
		nanosleep(&ts, NULL);
	} else
		c->dead_wait = 0;
	conn_close(t, c, !stop_now && next_msg < o.total);
}

static void *run_thread(void *arg)
{
	struct thread *t = arg;
	t->ep = epoll_create1(EPOLL_CLOEXEC);
	t->rnd = (uint64_t)(uintptr_t)t ^ (uint64_t)(now() * 1e9);
	for (int i = 0; i < t->nconn; i++)
		conn_open(t, &t->c[i]);
	double deadline = now() + o.max_seconds;
	while (t->live > 0) {
		struct epoll_event ev[256];
		int n = epoll_wait(t->ep, ev, 256, 200);
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;
			if (c->fd >= 0 && on_event(t, c, ev[i].events) < 0)
				conn_failed(t, c);
		}
		if (now() > deadline) {
			stop_now = 1;
			if (now() > deadline + 5)
				break;
		}
	}
	return NULL;
}

/* ---- set-up ------------------------------------------------------------ */

static void build_body(void)
{
	char *b;
	size_t n = 0, cap;
	if (o.file) {
		FILE *f = fopen(o.file, "rb");
		struct stat st;
		if (!f || fstat(fileno(f), &st))
			die("%s: %s", o.file, strerror(errno));
		char *raw = malloc((size_t)st.st_size + 1);
		size_t r = fread(raw, 1, (size_t)st.st_size, f);
		fclose(f);
		cap = r * 3 + 16;
		b = malloc(cap);
		int bol = 1;
		for (size_t i = 0; i < r; i++) {
			if (raw[i] == '\r' && i + 1 < r && raw[i + 1] == '\n')
				continue;
			if (bol && raw[i] == '.' && !o.bdat)
				b[n++] = '.';
			if ((bol = raw[i] == '\n'))
				b[n++] = '\r';
			b[n++] = raw[i];
		}
		if (!bol) {
			b[n++] = '\r';
			b[n++] = '\n';
		}
		free(raw);
	} else {
		static const char words[] =
			"the quick brown fox jumps over the lazy dog and then some more plain text ";
		cap = o.size + 1024;
		b = malloc(cap);
		n = (size_t)snprintf(b, cap,
			"From: Load Test <%s>\r\nTo: undisclosed-recipients:;\r\nSubject: load test message\r\n"
			"Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nMIME-Version: 1.0\r\n"
			"Content-Type: text/plain; charset=us-ascii\r\n\r\n",
			o.from);
		for (size_t i = 0; n + 80 < o.size; i = (i + 7) % (sizeof words - 1)) {
			for (size_t k = 0; k < 72; k++)
				b[n++] = words[(i + k) % (sizeof words - 1)];
			b[n++] = '\r';
			b[n++] = '\n';
		}
	}
	body = b;
	body_len = n;
}

static void resolve(void)
{
	struct addrinfo hint = {.ai_socktype = SOCK_STREAM}, *ai;
	int e = getaddrinfo(o.host, o.port, &hint, &ai);
	if (e)
		die("%s: %s", o.host, gai_strerror(e));
	memcpy(&o.addr, ai->ai_addr, ai->ai_addrlen);
	o.addrlen = ai->ai_addrlen;
	freeaddrinfo(ai);
	int loop = 0;
	if (o.addr.ss_family == AF_INET)
		loop = ntohl(((struct sockaddr_in *)&o.addr)->sin_addr.s_addr) >> 24 == 127;
	else if (o.addr.ss_family == AF_INET6)
		loop = IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&o.addr)->sin6_addr);
	if (!loop && !o.any_host)
		die("%s is not a loopback address (say --any-host if you mean it)", o.host);
}

static void usage(int rc)
{
	fputs("usage: smtpblast [options] [HOST[:PORT]]        (default 127.0.0.1:25)\n"
		  "  -n, --total N        messages to send in all (1000)\n"
		  "  -c, --conns N        concurrent connections (1)\n"
		  "  -m, --per-conn N     messages per connection before QUIT (1)\n"
		  "  -s, --size BYTES     message size, header included (4096)\n"
		  "  -f, --file FILE      send this message instead of a generated one\n"
		  "  -r, --rcpts N        recipients per message (1)\n"
		  "  -t, --rcpt ADDR      recipient; %d becomes a number (user%d@example.net)\n"
		  "  -M, --rcpt-mod N     ... which counts 0..N-1 (1)\n"
		  "  -F, --from ADDR      envelope sender\n"
		  "  -H, --helo NAME      name in EHLO\n"
		  "  -S, --starttls       STARTTLS      -W, --smtps  TLS from the first byte\n"
		  "  -R, --resume         resume the TLS session of the previous connection\n"
		  "  -V, --tls-version X  1.2 or 1.3 (any)\n"
		  "  -a, --auth USER:PASS AUTH PLAIN\n"
		  "  -L, --lmtp           speak LMTP\n"
		  "  -P, --pipeline       pipeline MAIL, RCPT and DATA when offered\n"
		  "  -B, --bdat           BDAT instead of DATA when offered\n"
		  "  -j, --threads N      event loops (1)\n"
		  "  -T, --seconds S      give up after S seconds (60)\n"
		  "  -A, --spread N       connect from 127.0.0.1 .. 127.0.0.N\n"
		  "  -Q, --no-quit        close without QUIT\n"
		  "  -q, --quiet          one machine-readable line only\n"
		  "      --any-host       allow a target that is not loopback\n",
		rc ? stderr : stdout);
	exit(rc);
}

int main(int argc, char **argv)
{
	static const struct option lo[] = {{"total", 1, 0, 'n'}, {"conns", 1, 0, 'c'},
		{"per-conn", 1, 0, 'm'}, {"size", 1, 0, 's'}, {"file", 1, 0, 'f'}, {"rcpts", 1, 0, 'r'},
		{"rcpt", 1, 0, 't'}, {"rcpt-mod", 1, 0, 'M'}, {"from", 1, 0, 'F'}, {"helo", 1, 0, 'H'},
		{"starttls", 0, 0, 'S'}, {"smtps", 0, 0, 'W'}, {"resume", 0, 0, 'R'},
		{"tls-version", 1, 0, 'V'}, {"auth", 1, 0, 'a'}, {"lmtp", 0, 0, 'L'},
		{"pipeline", 0, 0, 'P'}, {"bdat", 0, 0, 'B'}, {"threads", 1, 0, 'j'},
		{"seconds", 1, 0, 'T'}, {"spread", 1, 0, 'A'}, {"no-quit", 0, 0, 'Q'}, {"quiet", 0, 0, 'q'},
		{"any-host", 0, 0, 1000}, {"help", 0, 0, 'h'}, {0, 0, 0, 0}};
	int ch;
	while (
		(ch = getopt_long(argc, argv, "n:c:m:s:f:r:t:M:F:H:SWRV:a:LPBj:T:A:Qqh", lo, NULL)) != -1)
		switch (ch) {
		case 'n':
			o.total = atol(optarg);
			break;
		case 'c':
			o.conns = atoi(optarg);
			break;
		case 'm':
			o.per_conn = atoi(optarg);
			break;
		case 's':
			o.size = strtoul(optarg, NULL, 0);
			break;
		case 'f':
			o.file = optarg;
			break;
		case 'r':
			o.rcpts = atoi(optarg);
			break;
		case 't':
			o.rcpt = optarg;
			break;
		case 'M':
			o.rcpt_mod = atoi(optarg);
			break;
		case 'F':
			o.from = optarg;
			break;
		case 'H':
			o.helo = optarg;
			break;
		case 'S':
			o.tls = TLS_STARTTLS;
			break;
		case 'W':
			o.tls = TLS_WRAPPED;
			break;
		case 'R':
			o.resume = 1;
			break;
		case 'V':
			o.tls_version = optarg;
			break;
		case 'a':
			o.auth = optarg;
			break;
		case 'L':
			o.lmtp = 1;
			break;
		case 'P':
			o.pipeline = 1;
			break;
		case 'B':
			o.bdat = 1;
			break;
		case 'j':
			o.threads = atoi(optarg);
			break;
		case 'T':
			o.max_seconds = atof(optarg);
			break;
		case 'A':
			o.spread = atoi(optarg);
			break;
		case 'Q':
			o.no_quit = 1;
			break;
		case 'q':
			o.quiet = 1;
			break;
		case 1000:
			o.any_host = 1;
			break;
		case 'h':
			usage(0);
			break;
		default:
			usage(2);
		}
	if (optind < argc) {
		char *h = strdup(argv[optind]), *c = strrchr(h, ':');
		if (c) {
			*c = 0;
			o.port = c + 1;
		}
		o.host = h;
	}
	if (o.conns < 1 || o.threads < 1 || o.per_conn < 1 || o.total < 1 || o.rcpts < 1 ||
		o.rcpts > MAX_RCPT || o.rcpt_mod < 1)
		usage(2);
	if (o.conns > o.total)
		o.conns = (int)o.total;
	if (o.threads > o.conns)
		o.threads = o.conns;
	signal(SIGPIPE, SIG_IGN);
	struct rlimit rl;
	if (!getrlimit(RLIMIT_NOFILE, &rl)) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	resolve();
	build_body();
	if (o.tls != TLS_OFF) {
		ctx = SSL_CTX_new(TLS_client_method());
		SSL_CTX_set_mode(ctx,
			SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				SSL_MODE_RELEASE_BUFFERS);
		if (o.tls_version) {
			int v = strcmp(o.tls_version, "1.2") ? TLS1_3_VERSION : TLS1_2_VERSION;
			SSL_CTX_set_min_proto_version(ctx, v);
			SSL_CTX_set_max_proto_version(ctx, v);
		}
		if (o.resume) {
			SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
			SSL_CTX_sess_set_new_cb(ctx, keep_session);
		}
	}
	struct thread *t = calloc((size_t)o.threads, sizeof *t);
	double t0 = now();
	for (int i = 0; i < o.threads; i++) {
		t[i].nconn = o.conns / o.threads + (i < o.conns % o.threads);
		t[i].c = calloc((size_t)t[i].nconn, sizeof *t[i].c);
		if (pthread_create(&t[i].tid, NULL, run_thread, &t[i]))
			die("pthread_create failed");
	}
	struct thread sum = {0};
	for (int i = 0; i < o.threads; i++) {
		pthread_join(t[i].tid, NULL);
		sum.accepted += t[i].accepted;
		sum.rejected4 += t[i].rejected4;
		sum.rejected5 += t[i].rejected5;
		sum.conns += t[i].conns;
		sum.conn_errors += t[i].conn_errors;
		sum.lost += t[i].lost;
		sum.tls_full += t[i].tls_full;
		sum.tls_resumed += t[i].tls_resumed;
		if (t[i].t_last > sum.t_last)
			sum.t_last = t[i].t_last;
		if (t[i].last_code) {
			sum.last_code = t[i].last_code;
			memcpy(sum.last_text, t[i].last_text, sizeof sum.last_text);
		}
		for (size_t k = 0; k < t[i].lat.n; k++)
			sample(&sum.lat, t[i].lat.v[k] / 1e3);
		for (size_t k = 0; k < t[i].conn_lat.n; k++)
			sample(&sum.conn_lat, t[i].conn_lat.v[k] / 1e3);
	}
	double wall = (sum.t_last > t0 ? sum.t_last : now()) - t0;
	struct rusage ru;
	getrusage(RUSAGE_SELF, &ru);
	double cpu =
		ru.ru_utime.tv_sec + ru.ru_stime.tv_sec + (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
	struct samples *l = &sum.lat, *cl = &sum.conn_lat;
	qsort(l->v, l->n, sizeof *l->v, cmp_float);
	qsort(cl->v, cl->n, sizeof *cl->v, cmp_float);
#define PCT(s, p) ((s)->n ? (s)->v[(size_t)(((s)->n - 1) * (p))] : 0.0)
	printf("msgs=%ld msgs/s=%.1f wall_s=%.3f p50_ms=%.2f p90_ms=%.2f p99_ms=%.2f max_ms=%.2f "
		   "ready_p50_ms=%.2f conns=%ld rej4=%ld rej5=%ld lost=%ld conn_err=%ld tls_full=%ld "
		   "tls_resumed=%ld "
		   "gen_cpu_s=%.3f\n",
		sum.accepted, sum.accepted / wall, wall, PCT(l, .5), PCT(l, .9), PCT(l, .99), PCT(l, 1.0),
		PCT(cl, .5), sum.conns, sum.rejected4, sum.rejected5, sum.lost, sum.conn_errors,
		sum.tls_full, sum.tls_resumed, cpu);
	if (sum.last_code && !o.quiet)
		printf("last refusal: %d %s\n", sum.last_code, sum.last_text);
	return sum.accepted == o.total ? 0 : 1;
}
