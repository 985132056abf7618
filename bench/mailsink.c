/* mailsink: a next hop that takes every message and keeps none.
 *
 *   mailsink [-T SECONDS] [-w FILE] PORT
 *
 * A number N on its input asks it to print a line when N more messages have been taken: "msgs=N at=T",
 * T being CLOCK_MONOTONIC at the last of them. It ends at SIGTERM, or after SECONDS.
 *
 *   -w FILE  the bound of what the machine can do: appends each message to FILE and answers only when
 *            an fdatasync has covered it (a second thread; one fdatasync for all that wait)
 *
 * One epoll loop, no TLS, loopback only. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256 };

struct session {
	int fd;
	bool in_content, quit, waits; /* waits: for a sync; the syncer has it */
	int matched;                  /* of CRLF . CRLF */
	char line[1024];
	size_t line_n;
	char *message; /* with -w: so far */
	size_t message_n, message_room;
	char replies[4096];
	size_t replies_n;
	struct session *next; /* of those that wait for a sync */
};

static int epoll_fd, log_fd = -1, synced_event;
static long taken, asked = -1;
static double last_taken;
static volatile sig_atomic_t stopped;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static struct session *to_sync, *synced;

/* What epoll says of the three descriptors that are no sessions. */
static struct session listener, input, syncer_done;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static void watch(struct session *s, int how, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = s};
	if (epoll_ctl(epoll_fd, how, s->fd, &e) != 0)
		die("epoll_ctl");
}

/* ---- the log ---------------------------------------------------------------------------------- */

static void *sync_for_ever(void *arg)
{
	(void)arg;
	for (;;) {
		pthread_mutex_lock(&mutex);
		while (!to_sync)
			pthread_cond_wait(&work, &mutex);
		struct session *first = to_sync, *last = first;
		to_sync = NULL;
		pthread_mutex_unlock(&mutex);
		if (fdatasync(log_fd) != 0)
			die("fdatasync");
		while (last->next)
			last = last->next;
		pthread_mutex_lock(&mutex);
		last->next = synced;
		synced = first;
		pthread_mutex_unlock(&mutex);
		if (eventfd_write(synced_event, 1) != 0)
			die("eventfd");
	}
	return NULL;
}

static void keep(struct session *s, const char *p, size_t n)
{
	if (s->message_n + n > s->message_room) {
		s->message_room = (s->message_n + n) * 2;
		s->message = realloc(s->message, s->message_room);
		if (!s->message)
			die("realloc");
	}
	memcpy(s->message + s->message_n, p, n);
	s->message_n += n;
}

/* Its replies, and what it says next, wait for the sync. */
static void commit(struct session *s)
{
	if (write(log_fd, s->message, s->message_n) != (ssize_t)s->message_n)
		die("write");
	s->message_n = 0;
	s->waits = true;
	watch(s, EPOLL_CTL_MOD, 0);
	pthread_mutex_lock(&mutex);
	s->next = to_sync;
	to_sync = s;
	pthread_cond_signal(&work);
	pthread_mutex_unlock(&mutex);
}

/* ---- one session ------------------------------------------------------------------------------ */

static void say(struct session *s, const char *text)
{
	size_t n = strlen(text);
	if (s->replies_n + n > sizeof s->replies)
		return; /* a client that pipelines beyond all measure: it will miss some */
	memcpy(s->replies + s->replies_n, text, n);
	s->replies_n += n;
}

static void end_session(struct session *s)
{
	close(s->fd);
	free(s->message);
	free(s);
}

static void send_replies(struct session *s)
{
	size_t n = s->replies_n;
	s->replies_n = 0;
	if ((n > 0 && send(s->fd, s->replies, n, MSG_NOSIGNAL) < 0) || s->quit)
		end_session(s);
}

static void take_command(struct session *s)
{
	if (strncasecmp(s->line, "EHLO", 4) == 0) {
		say(s,
			"250-sink\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n"
			"250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n");
	} else if (strncasecmp(s->line, "DATA", 4) == 0) {
		s->in_content = true;
		s->matched = 2;
		say(s, "354 go\r\n");
	} else if (strncasecmp(s->line, "QUIT", 4) == 0) {
		s->quit = true;
		say(s, "221 2.0.0 Bye\r\n");
	} else {
		say(s, "250 2.0.0 Ok\r\n");
	}
}

/* Takes what belongs to the message; *ended is set at the dot. Returns the bytes taken. */
static size_t take_content(struct session *s, const char *p, size_t n, bool *ended)
{
	static const char end[] = "\r\n.\r\n";
	size_t i = 0;
	while (i < n) {
		if (s->matched == 0) {
			const char *cr = memchr(p + i, '\r', n - i);
			if (!cr)
				return n;
			i = (size_t)(cr - p) + 1;
			s->matched = 1;
			continue;
		}
		char c = p[i++];
		if (c != end[s->matched]) {
			s->matched = c == '\r';
		} else if (++s->matched == 5) {
			*ended = true;
			return i;
		}
	}
	return n;
}

static size_t take_line(struct session *s, const char *p, size_t n)
{
	const char *nl = memchr(p, '\n', n);
	size_t part = nl ? (size_t)(nl - p) + 1 : n;
	if (s->line_n + part < sizeof s->line) {
		memcpy(s->line + s->line_n, p, part);
		s->line_n += part;
	}
	if (nl) {
		s->line[s->line_n] = '\0';
		s->line_n = 0;
		take_command(s);
	}
	return part;
}

static void message_taken(struct session *s)
{
	s->in_content = false;
	taken++;
	last_taken = now();
	say(s, "250 2.0.0 Ok\r\n");
}

static void take_input(struct session *s)
{
	char in[65536];
	if (s->waits)
		return; /* the client has gone: known when the syncer gives it back */
	ssize_t n = recv(s->fd, in, sizeof in, 0);
	bool ended = false;
	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			end_session(s);
		return;
	}
	for (size_t i = 0; i < (size_t)n;) {
		if (!s->in_content) {
			i += take_line(s, in + i, (size_t)n - i);
			continue;
		}
		bool here = false;
		size_t used = take_content(s, in + i, (size_t)n - i, &here);
		if (log_fd >= 0)
			keep(s, in + i, used);
		i += used;
		if (here)
			message_taken(s);
		ended |= here;
	}
	if (ended && log_fd >= 0)
		commit(s);
	else
		send_replies(s);
}

static void release_synced(void)
{
	eventfd_t count;
	eventfd_read(synced_event, &count);
	pthread_mutex_lock(&mutex);
	struct session *s = synced, *next;
	synced = NULL;
	pthread_mutex_unlock(&mutex);
	for (; s; s = next) {
		next = s->next;
		s->waits = false;
		watch(s, EPOLL_CTL_MOD, EPOLLIN);
		send_replies(s);
	}
}

static void begin_sessions(void)
{
	static const int one = 1;
	int fd;
	while ((fd = accept4(listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct session *s = calloc(1, sizeof *s);
		if (!s)
			die("calloc");
		s->fd = fd;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		watch(s, EPOLL_CTL_ADD, EPOLLIN);
		say(s, "220 sink ESMTP\r\n");
		send_replies(s);
	}
}

/* ---- the whole -------------------------------------------------------------------------------- */

static void take_number(void)
{
	char text[32];
	ssize_t n = read(input.fd, text, sizeof text - 1);
	if (n <= 0) {
		watch(&input, EPOLL_CTL_DEL, 0);
		return;
	}
	text[n] = '\0';
	asked = strtol(text, NULL, 10);
	taken = 0;
}

/* Descriptor 0; a file, or /dev/null, asks nothing (and epoll refuses it). */
static void watch_input(void)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = &input};
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, input.fd, &e) != 0 && errno != EPERM)
		die("epoll_ctl");
}

static void listen_on(const char *port)
{
	static const int one = 1;
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(listener.fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(listener.fd, 4096) != 0)
		die("mailsink: bind");
	watch(&listener, EPOLL_CTL_ADD, EPOLLIN);
}

static void start_syncer(void)
{
	pthread_t thread;
	synced_event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	syncer_done.fd = synced_event;
	watch(&syncer_done, EPOLL_CTL_ADD, EPOLLIN);
	if (pthread_create(&thread, NULL, sync_for_ever, NULL) != 0)
		die("pthread_create");
}

static void on_event(struct session *s)
{
	if (s == &listener)
		begin_sessions();
	else if (s == &input)
		take_number();
	else if (s == &syncer_done)
		release_synced();
	else
		take_input(s);
}

static void run(double seconds)
{
	double until = now() + seconds;
	while (!stopped && now() < until) {
		struct epoll_event e[EVENTS];
		int n = epoll_wait(epoll_fd, e, EVENTS, 1000);
		for (int i = 0; i < n; i++)
			on_event(e[i].data.ptr);
		if (asked >= 0 && taken >= asked) {
			printf("msgs=%ld at=%.6f\n", taken, last_taken);
			fflush(stdout);
			asked = -1;
		}
	}
}

int main(int argc, char **argv)
{
	double seconds = 600;
	int option;
	while ((option = getopt(argc, argv, "T:w:")) != -1) {
		if (option == 'T')
			seconds = strtod(optarg, NULL);
		else if (option != 'w')
			return 2;
		else if ((log_fd = open(
					  optarg, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC, 0600)) < 0)
			die(optarg);
	}
	if (optind + 1 != argc) {
		fputs("usage: mailsink [-T SECONDS] [-w FILE] PORT\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_signal);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	listen_on(argv[optind]);
	if (log_fd >= 0)
		start_syncer();
	else
		watch_input();
	run(seconds);
	return 0;
}
