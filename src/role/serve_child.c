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

enum {
	TELL_MS = 30 * 1000,
	BACK_OFF_FIRST_MS = 100,
	BACK_OFF_LAST_MS = 30 * 1000,
	STEADY_MS = 60 * 1000, /* after this time of life the back-off begins anew */
	OUTSIDE_FILE_MAX = 8 * 1024 * 1024,
	CHILD_LINK_FD = 3,
	STOP_MS = 10 * 1000, /* then it is killed */
	STOP_LOOK_MS = 20,
};

/* Who talks to whom; the one who asks stands first. */
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

/* The role's own user if this is root and there is one, else the owner of the folder it works in. */
static void user_of(
	struct serve *s, const char *role, struct arena *arena, uint32_t *ret_uid, uint32_t *ret_gid)
{
	bool keys = !strcmp(role, "keys"), store = !strcmp(role, "store");
	struct passwd *own = geteuid() == 0 && !keys && !store
		? getpwnam(arena_fmt(arena, "letterlock-%s", role).p)
		: NULL;
	struct stat st = {0};
	if (own) {
		*ret_uid = own->pw_uid;
		*ret_gid = own->pw_gid;
	} else if (stat(arena_fmt(arena, "%s%s", s->home, keys ? "/keys" : "").p, &st) == 0) {
		*ret_uid = st.st_uid;
		*ret_gid = st.st_gid;
	}
}

/* fork and exec; returns our end of its link, or -1. */
static int spawn(struct serve *s, const char *role, pid_t *ret_pid)
{
	struct arena *arena = arena_new();
	const char *program = arena_fmt(arena, "%s/%s", s->libexec, role).p;
	int pair[2];
	ask_pair(pair);
	pid_t pid = fork();
	if (pid == 0) {
		if (pair[1] == CHILD_LINK_FD)
			fcntl(CHILD_LINK_FD, F_SETFD, 0);
		else
			dup2(pair[1], CHILD_LINK_FD);
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	arena_free(arena);
	close(pair[1]);
	if (pid < 0) {
		log_error("serve.fork", "role=%s err=\"%s\"", role, strerror(errno));
		close(pair[0]);
		return -1;
	}
	*ret_pid = pid;
	return pair[0];
}

static int say_start(struct serve *s, const char *role, const char *group, bool gets_home,
	struct ask_link *link, char *missing, size_t missing_size, struct err *err)
{
	struct arena *arena = arena_new();
	struct ask_start start = {
		.role = str_from_c(role),
		.group = str_from_c(group),
		.home = gets_home ? str_from_c(s->home) : STR(""),
		.walls = s->walls,
		.log_level = s->conf ? (uint8_t)s->conf->log_level : LOG_INFO,
	};
	user_of(s, role, arena, &start.uid, &start.gid);
	struct ask_start_answer answer;
	int status = ask_put(link, ASK_START, xfer_ask_start, &start, (int[]){s->log_fd, -1},
		xfer_ask_start_answer, &answer, NULL, TELL_MS, arena, err);
	if (status == 0)
		str_to_c(answer.missing, missing, missing_size);
	arena_free(arena);
	return status;
}

/* ---- what a role is given ---- */

static void say_link(struct child *to, const struct child *peer, int fd)
{
	struct arena *arena = arena_new();
	struct ask_link_peer q = {.role = str_from_c(peer->role), .group = str_from_c(peer->group)};
	struct err err;
	if (ask_put(to->link, ASK_LINK, xfer_ask_link_peer, &q, (int[]){fd, -1}, NULL, NULL, NULL,
			TELL_MS, arena, &err) != 0)
		log_warn("serve.link", "role=%s peer=%s err=\"%s\"", to->name, peer->name, err.log);
	close(fd);
	arena_free(arena);
}

/* A pair to each neighbour that can take its end. The neighbour first: when the new one speaks, it
 * is heard. */
static void give_links(struct child *c)
{
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		bool first = !strcmp(pairs[i].asks, c->name);
		if (!first && strcmp(pairs[i].answers, c->name) != 0)
			continue;
		struct child *peer =
			child_find(c->serve, str_from_c(first ? pairs[i].answers : pairs[i].asks));
		if (!peer->greeted)
			continue; /* it makes the pair itself once its walls stand */
		int pair[2];
		ask_pair(pair);
		say_link(peer, c, pair[0]);
		say_link(c, peer, pair[1]);
	}
}

/* A file from outside the home, as relay gets it. Its absence is told, not hidden; no path is an
 * empty file, so that what was read before is forgotten. */
static void give_file(struct child *c, const char *setting, struct str path)
{
	struct arena *arena = arena_new();
	struct ask_file file = {.setting = str_from_c(setting), .path = path};
	struct stat st;
	struct err err;
	char *p = NULL;
	int memory = -1;
	int fd = path.n ? open(arena_dup_c(arena, path), O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
	if (path.n == 0) {
		memory = body_from_str(STR(""), setting, &err);
	} else if (fd < 0 || fstat(fd, &st) != 0) {
		file.error = arena_fmt(arena, "%s", strerror(errno));
	} else if (!S_ISREG(st.st_mode) || st.st_size > OUTSIDE_FILE_MAX) {
		file.error = STR("no regular file, or larger than 8 MB");
	} else {
		p = mem_new((size_t)st.st_size);
		ssize_t n = read(fd, p, (size_t)st.st_size);
		file.changed_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
		memory = body_from_str(str_make(p, n < 0 ? 0 : (size_t)n), setting, &err);
	}
	if (file.error.n)
		log_warn("serve.file", "setting=%s path=%.*s err=\"%.*s\"", setting, STR_ARG(path),
			STR_ARG(file.error));
	if (ask_put(c->link, ASK_FILE, xfer_ask_file, &file, (int[]){memory, -1}, NULL, NULL, NULL,
			TELL_MS, arena, &err) != 0)
		log_warn("serve.file", "role=%s setting=%s err=\"%s\"", c->name, setting, err.log);
	if (memory >= 0)
		close(memory);
	if (fd >= 0)
		close(fd);
	free(p);
	arena_free(arena);
}

int child_apply(struct child *c, struct err *err)
{
	if (c->conf_fd < 0 || !ask_link_alive(c->link))
		return err_say(err, "not running");
	if (c->conf_role == CONF_RELAY && c->serve->conf) {
		give_file(c, "trust.store", c->serve->conf->trust_store);
		give_file(c, "dns.trust_anchor", c->serve->conf->dns_trust_anchor);
	}
	uint64_t revision = c->revision;
	struct arena *arena = arena_new();
	int status = ask_put(c->link, ASK_CONF, NULL, NULL, (int[]){c->conf_fd, -1}, NULL, NULL, NULL,
		TELL_MS, arena, err);
	arena_free(arena);
	if (status == 0)
		c->acknowledged = revision;
	return status;
}

/* ---- life ---- */

static void child_ended(struct child *c);

/* A child that lives but does not do as told: end it; SIGCHLD then brings it back. */
static void give_up(struct child *c, const char *doing, const struct err *err)
{
	log_error("serve.start", "role=%s doing=\"%s\" err=\"%s\"", c->name, doing, err->log);
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
}

/* Settings may change while a role is being told of the ones before. */
static int apply_newest(struct child *c, struct err *err)
{
	uint64_t told;
	do {
		told = c->revision;
		if (child_apply(c, err) != 0)
			return -1;
	} while (told != c->revision);
	return 0;
}

static void start_fiber(void *arg)
{
	struct child *c = arg;
	struct serve *s = c->serve;
	struct err err = {.log = "cannot fork"};
	int fd = spawn(s, c->role, &c->pid);
	if (fd < 0) {
		child_ended(c);
		return;
	}
	c->started_ms = clock_wall_ms();
	c->started_steady_ms = clock_steady_ms();
	c->link = ask_link_new(fd, c->name, c->asks, NULL, s);
	if (say_start(s, c->role, c->group, c->gets_home, c->link, c->missing, sizeof c->missing,
			&err) != 0) {
		give_up(c, "putting up its walls", &err);
		return;
	}
	/* Settings first: who has a link is given work. */
	if (!c->at_once && apply_newest(c, &err) != 0) {
		give_up(c, "taking its settings", &err);
		return;
	}
	c->greeted = true;
	give_links(c);
	if (c->state != CHILD_STARTING)
		return; /* stopped meanwhile */
	c->state = CHILD_RUNNING;
	log_info("serve.running", "role=%s pid=%d restarts=%u missing=\"%s\"", c->name, (int)c->pid,
		c->restarts, c->missing);
	sockets_give(s, c);
}

void child_start(struct child *c)
{
	c->wanted = true;
	if (c->state != CHILD_OFF)
		return;
	c->state = CHILD_STARTING;
	fiber_start(c->name, start_fiber, c);
}

static void back_fiber(void *arg)
{
	struct child *c = arg;
	fiber_sleep("for its back-off", c->back_off_ms);
	if (c->state == CHILD_WAITING) {
		c->restarts++;
		c->state = CHILD_STARTING;
		start_fiber(c);
	}
}

static void child_ended(struct child *c)
{
	ask_link_free(c->link);
	c->link = NULL;
	c->pid = 0;
	c->greeted = false;
	c->acknowledged = 0;
	sockets_lost(c->serve, c);
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

void children_reap(struct serve *s)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *c = NULL;
		for (int i = 0; i < CHILDREN && !c; i++)
			if (s->children[i].pid == pid)
				c = &s->children[i];
		bool asked = !c || !c->wanted || s->stopping;
		log_write(asked ? LOG_INFO : LOG_ERROR, __FILE__, __LINE__, "serve.child-ended",
			"role=%s pid=%d %s=%d", c ? c->name : "import", (int)pid,
			WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		if (c)
			child_ended(c);
	}
}

static void stop_fiber(void *arg)
{
	struct child *c = arg;
	pid_t pid = c->pid;
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

static void worker_gone(struct ask_link *link, void *arg)
{
	(void)arg;
	ask_link_free(link);
}

int child_worker(struct serve *s, struct err *err)
{
	pid_t pid;
	int pair[2];
	int fd = spawn(s, "import", &pid);
	if (fd < 0)
		return err_temp(err, NULL, "cannot start the import role: %s", strerror(errno));
	struct ask_link *link = ask_link_new(fd, "import", NULL, worker_gone, s);
	struct child worker = {.name = "import", .role = "import", .group = "", .link = link};
	struct child store = {.role = "store", .group = ""};
	char missing[128];
	if (say_start(s, "import", "", false, link, missing, sizeof missing, err) != 0) {
		ask_link_free(link);
		return -1;
	}
	ask_pair(pair);
	say_link(&worker, &store, pair[1]);
	return pair[0];
}
