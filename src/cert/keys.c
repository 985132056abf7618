#include "cert/keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "cert/crypto.h"
#include "cert/key.h"
#include "cert/self_sign.h"
#include "cert/sign_rule.h"
#include "io/body.h"
#include "io/fd.h"
#include "io/fiber.h"

enum { SIGNATURE_MAX = 512, /* RSA of 4096 bits */ TURN_MS = 10 };
#define NEW_PREFIX ".new-"

struct keys {
	int folder;
	struct map *loaded; /* key id -> struct held_key */
};

struct held_key {
	EVP_PKEY *key;
	char type[KEY_TYPE_TEXT];
};

/* ---- the folder ---- */

static void free_held(void *held)
{
	EVP_PKEY_free(((struct held_key *)held)->key);
	free(held);
}

/* Only what write_file() makes: a link or a folder of that name stays. */
static int remove_unfinished(int folder, struct err *err)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d) {
		if (fd >= 0)
			close(fd);
		return err_say(err, "the key folder cannot be read: %s", strerror(errno));
	}
	const struct dirent *e;
	while ((e = readdir(d)))
		if (str_starts(str_from_c(e->d_name), STR(NEW_PREFIX)))
			unlinkat(folder, e->d_name, 0);
	closedir(d);
	return 0;
}

struct keys *keys_open(int folder, struct err *err)
{
	crypto_init();
	if (remove_unfinished(folder, err) != 0) {
		close(folder);
		return NULL;
	}
	struct keys *k = mem_new(sizeof *k);
	k->folder = folder;
	k->loaded = map_new();
	return k;
}

void keys_close(struct keys *k)
{
	if (!k)
		return;
	map_free(k->loaded, free_held);
	close(k->folder);
	free(k);
}

/* K1: written under another name, synced, renamed, the folder synced. */
static int write_file(struct keys *k, const char *name, struct str bytes, struct err *err)
{
	char temporary[sizeof NEW_PREFIX + KEY_ID_TEXT];
	snprintf(temporary, sizeof temporary, NEW_PREFIX "%s", name);
	unlinkat(k->folder, temporary, 0);
	int fd =
		openat(k->folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && fchmod(fd, 0600) == 0 && fd_write_all(fd, bytes) == 0 && fsync(fd) == 0;
	int why = errno;
	if (fd >= 0 && close(fd) != 0 && ok) {
		ok = false;
		why = errno;
	}
	if (ok && (renameat(k->folder, temporary, k->folder, name) != 0 || fsync(k->folder) != 0)) {
		ok = false;
		why = errno;
	}
	if (ok)
		return 0;
	unlinkat(k->folder, temporary, 0);
	return err_temp(
		err, "the key could not be kept", "writing key %.16s…: %s", name, strerror(why));
}

/* 0 with the file's bytes in `b`, which the caller wipes. */
static int read_file(struct keys *k, const char *name, struct buf *b, struct err *err)
{
	int fd = openat(k->folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		int why = errno;
		if (fd >= 0)
			close(fd);
		if (fd < 0 && (why == EMFILE || why == ENFILE || why == ENOMEM))
			return err_temp(err, NULL, "key %.16s… cannot be read: %s", name, strerror(why));
		return err_say(err, "its private key, keys/%.16s…, cannot be read: %s", name,
			fd < 0 ? strerror(why) : "it is no file");
	}
	char *p = st.st_size <= KEY_FILE_MAX ? buf_reserve(b, (size_t)st.st_size) : NULL;
	ssize_t n = p ? read(fd, p, (size_t)st.st_size) : -1;
	close(fd);
	if (n != st.st_size)
		return err_say(err, "its private key, keys/%.16s…, cannot be read", name);
	b->n = (size_t)n;
	return 0;
}

/* ---- keys held ---- */

static struct held_key *hold(struct keys *k, EVP_PKEY *key)
{
	char id[KEY_ID_TEXT];
	struct held_key *held = mem_new(sizeof *held);
	held->key = key;
	key_type(key, held->type);
	struct held_key *before = map_put(k->loaded, str_from_c(key_id(key, id)), held);
	if (before)
		free_held(before);
	return held;
}

/* NULL with *err. */
static struct held_key *find(struct keys *k, struct str id, struct err *err)
{
	if (!key_id_valid(id)) {
		err_say(err, "no key id");
		return NULL;
	}
	struct held_key *held = map_get(k->loaded, id);
	if (held)
		return held;
	char name[KEY_ID_TEXT], found[KEY_ID_TEXT];
	struct buf file;
	buf_init(&file, KEY_FILE_MAX);
	str_to_c(id, name, sizeof name);
	struct err why;
	EVP_PKEY *key = NULL;
	if (read_file(k, name, &file, err) == 0) {
		key = key_read(buf_str(&file), STR(""), &why);
		if (!key)
			err_say(err, "its private key, keys/%.16s…: %.200s", name, why.log);
	}
	key_wipe(&file);
	if (!key)
		return NULL;
	if (strcmp(key_id(key, found), name) != 0) {
		EVP_PKEY_free(key);
		err_say(err, "its private key, keys/%.16s…: the file holds another key", name);
		return NULL;
	}
	return hold(k, key);
}

/* Writes the key to its file and holds it; takes `key` over in any case. */
static int keep(
	struct keys *k, EVP_PKEY *key, struct arena *arena, struct ask_key_answer *ret, struct err *err)
{
	char id[KEY_ID_TEXT];
	struct buf pem;
	buf_init(&pem, KEY_FILE_MAX);
	int status = key_write(key, &pem, err);
	if (status == 0)
		status = write_file(k, key_id(key, id), buf_str(&pem), err);
	key_wipe(&pem);
	if (status != 0) {
		EVP_PKEY_free(key);
		return -1;
	}
	hold(k, key);
	unsigned char *spki = NULL;
	int n = i2d_PUBKEY(key, &spki);
	if (n <= 0)
		mem_exhausted(0);
	ret->key_id = arena_dup(arena, str_from_c(id));
	ret->spki = arena_dup(arena, str_make((const char *)spki, (size_t)n));
	OPENSSL_free(spki);
	ERR_clear_error();
	log_info("keys.keep", "key=%.16s type=%s", id, key_type(key, (char[KEY_TYPE_TEXT]){0}));
	return 0;
}

/* ---- the four questions ---- */

/* Called again and again while an RSA key is searched for, which takes seconds: lets handshakes pass
 * in between. */
static int let_others_run(EVP_PKEY_CTX *ctx)
{
	int64_t *since = EVP_PKEY_CTX_get_app_data(ctx);
	if (clock_steady_ms() - *since >= TURN_MS && ERR_peek_error() == 0) {
		fiber_sleep("for others while it makes a key", 0);
		*since = clock_steady_ms();
	}
	return 1;
}

static EVP_PKEY *generate_rsa(int bits)
{
	EVP_PKEY *key = NULL;
	int64_t since = clock_steady_ms();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	if (ctx && EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, bits) == 1) {
		EVP_PKEY_CTX_set_app_data(ctx, &since);
		EVP_PKEY_CTX_set_cb(ctx, let_others_run);
		if (EVP_PKEY_generate(ctx, &key) != 1)
			key = NULL;
	}
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static EVP_PKEY *generate(struct str type)
{
	static const struct {
		const char *type;
		int rsa_bits;
	} rsa[] = {{"rsa2048", 2048}, {"rsa3072", 3072}, {"rsa4096", 4096}};
	if (str_eq(type, STR("p256")))
		return EVP_EC_gen("P-256");
	if (str_eq(type, STR("ed25519")))
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	for (size_t i = 0; i < sizeof rsa / sizeof *rsa; i++)
		if (str_eq(type, str_from_c(rsa[i].type)))
			return generate_rsa(rsa[i].rsa_bits);
	return NULL;
}

int keys_make(struct keys *k, struct str type, struct arena *arena, struct ask_key_answer *ret,
	struct err *err)
{
	uint64_t bits;
	if (str_starts(type, STR("rsa")) && str_to_u64(str_skip(type, 3), 1 << 20, &bits) &&
		bits < 2048)
		return err_say(err, "an RSA key of %llu bits is too weak: at least 2048, or p256",
			(unsigned long long)bits);
	EVP_PKEY *key = generate(type);
	ERR_clear_error();
	if (!key)
		return err_say(err, "\"%.*s\" is none of p256, rsa2048, rsa3072, rsa4096, ed25519",
			STR_ARG(str_take(type, 32)));
	return keep(k, key, arena, ret, err);
}

/* The private half must belong to the public half, or each signature would fail at the peer. Trying
 * it is quicker than the library's own check, which looks for primes again. */
static int check_pair(EVP_PKEY *key, struct err *err)
{
	static const unsigned char text[] = "a trial";
	unsigned char signature[SIGNATURE_MAX];
	size_t n = sizeof signature;
	const char *digest = EVP_PKEY_is_a(key, "ED25519") ? NULL : "SHA256";
	EVP_MD_CTX *sign = EVP_MD_CTX_new(), *verify = EVP_MD_CTX_new();
	bool ok = sign && verify &&
		EVP_DigestSignInit_ex(sign, NULL, digest, NULL, NULL, key, NULL) == 1 &&
		EVP_DigestSign(sign, signature, &n, text, sizeof text) == 1 &&
		EVP_DigestVerifyInit_ex(verify, NULL, digest, NULL, NULL, key, NULL) == 1 &&
		EVP_DigestVerify(verify, signature, n, text, sizeof text) == 1;
	EVP_MD_CTX_free(sign);
	EVP_MD_CTX_free(verify);
	ERR_clear_error();
	return ok ? 0
			  : err_say(err, "the private key is damaged: its two halves do not belong together");
}

int keys_put(struct keys *k, struct str bytes, struct arena *arena, struct ask_key_answer *ret,
	struct err *err)
{
	EVP_PKEY *key = key_read(bytes, STR(""), err);
	if (!key)
		return -1;
	if (key_check(key, err) != 0 || check_pair(key, err) != 0) {
		EVP_PKEY_free(key);
		return -1;
	}
	return keep(k, key, arena, ret, err);
}

int keys_self_sign(struct keys *k, const struct ask_self_sign *q, struct arena *arena,
	struct ask_self_sign_answer *ret, struct err *err)
{
	struct held_key *held = find(k, q->key_id, err);
	if (!held)
		return -1;
	uint32_t days = q->days ? q->days : SELF_SIGNED_DAYS;
	if (days > SELF_SIGNED_DAYS_MAX)
		return err_say(err, "%u days are too long: at most %d", days, SELF_SIGNED_DAYS_MAX);
	X509 *c = self_sign(held->key, q->name, days, err);
	if (!c)
		return -1;
	struct buf pem;
	buf_init(&pem, KEY_FILE_MAX);
	int status = certificate_write(c, &pem, err);
	ret->certificate_pem = arena_dup(arena, buf_str(&pem));
	certificate_facts(c, arena, &ret->facts);
	buf_done(&pem);
	X509_free(c);
	return status;
}

static int sign_text(
	const struct held_key *held, const struct ask_sign *q, unsigned char *signature, size_t *n)
{
	char digest[32];
	EVP_PKEY_CTX *pkey_ctx = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx &&
		EVP_DigestSignInit_ex(ctx, &pkey_ctx,
			q->digest.n ? str_to_c(q->digest, digest, sizeof digest) : NULL, NULL, NULL, held->key,
			NULL) == 1;
	if (ok && q->pss)
		ok = EVP_PKEY_CTX_set_rsa_padding(pkey_ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
			EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey_ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_DigestSign(ctx, signature, n, (const unsigned char *)q->text.p, q->text.n) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -1;
}

int keys_sign(struct keys *k, const struct ask_sign *q, struct arena *arena,
	struct ask_sign_answer *ret, struct err *err)
{
	enum handshake form = sign_rule_text(q->text);
	if (form == HANDSHAKE_NONE)
		return err_say(err, "refused to sign %zu bytes that are no handshake", q->text.n);
	struct held_key *held = find(k, q->key_id, err);
	if (!held)
		return -1;
	if (!sign_rule_algorithm(form, str_from_c(held->type), q->digest, q->pss, q->salt_length))
		return err_say(err, "refused to sign with a %s key and %.*s", held->type,
			STR_ARG(str_take(q->digest, 16)));
	unsigned char signature[SIGNATURE_MAX];
	size_t n = sizeof signature;
	int status = sign_text(held, q, signature, &n);
	char why[CRYPTO_TEXT];
	crypto_drain(why);
	if (status != 0)
		return err_temp(err, NULL, "signing failed: %s", why);
	ret->signature = arena_dup(arena, str_make((const char *)signature, n));
	return 0;
}

/* ---- answering ---- */

bool keys_may(const char *role, enum ask_kind kind)
{
	static const struct {
		const char *role;
		enum ask_kind kind;
	} entitled[] = {
		{"edge", ASK_SIGN},
		{"store", ASK_KEY_MAKE},
		{"store", ASK_KEY_PUT},
		{"store", ASK_SELF_SIGN},
	};
	for (size_t i = 0; i < sizeof entitled / sizeof *entitled; i++)
		if (entitled[i].kind == kind && strcmp(entitled[i].role, role) == 0)
			return true;
	return false;
}

/* fd 0 holds the key; a memfd that came here is mapped, so no copy of ours is left to be wiped. */
static int answer_put(struct ask_question *q, struct keys *k, struct ask_key_answer *ret)
{
	struct str bytes;
	if (q->fd[0] < 0)
		return err_say(&q->err, "no key came along");
	if (body_map(q->fd[0], KEY_FILE_MAX, &bytes, &q->err) != 0)
		return -1;
	int status = keys_put(k, bytes, q->arena, ret, &q->err);
	body_unmap(bytes);
	return status;
}

void keys_answer(struct ask_question *q, void *arg)
{
	struct keys *k = arg;
	struct ask_key_answer key = {0};
	if (!keys_may(ask_link_name(q->link), q->kind)) {
		log_warn("keys.refuse", "peer=%s kind=%u", ask_link_name(q->link), q->kind);
		err_say(&q->err, "%s may not ask this of keys", ask_link_name(q->link));
		return;
	}
	switch (q->kind) {
	case ASK_SIGN: {
		struct ask_sign question;
		struct ask_sign_answer answer = {0};
		if (ask_take(q, xfer_ask_sign, &question) != 0)
			return;
		if (keys_sign(k, &question, q->arena, &answer, &q->err) == 0)
			ask_answer(q, xfer_ask_sign_answer, &answer);
		else
			log_warn("keys.refuse", "peer=%s why=\"%s\"", ask_link_name(q->link), q->err.log);
		return;
	}
	case ASK_KEY_MAKE: {
		struct ask_key_make question;
		if (ask_take(q, xfer_ask_key_make, &question) == 0 &&
			keys_make(k, question.type, q->arena, &key, &q->err) == 0)
			ask_answer(q, xfer_ask_key_answer, &key);
		return;
	}
	case ASK_KEY_PUT:
		if (answer_put(q, k, &key) == 0)
			ask_answer(q, xfer_ask_key_answer, &key);
		return;
	case ASK_SELF_SIGN: {
		struct ask_self_sign question;
		struct ask_self_sign_answer answer = {0};
		if (ask_take(q, xfer_ask_self_sign, &question) == 0 &&
			keys_self_sign(k, &question, q->arena, &answer, &q->err) == 0)
			ask_answer(q, xfer_ask_self_sign_answer, &answer);
		return;
	}
	default:
		return; /* keys_may() let nothing else in */
	}
}
