/* id: names for queued messages and sessions: 62 bits, the time in milliseconds and a counter that
 * starts at random, so they sort by age and two processes hardly ever meet; a database that
 * refuses the second one settles the rest. Shown as 13 characters of Crockford's base32. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include "base/str.h"

enum { ID_TEXT = 14 };

uint64_t id_make(void);
char *id_format(uint64_t id, char dst[ID_TEXT]);
/* Upper and lower case, all 13 characters. */
bool id_parse(struct str s, uint64_t *ret);
/* The moment the id was made, in milliseconds of the wall clock. */
int64_t id_time_ms(uint64_t id);
/* The lowest id that can be made at that moment; 0 for one before 1970. */
uint64_t id_first(int64_t wall_ms);

#endif
