#include "smtp/smtp_client.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "smtp/smtp_client_session.h"

enum { GREETS = 220, DONE = 250 };

static struct smtp_client *client_new(
	struct stream *s, const struct smtp_target *target, struct conf *conf)
{
	struct smtp_client *c = mem_new(sizeof *c);
	c->arena = arena_new();
	c->stream = s;
	c->conf = conf_hold(conf);
	c->host = arena_dup(c->arena, target->host);
	c->address = arena_dup(c->arena, target->address);
	c->name = arena_dup(c->arena, target->sni.n ? target->sni : target->host);
	c->helo = arena_dup(c->arena, target->helo.n ? target->helo : conf->hostname);
	c->tls_level = target->tls;
	smtp_reply_init(&c->reply);
	return c;
}

static bool greeting(struct smtp_client *c, struct smtp_failure *ret)
{
	if (!smtp_client_reply(c, SMTP_GREETING, ret))
		return false;
	if (c->reply.code == GREETS)
		return true;
	smtp_client_refused(c, SMTP_GREETING, ret);
	return false;
}

/* EHLO, and HELO for a server that does not know it (RFC 5321 3.2). */
static bool hello(struct smtp_client *c, struct smtp_failure *ret)
{
	smtp_client_put(c, "EHLO %.*s", STR_ARG(c->helo));
	if (!smtp_client_reply(c, SMTP_EHLO, ret))
		return false;
	c->offers = (struct smtp_extensions){0};
	if (c->reply.code == DONE) {
		smtp_extensions_parse(&c->reply, &c->offers);
		c->offers.auth = STR(""); /* it would point into the reply */
		return true;
	}
	if (c->reply.code < 500) {
		smtp_client_refused(c, SMTP_EHLO, ret);
		return false;
	}
	smtp_client_put(c, "HELO %.*s", STR_ARG(c->helo));
	if (!smtp_client_reply(c, SMTP_HELO, ret))
		return false;
	if (c->reply.code == DONE)
		return true;
	smtp_client_refused(c, SMTP_HELO, ret);
	return false;
}

static bool introduce(
	struct smtp_client *c, const struct smtp_target *target, struct smtp_failure *ret)
{
	bool encrypted;
	return greeting(c, ret) && hello(c, ret) && smtp_client_start_tls(c, target, &encrypted, ret) &&
		/* What was said in clear counts no more (RFC 3207 4.2). */
		(!encrypted || hello(c, ret));
}

struct smtp_client *smtp_client_open(struct stream *s, const struct smtp_target *target,
	struct conf *conf, struct record *r, struct arena *arena, struct smtp_failure *ret_failure)
{
	struct smtp_client *c = client_new(s, target, conf);
	struct smtp_failure failure;
	c->until_ms = target->until_ms;
	c->record = r;
	c->texts = arena;
	bool ready = introduce(c, target, &failure);
	smtp_reply_done(&c->reply);
	if (ready)
		return c;
	*ret_failure = failure;
	ret_failure->tls = arena_dup(arena, failure.tls);
	smtp_client_close(c);
	return NULL;
}

void smtp_client_close(struct smtp_client *c)
{
	/* A peer that takes nothing any more may not hold us up for the sake of a courtesy. */
	enum { QUIT_MS = 2000 };
	if (!c)
		return;
	stream_set_timeout(c->stream, QUIT_MS);
	stream_set_deadline(c->stream, clock_steady_ms() + QUIT_MS);
	if (!c->closing)
		stream_put(c->stream, STR("QUIT\r\n"));
	stream_close(c->stream);
	smtp_reply_done(&c->reply);
	conf_drop(c->conf);
	arena_free(c->arena);
	free(c);
}

struct str smtp_client_host(const struct smtp_client *c)
{
	return c->host;
}

struct str smtp_client_address(const struct smtp_client *c)
{
	return c->address;
}

struct str smtp_client_tls(const struct smtp_client *c)
{
	return c->tls;
}
