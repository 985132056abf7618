#include "store/admin_mail.h"

#include <sys/statvfs.h>

#include "ask/ask_look.h"
#include "ask/questions.h"
#include "base/clock.h"
#include "io/fiber.h"
#include "store/node_db.h"
#include "store/watch.h"

enum {
	GATHER_MS = 10 * 1000, /* serve itself waits less for each role */
	WAITING_DEFAULT = 20,
	WAITING_MAX = 200,
	FIBERS_DEFAULT = 20000, /* in the answer */
	TURN = 500,             /* fibers between turns of the loop */
};

/* What the roles say of themselves. 0, or -1 with c->error. */
static int gather(
	struct admin_call *c, enum look what, struct str role, struct ask_gather_answer *ret)
{
	struct ask_gather question = {.what = what, .role = role};
	struct err err = {0};
	if (ask_put(c->admin->serve, ASK_GATHER, xfer_ask_gather, &question, NULL,
			xfer_ask_gather_answer, ret, NULL, GATHER_MS, c->arena, &err) == 0)
		return 0;
	admin_refuse_err(c, "failed", NULL, &err);
	return -1;
}

/* ---- fibers */

static json_t *fiber_json(const struct gathered *role, const struct look_fiber *f)
{
	return json_pack("{s:o, s:i, s:o, s:o, s:o, s:I, s:o}", "role", admin_json(role->role), "pid",
		(int)role->pid, "name", admin_json(f->name), "waits", admin_json(f->reason), "started",
		admin_json_time(f->started_ms), "waiting_ms", (json_int_t)f->waiting_ms, "left_ms",
		f->left_ms < 0 ? json_null() : json_integer((json_int_t)f->left_ms));
}

/* Adds the role's fibers to `list`, which has at most `limit`, and the role to `roles`. Others get
 * their turn meanwhile. */
static void add_fibers(
	struct admin_call *c, const struct gathered *role, size_t limit, json_t *roles, json_t *list)
{
	struct look_fibers l = {0};
	struct str error = role->error;
	struct xfer x = xfer_reader(role->bytes, c->arena);
	if (error.n == 0) {
		xfer_look_fibers(&x, &l);
		if (!xfer_done(&x)) {
			error = STR("its answer cannot be read");
			l = (struct look_fibers){0};
		}
	}
	for (uint32_t i = 0; i < l.fiber_count && json_array_size(list) < limit; i++) {
		json_array_append_new(list, fiber_json(role, &l.fibers[i]));
		if (i % TURN == TURN - 1)
			fiber_sleep("to let others run", 0);
	}
	json_array_append_new(roles,
		json_pack("{s:o, s:i, s:I, s:o}", "role", admin_json(role->role), "pid", (int)role->pid,
			"fibers", (json_int_t)l.total, "error", error.n ? admin_json(error) : json_null()));
}

json_t *admin_fibers(struct admin_call *c)
{
	struct ask_gather_answer answer;
	struct str role = admin_text(c, "role");
	json_t *limit = json_object_get(c->args, "limit");
	json_int_t most = limit ? json_integer_value(limit) : FIBERS_DEFAULT;
	if (most < 1 || most > LOOK_FIBERS_MAX)
		return admin_refuse(
			c, 400, "bad-value", "limit", "the limit must be 1 to %d", LOOK_FIBERS_MAX);
	if (gather(c, LOOK_FIBERS, role, &answer))
		return NULL;
	if (role.n && answer.role_count == 0)
		return admin_refuse(c, 404, "not-found", "role",
			"no role %.*s runs; `letterlock service list` names them", STR_ARG(str_take(role, 40)));
	json_t *roles = json_array(), *list = json_array();
	for (uint32_t i = 0; i < answer.role_count; i++)
		add_fibers(c, &answer.roles[i], (size_t)most, roles, list);
	return json_pack("{s:o, s:o}", "roles", roles, "fibers", list);
}

/* ---- monitor: what each role says */

static json_t *sums_json(const struct meter_sums *m)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "1s", (json_int_t)m->second, "1m",
		(json_int_t)m->minute, "5m", (json_int_t)m->minutes5, "total", (json_int_t)m->total);
}

/* What the roles have in common, summed up, and what each has for itself. */
struct roles_look {
	json_t *health, *sessions;
	struct meter_sums refused;
};

/* number = listener "." state: a row of the sessions, the same listener of several processes added. */
static void add_session(json_t *sessions, const struct look_number *n)
{
	ptrdiff_t dot = str_find(n->name, '.');
	char listener[32], state[32];
	json_t *row = NULL;
	size_t i, count = json_array_size(sessions);
	str_to_c(str_take(n->name, (size_t)dot), listener, sizeof listener);
	str_to_c(str_skip(n->name, (size_t)dot + 1), state, sizeof state);
	for (i = 0; i < count && !row; i++)
		if (strcmp(json_string_value(json_object_get(json_array_get(sessions, i), "listener")),
				listener) == 0)
			row = json_array_get(sessions, i);
	if (!row)
		json_array_append_new(
			sessions, row = json_pack("{s:o}", "listener", admin_json(str_from_c(listener))));
	json_int_t before = json_integer_value(json_object_get(row, state));
	json_object_set_new(row, state, json_integer(before + (json_int_t)n->value));
}

static void add_numbers(struct roles_look *r, json_t *role, const struct look_numbers *l)
{
	for (uint32_t i = 0; i < l->number_count; i++) {
		const struct look_number *n = &l->numbers[i];
		char name[65];
		if (str_find(n->name, '.') > 0)
			add_session(r->sessions, n);
		else
			json_object_set_new(
				role, str_to_c(n->name, name, sizeof name), json_integer((json_int_t)n->value));
	}
	for (uint32_t i = 0; i < l->rate_count; i++) {
		const struct meter_sums *m = &l->rates[i].sums;
		if (!str_eq(l->rates[i].name, STR("refused")))
			continue;
		r->refused.total += m->total;
		r->refused.second += m->second;
		r->refused.minute += m->minute;
		r->refused.minutes5 += m->minutes5;
	}
}

static void add_role(struct admin_call *c, struct roles_look *r, const struct gathered *g)
{
	struct look_numbers l = {0};
	struct str error = g->error;
	struct xfer x = xfer_reader(g->bytes, c->arena);
	json_t *role = json_pack("{s:o, s:i}", "role", admin_json(g->role), "pid", (int)g->pid);
	if (error.n == 0) {
		xfer_look_numbers(&x, &l);
		if (xfer_done(&x))
			add_numbers(r, role, &l);
		else
			error = STR("its answer cannot be read");
	}
	json_object_set_new(role, "error", error.n ? admin_json(error) : json_null());
	json_array_append_new(r->health, role);
}

/* ---- monitor: what store knows */

static json_t *rates_json(struct admin_call *c, const struct meter_sums *refused)
{
	static const struct {
		const char *name;
		enum watch_meter meter;
	} rates[] = {
		{"accepted", WATCH_ACCEPTED},
		{"delivered", WATCH_DELIVERED},
		{"deferred", WATCH_DEFERRED},
		{"bounced", WATCH_BOUNCED},
		{"expired", WATCH_EXPIRED},
		{"bytes_in", WATCH_BYTES_IN},
		{"bytes_out", WATCH_BYTES_OUT},
	};
	json_t *j = json_object();
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		struct meter_sums sums = store_rate(c->admin->store, rates[i].meter);
		json_object_set_new(j, rates[i].name, sums_json(&sums));
	}
	json_object_set_new(j, "refused", sums_json(refused));
	return j;
}

/* NULL with *err. */
static json_t *waiting_json(struct admin_call *c, uint32_t limit, struct err *err)
{
	struct recipient_row *rows;
	uint32_t n;
	struct store_counters count;
	json_t *list = json_array();
	store_count(c->admin->store, &count);
	if (count.loading) /* nobody shall wait for the end of that */
		return list;
	if (store_waiting(c->admin->store, limit, c->arena, &rows, &n, err)) {
		json_decref(list);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++) {
		json_t *j = admin_recipient_json(&rows[i]);
		json_object_set_new(j, "id", admin_id_json(rows[i].message));
		json_array_append_new(list, j);
	}
	return list;
}

static json_t *disk_json(struct admin_call *c, const struct store_counters *n)
{
	struct statvfs vfs;
	const char *path = arena_fmt(c->arena, "%s/" DATA_FOLDER, c->admin->home).p;
	if (statvfs(path, &vfs) != 0)
		return json_null();
	return json_pack("{s:I, s:I, s:b}", "free", (json_int_t)(vfs.f_bavail * vfs.f_frsize), "size",
		(json_int_t)(vfs.f_blocks * vfs.f_frsize), "full", n->disk_full);
}

static bool waiting_limit(struct admin_call *c, uint32_t *ret)
{
	json_t *limit = json_object_get(c->args, "limit");
	json_int_t n = limit ? json_integer_value(limit) : WAITING_DEFAULT;
	if (n < 0 || n > WAITING_MAX) {
		admin_refuse(c, 400, "bad-value", "limit", "the limit must be 0 to %d", WAITING_MAX);
		return false;
	}
	*ret = (uint32_t)n;
	return true;
}

static void add_summary(struct admin_call *c, json_t *to)
{
	const struct store_summary *s = store_watch_summary(c->admin->store);
	json_t *list = json_array();
	for (size_t i = 0; i < s->destination_count; i++)
		json_array_append_new(list, admin_destination_json(&s->destinations[i]));
	json_object_set_new(to, "destinations", list);
	json_object_set_new(to, "causes", admin_causes_json(s->causes));
}

json_t *admin_monitor(struct admin_call *c)
{
	struct ask_gather_answer said;
	struct store_counters n;
	struct err err = {0};
	uint32_t limit;
	if (!c->admin->store)
		return admin_need_store(c);
	if (!waiting_limit(c, &limit))
		return NULL;
	json_t *status = admin_status(c);
	if (!status)
		return NULL;
	json_t *waiting = gather(c, LOOK_NUMBERS, STR(""), &said) ? NULL : waiting_json(c, limit, &err);
	if (!waiting) {
		json_decref(status);
		return c->error ? NULL : admin_refuse_err(c, "failed", NULL, &err);
	}
	struct roles_look look = {.health = json_array(), .sessions = json_array()};
	for (uint32_t i = 0; i < said.role_count; i++)
		add_role(c, &look, &said.roles[i]);
	store_count(c->admin->store, &n);
	if (!n.loading)
		add_summary(c, status);
	json_object_del(status, "listeners");
	json_object_del(status, "certificates");
	json_object_set_new(status, "at", admin_json_time(clock_wall_ms()));
	json_object_set_new(status, "rates", rates_json(c, &look.refused));
	json_object_set_new(status, "waiting", waiting);
	json_object_set_new(status, "sessions", look.sessions);
	json_object_set_new(status, "processes", look.health);
	json_object_set_new(status, "disk", disk_json(c, &n));
	return status;
}
