#include "wire/message_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

#define U_UMLAUT "\xc3\xbc"
#define EURO "\xe2\x82\xac"
#define FACE "\xf0\x9f\x98\x80"

static const struct {
	const char *value, *field;
} fields[] = {
	{"", "Subject:\r\n"},
	{"hello", "Subject: hello\r\n"},
	{"  two   words\t", "Subject: two words\r\n"},
	{"evil\r\nBcc: x", "Subject: evil Bcc: x\r\n"},
	{"bell\x07 and\x7f delete", "Subject: bell and delete\r\n"},
	{"gr" U_UMLAUT "n", "Subject: =?UTF-8?Q?gr=C3=BCn?=\r\n"},
	{"das gr" U_UMLAUT "ne " EURO " Zeichen",
		"Subject: das =?UTF-8?Q?gr=C3=BCne_=E2=82=AC?= Zeichen\r\n"},
	{"bad \xff\xc3(\xed\xa0\x80", "Subject: bad =?UTF-8?Q?=3F=3F=28=3F=3F=3F?=\r\n"},
	{"\xc0\xaf \xf8 \xf4\x90\x80\x80 \xe0\x80\x80 \xf0\x80\x80\x80",
		"Subject: =?UTF-8?Q?=3F=3F_=3F_=3F=3F=3F=3F_=3F=3F=3F_=3F=3F=3F=3F?=\r\n"},
	{"=?UTF-8?Q?x?=", "Subject: =?UTF-8?Q?=3D=3FUTF-8=3FQ=3Fx=3F=3D?=\r\n"},
	{"a rather long line of plain words that has to be folded somewhere before its end",
		"Subject: a rather long line of plain words that has to be folded somewhere\r\n"
		" before its end\r\n"},
	{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
	 "b",
		"Subject: "
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aa\r\n"
		" b\r\n"},
};

static void test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct buf out;
		buf_init(&out, 10000);
		message_field(&out, "Subject", str_from_c(fields[i].value));
		assert_string_equal(buf_c(&out), fields[i].field);
		buf_done(&out);
	}
}

static void test_raw(void **state)
{
	struct buf out;
	(void)state;
	buf_init(&out, 10000);
	message_field_raw(&out, "To", STR("=?x?= <a@b>,\r\n c\xc3\xbc@d"));
	assert_string_equal(buf_c(&out), "To: =?x?= <a@b>, c??@d\r\n");
	buf_done(&out);
}

/* Every line is short, begins with a blank after the first, and holds printable ASCII alone. */
static void check_form(struct str field)
{
	struct str line;
	bool first = true;
	assert_true(str_ends_nocase(field, STR("\r\n")));
	field = str_take(field, field.n - 2);
	while (str_split(&field, '\n', &line)) {
		if (field.p) {
			assert_int_equal(line.p[line.n - 1], '\r');
			line = str_take(line, line.n - 1);
		}
		assert_in_range(line.n, 1, 998);
		assert_true(first || line.p[0] == ' ');
		/* No line of blanks alone (RFC 5322 3.2.2). */
		assert_true(str_trim(line).n > 0);
		for (size_t i = 0; i < line.n; i++)
			assert_in_range(line.p[i], 32, 126);
		first = false;
	}
}

static int hex(char c)
{
	return ascii_is_digit(c) ? c - '0' : c - 'A' + 10;
}

/* Reads what message_field() wrote as a mail reader would (RFC 2047): only the Q encoding. */
static void decode(struct str field, struct buf *out)
{
	struct str word;
	bool encoded_before = true;
	field = str_trim(str_skip(field, (size_t)str_find(field, ':') + 1));
	while (str_split(&field, ' ', &word)) {
		word = str_trim(word);
		bool encoded = str_starts(word, STR("=?UTF-8?Q?")) && str_ends_nocase(word, STR("?="));
		if (out->n && !(encoded && encoded_before))
			buf_add_char(out, ' ');
		encoded_before = encoded;
		if (!encoded) {
			buf_add(out, word);
			continue;
		}
		assert_in_range(word.n, 13, 75);
		word = str_take(str_skip(word, 10), word.n - 12);
		for (size_t i = 0; i < word.n; i++) {
			if (word.p[i] == '=' && i + 2 < word.n) {
				buf_add_char(out, (char)(hex(word.p[i + 1]) * 16 + hex(word.p[i + 2])));
				i += 2;
			} else {
				buf_add_char(out, word.p[i] == '_' ? ' ' : word.p[i]);
			}
		}
	}
}

/* Texts of many lengths and mixtures are well formed and read as they were. */
static void test_encoded_comes_back(void **state)
{
	static const char *const pieces[] = {
		"a", U_UMLAUT, EURO, FACE, " ", "plain ", "=?", "_=", "word-and-word "};
	const unsigned count = sizeof(pieces) / sizeof(pieces[0]);
	unsigned random = 1;
	(void)state;
	for (unsigned round = 0; round < 5000; round++) {
		struct buf value, field, shown;
		buf_init(&value, 10000);
		buf_init(&field, 50000);
		buf_init(&shown, 10000);
		buf_add_c(&value, "x");
		for (unsigned i = 0; i < round % 60; i++) {
			random = random * 1103515245 + 12345;
			const char *piece = pieces[(random >> 16) % count];
			/* Runs of blanks become one by design. */
			bool double_blank = piece[0] == ' ' && value.p[value.n - 1] == ' ';
			buf_add_c(&value, double_blank ? "y" : piece);
		}
		message_field(&field,
			round % 2 ? "Subject" : "X-A-Much-Longer-Name-Of-A-Field-That-Is-Rare",
			buf_str(&value));
		check_form(buf_str(&field));
		decode(buf_str(&field), &shown);
		assert_true(str_eq(buf_str(&shown), str_trim(buf_str(&value))));
		buf_done(&value);
		buf_done(&field);
		buf_done(&shown);
	}
}

static void test_endless_word(void **state)
{
	const size_t size = 20000;
	char *text = mem_new(size);
	struct buf out;
	(void)state;
	buf_init(&out, 100000);
	memset(text, 'x', size);
	message_field(&out, "Subject", str_make(text, size));
	check_form(buf_str(&out));
	buf_clear(&out);
	message_field_raw(&out, "References", str_make(text, size));
	check_form(buf_str(&out));
	memset(text, 0xc3, size);
	buf_clear(&out);
	message_field_raw(&out, "References", str_make(text, size));
	check_form(buf_str(&out));
	buf_done(&out);
	free(text);
}

static void test_received(void **state)
{
	struct buf out;
	struct message_received r = {
		.helo = STR("client.example"),
		.client = STR("192.0.2.1"),
		.by = STR("mx.example.org"),
		.protocol = STR("ESMTPS"),
		.tls = STR("TLSv1.3 TLS_AES_256_GCM_SHA384"),
		.id = STR("06ABCDEFGHJKM"),
		.recipient = STR("\"a;b\"@example.org"),
		.date = STR("Sat, 21 Nov 2026 19:13:33 +0000"),
	};
	(void)state;
	buf_init(&out, 10000);
	message_received(&out, &r);
	assert_string_equal(buf_c(&out),
		"Received: from client.example ([192.0.2.1])\r\n"
		"\tby mx.example.org with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
		"\tid 06ABCDEFGHJKM\r\n"
		"\tfor <\"a;b\"@example.org>;\r\n"
		"\tSat, 21 Nov 2026 19:13:33 +0000\r\n");
	buf_clear(&out);
	r.helo = STR("[IPv6:2001:db8::1]");
	r.client = STR("2001:db8::1");
	r.protocol = STR("ESMTP");
	r.tls = r.recipient = STR("");
	message_received(&out, &r);
	assert_string_equal(buf_c(&out),
		"Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n"
		"\tby mx.example.org with ESMTP\r\n"
		"\tid 06ABCDEFGHJKM;\r\n"
		"\tSat, 21 Nov 2026 19:13:33 +0000\r\n");
	buf_clear(&out);
	r.helo = STR("x) by trusted (\r\nX-Evil: 1;\xc3\xbc");
	message_received(&out, &r);
	assert_true(
		str_starts(buf_str(&out), STR("Received: from x? by trusted ???X-Evil: 1??? ([IPv6:")));
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_encoded_comes_back),
		cmocka_unit_test(test_endless_word),
		cmocka_unit_test(test_received),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
