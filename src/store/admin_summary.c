#include <stdlib.h>

#include "mail/cause.h"
#include "store/admin_mail.h"

static json_t *trouble_json(const struct store_destination *d)
{
	if (d->trouble.n == 0)
		return json_null();
	return json_pack(
		"{s:o, s:o}", "cause", admin_json(d->trouble), "text", admin_json(d->trouble_text));
}

json_t *admin_destination_json(const struct store_destination *d)
{
	return json_pack("{s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:I, s:o}", "destination",
		admin_json(d->name), "ready", (json_int_t)d->ready, "active", (json_int_t)d->active,
		"deferred", (json_int_t)d->deferred, "held", (json_int_t)d->held, "waits_until",
		admin_json_time(d->waits_until_ms), "cause", admin_cause_json(d->cause), "of_cause",
		(json_int_t)d->of_cause, "trouble", trouble_json(d));
}

json_t *admin_causes_json(const uint64_t *counts)
{
	json_t *list = json_array();
	bool told[CAUSES_MAX] = {0};
	for (;;) {
		unsigned most = cause_count;
		for (unsigned i = 0; i < cause_count; i++)
			if (!told[i] && counts[i] && (most == cause_count || counts[i] > counts[most]))
				most = i;
		if (most == cause_count)
			return list;
		told[most] = true;
		json_array_append_new(list,
			json_pack("{s:o, s:I}", "cause", admin_cause_json(str_from_c(causes[most].id)),
				"recipients", (json_int_t)counts[most]));
	}
}

json_t *admin_queue_summary(struct admin_call *c)
{
	struct store_summary s;
	struct store_counters n;
	uint32_t limit;
	if (!c->admin->store)
		return admin_need_store(c);
	if (!admin_limit_argument(c, &limit))
		return NULL;
	store_summarize(c->admin->store, limit, c->arena, &s);
	store_count(c->admin->store, &n);
	json_t *list = json_array();
	for (size_t i = 0; i < s.destination_count; i++)
		json_array_append_new(list, admin_destination_json(&s.destinations[i]));
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "messages", (json_int_t)n.messages,
		"ready", (json_int_t)n.ready, "active", (json_int_t)n.active, "deferred",
		(json_int_t)n.deferred, "held", (json_int_t)n.held, "destination_count",
		(json_int_t)n.destinations, "destinations", list, "causes", admin_causes_json(s.causes));
}
