#include "cert/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cert/certificate.h"
#include "cert/crypto.h"
#include "cert/judge.h"
#include "cert/name.h"
#include "cert/tls_context.h"
#include "wire/domain_name.h"

/* What the handshake found, tied to the SSL; freed with it. */
static int judgement_index = -1;

static void free_judgement(
	void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	(void)parent, (void)ad, (void)index, (void)argl, (void)argp;
	free(ptr);
}

void tls_init(void)
{
	static bool done;
	if (done)
		return;
	crypto_init();
	judgement_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_judgement);
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1 || judgement_index < 0) {
		char why[CRYPTO_TEXT];
		log_error("crypto.init", "libssl cannot be used: %s", crypto_drain(why));
		abort();
	}
	ERR_clear_error();
	done = true;
}

SSL_CTX *tls_context_new(const SSL_METHOD *method)
{
	tls_init();
	SSL_CTX *ctx = SSL_CTX_new(method);
	if (!ctx)
		mem_exhausted(0);
	SSL_CTX_set_options(ctx,
		SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
			SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ctx,
		SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
			SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	return ctx;
}

/* ---- client ----------------------------------------------------------------------------------- */

/* Takes the place of OpenSSL's own verification: all faults are noted, none ends the handshake. */
static int check_peer(X509_STORE_CTX *store, void *arg)
{
	(void)arg;
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct judgement *j = mem_new(sizeof *j);
	free(SSL_get_ex_data(ssl, judgement_index));
	if (SSL_set_ex_data(ssl, judgement_index, j) != 1)
		mem_exhausted(sizeof *j);
	bool good = judge_chain(store, j);
	X509_STORE_CTX_set_error(store, good ? X509_V_OK : X509_V_ERR_APPLICATION_VERIFICATION);
	return 1;
}

static int add_anchors(SSL_CTX *ctx, struct str anchors, struct err *err)
{
	enum { ANCHORS_MAX = 5000 };
	STACK_OF(X509) *list = certificate_read_list(anchors, ANCHORS_MAX, err);
	if (!list)
		return -1;
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	for (int i = 0; i < sk_X509_num(list); i++)
		if (X509_STORE_add_cert(store, sk_X509_value(list, i)) != 1)
			mem_exhausted(0);
	certificate_free_list(list);
	return 0;
}

SSL_CTX *tls_client_context(enum tls_level level, struct str anchors, struct err *err)
{
	SSL_CTX *ctx = tls_context_new(TLS_client_method());
	if (level == TLS_MAY) {
		/* Weak encryption still beats none at all, which is what would follow. */
		SSL_CTX_set_security_level(ctx, 0);
		SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
		SSL_CTX_set_options(ctx, SSL_OP_LEGACY_SERVER_CONNECT);
		SSL_CTX_set_cipher_list(ctx, "ALL:!aNULL:!eNULL:@STRENGTH");
	} else {
		SSL_CTX_set_security_level(ctx, 2);
		SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
		SSL_CTX_clear_options(ctx, SSL_OP_LEGACY_SERVER_CONNECT);
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, check_peer, NULL);
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
	if (anchors.n > 0 && add_anchors(ctx, anchors, err) != 0) {
		SSL_CTX_free(ctx);
		ctx = NULL;
	}
	ERR_clear_error();
	return ctx;
}

unsigned tls_client_anchors(const SSL_CTX *ctx)
{
	return (unsigned)sk_X509_OBJECT_num(X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx)));
}

int tls_client_prepare(SSL *ssl, void *arg, struct err *err)
{
	const struct str *host = arg;
	struct ip address;
	char name[256];
	(void)err;
	struct str sni = domain_name_trim_dot(*host); /* RFC 6066 3 */
	if (sni.n == 0 || sni.n >= sizeof name || name_is_address(sni, &address))
		SSL_set_tlsext_host_name(ssl, NULL);
	else
		SSL_set_tlsext_host_name(ssl, str_to_c(sni, name, sizeof name));
	ERR_clear_error();
	return 0;
}

/* ---- what a handshake gave -------------------------------------------------------------------- */

void tls_peer_verdict(SSL *ssl, struct str host, struct tls_verdict *ret)
{
	const struct judgement *found = SSL_get_ex_data(ssl, judgement_index);
	X509 *leaf = SSL_get0_peer_certificate(ssl);
	*ret = (struct tls_verdict){0};
	if (!found || !leaf) {
		ret->cause = fault_cause(FAULT_INVALID_CHAIN);
		snprintf(ret->text, sizeof ret->text, "the peer showed no certificate");
		return;
	}
	struct judgement j = *found;
	judge_name(leaf, host, &j);
	size_t n = 0;
	for (int f = 0; f < FAULT_COUNT; f++) {
		if (!j.has[f])
			continue;
		if (!ret->cause)
			ret->cause = fault_cause((enum fault)f);
		n +=
			(size_t)snprintf(ret->text + n, sizeof ret->text - n, "%s%s", n ? "; " : "", j.text[f]);
		if (n >= sizeof ret->text)
			break;
	}
	if (!ret->cause)
		snprintf(ret->text, sizeof ret->text, "verified");
}

struct str tls_text(const SSL *ssl, struct arena *arena)
{
	const char *cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(ssl));
	return arena_fmt(arena, "%s %s", SSL_get_version(ssl), cipher ? cipher : "?");
}

static void describe_certificate(int depth, X509 *c, struct record *r)
{
	struct arena *arena = arena_new();
	char from[CLOCK_TEXT], to[CLOCK_TEXT], thumbprint[THUMBPRINT_TEXT];
	struct str subject = certificate_name(X509_get_subject_name(c), arena);
	struct str issuer = certificate_name(X509_get_issuer_name(c), arena);
	record_add(r, EVENT_CERTIFICATE, "%d s:%.*s i:%.*s %.10s to %.10s sha256=%s", depth,
		STR_ARG(str_take(subject, 200)), STR_ARG(str_take(issuer, 200)),
		clock_rfc3339(certificate_time_ms(X509_get0_notBefore(c)), from),
		clock_rfc3339(certificate_time_ms(X509_get0_notAfter(c)), to),
		certificate_thumbprint(c, thumbprint));
	arena_free(arena);
}

void tls_describe(const SSL *ssl, struct record *r)
{
	/* OpenSSL's own signatures lack the const. */
	SSL *s = (SSL *)(uintptr_t)ssl;
	const char *cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(ssl));
	const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	int group = SSL_get_negotiated_group(s);
	const char *group_name = group ? SSL_group_to_name(s, group) : NULL;
	record_add(r, EVENT_TLS, "%s %s %s%s%.255s", SSL_get_version(ssl), cipher ? cipher : "?",
		group_name ? group_name : "no group", sni ? " sni=" : "", sni ? sni : "");
	if (!SSL_is_server(s)) {
		STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
		for (int i = 0; i < sk_X509_num(chain) && i < CHAIN_MAX; i++)
			describe_certificate(i, sk_X509_value(chain, i), r);
	}
	ERR_clear_error();
}
