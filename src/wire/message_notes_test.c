#include "wire/message_notes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

static void note(struct message_notes *n, struct str content, size_t cut1, size_t cut2)
{
	message_notes_init(n);
	message_notes_add(n, str_take(content, cut1));
	message_notes_add(n, str_take(str_skip(content, cut1), cut2 - cut1));
	message_notes_add(n, str_skip(content, cut2));
	message_notes_end(n);
}

struct row {
	struct str content;
	unsigned received;
	bool date, from, message_id, eight, nul;
	unsigned longest;
	const char *id;
};

static void check(const struct row *row, const struct message_notes *n)
{
	bool same = n->received == row->received && n->has_date == row->date &&
		n->has_from == row->from && n->has_message_id == row->message_id &&
		n->has_8bit == row->eight && n->has_nul == row->nul && n->longest_line == row->longest &&
		n->size == row->content.n && str_eq(message_notes_id(n), str_from_c(row->id));
	if (!same)
		fail_msg("%.*s", STR_ARG(row->content));
}

/* Each at every pair of cuts. */
static void test_messages(void **state)
{
	static const struct row rows[] = {
		{STR(""), 0, 0, 0, 0, 0, 0, 0, ""},
		{STR("\r\n"), 0, 0, 0, 0, 0, 0, 0, ""},
		{STR("body only"), 0, 0, 0, 0, 0, 0, 9, ""},
		{STR("From: a@b\r\nDate: today\r\nMessage-ID: <1@b>\r\n\r\nhello\r\n"), 0, 1, 1, 1, 0, 0,
			17, "<1@b>"},
		{STR("FROM: a\r\nDATE:\r\nmessage-id:<1@b>\r\n"), 0, 1, 1, 1, 0, 0, 16, "<1@b>"},
		{STR("From : a\r\nDate\t: b\r\n\r\n"), 0, 1, 1, 0, 0, 0, 8, ""},
		{STR("Received: a\r\n b\r\nReceived: c\r\nX-Received: d\r\nReceived-SPF: "
			 "e\r\n\r\nReceived: f"),
			2, 0, 0, 0, 0, 0, 15, ""},
		{STR("\r\nFrom: a\r\nReceived: b\r\n"), 0, 0, 0, 0, 0, 0, 11, ""},
		{STR("Subject: a\r\n From: b\r\n\tDate: c\r\n\r\n"), 0, 0, 0, 0, 0, 0, 10, ""},
		{STR(" From: a\r\nDate: b\r\n\r\n"), 0, 1, 0, 0, 0, 0, 8, ""},
		{STR("Fr\r\n om: a\r\n\r\n"), 0, 0, 0, 0, 0, 0, 6, ""},
		{STR("From\r\n : a\r\n\r\n"), 0, 0, 0, 0, 0, 0, 4, ""},
		{STR("Message-ID:\r\n  <folded@b>\r\n\r\n"), 0, 0, 0, 1, 0, 0, 12, "<folded@b>"},
		{STR("Message-ID: <in\r\n side@b>\r\n\r\n"), 0, 0, 0, 1, 0, 0, 15, ""},
		{STR("Message-ID: <first@b>\r\nMessage-ID: <second@b>\r\n\r\n"), 0, 0, 0, 1, 0, 0, 22,
			"<first@b>"},
		{STR("Message-ID: none\r\n\r\n<a@b>"), 0, 0, 0, 1, 0, 0, 16, ""},
		{STR("Message-ID: <a b@c>\r\n"), 0, 0, 0, 1, 0, 0, 19, ""},
		{STR("Message-ID: <a\xc3\xbc@c>\r\n"), 0, 0, 0, 1, 1, 0, 19, ""},
		{STR("Message-ID: <a@b\r\n"), 0, 0, 0, 1, 0, 0, 16, ""},
		{STR("Message-ID: \r\n"), 0, 0, 0, 1, 0, 0, 12, ""},
		{STR("Message-IDs: <a@b>\r\n"), 0, 0, 0, 0, 0, 0, 18, ""},
		{STR("A-name-longer-than-anything-noted: <a@b>\r\nDate: x\r\n"), 0, 1, 0, 0, 0, 0, 40, ""},
		{STR("no colon here\r\nDate: x\r\n"), 0, 1, 0, 0, 0, 0, 13, ""},
		{STR("Subject: a\r\n\r\nb\xff"), 0, 0, 0, 0, 1, 0, 10, ""},
		{STR("Subject: a\r\n\r\nb\0c"), 0, 0, 0, 0, 0, 1, 10, ""},
		{STR("a\r\n\r\n12345\r\n123456\r\n1234567"), 0, 0, 0, 0, 0, 0, 7, ""},
		{STR("Message-ID: none\r\nMessage-ID: <second@b>\r\n\r\n"), 0, 0, 0, 1, 0, 0, 22, ""},
		{STR("a\r\n\nb"), 0, 0, 0, 0, 0, 0, 1, ""},
		{STR("a\r\n\r\n12345678\r"), 0, 0, 0, 0, 0, 0, 8, ""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t cut2 = 0; cut2 <= rows[i].content.n; cut2++) {
			for (size_t cut1 = 0; cut1 <= cut2; cut1++) {
				struct message_notes n;
				note(&n, rows[i].content, cut1, cut2);
				check(&rows[i], &n);
			}
		}
	}
}

/* A byte above 127 or a NUL is seen wherever it stands, in a piece of any length. */
static void test_single_bytes_are_seen(void **state)
{
	char text[150];
	(void)state;
	for (size_t length = 1; length <= sizeof(text); length++) {
		for (size_t place = 0; place < length; place++) {
			struct message_notes n;
			memset(text, 'x', length);
			text[place] = (char)0x80;
			note(&n, str_make(text, length), 0, 0);
			assert_true(n.has_8bit && !n.has_nul);
			text[place] = 0;
			note(&n, str_make(text, length), 0, 0);
			assert_true(n.has_nul && !n.has_8bit);
		}
	}
}

static void test_long_values(void **state)
{
	const size_t size = 100000;
	char *text = mem_new(size);
	struct message_notes n;
	(void)state;
	memset(text, 'x', size);
	memcpy(text, "Message-ID: <", 13);
	note(&n, str_make(text, size), 10, 1000);
	assert_true(n.has_message_id);
	assert_int_equal(n.longest_line, size);
	assert_int_equal(message_notes_id(&n).n, 0);
	/* Within the limit it is kept whole. */
	text[MESSAGE_ID_MAX + 10] = '>';
	note(&n, str_make(text, size), 10, 1000);
	assert_int_equal(message_notes_id(&n).n, MESSAGE_ID_MAX - 1);
	/* A header section without end is no name and no value. */
	memset(text, 'x', size);
	note(&n, str_make(text, size), 10, 1000);
	assert_false(n.has_message_id);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_single_bytes_are_seen),
		cmocka_unit_test(test_long_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
