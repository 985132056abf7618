#include "cert/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "base/hex.h"
#include "base/mem.h"
#include "cert/crypto.h"
#include "cert/key.h"
#include "wire/domain_name.h"

enum { NAMES_MAX = 16 * 1024, PEM_CERTIFICATE_MAX = 256 * 1024 };

struct str certificate_string(const ASN1_STRING *s)
{
	return str_make((const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

struct str certificate_name(const X509_NAME *name, struct arena *arena)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	if (!bio)
		mem_exhausted(0);
	if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE) < 0)
		BIO_puts(bio, "(unreadable name)");
	long n = BIO_get_mem_data(bio, &text);
	struct str ret = arena_dup(arena, str_take(str_make(text, (size_t)n), CERTIFICATE_NAME_MAX));
	BIO_free(bio);
	ERR_clear_error();
	return ret;
}

int64_t certificate_time_ms(const ASN1_TIME *t)
{
	struct tm tm;
	if (!t || ASN1_TIME_to_tm(t, &tm) != 1) {
		ERR_clear_error();
		return 0;
	}
	return (int64_t)timegm(&tm) * 1000;
}

char *certificate_thumbprint(const X509 *c, char dst[THUMBPRINT_TEXT])
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	if (X509_digest(c, EVP_sha256(), hash, NULL) != 1)
		mem_exhausted(0); /* the digest itself cannot fail */
	return hex_format(hash, sizeof hash, dst);
}

bool certificate_self_signed(X509 *c)
{
	bool yes = X509_self_signed(c, 1) == 1;
	ERR_clear_error();
	return yes;
}

bool certificate_issued_by(X509 *c, X509 *issuer)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);
	bool yes = key && X509_check_issued(issuer, c) == X509_V_OK && X509_verify(c, key) == 1;
	ERR_clear_error();
	return yes;
}

bool certificate_is_name(struct str s)
{
	return domain_name_dns_ok(str_starts(s, STR("*.")) ? str_skip(s, 2) : s);
}

struct str certificate_names(const X509 *c, struct arena *arena)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(c, NID_subject_alt_name, NULL, NULL);
	struct buf names;
	buf_init(&names, NAMES_MAX);
	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
		if (name->type != GEN_DNS)
			continue;
		struct str s = certificate_string(name->d.dNSName);
		if (!certificate_is_name(s) || names.n + s.n + 1 > NAMES_MAX)
			continue;
		buf_addf(&names, "%s%.*s", names.n ? " " : "", STR_ARG(s));
	}
	GENERAL_NAMES_free(all);
	ERR_clear_error();
	struct str ret = arena_lower(arena, buf_str(&names));
	buf_done(&names);
	return ret;
}

void certificate_facts(X509 *c, struct arena *arena, struct certificate_facts *ret)
{
	char thumbprint[THUMBPRINT_TEXT], id[KEY_ID_TEXT] = "", type[KEY_TYPE_TEXT] = "unknown";
	EVP_PKEY *key = X509_get0_pubkey(c);
	if (key) {
		key_id(key, id);
		key_type(key, type);
	}
	*ret = (struct certificate_facts){
		.names = certificate_names(c, arena),
		.subject = certificate_name(X509_get_subject_name(c), arena),
		.issuer = certificate_name(X509_get_issuer_name(c), arena),
		.thumbprint = arena_dup(arena, str_from_c(certificate_thumbprint(c, thumbprint))),
		.key_id = arena_dup(arena, str_from_c(id)),
		.key_type = arena_dup(arena, str_from_c(type)),
		.not_before_ms = certificate_time_ms(X509_get0_notBefore(c)),
		.not_after_ms = certificate_time_ms(X509_get0_notAfter(c)),
		.self_signed = certificate_self_signed(c),
	};
	ERR_clear_error();
}

/* ---- PEM ---- */

STACK_OF(X509) * certificate_read_list(struct str pem, int max, struct err *err)
{
	STACK_OF(X509) *list = sk_X509_new_null();
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (!list || !bio)
		mem_exhausted(0);
	X509 *c;
	while (sk_X509_num(list) <= max && (c = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		if (sk_X509_push(list, c) == 0)
			mem_exhausted(0);
	BIO_free(bio);
	/* "No start line" is how the reader says that there is nothing more. */
	unsigned long e = ERR_peek_last_error();
	bool clean = e == 0 || ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
	int n = sk_X509_num(list);
	char why[CRYPTO_TEXT];
	crypto_drain(why);
	if (n > 0 && n <= max && clean)
		return list;
	certificate_free_list(list);
	if (n > max)
		err_say(err, "more than %d certificates", max);
	else if (!clean)
		err_say(err, "certificate %d is damaged (%s)", n + 1, why);
	else
		err_say(err, "no certificate in it");
	return NULL;
}

void certificate_free_list(STACK_OF(X509) * list)
{
	sk_X509_pop_free(list, X509_free);
}

int certificate_write(X509 *c, struct buf *out, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	if (!bio)
		mem_exhausted(0);
	char *text = NULL, why[CRYPTO_TEXT];
	bool ok = PEM_write_bio_X509(bio, c) == 1;
	long n = BIO_get_mem_data(bio, &text);
	ok = ok && n <= PEM_CERTIFICATE_MAX && buf_add(out, str_make(text, (size_t)n));
	BIO_free(bio);
	crypto_drain(why);
	return ok ? 0 : err_say(err, "the certificate cannot be written (%s)", why);
}
