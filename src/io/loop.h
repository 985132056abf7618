/* loop: the event loop of a process, on libevent. One loop a process, one thread. */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;

/* Call once, after fork and exec. Ends the process if the kernel refuses. */
void loop_init(void);
/* Runs until loop_stop(). */
void loop_run(void);
void loop_stop(void);
/* For libraries that take libevent's own handle (libunbound, evhttp). */
struct event_base *loop_base(void);
/* Frees it; tests only, a role ends with its process. */
void loop_done(void);
/* Calls fn in loop_done(), before the loop goes; for the one who keeps events of its own (fiber.c). */
void loop_on_done(void (*fn)(void));

/* A one-shot timer: fn(arg) after `ms`, outside any fiber. */
struct loop_timer;
struct loop_timer *loop_timer_new(void (*fn)(void *), void *arg);
void loop_timer_start(struct loop_timer *t, int64_t ms);
void loop_timer_free(struct loop_timer *t);

/* Calls fn(arg) outside any fiber on each arrival of `signo`. */
void loop_on_signal(int signo, void (*fn)(void *), void *arg);

#endif
