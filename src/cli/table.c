#include "cli/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

enum { GAP = 2, SPILL_INDENT = 4, WIDE_MAX = 400, WRAP_COLUMNS = 80, TEXT_MAX = 64 * 1024 };

/* ---- terminals */

unsigned text_columns(FILE *to)
{
	struct winsize w;
	if (!isatty(fileno(to)) || ioctl(fileno(to), TIOCGWINSZ, &w) < 0 || w.ws_col < 40)
		return 0;
	return w.ws_col;
}

static bool styled(FILE *to)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	return isatty(fileno(to)) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

void style_begin(FILE *to, enum style style)
{
	static const char *const codes[] = {[STYLE_BOLD] = "1",
		[STYLE_DIM] = "2",
		[STYLE_GOOD] = "32",
		[STYLE_WARN] = "33",
		[STYLE_BAD] = "31"};
	if (styled(to))
		fprintf(to, "\033[%sm", codes[style]);
}

void style_end(FILE *to)
{
	if (styled(to))
		fputs("\033[0m", to);
}

/* ---- texts */

struct str text_clean(struct arena *arena, struct str s)
{
	char *p = arena_dup_c(arena, s);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)p[i];
		/* C1 controls are two bytes in UTF-8, 0xc2 0x80 to 0xc2 0x9f. */
		if (c < ' ' || c == 0x7f)
			p[i] = ' ';
		else if (c == 0xc2 && i + 1 < s.n && (unsigned char)p[i + 1] < 0xa0)
			p[i] = p[i + 1] = ' ';
	}
	return str_make(p, s.n);
}

struct str text_of(struct arena *arena, const json_t *object, const char *member)
{
	const json_t *j = json_object_get(object, member);
	if (json_is_string(j))
		return text_clean(arena, str_make(json_string_value(j), json_string_length(j)));
	if (json_is_integer(j))
		return arena_fmt(arena, "%lld", (long long)json_integer_value(j));
	return str_make("", 0);
}

bool text_is(const json_t *object, const char *member, const char *value)
{
	const char *text = json_string_value(json_object_get(object, member));
	return text && strcmp(text, value) == 0;
}

struct str text_size(struct arena *arena, int64_t bytes)
{
	static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
	double value = (double)bytes;
	unsigned unit = 0;
	while (value >= 1023.5 && unit + 1 < sizeof units / sizeof *units) {
		value /= 1024;
		unit++;
	}
	return arena_fmt(arena, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

struct str text_span(struct arena *arena, int64_t ms)
{
	int64_t s = ms > 0 ? ms / 1000 : 0;
	if (s < 120)
		return arena_fmt(arena, "%ds", (int)s);
	if (s < 120 * 60)
		return arena_fmt(arena, "%dm", (int)(s / 60));
	if (s < 48 * 3600)
		return arena_fmt(arena, "%dh", (int)(s / 3600));
	return arena_fmt(arena, "%dd", (int)(s / 86400));
}

/* date-time = 4DIGIT "-" 2DIGIT "-" 2DIGIT "T" 2DIGIT ":" 2DIGIT ":" 2DIGIT "." 3DIGIT "Z"
 *                                                              RFC 3339 5.6, as clock.h writes it */
int64_t text_time_ms(struct str s)
{
	static const unsigned char at[] = {0, 5, 8, 11, 14, 17, 20}, n[] = {4, 2, 2, 2, 2, 2, 3};
	uint64_t v[7];
	if (s.n != sizeof "2026-11-21T19:13:33.123Z" - 1)
		return 0;
	for (int i = 0; i < 7; i++)
		if (!str_to_u64(str_take(str_skip(s, at[i]), n[i]), 9999, &v[i]))
			return 0;
	struct tm tm = {.tm_year = (int)v[0] - 1900,
		.tm_mon = (int)v[1] - 1,
		.tm_mday = (int)v[2],
		.tm_hour = (int)v[3],
		.tm_min = (int)v[4],
		.tm_sec = (int)v[5]};
	return (int64_t)timegm(&tm) * 1000 + (int64_t)v[6];
}

struct str text_time(struct arena *arena, struct str s)
{
	if (s.n < 19)
		return s;
	return arena_fmt(arena, "%.10s %.8sZ", s.p, s.p + 11);
}

/* Characters, not bytes: what is not the first byte of one in UTF-8 takes no column. */
static unsigned width(struct str s)
{
	unsigned n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

void text_wrap(FILE *to, unsigned at, unsigned indent, struct str s)
{
	unsigned columns = text_columns(to), used = at;
	struct str word;
	bool first = true;
	if (columns == 0 || columns > 120)
		columns = columns ? 120 : WRAP_COLUMNS;
	while (str_split(&s, ' ', &word)) {
		unsigned w = width(word);
		if (w == 0)
			continue;
		if (!first && used + 1 + w > columns) {
			fprintf(to, "\n%*s", (int)indent, "");
			used = indent;
		} else if (!first) {
			fputc(' ', to);
			used++;
		}
		fprintf(to, "%.*s", STR_ARG(word));
		used += w;
		first = false;
	}
	fputc('\n', to);
}

/* ---- tables */

void table_init(struct table *t, struct arena *arena, const char *headers)
{
	struct str rest = str_from_c(headers), header;
	*t = (struct table){.arena = arena};
	while (t->columns < TABLE_COLUMNS && str_split(&rest, '|', &header)) {
		t->right[t->columns] = str_starts(header, STR(">"));
		t->header[t->columns] = str_skip(header, t->right[t->columns]);
		t->columns++;
	}
}

void table_add(struct table *t, struct str cell)
{
	if (t->cell_count == t->cell_room) {
		size_t room = t->cell_room ? 2 * t->cell_room : 64;
		struct str *cells = arena_alloc(t->arena, room * sizeof *cells);
		if (t->cell_count)
			memcpy(cells, t->cells, t->cell_count * sizeof *cells);
		t->cells = cells;
		t->cell_room = room;
	}
	t->cells[t->cell_count++] = text_clean(t->arena, cell);
}

void table_addf(struct table *t, const char *fmt, ...)
{
	va_list ap;
	struct buf b;
	buf_init(&b, TEXT_MAX);
	va_start(ap, fmt);
	buf_addv(&b, fmt, ap);
	va_end(ap);
	table_add(t, buf_str(&b));
	buf_done(&b);
}

/* The row without trailing blanks, its first `n` columns. */
static void print_row(
	const struct table *t, const struct str *row, unsigned n, const unsigned *widths, FILE *to)
{
	struct buf line;
	buf_init(&line, TEXT_MAX);
	for (unsigned i = 0; i < n; i++) {
		unsigned w = width(row[i]), pad = widths[i] > w ? widths[i] - w : 0;
		buf_addf(&line, "%*s", t->right[i] ? (int)pad : 0, "");
		buf_add(&line, row[i]);
		buf_addf(&line, "%*s", t->right[i] ? GAP : (int)pad + GAP, "");
	}
	while (line.n && line.p[line.n - 1] == ' ')
		line.n--;
	fprintf(to, "%s\n", buf_c(&line));
	buf_done(&line);
}

static unsigned measure(const struct table *t, unsigned widths[TABLE_COLUMNS])
{
	unsigned all = 0;
	for (unsigned i = 0; i < t->columns; i++) {
		widths[i] = width(t->header[i]);
		for (size_t j = i; j < t->cell_count; j += t->columns) {
			unsigned w = width(t->cells[j]);
			if (w > widths[i] && w <= WIDE_MAX)
				widths[i] = w;
		}
		all += widths[i] + GAP;
	}
	return all - GAP;
}

void table_print(const struct table *t, FILE *to)
{
	unsigned widths[TABLE_COLUMNS], columns = text_columns(to);
	unsigned all = measure(t, widths);
	bool spills = columns && all > columns;
	unsigned n = t->columns - spills;
	style_begin(to, STYLE_DIM);
	print_row(t, t->header, n, widths, to);
	style_end(to);
	for (size_t j = 0; j + t->columns <= t->cell_count; j += t->columns) {
		print_row(t, t->cells + j, n, widths, to);
		if (spills && t->cells[j + n].n) {
			fprintf(to, "%*s", SPILL_INDENT, "");
			text_wrap(to, SPILL_INDENT, SPILL_INDENT, t->cells[j + n]);
		}
	}
}
