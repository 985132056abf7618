#include "role/http_gate.h"

#include <event2/keyvalq_struct.h>

#include "base/str.h"

/* One field of the headers, seen once or not at all. */
struct seen {
	const char *value;
	bool twice;
};

static void note(struct seen *s, const char *value)
{
	s->twice = s->value != NULL;
	s->value = value;
}

/* Content-Length = 1*DIGIT                                                       RFC 9110 8.6 */
static bool is_length(const char *value)
{
	uint64_t n;
	return str_to_u64(str_from_c(value), INT64_MAX, &n);
}

/* No control characters but the tab, which evhttp leaves in folded lines: those are refused too. */
static bool is_plain(const char *s)
{
	for (; *s; s++)
		if (ascii_is_control(*s))
			return false;
	return true;
}

/* token = 1*tchar, as far as it matters: no blank before the colon.               RFC 9112 5.1 */
static bool is_name(const char *s)
{
	return *s && is_plain(s) && !strchr(s, ' ');
}

const char *http_gate(const struct evkeyvalq *headers)
{
	struct seen host = {0}, length = {0}, encoding = {0};
	for (const struct evkeyval *h = headers->tqh_first; h; h = h->next.tqe_next) {
		struct str name = str_from_c(h->key);
		if (!is_name(h->key) || !is_plain(h->value))
			return "a header line holds control characters or blanks where none may be";
		if (str_eq_nocase(name, STR("Host")))
			note(&host, h->value);
		else if (str_eq_nocase(name, STR("Content-Length")))
			note(&length, h->value);
		else if (str_eq_nocase(name, STR("Transfer-Encoding")))
			note(&encoding, h->value);
	}
	if (!host.value || host.twice)
		return "there must be one Host header";
	if (length.twice || (length.value && !is_length(length.value)))
		return "there may be one Content-Length, in digits";
	if (encoding.twice ||
		(encoding.value && !str_eq_nocase(str_from_c(encoding.value), STR("chunked"))))
		return "no Transfer-Encoding but chunked is taken";
	if (encoding.value && length.value)
		return "Content-Length and Transfer-Encoding exclude each other";
	return NULL;
}
