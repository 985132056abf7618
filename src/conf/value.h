/* value: how the values of settings are written. Pure parsers: 0, or -1 with *err, whose text quotes
 * the offending word and says what would be right; it does not know the setting's name. Blanks
 * around a value are the caller's to trim; lists are separated by blanks, tabs or line ends.
 * What is allocated lives in the arena. Each parser has a writer that gives the normal form. */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "conf/conf.h"

enum {
	VALUE_PATH_MAX = 1024,
	VALUE_LIST_MAX = 256, /* durations and networks in a list */
	VALUE_QUOTE = 72,
};

/* "word", cut if it is long, with '?' in place of what cannot be shown. Returns dst. */
char *value_quote(struct str word, char dst[VALUE_QUOTE]);

/* A name of domain_name_ok() that cannot be taken for an address. Lower case in *ret. */
int value_hostname(struct str s, struct arena *arena, struct str *ret, struct err *err);
/* path = "/" *(any byte but control characters), at most VALUE_PATH_MAX bytes, or empty */
int value_path(struct str s, struct arena *arena, struct str *ret, struct err *err);
/* number = 1*DIGIT, from `min` to `max` */
int value_number(struct str s, int64_t min, int64_t max, int64_t *ret, struct err *err);
/* size = 1*DIGIT [ "K" / "M" / "G" ], powers of 1024, either case; bytes in *ret, from `min`
 * to `max` */
int value_size(struct str s, int64_t min, int64_t max, int64_t *ret, struct err *err);
/* duration = 1*DIGIT ( "ms" / "s" / "m" / "h" / "d" ); milliseconds in *ret, from `min` to `max` */
int value_duration(struct str s, int64_t min, int64_t max, int64_t *ret, struct err *err);
/* durations = duration *( blank duration ), at least one, at most VALUE_LIST_MAX */
int value_durations(struct str s, int64_t min, int64_t max, struct arena *arena,
	struct conf_durations *ret, struct err *err);
/* addresses = [ address *( blank address ) ], address = IPv4 ":" port / "[" IPv6 "]" ":" port
 * With `port` above 0 an address may stand without one, and an IPv6 then without brackets. At most
 * `max` of them, none twice. */
int value_addresses(struct str s, uint16_t port, size_t max, struct arena *arena,
	struct conf_addresses *ret, struct err *err);
/* networks = [ network *( blank network ) ], network = ( IPv4 / IPv6 ) [ "/" bits ]
 * Bits below the prefix must be zero; prefixes shorter than `min_bits` are refused. */
int value_networks(struct str s, unsigned min_bits, struct arena *arena, struct conf_networks *ret,
	struct err *err);
/* One of `count` names; its index in *ret. */
int value_name(
	struct str s, const char *const *names, size_t count, unsigned *ret, struct err *err);

/* Add the normal form to `out`: the largest unit that divides the value; addresses and networks as
 * the kernel writes them; in lists one blank between. */
void value_put_size(int64_t bytes, struct buf *out);
void value_put_duration(int64_t ms, struct buf *out);
void value_put_durations(const struct conf_durations *d, struct buf *out);
void value_put_addresses(const struct conf_addresses *a, struct buf *out);
void value_put_networks(const struct conf_networks *n, struct buf *out);

#endif
