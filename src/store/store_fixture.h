/* store_fixture: what the tests of store/ stand on: a home in a temporary folder, a site without a
 * site.db, a loop that runs until a fiber is done. Included by tests only. */
#ifndef STORE_STORE_FIXTURE_H
#define STORE_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/id.h"
#include "base/log.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "store/site_fake.h"

#define UNUSED __attribute__((unused))

/* A new folder below TMPDIR; `dst` gets its path. */
static UNUSED const char *home_make(char dst[64])
{
	snprintf(dst, 64, "/tmp/letterlock-store-XXXXXX");
	assert_non_null(mkdtemp(dst));
	log_open(STDERR_FILENO, LOG_ERROR);
	return dst;
}

static UNUSED void home_remove(const char *home)
{
	char command[100];
	snprintf(command, sizeof command, "rm -rf '%s'", home);
	assert_int_equal(system(command), 0); /* style: a test may run a shell */
}

struct running {
	void (*fn)(void *);
	void *arg;
};

static UNUSED void run_and_stop(void *arg)
{
	struct running *r = arg;
	r->fn(r->arg);
	loop_stop();
}

/* Runs fn(arg) in a fiber and the loop until it returns. */
static UNUSED void run(void (*fn)(void *), void *arg)
{
	struct running r = {fn, arg};
	fiber_start("test", run_and_stop, &r);
	loop_run();
}

/* Lets the loop run for a while. */
static UNUSED void pass_ms(void *ms)
{
	fiber_sleep("in a test", *(int *)ms);
}

#endif
