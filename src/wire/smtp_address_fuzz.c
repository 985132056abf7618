/* Any text: a beginning of what is good is never bad, two spellings of a mailbox give one text, and
 * addresses that parse are written as they were meant. */
#include <assert.h>
#include <stdlib.h>

#include "wire/domain_name.h"
#include "wire/ip.h"
#include "wire/smtp_address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef enum parse path_parser(struct str *at, struct mailbox *ret);

static void mailbox_holds(const struct mailbox *m)
{
	char dst1[SMTP_PATH_MAX], dst2[SMTP_PATH_MAX];
	struct mailbox again;
	struct ip ip;
	assert(m->local.n + 1 + m->domain.n <= SMTP_PATH_MAX);
	assert(m->domain.n == 0 || m->literal == ip_literal_parse(m->domain, &ip));
	if (m->domain.n == 0)
		return;
	struct str text = mailbox_format(m, dst1);
	assert(text.n >= 3 && text.n <= m->local.n + 1 + m->domain.n);
	assert(mailbox_from_str(text, &again));
	assert(str_eq(mailbox_format(&again, dst2), text));
	assert(str_eq(again.domain, m->domain));
}

static void try_path(path_parser *parse, struct str text)
{
	struct str at = text;
	struct mailbox m = {0};
	enum parse whole = parse(&at, &m);
	if (whole == PARSE_DONE)
		mailbox_holds(&m);
	else
		assert(at.p == text.p && at.n == text.n && !m.local.p);
	if (whole == PARSE_BAD)
		return;
	size_t read = text.n - (whole == PARSE_DONE ? at.n : 0);
	for (size_t n = 0; n < read; n++) {
		struct str beginning = str_take(text, n);
		assert(parse(&beginning, &m) != PARSE_BAD);
	}
}

static void try_ip(struct str text)
{
	struct ip ip, again;
	struct ip_network network;
	char dst[IP_LITERAL_TEXT];
	if (ip_parse(text, &ip)) {
		assert(ip_parse(str_from_c(ip_format(&ip, dst)), &again) && ip_eq(&ip, &again));
		assert(ip_literal_parse(str_from_c(ip_literal_format(&ip, dst)), &again));
		assert(ip_eq(&ip, &again));
	}
	if (ip_network_parse(text, &network) == IP_NETWORK_GOOD)
		assert(network.bits <= 128 &&
			ip_network_has(&network, &network.ip) ==
				(network.bits >= 96 || !ip_is_v4(&network.ip)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + !size); /* style: the fuzzer owns it */
	char dst[SMTP_DOMAIN_MAX];
	memcpy(copy, data, size);
	struct str text = str_make(copy, size);
	struct str at = text;
	struct str domain;

	try_path(smtp_mailbox, text);
	try_path(smtp_reverse_path, text);
	try_path(smtp_forward_path, text);
	if (smtp_domain(&at, &domain) == PARSE_DONE)
		assert(domain_name_eq(domain_lower(domain, dst), domain));
	assert(!domain_name_ok(text) || domain_name_dns_ok(text));
	at = text;
	assert(!domain_name_dns_ok(text) || (smtp_domain(&at, &domain) == PARSE_DONE && at.n == 0));
	try_ip(text);
	free(copy);
	return 0;
}
