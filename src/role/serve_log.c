/* All roles append to one file, serve gives it to them and looks after it. A new one is begun when the
 * day (UTC) changes, when log.max_size is reached, and when somebody moved or deleted the one in use.
 * Each role is handed the new file and says when it has it (ASK_LOG); until then it writes into the
 * one before, which is there as long: nothing is deleted while a role lags behind. So no line is
 * lost. What cannot be done now is tried again at the next look. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ask/questions.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "role/serve_log.h"

enum {
	LOOK_MS = 5 * 1000, /* between looks at a file that hardly grows */
	LOOK_SOON_MS =
		1000, /* at one that may be full by the next look, or is still to be handed out */
	TELL_MS = 5 * 1000,
	FAULT_AGAIN_MS = 60 * 1000, /* between two lines about the same trouble */
	DATE = 9,
	COUNT_MAX = 999999,
};

/* letterlock.<date>.<count> */
struct log_file {
	char date[DATE]; /* "20261121", UTC as all times in the log */
	uint64_t count;
};

static struct {
	struct log_file file;
	unsigned number; /* rises with each file that is opened */
	int64_t size;    /* at the last look */
	int64_t looked_ms;
	int64_t fault_told_ms;
	bool telling;        /* the roles are being handed the file */
	bool old_ones_to_go; /* a sweep is due */
	uint64_t kept_ms, kept_files;
	struct loop_timer *timer;
} logs;

static void date_of(int64_t wall_ms, char date[DATE])
{
	char text[CLOCK_TEXT];
	clock_rfc3339(wall_ms, text);
	memcpy(date, text, 4);
	memcpy(date + 4, text + 5, 2);
	memcpy(date + 6, text + 8, 2);
	date[8] = 0;
}

/* False: the name is nobody of ours. */
static bool parse_name(const char *name, struct log_file *ret)
{
	struct str rest = str_from_c(name), prefix = STR("letterlock."), date;
	uint64_t number;
	if (!str_starts(rest, prefix))
		return false;
	rest = str_skip(rest, prefix.n);
	date = str_take(rest, DATE - 1);
	rest = str_skip(rest, DATE - 1);
	if (date.n != DATE - 1 || !str_to_u64(date, 99999999, &number) || !str_starts(rest, STR(".")) ||
		!str_to_u64(str_skip(rest, 1), COUNT_MAX, &ret->count))
		return false;
	str_to_c(date, ret->date, sizeof ret->date);
	return true;
}

static int older_first(const void *a, const void *b)
{
	const struct log_file *x = a, *y = b;
	int by_date = strcmp(x->date, y->date);
	return by_date ? by_date : x->count < y->count ? -1 : x->count > y->count;
}

/* All in the folder, the oldest first. */
static void list_files(const struct serve *s, struct arena *arena, struct vec *ret)
{
	struct log_file file;
	vec_init(ret, sizeof file);
	DIR *dir = opendir(arena_fmt(arena, "%s/log", s->home).p);
	for (struct dirent *e; dir && (e = readdir(dir));)
		if (parse_name(e->d_name, &file))
			vec_add(ret, &file);
	if (dir)
		closedir(dir);
	vec_sort(ret, older_first);
}

/* The count of this day's last file, and one more if that is `full`; 0 if there is none. */
static uint64_t count_for(const struct serve *s, const char *date, bool full, struct arena *arena)
{
	struct vec files;
	uint64_t count = 0;
	list_files(s, arena, &files);
	for (size_t i = 0; i < files.n; i++) {
		const struct log_file *f = vec_at(&files, i);
		if (strcmp(f->date, date) == 0)
			count = f->count + full;
	}
	vec_done(&files);
	return count <= COUNT_MAX ? count : COUNT_MAX;
}

static const char *path_of(const struct serve *s, const struct log_file *f, struct arena *arena)
{
	return arena_fmt(
		arena, "%s/log/letterlock.%s.%llu", s->home, f->date, (unsigned long long)f->count)
		.p;
}

/* The file to write to from now on: this day's last one, or behind it if that is `full`. A descriptor,
 * or -1 with *err and nothing changed. */
static int open_file(const struct serve *s, bool full, struct err *err)
{
	struct arena *arena = arena_new();
	struct log_file file;
	date_of(clock_wall_ms(), file.date);
	file.count = count_for(s, file.date, full, arena);
	if (strcmp(file.date, logs.file.date) == 0 && file.count < logs.file.count)
		file.count = logs.file.count; /* it was moved away */
	const char *path = path_of(s, &file, arena);
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	if (fd >= 0) {
		logs.file = file;
		logs.number++;
		logs.size = 0;
	} else {
		err_say(err, "cannot open the log file %s: %s", path, strerror(errno));
	}
	arena_free(arena);
	return fd;
}

int logs_open(struct serve *s, struct err *err)
{
	logs.file = (struct log_file){0};
	s->log_fd = open_file(s, false, err);
	return s->log_fd < 0 ? -1 : 0;
}

/* ---- the roles --------------------------------------------------------------------------------- */

static bool lacks_file(const struct child *c)
{
	return ask_link_alive(c->link) && (c->log_number != logs.number || c->log_life != c->life);
}

static bool some_lack_file(const struct serve *s)
{
	for (int i = 0; i < CHILDREN; i++)
		if (lacks_file(&s->children[i]))
			return true;
	return false;
}

/* A role that was started meanwhile got the right file with its start; once more does no harm. */
static void tell_fiber(void *arg)
{
	struct serve *s = arg;
	struct err err;
	for (int i = 0; i < CHILDREN; i++) {
		struct child *c = &s->children[i];
		unsigned number = logs.number, life = c->life;
		if (!lacks_file(c))
			continue;
		struct arena *arena = arena_new();
		if (ask_put(c->link, ASK_LOG, NULL, NULL, (int[]){s->log_fd, -1}, NULL, NULL, NULL, TELL_MS,
				arena, &err) == 0) {
			c->log_number = number;
			c->log_life = life;
		} else {
			log_warn("serve.log", "role=%s err=\"%s\"", c->name, err.log);
		}
		arena_free(arena);
	}
	logs.telling = false;
}

/* ---- old files --------------------------------------------------------------------------------- */

static void delete_file(const struct serve *s, const struct log_file *f, struct arena *arena)
{
	const char *path = path_of(s, f, arena), *name = strrchr(path, '/') + 1;
	if (unlink(path) == 0)
		log_info("serve.log-purge", "file=%s", name);
	else
		log_warn("serve.log-purge", "file=%s err=\"%s\"", name, strerror(errno));
}

/* Deletes the files of days that ended more than log.keep ago, and the oldest if there are more than
 * log.max_files. */
static void sweep(struct serve *s)
{
	struct arena *arena = arena_new();
	struct vec files;
	char oldest[DATE];
	logs.old_ones_to_go = false;
	logs.kept_ms = s->conf->log_keep_ms;
	logs.kept_files = s->conf->log_max_files;
	date_of(clock_wall_ms() - (int64_t)logs.kept_ms, oldest);
	list_files(s, arena, &files);
	for (size_t i = 0; i < files.n; i++) {
		const struct log_file *f = vec_at(&files, i);
		bool too_old = strcmp(f->date, oldest)<0, too_many = files.n - i> logs.kept_files;
		if ((too_old || too_many) && older_first(f, &logs.file) != 0)
			delete_file(s, f, arena);
	}
	vec_done(&files);
	arena_free(arena);
}

/* ---- looking ----------------------------------------------------------------------------------- */

/* The file of that name is no longer the one that is written to. */
static bool was_moved(const struct serve *s, const struct stat *open_one)
{
	struct stat st;
	struct arena *arena = arena_new();
	bool there = lstat(path_of(s, &logs.file, arena), &st) == 0;
	arena_free(arena);
	return !there || st.st_ino != open_one->st_ino || st.st_dev != open_one->st_dev;
}

/* Why a new file is to be begun; NULL: it is not. */
static const char *reason_to_turn(const struct serve *s, const struct stat *st, bool *ret_full)
{
	char today[DATE];
	date_of(clock_wall_ms(), today);
	*ret_full = s->conf && (uint64_t)st->st_size >= s->conf->log_max_size;
	if (strcmp(today, logs.file.date) != 0) {
		*ret_full = false;
		return "day";
	}
	if (was_moved(s, st)) {
		*ret_full = false;
		return "moved";
	}
	return *ret_full && logs.file.count < COUNT_MAX ? "size" : NULL;
}

/* Goes over to a new file. Where that cannot be had, the old one goes on. */
static void turn(struct serve *s, const char *why, bool full)
{
	struct err err;
	struct log_file before = logs.file;
	int64_t now = clock_steady_ms();
	struct arena *arena = arena_new();
	mkdir(arena_fmt(arena, "%s/log", s->home).p, 0700); /* it may have been cleared away whole */
	arena_free(arena);
	int fd = open_file(s, full, &err);
	if (fd < 0) {
		str_to_c(str_from_c(err.log), s->log_fault, sizeof s->log_fault);
		if (!logs.fault_told_ms || now - logs.fault_told_ms >= FAULT_AGAIN_MS)
			log_error("serve.log", "err=\"%s\"", err.log);
		logs.fault_told_ms = now;
		return;
	}
	log_reopen(fd); /* its number stays s->log_fd */
	s->log_fault[0] = 0;
	logs.fault_told_ms = 0;
	logs.old_ones_to_go = true;
	log_info("serve.log", "why=%s before=letterlock.%s.%llu", why, before.date,
		(unsigned long long)before.count);
}

/* When to look again: before the file can be full, as it grows now. */
static int64_t next_look_ms(const struct serve *s, int64_t size)
{
	int64_t now = clock_steady_ms(), passed = now - logs.looked_ms, grown = size - logs.size;
	int64_t left = s->conf ? (int64_t)s->conf->log_max_size - size : 0;
	logs.size = size;
	logs.looked_ms = now;
	bool soon = some_lack_file(s) || left <= 0 || grown * LOOK_MS > left * passed;
	return soon ? LOOK_SOON_MS : LOOK_MS;
}

void logs_look(struct serve *s)
{
	struct stat st;
	bool full;
	if (fstat(s->log_fd, &st) == 0) {
		const char *why = reason_to_turn(s, &st, &full);
		if (why)
			turn(s, why, full);
		else
			s->log_fault[0] = 0;
	}
	if (!logs.telling && some_lack_file(s)) {
		logs.telling = true;
		fiber_start("log", tell_fiber, s);
	}
	if (s->conf &&
		(s->conf->log_keep_ms != logs.kept_ms || s->conf->log_max_files != logs.kept_files))
		logs.old_ones_to_go = true;
	if (s->conf && logs.old_ones_to_go && !some_lack_file(s))
		sweep(s);
}

static void look(void *arg)
{
	struct serve *s = arg;
	struct stat st;
	logs_look(s);
	loop_timer_start(logs.timer, next_look_ms(s, fstat(s->log_fd, &st) == 0 ? st.st_size : 0));
}

void logs_watch(struct serve *s)
{
	logs.timer = loop_timer_new(look, s);
	logs.looked_ms = clock_steady_ms();
	loop_timer_start(logs.timer, LOOK_MS);
}
