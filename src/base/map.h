/* map: a hash table from byte strings to pointers. Keys are copied; values are the caller's.
 * The hash is keyed with a random number per process, so that a peer cannot aim at one bucket. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map;

struct map *map_new(void);
/* Calls free_value (may be NULL) on each value. */
void map_free(struct map *m, void (*free_value)(void *));
/* NULL if there is none. */
void *map_get(const struct map *m, struct str key);
/* Returns the value that was there before, or NULL. */
void *map_put(struct map *m, struct str key, void *value);
/* Returns the value taken out, or NULL. */
void *map_remove(struct map *m, struct str key);
size_t map_count(const struct map *m);
/* Walks all entries in no order: start with *at = 0; false at the end. The map must not change
 * meanwhile, save for the removal of the entry just given. */
bool map_next(const struct map *m, size_t *at, struct str *ret_key, void **ret_value);

#endif
