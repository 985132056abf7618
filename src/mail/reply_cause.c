#include "mail/reply_cause.h"

#include "wire/enhanced.h"

struct status {
	uint64_t class, subject, detail;
};

/* Enhanced status codes (RFC 3463 and the IANA registry) that say more than the basic code. Some
 * count in permanent replies only: "450 4.2.1 receiving too quickly" disables no mailbox. */
static const struct {
	unsigned subject, detail;
	bool only_permanent;
	const char *cause;
} by_enhanced[] = {
	{1, 1, false, "reply.no-mailbox"}, /* bad destination mailbox address */
	{1, 2, false, "reply.no-mailbox"}, /* bad destination system address */
	{1, 3, false, "reply.no-mailbox"}, /* bad destination mailbox address syntax */
	{1, 6, false, "reply.no-mailbox"}, /* destination mailbox has moved */
	{1, 7, false, "reply.policy"},     /* bad sender's mailbox address syntax */
	{1, 8, false, "reply.policy"},     /* bad sender's system address */
	{1, 10, false, "dns.null-mx"},     /* recipient address has null MX (RFC 7505) */
	{2, 1, true, "reply.no-mailbox"},  /* mailbox disabled */
	{2, 2, false, "reply.mailbox-full"},
	{2, 3, false, "reply.size"}, /* message longer than the mailbox takes */
	{3, 4, false, "reply.size"}, /* message too big for system */
	{4, 6, false, "route.loop"},
};
enum { SUBJECT_SECURITY = 7 };

/* "5.1.1 …" into numbers. */
static bool read_status(struct str s, struct status *ret)
{
	struct str code, class, subject;
	if (enhanced_code(&s, &code) != PARSE_DONE)
		return false;
	str_split(&code, '.', &class);
	str_split(&code, '.', &subject);
	return str_to_u64(class, 5, &ret->class) && str_to_u64(subject, 999, &ret->subject) &&
		str_to_u64(code, 999, &ret->detail);
}

static const char *cause_by_status(const struct status *s, bool permanent)
{
	for (size_t i = 0; i < sizeof by_enhanced / sizeof by_enhanced[0]; i++)
		if (by_enhanced[i].subject == s->subject && by_enhanced[i].detail == s->detail &&
			(permanent || !by_enhanced[i].only_permanent))
			return by_enhanced[i].cause;
	return s->subject == SUBJECT_SECURITY ? "reply.policy" : NULL;
}

static bool contains_any(struct str s, const char *const *words)
{
	for (; *words; words++)
		for (struct str rest = s; rest.n; rest = str_skip(rest, 1))
			if (str_starts_nocase(rest, str_from_c(*words)))
				return true;
	return false;
}

/* Without an enhanced code a bare 550 means "no such user" as often as "you may not" (RFC 5321
 * 4.2.3 gives it to both), so the words decide. */
static const char *cause_by_text(enum reply_command command, uint16_t code, struct str text)
{
	static const char *const full[] = {"mailbox full", "mailbox is full", "quota", NULL};
	static const char *const nobody[] = {"user unknown", "unknown user", "no such", "no mailbox",
		"unknown recipient", "recipient unknown", "unknown local", "user not found",
		"recipient not found", "mailbox not found", "mailbox unavailable", "does not exist",
		"doesn't exist", "invalid recipient", NULL};
	static const char *const policy[] = {"spam", "block", "blacklist", "denied", "not allowed",
		"not permitted", "policy", "reputation", "prohibited", "relay", "spf", "dmarc", "dkim",
		"authent", "reverse", "ptr", "rate limit", NULL};
	if (contains_any(text, full))
		return "reply.mailbox-full";
	if (command == REPLY_TO_RCPT && contains_any(text, nobody))
		return "reply.no-mailbox";
	if (contains_any(text, policy))
		return "reply.policy";
	return command == REPLY_TO_RCPT && code == 550 ? "reply.no-mailbox" : NULL;
}

static const char *cause_by_code(enum reply_command command, uint16_t code)
{
	switch (code) {
	case 521: /* the host takes no mail at all, 556: nor does the domain (RFC 7504) */
	case 556:
		return "dns.null-mx";
	case 530: /* authentication or TLS required (RFC 4954, 3207) */
	case 535:
		return "reply.policy";
	case 551: /* user not local; please try <forward-path> */
	case 553: /* mailbox name not allowed */
		return command == REPLY_TO_RCPT ? "reply.no-mailbox" : "reply.policy";
	case 552: /* exceeded storage allocation */
		return command == REPLY_TO_RCPT ? "reply.temporary" : "reply.size";
	default:
		if (command == REPLY_TO_EHLO)
			return "peer.greeting";
		return code >= 500 ? "reply.permanent" : "reply.temporary";
	}
}

static const char *find_cause(
	enum reply_command command, uint16_t code, struct str enhanced, struct str text, bool permanent)
{
	static const char *const greylist[] = {"greylist", "graylist", "grey-list", "gray-list", NULL};
	struct status status;
	const char *cause = NULL;
	if (command == REPLY_TO_GREETING)
		return "peer.greeting";
	if (command == REPLY_TO_STARTTLS)
		return "tls.refused";
	/* "451 4.7.1 Greylisted" passes by itself: no rule that anybody must look at. */
	if (code < 500 && contains_any(text, greylist))
		return "reply.temporary";
	if (read_status(enhanced.n ? enhanced : text, &status))
		cause = cause_by_status(&status, permanent);
	else if (code >= 500)
		cause = cause_by_text(command, code, text);
	return cause ? cause : cause_by_code(command, code);
}

struct reply_verdict reply_cause(
	enum reply_command command, uint16_t code, struct str enhanced, struct str text)
{
	if (code < 400 || code > 599)
		return (struct reply_verdict){false, cause_find(STR("peer.protocol"))};
	const char *cause = find_cause(command, code, enhanced, text, code >= 500);
	bool too_many = code == 552 && command == REPLY_TO_RCPT &&
		str_eq(str_from_c(cause), STR("reply.temporary"));
	return (struct reply_verdict){
		.permanent = code >= 500 && command >= REPLY_TO_MAIL && !too_many,
		.cause = cause_find(str_from_c(cause)),
	};
}
