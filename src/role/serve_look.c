/* serve_look: see serve.h. */
#include <unistd.h>

#include "ask/ask_look.h"
#include "ask/questions.h"
#include "io/fiber.h"
#include "role/look.h"
#include "role/serve_look.h"

enum {
	NUMBERS_MS = 500, /* somebody looks at a screen meanwhile */
	FIBERS_MS = 5000,
	BYTES_MAX = 16 * 1024 * 1024,
};

/* One question to all roles at once: a role that hangs shall not keep the others' answers back. */
struct gathering {
	enum look what;
	struct gathered *roles;
	uint32_t count, open;
	struct arena *arena;
	struct fiber *waiter;
};

struct one_asked {
	struct gathering *all;
	struct child *child;
	struct gathered *ret;
};

static void ask_fiber(void *arg)
{
	struct one_asked *one = arg;
	struct gathering *g = one->all;
	struct ask_look question = {.what = g->what};
	struct ask_look_answer answer = {0};
	struct err err = {0};
	if (ask_put(one->child->link, ASK_LOOK, xfer_ask_look, &question, NULL, xfer_ask_look_answer,
			&answer, NULL, g->what == LOOK_FIBERS ? FIBERS_MS : NUMBERS_MS, g->arena, &err) == 0)
		one->ret->bytes = answer.bytes;
	else
		one->ret->error = arena_dup(g->arena, str_from_c(err.log));
	if (--g->open == 0)
		fiber_wake(g->waiter);
}

static bool is_asked(const struct child *c, struct str role)
{
	return c->pid && c->greeted &&
		(role.n == 0 || str_eq(role, str_from_c(c->name)) || str_eq(role, str_from_c(c->group)));
}

static void ask_roles(struct serve *s, struct gathering *g, struct str role)
{
	for (int i = 0; i < CHILDREN && g->count < LOOK_ROLES_MAX; i++) {
		struct child *c = &s->children[i];
		if (!is_asked(c, role))
			continue;
		struct one_asked *one = arena_alloc(g->arena, sizeof *one);
		*one = (struct one_asked){g, c, &g->roles[g->count++]};
		*one->ret = (struct gathered){.role = str_from_c(c->name), .pid = (uint32_t)c->pid};
		g->open++;
		fiber_start("look", ask_fiber, one);
	}
	while (g->open)
		fiber_park("for the roles to tell", FIBER_NEVER);
}

void serve_gather(struct serve *s, struct ask_question *q)
{
	struct ask_gather question;
	struct buf own;
	if (ask_take(q, xfer_ask_gather, &question) != 0)
		return;
	struct gathering g = {.what = question.what, .arena = q->arena, .waiter = fiber_self()};
	g.roles = arena_alloc(q->arena, LOOK_ROLES_MAX * sizeof *g.roles);
	buf_init(&own, BYTES_MAX);
	if (question.role.n == 0 || str_eq(question.role, STR("serve"))) {
		look_pack(question.what, NULL, NULL, &own);
		g.roles[g.count++] = (struct gathered){
			.role = STR("serve"), .pid = (uint32_t)getpid(), .bytes = buf_str(&own)};
	}
	ask_roles(s, &g, question.role);
	struct ask_gather_answer answer = {.roles = g.roles, .role_count = g.count};
	ask_answer(q, xfer_ask_gather_answer, &answer);
	buf_done(&own);
}
