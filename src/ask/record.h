/* record: what happened in one session or one delivery attempt, moment by moment, always on.
 * Bounded: beyond RECORD_EVENTS events or RECORD_BYTES bytes the middle is dropped and counted, so
 * the beginning and the end are always there. Secrets never get in: AUTH lines and keys are not
 * recorded. Text is UTF-8 or not at all: other bytes and control characters become '?'. */
#ifndef ASK_RECORD_H
#define ASK_RECORD_H

#include "io/xfer.h"

enum record_kind { RECORD_SESSION, RECORD_ATTEMPT };

enum record_event_kind {
	EVENT_NOTE,
	EVENT_DNS,     /* "MX example.org: 10 mx1.example.org (server 192.0.2.53, NOERROR, insecure)" */
	EVENT_CONNECT, /* "192.0.2.1:25 mx1.example.org" */
	EVENT_SENT,    /* a command or, in a session, our reply */
	EVENT_RECEIVED,
	EVENT_TLS,         /* "TLSv1.3 TLS_AES_256_GCM_SHA384 x25519 sni=mx1.example.org" */
	EVENT_CERTIFICATE, /* one per depth: "0 s:CN=… i:CN=… until 2027-01-01 sha256=…" */
	EVENT_VERDICT,     /* "verified", or the cause */
	EVENT_ERROR,
	EVENT_LAST = EVENT_ERROR,
};

enum { RECORD_EVENTS = 200, RECORD_BYTES = 24 * 1024, RECORD_MESSAGES = 64 };

struct record_event {
	uint32_t ms; /* since the record began */
	enum record_event_kind kind;
	struct str text;
};

struct record {
	struct arena *arena;
	enum record_kind kind;
	uint64_t id; /* session or attempt */
	int64_t started_ms;
	int64_t steady_ms;
	struct str peer; /* address:port, and host name if known */
	uint64_t messages[RECORD_MESSAGES];
	uint32_t message_count; /* may exceed RECORD_MESSAGES: then the rest is only counted */
	struct record_event *events;
	uint32_t event_count, dropped;
	/* Private to a record that is being written. */
	uint32_t event_room, kept; /* the first `kept` events stay for good */
	size_t bytes;
};

/* A record that begins now; it lives in `arena`. */
struct record *record_new(struct arena *arena, enum record_kind kind, struct str peer);
void record_add(struct record *r, enum record_event_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void record_message(struct record *r, uint64_t queue_id);
/* "dns", "sent", … for JSON and screens. */
const char *record_event_name(enum record_event_kind kind);
void xfer_record(struct xfer *x, struct record *r);

#endif
