/* watchdog: notices what keeps the loop of a process to itself, so that all others wait. A slice is
 * what runs without giving the loop a turn: a fiber until it waits, or the call of a timer.
 *
 *   watchdog.slow   a slice took WATCHDOG_SLICE_MS or more; told when it is over
 *   watchdog.stuck  a slice has used up WATCHDOG_STUCK_MS of CPU time and goes on; told meanwhile
 *
 * Costs two reads of the kernel's coarse clock a slice, and nothing while the process is idle: what
 * looks for an endless slice is a timer on the CPU time of the loop's thread. A slice that hangs in a
 * system call uses none; that is for serve to find, which asks each role whether it is alive. */
#ifndef IO_WATCHDOG_H
#define IO_WATCHDOG_H

#include <stdint.h>

enum {
	/* A person does not notice it, a thousand sessions that wait their turn do; the coarse clock
	 * still measures it. */
	WATCHDOG_SLICE_MS = 50,
	WATCHDOG_STUCK_MS = 500,
};

/* Begins to look for endless slices of the calling thread, which runs the loop; before the walls go
 * up. `role` is copied: log lines name it. Without it slow slices are told all the same. */
void watchdog_start(const char *role);
/* Around each slice, on the loop's thread only. `who` is a fiber's name, or what else ran; `after` and
 * `then`: what it had waited for before and waits for now. */
void watchdog_begin(void);
void watchdog_end(const char *who, const char *after, const char *then);
/* Slow slices since the process began. */
uint64_t watchdog_slow(void);

#endif
