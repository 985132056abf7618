/* Tests of what idle fibers give back: the stack below the point where they wait, nothing above it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>

#include "io/fiber.h"
#include "io/loop.h"

enum { PAGE = 4096, DEEP = 6 * PAGE };

static char *deep_page;
static bool intact;

static __attribute__((noinline)) size_t dive(size_t left)
{
	volatile char room[1024];
	room[0] = 'x';
	if (left == DEEP / 2 / sizeof room)
		deep_page = (char *)((uintptr_t)room & ~(uintptr_t)(PAGE - 1));
	return left == 0 ? (size_t)room[0] : dive(left - 1) + (size_t)room[0];
}

static void go_deep(void)
{
	assert_true(dive(DEEP / 1024) > 0);
}

static bool is_there(char *page)
{
	unsigned char there = 0;
	assert_int_equal(mincore(page, PAGE, &there), 0);
	return there & 1;
}

static void idle(void *arg)
{
	struct fiber **self = arg;
	char mine[300];
	memset(mine, 'm', sizeof mine);
	go_deep();
	*self = fiber_self();
	fiber_park("for the test", FIBER_NEVER);
	intact = true;
	for (size_t i = 0; i < sizeof mine; i++)
		intact = intact && mine[i] == 'm';
	go_deep();
	loop_stop();
}

static void watch(void *arg)
{
	struct fiber **idler = arg;
	fiber_sleep("for it to be idle", 20);
	fiber_trim(10 * 1000);
	assert_true(is_there(deep_page)); /* it has not waited that long */
	fiber_trim(10);
	assert_false(is_there(deep_page));
	fiber_wake(*idler);
}

static void an_idle_fiber_keeps_what_it_needs(void **state)
{
	(void)state;
	struct fiber *idler = NULL;
	loop_init();
	fiber_start("idle", idle, &idler);
	fiber_start("watch", watch, &idler);
	loop_run();
	assert_true(intact);
	loop_done();
}

static void touch(void *arg)
{
	unsigned *left = arg;
	go_deep();
	if (--*left == 0)
		loop_stop();
}

/* A crowd has gone: what was kept for the next goes too, once nobody came for it. */
static void stacks_kept_for_nobody_go(void **state)
{
	(void)state;
	unsigned left = 40;
	loop_init();
	for (unsigned i = 0; i < 40; i++)
		fiber_start("crowd", touch, &left);
	loop_run();
	fiber_trim(0); /* they were needed until now */
	char *page = deep_page;
	assert_true(is_there(page));
	fiber_trim(0);
	unsigned char there;
	assert_int_equal(mincore(page, PAGE, &there), -1); /* no mapping any more */
	left = 1;
	fiber_start("next", touch, &left);
	loop_run();
	assert_int_equal(left, 0);
	loop_done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idle_fiber_keeps_what_it_needs),
		cmocka_unit_test(stacks_kept_for_nobody_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
