/* What keeps the loop to itself is noticed, while it runs and afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/watchdog.h"

static int log_fd;
static char text[64 * 1024];

static int set_up(void **state)
{
	(void)state;
	log_fd = memfd_create("log", MFD_CLOEXEC);
	log_open(log_fd, LOG_INFO);
	loop_init();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	loop_done();
	log_open(STDERR_FILENO, LOG_INFO);
	return close(log_fd);
}

/* Lines so far that hold all of `first` and `second`. */
static int lines_with(const char *first, const char *second)
{
	int n = 0;
	ssize_t got = pread(log_fd, text, sizeof text - 1, 0);
	text[got > 0 ? got : 0] = 0;
	struct str rest = str_from_c(text), line;
	while (str_split(&rest, '\n', &line))
		n += memmem(line.p, line.n, first, strlen(first)) &&
			memmem(line.p, line.n, second, strlen(second));
	return n;
}

static int64_t cpu_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Uses the processor up. */
static void burn(int64_t ms)
{
	int64_t until = cpu_ms() + ms;
	while (cpu_ms() < until)
		;
}

static void run_fiber(const char *name, void (*fn)(void *))
{
	fiber_start(name, fn, NULL);
	loop_run();
}

/* ---- */

static void long_and_short(void *arg)
{
	(void)arg;
	burn(1);
	fiber_sleep("for the test", 1);
	burn(WATCHDOG_SLICE_MS + 10);
	fiber_sleep("for the end", 0);
	loop_stop();
}

static void a_slow_slice_is_told_of(void **state)
{
	(void)state;
	uint64_t before = watchdog_slow();
	run_fiber("greedy-7", long_and_short);
	assert_int_equal(lines_with(" W watchdog.slow role=mx fiber=greedy-7 ms=",
						 " after=\"for the test\" then=\"for the end\" "),
		1);
	assert_true(watchdog_slow() > before);
	assert_int_equal(lines_with("watchdog.stuck", ""), 0);
}

static void timer(void *arg)
{
	(void)arg;
	burn(WATCHDOG_SLICE_MS + 10);
	loop_stop();
}

static void so_is_a_slow_timer(void **state)
{
	(void)state;
	struct loop_timer *t = loop_timer_new(timer, NULL);
	loop_timer_start(t, 0);
	loop_run();
	loop_timer_free(t);
	assert_int_equal(lines_with("watchdog.slow", "fiber=main"), 1);
}

static void endless(void *arg)
{
	(void)arg;
	burn(2 * WATCHDOG_STUCK_MS + 100);
	/* Not over yet, and told already. */
	assert_int_equal(lines_with(":endless] E watchdog.stuck role=mx", "cpu_ms="), 1);
	loop_stop();
}

static void an_endless_one_is_told_of_while_it_runs(void **state)
{
	(void)state;
	run_fiber("endless", endless);
}

static void many_short_ones(void *arg)
{
	(void)arg;
	int64_t until = cpu_ms() + 2 * WATCHDOG_STUCK_MS + 100;
	while (cpu_ms() < until) {
		burn(1);
		fiber_sleep("for others", 0);
	}
	loop_stop();
}

static void work_in_many_slices_is_no_fault(void **state)
{
	(void)state;
	run_fiber("busy", many_short_ones);
	assert_int_equal(lines_with("watchdog.stuck", ""), 0);
}

static void many_long_ones(void *arg)
{
	(void)arg;
	for (int i = 0; i < 15; i++) {
		fiber_sleep("for others", 0);
		burn(WATCHDOG_SLICE_MS + 5);
	}
	fiber_sleep("for others", 0);
	loop_stop();
}

static void the_log_is_not_filled(void **state)
{
	(void)state;
	uint64_t before = watchdog_slow();
	run_fiber("greedy", many_long_ones);
	assert_true(watchdog_slow() - before >= 15);
	assert_in_range(lines_with("watchdog.slow", "fiber=greedy "), 1, 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_slow_slice_is_told_of),
		TEST(so_is_a_slow_timer),
		TEST(an_endless_one_is_told_of_while_it_runs),
		TEST(work_in_many_slices_is_no_fault),
		TEST(the_log_is_not_filled),
	};
	watchdog_start("mx");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
