#include "base/log.h"

#include "base/log_thin.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char line[4096];

/* What was written, from the event on, without the place in the source. */
static const char *written(int fd)
{
	ssize_t n = pread(fd, line, sizeof line - 1, 0);
	assert_true(n > 0);
	line[n] = 0;
	assert_int_equal(line[n - 1], '\n');
	assert_int_equal(strcspn(line, "\n"), n - 1);
	char *place = strrchr(line, '(');
	assert_non_null(place);
	assert_non_null(strstr(place, "log_test.c:"));
	place[-1] = 0;
	return strstr(line, "test.event");
}

/* One line into a file of its own. A macro, because log_info() is one. */
#define LOGGED(...)                                 \
	({                                              \
		int fd_ = memfd_create("log", MFD_CLOEXEC); \
		log_open(fd_, LOG_INFO);                    \
		log_info("test.event", __VA_ARGS__);        \
		log_open(STDERR_FILENO, LOG_INFO);          \
		const char *written_ = written(fd_);        \
		close(fd_);                                 \
		written_;                                   \
	})

static void values_of_every_kind(void **state)
{
	(void)state;
	struct str none = str_skip(STR("x"), 9);
	struct str cut = {"abcdef", 3};
	assert_string_equal(LOGGED("plain 100%%"), "test.event plain 100%");
	assert_string_equal(LOGGED("a=%s b=%.*s c=\"%.2s\" d=%s", "x", STR_ARG(cut), "yyy", ""),
		"test.event a=x b=abc c=\"yy\" d=");
	assert_string_equal(LOGGED("a=%.*s.", STR_ARG(none)), "test.event a=.");
	assert_string_equal(LOGGED("a=%d b=%u c=%zu", -7, 4294967295u, (size_t)1 << 40),
		"test.event a=-7 b=4294967295 c=1099511627776");
	assert_string_equal(LOGGED("a=%lld b=%llu c=%lu d=%ld", INT64_MIN + 0ll,
							(unsigned long long)UINT64_MAX, 5ul, -5l),
		"test.event a=-9223372036854775808 b=18446744073709551615 c=5 d=-5");
}

static void no_value_forges_another(void **state)
{
	(void)state;
	assert_string_equal(LOGGED("reply=\"%s\" code=%d", "no\" tls=\"verified", 550),
		"test.event reply=\"no' tls='verified\" code=550");
	struct str lines = STR("a\r\nb\t\x7f\1c");
	assert_string_equal(LOGGED("x=%.*s", STR_ARG(lines)), "test.event x=a??b???c");
}

static void long_lines_are_cut(void **state)
{
	(void)state;
	char large[3000];
	memset(large, 'x', sizeof large);
	large[sizeof large - 1] = 0;
	const char *cut = LOGGED("a=%s b=%s n=%d", large, large, 7);
	assert_in_range(strlen(cut), 1000, 1600);
}

/* Twenty thousand lines in ten seconds: the first ones, then two a second, and how many went. */
static void a_flood_is_thinned(void **state)
{
	(void)state;
	struct log_thin thin = {0};
	int written_lines = 0;
	log_open(-1, LOG_ERROR);
	for (int i = 0; i < 20000; i++)
		written_lines += log_thin_may(&thin, "test.event", i / 2);
	assert_int_equal(written_lines, LOG_THIN_BURST + 9999 / LOG_THIN_EVERY_MS);
	/* The next one tells what was held back since the last. */
	uint64_t held = thin.held;
	assert_true(held > 0);
	int fd = memfd_create("log", MFD_CLOEXEC);
	char told[200] = "";
	log_open(fd, LOG_INFO);
	assert_true(log_thin_may(&thin, "test.event", 11 * 1000));
	log_open(STDERR_FILENO, LOG_INFO);
	assert_true(pread(fd, told, sizeof told - 1, 0) > 0);
	close(fd);
	char *lines = strstr(told, "log.thinned event=test.event lines=");
	assert_non_null(lines);
	assert_int_equal(strtoull(strrchr(lines, '=') + 1, NULL, 10), held);
	assert_int_equal(thin.held, 0);
	/* After quiet times a burst is welcome again. */
	for (int i = 0; i < LOG_THIN_BURST; i++)
		assert_true(log_thin_may(&thin, "test.event", 3600 * 1000));
	assert_false(log_thin_may(&thin, "test.event", 3600 * 1000));
}

/* ---- files change ---- */

enum { WRITERS = 4, LINES = 10000, FILES = 8 };

static atomic_int writing;

static void *write_lines(void *arg)
{
	struct log_context context = {0};
	snprintf(context.fiber, sizeof context.fiber, "w%d", *(int *)arg);
	log_set_context(&context);
	for (int i = 0; i < LINES; i++)
		log_info("test.number", "n=%d", i);
	writing--;
	return NULL;
}

/* Two threads write while a third changes the file under them without a pause. Runs in a process of
 * its own beside another of its kind that writes to the same files. */
static _Noreturn void write_while_files_change(const int files[FILES], int first)
{
	pthread_t threads[2];
	int names[2] = {first, first + 1};
	log_open(dup(files[0]), LOG_INFO);
	writing = 2;
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, write_lines, &names[i]);
	for (int i = 0; writing; i++)
		log_reopen(dup(files[i % FILES]));
	_exit(0);
}

/* line = … "[" pid ":w" writer "] I test.number n=" number " (log_test.c:" … ")" LF */
static bool parse_line(const char *text, uint64_t *ret_writer, uint64_t *ret_number)
{
	struct str rest = str_from_c(text), at, value;
	const char *w = strstr(text, ":w"), *n = strstr(text, "] I test.number n=");
	if (!w || !n || n < w || !str_ends_nocase(rest, STR(")\n")))
		return false;
	at = str_make(w + 2, (size_t)(n - w - 2));
	rest = str_from_c(n + sizeof "] I test.number n=" - 1);
	str_split(&rest, ' ', &value);
	return str_to_u64(at, WRITERS - 1, ret_writer) && str_to_u64(value, LINES - 1, ret_number) &&
		str_starts(rest, STR("(log_test.c:")) && str_find(rest, ' ') < 0;
}

/* Marks what the file holds; each line must be whole. */
static void count_lines(int fd, bool seen[WRITERS][LINES])
{
	char text[300];
	FILE *f = fdopen(fd, "r");
	assert_non_null(f);
	rewind(f);
	while (fgets(text, sizeof text, f)) {
		uint64_t writer, n;
		assert_true(parse_line(text, &writer, &n));
		assert_false(seen[writer][n]);
		seen[writer][n] = true;
	}
	fclose(f);
}

static void no_line_is_lost_when_files_change(void **state)
{
	static bool seen[WRITERS][LINES];
	int files[FILES];
	(void)state;
	for (int i = 0; i < FILES; i++)
		files[i] = open("/tmp", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	for (int i = 0; i < 2; i++)
		if (fork() == 0)
			write_while_files_change(files, 2 * i);
	for (int i = 0, status; i < 2; i++) {
		wait(&status);
		assert_int_equal(status, 0);
	}
	for (int i = 0; i < FILES; i++)
		count_lines(files[i], seen);
	for (int i = 0; i < WRITERS; i++)
		for (int k = 0; k < LINES; k++)
			assert_true(seen[i][k]);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes;
	setrlimit(RLIMIT_FSIZE, &limit);
}

static bool has(struct str s, const char *what)
{
	return memmem(s.p, s.n, what, strlen(what)) != NULL;
}

/* A full disk cuts a line in two and takes the next ones. */
static void what_found_no_room_is_counted(void **state)
{
	(void)state;
	char text[4096] = "";
	FILE *file = tmpfile();
	int fd = dup(fileno(file));
	uint64_t before = log_lost();
	signal(SIGXFSZ, SIG_IGN);
	fcntl(fd, F_SETFL, O_APPEND);
	log_open(fd, LOG_INFO);
	log_info("test.event", "n=%d", 1);
	limit_files((rlim_t)lseek(fd, 0, SEEK_END) + 30);
	for (int i = 2; i < 5; i++)
		log_info("test.event", "n=%d", i);
	assert_int_equal(log_lost() - before, 3);
	limit_files(RLIM_INFINITY);
	log_info("test.event", "n=%d", 5);
	log_info("test.event", "n=%d", 6);
	log_open(STDERR_FILENO, LOG_INFO);
	assert_true(pread(fd, text, sizeof text - 1, 0) > 0);
	close(fd);
	fclose(file);

	struct str rest = str_from_c(text), lines[8];
	size_t n = 0;
	while (n < 8 && str_split(&rest, '\n', &lines[n]))
		n++;
	assert_int_equal(n, 6); /* the last one is what follows the last line end */
	assert_true(has(lines[0], "test.event n=1 "));
	assert_int_equal(lines[1].n, 30); /* cut, but nothing follows it in its line */
	assert_true(has(lines[2], " E log.lost lines=3 (log.c:"));
	assert_true(has(lines[3], "test.event n=5 "));
	assert_true(has(lines[4], "test.event n=6 "));
}

static atomic_uint interruptions;

static void log_amid(int signo)
{
	(void)signo;
	interruptions++;
	log_info("test.amid", "and=%s", "no more");
}

/* The line that a signal handler writes, and the one that it interrupts, are both whole. */
static void a_signal_handler_may_log(void **state)
{
	(void)state;
	enum { ENOUGH = 200 };
	const struct itimerval often = {.it_interval.tv_usec = 100, .it_value.tv_usec = 100};
	const struct itimerval never = {0};
	unsigned lines = 0, seen = 0;
	int fd = memfd_create("log", MFD_CLOEXEC);
	FILE *all = fdopen(fd, "r");
	log_open(fd, LOG_INFO);
	signal(SIGALRM, log_amid);
	setitimer(ITIMER_REAL, &often, NULL);
	for (; interruptions < ENOUGH && lines < 1000 * 1000; lines++)
		log_info("test.event", "line=%u of=%s", lines, "many");
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_DFL);
	log_open(STDERR_FILENO, LOG_INFO);
	assert_true(interruptions >= ENOUGH);
	rewind(all);
	while (fgets(line, sizeof line, all)) {
		char expected[64];
		snprintf(expected, sizeof expected, " I test.event line=%u of=many (log_test.c:", seen);
		bool amid = strstr(line, " I test.amid and=no more (log_test.c:") != NULL;
		if (!amid)
			assert_non_null(strstr(line, expected));
		seen += !amid;
	}
	assert_int_equal(seen, lines);
	fclose(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_of_every_kind),
		cmocka_unit_test(no_value_forges_another),
		cmocka_unit_test(long_lines_are_cut),
		cmocka_unit_test(a_flood_is_thinned),
		cmocka_unit_test(no_line_is_lost_when_files_change),
		cmocka_unit_test(what_found_no_room_is_counted),
		cmocka_unit_test(a_signal_handler_may_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
