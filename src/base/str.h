/* str: a slice of bytes, passed by value. It owns nothing; whoever owns the bytes outlives it.
 * NUL-terminated strings exist only at the border to the operating system. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

/* A literal as a slice; for printf: "%.*s" with STR_ARG(s). */
#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_ARG(s) (int)(s).n, (s).p

static inline struct str str_make(const char *p, size_t n)
{
	return (struct str){p, n};
}

/* NULL gives the empty slice. */
static inline struct str str_from_c(const char *c)
{
	return c ? (struct str){c, strlen(c)} : (struct str){"", 0};
}

bool str_eq(struct str a, struct str b);
/* ASCII case is ignored, as in SMTP verbs and domain names; the locale plays no part. */
bool str_eq_nocase(struct str a, struct str b);
/* Equal contents in a time that depends on the lengths only. */
bool str_eq_const_time(struct str a, struct str b);
int str_cmp(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_starts_nocase(struct str s, struct str prefix);
bool str_ends_nocase(struct str s, struct str suffix);
/* The rest of `s` from byte `from` on (empty if past the end), or at most `n` bytes of it. */
struct str str_skip(struct str s, size_t from);
struct str str_take(struct str s, size_t n);
/* Index of the first `c`, or -1. */
ptrdiff_t str_find(struct str s, char c);
ptrdiff_t str_rfind(struct str s, char c);
/* Without blanks and tabs (CR and LF too) at both ends. */
struct str str_trim(struct str s);
/* Takes the part of *rest before the first `sep` into *ret and moves *rest behind it; the last
 * part has no separator. Returns false once *rest was used up (its p is then NULL). */
bool str_split(struct str *rest, char sep, struct str *ret);
/* Printable ASCII alone, blanks too or (str_is_graph) not. True for the empty slice. */
bool str_is_print(struct str s);
bool str_is_graph(struct str s);
/* One decimal digit or more, and nothing else. */
bool str_is_number(struct str s);
/* Decimal digits only, the whole slice, at most `max`. */
bool str_to_u64(struct str s, uint64_t max, uint64_t *ret);
/* Copies into `dst`, cut if need be, and ends it with NUL. Returns `dst`. */
char *str_to_c(struct str s, char *dst, size_t size);

/* The bytes of `s` in lower case into dst, which may be where they stand; what stands in dst then.
 * Without a NUL. */
struct str str_lower(struct str s, char *dst);
/* Control characters become '?', in place: what came from outside shall not forge a line. */
void ascii_clean(char *p, size_t n);

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static inline char ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

/* Printable: the blank to "~". */
static inline bool ascii_is_print(char c)
{
	return c >= ' ' && c <= '~';
}

/* Below the blank, or DEL. Bytes above ASCII are not. */
static inline bool ascii_is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

/* Blank, tab, CR, LF. */
static inline bool ascii_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool ascii_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

#endif
