/* Any text: what is written is printable ASCII in short lines without blanks at their ends, and a
 * decoder that knows only RFC 2045 gets the same text back. */
#include "base/fuzz.h"
#include "wire/quoted_printable.h"

static unsigned hex_digit(char c)
{
	assert((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'));
	return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* RFC 2045 6.7 without any tolerance. */
static void decode(struct str text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '=') {
			buf_add_char(out, text.p[i]);
		} else if (text.p[i + 1] == '\r') {
			assert(text.p[i + 2] == '\n');
			i += 2;
		} else {
			buf_add_char(out, (char)(hex_digit(text.p[i + 1]) << 4 | hex_digit(text.p[i + 2])));
			i += 2;
		}
	}
}

static void check_lines(struct str text)
{
	struct str line;
	while (str_split(&text, '\n', &line)) {
		if (text.p) {
			assert(line.n > 0 && line.p[line.n - 1] == '\r');
			line.n--;
		}
		assert(line.n <= QUOTED_PRINTABLE_LINE);
		assert(line.n == 0 || (line.p[line.n - 1] != ' ' && line.p[line.n - 1] != '\t'));
		for (size_t i = 0; i < line.n; i++)
			assert(ascii_is_print(line.p[i]) || line.p[i] == '\t');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = fuzz_copy(data, size);
	struct buf encoded, decoded;
	buf_init(&encoded, 4 * size + 16);
	buf_init(&decoded, size);
	quoted_printable_encode(text, &encoded);
	assert(!encoded.overflow);
	check_lines(buf_str(&encoded));
	decode(str_from_c(buf_c(&encoded)), &decoded);
	assert(!decoded.overflow && str_eq(buf_str(&decoded), text));
	buf_done(&encoded);
	buf_done(&decoded);
	fuzz_free(text);
	return 0;
}
