/* smtp_server_mail: MAIL and RCPT, which gather the envelope (RFC 5321 4.1.1.2 and 4.1.1.3). */
#include <inttypes.h>
#include <stdlib.h>

#include "smtp/smtp_session.h"
#include "wire/enhanced.h"

/* ---- MAIL */

/* RFC 1870 6.1. */
static bool size_allowed(struct smtp_session *c, uint64_t size)
{
	if (size <= c->conf->smtp_max_size)
		return true;
	smtp_reply(c, 552, "5.3.4", "Message too large: at most %" PRIu64 " bytes are taken here",
		c->conf->smtp_max_size);
	return false;
}

/* Between messages, so that none is lost by it. */
static bool session_used_up(struct smtp_session *c)
{
	if (c->messages < c->conf->smtp_max_messages &&
		c->recipients < c->conf->smtp_max_session_recipients)
		return false;
	smtp_reply(c, 421, "4.7.0", "Enough messages for one session, connect again");
	smtp_end(c, "too many messages");
	return true;
}

/* RFC 1870 6.1 (452): now, before anything is sent, and not at its end. */
static bool room_taken(struct smtp_session *c, uint64_t size)
{
	if (c->server->questions->take_room(c->server->arg, size)) {
		c->transaction.room = size;
		return true;
	}
	smtp_reply(c, 452, "4.3.1", "Insufficient system storage now, try again later");
	return false;
}

void smtp_command_mail(struct smtp_session *c, struct str argument)
{
	struct smtp_transaction *t = &c->transaction;
	struct smtp_mail mail;
	struct smtp_fault fault;
	c->record_wanted = true;
	if (t->open) {
		smtp_reply(c, 503, "5.5.1", "A sender is already given; RSET forgets it");
		return;
	}
	if (!smtp_mail_argument(argument, &mail, &fault)) {
		smtp_reply_fault(c, &fault);
		return;
	}
	if (session_used_up(c) || !size_allowed(c, mail.size) || !room_taken(c, mail.size))
		return;
	char sender[SMTP_PATH_MAX];
	t->open = true;
	t->envelope = (struct envelope){
		.sender = arena_dup(t->arena, mailbox_format(&mail.sender, sender)),
		.envid = arena_dup(t->arena, mail.envid),
		.ret = mail.ret,
		.body_type = mail.body_type,
	};
	smtp_reply(c, 250, "2.1.0", "Sender <%.*s> noted", STR_ARG(t->envelope.sender));
}

/* ---- RCPT */

static void free_seen(void *seen)
{
	map_free(seen, NULL);
}

/* The local part as it is, the domain in lower case: what counts as the same recipient. */
static struct str recipient_key(struct smtp_session *c, struct str address)
{
	char *key = arena_dup_c(c->command_arena, address);
	size_t at = (size_t)(str_rfind(address, '@') + 1);
	str_lower(str_skip(address, at), key + at);
	return str_make(key, address.n);
}

static bool is_recipient(const struct smtp_transaction *t, struct str key)
{
	return t->seen && map_get(t->seen, key);
}

static void add_recipient(
	struct smtp_transaction *t, struct str address, const struct smtp_rcpt *rcpt, struct str key)
{
	struct envelope *e = &t->envelope;
	if (!t->seen) {
		t->seen = map_new();
		arena_on_done(t->arena, free_seen, t->seen);
	}
	map_put(t->seen, key, t);
	if (e->recipient_count == t->recipient_room) {
		t->recipient_room = t->recipient_room ? t->recipient_room * 2 : 1;
		struct envelope_recipient *more = arena_alloc(t->arena, t->recipient_room * sizeof *more);
		if (e->recipient_count)
			memcpy(more, e->recipients, e->recipient_count * sizeof *more);
		e->recipients = more;
	}
	e->recipients[e->recipient_count++] = (struct envelope_recipient){
		.address = arena_dup(t->arena, address),
		.orcpt = arena_dup(t->arena, rcpt->orcpt),
		.notify = rcpt->notify,
	};
}

/* The address that the question and the envelope carry. <Postmaster> without a domain is ours
 * (RFC 5321 4.5.1). */
static struct str recipient_address(struct smtp_session *c, const struct mailbox *recipient)
{
	char address[SMTP_PATH_MAX];
	struct str text = mailbox_format(recipient, address);
	if (recipient->domain.n)
		return arena_dup(c->command_arena, text);
	return arena_fmt(c->command_arena, "postmaster@%.*s", STR_ARG(c->conf->hostname));
}

static struct str domain_of(struct str key)
{
	return str_skip(key, (size_t)(str_rfind(key, '@') + 1));
}

/* An answer that holds for more than the recipient it was given for. */
static void note_scope(struct smtp_session *c, enum rcpt_scope scope, struct str key)
{
	struct str domain = domain_of(key);
	c->any_recipient = scope == RCPT_ALL;
	if (scope == RCPT_DOMAIN && domain.n < sizeof c->open_domain)
		str_to_c(domain, c->open_domain, sizeof c->open_domain);
}

/* Passes the store's word on to the peer. Anything but a good 250, 4yz or 5yz with its enhanced
 * status code counts as a store that cannot be understood. */
static bool recipient_allowed(struct smtp_session *c, struct str address, struct str key)
{
	if (c->any_recipient || str_eq(domain_of(key), str_from_c(c->open_domain)))
		return true;
	struct ask_rcpt question = {
		.listener = c->server->listener,
		.client = c->server->client,
		.sender = c->transaction.envelope.sender,
		.recipient = address,
	};
	struct ask_rcpt_answer answer = {0};
	struct err err;
	err_clear(&err);
	if (c->server->questions->rcpt(c->server->arg, &question, c->command_arena, &answer, &err) !=
		0) {
		record_add(c->record, EVENT_ERROR, "%s", err.log);
		smtp_reply(c, 451, "4.3.0", "Cannot look the recipient up now, try again later");
		return false;
	}
	if (answer.code == 250) {
		note_scope(c, answer.scope, key);
		return true;
	}
	struct str text = answer.text, enhanced;
	bool good =
		answer.code >= 400 && answer.code <= 599 && enhanced_code(&text, &enhanced) == PARSE_DONE;
	if (good)
		smtp_reply(c, answer.code, "", "%.*s", STR_ARG(answer.text));
	else
		smtp_reply(c, 451, "4.3.0", "Cannot look the recipient up now, try again later");
	return false;
}

void smtp_command_rcpt(struct smtp_session *c, struct str argument)
{
	struct smtp_transaction *t = &c->transaction;
	struct smtp_rcpt rcpt;
	struct smtp_fault fault;
	if (!smtp_rcpt_argument(argument, &rcpt, &fault)) {
		smtp_reply_fault(c, &fault);
		return;
	}
	struct str address = recipient_address(c, &rcpt.recipient);
	struct str key = recipient_key(c, address);
	if (!is_recipient(t, key)) {
		if (t->envelope.recipient_count >= c->conf->smtp_max_recipients) {
			smtp_reply(c, 452, "4.5.3",
				"Too many recipients: %" PRIu64 " a message, send to the others in another one",
				c->conf->smtp_max_recipients);
			return;
		}
		if (!recipient_allowed(c, address, key))
			return;
		add_recipient(t, address, &rcpt, key);
		c->recipients++;
	}
	smtp_reply(c, 250, "2.1.5", "Recipient <%.*s> accepted", STR_ARG(address));
}
