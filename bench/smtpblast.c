/* smtpblast: SMTP load on a server of this machine.
 *
 *   smtpblast [-n MESSAGES] [-c CONNECTIONS] [-m PER_CONNECTION] [-s SIZE] [-T SECONDS] [-SPQO] PORT
 *
 *   -S  STARTTLS (TLS 1.3, no resumption)       -P  pipelines MAIL, RCPT and DATA
 *   -Q  closes without QUIT                     -O  leaves the sessions open when all is sent: prints
 *                                                   "open=N" and ends when its input does
 *
 * -m 0 (with -O) sends nothing, -m 1 one message per session. It prints one line: the messages taken,
 * how many a second, the time of a transaction (MAIL sent to the reply to the content), what went
 * wrong (rej4, rej5, lost, conn_err: each must be 0, or the figure is void) and its own CPU time.
 *
 * It shares the machine with what it measures, so it has to be cheap: one loop, one message made
 * beforehand whose Message-ID is the only thing that changes, one write per step of the dialogue. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	ID_DIGITS = 16,
	EVENTS = 256,
	MOST_UNGREETED =
		500, /* what listens has a backlog; beyond it connections are lost in silence */
};

/* What the next reply answers; CONTENT is followed by MAIL or QUIT. */
enum step { BANNER, EHLO, STARTTLS, HANDSHAKE, MAIL, RCPT, DATA, CONTENT, QUIT, OPEN };

static const char *const command[] = {
	[EHLO] = "EHLO localhost\r\n",
	[STARTTLS] = "STARTTLS\r\n",
	[MAIL] = "MAIL FROM:<sender@example.com>\r\n",
	[RCPT] = "RCPT TO:<user@example.net>\r\n",
	[DATA] = "DATA\r\n",
	[QUIT] = "QUIT\r\n",
};
static const char group[] =
	"MAIL FROM:<sender@example.com>\r\nRCPT TO:<user@example.net>\r\nDATA\r\n";

static struct {
	long messages;
	int connections, per_connection;
	size_t size;
	double seconds;
	bool tls, pipelined, no_quit, stay_open;
	struct sockaddr_in server;
} want = {
	.messages = 1000, .connections = 1, .per_connection = 1000000, .size = 4096, .seconds = 60};

struct session {
	int fd;
	enum step step;
	bool want_write, over_tls;
	int sent; /* messages handed over in this session */
	SSL *ssl;
	const char *out; /* still to be written; lives as long as the program */
	size_t out_n;
	double began;
	char in[4096];
	size_t in_n;
};

static int epoll_fd;
static SSL_CTX *tls;
static char *content; /* the message with the dot that ends it; Message-ID first */
static size_t content_n;
static size_t id_at;
static long begun, taken, rejected4, rejected5, lost, connection_errors, connections, handshakes;
static int live, ungreeted, open_and_done;
static float *times_ms;
static double last_taken;

static void begin_session(struct session *s);

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* ---- one session ------------------------------------------------------------------------------ */

static void watch(struct session *s, bool write, int how)
{
	struct epoll_event e = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = s};
	if (how == EPOLL_CTL_MOD && s->want_write == write)
		return;
	s->want_write = write;
	if (epoll_ctl(epoll_fd, how, s->fd, &e) != 0)
		die("epoll_ctl");
}

static void end_session(struct session *s)
{
	close(s->fd);
	SSL_free(s->ssl);
	s->ssl = NULL;
	live--;
	if (begun < want.messages && !want.stay_open)
		begin_session(s);
}

/* The server went away or spoke out of turn. */
static void lose_session(struct session *s)
{
	if (s->step == BANNER) {
		connection_errors++;
		ungreeted--;
	} else if (s->step != QUIT) {
		lost++;
	}
	if (s->step == OPEN)
		open_and_done--;
	if (connection_errors + lost + rejected4 + rejected5 > 100)
		begun = want.messages; /* void already: no use in going on */
	ERR_clear_error();
	end_session(s);
}

/* Returns -1 when the connection is broken. */
static int flush(struct session *s)
{
	while (s->out_n > 0) {
		ssize_t n;
		if (s->over_tls) {
			n = SSL_write(s->ssl, s->out, (int)s->out_n);
			if (n <= 0 && SSL_get_error(s->ssl, (int)n) != SSL_ERROR_WANT_WRITE)
				return -1;
		} else {
			n = send(s->fd, s->out, s->out_n, MSG_NOSIGNAL);
			if (n < 0 && errno != EAGAIN)
				return -1;
		}
		if (n <= 0)
			break;
		s->out += n;
		s->out_n -= (size_t)n;
	}
	watch(s, s->out_n > 0, EPOLL_CTL_MOD);
	return 0;
}

static int say(struct session *s, enum step step, const char *text, size_t n)
{
	s->step = step;
	s->out = text;
	s->out_n = n;
	return flush(s);
}

static int say_command(struct session *s, enum step step)
{
	return say(s, step, command[step], strlen(command[step]));
}

static int send_content(struct session *s)
{
	static uint64_t state = 0x4c65747465726cu;
	char id[ID_DIGITS + 1];
	state = state * 6364136223846793005u + 1442695040888963407u;
	snprintf(id, sizeof id, "%016llx", (unsigned long long)state);
	memcpy(content + id_at, id, ID_DIGITS); /* a write that was cut short is past these bytes */
	return say(s, CONTENT, content, content_n);
}

static int next_message(struct session *s)
{
	if (s->sent < want.per_connection && begun < want.messages) {
		begun++;
		s->sent++;
		s->began = now();
		return want.pipelined ? say(s, MAIL, group, sizeof group - 1) : say_command(s, MAIL);
	}
	if (want.stay_open) {
		s->step = OPEN;
		open_and_done++;
		return 0;
	}
	return want.no_quit ? (s->step = QUIT, -1) : say_command(s, QUIT);
}

static int shake_hands(struct session *s)
{
	int r = SSL_do_handshake(s->ssl);
	if (r == 1) {
		handshakes++;
		s->over_tls = true;
		return say_command(s, EHLO);
	}
	r = SSL_get_error(s->ssl, r);
	return r == SSL_ERROR_WANT_READ ? 0 : -1;
}

static int start_tls(struct session *s)
{
	s->ssl = SSL_new(tls);
	if (!s->ssl || SSL_set_fd(s->ssl, s->fd) != 1)
		return -1;
	SSL_set_connect_state(s->ssl);
	SSL_set_tlsext_host_name(s->ssl, "mx.example.net");
	s->step = HANDSHAKE;
	return shake_hands(s);
}

static void refused(struct session *s, const char *line)
{
	static bool told;
	if (!told)
		fprintf(stderr, "smtpblast: refused: %s\n", line);
	told = true;
	ungreeted -= s->step == BANNER;
	*(line[0] == '5' ? &rejected5 : &rejected4) += 1;
	s->step = QUIT; /* counted: not lost as well */
}

/* A whole reply, by its last line. Returns -1 when the session is over. */
static int reply(struct session *s, const char *line)
{
	if (line[0] != (s->step == DATA ? '3' : '2')) {
		refused(s, line);
		return -1;
	}
	switch (s->step) {
	case BANNER:
		ungreeted--;
		return say_command(s, EHLO);
	case EHLO:
		return want.tls && !s->over_tls ? say_command(s, STARTTLS) : next_message(s);
	case STARTTLS:
		return start_tls(s);
	case MAIL:
	case RCPT:
		return want.pipelined ? (s->step++, 0) : say_command(s, s->step + 1);
	case DATA:
		return send_content(s);
	case CONTENT:
		last_taken = now();
		times_ms[taken++] = (float)((last_taken - s->began) * 1e3);
		return next_message(s);
	default: /* the answer to QUIT, or a word from a session that is only open */
		return -1;
	}
}

static int take_lines(struct session *s)
{
	char *at = s->in, *end = s->in + s->in_n, *nl;
	while ((nl = memchr(at, '\n', (size_t)(end - at)))) {
		char *line = at;
		at = nl + 1;
		*nl = '\0';
		if (nl - line < 3)
			return -1;
		if (line[3] != '-' && reply(s, line) != 0)
			return -1;
		if (s->step == HANDSHAKE)
			break;
	}
	s->in_n = (size_t)(end - at);
	memmove(s->in, at, s->in_n);
	return s->in_n == sizeof s->in ? -1 : 0;
}

/* Returns -1 when the session is over. */
static int take_input(struct session *s)
{
	ssize_t n;
	do {
		size_t room = sizeof s->in - s->in_n;
		if (s->over_tls) {
			n = SSL_read(s->ssl, s->in + s->in_n, (int)room);
			if (n <= 0)
				return SSL_get_error(s->ssl, (int)n) == SSL_ERROR_WANT_READ ? 0 : -1;
		} else {
			n = recv(s->fd, s->in + s->in_n, room, 0);
			if (n <= 0)
				return n < 0 && errno == EAGAIN ? 0 : -1;
		}
		s->in_n += (size_t)n;
		if (take_lines(s) != 0)
			return -1;
	} while (s->over_tls && SSL_has_pending(s->ssl));
	return 0;
}

static void begin_session(struct session *s)
{
	static const int one = 1;
	*s = (struct session){.step = BANNER};
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		die("socket");
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	live++;
	ungreeted++;
	connections++;
	/* The banner says that the connection stands; an error comes with the first read. */
	if (connect(s->fd, (struct sockaddr *)&want.server, sizeof want.server) != 0 &&
		errno != EINPROGRESS)
		die("connect");
	watch(s, false, EPOLL_CTL_ADD);
}

static void on_event(struct session *s, uint32_t events)
{
	int r = 0;
	if (s->step == HANDSHAKE)
		r = shake_hands(s);
	else if (events & EPOLLOUT)
		r = flush(s);
	if (r == 0 && s->step != HANDSHAKE && events & ~(uint32_t)EPOLLOUT)
		r = take_input(s);
	if (r != 0)
		lose_session(s);
}

/* ---- the whole -------------------------------------------------------------------------------- */

static void make_content(void)
{
	static const char head[] = "Message-ID: <................@localhost>\r\n"
							   "From: sender@example.com\r\nTo: user@example.net\r\n"
							   "Subject: a measurement\r\n"
							   "Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n\r\n";
	static const char line[] =
		"The quick brown fox jumps over the lazy dog and goes on to the next\r\n";
	size_t n = sizeof head - 1;
	id_at = (size_t)(strchr(head, '.') - head);
	if (want.size < n)
		want.size = n;
	content = malloc(want.size + sizeof line + 3);
	if (!content)
		die("malloc");
	memcpy(content, head, n);
	while (n + 2 < want.size) {
		size_t part = want.size - n < sizeof line - 1 ? want.size - n : sizeof line - 1;
		memcpy(content + n, line + (sizeof line - 1 - part), part);
		n += part;
	}
	memcpy(content + n, ".\r\n", 3);
	content_n = n + 3;
}

static int by_size(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

static double percentile(double share)
{
	return taken ? times_ms[(size_t)((double)(taken - 1) * share)] : 0;
}

static void report(double seconds)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	double cpu = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
	qsort(times_ms, (size_t)taken, sizeof *times_ms, by_size);
	printf("msgs=%ld rate=%.1f wall_s=%.3f p50_ms=%.2f p99_ms=%.2f max_ms=%.2f connections=%ld "
		   "handshakes=%ld rej4=%ld rej5=%ld lost=%ld conn_err=%ld own_cpu_us=%.1f\n",
		taken, (double)taken / seconds, seconds, percentile(.5), percentile(.99), percentile(1),
		connections, handshakes, rejected4, rejected5, lost, connection_errors,
		taken ? cpu * 1e6 / (double)taken : 0);
}

static void take_events(int timeout_ms)
{
	struct epoll_event e[EVENTS];
	int n = epoll_wait(epoll_fd, e, EVENTS, timeout_ms);
	for (int i = 0; i < n; i++)
		on_event(e[i].data.ptr, e[i].events);
}

static void stay_open(void)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char byte;
	printf("open=%d\n", open_and_done);
	fflush(stdout);
	while (poll(&in, 1, (int)(want.seconds * 1000)) > 0 && read(STDIN_FILENO, &byte, 1) > 0)
		;
	take_events(0); /* whom the server shut meanwhile is lost */
}

static void run_all(void)
{
	struct session *sessions = calloc((size_t)want.connections, sizeof *sessions);
	double until = now() + want.seconds;
	if (!sessions)
		die("calloc");
	int sessions_begun = 0;
	do {
		while (sessions_begun < want.connections && ungreeted < MOST_UNGREETED)
			begin_session(&sessions[sessions_begun++]);
		take_events(200);
	} while ((sessions_begun < want.connections || live > open_and_done) && now() < until);
	lost += live - open_and_done; /* out of time */
}

static void usage(void)
{
	fputs("usage: smtpblast [-n MESSAGES] [-c CONNECTIONS] [-m PER_CONNECTION] [-s SIZE] "
		  "[-T SECONDS] [-SPQO] PORT\n",
		stderr);
	exit(2);
}

static void take_options(int argc, char **argv)
{
	int option;
	while ((option = getopt(argc, argv, "n:c:m:s:T:SPQO")) != -1)
		switch (option) {
		case 'n':
			want.messages = strtol(optarg, NULL, 10);
			break;
		case 'c':
			want.connections = (int)strtol(optarg, NULL, 10);
			break;
		case 'm':
			want.per_connection = (int)strtol(optarg, NULL, 10);
			break;
		case 's':
			want.size = strtoul(optarg, NULL, 10);
			break;
		case 'T':
			want.seconds = strtod(optarg, NULL);
			break;
		case 'S':
			want.tls = true;
			break;
		case 'P':
			want.pipelined = true;
			break;
		case 'Q':
			want.no_quit = true;
			break;
		case 'O':
			want.stay_open = true;
			break;
		default:
			usage();
		}
	if (optind + 1 != argc || want.messages < 1 || want.connections < 1 || want.per_connection < 0)
		usage();
	want.server.sin_family = AF_INET;
	want.server.sin_port = htons((uint16_t)strtoul(argv[optind], NULL, 10));
	want.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK); /* never anyone else */
}

int main(int argc, char **argv)
{
	struct rlimit files;
	take_options(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (want.tls) {
		tls = SSL_CTX_new(TLS_client_method());
		SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
		SSL_CTX_set_mode(tls,
			SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				SSL_MODE_RELEASE_BUFFERS);
	}
	make_content();
	times_ms = calloc((size_t)want.messages, sizeof *times_ms);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!times_ms || epoll_fd < 0)
		die("smtpblast");
	double start = now();
	run_all();
	if (want.stay_open)
		stay_open();
	report((taken ? last_taken : now()) - start);
	return 0;
}
