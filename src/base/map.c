#include "base/map.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/mem.h"

/* Open addressing with linear probing and tombstones; at most half full. */
struct slot {
	char *key; /* NULL: never used */
	size_t key_n;
	uint64_t hash;
	void *value; /* NULL: removed */
};

struct map {
	struct slot *slots;
	size_t cap;  /* a power of two */
	size_t n;    /* live entries */
	size_t used; /* live entries and tombstones */
};

static uint64_t hash_seed;

/* FNV-1a with a random start and a final mix. */
static uint64_t hash_of(struct str key)
{
	if (!hash_seed && getrandom(&hash_seed, sizeof hash_seed, 0) != sizeof hash_seed)
		hash_seed = (uintptr_t)&key;
	uint64_t h = hash_seed ^ 0xcbf29ce484222325u;
	for (size_t i = 0; i < key.n; i++)
		h = (h ^ (unsigned char)key.p[i]) * 0x100000001b3u;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	return h ^ h >> 32;
}

struct map *map_new(void)
{
	struct map *m = mem_new(sizeof *m);
	m->cap = 16;
	m->slots = mem_new(m->cap * sizeof *m->slots);
	return m;
}

void map_free(struct map *m, void (*free_value)(void *))
{
	if (!m)
		return;
	for (size_t i = 0; i < m->cap; i++) {
		if (m->slots[i].value && free_value)
			free_value(m->slots[i].value);
		free(m->slots[i].key);
	}
	free(m->slots);
	free(m);
}

/* The slot that holds `key`, or the never used one where the search ended. */
static struct slot *find(const struct map *m, struct str key, uint64_t hash)
{
	for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct slot *s = &m->slots[i];
		if (!s->key || (s->hash == hash && str_eq(str_make(s->key, s->key_n), key)))
			return s;
	}
}

static void grow(struct map *m)
{
	struct map bigger = {.cap = m->n * 4 < 16 ? 16 : m->cap};
	while (bigger.cap < m->n * 4)
		bigger.cap *= 2;
	bigger.slots = mem_new(bigger.cap * sizeof *bigger.slots);
	for (size_t i = 0; i < m->cap; i++) {
		struct slot *s = &m->slots[i];
		if (!s->value) {
			free(s->key);
			continue;
		}
		*find(&bigger, str_make(s->key, s->key_n), s->hash) = *s;
		bigger.n++;
		bigger.used++;
	}
	free(m->slots);
	*m = bigger;
}

void *map_get(const struct map *m, struct str key)
{
	return find(m, key, hash_of(key))->value;
}

void *map_put(struct map *m, struct str key, void *value)
{
	if ((m->used + 1) * 2 > m->cap)
		grow(m);
	uint64_t hash = hash_of(key);
	struct slot *s = find(m, key, hash);
	void *before = s->value;
	if (!s->key) {
		s->key = mem_new(key.n + 1);
		if (key.n)
			memcpy(s->key, key.p, key.n);
		s->key_n = key.n;
		s->hash = hash;
		m->used++;
	}
	m->n += !before;
	s->value = value;
	return before;
}

void *map_remove(struct map *m, struct str key)
{
	struct slot *s = find(m, key, hash_of(key));
	void *before = s->value;
	s->value = NULL;
	m->n -= before != NULL;
	return before;
}

size_t map_count(const struct map *m)
{
	return m->n;
}

bool map_next(const struct map *m, size_t *at, struct str *ret_key, void **ret_value)
{
	for (; *at < m->cap; (*at)++) {
		struct slot *s = &m->slots[*at];
		if (s->value) {
			(*at)++;
			*ret_key = str_make(s->key, s->key_n);
			*ret_value = s->value;
			return true;
		}
	}
	return false;
}
