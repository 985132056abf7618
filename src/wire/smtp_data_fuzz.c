/* Any bytes: however they are cut, the machine gives the same; it ends exactly at the first
 * CRLF.CRLF; and what the sender's side writes comes back as it was. The first four bytes seed the
 * cuts. */
#include <assert.h>
#include <stdlib.h>

#include "base/buf.h"
#include "wire/smtp_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Length of the next piece: short ones are frequent, since ends of pieces are where it is hard. */
static size_t next_piece(uint32_t *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	unsigned random = *seed >> 16;
	return 1 + (random & 7 ? random >> 3 & 3 : random >> 3 & 127);
}

/* Reads up to the end, or all input; seed 0: in one piece. Returns how much was used. */
static size_t read_all(struct smtp_data *d, struct str input, uint32_t seed, struct buf *out)
{
	struct str rest = input;
	smtp_data_init(d);
	while (rest.n) {
		struct str piece = str_take(rest, seed ? next_piece(&seed) : rest.n);
		size_t n = piece.n;
		enum parse got = PARSE_MORE;
		while (piece.n && got == PARSE_MORE) {
			struct str run;
			got = smtp_data_read(d, &piece, &run);
			buf_add(out, run);
		}
		rest = str_make(rest.p + n - piece.n, rest.n - n + piece.n);
		if (got == PARSE_DONE)
			break;
	}
	return input.n - rest.n;
}

static void stuff_all(struct str content, uint32_t seed, struct buf *out)
{
	struct smtp_stuff s;
	smtp_stuff_init(&s);
	while (content.n) {
		struct str piece = str_take(content, seed ? next_piece(&seed) : content.n);
		struct str run;
		content = str_make(content.p + piece.n, content.n - piece.n);
		while (smtp_stuff_write(&s, &piece, &run))
			buf_add(out, run);
	}
	buf_add(out, smtp_stuff_end(&s));
}

static void try_reading(struct str input, uint32_t seed)
{
	struct smtp_data whole, cut;
	struct buf whole_out, cut_out, text;
	buf_init(&whole_out, SIZE_MAX / 2);
	buf_init(&cut_out, SIZE_MAX / 2);
	buf_init(&text, SIZE_MAX / 2);
	size_t used = read_all(&whole, input, 0, &whole_out);
	assert(read_all(&cut, input, seed | 1, &cut_out) == used);
	assert(cut.state == whole.state && cut.bare == whole.bare);
	assert(str_eq(buf_str(&whole_out), buf_str(&cut_out)));
	/* The true end, found the slow way. */
	buf_add_c(&text, "\r\n");
	buf_add(&text, input);
	const char *end = memmem(text.p, text.n, "\r\n.\r\n", 5);
	assert((whole.state == SMTP_DATA_END) == (end != NULL));
	assert(used == (end ? (size_t)(end - text.p) + 3 : input.n));
	buf_done(&whole_out);
	buf_done(&cut_out);
	buf_done(&text);
}

static void try_writing(struct str content, uint32_t seed)
{
	struct smtp_data d;
	struct buf whole, cut, back;
	buf_init(&whole, SIZE_MAX / 2);
	buf_init(&cut, SIZE_MAX / 2);
	buf_init(&back, SIZE_MAX / 2);
	stuff_all(content, 0, &whole);
	stuff_all(content, seed | 1, &cut);
	assert(str_eq(buf_str(&whole), buf_str(&cut)));
	assert(read_all(&d, buf_str(&whole), seed | 1, &back) == whole.n);
	assert(d.state == SMTP_DATA_END);
	struct str got = buf_str(&back);
	if (content.n && !str_ends_nocase(content, STR("\r\n"))) {
		assert(str_ends_nocase(got, STR("\r\n")));
		got.n -= 2;
	}
	assert(str_eq(got, content));
	buf_done(&whole);
	buf_done(&cut);
	buf_done(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t seed;
	if (size < sizeof(seed))
		return 0;
	memcpy(&seed, data, sizeof(seed));
	size -= sizeof(seed);
	char *copy = malloc(size + !size); /* style: the fuzzer owns it */
	memcpy(copy, data + sizeof(seed), size);
	try_reading(str_make(copy, size), seed);
	try_writing(str_make(copy, size), seed);
	free(copy);
	return 0;
}
