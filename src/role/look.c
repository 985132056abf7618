#include "role/look.h"

#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "io/fiber.h"
#include "io/watchdog.h"

void look_number(struct look_numbers *l, const char *name, uint64_t value)
{
	if (l->number_count < LOOK_NUMBERS_MAX)
		l->numbers[l->number_count++] = (struct look_number){str_from_c(name), value};
}

void look_rate(struct look_numbers *l, const char *name, struct meter *m)
{
	if (l->rate_count < LOOK_NUMBERS_MAX)
		l->rates[l->rate_count++] =
			(struct look_rate){str_from_c(name), meter_read(m, clock_tick_ms())};
}

static uint64_t cpu_ms(void)
{
	struct timespec t = {0};
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void pack_numbers(look_fn *own, void *arg, struct xfer *x)
{
	struct arena *arena = arena_new();
	struct look_numbers l = {.numbers = arena_alloc(arena, LOOK_NUMBERS_MAX * sizeof *l.numbers),
		.rates = arena_alloc(arena, LOOK_NUMBERS_MAX * sizeof *l.rates)};
	look_number(&l, "cpu_ms", cpu_ms());
	look_number(&l, "fibers", fiber_count());
	look_number(&l, "slow_slices", watchdog_slow());
	look_number(&l, "log_lines_lost", log_lost());
	if (own)
		own(&l, arg);
	xfer_look_numbers(x, &l);
	arena_free(arena);
}

static void pack_fibers(struct xfer *x)
{
	struct fiber_info info;
	struct vec list;
	struct look_fibers l = {.total = fiber_count()};
	vec_init(&list, sizeof *l.fibers);
	for (struct fiber *f = NULL; list.n < LOOK_FIBERS_MAX && (f = fiber_next(f, &info));) {
		struct look_fiber one = {.name = str_from_c(info.name),
			.reason = str_from_c(info.reason),
			.started_ms = info.started_ms,
			.waiting_ms = info.waiting_ms,
			.left_ms = info.left_ms};
		vec_add(&list, &one);
	}
	l.fibers = list.p;
	l.fiber_count = (uint32_t)list.n;
	xfer_look_fibers(x, &l);
	vec_done(&list);
}

void look_pack(enum look what, look_fn *own, void *arg, struct buf *out)
{
	struct xfer x = xfer_writer(out);
	if (what == LOOK_FIBERS)
		pack_fibers(&x);
	else
		pack_numbers(own, arg, &x);
}
