/* mx: which hosts take mail for a domain, in the order in which they are tried (RFC 5321 5.1). Pure
 * but for the dice, which the caller may load. */
#ifndef DNS_MX_H
#define DNS_MX_H

#include "dns/answer.h"

struct mx_host {
	uint16_t preference; /* lower is better */
	struct str name;
};
struct mx_list {
	bool null_mx; /* RFC 7505: the domain takes no mail; no hosts then */
	struct mx_host *hosts;
	size_t count;
	size_t unusable; /* records whose host is no host name, left out */
};

/* A number below `n`, each as likely. */
typedef uint32_t mx_random(void *arg, uint32_t n);
/* The real one: getrandom(); `arg` is not looked at. */
uint32_t mx_random_kernel(void *arg, uint32_t n);

/* Hosts of an MX answer: sorted by preference, those of equal preference in random order (5.1: "the
 * sender-SMTP MUST randomize them"), each name once, at its best preference. The list lives in
 * `arena`, the names are those of the answer. */
struct mx_list mx_sort(
	const struct dns_answer *answer, mx_random *random, void *arg, struct arena *arena);

#endif
