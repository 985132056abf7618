#include "cert/crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

static OSSL_PROVIDER *loaded[2]; /* ours and the default one */
static size_t loaded_count;

/* Without it OpenSSL's own end leaves them behind, and a leak check complains. */
static void unload(void)
{
	while (loaded_count > 0)
		OSSL_PROVIDER_unload(loaded[--loaded_count]);
}

bool crypto_load(const char *provider)
{
	if (loaded_count == sizeof loaded / sizeof *loaded)
		return false;
	OSSL_PROVIDER *p = OSSL_PROVIDER_load(NULL, provider);
	if (!p)
		return false;
	if (loaded_count == 0)
		OPENSSL_atexit(unload);
	loaded[loaded_count++] = p;
	return true;
}

void crypto_init(void)
{
	static bool done;
	if (done)
		return;
	/* The random generator is seeded here and not at the first handshake behind the walls. Once a
	 * provider is loaded by hand (provider.c) the default one no longer loads by itself. */
	unsigned char seed[1];
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1 || !crypto_load("default") ||
		RAND_bytes(seed, sizeof seed) != 1) {
		char why[CRYPTO_TEXT];
		log_error("crypto.init", "OpenSSL cannot be used: %s", crypto_drain(why));
		abort();
	}
	ERR_clear_error();
	done = true;
}

const char *crypto_drain(char dst[CRYPTO_TEXT])
{
	const char *data = NULL;
	int flags = 0;
	unsigned long e = ERR_peek_error_data(&data, &flags);
	const char *reason = ERR_reason_error_string(e);
	snprintf(dst, CRYPTO_TEXT, "%s", reason ? reason : "unknown reason");
	if (data && *data && (flags & ERR_TXT_STRING)) {
		size_t n = strlen(dst);
		snprintf(dst + n, CRYPTO_TEXT - n, ": %s", data);
	}
	ERR_clear_error();
	return dst;
}
