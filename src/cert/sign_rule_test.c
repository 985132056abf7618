#include "cert/sign_rule.h"

#include <openssl/rsa.h>
#include <setjmp.h> /* style: cmocka wants it */
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROOM = 256 };
static const char context13[] = "TLS 1.3, server CertificateVerify";

/* The texts of the two protocols; returns their length. */
static size_t make13(char *p, size_t hash)
{
	memset(p, ' ', 64);
	memcpy(p + 64, context13, sizeof context13);
	memset(p + 64 + sizeof context13, 0x5a, hash);
	return 64 + sizeof context13 + hash;
}

static size_t make12(char *p, unsigned group, unsigned point)
{
	for (int i = 0; i < 64; i++)
		p[i] = (char)(i * 37 + 11);
	p[64] = 3;
	p[65] = (char)(group >> 8);
	p[66] = (char)group;
	p[67] = (char)point;
	memset(p + 68, 0x41, point);
	p[68] = group == 23 ? 4 : 0x41;
	return 68 + point;
}

static enum handshake look(const char *p, size_t n)
{
	/* An exact copy on the heap: the address sanitizer sees a read past its end. */
	char *copy = malloc(n ? n : 1); /* style: exact size */
	memcpy(copy, p, n);
	enum handshake h = sign_rule_text(str_make(copy, n));
	free(copy);
	return h;
}

static void test_handshakes_are_known(void **state)
{
	char p[ROOM];
	(void)state;
	assert_int_equal(look(p, make13(p, 32)), HANDSHAKE_TLS13);
	assert_int_equal(look(p, make13(p, 48)), HANDSHAKE_TLS13);
	assert_int_equal(look(p, make12(p, 29, 32)), HANDSHAKE_TLS12);
	assert_int_equal(look(p, make12(p, 23, 65)), HANDSHAKE_TLS12);
}

static void test_every_length_but_the_right_one_is_refused(void **state)
{
	char p[ROOM];
	(void)state;
	for (size_t n = 0; n < ROOM; n++) {
		memset(p, 0, sizeof p);
		make13(p, 100);
		assert_int_equal(look(p, n), n == 130 || n == 146 ? HANDSHAKE_TLS13 : HANDSHAKE_NONE);
		memset(p, 0, sizeof p);
		make12(p, 29, 32);
		assert_int_equal(look(p, n), n == 100 ? HANDSHAKE_TLS12 : HANDSHAKE_NONE);
		memset(p, 0, sizeof p);
		make12(p, 23, 65);
		assert_int_equal(look(p, n), n == 133 ? HANDSHAKE_TLS12 : HANDSHAKE_NONE);
	}
}

/* Every bit of what is fixed counts; what is free (hash, randoms, point) does not. */
static void test_every_flipped_bit_is_refused(void **state)
{
	char p[ROOM];
	(void)state;
	size_t n = make13(p, 32);
	for (size_t i = 0; i < n; i++)
		for (int bit = 0; bit < 8; bit++) {
			p[i] ^= (char)(1 << bit);
			assert_int_equal(look(p, n), i < 98 ? HANDSHAKE_NONE : HANDSHAKE_TLS13);
			p[i] ^= (char)(1 << bit);
		}
	n = make12(p, 23, 65);
	for (size_t i = 0; i < n; i++)
		for (int bit = 0; bit < 8; bit++) {
			p[i] ^= (char)(1 << bit);
			assert_int_equal(look(p, n), i >= 64 && i < 69 ? HANDSHAKE_NONE : HANDSHAKE_TLS12);
			p[i] ^= (char)(1 << bit);
		}
}

static void test_other_texts_of_tls_are_refused(void **state)
{
	static const char client[] = "TLS 1.3, client CertificateVerify";
	char p[ROOM];
	(void)state;
	size_t n = make13(p, 32);
	memcpy(p + 64, client, sizeof client);
	assert_int_equal(look(p, n), HANDSHAKE_NONE);
	/* Groups we do not offer, and explicit curves. */
	assert_int_equal(look(p, make12(p, 24, 97)), HANDSHAKE_NONE);
	assert_int_equal(look(p, make12(p, 30, 56)), HANDSHAKE_NONE);
	assert_int_equal(look(p, make12(p, 29, 65)), HANDSHAKE_NONE);
	n = make12(p, 23, 65);
	p[64] = 1;
	assert_int_equal(look(p, n), HANDSHAKE_NONE);
}

/* A request for a certificate made to fit around the fixed bytes of a TLS 1.2 text. */
static void test_requests_in_disguise_are_refused(void **state)
{
	static const char request[] = "\x30\x81\x82\x02\x01\x00",
					  certificate[] = "\x30\x81\x82\xa0\x03";
	char p[ROOM];
	(void)state;
	size_t n = make12(p, 23, 65);
	memcpy(p, request, sizeof request - 1);
	assert_int_equal(look(p, n), HANDSHAKE_NONE);
	memcpy(p, certificate, sizeof certificate - 1);
	assert_int_equal(look(p, n), HANDSHAKE_NONE);
	n = make12(p, 29, 32);
	memcpy(p, "\x30\x62\x02\x01\x00", 5);
	assert_int_equal(look(p, n), HANDSHAKE_NONE);
	/* By chance alone a random begins like this: another length, another content. */
	p[1] = 0x61;
	assert_int_equal(look(p, n), HANDSHAKE_TLS12);
}

static bool may(
	enum handshake h, const char *type, const char *digest, bool pss, int64_t salt_length)
{
	return sign_rule_algorithm(h, str_from_c(type), str_from_c(digest), pss, salt_length);
}

static void test_algorithms(void **state)
{
	(void)state;
	assert_true(may(HANDSHAKE_TLS13, "p256", "SHA256", false, 0));
	assert_false(may(HANDSHAKE_TLS13, "p256", "SHA384", false, 0));
	assert_true(may(HANDSHAKE_TLS12, "p256", "SHA384", false, 0));
	assert_true(may(HANDSHAKE_TLS13, "p384", "sha384", false, 0));
	assert_false(may(HANDSHAKE_TLS13, "p256", "", false, 0));
	assert_false(may(HANDSHAKE_TLS13, "p256", "SHA256", true, 32));
	assert_true(may(HANDSHAKE_TLS13, "ed25519", "", false, 0));
	assert_false(may(HANDSHAKE_TLS13, "ed25519", "SHA256", false, 0));
	assert_true(may(HANDSHAKE_TLS13, "rsa2048", "SHA256", true, RSA_PSS_SALTLEN_DIGEST));
	assert_true(may(HANDSHAKE_TLS13, "rsa2048", "SHA384", true, 48));
	assert_false(may(HANDSHAKE_TLS13, "rsa2048", "SHA384", true, 0));
	assert_false(may(HANDSHAKE_TLS13, "rsa2048", "SHA256", false, 0));
	assert_true(may(HANDSHAKE_TLS12, "rsa2048", "SHA256", false, 0));
	assert_false(may(HANDSHAKE_TLS12, "rsa2048", "SHA1", false, 0));
	assert_false(may(HANDSHAKE_TLS12, "rsa2048", "MD5-SHA1", false, 0));
	assert_false(may(HANDSHAKE_TLS12, "rsa2048", "", false, 0));
	assert_false(may(HANDSHAKE_NONE, "p256", "SHA256", false, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshakes_are_known),
		cmocka_unit_test(test_every_length_but_the_right_one_is_refused),
		cmocka_unit_test(test_every_flipped_bit_is_refused),
		cmocka_unit_test(test_other_texts_of_tls_are_refused),
		cmocka_unit_test(test_requests_in_disguise_are_refused),
		cmocka_unit_test(test_algorithms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
