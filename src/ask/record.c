#include "ask/record.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { TEXT_MAX = 1000, PEER_MAX = 320 };

/* Events live on the heap, so that those dropped from a long session give their memory back. */
static void free_events(void *arg)
{
	struct record *r = arg;
	for (uint32_t i = 0; i < r->event_count; i++)
		free((void *)(uintptr_t)r->events[i].text.p);
	free(r->events);
}

struct record *record_new(struct arena *arena, enum record_kind kind, struct str peer)
{
	struct record *r = arena_alloc(arena, sizeof *r);
	arena_on_done(arena, free_events, r);
	r->arena = arena;
	r->kind = kind;
	r->id = id_make();
	r->started_ms = clock_wall_ms();
	r->steady_ms = clock_steady_ms();
	r->peer = arena_dup(arena, str_take(peer, PEER_MAX));
	return r;
}

/* Control characters and what is no UTF-8 become '?'. */
static void clean(char *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t step = utf8_length(str_make(p + i, n - i));
		if (step == 0 || (step == 1 && ascii_is_control(p[i]))) {
			p[i] = '?';
			step = 1;
		}
		i += step;
	}
}

/* The beginning stays for good, up to half of what a record may hold; behind it the oldest go. */
static void make_room(struct record *r, size_t length)
{
	while (r->event_count > r->kept &&
		(r->event_count == RECORD_EVENTS || r->bytes + length > RECORD_BYTES)) {
		struct record_event *oldest = r->events + r->kept;
		r->event_count--;
		r->dropped++;
		r->bytes -= oldest->text.n;
		free((void *)(uintptr_t)oldest->text.p);
		memmove(oldest, oldest + 1, (r->event_count - r->kept) * sizeof *oldest);
	}
	if (r->event_count == r->event_room) {
		r->event_room = r->event_room ? 2 * r->event_room : 8;
		r->events = mem_resize(r->events, r->event_room, sizeof *r->events);
	}
}

void record_add(struct record *r, enum record_event_kind kind, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	size_t length = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
	clean(text, length);
	make_room(r, length);
	char *copy = mem_new(length + 1);
	memcpy(copy, text, length);
	r->events[r->event_count++] = (struct record_event){
		.ms = (uint32_t)(clock_steady_ms() - r->steady_ms),
		.kind = kind,
		.text = str_make(copy, length),
	};
	r->bytes += length;
	if (r->event_count <= RECORD_EVENTS / 2 && r->bytes <= RECORD_BYTES / 2)
		r->kept = r->event_count;
}

void record_message(struct record *r, uint64_t queue_id)
{
	if (r->message_count < RECORD_MESSAGES)
		r->messages[r->message_count] = queue_id;
	r->message_count++;
}

const char *record_event_name(enum record_event_kind kind)
{
	static const char *const name[] = {
		"note", "dns", "connect", "sent", "received", "tls", "certificate", "verdict", "error"};
	return name[kind];
}

void xfer_record(struct xfer *x, struct record *r)
{
	xfer_enum(x, &r->kind, RECORD_ATTEMPT);
	xfer_u64(x, &r->id);
	xfer_i64(x, &r->started_ms);
	xfer_str(x, &r->peer, PEER_MAX);
	xfer_u32(x, &r->message_count);
	uint32_t known = r->message_count < RECORD_MESSAGES ? r->message_count : RECORD_MESSAGES;
	for (uint32_t i = 0; i < known; i++)
		xfer_u64(x, &r->messages[i]);
	xfer_u32(x, &r->dropped);
	xfer_list(x, &r->events, &r->event_count, sizeof *r->events, RECORD_EVENTS);
	for (uint32_t i = 0; i < r->event_count; i++) {
		xfer_u32(x, &r->events[i].ms);
		xfer_enum(x, &r->events[i].kind, EVENT_LAST);
		xfer_str(x, &r->events[i].text, TEXT_MAX);
	}
	if (x->reading)
		r->arena = x->arena;
}
