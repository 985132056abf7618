#include "cert/prove.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "ask/questions.h"
#include "cert/key.h"

enum { ASK_MS = 10 * 1000, SPACES = 64, HASH = 32 };

/* content = 64*64%x20 %s"TLS 1.3, server CertificateVerify" %x00 transcript-hash  RFC 8446 4.4.3
 * No peer sees it, so the hash may be anything. */
static struct str trial_text(void)
{
	static const char context[] = "TLS 1.3, server CertificateVerify";
	static char text[SPACES + sizeof context + HASH];
	memset(text, ' ', SPACES);
	memcpy(text + SPACES, context, sizeof context);
	return str_make(text, sizeof text);
}

/* The digest that TLS 1.3 has for a type of key; empty: none. */
static struct str digest_of(struct str type)
{
	return str_eq(type, STR("ed25519")) ? STR("")
		: str_eq(type, STR("p384"))     ? STR("SHA384")
		: str_eq(type, STR("p521"))     ? STR("SHA512")
										: STR("SHA256");
}

bool prove_signature(EVP_PKEY *key, const struct ask_sign *q, struct str signature)
{
	char digest[32];
	EVP_PKEY_CTX *pkey_ctx = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx &&
		EVP_DigestVerifyInit_ex(ctx, &pkey_ctx,
			q->digest.n ? str_to_c(q->digest, digest, sizeof digest) : NULL, NULL, NULL, key,
			NULL) == 1;
	if (ok && q->pss)
		ok = EVP_PKEY_CTX_set_rsa_padding(pkey_ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
			EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey_ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok &&
		EVP_DigestVerify(ctx, (const unsigned char *)signature.p, signature.n,
			(const unsigned char *)q->text.p, q->text.n) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

int prove_key(EVP_PKEY *public_key, struct ask_link *keys, struct err *err)
{
	char id[KEY_ID_TEXT], type[KEY_TYPE_TEXT];
	struct arena *arena = arena_new();
	struct ask_sign_answer answer = {0};
	struct ask_sign question = {
		.key_id = str_from_c(key_id(public_key, id)),
		.digest = digest_of(str_from_c(key_type(public_key, type))),
		.pss = EVP_PKEY_is_a(public_key, "RSA") == 1,
		.salt_length = RSA_PSS_SALTLEN_DIGEST,
		.text = trial_text(),
	};
	int status = ask_put(keys, ASK_SIGN, xfer_ask_sign, &question, NULL, xfer_ask_sign_answer,
		&answer, NULL, ASK_MS, arena, err);
	if (status == 0 && !prove_signature(public_key, &question, answer.signature))
		status = err_say(err, "the private key is damaged: it does not belong to its public half");
	arena_free(arena);
	return status;
}
