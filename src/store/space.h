/* space: how much of its file system a home may fill, and with what. Sizes that were made for a large
 * disk shrink with a small one, so that a home of 4 MB works too.
 *
 *   total  |<------ used ------>|<-------------------- available ------------------->|
 *                               |<-- floor -->|<-- debt -->|<-- room for new mail -->|
 *
 * The floor (queue.min_free) is never given to new mail. Debt is what the database will grow by when
 * its log is copied back. The reserve is a file of nothing, used already, that is given up when the
 * disk is full all the same, because of others. */
#ifndef STORE_SPACE_H
#define STORE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

struct space {
	uint64_t total, available; /* bytes of the file system; available: to us */
};

/* Of the file system that `folder` is in. False: it does not say, *ret is untouched. */
bool space_measure(const char *folder, struct space *ret);
/* Bytes of the reserve: more than the write-ahead log, so that this can be copied back and begin anew
 * in its place (W7). */
uint64_t space_reserve(uint64_t total);
/* Makes it, or cuts one that was made for a larger disk. False if there is no space for it; then there is
 * none at `path`. */
bool space_make_reserve(const char *path, uint64_t bytes);
/* Pages of 4 KB in the write-ahead log from which on it is copied back when there is time, when there
 * is none, and with all readers waited for and the file cut. */
struct space_wal {
	int64_t idle, busy, truncate;
};
struct space_wal space_wal(uint64_t reserve);
/* The smaller of queue.min_free and an eighth of the file system. */
uint64_t space_floor(uint64_t total, uint64_t min_free);
/* What new mail may take of `available`. */
uint64_t space_for_mail(uint64_t available, uint64_t floor, uint64_t debt);
/* What of it may be promised to mail that has still to come: half of the floor less, since log, records
 * and results take their part meanwhile, and who was promised room shall find it. */
uint64_t space_to_promise(uint64_t for_mail, uint64_t floor);
/* What a message takes until it is copied back: `rows` bytes in the database, each also in its log, and
 * `file` bytes that are not on the disk yet. */
uint64_t space_need(uint64_t rows, uint64_t file);
/* The largest message for which `space` is enough: the other way round. */
uint64_t space_largest(uint64_t space);
/* Whether no mail is taken any more, by what can be promised: from no room for a small message, until there
 * is room for a few. */
bool space_is_low(bool was_low, uint64_t to_promise, uint64_t floor);

#endif
