#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "wire/quoted_printable.h"

static void assert_encodes(struct str text, const char *want)
{
	struct buf out;
	buf_init(&out, 4096);
	quoted_printable_encode(text, &out);
	assert_string_equal(buf_c(&out), want);
	buf_done(&out);
}

static void bytes_are_encoded_where_they_must(void **state)
{
	(void)state;
	assert_encodes(STR(""), "");
	assert_encodes(STR("plain text.\r\nmore\r\n"), "plain text.\r\nmore\r\n");
	assert_encodes(STR("a=b"), "a=3Db");
	assert_encodes(STR("\xc3\xbc\x7f\x01"), "=C3=BC=7F=01");
	assert_encodes(STR("a\0b"), "a=00b");
	assert_encodes(STR("a\rb\nc\n\r\n"), "a=0Db=0Ac=0A\r\n");
	/* Blanks at a line's end would be lost on the way (RFC 2045 6.7 rule 3). */
	assert_encodes(STR("a b \r\nc\t\r\nd "), "a b=20\r\nc=09\r\nd=20");
	assert_encodes(STR(" \t\r\n"), " =09\r\n");
	assert_encodes(STR("a \rb"), "a =0Db");
}

static void lines_are_at_most_76_long(void **state)
{
	(void)state;
	static char text[200];
	struct buf want;
	buf_init(&want, 1024);
	memset(text, 'x', sizeof text);
	for (int line = 0; line < 2; line++) {
		for (int i = 0; i < 75; i++)
			buf_add_char(&want, 'x');
		buf_add_c(&want, "=\r\n");
	}
	buf_add_c(&want, "xxxxx");
	assert_encodes(str_make(text, 155), buf_c(&want));
	/* An encoded byte is not cut in two. */
	buf_clear(&want);
	memset(text, '=', sizeof text);
	for (int i = 0; i < 25; i++)
		buf_add_c(&want, "=3D");
	buf_add_c(&want, "=\r\n=3D");
	assert_encodes(str_make(text, 26), buf_c(&want));
	buf_done(&want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_encoded_where_they_must),
		cmocka_unit_test(lines_are_at_most_76_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
