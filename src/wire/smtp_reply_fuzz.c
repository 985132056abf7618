/* Any lines a server may send: bounded, complete or refused, and readable by people afterwards. */
#include <assert.h>

#include "wire/smtp_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void reply_holds(const struct smtp_reply *r)
{
	struct smtp_extensions e;
	struct buf shown;
	assert(r->code >= 200 && r->code <= 599);
	assert(r->lines >= 1 && r->lines <= SMTP_REPLY_LINES && r->text.n <= SMTP_REPLY_TEXT_MAX);
	assert(strlen(r->enhanced) <= ENHANCED_MAX);
	assert(!r->enhanced[0] || (unsigned)(r->enhanced[0] - '0') == r->code / 100);
	buf_init(&shown, 1000);
	smtp_reply_describe(r, 900, &shown);
	assert(shown.n <= 900 && !shown.overflow);
	for (size_t i = 0; i < shown.n; i++)
		assert(shown.p[i] >= 32 && shown.p[i] <= 126);
	buf_done(&shown);
	smtp_extensions_parse(r, &e);
	assert(e.size || e.size_max == 0);
	assert(
		e.auth.n == 0 || (e.auth.p >= r->text.p && e.auth.p + e.auth.n <= r->text.p + r->text.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_reply r;
	struct str rest = str_make((const char *)data, size);
	struct str line;
	smtp_reply_init(&r);
	while (str_split(&rest, '\n', &line)) {
		enum parse got = smtp_reply_add(&r, line);
		if (got == PARSE_DONE)
			reply_holds(&r);
		if (got != PARSE_MORE)
			smtp_reply_clear(&r);
	}
	smtp_reply_done(&r);
	return 0;
}
