/* test_pki: a certificate authority in a few lines, for tests. Everything fails loudly. */
#ifndef CERT_TEST_PKI_H
#define CERT_TEST_PKI_H

#include <assert.h>
#include <dirent.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cert/crypto.h"

struct pki_pair {
	X509 *c;
	EVP_PKEY *key;
};

struct pki_wish {
	const char *cn;
	const char *san;               /* as in openssl.cnf: "DNS:a.example,IP:192.0.2.1"; NULL: none */
	const char *type;              /* "p256" (NULL), "p384", "rsa1024", "rsa2048", "ed25519" */
	const struct pki_pair *issuer; /* NULL: itself */
	EVP_PKEY *key;                 /* NULL: a new one */
	bool authority;
	bool bare;              /* without key identifiers: names alone connect it */
	int from_days, to_days; /* from now; both 0: a month ago to in two months */
	const char *organisation;
	const char *usage;   /* extendedKeyUsage; NULL: none */
	const char *digest;  /* NULL: SHA256, or what the key wants */
	const char *address; /* of the issuer's certificate (authorityInfoAccess) */
};

static inline EVP_PKEY *pki_key(const char *type)
{
	if (type && !strcmp(type, "ed25519"))
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (type && !strncmp(type, "rsa", 3))
		return EVP_RSA_gen((unsigned)strtol(type + 3, NULL, 10));
	return EVP_EC_gen(type && !strcmp(type, "p384") ? "P-384" : "P-256");
}

static inline void pki_extension(X509 *c, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, c, NULL, NULL, 0);
	X509_EXTENSION *e = value ? X509V3_EXT_conf_nid(NULL, &ctx, nid, value) : NULL;
	assert(!value || (e && X509_add_ext(c, e, -1) == 1));
	X509_EXTENSION_free(e);
}

static inline struct pki_pair pki_make(struct pki_wish w)
{
	static long serial = 1;
	crypto_init();
	struct pki_pair made = {.c = X509_new(), .key = w.key ? w.key : pki_key(w.type)};
	if (w.key)
		EVP_PKEY_up_ref(w.key);
	const struct pki_pair *issuer = w.issuer ? w.issuer : &made;
	if (!w.from_days && !w.to_days) {
		w.from_days = -30;
		w.to_days = 60;
	}
	time_t now = (time_t)(clock_wall_ms() / 1000);
	X509_set_version(made.c, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(made.c), serial++);
	ASN1_TIME_set(X509_getm_notBefore(made.c), now + w.from_days * 86400L);
	ASN1_TIME_set(X509_getm_notAfter(made.c), now + w.to_days * 86400L);
	X509_NAME *subject = X509_get_subject_name(made.c);
	if (w.organisation)
		X509_NAME_add_entry_by_txt(
			subject, "O", MBSTRING_UTF8, (const unsigned char *)w.organisation, -1, -1, 0);
	X509_NAME_add_entry_by_txt(
		subject, "CN", MBSTRING_UTF8, (const unsigned char *)w.cn, -1, -1, 0);
	X509_set_issuer_name(made.c, X509_get_subject_name(issuer->c));
	X509_set_pubkey(made.c, made.key);
	pki_extension(made.c, issuer->c, NID_basic_constraints,
		w.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
	pki_extension(
		made.c, issuer->c, NID_key_usage, w.authority ? "critical,keyCertSign,cRLSign" : NULL);
	pki_extension(made.c, issuer->c, NID_subject_key_identifier, w.bare ? NULL : "hash");
	pki_extension(
		made.c, issuer->c, NID_authority_key_identifier, w.issuer && !w.bare ? "keyid" : NULL);
	pki_extension(made.c, issuer->c, NID_subject_alt_name, w.san);
	pki_extension(made.c, issuer->c, NID_ext_key_usage, w.usage);
	pki_extension(made.c, issuer->c, NID_info_access, w.address);
	const EVP_MD *digest = EVP_PKEY_is_a(issuer->key, "ED25519")
		? NULL
		: EVP_get_digestbyname(w.digest ? w.digest : "SHA256");
	int signed_bytes = X509_sign(made.c, issuer->key, digest);
	assert(signed_bytes > 0);
	/* Fresh from its bytes, as everybody else meets it. */
	X509 *read = X509_dup(made.c);
	X509_free(made.c);
	made.c = read;
	ERR_clear_error();
	return made;
}

/* With the files in it. */
static inline void pki_remove_folder(const char *path)
{
	DIR *d = opendir(path);
	for (const struct dirent *e; d && (e = readdir(d));)
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(path);
}

static inline void pki_free(struct pki_pair *p)
{
	X509_free(p->c);
	EVP_PKEY_free(p->key);
}

static inline void pki_add_pem(struct buf *out, const struct pki_pair *p)
{
	char *text;
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, p->c);
	long n = BIO_get_mem_data(bio, &text);
	buf_add(out, str_make(text, (size_t)n));
	BIO_free(bio);
}

static inline void pki_add_key(struct buf *out, const EVP_PKEY *key)
{
	char *text;
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	long n = BIO_get_mem_data(bio, &text);
	buf_add(out, str_make(text, (size_t)n));
	BIO_free(bio);
}

#endif
