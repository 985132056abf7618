/* relay_route: to which hosts a message goes, in the order in which they are tried (RFC 5321 5.1),
 * with their addresses; or why to none. */
#ifndef ROLE_RELAY_ROUTE_H
#define ROLE_RELAY_ROUTE_H

#include "ask/ask_mail.h"
#include "ask/record.h"
#include "dns/mx.h"
#include "dns/resolver.h"
#include "smtp/smtp_client.h"
#include "wire/ip.h"

/* Bounds of what a domain's DNS can make us do; what is beyond is noted and left out. */
enum { RELAY_HOSTS_MAX = DNS_HOSTS_MAX, RELAY_ADDRESSES_MAX = 16 /* of one host */ };

struct relay_host {
	uint16_t preference;
	struct str name;      /* what a certificate must show; an address has no brackets */
	struct ip *addresses; /* IPv6 and IPv4 by turns, so that a broken one costs one try */
	size_t address_count;
	bool ours;                   /* its name or one of its addresses leads back to us */
	struct smtp_failure failure; /* why it has no address */
};
struct relay_hosts {
	struct relay_host *at;
	size_t n;
	bool by_mx; /* found by MX, or by the domain's own address in its place */
};

/* Where a route is looked up from. */
struct relay_lookup {
	struct resolver *resolver;
	const struct conf *conf;
	struct record *record;
	struct arena *arena;
};
/* The hosts of `route`: an address as it is, a host's addresses, or the domain's MX hosts. Answers go
 * to the record. A host without addresses stays in the list with its failure. False with *ret_failure
 * if there is no list at all: null MX, no such domain, DNS out of order, or we are the best MX
 * ourselves. In a fiber. */
bool relay_find_hosts(const struct relay_lookup *l, const struct route *route,
	struct relay_hosts *ret, struct smtp_failure *ret_failure);

/* ---- pure */

/* We listen for mail at this address: on it, or on all when the address is one of this machine. */
bool relay_address_is_ours(const struct conf_addresses *listen_smtp, const struct ip *ip,
	uint16_t port, bool of_this_machine);
/* RFC 5321 5.1: hosts at our own preference and beyond are left out, or mail would go in circles. At
 * most the `ours` of sorted hosts counts. Returns how many are left. */
size_t relay_hosts_before_us(const struct relay_host *hosts, size_t n);
/* What a failed question means. `definite`: mail for a name that does not exist, or has no address,
 * comes back; else it waits, because the name stands in our own settings. */
struct smtp_failure relay_dns_failure(
	struct str name, const struct dns_answer *a, bool definite, struct arena *arena);

#endif
