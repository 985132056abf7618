/* conf: the settings as running code sees them: one immutable struct per revision, passed as an
 * argument, never a global. Sessions keep the one they began with (conf_hold, conf_drop); new ones
 * take the new. A role sees only the rows that settings.c marks for it; the others hold their zero.
 *
 * All slices and lists live in the conf's own arena. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "wire/ip.h"

/* Inbound, per listener (smtp.tls, submission.tls). */
enum tls_inbound { TLS_INBOUND_OFF, TLS_INBOUND_AVAILABLE, TLS_INBOUND_REQUIRED };
/* Outbound, the same four names everywhere (relay.tls, connectors). */
enum tls_level { TLS_OFF, TLS_MAY, TLS_ENCRYPT, TLS_VERIFY };
/* "off", "may", "encrypt", "verify". */
const char *tls_level_name(enum tls_level level);
/* One of these words in any case; false, *ret untouched, for all else. */
bool tls_level_parse(struct str s, enum tls_level *ret);

struct conf_address {
	struct ip ip;
	uint16_t port;
	struct str text; /* address:port, [v6]:port */
};
enum { CONF_ADDRESSES_MAX = 32 }; /* in one list */
enum { CONF_PROCESSES_MAX = 16 };
struct conf_addresses {
	struct conf_address *at;
	size_t n;
};
struct conf_networks {
	struct ip_network *at;
	size_t n;
};
/* One certificate in use, the best first: where one cannot be used, the next that has the name serves
 * it. The key is named by the SHA-256 of its SubjectPublicKeyInfo, in hex. */
struct conf_certificate {
	struct str names; /* host names it serves, separated by blanks */
	struct str chain_pem;
	struct str key_id;
	bool self_signed;
};
/* relay.retry: the waits between attempts; the last one repeats. */
struct conf_durations {
	int64_t *ms;
	size_t n;
};

struct conf {
	struct arena *arena;
	unsigned holders; /* all on one thread */
	uint64_t revision;

	struct str hostname; /* server.hostname */
	struct conf_addresses listen_smtp, listen_submission, listen_submissions, listen_https;
	enum tls_inbound smtp_tls, submission_tls;
	enum tls_level relay_tls;
	struct conf_networks relay_networks;
	struct conf_durations relay_retry;
	uint64_t relay_port;        /* for delivery by MX */
	uint64_t relay_concurrency; /* connections to one destination */
	uint64_t relay_timeout_ms, relay_connect_timeout_ms, relay_idle_ms;
	int64_t queue_give_up_ms, record_keep_ms;
	uint64_t queue_min_free; /* bytes */
	struct conf_addresses dns_servers;
	struct str dns_trust_anchor; /* path */
	uint64_t dns_timeout_ms;
	struct str trust_store;                                     /* path */
	uint64_t smtp_max_size, smtp_max_recipients, smtp_max_hops; /* hops: Received headers */
	uint64_t smtp_max_errors, smtp_max_commands, smtp_timeout_ms, smtp_data_timeout_ms;
	uint64_t smtp_session_ms, smtp_max_sessions, smtp_max_sessions_per_address;
	uint64_t smtp_max_sessions_per_minute;                   /* of one address; 0: no limit */
	uint64_t smtp_max_messages, smtp_max_session_recipients; /* of one session */
	uint64_t smtp_line_ms, smtp_data_rate;                   /* bytes a second; 0: any */
	uint64_t smtp_processes;                                 /* of each group; 0: by cores */
	uint64_t serve_patience_ms;
	uint64_t log_level; /* enum log_level */
	uint64_t log_keep_ms, log_max_size, log_max_files;

	/* Not settings, but part of each snapshot for the roles that need them. */
	struct conf_certificate *certificates; /* edge */
	size_t certificate_count;
};

/* One holder more; returns `c`. */
struct conf *conf_hold(struct conf *c);
/* One holder less; the last one frees it. NULL is allowed. */
void conf_drop(struct conf *c);

/* True if the address is in one of the networks. */
bool conf_networks_match(const struct conf_networks *n, const struct ip *ip);

/* What no single setting can know: two listeners on one address, too many certificates. -1 with *err. */
int conf_check(const struct conf *c, struct err *err);

/* Snapshots: numbered, one per role, as bytes in a sealed memfd. conf_pack() writes the rows that
 * `role` gets out of `c`; conf_unpack() gives a new conf with one holder, or NULL with *err. It
 * takes nothing on trust: rows, order and limits are those of the table, or the whole is refused. */
enum conf_role {
	CONF_SERVE = 1,
	CONF_EDGE = 2,
	CONF_STORE = 4,
	CONF_RELAY = 8,
	CONF_KEYS = 16,
};
enum { CONF_SNAPSHOT_MAX = 16 << 20, CONF_CERTIFICATES_MAX = 1000, CONF_NAMES_MAX = 16 << 10 };
void conf_pack(const struct conf *c, enum conf_role role, struct buf *out);
struct conf *conf_unpack(struct str bytes, struct err *err);

#endif
