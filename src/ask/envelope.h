/* envelope: who sent a message, to whom, and how (RFC 5321 2.3.1 with the parameters of RFC 1870,
 * 3461 and 6152). Slices belong to whoever made the envelope. */
#ifndef ASK_ENVELOPE_H
#define ASK_ENVELOPE_H

#include "io/xfer.h"
#include "wire/smtp_param.h"

enum { ENVELOPE_RECIPIENTS_MAX = 10000, ADDRESS_MAX = 320 };

struct envelope_recipient {
	struct str address; /* local@domain or local@[literal], as given, without <> */
	struct str orcpt;   /* RFC 3461 4.2, still xtext-encoded, with its type; empty if not given */
	uint8_t notify;     /* enum dsn_notify, or-ed */
};

struct envelope {
	struct str sender; /* empty: the null reverse-path */
	struct str envid;  /* still xtext-encoded */
	enum dsn_ret ret;
	enum body_type body_type;
	struct envelope_recipient *recipients;
	uint32_t recipient_count;
};

void xfer_envelope(struct xfer *x, struct envelope *e);

#endif
