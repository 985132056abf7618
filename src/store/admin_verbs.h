/* admin_verbs: what the verbs share: the running call, its arguments, refusals, changes. Inside
 * store/ only. */
#ifndef STORE_ADMIN_VERBS_H
#define STORE_ADMIN_VERBS_H

#include "store/admin.h"

struct admin_call {
	struct admin *admin;
	struct arena *arena;
	json_t *args; /* an object; its members were checked against the table */
	int raw;      /* -1: none */
	struct str who;
	unsigned status; /* set by admin_refuse() */
	json_t *error;
};

/* Always NULL, for `return admin_refuse(…)`. `field` may be NULL. */
json_t *admin_refuse(struct admin_call *c, unsigned status, const char *code, const char *field,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The text of *err; temporary ones are 503, others 400. */
json_t *admin_refuse_err(
	struct admin_call *c, const char *code, const char *field, const struct err *err);

/* A member that the table says is a text; empty if it was not given. */
struct str admin_text(const struct admin_call *c, const char *name);
bool admin_given(const struct admin_call *c, const char *name);
/* A JSON text of any bytes: what is not UTF-8 is shown as '?'. */
json_t *admin_json(struct str s);
/* Milliseconds of the wall clock as RFC 3339; null for 0. */
json_t *admin_json_time(int64_t wall_ms);

/* A text of several lines as a list of texts. */
json_t *admin_lines_json(struct str lines);

/* A change of site.db, in this order; see admin.h. Begin waits for one that is under way; finish
 * loads the candidate, tries it, commits and hands it out. After a failure nothing is changed. 0, or
 * -1 with *err. */
int admin_change_begin(struct admin *a, struct str who, struct err *err);
int admin_change_finish(struct admin *a, struct arena *arena, struct err *err);
void admin_change_abandon(struct admin *a);

/* The same for a verb: failures are set as c->error. */
int admin_begin(struct admin_call *c);
/* Returns admin_change_json(), or NULL. */
json_t *admin_finish(struct admin_call *c);
/* What the answer of every change has: {"revision", "live", "roles": [{"role", "report"}]}. */
json_t *admin_change_json(struct admin_call *c);
/* Leaves the change without a trace and passes NULL on. */
json_t *admin_abandon(struct admin_call *c, json_t *nothing);

json_t *admin_certificate_json(const struct site_certificate *c);

json_t *admin_config_set(struct admin_call *c);
json_t *admin_config_get(struct admin_call *c);
json_t *admin_config_list(struct admin_call *c);
json_t *admin_domain_add(struct admin_call *c);
json_t *admin_domain_list(struct admin_call *c);
json_t *admin_domain_remove(struct admin_call *c);
json_t *admin_connector_add(struct admin_call *c);
json_t *admin_connector_list(struct admin_call *c);
json_t *admin_connector_show(struct admin_call *c);
json_t *admin_connector_remove(struct admin_call *c);
json_t *admin_cert_import(struct admin_call *c);
json_t *admin_cert_list(struct admin_call *c);
json_t *admin_queue_list(struct admin_call *c);
json_t *admin_queue_summary(struct admin_call *c);
json_t *admin_queue_show(struct admin_call *c);
json_t *admin_queue_retry(struct admin_call *c);
json_t *admin_queue_hold(struct admin_call *c);
json_t *admin_queue_release(struct admin_call *c);
json_t *admin_queue_remove(struct admin_call *c);
json_t *admin_trace(struct admin_call *c);
json_t *admin_status(struct admin_call *c);
json_t *admin_monitor(struct admin_call *c);
json_t *admin_fibers(struct admin_call *c);
json_t *admin_service_list(struct admin_call *c);
json_t *admin_service_start(struct admin_call *c);
json_t *admin_service_stop(struct admin_call *c);

#endif
