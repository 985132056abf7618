/* smtp_server_tls: STARTTLS (RFC 3207), and what is known of the TLS a session runs on. */
#include "base/log.h"
#include "cert/tls.h"
#include "smtp/smtp_session.h"

static enum tls_inbound tls_setting(const struct smtp_session *c)
{
	return c->server->listener == LISTENER_SMTP ? c->conf->smtp_tls : c->conf->submission_tls;
}

bool smtp_tls_offered(const struct smtp_session *c)
{
	return c->server->tls && !stream_ssl(c->stream) && tls_setting(c) != TLS_INBOUND_OFF;
}

bool smtp_tls_missing(const struct smtp_session *c)
{
	return !stream_ssl(c->stream) && tls_setting(c) == TLS_INBOUND_REQUIRED;
}

void smtp_tls_started(struct smtp_session *c)
{
	struct ssl_st *ssl = stream_ssl(c->stream);
	c->tls = tls_text(ssl, c->arena);
	tls_describe(ssl, c->record);
}

/* Whoever put it behind STARTTLS, the client or someone in the middle: it must not count as said under
 * TLS (RFC 3207 section 4, CVE-2011-0411). */
static void refuse_injection(struct smtp_session *c)
{
	size_t n = stream_pending(c->stream);
	record_add(c->record, EVENT_ERROR, "%zu bytes of plaintext behind STARTTLS", n);
	log_warn("smtp.starttls-injection", "client=%.*s bytes=%zu", STR_ARG(c->server->client), n);
	smtp_reply(c, 554, "5.5.1", "Send nothing behind STARTTLS before its reply");
	smtp_end(c, "plaintext behind STARTTLS");
}

/* 502 where it is switched off, 454 where it should work but has nothing to work with: the client
 * may then wait for us to mend it (RFC 3207 section 4). */
void smtp_command_starttls(struct smtp_session *c, struct str argument)
{
	(void)argument;
	struct err err;
	err_clear(&err);
	if (stream_ssl(c->stream)) {
		smtp_reply(c, 503, "5.5.1", "TLS is already on");
		return;
	}
	if (tls_setting(c) == TLS_INBOUND_OFF) {
		smtp_reply(c, 502, "5.5.1", "STARTTLS is not offered here");
		return;
	}
	if (!c->server->tls) {
		smtp_reply(c, 454, "4.7.0", "TLS is not available now, try again later");
		return;
	}
	if (stream_pending(c->stream) > 0) {
		refuse_injection(c);
		return;
	}
	smtp_reply(c, 220, "2.0.0", "Start TLS");
	if (stream_accept_tls(c->stream, c->server->tls, NULL, NULL, &err) != 0) {
		c->record_wanted = true;
		record_add(c->record, EVENT_ERROR, "%s", err.log);
		log_info(
			"smtp.tls-failed", "client=%.*s error=\"%s\"", STR_ARG(c->server->client), err.log);
		smtp_end(c, "TLS handshake failed");
		return;
	}
	smtp_forget_hello(c);
	smtp_tls_started(c);
}
