#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

enum { LINE_MAX_BYTES = 1600 };

static int out = STDERR_FILENO;
static enum log_level max_level = LOG_INFO;
static struct log_context nobody;
static _Thread_local struct log_context *current;
/* Lines that were not written; those of them that no line has told of yet; the last one was cut. */
static atomic_ullong lost, untold;
static atomic_bool torn;

void log_open(int fd, enum log_level level)
{
	out = fd;
	max_level = level;
}

void log_set_level(enum log_level level)
{
	max_level = level;
}

/* Under the number of the one before: another thread may be about to write, and a number that was
 * closed may by then be a database's. */
void log_reopen(int fd)
{
	if (out == STDERR_FILENO) {
		out = fd;
		return;
	}
	dup3(fd, out, O_CLOEXEC);
	close(fd);
}

uint64_t log_lost(void)
{
	return lost;
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

/* ---- the line ---- */

struct line {
	char text[LINE_MAX_BYTES];
	size_t n;
};

enum { TAIL = 80 }; /* room for file and line number */

static void add(struct line *l, const char *p, size_t n)
{
	size_t room = sizeof l->text - TAIL - l->n;
	if (n > room)
		n = room;
	memcpy(l->text + l->n, p, n);
	l->n += n;
}

/* What came from outside stands in strings. A quote in one would end a value early and let the rest
 * pass for values of ours. */
static void add_string(struct line *l, const char *p, size_t n)
{
	size_t from = l->n;
	add(l, p, n);
	ascii_clean(l->text + from, l->n - from);
	for (size_t i = from; i < l->n; i++)
		if (l->text[i] == '"')
			l->text[i] = '\'';
}

static void add_number(struct line *l, bool is_signed, unsigned long long value)
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, is_signed ? "%lld" : "%llu", value);
	add(l, digits, (size_t)n);
}

/* conversion = "%" ( "%" / [ "." ( "*" / 1*DIGIT ) ] "s" / [ "l" / "ll" / "z" ] ( "d" / "u" ) )
 * Adds the value of the one that stands behind the "%" at `at`; returns what follows. Other
 * conversions no line has needed yet. */
static const char *add_value(struct line *l, const char *at, va_list *ap)
{
	uint64_t precision = SIZE_MAX;
	if (*at == '.') {
		size_t n = strspn(++at, "*0123456789");
		if (*at == '*')
			precision = (uint64_t)va_arg(*ap, int);
		else
			str_to_u64(str_make(at, n), SIZE_MAX, &precision);
		at += n;
	}
	size_t longs = strspn(at, "l"), sizes = strspn(at, "z");
	at += longs + sizes;
	if (*at == '%') {
		add(l, at, 1);
	} else if (*at == 's') {
		const char *s = va_arg(*ap, const char *);
		if (precision > 0) /* an empty slice may have no address */
			add_string(l, s, strnlen(s, precision));
	} else if (*at == 'd') {
		long long v = longs > 1 ? va_arg(*ap, long long)
			: longs             ? va_arg(*ap, long)
								: va_arg(*ap, int);
		add_number(l, true, (unsigned long long)v);
	} else {
		assert(*at == 'u');
		add_number(l, false,
			longs > 1   ? va_arg(*ap, unsigned long long)
				: longs ? va_arg(*ap, unsigned long)
				: sizes ? va_arg(*ap, size_t)
						: va_arg(*ap, unsigned));
	}
	return at + 1;
}

static void add_format(struct line *l, const char *fmt, va_list *ap)
{
	while (*fmt) {
		size_t plain = strcspn(fmt, "%");
		add(l, fmt, plain);
		fmt += plain;
		if (*fmt)
			fmt = add_value(l, fmt + 1, ap);
	}
}

/* All but the values. */
static void begin(struct line *l, enum log_level level, const char *event)
{
	char time[CLOCK_TEXT];
	const struct log_context *c = log_context();
	int n = snprintf(l->text, sizeof l->text - TAIL, "%s [%d:%s] %c %s",
		clock_rfc3339(clock_wall_ms(), time), (int)getpid(), c->fiber[0] ? c->fiber : "main",
		"EWID"[level], event);
	n += add_ids(l->text + n, sizeof l->text - TAIL - (size_t)n, c);
	l->n = (size_t)n;
	add(l, " ", 1);
}

/* ---- where it goes ---- */

/* One write, so that lines of several processes do not mix. False: it is not there, or cut. */
static bool put(const char *text, size_t n)
{
	ssize_t done;
	while ((done = write(out, text, n)) < 0 && errno == EINTR)
		;
	if (done > 0 && done < (ssize_t)n)
		torn = true;
	return done == (ssize_t)n;
}

/* A full disk must not stop the mail: the line goes. */
static void lose(void)
{
	lost++;
	untold++;
}

/* Says how many lines are missing here. What was cut gets its line end at last. */
static bool tell_lost(void)
{
	struct line line;
	unsigned long long n = atomic_exchange(&untold, 0);
	begin(&line, LOG_ERROR, "log.lost");
	int tail = snprintf(
		line.text + line.n, sizeof line.text - line.n, "lines=%llu (log.c:%d)\n", n, __LINE__);
	if (torn && put("\n", 1))
		torn = false;
	if (put(line.text, line.n + (size_t)tail))
		return true;
	untold += n;
	return false;
}

void log_write(
	enum log_level level, const char *file, int line_no, const char *event, const char *fmt, ...)
{
	if (level > max_level)
		return;
	int saved_errno = errno;
	struct line line;
	const char *base = strrchr(file, '/');
	if (atomic_load_explicit(&untold, memory_order_relaxed) && !tell_lost()) {
		lose();
		errno = saved_errno;
		return;
	}
	begin(&line, level, event);
	va_list ap;
	va_start(ap, fmt);
	add_format(&line, fmt, &ap);
	va_end(ap);
	int tail = snprintf(line.text + line.n, sizeof line.text - line.n, " (%.50s:%d)\n",
		base ? base + 1 : file, line_no);
	if (!put(line.text, line.n + (size_t)tail))
		lose();
	errno = saved_errno;
}
