/* monitor_screen: one picture of the monitor, made from one answer of the verb "monitor". Pure: the
 * same answer, size and moment give the same bytes. */
#ifndef CLI_MONITOR_SCREEN_H
#define CLI_MONITOR_SCREEN_H

#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"

enum { SCREEN_MAX = 1024 * 1024 };

struct screen_look {
	unsigned columns, rows; /* of the terminal; rows 0: as many as it takes */
	bool colours;           /* emphasis by escape sequences */
	bool clears;            /* moves to the top left, and clears what stood there before */
	const json_t *now;      /* the newest answer; NULL: there is none yet */
	const json_t *before;   /* an older one, to tell what is new and who works how much, or NULL */
	const char *trouble;    /* why there is no newer one; NULL: it is fresh */
	int64_t now_ms;         /* wall clock */
};

/* Into *out, which has room for SCREEN_MAX; what passes the right or lower edge is cut. */
void screen_draw(const struct screen_look *look, struct arena *arena, struct buf *out);
/* "message 0DJ… not relayed yet: CAUSE, next try in 4m: ADDRESS, what was said" */
struct str screen_waiting_line(const json_t *recipient, struct arena *arena, int64_t now_ms);
/* The recipient stands in this list of an answer just as it is: nothing new happened to it. */
bool screen_is_listed(const json_t *waiting, const json_t *recipient);

#endif
