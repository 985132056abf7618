#include "store/admin_verbs.h"

#include <stdlib.h>

#include "base/buf.h"
#include "conf/settings.h"
#include "store/certificates.h"

enum { VALUE_MAX = 64 * 1024 };

static const struct str secret = {"(secret)", 8};

/* The value in force, in normal form, in the call's arena. */
static struct str value_of(
	const struct admin_call *c, const struct setting *s, const struct conf *conf, bool show_secret)
{
	struct buf b;
	if (s->secret && !show_secret)
		return secret;
	buf_init(&b, VALUE_MAX);
	setting_format(s, conf, &b);
	struct str v = arena_dup(c->arena, buf_str(&b));
	buf_done(&b);
	return v;
}

/* How many single-letter edits make one key of the other; for "did you mean". */
static unsigned distance(struct str a, struct str b)
{
	unsigned row[64];
	if (a.n >= 64 || b.n >= 64)
		return 64;
	for (unsigned j = 0; j <= b.n; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b.n; j++) {
			unsigned change = diagonal + (a.p[i - 1] != b.p[j - 1]);
			diagonal = row[j];
			unsigned shift = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
			row[j] = change < shift ? change : shift;
		}
	}
	return row[b.n];
}

static const struct setting *find(struct admin_call *c)
{
	struct str key = admin_text(c, "key");
	const struct setting *s = setting_find(key), *near = NULL;
	unsigned best = 4;
	if (s)
		return s;
	for (size_t i = 0; i < setting_count; i++) {
		unsigned d = distance(key, str_from_c(settings[i].name));
		if (d < best) {
			best = d;
			near = &settings[i];
		}
	}
	if (near)
		admin_refuse(c, 404, "unknown-setting", "key",
			"there is no setting \"%.*s\"; did you mean %s?", STR_ARG(str_take(key, 60)),
			near->name);
	else
		admin_refuse(c, 404, "unknown-setting", "key",
			"there is no setting \"%.*s\"; `letterlock config list` shows all",
			STR_ARG(str_take(key, 60)));
	return NULL;
}

/* Adds to the answer of a change what it was about. */
static json_t *describe(
	json_t *answer, const struct setting *s, struct str old, struct str value, const char *effect)
{
	json_object_set_new(answer, "key", json_string(s->name));
	json_object_set_new(answer, "old", admin_json(s->secret ? secret : old));
	json_object_set_new(answer, "new", admin_json(s->secret ? secret : value));
	json_object_set_new(answer, "changed", json_boolean(!str_eq(old, value)));
	json_object_set_new(answer, "effect", json_string(effect));
	return answer;
}

json_t *admin_config_set(struct admin_call *c)
{
	const struct setting *s = find(c);
	struct err err = {0};
	if (!s)
		return NULL;
	struct conf *scratch = conf_new();
	int r = setting_parse(s, admin_text(c, "value"), scratch, &err);
	struct str value = r == 0 ? value_of(c, s, scratch, true) : STR("");
	conf_drop(scratch);
	if (r < 0)
		return admin_refuse_err(c, "bad-value", s->name, &err);
	if (admin_begin(c) < 0)
		return NULL;
	struct str old = value_of(c, s, c->admin->site->conf, true);
	/* A default that is set on purpose is a change: it no longer follows the program. */
	if (str_eq(old, value) && c->admin->site->origins[s - settings].given)
		return admin_abandon(
			c, describe(admin_change_json(c), s, old, value, "not at all: it was so already"));
	if (site_put_setting(c->admin->db, s->name, old, value, &err) < 0)
		return admin_abandon(c, admin_refuse_err(c, "refused", s->name, &err));
	json_t *answer = admin_finish(c);
	if (!answer)
		return NULL;
	if (strcmp(s->name, "server.hostname") == 0 && c->admin->keys &&
		certificates_ensure(c->admin, c->who, &err) < 0)
		json_object_set_new(answer, "note", admin_json(str_from_c(err.log)));
	return describe(answer, s, old, value, setting_effect_name(s->effect));
}

static json_t *setting_json(const struct admin_call *c, const struct setting *s)
{
	const struct site *site = c->admin->site;
	const struct site_origin *o = &site->origins[s - settings];
	json_t *j = json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:s}", "key", s->name, "value",
		admin_json(value_of(c, s, site->conf, false)), "default", s->secret ? "" : s->value,
		"origin", o->given ? "site" : "default", "type", setting_type_name(s->type), "effect",
		setting_effect_name(s->effect), "text", s->text);
	if (o->given) {
		json_object_set_new(j, "changed_by", admin_json(o->by));
		json_object_set_new(j, "changed_at", admin_json_time(o->at_ms));
		json_object_set_new(j, "revision", json_integer((json_int_t)o->revision));
	}
	return j;
}

json_t *admin_config_get(struct admin_call *c)
{
	const struct setting *s = find(c);
	return s ? setting_json(c, s) : NULL;
}

json_t *admin_config_list(struct admin_call *c)
{
	const struct site *site = c->admin->site;
	bool changed = json_is_true(json_object_get(c->args, "changed"));
	json_t *list = json_array(), *findings = json_array();
	for (size_t i = 0; i < setting_count; i++)
		if (!changed || site->origins[i].given)
			json_array_append_new(list, setting_json(c, &settings[i]));
	for (size_t i = 0; i < site->finding_count; i++)
		json_array_append_new(findings,
			json_pack("{s:o, s:o, s:o}", "key", admin_json(site->findings[i].key), "value",
				admin_json(site->findings[i].value), "text", admin_json(site->findings[i].text)));
	return json_pack("{s:I, s:o, s:o}", "revision", (json_int_t)site->revision, "settings", list,
		"findings", findings);
}
