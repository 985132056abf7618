#include "cert/certificate.h"

#include <setjmp.h> /* style: cmocka wants it */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cert/key.h"
#include "cert/test_pki.h"

static void test_facts(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	struct pki_pair root = pki_make((struct pki_wish){.cn = "Root",
		.organisation = "B\xc3\xbc"
						"cher",
		.authority = true});
	struct pki_pair leaf = pki_make((struct pki_wish){.cn = "line\nbreak",
		.san = "DNS:MX.example.org,IP:192.0.2.1,DNS:*.example.org,email:a@example.org",
		.issuer = &root,
		.type = "ed25519"});
	struct certificate_facts f;
	certificate_facts(leaf.c, arena, &f);
	assert_true(str_eq(f.names, STR("mx.example.org *.example.org")));
	assert_true(
		str_eq(f.subject, STR("CN = line\\0Abreak"))); /* one line, ASCII, whatever is in it */
	assert_true(str_eq(f.issuer, STR("O = B\\C3\\BCcher, CN = Root")));
	assert_true(str_eq(f.key_type, STR("ed25519")));
	assert_false(f.self_signed);
	assert_int_equal(f.not_after_ms - f.not_before_ms, 90 * INT64_C(86400000));
	char id[KEY_ID_TEXT];
	assert_true(str_eq(f.key_id, str_from_c(key_id(leaf.key, id))));
	assert_true(key_id_valid(f.key_id));
	assert_int_equal(f.thumbprint.n, 64);
	certificate_facts(root.c, arena, &f);
	assert_true(f.self_signed);
	assert_int_equal(f.names.n, 0);
	assert_int_equal(ERR_peek_error(), 0);
	pki_free(&root);
	pki_free(&leaf);
	arena_free(arena);
}

/* Names that would end early, forge a second one or hold a blank are left out. */
static void test_odd_names_are_left_out(void **state)
{
	static const struct str odd[] = {STR("good.example\0.evil.example"), STR("a b.example"),
		STR(""), STR("a,b"), STR("ok.example")};
	(void)state;
	struct arena *arena = arena_new();
	struct pki_pair p = pki_make((struct pki_wish){.cn = "x"});
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		GENERAL_NAME *name = GENERAL_NAME_new();
		ASN1_IA5STRING *text = ASN1_IA5STRING_new();
		ASN1_STRING_set(text, odd[i].p, (int)odd[i].n);
		GENERAL_NAME_set0_value(name, GEN_DNS, text);
		sk_GENERAL_NAME_push(names, name);
	}
	assert_int_equal(X509_add1_ext_i2d(p.c, NID_subject_alt_name, names, 0, 0), 1);
	GENERAL_NAMES_free(names);
	assert_true(str_eq(certificate_names(p.c, arena), STR("ok.example")));
	pki_free(&p);
	arena_free(arena);
}

static void test_lists(void **state)
{
	(void)state;
	struct err err;
	struct buf text;
	buf_init(&text, 1 << 16);
	struct pki_pair p = pki_make((struct pki_wish){.cn = "x"});
	pki_add_pem(&text, &p);
	buf_add_c(&text, "some words\n");
	pki_add_key(&text, p.key);
	pki_add_pem(&text, &p);
	STACK_OF(X509) *list = certificate_read_list(buf_str(&text), 2, &err);
	assert_int_equal(sk_X509_num(list), 2);
	certificate_free_list(list);
	assert_null(certificate_read_list(buf_str(&text), 1, &err));
	assert_string_equal(err.log, "more than 1 certificates");
	struct str cut = str_take(buf_str(&text), text.n - 100);
	assert_null(certificate_read_list(cut, 5, &err));
	assert_memory_equal(err.log, "certificate 2 is damaged", 24);
	assert_null(certificate_read_list(STR("nothing"), 5, &err));
	assert_string_equal(err.log, "no certificate in it");
	assert_int_equal(ERR_peek_error(), 0);
	buf_done(&text);
	pki_free(&p);
}

static void test_issued_by(void **state)
{
	(void)state;
	struct pki_pair a = pki_make((struct pki_wish){.cn = "A", .authority = true, .bare = true});
	struct pki_pair b = pki_make((struct pki_wish){.cn = "A", .authority = true, .bare = true});
	struct pki_pair leaf = pki_make((struct pki_wish){.cn = "l", .bare = true, .issuer = &a});
	struct pki_pair below = pki_make((struct pki_wish){.cn = "m", .bare = true, .issuer = &leaf});
	assert_true(certificate_issued_by(leaf.c, a.c));
	assert_false(certificate_issued_by(leaf.c, b.c));
	assert_true(certificate_self_signed(a.c));
	assert_false(certificate_self_signed(leaf.c));
	assert_false(certificate_issued_by(a.c, leaf.c));
	assert_true(certificate_issued_by(below.c, leaf.c)); /* judging CA:FALSE is for verification */
	pki_free(&a);
	pki_free(&b);
	pki_free(&leaf);
	pki_free(&below);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_odd_names_are_left_out),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_issued_by),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
