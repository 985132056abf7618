#include "cert/pile.h"

#include <setjmp.h> /* style: cmocka wants it */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cert/certificate.h"
#include "cert/pem.h"
#include "cert/test_pki.h"

enum { ROOM = 64 * 1024, PEMS_MAX = 8 };

static struct {
	struct pki_pair root, upper, middle, leaf, other_root, other_middle;
	char pem[6][4096]; /* of these six */
	char key[4096], other_key[4096];
	struct arena *arena;
} world;

static void to_text(char *dst, const struct pki_pair *p, const EVP_PKEY *key)
{
	struct buf b;
	buf_init(&b, 4000);
	if (p)
		pki_add_pem(&b, p);
	if (key)
		pki_add_key(&b, key);
	str_to_c(buf_str(&b), dst, 4096);
	buf_done(&b);
}

enum which { ROOT, UPPER, MIDDLE, LEAF, OTHER_ROOT, OTHER_MIDDLE };

static int setup(void **state)
{
	struct pki_pair *all[] = {&world.root, &world.upper, &world.middle, &world.leaf,
		&world.other_root, &world.other_middle};
	(void)state;
	world.arena = arena_new();
	world.root = pki_make((struct pki_wish){.cn = "Root", .authority = true});
	world.upper =
		pki_make((struct pki_wish){.cn = "Upper", .authority = true, .issuer = &world.root});
	world.middle =
		pki_make((struct pki_wish){.cn = "Middle", .authority = true, .issuer = &world.upper});
	world.leaf = pki_make((struct pki_wish){.cn = "mx.example.org",
		.san = "DNS:MX.example.org,DNS:mail.example.org",
		.issuer = &world.middle});
	world.other_root = pki_make((struct pki_wish){.cn = "Other Root", .authority = true});
	/* The same name as the right one, another key. */
	world.other_middle =
		pki_make((struct pki_wish){.cn = "Middle", .authority = true, .issuer = &world.other_root});
	for (int i = 0; i < 6; i++)
		to_text(world.pem[i], all[i], NULL);
	to_text(world.key, NULL, world.leaf.key);
	to_text(world.other_key, NULL, world.other_root.key);
	return 0;
}

static int teardown(void **state)
{
	struct pki_pair *all[] = {&world.root, &world.upper, &world.middle, &world.leaf,
		&world.other_root, &world.other_middle};
	(void)state;
	for (int i = 0; i < 6; i++)
		pki_free(all[i]);
	arena_free(world.arena);
	return 0;
}

/* ---- helpers ---- */

static int read_one(const char *text, struct pile *ret, struct err *err)
{
	const struct pile_part part = {STR("all.pem"), str_from_c(text)};
	int status = pile_read(&part, 1, STR(""), world.arena, ret, err);
	assert_int_equal(ERR_peek_error(), 0);
	return status;
}

/* "LEAF MIDDLE" …: what a chain holds, by subject. */
static void expect_chain(const struct pile *p, const char *subjects)
{
	struct err err;
	char got[512] = "";
	STACK_OF(X509) *list = certificate_read_list(p->chain, 10, &err);
	assert_non_null(list);
	for (int i = 0; i < sk_X509_num(list); i++) {
		struct str name =
			certificate_name(X509_get_subject_name(sk_X509_value(list, i)), world.arena);
		snprintf(
			got + strlen(got), sizeof got - strlen(got), "%s%.*s", i ? ", " : "", STR_ARG(name));
	}
	certificate_free_list(list);
	assert_string_equal(got, subjects);
}

static void expect_good(const char *text, const char *subjects, const char *finding)
{
	struct err err;
	struct pile p;
	if (read_one(text, &p, &err) != 0)
		fail_msg("%s", err.log);
	expect_chain(&p, subjects);
	struct str findings = p.findings;
	if (finding &&
		!(*finding ? memmem(findings.p, findings.n, finding, strlen(finding)) != NULL
				   : findings.n == 0))
		fail_msg("findings \"%.*s\" instead of \"%s\"", STR_ARG(findings), finding);
	pile_done(&p);
}

static void expect_refused(const char *text, const char *reason)
{
	struct err err;
	struct pile p;
	if (read_one(text, &p, &err) == 0)
		fail_msg("not refused: %s", reason);
	if (!strstr(err.log, reason))
		fail_msg("\"%s\" instead of \"%s\"", err.log, reason);
	assert_null(p.key.p);
}

static const char *join(const char *a, const char *b, const char *c)
{
	return arena_fmt(world.arena, "%s%s%s", a, b, c).p;
}

static const char *pair_text(const struct pki_pair *p)
{
	char *certificate = arena_alloc(world.arena, 4096), *key = arena_alloc(world.arena, 4096);
	to_text(certificate, p, NULL);
	to_text(key, NULL, p->key);
	return join(certificate, key, "");
}

/* ---- order ---- */

/* Calls fn for each order of at[0..n). */
static void permute(const char **at, int n, int from, void (*fn)(const char **, int))
{
	if (from == n) {
		fn(at, n);
		return;
	}
	for (int i = from; i < n; i++) {
		const char *swap = at[from];
		at[from] = at[i];
		at[i] = swap;
		permute(at, n, from + 1, fn);
		at[i] = at[from];
		at[from] = swap;
	}
}

static unsigned orders;

static void try_order(const char **at, int n)
{
	char *text = arena_alloc(world.arena, ROOM);
	bool root = false;
	for (int i = 0; i < n; i++) {
		snprintf(text + strlen(text), ROOM - strlen(text), "%s", at[i]);
		root = root || at[i] == world.pem[ROOT];
	}
	orders++;
	expect_good(text, "CN = mx.example.org, CN = Middle, CN = Upper",
		root ? "root \"CN = Root\" was left out" : "its issuer \"CN = Root\" is not in the files");
}

static void test_every_order_gives_one_chain(void **state)
{
	const char *three[] = {world.key, world.pem[LEAF], world.pem[MIDDLE], world.pem[UPPER]};
	const char *four[] = {
		world.key, world.pem[LEAF], world.pem[MIDDLE], world.pem[UPPER], world.pem[ROOT]};
	(void)state;
	permute(three, 4, 0, try_order);
	permute(four, 5, 0, try_order);
	assert_int_equal(orders, 24 + 120);
}

static void test_reordering_is_told(void **state)
{
	char text[ROOM];
	(void)state;
	snprintf(text, sizeof text, "%s%s%s%s%s", world.pem[LEAF], world.pem[ROOT], world.pem[UPPER],
		world.pem[MIDDLE], world.key);
	expect_good(text, "CN = mx.example.org, CN = Middle, CN = Upper", "reordered: was 0,3,2,1");
	snprintf(text, sizeof text, "%s%s%s%s%s", world.pem[LEAF], world.pem[MIDDLE], world.pem[UPPER],
		world.pem[ROOT], world.key);
	struct err err;
	struct pile p;
	assert_int_equal(read_one(text, &p, &err), 0);
	assert_null(memmem(p.findings.p, p.findings.n, "reordered", 9));
	pile_done(&p);
}

static void test_the_signature_decides_not_the_name(void **state)
{
	char text[ROOM];
	(void)state;
	snprintf(text, sizeof text, "%s%s%s%s%s", world.pem[OTHER_MIDDLE], world.key, world.pem[LEAF],
		world.pem[MIDDLE], world.pem[OTHER_ROOT]);
	expect_good(text, "CN = mx.example.org, CN = Middle", "\"CN = Other Root\" does not belong");
	/* No key identifiers either: the wrong one stands first and ends last. */
	struct pki_wish wish = {.cn = "Bare", .authority = true, .bare = true, .issuer = &world.root};
	struct pki_pair right = pki_make(wish);
	wish.to_days = 999;
	struct pki_pair wrong = pki_make(wish);
	struct pki_pair leaf = pki_make(
		(struct pki_wish){.cn = "leaf", .san = "DNS:leaf", .bare = true, .issuer = &right});
	char certificates[2][4096];
	to_text(certificates[0], &wrong, NULL);
	to_text(certificates[1], &right, NULL);
	struct err err;
	struct pile p;
	const char *all = join(certificates[0], pair_text(&leaf), certificates[1]);
	assert_int_equal(read_one(all, &p, &err), 0);
	assert_non_null(memmem(p.chain.p, p.chain.n, certificates[1], strlen(certificates[1])));
	assert_null(memmem(p.chain.p, p.chain.n, certificates[0], strlen(certificates[0])));
	pile_done(&p);
	pki_free(&right);
	pki_free(&wrong);
	pki_free(&leaf);
}

static void test_facts_and_key(void **state)
{
	struct err err;
	struct pile p;
	(void)state;
	assert_int_equal(read_one(join(world.key, world.pem[LEAF], world.pem[MIDDLE]), &p, &err), 0);
	assert_true(str_eq(p.facts.names, STR("mx.example.org mail.example.org")));
	assert_true(str_eq(p.facts.key_type, STR("p256")));
	assert_false(p.facts.self_signed);
	assert_true(str_starts(p.summary,
		STR("CN = mx.example.org for mx.example.org mail.example.org, issued by CN = "
			"Middle, p256, 20")));
	assert_true(str_eq(buf_str(&p.key), str_from_c(world.key)));
	pile_done(&p);
}

/* ---- what hands and machines do to files ---- */

static void test_mangled_texts_are_read(void **state)
{
	(void)state;
	const char *clean = join(world.pem[LEAF], world.key, world.pem[MIDDLE]);
	char *text = arena_alloc(world.arena, ROOM);
	for (int mangling = 0; mangling < 6; mangling++) {
		size_t n = 0;
		if (mangling == 2)
			n = (size_t)snprintf(text, ROOM, "\xef\xbb\xbf");
		if (mangling == 3)
			n = (size_t)snprintf(text, ROOM, "\r\n\n\nBag Attributes\n  friendlyName: x: y\n");
		if (mangling == 4)
			text[n++] = ' ';
		for (const char *c = clean; *c; c++) {
			if (*c == '\n' && mangling == 0)
				text[n++] = '\r';
			text[n++] = mangling == 1 && *c == '\n' ? '\r' : *c;
			if (*c == '\n' && mangling == 3)
				text[n++] = '\n';
			if (*c == '\n' && mangling == 4)
				text[n++] = '\t';
		}
		if (mangling == 5)
			n--;
		text[n] = 0;
		expect_good(text, "CN = mx.example.org, CN = Middle", NULL);
	}
}

static void test_several_files(void **state)
{
	struct err err;
	struct pile p;
	(void)state;
	struct pile_part parts[] = {
		{STR("leaf.cer"), str_from_c(world.pem[LEAF])},
		{STR("private.key"), str_from_c(world.key)},
		{STR("bundle.pem"), str_from_c(world.pem[MIDDLE])},
		{STR("broken.pem"), STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")},
	};
	assert_int_equal(pile_read(parts, 3, STR(""), world.arena, &p, &err), 0);
	expect_chain(&p, "CN = mx.example.org, CN = Middle");
	pile_done(&p);
	assert_int_equal(pile_read(parts, 4, STR(""), world.arena, &p, &err), -1);
	assert_non_null(strstr(err.log, "broken.pem: block 1 (CERTIFICATE): it is damaged"));
	parts[3].bytes = STR("hello");
	assert_int_equal(pile_read(parts, 4, STR(""), world.arena, &p, &err), -1);
	assert_non_null(strstr(err.log, "broken.pem holds neither certificate nor key"));
	parts[3].bytes = STR("\x30\x82\x01\x01 DER");
	assert_int_equal(pile_read(parts, 4, STR(""), world.arena, &p, &err), -1);
	assert_non_null(strstr(err.log, "broken.pem is binary"));
}

static void test_encrypted_keys(void **state)
{
	struct err err;
	struct pile p;
	(void)state;
	for (int traditional = 0; traditional < 2; traditional++) {
		char *text;
		BIO *bio = BIO_new(BIO_s_mem());
		const unsigned char *pass = (const unsigned char *)"open sesame";
		if (traditional)
			PEM_write_bio_PrivateKey_traditional(
				bio, world.leaf.key, EVP_aes_128_cbc(), pass, 11, NULL, NULL);
		else
			PEM_write_bio_PrivateKey(bio, world.leaf.key, EVP_aes_128_cbc(), pass, 11, NULL, NULL);
		long n = BIO_get_mem_data(bio, &text);
		struct pile_part parts[] = {{STR("key.pem"), str_make(text, (size_t)n)},
			{STR("leaf.pem"), str_from_c(world.pem[LEAF])}};
		assert_int_equal(pile_read(parts, 2, STR("open sesame"), world.arena, &p, &err), 0);
		assert_true(str_eq(buf_str(&p.key), str_from_c(world.key)));
		pile_done(&p);
		assert_int_equal(pile_read(parts, 2, STR("wrong"), world.arena, &p, &err), -1);
		assert_non_null(strstr(err.log, "passphrase does not open"));
		assert_int_equal(pile_read(parts, 2, STR(""), world.arena, &p, &err), -1);
		assert_non_null(strstr(err.log, "is encrypted"));
		BIO_free(bio);
	}
}

/* ---- faults ---- */

static void test_faulty_piles(void **state)
{
	(void)state;
	expect_refused(world.pem[LEAF], "no private key");
	expect_refused(world.key, "no certificate");
	expect_refused(join(world.pem[LEAF], world.pem[MIDDLE], world.other_key),
		"(all.pem, p256) belongs to none of the 2 certificates");
	expect_refused("", "is empty");
	char cut[4096];
	snprintf(cut, sizeof cut, "%.300s", world.pem[LEAF]);
	expect_refused(join(world.key, cut, ""), "block 2 (CERTIFICATE) has no END line");
	expect_refused(join(cut, "\n", world.key), "block 1 (CERTIFICATE) has no END line");
	expect_refused(
		join("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "",
			""),
		"it is a request for a certificate");
	char two[ROOM];
	snprintf(two, sizeof two, "%s%s%s%s", world.pem[LEAF], world.key, world.pem[OTHER_ROOT],
		world.other_key);
	expect_refused(two, "two pairs");
}

static void test_duplicates_and_strays(void **state)
{
	(void)state;
	expect_good(join(world.key, join(world.pem[LEAF], world.pem[LEAF], world.pem[MIDDLE]), ""),
		"CN = mx.example.org, CN = Middle", "is there twice");
	expect_good(join(world.key, world.key, world.pem[LEAF]), "CN = mx.example.org",
		"its issuer \"CN = Middle\" is not in the files");
	expect_good(join(world.other_key, world.key, world.pem[LEAF]), "CN = mx.example.org",
		"a private key that belongs to no certificate");
	expect_good(join(world.key, world.pem[LEAF],
					"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"),
		"CN = mx.example.org", "block \"X509 CRL\" was skipped");
}

static void test_unfit_certificates_are_refused(void **state)
{
	static const struct {
		struct pki_wish wish;
		const char *reason; /* NULL: taken */
	} table[] = {
		{{.cn = "a", .san = "DNS:a", .from_days = -20, .to_days = -1}, "expired on 20"},
		{{.cn = "a", .san = "DNS:a", .from_days = 1, .to_days = 20}, "is not valid before 20"},
		{{.cn = "a", .san = "DNS:a", .type = "rsa1024"}, "1024 bits is too weak"},
		{{.cn = "a", .san = "DNS:a", .usage = "clientAuth"}, "not for TLS servers"},
		{{.cn = "a", .san = "DNS:a", .usage = "serverAuth,clientAuth"}, NULL},
		{{.cn = "a", .san = "DNS:a", .type = "rsa2048"}, NULL},
		{{.cn = "a", .san = "DNS:a", .type = "ed25519"}, NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct pki_pair p = pki_make(table[i].wish);
		if (table[i].reason)
			expect_refused(pair_text(&p), table[i].reason);
		else
			expect_good(pair_text(&p), "CN = a", "self-signed");
		pki_free(&p);
	}
	struct pki_pair sha1 = pki_make(
		(struct pki_wish){.cn = "a", .san = "DNS:a", .issuer = &world.middle, .digest = "SHA1"});
	expect_refused(pair_text(&sha1), "weak hash");
	pki_free(&sha1);
	struct pki_pair authority =
		pki_make((struct pki_wish){.cn = "CA", .authority = true, .issuer = &world.root});
	expect_refused(pair_text(&authority), "not for TLS servers");
	pki_free(&authority);
	struct pki_pair old = pki_make((struct pki_wish){
		.cn = "Old", .authority = true, .issuer = &world.root, .from_days = -99, .to_days = -1});
	struct pki_pair below = pki_make((struct pki_wish){.cn = "a", .san = "DNS:a", .issuer = &old});
	char old_text[4096];
	to_text(old_text, &old, NULL);
	expect_refused(join(pair_text(&below), old_text, ""), "intermediate \"CN = Old\" expired");
	pki_free(&below);
	pki_free(&old);
}

/* A renewed certificate with the old key beside the old one: the one that ends last. */
static void test_the_renewed_certificate_is_taken(void **state)
{
	struct err err;
	struct pile p;
	(void)state;
	struct pki_pair renewed = pki_make((struct pki_wish){.cn = "renewed",
		.san = "DNS:mx.example.org",
		.issuer = &world.middle,
		.key = world.leaf.key,
		.from_days = -1,
		.to_days = 300});
	char text[4096];
	to_text(text, &renewed, NULL);
	assert_int_equal(read_one(join(world.pem[LEAF], text, world.key), &p, &err), 0);
	expect_chain(&p, "CN = renewed");
	pile_done(&p);
	pki_free(&renewed);
}

static void test_common_name_stands_in(void **state)
{
	struct err err;
	struct pile p;
	(void)state;
	struct pki_pair old =
		pki_make((struct pki_wish){.cn = "MX.example.org", .issuer = &world.middle});
	assert_int_equal(read_one(pair_text(&old), &p, &err), 0);
	assert_true(str_eq(p.facts.names, STR("mx.example.org")));
	assert_non_null(memmem(p.findings.p, p.findings.n, "only as common name", 19));
	pile_done(&p);
	pki_free(&old);
}

/* Two authorities that signed each other: the search ends. */
static void test_a_loop_ends(void **state)
{
	(void)state;
	struct pki_pair a = pki_make((struct pki_wish){.cn = "A", .authority = true});
	struct pki_pair b = pki_make((struct pki_wish){.cn = "B", .authority = true, .issuer = &a});
	struct pki_pair a_by_b =
		pki_make((struct pki_wish){.cn = "A", .authority = true, .issuer = &b, .key = a.key});
	struct pki_pair leaf = pki_make((struct pki_wish){.cn = "l", .san = "DNS:l", .issuer = &b});
	char text[2][4096];
	to_text(text[0], &b, NULL);
	to_text(text[1], &a_by_b, NULL);
	expect_good(join(pair_text(&leaf), text[0], text[1]), "CN = l, CN = B, CN = A", NULL);
	pki_free(&a);
	pki_free(&b);
	pki_free(&a_by_b);
	pki_free(&leaf);
}

static void test_pem_blocks(void **state)
{
	struct pem_block block;
	(void)state;
	struct str rest = STR("x-----BEGIN A-----\nb\n-----BEGIN C-----\nd\n-----END C-----\n"
						  "-----BEGIN -----\n-----END E-----\n-----BEGIN F-----");
	assert_int_equal(pem_next(&rest, world.arena, &block), PEM_BROKEN);
	assert_true(str_eq(block.label, STR("A")));
	assert_int_equal(pem_next(&rest, world.arena, &block), PEM_BLOCK);
	assert_true(str_eq(block.label, STR("C")));
	assert_true(str_eq(block.text, STR("-----BEGIN C-----\nd\n-----END C-----\n")));
	assert_int_equal(pem_next(&rest, world.arena, &block), PEM_BROKEN);
	assert_int_equal(pem_next(&rest, world.arena, &block), PEM_END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_order_gives_one_chain),
		cmocka_unit_test(test_reordering_is_told),
		cmocka_unit_test(test_the_signature_decides_not_the_name),
		cmocka_unit_test(test_facts_and_key),
		cmocka_unit_test(test_mangled_texts_are_read),
		cmocka_unit_test(test_several_files),
		cmocka_unit_test(test_encrypted_keys),
		cmocka_unit_test(test_faulty_piles),
		cmocka_unit_test(test_duplicates_and_strays),
		cmocka_unit_test(test_unfit_certificates_are_refused),
		cmocka_unit_test(test_the_renewed_certificate_is_taken),
		cmocka_unit_test(test_common_name_stands_in),
		cmocka_unit_test(test_a_loop_ends),
		cmocka_unit_test(test_pem_blocks),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
