#include "conf/settings.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "conf/value.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
#define DAY ((int64_t)24 * HOUR)

#define ALL (CONF_SERVE | CONF_EDGE | CONF_STORE | CONF_RELAY | CONF_KEYS)
#define FIELD(name) offsetof(struct conf, name)

/* Limits are wide on purpose: a test may retry after 100 ms. Defaults are those of RFC 5321 4.5.3
 * and 4.5.4 where it gives any. */
const struct setting settings[] = {
	{
		.name = "server.hostname",
		.type = SETTING_HOSTNAME,
		.value = "localhost",
		.offset = FIELD(hostname),
		.roles = CONF_SERVE | CONF_EDGE | CONF_STORE | CONF_RELAY,
		.effect = EFFECT_NEW_SESSIONS,
		.text =
			"The name of this server: in its greeting, its EHLO to others, its Received lines and "
			"the "
			"bounces it writes. Use the full name that DNS has for the public address, forward and "
			"backward: many servers refuse mail from one whose name does not lead back to its "
			"address.",
	},
	{
		.name = "listen.smtp",
		.type = SETTING_ADDRESSES,
		.value = "0.0.0.0:25 [::]:25",
		.max = CONF_ADDRESSES_MAX,
		.offset = FIELD(listen_smtp),
		.roles = CONF_SERVE | CONF_RELAY,
		.effect = EFFECT_LISTENERS,
		.text = "Where other mail servers reach us (SMTP, the MX listener). Empty: nowhere. Name "
				"single "
				"addresses if the host has several and only some may receive mail.",
	},
	{
		.name = "listen.submission",
		.type = SETTING_ADDRESSES,
		.value = "0.0.0.0:587 [::]:587",
		.max = CONF_ADDRESSES_MAX,
		.offset = FIELD(listen_submission),
		.roles = CONF_SERVE,
		.effect = EFFECT_LISTENERS,
		.text = "Where mail programs hand in mail, beginning in clear and going over to TLS by "
				"STARTTLS "
				"(RFC 6409). Empty: nowhere.",
	},
	{
		.name = "listen.submissions",
		.type = SETTING_ADDRESSES,
		.value = "0.0.0.0:465 [::]:465",
		.max = CONF_ADDRESSES_MAX,
		.offset = FIELD(listen_submissions),
		.roles = CONF_SERVE,
		.effect = EFFECT_LISTENERS,
		.text = "Where mail programs hand in mail under TLS from the first byte (RFC 8314), the "
				"better of "
				"the two ways. Empty: nowhere.",
	},
	{
		.name = "listen.https",
		.type = SETTING_ADDRESSES,
		.value = "",
		.max = CONF_ADDRESSES_MAX,
		.offset = FIELD(listen_https),
		.roles = CONF_SERVE,
		.effect = EFFECT_LISTENERS,
		.text = "Where the web console is to be served. This version has none: leave it empty, "
				"nothing is "
				"bound.",
	},
	{
		.name = "smtp.tls",
		.type = SETTING_TLS_INBOUND,
		.value = "available",
		.offset = FIELD(smtp_tls),
		.roles = CONF_EDGE,
		.effect = EFFECT_NEW_SESSIONS,
		.text =
			"TLS on listen.smtp. With \"available\" STARTTLS is offered, and servers that know no "
			"TLS "
			"still reach us. \"required\" answers 530 to mail in clear: right among partners, but "
			"never on a public MX, which must take mail from everybody. \"off\" offers none.",
	},
	{
		.name = "smtp.max_size",
		.type = SETTING_SIZE,
		.value = "50M",
		.min = 1024,
		.max = (int64_t)4 << 30,
		.offset = FIELD(smtp_max_size),
		.roles = CONF_EDGE,
		.effect = EFFECT_NEW_SESSIONS,
		.text = "The largest message that is accepted, as sent over the wire: attachments grow by "
				"a third "
				"there, so 50M takes a file of 37 MB. Told to clients with SIZE (RFC 1870).",
	},
	{
		.name = "smtp.max_recipients",
		.type = SETTING_NUMBER,
		.value = "1000",
		.min = 1,
		.max = 10000,
		.offset = FIELD(smtp_max_recipients),
		.roles = CONF_EDGE,
		.effect = EFFECT_NEW_SESSIONS,
		.text = "Recipients of one message. Further ones get 452, and a good client sends the "
				"message to "
				"them once more. Below 100 breaks RFC 5321.",
	},
	{
		.name = "smtp.max_hops",
		.type = SETTING_NUMBER,
		.value = "50",
		.min = 5,
		.max = 1000,
		.offset = FIELD(smtp_max_hops),
		.roles = CONF_EDGE,
		.effect = EFFECT_NEW_SESSIONS,
		.text = "A message with this many Received lines runs in a circle between servers and is "
				"refused. "
				"Lower it only to make a loop visible sooner.",
	},
	{
		.name = "smtp.max_errors",
		.type = SETTING_NUMBER,
		.value = "20",
		.min = 1,
		.max = 100000,
		.offset = FIELD(smtp_max_errors),
		.roles = CONF_EDGE,
		.effect = EFFECT_NEW_SESSIONS,
		.text = "After this many refused commands a session is closed with 421: whoever guesses "
				"addresses "
				"must begin anew. Raise it if a good partner sends to many stale addresses.",
	},
	{
		.name = "smtp.max_commands",
		.type = SETTING_NUMBER,
		.value = "100000",
		.min = 10,
		.max = 100000000,
		.offset = FIELD(smtp_max_commands),
		.roles = CONF_EDGE,
		.effect = EFFECT_NEW_SESSIONS,
		.text =
			"After this many commands a session is closed with 421. High enough that a busy server "
			"may reuse its connection for thousands of messages.",
	},
	{
		.name = "smtp.timeout",
		.type = SETTING_DURATION,
		.value = "5m",
		.min = 100,
		.max = HOUR,
		.offset = FIELD(smtp_timeout_ms),
		.roles = CONF_EDGE,
		.effect = EFFECT_NEW_SESSIONS,
		.text = "How long a session waits for the next command. RFC 5321 asks for five minutes; "
				"less frees "
				"connections sooner under attack.",
	},
	{
		.name = "smtp.data_timeout",
		.type = SETTING_DURATION,
		.value = "3m",
		.min = 100,
		.max = HOUR,
		.offset = FIELD(smtp_data_timeout_ms),
		.roles = CONF_EDGE,
		.effect = EFFECT_NEW_SESSIONS,
		.text = "How long a session waits for the next bytes while a message is coming in; three "
				"minutes "
				"by RFC 5321.",
	},
	{
		.name = "smtp.session",
		.type = SETTING_DURATION,
		.value = "1h",
		.min = 100,
		.max = DAY,
		.offset = FIELD(smtp_session_ms),
		.roles = CONF_EDGE,
		.effect = EFFECT_NEW_SESSIONS,
		.text = "The longest a session may last, whatever it does; then it is closed with 421. "
				"Raise it "
				"if clients on very slow lines send large messages.",
	},
	{
		.name = "smtp.max_sessions",
		.type = SETTING_NUMBER,
		.value = "2000",
		.min = 1,
		.max = 30000, /* two mappings each, and the kernel gives a process 65530 */
		.offset = FIELD(smtp_max_sessions),
		.roles = CONF_EDGE,
		.effect = EFFECT_AT_ONCE,
		.text =
			"Sessions at a time in each group of listeners; further clients get 421 and come back. "
			"An idle session under TLS costs about 30 KB.",
	},
	{
		.name = "smtp.max_sessions_per_address",
		.type = SETTING_NUMBER,
		.value = "100",
		.min = 1,
		.max = 30000,
		.offset = FIELD(smtp_max_sessions_per_address),
		.roles = CONF_EDGE,
		.effect = EFFECT_AT_ONCE,
		.text = "Sessions at a time from one client address, so that one client cannot take all of "
				"smtp.max_sessions. Raise it if many users sit behind one address.",
	},
	{
		.name = "smtp.max_sessions_per_minute",
		.type = SETTING_NUMBER,
		.value = "600",
		.min = 0,
		.max = 1000000,
		.offset = FIELD(smtp_max_sessions_per_minute),
		.roles = CONF_EDGE,
		.effect = EFFECT_AT_ONCE,
		.text = "New sessions from one client address in a minute; further ones get 421 until the "
				"minute is over. Clients in relay.networks are not counted. 0: no limit.",
	},
	{
		.name = "smtp.max_messages",
		.type = SETTING_NUMBER,
		.value = "10000",
		.min = 1,
		.max = 100000000,
		.offset = FIELD(smtp_max_messages),
		.roles = CONF_EDGE,
		.effect = EFFECT_NEW_SESSIONS,
		.text = "Messages of one session; the next one gets 421, and a good client connects again "
				"for it. Lower it to spread a busy sender over all processes of smtp.processes.",
	},
	{
		.name = "smtp.max_session_recipients",
		.type = SETTING_NUMBER,
		.value = "100000",
		.min = 1,
		.max = 100000000,
		.offset = FIELD(smtp_max_session_recipients),
		.roles = CONF_EDGE,
		.effect = EFFECT_NEW_SESSIONS,
		.text = "Recipients of all messages of one session together; the next message gets 421. "
				"See smtp.max_recipients for those of one message.",
	},
	{
		.name = "smtp.line_timeout",
		.type = SETTING_DURATION,
		.value = "1m",
		.min = 100,
		.max = HOUR,
		.offset = FIELD(smtp_line_ms),
		.roles = CONF_EDGE,
		.effect = EFFECT_NEW_SESSIONS,
		.text = "How long a client that has begun a command line or a TLS handshake may take to "
				"end it. Nobody types here: who sends a byte a minute only holds the connection.",
	},
	{
		.name = "smtp.data_rate",
		.type = SETTING_SIZE,
		.value = "64",
		.min = 0,
		.max = 1024 * 1024,
		.offset = FIELD(smtp_data_rate),
		.roles = CONF_EDGE,
		.effect = EFFECT_NEW_SESSIONS,
		.text = "Bytes a second that a client must send of a message, on average over a minute; "
				"slower ones get 421. A modem of 1990 sent 240. 0: any.",
	},
	{
		.name = "smtp.processes",
		.type = SETTING_NUMBER,
		.value = "0",
		.min = 0,
		.max = CONF_PROCESSES_MAX,
		.offset = FIELD(smtp_processes),
		.roles = CONF_SERVE,
		.effect = EFFECT_LISTENERS,
		.text = "Processes that take sessions in each group of listeners, mx and user. 0: one for "
				"every two cores, at least one and at most four. All limits of sessions hold for "
				"them together. More help where TLS handshakes keep one busy; each costs about "
				"2 MB.",
	},
	{
		.name = "submission.tls",
		.type = SETTING_TLS_INBOUND,
		.value = "required",
		.offset = FIELD(submission_tls),
		.roles = CONF_EDGE,
		.effect = EFFECT_NEW_SESSIONS,
		.text =
			"TLS on listen.submission. Leave it at \"required\": what users hand in should never "
			"travel in clear. Choose \"available\" only for devices that cannot do TLS, on a "
			"network "
			"of their own. listen.submissions is always under TLS.",
	},
	{
		.name = "relay.networks",
		.type = SETTING_NETWORKS,
		.value = "127.0.0.0/8 ::1",
		.min = 1,
		.offset = FIELD(relay_networks),
		.roles = CONF_STORE | CONF_EDGE,
		.effect = EFFECT_AT_ONCE,
		.text = "Clients that may send to any domain through us. All others reach the domains of "
				"\"letterlock domain list\" only. Name the networks of your own servers and "
				"nothing wider: "
				"strangers find an open relay within hours, and then others refuse all our mail.",
	},
	{
		.name = "relay.tls",
		.type = SETTING_TLS_LEVEL,
		.value = "may",
		.offset = FIELD(relay_tls),
		.roles = CONF_STORE,
		.effect = EFFECT_NEXT_ATTEMPT,
		.text =
			"TLS towards other servers, unless a connector says otherwise. \"off\": never, even if "
			"offered. \"may\": if offered, whatever the certificate; in clear if not, or if it "
			"fails. "
			"\"encrypt\": never in clear, whatever the certificate. \"verify\": only with a valid "
			"certificate for the name of the host. To the public internet anything above \"may\" "
			"leaves mail undelivered; give partners who promised TLS a connector with --tls "
			"verify.",
	},
	{
		.name = "relay.retry",
		.type = SETTING_DURATIONS,
		.value = "5m 10m 20m 40m 1h 2h 4h",
		.min = 100,
		.max = 30 * DAY,
		.offset = FIELD(relay_retry),
		.roles = CONF_STORE,
		.effect = EFFECT_NEXT_ATTEMPT,
		.text =
			"The waits between attempts to deliver a message: after the first failure the first "
			"one, "
			"and so on; the last one repeats until queue.give_up. Each is made up to 10% longer or "
			"shorter by chance, so that waiting mail does not come back all at once. \"letterlock "
			"queue retry\" tries at once.",
	},
	{
		.name = "relay.port",
		.type = SETTING_NUMBER,
		.value = "25",
		.min = 1,
		.max = 65535,
		.offset = FIELD(relay_port),
		.roles = CONF_STORE,
		.effect = EFFECT_NEXT_ATTEMPT,
		.text =
			"The port that is dialled for delivery by MX. The internet knows 25 only: change it in "
			"test networks. A connector or route names its own port.",
	},
	{
		.name = "relay.concurrency",
		.type = SETTING_NUMBER,
		.value = "20",
		.min = 1,
		.max = 1000,
		.offset = FIELD(relay_concurrency),
		.roles = CONF_STORE,
		.effect = EFFECT_NEXT_ATTEMPT,
		.text =
			"Connections at a time to one destination. Lower it if a partner complains of too many "
			"connections.",
	},
	{
		.name = "relay.timeout",
		.type = SETTING_DURATION,
		.value = "5m",
		.min = 100,
		.max = HOUR,
		.offset = FIELD(relay_timeout_ms),
		.roles = CONF_RELAY,
		.effect = EFFECT_NEXT_ATTEMPT,
		.text = "How long we wait for the reply of another server to a command (five minutes by "
				"RFC 5321); "
				"twice as long for its word that it took the message.",
	},
	{
		.name = "relay.connect_timeout",
		.type = SETTING_DURATION,
		.value = "30s",
		.min = 100,
		.max = HOUR,
		.offset = FIELD(relay_connect_timeout_ms),
		.roles = CONF_RELAY,
		.effect = EFFECT_NEXT_ATTEMPT,
		.text = "How long we wait for another server to take a connection before its next address "
				"or the "
				"next MX host is tried.",
	},
	{
		.name = "relay.idle",
		.type = SETTING_DURATION,
		.value = "5s",
		.min = 0,
		.max = HOUR,
		.offset = FIELD(relay_idle_ms),
		.roles = CONF_RELAY,
		.effect = EFFECT_NEXT_ATTEMPT,
		.text =
			"How long a connection is kept open for the next message to the same destination. 0s: "
			"each message has a connection of its own.",
	},
	{
		.name = "queue.give_up",
		.type = SETTING_DURATION,
		.value = "5d",
		.min = 100,
		.max = 60 * DAY,
		.offset = FIELD(queue_give_up_ms),
		.roles = CONF_STORE,
		.effect = EFFECT_NEXT_ATTEMPT,
		.text =
			"How long delivery of a message is tried before it goes back to its sender. RFC 5321 "
			"asks "
			"for four to five days; less tells senders sooner, but a weekend's outage of a partner "
			"then costs mail.",
	},
	{
		.name = "queue.min_free",
		.type = SETTING_SIZE,
		.value = "64M",
		.min = 0,
		.max = (int64_t)1 << 40,
		.offset = FIELD(queue_min_free),
		.roles = CONF_STORE,
		.effect = EFFECT_AT_ONCE,
		.text =
			"Free space that new mail leaves alone on the file system of the home; on a small one "
			"an "
			"eighth of it is enough. With less, clients get 452 and keep their mail, while what is "
			"queued here goes on; \"letterlock status\" says so as long as it lasts, and it ends "
			"by "
			"itself when there is space again.",
	},
	{
		.name = "record.keep",
		.type = SETTING_DURATION,
		.value = "14d",
		.min = SECOND,
		.max = 3650 * DAY,
		.offset = FIELD(record_keep_ms),
		.roles = CONF_STORE,
		.effect = EFFECT_AT_ONCE,
		.text =
			"How long \"letterlock trace\" remembers messages that are done with, and the sessions "
			"that belong to them. What is still waiting is always remembered.",
	},
	{
		.name = "dns.servers",
		.type = SETTING_ADDRESSES,
		.value = "",
		.min = 53,
		.max = CONF_ADDRESSES_MAX,
		.offset = FIELD(dns_servers),
		.roles = CONF_RELAY,
		.effect = EFFECT_NEXT_ATTEMPT,
		.text =
			"The DNS servers that are asked; port 53 if none is given. Empty: none, we ask the "
			"root "
			"servers and those of each domain ourselves, the safest way for a mail server. Name "
			"your "
			"own resolvers where a firewall lets only those out, or where names exist inside only.",
	},
	{
		.name = "dns.trust_anchor",
		.type = SETTING_PATH,
		.value = "/usr/share/dns/root.key",
		.offset = FIELD(dns_trust_anchor),
		.roles = CONF_SERVE,
		.effect = EFFECT_NEXT_ATTEMPT,
		.text = "The file with the DNSSEC keys of the root, kept up to date by the package "
				"dns-root-data. "
				"Empty: DNSSEC is not checked.",
	},
	{
		.name = "dns.timeout",
		.type = SETTING_DURATION,
		.value = "20s",
		.min = 100,
		.max = 10 * MINUTE,
		.offset = FIELD(dns_timeout_ms),
		.roles = CONF_RELAY,
		.effect = EFFECT_NEXT_ATTEMPT,
		.text = "How long one DNS question may take, with all that must be asked on the way.",
	},
	{
		.name = "trust.store",
		.type = SETTING_PATH,
		.value = "/etc/ssl/certs/ca-certificates.crt",
		.offset = FIELD(trust_store),
		.roles = CONF_SERVE,
		.effect = EFFECT_NEXT_ATTEMPT,
		.text = "The file with the root certificates (PEM) that certificates of other servers are "
				"checked "
				"against at level \"verify\". A connector with --trust uses its own file in place "
				"of it. "
				"Empty: no root is trusted but those of connectors.",
	},
	{
		.name = "serve.patience",
		.type = SETTING_DURATION,
		.value = "30s",
		.min = 200,
		.max = HOUR,
		.offset = FIELD(serve_patience_ms),
		.roles = CONF_SERVE,
		.effect = EFFECT_AT_ONCE,
		.text = "A role that has answered serve nothing for so long is ended and started again: "
				"it hangs. Raise it where the machine stands still for long, say for a snapshot.",
	},
	{
		.name = "log.level",
		.type = SETTING_LOG_LEVEL,
		.value = "info",
		.offset = FIELD(log_level),
		.roles = ALL,
		.effect = EFFECT_AT_ONCE,
		.text =
			"How much the log says: \"error\", \"warn\", \"info\" or \"debug\". What became of a "
			"message is known without debug: see \"letterlock trace\".",
	},
	{
		.name = "log.keep",
		.type = SETTING_DURATION,
		.value = "30d",
		.min = SECOND,
		.max = 3650 * DAY,
		.offset = FIELD(log_keep_ms),
		.roles = CONF_SERVE,
		.effect = EFFECT_AT_ONCE,
		.text = "How long log files are kept, counted from the end of their day; older ones are "
				"deleted.",
	},
	{
		.name = "log.max_size",
		.type = SETTING_SIZE,
		.value = "100M",
		.min = 64 * 1024,
		.max = (int64_t)1 << 40,
		.offset = FIELD(log_max_size),
		.roles = CONF_SERVE,
		.effect = EFFECT_AT_ONCE,
		.text = "When a log file has this size, the next one is begun: "
				"letterlock.<date>.<count>, the count one higher. A new day begins a new file too. "
				"Sizes are looked at every few seconds, once a second while much is written, so a "
				"file may be a little larger.",
	},
	{
		.name = "log.max_files",
		.type = SETTING_NUMBER,
		.value = "100",
		.min = 2,
		.max = 100000,
		.offset = FIELD(log_max_files),
		.roles = CONF_SERVE,
		.effect = EFFECT_AT_ONCE,
		.text = "How many log files are kept; the oldest are deleted first, also before log.keep "
				"is over. Times log.max_size, this is the room that the log may take.",
	},
};
const size_t setting_count = sizeof settings / sizeof settings[0];

static const char *const inbound_names[] = {"off", "available", "required"};
static const char *const log_names[] = {"error", "warn", "info", "debug"};

const struct setting *setting_find(struct str name)
{
	for (size_t i = 0; i < setting_count; i++)
		if (str_eq(name, str_from_c(settings[i].name)))
			return &settings[i];
	return NULL;
}

static void *field(const struct setting *s, struct conf *c)
{
	return (char *)c + s->offset;
}

static const void *const_field(const struct setting *s, const struct conf *c)
{
	return (const char *)c + s->offset;
}

/* The enums have the size of unsigned; log.level is held as a number. */
static int parse_name(const struct setting *s, struct str value, void *into, struct err *err)
{
	unsigned n = 0;
	int rc = -1;
	if (s->type == SETTING_TLS_INBOUND) {
		rc = value_name(value, inbound_names, 3, &n, err);
		if (rc == 0)
			*(enum tls_inbound *)into = (enum tls_inbound)n;
	} else if (s->type == SETTING_TLS_LEVEL) {
		const char *names[TLS_VERIFY + 1];
		for (n = TLS_OFF; n <= TLS_VERIFY; n++)
			names[n] = tls_level_name((enum tls_level)n);
		rc = value_name(value, names, TLS_VERIFY + 1, &n, err);
		if (rc == 0)
			*(enum tls_level *)into = (enum tls_level)n;
	} else {
		rc = value_name(value, log_names, 4, &n, err);
		if (rc == 0)
			*(uint64_t *)into = n;
	}
	return rc;
}

static int parse_value(const struct setting *s, struct str v, struct conf *c, struct err *err)
{
	void *into = field(s, c);
	switch (s->type) {
	case SETTING_HOSTNAME:
		return value_hostname(v, c->arena, into, err);
	case SETTING_PATH:
		return value_path(v, c->arena, into, err);
	case SETTING_NUMBER:
		return value_number(v, s->min, s->max, into, err);
	case SETTING_SIZE:
		return value_size(v, s->min, s->max, into, err);
	case SETTING_DURATION:
		return value_duration(v, s->min, s->max, into, err);
	case SETTING_DURATIONS:
		return value_durations(v, s->min, s->max, c->arena, into, err);
	case SETTING_ADDRESSES:
		return value_addresses(v, (uint16_t)s->min, (size_t)s->max, c->arena, into, err);
	case SETTING_NETWORKS:
		return value_networks(v, (unsigned)s->min, c->arena, into, err);
	default:
		return parse_name(s, v, into, err);
	}
}

int setting_parse(const struct setting *s, struct str value, struct conf *c, struct err *err)
{
	struct err why;
	if (parse_value(s, str_trim(value), c, &why) == 0)
		return 0;
	return err_say(err, "%s: %s", s->name, why.log);
}

void setting_format(const struct setting *s, const struct conf *c, struct buf *out)
{
	const void *from = const_field(s, c);
	switch (s->type) {
	case SETTING_HOSTNAME:
	case SETTING_PATH:
		buf_add(out, *(const struct str *)from);
		break;
	case SETTING_NUMBER:
		buf_addf(out, "%lld", (long long)*(const int64_t *)from);
		break;
	case SETTING_SIZE:
		value_put_size(*(const int64_t *)from, out);
		break;
	case SETTING_DURATION:
		value_put_duration(*(const int64_t *)from, out);
		break;
	case SETTING_DURATIONS:
		value_put_durations(from, out);
		break;
	case SETTING_ADDRESSES:
		value_put_addresses(from, out);
		break;
	case SETTING_NETWORKS:
		value_put_networks(from, out);
		break;
	case SETTING_TLS_INBOUND:
		buf_add_c(out, inbound_names[*(const enum tls_inbound *)from]);
		break;
	case SETTING_TLS_LEVEL:
		buf_add_c(out, tls_level_name(*(const enum tls_level *)from));
		break;
	case SETTING_LOG_LEVEL:
		buf_add_c(out, log_names[*(const uint64_t *)from]);
		break;
	case SETTING_TYPES:
		break;
	}
}

static const struct {
	const char *name, *help;
} types[SETTING_TYPES] = {
	[SETTING_HOSTNAME] = {"host name", "A name such as mail.example.org."},
	[SETTING_PATH] = {"path", "A file, beginning with /; empty for none."},
	[SETTING_NUMBER] = {"number", "Digits only."},
	[SETTING_SIZE] = {"size",
		"Digits and K, M or G (1024, 1024*1024, 1024*1024*1024 bytes), or "
		"nothing for bytes: 50M."},
	[SETTING_DURATION] = {"duration", "Digits and ms, s, m, h or d: 500ms, 30s, 5m, 2h, 5d."},
	[SETTING_DURATIONS] = {"durations", "One or more durations separated by blanks: 5m 10m 1h."},
	[SETTING_ADDRESSES] = {"addresses",
		"IP addresses with port, separated by blanks, IPv6 in "
		"brackets: 192.0.2.1:25 [2001:db8::1]:25. Empty for none."},
	[SETTING_NETWORKS] = {"networks",
		"IP addresses and prefixes separated by blanks: 192.0.2.0/24 "
		"2001:db8::/32 ::1. Empty for none."},
	[SETTING_TLS_INBOUND] = {"inbound TLS", "off, available or required."},
	[SETTING_TLS_LEVEL] = {"TLS level", "off, may, encrypt or verify."},
	[SETTING_LOG_LEVEL] = {"log level", "error, warn, info or debug."},
};

const char *setting_type_name(enum setting_type type)
{
	return types[type].name;
}

const char *setting_type_help(enum setting_type type)
{
	return types[type].help;
}

const char *setting_effect_name(enum setting_effect effect)
{
	static const char *const names[] = {
		[EFFECT_NEW_SESSIONS] = "for new sessions",
		[EFFECT_LISTENERS] = "at once; sessions that are open go on",
		[EFFECT_NEXT_ATTEMPT] = "with the next delivery attempt",
		[EFFECT_AT_ONCE] = "at once",
	};
	return names[effect];
}

struct conf *conf_new(void)
{
	struct conf *c = mem_new(sizeof *c);
	c->arena = arena_new();
	c->holders = 1;
	for (size_t i = 0; i < setting_count; i++) {
		struct err err;
		if (setting_parse(&settings[i], str_from_c(settings[i].value), c, &err) != 0) {
			fprintf(stderr, "letterlock: a default is refused: %s\n", err.log);
			abort();
		}
	}
	return c;
}
