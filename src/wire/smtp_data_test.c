#include "wire/smtp_data.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ROOM = 256 };

struct outcome {
	bool ended, bare;
	size_t consumed;
	size_t n;
	char content[ROOM];
};

static void add(struct outcome *o, struct str s)
{
	assert_true(o->n + s.n <= sizeof(o->content));
	memcpy(o->content + o->n, s.p, s.n);
	o->n += s.n;
}

/* Feeds one piece as a session does, until the machine ends or the piece is used up. */
static void feed(struct smtp_data *d, struct str piece, struct outcome *o)
{
	size_t before = piece.n;
	while (piece.n && !o->ended) {
		struct str run;
		o->ended = smtp_data_read(d, &piece, &run) == PARSE_DONE;
		add(o, run);
	}
	o->consumed += before - piece.n;
}

static struct outcome read_in_pieces(struct str input, size_t cut1, size_t cut2)
{
	struct smtp_data d;
	struct outcome o = {0};
	smtp_data_init(&d);
	feed(&d, str_take(input, cut1), &o);
	feed(&d, str_take(str_skip(input, cut1), cut2 - cut1), &o);
	feed(&d, str_skip(input, cut2), &o);
	o.bare = d.bare;
	return o;
}

/* What RFC 5321 4.5.2 says, in other words: the end is the first CRLF "." CRLF of CRLF and input; a
 * dot after CRLF is dropped; a CR or LF that is no half of a CRLF is bare. */
static struct outcome reference(struct str input)
{
	struct outcome o = {0};
	char text[ROOM + 2] = "\r\n";
	size_t n = input.n + 2;
	memcpy(text + 2, input.p, input.n);
	const char *end = memmem(text, n, "\r\n.\r\n", 5);
	o.ended = end != NULL;
	o.consumed = end ? (size_t)(end - text) + 3 : input.n;
	size_t stop = end ? (size_t)(end - text) + 2 : n;
	for (size_t i = 2; i < stop; i++) {
		char c = text[i];
		bool cr_before = text[i - 1] == '\r';
		bool line_start = cr_before ? false : text[i - 1] == '\n' && text[i - 2] == '\r';
		if (c == '\n' && !cr_before)
			o.bare = true;
		if (c != '\n' && cr_before)
			o.bare = true;
		if (c != '.' || !line_start)
			o.content[o.n++] = c;
	}
	/* A CR that may yet be part of the end is kept back. */
	if (!end && n >= 4 && memcmp(text + n - 4, "\r\n.\r", 4) == 0)
		o.n--;
	return o;
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->ended, b->ended);
	assert_int_equal(a->bare, b->bare);
	assert_int_equal(a->consumed, b->consumed);
	assert_int_equal(a->n, b->n);
	assert_memory_equal(a->content, b->content, a->n);
}

static void test_messages(void **state)
{
	static const struct {
		struct str input, content;
		bool bare;
	} rows[] = {
		{STR(".\r\n"), STR(""), false},
		{STR("\r\n.\r\n"), STR("\r\n"), false},
		{STR("a\r\n.\r\n"), STR("a\r\n"), false},
		{STR("a\r\nb\r\n.\r\n"), STR("a\r\nb\r\n"), false},
		{STR("..\r\n.\r\n"), STR(".\r\n"), false},
		{STR("...\r\n.\r\n"), STR("..\r\n"), false},
		{STR("a\r\n..b\r\n.\r\n"), STR("a\r\n.b\r\n"), false},
		{STR("a\r\n.b\r\n.\r\n"), STR("a\r\nb\r\n"), false},
		{STR("a.\r\n.\r\n"), STR("a.\r\n"), false},
		{STR("a\n.\r\nb\r\n.\r\n"), STR("a\n.\r\nb\r\n"), true},
		{STR("a\r.\r\nb\r\n.\r\n"), STR("a\r.\r\nb\r\n"), true},
		{STR("a\r\n.\nb\r\n.\r\n"), STR("a\r\n\nb\r\n"), true},
		{STR("a\r\n.\rb\r\n.\r\n"), STR("a\r\n\rb\r\n"), true},
		{STR("a\r\r\n.\r\n"), STR("a\r\r\n"), true},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char input[ROOM];
		memcpy(input, rows[i].input.p, rows[i].input.n);
		/* What the client pipelined behind the message is not touched. */
		memcpy(input + rows[i].input.n, "QUIT\r\n", 6);
		struct str all = str_make(input, rows[i].input.n + 6);
		struct outcome want = {.ended = true,
			.bare = rows[i].bare,
			.consumed = rows[i].input.n,
			.n = rows[i].content.n};
		memcpy(want.content, rows[i].content.p, rows[i].content.n);
		for (size_t cut2 = 0; cut2 <= all.n; cut2++) {
			for (size_t cut1 = 0; cut1 <= cut2; cut1++) {
				struct outcome got = read_in_pieces(all, cut1, cut2);
				assert_same(&got, &want);
			}
		}
	}
}

/* What other servers have taken for the end, and ours must not. */
static void test_nothing_else_ends(void **state)
{
	static const struct str rows[] = {
		STR("\n.\n"),
		STR("\r.\r"),
		STR("\n.\r\n"),
		STR("\r.\r\n"),
		STR("\r\n.\n"),
		STR("\r\n.\r"),
		STR("\r\n.\r\r\n"),
		STR("\r\n.\n\r\n"),
		STR("\n\r.\r\n"),
		STR("\n\n.\r\n"),
		STR("\r\n\0.\r\n"),
		STR("\r\n.\0\r\n"),
		STR("\r\n.\r\0\n"),
		STR("\r\0\n.\r\n"),
		STR("\r\n\r.\r\n"),
		STR("\r\n\n.\r\n"),
		STR("\r\n .\r\n"),
		STR("\r\n. \r\n"),
		STR("\r\n..\r\n"),
		STR("\xe2\x80\xa8.\r\n"),
		STR("\x85.\r\n"),
		STR("\v.\r\n"),
		STR("\f.\r\n"),
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char input[ROOM];
		size_t n = 0;
		memcpy(input, "text", 4);
		n += 4;
		memcpy(input + n, rows[i].p, rows[i].n);
		n += rows[i].n;
		memcpy(input + n, "MAIL FROM:<smuggled@x>\r\n", 24);
		n += 24;
		struct str all = str_make(input, n);
		for (size_t cut2 = 0; cut2 <= n; cut2++) {
			for (size_t cut1 = 0; cut1 <= cut2; cut1++) {
				struct outcome got = read_in_pieces(all, cut1, cut2);
				assert_false(got.ended);
				assert_int_equal(got.consumed, n);
			}
		}
	}
}

static struct str nth_text(unsigned number, size_t length, char dst[16])
{
	for (size_t i = 0; i < length; i++, number /= 4)
		dst[i] = "\r\n.a"[number % 4];
	return str_make(dst, length);
}

/* All texts of CR, LF, dot and a letter up to nine bytes, each cut at every place. */
static void test_against_reference(void **state)
{
	(void)state;
	for (size_t length = 0; length <= 9; length++) {
		for (unsigned number = 0; number < 1u << 2 * length; number++) {
			char dst[16];
			struct str input = nth_text(number, length, dst);
			struct outcome want = reference(input);
			for (size_t cut = 0; cut <= length; cut++) {
				struct outcome got = read_in_pieces(input, cut, length);
				assert_same(&got, &want);
			}
		}
	}
}

static size_t stuff(struct str content, size_t cut, char *dst)
{
	struct smtp_stuff s;
	size_t n = 0;
	smtp_stuff_init(&s);
	for (int part = 0; part < 2; part++) {
		struct str at = part ? str_skip(content, cut) : str_take(content, cut);
		struct str run;
		while (smtp_stuff_write(&s, &at, &run)) {
			memcpy(dst + n, run.p, run.n);
			n += run.n;
		}
	}
	struct str end = smtp_stuff_end(&s);
	memcpy(dst + n, end.p, end.n);
	return n + end.n;
}

/* What is stuffed comes back as it was, with CRLF at its end if it had none, and ends there. */
static void test_stuffing_comes_back(void **state)
{
	(void)state;
	for (size_t length = 0; length <= 8; length++) {
		for (unsigned number = 0; number < 1u << 2 * length; number++) {
			char dst[16];
			char wire[64];
			struct str content = nth_text(number, length, dst);
			bool whole = length == 0 ||
				(length >= 2 && content.p[length - 2] == '\r' && content.p[length - 1] == '\n');
			size_t n = stuff(content, length, wire);
			for (size_t cut = 0; cut < length; cut++) {
				char again[64];
				assert_int_equal(stuff(content, cut, again), n);
				assert_memory_equal(again, wire, n);
			}
			struct outcome got = read_in_pieces(str_make(wire, n), n, n);
			assert_true(got.ended);
			assert_int_equal(got.consumed, n);
			assert_int_equal(got.n, length + (whole ? 0 : 2));
			assert_memory_equal(got.content, content.p, length);
		}
	}
}

static void test_no_input(void **state)
{
	struct smtp_data d;
	struct smtp_stuff s;
	struct str at = {NULL, 0};
	struct str run = STR("x");
	(void)state;
	smtp_data_init(&d);
	assert_int_equal(smtp_data_read(&d, &at, &run), PARSE_MORE);
	assert_int_equal(run.n, 0);
	smtp_stuff_init(&s);
	assert_false(smtp_stuff_write(&s, &at, &run));
	/* After the end nothing more is taken. */
	at = STR(".\r\nQUIT\r\n");
	while (smtp_data_read(&d, &at, &run) != PARSE_DONE)
		assert_int_equal(run.n, 0);
	assert_int_equal(smtp_data_read(&d, &at, &run), PARSE_DONE);
	assert_true(str_eq(at, STR("QUIT\r\n")));
	assert_int_equal(run.n, 0);
}

static void test_stuffed_text(void **state)
{
	char wire[64];
	(void)state;
	size_t n = stuff(STR(".a\r\n..\r\nb.c\r\n."), 5, wire);
	assert_true(str_eq(str_make(wire, n), STR("..a\r\n...\r\nb.c\r\n..\r\n.\r\n")));
	n = stuff(STR(""), 0, wire);
	assert_true(str_eq(str_make(wire, n), STR(".\r\n")));
	n = stuff(STR("no line end"), 3, wire);
	assert_true(str_eq(str_make(wire, n), STR("no line end\r\n.\r\n")));
	n = stuff(STR("half\r"), 3, wire);
	assert_true(str_eq(str_make(wire, n), STR("half\r\r\n.\r\n")));
}

/* Ordinary text passes in one piece, not line by line. */
static void test_runs_are_long(void **state)
{
	static const char text[] = "one\r\ntwo\r\n\r\nthree. four\r\n";
	struct smtp_data d;
	struct smtp_stuff s;
	struct str at = str_from_c(text);
	struct str run;
	(void)state;
	smtp_data_init(&d);
	assert_int_equal(smtp_data_read(&d, &at, &run), PARSE_MORE);
	assert_true(str_eq(run, str_from_c(text)));
	assert_int_equal(at.n, 0);
	at = str_from_c(text);
	smtp_stuff_init(&s);
	assert_true(smtp_stuff_write(&s, &at, &run));
	assert_true(str_eq(run, str_from_c(text)));
	assert_false(smtp_stuff_write(&s, &at, &run));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_nothing_else_ends),
		cmocka_unit_test(test_against_reference),
		cmocka_unit_test(test_stuffing_comes_back),
		cmocka_unit_test(test_no_input),
		cmocka_unit_test(test_stuffed_text),
		cmocka_unit_test(test_runs_are_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
