#include "cert/sign_rule.h"

#include <openssl/rsa.h>

enum {
	SPACES = 64,
	RANDOMS = 64, /* client_random and server_random */
	NAMED_CURVE = 3,
	POINT_UNCOMPRESSED = 4,
	DER_SEQUENCE = 0x30,
	DER_INTEGER = 0x02,
	DER_VERSION = 0xa0,
};

/* The groups of our contexts (tls.c). */
static const struct {
	uint16_t id; /* IANA "TLS Supported Groups" */
	uint8_t point;
	bool uncompressed; /* the point begins with 4 */
} groups[] = {
	{29, 32, false}, /* x25519 */
	{23, 65, true},  /* secp256r1 */
};

/* content = 64*64%x20 %s"TLS 1.3, server CertificateVerify" %x00 transcript-hash  RFC 8446 4.4.3
 * transcript-hash = 32OCTET / 48OCTET    ; SHA-256 or SHA-384: all our cipher suites */
static bool is_tls13(struct str text)
{
	static const char context[] = "TLS 1.3, server CertificateVerify"; /* and its NUL */
	const size_t before = SPACES + sizeof context;
	if (text.n != before + 32 && text.n != before + 48)
		return false;
	for (size_t i = 0; i < SPACES; i++)
		if (text.p[i] != ' ')
			return false;
	return memcmp(text.p + SPACES, context, sizeof context) == 0;
}

/* A SEQUENCE that spans the whole text and begins with a version or a number is how requests and
 * certificates look. The sender of the randoms is free to imitate one; by chance a handshake looks
 * so once in some millions, and its client tries again. */
static bool looks_like_request(struct str text)
{
	const unsigned char *p = (const unsigned char *)text.p;
	size_t head = text.n - 2 < 128 ? 2 : 3;
	if (p[0] != DER_SEQUENCE || (head == 2 && p[1] != text.n - 2) ||
		(head == 3 && (p[1] != 0x81 || p[2] != text.n - 3)))
		return false;
	return p[head] == DER_INTEGER || p[head] == DER_VERSION;
}

/* content = client-random server-random ServerECDHParams                            RFC 8422 5.4
 * client-random = 32OCTET
 * server-random = 32OCTET
 * ServerECDHParams = %x03 group length point      ; named_curve
 * group  = %x00.1D / %x00.17
 * length = OCTET                                  ; exactly that of the group's point */
static bool is_tls12(struct str text)
{
	const unsigned char *params = (const unsigned char *)text.p + RANDOMS;
	if (text.n < RANDOMS + 4 || params[0] != NAMED_CURVE)
		return false;
	unsigned group = (unsigned)params[1] << 8 | params[2];
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		if (group == groups[i].id)
			return params[3] == groups[i].point && text.n == RANDOMS + 4u + groups[i].point &&
				(!groups[i].uncompressed || params[4] == POINT_UNCOMPRESSED) &&
				!looks_like_request(text);
	return false;
}

enum handshake sign_rule_text(struct str text)
{
	return is_tls13(text) ? HANDSHAKE_TLS13 : is_tls12(text) ? HANDSHAKE_TLS12 : HANDSHAKE_NONE;
}

bool sign_rule_algorithm(
	enum handshake h, struct str key_type, struct str digest, bool pss, int64_t salt_length)
{
	static const struct {
		const char *digest;
		const char *tls13_curve; /* TLS 1.3 ties the hash to the curve */
		int64_t bytes;
	} digests[] = {{"SHA256", "p256", 32}, {"SHA384", "p384", 48}, {"SHA512", "p521", 64}};
	if (h == HANDSHAKE_NONE)
		return false;
	if (str_eq(key_type, STR("ed25519")))
		return digest.n == 0 && !pss;
	for (size_t i = 0; i < sizeof digests / sizeof *digests; i++) {
		if (!str_eq_nocase(digest, str_from_c(digests[i].digest)))
			continue;
		if (str_starts(key_type, STR("rsa")))
			return pss ? salt_length == RSA_PSS_SALTLEN_DIGEST || salt_length == digests[i].bytes
					   : h == HANDSHAKE_TLS12;
		return !pss &&
			(h == HANDSHAKE_TLS12 || str_eq(key_type, str_from_c(digests[i].tls13_curve)));
	}
	return false;
}
