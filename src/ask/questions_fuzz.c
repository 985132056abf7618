/* Every question and answer as a hostile role could send it, and as we would write it. What is taken is
 * written the same way again, byte for byte: so both sides cannot read one packet differently. No
 * beginning of a packet is a packet, and nothing may stand behind one.
 *
 *   input = u8 which of the structs (128: a script comes), then the packet's body
 *   script = *( u8 (1: a text, else numbers; the rest: how many bytes), bytes )
 *
 * In a script the length of a text, four bytes that are hard to hit, is put in front of it. */
#include "ask/ask_keys.h"
#include "ask/ask_look.h"
#include "ask/ask_mail.h"
#include "ask/ask_serve.h"
#include "ask/record.h"
#include "base/fuzz.h"

static void xfer_record_alone(struct xfer *x, void *v)
{
	xfer_record(x, v);
}

static void (*const all[])(struct xfer *, void *) = {
	xfer_ask_rcpt,
	xfer_ask_rcpt_answer,
	xfer_ask_accept,
	xfer_ask_spool_answer,
	xfer_ask_room,
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
	xfer_ask_conf_answer,
	xfer_ask_listen,
	xfer_ask_unlisten,
	xfer_ask_snapshot,
	xfer_ask_apply_answer,
	xfer_ask_service,
	xfer_ask_service_answer,
	xfer_record_alone,
	xfer_ask_look,
	xfer_ask_look_answer,
	xfer_look_numbers,
	xfer_look_fibers,
	xfer_ask_gather,
	xfer_ask_gather_answer,
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
	struct look_numbers look_numbers;
	struct look_fibers look_fibers;
	struct ask_gather gather;
};

/* Reads `body` as the struct; false if it is none. */
static bool reads(
	void (*move)(struct xfer *, void *), struct str body, struct arena *arena, union any *ret)
{
	*ret = (union any){0};
	struct xfer in = xfer_reader(body, arena);
	move(&in, ret);
	return xfer_done(&in);
}

/* Adds what the script says, until all of it reads as the struct. */
static void build(void (*move)(struct xfer *, void *), struct str script, struct buf *body)
{
	enum { FIELDS = 64, ZEROS = 24 };
	union any v;
	for (int field = 0; field < FIELDS && script.n > 0; field++) {
		uint8_t what = fuzz_byte(&script);
		if (what & 1) { /* a text */
			struct str text = str_take(script, what / 2);
			struct xfer x = xfer_writer(body);
			xfer_str(&x, &text, 128);
			script = str_skip(script, text.n);
		} else { /* numbers */
			buf_add(body, str_take(script, what / 2 % 9));
			script = str_skip(script, what / 2 % 9);
		}
		struct arena *arena = arena_new();
		bool whole = reads(move, buf_str(body), arena, &v);
		arena_free(arena);
		if (whole)
			return;
	}
	/* What is still missing is empty. */
	for (int zero = 0; zero < ZEROS; zero++) {
		struct arena *arena = arena_new();
		bool whole = reads(move, buf_str(body), arena, &v);
		arena_free(arena);
		if (whole)
			return;
		buf_add(body, str_make("", 1));
	}
}

static void check(void (*move)(struct xfer *, void *), struct str body)
{
	struct arena *arena = arena_new();
	union any v, other;
	if (reads(move, body, arena, &v)) {
		struct buf out;
		buf_init(&out, body.n + 1);
		struct xfer again = xfer_writer(&out);
		move(&again, &v);
		assert(xfer_done(&again) && str_eq(buf_str(&out), body));
		if (body.n > 0)
			assert(!reads(move, str_take(body, body.n - 1), arena, &other));
		buf_add_char(&out, 0);
		assert(!reads(move, buf_str(&out), arena, &other));
		buf_done(&out);
	}
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str script = str_make((const char *)data, size);
	uint8_t which = fuzz_byte(&script);
	void (*const move)(struct xfer *, void *) = all[which % 128 % (sizeof all / sizeof *all)];
	struct buf built;
	buf_init(&built, 1 << 16);
	if (which & 128)
		build(move, script, &built);
	else
		buf_add(&built, script);
	check(move, buf_str(&built));
	buf_done(&built);
	return 0;
}
