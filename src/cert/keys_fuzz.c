/* What roles may ask of `keys`: signatures, self-signed certificates, and private keys to be kept.
 * Whatever is asked, a signature comes only under the text of a handshake, in a way that TLS has, and
 * verifies; a key that was kept bears its id and signs; refusals have a reason.
 *
 *   input    = *question
 *   question = u8 (0 sign, 1 put, 2 self-sign, 3 make), then
 *              sign: u8 key, u8 digest, u8 pss and salt, slice tail (128: a real text stands before)
 *              put: u8 which key (from 4: own bytes), spoiling or slice
 *              self-sign: u8 key, u8 days, slice name       make: slice type */
#include <fcntl.h>

#include "cert/fuzz_pki.h"
#include "cert/key.h"
#include "cert/keys.h"
#include "cert/prove.h"
#include "cert/sign_rule.h"

enum { KEYS = 4, QUESTIONS = 8 };

/* One folder for all runs, with the same three keys in it at the beginning of each. */
static struct {
	char folder[64];
	struct keys *keys;
	char id[KEYS][KEY_ID_TEXT];
	EVP_PKEY *key[KEYS]; /* Ed25519, P-256, RSA, one that `keys` does not have */
} world;

static void remove_world(void)
{
	keys_close(world.keys);
	for (int i = 0; i < KEYS; i++)
		EVP_PKEY_free(world.key[i]);
	pki_remove_folder(world.folder);
}

static void open_keys(void)
{
	struct err err;
	world.keys = keys_open(open(world.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), &err);
	assert(world.keys);
}

static void make_world(void)
{
	struct err err;
	fuzz_pki();
	snprintf(world.folder, sizeof world.folder, "/dev/shm/letterlock-keys-fuzz-XXXXXX");
	assert(mkdtemp(world.folder));
	open_keys();
	world.key[0] = fuzz_key(7);
	world.key[1] = pki_key("p256");
	world.key[2] = pki_key("rsa2048");
	world.key[3] = fuzz_key(8);
	for (int i = 0; i < KEYS; i++)
		key_id(world.key[i], world.id[i]);
	for (int i = 0; i + 1 < KEYS; i++) {
		struct arena *arena = arena_new();
		struct ask_key_answer kept;
		struct buf pem;
		buf_init(&pem, KEY_FILE_MAX);
		assert(key_write(world.key[i], &pem, &err) == 0);
		assert(keys_put(world.keys, buf_str(&pem), arena, &kept, &err) == 0);
		assert(str_eq(kept.key_id, str_from_c(world.id[i])));
		buf_done(&pem);
		arena_free(arena);
	}
	atexit(remove_world);
}

static void check_refusal(const struct err *err)
{
	assert(err->kind != ERR_NONE && err->log[0]);
	for (const char *p = err->log; *p; p++)
		assert(!ascii_is_control(*p));
}

/* The text of a TLS 1.3 handshake, or of a 1.2 one with X25519, with bytes of the script behind. */
static struct str take_text(struct str *script, struct arena *arena)
{
	uint8_t form = fuzz_byte(script);
	struct str tail = fuzz_slice(script);
	char *p = arena_alloc(arena, 300 + tail.n);
	size_t n = 0;
	if (form & 128) {
		memset(p, ' ', 64);
		memcpy(p + 64, "TLS 1.3, server CertificateVerify", 34);
		n = 98;
	} else if (form & 64) {
		memcpy(p + 64, "\x03\x00\x1d\x20", 4);
		n = 68;
	}
	if (form & 32) { /* filled up to the length that is right */
		memcpy(p + n, tail.p, tail.n < 32 ? tail.n : 32);
		n += 32;
	} else {
		memcpy(p + n, tail.p, tail.n);
		n += tail.n;
	}
	return str_make(p, n);
}

static void try_sign(struct str *script, struct arena *arena)
{
	static const struct str digests[] = {{"SHA256", 6}, {"SHA384", 6}, {"SHA512", 6}, {"", 0},
		{"SHA1", 4}, {"MD5", 3}, {"SHA2-256", 8}, {"SHA256\0x", 8}};
	uint8_t which = fuzz_byte(script) % KEYS;
	struct ask_sign q = {.key_id = str_from_c(world.id[which])};
	q.digest = digests[fuzz_byte(script) % (sizeof digests / sizeof *digests)];
	uint8_t way = fuzz_byte(script);
	q.pss = way & 1;
	q.salt_length = way & 2 ? RSA_PSS_SALTLEN_DIGEST : way / 4;
	q.text = take_text(script, arena);
	struct ask_sign_answer answer = {0};
	struct err err;
	err_clear(&err);
	if (keys_sign(world.keys, &q, arena, &answer, &err) != 0) {
		check_refusal(&err);
		return;
	}
	assert(which + 1 < KEYS && sign_rule_text(q.text) != HANDSHAKE_NONE);
	assert(!str_eq(q.digest, STR("SHA1")) && !str_eq(q.digest, STR("MD5")));
	assert(prove_signature(world.key[which], &q, answer.signature));
}

static struct str take_key(struct str *script, struct arena *arena)
{
	unsigned which = fuzz_byte(script) % (KEYS + 1);
	unsigned char *der = NULL;
	if (which == KEYS)
		return fuzz_slice(script);
	/* Not the last one, which a signature is never to be had of. */
	int n = i2d_PrivateKey(world.key[which % (KEYS - 1)], &der);
	struct str bytes = arena_dup(arena, str_make((char *)der, (size_t)n));
	OPENSSL_free(der);
	fuzz_spoil(bytes, script);
	return bytes;
}

/* A key that was put in does not stay for the next run. */
static void forget(struct str id)
{
	char path[sizeof world.folder + KEY_ID_TEXT];
	for (int i = 0; i < KEYS; i++)
		if (str_eq(id, str_from_c(world.id[i])))
			return;
	snprintf(path, sizeof path, "%s/%.*s", world.folder, STR_ARG(id));
	assert(unlink(path) == 0);
	keys_close(world.keys);
	open_keys();
}

static void try_put(struct str *script, struct arena *arena)
{
	struct ask_key_answer kept = {0};
	struct err err;
	err_clear(&err);
	if (keys_put(world.keys, take_key(script, arena), arena, &kept, &err) != 0) {
		check_refusal(&err);
		return;
	}
	const unsigned char *at = (const unsigned char *)kept.spki.p;
	EVP_PKEY *public_half = d2i_PUBKEY(NULL, &at, (long)kept.spki.n);
	char id[KEY_ID_TEXT];
	assert(public_half && str_eq(kept.key_id, str_from_c(key_id(public_half, id))));
	EVP_PKEY_free(public_half);
	forget(kept.key_id);
}

static void try_self_sign(struct str *script, struct arena *arena)
{
	struct ask_self_sign q = {.key_id = str_from_c(world.id[fuzz_byte(script) % KEYS])};
	q.days = fuzz_byte(script) * 20u;
	q.name = fuzz_slice(script);
	struct ask_self_sign_answer answer = {0};
	struct err err;
	err_clear(&err);
	if (keys_self_sign(world.keys, &q, arena, &answer, &err) != 0) {
		check_refusal(&err);
		return;
	}
	assert(str_eq(answer.facts.key_id, q.key_id) && answer.facts.self_signed);
	assert(str_starts(answer.certificate_pem, STR("-----BEGIN CERTIFICATE-----\n")));
}

static void try_make(struct str *script, struct arena *arena)
{
	struct str type = fuzz_slice(script);
	struct ask_key_answer made = {0};
	struct err err;
	err_clear(&err);
	/* Those it makes would fill the folder, and RSA takes a second. */
	if (str_eq(type, STR("p256")) || str_eq(type, STR("ed25519")) ||
		str_starts(type, STR("rsa2")) || str_starts(type, STR("rsa3")) ||
		str_starts(type, STR("rsa4")))
		return;
	assert(keys_make(world.keys, type, arena, &made, &err) != 0);
	check_refusal(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const questions[])(struct str *, struct arena *) = {
		try_sign, try_put, try_self_sign, try_make};
	struct str script = str_make((const char *)data, size);
	if (!world.keys)
		make_world();
	for (int i = 0; script.n > 0 && i < QUESTIONS; i++) {
		struct arena *arena = arena_new();
		questions[fuzz_byte(&script) % 4](&script, arena);
		assert(ERR_peek_error() == 0);
		arena_free(arena);
	}
	return 0;
}
