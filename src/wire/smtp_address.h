/* smtp_address: mailboxes and paths as SMTP writes them (RFC 5321 4.1.2, limits of 4.5.3.1).
 *
 * Bytes above 127 and control characters are refused everywhere (SMTPUTF8 is not spoken yet).
 *
 * RFC 5321 4.5.3.1 guarantees 64 bytes of local part and asks for techniques without limits; SRS
 * and VERP senders are longer in practice. So a local part is bounded by its path alone. */
#ifndef WIRE_SMTP_ADDRESS_H
#define WIRE_SMTP_ADDRESS_H

#include "wire/parse.h"

enum {
	SMTP_PATH_MAX = 256,   /* with its <>, without a source route */
	SMTP_DOMAIN_MAX = 255, /* without brackets; a label has at most 63 */
	SMTP_MAILBOX_MAX = SMTP_PATH_MAX - 2,
	SMTP_ROUTE_MAX = 512, /* a source route that is skipped */
};

/* Slices of the input. The null reverse-path "<>" has both empty, <Postmaster> only the domain. */
struct mailbox {
	struct str local;  /* as written, with its quotes */
	struct str domain; /* as written; a literal with its brackets */
	bool literal;      /* domain is an address literal: [192.0.2.1] or [IPv6:2001:db8::1] */
};

/* atext (RFC 5322 3.2.3) */
bool smtp_is_atext(char c);
/* Domain of at most SMTP_DOMAIN_MAX bytes, with labels as RFC 5321 says; underscores are let pass
 * too, since such hosts exist. */
enum parse smtp_domain(struct str *at, struct str *ret);
/* IPv4 or IPv6 literal with its brackets. General-address-literal is refused: no tag is registered
 * for one. */
enum parse smtp_address_literal(struct str *at, struct str *ret);
/* Dot-string / Quoted-string. */
enum parse smtp_local_part(struct str *at, struct str *ret);
/* Local-part "@" ( Domain / address-literal ) */
enum parse smtp_mailbox(struct str *at, struct mailbox *ret);
/* "<" [ A-d-l ":" ] Mailbox ">" or "<>". The source route is read and dropped (4.1.1.3). */
enum parse smtp_reverse_path(struct str *at, struct mailbox *ret);
/* The same or "<Postmaster>" without a domain in any case, but not "<>". */
enum parse smtp_forward_path(struct str *at, struct mailbox *ret);

/* The whole of `text` is one mailbox without <>. */
bool mailbox_from_str(struct str text, struct mailbox *ret);
/* The null reverse-path "<>": a mailbox has a local part. */
static inline bool mailbox_is_null(const struct mailbox *m)
{
	return m->local.n == 0;
}
/* The local part without its quoting: "a\"b" becomes a"b. At most SMTP_PATH_MAX bytes in dst. */
struct str smtp_local_plain(struct str local, char dst[SMTP_PATH_MAX]);
/* local@domain into dst, the local part in its shortest form (quoted only if it must be), so that
 * two spellings of one mailbox give one text; letter case stays. Without a domain the local part
 * alone; for the null path, and for what no parser made and does not fit, the empty slice. */
struct str mailbox_format(const struct mailbox *m, char dst[SMTP_PATH_MAX]);
/* Lower-case copy; a domain longer than SMTP_DOMAIN_MAX gives the empty slice. */
struct str domain_lower(struct str domain, char dst[SMTP_DOMAIN_MAX]);

#endif
