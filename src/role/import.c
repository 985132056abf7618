/* import: main of the role that reads one pile of certificate files and ends. Whoever made the pile
 * may have taken it over: it holds the descriptors of this one question and nothing else. */
#include <sys/resource.h>

#include "ask/questions.h"
#include "base/log.h"
#include "base/mem.h"
#include "cert/crypto.h"
#include "cert/pile.h"
#include "io/body.h"
#include "role/start.h"

enum { CPU_SECONDS = 20 };

/* Cuts the pile into question->file_count files; 0, or -1 with *err. */
static int cut(
	const struct ask_pile *question, struct str bytes, struct pile_part *parts, struct err *err)
{
	for (size_t i = 0; i < question->file_count; i++) {
		const struct pile_file *f = &question->files[i];
		if (f->size > bytes.n)
			return err_say(err, "the files are longer than what came");
		parts[i] = (struct pile_part){.name = f->name, .bytes = str_take(bytes, f->size)};
		bytes = str_skip(bytes, f->size);
	}
	return bytes.n == 0 ? 0 : err_say(err, "more came than the files are long");
}

static int read_pile(struct ask_question *q, struct str bytes, struct pile *ret)
{
	struct ask_pile question;
	if (ask_take(q, xfer_ask_pile, &question) != 0)
		return -1;
	struct pile_file whole = {.name = STR("the pile"), .size = bytes.n};
	if (question.file_count == 0) {
		question.files = &whole;
		question.file_count = 1;
	}
	struct pile_part *parts = arena_alloc(q->arena, question.file_count * sizeof *parts);
	if (cut(&question, bytes, parts, &q->err) != 0)
		return -1;
	return pile_read(parts, question.file_count, question.passphrase, q->arena, ret, &q->err);
}

static void answer_pile(struct ask_question *q, struct pile *pile)
{
	struct ask_pile_answer answer = {
		.facts = pile->facts, .summary = pile->summary, .findings = pile->findings};
	q->answer_fd[0] = body_from_str(pile->chain, "chain", &q->err);
	if (q->answer_fd[0] >= 0)
		q->answer_fd[1] = body_from_str(buf_str(&pile->key), "key", &q->err);
	if (q->answer_fd[1] >= 0)
		ask_answer(q, xfer_ask_pile_answer, &answer);
}

static void answer(struct ask_question *q, void *arg)
{
	struct str bytes;
	struct pile pile;
	(void)arg;
	if (q->kind != ASK_PILE || q->fd[0] < 0) {
		err_perm(&q->err, NULL, "import does not answer question %u", q->kind);
		return;
	}
	if (body_map(q->fd[0], PILE_BYTES_MAX, &bytes, &q->err) != 0)
		return;
	if (read_pile(q, bytes, &pile) == 0) {
		answer_pile(q, &pile);
		pile_done(&pile);
	}
	body_unmap(bytes);
}

/* The asker has its answer, or is gone. */
static void done(struct ask_link *link, void *arg)
{
	(void)link;
	role_exit(arg, 0);
}

static void take_link(struct role *r, const struct ask_link_peer *peer, int fd)
{
	char name[32];
	ask_link_new(fd, str_to_c(peer->role, name, sizeof name), answer, done, r);
}

int main(void)
{
	static const struct role_calls calls = {.link = take_link};
	static struct role r = {.name = "import", .calls = &calls};
	role_hello(&r);
	if (!crypto_guard())
		r.missing = "memlock";
	crypto_init();
	setrlimit(RLIMIT_CPU, &(struct rlimit){CPU_SECONDS, CPU_SECONDS});
	role_walls(&r);
	role_loop(&r);
}
