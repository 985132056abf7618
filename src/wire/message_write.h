/* message_write: header fields that are always well formed (RFC 5322 2.2), whatever their values
 * hold: for Received, for bounces, for fields added on submission. */
#ifndef WIRE_MESSAGE_WRITE_H
#define WIRE_MESSAGE_WRITE_H

#include "base/buf.h"

/* Adds "Name: value" CRLF, folded at blanks so that lines stay within 78 bytes where a blank allows
 * it, and in any case within 998. The value is unstructured text in UTF-8; words outside printable
 * ASCII become encoded-words (RFC 2047). CR, LF and other control characters become blanks, runs of
 * blanks become one, bytes that are no UTF-8 become '?'. `name` must be a good field name. */
void message_field(struct buf *out, const char *name, struct str value);
/* As message_field() for structured values (addresses, Message-ID, type/subtype): only folded,
 * never encoded; bytes outside printable ASCII become '?'. */
void message_field_raw(struct buf *out, const char *name, struct str value);

/* What a Time-stamp-line says (RFC 5321 4.4, protocol names of RFC 3848). */
struct message_received {
	struct str helo;     /* what the client called itself */
	struct str client;   /* its IP address: "192.0.2.1", "2001:db8::1" */
	struct str by;       /* our host name */
	struct str protocol; /* "SMTP", "ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA" */
	struct str tls;      /* "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: no TLS */
	struct str id;       /* queue id */
	struct str
		recipient;   /* only with exactly one, else empty: nobody's Bcc is told to the others */
	struct str date; /* clock_rfc5322() */
};
/* Adds "Received: from …; date" CRLF, folded. Facts come from outside: of each at most 255 bytes are
 * written, what is not printable or could be taken for structure as "?". */
void message_received(struct buf *out, const struct message_received *r);

#endif
