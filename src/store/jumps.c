/* The wall clock may jump, by a person's hand, a lost battery, a time server that lies or is right at
 * last. What waits here shall not notice: nothing is given up, tried in a storm or forgotten for it,
 * nothing waits for years.
 *
 * While store runs the steady clock tells how much time really passed; all else is a jump. From one run
 * to the next HOME/data/clock tells when the last one was there. The sum of all jumps is kept there, and
 *
 *   queue time = wall clock - jumps
 *
 * goes on as if there had been none; time without a store counts up to an hour of it. queue.give_up
 * counts in queue time (message.queued_ms). The times of next attempts move with the clock: in memory at
 * once, and what a row says is believed up to the longest wait there is (store.c). After a jump of more
 * than a day forward nothing is forgotten (record.keep) for a day, so that it can be put right. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/store_parts.h"

enum {
	JUMP_MS = 60 * 1000, /* less is a clock being set right step by step */
	AWAY_MS = 3600 * 1000,
	FILE_MAX = 100,
};
#define DAY_MS ((int64_t)24 * 3600 * 1000)

/* file = jumps SP seen SP trusted LF, each with sign and leading zeros, so that it never grows: on a full
 * disk too it can be written. */
#define FORMAT "%+020" PRId64 " %+020" PRId64 " %+020" PRId64 "\n"

static bool take_number(struct str *rest, int64_t *ret)
{
	struct str word;
	uint64_t n;
	if (!str_split(rest, ' ', &word) || word.n < 2 || !str_to_u64(str_skip(word, 1), INT64_MAX, &n))
		return false;
	*ret = word.p[0] == '-' ? -(int64_t)n : (int64_t)n;
	return true;
}

static bool read_file(struct jumps *j, int64_t *ret_seen)
{
	char text[FILE_MAX];
	struct jumps was = {0};
	ssize_t n = pread(j->fd, text, sizeof text, 0);
	struct str rest = n > 0 ? str_make(text, (size_t)n - 1) : STR("");
	if (!take_number(&rest, &was.jumped_ms) || !take_number(&rest, ret_seen) ||
		!take_number(&rest, &was.trusted_ms))
		return false;
	j->jumped_ms = was.jumped_ms;
	j->trusted_ms = was.trusted_ms;
	return true;
}

static void write_file(struct jumps *j, int64_t wall_ms, bool sync)
{
	char text[FILE_MAX];
	int n = snprintf(text, sizeof text, FORMAT, j->jumped_ms, wall_ms, j->trusted_ms);
	if (j->fd >= 0 && (pwrite(j->fd, text, (size_t)n, 0) != n || (sync && fdatasync(j->fd) != 0)))
		log_warn("store.clock", "data/clock err=\"%s\"", strerror(errno));
}

static void jump(struct store *s, int64_t wall_ms, int64_t by_ms)
{
	struct jumps *j = &s->jumps;
	j->jumped_ms += by_ms;
	if (by_ms > DAY_MS)
		j->trusted_ms = wall_ms - j->jumped_ms + DAY_MS;
	queue_shift(s->queue, by_ms);
	write_file(j, wall_ms, true);
}

int64_t store_now(struct store *s)
{
	struct jumps *j = &s->jumps;
	int64_t wall = clock_wall_ms(), ahead = wall - clock_steady_ms(), by = ahead - j->ahead_ms;
	j->ahead_ms = ahead;
	if (by > -JUMP_MS && by < JUMP_MS)
		return wall;
	log_warn("store.clock", "the wall clock jumped seconds=%" PRId64 ": what waits does not notice",
		by / 1000);
	jump(s, wall, by);
	return wall;
}

int64_t store_queue_now(struct store *s)
{
	int64_t wall = store_now(s);
	return wall - s->jumps.jumped_ms;
}

bool store_trusts_clock(struct store *s)
{
	return store_queue_now(s) >= s->jumps.trusted_ms;
}

void jumps_open(struct store *s, const char *home)
{
	struct jumps *j = &s->jumps;
	int64_t wall = clock_wall_ms(), seen;
	struct arena *arena = arena_new();
	j->ahead_ms = wall - clock_steady_ms();
	j->fd = open(
		arena_fmt(arena, "%s/" DATA_FOLDER "/clock", home).p, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	arena_free(arena);
	if (j->fd < 0) {
		log_warn("store.clock", "data/clock err=\"%s\"", strerror(errno));
		return;
	}
	int64_t away = read_file(j, &seen) ? wall - seen : 0;
	if (away > -JUMP_MS && away <= AWAY_MS) {
		write_file(j, wall, true);
		return;
	}
	log_warn(
		"store.clock", "since store was last here the clock went on seconds=%" PRId64, away / 1000);
	jump(s, wall, away > 0 ? away - AWAY_MS : away);
}

void jumps_note(struct store *s)
{
	write_file(&s->jumps, store_now(s), false);
}

void jumps_close(struct store *s)
{
	if (s->jumps.fd < 0)
		return;
	jumps_note(s);
	close(s->jumps.fd);
	s->jumps.fd = -1;
}
