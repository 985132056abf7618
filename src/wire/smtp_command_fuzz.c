/* Any line: slices lie inside it, faults fit in a reply, what was accepted is accepted again. */
#include <assert.h>
#include <stdlib.h>

#include "wire/smtp_command.h"
#include "wire/xtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct str part, struct str whole)
{
	assert(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

static void fault_fits(const struct smtp_fault *fault)
{
	assert(fault->code >= 500 && fault->code <= 559 && fault->enhanced[0] == '5' && fault->text[0]);
	assert(fault->what.n <= 64);
	for (size_t i = 0; i < fault->what.n; i++)
		assert(fault->what.p[i] > 32 && fault->what.p[i] <= 126);
}

static void mailbox_holds(const struct mailbox *m, struct str line)
{
	char dst[SMTP_PATH_MAX];
	struct mailbox again;
	inside(m->local, line);
	inside(m->domain, line);
	struct str text = mailbox_format(m, dst);
	assert((text.n == 0) == mailbox_is_null(m));
	assert(m->domain.n == 0 || mailbox_from_str(text, &again));
}

static void xtext_holds(struct str xtext)
{
	struct buf plain, again;
	buf_init(&plain, 1000);
	buf_init(&again, 1000);
	assert(xtext_decode(xtext, &plain));
	assert(xtext_encode(buf_str(&plain), &again));
	buf_clear(&plain);
	assert(xtext_decode(buf_str(&again), &plain));
	buf_done(&plain);
	buf_done(&again);
}

static void try_mail(struct str line, struct str argument)
{
	struct smtp_fault fault;
	struct smtp_mail mail;
	if (!smtp_mail_argument(argument, &mail, &fault)) {
		fault_fits(&fault);
		return;
	}
	mailbox_holds(&mail.sender, line);
	inside(mail.envid, line);
	assert(mail.envid.n <= ENVID_MAX && xtext_printable(mail.envid));
	xtext_holds(mail.envid);
	xtext_holds(mail.auth);
}

static void try_rcpt(struct str line, struct str argument)
{
	struct smtp_fault fault;
	struct smtp_rcpt rcpt;
	if (!smtp_rcpt_argument(argument, &rcpt, &fault)) {
		fault_fits(&fault);
		return;
	}
	mailbox_holds(&rcpt.recipient, line);
	assert(!mailbox_is_null(&rcpt.recipient));
	inside(rcpt.orcpt, line);
	assert(rcpt.orcpt.n <= ORCPT_MAX);
	assert(!(rcpt.notify & NOTIFY_NEVER) || rcpt.notify == NOTIFY_NEVER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_command command;
	struct smtp_fault fault;
	struct str name;
	bool literal;
	/* A copy of its own size, so that a read beyond it is seen. */
	char *copy = malloc(size + !size); /* style: the fuzzer owns it */
	memcpy(copy, data, size);
	struct str line = str_make(copy, size);

	smtp_command_split(line, &command);
	inside(command.name, line);
	inside(command.argument, line);
	assert(command.verb < VERB_COUNT);
	/* Half of all lines would never get past the verb. */
	try_mail(line, command.verb == VERB_MAIL ? command.argument : line);
	try_rcpt(line, command.verb == VERB_RCPT ? command.argument : line);
	if (!smtp_helo_argument(command.argument, &name, &literal, &fault))
		fault_fits(&fault);
	if (!smtp_no_argument(command.argument, &fault))
		fault_fits(&fault);
	free(copy);
	return 0;
}
