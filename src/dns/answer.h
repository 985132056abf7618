/* answer: what a DNS server answered, as plain structs. Pure: the packet is hostile, the parser is
 * bounded by its length, by ANSWER_RECORDS and by ANSWER_ALIASES. */
#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include "base/arena.h"
#include "base/str.h"
#include "wire/ip.h"

enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_TLSA = 52,
};

/* RFC 1035 4.1.1; the others show as their number. */
enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
};

enum {
	ANSWER_RECORDS = 256, /* records of an answer that are looked at; the rest is ignored */
	ANSWER_ALIASES = 12,  /* CNAMEs one after another */
};

/* What the asking code has to tell apart. Only the first three are answers; the others say nothing
 * about the name, so they mean "try later", never "there is none". */
enum dns_outcome {
	DNS_FOUND,   /* records of the type asked for */
	DNS_NONE,    /* the name exists and has no record of this type */
	DNS_NO_NAME, /* NXDOMAIN: the name does not exist */
	DNS_FAILED,  /* SERVFAIL, REFUSED, an answer that makes no sense */
	DNS_TIMEOUT, /* no answer in time */
	DNS_BOGUS,   /* DNSSEC says that somebody tampers; `why` says where */
};

struct dns_record {
	enum dns_type type;
	uint32_t ttl; /* seconds */
	union {
		struct ip ip; /* DNS_A, DNS_AAAA */
		struct {
			uint16_t preference;
			struct str host; /* lower case, without the dot at its end; "" is the root: null MX */
		} mx;
		struct str data; /* all other types: RDATA as it came */
	};
};

struct dns_answer {
	enum dns_outcome outcome;
	uint16_t rcode;
	bool secure;          /* DNSSEC proved it (also that there is none) */
	struct str why;       /* DNS_FAILED, DNS_BOGUS, DNS_TIMEOUT: the reason, one line; else empty */
	struct str server;    /* "192.0.2.53:53 192.0.2.54:53", or "recursion from the root" */
	struct str canonical; /* the name after all CNAMEs, lower case */
	uint32_t ttl;         /* the smallest of all records used, seconds */
	struct dns_record *records;
	size_t count;
	uint32_t ms; /* how long it took */
};

/* Reads a reply to the question (name, type). `name` without a dot at its end. Fills outcome,
 * rcode, canonical, ttl, records; texts and records are allocated in `arena`. Records of other
 * names or types, and those whose RDATA is malformed, are skipped. A reply that is cut short is
 * DNS_FAILED with `why`.
 *
 *   message = header(12) *question *answer …                                   RFC 1035 4.1 */
void dns_answer_parse(struct str packet, struct str name, enum dns_type type, struct arena *arena,
	struct dns_answer *ret);

/* "MX", "A", … or "TYPE64". */
const char *dns_type_name(enum dns_type type, char dst[16]);
/* "NXDOMAIN", … or "RCODE17". */
const char *dns_rcode_name(uint16_t rcode, char dst[16]);
/* One line for the record of an attempt:
 * "MX example.org: 10 mx1.example.org, 20 mx2.example.org (NOERROR, secure, ttl 300, 12 ms, server
 * 192.0.2.53:53)". At most 20 records are written out, the others counted. */
struct str dns_answer_text(
	struct str name, enum dns_type type, const struct dns_answer *a, struct arena *arena);

#endif
