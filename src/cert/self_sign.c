#include "cert/self_sign.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "cert/crypto.h"
#include "cert/name.h"
#include "wire/domain_name.h"

enum { COMMON_NAME_MAX = 64, SERIAL_BYTES = 16, HOUR = 3600, DAY = 86400 };

/* Extensions are built as structs, never from text: a name cannot smuggle in another one. */
static bool add_san(X509 *c, struct str name, bool critical)
{
	struct ip address;
	bool literal = name_is_address(name, &address);
	struct str bytes = literal ? ip_bytes(&address) : name;
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *san = GENERAL_NAME_new();
	ASN1_STRING *value = ASN1_STRING_type_new(literal ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
	bool ok = names && san && value && ASN1_STRING_set(value, bytes.p, (int)bytes.n);
	if (ok) {
		GENERAL_NAME_set0_value(san, literal ? GEN_IPADD : GEN_DNS, value);
		value = NULL;
		ok = sk_GENERAL_NAME_push(names, san) > 0;
	}
	if (ok) {
		san = NULL;
		ok = X509_add1_ext_i2d(c, NID_subject_alt_name, names, critical, X509V3_ADD_DEFAULT) == 1;
	}
	ASN1_STRING_free(value);
	GENERAL_NAME_free(san);
	GENERAL_NAMES_free(names);
	return ok;
}

static bool add_usage(X509 *c)
{
	BASIC_CONSTRAINTS *no_authority = BASIC_CONSTRAINTS_new();
	ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
	EXTENDED_KEY_USAGE *extended = EXTENDED_KEY_USAGE_new();
	bool ok = no_authority && usage && extended &&
		ASN1_BIT_STRING_set_bit(usage, 0, 1) == 1 && /* digitalSignature */
		sk_ASN1_OBJECT_push(extended, OBJ_nid2obj(NID_server_auth)) > 0 &&
		X509_add1_ext_i2d(c, NID_basic_constraints, no_authority, 1, 0) == 1 &&
		X509_add1_ext_i2d(c, NID_key_usage, usage, 1, 0) == 1 &&
		X509_add1_ext_i2d(c, NID_ext_key_usage, extended, 0, 0) == 1;
	BASIC_CONSTRAINTS_free(no_authority);
	ASN1_BIT_STRING_free(usage);
	EXTENDED_KEY_USAGE_free(extended);
	return ok;
}

/* Positive, unpredictable, below 2^127 (RFC 5280 4.1.2.2). */
static bool set_serial(X509 *c)
{
	unsigned char bytes[SERIAL_BYTES];
	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return false;
	bytes[0] = (bytes[0] & 0x7f) | 0x40;
	BIGNUM *n = BN_bin2bn(bytes, sizeof bytes, NULL);
	bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(c));
	BN_free(n);
	return ok;
}

static bool set_names(X509 *c, struct str name)
{
	X509_NAME *subject = X509_get_subject_name(c);
	bool short_enough = name.n <= COMMON_NAME_MAX;
	if (short_enough &&
		X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
			(const unsigned char *)name.p, (int)name.n, -1, 0) != 1)
		return false;
	/* Without a subject subjectAltName is critical (RFC 5280 4.2.1.6). */
	return X509_set_issuer_name(c, subject) == 1 && add_san(c, name, !short_enough);
}

static bool is_host_or_address(struct str name)
{
	struct ip address;
	return name_is_address(name, &address) || domain_name_dns_ok(name);
}

X509 *self_sign(EVP_PKEY *key, struct str name, uint32_t days, struct err *err)
{
	if (!is_host_or_address(name)) {
		err_say(err, "\"%.*s\" is no host name", STR_ARG(str_take(name, 64)));
		return NULL;
	}
	const EVP_MD *digest = EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256();
	time_t from = (time_t)(clock_wall_ms() / 1000) - HOUR;
	X509 *c = X509_new();
	bool ok = c && X509_set_version(c, X509_VERSION_3) == 1 && set_serial(c) &&
		ASN1_TIME_set(X509_getm_notBefore(c), from) &&
		ASN1_TIME_set(X509_getm_notAfter(c), from + (time_t)days * DAY) &&
		X509_set_pubkey(c, key) == 1 && set_names(c, name) && add_usage(c) &&
		X509_sign(c, key, digest) > 0;
	char why[CRYPTO_TEXT];
	crypto_drain(why);
	if (ok)
		return c;
	X509_free(c);
	err_temp(err, NULL, "the certificate cannot be made: %s", why);
	return NULL;
}
