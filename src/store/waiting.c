#include "store/waiting.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	BLOCK_BITS = 12,
	BLOCK = 1 << BLOCK_BITS,
	NO_BLOCK = UINT32_MAX,
	RUN_MAX = 512, /* slots of one run of the order */
};

/* Free slots of a block hang together by `next`. */
struct block {
	uint32_t live, free;
	uint32_t before, next; /* blocks with a free slot */
	struct waiting slots[BLOCK];
};

/* A stretch of the order. No recipient of it is before its key. */
struct run {
	uint64_t message;
	uint32_t n;
	uint32_t count;
	uint32_t *slots;
};

/* ---- slots ------------------------------------------------------------------------------------ */

static struct block **block_at(const struct waiting_table *t, uint32_t number)
{
	return vec_at(&t->blocks, number);
}

struct waiting *waiting_at(const struct waiting_table *t, uint32_t slot)
{
	struct block **blocks = t->blocks.p;
	return &blocks[slot >> BLOCK_BITS]->slots[slot & (BLOCK - 1)];
}

static void roomy_add(struct waiting_table *t, uint32_t number)
{
	struct block *b = *block_at(t, number);
	b->before = NO_BLOCK;
	b->next = t->roomy;
	if (t->roomy != NO_BLOCK)
		(*block_at(t, t->roomy))->before = number;
	t->roomy = number;
}

static void roomy_remove(struct waiting_table *t, const struct block *b)
{
	if (b->before == NO_BLOCK)
		t->roomy = b->next;
	else
		(*block_at(t, b->before))->next = b->next;
	if (b->next != NO_BLOCK)
		(*block_at(t, b->next))->before = b->before;
}

/* A number is used again: slots stay dense, however often the queue fills and empties. */
static void block_make(struct waiting_table *t)
{
	uint32_t number = 0;
	struct block *b = mem_new(sizeof *b);
	while (number < t->blocks.n && *block_at(t, number))
		number++;
	if (number == t->blocks.n)
		vec_add(&t->blocks, NULL);
	for (uint32_t i = 0; i < BLOCK; i++)
		b->slots[i].next = i + 1;
	*block_at(t, number) = b;
	roomy_add(t, number);
}

uint32_t waiting_new(struct waiting_table *t)
{
	if (t->roomy == NO_BLOCK)
		block_make(t);
	uint32_t number = t->roomy;
	struct block *b = *block_at(t, number);
	uint32_t i = b->free;
	b->free = b->slots[i].next;
	b->slots[i] = (struct waiting){.next = NO_SLOT};
	if (++b->live == BLOCK)
		roomy_remove(t, b);
	return number << BLOCK_BITS | i;
}

/* An empty block is given back if there is room in another one. */
void waiting_free(struct waiting_table *t, uint32_t slot)
{
	uint32_t number = slot >> BLOCK_BITS;
	struct block *b = *block_at(t, number);
	if (b->live-- == BLOCK) {
		b->free = BLOCK;
		roomy_add(t, number);
	}
	b->slots[slot & (BLOCK - 1)].next = b->free;
	b->free = slot & (BLOCK - 1);
	if (b->live == 0 && (t->roomy != number || b->next != NO_BLOCK)) {
		roomy_remove(t, b);
		*block_at(t, number) = NULL;
		free(b);
	}
}

/* ---- order ------------------------------------------------------------------------------------ */

static struct run *run_at(const struct waiting_table *t, size_t i)
{
	return vec_at(&t->runs, i);
}

static bool is_before(uint64_t message, uint32_t n, uint64_t than_message, uint32_t than_n)
{
	return message != than_message ? message < than_message : n < than_n;
}

/* The last run whose key is not behind (message, n), or the first one. */
static size_t run_of(const struct waiting_table *t, uint64_t message, uint32_t n)
{
	size_t low = 0, high = t->runs.n;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		const struct run *r = run_at(t, middle);
		if (is_before(message, n, r->message, r->n))
			high = middle;
		else
			low = middle;
	}
	return low;
}

static uint32_t place_in(
	const struct waiting_table *t, const struct run *r, uint64_t message, uint32_t n)
{
	uint32_t low = 0, high = r->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct waiting *w = waiting_at(t, r->slots[middle]);
		if (is_before(w->message, w->n, message, n))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* An empty run at `i`. */
static struct run *run_make(struct waiting_table *t, size_t i)
{
	vec_add(&t->runs, NULL);
	struct run *r = run_at(t, i);
	memmove(r + 1, r, (t->runs.n - 1 - i) * sizeof *r);
	*r = (struct run){.slots = mem_new(RUN_MAX * sizeof *r->slots)};
	return r;
}

static void run_drop(struct waiting_table *t, size_t i)
{
	free(run_at(t, i)->slots);
	vec_remove(&t->runs, i);
}

/* Makes room in a full run for place `at`. Mail mostly comes in order, to the end of the last run:
 * that one stays full. */
static void run_split(struct waiting_table *t, size_t i, uint32_t at)
{
	bool at_end = i + 1 == t->runs.n && at == RUN_MAX;
	uint32_t stay = at_end ? RUN_MAX : RUN_MAX / 2;
	struct run *right = run_make(t, i + 1), *left = run_at(t, i);
	right->count = left->count - stay;
	memcpy(right->slots, left->slots + stay, right->count * sizeof *right->slots);
	left->count = stay;
	if (right->count) {
		const struct waiting *first = waiting_at(t, right->slots[0]);
		right->message = first->message;
		right->n = first->n;
	}
}

uint32_t waiting_add(struct waiting_table *t, uint64_t message, uint32_t n)
{
	uint32_t slot = waiting_new(t);
	struct waiting *w = waiting_at(t, slot);
	w->message = message;
	w->n = n;
	if (t->runs.n == 0)
		run_make(t, 0);
	size_t i = run_of(t, message, n);
	uint32_t at = place_in(t, run_at(t, i), message, n);
	if (run_at(t, i)->count == RUN_MAX) {
		run_split(t, i, at);
		uint32_t left = run_at(t, i)->count;
		if (at > left || left == RUN_MAX) {
			at -= left;
			i++;
		}
	}
	struct run *r = run_at(t, i);
	memmove(r->slots + at + 1, r->slots + at, (r->count - at) * sizeof *r->slots);
	r->slots[at] = slot;
	if (r->count++ == 0 || is_before(message, n, r->message, r->n)) {
		r->message = message;
		r->n = n;
	}
	return slot;
}

/* Sparse neighbours become one. */
static void run_join(struct waiting_table *t, size_t i)
{
	if (i + 1 >= t->runs.n)
		return;
	struct run *left = run_at(t, i), *right = run_at(t, i + 1);
	if (left->count + right->count > RUN_MAX / 2)
		return;
	memcpy(left->slots + left->count, right->slots, right->count * sizeof *right->slots);
	left->count += right->count;
	run_drop(t, i + 1);
}

void waiting_remove(struct waiting_table *t, uint32_t slot)
{
	const struct waiting *w = waiting_at(t, slot);
	size_t i = run_of(t, w->message, w->n);
	struct run *r = run_at(t, i);
	uint32_t at = place_in(t, r, w->message, w->n);
	r->count--;
	memmove(r->slots + at, r->slots + at + 1, (r->count - at) * sizeof *r->slots);
	if (r->count == 0) {
		run_drop(t, i);
	} else {
		run_join(t, i);
		if (i > 0)
			run_join(t, i - 1);
	}
	waiting_free(t, slot);
}

/* The slot at *at, or the first one of the next run. */
static uint32_t settle_place(const struct waiting_table *t, struct waiting_place *at)
{
	if (at->run < t->runs.n && at->at >= run_at(t, at->run)->count)
		*at = (struct waiting_place){at->run + 1, 0};
	return at->run < t->runs.n ? run_at(t, at->run)->slots[at->at] : NO_SLOT;
}

uint32_t waiting_from(
	const struct waiting_table *t, uint64_t message, uint32_t n, struct waiting_place *ret)
{
	*ret = (struct waiting_place){0};
	if (t->runs.n == 0)
		return NO_SLOT;
	ret->run = run_of(t, message, n);
	ret->at = place_in(t, run_at(t, ret->run), message, n);
	return settle_place(t, ret);
}

uint32_t waiting_next(const struct waiting_table *t, struct waiting_place *at)
{
	at->at++;
	return settle_place(t, at);
}

/* ---- heap ------------------------------------------------------------------------------------- */

static uint32_t *heap_at(const struct waiting_table *t, size_t i)
{
	return vec_at(&t->heap, i);
}

static void heap_set(struct waiting_table *t, size_t i, uint32_t slot)
{
	*heap_at(t, i) = slot;
	waiting_at(t, slot)->index = (uint32_t)i;
}

static bool comes_before(const struct waiting *a, const struct waiting *b)
{
	if (a->next_ms != b->next_ms)
		return a->next_ms < b->next_ms;
	return a->message != b->message ? a->message < b->message : a->n < b->n;
}

static void heap_up(struct waiting_table *t, size_t i)
{
	uint32_t slot = *heap_at(t, i);
	const struct waiting *w = waiting_at(t, slot);
	while (i > 0 && comes_before(w, waiting_at(t, *heap_at(t, (i - 1) / 2)))) {
		heap_set(t, i, *heap_at(t, (i - 1) / 2));
		i = (i - 1) / 2;
	}
	heap_set(t, i, slot);
}

static void heap_down(struct waiting_table *t, size_t i)
{
	uint32_t slot = *heap_at(t, i);
	const struct waiting *w = waiting_at(t, slot);
	for (size_t child; (child = 2 * i + 1) < t->heap.n; i = child) {
		if (child + 1 < t->heap.n &&
			comes_before(waiting_at(t, *heap_at(t, child + 1)), waiting_at(t, *heap_at(t, child))))
			child++;
		if (!comes_before(waiting_at(t, *heap_at(t, child)), w))
			break;
		heap_set(t, i, *heap_at(t, child));
	}
	heap_set(t, i, slot);
}

void waiting_heap_add(struct waiting_table *t, uint32_t slot)
{
	vec_add(&t->heap, &slot);
	heap_up(t, t->heap.n - 1);
}

void waiting_heap_remove(struct waiting_table *t, uint32_t slot)
{
	size_t i = waiting_at(t, slot)->index;
	uint32_t last = *heap_at(t, --t->heap.n);
	if (last == slot)
		return;
	heap_set(t, i, last);
	heap_up(t, i);
	heap_down(t, waiting_at(t, last)->index);
}

void waiting_heap_shift(struct waiting_table *t, int64_t by_ms)
{
	for (size_t i = 0; i < t->heap.n; i++)
		waiting_at(t, *heap_at(t, i))->next_ms += by_ms;
}

uint32_t waiting_heap_first(const struct waiting_table *t)
{
	return t->heap.n ? *heap_at(t, 0) : NO_SLOT;
}

/* ---- birth and end ---------------------------------------------------------------------------- */

void waiting_init(struct waiting_table *t)
{
	*t = (struct waiting_table){.roomy = NO_BLOCK};
	vec_init(&t->blocks, sizeof(struct block *));
	vec_init(&t->runs, sizeof(struct run));
	vec_init(&t->heap, sizeof(uint32_t));
}

void waiting_done(struct waiting_table *t)
{
	for (uint32_t i = 0; i < t->blocks.n; i++)
		free(*block_at(t, i));
	for (size_t i = 0; i < t->runs.n; i++)
		free(run_at(t, i)->slots);
	vec_done(&t->blocks);
	vec_done(&t->runs);
	vec_done(&t->heap);
}
