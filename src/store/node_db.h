/* node_db: the tables of node.db: messages, their bodies and recipients, and the recorder.
 *
 * What each column means stands beside it in schema.c. */
#ifndef STORE_NODE_DB_H
#define STORE_NODE_DB_H

#include "store/db.h"

#define NODE_DB DATA_FOLDER "/node.db" /* below the home */

/* States of a recipient as stored (doc/QUEUE.md). Numbers never change. "Active" (in the hands of
 * relay) is known to the queue only. */
enum recipient_state {
	RECIPIENT_READY = 1, /* never tried */
	RECIPIENT_DEFERRED = 2,
	RECIPIENT_HELD = 3,
	/* Final from here on. */
	RECIPIENT_DELIVERED = 4,
	RECIPIENT_BOUNCED = 5,
	RECIPIENT_REMOVED = 6,
	RECIPIENT_EXPIRED = 7, /* given up for its age */
	RECIPIENT_LAST = RECIPIENT_EXPIRED,
};
static inline bool recipient_is_final(enum recipient_state state)
{
	return state >= RECIPIENT_DELIVERED;
}
/* "ready", "deferred", … */
const char *recipient_state_name(enum recipient_state state);
bool recipient_state_parse(struct str s, enum recipient_state *ret);

/* Where a body is (message.body_kind). */
enum body_kind { BODY_ROW, BODY_FILE, BODY_GONE };

/* Opens HOME/data/node.db for the writer; makes it and its tables if need be, and brings those of an
 * older program up to date. Refuses a database of a newer one (ERR_PERM). NULL with *err. */
struct db *node_db_open(const char *home, struct err *err);
/* A reader of an existing HOME/data/node.db. */
struct db *node_db_open_reader(const char *home, struct err *err);

#endif
