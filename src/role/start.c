#include "role/start.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ask/questions.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/watchdog.h"
#include "role/walls.h"

enum {
	FAULTS_MAX = 4000,
	TRIM_MS = 5000,
	HEAP_SPARE = 2 * 1024 * 1024,
	LOOK_MAX = 16 * 1024 * 1024
};

/* The fiber that holds ASK_START until the walls stand, or the role has failed. */
static struct fiber *starting;
static char missing_walls[128];
static struct err failure;

_Noreturn void role_exit(struct role *r, int status)
{
	log_info("role.exit", "role=%s group=%s status=%d", r->name, r->group, status);
	fflush(NULL);
	_exit(status);
}

static void serve_gone(struct ask_link *l, void *arg)
{
	(void)l;
	role_exit(arg, 1);
}

static void fail_fiber(void *arg)
{
	fiber_sleep("for the answer to go out", 1);
	role_exit(arg, 1);
}

_Noreturn void role_fail(struct role *r, const struct err *err)
{
	log_error("role.fail", "role=%s err=\"%s\"", r->name, err->log);
	err_perm(&failure, NULL, "%s", err->log);
	fiber_wake(starting);
	role_loop(r);
}

/* Takes one descriptor of the question over. */
static int take_fd(struct ask_question *q, int i)
{
	int fd = q->fd[i];
	q->fd[i] = -1;
	return fd;
}

static void on_start(struct role *r, struct ask_question *q)
{
	struct ask_start start;
	if (r->start || ask_take(q, xfer_ask_start, &start) != 0)
		return;
	log_open(take_fd(q, 0), start.log_level);
	str_to_c(start.group, r->group, sizeof r->group);
	r->number = start.number;
	r->clients_fd = take_fd(q, 1);
	str_to_c(start.home, r->home, sizeof r->home);
	r->uid = start.uid;
	r->gid = start.gid;
	r->walls = start.walls;
	r->start = q;
	starting = fiber_self();
	loop_stop();
	fiber_park("for the walls", FIBER_NEVER);
	if (failure.kind != ERR_NONE) {
		q->err = failure;
		fiber_start("fail", fail_fiber, r);
		return;
	}
	struct ask_start_answer answer = {.missing = str_from_c(missing_walls)};
	ask_answer(q, xfer_ask_start_answer, &answer);
}

static void on_link(struct role *r, struct ask_question *q)
{
	struct ask_link_peer peer;
	if (ask_take(q, xfer_ask_link_peer, &peer) == 0 && r->calls->link && q->fd[0] >= 0)
		r->calls->link(r, &peer, take_fd(q, 0));
}

static void on_leaving(struct role *r, struct ask_question *q)
{
	struct ask_link_peer peer;
	if (ask_take(q, xfer_ask_link_peer, &peer) == 0 && r->calls->leaving)
		r->calls->leaving(r, &peer);
}

static void on_file(struct role *r, struct ask_question *q)
{
	struct ask_file file;
	if (ask_take(q, xfer_ask_file, &file) == 0 && r->calls->file)
		r->calls->file(r, &file, take_fd(q, 0), &q->err);
}

/* The settings that came along, or NULL with q->err. */
static struct conf *take_settings(struct ask_question *q)
{
	struct str bytes;
	if (body_map(q->fd[0], ASK_LONG_MAX, &bytes, &q->err) != 0)
		return NULL;
	struct conf *c = conf_unpack(bytes, &q->err);
	body_unmap(bytes);
	return c;
}

void role_fault(struct role *r, struct str line)
{
	log_error("role.fault", "role=%s group=%s fault=\"%.*s\"", r->name, r->group, STR_ARG(line));
	buf_add(&r->faults, line);
	buf_add_char(&r->faults, '\n');
}

static void on_conf(struct role *r, struct ask_question *q)
{
	struct conf *c = take_settings(q);
	if (!c)
		return;
	buf_done(&r->faults);
	buf_init(&r->faults, FAULTS_MAX);
	if (!r->calls->conf || r->calls->conf(r, c, &q->err) == 0) {
		struct ask_conf_answer answer = {.faults = buf_str(&r->faults)};
		log_set_level((enum log_level)c->log_level);
		log_info("role.conf", "role=%s group=%s revision=%llu", r->name, r->group,
			(unsigned long long)c->revision);
		ask_answer(q, xfer_ask_conf_answer, &answer);
	}
	conf_drop(c);
}

static void on_try(struct role *r, struct ask_question *q)
{
	struct conf *c = take_settings(q);
	if (c && r->calls->try_conf)
		r->calls->try_conf(r, c, &q->err);
	if (c)
		conf_drop(c);
}

static void on_listen(struct role *r, struct ask_question *q)
{
	struct ask_listen listen;
	if (ask_take(q, xfer_ask_listen, &listen) == 0 && r->calls->listen && q->fd[0] >= 0)
		r->calls->listen(r, &listen, take_fd(q, 0));
}

static void on_unlisten(struct role *r, struct ask_question *q)
{
	struct ask_unlisten unlisten;
	if (ask_take(q, xfer_ask_unlisten, &unlisten) == 0 && r->calls->unlisten)
		r->calls->unlisten(r, unlisten.number);
}

static void on_look(struct role *r, struct ask_question *q)
{
	struct ask_look look;
	struct buf bytes;
	if (ask_take(q, xfer_ask_look, &look) != 0)
		return;
	buf_init(&bytes, LOOK_MAX);
	look_pack(look.what, r->calls->look, r->arg, &bytes);
	struct ask_look_answer answer = {.bytes = buf_str(&bytes)};
	ask_answer(q, xfer_ask_look_answer, &answer);
	buf_done(&bytes);
}

static void stop_fiber(void *arg)
{
	struct role *r = arg;
	fiber_sleep("for the answer to go out", 1);
	if (r->calls->stop)
		r->calls->stop(r);
	else
		role_exit(r, 0);
}

static void answer_serve(struct ask_question *q, void *arg)
{
	struct role *r = arg;
	switch ((enum ask_kind)q->kind) {
	case ASK_START:
		on_start(r, q);
		break;
	case ASK_LINK:
		on_link(r, q);
		break;
	case ASK_FILE:
		on_file(r, q);
		break;
	case ASK_CONF:
		on_conf(r, q);
		break;
	case ASK_TRY:
		on_try(r, q);
		break;
	case ASK_LISTEN:
		on_listen(r, q);
		break;
	case ASK_UNLISTEN:
		on_unlisten(r, q);
		break;
	case ASK_LOG:
		if (q->fd[0] >= 0)
			log_reopen(take_fd(q, 0));
		break;
	case ASK_LOOK:
		on_look(r, q);
		break;
	case ASK_LEAVING:
		on_leaving(r, q);
		break;
	case ASK_RETIRE:
		if (r->calls->retire)
			r->calls->retire(r);
		break;
	case ASK_ALIVE:
		break;
	case ASK_STOP:
		fiber_start("stop", stop_fiber, r);
		break;
	default:
		err_perm(&q->err, NULL, "%s does not answer question %u", r->name, q->kind);
	}
}

/* What the parent's shell or service manager left: descriptors, environment, signal settings. */
static void forget(void)
{
	closefrom(ROLE_VIEW_FD + 1);
	clearenv();
	umask(077);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	tzset();
}

void role_hello(struct role *r)
{
	if (fcntl(ROLE_LINK_FD, F_GETFD) < 0) {
		fprintf(stderr, "letterlock: the role %s is started by letterlock serve\n", r->name);
		exit(2);
	}
	forget();
	/* The heap breathes with each batch of work: what it lets go of, it would ask for again at once. */
	mallopt(M_TRIM_THRESHOLD, HEAP_SPARE);
	sandbox_tell(r->name);
	loop_init();
	r->serve = ask_link_new(ROLE_LINK_FD, "serve", answer_serve, serve_gone, r);
	while (!r->start)
		loop_run();
}

void role_walls(struct role *r)
{
	struct buf missing;
	struct err err;
	buf_init(&missing, sizeof missing_walls - 1);
	watchdog_start(r->group[0] ? r->group : r->name);
	if (r->missing)
		buf_add_c(&missing, r->missing);
	int view = walls_find(r->name)->view == VIEW_ALL ? -1 : ROLE_VIEW_FD;
	if (walls_up(r->name, r->home, view, r->uid, r->gid, r->walls, &missing, &err) != 0)
		role_fail(r, &err);
	if (view >= 0)
		close(view);
	str_to_c(buf_str(&missing), missing_walls, sizeof missing_walls);
	buf_done(&missing);
	log_info("role.start", "role=%s group=%s missing=\"%s\"", r->name, r->group, missing_walls);
	fiber_wake(starting);
}

/* What a crowd of sessions left behind is given back: stacks that nobody needs, and of the heap what
 * was freed between what is in use, which malloc keeps by itself. */
static void trim(void *arg)
{
	enum { FROM = 256 * 1024 };
	static struct loop_timer *timer;
	static size_t unused;
	fiber_trim(TRIM_MS);
	size_t before = unused;
	unused = mallinfo2().fordblks;
	if (unused > before + FROM)
		malloc_trim(0);
	if (!timer)
		timer = loop_timer_new(trim, arg);
	loop_timer_start(timer, TRIM_MS);
}

_Noreturn void role_loop(struct role *r)
{
	trim(r);
	for (;;)
		loop_run();
}
