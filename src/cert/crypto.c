#include "cert/crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

enum { LOCKED_BLOCK = 32 };

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

static void *take(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return malloc(size); /* style: the library copes with none */
}

static void *resize(void *p, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return mem_wiping_resize(p, size);
}

static void give_back(void *p, const char *file, int line)
{
	(void)file, (void)line;
	mem_wiping_free(p);
}

bool crypto_guard(void)
{
	int locked = CRYPTO_set_mem_functions(take, resize, give_back)
		? CRYPTO_secure_malloc_init(CRYPTO_LOCKED, LOCKED_BLOCK)
		: 0;
	if (!locked) {
		log_error("crypto.guard", "OpenSSL's memory cannot be guarded");
		abort();
	}
	return locked == 1;
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
