#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t pinned_wall = -1;

static int64_t read_clock(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void)
{
	return pinned_wall >= 0 ? pinned_wall : read_clock(CLOCK_REALTIME);
}

int64_t clock_steady_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

void clock_set_wall_ms(int64_t ms)
{
	pinned_wall = ms;
}

static struct tm utc(int64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	return tm;
}

char *clock_rfc3339(int64_t wall_ms, char dst[CLOCK_TEXT])
{
	struct tm tm = utc(wall_ms);
	char seconds[24];
	strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(dst, CLOCK_TEXT, "%s.%03dZ", seconds, (int)(wall_ms % 1000));
	return dst;
}

/* Not strftime: day and month names must not follow the locale. */
char *clock_rfc5322(int64_t wall_ms, char dst[CLOCK_TEXT])
{
	static const char day[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char month[12][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct tm tm = utc(wall_ms);
	snprintf(dst, CLOCK_TEXT, "%s, %02d %s %d %02d:%02d:%02d +0000", day[tm.tm_wday], tm.tm_mday,
		month[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	return dst;
}
