#include "io/loop.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/watchdog.h"

static struct event_base *base;
static void (*before_done)(void);

void loop_init(void)
{
	struct event_config *config = event_config_new();
	if (config) {
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (!base) {
		fprintf(stderr, "letterlock: the kernel gives no event loop (epoll)\n");
		abort();
	}
}

void loop_run(void)
{
	event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
}

void loop_stop(void)
{
	event_base_loopbreak(base);
}

struct event_base *loop_base(void)
{
	return base;
}

void loop_on_done(void (*fn)(void))
{
	before_done = fn;
}

void loop_done(void)
{
	if (before_done)
		before_done();
	before_done = NULL;
	event_base_free(base);
	base = NULL;
}

struct loop_timer {
	struct event *event;
	void (*fn)(void *);
	void *arg;
};

static void timer_fired(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *t = arg;
	(void)fd, (void)what;
	watchdog_begin();
	t->fn(t->arg);
	watchdog_end("main", "a timer", "the next turn");
}

struct loop_timer *loop_timer_new(void (*fn)(void *), void *arg)
{
	struct loop_timer *t = mem_new(sizeof *t);
	t->fn = fn;
	t->arg = arg;
	t->event = evtimer_new(base, timer_fired, t);
	if (!t->event)
		mem_exhausted(sizeof *t);
	return t;
}

void loop_timer_start(struct loop_timer *t, int64_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	evtimer_add(t->event, &tv);
}

void loop_timer_free(struct loop_timer *t)
{
	if (!t)
		return;
	event_free(t->event);
	free(t);
}

struct on_signal {
	void (*fn)(void *);
	void *arg;
};

static void signal_came(evutil_socket_t signo, short what, void *arg)
{
	struct on_signal *s = arg;
	(void)signo, (void)what;
	watchdog_begin();
	s->fn(s->arg);
	watchdog_end("main", "a signal", "the next turn");
}

void loop_on_signal(int signo, void (*fn)(void *), void *arg)
{
	struct on_signal *s = mem_new(sizeof *s);
	*s = (struct on_signal){fn, arg};
	struct event *event = evsignal_new(base, signo, signal_came, s);
	if (!event || evsignal_add(event, NULL) != 0)
		mem_exhausted(sizeof *s);
}
