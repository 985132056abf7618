#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

enum { LINE_MAX_BYTES = 1600 };

static int out = STDERR_FILENO;
static enum log_level max_level = LOG_INFO;
static struct log_context nobody;
static _Thread_local struct log_context *current;

void log_open(int fd, enum log_level level)
{
	out = fd;
	max_level = level;
}

void log_set_level(enum log_level level)
{
	max_level = level;
}

void log_reopen(int fd)
{
	if (out != STDERR_FILENO)
		close(out);
	out = fd;
}

void log_set_context(struct log_context *context)
{
	current = context;
}

struct log_context *log_context(void)
{
	return current ? current : &nobody;
}

static int add_ids(char *line, size_t size, const struct log_context *c)
{
	int n = 0;
	if (c->session[0])
		n = snprintf(line, size, " sid=%s", c->session);
	if (c->message[0])
		n += snprintf(line + n, size - (size_t)n, " mid=%s", c->message);
	return n;
}

void log_write(
	enum log_level level, const char *file, int line_no, const char *event, const char *fmt, ...)
{
	if (level > max_level)
		return;
	int saved_errno = errno;
	char line[LINE_MAX_BYTES], time[CLOCK_TEXT];
	const struct log_context *c = log_context();
	const char *base = strrchr(file, '/');
	int n = snprintf(line, sizeof line, "%s [%d:%s] %c %s", clock_rfc3339(clock_wall_ms(), time),
		(int)getpid(), c->fiber[0] ? c->fiber : "main", "EWID"[level], event);
	n += add_ids(line + n, sizeof line - (size_t)n, c);
	line[n++] = ' ';
	enum { TAIL = 80 };
	va_list ap;
	va_start(ap, fmt);
	int text = vsnprintf(line + n, sizeof line - TAIL - (size_t)n, fmt, ap);
	va_end(ap);
	if (text > (int)sizeof line - TAIL - n - 1)
		text = (int)sizeof line - TAIL - n - 1;
	ascii_clean(line + n, text > 0 ? (size_t)text : 0);
	n += text;
	n += snprintf(
		line + n, sizeof line - (size_t)n, " (%.50s:%d)\n", base ? base + 1 : file, line_no);
	ssize_t done = write(out, line, (size_t)n);
	(void)done; /* a full disk must not stop the mail; store reports it */
	errno = saved_errno;
}
