/* Reading from a stream against a reader that has everything before it: lines, what is too long,
 * what is bare, and raw bytes give the same however the input is cut, and nothing is lost between
 * them. What is put comes out in order.
 *
 *   input = u8 size of pieces (0: whole), u8 count of steps, steps, what the peer says */
#include "base/fuzz.h"
#include "io/stream.h"

enum { STEPS = 64 };

/* What the peer said, and how much of it was taken. */
struct model {
	struct str said;
	size_t at;
};

/* As stream_line(), by its own words in stream.h. */
static enum stream_line model_line(struct model *m, size_t max, struct str *ret)
{
	struct str rest = str_skip(m->said, m->at);
	ptrdiff_t lf = str_find(rest, '\n');
	if (lf < 0)
		return STREAM_END;
	struct str line = str_take(rest, (size_t)lf);
	m->at += (size_t)lf + 1;
	if (line.n > max + 1)
		return STREAM_TOO_LONG;
	ptrdiff_t cr = str_find(line, '\r');
	if (cr < 0 || (size_t)cr + 1 != line.n)
		return STREAM_BARE;
	*ret = str_take(line, line.n - 1);
	return STREAM_LINE;
}

static bool try_line(struct stream *s, struct model *m, size_t max)
{
	struct str line = {0}, want = {0};
	struct err err;
	err_clear(&err);
	enum stream_line got = stream_line(s, max, &line, &err);
	assert(got == model_line(m, max, &want));
	assert(got != STREAM_LINE || str_eq(line, want));
	assert(got != STREAM_END || (stream_dead(s) && err.log[0]));
	return got != STREAM_END;
}

static bool try_bytes(struct stream *s, struct model *m, size_t n)
{
	struct str some, rest = str_skip(m->said, m->at);
	if (stream_peek(s, &some, NULL) != 0) {
		assert(rest.n == 0 && stream_dead(s));
		return false;
	}
	assert(some.n > 0 && some.n <= rest.n && memcmp(some.p, rest.p, some.n) == 0);
	assert(stream_pending(s) == some.n);
	if (n > some.n)
		n = some.n;
	stream_skip(s, n);
	m->at += n;
	return true;
}

/* Returns false when the peer has nothing more to say. */
static bool step(struct stream *s, struct model *m, uint8_t op, struct buf *put)
{
	static const size_t longest[] = {0, 1, 10, 510};
	static const char words[] = "250 2.0.0 what we say in between\r\n";
	switch (op % 4) {
	case 0:
	case 1:
		return try_line(s, m, longest[op / 4 % 4]);
	case 2:
		return try_bytes(s, m, op / 4);
	default:
		stream_put(s, str_take(str_from_c(words), op / 4 % sizeof words));
		buf_add(put, str_take(str_from_c(words), op / 4 % sizeof words));
		return true;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str script = fuzz_copy(data, size), all = script;
	size_t piece = fuzz_byte(&script);
	size_t count = 1 + fuzz_byte(&script) % STEPS;
	struct str steps = str_take(script, count);
	struct model m = {.said = str_skip(script, steps.n)};
	struct buf output, put;
	buf_init(&output, 1 << 20);
	buf_init(&put, 1 << 20);
	struct stream *s = stream_new_memory(m.said, piece, &output);
	/* Each step takes a byte or a line, puts something, or is the last: there is an end. */
	bool goes_on = steps.n > 0;
	for (size_t turn = 0; goes_on && turn < size + STEPS; turn++)
		goes_on = step(s, &m, (uint8_t)steps.p[turn % steps.n], &put);
	stream_flush(s, NULL);
	assert(str_eq(buf_str(&output), buf_str(&put)));
	stream_free(s);
	buf_done(&output);
	buf_done(&put);
	fuzz_free(all);
	return 0;
}
