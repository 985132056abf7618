/* log_thin: for lines that strangers can cause at will: a flood of connections must not fill the disk.
 * So many are written at once, then few; what was held back is counted, and told in one line
 *
 *   log.thinned event=smtp.connect lines=19800
 *
 * when the next one is due. Not for what belongs to a message: that is always told. */
#ifndef BASE_LOG_THIN_H
#define BASE_LOG_THIN_H

#include <stdbool.h>
#include <stdint.h>

enum { LOG_THIN_BURST = 200, LOG_THIN_EVERY_MS = 500 };

/* One for each kind of line, static, zero at first. */
struct log_thin {
	bool begun;
	unsigned left;
	int64_t filled_ms;
	uint64_t held; /* not told yet */
};

/* True if a line of `event` may be written at `now_ms` (clock_steady_ms). */
bool log_thin_may(struct log_thin *t, const char *event, int64_t now_ms);

#endif
