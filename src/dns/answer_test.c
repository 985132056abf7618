#include "dns/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/buf.h"

static struct arena *arena;
static struct buf packet;

static int setup(void **state)
{
	(void)state;
	arena = arena_new();
	buf_init(&packet, 65536);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	buf_done(&packet);
	return 0;
}

/* ---- a packet, piece by piece ---- */

static void put16(unsigned v)
{
	buf_add_char(&packet, (char)(v >> 8));
	buf_add_char(&packet, (char)v);
}

static void header(unsigned rcode, unsigned answers)
{
	put16(0x1234);
	put16(0x8180 | rcode);
	put16(1);
	put16(answers);
	put16(0);
	put16(0);
}

/* "mx1.example" as labels; an "@12" at the end is a pointer to byte 12. */
static void name(const char *text)
{
	struct str rest = str_from_c(text), label;
	while (str_split(&rest, '.', &label) && label.n) {
		uint64_t to;
		if (label.p[0] == '@') {
			assert_true(str_to_u64(str_skip(label, 1), 0x3fff, &to));
			put16(0xc000 | (unsigned)to);
			return;
		}
		buf_add_char(&packet, (char)label.n);
		buf_add(&packet, label);
	}
	buf_add_char(&packet, 0);
}

static void question(const char *text, unsigned type)
{
	name(text);
	put16(type);
	put16(1);
}

static void record(const char *owner, unsigned type, unsigned ttl, size_t length)
{
	name(owner);
	put16(type);
	put16(1);
	put16(ttl >> 16);
	put16(ttl);
	put16((unsigned)length);
}

enum { AT_NAME = 12 }; /* where the question's name stands */

static struct dns_answer parse(const char *text, enum dns_type type)
{
	struct dns_answer answer;
	/* A copy of exactly this size, so that a read beyond it is seen. */
	struct arena *exact = arena_new();
	char *copy = arena_dup_c(exact, buf_str(&packet));
	dns_answer_parse(str_make(copy, packet.n), str_from_c(text), type, arena, &answer);
	arena_free(exact);
	return answer;
}

static void mx(const char *owner, unsigned preference, const char *host, size_t host_length)
{
	record(owner, DNS_MX, 300, 2 + host_length);
	put16(preference);
	name(host);
}

/* ---- tests ---- */

static void addresses(void **state)
{
	(void)state;
	header(0, 3);
	question("Mail.Example", DNS_A);
	record("@12", DNS_A, 300, 4);
	buf_add(&packet, STR("\300\0\2\1"));
	record("mail.EXAMPLE", DNS_A, 60, 4);
	buf_add(&packet, STR("\300\0\2\2"));
	record("other.example", DNS_A, 5, 4);
	buf_add(&packet, STR("\300\0\2\3"));
	struct dns_answer a = parse("mail.example", DNS_A);
	assert_int_equal(a.outcome, DNS_FOUND);
	assert_int_equal(a.count, 2);
	char address[IP_TEXT];
	assert_string_equal(ip_format(&a.records[1].ip, address), "192.0.2.2");
	assert_int_equal(a.ttl, 60);
}

static void mail_exchangers(void **state)
{
	(void)state;
	header(0, 3);
	question("example.org", DNS_MX);
	mx("@12", 20, "MX2.@12", 6);
	mx("@12", 10, "mx1.example.org", 17);
	mx("@12", 0, "", 1);
	struct dns_answer a = parse("example.org", DNS_MX);
	assert_int_equal(a.outcome, DNS_FOUND);
	assert_int_equal(a.count, 3);
	assert_int_equal(a.records[0].mx.preference, 20);
	assert_string_equal(a.records[0].mx.host.p, "mx2.example.org");
	assert_string_equal(a.records[1].mx.host.p, "mx1.example.org");
	assert_int_equal(a.records[2].mx.host.n, 0);
}

static void none_and_no_name(void **state)
{
	(void)state;
	header(0, 0);
	question("example.org", DNS_MX);
	assert_int_equal(parse("example.org", DNS_MX).outcome, DNS_NONE);
	packet.p[3] = (char)0x83;
	struct dns_answer a = parse("example.org", DNS_MX);
	assert_int_equal(a.outcome, DNS_NO_NAME);
	assert_int_equal(a.rcode, DNS_NXDOMAIN);
}

static void a_server_that_failed_says_nothing_about_the_name(void **state)
{
	(void)state;
	for (unsigned rcode = 1; rcode < 16; rcode++) {
		buf_clear(&packet);
		header(rcode, 0);
		question("example.org", DNS_MX);
		if (rcode != DNS_NXDOMAIN)
			assert_int_equal(parse("example.org", DNS_MX).outcome, DNS_FAILED);
	}
}

static void aliases(void **state)
{
	(void)state;
	header(0, 4);
	question("www.example", DNS_A);
	record("c.example", DNS_A, 300, 4);
	buf_add(&packet, STR("\300\0\2\1"));
	record("b.example", DNS_CNAME, 20, 11);
	name("c.example");
	record("@12", DNS_CNAME, 30, 11);
	name("b.example");
	record("www.example", DNS_A, 300, 4); /* beside a CNAME: not allowed, not taken */
	buf_add(&packet, STR("\300\0\2\2"));
	struct dns_answer a = parse("www.example", DNS_A);
	assert_int_equal(a.outcome, DNS_FOUND);
	assert_string_equal(a.canonical.p, "c.example");
	assert_int_equal(a.count, 1);
	assert_int_equal(a.ttl, 20);
}

static void an_alias_in_a_circle_ends(void **state)
{
	(void)state;
	header(0, 2);
	question("a.example", DNS_A);
	record("a.example", DNS_CNAME, 30, 11);
	name("b.example");
	record("b.example", DNS_CNAME, 30, 11);
	name("a.example");
	assert_int_equal(parse("a.example", DNS_A).outcome, DNS_NONE);
}

static void pointers_that_lead_nowhere(void **state)
{
	(void)state;
	static const unsigned to[] = {AT_NAME, AT_NAME + 2, 200, 0x3fff};
	for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
		buf_clear(&packet);
		header(0, 1);
		put16(0xc000 | to[i]); /* the question's name points to itself, forward, beyond */
		put16(DNS_A);
		put16(1);
		assert_int_equal(parse("example.org", DNS_A).outcome, DNS_FAILED);
	}
}

static void names_longer_than_255(void **state)
{
	(void)state;
	header(0, 1);
	question("example.org", DNS_MX);
	record("@12", DNS_MX, 300, 2 + 5 * 64 + 1);
	put16(10);
	for (int i = 0; i < 5; i++) {
		buf_add_char(&packet, 63);
		for (int k = 0; k < 63; k++)
			buf_add_char(&packet, 'a');
	}
	buf_add_char(&packet, 0);
	assert_int_equal(parse("example.org", DNS_MX).outcome, DNS_NONE);
}

static void bytes_that_no_host_name_holds(void **state)
{
	(void)state;
	header(0, 1);
	question("example.org", DNS_MX);
	record("@12", DNS_MX, 300, 10);
	put16(10);
	buf_add(&packet, STR("\6a.b\r\nc"));
	buf_add_char(&packet, 0);
	struct dns_answer a = parse("example.org", DNS_MX);
	assert_int_equal(a.count, 1);
	assert_string_equal(a.records[0].mx.host.p, "a?b??c");
}

static void cut_anywhere(void **state)
{
	(void)state;
	header(0, 2);
	question("example.org", DNS_MX);
	mx("@12", 20, "mx2.@12", 6);
	mx("@12", 10, "mx1.example.org", 17);
	size_t whole = packet.n;
	for (packet.n = 0; packet.n < whole; packet.n++)
		assert_int_equal(parse("example.org", DNS_MX).outcome, DNS_FAILED);
	assert_int_equal(parse("example.org", DNS_MX).outcome, DNS_FOUND);
}

static void data_of_the_wrong_length_is_left_out(void **state)
{
	(void)state;
	header(0, 3);
	question("example.org", DNS_A);
	record("@12", DNS_A, 300, 3);
	buf_add(&packet, STR("\300\0\2"));
	record("@12", DNS_A, 300, 5);
	buf_add(&packet, STR("\300\0\2\1\1"));
	record("@12", DNS_MX, 300, 9); /* longer than the name in it */
	put16(10);
	name("@12");
	buf_add(&packet, STR("12345"));
	assert_int_equal(parse("example.org", DNS_A).outcome, DNS_NONE);
	assert_int_equal(parse("example.org", DNS_MX).outcome, DNS_NONE);
}

static void text_for_people(void **state)
{
	(void)state;
	header(0, 2);
	question("example.org", DNS_MX);
	mx("@12", 20, "mx2.@12", 6);
	mx("@12", 0, "", 1);
	struct dns_answer a = parse("example.org", DNS_MX);
	a.server = STR("192.0.2.53:53");
	a.ms = 12;
	a.secure = true;
	assert_string_equal(dns_answer_text(STR("example.org"), DNS_MX, &a, arena).p,
		"MX example.org: 20 mx2.example.org, 0 . (NOERROR, secure, ttl 300, 12 ms, server "
		"192.0.2.53:53)");
	a = (struct dns_answer){
		.outcome = DNS_BOGUS, .rcode = 2, .why = STR("no keys"), .server = STR("x")};
	assert_string_equal(dns_answer_text(STR("example.org"), DNS_AAAA, &a, arena).p,
		"AAAA example.org: bogus, no keys (SERVFAIL, bogus, 0 ms, server x)");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(addresses),
		TEST(mail_exchangers),
		TEST(none_and_no_name),
		TEST(a_server_that_failed_says_nothing_about_the_name),
		TEST(aliases),
		TEST(an_alias_in_a_circle_ends),
		TEST(pointers_that_lead_nowhere),
		TEST(names_longer_than_255),
		TEST(bytes_that_no_host_name_holds),
		TEST(cut_anywhere),
		TEST(data_of_the_wrong_length_is_left_out),
		TEST(text_for_people),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
