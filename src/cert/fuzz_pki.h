/* fuzz_pki: certificates and keys for fuzzers, the same in every run: Ed25519 keys from fixed seeds sign
 * the same way each time, and the clock stands still. */
#ifndef CERT_FUZZ_PKI_H
#define CERT_FUZZ_PKI_H

#include "base/arena.h"
#include "base/fuzz.h"
#include "base/log.h"
#include "cert/test_pki.h"

enum { FUZZ_NOW_S = 1795287600 };

static inline EVP_PKEY *fuzz_key(uint8_t number)
{
	uint8_t seed[32];
	memset(seed, number, sizeof seed);
	return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
}

/* root - inter - leaf (mx.example), and what is wrong with others of that name. */
struct fuzz_pki {
	struct pki_pair root, inter, leaf, old, self, stranger, client;
};

static inline const struct fuzz_pki *fuzz_pki(void)
{
	static struct fuzz_pki p;
	if (p.root.c)
		return &p;
	log_open(-1, LOG_ERROR);
	clock_set_wall_ms((int64_t)FUZZ_NOW_S * 1000);
	const char *san = "DNS:mx.example,DNS:*.mx.example,IP:192.0.2.1";
	p.root = pki_make((struct pki_wish){
		.cn = "Root", .organisation = "Fuzz", .authority = true, .key = fuzz_key(1)});
	p.inter = pki_make(
		(struct pki_wish){.cn = "Inter", .authority = true, .key = fuzz_key(2), .issuer = &p.root});
	p.leaf =
		pki_make((struct pki_wish){.cn = "x", .san = san, .key = fuzz_key(3), .issuer = &p.inter});
	p.old = pki_make((struct pki_wish){.cn = "x",
		.san = san,
		.key = fuzz_key(3),
		.issuer = &p.inter,
		.from_days = -20,
		.to_days = -1});
	p.self = pki_make((struct pki_wish){.cn = "x", .san = san, .key = fuzz_key(4)});
	p.stranger = pki_make((struct pki_wish){.cn = "x",
		.san = "DNS:other.example",
		.key = fuzz_key(5),
		.bare = true,
		.issuer = &p.root});
	p.client = pki_make((struct pki_wish){
		.cn = "x", .san = san, .usage = "clientAuth", .key = fuzz_key(6), .issuer = &p.inter});
	return &p;
}

/* One of the above by number, as DER to be spoiled, or an empty slice. */
static inline struct str fuzz_pki_certificate(unsigned n, struct arena *arena)
{
	const struct fuzz_pki *p = fuzz_pki();
	const struct pki_pair *all[] = {
		&p->leaf, &p->inter, &p->root, &p->old, &p->self, &p->stranger, &p->client};
	unsigned char *der = NULL;
	if (n >= sizeof all / sizeof *all)
		return STR("");
	int length = i2d_X509(all[n]->c, &der);
	struct str copy = arena_dup(arena, str_make((const char *)der, (size_t)length));
	OPENSSL_free(der);
	return copy;
}

/* Changes single bytes of a slice in an arena: u8 count, then for each u16 where, u8 what with. */
static inline void fuzz_spoil(struct str bytes, struct str *script)
{
	char *p = (char *)(uintptr_t)bytes.p;
	for (unsigned n = fuzz_byte(script) % 8; n > 0 && bytes.n > 0; n--) {
		size_t at = (size_t)fuzz_byte(script) << 8;
		at |= fuzz_byte(script);
		p[at % bytes.n] ^= (char)fuzz_byte(script);
	}
}

#endif
