#include "io/watchdog.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

enum {
	LINES = 10, /* told in LINES_MS at most; the others are counted */
	LINES_MS = 60 * 1000,
};

static struct {
	char role[32];
	/* Odd while a slice runs, another number for each. The signal handler reads it. */
	volatile sig_atomic_t slice, slice_seen;
	unsigned looks; /* that have met the same slice */
	int64_t began_ms;
	uint64_t slow;
	int64_t lines_since_ms;
	unsigned lines, untold;
} dog;

static void tell_slow(const char *who, const char *after, const char *then, int64_t now)
{
	dog.slow++;
	if (dog.lines == 0 || now - dog.lines_since_ms >= LINES_MS) {
		dog.lines_since_ms = now;
		dog.lines = 0;
	}
	if (dog.lines++ >= LINES) {
		dog.untold++;
		return;
	}
	log_warn("watchdog.slow", "role=%s fiber=%s ms=%lld after=\"%s\" then=\"%s\" untold=%u",
		dog.role, who, (long long)(now - dog.began_ms), after, then, dog.untold);
	dog.untold = 0;
}

void watchdog_begin(void)
{
	dog.slice++;
	dog.began_ms = clock_tick_ms();
}

void watchdog_end(const char *who, const char *after, const char *then)
{
	int64_t now = clock_tick_ms();
	dog.slice++;
	if (now - dog.began_ms >= WATCHDOG_SLICE_MS)
		tell_slow(who, after, then, now);
}

uint64_t watchdog_slow(void)
{
	return dog.slow;
}

/* Inside a slice, on its stack: log_write() takes no lock and no memory. Told less and less often:
 * after 1, 2, 4, 8, … times that long. */
static void on_cpu_time(int signo)
{
	(void)signo;
	bool same = dog.slice == dog.slice_seen && dog.slice % 2;
	dog.slice_seen = dog.slice;
	dog.looks = same ? dog.looks + 1 : 0;
	if (dog.looks && (dog.looks & (dog.looks - 1)) == 0)
		log_error("watchdog.stuck", "role=%s cpu_ms=%u and more in one slice", dog.role,
			dog.looks * WATCHDOG_STUCK_MS);
}

void watchdog_start(const char *role)
{
	struct sigaction action = {.sa_handler = on_cpu_time, .sa_flags = SA_RESTART};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGVTALRM};
	const struct timespec second = {
		.tv_sec = WATCHDOG_STUCK_MS / 1000, .tv_nsec = WATCHDOG_STUCK_MS % 1000 * 1000000};
	const struct itimerspec each = {.it_interval = second, .it_value = second};
	timer_t timer;
	event._sigev_un._tid = gettid(); /* glibc has no better name for it yet */
	str_to_c(str_from_c(role), dog.role, sizeof dog.role);
	if (sigaction(SIGVTALRM, &action, NULL) != 0 ||
		timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) != 0 ||
		timer_settime(timer, 0, &each, NULL) != 0)
		log_warn("watchdog.start", "endless slices will not be noticed: %s", strerror(errno));
}
