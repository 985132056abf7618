/* serve_group: see serve.h.
 *
 * The processes of a group share its listening sockets: whoever is free takes the next connection,
 * and what waits in the queue of a socket when one dies is taken by another. The first process of a
 * group is always there unless the group was stopped on purpose. */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "ask/questions.h"
#include "base/log.h"
#include "role/edge_clients.h"
#include "role/serve.h"

_Static_assert(CHILDREN <= 64, "a socket's holders are bits");

enum { AUTO_MAX = 4 };

static const char *const groups[GROUPS] = {"mx", "user"};

static void add(struct serve *s, int *n, struct child made)
{
	made.serve = s;
	made.conf_fd = made.next_conf_fd = -1;
	made.wanted = made.number == 0;
	s->children[(*n)++] = made;
}

static void add_group(struct serve *s, int *n, int group)
{
	static char names[GROUPS][CONF_PROCESSES_MAX][16];
	for (unsigned i = 0; i < CONF_PROCESSES_MAX; i++) {
		char *name = names[group][i];
		if (i == 0)
			snprintf(name, sizeof names[0][0], "%s", groups[group]);
		else
			snprintf(name, sizeof names[0][0], "%s-%u", groups[group], i + 1);
		add(s, n,
			(struct child){.name = name,
				.role = "edge",
				.group = groups[group],
				.number = i,
				.conf_role = CONF_EDGE});
	}
	s->clients_fd[group] = -1;
}

void groups_make(struct serve *s, ask_handler *answer_store)
{
	int n = 0;
	add(s, &n,
		(struct child){.name = "store",
			.role = "store",
			.group = "",
			.conf_role = CONF_STORE,
			.gets_home = true,
			.asks = answer_store});
	add(s, &n, (struct child){.name = "keys", .role = "keys", .group = "", .conf_role = CONF_KEYS});
	add(s, &n,
		(struct child){.name = "relay", .role = "relay", .group = "", .conf_role = CONF_RELAY});
	add(s, &n,
		(struct child){
			.name = "control", .role = "edge", .group = "control", .conf_role = CONF_EDGE});
	for (int i = 0; i < GROUPS; i++)
		add_group(s, &n, i);
}

/* -1: it belongs to none. */
static int group_of(const struct child *c)
{
	for (int i = 0; i < GROUPS; i++)
		if (!strcmp(c->group, groups[i]))
			return i;
	return -1;
}

/* One process feeds what two cores do in the other roles; beyond a few, store is what bounds. */
static uint64_t automatic(void)
{
	cpu_set_t set;
	int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
	return cores < 4 ? 1 : cores / 2 > AUTO_MAX ? AUTO_MAX : (uint64_t)cores / 2;
}

static void fit(struct child *c, bool group_runs, uint64_t processes)
{
	bool should = group_runs && c->number < processes;
	if (should && (c->state == CHILD_OFF || c->retiring))
		child_start(c);
	else if (!should && c->wanted && group_runs)
		child_retire(c);
	else if (!should && !group_runs)
		child_stop(c);
}

void groups_fit(struct serve *s)
{
	uint64_t processes = s->conf->smtp_processes ? s->conf->smtp_processes : automatic();
	for (int i = 0; i < CHILDREN; i++) {
		struct child *c = &s->children[i];
		if (c->number > 0)
			fit(c, child_find(s, str_from_c(c->group))->wanted, processes);
	}
}

bool group_spare(const struct child *c)
{
	return c->number > 0 && c->state == CHILD_OFF;
}

int group_clients(const struct child *c, struct err *err)
{
	int group = group_of(c);
	err_clear(err);
	if (group < 0)
		return -1;
	if (c->serve->clients_fd[group] < 0)
		c->serve->clients_fd[group] = clients_make(err);
	return c->serve->clients_fd[group];
}

void group_forget(const struct child *c)
{
	int group = group_of(c);
	if (group >= 0 && c->serve->clients_fd[group] >= 0)
		clients_forget(c->serve->clients_fd[group], c->number);
}
