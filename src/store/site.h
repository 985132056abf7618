/* site: what this installation is set to do. site.db holds it as rows that any SQL editor may read
 * and change; running code sees it as one immutable struct site per revision, held and dropped like
 * a conf.
 *
 * Every change is a numbered revision with the old and the new value of each thing it touched
 * (tables revision and change). A setting's row that does not parse is never used: the last value
 * that was good stays in force and a finding says why (P2, P3). */
#ifndef STORE_SITE_H
#define STORE_SITE_H

#include "ask/ask_keys.h"
#include "conf/conf.h"
#include "mail/route.h"
#include "store/db.h"

struct site_certificate {
	uint64_t id;                    /* its generation too: a higher one is newer */
	struct certificate_facts facts; /* of the leaf */
	struct str serves;              /* of facts.names those it serves now; empty: an older
									   generation, kept */
	struct str chain;               /* PEM, leaf first */
	int64_t imported_ms;
	struct str imported_by;
};
/* Where the value of a setting comes from, in the order of the table settings[]. */
struct site_origin {
	bool given; /* false: the built-in default */
	struct str by;
	int64_t at_ms;
	uint64_t revision;
};
/* A row that is not used, and why. */
struct site_finding {
	struct str key, value, text;
};

struct site {
	struct arena *arena;
	unsigned holders;
	uint64_t revision;
	struct conf *conf; /* its certificates filled in; one holder: the site */
	struct site_origin *origins;
	struct route_table routes; /* domains and connectors, each sorted by name, in lower case */
	struct site_certificate *certificates; /* newest first */
	size_t certificate_count;
	struct site_finding *findings;
	size_t finding_count;
};

struct site *site_hold(struct site *s);
/* NULL is allowed. */
void site_drop(struct site *s);
/* NULL if there is none; ASCII case is ignored. */
const struct route_domain *site_domain(const struct site *s, struct str name);
const struct route_connector *site_connector(const struct site *s, struct str name);

/* ---- the database */
/* Below the home. Where there is one, there is an installation. */
#define SITE_DB DATA_FOLDER "/site.db"
struct site_db;
/* Opens HOME/data/site.db, which must be there (created by site_db_create()). NULL with *err. */
struct site_db *site_db_open(const char *home, struct err *err);
/* Makes HOME/data/site.db with its tables; refuses one that is there. */
struct site_db *site_db_create(const char *home, struct err *err);
void site_db_close(struct site_db *db);
/* All of it as a new struct site with one holder. Inside a change: as it will be. */
struct site *site_load(struct site_db *db, struct err *err);

/* A change: begin, any of the functions below, then commit or rollback. One at a time. `by` is who
 * asked, for the rows and the revision. ERR_TEMP: an SQL editor holds the file just now. Names and
 * values are expected in normal form: these functions store, they do not judge; site_load() before
 * the commit does. Each -1 is followed by site_rollback(). */
int site_begin(struct site_db *db, struct str by, struct err *err);
/* Synced when it returns 0; then *ret_revision is the number of the revision it made. */
int site_commit(struct site_db *db, uint64_t *ret_revision, struct err *err);
void site_rollback(struct site_db *db);

/* `old` and `value` as normal text; setting_secret values are logged as "(secret)". */
int site_put_setting(
	struct site_db *db, const char *name, struct str old, struct str value, struct err *err);
int site_put_domain(struct site_db *db, const struct route_domain *d, struct err *err);
int site_put_connector(struct site_db *db, const struct route_connector *c, struct err *err);
/* A new generation: from now on it serves all its names. `id`, `serves` and `imported_by` are given
 * by the database. */
int site_put_certificate(struct site_db *db, const struct site_certificate *c, struct err *err);
/* 1: removed, 0: there was none, -1 with *err. */
int site_remove_domain(struct site_db *db, struct str name, struct err *err);
int site_remove_connector(struct site_db *db, struct str name, struct err *err);

#endif
