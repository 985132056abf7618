#include "ask/envelope.h"

static void xfer_recipient(struct xfer *x, struct envelope_recipient *r)
{
	xfer_str(x, &r->address, ADDRESS_MAX);
	xfer_str(x, &r->orcpt, ORCPT_MAX);
	xfer_u8(x, &r->notify);
	if (r->notify > (NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY))
		x->bad = true;
}

void xfer_envelope(struct xfer *x, struct envelope *e)
{
	xfer_str(x, &e->sender, ADDRESS_MAX);
	xfer_str(x, &e->envid, ENVID_MAX);
	xfer_enum(x, &e->ret, RET_HDRS);
	xfer_enum(x, &e->body_type, BODY_8BITMIME);
	xfer_list(
		x, &e->recipients, &e->recipient_count, sizeof *e->recipients, ENVELOPE_RECIPIENTS_MAX);
	for (uint32_t i = 0; i < e->recipient_count; i++)
		xfer_recipient(x, &e->recipients[i]);
}
