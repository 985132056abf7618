/* Any text in a header field: the field is well formed and cannot be left. */
#include <assert.h>

#include "wire/message_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* CRLF only at the very end or before a blank, lines within 998, nothing but printable ASCII. */
static void field_holds(struct str field)
{
	struct str line;
	assert(str_ends_nocase(field, STR("\r\n")));
	for (bool first = true; str_split(&field, '\n', &line) && field.p; first = false) {
		assert(line.n >= 1 && line.n <= 999 && line.p[line.n - 1] == '\r');
		assert(first || line.p[0] == ' ' || line.p[0] == '\t');
		for (size_t i = 0; i + 1 < line.n; i++)
			assert((line.p[i] >= 32 && line.p[i] <= 126) || (i == 0 && line.p[i] == '\t'));
	}
	assert(line.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make((const char *)data, size);
	struct buf out;
	struct message_received r = {text, text, text, text, text, text, text, text};
	buf_init(&out, SIZE_MAX / 2);
	message_field(&out, "Subject", text);
	field_holds(buf_str(&out));
	buf_clear(&out);
	message_field_raw(&out, "References", text);
	field_holds(buf_str(&out));
	buf_clear(&out);
	message_received(&out, &r);
	field_holds(buf_str(&out));
	buf_done(&out);
	return 0;
}
