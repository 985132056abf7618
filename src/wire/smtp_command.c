#include "wire/smtp_command.h"

#include "wire/ip.h"
#include "wire/xtext.h"

static const char *const verb_names[VERB_COUNT] = {
	[VERB_UNKNOWN] = "?",
	[VERB_AUTH] = "AUTH",
	[VERB_BDAT] = "BDAT",
	[VERB_DATA] = "DATA",
	[VERB_EHLO] = "EHLO",
	[VERB_EXPN] = "EXPN",
	[VERB_HELO] = "HELO",
	[VERB_HELP] = "HELP",
	[VERB_MAIL] = "MAIL",
	[VERB_NOOP] = "NOOP",
	[VERB_QUIT] = "QUIT",
	[VERB_RCPT] = "RCPT",
	[VERB_RSET] = "RSET",
	[VERB_STARTTLS] = "STARTTLS",
	[VERB_TURN] = "TURN",
	[VERB_VRFY] = "VRFY",
};

enum { WHAT_MAX = 64 };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct str without_leading_blanks(struct str s)
{
	while (s.n && is_blank(s.p[0]))
		s = str_skip(s, 1);
	return s;
}

/* Takes what stands before the next blank. */
static struct str take_word(struct str *at)
{
	size_t n = 0;
	while (n < at->n && !is_blank(at->p[n]))
		n++;
	struct str word = str_take(*at, n);
	*at = str_skip(*at, n);
	return word;
}

/* Always false. `what` is cut where it is no longer fit to stand in a reply. */
static bool fault(
	struct smtp_fault *ret, unsigned code, const char *enhanced, const char *text, struct str what)
{
	size_t n = 0;
	while (n < what.n && n < WHAT_MAX && what.p[n] > 32 && what.p[n] <= 126)
		n++;
	*ret = (struct smtp_fault){code, enhanced, text, str_take(what, n)};
	return false;
}

const char *smtp_verb_name(enum smtp_verb verb)
{
	return verb_names[verb];
}

/* command = verb [ SP argument ]                                               RFC 5321 4.1.1 */
void smtp_command_split(struct str line, struct smtp_command *ret)
{
	while (line.n && is_blank(line.p[line.n - 1]))
		line.n--;
	ret->verb = VERB_UNKNOWN;
	ret->name = take_word(&line);
	ret->argument = without_leading_blanks(line);
	for (enum smtp_verb verb = VERB_UNKNOWN + 1; verb < VERB_COUNT; verb++)
		if (str_eq_nocase(ret->name, str_from_c(verb_names[verb])))
			ret->verb = verb;
}

bool smtp_no_argument(struct str argument, struct smtp_fault *ret_fault)
{
	return argument.n == 0 ||
		fault(ret_fault, 501, "5.5.4", "this command takes no argument", argument);
}

/* "[" address "]", with or without the tag that IPv6 should have. */
static bool helo_literal(struct str s)
{
	struct ip ip;
	if (ip_literal_parse(s, &ip))
		return true;
	return s.n >= 2 && s.p[s.n - 1] == ']' && ip_parse(str_make(s.p + 1, s.n - 2), &ip);
}

/* ehlo = "EHLO" SP ( Domain / address-literal ) CRLF                         RFC 5321 4.1.1.1 */
bool smtp_helo_argument(
	struct str argument, struct str *ret, bool *ret_literal, struct smtp_fault *ret_fault)
{
	if (argument.n == 0)
		return fault(ret_fault, 501, "5.5.4", "a host name must follow", argument);
	if (argument.n > SMTP_DOMAIN_MAX)
		return fault(ret_fault, 501, "5.5.4", "host name too long", argument);
	bool literal = argument.p[0] == '[';
	if (literal && !helo_literal(argument))
		return fault(ret_fault, 501, "5.5.4", "bad address literal", argument);
	for (size_t i = 0; i < argument.n && !literal; i++)
		if (!smtp_is_atext(argument.p[i]) && argument.p[i] != '.')
			return fault(ret_fault, 501, "5.5.4", "bad host name", argument);
	*ret = argument;
	*ret_literal = literal;
	return true;
}

/* ---- parameters ---------------------------------------------------------------------------- */

/* One row per parameter: `take` checks a value and puts it into the struct of its command. */
struct param {
	const char *name;
	bool (*take)(struct str value, void *ret);
};

/* size-value = 1*20DIGIT                                                         RFC 1870 4
 * A number that is beyond 64 bits counts as the largest there is. */
static bool take_size(struct str value, void *ret)
{
	struct smtp_mail *mail = ret;
	if (value.n == 0 || value.n > 20)
		return false;
	for (size_t i = 0; i < value.n; i++)
		if (!ascii_is_digit(value.p[i]))
			return false;
	if (!str_to_u64(value, UINT64_MAX, &mail->size))
		mail->size = UINT64_MAX;
	return true;
}

/* body-value = "7BIT" / "8BITMIME"                                               RFC 6152 2 */
static bool take_body(struct str value, void *ret)
{
	struct smtp_mail *mail = ret;
	if (str_eq_nocase(value, STR("7BIT")))
		mail->body_type = BODY_7BIT;
	else if (str_eq_nocase(value, STR("8BITMIME")))
		mail->body_type = BODY_8BITMIME;
	return mail->body_type != BODY_UNSET;
}

/* ret-value = "FULL" / "HDRS"                                                  RFC 3461 4.3 */
static bool take_ret(struct str value, void *ret)
{
	struct smtp_mail *mail = ret;
	if (str_eq_nocase(value, STR("FULL")))
		mail->ret = RET_FULL;
	else if (str_eq_nocase(value, STR("HDRS")))
		mail->ret = RET_HDRS;
	return mail->ret != RET_UNSET;
}

/* envid-parameter = "ENVID=" xtext, of printable characters                    RFC 3461 4.4 */
static bool take_envid(struct str value, void *ret)
{
	((struct smtp_mail *)ret)->envid = value;
	return value.n && value.n <= ENVID_MAX && xtext_printable(value);
}

/* "AUTH=" xtext of "<>" or a mailbox                                             RFC 4954 5
 * Nobody is trusted to vouch for another yet, so what it says is not looked at. */
static bool take_auth(struct str value, void *ret)
{
	((struct smtp_mail *)ret)->auth = value;
	return value.n && value.n <= 500 && xtext_ok(value);
}

/* notify-esmtp-value = "NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" )          RFC 3461 4.1 */
static bool take_notify(struct str value, void *ret)
{
	struct smtp_rcpt *rcpt = ret;
	struct str word;
	if (str_eq_nocase(value, STR("NEVER"))) {
		rcpt->notify = NOTIFY_NEVER;
		return true;
	}
	while (str_split(&value, ',', &word)) {
		if (str_eq_nocase(word, STR("SUCCESS")))
			rcpt->notify |= NOTIFY_SUCCESS;
		else if (str_eq_nocase(word, STR("FAILURE")))
			rcpt->notify |= NOTIFY_FAILURE;
		else if (str_eq_nocase(word, STR("DELAY")))
			rcpt->notify |= NOTIFY_DELAY;
		else
			return false;
	}
	return true;
}

/* original-recipient-address = addr-type ";" xtext                              RFC 3461 4.2
 * addr-type                  = atom */
static bool take_orcpt(struct str value, void *ret)
{
	ptrdiff_t semicolon = str_find(value, ';');
	if (value.n > ORCPT_MAX || semicolon < 1 || (size_t)semicolon + 1 == value.n)
		return false;
	for (ptrdiff_t i = 0; i < semicolon; i++)
		if (!smtp_is_atext(value.p[i]))
			return false;
	((struct smtp_rcpt *)ret)->orcpt = value;
	return xtext_printable(str_skip(value, (size_t)semicolon + 1));
}

static const struct param mail_params[] = {
	{"SIZE", take_size},
	{"BODY", take_body},
	{"RET", take_ret},
	{"ENVID", take_envid},
	{"AUTH", take_auth},
	{NULL, NULL},
};

static const struct param rcpt_params[] = {
	{"NOTIFY", take_notify},
	{"ORCPT", take_orcpt},
	{NULL, NULL},
};

/* esmtp-param   = esmtp-keyword [ "=" esmtp-value ]                           RFC 5321 4.1.2
 * esmtp-keyword = ( ALPHA / DIGIT ) *( ALPHA / DIGIT / "-" )
 * esmtp-value   = 1*( %d33-60 / %d62-126 ) */
static bool param_form_ok(struct str keyword, struct str value, bool has_value)
{
	for (size_t i = 0; i < keyword.n; i++) {
		char c = keyword.p[i];
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && (c != '-' || i == 0))
			return false;
	}
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] < 33 || value.p[i] > 126 || value.p[i] == '=')
			return false;
	return keyword.n && (value.n || !has_value);
}

/* Mail-parameters = esmtp-param *( SP esmtp-param )                           RFC 5321 4.1.2 */
static bool take_params(
	struct str rest, const struct param *table, void *ret, struct smtp_fault *ret_fault)
{
	unsigned seen = 0;
	for (rest = without_leading_blanks(rest); rest.n; rest = without_leading_blanks(rest)) {
		struct str word = take_word(&rest);
		struct str value = word;
		struct str keyword;
		unsigned i = 0;
		str_split(&value, '=', &keyword);
		bool has_value = value.p != NULL;
		if (!param_form_ok(keyword, value, has_value))
			return fault(ret_fault, 501, "5.5.4", "bad parameter", word);
		while (table[i].name && !str_eq_nocase(keyword, str_from_c(table[i].name)))
			i++;
		if (!table[i].name)
			return fault(ret_fault, 555, "5.5.4", "unknown parameter", keyword);
		if (seen & 1u << i)
			return fault(ret_fault, 501, "5.5.4", "parameter given twice", keyword);
		seen |= 1u << i;
		if (!has_value)
			return fault(ret_fault, 501, "5.5.4", "parameter without its value", keyword);
		if (!table[i].take(value, ret))
			return fault(ret_fault, 501, "5.5.4", "bad value of a parameter", word);
	}
	return true;
}

/* ---- MAIL and RCPT ------------------------------------------------------------------------- */

/* What MAIL and RCPT have in common and where they differ. */
struct form {
	const char *keyword;
	enum parse (*path)(struct str *at, struct mailbox *ret);
	const char *enhanced; /* of a bad path */
	const char *missing;
	const char *bad;
};

static const struct form mail_form = {
	"FROM:", smtp_reverse_path, "5.1.7", "syntax: MAIL FROM:<address>", "bad sender address"};
static const struct form rcpt_form = {
	"TO:", smtp_forward_path, "5.1.3", "syntax: RCPT TO:<address>", "bad recipient address"};

static bool path_fault(const struct form *form, struct str path, struct smtp_fault *ret_fault)
{
	struct str word = path;
	word = take_word(&word);
	for (size_t i = 0; i < word.n; i++)
		if ((unsigned char)word.p[i] > 127)
			return fault(
				ret_fault, 553, "5.6.7", "addresses beyond ASCII need SMTPUTF8, not offered", word);
	if (!word.n || word.p[0] != '<')
		return fault(ret_fault, 501, "5.5.4", form->missing, word);
	return fault(ret_fault, 501, form->enhanced, form->bad, word);
}

/* Takes keyword and path; what is left are the parameters. Blanks behind the colon are an error of
 * the client (RFC 5321 3.3 warns of it) that many have made and that is unambiguous: they pass. */
static bool take_path(
	const struct form *form, struct str *at, struct mailbox *ret, struct smtp_fault *ret_fault)
{
	struct str keyword = str_from_c(form->keyword);
	if (!str_starts_nocase(*at, keyword))
		return fault(ret_fault, 501, "5.5.4", form->missing, *at);
	struct str path = without_leading_blanks(str_skip(*at, keyword.n));
	struct str rest = path;
	if (form->path(&rest, ret) != PARSE_DONE || (rest.n && !is_blank(rest.p[0])))
		return path_fault(form, path, ret_fault);
	*at = rest;
	return true;
}

/* mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF                 RFC 5321 4.1.1.2 */
bool smtp_mail_argument(struct str argument, struct smtp_mail *ret, struct smtp_fault *ret_fault)
{
	struct smtp_mail mail = {0};
	if (!take_path(&mail_form, &argument, &mail.sender, ret_fault) ||
		!take_params(argument, mail_params, &mail, ret_fault))
		return false;
	*ret = mail;
	return true;
}

/* rcpt = "RCPT TO:" Forward-path [SP Rcpt-parameters] CRLF                   RFC 5321 4.1.1.3 */
bool smtp_rcpt_argument(struct str argument, struct smtp_rcpt *ret, struct smtp_fault *ret_fault)
{
	struct smtp_rcpt rcpt = {0};
	if (!take_path(&rcpt_form, &argument, &rcpt.recipient, ret_fault) ||
		!take_params(argument, rcpt_params, &rcpt, ret_fault))
		return false;
	*ret = rcpt;
	return true;
}
