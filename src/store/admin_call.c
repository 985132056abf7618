#include "store/admin.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ask/ask_mail.h"
#include "ask/questions.h"
#include "base/log.h"
#include "store/admin_verbs.h"

/* Members of arguments nest two deep; the parser recurses, and runs on a fiber's stack. */
enum { JSON_DEPTH_MAX = 8 };

const struct admin_verb *admin_verb_find(struct str name)
{
	for (size_t i = 0; i < admin_verb_count; i++)
		if (str_eq(name, str_from_c(admin_verbs[i].name)))
			return &admin_verbs[i];
	return NULL;
}

json_t *admin_refuse(struct admin_call *c, unsigned status, const char *code, const char *field,
	const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_decref(c->error);
	c->status = status;
	json_t *error = json_object();
	json_object_set_new(error, "code", json_string(code));
	json_object_set_new(error, "message", admin_json(str_from_c(text)));
	if (field)
		json_object_set_new(error, "field", json_string(field));
	c->error = json_pack("{s:o}", "error", error);
	return NULL;
}

json_t *admin_refuse_err(
	struct admin_call *c, const char *code, const char *field, const struct err *err)
{
	if (err->kind == ERR_FULL)
		return admin_refuse(c, 503, "disk-full", field,
			"the disk is full: nothing was changed. Free space on the file system of %s, then do "
			"it "
			"again (%s)",
			c->admin->home, err->log);
	return admin_refuse(c, err->kind == ERR_PERM ? 400 : 503, code, field, "%s", err->log);
}

json_t *admin_json(struct str s)
{
	json_t *j = json_stringn(s.p, s.n);
	if (j)
		return j;
	/* Not UTF-8: what a stranger sent. Everything above ASCII is shown as '?'. */
	struct buf ascii;
	buf_init(&ascii, s.n + 1);
	for (size_t i = 0; i < s.n; i++)
		buf_add_char(&ascii, s.p[i] & '\x80' ? '?' : s.p[i]);
	j = json_stringn(ascii.p, ascii.n);
	buf_done(&ascii);
	return j;
}

struct str admin_text(const struct admin_call *c, const char *name)
{
	json_t *j = json_object_get(c->args, name);
	return j ? str_make(json_string_value(j), json_string_length(j)) : str_make("", 0);
}

bool admin_given(const struct admin_call *c, const char *name)
{
	return json_object_get(c->args, name) != NULL;
}

static bool shallow(struct str json)
{
	int depth = 0;
	bool quoted = false;
	for (size_t i = 0; i < json.n; i++) {
		char ch = json.p[i];
		if (quoted && ch == '\\')
			i++;
		else if (ch == '"')
			quoted = !quoted;
		else if (!quoted && (ch == '{' || ch == '[') && ++depth > JSON_DEPTH_MAX)
			return false;
		else if (!quoted && (ch == '}' || ch == ']'))
			depth--;
	}
	return true;
}

static const struct admin_argument *find_argument(const struct admin_verb *v, const char *name)
{
	for (const struct admin_argument *a = v->arguments; a->name; a++)
		if (strcmp(a->name, name) == 0)
			return a;
	return NULL;
}

static const char *type_name(enum admin_type type)
{
	static const char *const names[] = {
		"a text", "a whole number", "true or false", "a list of texts", "a list of whole numbers"};
	return names[type];
}

static bool has_type(const json_t *j, enum admin_type type)
{
	size_t i;
	switch (type) {
	case ADMIN_TEXT:
		return json_is_string(j);
	case ADMIN_NUMBER:
		return json_is_integer(j);
	case ADMIN_TRUTH:
		return json_is_boolean(j);
	case ADMIN_TEXTS:
	case ADMIN_NUMBERS:
		for (i = 0; i < json_array_size(j); i++)
			if (!has_type(json_array_get(j, i), type == ADMIN_TEXTS ? ADMIN_TEXT : ADMIN_NUMBER))
				return false;
		return json_is_array(j);
	}
	return false;
}

/* Checks the members against the verb's row. */
static bool check_arguments(struct admin_call *c, const struct admin_verb *v)
{
	const char *name;
	json_t *value;
	json_object_foreach(c->args, name, value)
	{
		const struct admin_argument *a = find_argument(v, name);
		if (!a) {
			admin_refuse(c, 400, "unknown-argument", name, "%s takes no \"%s\"", v->name, name);
			return false;
		}
		if (!has_type(value, a->type)) {
			admin_refuse(
				c, 400, "bad-argument", name, "\"%s\" must be %s", name, type_name(a->type));
			return false;
		}
	}
	for (const struct admin_argument *a = v->arguments; a->name; a++)
		if (a->required && !json_object_get(c->args, a->name)) {
			admin_refuse(c, 400, "missing-argument", a->name, "%s needs \"%s\": %s", v->name,
				a->name, a->text);
			return false;
		}
	return true;
}

/* The verb's answer, or NULL with c->error. */
static json_t *run(struct admin_call *c, struct str verb, struct str args)
{
	json_error_t why;
	const struct admin_verb *v = admin_verb_find(verb);
	if (!v)
		return admin_refuse(c, 404, "unknown-verb", NULL, "there is no verb \"%.*s\"",
			(int)(verb.n < 60 ? verb.n : 60), verb.p);
	if (args.n == 0)
		args = STR("{}");
	if (shallow(args))
		c->args = json_loadb(args.p, args.n, JSON_REJECT_DUPLICATES, &why);
	else
		snprintf(why.text, sizeof why.text, "nested too deep");
	if (!c->args)
		return admin_refuse(c, 400, "bad-json", NULL, "the arguments are not JSON: %s", why.text);
	if (!json_is_object(c->args))
		return admin_refuse(c, 400, "bad-json", NULL, "the arguments are not a JSON object");
	if (!check_arguments(c, v))
		return NULL;
	if ((v->flags & ADMIN_DAEMON) && !c->admin->serve)
		return admin_refuse(c, 503, "not-running", NULL, "letterlock is not running");
	if ((v->flags & ADMIN_RAW) && c->raw < 0)
		return admin_refuse(c, 400, "no-body", NULL, "%s needs a body", v->name);
	return v->run(c);
}

unsigned admin_run(struct admin *a, struct str verb, struct str args, int raw, struct str who,
	struct arena *arena, struct str *ret_json)
{
	struct admin_call c = {.admin = a, .arena = arena, .raw = raw, .who = who, .status = 200};
	json_t *answer = run(&c, verb, args);
	char *text = json_dumps(answer ? answer : c.error, JSON_COMPACT);
	*ret_json = text ? arena_dup(arena, str_from_c(text)) : STR("{}");
	free(text);
	json_decref(answer);
	json_decref(c.error);
	json_decref(c.args);
	return c.status;
}

struct str admin_who(uint32_t uid, struct arena *arena)
{
	return uid == 0 ? STR("root") : arena_fmt(arena, "uid %u", uid);
}

/* True if the process at the other end of the unix connection may administer this home. Links between
 * roles (SOCK_SEQPACKET) were made by serve, so they bear the credentials of one who may: a control
 * that was taken over must not pass its own off as a caller. */
static bool may_administer(const struct admin *a, int fd, struct ucred *ret)
{
	int type = 0;
	socklen_t n = sizeof *ret, type_n = sizeof type;
	return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_n) == 0 &&
		type == SOCK_STREAM && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &n) == 0 &&
		n == sizeof *ret && (ret->uid == 0 || ret->uid == a->owner);
}

void admin_answer(struct ask_question *q, struct admin *a)
{
	struct ask_admin ask = {0};
	struct ask_admin_answer answer = {.status = 403};
	struct ucred caller = {.uid = (uid_t)-1};
	if (ask_take(q, xfer_ask_admin, &ask) < 0)
		return;
	if (may_administer(a, q->fd[0], &caller)) {
		struct str who = admin_who(caller.uid, q->arena);
		answer.status =
			(uint16_t)admin_run(a, ask.verb, ask.args, q->fd[1], who, q->arena, &answer.json);
	} else {
		log_warn("admin.refused", "uid=%u verb=%.*s", caller.uid, STR_ARG(ask.verb));
		answer.json =
			STR("{\"error\":{\"code\":\"forbidden\",\"message\":\"only root and the owner "
				"of the home may do this\"}}");
	}
	ask_answer(q, xfer_ask_admin_answer, &answer);
}
