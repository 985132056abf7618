/* Log files: when a new one is begun, who is told, what is deleted. */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "ask/questions.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "role/serve_log.h"

#define DAY_MS ((int64_t)24 * 3600 * 1000)
#define TODAY_MS ((int64_t)1795302000 * 1000) /* 2026-11-21T23:40:00Z */

static char home[40];
static struct conf conf;
static struct serve serve;

static char *path(const char *name)
{
	static char text[200];
	snprintf(text, sizeof text, "%s/log/%s", home, name);
	return text;
}

static bool there(const char *name)
{
	return access(path(name), F_OK) == 0;
}

static void touch(const char *name)
{
	int fd = open(path(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

/* How many lines with `what` the file has. */
static int lines_with(const char *name, const char *what)
{
	char line[2000];
	int n = 0;
	FILE *f = fopen(path(name), "re");
	while (f && fgets(line, sizeof line, f))
		n += strstr(line, what) != NULL;
	if (f)
		fclose(f);
	return n;
}

static int set_up(void **state)
{
	struct err err;
	(void)state;
	snprintf(home, sizeof home, "/tmp/serve-log-XXXXXX");
	assert_non_null(mkdtemp(home));
	clock_set_wall_ms(TODAY_MS);
	conf = (struct conf){
		.log_keep_ms = 30 * (uint64_t)DAY_MS, .log_max_size = 64 * 1024, .log_max_files = 100};
	serve = (struct serve){.home = home, .conf = &conf};
	assert_int_equal(mkdir(path(""), 0700), 0);
	touch("letterlock.20261121.7");
	assert_int_equal(logs_open(&serve, &err), 0);
	log_open(serve.log_fd, LOG_INFO);
	return 0;
}

static int drop(const char *name, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(name);
}

static int tear_down(void **state)
{
	char away[60];
	(void)state;
	log_open(STDERR_FILENO, LOG_INFO);
	close(serve.log_fd);
	clock_set_wall_ms(-1);
	snprintf(away, sizeof away, "%s-away", home);
	nftw(away, drop, 8, FTW_DEPTH | FTW_PHYS);
	return nftw(home, drop, 8, FTW_DEPTH | FTW_PHYS);
}

static void fill(size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 100)
		log_info(
			"test.fill", "%s", "some words that are written again and again until it is enough");
}

/* ---- */

static void the_last_file_of_the_day_goes_on(void **state)
{
	(void)state;
	log_info("test.line", "n=%d", 1);
	assert_int_equal(lines_with("letterlock.20261121.7", "test.line n=1"), 1);
	logs_look(&serve);
	assert_false(there("letterlock.20261121.8"));
}

static void a_new_day_begins_a_file(void **state)
{
	(void)state;
	touch("letterlock.20261122.3");
	clock_set_wall_ms(TODAY_MS + DAY_MS / 2);
	logs_look(&serve);
	log_info("test.line", "n=%d", 2);
	assert_int_equal(lines_with("letterlock.20261122.3", "test.line n=2"), 1);
	assert_int_equal(lines_with("letterlock.20261122.3", "serve.log why=day "), 1);
	clock_set_wall_ms(TODAY_MS + DAY_MS + DAY_MS / 2);
	logs_look(&serve);
	assert_true(there("letterlock.20261123.0"));
}

static void a_full_file_is_followed_by_the_next(void **state)
{
	(void)state;
	fill(60 * 1024 - 16 * 1024);
	logs_look(&serve);
	assert_false(there("letterlock.20261121.8"));
	fill(64 * 1024);
	logs_look(&serve);
	logs_look(&serve);
	log_info("test.line", "n=%d", 3);
	assert_int_equal(lines_with("letterlock.20261121.8", "test.line n=3"), 1);
	assert_false(there("letterlock.20261121.9"));
	/* Without settings nothing is known of limits. */
	serve.conf = NULL;
	fill(70 * 1024);
	logs_look(&serve);
	assert_false(there("letterlock.20261121.9"));
}

static void what_was_moved_or_deleted_is_made_anew(void **state)
{
	(void)state;
	char away[200];
	touch("letterlock.20261121.6");
	snprintf(away, sizeof away, "%s", path("elsewhere"));
	assert_int_equal(rename(path("letterlock.20261121.7"), away), 0);
	log_info("test.line", "n=%d", 4);
	logs_look(&serve);
	log_info("test.line", "n=%d", 5);
	assert_int_equal(lines_with("elsewhere", "test.line"), 1);
	assert_int_equal(lines_with("letterlock.20261121.7", "test.line n=5"), 1);
	assert_int_equal(unlink(path("letterlock.20261121.7")), 0);
	logs_look(&serve);
	log_info("test.line", "n=%d", 6);
	assert_int_equal(lines_with("letterlock.20261121.7", "test.line n=6"), 1);
	/* The whole folder. */
	snprintf(away, sizeof away, "%s-away", home);
	assert_int_equal(rename(path(""), away), 0);
	logs_look(&serve);
	log_info("test.line", "n=%d", 7);
	assert_int_equal(lines_with("letterlock.20261121.7", "test.line n=7"), 1);
}

static void no_new_file_is_no_reason_to_stop(void **state)
{
	(void)state;
	char away[200];
	snprintf(away, sizeof away, "%s-away", home);
	assert_int_equal(rename(path(""), away), 0);
	int fd = open(home, O_RDONLY | O_DIRECTORY);
	close(openat(fd, "log", O_CREAT | O_WRONLY, 0600));
	for (int i = 0; i < 3; i++)
		logs_look(&serve);
	assert_non_null(strstr(serve.log_fault, "Not a directory"));
	unlinkat(fd, "log", 0);
	close(fd);
	assert_int_equal(rename(away, path("")), 0);
	logs_look(&serve);
	assert_string_equal(serve.log_fault, "");
	assert_int_equal(lines_with("letterlock.20261121.7", "serve.log err="), 1);
}

static void old_files_go(void **state)
{
	(void)state;
	conf.log_keep_ms = 2 * (uint64_t)DAY_MS;
	const char *const others[] = {"letterlock.20200101.gz", "letterlock.2020010.1",
		"letterlock.20200101.1.old", "xletterlock.20200101.1", "letterlock.20200101.9999999"};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		touch(others[i]);
	touch("letterlock.20261118.0");
	touch("letterlock.20261119.0");
	touch("letterlock.20261119.10");
	touch("letterlock.20261119.9");
	logs_look(&serve);
	assert_false(there("letterlock.20261118.0"));
	assert_true(there("letterlock.20261119.0"));
	conf.log_max_files = 2;
	logs_look(&serve);
	assert_false(there("letterlock.20261119.0"));
	assert_false(there("letterlock.20261119.9"));
	assert_true(there("letterlock.20261119.10"));
	assert_true(there("letterlock.20261121.7"));
	/* The one in use stays, whatever the clock says. */
	clock_set_wall_ms(TODAY_MS + 100 * DAY_MS);
	conf.log_keep_ms = (uint64_t)DAY_MS;
	assert_int_equal(unlink(path("letterlock.20261121.7")), 0);
	logs_look(&serve);
	assert_true(there("letterlock.20270301.0"));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_true(there(others[i]));
}

/* ---- roles ---- */

static int given;     /* what the role was handed last */
static bool refusing; /* it has trouble */

static void take_file(struct ask_question *q, void *arg)
{
	(void)arg;
	assert_int_equal(q->kind, ASK_LOG);
	if (refusing) {
		err_temp(&q->err, NULL, "not now");
		return;
	}
	if (given >= 0)
		close(given);
	given = q->fd[0];
	q->fd[0] = -1;
}

static void stop_soon(void *arg)
{
	(void)arg;
	loop_stop();
}

static void run_loop(void)
{
	struct loop_timer *t = loop_timer_new(stop_soon, NULL);
	loop_timer_start(t, 30);
	loop_run();
	loop_timer_free(t);
}

static void roles_are_handed_the_file_before_old_ones_go(void **state)
{
	(void)state;
	int pair[2];
	loop_init();
	ask_pair(pair);
	given = -1;
	struct child *c = &serve.children[0];
	c->name = "mx";
	c->life = 1;
	c->link = ask_link_new(pair[0], "mx", NULL, NULL, NULL);
	struct ask_link *role = ask_link_new(pair[1], "serve", take_file, NULL, NULL);
	touch("letterlock.20200101.0");
	refusing = true;
	logs_look(&serve);
	run_loop();
	logs_look(&serve);
	run_loop();
	assert_true(there("letterlock.20200101.0"));
	refusing = false;
	logs_look(&serve);
	run_loop();
	logs_look(&serve);
	assert_false(there("letterlock.20200101.0"));
	fill(64 * 1024);
	logs_look(&serve);
	run_loop();
	assert_true(given >= 0);
	assert_int_equal(write(given, "by the role\n", 12), 12);
	assert_int_equal(lines_with("letterlock.20261121.8", "by the role"), 1);
	/* The next process of this role. */
	close(given);
	given = -1;
	c->life = 2;
	logs_look(&serve);
	run_loop();
	assert_true(given >= 0);
	close(given);
	ask_link_free(c->link);
	ask_link_free(role);
	loop_done();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_last_file_of_the_day_goes_on),
		TEST(a_new_day_begins_a_file),
		TEST(a_full_file_is_followed_by_the_next),
		TEST(what_was_moved_or_deleted_is_made_anew),
		TEST(no_new_file_is_no_reason_to_stop),
		TEST(old_files_go),
		TEST(roles_are_handed_the_file_before_old_ones_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
