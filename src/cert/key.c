#include "cert/key.h"

#include <openssl/bio.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "base/hex.h"
#include "base/mem.h"
#include "cert/crypto.h"

static const struct {
	const char *group; /* as OpenSSL calls it */
	const char *type;
} curves[] = {
	{"prime256v1", "p256"},
	{"secp384r1", "p384"},
	{"secp521r1", "p521"},
};

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 4096 };

char *key_id(const EVP_PKEY *key, char dst[KEY_ID_TEXT])
{
	unsigned char *der = NULL, hash[SHA256_DIGEST_LENGTH];
	int n = i2d_PUBKEY(key, &der);
	if (n <= 0)
		mem_exhausted(0); /* every key we hold has a public half: only memory can be missing */
	SHA256(der, (size_t)n, hash);
	OPENSSL_free(der);
	return hex_format(hash, sizeof hash, dst);
}

bool key_id_valid(struct str s)
{
	return hex_ok(s, SHA256_DIGEST_LENGTH);
}

static const char *curve_type(const EVP_PKEY *key)
{
	char group[64];
	size_t n;
	if (EVP_PKEY_get_group_name(key, group, sizeof group, &n) != 1)
		return NULL;
	for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
		if (!strcmp(group, curves[i].group))
			return curves[i].type;
	return NULL;
}

char *key_type(const EVP_PKEY *key, char dst[KEY_TYPE_TEXT])
{
	const char *curve = EVP_PKEY_is_a(key, "EC") ? curve_type(key) : NULL;
	const char *name = EVP_PKEY_get0_type_name(key);
	if (curve)
		snprintf(dst, KEY_TYPE_TEXT, "%s", curve);
	else if (EVP_PKEY_is_a(key, "RSA"))
		snprintf(dst, KEY_TYPE_TEXT, "rsa%d", EVP_PKEY_get_bits(key));
	else
		snprintf(dst, KEY_TYPE_TEXT, "%.*s", KEY_TYPE_TEXT - 1, name ? name : "unknown");
	str_lower(str_from_c(dst), dst);
	ERR_clear_error();
	return dst;
}

/* ---- reading ---- */

struct passphrase {
	struct str text;
	bool asked;
};

/* OpenSSL's own default would ask at the terminal. */
static int give_passphrase(char *dst, int size, int writing, void *arg)
{
	struct passphrase *p = arg;
	(void)writing;
	p->asked = true;
	if (p->text.n == 0 || p->text.n > (size_t)size)
		return -1;
	memcpy(dst, p->text.p, p->text.n);
	return (int)p->text.n;
}

EVP_PKEY *key_read(struct str bytes, struct str passphrase, struct err *err)
{
	if (bytes.n > KEY_FILE_MAX) {
		err_say(err, "%zu bytes are too long for a private key", bytes.n);
		return NULL;
	}
	EVP_PKEY *key = NULL;
	struct passphrase pass = {.text = passphrase};
	const unsigned char *at = (const unsigned char *)bytes.p;
	size_t left = bytes.n;
	OSSL_DECODER_CTX *decoder = OSSL_DECODER_CTX_new_for_pkey(
		&key, NULL, NULL, NULL, OSSL_KEYMGMT_SELECT_PRIVATE_KEY, NULL, NULL);
	bool ok = decoder && OSSL_DECODER_CTX_set_pem_password_cb(decoder, give_passphrase, &pass) &&
		OSSL_DECODER_from_data(decoder, &at, &left) == 1;
	OSSL_DECODER_CTX_free(decoder);
	char why[CRYPTO_TEXT];
	crypto_drain(why);
	if (ok && key)
		return key;
	EVP_PKEY_free(key);
	if (pass.asked && passphrase.n == 0)
		err_say(err,
			"the private key is encrypted: give its passphrase, or decrypt it with "
			"\"openssl pkey -in FILE -out NEWFILE\"");
	else if (pass.asked)
		err_say(err, "the passphrase does not open the private key");
	else
		err_say(err, "no private key can be read from it (%s)", why);
	return NULL;
}

int key_check(const EVP_PKEY *key, struct err *err)
{
	char type[KEY_TYPE_TEXT];
	if (EVP_PKEY_is_a(key, "RSA")) {
		int bits = EVP_PKEY_get_bits(key);
		if (bits < RSA_BITS_MIN)
			return err_say(err,
				"an RSA key of %d bits is too weak: it can be broken, and peers refuse it; make "
				"one of at least %d bits, or a P-256 key, and get a new certificate for it",
				bits, RSA_BITS_MIN);
		if (bits > RSA_BITS_MAX)
			return err_say(err,
				"an RSA key of %d bits is too long: each handshake would take too much time; use "
				"at most %d bits",
				bits, RSA_BITS_MAX);
		return 0;
	}
	if (EVP_PKEY_is_a(key, "ED25519"))
		return 0;
	bool known = EVP_PKEY_is_a(key, "EC") && curve_type(key);
	ERR_clear_error();
	if (known)
		return 0;
	return err_say(err,
		"keys of the kind \"%s\" are not supported: use P-256, P-384, P-521, RSA or Ed25519",
		key_type(key, type));
}

/* ---- writing ---- */

int key_write(const EVP_PKEY *key, struct buf *out, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char why[CRYPTO_TEXT], *text = NULL;
	bool ok = bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
	long n = ok ? BIO_get_mem_data(bio, &text) : 0;
	/* Room is asked for beforehand, so that no piece of the key is left behind by a growing buffer. */
	char *to = ok ? buf_reserve(out, (size_t)n) : NULL;
	if (to) {
		memcpy(to, text, (size_t)n);
		out->n += (size_t)n;
	}
	if (text)
		mem_wipe(text, (size_t)n);
	BIO_free(bio);
	crypto_drain(why);
	return to ? 0 : err_say(err, "the private key cannot be written (%s)", why);
}

void key_wipe(struct buf *b)
{
	if (b->cap)
		mem_wipe(b->p, b->cap);
	buf_done(b);
}
