#include "cert/judge.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "cert/certificate.h"
#include "cert/name.h"

const char *fault_cause(enum fault f)
{
	static const char *const causes[FAULT_COUNT] = {
		[FAULT_INVALID_CHAIN] = "tls.invalid-chain",
		[FAULT_SELF_SIGNED] = "tls.self-signed",
		[FAULT_UNTRUSTED_ROOT] = "tls.untrusted-root",
		[FAULT_INCOMPLETE_CHAIN] = "tls.incomplete-chain",
		[FAULT_EXPIRED] = "tls.expired",
		[FAULT_NOT_YET_VALID] = "tls.not-yet-valid",
		[FAULT_NAME_MISMATCH] = "tls.name-mismatch",
	};
	return causes[f];
}

/* The first of a kind counts: OpenSSL reports some faults twice. */
static void note(struct judgement *j, enum fault f, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void note(struct judgement *j, enum fault f, const char *fmt, ...)
{
	if (j->has[f])
		return;
	j->has[f] = true;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(j->text[f], FAULT_TEXT, fmt, ap);
	va_end(ap);
}

/* ---- where a chain broke off ---- */

static int anchor_count(X509_STORE_CTX *ctx)
{
	return sk_X509_OBJECT_num(X509_STORE_get0_objects(X509_STORE_CTX_get0_store(ctx)));
}

/* An anchor of this name exists, but its key did not make the signature. */
static bool anchor_has_name(X509_STORE_CTX *ctx, const X509_NAME *name)
{
	X509_OBJECT *found = X509_STORE_CTX_get_obj_by_subject(ctx, X509_LU_X509, name);
	X509_OBJECT_free(found);
	return found != NULL;
}

static bool same_organisation(const X509_NAME *a, const X509_NAME *b)
{
	int i = X509_NAME_get_index_by_NID(a, NID_organizationName, -1);
	int k = X509_NAME_get_index_by_NID(b, NID_organizationName, -1);
	return i >= 0 && k >= 0 &&
		ASN1_STRING_cmp(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(a, i)),
			X509_NAME_ENTRY_get_data(X509_NAME_get_entry(b, k))) == 0;
}

static bool anchor_of_organisation(X509_STORE_CTX *ctx, const X509_NAME *name)
{
	STACK_OF(X509_OBJECT) *anchors = X509_STORE_get0_objects(X509_STORE_CTX_get0_store(ctx));
	for (int i = 0; i < sk_X509_OBJECT_num(anchors); i++) {
		const X509 *c = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(anchors, i));
		if (c && same_organisation(X509_get_subject_name(c), name))
			return true;
	}
	return false;
}

/* True if the certificate says where its issuer's can be had: only authorities that issue through
 * intermediates do that for a leaf. */
static bool tells_issuer_address(const X509 *c)
{
	AUTHORITY_INFO_ACCESS *info = X509_get_ext_d2i(c, NID_info_access, NULL, NULL);
	bool yes = false;
	for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(info); i++)
		if (OBJ_obj2nid(sk_ACCESS_DESCRIPTION_value(info, i)->method) == NID_ad_ca_issuers)
			yes = true;
	AUTHORITY_INFO_ACCESS_free(info);
	return yes;
}

/* True if the key identifier names who issued the issuer, and that is somebody else: the issuer is
 * no root (RFC 5280 4.2.1.1, authorityCertIssuer). */
static bool issuer_has_issuer(const X509 *c)
{
	AUTHORITY_KEYID *id = X509_get_ext_d2i(c, NID_authority_key_identifier, NULL, NULL);
	bool yes = false;
	for (int i = 0; id && i < sk_GENERAL_NAME_num(id->issuer); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(id->issuer, i);
		if (name->type == GEN_DIRNAME &&
			X509_NAME_cmp(name->d.directoryName, X509_get_issuer_name(c)) != 0)
			yes = true;
	}
	AUTHORITY_KEYID_free(id);
	return yes;
}

/* The issuer of `top` was neither sent nor is it an anchor. Whether it is a root that we do not
 * trust or an intermediate that should have been sent cannot be known without it; what `top` and the
 * anchors say decides which we name, and the text leaves the other open. */
static void judge_open_end(
	X509_STORE_CTX *ctx, X509 *top, int depth, struct str issuer, struct judgement *j)
{
	const X509_NAME *name = X509_get_issuer_name(top);
	if (anchor_has_name(ctx, name))
		note(j, FAULT_UNTRUSTED_ROOT,
			"issuer \"%.*s\" is not the trusted anchor of that name: another key signed",
			STR_ARG(issuer));
	else if (issuer_has_issuer(top) ||
		(depth == 0 && (tells_issuer_address(top) || anchor_of_organisation(ctx, name))))
		note(j, FAULT_INCOMPLETE_CHAIN,
			"the certificate of issuer \"%.*s\" was not sent, and it is none of %d trusted anchors",
			STR_ARG(issuer), anchor_count(ctx));
	else
		note(j, FAULT_UNTRUSTED_ROOT,
			"issuer \"%.*s\" is none of %d trusted anchors (if it is an intermediate, the peer "
			"should send its certificate)",
			STR_ARG(issuer), anchor_count(ctx));
}

/* ---- the chain ---- */

static void note_date(
	struct judgement *j, enum fault f, const char *word, struct str subject, const ASN1_TIME *t)
{
	char text[CLOCK_TEXT];
	note(j, f, "certificate \"%.*s\" %s %.10s", STR_ARG(subject), word,
		clock_rfc3339(certificate_time_ms(t), text));
}

/* Called by OpenSSL for each step; returns 1 so that it looks for more faults. */
static int on_step(int ok, X509_STORE_CTX *ctx)
{
	if (ok)
		return 1;
	struct judgement *j = X509_STORE_CTX_get_app_data(ctx);
	X509 *c = X509_STORE_CTX_get_current_cert(ctx);
	int error = X509_STORE_CTX_get_error(ctx);
	struct arena *arena = arena_new();
	struct str subject = c ? certificate_name(X509_get_subject_name(c), arena) : STR("?");
	struct str issuer = c ? certificate_name(X509_get_issuer_name(c), arena) : STR("?");
	subject = str_take(subject, 120);
	issuer = str_take(issuer, 120);
	switch (error) {
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		note(j, FAULT_SELF_SIGNED, "certificate \"%.*s\" is self-signed and no trusted anchor",
			STR_ARG(subject));
		break;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		note(j, FAULT_UNTRUSTED_ROOT, "root \"%.*s\" is none of %d trusted anchors",
			STR_ARG(subject), anchor_count(ctx));
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
		if (c)
			judge_open_end(ctx, c, X509_STORE_CTX_get_error_depth(ctx), issuer, j);
		break;
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: /* follows one of the two above */
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		note_date(j, FAULT_EXPIRED, "expired on", subject, X509_get0_notAfter(c));
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		note_date(j, FAULT_NOT_YET_VALID, "is not valid before", subject, X509_get0_notBefore(c));
		break;
	default:
		note(j, FAULT_INVALID_CHAIN, "certificate \"%.*s\": %s", STR_ARG(subject),
			X509_verify_cert_error_string(error));
	}
	arena_free(arena);
	return 1;
}

bool judge_chain(X509_STORE_CTX *ctx, struct judgement *j)
{
	X509_STORE_CTX_set_app_data(ctx, j);
	X509_STORE_CTX_set_verify_cb(ctx, on_step);
	X509_STORE_CTX_set_time(ctx, 0, (time_t)(clock_wall_ms() / 1000));
	/* Not 1 although on_step() never stops it: there was no chain to look at, or no memory. */
	if (X509_verify_cert(ctx) != 1)
		note(j, FAULT_INVALID_CHAIN, "the chain cannot be checked: %s",
			X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
	X509_STORE_CTX_set_app_data(ctx, NULL);
	ERR_clear_error();
	bool good = true;
	for (int f = 0; f < FAULT_COUNT; f++)
		good = good && !j->has[f];
	return good;
}

/* ---- the name ---- */

/* `address` is NULL if `host` is a name. */
static bool san_matches(const GENERAL_NAME *san, struct str host, const struct ip *address)
{
	if (san->type == GEN_IPADD && address)
		return str_eq(certificate_string(san->d.iPAddress), ip_bytes(address));
	return san->type == GEN_DNS && !address &&
		name_matches(certificate_string(san->d.dNSName), host);
}

bool judge_name(const X509 *leaf, struct str host, struct judgement *j)
{
	struct ip address;
	bool by_address = name_is_address(host, &address);
	GENERAL_NAMES *sans = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	bool fits = false;
	for (int i = 0; i < sk_GENERAL_NAME_num(sans) && !fits; i++)
		fits = san_matches(sk_GENERAL_NAME_value(sans, i), host, by_address ? &address : NULL);
	GENERAL_NAMES_free(sans);
	if (!fits) {
		struct arena *arena = arena_new();
		struct str names = str_take(certificate_names(leaf, arena), 120);
		note(j, FAULT_NAME_MISMATCH, "the certificate is for \"%.*s\", not for \"%.*s\"",
			STR_ARG(names), STR_ARG(str_take(host, 80)));
		arena_free(arena);
	}
	ERR_clear_error();
	return fits;
}
