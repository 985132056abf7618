/* smtp_client_tls: STARTTLS (RFC 3207) by the level of the target.
 *
 *            not offered      refused         handshake fails     certificate bad
 *   off      (not looked at)
 *   may      in clear         in clear        again in clear      goes on
 *   encrypt  deferred         deferred        deferred            goes on
 *   verify   deferred         deferred        deferred            deferred
 *
 * TLS is never silently off (P2): whatever was done stands in the record and in the results. */
#include <stdio.h>

#include "cert/tls.h"
#include "smtp/smtp_client_session.h"

static bool goes_in_clear(struct smtp_client *c, const char *why)
{
	c->tls = arena_fmt(c->arena, "in clear: %s", why);
	record_add(c->record, EVENT_NOTE, "goes on in clear: %s", why);
	return true;
}

static bool not_offered(struct smtp_client *c, struct smtp_failure *ret)
{
	if (c->tls_level == TLS_MAY)
		return goes_in_clear(c, "STARTTLS is not offered");
	c->tls = STR("STARTTLS is not offered");
	smtp_client_fail(c, SMTP_STARTTLS, DELIVERY_TEMP, "tls.not-offered", ret,
		"%.*s [%.*s] does not offer STARTTLS, and the TLS level is %s", STR_ARG(c->host),
		STR_ARG(c->address), tls_level_name(c->tls_level));
	return false;
}

static bool refused(struct smtp_client *c, struct smtp_failure *ret)
{
	char why[64];
	snprintf(why, sizeof why, "STARTTLS was refused with %u", c->reply.code);
	if (c->tls_level == TLS_MAY)
		return goes_in_clear(c, why);
	c->tls = arena_dup(c->arena, str_from_c(why));
	/* Temporary, whatever it said: a mended server takes the same mail. */
	smtp_client_fail(c, SMTP_STARTTLS, DELIVERY_TEMP, "tls.refused", ret, "%.*s",
		STR_ARG(smtp_client_reply_text(c)));
	ret->code = (uint16_t)c->reply.code;
	return false;
}

static bool shake_hands(
	struct smtp_client *c, const struct smtp_target *target, struct smtp_failure *ret)
{
	struct err err;
	err_clear(&err);
	smtp_client_patience(c, SMTP_HANDSHAKE, 0);
	if (stream_connect_tls(
			c->stream, target->tls_ctx, STR(""), tls_client_prepare, &c->name, &err) == 0)
		return true;
	c->closing = true;
	c->tls = arena_fmt(c->arena, "TLS handshake failed: %s", err.log);
	smtp_client_fail(c, SMTP_HANDSHAKE, DELIVERY_TEMP, "tls.handshake", ret,
		"TLS handshake with %.*s [%.*s] failed: %s", STR_ARG(c->host), STR_ARG(c->address),
		err.log);
	ret->retry_in_clear = c->tls_level == TLS_MAY;
	return false;
}

static bool judge(struct smtp_client *c, struct smtp_failure *ret)
{
	struct ssl_st *ssl = stream_ssl(c->stream);
	struct str facts = tls_text(ssl, c->arena);
	tls_describe(ssl, c->record);
	if (c->tls_level != TLS_VERIFY) {
		c->tls = arena_fmt(c->arena, "%.*s not verified", STR_ARG(facts));
		record_add(c->record, EVENT_VERDICT, "not verified: the TLS level is %s",
			tls_level_name(c->tls_level));
		return true;
	}
	struct tls_verdict verdict;
	tls_peer_verdict(ssl, c->name, &verdict);
	record_add(c->record, EVENT_VERDICT, "%s%s%s for %.*s", verdict.cause ? verdict.cause : "",
		verdict.cause ? ": " : "", verdict.text, STR_ARG(c->name));
	if (!verdict.cause) {
		c->tls = arena_fmt(c->arena, "%.*s verified", STR_ARG(facts));
		return true;
	}
	c->tls = arena_fmt(c->arena, "%.*s not verified: %s", STR_ARG(facts), verdict.text);
	smtp_client_fail(c, SMTP_HANDSHAKE, DELIVERY_TEMP, verdict.cause, ret,
		"the certificate of %.*s [%.*s] does not verify: %s", STR_ARG(c->host), STR_ARG(c->address),
		verdict.text);
	return false;
}

bool smtp_client_start_tls(struct smtp_client *c, const struct smtp_target *target,
	bool *ret_started, struct smtp_failure *ret)
{
	enum { READY = 220 };
	*ret_started = false;
	if (c->tls_level == TLS_OFF)
		return goes_in_clear(c, "the TLS level is off");
	if (c->tls_level == TLS_MAY && target->in_clear)
		return goes_in_clear(c, "the TLS handshake failed on the connection before");
	if (!c->offers.starttls)
		return not_offered(c, ret);
	smtp_client_put(c, "STARTTLS");
	if (!smtp_client_reply(c, SMTP_STARTTLS, ret))
		return false;
	if (c->reply.code != READY)
		return refused(c, ret);
	if (!shake_hands(c, target, ret) || !judge(c, ret))
		return false;
	*ret_started = true;
	return true;
}
