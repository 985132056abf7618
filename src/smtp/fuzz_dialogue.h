/* fuzz_dialogue: what a client said and what our server replied, walked in step by RFC 5321 alone, for
 * the fuzzers of the server. Whatever was said,
 *
 *   - every reply is short and printable, ends with CRLF and has a code that SMTP knows;
 *   - each command has one reply, the end of data one more, and nothing follows QUIT or 421;
 *   - 250 for a message comes only after its end of data.
 *
 * Included by fuzzers only. */
#ifndef SMTP_FUZZ_DIALOGUE_H
#define SMTP_FUZZ_DIALOGUE_H

#include "base/buf.h"
#include "base/fuzz.h"

struct dialogue {
	struct str said, replies; /* what is left of both */
	unsigned accepted;
	struct str content; /* of the last message that was accepted, with its stuffed dots */
	bool hello;         /* EHLO or HELO was taken */
	bool mail_before_hello;
	bool ended; /* by QUIT, 421, or for TLS */
};

static inline void dialogue_check_line(struct str line)
{
	static const char *const codes[] = {"220", "221", "214", "250", "252", "354", "421", "451",
		"452", "454", "500", "501", "502", "503", "530", "550", "552", "553", "554", "555"};
	unsigned known = 0;
	assert(line.n >= 4 && line.n <= 510 && (line.p[3] == ' ' || line.p[3] == '-'));
	assert(str_is_print(line));
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		known += str_starts(line, str_from_c(codes[i]));
	assert(known == 1);
}

/* The last line of the next reply; false if there is none. */
static inline bool dialogue_reply(struct dialogue *d, struct str *ret)
{
	while (d->replies.n > 0) {
		ptrdiff_t lf = str_find(d->replies, '\n');
		assert(lf > 0 && d->replies.p[lf - 1] == '\r');
		*ret = str_take(d->replies, (size_t)lf - 1);
		d->replies = str_skip(d->replies, (size_t)lf + 1);
		dialogue_check_line(*ret);
		if (ret->p[3] == ' ')
			return true;
	}
	return false;
}

/* Takes the content of a message up to its true end; false if that never came. */
static inline bool dialogue_content(struct dialogue *d, struct str *ret)
{
	static const char end[] = "\r\n.\r\n";
	if (str_starts(d->said, STR(".\r\n"))) { /* the CRLF before it ended the command */
		*ret = STR("");
		d->said = str_skip(d->said, 3);
		return true;
	}
	const char *at = memmem(d->said.p, d->said.n, end, 5);
	if (!at)
		return false;
	*ret = str_take(d->said, (size_t)(at - d->said.p) + 2);
	d->said = str_skip(d->said, ret->n + 3);
	return true;
}

static inline void dialogue_message(struct dialogue *d)
{
	struct str content, reply;
	bool whole = dialogue_content(d, &content);
	if (!dialogue_reply(d, &reply)) {
		assert(!whole);
		d->ended = true;
		return;
	}
	bool taken = str_starts(reply, STR("250 2.0.0 <"));
	assert(!taken || (whole && str_ends_nocase(reply, STR("> accepted"))));
	assert(whole || str_starts(reply, STR("421")));
	d->ended = str_starts(reply, STR("421"));
	if (taken) {
		d->accepted++;
		d->content = content;
	}
}

/* One command and its reply. */
static inline void dialogue_step(struct dialogue *d, struct str reply)
{
	if (str_starts(reply, STR("421"))) { /* may come at any time */
		d->ended = true;
		return;
	}
	ptrdiff_t lf = str_find(d->said, '\n');
	assert(lf >= 0);
	struct str line = str_take(d->said, (size_t)lf);
	d->said = str_skip(d->said, (size_t)lf + 1);
	if (str_starts(reply, STR("354")))
		dialogue_message(d);
	if (str_starts(reply, STR("250")) &&
		(str_starts_nocase(line, STR("EHLO")) || str_starts_nocase(line, STR("HELO"))))
		d->hello = true;
	if (str_starts(reply, STR("250 2.1.0")) && !d->hello)
		d->mail_before_hello = true;
	if (str_starts(reply, STR("221")) || str_starts(reply, STR("220")) ||
		str_starts(reply, STR("554 5.5.1 Send nothing")))
		d->ended = true;
}

/* All of it; the greeting is taken by the caller. `patient`: no time ran out. */
static inline void dialogue_walk(struct dialogue *d, bool patient)
{
	struct str reply;
	while (!d->ended && dialogue_reply(d, &reply))
		dialogue_step(d, reply);
	assert(d->replies.n == 0);
	/* Nothing that was said to its end went without a reply. */
	assert(d->ended || !patient || str_find(d->said, '\n') < 0);
	assert(!d->mail_before_hello);
}

/* What the sender meant by content that was taken: without the dots put in front (RFC 5321 4.5.2). */
static inline void dialogue_unstuff(struct str content, struct buf *out)
{
	while (content.n > 0) {
		ptrdiff_t lf = str_find(content, '\n');
		struct str line = str_take(content, lf < 0 ? content.n : (size_t)lf + 1);
		content = str_skip(content, line.n);
		buf_add(out, str_skip(line, str_starts(line, STR("."))));
	}
}

#endif
