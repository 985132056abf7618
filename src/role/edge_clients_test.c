/* Tests of the table of clients: limits of one process and of several, what a dead one leaves, minutes,
 * floods from ever new addresses, tables that others write nonsense into. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "role/edge_clients.h"

static const struct clients_limits wide = {.sessions = 100000, .per_address = 100000};

static struct ip ip_of(const char *text)
{
	struct ip ip;
	assert_true(ip_parse(str_from_c(text), &ip));
	return ip;
}

/* Clients of 10.0.0.0/8, all different. */
static struct ip ip_number(unsigned n)
{
	char text[IP_TEXT];
	snprintf(text, sizeof text, "10.%u.%u.%u", n >> 16 & 255, n >> 8 & 255, n & 255);
	return ip_of(text);
}

static void who_counts_as_one_client(void **state)
{
	(void)state;
	static const struct {
		const char *one, *other;
		bool same;
	} table[] = {
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"::1", "127.0.0.1", false},
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct clients *c = clients_open(-1, 0, NULL);
		const struct clients_limits one = {.sessions = 10, .per_address = 1};
		struct ip a = ip_of(table[i].one), b = ip_of(table[i].other);
		assert_int_equal(clients_enter(c, &a, &one, 0), CLIENTS_WELCOME);
		assert_int_equal(
			clients_enter(c, &b, &one, 0), table[i].same ? CLIENTS_ADDRESS_FULL : CLIENTS_WELCOME);
		clients_leave(c, &a);
		assert_int_equal(clients_enter(c, &a, &one, 0), CLIENTS_WELCOME);
		clients_close(c);
	}
}

static void processes_count_together(void **state)
{
	(void)state;
	int fd = clients_make(NULL);
	struct clients *c[3];
	const struct clients_limits limits = {.sessions = 8, .per_address = 5};
	struct ip a = ip_of("192.0.2.1"), b = ip_of("2001:db8::1");
	for (unsigned i = 0; i < 3; i++)
		assert_non_null(c[i] = clients_open(fd, i, NULL));
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(clients_enter(c[i % 3], &a, &limits, 0), CLIENTS_WELCOME);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(clients_enter(c[i], &a, &limits, 0), CLIENTS_ADDRESS_FULL);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(clients_enter(c[i], &b, &limits, 0), CLIENTS_WELCOME);
	assert_int_equal(clients_enter(c[1], &b, &limits, 0), CLIENTS_FULL);
	clients_leave(c[0], &a);
	assert_int_equal(clients_enter(c[2], &a, &limits, 0), CLIENTS_WELCOME);

	/* One dies with two of the first and one of the second; the next of its number begins anew. */
	clients_close(c[1]);
	clients_forget(fd, 1);
	c[1] = clients_open(fd, 1, NULL);
	assert_int_equal(clients_enter(c[0], &a, &limits, 0), CLIENTS_WELCOME);
	assert_int_equal(clients_enter(c[1], &a, &limits, 0), CLIENTS_WELCOME);
	assert_int_equal(clients_enter(c[1], &a, &limits, 0), CLIENTS_ADDRESS_FULL);
	for (unsigned i = 0; i < 3; i++)
		clients_close(c[i]);
	close(fd);
}

static unsigned let_in(
	struct clients *c, const struct clients_limits *l, unsigned tries, int64_t ms)
{
	struct ip a = ip_of("192.0.2.1");
	unsigned n = 0;
	for (unsigned i = 0; i < tries; i++)
		if (clients_enter(c, &a, l, ms) == CLIENTS_WELCOME) {
			clients_leave(c, &a);
			n++;
		}
	return n;
}

static void minutes_slide(void **state)
{
	(void)state;
	int fd = clients_make(NULL);
	struct clients *c = clients_open(fd, 0, NULL), *other = clients_open(fd, 1, NULL);
	const struct clients_limits l = {.sessions = 9, .per_address = 9, .per_minute = 60};
	const int64_t minute = 60 * 1000, begin = 1000 * minute;
	assert_int_equal(let_in(c, &l, 40, begin), 40);
	assert_int_equal(let_in(other, &l, 40, begin + 50 * 1000), 20);
	assert_int_equal(let_in(c, &l, 10, begin + minute), 0);
	assert_int_equal(let_in(c, &l, 100, begin + minute + minute / 2), 30);
	assert_int_equal(let_in(other, &l, 100, begin + 9 * minute), 60);
	clients_close(c);
	clients_close(other);
	close(fd);
}

/* Whoever comes with a new address each time finds no memory to fill, and harms no one who is there. */
static void a_flood_of_addresses(void **state)
{
	(void)state;
	struct clients *c = clients_open(-1, 0, NULL);
	const struct clients_limits two = {.sessions = 100000, .per_address = 2};
	struct ip good = ip_of("192.0.2.1");
	assert_int_equal(clients_enter(c, &good, &two, 0), CLIENTS_WELCOME);
	for (unsigned i = 0; i < 300000; i++) {
		struct ip ip = ip_number(i);
		assert_int_equal(clients_enter(c, &ip, &two, 0), CLIENTS_WELCOME);
		clients_leave(c, &ip);
	}
	assert_int_equal(clients_enter(c, &good, &two, 0), CLIENTS_WELCOME);
	assert_int_equal(clients_enter(c, &good, &two, 0), CLIENTS_ADDRESS_FULL);
	clients_close(c);
}

/* The most that smtp.max_sessions allows, each from an address of its own: all are counted. */
static void as_many_as_may_be(void **state)
{
	(void)state;
	struct clients *c = clients_open(-1, 0, NULL);
	const struct clients_limits one = {.sessions = 30000, .per_address = 1};
	unsigned twice = 0;
	for (unsigned i = 0; i < 30000; i++) {
		struct ip ip = ip_number(i);
		assert_int_equal(clients_enter(c, &ip, &one, 0), CLIENTS_WELCOME);
	}
	struct ip more = ip_number(40000);
	assert_int_equal(clients_enter(c, &more, &one, 0), CLIENTS_FULL);
	for (unsigned i = 0; i < 30000; i++) {
		struct ip ip = ip_number(i);
		twice += clients_enter(c, &ip, &wide, 0) == CLIENTS_WELCOME;
		clients_leave(c, &ip);
		clients_leave(c, &ip);
	}
	assert_int_equal(twice, 30000);
	for (unsigned i = 0; i < 100; i++) {
		struct ip ip = ip_number(i);
		assert_int_equal(clients_enter(c, &ip, &one, 0), CLIENTS_WELCOME);
	}
	clients_close(c);
}

/* Another process of the group may be hostile: nothing it writes breaks ours. */
static void nonsense_of_others(void **state)
{
	(void)state;
	int fd = clients_make(NULL);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ftruncate(fd, 0), -1);
	struct clients *c = clients_open(fd, 0, NULL);
	unsigned char *map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint32_t chance = 7;
	for (off_t i = 0; i < st.st_size; i++) {
		chance = chance * 1664525 + 1013904223;
		map[i] = (unsigned char)(chance >> 24);
	}
	for (unsigned i = 0; i < 1000; i++) {
		struct ip ip = ip_number(i);
		clients_enter(c, &ip, &wide, 123456789);
		clients_leave(c, &ip);
	}
	clients_forget(fd, 5);
	assert_null(clients_open(fd, CLIENTS_PROCESSES, NULL));
	munmap(map, (size_t)st.st_size);
	clients_close(c);
	close(fd);
	int wrong = memfd_create("wrong", MFD_CLOEXEC);
	assert_null(clients_open(wrong, 0, NULL));
	close(wrong);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_counts_as_one_client),
		cmocka_unit_test(processes_count_together),
		cmocka_unit_test(minutes_slide),
		cmocka_unit_test(a_flood_of_addresses),
		cmocka_unit_test(as_many_as_may_be),
		cmocka_unit_test(nonsense_of_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
