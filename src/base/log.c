#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"

static int out = STDERR_FILENO;
static enum log_level max_level = LOG_INFO;
static pid_t pid;
static struct log_context nobody;
static _Thread_local struct log_context *current;
/* Lines that were not written; those of them that no line has told of yet; the last one was cut. */
static atomic_ullong lost, untold;
static atomic_bool torn;

void log_open(int fd, enum log_level level)
{
	out = fd;
	max_level = level;
	pid = getpid(); /* not a system call for each line */
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

/* ---- the line ---- */

enum {
	LINE_MAX_BYTES = 1600,
	FILE_SHOWN = 50,
	TAIL = FILE_SHOWN + 30, /* room for file and line number */
};

struct line {
	char text[LINE_MAX_BYTES];
	size_t n, room;
};

static void add(struct line *l, const char *p, size_t n)
{
	if (n > l->room - l->n)
		n = l->room - l->n;
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
	size_t at = sizeof digits;
	bool negative = is_signed && (long long)value < 0;
	if (negative)
		value = -value;
	do
		digits[--at] = (char)('0' + value % 10);
	while (value /= 10);
	if (negative)
		digits[--at] = '-';
	add(l, digits + at, sizeof digits - at);
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

static void add_c(struct line *l, const char *s)
{
	add(l, s, strlen(s));
}

/* All but the values. */
static void begin(struct line *l, enum log_level level, const char *event)
{
	char time[CLOCK_TEXT];
	const char level_text[] = {' ', "EWID"[level], ' ', 0};
	const struct log_context *c = log_context();
	l->n = 0;
	l->room = sizeof l->text - TAIL;
	add_c(l, clock_rfc3339(clock_wall_ms(), time));
	add_c(l, " [");
	add_number(l, false, (unsigned long long)(pid ? pid : getpid()));
	add_c(l, ":");
	add_c(l, c->fiber[0] ? c->fiber : "main");
	add_c(l, "]");
	add_c(l, level_text);
	add_c(l, event);
	if (c->session[0]) {
		add_c(l, " sid=");
		add_c(l, c->session);
	}
	if (c->message[0]) {
		add_c(l, " mid=");
		add_c(l, c->message);
	}
	add_c(l, " ");
}

/* " (smtp_server.c:321)" and the line end, into the room that was kept for them. */
static void end(struct line *l, const char *file, int line_no)
{
	const char *slash = strrchr(file, '/');
	l->room = sizeof l->text;
	add_c(l, " (");
	add(l, slash ? slash + 1 : file, strnlen(slash ? slash + 1 : file, FILE_SHOWN));
	add_c(l, ":");
	add_number(l, true, (unsigned long long)line_no);
	add_c(l, ")\n");
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
	add_c(&line, "lines=");
	add_number(&line, false, n);
	end(&line, __FILE__, __LINE__);
	if (torn && put("\n", 1))
		torn = false;
	if (put(line.text, line.n))
		return true;
	untold += n;
	return false;
}

static void write_line(struct line *l, enum log_level level, const char *file, int line_no,
	const char *event, const char *fmt, va_list *ap)
{
	if (atomic_load_explicit(&untold, memory_order_relaxed) && !tell_lost()) {
		lose();
		return;
	}
	begin(l, level, event);
	add_format(l, fmt, ap);
	end(l, file, line_no);
	if (!put(l->text, l->n))
		lose();
}

/* By a signal handler, while the thread's own line is being built. */
__attribute__((noinline)) static void write_amid_another(enum log_level level, const char *file,
	int line_no, const char *event, const char *fmt, va_list *ap)
{
	struct line line;
	write_line(&line, level, file, line_no, event, fmt, ap);
}

void log_write(
	enum log_level level, const char *file, int line_no, const char *event, const char *fmt, ...)
{
	if (level > max_level)
		return;
	int saved_errno = errno;
	/* Not on the stack: stacks are small, and what they touched stays theirs. */
	static _Thread_local struct line line;
	static _Thread_local volatile sig_atomic_t building;
	va_list ap;
	va_start(ap, fmt);
	if (building) {
		write_amid_another(level, file, line_no, event, fmt, &ap);
	} else {
		building = 1;
		atomic_signal_fence(memory_order_seq_cst);
		write_line(&line, level, file, line_no, event, fmt, &ap);
		atomic_signal_fence(memory_order_seq_cst);
		building = 0;
	}
	va_end(ap);
	errno = saved_errno;
}
