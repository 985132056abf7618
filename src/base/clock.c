#include "base/clock.h"

#include <stdio.h>
#include <string.h>
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

int64_t clock_tick_ms(void)
{
	return read_clock(CLOCK_MONOTONIC_COARSE);
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

static void put_digits(char *dst, unsigned n, unsigned value)
{
	for (; n > 0; value /= 10)
		dst[--n] = (char)('0' + value % 10);
}

/* The day with this number, 0 being 1970-01-01, in the Gregorian calendar. A year begins with March
 * here, so that the leap day is its last one; an era has 400 years. */
static void put_date(char *dst, unsigned day)
{
	day += 719468; /* from 0000-03-01 on */
	unsigned era = day / 146097, of_era = day % 146097;
	unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
	unsigned month = (5 * of_year + 2) / 153; /* from March on */
	put_digits(dst, 4, year + era * 400 + (month >= 10));
	put_digits(dst + 5, 2, month < 10 ? month + 3 : month - 9);
	put_digits(dst + 8, 2, of_year - (153 * month + 2) / 5 + 1);
}

/* By hand: each log line has one, and a signal handler may log. Times before 1970 are shown as that. */
char *clock_rfc3339(int64_t wall_ms, char dst[CLOCK_TEXT])
{
	enum { DAY_MS = 24 * 3600 * 1000 };
	uint64_t ms = wall_ms > 0 ? (uint64_t)wall_ms : 0;
	unsigned day = (unsigned)(ms / DAY_MS), of_day = (unsigned)(ms % DAY_MS);
	memcpy(dst, "0000-00-00T00:00:00.000Z", sizeof "0000-00-00T00:00:00.000Z");
	put_date(dst, day);
	put_digits(dst + 11, 2, of_day / 3600000);
	put_digits(dst + 14, 2, of_day / 60000 % 60);
	put_digits(dst + 17, 2, of_day / 1000 % 60);
	put_digits(dst + 20, 3, of_day % 1000);
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
