/* mailsink - SMTP/LMTP sink: accepts and counts messages, keeps nothing.
 *
 *   mailsink [-n COUNT] [-T SECONDS] [-l] [-d DELAY_MS] [-e CODE:PERCENT] [-w FILE] [ADDR:]PORT
 *
 * When COUNT messages have been accepted (or after SECONDS) it prints how many,
 * from how many connections, and the time from the first connection (and from
 * start) to the last message; then it serves one more second, so that no client
 * loses its last reply, and ends.  One epoll loop, no TLS, no storage.
 *   -l         LMTP: one reply per recipient after the dot
 *   -d MS      wait MS milliseconds before each reply to the final dot
 *   -e 451:10  answer 10 % of the messages with 451 instead of 250
 *   -w FILE    a reference for the physical bound: append each message to FILE
 *              and answer only after an fdatasync that covers it (a second
 *              thread syncs, one fdatasync for all messages waiting)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct conn {
	int fd, in_data, eol; /* eol: matched bytes of CRLF . CRLF */
	int rcpts, quit;
	double due; /* delayed reply */
	struct conn *next;
	char line[1024];
	size_t n;
	char *msg; /* -w: the message so far */
	size_t msg_n, msg_cap;
	char *held; /* replies that wait for the sync */
	size_t held_n;
	struct conn *sync_next;
};

static long want = -1, got, refused, conns, rcpts, bytes;
static int lmtp, delay_ms, err_code, err_pct, ep;
static double t_start, t_first, t_last;
static struct conn *delayed, **delayed_tail = &delayed;
static volatile sig_atomic_t stop;

/* -w: messages written but not yet synced, and those just synced. */
static int log_fd = -1, sync_event;
static long syncs, pending;
static pthread_mutex_t sync_mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t sync_cv = PTHREAD_COND_INITIALIZER;
static struct conn *to_sync, *synced;

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void on_signal(int s)
{
	(void)s;
	stop = 1;
}

static void say(struct conn *c, char *out, size_t *n, const char *s)
{
	(void)c;
	size_t l = strlen(s);
	if (*n + l < 16384) {
		memcpy(out + *n, s, l);
		*n += l;
	}
}

static void accepted(struct conn *c, char *out, size_t *n)
{
	int copies = lmtp ? c->rcpts : 1;
	int bad = err_pct && rand() % 100 < err_pct;
	char r[64];
	if (bad) {
		refused++;
		snprintf(r, sizeof r, "%d refused by test\r\n", err_code);
	} else {
		got++;
		rcpts += c->rcpts;
		t_last = now();
		snprintf(r, sizeof r, "250 2.0.0 Ok\r\n");
	}
	while (copies-- > 0)
		say(c, out, n, r);
	c->rcpts = 0;
}

static void command(struct conn *c, char *out, size_t *n)
{
	const char *l = c->line;
	if (!strncasecmp(l, "EHLO", 4) || !strncasecmp(l, "LHLO", 4))
		say(c, out, n,
			"250-sink\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n"
			"250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n");
	else if (!strncasecmp(l, "DATA", 4)) {
		c->in_data = 1;
		c->eol = 2;
		say(c, out, n, "354 go\r\n");
	} else if (!strncasecmp(l, "RCPT", 4)) {
		c->rcpts++;
		say(c, out, n, "250 2.1.5 Ok\r\n");
	} else if (!strncasecmp(l, "QUIT", 4)) {
		c->quit = 1;
		say(c, out, n, "221 2.0.0 Bye\r\n");
	} else {
		if (!strncasecmp(l, "RSET", 4) || !strncasecmp(l, "MAIL", 4))
			c->rcpts = 0;
		say(c, out, n, "250 2.0.0 Ok\r\n");
	}
}

/* Find the end of data in p[0..n).  Returns bytes consumed; *done when found. */
static size_t eat_data(struct conn *c, const char *p, size_t n, int *done)
{
	static const char end[] = "\r\n.\r\n";
	size_t i = 0;
	*done = 0;
	while (i < n) {
		if (c->eol == 0) { /* fast path: nothing matched */
			const char *q = memchr(p + i, '\r', n - i);
			if (!q)
				return n;
			i = (size_t)(q - p) + 1;
			c->eol = 1;
			continue;
		}
		char ch = p[i++];
		if (ch == end[c->eol]) {
			if (++c->eol == 5) {
				*done = 1;
				return i;
			}
		} else
			c->eol = ch == '\r';
	}
	return n;
}

static void *syncer(void *arg)
{
	(void)arg;
	for (;;) {
		pthread_mutex_lock(&sync_mu);
		while (!to_sync)
			pthread_cond_wait(&sync_cv, &sync_mu);
		struct conn *list = to_sync, *last = list;
		to_sync = NULL;
		pthread_mutex_unlock(&sync_mu);
		if (fdatasync(log_fd)) {
			perror("mailsink: fdatasync");
			exit(1);
		}
		syncs++;
		while (last->sync_next)
			last = last->sync_next;
		pthread_mutex_lock(&sync_mu);
		last->sync_next = synced;
		synced = list;
		pthread_mutex_unlock(&sync_mu);
		uint64_t one = 1;
		if (write(sync_event, &one, sizeof one) < 0)
			perror("mailsink: eventfd");
	}
}

static void keep_bytes(struct conn *c, const char *p, size_t n)
{
	if (c->msg_n + n > c->msg_cap) {
		c->msg_cap = (c->msg_n + n) * 2;
		c->msg = realloc(c->msg, c->msg_cap);
	}
	memcpy(c->msg + c->msg_n, p, n);
	c->msg_n += n;
}

/* Write the message to the log, hold the replies until the syncer has been. */
static void commit(struct conn *c, const char *out, size_t n)
{
	if (write(log_fd, c->msg, c->msg_n) != (ssize_t)c->msg_n) {
		perror("mailsink: write");
		exit(1);
	}
	pending++;
	c->msg_n = 0;
	c->held = malloc(n);
	memcpy(c->held, out, n);
	c->held_n = n;
	struct epoll_event ev = {.events = 0, .data.ptr = c};
	epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev);
	pthread_mutex_lock(&sync_mu);
	c->sync_next = to_sync;
	to_sync = c;
	pthread_cond_signal(&sync_cv);
	pthread_mutex_unlock(&sync_mu);
}

static void drop(struct conn *c)
{
	close(c->fd);
	free(c->msg);
	free(c->held);
	free(c);
}

static int on_input(struct conn *c)
{
	char buf[65536], out[16384];
	size_t o = 0;
	ssize_t r = recv(c->fd, buf, sizeof buf, 0);
	if (r < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (r <= 0)
		return -1;
	bytes += r;
	size_t n = (size_t)r, i = 0;
	int finished = 0;
	while (i < n) {
		if (c->in_data) {
			int done;
			size_t used = eat_data(c, buf + i, n - i, &done);
			if (log_fd >= 0)
				keep_bytes(c, buf + i, used);
			i += used;
			if (done) {
				c->in_data = 0;
				finished = 1;
				accepted(c, out, &o);
			}
			continue;
		}
		char *nl = memchr(buf + i, '\n', n - i);
		size_t l = (nl ? (size_t)(nl - buf) + 1 : n) - i;
		if (c->n + l < sizeof c->line) {
			memcpy(c->line + c->n, buf + i, l);
			c->n += l;
		}
		i += l;
		if (nl) {
			c->line[c->n] = 0;
			command(c, out, &o);
			c->n = 0;
		}
	}
	if (finished && log_fd >= 0) {
		commit(c, out, o);
		return 0;
	}
	if (finished && delay_ms && o) { /* hold the reply; the stream waits with it */
		struct timespec ts = {delay_ms / 1000, delay_ms % 1000 * 1000000L};
		if (conns <= 1)
			nanosleep(&ts, NULL);
		else {
			c->due = now() + delay_ms / 1e3;
			if (o < sizeof c->line) {
				memcpy(c->line, out, o);
				c->n = o;
				struct epoll_event ev = {.events = 0, .data.ptr = c};
				epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev);
				c->next = NULL;
				*delayed_tail = c;
				delayed_tail = &c->next;
				return 0;
			}
		}
	}
	if (o && send(c->fd, out, o, MSG_NOSIGNAL) < 0)
		return -1;
	return c->quit ? -1 : 0;
}

static void release_due(void)
{
	double t = now();
	while (delayed && delayed->due <= t) {
		struct conn *c = delayed;
		delayed = c->next;
		if (!delayed)
			delayed_tail = &delayed;
		size_t n = c->n;
		c->n = 0;
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
		epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev);
		if (send(c->fd, c->line, n, MSG_NOSIGNAL) < 0 || c->quit)
			drop(c);
	}
}

static void release_synced(void)
{
	uint64_t x;
	if (read(sync_event, &x, sizeof x) < 0)
		return;
	pthread_mutex_lock(&sync_mu);
	struct conn *c = synced, *next;
	synced = NULL;
	pthread_mutex_unlock(&sync_mu);
	for (; c; c = next) {
		next = c->sync_next;
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
		epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev);
		ssize_t r = send(c->fd, c->held, c->held_n, MSG_NOSIGNAL);
		free(c->held);
		c->held = NULL;
		pending--;
		if (r < 0 || c->quit)
			drop(c);
	}
}

static void report(void)
{
	struct rusage ru;
	getrusage(RUSAGE_SELF, &ru);
	double span = t_last - t_first;
	printf("sink msgs=%ld rcpts=%ld refused=%ld conns=%ld bytes=%ld span_s=%.3f since_start_s=%.3f "
		   "sink_rate=%.1f syncs=%ld sink_cpu_s=%.3f\n",
		got, rcpts, refused, conns, bytes, span, t_last - t_start, span > 0 ? got / span : 0, syncs,
		ru.ru_utime.tv_sec + ru.ru_stime.tv_sec +
			(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	double limit = 600;
	int ch;
	while ((ch = getopt(argc, argv, "n:T:ld:e:w:")) != -1)
		switch (ch) {
		case 'n':
			want = atol(optarg);
			break;
		case 'T':
			limit = atof(optarg);
			break;
		case 'l':
			lmtp = 1;
			break;
		case 'd':
			delay_ms = atoi(optarg);
			break;
		case 'w':
			log_fd = open(optarg, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
			if (log_fd < 0) {
				perror(optarg);
				return 1;
			}
			break;
		case 'e':
			if (sscanf(optarg, "%d:%d", &err_code, &err_pct) == 2)
				break;
			/* fall through */
		default:
			fprintf(stderr,
				"usage: mailsink [-n COUNT] [-T SECONDS] [-l] [-d MS] [-e CODE:PERCENT] [-w FILE] "
				"[ADDR:]PORT\n");
			return 2;
		}
	if (optind >= argc)
		return 2;
	char *where = strdup(argv[optind]), *colon = strrchr(where, ':');
	struct sockaddr_in a = {.sin_family = AF_INET};
	a.sin_port = htons((uint16_t)atoi(colon ? colon + 1 : where));
	if (colon)
		*colon = 0;
	a.sin_addr.s_addr = inet_addr(colon ? where : "127.0.0.1");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	int ls = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
	setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(ls, (struct sockaddr *)&a, sizeof a) || listen(ls, 4096)) {
		perror("mailsink: bind");
		return 1;
	}
	ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event lev = {.events = EPOLLIN, .data.ptr = NULL};
	epoll_ctl(ep, EPOLL_CTL_ADD, ls, &lev);
	static struct conn sync_mark; /* stands for the eventfd in epoll */
	if (log_fd >= 0) {
		sync_event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		struct epoll_event sev = {.events = EPOLLIN, .data.ptr = &sync_mark};
		epoll_ctl(ep, EPOLL_CTL_ADD, sync_event, &sev);
		pthread_t tid;
		if (pthread_create(&tid, NULL, syncer, NULL))
			return 1;
	}
	t_start = now();
	double t_done = 0;
	for (;;) {
		if (!t_done &&
			(stop || (want >= 0 && got >= want && !pending) || now() - t_start >= limit)) {
			report();
			t_done = now();
		}
		if (t_done && (stop || now() - t_done > 1))
			break;
		struct epoll_event ev[256];
		int n = epoll_wait(ep, ev, 256, delayed ? 1 : 200);
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;
			if (c == &sync_mark) {
				release_synced();
				continue;
			}
			if (c) {
				if (on_input(c) < 0)
					drop(c);
				continue;
			}
			int fd;
			while ((fd = accept4(ls, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
				if (!conns++)
					t_first = now();
				c = calloc(1, sizeof *c);
				c->fd = fd;
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
				struct epoll_event cev = {.events = EPOLLIN, .data.ptr = c};
				epoll_ctl(ep, EPOLL_CTL_ADD, fd, &cev);
				if (send(fd, "220 sink ESMTP\r\n", 16, MSG_NOSIGNAL) < 0)
					drop(c);
			}
		}
		release_due();
	}
	return want >= 0 && got < want;
}
