#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/str.h"

static void set(struct err *err, enum err_kind kind, const char *peer, const char *fmt, va_list ap)
{
	if (!err)
		return;
	err->kind = kind;
	vsnprintf(err->log, sizeof err->log, fmt, ap);
	/* A name or label in it may be a stranger's, and the text goes to logs, answers, terminals. */
	ascii_clean(err->log, strlen(err->log));
	snprintf(
		err->peer, sizeof err->peer, "%.*s", (int)sizeof err->peer - 1, peer ? peer : err->log);
}

int err_temp(struct err *err, const char *peer, const char *log_fmt, ...)
{
	va_list ap;
	va_start(ap, log_fmt);
	set(err, ERR_TEMP, peer, log_fmt, ap);
	va_end(ap);
	return -1;
}

int err_full(struct err *err, const char *log_fmt, ...)
{
	va_list ap;
	va_start(ap, log_fmt);
	set(err, ERR_FULL, "insufficient system storage", log_fmt, ap);
	va_end(ap);
	return -1;
}

int err_perm(struct err *err, const char *peer, const char *log_fmt, ...)
{
	va_list ap;
	va_start(ap, log_fmt);
	set(err, ERR_PERM, peer, log_fmt, ap);
	va_end(ap);
	return -1;
}

int err_say(struct err *err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	set(err, ERR_PERM, NULL, fmt, ap);
	va_end(ap);
	return -1;
}
