#include "ask/ask_look.h"

enum { NAME_MAX_BYTES = 64, REASON_MAX = 200, ERROR_MAX = 320, BYTES_MAX = 16 * 1024 * 1024 };

void xfer_ask_look(struct xfer *x, void *v)
{
	struct ask_look *q = v;
	xfer_enum(x, &q->what, LOOK_LAST);
}

void xfer_ask_look_answer(struct xfer *x, void *v)
{
	struct ask_look_answer *a = v;
	xfer_str(x, &a->bytes, BYTES_MAX);
}

void xfer_look_numbers(struct xfer *x, void *v)
{
	struct look_numbers *l = v;
	xfer_list(x, &l->numbers, &l->number_count, sizeof *l->numbers, LOOK_NUMBERS_MAX);
	for (uint32_t i = 0; i < l->number_count; i++) {
		xfer_str(x, &l->numbers[i].name, NAME_MAX_BYTES);
		xfer_u64(x, &l->numbers[i].value);
	}
	xfer_list(x, &l->rates, &l->rate_count, sizeof *l->rates, LOOK_NUMBERS_MAX);
	for (uint32_t i = 0; i < l->rate_count; i++) {
		struct meter_sums *sums = &l->rates[i].sums;
		xfer_str(x, &l->rates[i].name, NAME_MAX_BYTES);
		xfer_u64(x, &sums->total);
		xfer_u64(x, &sums->second);
		xfer_u64(x, &sums->minute);
		xfer_u64(x, &sums->minutes5);
	}
}

void xfer_look_fibers(struct xfer *x, void *v)
{
	struct look_fibers *l = v;
	xfer_u32(x, &l->total);
	xfer_list(x, &l->fibers, &l->fiber_count, sizeof *l->fibers, LOOK_FIBERS_MAX);
	for (uint32_t i = 0; i < l->fiber_count; i++) {
		struct look_fiber *f = &l->fibers[i];
		xfer_str(x, &f->name, NAME_MAX_BYTES);
		xfer_str(x, &f->reason, REASON_MAX);
		xfer_i64(x, &f->started_ms);
		xfer_i64(x, &f->waiting_ms);
		xfer_i64(x, &f->left_ms);
	}
}

void xfer_ask_gather(struct xfer *x, void *v)
{
	struct ask_gather *q = v;
	xfer_enum(x, &q->what, LOOK_LAST);
	xfer_str(x, &q->role, NAME_MAX_BYTES);
}

void xfer_ask_gather_answer(struct xfer *x, void *v)
{
	struct ask_gather_answer *a = v;
	xfer_list(x, &a->roles, &a->role_count, sizeof *a->roles, LOOK_ROLES_MAX);
	for (uint32_t i = 0; i < a->role_count; i++) {
		struct gathered *g = &a->roles[i];
		xfer_str(x, &g->role, NAME_MAX_BYTES);
		xfer_u32(x, &g->pid);
		xfer_str(x, &g->error, ERROR_MAX);
		xfer_str(x, &g->bytes, BYTES_MAX);
	}
}
