#include "wire/quoted_printable.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_texts(void **state)
{
	static const struct {
		const char *text, *encoded;
	} rows[] = {
		{"", ""},
		{"plain text\r\n", "plain text\r\n"},
		{"a=b", "a=3Db"},
		{"gr\xc3\xbcn", "gr=C3=BCn"},
		{"blank at the end \r\ntab\t\r\n", "blank at the end=20\r\ntab=09\r\n"},
		{"at the very end ", "at the very end=20"},
		{"bare\rand\nfeed", "bare=0Dand=0Afeed"},
		{"\r\r\n", "=0D\r\n"},
		{"\x7f\x01", "=7F=01"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out;
		buf_init(&out, 1000);
		quoted_printable_encode(str_from_c(rows[i].text), &out);
		assert_string_equal(buf_c(&out), rows[i].encoded);
		buf_done(&out);
	}
}

static int hex(char c)
{
	return ascii_is_digit(c) ? c - '0' : c - 'A' + 10;
}

static void decode(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '=') {
			buf_add_char(out, s.p[i]);
			continue;
		}
		if (s.p[i + 1] != '\r')
			buf_add_char(out, (char)(hex(s.p[i + 1]) * 16 + hex(s.p[i + 2])));
		i += 2;
	}
}

/* Lines stay within 76 bytes, end with no blank, and what is decoded is what was meant. */
static void test_comes_back(void **state)
{
	static const char *const pieces[] = {
		"a", " ", "\t", "\r\n", "=", "\xc3\xbc", "\n", "\r", "word"};
	unsigned random = 1;
	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		struct buf text, encoded, again;
		struct str rest, line;
		buf_init(&text, 10000);
		buf_init(&encoded, 50000);
		buf_init(&again, 10000);
		for (unsigned i = 0; i < round % 300; i++) {
			random = random * 1103515245 + 12345;
			buf_add_c(&text, pieces[(random >> 16) % (round % 2 ? 9 : 2)]);
		}
		quoted_printable_encode(buf_str(&text), &encoded);
		rest = buf_str(&encoded);
		while (str_split(&rest, '\n', &line)) {
			assert_true(!rest.p || line.p[line.n - 1] == '\r');
			line = str_take(line, line.n - (rest.p != NULL));
			assert_in_range(line.n, 0, QUOTED_PRINTABLE_LINE);
			assert_true(line.n == 0 || (line.p[line.n - 1] != ' ' && line.p[line.n - 1] != '\t'));
			for (size_t i = 0; i < line.n; i++)
				assert_true((line.p[i] >= 32 && line.p[i] <= 126) || line.p[i] == '\t');
		}
		decode(buf_str(&encoded), &again);
		assert_true(str_eq(buf_str(&again), buf_str(&text)));
		buf_done(&text);
		buf_done(&encoded);
		buf_done(&again);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
