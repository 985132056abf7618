/* serve: see serve.h.
 *
 * Start: the home's lock, the log, the control socket; then store and keys. store sends the snapshots
 * of the settings in force (ASK_SNAPSHOT, ASK_PREPARE, ASK_APPLY), the same way as any later change;
 * with the first ASK_APPLY the others are started. */
#include "role/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ask/questions.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/watchdog.h"
#include "role/serve_log.h"
#include "role/serve_look.h"
#include "role/walls.h"

static struct vec sockets;
static struct serve the_serve = {.control_fd = -1, .sockets = &sockets};

/* ---- telling the world ---- */

/* The service manager's protocol (sd_notify(3)): one datagram. */
static void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	if (!path || strlen(path) >= sizeof sa.sun_path)
		return;
	str_to_c(str_from_c(path), sa.sun_path, sizeof sa.sun_path);
	if (sa.sun_path[0] == '@')
		sa.sun_path[0] = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (fd < 0 || sendto(fd, state, strlen(state), 0, (struct sockaddr *)&sa, length) < 0)
		log_warn("serve.notify", "err=\"%s\"", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void say_list(const char *what, const struct conf_addresses *list)
{
	for (size_t i = 0; i < list->n; i++)
		printf("  %-12s %.*s\n", what, STR_ARG(list->at[i].text));
}

static void say_up(struct serve *s)
{
	s->up = true;
	printf("letterlock %s serves %.*s\n", LETTERLOCK_VERSION, STR_ARG(s->conf->hostname));
	say_list("smtp", &s->conf->listen_smtp);
	say_list("submission", &s->conf->listen_submission);
	say_list("submissions", &s->conf->listen_submissions);
	fflush(stdout);
	log_info(
		"serve.up", "version=%s hostname=%.*s", LETTERLOCK_VERSION, STR_ARG(s->conf->hostname));
	notify("READY=1");
}

/* ---- the end ---- */

static void stop_role(struct serve *s, enum conf_role role)
{
	for (int i = 0; i < CHILDREN; i++)
		if (s->children[i].conf_role == role)
			child_stop(&s->children[i]);
	for (int i = 0; i < CHILDREN; i++)
		while (s->children[i].conf_role == role && s->children[i].state != CHILD_OFF)
			fiber_sleep("for the role to finish", 5);
}

/* Who asks ends before those he asks: what still comes from an edge finds store alive, the last
 * deliveries that store waits for find relay alive. */
static void stop_fiber(void *arg)
{
	static const enum conf_role order[] = {CONF_EDGE, CONF_STORE, CONF_RELAY, CONF_KEYS};
	struct serve *s = arg;
	for (size_t i = 0; i < sizeof order / sizeof *order; i++)
		stop_role(s, order[i]);
	sockets_close_control(s);
	log_info("serve.down", "pid=%d", (int)getpid());
	loop_stop();
}

static int exit_status;

static void stop(void *arg)
{
	struct serve *s = arg;
	if (s->stopping)
		return;
	s->stopping = true;
	notify("STOPPING=1");
	fiber_start("stop", stop_fiber, s);
}

void serve_fail(struct serve *s, const struct err *err)
{
	fprintf(stderr, "letterlock: %s\n", err->log);
	log_error("serve.fail", "err=\"%s\"", err->log);
	exit_status = 1;
	stop(s);
}

static void on_child(void *arg)
{
	children_reap(arg);
}

/* ---- what store asks ---- */

static struct child *child_of_role(struct serve *s, uint32_t role, size_t *at)
{
	for (; *at < CHILDREN; (*at)++)
		if (s->children[*at].conf_role == role)
			return &s->children[(*at)++];
	return NULL;
}

static void on_snapshot(struct serve *s, struct ask_question *q)
{
	struct ask_snapshot snapshot;
	if (ask_take(q, xfer_ask_snapshot, &snapshot) != 0 || body_check(q->fd[0], &q->err) < 0)
		return;
	if (snapshot.role == CONF_SERVE) {
		struct str bytes;
		if (body_map(q->fd[0], ASK_LONG_MAX, &bytes, &q->err) != 0)
			return;
		struct conf *next = conf_unpack(bytes, &q->err);
		body_unmap(bytes);
		if (next) {
			conf_drop(s->next_conf);
			s->next_conf = next;
		}
		return;
	}
	size_t at = 0;
	for (struct child *c; (c = child_of_role(s, snapshot.role, &at));) {
		int fd = fcntl(q->fd[0], F_DUPFD_CLOEXEC, 0);
		if (fd < 0) {
			err_temp(
				&q->err, NULL, "cannot keep the settings for %s: %s", c->name, strerror(errno));
			return;
		}
		if (c->next_conf_fd >= 0)
			close(c->next_conf_fd);
		c->next_conf_fd = fd;
		c->next_revision = snapshot.revision;
	}
}

/* Roles take their time, and meanwhile store may die and the next one come with settings of its own:
 * then these are no longer what is being prepared. */
static int try_all(struct serve *s, const struct conf *now, struct conf *next, struct err *err)
{
	for (int i = 0; i < CHILDREN; i++) {
		if (child_try(&s->children[i], now, next, err) != 0)
			return -1;
		if (s->next_conf != next)
			return err_temp(err, NULL, "other settings came while these were being tried");
	}
	return 0;
}

static void on_prepare(struct serve *s, struct ask_question *q)
{
	if (!s->next_conf) {
		err_perm(&q->err, NULL, "ASK_PREPARE before ASK_SNAPSHOT");
		return;
	}
	struct conf *next = conf_hold(s->next_conf), *now = s->conf ? conf_hold(s->conf) : NULL;
	/* A revision that is in force already is only handed out again: store was restarted. */
	bool news = now && now->revision != next->revision;
	bool good = !news || try_all(s, now, next, &q->err) == 0;
	if (good && sockets_prepare(s, next, &q->err) != 0 && !s->up)
		serve_fail(s, &q->err);
	conf_drop(now);
	conf_drop(next);
}

static void list_faults(const struct child *c, struct buf *out)
{
	struct str rest = str_from_c(c->faults ? c->faults : ""), line;
	while (str_split(&rest, '\n', &line))
		if (line.n)
			buf_addf(out, "%s %.*s\n", c->name, STR_ARG(line));
}

/* Puts the new snapshots in force and tells how each role took them. */
static void apply_all(struct serve *s, struct buf *report)
{
	for (int i = 0; i < CHILDREN; i++) {
		struct child *c = &s->children[i];
		struct err err;
		if (c->next_conf_fd >= 0) {
			if (c->conf_fd >= 0)
				close(c->conf_fd);
			c->conf_fd = c->next_conf_fd;
			c->revision = c->next_revision;
			c->next_conf_fd = -1;
		}
		if (c->conf_fd < 0 || group_spare(c))
			continue;
		if (c->state != CHILD_RUNNING)
			buf_addf(report, "%s starts with it\n", c->name);
		else if (child_apply(c, &err) == 0)
			buf_addf(report, "%s %llu\n", c->name, (unsigned long long)c->revision);
		else
			buf_addf(report, "%s refused it: %s\n", c->name, err.log);
		list_faults(c, report);
	}
}

static void up_fiber(void *arg)
{
	struct serve *s = arg;
	for (int i = 0; i < CHILDREN; i++)
		if (s->children[i].wanted)
			child_start(&s->children[i]);
	groups_fit(s);
	for (int i = 0; i < CHILDREN; i++)
		while (s->children[i].wanted && s->children[i].state != CHILD_RUNNING && !s->stopping)
			fiber_sleep("for all roles to run", 2);
	if (!s->stopping)
		say_up(s);
}

static void on_apply(struct serve *s, struct ask_question *q)
{
	if (!s->next_conf) {
		err_perm(&q->err, NULL, "ASK_APPLY before ASK_SNAPSHOT");
		return;
	}
	conf_drop(s->conf);
	s->conf = s->next_conf;
	s->next_conf = NULL;
	log_set_level((enum log_level)s->conf->log_level);
	struct buf report;
	buf_init(&report, 16 * 1024);
	apply_all(s, &report);
	if (s->up)
		groups_fit(s);
	sockets_apply(s);
	struct ask_apply_answer answer = {.report = buf_str(&report)};
	ask_answer(q, xfer_ask_apply_answer, &answer);
	buf_done(&report);
	if (!s->up && !s->stopping && child_find(s, STR("control"))->state == CHILD_OFF)
		fiber_start("up", up_fiber, s);
}

static const char *state_name(const struct child *c)
{
	static const char *const name[] = {"stopped", "starting", "running", "restarting", "stopping"};
	return c->retiring ? "finishing" : name[c->state];
}

/* Walls between users are none between two roles of one user. */
static bool shares_user(const struct serve *s, const struct child *c)
{
	for (int i = 0; i < CHILDREN; i++) {
		const struct child *other = &s->children[i];
		if (strcmp(other->role, c->role) != 0 && other->pid && other->uid == c->uid)
			return true;
	}
	return false;
}

static void list_missing(const struct serve *s, const struct child *c, struct buf *out)
{
	bool add = shares_user(s, c) && !strstr(c->missing, "uid");
	buf_addf(
		out, " missing=%s%s%s\n", c->missing, add && c->missing[0] ? " " : "", add ? "uid" : "");
}

static void list_services(struct serve *s, struct buf *out)
{
	buf_addf(out, "serve running %d restarts=0 since=%lld missing=%s\n", (int)getpid(),
		(long long)s->started_ms, s->missing);
	for (int i = 0; i < CHILDREN; i++) {
		const struct child *c = &s->children[i];
		if (group_spare(c))
			continue;
		buf_addf(out, "%s %s %d restarts=%u since=%lld revision=%llu", c->name, state_name(c),
			(int)c->pid, c->restarts, (long long)c->started_ms,
			(unsigned long long)c->acknowledged);
		if (c->forbidden)
			buf_addf(
				out, " forbidden=%u forbidden_at=%lld", c->forbidden, (long long)c->forbidden_ms);
		list_missing(s, c, out);
	}
}

/* A process of the service is on its way up or down. */
static bool changes(struct serve *s, struct str service)
{
	for (int i = 0; i < CHILDREN; i++) {
		const struct child *c = &s->children[i];
		bool of_it = str_eq(str_from_c(c->name), service) || str_eq(str_from_c(c->group), service);
		if (of_it && (c->state == CHILD_STARTING || c->state == CHILD_STOPPING))
			return true;
	}
	return false;
}

static int switch_service(struct serve *s, const struct ask_service *service, struct err *err)
{
	struct child *c = child_find(s, service->group);
	if (!c || (strcmp(c->name, "mx") && strcmp(c->name, "user") && strcmp(c->name, "relay")))
		return err_perm(err, NULL, "there is no service \"%.*s\"; there are mx, user and relay",
			STR_ARG(service->group));
	if (s->stopping || !s->conf)
		return err_temp(err, NULL, "letterlock is starting or stopping");
	if (str_eq(service->op, STR("start"))) {
		if (sockets_bind(s, c, err) != 0)
			return -1;
		child_start(c);
	} else if (str_eq(service->op, STR("stop"))) {
		child_stop(c);
	} else {
		return err_perm(
			err, NULL, "a service is started or stopped, not \"%.*s\"", STR_ARG(service->op));
	}
	groups_fit(s);
	sockets_apply(s);
	for (int i = 0; i < 1000 && changes(s, service->group); i++)
		fiber_sleep("for the service", 10);
	return 0;
}

static void on_service(struct serve *s, struct ask_question *q)
{
	struct ask_service service;
	if (ask_take(q, xfer_ask_service, &service) != 0)
		return;
	if (!str_eq(service.op, STR("list")) && switch_service(s, &service, &q->err) != 0)
		return;
	struct buf out;
	buf_init(&out, 16 * 1024);
	list_services(s, &out);
	struct buf faults;
	buf_init(&faults, 32 * 1024);
	for (int i = 0; i < CHILDREN; i++)
		list_faults(&s->children[i], &faults);
	if (s->log_fault[0])
		buf_addf(&faults, "serve %s\n", s->log_fault);
	struct ask_service_answer answer = {.lines = buf_str(&out), .faults = buf_str(&faults)};
	ask_answer(q, xfer_ask_service_answer, &answer);
	buf_done(&faults);
	buf_done(&out);
}

static void answer_store(struct ask_question *q, void *arg)
{
	struct serve *s = arg;
	switch ((enum ask_kind)q->kind) {
	case ASK_SNAPSHOT:
		on_snapshot(s, q);
		break;
	case ASK_PREPARE:
		on_prepare(s, q);
		break;
	case ASK_APPLY:
		on_apply(s, q);
		break;
	case ASK_WORKER:
		q->answer_fd[0] = child_worker(s, &q->err);
		break;
	case ASK_SERVICE:
		on_service(s, q);
		break;
	case ASK_GATHER:
		serve_gather(s, q);
		break;
	default:
		err_perm(&q->err, NULL, "serve does not answer question %u", q->kind);
	}
}

/* ---- main ---- */

/* Held as long as the process lives. */
static int lock_home(struct serve *s, struct err *err)
{
	int home = open(s->home, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = home < 0 ? -1 : openat(home, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		err_say(err, "cannot open %s/lock: %s (is this a home? letterlock setup makes one)",
			s->home, strerror(errno));
	if (home >= 0)
		close(home);
	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return err_say(
			err, "%s is in use: letterlock runs there already, or a command is at work", s->home);
	return 0;
}

static int find_libexec(struct serve *s, struct err *err)
{
	ssize_t n = readlink("/proc/self/exe", s->libexec, sizeof s->libexec - 1);
	if (n <= 0)
		return err_say(err, "cannot read /proc/self/exe: %s", strerror(errno));
	s->libexec[n] = 0;
	*strrchr(s->libexec, '/') = 0;
	return 0;
}

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: letterlock serve --home DIR [--walls enforce|log|off]\n");
	exit(2);
}

static void read_options(struct serve *s, int argc, char **argv)
{
	static const struct option options[] = {
		{"home", required_argument, NULL, 'h'}, {"walls", required_argument, NULL, 'w'}, {0}};
	static const char *const modes[] = {"enforce", "log", "off"};
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		int mode = 0;
		if (c == 'h') {
			s->home = realpath(optarg, NULL);
			if (!s->home) {
				fprintf(stderr, "letterlock: --home %s: %s\n", optarg, strerror(errno));
				exit(1);
			}
			continue;
		}
		while (c == 'w' && mode < 3 && strcmp(modes[mode], optarg) != 0)
			mode++;
		if (c != 'w' || mode == 3)
			usage();
		s->walls = (enum sandbox_mode)mode;
	}
	if (!s->home || optind != argc)
		usage();
}

static int begin(struct serve *s, struct err *err)
{
	if (lock_home(s, err) != 0 || logs_open(s, err) != 0)
		return -1;
	log_open(s->log_fd, LOG_INFO);
	if (sockets_open_control(s, err) != 0)
		return -1;
	struct buf missing;
	buf_init(&missing, sizeof s->missing - 1);
	int status = walls_up("serve", s->home, -1, 0, 0, s->walls, &missing, err);
	log_info("serve.start", "version=%s home=%s missing=\"%s\"", LETTERLOCK_VERSION, s->home,
		buf_c(&missing));
	str_to_c(buf_str(&missing), s->missing, sizeof s->missing);
	buf_done(&missing);
	return status;
}

int main(int argc, char **argv)
{
	struct serve *s = &the_serve;
	struct err err;
	read_options(s, argc, argv);
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* for the roles too: a limit on files is an error like others */
	sandbox_tell("serve");
	vec_init(s->sockets, sizeof(struct socket_bound));
	groups_make(s, answer_store);
	s->started_ms = clock_wall_ms();
	loop_init();
	watchdog_start("serve");
	if (find_libexec(s, &err) != 0 || begin(s, &err) != 0) {
		fprintf(stderr, "letterlock: %s\n", err.log);
		return 1;
	}
	loop_on_signal(SIGCHLD, on_child, s);
	loop_on_signal(SIGTERM, stop, s);
	loop_on_signal(SIGINT, stop, s);
	loop_on_signal(SIGHUP, stop, s); /* its terminal is gone */
	logs_watch(s);
	child_start(child_find(s, STR("store")));
	child_start(child_find(s, STR("keys")));
	loop_run();
	fflush(NULL);
	_exit(
		exit_status); /* as the roles: no library runs code of its own behind walls it does not know */
}
