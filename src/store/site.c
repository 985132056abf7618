#include "store/site.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "conf/settings.h"
#include "store/db.h"

/* "LLsi": so that file(1) and we know whose database it is. */
enum { APPLICATION_ID = 0x4c4c7369, SCHEMA_VERSION = 1 };
enum { KEY_ID_BYTES = 32, SERVED_NAME_MAX = 253 };

/* The tables people may edit. `section` and `name` make the key "section.name"; node and file are
 * for settings of one node and for those written to a file, empty here. */
static const char schema[] =
	"CREATE TABLE setting (section TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,"
	" node TEXT NOT NULL DEFAULT '', file TEXT NOT NULL DEFAULT '',"
	" changed_by TEXT NOT NULL DEFAULT 'sql', changed_at INTEGER NOT NULL DEFAULT 0,"
	" revision INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY (section, name, node)) WITHOUT ROWID;"
	"CREATE TABLE domain (name TEXT PRIMARY KEY, host TEXT NOT NULL DEFAULT '',"
	" port INTEGER NOT NULL DEFAULT 25) WITHOUT ROWID;"
	"CREATE TABLE connector (name TEXT PRIMARY KEY, host TEXT NOT NULL,"
	" port INTEGER NOT NULL DEFAULT 25, for_domain TEXT NOT NULL UNIQUE DEFAULT '*',"
	" tls TEXT NOT NULL DEFAULT '', trust TEXT NOT NULL DEFAULT '',"
	" helo TEXT NOT NULL DEFAULT '', sni TEXT NOT NULL DEFAULT '') WITHOUT ROWID;"
	"CREATE TABLE certificate (id INTEGER PRIMARY KEY, names TEXT NOT NULL, subject TEXT NOT NULL,"
	" issuer TEXT NOT NULL, thumbprint TEXT NOT NULL, key_id TEXT NOT NULL,"
	" key_type TEXT NOT NULL, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,"
	" self_signed INTEGER NOT NULL, chain TEXT NOT NULL, imported_at INTEGER NOT NULL,"
	" imported_by TEXT NOT NULL);"
	/* Which generation serves a name. */
	"CREATE TABLE serving (name TEXT PRIMARY KEY,"
	" certificate INTEGER NOT NULL REFERENCES certificate (id)) WITHOUT ROWID;"
	"CREATE TABLE revision (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, by TEXT NOT NULL);"
	/* NULL: it was not there before, or is gone now. */
	"CREATE TABLE change (revision INTEGER NOT NULL REFERENCES revision (number),"
	" n INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, old TEXT, new TEXT,"
	" PRIMARY KEY (revision, n)) WITHOUT ROWID;"
	"CREATE INDEX change_name ON change (kind, name, revision);";

struct site_db {
	struct db *db;
	bool changing;
	uint64_t revision; /* the one being made */
	uint64_t changes;
	int64_t now_ms;
	struct str by;
	char by_text[64];
};

/* HOME/data/site.db; freed by the caller. */
static char *path_of(const char *home)
{
	size_t n = strlen(home) + sizeof "/" SITE_DB;
	char *path = mem_new(n);
	snprintf(path, n, "%s/" SITE_DB, home);
	return path;
}

/* ---- the struct */

struct site *site_hold(struct site *s)
{
	s->holders++;
	return s;
}

void site_drop(struct site *s)
{
	if (!s || --s->holders)
		return;
	conf_drop(s->conf);
	arena_free(s->arena); /* s lives in it */
}

const struct route_domain *site_domain(const struct site *s, struct str name)
{
	return route_find_domain(&s->routes, name);
}

const struct route_connector *site_connector(const struct site *s, struct str name)
{
	for (size_t i = 0; i < s->routes.connector_count; i++)
		if (str_eq_nocase(s->routes.connectors[i].name, name))
			return &s->routes.connectors[i];
	return NULL;
}

/* ---- opening */

static struct site_db *open_db(const char *path, struct err *err)
{
	struct db *db = db_open(path, DB_SHARED, err);
	if (!db)
		return NULL;
	struct site_db *s = mem_new(sizeof *s);
	s->db = db;
	return s;
}

/* Ours, and not made by a later program? */
static int check_version(struct site_db *s, const char *path, struct err *err)
{
	int64_t application = 0, version = 0;
	if (db_number(s->db, "PRAGMA application_id", &application, err) < 0 ||
		db_number(s->db, "PRAGMA user_version", &version, err) < 0)
		return -1;
	if (application != APPLICATION_ID || version < 1)
		return err_say(err, "%s is not a site.db of letterlock", path);
	if (version > SCHEMA_VERSION)
		return err_say(err, "%s was made by a newer letterlock (its version %d, ours %d)", path,
			(int)version, SCHEMA_VERSION);
	return 0;
}

struct site_db *site_db_open(const char *home, struct err *err)
{
	char *path = path_of(home);
	struct site_db *s = NULL;
	if (access(path, F_OK) < 0)
		err_say(err,
			"%s holds no installation (no " SITE_DB "); make one with: letterlock setup --home %s "
			"--hostname NAME",
			home, home);
	else
		s = open_db(path, err);
	if (s && check_version(s, path, err) < 0) {
		site_db_close(s);
		s = NULL;
	}
	free(path);
	return s;
}

static int make_tables(struct site_db *s, struct err *err)
{
	char pragmas[80];
	snprintf(pragmas, sizeof pragmas, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
		APPLICATION_ID, SCHEMA_VERSION);
	return db_exec(s->db, "BEGIN EXCLUSIVE", err) < 0 || db_exec(s->db, schema, err) < 0 ||
			db_exec(s->db, pragmas, err) < 0 || db_exec(s->db, "COMMIT", err) < 0
		? -1
		: 0;
}

struct site_db *site_db_create(const char *home, struct err *err)
{
	char *path = path_of(home);
	struct site_db *s = NULL;
	if (db_make_folder(home, err) == 0) {
		int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
		if (fd < 0) {
			err_say(err, "%s: %s", path, strerror(errno));
		} else {
			close(fd);
			s = open_db(path, err);
		}
	}
	if (s && make_tables(s, err) < 0) {
		site_db_close(s);
		s = NULL;
	}
	free(path);
	return s;
}

void site_db_close(struct site_db *s)
{
	if (!s)
		return;
	db_close(s->db);
	free(s);
}

/* ---- loading */

/* One load: rows into lists on the heap, moved into the arena at the end. */
struct loading {
	struct site_db *s;
	struct site *site;
	struct vec findings;
	struct err *err;
};

static void add_finding(struct loading *l, struct str key, struct str value, const char *text)
{
	struct arena *a = l->site->arena;
	struct site_finding f = {
		arena_dup(a, key), arena_dup(a, value), arena_dup(a, str_from_c(text))};
	vec_add(&l->findings, &f);
}

/* The list's elements in the arena. */
static void *settle(struct site *s, struct vec *v, size_t *ret_n)
{
	void *p = arena_alloc(s->arena, v->n * v->elem + 1);
	if (v->n)
		memcpy(p, v->p, v->n * v->elem);
	*ret_n = v->n;
	vec_done(v);
	return p;
}

/* The value the last revision gave to a setting: it was good then. */
static bool last_good(struct loading *l, struct str key, struct str *ret)
{
	struct db_query *q = db_query(l->s->db,
		"SELECT new FROM change WHERE kind = 'setting' AND name = $1"
		" ORDER BY revision DESC, n DESC LIMIT 1");
	db_bind_text(q, 1, key);
	bool found = db_step(q, l->err) > 0 && !db_is_null(q, 0);
	if (found)
		*ret = arena_dup(l->site->arena, db_str(q, 0));
	db_end(q);
	return found;
}

static void load_setting(struct loading *l, struct str key, struct str value, struct site_origin *o)
{
	struct err why = {0};
	struct str good;
	const struct setting *s = setting_find(key);
	if (!s) {
		add_finding(l, key, value, "there is no such setting; the row is not used");
		return;
	}
	if (setting_parse(s, value, l->site->conf, &why) < 0) {
		add_finding(l, key, s->secret ? STR("(secret)") : value, why.log);
		if (!last_good(l, key, &good) || setting_parse(s, good, l->site->conf, &why) < 0)
			return; /* the built-in default stays */
	}
	l->site->origins[s - settings] = *o;
}

/* Each value may be good and two of them not together: then the listeners are as they were last. */
static void restore_listeners(struct loading *l, const char *why)
{
	static const struct str names[] = {
		{"listen.smtp", 11}, {"listen.submission", 17}, {"listen.submissions", 18}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct err ignored;
		struct str good;
		const struct setting *s = setting_find(names[i]);
		if (!last_good(l, names[i], &good))
			good = str_from_c(s->value);
		setting_parse(s, good, l->site->conf, &ignored);
	}
	add_finding(l, STR("listen.*"), STR(""), why);
}

static int load_settings(struct loading *l)
{
	int r;
	struct err why;
	struct arena *a = l->site->arena;
	struct db_query *q = db_query(l->s->db,
		"SELECT section, name, value, changed_by, changed_at, revision FROM setting"
		" WHERE node = '' ORDER BY section, name");
	while ((r = db_step(q, l->err)) > 0) {
		struct str section = db_str(q, 0), name = db_str(q, 1);
		struct site_origin o = {.given = true,
			.by = arena_dup(a, db_str(q, 3)),
			.at_ms = db_int(q, 4),
			.revision = (uint64_t)db_int(q, 5)};
		struct str key = arena_fmt(a, "%.*s.%.*s", STR_ARG(section), STR_ARG(name));
		load_setting(l, key, arena_dup(a, db_str(q, 2)), &o);
	}
	if (r == 0 && conf_check(l->site->conf, &why) < 0)
		restore_listeners(l, why.log);
	return r;
}

/* A port that no editor should have written: 0, to which nothing connects, so mail waits and the
 * finding says why; going another way could mean going unprotected. */
static uint16_t load_port(struct loading *l, struct str name, int64_t port)
{
	if (port >= 1 && port <= UINT16_MAX)
		return (uint16_t)port;
	add_finding(l, name, arena_fmt(l->site->arena, "%lld", (long long)port),
		"ports go from 1 to 65535; mail that goes this way waits until the row is mended");
	return 0;
}

static int load_domains(struct loading *l)
{
	int r;
	struct arena *a = l->site->arena;
	struct vec list;
	vec_init(&list, sizeof(struct route_domain));
	struct db_query *q =
		db_query(l->s->db, "SELECT lower(name), lower(host), port FROM domain ORDER BY 1");
	while ((r = db_step(q, l->err)) > 0) {
		struct route_domain *d = vec_add(&list, NULL);
		d->name = arena_dup(a, db_str(q, 0));
		d->host = arena_dup(a, db_str(q, 1));
		d->port = d->host.n ? load_port(l, d->name, db_int(q, 2)) : 0;
	}
	l->site->routes.domains = settle(l->site, &list, &l->site->routes.domain_count);
	return r;
}

static int load_connectors(struct loading *l)
{
	int r;
	struct arena *a = l->site->arena;
	struct vec list;
	vec_init(&list, sizeof(struct route_connector));
	struct db_query *q = db_query(l->s->db,
		"SELECT name, lower(host), port, lower(for_domain), tls, trust, helo, sni FROM connector"
		" ORDER BY 1");
	while ((r = db_step(q, l->err)) > 0) {
		struct route_connector k = {.name = arena_dup(a, db_str(q, 0))};
		k.port = load_port(l, k.name, db_int(q, 2));
		k.has_tls = db_str(q, 4).n > 0;
		if (k.has_tls && !tls_level_parse(db_str(q, 4), &k.tls)) {
			/* Silently weaker than meant would break P2: the strictest level instead. */
			k.tls = TLS_VERIFY;
			add_finding(l, k.name, db_str(q, 4),
				"the connector's tls is none of off, may, encrypt, verify; verify is used");
		}
		k.host = arena_dup(a, db_str(q, 1));
		k.for_domain = arena_dup(a, db_str(q, 3));
		k.trust = arena_dup(a, db_str(q, 5));
		k.helo = arena_dup(a, db_str(q, 6));
		k.sni = arena_dup(a, db_str(q, 7));
		vec_add(&list, &k);
	}
	l->site->routes.connectors = settle(l->site, &list, &l->site->routes.connector_count);
	return r;
}

/* Host names separated by blanks. */
static bool names_ok(struct str names)
{
	struct str rest = names, name;
	while (str_split(&rest, ' ', &name))
		if (name.n > SERVED_NAME_MAX)
			return false;
	for (size_t i = 0; i < names.n; i++)
		if (!ascii_is_alpha(names.p[i]) && !ascii_is_digit(names.p[i]) &&
			(!names.p[i] || !strchr(" .-_*", names.p[i])))
			return false;
	return names.n <= CONF_NAMES_MAX;
}

/* What a snapshot takes (conf/snapshot.c): a damaged row must not keep all others from the edges. */
static bool certificate_ok(const struct site_certificate *c)
{
	static const struct str begin = {"-----BEGIN CERTIFICATE-----", 27};
	return names_ok(c->serves) && names_ok(c->facts.names) &&
		hex_ok(c->facts.key_id, KEY_ID_BYTES) && memmem(c->chain.p, c->chain.n, begin.p, begin.n) &&
		!memchr(c->chain.p, 0, c->chain.n);
}

static int load_certificates(struct loading *l)
{
	int r;
	struct arena *a = l->site->arena;
	struct vec list;
	vec_init(&list, sizeof(struct site_certificate));
	struct db_query *q = db_query(l->s->db,
		"SELECT id, names, subject, issuer, thumbprint, key_id, key_type, not_before, not_after,"
		" self_signed, chain, imported_at, imported_by,"
		" (SELECT group_concat(name, ' ') FROM serving WHERE certificate = id)"
		" FROM certificate ORDER BY id DESC");
	while ((r = db_step(q, l->err)) > 0) {
		struct site_certificate row = {0}, *c = &row;
		c->id = (uint64_t)db_int(q, 0);
		c->facts.names = arena_dup(a, db_str(q, 1));
		c->facts.subject = arena_dup(a, db_str(q, 2));
		c->facts.issuer = arena_dup(a, db_str(q, 3));
		c->facts.thumbprint = arena_dup(a, db_str(q, 4));
		c->facts.key_id = arena_dup(a, db_str(q, 5));
		c->facts.key_type = arena_dup(a, db_str(q, 6));
		c->facts.not_before_ms = db_int(q, 7);
		c->facts.not_after_ms = db_int(q, 8);
		c->facts.self_signed = db_int(q, 9) != 0;
		c->chain = arena_dup(a, db_str(q, 10));
		c->imported_ms = db_int(q, 11);
		c->imported_by = arena_dup(a, db_str(q, 12));
		c->serves = arena_dup(a, db_str(q, 13));
		if (certificate_ok(c))
			vec_add(&list, c);
		else
			add_finding(l, arena_fmt(a, "certificate %llu", (unsigned long long)c->id),
				c->facts.names, "the row is damaged; import the certificate again");
	}
	l->site->certificates = settle(l->site, &list, &l->site->certificate_count);
	return r;
}

/* Rows of the snapshot, and how many of them have a name. */
struct serving {
	struct vec rows;
	struct map *names;
};

static bool has_name(struct str names, struct str wanted)
{
	struct str name;
	while (str_split(&names, ' ', &name))
		if (str_eq_nocase(name, wanted))
			return true;
	return false;
}

static void serve_names(struct serving *v, const struct site_certificate *c, struct str names)
{
	struct str rest = names, name;
	vec_add(&v->rows,
		&(struct conf_certificate){names, c->chain, c->facts.key_id, c->facts.self_signed});
	while (str_split(&rest, ' ', &name))
		if (name.n)
			map_put(v->names, name, (void *)((uintptr_t)map_get(v->names, name) + 1));
}

/* True if the certificate has a name that another one serves, with nothing to fall back to. */
static bool is_spare(const struct serving *v, const struct site_certificate *c)
{
	struct str rest = c->facts.names, name;
	while (str_split(&rest, ' ', &name))
		if (name.n && (uintptr_t)map_get(v->names, name) < 2 && !has_name(c->serves, name))
			return true;
	return false;
}

/* First what serves, the certificate for server.hostname in front; then for each name the newest one
 * of those before, which serves if the edge finds the first one unusable (P2). */
static void fill_conf_certificates(struct site *s)
{
	struct serving v = {.names = map_new()};
	vec_init(&v.rows, sizeof(struct conf_certificate));
	for (int default_one = 1; default_one >= 0; default_one--)
		for (size_t i = 0; i < s->certificate_count; i++) {
			const struct site_certificate *c = &s->certificates[i];
			if (c->serves.n && has_name(c->serves, s->conf->hostname) == default_one)
				serve_names(&v, c, c->serves);
		}
	for (size_t i = 0; i < s->certificate_count; i++) {
		const struct site_certificate *c = &s->certificates[i];
		if (is_spare(&v, c))
			serve_names(&v, c, c->facts.names);
	}
	map_free(v.names, NULL);
	s->conf->certificates = settle(s, &v.rows, &s->conf->certificate_count);
}

static int load_revision(struct loading *l)
{
	int64_t number = 0;
	if (db_number(l->s->db, "SELECT coalesce(max(number), 0) FROM revision", &number, l->err) < 0)
		return -1;
	l->site->revision = l->site->conf->revision = (uint64_t)number;
	return 0;
}

struct site *site_load(struct site_db *db, struct err *err)
{
	struct arena *arena = arena_new();
	struct loading l = {.s = db, .site = arena_alloc(arena, sizeof *l.site), .err = err};
	l.site->arena = arena;
	l.site->holders = 1;
	l.site->conf = conf_new();
	l.site->origins = arena_alloc(arena, setting_count * sizeof *l.site->origins);
	vec_init(&l.findings, sizeof(struct site_finding));
	bool good = load_revision(&l) == 0 && load_settings(&l) == 0 && load_domains(&l) == 0 &&
		load_connectors(&l) == 0 && load_certificates(&l) == 0;
	l.site->findings = settle(l.site, &l.findings, &l.site->finding_count);
	if (!good) {
		site_drop(l.site);
		return NULL;
	}
	fill_conf_certificates(l.site);
	return l.site;
}

/* ---- changing */

int site_begin(struct site_db *s, struct str by, struct err *err)
{
	int64_t last = 0;
	/* Exclusive from the start: what was tried under ASK_PREPARE cannot fail for a lock later. */
	if (db_exec(s->db, "BEGIN EXCLUSIVE", err) < 0)
		return db_failure(s->db) == DB_BUSY
			? err_temp(err, NULL,
				  "another program has site.db open for a change; end it there and try again")
			: -1;
	s->changing = true;
	s->now_ms = clock_wall_ms();
	s->changes = 0;
	s->by = str_from_c(str_to_c(by, s->by_text, sizeof s->by_text));
	if (db_number(s->db, "SELECT coalesce(max(number), 0) FROM revision", &last, err) < 0)
		return -1;
	s->revision = (uint64_t)last + 1;
	struct db_query *q =
		db_query(s->db, "INSERT INTO revision (number, at, by) VALUES ($1, $2, $3)");
	db_bind_int(q, 1, (int64_t)s->revision);
	db_bind_int(q, 2, s->now_ms);
	db_bind_text(q, 3, s->by);
	return db_run(q, err);
}

int site_commit(struct site_db *s, uint64_t *ret_revision, struct err *err)
{
	if (db_exec(s->db, "COMMIT", err) < 0)
		return -1;
	s->changing = false;
	*ret_revision = s->revision;
	return 0;
}

void site_rollback(struct site_db *s)
{
	/* SQLite has rolled back by itself after some failures: then this one may fail. */
	if (s->changing)
		db_exec(s->db, "ROLLBACK", NULL);
	s->changing = false;
}

/* Notes one change of the revision; a NULL slice (p == NULL) is SQL NULL. */
static int note(struct site_db *s, const char *kind, struct str name, struct str old,
	struct str new_value, struct err *err)
{
	struct db_query *q = db_query(s->db,
		"INSERT INTO change (revision, n, kind, name, old, new) VALUES ($1, $2, $3, $4, $5, $6)");
	db_bind_int(q, 1, (int64_t)s->revision);
	db_bind_int(q, 2, (int64_t)s->changes++);
	db_bind_text(q, 3, str_from_c(kind));
	db_bind_text(q, 4, name);
	if (old.p)
		db_bind_text(q, 5, old);
	else
		db_bind_null(q, 5);
	if (new_value.p)
		db_bind_text(q, 6, new_value);
	else
		db_bind_null(q, 6);
	return db_run(q, err);
}

int site_put_setting(
	struct site_db *s, const char *name, struct str old, struct str value, struct err *err)
{
	const struct setting *row = setting_find(str_from_c(name));
	struct str key = str_from_c(name);
	ptrdiff_t dot = str_find(key, '.');
	if (!row || dot < 0)
		return err_say(err, "there is no setting %s", name);
	struct db_query *q = db_query(s->db,
		"INSERT INTO setting (section, name, value, changed_by, changed_at, revision)"
		" VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (section, name, node) DO UPDATE SET"
		" value = $3, changed_by = $4, changed_at = $5, revision = $6");
	db_bind_text(q, 1, str_take(key, (size_t)dot));
	db_bind_text(q, 2, str_skip(key, (size_t)dot + 1));
	db_bind_text(q, 3, value);
	db_bind_text(q, 4, s->by);
	db_bind_int(q, 5, s->now_ms);
	db_bind_int(q, 6, (int64_t)s->revision);
	if (db_run(q, err) < 0)
		return -1;
	/* A secret's old values are nobody's business; its last good one is its row. */
	if (row->secret)
		return note(s, "setting", key, STR("(secret)"), STR("(secret)"), err);
	return note(s, "setting", key, old, value, err);
}

/* One line that says all of a domain or connector, for the revision. */
static struct str domain_line(struct site_db *s, struct str name, struct arena *a)
{
	struct str line = {NULL, 0};
	struct db_query *q = db_query(s->db, "SELECT host, port FROM domain WHERE name = $1");
	db_bind_text(q, 1, name);
	if (db_step(q, NULL) > 0)
		line = db_str(q, 0).n
			? arena_fmt(a, "route=%.*s:%d", STR_ARG(db_str(q, 0)), (int)db_int(q, 1))
			: STR("");
	db_end(q);
	return line;
}

static struct str connector_line(struct site_db *s, struct str name, struct arena *a)
{
	struct str line = {NULL, 0};
	struct db_query *q = db_query(s->db,
		"SELECT host, port, for_domain, tls, helo, sni, trust FROM connector WHERE name = $1");
	db_bind_text(q, 1, name);
	if (db_step(q, NULL) > 0)
		line = arena_fmt(a, "host=%.*s:%d for=%.*s tls=%.*s helo=%.*s sni=%.*s trust=%.*s",
			STR_ARG(db_str(q, 0)), (int)db_int(q, 1), STR_ARG(db_str(q, 2)), STR_ARG(db_str(q, 3)),
			STR_ARG(db_str(q, 4)), STR_ARG(db_str(q, 5)), STR_ARG(db_str(q, 6)));
	db_end(q);
	return line;
}

typedef struct str line_fn(struct site_db *s, struct str name, struct arena *a);

/* What can be done to the row of one name: how it reads, and the statement that changes it. */
struct edit {
	const char *kind;
	struct str name;
	line_fn *line;
	struct db_query *q;
};

/* Runs the statement and notes what the row was and is. */
static int run_put(struct site_db *s, struct edit e, struct err *err)
{
	struct arena *a = arena_new();
	struct str old = e.line(s, e.name, a);
	int r = db_run(e.q, err);
	if (r == 0)
		r = note(s, e.kind, e.name, old, e.line(s, e.name, a), err);
	arena_free(a);
	return r;
}

/* As site_remove_…(). */
static int run_remove(struct site_db *s, struct edit e, struct err *err)
{
	struct arena *a = arena_new();
	struct str old = e.line(s, e.name, a);
	int r = 0;
	db_bind_text(e.q, 1, e.name);
	if (old.p) {
		r = db_run(e.q, err);
		if (r == 0)
			r = note(s, e.kind, e.name, old, (struct str){NULL, 0}, err) < 0 ? -1 : 1;
	}
	arena_free(a);
	return r;
}

int site_put_domain(struct site_db *s, const struct route_domain *d, struct err *err)
{
	struct db_query *q = db_query(s->db,
		"INSERT INTO domain (name, host, port) VALUES ($1, $2, $3)"
		" ON CONFLICT (name) DO UPDATE SET host = $2, port = $3");
	db_bind_text(q, 1, d->name);
	db_bind_text(q, 2, d->host);
	db_bind_int(q, 3, d->port);
	return run_put(s, (struct edit){"domain", d->name, domain_line, q}, err);
}

int site_put_connector(struct site_db *s, const struct route_connector *c, struct err *err)
{
	struct db_query *q = db_query(s->db,
		"INSERT INTO connector (name, host, port, for_domain, tls, trust, helo, sni)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO UPDATE SET"
		" host = $2, port = $3, for_domain = $4, tls = $5, trust = $6, helo = $7, sni = $8");
	db_bind_text(q, 1, c->name);
	db_bind_text(q, 2, c->host);
	db_bind_int(q, 3, c->port);
	db_bind_text(q, 4, c->for_domain);
	db_bind_text(q, 5, c->has_tls ? str_from_c(tls_level_name(c->tls)) : STR(""));
	db_bind_text(q, 6, c->trust);
	db_bind_text(q, 7, c->helo);
	db_bind_text(q, 8, c->sni);
	return run_put(s, (struct edit){"connector", c->name, connector_line, q}, err);
}

int site_remove_domain(struct site_db *s, struct str name, struct err *err)
{
	struct db_query *q = db_query(s->db, "DELETE FROM domain WHERE name = $1");
	return run_remove(s, (struct edit){"domain", name, domain_line, q}, err);
}

int site_remove_connector(struct site_db *s, struct str name, struct err *err)
{
	struct db_query *q = db_query(s->db, "DELETE FROM connector WHERE name = $1");
	return run_remove(s, (struct edit){"connector", name, connector_line, q}, err);
}

static int serve_name(struct site_db *s, struct str name, int64_t id, struct err *err)
{
	struct db_query *q = db_query(s->db,
		"INSERT INTO serving (name, certificate) VALUES (lower($1), $2)"
		" ON CONFLICT (name) DO UPDATE SET certificate = $2");
	db_bind_text(q, 1, name);
	db_bind_int(q, 2, id);
	return db_run(q, err);
}

int site_put_certificate(struct site_db *s, const struct site_certificate *c, struct err *err)
{
	const struct certificate_facts *f = &c->facts;
	int64_t last = 0;
	if (db_number(s->db, "SELECT coalesce(max(id), 0) FROM certificate", &last, err) < 0)
		return -1;
	struct db_query *q = db_query(s->db,
		"INSERT INTO certificate (id, names, subject, issuer, thumbprint, key_id, key_type,"
		" not_before, not_after, self_signed, chain, imported_at, imported_by)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)");
	db_bind_int(q, 1, last + 1);
	db_bind_text(q, 2, f->names);
	db_bind_text(q, 3, f->subject);
	db_bind_text(q, 4, f->issuer);
	db_bind_text(q, 5, f->thumbprint);
	db_bind_text(q, 6, f->key_id);
	db_bind_text(q, 7, f->key_type);
	db_bind_int(q, 8, f->not_before_ms);
	db_bind_int(q, 9, f->not_after_ms);
	db_bind_int(q, 10, f->self_signed);
	db_bind_text(q, 11, c->chain);
	db_bind_int(q, 12, s->now_ms);
	db_bind_text(q, 13, s->by);
	if (db_run(q, err) < 0)
		return -1;
	struct str rest = f->names, name;
	while (str_split(&rest, ' ', &name))
		if (name.n && serve_name(s, name, last + 1, err) < 0)
			return -1;
	return note(s, "certificate", f->names, (struct str){NULL, 0}, f->thumbprint, err);
}
