/* table: what people read: columns, times, sizes, causes. Everything that came from outside is
 * printed without control characters, so no mail can play with a terminal. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/str.h"

enum { TABLE_COLUMNS = 10 };

struct table {
	struct arena *arena;
	unsigned columns;
	struct str header[TABLE_COLUMNS];
	bool right[TABLE_COLUMNS]; /* numbers stand at the right */
	struct str *cells;
	size_t cell_count, cell_room;
};

/* `headers` separated by '|'; one that begins with '>' is aligned to the right. */
void table_init(struct table *t, struct arena *arena, const char *headers);
/* The next cell; rows fill by themselves. */
void table_add(struct table *t, struct str cell);
void table_addf(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* On a terminal that is too narrow the last column goes below each row, so nothing is cut. */
void table_print(const struct table *t, FILE *to);

/* Without control characters; in `arena`. */
struct str text_clean(struct arena *arena, struct str s);
/* A member of an object as clean text: "" if it is missing or null; numbers in digits. */
struct str text_of(struct arena *arena, const json_t *object, const char *member);
/* A member of an object is this text. */
bool text_is(const json_t *object, const char *member, const char *value);
/* "512 B", "4.0 KB", "1.2 MB" */
struct str text_size(struct arena *arena, int64_t bytes);
/* "5s", "12m", "3h", "4d"; never negative. */
struct str text_span(struct arena *arena, int64_t ms);
/* RFC 3339 in UTC to milliseconds; 0 if it is none. */
int64_t text_time_ms(struct str rfc3339);
/* "2026-11-21 19:13:33Z" of such a text; "" for an empty one. */
struct str text_time(struct arena *arena, struct str rfc3339);
/* Prints a paragraph, words wrapped at the terminal's width (80 if it is none), each line after
 * `indent` blanks. The first line's indent is the caller's: he has printed `at` columns already. */
void text_wrap(FILE *to, unsigned at, unsigned indent, struct str s);
/* Columns of the terminal behind `to`, or 0. */
unsigned text_columns(FILE *to);

/* Emphasis, on terminals only and not with NO_COLOR. Printed around a text: style_end() ends each. */
enum style { STYLE_BOLD, STYLE_DIM, STYLE_GOOD, STYLE_WARN, STYLE_BAD };
void style_begin(FILE *to, enum style style);
void style_end(FILE *to);

#endif
