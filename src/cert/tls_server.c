/* The server's contexts: one SSL_CTX per certificate; the first one is what sessions begin with, and
 * it owns the table of names by which the others are chosen. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "cert/certificate.h"
#include "cert/crypto.h"
#include "cert/key.h"
#include "cert/name.h"
#include "cert/provider.h"
#include "cert/tls.h"
#include "cert/tls_context.h"
#include "wire/domain_name.h"

/* Host names in lower case, wildcards with their "*", to contexts. Freed with the first context;
 * holds the others. */
struct sni_table {
	struct map *names;
	SSL_CTX **held;
	size_t held_count;
};

static int table_index = -1;

static void free_table(
	void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	struct sni_table *t = ptr;
	(void)parent, (void)ad, (void)index, (void)argl, (void)argp;
	if (!t)
		return;
	map_free(t->names, NULL);
	for (size_t i = 0; i < t->held_count; i++)
		SSL_CTX_free(t->held[i]);
	free(t->held);
	free(t);
}

/* ---- choosing ---- */

/* The exact name, then the wildcard above its first label. */
static SSL_CTX *table_find(const struct sni_table *t, struct str host)
{
	char name[256];
	host = domain_name_trim_dot(host);
	if (host.n == 0 || host.n >= sizeof name)
		return NULL;
	SSL_CTX *found = map_get(t->names, str_lower(host, name));
	ptrdiff_t dot = str_find(host, '.');
	if (found || dot < 1)
		return found;
	name[dot - 1] = '*';
	struct str wildcard = str_make(name + dot - 1, host.n - (size_t)dot + 1);
	return name_matches(wildcard, host) ? map_get(t->names, wildcard) : NULL;
}

static int on_sni(SSL *ssl, int *alert, void *arg)
{
	const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	(void)alert;
	SSL_CTX *ctx = host ? table_find(arg, str_from_c(host)) : NULL;
	if (ctx && ctx != SSL_get_SSL_CTX(ssl))
		SSL_set_SSL_CTX(ssl, ctx);
	return SSL_TLSEXT_ERR_OK;
}

/* The first certificate with a name has it. */
static void table_add(struct sni_table *t, struct str names, SSL_CTX *ctx)
{
	struct str rest = names, name;
	while (str_split(&rest, ' ', &name)) {
		char lower[256];
		if (name.n == 0 || name.n >= sizeof lower)
			continue;
		struct str key = str_lower(name, lower);
		if (!map_get(t->names, key))
			map_put(t->names, key, ctx);
	}
}

/* ---- building ---- */

static SSL_CTX *server_context(void)
{
	SSL_CTX *ctx = tls_context_new(TLS_server_method());
	SSL_CTX_set_security_level(ctx, 2);
	SSL_CTX_set_num_tickets(ctx, 0);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
		SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1 ||
		SSL_CTX_set1_groups_list(ctx, "X25519:P-256") != 1) /* sign_rule.c knows them too */
		mem_exhausted(0);
	return ctx;
}

/* 0, or -1 with *err. The key stays the caller's. */
static int use_pair(SSL_CTX *ctx, STACK_OF(X509) * chain, EVP_PKEY *key, struct err *err)
{
	STACK_OF(X509) *above = sk_X509_dup(chain);
	if (!above)
		mem_exhausted(0);
	X509 *leaf = sk_X509_shift(above);
	bool ok = SSL_CTX_use_cert_and_key(ctx, leaf, key, above, 1) == 1;
	sk_X509_free(above);
	char why[CRYPTO_TEXT];
	crypto_drain(why);
	return ok ? 0 : err_say(err, "OpenSSL refuses the certificate: %s", why);
}

/* The certificates of a chain whose leaf we can use; NULL with *err. */
static STACK_OF(X509) * read_chain(struct str pem, struct err *err)
{
	STACK_OF(X509) *chain = certificate_read_list(pem, CHAIN_MAX, err);
	EVP_PKEY *key = chain ? X509_get0_pubkey(sk_X509_value(chain, 0)) : NULL;
	if (!chain)
		return NULL;
	if (!key)
		err_say(err, "the certificate's public key cannot be read");
	if (key && key_check(key, err) == 0)
		return chain;
	certificate_free_list(chain);
	return NULL;
}

static SSL_CTX *context_for(const struct conf_certificate *c, struct ask_link **keys,
	struct sni_table *table, struct err *err)
{
	struct err why;
	err_clear(&why);
	SSL_CTX *ctx = server_context();
	STACK_OF(X509) *chain = read_chain(c->chain_pem, &why);
	X509 *leaf = chain ? sk_X509_value(chain, 0) : NULL;
	EVP_PKEY *key = leaf ? provider_key(X509_get0_pubkey(leaf), keys, &why) : NULL;
	bool ok = key && use_pair(ctx, chain, key, &why) == 0;
	EVP_PKEY_free(key);
	if (ok) {
		struct arena *arena = arena_new();
		table_add(table, c->name, ctx);
		table_add(table, certificate_names(leaf, arena), ctx);
		arena_free(arena);
	} else {
		err_say(err, "certificate for %.*s: %s", STR_ARG(c->name), why.log);
		SSL_CTX_free(ctx);
	}
	certificate_free_list(chain);
	return ok ? ctx : NULL;
}

SSL_CTX *tls_server_context(const struct conf *conf, struct ask_link **keys, struct err *err)
{
	tls_init();
	if (table_index < 0)
		table_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_table);
	if (conf->certificate_count == 0) {
		err_say(err, "there is no certificate");
		return NULL;
	}
	struct sni_table *table = mem_new(sizeof *table);
	table->names = map_new();
	SSL_CTX *first = context_for(&conf->certificates[0], keys, table, err);
	if (!first || SSL_CTX_set_ex_data(first, table_index, table) != 1) {
		free_table(NULL, table, NULL, 0, 0, NULL);
		return NULL;
	}
	SSL_CTX_set_tlsext_servername_callback(first, on_sni);
	SSL_CTX_set_tlsext_servername_arg(first, table);
	table->held = mem_new(conf->certificate_count * sizeof(SSL_CTX *));
	for (size_t i = 1; i < conf->certificate_count; i++) {
		SSL_CTX *ctx = context_for(&conf->certificates[i], keys, table, err);
		if (!ctx) {
			SSL_CTX_free(first);
			return NULL;
		}
		table->held[table->held_count++] = ctx;
	}
	ERR_clear_error();
	return first;
}

SSL_CTX *tls_server_context_with_key(struct str pem, EVP_PKEY *key, struct err *err)
{
	SSL_CTX *ctx = server_context();
	STACK_OF(X509) *chain = certificate_read_list(pem, CHAIN_MAX, err);
	if (!chain || use_pair(ctx, chain, key, err) != 0) {
		SSL_CTX_free(ctx);
		ctx = NULL;
	}
	certificate_free_list(chain);
	ERR_clear_error();
	return ctx;
}
