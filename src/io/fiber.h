/* fiber: a stackful coroutine, so that a session is written straight down. A fiber has a name, a
 * wait reason and a start time, never changes its thread, and runs until it waits or returns.
 * Outside a fiber the waiting calls block, so the same code runs in a unit test.
 *
 * Invariants:
 *   F1  The OpenSSL error queue is empty at every switch (asserted): it is per thread, not per fiber.
 *   F2  errno is the fiber's own: saved and restored at the switch.
 *   F3  The log context is the fiber's own.
 *   F4  A fiber that was woken runs from the loop, never inside the waker.
 * Stacks are small (FIBER_STACK): big buffers live on the heap. */
#ifndef IO_FIBER_H
#define IO_FIBER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct fiber;

/* Runs fn(arg) in a new fiber, from the loop. `name` is copied (log and `fibers` show it). */
struct fiber *fiber_start(const char *name, void (*fn)(void *), void *arg);
/* NULL outside a fiber. */
struct fiber *fiber_self(void);
/* Fibers alive in this process. */
unsigned fiber_count(void);
/* Gives back to the kernel what stacks hold that nobody needs now: below the point where a fiber has
 * been parked for `idle_ms`, and those kept for new fibers that were not needed since the last call.
 * Call now and then. */
void fiber_trim(int64_t idle_ms);

enum { FIBER_NEVER = -1 };

/* Parks the running fiber until fiber_wake() or until `timeout_ms` is over (FIBER_NEVER: none).
 * `reason` is a literal: what it waits for, as a sentence fragment ("for the reply to RCPT").
 * Returns false on time-out. Only inside a fiber. */
bool fiber_park(const char *reason, int64_t timeout_ms);
/* Makes a parked fiber run again soon; does nothing if it is not parked. */
void fiber_wake(struct fiber *f);
/* Lets time pass: parks in a fiber, sleeps outside. */
void fiber_sleep(const char *reason, int64_t ms);

/* Calls fn(arg) on the loop's own stack and returns when it has: for libraries that put large buffers
 * on the stack. Inside fn nothing is a fiber: what waits, blocks. */
void fiber_call_deep(void (*fn)(void *), void *arg);

/* Waiting for a descriptor. One fiber_fd per descriptor, registered edge-triggered with the loop at
 * the first wait inside a fiber; the caller tries its call first and waits on EAGAIN. One reader and
 * one writer may wait at a time. */
struct fiber_fd;
struct fiber_fd *fiber_fd_new(int fd);
/* Forgets the descriptor, does not close it. No fiber may be waiting. */
void fiber_fd_free(struct fiber_fd *w);
enum fiber_dir { FIBER_READ, FIBER_WRITE };
/* True when ready, false on time-out. */
bool fiber_fd_wait(struct fiber_fd *w, enum fiber_dir dir, const char *reason, int64_t timeout_ms);
/* The loop has heard that the peer closed its side: what comes before that must be read without
 * waiting, as no other edge will follow. */
bool fiber_fd_hung_up(const struct fiber_fd *w);

/* A check to run at every switch (F1), set once by the code that uses OpenSSL; NULL: none. */
void fiber_check_switches(void (*check)(const char *fiber));

/* Walks the fibers alive (for `fibers`): start with *at = NULL; NULL at the end. */
struct fiber_info {
	const char *name;
	const char *reason; /* "running" for the running one */
	int64_t started_ms; /* wall clock */
	int64_t waiting_ms; /* for how long */
	int64_t left_ms;    /* until it gives up waiting; FIBER_NEVER: it does not */
};
struct fiber *fiber_next(struct fiber *at, struct fiber_info *ret);

#endif
