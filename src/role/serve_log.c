/* serve_log: see serve.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ask/questions.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/loop.h"
#include "role/serve.h"

enum { LOOK_MS = 10 * 1000, DATE = 9 };

static char open_date[DATE];
static uint64_t purged_keep_ms; /* log.keep when the folder was last swept; 0: to be swept */

/* "20261121", UTC as all times in the log. */
static void date_of(int64_t wall_ms, char date[DATE])
{
	char text[CLOCK_TEXT];
	clock_rfc3339(wall_ms, text);
	memcpy(date, text, 4);
	memcpy(date + 4, text + 5, 2);
	memcpy(date + 6, text + 8, 2);
	date[8] = 0;
}

/* The highest count of this date's files, 0 if there is none yet. */
static uint64_t last_count(const char *folder, const char *date)
{
	uint64_t last = 0;
	struct arena *arena = arena_new();
	struct str prefix = arena_fmt(arena, "letterlock.%s.", date);
	DIR *dir = opendir(folder);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		uint64_t count;
		struct str name = str_from_c(e->d_name);
		if (str_starts(name, prefix) && str_to_u64(str_skip(name, prefix.n), 999999, &count) &&
			count > last)
			last = count;
	}
	if (dir)
		closedir(dir);
	arena_free(arena);
	return last;
}

int logs_open(struct serve *s, struct err *err)
{
	struct arena *arena = arena_new();
	char date[DATE];
	date_of(clock_wall_ms(), date);
	struct str folder = arena_fmt(arena, "%s/log", s->home);
	struct str path = arena_fmt(arena, "%s/letterlock.%s.%llu", folder.p, date,
		(unsigned long long)last_count(folder.p, date));
	int fd = open(path.p, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0)
		err_say(err, "cannot open the log file %s: %s", path.p, strerror(errno));
	arena_free(arena);
	if (fd < 0)
		return -1;
	s->log_fd = fd;
	memcpy(open_date, date, DATE);
	return 0;
}

/* letterlock.<date>.<count>, nothing else in the folder is ours. */
static bool is_log(struct str name, struct str *ret_date)
{
	struct str prefix = STR("letterlock.");
	uint64_t n;
	*ret_date = str_take(str_skip(name, prefix.n), DATE - 1);
	struct str rest = str_skip(name, prefix.n + DATE - 1);
	return str_starts(name, prefix) && str_to_u64(*ret_date, 99999999, &n) &&
		str_starts(rest, STR(".")) && str_to_u64(str_skip(rest, 1), 999999, &n);
}

/* Deletes the files of days that ended more than log.keep ago. */
static void purge(struct serve *s)
{
	struct arena *arena = arena_new();
	char oldest[DATE];
	date_of(clock_wall_ms() - (int64_t)s->conf->log_keep_ms, oldest);
	DIR *dir = opendir(arena_fmt(arena, "%s/log", s->home).p);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		struct str date;
		if (!is_log(str_from_c(e->d_name), &date) || str_cmp(date, str_from_c(oldest)) >= 0 ||
			str_eq(date, str_from_c(open_date)))
			continue;
		if (unlinkat(dirfd(dir), e->d_name, 0) == 0)
			log_info("serve.log-purge", "file=%s", e->d_name);
		else
			log_warn("serve.log-purge", "file=%s err=\"%s\"", e->d_name, strerror(errno));
	}
	if (dir)
		closedir(dir);
	arena_free(arena);
	purged_keep_ms = s->conf->log_keep_ms;
}

static void look(void *arg)
{
	struct serve *s = arg;
	char date[DATE];
	struct err err;
	date_of(clock_wall_ms(), date);
	if (strcmp(date, open_date) != 0) {
		if (logs_open(s, &err) != 0) {
			log_error("serve.log", "err=\"%s\"", err.log);
		} else {
			for (int i = 0; i < CHILDREN; i++)
				if (ask_link_alive(s->children[i].link))
					ask_tell(s->children[i].link, ASK_LOG, STR(""), (int[]){s->log_fd, -1});
			log_reopen(s->log_fd);
			purged_keep_ms = 0;
		}
	}
	if (s->conf && s->conf->log_keep_ms != purged_keep_ms)
		purge(s);
	logs_watch(s);
}

void logs_watch(struct serve *s)
{
	static struct loop_timer *timer;
	if (!timer)
		timer = loop_timer_new(look, s);
	loop_timer_start(timer, LOOK_MS);
}
