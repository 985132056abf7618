/* What a DNS server answers: any packet, or one that is made of records by a script. What is taken of it
 * is of the type that was asked for, lower case, bounded, and told in one printable line.
 *
 *   input  = u8 type that was asked for (128: a script comes), the packet
 *   script = u8 rcode, *record
 *   record = u8 owner (as in add_name), u8 type (128: length of the data is wrong), u8 ttl, data */
#include "base/buf.h"
#include "base/fuzz.h"
#include "dns/answer.h"
#include "dns/mx.h"

enum { PACKET_MAX = 8192, RECORDS = 255, QUESTION_AT = 12 };

static uint32_t always_last(void *arg, uint32_t n)
{
	(void)arg;
	return n - 1;
}

static void add_u16(struct buf *packet, unsigned v)
{
	buf_add_char(packet, (char)(v >> 8));
	buf_add_char(packet, (char)v);
}

/* u8: 0 the name asked for, 1 a pointer to where the next byte says, 2 a label that ends in a pointer to
 * the question, 3 nothing at all, else a label and the root */
static void add_name(struct buf *packet, struct str *script)
{
	uint8_t how = fuzz_byte(script);
	if (how == 3)
		return;
	if (how > 1) {
		struct str label = str_take(fuzz_slice(script), 63);
		buf_add_char(packet, (char)label.n);
		buf_add(packet, label);
	}
	if (how < 3)
		add_u16(packet, 0xc000u | (how == 1 ? fuzz_byte(script) * 8u : QUESTION_AT));
	else
		buf_add_char(packet, 0);
}

static void add_data(struct buf *packet, unsigned type, struct str *script)
{
	if (type == DNS_MX) {
		buf_add_char(packet, 0);
		buf_add_char(packet, (char)fuzz_byte(script));
	}
	if (type == DNS_MX || type == DNS_CNAME)
		add_name(packet, script);
	else
		buf_add(packet, fuzz_slice(script));
}

static void add_record(struct buf *packet, struct str *script)
{
	static const unsigned types[] = {DNS_A, DNS_AAAA, DNS_MX, DNS_CNAME, DNS_TXT, DNS_TLSA, 2, 46};
	add_name(packet, script);
	uint8_t which = fuzz_byte(script);
	unsigned type = types[which % (sizeof types / sizeof *types)];
	add_u16(packet, type);
	add_u16(packet, 1);
	add_u16(packet, 0);
	add_u16(packet, fuzz_byte(script));
	size_t length_at = packet->n;
	add_u16(packet, 0);
	add_data(packet, type, script);
	if (packet->overflow)
		return;
	size_t length = packet->n - length_at - 2 + (which >> 7);
	packet->p[length_at] = (char)(length >> 8);
	packet->p[length_at + 1] = (char)length;
}

static void build(struct str script, struct buf *packet)
{
	unsigned records = 0;
	add_u16(packet, 1);
	add_u16(packet, 0x8180u | fuzz_byte(&script) % 16);
	add_u16(packet, 1);
	buf_add(packet, str_make("\0\0\0\0\0\0", 6)); /* the counts */
	buf_add(packet, str_make("\1a\7example\0\0\1\0\1", 15));
	while (script.n > 0 && records < RECORDS && !packet->overflow) {
		add_record(packet, &script);
		records++;
	}
	packet->p[7] = (char)records;
}

static bool is_lower(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != ascii_lower(s.p[i]) || !ascii_is_print(s.p[i]))
			return false;
	return true;
}

static void check(struct str packet, enum dns_type type)
{
	struct arena *arena = arena_new();
	struct dns_answer a;
	dns_answer_parse(packet, STR("a.example"), type, arena, &a);
	assert(a.count <= ANSWER_RECORDS && (a.outcome == DNS_FOUND) == (a.count > 0));
	assert(a.outcome == DNS_FAILED || a.why.n == 0);
	assert(is_lower(a.canonical) && a.canonical.n < 256);
	for (size_t i = 0; i < a.count; i++) {
		assert(a.records[i].type == type && a.ttl <= a.records[i].ttl);
		assert(type != DNS_MX || is_lower(a.records[i].mx.host));
	}
	struct mx_list mx = mx_sort(&a, always_last, NULL, arena);
	for (size_t i = 1; i < mx.count; i++)
		assert(mx.hosts[i - 1].preference <= mx.hosts[i].preference);
	assert(mx.count + mx.unusable <= a.count && !(mx.null_mx && mx.count));
	assert(str_is_print(dns_answer_text(STR("a.example"), type, &a, arena)));
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = {DNS_A, DNS_AAAA, DNS_MX, DNS_TXT, DNS_TLSA};
	struct str script = str_make((const char *)data, size);
	uint8_t which = fuzz_byte(&script);
	enum dns_type type = types[which % 128 % (sizeof types / sizeof *types)];
	if (which & 128) {
		struct buf packet;
		buf_init(&packet, PACKET_MAX);
		build(script, &packet);
		check(buf_str(&packet), type);
		buf_done(&packet);
	} else {
		check(script, type);
	}
	return 0;
}
