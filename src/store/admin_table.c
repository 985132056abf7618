#include "store/admin_verbs.h"

/* The one table: the control socket, the command line, doc/openapi.json and its test read it. */

#define END                           \
	{                                 \
		NULL, ADMIN_TEXT, false, NULL \
	}

static const struct admin_argument none[] = {END};

static const struct admin_argument config_set[] = {
	{"key", ADMIN_TEXT, true, "name of the setting, such as smtp.tls"},
	{"value", ADMIN_TEXT, true, "its new value"},
	END,
};
static const struct admin_argument config_get[] = {
	{"key", ADMIN_TEXT, true, "name of the setting"},
	END,
};
static const struct admin_argument config_list[] = {
	{"changed", ADMIN_TRUTH, false, "only those that differ from the built-in defaults"},
	END,
};
static const struct admin_argument domain_add[] = {
	{"name", ADMIN_TEXT, true, "domain whose mail is accepted from anyone"},
	{"route", ADMIN_TEXT, false, "host:port its mail goes to; without it connectors and MX decide"},
	END,
};
static const struct admin_argument by_name[] = {
	{"name", ADMIN_TEXT, true, "its name"},
	END,
};
static const struct admin_argument connector_add[] = {
	{"name", ADMIN_TEXT, true, "a name for this next hop"},
	{"host", ADMIN_TEXT, true, "host:port"},
	{"for", ADMIN_TEXT, false, "domain whose mail takes this way, or * for all (the default)"},
	{"tls", ADMIN_TEXT, false, "off, may, encrypt or verify; without it relay.tls decides"},
	{"trust", ADMIN_TEXT, false, "trust anchors in PEM; without them the trust store decides"},
	{"helo", ADMIN_TEXT, false, "name we give in EHLO instead of server.hostname"},
	{"sni", ADMIN_TEXT, false, "name we ask for and check instead of the host"},
	END,
};
static const struct admin_argument cert_import[] = {
	{"files", ADMIN_TEXTS, false, "names of the files that the body is made of, in order"},
	{"sizes", ADMIN_NUMBERS, false, "their sizes in bytes"},
	{"passphrase", ADMIN_TEXT, false, "of the private key"},
	END,
};
/* By what recipients are chosen. */
#define FILTERS                                                                                  \
	{"domain", ADMIN_TEXT, false, "only recipients in this domain"},                             \
		{"connector", ADMIN_TEXT, false, "only those that go by this connector"},                \
		{"destination", ADMIN_TEXT, false,                                                       \
			"only those that go this way, as \"destination\" of a recipient says"},              \
		{"sender", ADMIN_TEXT, false, "only mail from this address or domain, or <> (bounces)"}, \
		{"cause", ADMIN_TEXT, false, "only what waits for this cause, such as connect.refused"}, \
		{"older", ADMIN_TEXT, false, "only mail that came longer ago, such as 2h"},              \
	{                                                                                            \
		"younger", ADMIN_TEXT, false, "only mail that came since then, such as 10m"              \
	}

static const struct admin_argument queue_list[] = {
	FILTERS,
	{"state", ADMIN_TEXT, false,
		"ready, active, deferred, held, delivered, bounced, removed or expired; without it all "
		"that wait"},
	{"limit", ADMIN_NUMBER, false, "recipients in the answer, at most 1000 (100)"},
	{"after", ADMIN_TEXT, false, "go on behind this place: \"more\" of the answer before"},
	END,
};
static const struct admin_argument queue_summary[] = {
	{"limit", ADMIN_NUMBER, false, "destinations in the answer, at most 1000 (100)"},
	END,
};
static const struct admin_argument queue_show[] = {
	{"id", ADMIN_TEXT, true, "queue id"},
	END,
};
static const struct admin_argument selection[] = {
	{"ids", ADMIN_TEXTS, false, "these messages"},
	FILTERS,
	{"state", ADMIN_TEXT, false, "ready, active, deferred or held"},
	{"all", ADMIN_TRUTH, false, "everything that waits"},
	END,
};
static const struct admin_argument trace[] = {
	{"what", ADMIN_TEXT, true,
		"queue id, Message-ID (with or without <>), address, domain, or the IP address of a "
		"client"},
	{"limit", ADMIN_NUMBER, false, "messages in the answer, at most 20"},
	END,
};
static const struct admin_argument monitor[] = {
	{"limit", ADMIN_NUMBER, false, "recipients in \"waiting\", at most 200 (20)"},
	END,
};
static const struct admin_argument fibers[] = {
	{"role", ADMIN_TEXT, false, "only this role (mx, user, control, store, relay, keys, serve)"},
	{"limit", ADMIN_NUMBER, false, "fibers in the answer, at most 50000 (20000)"},
	END,
};
static const struct admin_argument service[] = {
	{"service", ADMIN_TEXT, true, "mx, user or relay"},
	END,
};

#define CHANGED "revision made, whether it is live, and what each role reported"
#define MESSAGE "the message with its recipients; what holds each up stands in its cause"

const struct admin_verb admin_verbs[] = {
	{"status", admin_status, ADMIN_DAEMON,
		"Everything at a glance: roles, listeners, certificates, queue, what is degraded.",
		"one object with all of it", none},
	{"monitor", admin_monitor, ADMIN_DAEMON,
		"What happens now, for those who watch: ask again as often as you like.",
		"as status, and \"rates\" (how much in the last second, minute and 5 minutes), \"queue\", "
		"\"destinations\", \"causes\", \"waiting\" (recipients not relayed yet, put off last "
		"first), "
		"\"sessions\", \"processes\", \"disk\"",
		monitor},
	{"fibers", admin_fibers, ADMIN_DAEMON, "What each role is at: all of its fibers.",
		"\"fibers\": role, name, what it waits for, since when and how much longer; \"roles\": how "
		"many each has, or why it said nothing",
		fibers},
	{"service.list", admin_service_list, ADMIN_DAEMON, "The roles and how they are.",
		"\"roles\": role, state, pid and more", none},
	{"service.start", admin_service_start, ADMIN_DAEMON, "Starts a service.",
		"\"roles\" as they are then", service},
	{"service.stop", admin_service_stop, ADMIN_DAEMON,
		"Stops a service: its listeners close, open sessions end.", "\"roles\" as they are then",
		service},
	{"config.set", admin_config_set, ADMIN_CHANGES,
		"Changes a setting, live; a value that is not good is refused and nothing changes.",
		"\"key\", \"old\", \"new\", \"effect\", and " CHANGED, config_set},
	{"config.get", admin_config_get, 0, "One setting: value, default, who changed it and when.",
		"the setting", config_get},
	{"config.list", admin_config_list, 0, "All settings.",
		"\"settings\", and \"findings\": rows that are not used, and why", config_list},
	{"domain.add", admin_domain_add, ADMIN_CHANGES, "Adds a domain whose mail is accepted.",
		"\"domain\", and " CHANGED, domain_add},
	{"domain.list", admin_domain_list, 0, "The domains.", "\"domains\": name, route, connector",
		none},
	{"domain.remove", admin_domain_remove, ADMIN_CHANGES,
		"Removes a domain: new mail for it is refused, queued mail goes on.",
		"\"removed\", and " CHANGED, by_name},
	{"connector.add", admin_connector_add, ADMIN_CHANGES,
		"Adds a connector: a next hop of its own for one domain or for all.",
		"\"connector\", and " CHANGED, connector_add},
	{"connector.list", admin_connector_list, 0, "The connectors.", "\"connectors\"", none},
	{"connector.show", admin_connector_show, 0, "One connector with its trust anchors.",
		"the connector", by_name},
	{"connector.remove", admin_connector_remove, ADMIN_CHANGES,
		"Removes a connector: queued mail takes another way.", "\"removed\", and " CHANGED,
		by_name},
	{"cert.import", admin_cert_import, ADMIN_DAEMON | ADMIN_CHANGES | ADMIN_RAW,
		"Imports a certificate with its key (body: PEM); a bad pair is refused and the old one "
		"stays.",
		"\"certificate\", \"summary\", \"findings\", and " CHANGED, cert_import},
	{"cert.list", admin_cert_list, 0, "The certificates, those in use and older generations.",
		"\"certificates\"", none},
	{"queue.list", admin_queue_list, 0, "What waits in the queue, or was in it.",
		"\"messages\" with the recipients asked for, oldest first; \"more\": the next place or "
		"null",
		queue_list},
	{"queue.summary", admin_queue_summary, 0,
		"How much waits, for which next hop and for what cause, from memory.",
		"the counts; \"destinations\", those with most mail first, and \"causes\"", queue_summary},
	{"queue.show", admin_queue_show, 0, "One message.", MESSAGE, queue_show},
	{"queue.retry", admin_queue_retry, ADMIN_CHANGES,
		"Tries again now. Say which: ids, or all, or filters, of which all must fit.",
		"\"recipients\": how many", selection},
	{"queue.hold", admin_queue_hold, ADMIN_CHANGES, "Holds mail back until it is released.",
		"\"recipients\": how many", selection},
	{"queue.release", admin_queue_release, ADMIN_CHANGES, "Lets held mail go.",
		"\"recipients\": how many", selection},
	{"queue.remove", admin_queue_remove, ADMIN_CHANGES,
		"Drops mail without a bounce to its sender.", "\"recipients\": how many", selection},
	{"trace", admin_trace, 0,
		"The whole story of a message: how it came, each attempt with dialogue and TLS, and why it "
		"waits.",
		"\"cause\" on top, \"messages\" with recipients and records; \"sessions\" without mail",
		trace},
};
const size_t admin_verb_count = sizeof admin_verbs / sizeof *admin_verbs;
