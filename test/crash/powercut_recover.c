/* powercut_recover: the real start-up on each disk image, then a look at everything there is.
 *
 *   powercut_recover HOME...
 *
 * For each home: "home PATH", then "message ID SIZE open|finished" for each whole message, "bad TEXT"
 * for whatever must not be, "end". */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/settings.h"
#include "powercut_body.h"
#include "store/store_parts.h"

static void bad(const char *what, uint64_t id)
{
	char text[ID_TEXT];
	printf("bad %s (message %s)\n", what, id ? id_format(id, text) : "none");
}

static bool is_body(uint64_t id, const char *bytes, size_t n)
{
	char *expected = mem_new(n + 1);
	powercut_body(id, expected, n);
	bool same = memcmp(bytes, expected, n) == 0;
	free(expected);
	return same;
}

static void check_file(struct store *s, uint64_t id, size_t size)
{
	struct stat st;
	int fd;
	if (spool_read(s->spool, id, &fd, NULL)) {
		bad("the file of a body is missing", id);
		return;
	}
	char *bytes = mem_new(size + 1);
	if (fstat(fd, &st) || (size_t)st.st_size != size ||
		pread(fd, bytes, size, 0) != (ssize_t)size || !is_body(id, bytes, size))
		bad("the file of a body is not whole", id);
	free(bytes);
	close(fd);
}

static void check_row(struct store *s, uint64_t id, size_t size)
{
	struct err err = {0};
	struct db_query *q = db_query(s->reader, "SELECT data FROM body WHERE id = $1");
	db_bind_int(q, 1, (int64_t)id);
	if (db_step(q, &err) <= 0) {
		bad("the row of a body is missing", id);
		return;
	}
	struct str data = db_str(q, 0);
	if (data.n != size || !is_body(id, data.p, data.n))
		bad("the row of a body is not whole", id);
	db_end(q);
}

static void check_messages(struct store *s)
{
	struct err err = {0};
	int step;
	struct db_query *q = db_query(s->reader,
		"SELECT id, size, body_kind, open, recipients, finished_ms IS NOT NULL,"
		" (SELECT count(*) FROM recipient WHERE message = message.id),"
		" (SELECT count(*) FROM recipient WHERE message = message.id AND state < 4)"
		" FROM message");
	while ((step = db_step(q, &err)) > 0) {
		uint64_t id = (uint64_t)db_int(q, 0);
		size_t size = (size_t)db_int(q, 1);
		bool finished = db_int(q, 5) != 0;
		if (db_int(q, 4) != db_int(q, 6) || db_int(q, 3) != db_int(q, 7))
			bad("recipients are missing", id);
		if (finished != (db_int(q, 3) == 0) || finished != (db_int(q, 2) == BODY_GONE))
			bad("neither open nor finished", id);
		if (db_int(q, 2) == BODY_FILE)
			check_file(s, id, size);
		else if (db_int(q, 2) == BODY_ROW)
			check_row(s, id, size);
		char text[ID_TEXT];
		printf("message %s %zu %s\n", id_format(id, text), size, finished ? "finished" : "open");
	}
	if (step < 0)
		printf("bad %s\n", err.log);
}

static int64_t number(struct store *s, const char *sql)
{
	struct err err = {0};
	int64_t n = -1;
	if (db_number(s->reader, sql, &n, &err))
		printf("bad %s\n", err.log);
	return n;
}

/* Nothing may be left that no message speaks of. */
static void check_leftovers(struct store *s)
{
	struct err err = {0};
	struct queue_counts c;
	if (number(s, "SELECT count(*) FROM body WHERE id NOT IN (SELECT id FROM message)") != 0)
		bad("a body without a message", 0);
	if (number(s, "SELECT count(*) FROM recipient WHERE message NOT IN (SELECT id FROM message)"))
		bad("recipients without a message", 0);
	queue_count(s->queue, &c);
	if ((int64_t)c.messages != number(s, "SELECT count(*) FROM message WHERE open > 0"))
		bad("the queue knows other messages than the table", 0);
	struct db_query *q = db_query(s->reader, "PRAGMA integrity_check");
	if (db_step(q, &err) <= 0 || !str_eq(db_str(q, 0), STR("ok")))
		bad("integrity_check", 0);
	db_end(q);
}

static uint64_t count_files(const char *folder)
{
	uint64_t n = 0;
	DIR *d = opendir(folder);
	struct dirent *entry;
	while (d && (entry = readdir(d))) {
		char path[4096];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		n += entry->d_type == DT_DIR ? count_files(path) : 1;
	}
	if (d)
		closedir(d);
	return n;
}

static void recover(const char *home, struct site *site)
{
	struct err err = {0};
	char spool[4096];
	printf("home %s\n", home);
	struct store *s = store_open(home, site, &err);
	if (!s) {
		printf("bad start-up: %s\nend\n", err.log);
		return;
	}
	check_messages(s);
	check_leftovers(s);
	snprintf(spool, sizeof spool, "%s/spool", home);
	if ((int64_t)count_files(spool) !=
		number(s, "SELECT count(*) FROM message WHERE body_kind = 1"))
		bad("files without a message", 0);
	store_close(s);
	printf("end\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct site site = {.holders = 1, .conf = conf_new()};
	log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_ERROR);
	for (int i = 1; i < argc; i++)
		recover(argv[i], &site);
	conf_drop(site.conf);
	return 0;
}
