#include "store/store_parts.h"

/* One recipient. Its row must still be open: relay's answers and an administrator's wishes meet in
 * the queue, never here. */
static int update_recipient(
	struct db *db, uint64_t message, const struct outcome *o, int64_t now_ms, struct err *err)
{
	struct db_query *q = o->said
		? db_query(db,
			  "UPDATE recipient SET state = $3, next_ms = $4, attempts = attempts + $5,"
			  " last_ms = CASE WHEN $5 THEN $6 ELSE last_ms END, code = $7, enhanced = $8, text = "
			  "$9, command = $10, cause = $11,"
			  " remote_host = $12, remote_address = $13, tls = $14"
			  " WHERE message = $1 AND n = $2 AND state < 4")
		: db_query(db,
			  "UPDATE recipient SET state = $3, next_ms = $4"
			  " WHERE message = $1 AND n = $2 AND state < 4");
	db_bind_int(q, 1, (int64_t)message);
	db_bind_int(q, 2, o->n);
	db_bind_int(q, 3, o->state);
	db_bind_int(q, 4, o->next_ms);
	if (o->said) {
		db_bind_int(q, 5, o->attempted);
		db_bind_int(q, 6, now_ms);
		db_bind_int(q, 7, o->said->code);
		db_bind_text(q, 8, o->said->enhanced);
		db_bind_text(q, 9, o->said->text);
		db_bind_text(q, 10, o->said->command);
		db_bind_text(q, 11, o->said->cause);
		db_bind_text(q, 12, o->said->remote_host);
		db_bind_text(q, 13, o->said->remote_address);
		db_bind_text(q, 14, o->said->tls);
	}
	if (db_run(q, err))
		return -1;
	if (db_changes(db) == 1)
		return 0;
	return err_perm(err, NULL, "recipient %u does not wait", o->n);
}

static int set_deaths(struct db *db, uint64_t message, int64_t deaths, struct err *err)
{
	struct db_query *q =
		db_query(db, "UPDATE message SET deaths = $2 WHERE id = $1 AND deaths <> $2");
	db_bind_int(q, 1, (int64_t)message);
	db_bind_int(q, 2, deaths);
	return db_run(q, err);
}

/* Counts `final` recipients out; with the last one the body goes. */
static int close_recipients(struct writer *w, struct db *db, uint64_t message, uint32_t final,
	int64_t now_ms, struct err *err)
{
	struct db_query *q = db_query(db, "SELECT open, body_kind FROM message WHERE id = $1");
	db_bind_int(q, 1, (int64_t)message);
	int step = db_step(q, err);
	if (step <= 0)
		return step < 0 ? -1 : err_perm(err, NULL, "the message of a recipient is missing");
	bool last = db_int(q, 0) <= final;
	enum body_kind kind = (enum body_kind)db_int(q, 1);
	db_end(q);
	q = last ? db_query(db,
				   "UPDATE message SET open = 0, finished_ms = $2, body_kind = $3 WHERE id = $1")
			 : db_query(db, "UPDATE message SET open = open - $2 WHERE id = $1");
	db_bind_int(q, 1, (int64_t)message);
	db_bind_int(q, 2, last ? now_ms : final);
	if (last)
		db_bind_int(q, 3, BODY_GONE);
	if (db_run(q, err))
		return -1;
	if (last && kind == BODY_FILE)
		writer_unlink_later(w, message);
	if (!last || kind != BODY_ROW)
		return 0;
	q = db_query(db, "DELETE FROM body WHERE id = $1");
	db_bind_int(q, 1, (int64_t)message);
	return db_run(q, err);
}

int outcome_write(struct writer *w, struct db *db, uint64_t message, const struct outcome *o,
	uint32_t count, int64_t deaths, int64_t now_ms, struct err *err)
{
	uint32_t final = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (update_recipient(db, message, &o[i], now_ms, err))
			return -1;
		final += recipient_is_final(o[i].state);
	}
	if (deaths >= 0 && set_deaths(db, message, deaths, err))
		return -1;
	return final ? close_recipients(w, db, message, final, now_ms, err) : 0;
}
