#include "wire/smtp_address.h"

#include "wire/domain_name.h"
#include "wire/ip.h"

bool smtp_is_atext(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* Takes one given character. */
static enum parse literally(struct str *at, char c)
{
	if (at->n == 0)
		return PARSE_MORE;
	if (at->p[0] != c)
		return PARSE_BAD;
	*at = str_skip(*at, 1);
	return PARSE_DONE;
}

/* Domain     = sub-domain *( "." sub-domain )                                 RFC 5321 4.1.2
 * sub-domain = Let-dig [ Ldh-str ] */
enum parse smtp_domain(struct str *at, struct str *ret)
{
	size_t label = 0;
	size_t n = 0;
	for (; n < at->n; n++) {
		char c = at->p[n];
		if (ascii_is_alpha(c) || ascii_is_digit(c) || c == '_' || (c == '-' && label))
			label++;
		else if (c == '.' && label && at->p[n - 1] != '-')
			label = 0;
		else
			break;
		if (label > DOMAIN_LABEL_MAX || n == SMTP_DOMAIN_MAX)
			return PARSE_BAD;
	}
	if (label == 0 || at->p[n - 1] == '-')
		return n == at->n ? PARSE_MORE : PARSE_BAD;
	*ret = str_take(*at, n);
	*at = str_skip(*at, n);
	return PARSE_DONE;
}

/* address-literal = "[" ( IPv4-address-literal / IPv6-address-literal ) "]"   RFC 5321 4.1.3 */
enum parse smtp_address_literal(struct str *at, struct str *ret)
{
	struct ip ip;
	size_t n = 1;
	if (at->n == 0)
		return PARSE_MORE;
	if (at->p[0] != '[')
		return PARSE_BAD;
	while (n < at->n && n < IP_LITERAL_TEXT &&
		(ascii_is_alpha(at->p[n]) || ascii_is_digit(at->p[n]) || at->p[n] == ':' ||
			at->p[n] == '.'))
		n++;
	if (n == at->n)
		return PARSE_MORE;
	struct str literal = str_take(*at, n + 1);
	if (!ip_literal_parse(literal, &ip))
		return PARSE_BAD;
	*ret = literal;
	*at = str_skip(*at, n + 1);
	return PARSE_DONE;
}

/* Quoted-string  = DQUOTE *QcontentSMTP DQUOTE                                RFC 5321 4.1.2
 * QcontentSMTP   = qtextSMTP / quoted-pairSMTP
 * quoted-pairSMTP = "\" %d32-126
 * qtextSMTP      = %d32-33 / %d35-91 / %d93-126 */
static enum parse quoted_string(struct str *at, struct str *ret)
{
	size_t n = 1;
	while (n < at->n && at->p[n] != '"') {
		if (at->p[n] == '\\')
			n++;
		if (n < at->n && !ascii_is_print(at->p[n]))
			return PARSE_BAD;
		n++;
		if (n > SMTP_MAILBOX_MAX)
			return PARSE_BAD;
	}
	if (n >= at->n)
		return PARSE_MORE;
	*ret = str_take(*at, n + 1);
	*at = str_skip(*at, n + 1);
	return PARSE_DONE;
}

/* Dot-string = Atom *( "." Atom )                                             RFC 5321 4.1.2 */
static enum parse dot_string(struct str *at, struct str *ret)
{
	size_t n = 0;
	while (n < at->n && (smtp_is_atext(at->p[n]) || (at->p[n] == '.' && n && at->p[n - 1] != '.')))
		if (++n > SMTP_MAILBOX_MAX)
			return PARSE_BAD;
	if (n == 0 || at->p[n - 1] == '.')
		return n == at->n ? PARSE_MORE : PARSE_BAD;
	*ret = str_take(*at, n);
	*at = str_skip(*at, n);
	return PARSE_DONE;
}

/* Local-part = Dot-string / Quoted-string                                     RFC 5321 4.1.2 */
enum parse smtp_local_part(struct str *at, struct str *ret)
{
	return at->n && at->p[0] == '"' ? quoted_string(at, ret) : dot_string(at, ret);
}

/* What is longer than `max` is bad before its end has come too: PARSE_MORE has used all of `at`. */
static enum parse within(enum parse got, struct str at, struct str rest, size_t max)
{
	size_t taken = at.n - (got == PARSE_DONE ? rest.n : 0);
	return got != PARSE_BAD && taken > max ? PARSE_BAD : got;
}

/* Mailbox = Local-part "@" ( Domain / address-literal )                       RFC 5321 4.1.2 */
enum parse smtp_mailbox(struct str *at, struct mailbox *ret)
{
	struct mailbox m;
	struct str s = *at;
	enum parse got = smtp_local_part(&s, &m.local);
	if (got == PARSE_DONE)
		got = literally(&s, '@');
	if (got == PARSE_DONE) {
		m.literal = s.n && s.p[0] == '[';
		got = m.literal ? smtp_address_literal(&s, &m.domain) : smtp_domain(&s, &m.domain);
	}
	got = within(got, *at, s, SMTP_MAILBOX_MAX);
	if (got != PARSE_DONE)
		return got;
	*ret = m;
	*at = s;
	return PARSE_DONE;
}

/* A-d-l     = At-domain *( "," At-domain )                                    RFC 5321 4.1.2
 * At-domain = "@" Domain
 * With the ":" behind it; nothing is kept of it. */
static enum parse source_route(struct str *at)
{
	struct str s = *at;
	struct str dropped;
	if (s.n == 0 || s.p[0] != '@')
		return PARSE_DONE;
	do {
		enum parse got = literally(&s, '@');
		if (got == PARSE_DONE)
			got = smtp_domain(&s, &dropped);
		got = within(got, *at, s, SMTP_ROUTE_MAX);
		if (got != PARSE_DONE)
			return got;
	} while (literally(&s, ',') == PARSE_DONE);
	enum parse got = literally(&s, ':');
	if (got == PARSE_DONE)
		*at = s;
	return got;
}

/* Path = "<" [ A-d-l ":" ] Mailbox ">"                                        RFC 5321 4.1.2 */
static enum parse path(struct str *at, struct mailbox *ret)
{
	struct str s = *at;
	struct mailbox m;
	enum parse got = literally(&s, '<');
	if (got == PARSE_DONE)
		got = source_route(&s);
	if (got == PARSE_DONE)
		got = smtp_mailbox(&s, &m);
	if (got == PARSE_DONE)
		got = literally(&s, '>');
	if (got != PARSE_DONE)
		return got;
	*ret = m;
	*at = s;
	return PARSE_DONE;
}

/* Reverse-path = Path / "<>"                                                  RFC 5321 4.1.2 */
enum parse smtp_reverse_path(struct str *at, struct mailbox *ret)
{
	if (!str_starts(*at, STR("<>")))
		return path(at, ret);
	*ret = (struct mailbox){.local = str_make(at->p + 1, 0), .domain = str_make(at->p + 1, 0)};
	*at = str_skip(*at, 2);
	return PARSE_DONE;
}

/* "<Postmaster>" / Forward-path                                            RFC 5321 4.1.1.3 */
enum parse smtp_forward_path(struct str *at, struct mailbox *ret)
{
	static const struct str postmaster = {"<postmaster>", 12};
	if (!str_starts_nocase(*at, postmaster))
		return path(at, ret);
	*ret = (struct mailbox){.local = str_make(at->p + 1, postmaster.n - 2),
		.domain = str_make(at->p + postmaster.n - 1, 0)};
	*at = str_skip(*at, postmaster.n);
	return PARSE_DONE;
}

bool mailbox_from_str(struct str text, struct mailbox *ret)
{
	struct mailbox m;
	if (smtp_mailbox(&text, &m) != PARSE_DONE || text.n)
		return false;
	*ret = m;
	return true;
}

struct str smtp_local_plain(struct str local, char dst[SMTP_PATH_MAX])
{
	size_t n = 0;
	bool quoted = local.n >= 2 && local.p[0] == '"';
	if (quoted)
		local = str_make(local.p + 1, local.n - 2);
	for (size_t i = 0; i < local.n && n < SMTP_PATH_MAX; i++) {
		if (quoted && local.p[i] == '\\' && i + 1 < local.n)
			i++;
		dst[n++] = local.p[i];
	}
	return str_make(dst, n);
}

/* Length of the local part in its shortest form, and whether that needs quotes. */
static size_t shortest_length(struct str plain, bool *ret_quotes)
{
	struct str rest = plain;
	struct str atoms;
	*ret_quotes = dot_string(&rest, &atoms) != PARSE_DONE || rest.n != 0;
	size_t n = plain.n + (*ret_quotes ? 2 : 0);
	for (size_t i = 0; i < plain.n; i++)
		n += plain.p[i] == '"' || plain.p[i] == '\\';
	return n;
}

struct str mailbox_format(const struct mailbox *m, char dst[SMTP_PATH_MAX])
{
	char plain_dst[SMTP_PATH_MAX];
	struct str plain = smtp_local_plain(m->local, plain_dst);
	bool quotes;
	size_t n = 0;

	if (m->local.n == 0 || shortest_length(plain, &quotes) + 1 + m->domain.n > SMTP_PATH_MAX)
		return str_make("", 0);
	if (quotes)
		dst[n++] = '"';
	for (size_t i = 0; i < plain.n; i++) {
		if (plain.p[i] == '"' || plain.p[i] == '\\')
			dst[n++] = '\\';
		dst[n++] = plain.p[i];
	}
	if (quotes)
		dst[n++] = '"';
	if (m->domain.n) {
		dst[n++] = '@';
		memcpy(dst + n, m->domain.p, m->domain.n);
	}
	return str_make(dst, n + m->domain.n);
}

struct str domain_lower(struct str domain, char dst[SMTP_DOMAIN_MAX])
{
	if (domain.n > SMTP_DOMAIN_MAX)
		return str_make("", 0);
	return str_lower(domain, dst);
}
