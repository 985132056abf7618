/* resolver: see resolver.h.
 *
 * libunbound runs on the loop's own stack only: a fiber's is too small for DNSSEC. So a question is
 * put into `waiting` and asked from a timer; the callback parses the answer and wakes the fiber.
 *
 *   R1  A question lives as long as the call of the fiber that waits for it. Before the fiber leaves, the
 *       question is out of `waiting` and out of libunbound (answered or cancelled).
 *   R2  The context ends with its last holder, and every waiting fiber is one. */
#include "dns/resolver.h"

#include <stdio.h>
#include <stdlib.h>
#include <unbound.h>
#include <unbound-event.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "wire/domain_name.h"

struct question {
	struct resolver *resolver;
	struct fiber *fiber;
	struct str name;
	enum dns_type type;
	struct arena *arena;
	struct dns_answer *ret;
	bool asked, answered;
	int64_t ended_ms;      /* steady clock */
	int id;                /* libunbound's, to cancel what was asked and not answered */
	struct question *next; /* in `waiting` */
};

struct resolver {
	unsigned holders;
	struct ub_ctx *ub;
	char *server; /* whom we ask, for people */
	struct loop_timer *ask;
	struct question *waiting;
};

/* ---- setting up ---- */

struct option {
	const char *name, *value;
};

static int set_options(struct ub_ctx *ub, const struct option *options, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		int e = ub_ctx_set_option(ub, options[i].name, options[i].value);
		if (e)
			return err_say(
				err, "resolver: %s %s: %s", options[i].name, options[i].value, ub_strerror(e));
	}
	return 0;
}

static int add_forwarders(struct resolver *r, const struct conf_addresses *servers, struct err *err)
{
	/* RFC 6761 6.2 and RFC 8375 keep these names out of the public DNS, and libunbound answers
	 * them by itself; who names his own servers may well mean his own zones. */
	static const struct option private_zones[] = {
		{"local-zone:", "test. transparent"},
		{"local-zone:", "home.arpa. transparent"},
		{"domain-insecure:", "test."},
		{"domain-insecure:", "home.arpa."},
	};
	struct buf text;
	buf_init(&text, 4096);
	for (size_t i = 0; i < servers->n; i++) {
		const struct conf_address *a = &servers->at[i];
		char host[IP_TEXT], forward[IP_TEXT + 8];
		snprintf(forward, sizeof forward, "%s@%u", ip_format(&a->ip, host), a->port);
		int e = ub_ctx_set_fwd(r->ub, forward);
		if (e) {
			buf_done(&text);
			return err_say(err, "dns.servers: %.*s: %s", STR_ARG(a->text), ub_strerror(e));
		}
		buf_addf(&text, "%s%.*s", i ? " " : "", STR_ARG(a->text));
	}
	r->server = mem_strdup(buf_c(&text));
	buf_done(&text);
	return set_options(r->ub, private_zones, sizeof private_zones / sizeof *private_zones, err);
}

/* anchors = *( [ record ] [ ";" comment ] LF ). The next record, without blanks around it; false at
 * the end. *line counts. */
static bool next_anchor(struct str *anchors, unsigned *line, struct str *ret)
{
	while (str_split(anchors, '\n', ret)) {
		++*line;
		ptrdiff_t comment = str_find(*ret, ';');
		*ret = str_trim(comment < 0 ? *ret : str_take(*ret, (size_t)comment));
		if (ret->n)
			return true;
	}
	return false;
}

static int add_anchor(struct ub_ctx *ub, struct str record)
{
	enum { ANCHOR_MAX = 4096 };
	if (record.n > ANCHOR_MAX || memchr(record.p, 0, record.n))
		return UB_SYNTAX;
	char *text = mem_new(record.n + 1);
	int e = ub_ctx_add_ta(ub, str_to_c(record, text, record.n + 1));
	free(text);
	return e;
}

/* libunbound only looks at its settings when it is first used, and a fault then stands in every
 * answer; any call that needs them brings that forward. */
static int finish_settings(struct ub_ctx *ub)
{
	return ub_ctx_zone_remove(ub, "none.invalid.");
}

static struct ub_ctx *context_new(void)
{
	struct ub_ctx *ub = ub_ctx_create_event(loop_base());
	if (!ub)
		mem_exhausted(sizeof ub);
	ub_ctx_debugout(ub, NULL); /* what matters of its log comes with the answers */
	return ub;
}

/* It does not say which of the records it cannot read, so each is tried alone. */
static int name_bad_anchor(struct str anchors, struct err *err)
{
	struct str record;
	unsigned line = 0;
	while (next_anchor(&anchors, &line, &record)) {
		struct ub_ctx *ub = context_new();
		bool bad = add_anchor(ub, record) != 0 || finish_settings(ub) != 0;
		ub_ctx_delete(ub);
		if (bad)
			return err_say(err, "dns.trust_anchor: line %u is no DS or DNSKEY record", line);
	}
	return err_say(err, "dns.trust_anchor: the records do not go together");
}

static int add_anchors(struct resolver *r, struct str anchors, struct err *err)
{
	struct str record, rest = anchors;
	unsigned line = 0;
	while (next_anchor(&rest, &line, &record))
		if (add_anchor(r->ub, record) != 0)
			return name_bad_anchor(anchors, err);
	return finish_settings(r->ub) == 0 ? 0 : name_bad_anchor(anchors, err);
}

static void ask_waiting(void *arg);

/* libunbound reads settings with buffers of 64 KB on the stack (R1): not in a fiber. */
struct birth {
	const struct conf_addresses *servers;
	struct str anchors;
	struct err *err;
	struct resolver *made; /* NULL: *err says why not */
};

static void be_born(void *arg)
{
	static const struct option options[] = {
		{"do-not-query-localhost:", "no"}, /* a forwarder may well run beside us */
		/* A name that was just mended should be found by the next attempt. */
		{"cache-max-negative-ttl:", "60"},
		{"outgoing-range:", "256"},
		{"num-queries-per-thread:", "2048"},
	};
	struct birth *b = arg;
	struct resolver *r = mem_new(sizeof *r);
	r->holders = 1;
	r->ask = loop_timer_new(ask_waiting, r);
	r->ub = context_new();
	if (set_options(r->ub, options, sizeof options / sizeof *options, b->err) != 0 ||
		(b->servers->n && add_forwarders(r, b->servers, b->err) != 0) ||
		add_anchors(r, b->anchors, b->err) != 0) {
		resolver_drop(r);
		return;
	}
	if (!r->server)
		r->server = mem_strdup("recursion from the root");
	b->made = r;
}

struct resolver *resolver_new(
	const struct conf_addresses *servers, struct str anchors, struct err *err)
{
	struct birth b = {.servers = servers, .anchors = anchors, .err = err};
	fiber_call_deep(be_born, &b);
	return b.made;
}

struct resolver *resolver_hold(struct resolver *r)
{
	r->holders++;
	return r;
}

void resolver_drop(struct resolver *r)
{
	if (!r || --r->holders > 0)
		return;
	loop_timer_free(r->ask);
	ub_ctx_delete(r->ub);
	free(r->server);
	free(r);
}

/* ---- asking ---- */

enum { UB_SECURE = 2, UB_BOGUS = 1 }; /* how ub_event_callback_type tells DNSSEC's verdict */

static void settle(struct question *q, int rcode, struct str packet, int security, const char *why)
{
	struct dns_answer *ret = q->ret;
	if (packet.n) {
		dns_answer_parse(packet, q->name, q->type, q->arena, ret);
	} else {
		*ret = (struct dns_answer){.outcome = DNS_FAILED, .rcode = (uint16_t)rcode};
		ret->why = STR("no server answered");
	}
	ret->secure = security == UB_SECURE;
	if (security == UB_BOGUS) {
		ret->outcome = DNS_BOGUS;
		ret->records = NULL;
		ret->count = 0;
	}
	if (why && (ret->outcome == DNS_BOGUS || ret->outcome == DNS_FAILED))
		ret->why = arena_dup(q->arena, str_take(str_from_c(why), 400));
	q->answered = true;
	q->ended_ms = clock_steady_ms();
	fiber_wake(q->fiber);
}

/* `why` stays libunbound's. A packet without a header is none. */
static void on_answer(
	void *arg, int rcode, void *packet, int length, int security, char *why, int was_ratelimited)
{
	enum { HEADER = 12 };
	(void)was_ratelimited;
	settle(
		arg, rcode, length >= HEADER ? str_make(packet, (size_t)length) : STR(""), security, why);
}

static void ask_waiting(void *arg)
{
	enum { CLASS_IN = 1 };
	struct resolver *r = arg;
	while (r->waiting) {
		struct question *q = r->waiting;
		char name[DOMAIN_NAME_MAX + 1];
		r->waiting = q->next;
		/* The answer may come before the call returns. */
		q->asked = true;
		int e = ub_resolve_event(
			r->ub, str_to_c(q->name, name, sizeof name), q->type, CLASS_IN, q, on_answer, &q->id);
		if (e)
			settle(q, DNS_SERVFAIL, STR(""), 0, ub_strerror(e));
	}
}

static void forget(struct question *q)
{
	for (struct question **at = &q->resolver->waiting; *at; at = &(*at)->next)
		if (*at == q) {
			*at = q->next;
			break;
		}
	if (q->asked)
		ub_cancel(q->resolver->ub, q->id);
}

/* Asks `n` questions at once and waits until each has its answer or the time is over. */
static void ask(struct resolver *r, struct question *questions, unsigned n, int64_t timeout_ms)
{
	int64_t start = clock_steady_ms(), left = timeout_ms;
	unsigned open = n;
	resolver_hold(r);
	for (unsigned i = 0; i < n; i++) {
		questions[i].resolver = r;
		questions[i].fiber = fiber_self();
		questions[i].next = r->waiting;
		r->waiting = &questions[i];
	}
	loop_timer_start(r->ask, 0);
	while (open && left > 0) {
		fiber_park("for an answer of the DNS", left);
		open = 0;
		for (unsigned i = 0; i < n; i++)
			open += !questions[i].answered;
		left = start + timeout_ms - clock_steady_ms();
	}
	for (unsigned i = 0; i < n; i++) {
		struct question *q = &questions[i];
		if (!q->answered) {
			forget(q);
			q->ended_ms = clock_steady_ms();
			*q->ret = (struct dns_answer){.outcome = DNS_TIMEOUT, .rcode = DNS_SERVFAIL};
		}
		q->ret->ms = (uint32_t)(q->ended_ms - start);
		q->ret->server = arena_dup(q->arena, str_from_c(r->server));
	}
	resolver_drop(r);
}

static bool refuse_name(struct str name, struct dns_answer *ret)
{
	if (domain_name_dns_ok(name))
		return false;
	*ret = (struct dns_answer){.outcome = DNS_NO_NAME,
		.rcode = DNS_NXDOMAIN,
		.why = STR("this is no domain name"),
		.server = STR("none")};
	return true;
}

void dns_lookup(struct resolver *r, struct str name, enum dns_type type, int64_t timeout_ms,
	struct arena *arena, struct dns_answer *ret)
{
	name = domain_name_trim_dot(name);
	if (refuse_name(name, ret))
		return;
	struct question q = {.name = name, .type = type, .arena = arena, .ret = ret};
	ask(r, &q, 1, timeout_ms);
}

void dns_addresses(
	struct resolver *r, struct dns_host *hosts, size_t n, int64_t timeout_ms, struct arena *arena)
{
	struct question *questions = arena_alloc(arena, 2 * n * sizeof *questions);
	unsigned count = 0;
	for (size_t i = 0; i < n; i++) {
		struct str name = domain_name_trim_dot(hosts[i].name);
		if (refuse_name(name, &hosts[i].aaaa)) {
			hosts[i].a = hosts[i].aaaa;
			continue;
		}
		questions[count++] = (struct question){
			.name = name, .type = DNS_AAAA, .arena = arena, .ret = &hosts[i].aaaa};
		questions[count++] =
			(struct question){.name = name, .type = DNS_A, .arena = arena, .ret = &hosts[i].a};
	}
	ask(r, questions, count, timeout_ms);
}
