#include "cli/monitor_screen.h"

#include <stdio.h>

#include "base/clock.h"
#include "cli/mail.h"
#include "cli/table.h"

enum {
	LABEL = 9, /* columns */
	NUMBER = 9,
	SIDE_AT = LABEL + 4 * NUMBER + 3,
	HOP_NAME = 22,
	ROOMY = 32,    /* rows of a terminal that has some for blank lines */
	LIST_ROWS = 6, /* of next hops and of causes; on a small terminal fewer */
};

/* What is being drawn. */
struct drawing {
	const struct screen_look *look;
	struct arena *arena;
	struct buf *out;
	unsigned row, column;
	bool styled; /* something is emphasized now */
};

/* ---- cells ------------------------------------------------------------------------------------- */

static void begin_style(struct drawing *d, enum style style)
{
	static const char *const codes[] = {[STYLE_BOLD] = "1",
		[STYLE_DIM] = "2",
		[STYLE_GOOD] = "32",
		[STYLE_WARN] = "33",
		[STYLE_BAD] = "31"};
	if (!d->look->colours)
		return;
	buf_addf(d->out, "\033[%sm", codes[style]);
	d->styled = true;
}

static void end_style(struct drawing *d)
{
	if (d->styled)
		buf_add_c(d->out, "\033[0m");
	d->styled = false;
}

static bool is_full(const struct drawing *d)
{
	return d->look->rows && d->row >= d->look->rows;
}

/* As far as the line goes. The bytes of one character stay together. */
static void put(struct drawing *d, struct str s)
{
	if (is_full(d))
		return;
	for (size_t i = 0; i < s.n; i++) {
		bool first = ((unsigned char)s.p[i] & 0xc0) != 0x80;
		if (first && d->column == d->look->columns)
			return;
		d->column += first;
		buf_add_char(d->out, s.p[i]);
	}
}

static void putf(struct drawing *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void putf(struct drawing *d, const char *fmt, ...)
{
	struct buf b;
	va_list ap;
	buf_init(&b, 4096);
	va_start(ap, fmt);
	buf_addv(&b, fmt, ap);
	va_end(ap);
	put(d, text_clean(d->arena, buf_str(&b)));
	buf_done(&b);
}

static void put_styled(struct drawing *d, enum style style, struct str s)
{
	begin_style(d, style);
	put(d, s);
	end_style(d);
}

/* Blanks up to this column; at least one if something stands there already. */
static void go_to(struct drawing *d, unsigned column)
{
	do
		put(d, STR(" "));
	while (d->column < column && d->column < d->look->columns);
}

static unsigned width(struct str s)
{
	unsigned n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static void put_right(struct drawing *d, unsigned to, struct str s)
{
	unsigned w = width(s);
	if (d->column + w < to)
		go_to(d, to - w);
	put(d, s);
}

static void end_line(struct drawing *d)
{
	end_style(d);
	if (is_full(d))
		return;
	if (d->look->clears)
		buf_add_c(d->out, "\033[K");
	d->row++;
	d->column = 0;
	if (!is_full(d))
		buf_add_c(d->out, d->look->clears ? "\r\n" : "\n");
}

/* Between parts, where there is room for it. */
static void gap(struct drawing *d)
{
	if (d->look->rows == 0 || d->look->rows >= ROOMY)
		end_line(d);
}

static void heading(struct drawing *d, const char *text)
{
	put_styled(d, STYLE_DIM, str_from_c(text));
}

/* ---- values ------------------------------------------------------------------------------------ */

static long long number(const json_t *object, const char *member)
{
	return json_integer_value(json_object_get(object, member));
}

/* "1,234,567" */
static struct str grouped(struct arena *arena, uint64_t n)
{
	char text[32];
	size_t at = sizeof text;
	for (unsigned digits = 0; digits == 0 || n; digits++, n /= 10) {
		if (digits && digits % 3 == 0)
			text[--at] = ',';
		text[--at] = (char)('0' + n % 10);
	}
	return arena_dup(arena, str_make(text + at, sizeof text - at));
}

/* `n` in so many seconds, as a number a second: "0.02", "3.4", "1,200". */
static struct str per_second(struct arena *arena, uint64_t n, unsigned seconds)
{
	double rate = (double)n / seconds;
	if (n == 0 || seconds == 1 || rate >= 99.95)
		return grouped(arena, (uint64_t)(rate + 0.5));
	return arena_fmt(arena, rate < 0.995 ? "%.2f" : "%.1f", rate);
}

/* ---- the parts --------------------------------------------------------------------------------- */

static void draw_title(struct drawing *d)
{
	const json_t *now = d->look->now;
	char time[CLOCK_TEXT];
	put_styled(d, STYLE_BOLD, text_of(d->arena, now, "hostname"));
	putf(d, "  letterlock %.*s, up %.*s", STR_ARG(text_of(d->arena, now, "version")),
		STR_ARG(text_span(d->arena, number(now, "uptime_ms"))));
	clock_rfc3339(d->look->now_ms, time);
	put_right(d, d->look->columns,
		arena_fmt(d->arena, "%.10s %.8sZ%s", time, time + 11, d->look->clears ? "  q quits" : ""));
	end_line(d);
}

/* What is not as it should be; the first of it. */
static void draw_trouble(struct drawing *d)
{
	const json_t *degraded = json_object_get(d->look->now, "degraded");
	size_t n = json_array_size(degraded);
	struct str first = text_of(d->arena, json_array_get(degraded, 0), "text");
	if (d->look->trouble) {
		begin_style(d, STYLE_BAD);
		putf(d, "! no news: %s", d->look->trouble);
	} else if (n == 0) {
		put_styled(d, STYLE_GOOD, STR("All is as it should be."));
	} else {
		struct str more =
			n > 1 ? arena_fmt(d->arena, "  (and %zu more: letterlock status)", n - 1) : STR("");
		unsigned room = d->look->columns > width(more) + 2 ? d->look->columns - width(more) - 2 : 0;
		begin_style(d, STYLE_BAD);
		putf(d, "! %.*s%.*s", STR_ARG(str_take(first, room)), STR_ARG(more));
	}
	end_line(d);
	gap(d);
}

struct rate_row {
	const char *label, *member, *more; /* `more` is added to it */
	enum style style;                  /* of what should not be there */
	bool bytes;
};

static const struct rate_row rate_rows[] = {
	{"accepted", "accepted", NULL, STYLE_BOLD, false},
	{"delivered", "delivered", NULL, STYLE_BOLD, false},
	{"deferred", "deferred", NULL, STYLE_WARN, false},
	{"bounced", "bounced", "expired", STYLE_BAD, false},
	{"refused", "refused", NULL, STYLE_WARN, false},
	{"bytes in", "bytes_in", NULL, STYLE_BOLD, true},
	{"bytes out", "bytes_out", NULL, STYLE_BOLD, true},
};
enum { RATE_ROWS = sizeof rate_rows / sizeof *rate_rows };

static void draw_rate(struct drawing *d, const struct rate_row *r)
{
	static const struct {
		const char *member;
		unsigned seconds;
	} spans[] = {{"1s", 1}, {"1m", 60}, {"5m", 300}, {"total", 0}};
	const json_t *rates = json_object_get(d->look->now, "rates");
	const json_t *a = json_object_get(rates, r->member);
	const json_t *b = r->more ? json_object_get(rates, r->more) : NULL;
	put(d, str_from_c(r->label));
	for (unsigned i = 0; i < sizeof spans / sizeof *spans; i++) {
		uint64_t n = (uint64_t)(number(a, spans[i].member) + number(b, spans[i].member));
		unsigned s = spans[i].seconds;
		struct str text = r->bytes ? text_size(d->arena, (int64_t)(s ? n / s : n))
			: s                    ? per_second(d->arena, n, s)
								   : grouped(d->arena, n);
		if (n && i < 2)
			begin_style(d, r->style);
		put_right(d, LABEL + NUMBER * (i + 1), text);
		end_style(d);
	}
}

static void draw_session(struct drawing *d, const json_t *row)
{
	put(d, text_of(d->arena, row, "listener"));
	put_right(d, SIDE_AT + 18, grouped(d->arena, (uint64_t)number(row, "open")));
	put_right(d, SIDE_AT + 25, grouped(d->arena, (uint64_t)number(row, "idle")));
	put_right(d, SIDE_AT + 32, grouped(d->arena, (uint64_t)number(row, "tls")));
}

static void draw_disk(struct drawing *d)
{
	const json_t *disk = json_object_get(d->look->now, "disk");
	long long free = number(disk, "free"), size = number(disk, "size");
	bool full = json_is_true(json_object_get(disk, "full"));
	heading(d, "DISK  ");
	if (full || (size && free < size / 20))
		begin_style(d, STYLE_BAD);
	put(d, text_size(d->arena, free));
	putf(d, " free of %.*s%s", STR_ARG(text_size(d->arena, size)), full ? ", FULL" : "");
	end_style(d);
}

/* Rates at the left; sessions and room at the right. */
static void draw_rates(struct drawing *d)
{
	const json_t *sessions = json_object_get(d->look->now, "sessions");
	size_t n = json_array_size(sessions);
	begin_style(d, STYLE_DIM);
	putf(d, "A SECOND %9s%9s%9s%9s", "NOW", "1 MIN", "5 MIN", "IN ALL");
	go_to(d, SIDE_AT);
	putf(d, "SESSIONS      OPEN   IDLE    TLS");
	end_line(d);
	for (size_t i = 0; i < RATE_ROWS; i++) {
		draw_rate(d, &rate_rows[i]);
		if (i < n || i == RATE_ROWS - 1)
			go_to(d, SIDE_AT);
		if (i == RATE_ROWS - 1)
			draw_disk(d);
		else if (i < n)
			draw_session(d, json_array_get(sessions, i));
		end_line(d);
	}
	end_line(d);
}

static const json_t *find(const json_t *list, const char *member, struct str value)
{
	size_t i;
	json_t *j;
	json_array_foreach((json_t *)list, i, j)
	{
		const char *text = json_string_value(json_object_get(j, member));
		if (text && str_eq(str_from_c(text), value))
			return j;
	}
	return NULL;
}

/* How much of one processor it used between the two answers, in percent; -1: nobody knows. */
static int cpu_percent(const struct drawing *d, struct str role, const json_t *process)
{
	const json_t *before = d->look->before;
	const json_t *then = find(json_object_get(before, "processes"), "role", role);
	if (!then || number(then, "pid") != number(process, "pid") ||
		!json_object_get(process, "cpu_ms"))
		return -1;
	int64_t span = text_time_ms(text_of(d->arena, d->look->now, "at")) -
		text_time_ms(text_of(d->arena, before, "at"));
	int64_t used = number(process, "cpu_ms") - number(then, "cpu_ms");
	return span > 0 && used >= 0 ? (int)((used * 100 + span / 2) / span) : -1;
}

static void draw_process(struct drawing *d, const json_t *role)
{
	struct str name = text_of(d->arena, role, "role"), state = text_of(d->arena, role, "state");
	const json_t *p = find(json_object_get(d->look->now, "processes"), "role", name);
	struct str error = text_of(d->arena, p, "error");
	int cpu = cpu_percent(d, name, p);
	bool runs = str_eq(state, STR("running"));
	struct str text = !runs ? state
		: error.n           ? STR("does not answer")
		: cpu < 0           ? STR("runs")
							: arena_fmt(d->arena, "%d%%", cpu);
	if (d->column && d->column + name.n + text.n + 4 > d->look->columns) {
		end_line(d);
		put(d, STR("          "));
	}
	putf(d, " %.*s ", STR_ARG(name));
	put_styled(d, runs && !error.n ? STYLE_GOOD : STYLE_BAD, text);
	put(d, STR(" "));
}

static void draw_processes(struct drawing *d)
{
	size_t i;
	json_t *role;
	heading(d, "PROCESSES");
	json_array_foreach(json_object_get(d->look->now, "roles"), i, role) draw_process(d, role);
	end_line(d);
	gap(d);
}

static void draw_queue(struct drawing *d)
{
	const json_t *q = json_object_get(d->look->now, "queue");
	uint64_t messages = (uint64_t)number(q, "messages");
	heading(d, "QUEUE");
	if (messages == 0) {
		put(d, STR("  empty"));
		end_line(d);
		return;
	}
	putf(d, "  %.*s message%s; recipients: %.*s ready, %.*s at work, %.*s deferred, %.*s held",
		STR_ARG(grouped(d->arena, messages)), messages == 1 ? "" : "s",
		STR_ARG(grouped(d->arena, (uint64_t)number(q, "ready"))),
		STR_ARG(grouped(d->arena, (uint64_t)number(q, "active"))),
		STR_ARG(grouped(d->arena, (uint64_t)number(q, "deferred"))),
		STR_ARG(grouped(d->arena, (uint64_t)number(q, "held"))));
	end_line(d);
	gap(d);
}

/* "connect.refused, again in 35s" */
static void draw_hop_trouble(struct drawing *d, const json_t *hop)
{
	struct str cause = text_of(d->arena, json_object_get(hop, "cause"), "id");
	struct str trouble = text_of(d->arena, json_object_get(hop, "trouble"), "text");
	int64_t until = text_time_ms(text_of(d->arena, hop, "waits_until"));
	if (cause.n == 0)
		return;
	put_styled(d, STYLE_WARN, cause);
	if (until > d->look->now_ms)
		putf(d, ", again in %.*s", STR_ARG(text_span(d->arena, until - d->look->now_ms)));
	if (trouble.n)
		putf(d, ": %.*s", STR_ARG(trouble));
}

static void draw_hops(struct drawing *d, unsigned rows)
{
	static const char *const members[] = {"ready", "active", "deferred", "held"};
	const json_t *hops = json_object_get(d->look->now, "destinations");
	size_t n = json_array_size(hops);
	size_t in_all = (size_t)number(json_object_get(d->look->now, "queue"), "destinations");
	static const unsigned widths[] = {7, 8, 9, 7};
	unsigned name = d->look->columns > 110 ? 2 * HOP_NAME : HOP_NAME;
	if (n == 0 || rows < 2)
		return;
	begin_style(d, STYLE_DIM);
	putf(d, "NEXT HOP%*s%7s%8s%9s%7s  WHY", (int)(name - 8), "", "READY", "AT WORK", "DEFERRED",
		"HELD");
	end_line(d);
	for (size_t i = 0; i < n && i + 1 < rows; i++) {
		const json_t *hop = json_array_get(hops, i);
		struct str text = text_of(d->arena, hop, "destination");
		if (i + 2 == rows && i > 0 && in_all > i + 1) {
			putf(d, "and %zu more", in_all - i);
			end_line(d);
			return;
		}
		put(d, str_take(text, name - 1));
		for (unsigned k = 0, at = name; k < 4; k++)
			put_right(d, at += widths[k], grouped(d->arena, (uint64_t)number(hop, members[k])));
		put(d, STR("  "));
		draw_hop_trouble(d, hop);
		end_line(d);
	}
}

static void draw_causes(struct drawing *d, unsigned rows)
{
	size_t i;
	json_t *c;
	const json_t *list = json_object_get(d->look->now, "causes");
	if (json_array_size(list) == 0 || rows < 2)
		return;
	begin_style(d, STYLE_DIM);
	putf(d, "%9s  CAUSE", "WAIT FOR");
	end_line(d);
	json_array_foreach((json_t *)list, i, c)
	{
		const json_t *cause = json_object_get(c, "cause");
		if (i + 1 >= rows)
			return;
		put_right(d, 9, grouped(d->arena, (uint64_t)number(c, "recipients")));
		put(d, STR("  "));
		if (json_is_object(cause)) {
			put_styled(d, STYLE_WARN, text_of(d->arena, cause, "id"));
			putf(d, " (%.*s): %.*s", STR_ARG(text_of(d->arena, cause, "owner")),
				STR_ARG(text_of(d->arena, cause, "text")));
		} else {
			put(d, STR("their turn"));
		}
		end_line(d);
	}
}

bool screen_is_listed(const json_t *waiting, const json_t *r)
{
	static const char *const members[] = {"id", "address", "state", "attempts", "next_try"};
	size_t i;
	json_t *other;
	json_array_foreach((json_t *)waiting, i, other)
	{
		bool same = true;
		for (size_t k = 0; k < sizeof members / sizeof *members && same; k++)
			same = json_equal(json_object_get(other, members[k]), json_object_get(r, members[k]));
		if (same)
			return true;
	}
	return false;
}

struct str screen_waiting_line(const json_t *r, struct arena *arena, int64_t now_ms)
{
	struct cli c = {.arena = arena};
	struct str cause = text_of(arena, json_object_get(r, "cause"), "id");
	struct str next = mail_next_try(&c, r, now_ms), said = mail_reason(&c, r);
	bool held = text_is(r, "state", "held");
	if (str_starts(said, cause))
		said = str_skip(said, cause.n + (cause.n && said.n > cause.n ? 2 : 0));
	return arena_fmt(arena, "message %.*s not relayed yet: %.*s, %s%.*s: %.*s%s%.*s",
		STR_ARG(text_of(arena, r, "id")), STR_ARG(cause.n ? cause : STR("waits for its turn")),
		held ? "held until released" : "next try ", STR_ARG(held ? STR("") : next),
		STR_ARG(text_of(arena, r, "address")), said.n ? ", " : "", STR_ARG(said));
}

static void draw_waiting(struct drawing *d, unsigned rows)
{
	size_t i;
	json_t *r;
	const json_t *list = json_object_get(d->look->now, "waiting");
	const json_t *before = json_object_get(d->look->before, "waiting");
	if (json_array_size(list) == 0 || rows < 2)
		return;
	heading(d, "NOT RELAYED YET, put off last first");
	end_line(d);
	json_array_foreach((json_t *)list, i, r)
	{
		if (i + 1 >= rows)
			return;
		if (d->look->before && !screen_is_listed(before, r))
			begin_style(d, STYLE_BOLD);
		put(d, screen_waiting_line(r, d->arena, d->look->now_ms));
		end_line(d);
	}
}

/* ---- all of it --------------------------------------------------------------------------------- */

/* Lines of a list of `n` with its heading, if it may have `most` at best. */
static unsigned rows_for(size_t n, unsigned most)
{
	return n == 0 ? 0 : n + 1 < most ? (unsigned)n + 1 : most;
}

static void draw_lists(struct drawing *d)
{
	const json_t *now = d->look->now;
	unsigned rows = d->look->rows, left = rows > d->row ? rows - d->row : 0;
	unsigned share = rows == 0 ? UINT32_MAX : left / 4 > LIST_ROWS ? left / 4 : left / 3;
	unsigned hops = rows_for(json_array_size(json_object_get(now, "destinations")), share);
	unsigned causes = rows_for(json_array_size(json_object_get(now, "causes")), share);
	draw_hops(d, hops);
	if (hops)
		gap(d);
	draw_causes(d, causes);
	if (causes)
		gap(d);
	left = rows == 0 ? UINT32_MAX : rows > d->row ? rows - d->row : 0;
	draw_waiting(d, rows_for(json_array_size(json_object_get(now, "waiting")), left));
}

void screen_draw(const struct screen_look *look, struct arena *arena, struct buf *out)
{
	struct drawing d = {.look = look, .arena = arena, .out = out};
	if (look->clears)
		buf_add_c(out, "\033[H");
	if (look->now)
		draw_title(&d);
	draw_trouble(&d);
	if (look->now) {
		draw_rates(&d);
		draw_processes(&d);
		draw_queue(&d);
		draw_lists(&d);
	}
	if (look->clears)
		buf_add_c(out, "\033[J");
}
