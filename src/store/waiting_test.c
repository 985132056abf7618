#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "store/waiting.h"

static int set_up(void **state)
{
	static struct waiting_table table;
	waiting_init(&table);
	*state = &table;
	return 0;
}

static int tear_down(void **state)
{
	waiting_done(*state);
	return 0;
}

/* All that is there, in order, or nothing is right. */
static size_t walk(const struct waiting_table *t)
{
	struct waiting_place place;
	size_t n = 0;
	uint64_t message = 0;
	uint32_t number = 0;
	for (uint32_t slot = waiting_from(t, 0, 0, &place); slot != NO_SLOT;
		 slot = waiting_next(t, &place)) {
		const struct waiting *w = waiting_at(t, slot);
		assert_true(w->message > message || (w->message == message && w->n > number));
		message = w->message;
		number = w->n;
		n++;
	}
	return n;
}

static void there_are_no_recipients_at_first(void **state)
{
	struct waiting_place place;
	assert_int_equal(waiting_from(*state, 0, 0, &place), NO_SLOT);
	assert_int_equal(waiting_heap_first(*state), NO_SLOT);
}

/* Many in order, as mail comes: each is found, and runs are full. */
static void what_comes_in_order_is_dense(void **state)
{
	struct waiting_table *t = *state;
	struct waiting_place place;
	for (uint32_t i = 0; i < 100000; i++)
		waiting_add(t, 1 + i / 3, i % 3);
	assert_int_equal(walk(t), 100000);
	assert_in_range(t->runs.n, 100000 / 512, 100000 / 512 + 1);
	for (uint32_t i = 0; i < 100000; i += 777) {
		uint32_t slot = waiting_from(t, 1 + i / 3, i % 3, &place);
		assert_int_equal(waiting_at(t, slot)->message, 1 + i / 3);
		assert_int_equal(waiting_at(t, slot)->n, i % 3);
	}
	assert_int_equal(waiting_at(t, waiting_from(t, 5, 3, &place))->message, 6);
	assert_int_equal(waiting_from(t, 100000, 0, &place), NO_SLOT);
}

enum { KEYS = 3000, STEPS = 200000 };

/* Any order of coming and going, beside a simple model of it. */
static void any_order_keeps_the_order(void **state)
{
	struct waiting_table *t = *state;
	static uint32_t slots[KEYS];
	size_t n = 0;
	srandom(11);
	for (size_t i = 0; i < KEYS; i++)
		slots[i] = NO_SLOT;
	for (int step = 0; step < STEPS; step++) {
		/* Waves: it fills and empties, and now and then one end only. */
		long narrow = step / 20000 % 2 ? KEYS / 10 : KEYS;
		size_t key = (size_t)(random() % narrow);
		bool add = random() % 10 < (step / 10000 % 2 ? 8 : 2);
		if (add && slots[key] == NO_SLOT) {
			slots[key] = waiting_add(t, 1 + key / 4, key % 4);
			n++;
		} else if (!add && slots[key] != NO_SLOT) {
			waiting_remove(t, slots[key]);
			slots[key] = NO_SLOT;
			n--;
		}
		if (step % 1000)
			continue;
		assert_int_equal(walk(t), n);
		for (size_t i = 0; i < KEYS; i++) {
			struct waiting_place place;
			uint32_t slot = waiting_from(t, 1 + i / 4, i % 4, &place);
			size_t next = i;
			while (next < KEYS && slots[next] == NO_SLOT)
				next++;
			assert_int_equal(slot, next < KEYS ? slots[next] : NO_SLOT);
		}
	}
}

/* What a large queue took is given back when it has gone. */
static void memory_is_given_back(void **state)
{
	struct waiting_table *t = *state;
	struct waiting_place place;
	uint32_t slot;
	for (uint32_t i = 0; i < 50000; i++)
		waiting_add(t, 1 + i, 0);
	while ((slot = waiting_from(t, 1, 0, &place)) != NO_SLOT)
		waiting_remove(t, slot);
	size_t held = 0;
	for (size_t i = 0; i < t->blocks.n; i++)
		held += *(void **)vec_at(&t->blocks, i) != NULL;
	assert_in_range(held, 0, 1);
	assert_int_equal(t->runs.n, 0);
	assert_int_equal(waiting_at(t, waiting_add(t, 7, 0))->message, 7);
}

static void the_heap_gives_the_earliest(void **state)
{
	struct waiting_table *t = *state;
	enum { N = 2000 };
	static uint32_t slots[N];
	srandom(5);
	for (uint32_t i = 0; i < N; i++) {
		slots[i] = waiting_add(t, 1 + i, 0);
		waiting_at(t, slots[i])->next_ms = random() % 300;
		waiting_heap_add(t, slots[i]);
	}
	for (uint32_t i = 0; i < N; i += 3)
		waiting_heap_remove(t, slots[i]);
	int64_t last_ms = -1;
	uint64_t last = 0;
	uint32_t slot, n = 0;
	while ((slot = waiting_heap_first(t)) != NO_SLOT) {
		const struct waiting *w = waiting_at(t, slot);
		assert_true(w->next_ms > last_ms || (w->next_ms == last_ms && w->message > last));
		last_ms = w->next_ms;
		last = w->message;
		waiting_heap_remove(t, slot);
		n++;
	}
	assert_int_equal(n, N - (N + 2) / 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(there_are_no_recipients_at_first),
		TEST(what_comes_in_order_is_dense),
		TEST(any_order_keeps_the_order),
		TEST(memory_is_given_back),
		TEST(the_heap_gives_the_earliest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
