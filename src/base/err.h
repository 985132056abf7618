/* err: what went wrong. It is born knowing whether trying again can help, and carries two texts:
 * one a stranger may read, one for our log. A function either logs an error or returns it. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

enum err_kind {
	ERR_NONE,
	ERR_TEMP, /* try again later: 4yz */
	ERR_FULL, /* the same, because there is no room: 452 4.3.1 */
	ERR_PERM, /* the same request will fail again: 5yz */
};

struct err {
	enum err_kind kind;
	char peer[160]; /* one line without control characters, both */
	char log[320];
};

/* Sets both texts; the log text is a format. Always returns -1, for `return err_temp(…)`.
 * `err` may be NULL. */
int err_temp(struct err *err, const char *peer, const char *log_fmt, ...)
	__attribute__((format(printf, 3, 4)));
int err_perm(struct err *err, const char *peer, const char *log_fmt, ...)
	__attribute__((format(printf, 3, 4)));
int err_full(struct err *err, const char *log_fmt, ...) __attribute__((format(printf, 2, 3)));
/* As err_perm(), one text for both readers: for errors that an administrator is told. */
int err_say(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline void err_clear(struct err *err)
{
	err->kind = ERR_NONE;
	err->peer[0] = err->log[0] = 0;
}

#endif
