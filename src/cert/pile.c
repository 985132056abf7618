#include "cert/pile.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/clock.h"
#include "cert/certificate.h"
#include "cert/crypto.h"
#include "cert/key.h"
#include "cert/pile_blocks.h"

enum { CHAIN_BYTES_MAX = 256 * 1024, SECURITY_BITS_MIN = 112, KEY_BYTES_MAX = 64 * 1024 };

/* The chain as it grows: the leaf first. */
struct chain {
	struct pile_certificate *at[CHAIN_MAX];
	size_t n;
	struct pile_certificate *root; /* NULL: not in the pile */
	struct pile_key *key;
};

/* ---- the pair ---- */

static bool belongs(const struct pile_certificate *c, const struct pile_key *k)
{
	EVP_PKEY *of_certificate = X509_get0_pubkey(c->c);
	bool yes = of_certificate && EVP_PKEY_eq(of_certificate, k->key) == 1;
	ERR_clear_error();
	return yes;
}

/* The one that ends later is the renewed one; an end that cannot be read is before all others. Of two
 * that end together one is as good as the other, but it is the same in every order of the files. */
static bool replaces(const struct pile_certificate *c, const struct pile_certificate *best)
{
	if (!best)
		return true;
	int64_t end = certificate_time_ms(X509_get0_notAfter(c->c));
	int64_t best_end = certificate_time_ms(X509_get0_notAfter(best->c));
	return end != best_end ? end > best_end : X509_cmp(c->c, best->c) > 0;
}

/* Of several certificates of one key the best. */
static struct pile_certificate *leaf_of(const struct pile_blocks *b, const struct pile_key *k)
{
	struct pile_certificate *best = NULL;
	for (size_t i = 0; i < b->certificates.n; i++) {
		struct pile_certificate *c = pile_blocks_certificate(b, i);
		if (belongs(c, k) && replaces(c, best))
			best = c;
	}
	return best;
}

static int explain_mismatch(const struct pile_blocks *b, struct err *err)
{
	struct pile_key *k = pile_blocks_key(b, 0);
	struct pile_certificate *c = pile_blocks_certificate(b, 0);
	char have[KEY_TYPE_TEXT], want[KEY_TYPE_TEXT] = "unknown";
	EVP_PKEY *of_certificate = X509_get0_pubkey(c->c);
	if (of_certificate)
		key_type(of_certificate, want);
	return err_say(err,
		"the private key (%.*s, %s) belongs to none of the %zu certificates; \"%.*s\" (%.*s, %s) "
		"needs the key that its request was made with",
		STR_ARG(k->file), key_type(k->key, have), b->certificates.n, STR_ARG(pile_subject(b, c->c)),
		STR_ARG(c->file), want);
}

static int find_pair(const struct pile_blocks *b, struct chain *chain, struct err *err)
{
	if (b->certificates.n == 0)
		return err_say(err,
			"there is no certificate in the files: add the one you were given, "
			"with its line \"-----BEGIN CERTIFICATE-----\"");
	if (b->keys.n == 0)
		return err_say(err,
			"there is no private key in the files: add the one the certificate "
			"was requested with (\"-----BEGIN PRIVATE KEY-----\")");
	for (size_t i = 0; i < b->keys.n; i++) {
		struct pile_key *k = pile_blocks_key(b, i);
		struct pile_certificate *leaf = leaf_of(b, k);
		if (!leaf)
			continue;
		if (chain->key)
			return err_say(err,
				"two pairs of key and certificate: \"%.*s\" and \"%.*s\"; import one at a time",
				STR_ARG(pile_subject(b, chain->at[0]->c)), STR_ARG(pile_subject(b, leaf->c)));
		chain->key = k;
		chain->at[0] = leaf;
		chain->n = 1;
		leaf->used = true;
	}
	return chain->key ? 0 : explain_mismatch(b, err);
}

/* ---- the chain ---- */

/* Who signed `c`; of several (cross-signed, renewed) the one that ends last. Itself never. */
static struct pile_certificate *issuer_of(const struct pile_blocks *b, struct pile_certificate *c)
{
	struct pile_certificate *best = NULL;
	for (size_t i = 0; i < b->certificates.n; i++) {
		struct pile_certificate *other = pile_blocks_certificate(b, i);
		if (!other->used && certificate_issued_by(c->c, other->c) && replaces(other, best))
			best = other;
	}
	return best;
}

static void build_chain(const struct pile_blocks *b, struct chain *chain)
{
	if (certificate_self_signed(chain->at[0]->c))
		return;
	while (chain->n < CHAIN_MAX) {
		struct pile_certificate *next = issuer_of(b, chain->at[chain->n - 1]);
		if (!next)
			return;
		next->used = true;
		if (certificate_self_signed(next->c)) {
			chain->root = next;
			return;
		}
		chain->at[chain->n++] = next;
	}
}

/* ---- judging ---- */

static int check_dates(const struct pile_blocks *b, const struct pile_certificate *c,
	const char *what, struct err *err)
{
	char date[CLOCK_TEXT];
	int64_t from = certificate_time_ms(X509_get0_notBefore(c->c));
	int64_t to = certificate_time_ms(X509_get0_notAfter(c->c));
	int64_t now = clock_wall_ms();
	if (to <= now)
		return err_say(err, "%.*s: %s \"%.*s\" expired on %.10s: get a new one", STR_ARG(c->file),
			what, STR_ARG(pile_subject(b, c->c)), clock_rfc3339(to, date));
	if (from > now)
		return err_say(err,
			"%.*s: %s \"%.*s\" is not valid before %.19sZ: import it then, or set this machine's "
			"clock right",
			STR_ARG(c->file), what, STR_ARG(pile_subject(b, c->c)), clock_rfc3339(from, date));
	return 0;
}

static bool weak_signature(X509 *c)
{
	int bits = 0;
	bool known = X509_get_signature_info(c, NULL, NULL, &bits, NULL) == 1;
	ERR_clear_error();
	return !(X509_get_extension_flags(c) & EXFLAG_SS) && (!known || bits < SECURITY_BITS_MIN);
}

/* Peers refuse such certificates, and so does our own TLS: better now than at the first handshake. */
static int check_strength(const struct pile_blocks *b, const struct pile_certificate *c,
	const char *what, struct err *err)
{
	EVP_PKEY *key = X509_get0_pubkey(c->c);
	ERR_clear_error();
	if (!key)
		return err_say(err, "%.*s: the public key of %s \"%.*s\" cannot be read", STR_ARG(c->file),
			what, STR_ARG(pile_subject(b, c->c)));
	if (EVP_PKEY_get_security_bits(key) < SECURITY_BITS_MIN)
		return err_say(err,
			"%.*s: %s \"%.*s\" has a key of %d bits, too weak: it can be broken, and peers refuse "
			"it",
			STR_ARG(c->file), what, STR_ARG(pile_subject(b, c->c)), EVP_PKEY_get_bits(key));
	if (weak_signature(c->c))
		return err_say(err,
			"%.*s: %s \"%.*s\" is signed with a weak hash, which peers refuse: have it issued "
			"again with SHA-256",
			STR_ARG(c->file), what, STR_ARG(pile_subject(b, c->c)));
	return 0;
}

/* The key is one that `keys` takes. */
static int check_key(const struct pile_key *k, struct err *err)
{
	struct err why;
	return key_check(k->key, &why) == 0 ? 0 : err_say(err, "%.*s: %s", STR_ARG(k->file), why.log);
}

static int judge_leaf(struct pile_blocks *b, const struct pile_certificate *leaf, struct err *err)
{
	if (check_dates(b, leaf, "certificate", err) != 0 ||
		check_strength(b, leaf, "certificate", err) != 0)
		return -1;
	bool for_server = X509_check_purpose(leaf->c, X509_PURPOSE_SSL_SERVER, 0) == 1;
	bool self_signed = certificate_self_signed(leaf->c);
	bool is_authority = X509_check_ca(leaf->c) == 1;
	ERR_clear_error();
	if (!for_server)
		return err_say(err,
			"%.*s: certificate \"%.*s\" is not for TLS servers (its key usage forbids it): have it "
			"issued with extendedKeyUsage serverAuth",
			STR_ARG(leaf->file), STR_ARG(pile_subject(b, leaf->c)));
	if (is_authority && !self_signed)
		return err_say(err,
			"%.*s: the key belongs to \"%.*s\", the certificate of an authority: never put the key "
			"of an authority on a mail server",
			STR_ARG(leaf->file), STR_ARG(pile_subject(b, leaf->c)));
	if (self_signed)
		pile_finding(b, "the certificate is self-signed: nobody trusts it who was not told to");
	return 0;
}

static int judge_chain_above(struct pile_blocks *b, const struct chain *chain, struct err *err)
{
	for (size_t i = 1; i < chain->n; i++)
		if (check_dates(b, chain->at[i], "intermediate", err) != 0 ||
			check_strength(b, chain->at[i], "intermediate", err) != 0)
			return -1;
	const struct pile_certificate *top = chain->at[chain->n - 1];
	if (!chain->root && !certificate_self_signed(top->c))
		pile_finding(b,
			"the chain ends at \"%.*s\": its issuer \"%.*s\" is not in the files; unless that is a "
			"root, peers cannot verify this certificate, so add it",
			STR_ARG(pile_subject(b, top->c)),
			STR_ARG(str_take(certificate_name(X509_get_issuer_name(top->c), b->arena), 80)));
	return 0;
}

/* ---- what was mended ---- */

/* "reordered: was 0,2,1": where in the pile the leaf, its issuer, … stood. */
static void report_order(struct pile_blocks *b, const struct chain *chain)
{
	unsigned order[CHAIN_MAX + 1];
	size_t n = 0;
	bool sorted = true;
	for (size_t i = 0; i < chain->n; i++)
		order[n++] = chain->at[i]->number;
	if (chain->root)
		order[n++] = chain->root->number;
	struct buf text;
	buf_init(&text, 256);
	for (size_t i = 0; i < n; i++) {
		sorted = sorted && (i == 0 || order[i] > order[i - 1]);
		buf_addf(&text, "%s%u", i ? "," : "", order[i]);
	}
	if (!sorted)
		pile_finding(b, "reordered: was %s", buf_c(&text));
	buf_done(&text);
}

static void report_rest(struct pile_blocks *b, const struct chain *chain)
{
	if (chain->root)
		pile_finding(b, "root \"%.*s\" was left out: peers have it or do not trust it",
			STR_ARG(pile_subject(b, chain->root->c)));
	for (size_t i = 0; i < b->certificates.n; i++) {
		const struct pile_certificate *c = pile_blocks_certificate(b, i);
		if (!c->used)
			pile_finding(b, "%.*s: \"%.*s\" does not belong to the chain: left out",
				STR_ARG(c->file), STR_ARG(pile_subject(b, c->c)));
	}
	for (size_t i = 0; i < b->keys.n; i++)
		if (pile_blocks_key(b, i) != chain->key)
			pile_finding(b, "%.*s: a private key that belongs to no certificate was left out",
				STR_ARG(pile_blocks_key(b, i)->file));
}

/* ---- the result ---- */

static struct str summary(const struct certificate_facts *f, struct arena *arena)
{
	char from[CLOCK_TEXT], to[CLOCK_TEXT];
	return arena_fmt(arena, "%.*s for %.*s, %s%.*s, %.*s, %.10s to %.10s",
		STR_ARG(str_take(f->subject, 120)), STR_ARG(str_take(f->names, 400)),
		f->self_signed ? "self-signed" : "issued by ",
		STR_ARG(f->self_signed ? STR("") : str_take(f->issuer, 120)), STR_ARG(f->key_type),
		clock_rfc3339(f->not_before_ms, from), clock_rfc3339(f->not_after_ms, to));
}

/* A certificate without subjectAltName is not refused: mail servers that do not check the name still
 * take it. What it was meant for stands in its common name. */
static void name_by_common_name(struct pile_blocks *b, X509 *leaf, struct certificate_facts *facts)
{
	char name[256];
	int n =
		X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, name, sizeof name);
	ERR_clear_error();
	if (facts->names.n > 0 || n <= 0)
		return;
	if (!certificate_is_name(str_make(name, (size_t)n)))
		return;
	facts->names = arena_lower(b->arena, str_make(name, (size_t)n));
	pile_finding(b,
		"the certificate names \"%.*s\" only as common name, not in subjectAltName: "
		"peers that check names will refuse it",
		STR_ARG(facts->names));
}

static int fill(struct pile_blocks *b, const struct chain *chain, struct pile *ret, struct err *err)
{
	struct buf pem;
	buf_init(&pem, CHAIN_BYTES_MAX);
	int status = 0;
	for (size_t i = 0; i < chain->n && status == 0; i++)
		status = certificate_write(chain->at[i]->c, &pem, err);
	ret->chain = arena_dup(b->arena, buf_str(&pem));
	buf_done(&pem);
	if (status != 0)
		return -1;
	certificate_facts(chain->at[0]->c, b->arena, &ret->facts);
	name_by_common_name(b, chain->at[0]->c, &ret->facts);
	ret->summary = summary(&ret->facts, b->arena);
	return key_write(chain->key->key, &ret->key, err);
}

static int make(struct pile_blocks *b, struct pile *ret, struct err *err)
{
	struct chain chain = {0};
	if (find_pair(b, &chain, err) != 0)
		return -1;
	build_chain(b, &chain);
	if (check_key(chain.key, err) != 0 || judge_leaf(b, chain.at[0], err) != 0 ||
		judge_chain_above(b, &chain, err) != 0)
		return -1;
	report_order(b, &chain);
	report_rest(b, &chain);
	if (fill(b, &chain, ret, err) != 0)
		return -1;
	ret->findings = arena_dup(b->arena, str_trim(buf_str(&b->findings)));
	return 0;
}

int pile_read(const struct pile_part *parts, size_t n, struct str passphrase, struct arena *arena,
	struct pile *ret, struct err *err)
{
	crypto_init();
	*ret = (struct pile){0};
	buf_init(&ret->key, KEY_BYTES_MAX);
	if (n > PILE_FILES_MAX)
		return err_say(err, "%zu files: at most %d", n, PILE_FILES_MAX);
	struct pile_blocks blocks;
	pile_blocks_init(&blocks, arena);
	int status = 0;
	for (size_t i = 0; i < n && status == 0; i++)
		status = pile_blocks_add(&blocks, &parts[i], passphrase, err);
	if (status == 0)
		status = make(&blocks, ret, err);
	pile_blocks_done(&blocks);
	ERR_clear_error(); /* left by whatever looked into certificates that are damaged inside */
	if (status != 0) {
		pile_done(ret);
		*ret = (struct pile){0};
	}
	return status;
}

void pile_done(struct pile *p)
{
	key_wipe(&p->key);
}
