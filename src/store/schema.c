#include "store/schema.h"

/* Times are milliseconds of the wall clock, but for queued_ms. Ids are those of base/id.h, so the newest message is the
 * last one in its table and new rows go to the end. */
const char node_schema[] =
	/* One accepted message. It stays without its body for record.keep after its end, so that trace
	 * can tell its story. */
	"CREATE TABLE message ("
	" id INTEGER PRIMARY KEY," /* queue id */
	" received_ms INTEGER NOT NULL,"
	" finished_ms INTEGER,"   /* the last recipient became final */
	" open INTEGER NOT NULL," /* recipients that are not final */
	" recipients INTEGER NOT NULL,"
	" deaths INTEGER NOT NULL DEFAULT 0," /* relays that died with it, one after the other */
	" parent INTEGER,"                    /* a bounce: the message it speaks of */
	" sender TEXT NOT NULL,"              /* '' is the null reverse-path */
	" sender_domain TEXT NOT NULL,"       /* lower case */
	" envid TEXT NOT NULL,"               /* xtext, as given */
	" ret INTEGER NOT NULL,"              /* enum dsn_ret */
	" body_type INTEGER NOT NULL,"        /* enum body_type */
	" body_kind INTEGER NOT NULL,"        /* enum body_kind */
	" size INTEGER NOT NULL,"             /* bytes of the body, without prefix */
	" has_8bit INTEGER NOT NULL,"
	" longest_line INTEGER NOT NULL,"
	" prefix BLOB NOT NULL," /* header lines in front of the body */
	" message_id TEXT NOT NULL,"
	" session INTEGER NOT NULL,"
	" listener INTEGER NOT NULL," /* enum listener */
	" client TEXT NOT NULL,"
	" helo TEXT NOT NULL,"
	" tls TEXT NOT NULL,"
	" queued_ms INTEGER NOT NULL DEFAULT 0) STRICT;" /* by the queue's time (jumps.c) */
	"CREATE INDEX message_by_message_id ON message (message_id, id) WHERE message_id <> '';"
	"CREATE INDEX message_by_sender ON message (sender_domain, id);"
	"CREATE INDEX message_suspect ON message (id) WHERE deaths > 0;"

	/* Bodies up to SPOOL_ROW_MAX, until the last recipient is final. */
	"CREATE TABLE body (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;"

	"CREATE TABLE recipient ("
	" message INTEGER NOT NULL,"
	" n INTEGER NOT NULL,"     /* in the order of RCPT, from 0 */
	" state INTEGER NOT NULL," /* enum recipient_state */
	" next_ms INTEGER NOT NULL,"
	" attempts INTEGER NOT NULL DEFAULT 0,"
	" last_ms INTEGER NOT NULL DEFAULT 0," /* last attempt, or the change that made it final */
	" notify INTEGER NOT NULL,"            /* enum dsn_notify, or-ed */
	" address TEXT NOT NULL,"
	" domain TEXT NOT NULL," /* lower case; a literal with its brackets */
	" orcpt TEXT NOT NULL,"
	/* What was said last: struct recipient_result. */
	" code INTEGER NOT NULL DEFAULT 0,"
	" enhanced TEXT NOT NULL DEFAULT '',"
	" text TEXT NOT NULL DEFAULT '',"
	" command TEXT NOT NULL DEFAULT '',"
	" cause TEXT NOT NULL DEFAULT '',"
	" remote_host TEXT NOT NULL DEFAULT '',"
	" remote_address TEXT NOT NULL DEFAULT '',"
	" tls TEXT NOT NULL DEFAULT '',"
	" PRIMARY KEY (message, n)) STRICT, WITHOUT ROWID;"
	/* Those that are not final: the queue. It holds all that start-up reads. */
	"CREATE INDEX recipient_open ON recipient (message, n, state, next_ms, domain, cause)"
	" WHERE state < 4;"
	"CREATE INDEX recipient_by_domain ON recipient (domain, message);"

	/* What happened in one session or attempt: a packed struct record. */
	"CREATE TABLE record ("
	" id INTEGER PRIMARY KEY,"    /* of the session or attempt */
	" kind INTEGER NOT NULL,"     /* enum record_kind */
	" at_ms INTEGER NOT NULL,"    /* when it began */
	" messages INTEGER NOT NULL," /* that it speaks of */
	" peer TEXT NOT NULL,"
	" data BLOB NOT NULL) STRICT;"
	"CREATE INDEX record_by_peer ON record (peer, id) WHERE messages = 0;"
	"CREATE TABLE record_message ("
	" message INTEGER NOT NULL,"
	" record INTEGER NOT NULL,"
	" PRIMARY KEY (message, record)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX record_message_by_record ON record_message (record);";

const char *const node_upgrades[NODE_SCHEMA_VERSION - 1] = {
	"DROP INDEX recipient_open;"
	"CREATE INDEX recipient_open ON recipient (message, n, state, next_ms, domain, cause)"
	" WHERE state < 4;"
	"DROP INDEX message_by_sender;"
	"CREATE INDEX message_by_sender ON message (sender_domain, id);"
	"CREATE INDEX message_suspect ON message (id) WHERE deaths > 0;",
	"ALTER TABLE message ADD COLUMN queued_ms INTEGER NOT NULL DEFAULT 0;"
	"UPDATE message SET queued_ms = received_ms;",
};
