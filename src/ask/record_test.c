#include "ask/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct record *full(struct arena *arena, unsigned events, unsigned length)
{
	struct record *r = record_new(arena, RECORD_SESSION, STR("192.0.2.1:1"));
	for (unsigned i = 0; i < events; i++)
		record_add(r, EVENT_NOTE, "%-*u", (int)length, i);
	return r;
}

static bool begins(const struct record_event *e, const char *number)
{
	return str_eq(str_trim(e->text), str_from_c(number));
}

/* However much is said, beginning and end are there, and the whole stays within its bounds. */
static void bounds(void **state)
{
	(void)state;
	static const unsigned lengths[] = {1, 100, 240, 999};
	for (size_t i = 0; i < 4; i++) {
		struct arena *arena = arena_new();
		struct record *r = full(arena, 5000, lengths[i]);
		size_t bytes = 0;
		for (uint32_t j = 0; j < r->event_count; j++)
			bytes += r->events[j].text.n;
		assert_true(r->event_count <= RECORD_EVENTS && bytes <= RECORD_BYTES);
		assert_int_equal(r->bytes, bytes);
		assert_int_equal(r->event_count + r->dropped, 5000);
		assert_true(begins(&r->events[0], "0") && begins(&r->events[5], "5"));
		assert_true(begins(&r->events[r->event_count - 1], "4999"));
		assert_true(begins(&r->events[r->event_count - 5], "4995"));
		arena_free(arena);
	}
}

static void few(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	struct record *r = full(arena, RECORD_EVENTS, 4);
	assert_int_equal(r->event_count, RECORD_EVENTS);
	assert_int_equal(r->dropped, 0);
	arena_free(arena);
}

static void text_is_clean(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	struct record *r = record_new(arena, RECORD_SESSION, STR(""));
	record_add(r, EVENT_NOTE, "a\r\nb\377\303\244\300\200\033");
	assert_true(str_eq(r->events[0].text, STR("a??b?\303\244???")));
	arena_free(arena);
}

static void travels(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	struct record *r = full(arena, 300, 50);
	struct buf packed;
	buf_init(&packed, 1 << 20);
	record_message(r, 42);
	struct xfer out = xfer_writer(&packed);
	xfer_record(&out, r);
	assert_true(xfer_done(&out));
	struct record *copy = arena_alloc(arena, sizeof *copy);
	struct xfer in = xfer_reader(buf_str(&packed), arena);
	xfer_record(&in, copy);
	assert_true(xfer_done(&in));
	assert_int_equal(copy->event_count, r->event_count);
	assert_int_equal(copy->dropped, r->dropped);
	assert_int_equal(copy->messages[0], 42);
	for (uint32_t i = 0; i < r->event_count; i++)
		assert_true(str_eq(copy->events[i].text, r->events[i].text));
	buf_done(&packed);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds),
		cmocka_unit_test(few),
		cmocka_unit_test(text_is_clean),
		cmocka_unit_test(travels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
