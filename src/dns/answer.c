#include "dns/answer.h"

#include <stdio.h>

#include "base/buf.h"
#include "wire/domain_name.h"

/* ---- reading, never beyond the packet ---- */

struct reader {
	struct str packet;
	size_t at;
	bool bad; /* a read went beyond the end; everything after reads as zero */
};

static unsigned read_u8(struct reader *r)
{
	if (r->at >= r->packet.n) {
		r->bad = true;
		return 0;
	}
	return (unsigned char)r->packet.p[r->at++];
}

static unsigned read_u16(struct reader *r)
{
	unsigned high = read_u8(r);
	return high << 8 | read_u8(r);
}

static uint32_t read_u32(struct reader *r)
{
	uint32_t high = read_u16(r);
	return high << 16 | read_u16(r);
}

static struct str read_bytes(struct reader *r, size_t n)
{
	if (r->bad || n > r->packet.n - r->at) {
		r->bad = true;
		return STR("");
	}
	struct str bytes = str_make(r->packet.p + r->at, n);
	r->at += n;
	return bytes;
}

/* A name as text: labels with dots between them, lower case. A byte that no host name holds, a dot
 * inside a label too, becomes '?', so such a name equals none that was asked for. */
struct name {
	char text[256];
	size_t n;
};

static void name_add_label(struct name *name, struct str label)
{
	if (name->n)
		name->text[name->n++] = '.';
	for (size_t i = 0; i < label.n; i++) {
		char c = ascii_lower(label.p[i]);
		bool plain = ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '_';
		name->text[name->n++] = plain ? c : '?';
	}
}

/* name    = *label ( %x00 / pointer )
 * label   = length(1..63) *OCTET
 * pointer = %xC000-FFFF                                            RFC 1035 4.1.4
 * A pointer must point before the place where this name, or the part of it that was read last,
 * began: so it ends, however the packet was made. Labels together: 255 bytes (RFC 1035 3.1). */
static bool read_name(struct reader *r, struct name *ret)
{
	struct reader in = *r;
	size_t start = in.at, length = 1, behind = 0;
	ret->n = 0;
	for (;;) {
		unsigned c = read_u8(&in);
		if (in.bad || (c & 0xc0) == 0x40 || (c & 0xc0) == 0x80)
			break;
		if ((c & 0xc0) == 0xc0) {
			size_t to = (c & 0x3f) << 8 | read_u8(&in);
			if (in.bad || to >= start)
				break;
			if (!behind)
				behind = in.at;
			start = in.at = to;
			continue;
		}
		if (c == 0) {
			r->at = behind ? behind : in.at;
			return true;
		}
		struct str label = read_bytes(&in, c);
		length += 1 + c;
		if (in.bad || length > 255)
			break;
		name_add_label(ret, label);
	}
	r->bad = true;
	return false;
}

struct resource {
	struct name owner;
	unsigned type, class;
	uint32_t ttl;
	struct str data;
	size_t data_at; /* where it stands in the packet, for names within */
};

/* resource = name type(2) class(2) ttl(4) rdlength(2) rdata                        RFC 1035 4.1.3 */
static bool read_resource(struct reader *r, struct resource *ret)
{
	if (!read_name(r, &ret->owner))
		return false;
	ret->type = read_u16(r);
	ret->class = read_u16(r);
	ret->ttl = read_u32(r);
	if (ret->ttl > INT32_MAX) /* RFC 2181 8 */
		ret->ttl = 0;
	size_t n = read_u16(r);
	ret->data_at = r->at;
	ret->data = read_bytes(r, n);
	return !r->bad;
}

/* A name that fills the RDATA from byte `from` to its end. */
static bool data_name(
	struct str packet, const struct resource *resource, size_t from, struct name *ret)
{
	struct reader r = {.packet = packet, .at = resource->data_at + from};
	return resource->data.n > from && read_name(&r, ret) &&
		r.at == resource->data_at + resource->data.n;
}

/* ---- what it says ---- */

static bool fill_record(
	struct str packet, const struct resource *resource, struct arena *arena, struct dns_record *ret)
{
	struct str data = resource->data;
	*ret = (struct dns_record){.type = (enum dns_type)resource->type, .ttl = resource->ttl};
	switch (resource->type) {
	case DNS_A:
		if (data.n != 4)
			return false;
		ret->ip = ip_from_v4(data.p);
		return true;
	case DNS_AAAA:
		if (data.n != 16)
			return false;
		ret->ip = ip_from_v6(data.p);
		return true;
	case DNS_MX: {
		struct name host;
		if (!data_name(packet, resource, 2, &host))
			return false;
		ret->mx.preference = (uint16_t)((unsigned char)data.p[0] << 8 | (unsigned char)data.p[1]);
		ret->mx.host = arena_dup(arena, str_make(host.text, host.n));
		return true;
	}
	default:
		ret->data = arena_dup(arena, data);
		return true;
	}
}

static void fail(struct dns_answer *ret, const char *why)
{
	ret->outcome = DNS_FAILED;
	ret->why = str_from_c(why);
	ret->records = NULL;
	ret->count = 0;
}

enum { CLASS_IN = 1 };

/* Follows the CNAMEs from *name on, as far as this answer goes, in any order of its records. */
static void follow_aliases(struct reader answers, unsigned count, struct name *name, uint32_t *ttl)
{
	for (unsigned step = 0; step < ANSWER_ALIASES; step++) {
		struct reader r = answers;
		struct resource resource;
		bool moved = false;
		for (unsigned i = 0; i < count && !moved && read_resource(&r, &resource); i++) {
			struct name to;
			if (resource.type != DNS_CNAME || resource.class != CLASS_IN ||
				!str_eq(str_make(resource.owner.text, resource.owner.n),
					str_make(name->text, name->n)) ||
				!data_name(r.packet, &resource, 0, &to))
				continue;
			*name = to;
			if (resource.ttl < *ttl)
				*ttl = resource.ttl;
			moved = true;
		}
		if (!moved)
			return;
	}
}

static void collect(struct reader r, unsigned count, const struct name *name, enum dns_type type,
	struct arena *arena, struct dns_answer *ret)
{
	struct str wanted = str_make(name->text, name->n);
	struct resource resource;
	ret->records = arena_alloc(arena, count * sizeof *ret->records);
	for (unsigned i = 0; i < count; i++) {
		if (!read_resource(&r, &resource)) {
			fail(ret, "the answer is cut short");
			return;
		}
		if (resource.type != type || resource.class != CLASS_IN ||
			!str_eq(str_make(resource.owner.text, resource.owner.n), wanted))
			continue;
		if (fill_record(r.packet, &resource, arena, &ret->records[ret->count])) {
			ret->count++;
			if (resource.ttl < ret->ttl)
				ret->ttl = resource.ttl;
		}
	}
	ret->outcome = ret->count ? DNS_FOUND : DNS_NONE;
}

/* message = id(2) flags(2) qdcount(2) ancount(2) nscount(2) arcount(2) *question *resource */
void dns_answer_parse(struct str packet, struct str name, enum dns_type type, struct arena *arena,
	struct dns_answer *ret)
{
	struct reader r = {.packet = packet};
	struct name current = {.n = 0};
	*ret = (struct dns_answer){.ttl = UINT32_MAX};
	for (struct str rest = str_take(name, DOMAIN_NAME_MAX), label; str_split(&rest, '.', &label);)
		name_add_label(&current, label);
	read_u16(&r);
	ret->rcode = (uint16_t)(read_u16(&r) & 0x0f);
	unsigned questions = read_u16(&r), count = read_u16(&r);
	read_u32(&r);
	for (; questions && !r.bad; questions--) {
		struct name ignored;
		read_name(&r, &ignored);
		read_u32(&r);
	}
	if (count > ANSWER_RECORDS)
		count = ANSWER_RECORDS;
	if (r.bad)
		fail(ret, "the answer is cut short");
	else if (ret->rcode != DNS_NOERROR && ret->rcode != DNS_NXDOMAIN)
		fail(ret, "the server could not answer");
	else {
		follow_aliases(r, count, &current, &ret->ttl);
		if (ret->rcode == DNS_NXDOMAIN)
			ret->outcome = DNS_NO_NAME;
		else
			collect(r, count, &current, type, arena, ret);
	}
	ret->canonical = arena_dup(arena, str_make(current.text, current.n));
	if (ret->ttl == UINT32_MAX)
		ret->ttl = 0;
}

/* ---- for people ---- */

const char *dns_type_name(enum dns_type type, char dst[16])
{
	static const struct {
		enum dns_type type;
		const char *name;
	} names[] = {{DNS_A, "A"}, {DNS_CNAME, "CNAME"}, {DNS_MX, "MX"}, {DNS_TXT, "TXT"},
		{DNS_AAAA, "AAAA"}, {DNS_TLSA, "TLSA"}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].type == type)
			return names[i].name;
	snprintf(dst, 16, "TYPE%u", (unsigned)type & 0xffff);
	return dst;
}

const char *dns_rcode_name(uint16_t rcode, char dst[16])
{
	static const char *const names[] = {
		"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
	if (rcode < sizeof names / sizeof *names)
		return names[rcode];
	snprintf(dst, 16, "RCODE%u", rcode);
	return dst;
}

static void add_record(struct buf *out, const struct dns_record *record)
{
	char address[IP_TEXT];
	switch (record->type) {
	case DNS_A:
	case DNS_AAAA:
		buf_add_c(out, ip_format(&record->ip, address));
		break;
	case DNS_MX:
		buf_addf(out, "%u %.*s", record->mx.preference, STR_ARG(record->mx.host));
		if (!record->mx.host.n)
			buf_add_char(out, '.');
		break;
	default:
		buf_addf(out, "%zu bytes", record->data.n);
	}
}

struct str dns_answer_text(
	struct str name, enum dns_type type, const struct dns_answer *a, struct arena *arena)
{
	enum { SHOWN = 20, TEXT_MAX = 8192 };
	static const char *const without[] = {[DNS_NONE] = "no record",
		[DNS_NO_NAME] = "no such name",
		[DNS_FAILED] = "no answer",
		[DNS_TIMEOUT] = "no answer in time",
		[DNS_BOGUS] = "bogus"};
	char type_name[16], rcode[16];
	struct buf out;
	buf_init(&out, TEXT_MAX);
	buf_addf(&out, "%s %.*s: ", dns_type_name(type, type_name), STR_ARG(name));
	if (a->canonical.n && !str_eq_nocase(a->canonical, name))
		buf_addf(&out, "is %.*s, ", STR_ARG(a->canonical));
	for (size_t i = 0; i < a->count && i < SHOWN; i++) {
		buf_add_c(&out, i ? ", " : "");
		add_record(&out, &a->records[i]);
	}
	if (a->count > SHOWN)
		buf_addf(&out, " and %zu more", a->count - SHOWN);
	if (a->outcome != DNS_FOUND)
		buf_add_c(&out, without[a->outcome]);
	if (a->why.n)
		buf_addf(&out, ", %.*s", STR_ARG(a->why));
	buf_add_c(&out, " (");
	if (a->outcome != DNS_TIMEOUT)
		buf_addf(&out, "%s, %s, ", dns_rcode_name(a->rcode, rcode),
			a->outcome == DNS_BOGUS ? "bogus"
				: a->secure         ? "secure"
									: "insecure");
	if (a->outcome == DNS_FOUND)
		buf_addf(&out, "ttl %u, ", a->ttl);
	buf_addf(&out, "%u ms, server %.*s)", a->ms, STR_ARG(a->server));
	struct str text = arena_dup(arena, buf_str(&out));
	buf_done(&out);
	return text;
}
