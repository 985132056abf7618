/* A pile of files: text, or PEM blocks of every label around known certificates and keys with bytes
 * changed, or around any bytes. What is taken is one chain with its key, in order, whatever the order
 * of the files was; what is not is refused with a reason.
 *
 *   input = *block
 *   block = u8 label (128: a new file begins here; 64: CRLF; 32: no END line),
 *           u8 what (certificates, then keys, then: own bytes), spoiling or slice */
#include <openssl/pkcs12.h>

#include "cert/certificate.h"
#include "cert/fuzz_pki.h"
#include "cert/key.h"
#include "cert/pile.h"

enum { FILES = 4, BLOCKS = 24, CERTIFICATES = 7, KEYS = 6, FILE_MAX = 1 << 20 };
enum { NEW_FILE = 128, CRLF = 64, NO_END = 32 };

static const char *const labels[] = {NULL, "CERTIFICATE", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY",
	"EC PRIVATE KEY", "RSA PRIVATE KEY", "X509 CERTIFICATE", "TRUSTED CERTIFICATE", "PKCS7",
	"NEW CERTIFICATE REQUEST", "EC PARAMETERS", "SOMETHING ELSE"};

/* The key of fuzz_key(), as PKCS#8; number 0 encrypted, by few rounds. */
static struct str known_key(unsigned number, struct arena *arena)
{
	static struct str encrypted;
	unsigned char *der = NULL;
	EVP_PKEY *key = fuzz_key(number ? (uint8_t)number : 3);
	PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(key);
	int n = i2d_PKCS8_PRIV_KEY_INFO(plain, &der);
	if (number == 0 && !encrypted.p) {
		/* An old way, because it has no random start: the same bytes in every run. */
		X509_SIG *sealed = PKCS8_encrypt(NID_pbe_WithSHA1And3_Key_TripleDES_CBC, NULL,
			"open sesame", 11, (unsigned char *)"saltsalt", 8, 10, plain);
		unsigned char *out = NULL;
		int length = i2d_X509_SIG(sealed, &out);
		encrypted = str_make((char *)out, (size_t)length);
		X509_SIG_free(sealed);
	}
	struct str ret = arena_dup(arena, number ? str_make((char *)der, (size_t)n) : encrypted);
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(plain);
	EVP_PKEY_free(key);
	return ret;
}

static struct str take_content(struct str *script, struct arena *arena)
{
	unsigned what = fuzz_byte(script) % (CERTIFICATES + KEYS + 1);
	if (what == CERTIFICATES + KEYS)
		return fuzz_slice(script);
	struct str der = what < CERTIFICATES ? fuzz_pki_certificate(what, arena)
										 : known_key(what - CERTIFICATES, arena);
	fuzz_spoil(der, script);
	return der;
}

static void add_block(struct buf *file, uint8_t what, struct str content, struct arena *arena)
{
	const char *label = labels[what % NO_END % (sizeof labels / sizeof *labels)];
	const char *end = what & CRLF ? "\r\n" : "\n";
	if (!label) {
		buf_add(file, content);
		return;
	}
	char *base64 = arena_alloc(arena, content.n / 3 * 4 + 5);
	EVP_EncodeBlock((unsigned char *)base64, (const unsigned char *)content.p, (int)content.n);
	buf_addf(file, "-----BEGIN %s-----%s", label, end);
	for (struct str rest = str_from_c(base64); rest.n > 0; rest = str_skip(rest, 64))
		buf_addf(file, "%.*s%s", STR_ARG(str_take(rest, 64)), end);
	if (!(what & NO_END))
		buf_addf(file, "-----END %s-----%s", label, end);
}

static size_t take_files(struct str *script, struct arena *arena, struct buf files[FILES])
{
	size_t n = 0;
	for (int i = 0; i < FILES; i++)
		buf_init(&files[i], FILE_MAX);
	for (int i = 0; script->n > 0 && i < BLOCKS; i++) {
		uint8_t what = fuzz_byte(script);
		if ((what & NEW_FILE) && n + 1 < FILES && files[n].n > 0)
			n++;
		add_block(&files[n], what, take_content(script, arena), arena);
	}
	return n + 1;
}

/* The leaf has the key, each certificate was signed by the next, and the key reads back. */
static void check_pile(const struct pile *pile)
{
	struct err err;
	char id[KEY_ID_TEXT];
	STACK_OF(X509) *chain = certificate_read_list(pile->chain, CHAIN_MAX, &err);
	assert(chain);
	EVP_PKEY *key = key_read(buf_str(&pile->key), STR(""), &err);
	assert(key && str_eq(str_from_c(key_id(key, id)), pile->facts.key_id));
	assert(EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(chain, 0)), key) == 1);
	for (int i = 1; i < sk_X509_num(chain); i++)
		assert(certificate_issued_by(sk_X509_value(chain, i - 1), sk_X509_value(chain, i)));
	assert(pile->summary.n > 0 && str_find(pile->summary, '\n') < 0);
	EVP_PKEY_free(key);
	certificate_free_list(chain);
}

static bool try_pile(const struct pile_part *parts, size_t n, struct arena *arena, struct pile *ret)
{
	struct err err;
	err_clear(&err);
	if (pile_read(parts, n, STR("open sesame"), arena, ret, &err) == 0) {
		check_pile(ret);
		return true;
	}
	assert(err.kind != ERR_NONE && err.log[0]);
	for (const char *p = err.log; *p; p++)
		assert(!ascii_is_control(*p));
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct str names[FILES] = {{"one", 3}, {"two", 3}, {"three", 5}, {"four", 4}};
	struct str script = str_make((const char *)data, size);
	struct arena *arena = arena_new();
	struct buf files[FILES];
	struct pile_part parts[FILES], turned[FILES];
	struct pile pile, again;
	fuzz_pki();
	size_t n = take_files(&script, arena, files);
	for (size_t i = 0; i < n; i++) {
		parts[i] = (struct pile_part){names[i], buf_str(&files[i])};
		turned[n - 1 - i] = parts[i];
	}
	bool good = try_pile(parts, n, arena, &pile);
	assert(try_pile(turned, n, arena, &again) == good);
	if (good) {
		assert(str_eq(pile.facts.key_id, again.facts.key_id));
		pile_done(&pile);
		pile_done(&again);
	}
	assert(ERR_peek_error() == 0);
	for (int i = 0; i < FILES; i++)
		buf_done(&files[i]);
	arena_free(arena);
	return 0;
}
