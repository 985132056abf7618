/* sign_rule: what `keys` signs for an edge: the two texts a TLS server signs in a handshake, and
 * nothing that only resembles one. A taken-over edge can shake hands in our name while it lives; it
 * gets no signature under mail, a certificate or a request for one. Pure. */
#ifndef CERT_SIGN_RULE_H
#define CERT_SIGN_RULE_H

#include "base/str.h"

enum handshake {
	HANDSHAKE_NONE, /* not the text of a handshake: refused */
	HANDSHAKE_TLS12,
	HANDSHAKE_TLS13,
};

/* What `text`, all of it, is. The grammar stands above the function. */
enum handshake sign_rule_text(struct str text);

/* True if the protocol signs in this way with such a key: `key_type` as key.h names it, `digest`
 * empty for none. RFC 8446 4.2.3, RFC 8422 5.10; never SHA-1 or MD5. */
bool sign_rule_algorithm(
	enum handshake h, struct str key_type, struct str digest, bool pss, int64_t salt_length);

#endif
