/* settings: the table of all settings, one row each. From a row come parser, validation, help,
 * manual page and redaction. To add a setting: a field in struct conf, a row in settings.c. */
#ifndef CONF_SETTINGS_H
#define CONF_SETTINGS_H

#include "conf/conf.h"

enum setting_type {
	SETTING_TEXT,
	SETTING_HOSTNAME,
	SETTING_PATH,        /* absolute, or empty */
	SETTING_NUMBER,      /* 123 */
	SETTING_SIZE,        /* 50M, 64K, bytes */
	SETTING_DURATION,    /* 30s, 5m, 2h, 5d, in milliseconds */
	SETTING_DURATIONS,   /* "5m 10m 30m 1h" */
	SETTING_ADDRESSES,   /* "0.0.0.0:25 [::]:25", empty for none */
	SETTING_NETWORKS,    /* "127.0.0.0/8 ::1" */
	SETTING_TLS_INBOUND, /* off, available, required */
	SETTING_TLS_LEVEL,   /* off, may, encrypt, verify */
	SETTING_LOG_LEVEL,   /* error, warn, info, debug */
};
/* When a change takes effect. */
enum setting_effect { EFFECT_NEW_SESSIONS, EFFECT_LISTENERS, EFFECT_NEXT_ATTEMPT, EFFECT_AT_ONCE };

struct setting {
	const char *name;
	enum setting_type type;
	const char *value; /* default */
	int64_t min, max;  /* of numbers, sizes, durations (ms) */
	size_t offset;     /* of the field in struct conf */
	unsigned roles;    /* which roles get it: enum conf_role */
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
const char *setting_type_name(enum setting_type type);
const char *setting_effect_name(enum setting_effect effect);

/* A conf with all defaults, one holder. */
struct conf *conf_new(void);

#endif
