/* What edge asks. An edge may be broken into, so nothing it says is believed: addresses are parsed
 * again, texts are looked at, bodies must be sealed. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "ask/questions.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/space.h"
#include "store/store_parts.h"
#include "store/watch.h"
#include "wire/ip.h"
#include "wire/smtp_address.h"

enum { RECIPIENT_ROW = 300 }; /* bytes, about: the row and its places in the indexes */

/* ---- ASK_RCPT --------------------------------------------------------------------------------- */

static bool may_relay(const struct conf *c, struct str client)
{
	struct ip ip;
	return ip_parse(client, &ip) && conf_networks_match(&c->relay_networks, &ip);
}

static struct ask_rcpt_answer decide_rcpt(
	const struct site *site, struct str client, struct str recipient)
{
	struct mailbox m;
	if (!mailbox_from_str(recipient, &m) || m.domain.n == 0)
		return (struct ask_rcpt_answer){501, RCPT_ONE, STR("5.1.3 this is no address")};
	if (may_relay(site->conf, client))
		return (struct ask_rcpt_answer){250, RCPT_ALL, STR("2.1.5 recipient ok")};
	if (site_domain(site, m.domain))
		return (struct ask_rcpt_answer){250, RCPT_DOMAIN, STR("2.1.5 recipient ok")};
	return (struct ask_rcpt_answer){
		550, RCPT_ONE, STR("5.7.1 relaying denied: the domain is not ours")};
}

void store_answer_rcpt(struct store *s, struct ask_question *q)
{
	struct ask_rcpt question;
	if (ask_take(q, xfer_ask_rcpt, &question))
		return;
	struct ask_rcpt_answer answer = decide_rcpt(s->site, question.client, question.recipient);
	ask_answer(q, xfer_ask_rcpt_answer, &answer);
}

/* ---- ASK_SPOOL -------------------------------------------------------------------------------- */

void store_answer_spool(struct store *s, struct ask_question *q)
{
	struct ask_spool_answer answer;
	struct writer_room room;
	writer_room(s->writer, &room);
	if (room.low) {
		err_full(&q->err, "there is too little room on the disk (queue.min_free)");
		return;
	}
	room_kick(s);
	if (spool_lend(
			s->spool, q->link, clock_steady_ms(), &q->answer_fd[0], &answer.spool, &q->err) == 0)
		ask_answer(q, xfer_ask_spool_answer, &answer);
}

/* ---- ASK_ACCEPT ------------------------------------------------------------------------------- */

struct accept_job {
	struct write_job job;
	struct letter letter;
};

static int apply_accept(struct write_job *job, struct writer *w, struct db *db, struct err *err)
{
	struct accept_job *a = (struct accept_job *)job; /* its first member */
	(void)w;
	return letter_insert(&a->letter, db, err);
}

/* Lines that each end with CRLF, nothing bare inside. */
static bool is_header_lines(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool cr = s.p[i] == '\r', lf = s.p[i] == '\n';
		if (s.p[i] == 0 || (cr && (i + 1 == s.n || s.p[i + 1] != '\n')) ||
			(lf && (i == 0 || s.p[i - 1] != '\r')))
			return false;
	}
	return s.n == 0 || s.p[s.n - 1] == '\n';
}

/* An edge that was broken into, or whose session is older than a change of the settings. */
static int check_recipients(const struct store *s, const struct ask_accept *q, struct err *err)
{
	for (uint32_t i = 0; i < q->envelope.recipient_count; i++) {
		struct str recipient = q->envelope.recipients[i].address;
		struct ask_rcpt_answer answer = decide_rcpt(s->site, q->client, recipient);
		if (answer.code != 250)
			return err_perm(err, "a recipient may no longer be taken here",
				"accept: <%.*s> from %.*s: %u %.*s", STR_ARG(str_take(recipient, 100)),
				STR_ARG(q->client), answer.code, STR_ARG(answer.text));
	}
	return 0;
}

static int check_question(const struct store *s, const struct ask_accept *q, struct err *err)
{
	const struct envelope *e = &q->envelope;
	bool ok = q->queue_id && q->queue_id <= INT64_MAX && q->session_id <= INT64_MAX &&
		e->recipient_count && q->body.size <= UINT32_MAX && str_is_graph(e->envid) &&
		is_header_lines(q->prefix) && str_is_print(q->message_id) && str_is_graph(q->client) &&
		str_is_print(q->helo) && str_is_print(q->tls);
	for (uint32_t i = 0; ok && i < e->recipient_count; i++)
		ok = str_is_graph(e->recipients[i].orcpt);
	if (!ok)
		return err_perm(err, "temporary server trouble", "accept: a question out of bounds");
	char id[ID_TEXT];
	struct queue_entry there;
	if (queue_find(s->queue, q->queue_id, 0, &there))
		return err_temp(err, "temporary server trouble", "accept: there is a message %s already",
			id_format(q->queue_id, id));
	return 0;
}

static int wrong_size(uint64_t said, uint64_t there, struct err *err)
{
	return err_perm(err, "temporary server trouble",
		"accept: a body of %" PRIu64 " bytes came with %" PRIu64, said, there);
}

static int read_whole(int fd, char *dst, size_t n, struct err *err)
{
	for (size_t at = 0; at < n;) {
		ssize_t got = pread(fd, dst + at, n - at, (off_t)at);
		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			return err_temp(err, "temporary server trouble", "accept: the body cannot be read");
		at += (size_t)got;
	}
	return 0;
}

/* The memory file that came along. */
static int take_memory(struct ask_question *question, uint64_t size, int *ret_fd, struct err *err)
{
	int64_t there = body_check(question->fd[0], err);
	if (there < 0)
		return -1;
	if ((uint64_t)there != size || there > BODY_MEMORY_MAX)
		return wrong_size(size, (uint64_t)there, err);
	*ret_fd = question->fd[0];
	question->fd[0] = -1;
	return 0;
}

/* Finds the body: a small one is in the question; a lent file comes back, a memory file is checked,
 * and what fits into a row is read. The job owns the descriptor that it then has. */
static int take_body(struct store *s, struct ask_question *question, const struct ask_accept *q,
	struct accept_job *a, struct err *err)
{
	a->letter.size = q->body.size;
	int fd = -1;
	if (!q->body.spool && question->fd[0] < 0) {
		a->letter.body = q->body.bytes;
		return q->body.bytes.n == q->body.size ? 0 : wrong_size(q->body.size, q->body.bytes.n, err);
	}
	if (q->body.spool ? spool_take(s->spool, question->link, q->body.spool, q->body.size, &fd, err)
					  : take_memory(question, q->body.size, &fd, err))
		return -1;
	a->letter.in_file = q->body.size > SPOOL_ROW_MAX;
	if (a->letter.in_file) {
		a->job.body_fd = fd;
		a->job.body_in_memory = !q->body.spool;
		return 0;
	}
	char *bytes = arena_alloc(question->arena, q->body.size + 1);
	int result = read_whole(fd, bytes, q->body.size, err);
	close(fd);
	a->letter.body = str_make(bytes, q->body.size);
	return result;
}

static void fill_letter(struct store *s, struct letter *l, const struct ask_accept *q)
{
	l->id = q->queue_id;
	l->session = q->session_id;
	l->received_ms = store_now(s);
	l->queued_ms = store_queue_now(s);
	l->envelope = &q->envelope;
	l->prefix = q->prefix;
	l->message_id = q->message_id;
	l->client = q->client;
	l->helo = q->helo;
	l->tls = q->tls;
	l->listener = q->listener;
	l->has_8bit = q->has_8bit;
	l->longest_line = q->longest_line;
}

/* 1: this message was kept when it was offered the first time, 0: it was not, -1 with *err. */
static int kept_already(
	struct store *s, const struct ask_accept *q, struct arena *arena, struct err *err)
{
	struct message_row m;
	int found = q->again ? store_message(s, q->queue_id, arena, &m, err) : 0;
	if (found != 1)
		return found;
	return m.session == q->session_id && m.size == q->body.size &&
		str_eq(m.sender, q->envelope.sender);
}

/* What it will take of the disk. A lent file takes it already. */
static uint64_t need_of(const struct ask_accept *q, const struct accept_job *a)
{
	uint64_t rows = q->prefix.n + (uint64_t)q->envelope.recipient_count * RECIPIENT_ROW;
	if (!a->letter.in_file)
		return space_need(rows + q->body.size, 0);
	return space_need(rows, a->job.body_in_memory ? q->body.size : 0);
}

static void accept_letter(struct store *s, struct ask_question *q, struct ask_accept *question)
{
	struct accept_job a = {.job = {.apply = apply_accept, .kind = WRITE_ADMITS, .body_fd = -1}};
	fill_letter(s, &a.letter, question);
	a.job.body_id = question->queue_id;
	if (check_question(s, question, &q->err) || check_recipients(s, question, &q->err) ||
		letter_check(&a.letter, q->arena, &q->err) || take_body(s, q, question, &a, &q->err))
		return;
	a.job.need = need_of(question, &a);
	int result = writer_do(s->writer, &a.job, &q->err);
	room_kick(s);
	if (a.job.body_fd >= 0)
		close(a.job.body_fd);
	if (result)
		return;
	watch_count(s, WATCH_ACCEPTED, 1);
	watch_count(s, WATCH_BYTES_IN, a.letter.size);
	letter_queue(s, &a.letter);
}

void store_answer_accept(struct store *s, struct ask_question *q)
{
	struct ask_accept question;
	if (ask_take(q, xfer_ask_accept, &question) || kept_already(s, &question, q->arena, &q->err))
		return;
	if (!question.again) {
		accept_letter(s, q, &question);
	} else if (suspect_begin(s, question.queue_id, &q->err) == 0) {
		accept_letter(s, q, &question);
		suspect_end(s);
	}
}
