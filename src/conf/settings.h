/* settings: the table of all settings, one row each. From a row come parser, validation, help,
 * manual page and redaction. To add a setting: a field in struct conf, a row in settings.c. */
#ifndef CONF_SETTINGS_H
#define CONF_SETTINGS_H

#include "conf/conf.h"

enum setting_type {
	SETTING_HOSTNAME,
	SETTING_PATH,        /* absolute, or empty */
	SETTING_NUMBER,      /* 123 */
	SETTING_SIZE,        /* 50M, 64K, bytes */
	SETTING_DURATION,    /* 500ms, 30s, 5m, 2h, 5d; held in milliseconds */
	SETTING_DURATIONS,   /* "5m 10m 30m 1h" */
	SETTING_ADDRESSES,   /* "0.0.0.0:25 [::]:25", empty for none */
	SETTING_NETWORKS,    /* "127.0.0.0/8 ::1" */
	SETTING_TLS_INBOUND, /* off, available, required */
	SETTING_TLS_LEVEL,   /* off, may, encrypt, verify */
	SETTING_LOG_LEVEL,   /* error, warn, info, debug */
	SETTING_TYPES,
};
/* When a change takes effect. */
enum setting_effect { EFFECT_NEW_SESSIONS, EFFECT_LISTENERS, EFFECT_NEXT_ATTEMPT, EFFECT_AT_ONCE };

struct setting {
	const char *name;
	enum setting_type type;
	const char *value; /* default */
	/* Of numbers, sizes, durations (ms); of addresses, max is how many, and min the port of those
	 * written without one (0: they need one); of networks, min is the shortest prefix. */
	int64_t min, max;
	size_t offset;  /* of the field in struct conf */
	unsigned roles; /* which roles get it: enum conf_role */
	enum setting_effect effect;
	bool secret;
	const char *text; /* manual text, one or more sentences */
};

extern const struct setting settings[];
extern const size_t setting_count;

/* NULL if there is none. */
const struct setting *setting_find(struct str name);
/* Parses `value` into the row's field of `c`. -1 with *err: names the setting, what is wrong and
 * what would be right ("smtp.tls: "yes" is none of off, available, required"). */
int setting_parse(const struct setting *s, struct str value, struct conf *c, struct err *err);
/* The field's value as text, in its normal form. */
void setting_format(const struct setting *s, const struct conf *c, struct buf *out);
/* "duration", and how one is written, as a sentence. */
const char *setting_type_name(enum setting_type type);
const char *setting_type_help(enum setting_type type);
/* "for new sessions", … */
const char *setting_effect_name(enum setting_effect effect);

/* A conf with all defaults, one holder. */
struct conf *conf_new(void);
/* The manual page letterlock-settings(5), in man format. */
void settings_manual(struct buf *out);

#endif
