/* resolver: asks the DNS, validates DNSSEC, keeps a cache. libunbound on the role's loop: a fiber
 * asks straight-line and waits, the others go on. Every question has our own deadline, because
 * libunbound's are far longer. */
#ifndef DNS_RESOLVER_H
#define DNS_RESOLVER_H

#include "base/err.h"
#include "conf/conf.h"
#include "dns/answer.h"

struct resolver;

/* `servers`: the forwarders to ask; none: recursion from the root. With forwarders the names that
 * the public DNS reserves for private use ("test.", "home.arpa.") are asked of them too, and need no
 * DNSSEC. `anchors`: trust anchors as DS or DNSKEY records, one a line, ";" begins a comment (the
 * form of root.key); empty: no validation. Settings freeze at birth; for other ones make a new
 * resolver and drop the old.
 *
 * One holder. NULL with *err, which quotes the server or the line at fault. */
struct resolver *resolver_new(
	const struct conf_addresses *servers, struct str anchors, struct err *err);
/* One holder more; returns `r`. */
struct resolver *resolver_hold(struct resolver *r);
/* Ends it with its last holder. NULL is allowed. Not from inside a question. */
void resolver_drop(struct resolver *r);

/* Asks and waits up to `timeout_ms`, in a fiber only. Always an answer: see enum dns_outcome. Texts
 * and records live in `arena`. A name that the DNS cannot hold (domain_name_dns_ok() says so) is
 * DNS_NO_NAME without asking. */
void dns_lookup(struct resolver *r, struct str name, enum dns_type type, int64_t timeout_ms,
	struct arena *arena, struct dns_answer *ret);

/* The addresses of `n` hosts (at most DNS_HOSTS_MAX), all asked at the same time; each answer as
 * dns_lookup() gives it, all after `timeout_ms` at the latest. In a fiber only. */
enum { DNS_HOSTS_MAX = 16 };
struct dns_host {
	struct str name;
	struct dns_answer aaaa, a;
};
void dns_addresses(
	struct resolver *r, struct dns_host *hosts, size_t n, int64_t timeout_ms, struct arena *arena);

#endif
