#include "ask/ask_mail.h"

enum {
	IP_TEXT_MAX = 64,
	REPLY_MAX = 1024,
	PREFIX_MAX = 8 * 1024,
	MESSAGE_ID_MAX = 1000,
	DOMAIN_MAX = 320,
	TLS_TEXT_MAX = 400,
	PEM_MAX = 1024 * 1024,
	RECORD_PACKED_MAX = 128 * 1024,
};

void xfer_ask_rcpt(struct xfer *x, void *v)
{
	struct ask_rcpt *q = v;
	xfer_enum(x, &q->listener, LISTENER_LAST);
	xfer_str(x, &q->client, IP_TEXT_MAX);
	xfer_str(x, &q->sender, ADDRESS_MAX);
	xfer_str(x, &q->recipient, ADDRESS_MAX);
}

void xfer_ask_rcpt_answer(struct xfer *x, void *v)
{
	struct ask_rcpt_answer *a = v;
	xfer_u16(x, &a->code);
	xfer_enum(x, &a->scope, RCPT_SCOPE_LAST);
	xfer_str(x, &a->text, REPLY_MAX);
}

void xfer_ask_accept(struct xfer *x, void *v)
{
	struct ask_accept *q = v;
	xfer_u64(x, &q->queue_id);
	xfer_bool(x, &q->again);
	xfer_u64(x, &q->session_id);
	xfer_envelope(x, &q->envelope);
	xfer_str(x, &q->prefix, PREFIX_MAX);
	xfer_u64(x, &q->body.size);
	xfer_u64(x, &q->body.spool);
	xfer_str(x, &q->body.bytes, BODY_PACKET_MAX);
	if (x->reading)
		q->body.fd = -1;
	xfer_str(x, &q->message_id, MESSAGE_ID_MAX);
	xfer_enum(x, &q->listener, LISTENER_LAST);
	xfer_str(x, &q->client, IP_TEXT_MAX);
	xfer_str(x, &q->helo, DOMAIN_MAX);
	xfer_str(x, &q->tls, TLS_TEXT_MAX);
	xfer_bool(x, &q->has_8bit);
	xfer_u32(x, &q->longest_line);
}

void xfer_ask_spool_answer(struct xfer *x, void *v)
{
	struct ask_spool_answer *a = v;
	xfer_u64(x, &a->spool);
}

void xfer_ask_room(struct xfer *x, void *v)
{
	struct ask_room *q = v;
	xfer_u64(x, &q->bytes);
	xfer_bool(x, &q->low);
}

void xfer_ask_admin(struct xfer *x, void *v)
{
	struct ask_admin *q = v;
	xfer_str(x, &q->verb, 64);
	xfer_str(x, &q->args, PEM_MAX);
}

void xfer_ask_admin_answer(struct xfer *x, void *v)
{
	struct ask_admin_answer *a = v;
	xfer_u16(x, &a->status);
	xfer_str(x, &a->json, 32 * 1024 * 1024);
}

static void xfer_route(struct xfer *x, struct route *r)
{
	xfer_str(x, &r->connector, 128);
	xfer_str(x, &r->domain, DOMAIN_MAX);
	xfer_str(x, &r->host, DOMAIN_MAX);
	xfer_u16(x, &r->port);
	xfer_enum(x, &r->tls, TLS_VERIFY);
	xfer_str(x, &r->sni, DOMAIN_MAX);
	xfer_str(x, &r->helo, DOMAIN_MAX);
	xfer_str(x, &r->trust, PEM_MAX);
}

void xfer_ask_deliver(struct xfer *x, void *v)
{
	struct ask_deliver *q = v;
	xfer_u64(x, &q->queue_id);
	xfer_envelope(x, &q->envelope);
	xfer_str(x, &q->prefix, PREFIX_MAX);
	xfer_u64(x, &q->body_size);
	xfer_str(x, &q->body, BODY_PACKET_MAX);
	xfer_bool(x, &q->has_8bit);
	xfer_route(x, &q->route);
}

static void xfer_result(struct xfer *x, struct recipient_result *r)
{
	xfer_enum(x, &r->outcome, DELIVERY_LAST);
	xfer_u16(x, &r->code);
	xfer_str(x, &r->enhanced, 16);
	xfer_str(x, &r->text, REPLY_MAX);
	xfer_str(x, &r->command, 64);
	xfer_str(x, &r->cause, 64);
	xfer_str(x, &r->remote_host, DOMAIN_MAX);
	xfer_str(x, &r->remote_address, 80);
	xfer_str(x, &r->tls, TLS_TEXT_MAX);
	xfer_bool(x, &r->dsn);
}

void xfer_ask_deliver_answer(struct xfer *x, void *v)
{
	struct ask_deliver_answer *a = v;
	xfer_list(x, &a->results, &a->result_count, sizeof *a->results, ENVELOPE_RECIPIENTS_MAX);
	for (uint32_t i = 0; i < a->result_count; i++)
		xfer_result(x, &a->results[i]);
	xfer_str(x, &a->record, RECORD_PACKED_MAX);
}
