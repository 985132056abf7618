#include "wire/smtp_reply.h"

void smtp_reply_init(struct smtp_reply *r)
{
	*r = (struct smtp_reply){0};
	buf_init(&r->text, SMTP_REPLY_TEXT_MAX);
}

void smtp_reply_done(struct smtp_reply *r)
{
	buf_done(&r->text);
}

void smtp_reply_clear(struct smtp_reply *r)
{
	r->code = 0;
	r->lines = 0;
	r->enhanced[0] = 0;
	buf_clear(&r->text);
}

/* Takes the enhanced status code off the front of a line's text. It counts only if its class is
 * that of the reply code (RFC 2034 4), and on later lines only if it repeats the first one. */
static struct str strip_enhanced(struct smtp_reply *r, struct str text)
{
	struct str rest = text;
	struct str code;
	if (enhanced_code(&rest, &code) != PARSE_DONE || (unsigned)(code.p[0] - '0') != r->code / 100)
		return text;
	if (r->lines == 0)
		str_to_c(code, r->enhanced, sizeof(r->enhanced));
	else if (!str_eq(code, str_from_c(r->enhanced)))
		return text;
	return str_skip(rest, 1);
}

static void add_text(struct smtp_reply *r, struct str text)
{
	buf_add(&r->text, str_take(text, r->text.max - r->text.n));
}

/* Reply-line = Reply-code ( "-" / SP ) [ textstring ]                            RFC 5321 4.2
 * Reply-code = %x32-35 %x30-35 %x30-39
 * The code alone is a last line too; any second digit passes, since only the first decides. */
enum parse smtp_reply_add(struct smtp_reply *r, struct str line)
{
	uint64_t code;
	if (!str_to_u64(str_take(line, 3), 599, &code) || code < 200)
		return PARSE_BAD;
	bool more = line.n > 3 && line.p[3] == '-';
	if (line.n > 3 && !more && line.p[3] != ' ')
		return PARSE_BAD;
	if (str_find(line, '\r') >= 0 || str_find(line, '\n') >= 0)
		return PARSE_BAD;
	if (r->lines == SMTP_REPLY_LINES || (r->lines && code != r->code))
		return PARSE_BAD;
	r->code = (unsigned)code;
	struct str text = strip_enhanced(r, str_skip(line, 4));
	if (r->lines)
		add_text(r, STR("\n"));
	add_text(r, text);
	r->lines++;
	return more ? PARSE_MORE : PARSE_DONE;
}

void smtp_reply_describe(const struct smtp_reply *r, size_t max, struct buf *out)
{
	struct str text = buf_str(&r->text);
	size_t start = out->n;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		struct str shown = c == '\n' ? STR(" / ") : ascii_is_print(c) ? str_make(&c, 1) : STR("?");
		if (out->n - start + shown.n > max)
			return;
		buf_add(out, shown);
	}
}

/* ehlo-line = ehlo-keyword *( SP ehlo-param )                                RFC 5321 4.1.1.1 */
static void take_keyword(struct str line, struct smtp_extensions *ret)
{
	struct str params = str_trim(line);
	struct str keyword;
	str_split(&params, ' ', &keyword);
	params = params.p ? str_trim(params) : str_make("", 0);
	const struct {
		struct str keyword;
		bool *flag;
	} flags[] = {
		{STR("PIPELINING"), &ret->pipelining},
		{STR("8BITMIME"), &ret->eightbitmime},
		{STR("STARTTLS"), &ret->starttls},
		{STR("DSN"), &ret->dsn},
		{STR("ENHANCEDSTATUSCODES"), &ret->enhanced_status_codes},
		{STR("CHUNKING"), &ret->chunking},
		{STR("SMTPUTF8"), &ret->smtputf8},
		{STR("SIZE"), &ret->size},
	};
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (str_eq_nocase(keyword, flags[i].keyword))
			*flags[i].flag = true;
	if (str_eq_nocase(keyword, STR("SIZE")))
		str_to_u64(params, UINT64_MAX, &ret->size_max);
	if (str_eq_nocase(keyword, STR("AUTH")))
		ret->auth = params;
}

void smtp_extensions_parse(const struct smtp_reply *r, struct smtp_extensions *ret)
{
	struct str rest = buf_str(&r->text);
	struct str line;
	struct smtp_extensions found = {.auth = str_make("", 0)};
	str_split(&rest, '\n', &line);
	while (str_split(&rest, '\n', &line))
		take_keyword(line, &found);
	*ret = found;
}
