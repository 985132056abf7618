#include "mail/cause.h"

/* What the sender of a message can do falls into few kinds. */
#define CHECK_ADDRESS "Check the address for typing mistakes and send the message again."
#define ASK_THEM \
	"Reach the recipient another way; the people who run the mail there must mend this."
#define ASK_US "Ask your own postmaster; nothing is wrong with your message."
#define SEND_LATER "Send the message again later, or reach the recipient another way."
#define TELL_THEM_TLS                                                                            \
	"Reach the recipient another way, and let your postmaster and theirs know: the message was " \
	"not "                                                                                       \
	"sent because the connection would not have been safe."

/* Ordered as a message meets them: names, connection, dialogue, TLS, replies, ourselves. */
const struct cause causes[] = {
	{"dns.no-domain", OWNER_SENDER, "1.2", "The domain does not exist in DNS.",
		"Check the spelling of the domain; if it is new, wait for DNS and use `letterlock queue "
		"retry --domain DOMAIN`.",
		CHECK_ADDRESS},
	{"dns.server-failed", OWNER_THEM, "4.3",
		"The name servers of the domain answered with a failure (SERVFAIL or REFUSED).",
		"Look at the servers and answers in `letterlock trace DOMAIN`; if all domains fail, the "
		"trouble is in dns.servers or our own network.",
		SEND_LATER},
	{"dns.timeout", OWNER_NETWORK, "4.3", "No name server of the domain answered in time.",
		"If many domains fail, check that this host reaches port 53 and see `letterlock config get "
		"dns.servers`; if only this one fails, its name servers are down.",
		SEND_LATER},
	{"dns.bogus", OWNER_THEM, "4.3",
		"The DNS answers of the domain are not what its DNSSEC signatures vouch for.",
		"Check the clock of this host and the file of dns.trust_anchor; if both are good, tell the "
		"owner of the domain, or route it by `letterlock connector add NAME HOST:PORT --for "
		"DOMAIN`.",
		ASK_THEM},
	{"dns.null-mx", OWNER_SENDER, "1.10", "The domain says in DNS that it takes no mail (null MX).",
		"Nothing can be done here; the address is wrong or no longer meant to receive mail.",
		CHECK_ADDRESS},
	{"dns.no-address", OWNER_THEM, "4.4",
		"The domain exists, but neither it nor any of its mail servers has an address.",
		"Look at the MX and address answers in `letterlock trace DOMAIN` and tell the owner of the "
		"domain.",
		ASK_THEM},
	{"route.loop", OWNER_US, "4.6", "Delivery leads back to this server, or runs in a circle.",
		"Say where the mail of this domain goes: `letterlock domain add DOMAIN --route HOST:PORT`, "
		"or take the MX record that names this server out of DNS.",
		ASK_US},
	{"connect.refused", OWNER_THEM, "4.1", "The host is up, but nothing listens on the port.",
		"Check host and port with `letterlock trace ID`; if they are right, the mail server there "
		"is down and we go on trying.",
		SEND_LATER},
	{"connect.timeout", OWNER_NETWORK, "4.1", "The host did not answer the connection in time.",
		"If all hosts time out, a firewall or the provider blocks outgoing port 25: use a smart "
		"host (`letterlock connector add NAME HOST:587 --for '*'`); if only this one does, it is "
		"down.",
		SEND_LATER},
	{"connect.unreachable", OWNER_NETWORK, "4.1", "There is no way to the host's network.",
		"Check the default route of this host, for IPv4 and IPv6 each, then `letterlock queue "
		"retry "
		"--domain DOMAIN`.",
		SEND_LATER},
	{"connect.failed", OWNER_NETWORK, "4.1",
		"The connection failed for another reason, which the record names.",
		"Read the error in `letterlock trace ID`; if it speaks of descriptors or memory, the "
		"limits "
		"of this host are too low.",
		SEND_LATER},
	{"peer.greeting", OWNER_THEM, "3.2",
		"The server refused us before we could name a message, or does not speak SMTP.",
		"Read its words in `letterlock trace ID`; they often name a block list or a limit that our "
		"address has met.",
		SEND_LATER},
	{"peer.dropped", OWNER_THEM, "4.2", "The server closed the connection in the middle.",
		"Look at the last command in `letterlock trace ID`: servers and firewalls that dislike a "
		"message or an address often just hang up.",
		SEND_LATER},
	{"peer.timeout", OWNER_THEM, "4.2", "The server stopped answering in the middle.",
		"Look at the last command in `letterlock trace ID`; if large messages only are hit, "
		"suspect "
		"a firewall that drops ICMP (path MTU), else the server is overloaded.",
		SEND_LATER},
	{"peer.protocol", OWNER_THEM, "5.0", "The server said something that SMTP does not allow.",
		"Read the dialogue in `letterlock trace ID`; check that host and port are those of a mail "
		"server.",
		ASK_THEM},
	{"tls.not-offered", OWNER_THEM, "7.4",
		"The server does not offer STARTTLS, and this route may not be used without TLS.",
		"If mail to this host may go in clear, add a connector for it with --tls may; else tell "
		"its "
		"owner to switch STARTTLS on.",
		TELL_THEM_TLS},
	{"tls.refused", OWNER_THEM, "7.4", "The server offered STARTTLS but refused the command.",
		"Its TLS is broken (often a missing certificate or key): tell its owner, with the reply "
		"from "
		"`letterlock trace ID`.",
		TELL_THEM_TLS},
	{"tls.handshake", OWNER_THEM, "7.5",
		"The TLS handshake failed: no common version or cipher, or a broken server.",
		"Look at versions and alert in `letterlock trace ID`; a server that knows only old TLS is "
		"reached by a connector with --tls may, which falls back to clear.",
		TELL_THEM_TLS},
	{"tls.untrusted-root", OWNER_US, "7.5",
		"The server's certificate chain is complete, but leads to a root that is not trusted here.",
		"If it is the partner's own CA, get its certificate from them over a safe way, and "
		"`letterlock connector add NAME HOST:PORT --for DOMAIN --tls verify --trust FILE`.",
		TELL_THEM_TLS},
	{"tls.self-signed", OWNER_THEM, "7.5", "The server shows a self-signed certificate.",
		"Compare the SHA-256 in `letterlock trace ID` with the owner's; if it is theirs, trust it "
		"with `letterlock connector add NAME HOST:PORT --for DOMAIN --tls verify --trust FILE`.",
		TELL_THEM_TLS},
	{"tls.incomplete-chain", OWNER_THEM, "7.5",
		"The server does not send the intermediate certificate that links its own to a root.",
		"Tell its owner to send the whole chain; until then give the intermediate certificate with "
		"`letterlock connector add NAME HOST:PORT --for DOMAIN --tls verify --trust FILE`.",
		TELL_THEM_TLS},
	{"tls.expired", OWNER_THEM, "7.5", "A certificate in the server's chain has expired.",
		"See which one and since when in `letterlock trace ID` and tell its owner; check the clock "
		"of this host if many hosts are hit.",
		TELL_THEM_TLS},
	{"tls.not-yet-valid", OWNER_THEM, "7.5",
		"A certificate in the server's chain is valid only from a later date.",
		"Check the clock of this host first; if it is right, tell the owner of the server.",
		TELL_THEM_TLS},
	{"tls.name-mismatch", OWNER_THEM, "7.5",
		"The certificate is trusted, but is for other names than the host we meant to reach.",
		"Compare the names in `letterlock trace ID`; if the host is right and its certificate "
		"names "
		"it otherwise, give that name with `letterlock connector add NAME HOST:PORT --for DOMAIN "
		"--sni NAME`.",
		TELL_THEM_TLS},
	{"tls.invalid-chain", OWNER_THEM, "7.5",
		"The server's certificate chain is broken in another way, which the record names.",
		"Read the verdict in `letterlock trace ID` (bad signature, wrong purpose, weak key) and "
		"tell "
		"the owner of the server.",
		TELL_THEM_TLS},
	{"reply.temporary", OWNER_THEM, "0.0", "The server asks us to try again later.",
		"Nothing need be done: we go on trying until queue.give_up; its words stand in `letterlock "
		"trace ID`.",
		SEND_LATER},
	{"reply.permanent", OWNER_THEM, "0.0", "The server refused the message for good.",
		"Read its words in `letterlock trace ID`; the sender has been told.",
		"Read the server's words above; they say what it did not like."},
	{"reply.no-mailbox", OWNER_SENDER, "1.1", "There is no such mailbox at the domain.",
		"Check the spelling of the address; if a list or forward sends to it, take it out there.",
		CHECK_ADDRESS},
	{"reply.mailbox-full", OWNER_THEM, "2.2", "The recipient's mailbox is full.",
		"Nothing need be done here; only the recipient can make room.",
		"Tell the recipient another way that the mailbox is full, and send the message again "
		"later."},
	{"reply.policy", OWNER_THEM, "7.1",
		"The server refuses the message by a rule of its own: reputation, content or rights.",
		"Read its words in `letterlock trace ID`; check our address on block lists, our reverse "
		"DNS "
		"name and the sender's SPF record.",
		"Ask your postmaster to read the server's words above: it refuses by a rule of its own."},
	{"reply.size", OWNER_SENDER, "3.4", "The message is larger than the server takes.",
		"Nothing need be done here; the sender has been told.",
		"Send a smaller message, or a link to the file in place of the file."},
	{"local.body", OWNER_US, "3.0", "The stored message could not be read from our disk.",
		"Look for disk errors and full disks in the log and with `letterlock status`, then "
		"`letterlock queue retry ID`.",
		ASK_US},
	{"local.line-ends", OWNER_US, "6.0",
		"The message holds a CR or LF that ends no line, which no server may be sent.",
		"Find out which way it came in with `letterlock trace ID`; our own doors refuse such mail.",
		ASK_US},
	{"local.relay-gone", OWNER_US, "3.0",
		"Our own delivery process ended while it had the message in hand.",
		"Nothing need be done the first time, it is tried again; if it repeats, send the log lines "
		"around it with `letterlock version` to the makers.",
		ASK_US},
	{"local.held", OWNER_US, "3.0",
		"The message is on hold: by an administrator, or because it ended our delivery process "
		"twice.",
		"See why with `letterlock queue show ID`, then `letterlock queue release ID` or "
		"`letterlock "
		"queue remove ID`.",
		ASK_US},
	{"queue.gave-up", OWNER_THEM, "4.7",
		"It could not be delivered before the time of queue.give_up was over.",
		"See what went wrong each time in `letterlock trace ID`.", SEND_LATER},
	{"queue.removed", OWNER_US, "3.0", "An administrator took the message out of the queue.",
		"Nothing need be done.", ASK_US},
	{"unknown", OWNER_US, "0.0",
		"The reason was not recorded under a name that this version knows.",
		"Read the record in `letterlock trace ID`.", ASK_US},
};
const unsigned cause_count = sizeof causes / sizeof causes[0];
_Static_assert(sizeof causes / sizeof *causes <= CAUSES_MAX, "more causes than CAUSES_MAX");

const struct cause *cause_find(struct str id)
{
	unsigned i = 0;
	while (i + 1 < cause_count && !str_eq(id, str_from_c(causes[i].id)))
		i++;
	return &causes[i]; /* the last row is "unknown" */
}

const char *cause_owner_name(enum cause_owner owner)
{
	static const char *const names[] = {
		[OWNER_US] = "us",
		[OWNER_THEM] = "them",
		[OWNER_SENDER] = "sender",
		[OWNER_NETWORK] = "network",
	};
	return names[owner];
}

void cause_manual(struct buf *out)
{
	buf_add_c(out,
		"# Causes\n\n"
		"Each refusal, deferral and bounce carries one cause: the same id in `letterlock queue`,\n"
		"`letterlock trace` (with `--json`: `\"cause\": {\"id\": …, \"owner\": …}`), bounces and "
		"logs.\nAn id never changes its meaning. The owner is the one whose act can mend it:\n"
		"us, them (who run the mail of the recipient), the sender of the message, or the "
		"network.\n\n"
		"This page is made from the table in `src/mail/cause.c`; its test says how.\n");
	for (unsigned i = 0; i < cause_count; i++) {
		const struct cause *c = &causes[i];
		buf_addf(out, "\n## %s\n\n%s\n\n- Owner: %s\n- Enhanced status: x.%s\n- Next step: %s\n",
			c->id, c->text, cause_owner_name(c->owner), c->enhanced, c->next);
		buf_addf(out, "- What the sender is told: %s\n", c->advice);
	}
}
