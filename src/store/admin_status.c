#include "store/admin_mail.h"

#include <stdio.h>

#include "ask/ask_serve.h"
#include "ask/questions.h"
#include "base/clock.h"
#include "conf/value.h"

enum { ASK_MS = 60 * 1000 }; /* a service that stops lets its sessions end */
#define CERTIFICATE_WARN_MS ((int64_t)21 * 24 * 3600 * 1000)

/* ---- roles and services */

/* "mx running 4711 restarts=0 missing=uid landlock" as an object: name, state, pid and whatever else
 * stands there as key=value. Words behind a value belong to it. */
static json_t *role_json(struct str line)
{
	static const char *const first[] = {"role", "state", "pid"};
	struct str word, value = {0};
	uint64_t number;
	char key[32] = "";
	json_t *j = json_object();
	for (int i = 0; str_split(&line, ' ', &word); i++) {
		ptrdiff_t eq = str_find(word, '=');
		if (i < 3) {
			str_to_c(str_from_c(first[i]), key, sizeof key);
			value = word;
		} else if (eq > 0) {
			str_to_c(str_take(word, (size_t)eq), key, sizeof key);
			value = str_skip(word, (size_t)eq + 1);
		} else {
			value.n = (size_t)(word.p + word.n - value.p);
		}
		json_object_set_new(j, key,
			str_to_u64(value, INT64_MAX, &number) ? json_integer((json_int_t)number)
												  : admin_json(value));
	}
	return j;
}

/* "mx certificate for …" to the member "faults" of its role. */
static void add_fault(json_t *roles, struct str line)
{
	struct str name;
	str_split(&line, ' ', &name);
	for (size_t i = 0; i < json_array_size(roles); i++) {
		json_t *role = json_array_get(roles, i), *list = json_object_get(role, "faults");
		const char *of = json_string_value(json_object_get(role, "role"));
		if (!of || !str_eq(str_from_c(of), name))
			continue;
		if (!list)
			json_object_set_new(role, "faults", list = json_array());
		json_array_append_new(list, admin_json(line));
	}
}

/* The list of roles, or NULL after a refusal. */
static json_t *ask_service(struct admin_call *c, struct str op, struct str group)
{
	struct ask_service question = {.op = op, .group = group};
	struct ask_service_answer answer = {0};
	struct err err = {0};
	struct str line;
	if (ask_put(c->admin->serve, ASK_SERVICE, xfer_ask_service, &question, NULL,
			xfer_ask_service_answer, &answer, NULL, ASK_MS, c->arena, &err) < 0)
		return admin_refuse_err(c, "failed", "service", &err);
	json_t *roles = json_array();
	while (str_split(&answer.lines, '\n', &line))
		if (line.n)
			json_array_append_new(roles, role_json(line));
	while (str_split(&answer.faults, '\n', &line))
		if (line.n)
			add_fault(roles, line);
	return roles;
}

static json_t *service(struct admin_call *c, const char *op)
{
	json_t *roles = ask_service(c, str_from_c(op), admin_text(c, "service"));
	return roles ? json_pack("{s:o}", "roles", roles) : NULL;
}

static json_t *service_change(struct admin_call *c, const char *op)
{
	struct str name = admin_text(c, "service");
	if (!str_eq(name, STR("mx")) && !str_eq(name, STR("user")) && !str_eq(name, STR("relay")))
		return admin_refuse(c, 400, "bad-value", "service",
			"\"%.*s\" is none of mx (mail from other servers), user (mail from your users), relay "
			"(mail to other servers)",
			STR_ARG(str_take(name, 40)));
	return service(c, op);
}

json_t *admin_service_list(struct admin_call *c)
{
	return service(c, "list");
}

json_t *admin_service_start(struct admin_call *c)
{
	return service_change(c, "start");
}

json_t *admin_service_stop(struct admin_call *c)
{
	return service_change(c, "stop");
}

/* ---- status */

static const char *inbound_name(enum tls_inbound level)
{
	static const char *const names[] = {"off", "available", "required"};
	return names[level];
}

static void add_listeners(
	json_t *list, const char *name, const struct conf_addresses *a, const char *tls)
{
	for (size_t i = 0; i < a->n; i++)
		json_array_append_new(list,
			json_pack("{s:s, s:o, s:s}", "listener", name, "address", admin_json(a->at[i].text),
				"tls", tls));
}

static json_t *listeners_json(const struct conf *c)
{
	json_t *list = json_array();
	add_listeners(list, "smtp", &c->listen_smtp, inbound_name(c->smtp_tls));
	add_listeners(list, "submission", &c->listen_submission, inbound_name(c->submission_tls));
	add_listeners(list, "submissions", &c->listen_submissions, "implicit");
	add_listeners(list, "https", &c->listen_https, "implicit");
	return list;
}

/* Certificates in use, the newest first. */
static json_t *certificates_json(const struct site *s)
{
	json_t *list = json_array();
	for (size_t i = 0; i < s->certificate_count; i++) {
		if (s->certificates[i].serves.n == 0)
			continue;
		json_t *j = admin_certificate_json(&s->certificates[i]);
		if (s->certificates[i].facts.self_signed)
			json_object_set_new(j, "note", json_string("self-signed, not for public use"));
		json_array_append_new(list, j);
	}
	return list;
}

static json_t *queue_json(struct admin_call *c)
{
	struct store_counters n = {0};
	if (!c->admin->store)
		return json_null();
	store_count(c->admin->store, &n);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:I, s:I}",
		"messages", (json_int_t)n.messages, "ready", (json_int_t)n.ready, "active",
		(json_int_t)n.active, "deferred", (json_int_t)n.deferred, "held", (json_int_t)n.held,
		"destinations", (json_int_t)n.destinations, "accepted", (json_int_t)n.accepted, "delivered",
		(json_int_t)n.delivered, "bounced", (json_int_t)n.bounced, "expired", (json_int_t)n.expired,
		"attempts", (json_int_t)n.attempts, "disk_full", n.disk_full, "disk_low", n.disk_low,
		"disk_available", (json_int_t)n.disk_available, "disk_floor", (json_int_t)n.disk_floor);
}

static void degrade(json_t *list, const char *what, struct str text)
{
	json_array_append_new(list, json_pack("{s:s, s:o}", "what", what, "text", admin_json(text)));
}

static const char *text_member(json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));
	return text ? text : "";
}

static void degraded_roles(struct admin_call *c, json_t *roles, json_t *list)
{
	for (size_t i = 0; i < json_array_size(roles); i++) {
		json_t *role = json_array_get(roles, i);
		const char *state = text_member(role, "state");
		json_int_t revision = json_integer_value(json_object_get(role, "revision"));
		/* Roles without settings of their own have none. */
		if (revision && (uint64_t)revision != c->admin->site->revision)
			degrade(list, "settings",
				arena_fmt(c->arena, "%s still runs with settings revision %lld",
					text_member(role, "role"), (long long)revision));
		if (strcmp(state, "running") != 0 && strcmp(state, "finishing") != 0)
			degrade(list, "role",
				arena_fmt(c->arena, "%s is not running (%s)", text_member(role, "role"), state));
	}
}

/* The words of io/sandbox.h: what is open without the wall, and what puts it up. */
static const struct {
	const char *wall, *open, *next;
} walls[] = {
	{"view", "names, sizes and times of files can be seen",
		"start letterlock as root (it keeps no rights of root for roles)"},
	{"uid", "it runs as a user that others run as",
		"start letterlock as root, with the system users letterlock-edge, letterlock-relay and "
		"letterlock-import, data/ and spool/ owned by letterlock-store, keys/ by letterlock-keys"},
	{"landlock", "what its user may read and write, it may",
		"run a kernel of Linux 5.13 or later with landlock among its security modules (lsm=)"},
	{"landlock-net", "only the filter of system calls keeps it from TCP ports",
		"run a kernel of Linux 6.7 or later"},
	{"landlock-scope", "only the filter of system calls keeps it from signals to others",
		"run a kernel of Linux 6.12 or later"},
	{"seccomp", "no system call is refused (with --walls log: only the worst)",
		"run a kernel with seccomp filters, and letterlock serve without --walls"},
	{"memlock", "private keys may be written to swap",
		"let it lock 8 MB of memory (ulimit -l, LimitMEMLOCK=)"},
	{"mdwe", "memory can be made into code", "run a kernel of Linux 6.3 or later"},
};

static bool has_word(const char *words, const char *word)
{
	struct str rest = str_from_c(words), one;
	while (str_split(&rest, ' ', &one))
		if (str_eq(one, str_from_c(word)))
			return true;
	return false;
}

/* A line for each wall that somebody misses. */
static void degraded_walls(struct admin_call *c, json_t *roles, json_t *list)
{
	for (size_t w = 0; w < sizeof walls / sizeof *walls; w++) {
		json_t *who = json_array();
		struct str names = STR("");
		for (size_t i = 0; i < json_array_size(roles); i++) {
			json_t *role = json_array_get(roles, i);
			if (!has_word(text_member(role, "missing"), walls[w].wall))
				continue;
			names = arena_fmt(c->arena, "%.*s%s%s", STR_ARG(names), names.n ? ", " : "",
				text_member(role, "role"));
			json_array_append(who, json_object_get(role, "role"));
		}
		if (names.n)
			json_array_append_new(list,
				json_pack("{s:s, s:s, s:O, s:o}", "what", "walls", "wall", walls[w].wall, "roles",
					who, "text",
					admin_json(
						arena_fmt(c->arena, "the wall %s is missing (%.*s): %s. To have it: %s",
							walls[w].wall, STR_ARG(names), walls[w].open, walls[w].next))));
		json_decref(who);
	}
}

/* A role that its walls had to stop. */
static void degraded_forbidden(struct admin_call *c, json_t *roles, json_t *list)
{
	char at[CLOCK_TEXT];
	for (size_t i = 0; i < json_array_size(roles); i++) {
		json_t *role = json_array_get(roles, i);
		json_int_t times = json_integer_value(json_object_get(role, "forbidden"));
		if (times)
			degrade(list, "forbidden",
				arena_fmt(c->arena,
					"%s was ended by its walls for a system call that it may not make, %lld times "
					"since the start, last at %s: a fault of letterlock, or somebody took it over. "
					"The log names the call: role.forbidden",
					text_member(role, "role"), (long long)times,
					clock_rfc3339(json_integer_value(json_object_get(role, "forbidden_at")), at)));
	}
}

static bool has_fault(json_t *role, json_t *fault)
{
	json_t *list = json_object_get(role, "faults");
	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_equal(json_array_get(list, i), fault))
			return true;
	return false;
}

/* A fault that several roles meet is told once, with the first of them. */
static void degraded_faults(struct admin_call *c, json_t *roles, json_t *list)
{
	for (size_t i = 0; i < json_array_size(roles); i++) {
		json_t *role = json_array_get(roles, i), *faults = json_object_get(role, "faults");
		for (size_t k = 0; k < json_array_size(faults); k++) {
			json_t *fault = json_array_get(faults, k);
			bool told = false;
			for (size_t before = 0; before < i && !told; before++)
				told = has_fault(json_array_get(roles, before), fault);
			if (!told)
				degrade(list, "fault",
					arena_fmt(
						c->arena, "%s: %s", text_member(role, "role"), json_string_value(fault)));
		}
	}
}

static void degraded_certificates(struct admin_call *c, json_t *list)
{
	const struct site *s = c->admin->site;
	int64_t now = clock_wall_ms();
	char until[CLOCK_TEXT];
	if (s->conf->certificate_count == 0)
		degrade(list, "certificate", STR("there is no certificate: no listener offers TLS"));
	for (size_t i = 0; i < s->certificate_count; i++) {
		const struct site_certificate *k = &s->certificates[i];
		if (k->serves.n && k->facts.not_after_ms < now + CERTIFICATE_WARN_MS)
			degrade(list, "certificate",
				arena_fmt(c->arena, "the certificate for %.*s %s %.10s", STR_ARG(k->serves),
					k->facts.not_after_ms < now ? "has expired on" : "expires on",
					clock_rfc3339(k->facts.not_after_ms, until)));
	}
}

static void degraded_disk(struct admin_call *c, const struct store_counters *n, json_t *list)
{
	char available[24], least[24];
	struct buf a = {.p = available, .cap = sizeof available, .max = sizeof available - 1};
	struct buf b = {.p = least, .cap = sizeof least, .max = sizeof least - 1};
	value_put_size((int64_t)(n->disk_available / 1024 * 1024), &a);
	value_put_size((int64_t)(n->disk_floor / 1024 * 1024), &b);
	degrade(list, "disk",
		arena_fmt(c->arena,
			"%s, %s is free and %s must be (queue.min_free): no new mail is accepted (452 4.3.1) "
			"until there is more; what is queued goes on. Free space on the file system of %s",
			n->disk_full ? "the disk was full" : "the disk is nearly full", buf_c(&a), buf_c(&b),
			c->admin->home));
}

static json_t *degraded_json(struct admin_call *c, json_t *roles)
{
	json_t *list = json_array();
	const struct site *s = c->admin->site;
	struct store_counters n = {0};
	degraded_roles(c, roles, list);
	degraded_walls(c, roles, list);
	degraded_forbidden(c, roles, list);
	degraded_faults(c, roles, list);
	degraded_certificates(c, list);
	for (size_t i = 0; i < s->finding_count; i++)
		degrade(list, "setting",
			arena_fmt(c->arena, "%.*s is not used: %.*s", STR_ARG(s->findings[i].key),
				STR_ARG(s->findings[i].text)));
	if (c->admin->store)
		store_count(c->admin->store, &n);
	if (n.disk_low)
		degraded_disk(c, &n, list);
	return list;
}

json_t *admin_status(struct admin_call *c)
{
	json_t *roles = ask_service(c, STR("list"), STR(""));
	if (!roles)
		return NULL;
	/* Only now: the site may have changed while serve was asked. */
	const struct site *s = c->admin->site;
	return json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "version",
		LETTERLOCK_VERSION, "home", c->admin->home, "hostname", admin_json(s->conf->hostname),
		"started", admin_json_time(c->admin->started_ms), "uptime_ms",
		(json_int_t)(clock_wall_ms() - c->admin->started_ms), "revision", (json_int_t)s->revision,
		"degraded", degraded_json(c, roles), "roles", roles, "listeners", listeners_json(s->conf),
		"certificates", certificates_json(s), "queue", queue_json(c));
}
