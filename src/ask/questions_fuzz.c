/* Every question and answer as a hostile role could send it. What is taken must be written the same
 * way again, byte for byte: so both sides cannot read one packet differently.
 *
 *   input = u8 which of the structs, then the packet's body */
#include <stdlib.h>

#include "ask/ask_keys.h"
#include "ask/ask_mail.h"
#include "ask/ask_serve.h"
#include "ask/record.h"

static void xfer_record_alone(struct xfer *x, void *v)
{
	xfer_record(x, v);
}

static void (*const all[])(struct xfer *, void *) = {
	xfer_ask_rcpt,
	xfer_ask_rcpt_answer,
	xfer_ask_accept,
	xfer_ask_spool_answer,
	xfer_ask_admin,
	xfer_ask_admin_answer,
	xfer_ask_deliver,
	xfer_ask_deliver_answer,
	xfer_ask_sign,
	xfer_ask_sign_answer,
	xfer_ask_key_make,
	xfer_ask_key_answer,
	xfer_ask_self_sign,
	xfer_ask_self_sign_answer,
	xfer_ask_pile,
	xfer_ask_pile_answer,
	xfer_ask_start,
	xfer_ask_start_answer,
	xfer_ask_link_peer,
	xfer_ask_file,
	xfer_ask_listen,
	xfer_ask_unlisten,
	xfer_ask_snapshot,
	xfer_ask_apply_answer,
	xfer_ask_service,
	xfer_ask_service_answer,
	xfer_record_alone,
};

union any {
	struct ask_rcpt rcpt;
	struct ask_accept accept;
	struct ask_deliver deliver;
	struct ask_deliver_answer deliver_answer;
	struct ask_sign sign;
	struct ask_self_sign_answer self_sign_answer;
	struct ask_pile_answer pile_answer;
	struct ask_start start;
	struct ask_file file;
	struct record record;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n == 0)
		return 0;
	void (*const move)(struct xfer *, void *) = all[data[0] % (sizeof all / sizeof *all)];
	const struct str body = str_make((const char *)data + 1, n - 1);
	struct arena *arena = arena_new();
	union any v = {0};
	struct xfer in = xfer_reader(body, arena);
	move(&in, &v);
	if (xfer_done(&in)) {
		struct buf out;
		buf_init(&out, n);
		struct xfer again = xfer_writer(&out);
		move(&again, &v);
		if (!xfer_done(&again) || !str_eq(buf_str(&out), body))
			abort();
		buf_done(&out);
	}
	arena_free(arena);
	return 0;
}
