#include "cert/keys.h"

#include <fcntl.h>
#include <setjmp.h> /* style: cmocka wants it */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cert/certificate.h"
#include "cert/key.h"
#include "cert/self_sign.h"
#include "cert/test_pki.h"
#include "io/fiber.h"
#include "io/loop.h"

struct world {
	char folder[40];
	struct keys *keys;
	struct arena *arena;
	struct err err;
};

static int setup(void **state)
{
	static struct world w;
	w = (struct world){.folder = "/tmp/letterlock-keys-XXXXXX", .arena = arena_new()};
	assert_non_null(mkdtemp(w.folder));
	w.keys = keys_open(open(w.folder, O_RDONLY | O_DIRECTORY), &w.err);
	assert_non_null(w.keys);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	keys_close(w->keys);
	pki_remove_folder(w->folder);
	arena_free(w->arena);
	return 0;
}

static void reopen(struct world *w)
{
	keys_close(w->keys);
	w->keys = keys_open(open(w->folder, O_RDONLY | O_DIRECTORY), &w->err);
	assert_non_null(w->keys);
}

/* The text of a TLS 1.3 handshake. */
static struct str handshake(struct world *w)
{
	struct str text =
		arena_fmt(w->arena, "%64s%s%c%32s", "", "TLS 1.3, server CertificateVerify", 0, "");
	assert_int_equal(text.n, 130);
	return text;
}

/* Asks for a signature under a handshake and checks it with the public half. */
static void expect_signs(struct world *w, const struct ask_key_answer *key, bool rsa, bool ed)
{
	struct ask_sign q = {.key_id = key->key_id,
		.digest = ed ? STR("") : STR("SHA256"),
		.pss = rsa,
		.salt_length = RSA_PSS_SALTLEN_DIGEST,
		.text = handshake(w)};
	struct ask_sign_answer a;
	if (keys_sign(w->keys, &q, w->arena, &a, &w->err) != 0)
		fail_msg("%s", w->err.log);
	const unsigned char *spki = (const unsigned char *)key->spki.p;
	EVP_PKEY *public_half = d2i_PUBKEY(NULL, &spki, (long)key->spki.n);
	EVP_PKEY_CTX *pctx;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	assert_int_equal(
		EVP_DigestVerifyInit(ctx, &pctx, ed ? NULL : EVP_sha256(), NULL, public_half), 1);
	if (rsa)
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
	assert_int_equal(EVP_DigestVerify(ctx, (const unsigned char *)a.signature.p, a.signature.n,
						 (const unsigned char *)q.text.p, q.text.n),
		1);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(public_half);
	q.text = STR("any other text");
	assert_int_equal(keys_sign(w->keys, &q, w->arena, &a, &w->err), -1);
	assert_int_equal(ERR_peek_error(), 0);
}

static void test_made_keys_sign_also_after_a_restart(void **state)
{
	static const char *const types[] = {"p256", "rsa2048", "rsa3072", "ed25519"};
	struct world *w = *state;
	struct ask_key_answer made[4];
	for (int i = 0; i < 4; i++)
		assert_int_equal(keys_make(w->keys, str_from_c(types[i]), w->arena, &made[i], &w->err), 0);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 4; i++) {
			char path[160];
			struct stat st;
			snprintf(path, sizeof path, "%s/%.*s", w->folder, STR_ARG(made[i].key_id));
			assert_int_equal(stat(path, &st), 0);
			assert_int_equal(st.st_mode & 0777, 0600);
			expect_signs(w, &made[i], i == 1 || i == 2, i == 3);
		}
		reopen(w);
	}
}

/* While an RSA key is searched for, another fiber gets its turns. */
static void make_long_key(void *arg)
{
	struct world *w = arg;
	struct ask_key_answer made;
	assert_int_equal(keys_make(w->keys, STR("rsa3072"), w->arena, &made, &w->err), 0);
	loop_stop();
}

struct turns {
	unsigned count;
	bool enough;
};

static void count_turns(void *arg)
{
	for (struct turns *t = arg; !t->enough; t->count++)
		fiber_sleep("for its turn", 1);
	loop_stop();
}

static void test_making_a_key_lets_others_run(void **state)
{
	struct turns turns = {0};
	loop_init();
	fiber_start("turns", count_turns, &turns);
	fiber_start("maker", make_long_key, *state);
	loop_run();
	assert_true(turns.count > 0);
	turns.enough = true;
	loop_run();
	loop_done();
}

static void test_bad_wishes_are_refused(void **state)
{
	static const struct {
		const char *type, *reason;
	} table[] = {{"rsa1024", "too weak"}, {"rsa", "none of"}, {"p521x", "none of"}, {"", "none of"},
		{"rsa2048 ", "none of"}};
	struct world *w = *state;
	struct ask_key_answer made;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		assert_int_equal(
			keys_make(w->keys, str_from_c(table[i].type), w->arena, &made, &w->err), -1);
		assert_non_null(strstr(w->err.log, table[i].reason));
	}
}

/* Every form that the openssl command writes. */
static struct str form(struct world *w, EVP_PKEY *key, int which)
{
	char *text;
	BIO *bio = BIO_new(BIO_s_mem());
	switch (which) {
	case 0:
		PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
		break;
	case 1: /* PKCS#1, SEC1 */
		PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL);
		break;
	case 2:
		i2d_PKCS8PrivateKey_bio(bio, key, NULL, NULL, 0, NULL, NULL);
		break;
	case 3:
		i2d_PrivateKey_bio(bio, key);
		break;
	default:
		PEM_write_bio_PrivateKey(
			bio, key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6, NULL, NULL);
	}
	long n = BIO_get_mem_data(bio, &text);
	struct str ret = arena_dup(w->arena, str_make(text, (size_t)n));
	BIO_free(bio);
	return ret;
}

static void test_keys_come_in_every_form(void **state)
{
	struct world *w = *state;
	const char *types[] = {"p256", "rsa2048", "ed25519"};
	for (int t = 0; t < 3; t++) {
		EVP_PKEY *key = pki_key(types[t]);
		char id[KEY_ID_TEXT];
		for (int which = 0; which < 4; which++) {
			struct ask_key_answer a;
			if (t == 2 && which == 1)
				continue; /* Ed25519 knows PKCS#8 only */
			if (keys_put(w->keys, form(w, key, which), w->arena, &a, &w->err) != 0)
				fail_msg("%s form %d: %s", types[t], which, w->err.log);
			assert_true(str_eq(a.key_id, str_from_c(key_id(key, id))));
			expect_signs(w, &a, t == 1, t == 2);
		}
		struct ask_key_answer a;
		assert_int_equal(keys_put(w->keys, form(w, key, 4), w->arena, &a, &w->err), -1);
		assert_non_null(strstr(w->err.log, "encrypted"));
		EVP_PKEY_free(key);
	}
}

static void expect_put_refused(struct world *w, struct str bytes, const char *reason)
{
	struct ask_key_answer a;
	assert_int_equal(keys_put(w->keys, bytes, w->arena, &a, &w->err), -1);
	if (!strstr(w->err.log, reason))
		fail_msg("\"%s\" instead of \"%s\"", w->err.log, reason);
	assert_int_equal(ERR_peek_error(), 0);
}

static void test_unfit_keys_are_refused(void **state)
{
	struct world *w = *state;
	EVP_PKEY *weak = pki_key("rsa1024"), *odd = EVP_PKEY_Q_keygen(NULL, NULL, "X25519"),
			 *curve = EVP_EC_gen("secp256k1"), *rsa = pki_key("rsa2048");
	expect_put_refused(w, form(w, weak, 0), "1024 bits is too weak");
	expect_put_refused(w, form(w, odd, 0), "not supported");
	expect_put_refused(w, form(w, curve, 0), "not supported");
	expect_put_refused(w, STR(""), "no private key");
	expect_put_refused(w, STR("-----BEGIN PRIVATE KEY-----\n"), "no private key");
	EVP_PKEY *halves = pki_key("p256"), *other = pki_key("p256");
	unsigned char point[80];
	size_t n;
	EVP_PKEY_get_octet_string_param(other, "pub", point, sizeof point, &n);
	struct str der = form(w, halves, 3);
	unsigned char *own = (unsigned char *)(uintptr_t)der.p + der.n - n; /* stands at its end */
	memcpy(own, point, n);
	expect_put_refused(w, der, "do not belong together");
	/* A bit of the private exponent and one of a prime (OpenSSL makes up for one of them). */
	der = form(w, rsa, 3);
	((char *)(uintptr_t)der.p)[400] ^= 1;
	((char *)(uintptr_t)der.p)[700] ^= 1;
	expect_put_refused(w, der, "do not belong together");
	EVP_PKEY *long_key = EVP_RSA_gen(5120);
	expect_put_refused(w, form(w, long_key, 3), "at most 4096");
	EVP_PKEY_free(long_key);
	EVP_PKEY_free(halves);
	EVP_PKEY_free(other);
	EVP_PKEY_free(weak);
	EVP_PKEY_free(odd);
	EVP_PKEY_free(curve);
	EVP_PKEY_free(rsa);
}

static void test_self_signed_certificates(void **state)
{
	struct world *w = *state;
	const char *types[] = {"p256", "rsa2048", "ed25519"};
	for (int t = 0; t < 3; t++) {
		struct ask_key_answer key;
		struct ask_self_sign_answer a;
		assert_int_equal(keys_make(w->keys, str_from_c(types[t]), w->arena, &key, &w->err), 0);
		struct ask_self_sign q = {.key_id = key.key_id, .name = STR("mx.example.org")};
		assert_int_equal(keys_self_sign(w->keys, &q, w->arena, &a, &w->err), 0);
		assert_true(str_eq(a.facts.names, STR("mx.example.org")));
		assert_true(str_eq(a.facts.subject, STR("CN = mx.example.org")));
		assert_true(str_eq(a.facts.issuer, a.facts.subject));
		assert_true(str_eq(a.facts.key_id, key.key_id));
		assert_true(str_eq(a.facts.key_type, str_from_c(types[t])));
		assert_true(a.facts.self_signed);
		assert_int_equal(
			a.facts.not_after_ms - a.facts.not_before_ms, SELF_SIGNED_DAYS * INT64_C(86400000));
		assert_true(a.facts.not_before_ms <= clock_wall_ms());
		STACK_OF(X509) *list = certificate_read_list(a.certificate_pem, 1, &w->err);
		X509 *c = sk_X509_value(list, 0);
		assert_int_equal(X509_get_version(c), X509_VERSION_3);
		assert_int_equal(X509_check_purpose(c, X509_PURPOSE_SSL_SERVER, 0), 1);
		assert_int_equal(X509_check_ca(c), 0);
		certificate_free_list(list);
	}
}

static void test_names_of_self_signed_certificates(void **state)
{
	struct world *w = *state;
	struct ask_key_answer key;
	struct ask_self_sign_answer a;
	assert_int_equal(keys_make(w->keys, STR("p256"), w->arena, &key, &w->err), 0);
	struct ask_self_sign q = {.key_id = key.key_id, .name = STR("192.0.2.9")};
	assert_int_equal(keys_self_sign(w->keys, &q, w->arena, &a, &w->err), 0);
	STACK_OF(X509) *list = certificate_read_list(a.certificate_pem, 1, &w->err);
	assert_int_equal(X509_check_ip_asc(sk_X509_value(list, 0), "192.0.2.9", 0), 1);
	certificate_free_list(list);
	/* Too long for a common name. */
	q.name = STR("a-host-name-that-is-quite-long.below.a-domain-that-is-long-too.example.org");
	assert_int_equal(keys_self_sign(w->keys, &q, w->arena, &a, &w->err), 0);
	assert_int_equal(a.facts.subject.n, 0);
	assert_true(str_eq(a.facts.names, q.name));
	const struct str bad[] = {STR(""), STR("a b"), STR("a,DNS:b"), STR("a\0b"), STR("a\nb")};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		q.name = bad[i];
		assert_int_equal(keys_self_sign(w->keys, &q, w->arena, &a, &w->err), -1);
	}
	q.name = STR("mx.example.org");
	q.days = 100000;
	assert_int_equal(keys_self_sign(w->keys, &q, w->arena, &a, &w->err), -1);
}

/* A key id is never a path. */
static void test_key_ids_are_checked(void **state)
{
	struct world *w = *state;
	struct ask_sign_answer a;
	static const char *const ids[] = {"", "../keys", "/etc/passwd", "g",
		"../../../../../../../../../../../../../../../../../../etc/passwd..",
		"0000000000000000000000000000000000000000000000000000000000000000"};
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		struct ask_sign q = {
			.key_id = str_from_c(ids[i]), .digest = STR("SHA256"), .text = handshake(w)};
		assert_int_equal(keys_sign(w->keys, &q, w->arena, &a, &w->err), -1);
	}
}

static void test_folder_is_checked(void **state)
{
	struct world *w = *state;
	struct ask_key_answer one, two;
	struct ask_sign_answer a;
	char from[160], to[160], left[160];
	assert_int_equal(keys_make(w->keys, STR("p256"), w->arena, &one, &w->err), 0);
	assert_int_equal(keys_make(w->keys, STR("p256"), w->arena, &two, &w->err), 0);
	snprintf(from, sizeof from, "%s/%.*s", w->folder, STR_ARG(one.key_id));
	snprintf(to, sizeof to, "%s/%.*s", w->folder, STR_ARG(two.key_id));
	snprintf(left, sizeof left, "%s/.new-%.*s", w->folder, STR_ARG(two.key_id));
	assert_int_equal(rename(from, to), 0);
	int fd = open(left, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	reopen(w);
	assert_int_equal(access(left, F_OK), -1); /* K1: what was not finished goes */
	struct ask_sign q = {.key_id = two.key_id, .digest = STR("SHA256"), .text = handshake(w)};
	assert_int_equal(keys_sign(w->keys, &q, w->arena, &a, &w->err), -1);
	assert_non_null(strstr(w->err.log, "holds another key"));
	q.key_id = one.key_id;
	assert_int_equal(keys_sign(w->keys, &q, w->arena, &a, &w->err), -1);
	assert_int_equal(symlink(to, from), 0);
	assert_int_equal(keys_sign(w->keys, &q, w->arena, &a, &w->err), -1);
}

static void test_who_may_ask_what(void **state)
{
	static const enum ask_kind kinds[] = {
		ASK_SIGN, ASK_KEY_MAKE, ASK_KEY_PUT, ASK_SELF_SIGN, ASK_PILE, ASK_ACCEPT};
	static const struct {
		const char *role;
		bool may[6];
	} table[] = {
		{"edge", {true}},
		{"store", {false, true, true, true}},
		{"relay", {0}},
		{"serve", {0}},
		{"", {0}},
	};
	(void)state;
	for (size_t r = 0; r < sizeof table / sizeof *table; r++)
		for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
			assert_int_equal(keys_may(table[r].role, kinds[k]), table[r].may[k]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made_keys_sign_also_after_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_making_a_key_lets_others_run, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_wishes_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys_come_in_every_form, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unfit_keys_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_self_signed_certificates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_of_self_signed_certificates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_key_ids_are_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folder_is_checked, setup, teardown),
		cmocka_unit_test(test_who_may_ask_what),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
