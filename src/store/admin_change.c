#include "store/admin_verbs.h"

#include <sys/stat.h>
#include <unistd.h>

#include "ask/ask_serve.h"
#include "ask/questions.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/body.h"
#include "io/fiber.h"
#include "store/certificates.h"

enum {
	ASK_MS = 10 * 1000,
	APPLY_MS = 30 * 1000, /* the slowest role builds its TLS contexts */
	BUSY_MS = 5 * 1000,   /* how long an SQL editor may hold site.db */
	BUSY_STEP_MS = 20,
};

int admin_open(struct admin *a, const char *home, struct err *err)
{
	struct stat st;
	if (stat(home, &st) < 0)
		return err_say(err, "%s: cannot be read", home);
	a->owner = st.st_uid;
	a->home = home;
	a->started_ms = clock_wall_ms();
	a->db = site_db_open(home, err);
	if (!a->db)
		return -1;
	a->site = site_load(a->db, err);
	return a->site ? 0 : -1;
}

void admin_close(struct admin *a)
{
	site_drop(a->site);
	site_db_close(a->db);
	a->site = NULL;
	a->db = NULL;
}

/* One role's snapshot, kept by serve until ASK_APPLY. */
static int send_snapshot(
	struct admin *a, struct site *s, enum conf_role role, struct arena *arena, struct err *err)
{
	struct ask_snapshot snapshot = {.revision = s->revision, .role = role};
	struct buf packed;
	buf_init(&packed, CONF_SNAPSHOT_MAX);
	conf_pack(s->conf, role, &packed);
	int fd = packed.overflow ? err_say(err, "the settings are too large to hand out")
							 : body_from_str(buf_str(&packed), "snapshot", err);
	buf_done(&packed);
	if (fd < 0)
		return -1;
	int fds[ASK_FDS] = {fd, -1};
	int r = ask_put(a->serve, ASK_SNAPSHOT, xfer_ask_snapshot, &snapshot, fds, NULL, NULL, NULL,
		ASK_MS, arena, err);
	close(fd);
	return r;
}

/* Hands `s` to serve and has its listeners bound. Nothing is in force yet. */
static int prepare(struct admin *a, struct site *s, struct arena *arena, struct err *err)
{
	static const enum conf_role roles[] = {CONF_SERVE, CONF_EDGE, CONF_RELAY, CONF_KEYS};
	struct ask_snapshot all = {.revision = s->revision};
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
		if (send_snapshot(a, s, roles[i], arena, err) < 0)
			return -1;
	return ask_put(a->serve, ASK_PREPARE, xfer_ask_snapshot, &all, NULL, NULL, NULL, NULL, APPLY_MS,
		arena, err);
}

/* Puts a committed site in force here and in the roles. What a role could not take is told, not
 * undone: the revision stands, and serve hands it to the role when that comes back. */
static void apply(struct admin *a, struct site *s, struct arena *arena)
{
	struct ask_snapshot all = {.revision = s->revision};
	struct ask_apply_answer answer = {0};
	struct err err = {0};
	if (s != a->site) {
		site_drop(a->site);
		a->site = s;
	}
	if (a->site_changed)
		a->site_changed(a->arg);
	if (!a->serve)
		return;
	if (ask_put(a->serve, ASK_APPLY, xfer_ask_snapshot, &all, NULL, xfer_ask_apply_answer, &answer,
			NULL, APPLY_MS, arena, &err) < 0) {
		log_error("settings.apply", "revision=%lu %s", (unsigned long)s->revision, err.log);
		answer.report = arena_fmt(arena, "serve %s", err.log);
	}
	a->apply_report = arena_dup(s->arena, answer.report);
}

/* One change or publication at a time. Waits until `until` (steady clock). */
static int take_turn(struct admin *a, int64_t until, struct err *err)
{
	while (a->changing && clock_steady_ms() < until)
		fiber_sleep("for another change of the settings", BUSY_STEP_MS);
	if (a->changing)
		return err_temp(err, NULL, "another change of the settings is under way");
	a->changing = true;
	return 0;
}

int admin_publish(struct admin *a, struct err *err)
{
	/* One that was made is handed out already. */
	int made = certificates_ensure(a, STR("first start"), err);
	if (made)
		return made < 0 ? -1 : 0;
	if (take_turn(a, clock_steady_ms() + BUSY_MS, err) < 0)
		return -1;
	struct arena *arena = arena_new();
	int r = prepare(a, a->site, arena, err);
	if (r == 0)
		apply(a, a->site, arena);
	a->changing = false;
	arena_free(arena);
	return r;
}

int admin_change_begin(struct admin *a, struct str who, struct err *err)
{
	int64_t until = clock_steady_ms() + BUSY_MS;
	if (take_turn(a, until, err) < 0)
		return -1;
	/* An SQL editor may hold the file for a moment. */
	while (site_begin(a->db, who, err) < 0) {
		site_rollback(a->db);
		if (err->kind != ERR_TEMP || clock_steady_ms() >= until) {
			a->changing = false;
			return -1;
		}
		fiber_sleep("for an editor of site.db", BUSY_STEP_MS);
	}
	return 0;
}

void admin_change_abandon(struct admin *a)
{
	site_rollback(a->db);
	a->changing = false;
}

int admin_change_finish(struct admin *a, struct arena *arena, struct err *err)
{
	uint64_t revision;
	struct site *candidate = site_load(a->db, err);
	if (!candidate || conf_check(candidate->conf, err) < 0 ||
		(a->serve && prepare(a, candidate, arena, err) < 0) ||
		site_commit(a->db, &revision, err) < 0) {
		site_drop(candidate);
		admin_change_abandon(a);
		return -1;
	}
	log_info("settings.changed", "revision=%lu", (unsigned long)revision);
	apply(a, candidate, arena);
	a->changing = false;
	return 0;
}

int admin_begin(struct admin_call *c)
{
	struct err err = {0};
	if (admin_change_begin(c->admin, c->who, &err) == 0)
		return 0;
	admin_refuse_err(c, "busy", NULL, &err);
	return -1;
}

json_t *admin_abandon(struct admin_call *c, json_t *nothing)
{
	admin_change_abandon(c->admin);
	return nothing;
}

/* "mx 7\nrelay not running\n" as a list. */
static json_t *report_json(struct str report)
{
	json_t *roles = json_array();
	struct str line;
	while (str_split(&report, '\n', &line)) {
		ptrdiff_t blank = str_find(line, ' ');
		if (blank > 0)
			json_array_append_new(roles,
				json_pack("{s:o, s:o}", "role", admin_json(str_take(line, (size_t)blank)), "report",
					admin_json(str_skip(line, (size_t)blank + 1))));
	}
	return roles;
}

json_t *admin_change_json(struct admin_call *c)
{
	return json_pack("{s:I, s:b, s:o}", "revision", (json_int_t)c->admin->site->revision, "live",
		c->admin->serve != NULL, "roles",
		c->admin->serve ? report_json(c->admin->apply_report) : json_array());
}

json_t *admin_finish(struct admin_call *c)
{
	struct err err = {0};
	if (admin_change_finish(c->admin, c->arena, &err) < 0)
		return admin_refuse_err(c, "refused", NULL, &err);
	return admin_change_json(c);
}

json_t *admin_lines_json(struct str lines)
{
	json_t *list = json_array();
	struct str line;
	while (str_split(&lines, '\n', &line))
		if (line.n)
			json_array_append_new(list, admin_json(line));
	return list;
}

json_t *admin_json_time(int64_t wall_ms)
{
	char text[CLOCK_TEXT];
	return wall_ms ? json_string(clock_rfc3339(wall_ms, text)) : json_null();
}
