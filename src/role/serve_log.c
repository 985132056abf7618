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

/* "20261121", UTC as all times in the log. */
static void today(char date[DATE])
{
	char text[CLOCK_TEXT];
	clock_rfc3339(clock_wall_ms(), text);
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
	today(date);
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

static void look(void *arg)
{
	struct serve *s = arg;
	char date[DATE];
	struct err err;
	today(date);
	if (strcmp(date, open_date) != 0) {
		if (logs_open(s, &err) != 0) {
			log_error("serve.log", "err=\"%s\"", err.log);
		} else {
			for (int i = 0; i < CHILDREN; i++)
				if (ask_link_alive(s->children[i].link))
					ask_tell(s->children[i].link, ASK_LOG, STR(""), (int[]){s->log_fd, -1});
			log_reopen(s->log_fd);
		}
	}
	logs_watch(s);
}

void logs_watch(struct serve *s)
{
	static struct loop_timer *timer;
	if (!timer)
		timer = loop_timer_new(look, s);
	loop_timer_start(timer, LOOK_MS);
}
