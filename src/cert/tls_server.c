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
#include "cert/prove.h"
#include "cert/provider.h"
#include "cert/tls.h"
#include "cert/tls_context.h"
#include "wire/domain_name.h"

enum { NAMES_SHOWN = 80 };

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

/* -1 with *err: which certificate, and why not. */
static int tell_fault(const struct conf_certificate *c, const struct err *why, struct err *err)
{
	return err_say(err, "certificate for %.*s%s: %s", STR_ARG(str_take(c->names, NAMES_SHOWN)),
		c->names.n > NAMES_SHOWN ? "…" : "", why->log);
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

/* A context for the certificate, whose key *ret_proven tells of: false with *why if `keys` cannot sign
 * with it. NULL with *why if the certificate itself cannot be used. */
static SSL_CTX *context_for(
	const struct conf_certificate *c, struct ask_link **keys, bool *ret_proven, struct err *why)
{
	SSL_CTX *ctx = server_context();
	STACK_OF(X509) *chain = read_chain(c->chain_pem, why);
	EVP_PKEY *public_key = chain ? X509_get0_pubkey(sk_X509_value(chain, 0)) : NULL;
	EVP_PKEY *key = public_key ? provider_key(public_key, keys, why) : NULL;
	if (!key || use_pair(ctx, chain, key, why) != 0) {
		SSL_CTX_free(ctx);
		ctx = NULL;
	} else {
		*ret_proven = prove_key(public_key, *keys, why) == 0;
	}
	EVP_PKEY_free(key);
	certificate_free_list(chain);
	return ctx;
}

int tls_server_prove(const struct conf_certificate *c, struct ask_link **keys, struct err *err)
{
	struct err why;
	bool proven = false;
	tls_init();
	SSL_CTX *ctx = context_for(c, keys, &proven, &why);
	SSL_CTX_free(ctx);
	return ctx && proven ? 0 : tell_fault(c, &why, err);
}

/* A certificate's context, and whether there is a fault that others should go before it. */
struct candidate {
	SSL_CTX *ctx; /* NULL: it cannot be used at all */
	bool good;
};

/* What is said twice, of one certificate in two places, is noted once. */
static void note_fault(struct buf *faults, const struct err *fault)
{
	struct str text = str_from_c(fault->log);
	if (faults && !(faults->n && memmem(faults->p, faults->n, text.p, text.n)))
		buf_addf(faults, "%s\n", fault->log);
}

static size_t try_all(
	const struct conf *conf, struct ask_link **keys, struct candidate *all, struct buf *faults)
{
	size_t usable = 0;
	for (size_t i = 0; i < conf->certificate_count; i++) {
		struct err why, fault;
		all[i].ctx = context_for(&conf->certificates[i], keys, &all[i].good, &why);
		usable += all[i].ctx != NULL;
		/* If keys is away for the moment, nothing is known against the certificate. */
		if (all[i].ctx && !all[i].good && why.kind == ERR_TEMP)
			all[i].good = true;
		if (!all[i].good) {
			tell_fault(&conf->certificates[i], &why, &fault);
			note_fault(faults, &fault);
		}
	}
	return usable;
}

/* Names to contexts: good ones first, then those that would make handshakes fail, but openly. */
static SSL_CTX *choose_names(
	const struct conf *conf, const struct candidate *all, struct sni_table *table)
{
	SSL_CTX *first = NULL;
	for (int good = 1; good >= 0; good--)
		for (size_t i = 0; i < conf->certificate_count; i++)
			if (all[i].ctx && all[i].good == good) {
				table_add(table, conf->certificates[i].names, all[i].ctx);
				if (!first)
					first = all[i].ctx;
			}
	SSL_CTX *own = table_find(table, conf->hostname);
	return own ? own : first;
}

SSL_CTX *tls_server_context(
	const struct conf *conf, struct ask_link **keys, struct buf *faults, struct err *err)
{
	tls_init();
	if (table_index < 0)
		table_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_table);
	struct candidate *all = mem_new((conf->certificate_count + 1) * sizeof *all);
	if (try_all(conf, keys, all, faults) == 0) {
		free(all);
		err_say(err, "there is no certificate that can be used");
		return NULL;
	}
	struct sni_table *table = mem_new(sizeof *table);
	table->names = map_new();
	table->held = mem_new(conf->certificate_count * sizeof(SSL_CTX *));
	SSL_CTX *first = choose_names(conf, all, table);
	for (size_t i = 0; i < conf->certificate_count; i++)
		if (all[i].ctx && all[i].ctx != first)
			table->held[table->held_count++] = all[i].ctx;
	free(all);
	if (SSL_CTX_set_ex_data(first, table_index, table) != 1)
		mem_exhausted(sizeof *table);
	SSL_CTX_set_tlsext_servername_callback(first, on_sni);
	SSL_CTX_set_tlsext_servername_arg(first, table);
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
