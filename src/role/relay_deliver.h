/* relay_deliver: one attempt to bring one message to its next hop (ASK_DELIVER). */
#ifndef ROLE_RELAY_DELIVER_H
#define ROLE_RELAY_DELIVER_H

#include "ask/ask_mail.h"
#include "conf/conf.h"
#include "dns/resolver.h"
#include "role/relay_pool.h"

/* What an attempt works with. It holds conf and resolver; the others outlive it. */
struct relay_means {
	struct conf *conf;
	struct resolver *resolver;
	struct relay_pool *pool;
	struct relay_tls *tls;
	uint64_t trust_revision; /* of trust.store: older connections are not used again */
};

/* Hosts in order, of each its addresses in order; an attempt makes at most so many connections and
 * lasts at most so long, whatever the peers do. */
enum { RELAY_TRIES_MAX = 8, RELAY_ATTEMPT_MS = 2 * 3600 * 1000 };

/* Brings the message to its recipients as far as this attempt goes: ret->results has one entry per
 * recipient, ret->record what happened, both in `arena`. In a fiber.
 *
 * Who decides what (RFC 5321 4.2.1, 5.1):
 *   - A server's refusal of a recipient, the sender or the message (5yz) is final.
 *   - After anything temporary the next address is tried with the recipients that are left; but not
 *     after the end of data went unanswered: that message may have arrived.
 *   - A host that refuses us as such (5yz to the greeting or EHLO, RFC 7504) speaks for itself alone,
 *     not for the mail: the next one is tried, and if all say so the mail waits (reply_cause.h). */
void relay_deliver(const struct relay_means *means, const struct ask_deliver *message,
	struct str body, struct arena *arena, struct ask_deliver_answer *ret);
/* The envelope holds nothing that would break a command line. The store checks that too, but a relay
 * believes nobody. 0, or -1 with *err (permanent). */
int relay_check_message(const struct ask_deliver *message, struct err *err);

#endif
