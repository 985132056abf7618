#include "wire/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_addresses(void **state)
{
	/* Text, and the same address as we write it; NULL: refused. */
	static const struct {
		const char *text, *canonical;
	} rows[] = {
		{"192.0.2.1", "192.0.2.1"},
		{"255.255.255.255", "255.255.255.255"},
		{"0.0.0.0", "0.0.0.0"},
		{"2001:db8::1", "2001:db8::1"},
		{"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
		{"::", "::"},
		{"::1", "::1"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"::ffff:c000:201", "192.0.2.1"},
		{"fe80::1", "fe80::1"},
		{"fe80::1%eth0", NULL},
		{"", NULL},
		{"192.0.2", NULL},
		{"192.0.2.256", NULL},
		{"192.0.2.01", NULL},
		{"0xc0.0.2.1", NULL},
		{"192.0.2.1 ", NULL},
		{" 192.0.2.1", NULL},
		{"192.0.2.1.", NULL},
		{"2001:db8:::1", NULL},
		{"1:2:3:4:5:6:7:8:9", NULL},
		{"2001:db8::g", NULL},
		{"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb", NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip ip = {{42}};
		char text[IP_TEXT];
		assert_int_equal(ip_parse(str_from_c(rows[i].text), &ip), rows[i].canonical != NULL);
		if (rows[i].canonical)
			assert_string_equal(ip_format(&ip, text), rows[i].canonical);
		else
			assert_int_equal(ip.bytes[0], 42);
	}
	struct ip ip;
	assert_false(ip_parse(str_make("192.0.2.1\0", 10), &ip));
}

static void test_literals(void **state)
{
	static const struct {
		const char *text, *canonical;
	} rows[] = {
		{"[192.0.2.1]", "[192.0.2.1]"},
		{"[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"},
		{"[ipv6:2001:DB8::1]", "[IPv6:2001:db8::1]"},
		{"[IPv6:::ffff:192.0.2.1]", "[192.0.2.1]"},
		{"[2001:db8::1]", NULL},
		{"[IPv6:192.0.2.1]", NULL},
		{"192.0.2.1", NULL},
		{"[192.0.2.1", NULL},
		{"[]", NULL},
		{"[", NULL},
		{"", NULL},
		{"[x-tag:whatever]", NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip ip;
		char text[IP_LITERAL_TEXT];
		assert_int_equal(
			ip_literal_parse(str_from_c(rows[i].text), &ip), rows[i].canonical != NULL);
		if (rows[i].canonical)
			assert_string_equal(ip_literal_format(&ip, text), rows[i].canonical);
	}
	/* The longest text there is fits. */
	struct ip longest;
	char text[IP_LITERAL_TEXT];
	memset(longest.bytes, 0xee, sizeof(longest.bytes));
	ip_literal_format(&longest, text);
	assert_string_equal(text, "[IPv6:eeee:eeee:eeee:eeee:eeee:eeee:eeee:eeee]");
}

static struct ip ip_of(const char *text)
{
	struct ip ip;
	assert_true(ip_parse(str_from_c(text), &ip));
	return ip;
}

static void test_sockaddr(void **state)
{
	static const struct {
		const char *ip, *text;
		int family;
		socklen_t n;
	} rows[] = {
		{"192.0.2.1", "192.0.2.1:2525", AF_INET, sizeof(struct sockaddr_in)},
		{"0.0.0.0", "0.0.0.0:2525", AF_INET, sizeof(struct sockaddr_in)},
		{"2001:db8::1", "[2001:db8::1]:2525", AF_INET6, sizeof(struct sockaddr_in6)},
		{"::", "[::]:2525", AF_INET6, sizeof(struct sockaddr_in6)},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip ip = ip_of(rows[i].ip), back = {{42}};
		struct sockaddr_storage sa;
		uint16_t port = 0;
		char text[IP_PORT_TEXT];
		assert_int_equal(ip_to_sockaddr(&ip, 2525, &sa), rows[i].n);
		assert_int_equal(sa.ss_family, rows[i].family);
		assert_true(ip_from_sockaddr((const struct sockaddr *)&sa, &back, &port));
		assert_true(ip_eq(&back, &ip));
		assert_int_equal(port, 2525);
		assert_string_equal(ip_port_format(&back, port, text), rows[i].text);
	}
	/* What the kernel would see: bytes in the order of the net. */
	struct sockaddr_storage sa;
	struct ip v4 = ip_of("192.0.2.1");
	ip_to_sockaddr(&v4, 25, &sa);
	assert_int_equal(ntohs(((struct sockaddr_in *)&sa)->sin_port), 25);
	assert_int_equal(ntohl(((struct sockaddr_in *)&sa)->sin_addr.s_addr), 0xc0000201);
	assert_true(str_eq(ip_bytes(&v4), STR("\xc0\x00\x02\x01")));
	struct ip v6 = ip_of("2001:db8::1");
	assert_true(str_eq(ip_bytes(&v6), str_make("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16)));
	struct sockaddr local = {.sa_family = AF_UNIX};
	uint16_t port = 42;
	assert_false(ip_from_sockaddr(&local, &v4, &port));
	assert_int_equal(port, 42);
	struct ip any[] = {ip_of("0.0.0.0"), ip_of("::"), ip_of("0.0.0.1"), ip_of("::1")};
	assert_true(ip_is_any(&any[0]) && ip_is_any(&any[1]));
	assert_false(ip_is_any(&any[2]) || ip_is_any(&any[3]));
	/* The longest text there is fits. */
	struct ip longest;
	char text[IP_PORT_TEXT];
	memset(longest.bytes, 0xee, sizeof(longest.bytes));
	assert_string_equal(
		ip_port_format(&longest, 65535, text), "[eeee:eeee:eeee:eeee:eeee:eeee:eeee:eeee]:65535");
}

static void test_networks(void **state)
{
	static const struct {
		const char *network, *ip;
		bool has;
	} rows[] = {
		{"192.0.2.0/24", "192.0.2.255", true},
		{"192.0.2.0/24", "192.0.3.0", false},
		{"192.0.2.0/24", "::ffff:192.0.2.7", true},
		{"192.0.2.128/25", "192.0.2.127", false},
		{"192.0.2.128/25", "192.0.2.200", true},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1/32", "192.0.2.1", true},
		{"0.0.0.0/0", "203.0.113.9", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "192.0.2.1", false},
		{"2001:db8::/32", "2001:db8:ffff::1", true},
		{"2001:db8::/32", "2001:db9::1", false},
		{"2001:db8::/33", "2001:db8:8000::", false},
		{"2001:db8::1/128", "2001:db8::1", true},
		{"::ffff:192.0.2.0/120", "192.0.2.3", true},
		{"10.0.0.0/7", "11.1.1.1", true},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip_network network;
		struct ip ip = ip_of(rows[i].ip);
		assert_int_equal(ip_network_parse(str_from_c(rows[i].network), &network), IP_NETWORK_GOOD);
		assert_int_equal(ip_network_has(&network, &ip), rows[i].has);
	}
}

static void test_network_faults(void **state)
{
	/* With host bits: the network around the address. */
	static const struct {
		const char *network;
		enum ip_network_fault fault;
		const char *around;
	} rows[] = {
		{"192.0.2.1/24", IP_NETWORK_HOST_BITS, "192.0.2.0/24"},
		{"2001:db8::1/64", IP_NETWORK_HOST_BITS, "2001:db8::/64"},
		{"203.0.113.9/0", IP_NETWORK_HOST_BITS, "0.0.0.0/0"},
		{"192.0.2.0/33", IP_NETWORK_BAD_PREFIX, NULL},
		{"2001:db8::/129", IP_NETWORK_BAD_PREFIX, NULL},
		{"192.0.2.0/", IP_NETWORK_BAD_PREFIX, NULL},
		{"192.0.2.0/-1", IP_NETWORK_BAD_PREFIX, NULL},
		{"192.0.2.0/24/8", IP_NETWORK_BAD_PREFIX, NULL},
		{"192.0.2.0/ 24", IP_NETWORK_BAD_PREFIX, NULL},
		{"192.0.2.0/0024", IP_NETWORK_BAD_PREFIX, NULL},
		{"192.0.2.0/24 ", IP_NETWORK_BAD_PREFIX, NULL},
		{"/24", IP_NETWORK_NO_ADDRESS, NULL},
		{"", IP_NETWORK_NO_ADDRESS, NULL},
		{"x/8", IP_NETWORK_NO_ADDRESS, NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip_network network = {.bits = 42};
		char text[IP_NETWORK_TEXT];
		assert_int_equal(ip_network_parse(str_from_c(rows[i].network), &network), rows[i].fault);
		if (rows[i].around)
			assert_string_equal(ip_network_format(&network, text), rows[i].around);
		else
			assert_int_equal(network.bits, 42);
	}
}

static void test_network_texts(void **state)
{
	static const struct {
		const char *text, *canonical;
	} rows[] = {
		{"192.0.2.0/24", "192.0.2.0/24"},
		{"192.0.2.7/32", "192.0.2.7"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"2001:DB8:0::/32", "2001:db8::/32"},
		{"::/0", "::/0"},
		{"::1/128", "::1"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127",
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127"},
	};
	struct ip_network before = {.bits = 42};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip_network network, again;
		char text[IP_NETWORK_TEXT];
		assert_int_equal(ip_network_parse(str_from_c(rows[i].text), &network), IP_NETWORK_GOOD);
		assert_string_equal(ip_network_format(&network, text), rows[i].canonical);
		assert_int_equal(ip_network_parse(str_from_c(text), &again), IP_NETWORK_GOOD);
		assert_true(ip_network_eq(&again, &network));
		assert_false(ip_network_eq(&again, &before));
		before = again;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_sockaddr),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_network_faults),
		cmocka_unit_test(test_network_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
