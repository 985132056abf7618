#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "mail/reply_cause.h"

static const struct {
	enum reply_command command;
	unsigned code;
	const char *enhanced, *text;
	bool permanent;
	const char *cause;
} table[] = {
	/* The digit decides: 4yz or 5yz. */
	{REPLY_TO_RCPT, 450, "", "try again", false, "reply.temporary"},
	{REPLY_TO_MAIL, 550, "", "go away", true, "reply.permanent"},
	{REPLY_TO_DATA, 554, "", "transaction failed", true, "reply.permanent"},
	{REPLY_TO_DATA, 451, "", "local error", false, "reply.temporary"},
	{REPLY_TO_DATA, 421, "4.3.0", "shutting down", false, "reply.temporary"},

	/* Enhanced codes say more. */
	{REPLY_TO_RCPT, 550, "5.1.1", "sorry", true, "reply.no-mailbox"},
	{REPLY_TO_RCPT, 450, "4.1.1", "sorry", false, "reply.no-mailbox"},
	{REPLY_TO_RCPT, 550, "", "5.1.1 The email account does not exist", true, "reply.no-mailbox"},
	{REPLY_TO_RCPT, 550, "5.1.10", "null MX", true, "dns.null-mx"},
	{REPLY_TO_RCPT, 550, "5.2.1", "inactive user", true, "reply.no-mailbox"},
	{REPLY_TO_RCPT, 450, "4.2.1", "receiving mail too quickly", false, "reply.temporary"},
	{REPLY_TO_RCPT, 452, "4.2.2", "over quota", false, "reply.mailbox-full"},
	{REPLY_TO_DATA, 552, "5.2.2", "over quota", true, "reply.mailbox-full"},
	{REPLY_TO_MAIL, 552, "5.3.4", "too big", true, "reply.size"},
	{REPLY_TO_MAIL, 452, "4.3.1", "insufficient system storage", false, "reply.temporary"},
	{REPLY_TO_DATA, 554, "5.4.6", "too many hops", true, "route.loop"},
	{REPLY_TO_DATA, 550, "5.7.1", "message content rejected", true, "reply.policy"},
	{REPLY_TO_DATA, 550, "5.7.26", "unauthenticated", true, "reply.policy"},
	{REPLY_TO_MAIL, 421, "4.7.0", "unusual rate of mail", false, "reply.policy"},
	{REPLY_TO_MAIL, 550, "5.1.8", "sender domain has no MX", true, "reply.policy"},
	{REPLY_TO_RCPT, 550, "5.7.1", "user unknown", true, "reply.policy"}, /* the code wins */
	{REPLY_TO_RCPT, 550, "5.0.0", "user unknown", true, "reply.permanent"},

	/* Greylisting passes by itself. */
	{REPLY_TO_RCPT, 450, "4.7.1", "Greylisted, see you in 5 minutes", false, "reply.temporary"},
	{REPLY_TO_RCPT, 451, "", "Graylisting in action", false, "reply.temporary"},

	/* Without enhanced code: words, then the bare code. */
	{REPLY_TO_RCPT, 550, "", "Requested action not taken: mailbox unavailable", true,
		"reply.no-mailbox"},
	{REPLY_TO_RCPT, 550, "", "No such user here", true, "reply.no-mailbox"},
	{REPLY_TO_RCPT, 550, "", "nope", true, "reply.no-mailbox"},
	{REPLY_TO_RCPT, 550, "", "relaying denied", true, "reply.policy"},
	{REPLY_TO_RCPT, 554, "", "Your address is BLOCKED", true, "reply.policy"},
	{REPLY_TO_RCPT, 550, "", "Mailbox full", true, "reply.mailbox-full"},
	{REPLY_TO_DATA, 554, "", "this looks like spam", true, "reply.policy"},
	{REPLY_TO_DATA, 552, "", "message too large", true, "reply.size"},
	{REPLY_TO_MAIL, 552, "", "size", true, "reply.size"},
	{REPLY_TO_RCPT, 551, "", "User not local; please try <b@c>", true, "reply.no-mailbox"},
	{REPLY_TO_RCPT, 553, "", "ambiguous", true, "reply.no-mailbox"},
	{REPLY_TO_MAIL, 553, "", "sender not ok", true, "reply.policy"},
	{REPLY_TO_MAIL, 530, "", "Must issue a STARTTLS command first", true, "reply.policy"},
	{REPLY_TO_RCPT, 556, "", "Domain does not accept mail", true, "dns.null-mx"},

	/* RFC 5321 4.5.3.1.10: 552 to RCPT is 452, unless it says that it means something else. */
	{REPLY_TO_RCPT, 552, "", "too many recipients", false, "reply.temporary"},
	{REPLY_TO_RCPT, 552, "5.5.3", "too many recipients", false, "reply.temporary"},
	{REPLY_TO_RCPT, 552, "5.2.2", "mailbox full", true, "reply.mailbox-full"},
	{REPLY_TO_RCPT, 452, "4.5.3", "too many recipients", false, "reply.temporary"},

	/* Before MAIL it is about the host, not the message. */
	{REPLY_TO_GREETING, 554, "5.7.1", "no SMTP service for you", false, "peer.greeting"},
	{REPLY_TO_GREETING, 421, "", "too busy", false, "peer.greeting"},
	{REPLY_TO_EHLO, 550, "5.7.1", "bad HELO", false, "reply.policy"},
	{REPLY_TO_EHLO, 502, "", "what?", false, "peer.greeting"},
	{REPLY_TO_STARTTLS, 454, "", "TLS not available", false, "tls.refused"},
	{REPLY_TO_STARTTLS, 502, "5.7.0", "no", false, "tls.refused"},

	/* Not a refusal at all: nothing we can understand. */
	{REPLY_TO_RCPT, 354, "", "huh", false, "peer.protocol"},
	{REPLY_TO_RCPT, 0, "", "", false, "peer.protocol"},
	{REPLY_TO_RCPT, 600, "", "", false, "peer.protocol"},
};

static void replies_have_causes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct reply_verdict v = reply_cause(table[i].command, (uint16_t)table[i].code,
			str_from_c(table[i].enhanced), str_from_c(table[i].text));
		if (strcmp(v.cause->id, table[i].cause) != 0 || v.permanent != table[i].permanent)
			fail_msg("%u %s %s: %s, %s", table[i].code, table[i].enhanced, table[i].text,
				v.cause->id, v.permanent ? "permanent" : "temporary");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_have_causes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
