/* message_notes: what an MTA must know of a message without reading MIME, noted while the content
 * passes, in pieces cut anywhere. The header section is read up to the first empty line; the body
 * costs little more than a look at each byte. Memory is bounded by the struct. */
#ifndef WIRE_MESSAGE_NOTES_H
#define WIRE_MESSAGE_NOTES_H

#include "base/str.h"

enum { MESSAGE_ID_MAX = 500, MESSAGE_NOTES_NAME = 16 };

struct message_notes {
	uint64_t size;         /* bytes */
	uint64_t longest_line; /* bytes without CRLF */
	uint32_t received;     /* Received fields: hops so far (RFC 5321 6.3) */
	bool has_date, has_from, has_message_id;
	bool has_8bit; /* a byte above 127 */
	bool has_nul;
	bool begins_folded; /* with a blank or tab: it would continue a field put in front of it */
	/* Private from here on; see message_notes_id(). */
	bool in_body;
	bool after_cr;
	uint8_t field;   /* which field the header line belongs to */
	uint8_t name_n;  /* bytes of the field name so far */
	uint16_t id_n;   /* bytes of the Message-ID's value so far */
	uint64_t line_n; /* bytes of the line so far, a CR at its end included */
	char name[MESSAGE_NOTES_NAME];
	char id[MESSAGE_ID_MAX];
};

/* At the beginning of a message: nothing noted yet. */
void message_notes_init(struct message_notes *n);
/* The next piece of the content, cut anywhere; nothing of it is kept but what the struct holds. */
void message_notes_add(struct message_notes *n, struct str piece);
/* Once after the last piece: counts a last line without CRLF. */
void message_notes_end(struct message_notes *n);
/* The first Message-ID with its <>, or empty: none, ending beyond MESSAGE_ID_MAX bytes of the
 * field, or not printable ASCII without blanks. Points into *n. */
struct str message_notes_id(const struct message_notes *n);

#endif
