/* A fiber begins by ucontext and then switches by _setjmp() and _longjmp(), which leave the signal
 * mask alone: swapcontext() costs a system call each way. Hardened, _longjmp() takes a jump to another
 * stack for a broken one and aborts. */
#undef _FORTIFY_SOURCE

#include "io/fiber.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"
#include "io/watchdog.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
enum { FIBER_STACK = 256 * 1024 };
#else
enum { FIBER_STACK = 64 * 1024 };
#endif
enum { GUARD = 4096, FIBERS_KEPT = 64, SWITCH_MAX = 512 /* of stack that a switch takes */ };

enum state { READY, RUNNING, PARKED, ENDED };

struct fiber {
	jmp_buf place; /* where it left off, once it has begun */
	char *stack;   /* the mapping: guard page, then the stack */
	bool begun;
	void (*fn)(void *);
	void *arg;
	enum state state;
	bool timed_out;
	void (*deep)(void *); /* to be called on the loop's stack, then it goes on */
	void *deep_arg;
	struct event *timer; /* made at the first wait with a time-out */
	const char *reason;
	int64_t started_ms, parked_ms;
	int64_t until_ms;   /* steady clock: the time-out of this wait, or FIBER_NEVER */
	char *parked_at;    /* on its stack; what is well below is not in use */
	int64_t trimmed_ms; /* the parked_ms for which that was given back */
	struct log_context log;
	struct fiber *next_ready;
	struct fiber *prev, *next; /* all fibers alive */
#ifdef __SANITIZE_ADDRESS__
	void *fake_stack;
#endif
};

/* Of the thread with the loop; to all other threads there is no fiber, so their calls block. */
static _Thread_local struct {
	jmp_buf place; /* where the loop waits for the fiber that runs */
	struct fiber *running;
	struct fiber *all;
	unsigned count;
	struct fiber *ready_first, *ready_last;
	struct event *run_ready;
	bool in_turn;                    /* inside run_ready() */
	struct fiber *kept[FIBERS_KEPT]; /* ended; each waits in fiber_main() for another function */
	unsigned kept_count;
	unsigned unneeded; /* so many were kept all the time since fiber_trim() */
	void (*check)(const char *fiber);
#ifdef __SANITIZE_ADDRESS__
	void *main_fake_stack;
	const void *main_stack;
	size_t main_stack_size;
#endif
} sched;

void fiber_check_switches(void (*check)(const char *fiber))
{
	sched.check = check;
}

struct fiber *fiber_self(void)
{
	return sched.running;
}

unsigned fiber_count(void)
{
	return sched.count;
}

/* ---- the one switch point ---- */

static void fiber_main(void);

/* Onto the stack of a fiber that has not begun. A context is needed this once only. This frame is
 * never returned to, so it holds nothing (ASan would take its borders for those of later frames). */
static void begin_fiber(struct fiber *f)
{
	static _Thread_local ucontext_t context, unused;
	f->begun = true;
	getcontext(&context);
	context.uc_stack.ss_sp = f->stack + GUARD;
	context.uc_stack.ss_size = FIBER_STACK;
	makecontext(&context, fiber_main, 0);
	swapcontext(&unused, &context);
}

static void enter_fiber(struct fiber *f)
{
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_start_switch_fiber(&sched.main_fake_stack, f->stack + GUARD, FIBER_STACK);
#endif
	if (_setjmp(sched.place) == 0) {
		if (f->begun)
			_longjmp(f->place, 1);
		begin_fiber(f);
	}
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_finish_switch_fiber(sched.main_fake_stack, NULL, NULL);
#endif
}

static void leave_fiber(struct fiber *f)
{
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_start_switch_fiber(&f->fake_stack, sched.main_stack, sched.main_stack_size);
#endif
	if (_setjmp(f->place) == 0)
		_longjmp(sched.place, 1);
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_finish_switch_fiber(f->fake_stack, &sched.main_stack, &sched.main_stack_size);
#endif
}

/* A fiber that is kept after its end goes on here with its next function. */
static void fiber_main(void)
{
	struct fiber *f = sched.running;
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_finish_switch_fiber(NULL, &sched.main_stack, &sched.main_stack_size);
#endif
	for (;;) {
		f->fn(f->arg);
		if (sched.check)
			sched.check(f->log.fiber);
		f->state = ENDED;
		leave_fiber(f);
	}
}

/* ---- birth and end ---- */

static struct fiber *fiber_get(void)
{
	if (sched.kept_count) {
		struct fiber *kept = sched.kept[--sched.kept_count];
		if (sched.unneeded > sched.kept_count)
			sched.unneeded = sched.kept_count;
		return kept;
	}
	struct fiber *f = mem_new(sizeof *f);
	f->stack = mmap(NULL, FIBER_STACK + GUARD, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
	if (f->stack == MAP_FAILED || mprotect(f->stack, GUARD, PROT_NONE) != 0)
		mem_exhausted(FIBER_STACK);
	return f;
}

static void fiber_free(struct fiber *f)
{
	munmap(f->stack, FIBER_STACK + GUARD);
	free(f);
}

static void fiber_put(struct fiber *f)
{
	if (sched.kept_count < FIBERS_KEPT) {
		sched.kept[sched.kept_count++] = f;
		return;
	}
	fiber_free(f);
}

static void fiber_end(struct fiber *f)
{
	if (f->prev)
		f->prev->next = f->next;
	else
		sched.all = f->next;
	if (f->next)
		f->next->prev = f->prev;
	sched.count--;
	if (f->timer)
		event_free(f->timer);
	f->timer = NULL;
	fiber_put(f);
}

static void trim_parked(struct fiber *f)
{
	char *low = f->stack + GUARD;
	size_t unused = (size_t)(f->parked_at - low);
	f->trimmed_ms = f->parked_ms;
	if (unused > SWITCH_MAX)
		madvise(low, (unused - SWITCH_MAX) & ~(size_t)(GUARD - 1), MADV_DONTNEED);
}

void fiber_trim(int64_t idle_ms)
{
	int64_t until = clock_steady_ms() - idle_ms;
	for (struct fiber *f = sched.all; f; f = f->next)
		if (f->state == PARKED && f->parked_ms <= until && f->trimmed_ms != f->parked_ms)
			trim_parked(f);
	unsigned needed = sched.kept_count - sched.unneeded;
	for (unsigned i = 0; i < sched.unneeded; i++)
		fiber_free(sched.kept[i]);
	memmove(sched.kept, sched.kept + sched.unneeded, needed * sizeof *sched.kept);
	sched.kept_count = sched.unneeded = needed;
}

static void run(struct fiber *f)
{
	int saved_errno = errno;
	const char *after = f->reason;
	watchdog_begin();
	f->state = RUNNING;
	log_set_context(&f->log);
	do {
		if (f->deep)
			f->deep(f->deep_arg);
		f->deep = NULL;
		sched.running = f;
		enter_fiber(f);
		sched.running = NULL;
	} while (f->deep);
	watchdog_end(f->log.fiber, after, f->state == ENDED ? "its end" : f->reason);
	log_set_context(NULL);
	errno = saved_errno;
	if (f->state == ENDED)
		fiber_end(f);
}

/* Only those that are ready now; those they wake come with the next turn of the loop, after it has
 * looked at descriptors and timers. */
static void run_ready(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	struct fiber *f = sched.ready_first;
	sched.ready_first = sched.ready_last = NULL;
	sched.in_turn = true;
	while (f) {
		struct fiber *next = f->next_ready;
		f->next_ready = NULL;
		run(f);
		f = next;
	}
	sched.in_turn = false;
}

static void forget_loop(void)
{
	event_free(sched.run_ready);
	sched.run_ready = NULL;
}

static void make_ready(struct fiber *f)
{
	f->state = READY;
	if (sched.ready_last)
		sched.ready_last->next_ready = f;
	else
		sched.ready_first = f;
	sched.ready_last = f;
	if (sched.ready_first != f)
		return;
	/* What is made active while events run, runs in the same turn; a timer waits for the next. */
	if (sched.in_turn)
		event_add(sched.run_ready, &(struct timeval){0});
	else
		event_active(sched.run_ready, EV_TIMEOUT, 0);
}

struct fiber *fiber_start(const char *name, void (*fn)(void *), void *arg)
{
	if (!sched.run_ready) {
		sched.run_ready = event_new(loop_base(), -1, 0, run_ready, NULL);
		if (!sched.run_ready)
			mem_exhausted(0);
		loop_on_done(forget_loop);
	}
	struct fiber *f = fiber_get();
	f->fn = fn;
	f->arg = arg;
	f->reason = "to start";
	f->started_ms = clock_wall_ms();
	f->parked_ms = clock_tick_ms();
	f->until_ms = FIBER_NEVER;
	f->log = (struct log_context){0};
	str_to_c(str_from_c(name), f->log.fiber, sizeof f->log.fiber);
	f->prev = NULL;
	f->next = sched.all;
	if (sched.all)
		sched.all->prev = f;
	sched.all = f;
	sched.count++;
	make_ready(f);
	return f;
}

static void timer_fired(evutil_socket_t fd, short what, void *arg)
{
	struct fiber *f = arg;
	(void)fd, (void)what;
	if (f->state == PARKED) {
		f->timed_out = true;
		make_ready(f);
	}
}

bool fiber_park(const char *reason, int64_t timeout_ms)
{
	struct fiber *f = sched.running;
	assert(f);
	if (sched.check)
		sched.check(f->log.fiber);
	int saved_errno = errno;
	f->reason = reason;
	f->parked_ms = clock_tick_ms();
	f->until_ms = timeout_ms < 0 ? FIBER_NEVER : f->parked_ms + timeout_ms;
	f->parked_at = __builtin_frame_address(0);
	f->state = PARKED;
	f->timed_out = false;
	if (timeout_ms >= 0) {
		if (!f->timer)
			f->timer = evtimer_new(loop_base(), timer_fired, f);
		struct timeval tv = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
		evtimer_add(f->timer, &tv);
	}
	leave_fiber(f);
	if (timeout_ms >= 0 && !f->timed_out)
		evtimer_del(f->timer);
	f->reason = "running";
	errno = saved_errno;
	return !f->timed_out;
}

void fiber_wake(struct fiber *f)
{
	if (f->state == PARKED)
		make_ready(f);
}

void fiber_sleep(const char *reason, int64_t ms)
{
	if (sched.running) {
		fiber_park(reason, ms);
		return;
	}
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		;
}

void fiber_call_deep(void (*fn)(void *), void *arg)
{
	struct fiber *f = sched.running;
	if (!f) {
		fn(arg);
		return;
	}
	f->deep = fn;
	f->deep_arg = arg;
	leave_fiber(f);
}

struct fiber *fiber_next(struct fiber *at, struct fiber_info *ret)
{
	struct fiber *f = at ? at->next : sched.all;
	if (!f)
		return NULL;
	bool waits = f->state == PARKED;
	int64_t now = clock_tick_ms();
	*ret = (struct fiber_info){
		.name = f->log.fiber,
		.reason = f->state == RUNNING ? "running" : f->reason,
		.started_ms = f->started_ms,
		.waiting_ms = f->state == RUNNING ? 0 : now - f->parked_ms,
		.left_ms = !waits || f->until_ms < 0 ? FIBER_NEVER
			: f->until_ms > now              ? f->until_ms - now
											 : 0,
	};
	return f;
}

/* ---- descriptors ---- */

struct fiber_fd {
	int fd;
	short registered; /* EV_READ, EV_WRITE */
	struct event *event;
	bool edge[2]; /* came while nobody waited */
	bool hung_up; /* the peer said that nothing more will come */
	struct fiber *waiter[2];
};

struct fiber_fd *fiber_fd_new(int fd)
{
	struct fiber_fd *w = mem_new(sizeof *w);
	w->fd = fd;
	return w;
}

void fiber_fd_free(struct fiber_fd *w)
{
	if (!w)
		return;
	assert(!w->waiter[FIBER_READ] && !w->waiter[FIBER_WRITE]);
	if (w->event)
		event_free(w->event);
	free(w);
}

static void came(struct fiber_fd *w, enum fiber_dir dir)
{
	w->edge[dir] = true;
	if (w->waiter[dir])
		fiber_wake(w->waiter[dir]);
}

static void edge(evutil_socket_t fd, short what, void *arg)
{
	struct fiber_fd *w = arg;
	(void)fd;
	w->hung_up |= (what & EV_CLOSED) != 0;
	if (what & (EV_READ | EV_CLOSED))
		came(w, FIBER_READ);
	if (what & EV_WRITE)
		came(w, FIBER_WRITE);
}

static void watch(struct fiber_fd *w, enum fiber_dir dir)
{
	short want = dir == FIBER_READ ? EV_READ | EV_CLOSED : EV_WRITE;
	if (w->registered & want)
		return;
	if (w->event)
		event_free(w->event);
	w->registered |= want;
	w->event = event_new(loop_base(), w->fd, (short)(w->registered | EV_PERSIST | EV_ET), edge, w);
	if (!w->event || event_add(w->event, NULL) != 0)
		mem_exhausted(0);
}

bool fiber_fd_hung_up(const struct fiber_fd *w)
{
	return w->hung_up;
}

bool fiber_fd_wait(struct fiber_fd *w, enum fiber_dir dir, const char *reason, int64_t timeout_ms)
{
	if (!sched.running) {
		struct pollfd p = {.fd = w->fd, .events = dir == FIBER_READ ? POLLIN : POLLOUT};
		int ms = timeout_ms < 0 || timeout_ms > INT32_MAX ? -1 : (int)timeout_ms;
		int n;
		while ((n = poll(&p, 1, ms)) < 0 && errno == EINTR)
			;
		return n > 0;
	}
	watch(w, dir);
	int64_t until = timeout_ms < 0 ? 0 : clock_steady_ms() + timeout_ms;
	assert(!w->waiter[dir]);
	w->waiter[dir] = sched.running;
	bool in_time = true;
	while (!w->edge[dir] && in_time) {
		int64_t left = timeout_ms < 0 ? FIBER_NEVER : until - clock_steady_ms();
		in_time = fiber_park(reason, left < 0 && timeout_ms >= 0 ? 0 : left);
	}
	w->waiter[dir] = NULL;
	bool ready = w->edge[dir];
	w->edge[dir] = false;
	return ready;
}
