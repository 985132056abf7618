#include "role/relay_route.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mail/cause.h"
#include "wire/domain_name.h"

/* ---- failures ---- */

static struct smtp_failure failure_make(
	struct arena *arena, enum delivery outcome, const char *cause, struct str text)
{
	return (struct smtp_failure){.outcome = outcome,
		.enhanced = arena_fmt(arena, "%c.%s", outcome == DELIVERY_PERM ? '5' : '4',
			cause_find(str_from_c(cause))->enhanced),
		.text = text,
		.cause = str_from_c(cause)};
}

struct smtp_failure relay_dns_failure(
	struct str name, const struct dns_answer *a, bool definite, struct arena *arena)
{
	static const struct {
		const char *cause, *text;
		bool lasting;
	} meanings[] = {
		[DNS_FOUND] = {"dns.no-address", "has addresses that cannot be used", true},
		[DNS_NONE] = {"dns.no-address", "has no address in DNS", true},
		[DNS_NO_NAME] = {"dns.no-domain", "does not exist in DNS", true},
		[DNS_FAILED] = {"dns.server-failed", "could not be looked up", false},
		[DNS_TIMEOUT] = {"dns.timeout", "could not be looked up in time", false},
		[DNS_BOGUS] = {"dns.bogus", "has a forged or broken answer in DNS", false},
	};
	char rcode[16];
	bool lasting = meanings[a->outcome].lasting && definite;
	const char *answered =
		a->outcome == DNS_TIMEOUT ? "no answer" : dns_rcode_name(a->rcode, rcode);
	struct str text = arena_fmt(arena, "%.*s %s (%s%s%.*s, server %.*s)", STR_ARG(name),
		meanings[a->outcome].text, answered, a->why.n ? ", " : "", STR_ARG(a->why),
		STR_ARG(a->server));
	return failure_make(
		arena, lasting ? DELIVERY_PERM : DELIVERY_TEMP, meanings[a->outcome].cause, text);
}

/* ---- are these we? ---- */

bool relay_address_is_ours(const struct conf_addresses *listen_smtp, const struct ip *ip,
	uint16_t port, bool of_this_machine)
{
	for (size_t i = 0; i < listen_smtp->n; i++) {
		const struct conf_address *a = &listen_smtp->at[i];
		/* [::] takes IPv4 too unless told otherwise, 0.0.0.0 never takes IPv6. */
		bool any = ip_is_any(&a->ip) && (!ip_is_v4(&a->ip) || ip_is_v4(ip));
		if (a->port == port && (any ? of_this_machine : ip_eq(&a->ip, ip)))
			return true;
	}
	return false;
}

size_t relay_hosts_before_us(const struct relay_host *hosts, size_t n)
{
	size_t left = 0;
	for (size_t i = 0; i < n; i++)
		if (hosts[i].ours) {
			while (hosts[left].preference < hosts[i].preference)
				left++;
			return left;
		}
	return n;
}

/* The kernel says whether an address is one of this machine's: it would be its own source. A walled
 * role has no other way to know, and this one is never out of date. Nothing is sent. */
static bool is_of_this_machine(const struct ip *ip)
{
	enum { DISCARD = 9 };
	struct sockaddr_storage to, from;
	socklen_t to_len = ip_to_sockaddr(ip, DISCARD, &to), from_len = sizeof from;
	if (ip_is_v4(ip) && ip->bytes[12] == 127)
		return true;
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	struct ip source;
	uint16_t port;
	bool is = connect(fd, (struct sockaddr *)&to, to_len) == 0 &&
		getsockname(fd, (struct sockaddr *)&from, &from_len) == 0 &&
		ip_from_sockaddr((struct sockaddr *)&from, &source, &port) && ip_eq(&source, ip);
	close(fd);
	return is;
}

/* Where the kernel really goes: for 0.0.0.0 and :: to this machine itself. */
static struct ip dialled(struct ip ip)
{
	if (ip_is_any(&ip)) {
		ip.bytes[12] = ip_is_v4(&ip) ? 127 : 0;
		ip.bytes[15] = 1;
	}
	return ip;
}

static void look_for_us(const struct conf *conf, uint16_t port, struct relay_host *host)
{
	for (size_t i = 0; i < host->address_count && !host->ours; i++) {
		struct ip ip = dialled(host->addresses[i]);
		host->ours = relay_address_is_ours(&conf->listen_smtp, &ip, port, is_of_this_machine(&ip));
	}
}

/* ---- looking up ---- */

static struct dns_answer lookup(const struct relay_lookup *l, struct str name, enum dns_type type)
{
	struct dns_answer answer;
	dns_lookup(l->resolver, name, type, (int64_t)l->conf->dns_timeout_ms, l->arena, &answer);
	record_add(
		l->record, EVENT_DNS, "%.*s", STR_ARG(dns_answer_text(name, type, &answer, l->arena)));
	return answer;
}

static void take_addresses(
	const struct relay_lookup *l, const struct dns_host *found, struct relay_host *host)
{
	size_t six = 0, four = 0;
	host->addresses = arena_alloc(l->arena, RELAY_ADDRESSES_MAX * sizeof *host->addresses);
	while (host->address_count < RELAY_ADDRESSES_MAX &&
		(six < found->aaaa.count || four < found->a.count)) {
		struct ip *next = &host->addresses[host->address_count++];
		if (six < found->aaaa.count && (six <= four || four == found->a.count))
			*next = found->aaaa.records[six++].ip;
		else
			*next = found->a.records[four++].ip;
	}
}

/* Of two answers without an address the one that says less is told: it may change. */
static const struct dns_answer *weaker(const struct dns_answer *a, const struct dns_answer *b)
{
	return a->outcome > b->outcome ? a : b;
}

static void find_addresses(
	const struct relay_lookup *l, uint16_t port, bool definite, struct relay_hosts *hosts)
{
	struct dns_host *found = arena_alloc(l->arena, hosts->n * sizeof *found);
	for (size_t i = 0; i < hosts->n; i++)
		found[i].name = hosts->at[i].name;
	dns_addresses(l->resolver, found, hosts->n, (int64_t)l->conf->dns_timeout_ms, l->arena);
	for (size_t i = 0; i < hosts->n; i++) {
		struct relay_host *host = &hosts->at[i];
		record_add(l->record, EVENT_DNS, "%.*s",
			STR_ARG(dns_answer_text(host->name, DNS_AAAA, &found[i].aaaa, l->arena)));
		record_add(l->record, EVENT_DNS, "%.*s",
			STR_ARG(dns_answer_text(host->name, DNS_A, &found[i].a, l->arena)));
		take_addresses(l, &found[i], host);
		look_for_us(l->conf, port, host);
		if (!host->address_count)
			host->failure = relay_dns_failure(
				host->name, weaker(&found[i].aaaa, &found[i].a), definite, l->arena);
	}
}

/* ---- the three ways ---- */

static bool loop_to_us(
	const struct relay_lookup *l, struct str name, enum delivery outcome, struct smtp_failure *ret)
{
	*ret = failure_make(l->arena, outcome, "route.loop",
		arena_fmt(l->arena, "mail for %.*s leads back to this server", STR_ARG(name)));
	return false;
}

/* A host that was named to us, by a connector, a domain's route or an address literal. A mistake in
 * our own settings defers mail, it never sends it back. */
static bool find_host(const struct relay_lookup *l, const struct route *route,
	struct relay_hosts *ret, struct smtp_failure *ret_failure)
{
	struct relay_host *host = arena_alloc(l->arena, sizeof *host);
	struct ip ip;
	*host = (struct relay_host){.name = route->host};
	*ret = (struct relay_hosts){.at = host, .n = 1};
	if (ip_parse(route->host, &ip) || ip_literal_parse(route->host, &ip)) {
		char text[IP_TEXT];
		host->name = arena_dup(l->arena, str_from_c(ip_format(&ip, text)));
		host->addresses = arena_alloc(l->arena, sizeof ip);
		host->addresses[0] = ip;
		host->address_count = 1;
		look_for_us(l->conf, route->port, host);
	} else {
		find_addresses(l, route->port, false, ret);
	}
	return !host->ours || loop_to_us(l, route->domain, DELIVERY_TEMP, ret_failure);
}

/* "If an empty list of MXs is returned, the address is treated as if it was associated with an
 * implicit MX RR with a preference of 0, pointing to that host." (RFC 5321 5.1) */
static void take_mx(const struct relay_lookup *l, struct str domain, const struct mx_list *list,
	struct relay_hosts *ret)
{
	size_t n = list->count;
	if (n > RELAY_HOSTS_MAX) {
		record_add(
			l->record, EVENT_NOTE, "of %zu MX hosts the best %d are tried", n, RELAY_HOSTS_MAX);
		n = RELAY_HOSTS_MAX;
	}
	if (list->unusable)
		record_add(
			l->record, EVENT_NOTE, "%zu MX records name no host and are left out", list->unusable);
	*ret = (struct relay_hosts){
		.at = arena_alloc(l->arena, (n ? n : 1) * sizeof *ret->at), .n = n, .by_mx = true};
	for (size_t i = 0; i < n; i++)
		ret->at[i] = (struct relay_host){
			.preference = list->hosts[i].preference, .name = list->hosts[i].name};
	if (n == 0 && !list->unusable) {
		record_add(l->record, EVENT_NOTE, "no MX: the domain name itself is used to relay");
		ret->at[0] = (struct relay_host){.name = domain};
		ret->n = 1;
	}
}

static bool find_mx(const struct relay_lookup *l, const struct route *route,
	struct relay_hosts *ret, struct smtp_failure *ret_failure)
{
	struct dns_answer answer = lookup(l, route->domain, DNS_MX);
	if (answer.outcome != DNS_FOUND && answer.outcome != DNS_NONE) {
		*ret_failure = relay_dns_failure(route->domain, &answer, true, l->arena);
		return false;
	}
	struct mx_list list = mx_sort(&answer, mx_random_kernel, NULL, l->arena);
	if (list.null_mx) {
		*ret_failure = failure_make(l->arena, DELIVERY_PERM, "dns.null-mx",
			arena_fmt(l->arena, "%.*s takes no mail (null MX, RFC 7505)", STR_ARG(route->domain)));
		return false;
	}
	take_mx(l, route->domain, &list, ret);
	if (ret->n == 0) {
		*ret_failure = failure_make(l->arena, DELIVERY_PERM, "dns.no-address",
			arena_fmt(l->arena, "the MX records of %.*s name no host", STR_ARG(route->domain)));
		return false;
	}
	find_addresses(l, route->port, true, ret);
	for (size_t i = 0; i < ret->n; i++)
		if (domain_name_eq(ret->at[i].name, l->conf->hostname))
			ret->at[i].ours = true;
	size_t left = relay_hosts_before_us(ret->at, ret->n);
	if (left < ret->n)
		record_add(l->record, EVENT_NOTE, "%zu of %zu hosts are this server or no better than it",
			ret->n - left, ret->n);
	ret->n = left;
	return left > 0 || loop_to_us(l, route->domain, DELIVERY_PERM, ret_failure);
}

bool relay_find_hosts(const struct relay_lookup *l, const struct route *route,
	struct relay_hosts *ret, struct smtp_failure *ret_failure)
{
	return route->host.n ? find_host(l, route, ret, ret_failure)
						 : find_mx(l, route, ret, ret_failure);
}
