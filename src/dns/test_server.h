/* test_server: a DNS server for tests, in a thread of its own on loopback, which answers from a table.
 * Names it does not know get no answer at all. */
#ifndef DNS_TEST_SERVER_H
#define DNS_TEST_SERVER_H

#include <assert.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf.h"
#include "dns/answer.h"

enum { DNS_TEST_ANY = 0 };

struct dns_test_reply {
	const char *name; /* as labels: "\4good\7example" */
	unsigned type;    /* enum dns_type or DNS_TEST_ANY */
	unsigned rcode;
	unsigned records;
	const char *data; /* length(2) and RDATA of each record; names may point to byte 12 */
	size_t data_n;
};
#define DNS_TEST_DATA(literal) literal, sizeof(literal) - 1

struct dns_test_server {
	const struct dns_test_reply *replies;
	size_t count;
	struct conf_address address;
	struct sockaddr_storage sa;
	socklen_t sa_len;
	int fd;
	pthread_t thread;
};

static inline const struct dns_test_reply *dns_test_find(
	const struct dns_test_server *server, const char *name, unsigned type)
{
	for (size_t i = 0; i < server->count; i++) {
		const struct dns_test_reply *reply = &server->replies[i];
		if (!strcmp(reply->name, name) && (reply->type == type || reply->type == DNS_TEST_ANY))
			return reply;
	}
	return NULL;
}

static inline size_t dns_test_write(
	char *packet, size_t question_end, const struct dns_test_reply *reply)
{
	size_t n = question_end;
	const char *data = reply->data;
	packet[2] = (char)0x81;
	packet[3] = (char)(0x80 | reply->rcode);
	memcpy(packet + 4, "\0\1", 2);
	packet[6] = 0;
	packet[7] = (char)reply->records;
	memset(packet + 8, 0, 4);
	for (unsigned i = 0; i < reply->records; i++) {
		size_t length = 2 + (size_t)(unsigned char)data[1];
		memcpy(packet + n, "\300\14", 2);
		memcpy(packet + n + 2, packet + question_end - 4, 4);
		memcpy(packet + n + 6, "\0\0\1\54", 4);
		memcpy(packet + n + 10, data, length);
		n += 10 + length;
		data += length;
	}
	return n;
}

/* Ends when it is sent a packet of one byte. */
static inline void *dns_test_run(void *arg)
{
	const struct dns_test_server *server = arg;
	for (;;) {
		char packet[1500], name[256];
		struct sockaddr_storage from;
		socklen_t from_len = sizeof from;
		ssize_t n =
			recvfrom(server->fd, packet, sizeof packet, 0, (struct sockaddr *)&from, &from_len);
		if (n == 1)
			return NULL;
		size_t length = strnlen(packet + 12, sizeof name - 1), end = 12 + length + 1 + 4;
		for (size_t i = 0; i <= length; i++)
			name[i] = ascii_lower(packet[12 + i]); /* the resolver may play with the case */
		const struct dns_test_reply *reply =
			dns_test_find(server, name, (unsigned char)packet[end - 3]);
		if (reply) {
			size_t size = dns_test_write(packet, end, reply);
			sendto(server->fd, packet, size, 0, (struct sockaddr *)&from, from_len);
		}
	}
}

static inline void dns_test_start(struct dns_test_server *server)
{
	ip_parse(STR("127.0.0.1"), &server->address.ip);
	server->sa_len = ip_to_sockaddr(&server->address.ip, 0, &server->sa);
	server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	server->address.text = STR("the test's server");
	int failed = bind(server->fd, (struct sockaddr *)&server->sa, server->sa_len) ||
		getsockname(server->fd, (struct sockaddr *)&server->sa, &server->sa_len) ||
		!ip_from_sockaddr(
			(struct sockaddr *)&server->sa, &server->address.ip, &server->address.port) ||
		pthread_create(&server->thread, NULL, dns_test_run, server);
	assert(!failed);
	(void)failed;
}

static inline void dns_test_stop(struct dns_test_server *server)
{
	sendto(server->fd, "", 1, 0, (struct sockaddr *)&server->sa, server->sa_len);
	pthread_join(server->thread, NULL);
	close(server->fd);
}

#endif
