/* The verbs, first on a home whose daemon is down, then with a serve, keys and import of the test's
 * own behind real links. */
#include "store/store_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ask/ask_serve.h"
#include "ask/questions.h"
#include "io/body.h"
#include "store/admin_verbs.h"
#include "store/node_db.h"
#include "store/spool.h"
#include "store/store.h"

struct fixture {
	char home[64];
	struct admin admin;
	struct arena *arena;
	json_t *answer; /* of the last verb */
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f); /* style: tests use plain memory */
	struct err err = {0};
	home_make(f->home);
	struct site_db *db = site_db_create(f->home, &err);
	assert_non_null(db);
	site_db_close(db);
	f->arena = arena_new();
	if (admin_open(&f->admin, f->home, &err) < 0)
		fail_msg("%s", err.log);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	json_decref(f->answer);
	admin_close(&f->admin);
	arena_free(f->arena);
	home_remove(f->home);
	free(f);
	return 0;
}

/* The HTTP status; the answer stays in f->answer. */
static unsigned ask(struct fixture *f, const char *verb, const char *args)
{
	struct str json;
	json_error_t why;
	unsigned status = admin_run(
		&f->admin, str_from_c(verb), str_from_c(args), -1, STR("tester"), f->arena, &json);
	json_decref(f->answer);
	f->answer = json_loadb(json.p, json.n, 0, &why);
	assert_non_null(f->answer);
	/* Every refusal says why. */
	json_t *error = json_object_get(f->answer, "error");
	assert_int_equal(error == NULL, status == 200);
	if (error)
		assert_true(strlen(json_string_value(json_object_get(error, "message"))) > 5);
	return status;
}

static const char *text(json_t *object, const char *member)
{
	const char *s = json_string_value(json_object_get(object, member));
	return s ? s : "";
}

static const char *error_text(struct fixture *f, const char *member)
{
	return text(json_object_get(f->answer, "error"), member);
}

/* ---- arguments */

static void arguments_are_checked_against_the_table(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *verb, *args;
		unsigned status;
		const char *code;
	} tries[] = {
		{"no.such", "{}", 404, "unknown-verb"},
		{"", "{}", 404, "unknown-verb"},
		{"config.get", "{", 400, "bad-json"},
		{"config.get", "[]", 400, "bad-json"},
		{"config.get", "{\"key\":\"smtp.tls\",\"key\":\"x\"}", 400, "bad-json"},
		{"config.get", "{\"key\":[[[[[[[[[[1]]]]]]]]]]}", 400, "bad-json"},
		{"config.get", "{}", 400, "missing-argument"},
		{"config.get", "{\"key\":1}", 400, "bad-argument"},
		{"config.get", "{\"key\":\"smtp.tls\",\"more\":1}", 400, "unknown-argument"},
		{"config.get", "{\"key\":\"smtp.tsl\"}", 404, "unknown-setting"},
		{"queue.retry", "{\"ids\":[1]}", 400, "bad-argument"},
		{"status", "", 503, "not-running"},
		{"cert.import", "{}", 503, "not-running"},
		{"queue.list", "{}", 503, "no-queue"},
	};
	for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
		assert_int_equal(ask(f, tries[i].verb, tries[i].args), tries[i].status);
		assert_string_equal(error_text(f, "code"), tries[i].code);
	}
}

static void every_verb_is_described(void **state)
{
	(void)state;
	for (size_t i = 0; i < admin_verb_count; i++) {
		const struct admin_verb *v = &admin_verbs[i];
		assert_ptr_equal(admin_verb_find(str_from_c(v->name)), v);
		assert_true(v->text[strlen(v->text) - 1] == '.');
		assert_true(strlen(v->answer) > 0);
		assert_non_null(v->run);
		for (const struct admin_argument *a = v->arguments; a->name; a++)
			assert_true(strlen(a->text) > 0);
	}
}

/* ---- settings */

static void a_setting_tells_old_and_new(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(ask(f, "config.set", "{\"key\":\"smtp.tls\",\"value\":\"required\"}"), 200);
	assert_string_equal(text(f->answer, "old"), "available");
	assert_string_equal(text(f->answer, "new"), "required");
	assert_true(json_is_false(json_object_get(f->answer, "live")));
	assert_int_equal(json_integer_value(json_object_get(f->answer, "revision")), 1);
	assert_int_equal(f->admin.site->conf->smtp_tls, TLS_INBOUND_REQUIRED);
	assert_int_equal(ask(f, "config.get", "{\"key\":\"smtp.tls\"}"), 200);
	assert_string_equal(text(f->answer, "changed_by"), "tester");
	assert_string_equal(text(f->answer, "origin"), "site");
	assert_int_equal(ask(f, "config.list", "{\"changed\":true}"), 200);
	assert_int_equal(json_array_size(json_object_get(f->answer, "settings")), 1);
}

static void the_same_value_is_no_revision(void **state)
{
	struct fixture *f = *state;
	ask(f, "config.set", "{\"key\":\"smtp.tls\",\"value\":\"required\"}");
	assert_int_equal(ask(f, "config.set", "{\"key\":\"smtp.tls\",\"value\":\"required\"}"), 200);
	assert_true(json_is_false(json_object_get(f->answer, "changed")));
	assert_int_equal(f->admin.site->revision, 1);
}

static void a_bad_value_changes_nothing(void **state)
{
	struct fixture *f = *state;
	const struct site *before = f->admin.site;
	assert_int_equal(ask(f, "config.set", "{\"key\":\"smtp.tls\",\"value\":\"yes\"}"), 400);
	assert_string_equal(error_text(f, "field"), "smtp.tls");
	assert_non_null(strstr(error_text(f, "message"), "available"));
	assert_ptr_equal(f->admin.site, before);
	/* Good by itself, not beside the others. */
	assert_int_equal(
		ask(f, "config.set", "{\"key\":\"listen.smtp\",\"value\":\"0.0.0.0:587\"}"), 400);
	assert_ptr_equal(f->admin.site, before);
	assert_false(f->admin.changing);
	assert_int_equal(ask(f, "config.get", "{\"key\":\"listen.smtp\"}"), 200);
	assert_string_equal(text(f->answer, "origin"), "default");
}

/* ---- domains and connectors */

static void domains(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(
		ask(f, "domain.add", "{\"name\":\"Example.ORG\",\"route\":\"mx.inside:2525\"}"), 200);
	assert_string_equal(text(json_object_get(f->answer, "domain"), "name"), "example.org");
	assert_string_equal(text(json_object_get(f->answer, "domain"), "route"), "mx.inside:2525");
	assert_int_equal(ask(f, "domain.add", "{\"name\":\"noroute.example\"}"), 200);
	assert_int_equal(f->admin.site->finding_count, 0);
	assert_int_equal(ask(f, "domain.remove", "{\"name\":\"noroute.example\"}"), 200);
	assert_int_equal(ask(f, "domain.add", "{\"name\":\"example.org\"}"), 409);
	assert_int_equal(ask(f, "domain.add", "{\"name\":\"not_a_name\"}"), 400);
	assert_int_equal(ask(f, "domain.add", "{\"name\":\"b.example\",\"route\":\"x:0\"}"), 400);
	assert_int_equal(ask(f, "domain.list", "{}"), 200);
	assert_int_equal(json_array_size(json_object_get(f->answer, "domains")), 1);
	assert_int_equal(ask(f, "domain.remove", "{\"name\":\"example.org\"}"), 200);
	assert_int_equal(ask(f, "domain.remove", "{\"name\":\"example.org\"}"), 404);
	assert_false(f->admin.changing);
}

static void connectors(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(
		ask(f, "connector.add", "{\"name\":\"hop\",\"host\":\"smtp.example:587\"}"), 200);
	json_t *k = json_object_get(f->answer, "connector");
	assert_string_equal(text(k, "for"), "*");
	assert_string_equal(text(k, "tls"), "may");
	assert_string_equal(text(k, "tls_origin"), "relay.tls");
	assert_string_equal(text(k, "name_checked"), "smtp.example");
	assert_int_equal(
		ask(f, "connector.add", "{\"name\":\"hop\",\"host\":\"a\",\"for\":\"x.example\"}"), 409);
	assert_int_equal(ask(f, "connector.add", "{\"name\":\"two\",\"host\":\"a\"}"), 409);
	assert_non_null(strstr(error_text(f, "message"), "hop"));
	assert_int_equal(ask(f, "connector.add",
						 "{\"name\":\"two\",\"host\":\"192.0.2.1\",\"for\":\"x.example\","
						 "\"tls\":\"verify\",\"sni\":\"mx.x.example\"}"),
		200);
	k = json_object_get(f->answer, "connector");
	assert_string_equal(text(k, "host"), "192.0.2.1:25");
	assert_string_equal(text(k, "name_checked"), "mx.x.example");
	assert_int_equal(ask(f, "connector.list", "{}"), 200);
	assert_int_equal(json_array_size(json_object_get(f->answer, "connectors")), 2);
	assert_int_equal(ask(f, "connector.remove", "{\"name\":\"two\"}"), 200);
	assert_int_equal(ask(f, "connector.show", "{\"name\":\"two\"}"), 404);
}

static void what_a_connector_cannot_be(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {
		"{\"name\":\"a b\",\"host\":\"h.example\"}",
		"{\"name\":\"\",\"host\":\"h.example\"}",
		"{\"name\":\"a\",\"host\":\"h.example:99999\"}",
		"{\"name\":\"a\",\"host\":\"h.example\",\"tls\":\"yes\"}",
		"{\"name\":\"a\",\"host\":\"h.example\",\"for\":\"no_name\"}",
		"{\"name\":\"a\",\"host\":\"h.example\",\"sni\":\"no name\"}",
		"{\"name\":\"a\",\"host\":\"h.example\",\"helo\":\"\"}",
		"{\"name\":\"a\",\"host\":\"h.example\",\"trust\":\"\"}",
		"{\"name\":\"a\",\"host\":\"h.example\",\"trust\":\"-----BEGIN CERTIFICATE-----\\n"
		"-----BEGIN PRIVATE KEY-----\"}",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(ask(f, "connector.add", bad[i]), 400);
	assert_int_equal(f->admin.site->routes.connector_count, 0);
}

/* ---- queue and trace, without a letter */

static void the_queue_can_be_asked_while_down(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	assert_null(store_open(f->home, f->admin.site, &err)); /* a queue that was lost */
	assert_non_null(strstr(err.log, "/node.db, which holds the queue"));
	db_close(node_db_open(f->home, &err));
	assert_null(store_open(f->home, f->admin.site, &err)); /* its large bodies were lost */
	assert_non_null(strstr(err.log, "/spool, which holds the large mail of the queue"));
	spool_close(spool_open(f->home, &err));
	f->admin.store = store_open(f->home, f->admin.site, &err);
	assert_non_null(f->admin.store);
	assert_int_equal(ask(f, "queue.list", "{}"), 200);
	assert_int_equal(json_array_size(json_object_get(f->answer, "messages")), 0);
	assert_true(json_is_null(json_object_get(f->answer, "more")));
	assert_int_equal(ask(f, "queue.list", "{\"state\":\"lost\"}"), 400);
	assert_int_equal(ask(f, "queue.list", "{\"limit\":0}"), 400);
	assert_int_equal(ask(f, "queue.list", "{\"after\":\"x\"}"), 400);
	assert_int_equal(ask(f, "queue.show", "{\"id\":\"short\"}"), 400);
	assert_int_equal(ask(f, "queue.show", "{\"id\":\"0000000000000\"}"), 404);
	assert_int_equal(ask(f, "queue.retry", "{}"), 400);
	assert_int_equal(ask(f, "queue.retry", "{\"all\":false}"), 400);
	assert_int_equal(ask(f, "queue.retry", "{\"all\":true,\"domain\":\"x.example\"}"), 400);
	assert_int_equal(ask(f, "queue.retry", "{\"all\":true}"), 200);
	assert_int_equal(json_integer_value(json_object_get(f->answer, "recipients")), 0);
	assert_int_equal(ask(f, "queue.hold", "{\"ids\":[\"0000000000000\"]}"), 404);
	assert_int_equal(ask(f, "trace", "{\"what\":\" \"}"), 400);
	assert_int_equal(ask(f, "trace", "{\"what\":\"nobody@example.org\"}"), 404);
	store_close(f->admin.store);
	f->admin.store = NULL;
}

/* ---- with a daemon around: serve, keys and import are played here */

#define KEY_A "00000000000000000000000000000000000000000000000000000000000000aa"
#define KEY_B "00000000000000000000000000000000000000000000000000000000000000bb"

struct daemon {
	struct fixture *f;
	struct ask_link *far_serve, *far_keys, *far_import;
	uint64_t snapshot_revision;
	unsigned snapshots; /* or-ed roles since the last ASK_APPLY */
	unsigned prepared, applied, workers, keys_put;
	bool refuse_prepare, wrong_key;
	struct conf *edge_conf; /* the last one that came for edge */
};

static void take_snapshot(struct daemon *d, struct ask_question *q)
{
	struct ask_snapshot s = {0};
	struct str bytes;
	struct err err = {0};
	assert_int_equal(ask_take(q, xfer_ask_snapshot, &s), 0);
	assert_true(body_check(q->fd[0], &err) > 0);
	assert_int_equal(body_map(q->fd[0], CONF_SNAPSHOT_MAX, &bytes, &err), 0);
	struct conf *c = conf_unpack(bytes, &err);
	if (!c)
		fail_msg("snapshot for role %u: %s", s.role, err.log);
	body_unmap(bytes);
	assert_int_equal(c->revision, s.revision);
	d->snapshot_revision = s.revision;
	d->snapshots |= s.role;
	if (s.role == CONF_EDGE) {
		if (d->edge_conf)
			conf_drop(d->edge_conf);
		d->edge_conf = conf_hold(c);
	}
	conf_drop(c);
}

static void import_answers(struct ask_question *q, void *arg)
{
	struct daemon *d = arg;
	struct ask_pile pile = {0};
	struct ask_pile_answer a = {.facts = {.names = STR("mail.example.org"),
									.thumbprint = STR("beef"),
									.key_id = STR(KEY_A)},
		.summary = STR("imported"),
		.findings = STR("reordered: was 1, 0\nroot left out")};
	(void)d;
	assert_int_equal(ask_take(q, xfer_ask_pile, &pile), 0);
	assert_int_equal(pile.file_count, 2);
	assert_int_equal(pile.files[1].size, 7);
	q->answer_fd[0] = body_from_str(STR("-----BEGIN CERTIFICATE-----CHAIN"), "chain", &q->err);
	q->answer_fd[1] = body_from_str(STR("KEY"), "key", &q->err);
	ask_answer(q, xfer_ask_pile_answer, &a);
}

static void serve_answers(struct ask_question *q, void *arg)
{
	struct daemon *d = arg;
	struct ask_apply_answer applied = {.report = STR("mx 7\nrelay refused it: no\n")};
	struct ask_service_answer services = {
		.lines = STR("serve running 1 restarts=0 since=5 missing=\n"
					 "mx running 2 restarts=3 since=5 missing=uid landlock\n"
					 "relay stopped 0 restarts=0 since=0 missing=uid landlock\n")};
	int pair[2];
	switch ((enum ask_kind)q->kind) {
	case ASK_SNAPSHOT:
		take_snapshot(d, q);
		break;
	case ASK_PREPARE:
		d->prepared++;
		if (d->refuse_prepare)
			err_perm(&q->err, NULL, "listen.smtp: cannot listen on 192.0.2.1:25");
		break;
	case ASK_APPLY:
		d->applied++;
		ask_answer(q, xfer_ask_apply_answer, &applied);
		break;
	case ASK_SERVICE:
		ask_answer(q, xfer_ask_service_answer, &services);
		break;
	case ASK_WORKER:
		d->workers++;
		ask_pair(pair);
		d->far_import = ask_link_new(pair[0], "store", import_answers, NULL, d);
		q->answer_fd[0] = pair[1];
		break;
	default:
		fail_msg("serve was asked %u", q->kind);
	}
}

static void keys_answers(struct ask_question *q, void *arg)
{
	struct daemon *d = arg;
	struct ask_key_answer key = {.key_id = d->wrong_key ? STR("other") : STR(KEY_A)};
	struct ask_self_sign sign = {0};
	struct ask_self_sign_answer self = {.certificate_pem = STR("-----BEGIN CERTIFICATE-----SELF")};
	switch ((enum ask_kind)q->kind) {
	case ASK_KEY_MAKE:
		key.key_id = STR(KEY_B);
		ask_answer(q, xfer_ask_key_answer, &key);
		break;
	case ASK_KEY_PUT:
		d->keys_put++;
		assert_true(q->fd[0] >= 0);
		ask_answer(q, xfer_ask_key_answer, &key);
		break;
	case ASK_SELF_SIGN:
		assert_int_equal(ask_take(q, xfer_ask_self_sign, &sign), 0);
		assert_true(str_eq(sign.key_id, STR(KEY_B)));
		self.facts = (struct certificate_facts){.names = sign.name,
			.key_id = sign.key_id,
			.thumbprint = STR("5e1f"),
			.self_signed = true};
		ask_answer(q, xfer_ask_self_sign_answer, &self);
		break;
	default:
		fail_msg("keys was asked %u", q->kind);
	}
}

static struct ask_link *linked(
	ask_handler *far_handler, struct daemon *d, struct ask_link **ret_far)
{
	int pair[2];
	ask_pair(pair);
	*ret_far = ask_link_new(pair[0], "store", far_handler, NULL, d);
	return ask_link_new(pair[1], "far", NULL, NULL, NULL);
}

static void with_daemon(void **state, void (*fn)(void *))
{
	struct fixture *f = *state;
	struct daemon d = {.f = f};
	int ms = 20;
	loop_init();
	f->admin.serve = linked(serve_answers, &d, &d.far_serve);
	f->admin.keys = linked(keys_answers, &d, &d.far_keys);
	run(fn, &d);
	ask_link_free(f->admin.serve);
	ask_link_free(f->admin.keys);
	ask_link_free(d.far_serve);
	ask_link_free(d.far_keys);
	if (d.far_import)
		ask_link_free(d.far_import);
	if (d.edge_conf)
		conf_drop(d.edge_conf);
	run(pass_ms, &ms); /* what the links still have to end */
	loop_done();
}

static void publish_twice(void *arg)
{
	struct daemon *d = arg;
	struct err err = {0};
	if (admin_publish(&d->f->admin, &err) < 0)
		fail_msg("%s", err.log);
	const struct site *s = d->f->admin.site;
	assert_int_equal(s->revision, 1);
	assert_int_equal(s->certificate_count, 1);
	assert_true(s->certificates[0].facts.self_signed);
	assert_true(str_eq(s->certificates[0].serves, s->conf->hostname));
	assert_int_equal(d->applied, 1);
	assert_int_equal(d->snapshots, CONF_SERVE | CONF_EDGE | CONF_RELAY | CONF_KEYS);
	assert_int_equal(d->edge_conf->certificate_count, 1);
	assert_true(
		str_eq(d->edge_conf->certificates[0].chain_pem, STR("-----BEGIN CERTIFICATE-----SELF")));
	/* As after a restart of serve's neighbour: nothing is made anew. */
	assert_int_equal(admin_publish(&d->f->admin, &err), 0);
	assert_int_equal(d->f->admin.site->revision, 1);
	assert_int_equal(d->applied, 2);
}

static void the_first_start_makes_a_certificate(void **state)
{
	with_daemon(state, publish_twice);
}

static void change_live(void *arg)
{
	struct daemon *d = arg;
	struct fixture *f = d->f;
	assert_int_equal(ask(f, "config.set", "{\"key\":\"smtp.tls\",\"value\":\"off\"}"), 200);
	assert_true(json_is_true(json_object_get(f->answer, "live")));
	assert_int_equal(d->prepared, 1);
	assert_int_equal(d->applied, 1);
	assert_int_equal(d->snapshot_revision, 1);
	assert_int_equal(d->edge_conf->smtp_tls, TLS_INBOUND_OFF);
	json_t *roles = json_object_get(f->answer, "roles");
	assert_int_equal(json_array_size(roles), 2);
	assert_string_equal(text(json_array_get(roles, 0), "role"), "mx");
	assert_string_equal(text(json_array_get(roles, 0), "report"), "7");
	assert_string_equal(text(json_array_get(roles, 1), "report"), "refused it: no");
}

static void a_change_goes_to_all_roles(void **state)
{
	with_daemon(state, change_live);
}

static void refuse_live(void *arg)
{
	struct daemon *d = arg;
	struct fixture *f = d->f;
	const struct site *before = f->admin.site;
	d->refuse_prepare = true;
	assert_int_equal(
		ask(f, "config.set", "{\"key\":\"listen.smtp\",\"value\":\"192.0.2.1:25\"}"), 400);
	assert_non_null(strstr(error_text(f, "message"), "cannot listen"));
	assert_int_equal(d->applied, 0);
	assert_ptr_equal(f->admin.site, before);
	assert_false(f->admin.changing);
	struct site *again = site_load(f->admin.db, NULL);
	assert_int_equal(again->revision, 0);
	site_drop(again);
}

static void what_serve_cannot_bind_changes_nothing(void **state)
{
	with_daemon(state, refuse_live);
}

static int pile(struct fixture *f)
{
	struct str json;
	json_error_t why;
	struct err err = {0};
	int raw = body_from_str(STR("CERTKEYDATA"), "pile", &err);
	assert_true(raw >= 0);
	unsigned status = admin_run(&f->admin, STR("cert.import"),
		STR("{\"files\":[\"a.pem\",\"key.pem\"],\"sizes\":[4,7]}"), raw, STR("tester"), f->arena,
		&json);
	close(raw);
	json_decref(f->answer);
	f->answer = json_loadb(json.p, json.n, 0, &why);
	return (int)status;
}

static void import_pairs(void *arg)
{
	struct daemon *d = arg;
	struct fixture *f = d->f;
	assert_int_equal(pile(f), 200);
	assert_string_equal(
		text(json_object_get(f->answer, "certificate"), "serves"), "mail.example.org");
	assert_int_equal(json_array_size(json_object_get(f->answer, "findings")), 2);
	assert_int_equal(d->keys_put, 1);
	assert_true(
		str_eq(d->edge_conf->certificates[0].chain_pem, STR("-----BEGIN CERTIFICATE-----CHAIN")));
	ask_link_free(d->far_import);
	d->far_import = NULL;
	/* keys says that it is another key: the certificate is not taken. */
	d->wrong_key = true;
	assert_int_equal(pile(f), 400);
	assert_int_equal(f->admin.site->certificate_count, 1);
	assert_int_equal(d->applied, 1);
}

static void a_certificate_is_imported_as_a_pair(void **state)
{
	with_daemon(state, import_pairs);
}

static void look_at_status(void *arg)
{
	struct daemon *d = arg;
	struct fixture *f = d->f;
	assert_int_equal(ask(f, "status", "{}"), 200);
	json_t *roles = json_object_get(f->answer, "roles");
	assert_int_equal(json_array_size(roles), 3);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(roles, 1), "pid")), 2);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(roles, 1), "restarts")), 3);
	assert_string_equal(text(json_array_get(roles, 1), "missing"), "uid landlock");
	/* relay stopped, two walls that the same roles miss, no certificate. */
	json_t *degraded = json_object_get(f->answer, "degraded");
	assert_int_equal(json_array_size(degraded), 4);
	json_t *wall = json_array_get(degraded, 2);
	assert_string_equal(text(wall, "wall"), "landlock");
	assert_int_equal(json_array_size(json_object_get(wall, "roles")), 2);
	assert_non_null(strstr(text(wall, "text"), "landlock is missing (mx, relay)"));
	assert_int_equal(ask(f, "service.stop", "{\"service\":\"store\"}"), 400);
	assert_int_equal(ask(f, "service.stop", "{\"service\":\"mx\"}"), 200);
}

static void status_tells_what_is_degraded(void **state)
{
	with_daemon(state, look_at_status);
}

/* ---- who may */

static void ask_as(struct admin *a, int caller, unsigned *ret_status)
{
	struct ask_admin question = {.verb = STR("config.list"), .args = STR("{}")};
	struct ask_admin_answer answer = {0};
	struct arena *arena = arena_new();
	struct buf packed;
	buf_init(&packed, ASK_LONG_MAX);
	struct xfer x = xfer_writer(&packed);
	xfer_ask_admin(&x, &question);
	struct ask_question q = {
		.arena = arena, .body = buf_str(&packed), .fd = {caller, -1}, .answer_fd = {-1, -1}};
	admin_answer(&q, a);
	struct xfer in = xfer_reader(q.answer, arena);
	xfer_ask_admin_answer(&in, &answer);
	assert_true(xfer_done(&in));
	*ret_status = answer.status;
	buf_done(&packed);
	arena_free(arena);
}

static void only_root_and_the_owner_are_answered(void **state)
{
	struct fixture *f = *state;
	unsigned status;
	int pair[2], pipe_ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(pipe(pipe_ends), 0);
	ask_as(&f->admin, pair[0], &status);
	assert_int_equal(status, 200);
	/* No descriptor, or one that is no connection. */
	ask_as(&f->admin, -1, &status);
	assert_int_equal(status, 403);
	ask_as(&f->admin, pipe_ends[0], &status);
	assert_int_equal(status, 403);
	/* The link between two roles was made by serve, which may do everything: it is no caller. */
	int link[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, link), 0);
	ask_as(&f->admin, link[0], &status);
	assert_int_equal(status, 403);
	close(link[0]);
	close(link[1]);
	/* Somebody else: root can be him for a moment, others pretend that the home is not theirs. */
	uint32_t stranger = getuid() ? getuid() : 65534;
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(seteuid(stranger), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(seteuid(getuid()), 0);
	f->admin.owner = stranger + 1;
	ask_as(&f->admin, pair[0], &status);
	assert_int_equal(status, 403);
	f->admin.owner = stranger;
	ask_as(&f->admin, pair[0], &status);
	assert_int_equal(status, 200);
	for (int i = 0; i < 2; i++) {
		close(pair[i]);
		close(pipe_ends[i]);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(arguments_are_checked_against_the_table),
		TEST(every_verb_is_described),
		TEST(a_setting_tells_old_and_new),
		TEST(the_same_value_is_no_revision),
		TEST(a_bad_value_changes_nothing),
		TEST(domains),
		TEST(connectors),
		TEST(what_a_connector_cannot_be),
		TEST(the_queue_can_be_asked_while_down),
		TEST(the_first_start_makes_a_certificate),
		TEST(a_change_goes_to_all_roles),
		TEST(what_serve_cannot_bind_changes_nothing),
		TEST(a_certificate_is_imported_as_a_pair),
		TEST(status_tells_what_is_degraded),
		TEST(only_root_and_the_owner_are_answered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
