#include "cert/pile_blocks.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "base/mem.h"
#include "cert/certificate.h"
#include "cert/crypto.h"
#include "cert/key.h"
#include "cert/pem.h"

enum { FINDINGS_MAX = 16 * 1024, NAME_SHOWN = 80 };

void pile_blocks_init(struct pile_blocks *b, struct arena *arena)
{
	b->arena = arena;
	vec_init(&b->certificates, sizeof(struct pile_certificate));
	vec_init(&b->keys, sizeof(struct pile_key));
	buf_init(&b->findings, FINDINGS_MAX);
}

void pile_blocks_done(struct pile_blocks *b)
{
	for (size_t i = 0; i < b->certificates.n; i++)
		X509_free(pile_blocks_certificate(b, i)->c);
	for (size_t i = 0; i < b->keys.n; i++)
		EVP_PKEY_free(pile_blocks_key(b, i)->key);
	vec_done(&b->certificates);
	vec_done(&b->keys);
	buf_done(&b->findings);
}

struct pile_certificate *pile_blocks_certificate(const struct pile_blocks *b, size_t i)
{
	return vec_at(&b->certificates, i);
}

struct pile_key *pile_blocks_key(const struct pile_blocks *b, size_t i)
{
	return vec_at(&b->keys, i);
}

void pile_finding(struct pile_blocks *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (buf_addv(&b->findings, fmt, ap))
		buf_add_char(&b->findings, '\n');
	va_end(ap);
}

struct str pile_subject(const struct pile_blocks *b, const X509 *c)
{
	struct str name = certificate_name(X509_get_subject_name(c), b->arena);
	return name.n ? str_take(name, NAME_SHOWN) : STR("no subject");
}

/* ---- blocks ---- */

static int add_certificate(
	struct pile_blocks *b, struct str file, const struct pem_block *block, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(block->text.p, (int)block->text.n);
	if (!bio)
		mem_exhausted(0);
	char why[CRYPTO_TEXT];
	X509 *c = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
	BIO_free(bio);
	crypto_drain(why);
	if (!c)
		return err_say(err, "it is damaged (%s): copy it again, whole", why);
	for (size_t i = 0; i < b->certificates.n; i++)
		if (X509_cmp(pile_blocks_certificate(b, i)->c, c) == 0) {
			pile_finding(b, "%.*s: certificate \"%.*s\" is there twice: one was dropped",
				STR_ARG(file), STR_ARG(pile_subject(b, c)));
			X509_free(c);
			return 0;
		}
	if (b->certificates.n == PILE_CERTIFICATES_MAX) {
		X509_free(c);
		return err_say(
			err, "more than %d certificates are no chain but a trust store", PILE_CERTIFICATES_MAX);
	}
	struct pile_certificate *new = vec_add(&b->certificates, NULL);
	*new = (struct pile_certificate){.c = c, .file = file, .number = b->certificates.n - 1};
	return 0;
}

/* The block's text is overwritten: it holds the key. */
static int add_key(struct pile_blocks *b, struct str file, const struct pem_block *block,
	struct str passphrase, struct err *err)
{
	EVP_PKEY *key = key_read(block->text, passphrase, err);
	mem_wipe((char *)(uintptr_t)block->text.p, block->text.n);
	if (!key)
		return -1;
	for (size_t i = 0; i < b->keys.n; i++)
		if (EVP_PKEY_eq(pile_blocks_key(b, i)->key, key) == 1) {
			EVP_PKEY_free(key);
			return 0;
		}
	ERR_clear_error();
	if (b->keys.n == PILE_KEYS_MAX) {
		EVP_PKEY_free(key);
		return err_say(
			err, "more than %d private keys: give the one of this certificate", PILE_KEYS_MAX);
	}
	*(struct pile_key *)vec_add(&b->keys, NULL) = (struct pile_key){.key = key, .file = file};
	return 0;
}

static int add_block(struct pile_blocks *b, struct str file, const struct pem_block *block,
	struct str passphrase, struct err *err)
{
	if (str_eq(block->label, STR("CERTIFICATE")) || str_eq(block->label, STR("X509 CERTIFICATE")) ||
		str_eq(block->label, STR("TRUSTED CERTIFICATE")))
		return add_certificate(b, file, block, err);
	if (str_ends_nocase(block->label, STR("PRIVATE KEY")))
		return add_key(b, file, block, passphrase, err);
	if (str_ends_nocase(block->label, STR("CERTIFICATE REQUEST")))
		return err_say(err,
			"it is a request for a certificate: import what the certificate "
			"authority sent back for it");
	if (str_eq(block->label, STR("PKCS7")) || str_eq(block->label, STR("CMS")))
		return err_say(err,
			"PKCS#7 is not read: convert it with \"openssl pkcs7 -print_certs "
			"-in FILE -out NEWFILE\"");
	if (!str_ends_nocase(block->label, STR("PARAMETERS"))) /* they come along with EC keys */
		pile_finding(b, "%.*s: block \"%.*s\" was skipped", STR_ARG(file), STR_ARG(block->label));
	return 0;
}

/* A file without a block: says what it seems to be. */
static int nothing_found(const struct pile_part *part, struct err *err)
{
	enum { DER_SEQUENCE = 0x30 };
	if (part->bytes.n > 1 && part->bytes.p[0] == DER_SEQUENCE && (part->bytes.p[1] & 0x80))
		return err_say(err,
			"%.*s is binary (DER or PKCS#12): convert it with \"openssl x509 -inform der\", "
			"\"openssl pkey -inform der\" or \"openssl pkcs12 -nodes\"",
			STR_ARG(part->name));
	if (str_trim(part->bytes).n == 0)
		return err_say(err, "%.*s is empty", STR_ARG(part->name));
	return err_say(err,
		"%.*s holds neither certificate nor key: a line \"-----BEGIN CERTIFICATE-----\" is missing",
		STR_ARG(part->name));
}

int pile_blocks_add(
	struct pile_blocks *b, const struct pile_part *part, struct str passphrase, struct err *err)
{
	struct pile_part shown = *part; /* its name goes into messages of limited length */
	shown.name = str_take(part->name, NAME_SHOWN);
	struct str rest = part->bytes;
	struct pem_block block;
	struct err why;
	for (unsigned number = 1;; number++) {
		switch (pem_next(&rest, b->arena, &block)) {
		case PEM_END:
			return number > 1 ? 0 : nothing_found(&shown, err);
		case PEM_BROKEN:
			return err_say(err,
				"%.*s: block %u (%.*s) has no END line of its own: it was cut off or mixed up, "
				"copy it again, whole",
				STR_ARG(shown.name), number, STR_ARG(block.label));
		case PEM_BLOCK:
			if (number > PILE_BLOCKS_MAX)
				return err_say(
					err, "%.*s: more than %d blocks", STR_ARG(shown.name), PILE_BLOCKS_MAX);
			err_clear(&why);
			if (add_block(b, shown.name, &block, passphrase, &why) != 0)
				return err_say(err, "%.*s: block %u (%.*s): %s", STR_ARG(shown.name), number,
					STR_ARG(block.label), why.log);
		}
	}
}
