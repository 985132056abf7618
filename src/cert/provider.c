#include "cert/provider.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "ask/ask_keys.h"
#include "ask/questions.h"
#include "base/log.h"
#include "base/mem.h"
#include "cert/crypto.h"
#include "cert/key.h"

enum { SIGN_TIMEOUT_MS = 10 * 1000, DIGEST_TEXT = 24 };

/* Parameters of provider_key() on their way through EVP_PKEY_fromdata(). */
#define PARAM_SPKI "letterlock-spki"
#define PARAM_LINK "letterlock-link"

/* ---- keys ------------------------------------------------------------------------------------- */

struct remote_key {
	struct ask_link **link;
	EVP_PKEY *public_key; /* of the default provider: answers all questions about parameters */
	char id[KEY_ID_TEXT];
};

static void *key_new(void *provider)
{
	(void)provider;
	return mem_new(sizeof(struct remote_key));
}

static void key_free(void *key)
{
	struct remote_key *k = key;
	if (!k)
		return;
	EVP_PKEY_free(k->public_key);
	free(k);
}

/* libssl wants to hear that the private half is there; that it cannot be had is key_export()'s. */
static int key_has(const void *key, int selection)
{
	(void)selection;
	return key && ((const struct remote_key *)key)->public_key;
}

static int key_match(const void *a, const void *b, int selection)
{
	(void)selection;
	return EVP_PKEY_eq(((const struct remote_key *)a)->public_key,
			   ((const struct remote_key *)b)->public_key) == 1;
}

static int key_import(void *key, int selection, const OSSL_PARAM params[])
{
	(void)selection;
	struct remote_key *k = key;
	const OSSL_PARAM *spki = OSSL_PARAM_locate_const(params, PARAM_SPKI);
	const OSSL_PARAM *link = OSSL_PARAM_locate_const(params, PARAM_LINK);
	const void *pointer;
	size_t n;
	if (!spki || !link || !OSSL_PARAM_get_octet_ptr(link, &pointer, &n))
		return 0;
	const unsigned char *der = spki->data;
	k->public_key = d2i_PUBKEY(NULL, &der, (long)spki->data_size);
	if (!k->public_key)
		return 0;
	k->link = (struct ask_link **)(uintptr_t)pointer;
	key_id(k->public_key, k->id);
	return 1;
}

static const OSSL_PARAM *key_import_types(int selection)
{
	static const OSSL_PARAM types[] = {OSSL_PARAM_octet_string(PARAM_SPKI, NULL, 0),
		OSSL_PARAM_octet_ptr(PARAM_LINK, NULL, 0), OSSL_PARAM_END};
	(void)selection;
	return types;
}

/* The refusal is what brings signatures here: libssl first tries to move the key into the default
 * provider. */
static int key_export(void *key, int selection, OSSL_CALLBACK *take, void *arg)
{
	if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY)
		return 0;
	return EVP_PKEY_export(((struct remote_key *)key)->public_key, selection, take, arg);
}

static const OSSL_PARAM *key_export_types(int selection)
{
	static const OSSL_PARAM nothing[] = {OSSL_PARAM_END};
	/* What comes out is what the default provider says of the public half. */
	static const OSSL_PARAM public_half[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0), OSSL_PARAM_END};
	return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? nothing : public_half;
}

static int key_get_params(void *key, OSSL_PARAM params[])
{
	return EVP_PKEY_get_params(((struct remote_key *)key)->public_key, params);
}

static const OSSL_PARAM *key_gettable_params(void *provider)
{
	static const OSSL_PARAM table[] = {OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, NULL, 0),
		OSSL_PARAM_END};
	(void)provider;
	return table;
}

static const char *ec_operation_name(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : "EC";
}

/* ---- signatures ------------------------------------------------------------------------------- */

struct signing {
	const struct remote_key *key;
	char digest[DIGEST_TEXT]; /* empty: none (Ed25519) */
	bool pss;
	int salt_length;
};

static void *sign_new(void *provider, const char *properties)
{
	(void)provider, (void)properties;
	struct signing *s = mem_new(sizeof *s);
	s->salt_length = RSA_PSS_SALTLEN_DIGEST;
	return s;
}

static void sign_free(void *context)
{
	free(context);
}

static void *sign_dup(void *context)
{
	struct signing *s = mem_new(sizeof *s);
	*s = *(struct signing *)context;
	return s;
}

/* Padding and salt length come as numbers or, from libssl, as words. */
static int sign_set_params(void *context, const OSSL_PARAM params[])
{
	struct signing *s = context;
	const OSSL_PARAM *p =
		params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE) : NULL;
	if (p && p->data_type == OSSL_PARAM_UTF8_STRING) {
		s->pss = strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
	} else if (p) {
		int padding;
		if (!OSSL_PARAM_get_int(p, &padding))
			return 0;
		s->pss = padding == RSA_PKCS1_PSS_PADDING;
	}
	p = params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN) : NULL;
	if (p && p->data_type == OSSL_PARAM_UTF8_STRING)
		return strcmp(p->data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0 &&
			(s->salt_length = RSA_PSS_SALTLEN_DIGEST, 1);
	return !p || OSSL_PARAM_get_int(p, &s->salt_length);
}

static const OSSL_PARAM *sign_settable_params(void *context, void *provider)
{
	static const OSSL_PARAM table[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0), OSSL_PARAM_END};
	(void)context, (void)provider;
	return table;
}

static int sign_init(void *context, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct signing *s = context;
	if (key)
		s->key = key;
	/* libssl says "SHA2-256" where everybody else says "SHA256". */
	struct str name = str_from_c(digest);
	bool long_name = str_starts(name, STR("SHA2-"));
	snprintf(s->digest, sizeof s->digest, "%s%.*s", long_name ? "SHA" : "",
		STR_ARG(str_skip(name, long_name ? 5 : 0)));
	return s->key && sign_set_params(s, params);
}

/* The one place that waits. Errors of other calls that are still queued go: they would meet another
 * fiber. */
static int ask_keys(const struct signing *s, struct str text, struct arena *arena,
	struct ask_sign_answer *ret, struct err *err)
{
	struct ask_sign question = {
		.key_id = str_from_c(s->key->id),
		.digest = str_from_c(s->digest),
		.pss = s->pss,
		.salt_length = s->salt_length,
		.text = text,
	};
	ERR_clear_error();
	return ask_put(*s->key->link, ASK_SIGN, xfer_ask_sign, &question, NULL, xfer_ask_sign_answer,
		ret, NULL, SIGN_TIMEOUT_MS, arena, err);
}

static int sign_digest_sign(void *context, unsigned char *signature, size_t *n, size_t max,
	const unsigned char *text, size_t text_n)
{
	const struct signing *s = context;
	if (!signature) {
		*n = (size_t)EVP_PKEY_get_size(s->key->public_key);
		return 1;
	}
	if (text_n > SIGN_TEXT_MAX)
		return 0;
	struct arena *arena = arena_new();
	struct ask_sign_answer answer = {0};
	struct err err;
	int ok = 0;
	if (ask_keys(s, str_make((const char *)text, text_n), arena, &answer, &err) != 0) {
		ERR_raise_data(ERR_LIB_USER, ERR_R_OPERATION_FAIL, "keys: %s", err.log);
	} else if (answer.signature.n > 0 && answer.signature.n <= max) {
		memcpy(signature, answer.signature.p, answer.signature.n);
		*n = answer.signature.n;
		ok = 1;
	}
	arena_free(arena);
	return ok;
}

/* ---- the tables ------------------------------------------------------------------------------- */

#define ENTRY(id, function)                        \
	{                                              \
		OSSL_FUNC_##id, (void (*)(void))(function) \
	}
#define KEY_ENTRIES                                                                               \
	ENTRY(KEYMGMT_NEW, key_new), ENTRY(KEYMGMT_FREE, key_free), ENTRY(KEYMGMT_HAS, key_has),      \
		ENTRY(KEYMGMT_MATCH, key_match), ENTRY(KEYMGMT_IMPORT, key_import),                       \
		ENTRY(KEYMGMT_IMPORT_TYPES, key_import_types), ENTRY(KEYMGMT_EXPORT, key_export),         \
		ENTRY(KEYMGMT_EXPORT_TYPES, key_export_types), ENTRY(KEYMGMT_GET_PARAMS, key_get_params), \
		ENTRY(KEYMGMT_GETTABLE_PARAMS, key_gettable_params)

static const OSSL_DISPATCH key_functions[] = {KEY_ENTRIES, {0, NULL}};
static const OSSL_DISPATCH ec_functions[] = {
	KEY_ENTRIES, ENTRY(KEYMGMT_QUERY_OPERATION_NAME, ec_operation_name), {0, NULL}};
static const OSSL_DISPATCH sign_functions[] = {
	ENTRY(SIGNATURE_NEWCTX, sign_new),
	ENTRY(SIGNATURE_FREECTX, sign_free),
	ENTRY(SIGNATURE_DUPCTX, sign_dup),
	ENTRY(SIGNATURE_DIGEST_SIGN_INIT, sign_init),
	ENTRY(SIGNATURE_DIGEST_SIGN, sign_digest_sign),
	ENTRY(SIGNATURE_SET_CTX_PARAMS, sign_set_params),
	ENTRY(SIGNATURE_SETTABLE_CTX_PARAMS, sign_settable_params),
	{0, NULL},
};

#define PROPERTIES "provider=letterlock"
static const OSSL_ALGORITHM key_algorithms[] = {
	{"RSA:rsaEncryption", PROPERTIES, key_functions, "RSA key held by keys"},
	{"EC:id-ecPublicKey", PROPERTIES, ec_functions, "EC key held by keys"},
	{"ED25519", PROPERTIES, key_functions, "Ed25519 key held by keys"},
	{NULL, NULL, NULL, NULL},
};
static const OSSL_ALGORITHM sign_algorithms[] = {
	{"RSA:rsaEncryption", PROPERTIES, sign_functions, "RSA signature made by keys"},
	{"ECDSA", PROPERTIES, sign_functions, "ECDSA signature made by keys"},
	{"ED25519", PROPERTIES, sign_functions, "Ed25519 signature made by keys"},
	{NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
	(void)provider;
	*no_cache = 0;
	switch (operation) {
	case OSSL_OP_KEYMGMT:
		return key_algorithms;
	case OSSL_OP_SIGNATURE:
		return sign_algorithms;
	default:
		return NULL;
	}
}

static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
	void **ret_provider)
{
	static const OSSL_DISPATCH functions[] = {ENTRY(PROVIDER_QUERY_OPERATION, query), {0, NULL}};
	(void)in;
	*out = functions;
	*ret_provider = (void *)(uintptr_t)handle;
	return 1;
}

void provider_load(void)
{
	static bool done;
	if (done)
		return;
	crypto_init();
	if (!OSSL_PROVIDER_add_builtin(NULL, "letterlock", init) || !crypto_load("letterlock")) {
		char why[CRYPTO_TEXT];
		log_error("crypto.init", "the key provider cannot be loaded: %s", crypto_drain(why));
		abort();
	}
	ERR_clear_error();
	done = true;
}

EVP_PKEY *provider_key(const EVP_PKEY *public_key, struct ask_link **link, struct err *err)
{
	provider_load();
	EVP_PKEY *key = NULL;
	unsigned char *spki = NULL;
	int n = i2d_PUBKEY(public_key, &spki);
	const char *type = EVP_PKEY_get0_type_name(public_key);
	EVP_PKEY_CTX *ctx = type ? EVP_PKEY_CTX_new_from_name(NULL, type, PROPERTIES) : NULL;
	void *pointer = link;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(PARAM_SPKI, spki, n > 0 ? (size_t)n : 0),
		OSSL_PARAM_construct_octet_ptr(PARAM_LINK, &pointer, sizeof *link),
		OSSL_PARAM_construct_end(),
	};
	if (n <= 0 || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1) {
		char why[CRYPTO_TEXT];
		err_say(err, "no handle for a key of type %s (%s)", type ? type : "?", crypto_drain(why));
		key = NULL;
	}
	EVP_PKEY_CTX_free(ctx);
	OPENSSL_free(spki);
	ERR_clear_error();
	return key;
}
