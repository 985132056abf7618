#include "ask/questions.h"

#include <unistd.h>

#include "base/buf.h"

int ask_put(struct ask_link *l, enum ask_kind kind, xfer_fn *xfer_q, void *question, const int *fds,
	xfer_fn *xfer_a, void *ret_answer, int *ret_fds, int64_t timeout_ms, struct arena *arena,
	struct err *err)
{
	struct buf packed;
	buf_init(&packed, ASK_LONG_MAX);
	struct xfer out = xfer_writer(&packed);
	if (xfer_q)
		xfer_q(&out, question);
	struct ask_answer answer;
	int status = xfer_done(&out)
		? ask_call(l, (uint16_t)kind, buf_str(&packed), fds, timeout_ms, arena, &answer, err)
		: err_perm(err, NULL, "question %u is out of bounds", kind);
	buf_done(&packed);
	if (status != 0)
		return -1;
	for (int i = 0; i < ASK_FDS; i++) {
		if (ret_fds)
			ret_fds[i] = answer.fd[i];
		else if (answer.fd[i] >= 0)
			close(answer.fd[i]);
	}
	struct xfer in = xfer_reader(answer.body, arena);
	if (xfer_a)
		xfer_a(&in, ret_answer);
	if (xfer_done(&in))
		return 0;
	for (int i = 0; ret_fds && i < ASK_FDS; i++) {
		if (ret_fds[i] >= 0)
			close(ret_fds[i]);
		ret_fds[i] = -1;
	}
	return err_temp(err, "temporary server trouble", "%s: broken answer to question %u",
		ask_link_name(l), kind);
}

int ask_take(struct ask_question *q, xfer_fn *xfer_q, void *question)
{
	struct xfer in = xfer_reader(q->body, q->arena);
	xfer_q(&in, question);
	if (xfer_done(&in))
		return 0;
	return err_perm(&q->err, "temporary server trouble", "broken question %u from %s", q->kind,
		ask_link_name(q->link));
}

void ask_answer(struct ask_question *q, xfer_fn *xfer_a, void *answer)
{
	struct buf packed;
	buf_init(&packed, ASK_LONG_MAX);
	struct xfer out = xfer_writer(&packed);
	xfer_a(&out, answer);
	if (xfer_done(&out))
		q->answer = arena_dup(q->arena, buf_str(&packed));
	else
		err_temp(&q->err, "temporary server trouble", "the answer to question %u is out of bounds",
			q->kind);
	buf_done(&packed);
}
