/* serve_child: see serve.h. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask/questions.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/body.h"
#include "io/fiber.h"
#include "role/serve.h"
#include "role/start.h"
#include "role/walls.h"
#include "store/db.h"

enum {
	TELL_MS = 30 * 1000,
	START_MS = 15 * 60 *
		1000, /* store reads its queue, perhaps a million messages, perhaps after a crash */
	BACK_OFF_FIRST_MS = 100,
	BACK_OFF_LAST_MS = 30 * 1000,
	STEADY_MS = 60 * 1000, /* after this time of life the back-off begins anew */
	OUTSIDE_FILE_MAX = 8 * 1024 * 1024,
	EXEC_FAILED = 127,
	STOP_MS = 10 * 1000, /* then it is killed */
	STOP_LOOK_MS = 20,
	LINK_LOOK_MS = 2,
	ALIVE_EVERY_MS = 3000,
	FIRST_PATIENCE_MS = 30 * 1000, /* as long as there are no settings */
};

/* Who talks to whom, by group where there are groups; the one who asks stands first. */
static const struct {
	const char *asks, *answers;
} pairs[] = {
	{"mx", "store"},
	{"mx", "keys"},
	{"user", "store"},
	{"user", "keys"},
	{"control", "store"},
	{"store", "relay"},
	{"store", "keys"},
};

struct child *child_find(struct serve *s, struct str name)
{
	for (int i = 0; i < CHILDREN; i++)
		if (str_eq(str_from_c(s->children[i].name), name))
			return &s->children[i];
	return NULL;
}

/* ---- process ---- */

struct user {
	const char *name;
	bool found;
	uint32_t uid, gid;
};

/* On the loop's stack: what nsswitch.conf names may need more than a fiber has. */
static void look_up(void *arg)
{
	struct user *u = arg;
	struct passwd *p = getpwnam(u->name);
	if (!p)
		return;
	u->found = true;
	u->uid = p->pw_uid;
	u->gid = p->pw_gid;
}

/* The role's own user if this is root and there is one, else the owner of the folder it works in. */
static void user_of(struct serve *s, struct child *c, struct arena *arena)
{
	bool keys = c->conf_role == CONF_KEYS, store = c->conf_role == CONF_STORE;
	struct user own = {.name = arena_fmt(arena, "letterlock-%s", c->role).p};
	struct stat st = {0};
	if (geteuid() == 0 && !keys && !store)
		fiber_call_deep(look_up, &own);
	const char *folder = keys ? "keys" : store ? DATA_FOLDER : ".";
	if (!own.found)
		stat(arena_fmt(arena, "%s/%s", s->home, folder).p, &st);
	c->uid = own.found ? own.uid : st.st_uid;
	c->gid = own.found ? own.gid : st.st_gid;
}

static void close_view(int view)
{
	if (view >= 0)
		close(view);
}

static int cannot_spawn(struct err *err)
{
	return err_temp(err, NULL, "it cannot be started: %s", strerror(errno));
}

/* In the child: the end of its link and the folder it shall see (or -1) where role/start.h has them,
 * even if serve had one of those numbers for something else. */
static void hand_over(int link, int view)
{
	link = fcntl(link, F_DUPFD_CLOEXEC, ROLE_VIEW_FD + 1);
	if (view >= 0)
		view = fcntl(view, F_DUPFD_CLOEXEC, ROLE_VIEW_FD + 1);
	dup2(link, ROLE_LINK_FD);
	if (view >= 0)
		dup2(view, ROLE_VIEW_FD);
}

/* fork and exec; returns our end of its link, or -1 with *err. */
static int spawn(struct serve *s, const char *role, pid_t *ret_pid, struct err *err)
{
	int pair[2];
	enum walls_view seen = walls_find(role)->view;
	int view = walls_view(seen, s->home, err);
	if (view < 0 && seen != VIEW_ALL)
		return -1;
	if (ask_pair(pair) != 0) {
		close_view(view);
		return cannot_spawn(err);
	}
	struct arena *arena = arena_new();
	const char *program = arena_fmt(arena, "%s/%s", s->libexec, role).p;
	pid_t pid = fork();
	if (pid == 0) {
		/* A terminal's Ctrl-C or end, and a service manager's signal to the whole group, are for
		 * serve, which then stops its roles in order. What is ignored stays so beyond exec. */
		signal(SIGHUP, SIG_IGN);
		signal(SIGINT, SIG_IGN);
		signal(SIGTERM, SIG_IGN);
		hand_over(pair[1], view);
		execl(program, program, (char *)NULL);
		_exit(EXEC_FAILED);
	}
	arena_free(arena);
	close(pair[1]);
	close_view(view);
	if (pid < 0) {
		close(pair[0]);
		return cannot_spawn(err);
	}
	*ret_pid = pid;
	return pair[0];
}

static int say_start(struct child *c, struct err *err)
{
	struct serve *s = c->serve;
	int clients = group_clients(c, err);
	if (clients < 0 && err->kind != ERR_NONE)
		return -1;
	struct arena *arena = arena_new();
	user_of(s, c, arena);
	struct ask_start start = {
		.role = str_from_c(c->role),
		.group = str_from_c(c->group),
		.number = c->number,
		.home = c->gets_home ? str_from_c(s->home) : STR(""),
		.uid = c->uid,
		.gid = c->gid,
		.walls = s->walls,
		.log_level = s->conf ? (uint8_t)s->conf->log_level : LOG_INFO,
	};
	struct ask_start_answer answer;
	int status = ask_put(c->link, ASK_START, xfer_ask_start, &start, (int[]){s->log_fd, clients},
		xfer_ask_start_answer, &answer, NULL, START_MS, arena, err);
	if (status == 0)
		str_to_c(answer.missing, c->missing, sizeof c->missing);
	arena_free(arena);
	return status;
}

/* ---- what a role is given ---- */

/* Something about a neighbour: ASK_LINK with `fd`, or ASK_LEAVING without (-1). */
static void say_peer(
	const struct child *to, enum ask_kind kind, const char *event, const struct child *peer, int fd)
{
	struct arena *arena = arena_new();
	struct ask_link_peer q = {.role = str_from_c(peer->role), .group = str_from_c(peer->group)};
	struct err err;
	if (ask_put(to->link, kind, xfer_ask_link_peer, &q, (int[]){fd, -1}, NULL, NULL, NULL, TELL_MS,
			arena, &err) != 0)
		log_warn(event, "role=%s peer=%s err=\"%s\"", to->name, peer->name, err.log);
	arena_free(arena);
}

static void say_link(const struct child *to, const struct child *peer, int fd)
{
	say_peer(to, ASK_LINK, "serve.link", peer, fd);
	close(fd);
}

static const char *kind_of(const struct child *c)
{
	return c->group[0] ? c->group : c->role;
}

static bool have_link(const struct child *a, const struct child *b)
{
	const char *one = kind_of(a), *other = kind_of(b);
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		if ((!strcmp(pairs[i].asks, one) && !strcmp(pairs[i].answers, other)) ||
			(!strcmp(pairs[i].asks, other) && !strcmp(pairs[i].answers, one)))
			return true;
	return false;
}

/* A pair to each neighbour that can take its end; those that cannot yet make the pair themselves once
 * their walls stand. The neighbour first: when the new one speaks, it is heard.
 *
 * One role at a time: of two that link to each other at the same moment, one would be left with the
 * first pair and the other with the second, and nobody at either far end. */
static int give_links(struct child *c, unsigned life, struct err *err)
{
	struct serve *s = c->serve;
	int status = 0;
	while (s->linking)
		fiber_sleep("for another role's links", LINK_LOOK_MS);
	s->linking = true;
	if (c->life == life)
		c->greeted = true;
	for (int i = 0; i < CHILDREN && c->life == life; i++) {
		struct child *peer = &s->children[i];
		if (!peer->greeted || !have_link(c, peer))
			continue;
		int pair[2];
		if (ask_pair(pair) != 0) {
			status = err_temp(err, NULL, "no pair of sockets: %s", strerror(errno));
			break;
		}
		say_link(peer, c, pair[0]);
		if (c->life == life)
			say_link(c, peer, pair[1]);
		else
			close(pair[1]);
	}
	s->linking = false;
	return status;
}

/* The contents of file->path as a sealed memfd, or -1 with file->error. */
static int read_outside(struct ask_file *file, struct arena *arena)
{
	struct stat st;
	struct err err;
	int memory = -1;
	/* Opening must not wait, whatever stands there. */
	int fd = open(arena_dup_c(arena, file->path), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) != 0) {
		file->error = arena_fmt(arena, "%s", strerror(errno));
	} else if (!S_ISREG(st.st_mode) || st.st_size > OUTSIDE_FILE_MAX) {
		file->error = STR("no regular file, or larger than 8 MB");
	} else {
		char *p = mem_new((size_t)st.st_size);
		ssize_t n = read(fd, p, (size_t)st.st_size);
		file->changed_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
		if (n < 0)
			file->error = arena_fmt(arena, "%s", strerror(errno));
		else if ((memory = body_from_str(str_make(p, (size_t)n), "outside", &err)) < 0)
			file->error = arena_fmt(arena, "%.200s", err.log);
		free(p);
	}
	if (fd >= 0)
		close(fd);
	return memory;
}

/* A file from outside the home, as relay gets it. Its absence is told, not hidden; no path is an
 * empty file, so that what was read before is forgotten. */
static int give_file(
	struct child *c, const char *setting, struct str path, bool trial, struct err *err)
{
	struct arena *arena = arena_new();
	struct ask_file file = {.setting = str_from_c(setting), .path = path, .trial = trial};
	int memory = path.n ? read_outside(&file, arena) : body_from_str(STR(""), "no file", err);
	if (file.error.n)
		log_warn("serve.file", "setting=%s path=%.*s err=\"%.*s\"", setting, STR_ARG(path),
			STR_ARG(file.error));
	int status = ask_put(c->link, ASK_FILE, xfer_ask_file, &file, (int[]){memory, -1}, NULL, NULL,
		NULL, TELL_MS, arena, err);
	if (memory >= 0)
		close(memory);
	arena_free(arena);
	return status;
}

static int try_files(
	struct child *c, const struct conf *now, const struct conf *next, struct err *err)
{
	if (!str_eq(now->trust_store, next->trust_store) &&
		give_file(c, "trust.store", next->trust_store, true, err) != 0)
		return -1;
	return str_eq(now->dns_trust_anchor, next->dns_trust_anchor)
		? 0
		: give_file(c, "dns.trust_anchor", next->dns_trust_anchor, true, err);
}

int child_try(struct child *c, const struct conf *now, const struct conf *next, struct err *err)
{
	if (c->state != CHILD_RUNNING || c->next_conf_fd < 0)
		return 0;
	if (c->conf_role == CONF_RELAY)
		return try_files(c, now, next, err);
	if (c->conf_role != CONF_EDGE)
		return 0;
	struct arena *arena = arena_new();
	int status = ask_put(c->link, ASK_TRY, NULL, NULL, (int[]){c->next_conf_fd, -1}, NULL, NULL,
		NULL, TELL_MS, arena, err);
	arena_free(arena);
	return status;
}

static void set_faults(struct child *c, struct str faults)
{
	free(c->faults);
	c->faults = faults.n ? str_to_c(faults, mem_new(faults.n + 1), faults.n + 1) : NULL;
}

int child_apply(struct child *c, struct err *err)
{
	if (c->conf_fd < 0 || !ask_link_alive(c->link))
		return err_temp(err, NULL, "not running");
	if (c->conf_role == CONF_RELAY && c->serve->conf) {
		/* What is wrong with them it tells with the settings. */
		give_file(c, "trust.store", c->serve->conf->trust_store, false, err);
		give_file(c, "dns.trust_anchor", c->serve->conf->dns_trust_anchor, false, err);
	}
	uint64_t revision = c->revision;
	struct arena *arena = arena_new();
	struct ask_conf_answer answer = {0};
	int status = ask_put(c->link, ASK_CONF, NULL, NULL, (int[]){c->conf_fd, -1},
		xfer_ask_conf_answer, &answer, NULL, TELL_MS, arena, err);
	if (status == 0) {
		c->acknowledged = revision;
		set_faults(c, answer.faults);
	}
	arena_free(arena);
	return status;
}

/* ---- life ---- */

static void child_ended(struct child *c);

/* A child that lives but does not do as told: end it; SIGCHLD then brings it back. What it says
 * itself before all were up once will not be better the next time. */
static void give_up(struct child *c, const char *doing, const struct err *err)
{
	log_error("serve.start", "role=%s doing=\"%s\" err=\"%s\"", c->name, doing, err->log);
	if (!c->serve->up && err->kind == ERR_PERM) {
		struct err told;
		err_say(&told, "%s: %s", c->name, err->log);
		serve_fail(c->serve, &told);
	}
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
}

/* Settings may change while a role is being told of the ones before. */
static int apply_newest(struct child *c, struct err *err)
{
	while (c->acknowledged != c->revision)
		if (child_apply(c, err) != 0)
			return -1;
	return 0;
}

/* A new process with a link to it. */
static int begin_life(struct child *c, struct err *err)
{
	c->life++;
	c->started_ms = clock_wall_ms();
	c->started_steady_ms = clock_steady_ms();
	int fd = spawn(c->serve, c->role, &c->pid, err);
	if (fd < 0)
		return -1;
	c->link = ask_link_new(fd, c->name, c->asks, NULL, c->serve);
	return 0;
}

/* Hands it all it needs. Each step waits, and meanwhile the process may end, and the next one of this
 * role even begin; then life is another. NULL, or what could not be done, with *err. */
static const char *introduce(struct child *c, unsigned life, struct err *err)
{
	if (say_start(c, err) != 0)
		return "putting up its walls";
	/* Settings first: who has a link is given work. */
	if (c->life == life && apply_newest(c, err) != 0)
		return "taking its settings";
	if (give_links(c, life, err) != 0)
		return "linking it to its neighbours";
	/* Those that came since; an edge tries its certificates with the keys it can ask now. */
	if (c->conf_role == CONF_EDGE)
		c->acknowledged = 0;
	if (c->life == life && apply_newest(c, err) != 0)
		return "taking its settings";
	return NULL;
}

/* The same certificates, but with the keys that are there now. */
static void try_with_new_keys(struct serve *s)
{
	struct err err;
	for (int i = 0; i < CHILDREN; i++) {
		struct child *c = &s->children[i];
		if (c->conf_role == CONF_EDGE && c->state == CHILD_RUNNING && child_apply(c, &err) != 0)
			log_warn("serve.keys", "role=%s err=\"%s\"", c->name, err.log);
	}
}

static int64_t patience_of(const struct serve *s)
{
	return s->conf ? (int64_t)s->conf->serve_patience_ms : FIRST_PATIENCE_MS;
}

/* A role that runs answers at once, however much work it has: its loop turns. One that does not hangs,
 * in an endless loop or a call that never comes back, and its work waits with it.
 *
 * Two questions in a row must stay open, half of serve.patience each: after a standstill of the whole
 * machine the first one fails for everybody, but the second is answered. */
static void watch_fiber(void *arg)
{
	struct child *c = arg;
	unsigned life = c->life, failed = 0;
	while (failed < 2) {
		int64_t half = patience_of(c->serve) / 2;
		if (!failed)
			fiber_sleep(
				"to ask a role whether it is alive", half < ALIVE_EVERY_MS ? half : ALIVE_EVERY_MS);
		if (c->life != life || c->state != CHILD_RUNNING)
			return;
		struct arena *arena = arena_new();
		struct err err;
		int status = ask_put(c->link, ASK_ALIVE, NULL, NULL, NULL, NULL, NULL, NULL,
			patience_of(c->serve) / 2, arena, &err);
		failed = status == 0 ? 0 : failed + 1;
		arena_free(arena);
	}
	if (c->life != life || c->state != CHILD_RUNNING)
		return;
	log_error("serve.hangs", "role=%s pid=%d patience_ms=%lld", c->name, (int)c->pid,
		(long long)patience_of(c->serve));
	kill(c->pid, SIGKILL);
}

static void start_fiber(void *arg)
{
	struct child *c = arg;
	struct err err;
	if (c->state != CHILD_STARTING)
		return; /* stopped before it began */
	if (begin_life(c, &err) != 0) {
		give_up(c, "starting it", &err);
		child_ended(c);
		return;
	}
	unsigned life = c->life;
	const char *failed = introduce(c, life, &err);
	if (c->life != life || c->state != CHILD_STARTING)
		return; /* it has ended, or is being stopped */
	if (failed) {
		give_up(c, failed, &err);
		return;
	}
	c->state = CHILD_RUNNING;
	fiber_start("watch", watch_fiber, c);
	log_info("serve.running", "role=%s pid=%d restarts=%u missing=\"%s\"", c->name, (int)c->pid,
		c->restarts, c->missing);
	sockets_give(c->serve, c);
	if (c->conf_role == CONF_KEYS)
		try_with_new_keys(c->serve);
}

void child_start(struct child *c)
{
	if (c->serve->stopping)
		return;
	c->wanted = true;
	c->retiring = false; /* gets its sockets again with the others */
	if (c->state != CHILD_OFF)
		return;
	c->state = CHILD_STARTING;
	fiber_start(c->name, start_fiber, c);
}

static void back_fiber(void *arg)
{
	struct child *c = arg;
	unsigned life = c->life;
	fiber_sleep("for its back-off", c->back_off_ms);
	if (c->state == CHILD_WAITING && c->life == life) {
		c->restarts++;
		c->state = CHILD_STARTING;
		start_fiber(c);
	}
}

static void child_ended(struct child *c)
{
	ask_link_free(c->link);
	c->link = NULL;
	c->life++;
	c->pid = 0;
	c->greeted = c->retiring = false;
	c->acknowledged = 0;
	set_faults(c, STR(""));
	sockets_lost(c->serve, c);
	group_forget(c);
	if (!c->wanted || c->serve->stopping) {
		c->state = CHILD_OFF;
		return;
	}
	bool steady = clock_steady_ms() - c->started_steady_ms > STEADY_MS;
	c->back_off_ms = steady || !c->back_off_ms ? BACK_OFF_FIRST_MS : c->back_off_ms * 2;
	if (c->back_off_ms > BACK_OFF_LAST_MS)
		c->back_off_ms = BACK_OFF_LAST_MS;
	c->state = CHILD_WAITING;
	fiber_start(c->name, back_fiber, c);
}

/* As long as serve is not up its log is not what people look at. */
static void say_end(const struct child *c, const char *how, int status)
{
	struct serve *s = c->serve;
	struct err err;
	if (s->up || s->stopping || !c->wanted)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXEC_FAILED) {
		err_say(&err, "%s: %s/%s cannot be run", c->name, s->libexec, c->role);
		serve_fail(s, &err);
	} else {
		fprintf(stderr, "letterlock: %s ended while starting (%s) and is started again\n", c->name,
			how);
	}
}

/* Its walls ended it; its own last line names the system call (io/sandbox.c). */
static void say_forbidden(struct child *c, pid_t pid)
{
	log_error("serve.forbidden",
		"role=%s pid=%d why=\"ended by its walls for a system call it may not make, see "
		"role.forbidden: a fault of ours, or somebody took it over\"",
		c ? c->name : "import", (int)pid);
	if (!c)
		return;
	c->forbidden++;
	c->forbidden_ms = clock_wall_ms();
}

void children_reap(struct serve *s)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		char how[32];
		struct child *c = NULL;
		for (int i = 0; i < CHILDREN && !c; i++)
			if (s->children[i].pid == pid)
				c = &s->children[i];
		snprintf(how, sizeof how, "%s=%d", WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
			say_forbidden(c, pid);
		bool good = c ? !c->wanted || s->stopping : status == 0;
		log_write(good ? LOG_INFO : LOG_ERROR, __FILE__, __LINE__, "serve.child-ended",
			"role=%s pid=%d %s", c ? c->name : "import", (int)pid, how);
		if (c) {
			say_end(c, how, status);
			child_ended(c);
		}
	}
}

/* What relay still holds when it is stopped shall not count as what killed it. */
static void say_leaving(const struct child *c)
{
	struct child *store = child_find(c->serve, STR("store"));
	if (c->conf_role == CONF_RELAY && store->greeted)
		say_peer(store, ASK_LEAVING, "serve.leaving", c, -1);
}

static void stop_fiber(void *arg)
{
	struct child *c = arg;
	pid_t pid = c->pid;
	say_leaving(c);
	if (ask_link_alive(c->link))
		ask_tell(c->link, ASK_STOP, STR(""), NULL);
	for (int i = 0; i < STOP_MS / STOP_LOOK_MS && c->pid == pid && pid; i++)
		fiber_sleep("for the role to finish", STOP_LOOK_MS);
	if (c->pid == pid && pid) {
		log_warn("serve.kill", "role=%s pid=%d", c->name, (int)pid);
		kill(pid, SIGKILL);
	}
}

void child_stop(struct child *c)
{
	c->wanted = false;
	if (c->state == CHILD_WAITING || (c->state == CHILD_STARTING && !c->pid))
		c->state = CHILD_OFF;
	if (c->state == CHILD_OFF || c->state == CHILD_STOPPING)
		return;
	c->state = CHILD_STOPPING;
	fiber_start("stop", stop_fiber, c);
}

void child_retire(struct child *c)
{
	if (c->state != CHILD_RUNNING) {
		child_stop(c);
		return;
	}
	c->wanted = false;
	c->retiring = true;
	sockets_take(c->serve, c);
	if (c->retiring && ask_link_alive(c->link))
		ask_tell(c->link, ASK_RETIRE, STR(""), NULL);
}

/* serve's end of the link to an import worker, kept until that ends. */
struct worker {
	struct ask_link *link;
	bool starting, gone;
};

static void worker_free(struct worker *w)
{
	ask_link_free(w->link);
	free(w);
}

static void worker_gone(struct ask_link *link, void *arg)
{
	struct worker *w = arg;
	(void)link;
	w->gone = true;
	if (!w->starting)
		worker_free(w);
}

/* Hands the worker the far end of a link and returns the near end, or -1 with *err. */
static int introduce_worker(struct serve *s, struct worker *w, struct err *err)
{
	struct child worker = {
		.name = "import", .role = "import", .group = "", .serve = s, .link = w->link};
	struct child store = {.name = "store", .role = "store", .group = ""};
	int pair[2];
	if (say_start(&worker, err) != 0)
		return -1;
	if (ask_pair(pair) != 0)
		return err_temp(err, NULL, "no pair of sockets: %s", strerror(errno));
	say_link(&worker, &store, pair[1]);
	return pair[0];
}

int child_worker(struct serve *s, struct err *err)
{
	pid_t pid;
	int fd = spawn(s, "import", &pid, err);
	if (fd < 0)
		return -1;
	struct worker *w = mem_new(sizeof *w);
	w->starting = true;
	w->link = ask_link_new(fd, "import", NULL, worker_gone, w);
	int link = introduce_worker(s, w, err);
	w->starting = false;
	if (link < 0 && !w->gone)
		kill(pid, SIGKILL); /* its link is open, so the number is still its own */
	if (link < 0 || w->gone)
		worker_free(w);
	return link;
}
