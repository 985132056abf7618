/* log: one line per event, written at once to a descriptor that was handed over.
 *
 *   2026-11-21T19:13:33.123Z [412:smtp-17] I smtp.accept sid=… mid=… size=4096 (smtp_server.c:321)
 *
 * Milliseconds, [process:fiber or thread], level (E W I D), event, the session and message at work,
 * key=value, source file and line. An event is a module, a dot and a name: a constant that tests and
 * metrics use too.
 * Values that came from outside may hold anything: in strings, control characters are written as '?'
 * and quotes as apostrophes, so nobody can forge a line, or end a value that stands in quotes. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/str.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* What is at work now; a fiber switch changes it with log_context(). Texts may be empty. */
struct log_context {
	char fiber[24];
	char session[24];
	char message[24];
};

/* Lines go to `fd` (at first standard error) up to and including `level`. */
void log_open(int fd, enum log_level level);
void log_set_level(enum log_level level);
/* The same level, into another file, which is taken over: under the descriptor of the one before,
 * unless that is standard error. No line of any thread goes astray meanwhile. */
void log_reopen(int fd);
/* Lines that could not be written, say for a full disk, since the process began. The next one that
 * can be is preceded by one that says how many. */
uint64_t log_lost(void);
/* Sets whom the following lines speak of; NULL for nobody. The struct stays the caller's. */
void log_set_context(struct log_context *context);
/* Never NULL: where the running session may note its ids. */
struct log_context *log_context(void);
/* May be called by a signal handler. Of conversions takes %s, with a precision, and %d and %u, with l, ll or z. */
void log_write(enum log_level level, const char *file, int line, const char *event, const char *fmt,
	...) __attribute__((format(printf, 5, 6)));

/* Macros, because file and line are the caller's. */
#define log_error(event, ...) log_write(LOG_ERROR, __FILE__, __LINE__, event, __VA_ARGS__)
#define log_warn(event, ...) log_write(LOG_WARN, __FILE__, __LINE__, event, __VA_ARGS__)
#define log_info(event, ...) log_write(LOG_INFO, __FILE__, __LINE__, event, __VA_ARGS__)
#define log_debug(event, ...) log_write(LOG_DEBUG, __FILE__, __LINE__, event, __VA_ARGS__)

#endif
