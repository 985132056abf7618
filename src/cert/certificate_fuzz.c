/* The chain a peer shows: known certificates with bytes changed, or any bytes. What is told of it is
 * one printable line each, and judge_chain(), which looks for every fault, finds nothing wrong only
 * with what OpenSSL's own strict verification takes.
 *
 *   input       = u8 host, u8 anchors, *certificate
 *   certificate = u8 which (leaf, inter, root, …; from 7: own bytes), spoiling or slice */
#include "ask/record.h"
#include "cert/certificate.h"
#include "cert/fuzz_pki.h"
#include "cert/judge.h"

enum { CERTIFICATES = 6, KNOWN = 7 };

static bool is_line(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_print(s.p[i]))
			return false;
	return true;
}

static void check_facts(X509 *c, struct arena *arena)
{
	struct certificate_facts f;
	certificate_facts(c, arena, &f);
	assert(is_line(f.names) && is_line(f.subject) && is_line(f.issuer) && is_line(f.key_type));
	assert(f.subject.n <= CERTIFICATE_NAME_MAX && f.issuer.n <= CERTIFICATE_NAME_MAX);
	assert(f.thumbprint.n == 64 && (f.key_id.n == 64 || f.key_id.n == 0));
	struct str names = f.names, name;
	while (f.names.n && str_split(&names, ' ', &name))
		assert(certificate_is_name(name));
	struct buf pem;
	struct err err;
	buf_init(&pem, 1 << 20);
	assert(certificate_write(c, &pem, &err) == 0);
	STACK_OF(X509) *list = certificate_read_list(buf_str(&pem), 1, &err);
	assert(list && sk_X509_num(list) == 1 && X509_cmp(sk_X509_value(list, 0), c) == 0);
	certificate_free_list(list);
	buf_done(&pem);
}

static X509_STORE_CTX *context(X509_STORE *anchors, STACK_OF(X509) * chain)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_STORE_CTX_init(ctx, anchors, sk_X509_value(chain, 0), chain);
	X509_STORE_CTX_set_default(ctx, "ssl_server");
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN);
	X509_STORE_CTX_set_time(ctx, 0, FUZZ_NOW_S);
	return ctx;
}

static void check_judgement(STACK_OF(X509) * chain, X509_STORE *anchors, struct str host)
{
	struct judgement j = {0};
	X509_STORE_CTX *ctx = context(anchors, chain);
	bool good = judge_chain(ctx, &j);
	X509_STORE_CTX_free(ctx);
	ctx = context(anchors, chain);
	assert(good == (X509_verify_cert(ctx) == 1));
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
	judge_name(sk_X509_value(chain, 0), host, &j);
	for (int f = 0; f < FAULT_COUNT; f++) {
		assert(j.has[f] == (j.text[f][0] != 0));
		assert(is_line(str_from_c(j.text[f])) && fault_cause((enum fault)f));
	}
}

static X509 *take_certificate(struct str *script, struct arena *arena)
{
	unsigned which = fuzz_byte(script) % (KNOWN + 1);
	struct str der = fuzz_pki_certificate(which, arena);
	if (which < KNOWN)
		fuzz_spoil(der, script);
	else
		der = fuzz_slice(script);
	const unsigned char *at = (const unsigned char *)der.p;
	X509 *c = d2i_X509(NULL, &at, (long)der.n);
	ERR_clear_error();
	return c;
}

static X509_STORE *take_anchors(uint8_t which)
{
	const struct fuzz_pki *p = fuzz_pki();
	X509_STORE *store = X509_STORE_new();
	if (which & 1)
		X509_STORE_add_cert(store, p->root.c);
	if (which & 2)
		X509_STORE_add_cert(store, p->inter.c);
	if (which & 4)
		X509_STORE_add_cert(store, p->leaf.c);
	return store;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct str hosts[] = {{"mx.example", 10}, {"a.mx.example.", 13}, {"192.0.2.1", 9},
		{"[IPv6:2001:db8::1]", 18}, {"other.example", 13}};
	struct str script = str_make((const char *)data, size);
	struct str host = hosts[fuzz_byte(&script) % (sizeof hosts / sizeof *hosts)];
	X509_STORE *anchors = take_anchors(fuzz_byte(&script));
	STACK_OF(X509) *chain = sk_X509_new_null();
	struct arena *arena = arena_new();
	while (script.n > 0 && sk_X509_num(chain) < CERTIFICATES) {
		X509 *c = take_certificate(&script, arena);
		if (!c)
			break;
		sk_X509_push(chain, c);
		check_facts(c, arena);
	}
	for (int i = 1; i < sk_X509_num(chain); i++)
		certificate_issued_by(sk_X509_value(chain, i - 1), sk_X509_value(chain, i));
	if (sk_X509_num(chain) > 0)
		check_judgement(chain, anchors, host);
	assert(ERR_peek_error() == 0);
	certificate_free_list(chain);
	X509_STORE_free(anchors);
	arena_free(arena);
	return 0;
}
