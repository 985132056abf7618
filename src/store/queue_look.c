#include "store/queue_look.h"

#include "base/id.h"
#include "store/queue_parts.h"

static struct queue_entry entry_of(const struct waiting *w)
{
	const struct domain *m = w->domain;
	const struct destination *d = m->destination;
	return (struct queue_entry){.message = w->message,
		.n = w->n,
		.state = w->state,
		.next_ms = w->next_ms > d->until_ms ? w->next_ms : d->until_ms,
		.active = w->place == PLACE_ACTIVE,
		.domain = str_make(m->name, m->name_n),
		.destination = str_make(d->key, d->key_n),
		.trouble = d->trouble};
}

bool queue_find(const struct queue *q, uint64_t message, uint32_t n, struct queue_entry *ret)
{
	struct waiting_place place;
	const struct waiting *w = queue_recipient_from(q, message, n, &place);
	if (w)
		*ret = entry_of(w);
	return w != NULL;
}

/* ---- by the page ------------------------------------------------------------------------------ */

/* The filter, its names looked up once. */
struct sieve {
	const struct queue_filter *f;
	const struct domain *domain;
	const struct destination *destination;
};

/* False: nothing can fit. */
static bool sieve_make(const struct queue *q, const struct queue_filter *f, struct sieve *ret)
{
	*ret = (struct sieve){.f = f};
	if (f->domain.n && !(ret->domain = map_get(q->domains, f->domain)))
		return false;
	if (f->destination.n && !(ret->destination = map_get(q->destinations, f->destination)))
		return false;
	return true;
}

/* A recipient that was never tried waits for the reason that others of its destination have met. */
static uint8_t cause_of(const struct waiting *w)
{
	return w->cause ? w->cause : queue_cause(w->domain->destination->trouble.cause);
}

static bool fits(const struct sieve *s, const struct waiting *w)
{
	const struct queue_filter *f = s->f;
	return (!f->states || f->states >> w->state & 1) && (!f->active || w->place == PLACE_ACTIVE) &&
		(!s->domain || w->domain == s->domain) &&
		(!s->destination || w->domain->destination == s->destination) &&
		(!f->cause || cause_of(w) == f->cause);
}

static bool is_behind(struct queue_place place, uint64_t message, uint32_t n)
{
	return message != place.message ? message > place.message : n > place.n;
}

bool queue_next(const struct queue *q, const struct queue_filter *f, struct queue_place *at,
	uint32_t *steps, struct queue_entry *ret)
{
	struct sieve sieve;
	struct waiting_place place;
	uint64_t first = f->from_ms > 0 ? id_first(f->from_ms) : 0;
	if (!sieve_make(q, f, &sieve))
		return false;
	if (f->message > first)
		first = f->message;
	uint32_t slot = first > at->message ? waiting_from(&q->table, first, 0, &place)
										: waiting_from(&q->table, at->message, at->n, &place);
	for (; slot != NO_SLOT; slot = waiting_next(&q->table, &place)) {
		const struct waiting *w = waiting_at(&q->table, slot);
		if (f->before_ms && id_time_ms(w->message) >= f->before_ms)
			return false;
		if (f->message && w->message != f->message)
			return false;
		if (!is_behind(*at, w->message, w->n))
			continue;
		if (*steps == 0)
			return false;
		--*steps;
		*at = (struct queue_place){w->message, w->n};
		if (!fits(&sieve, w))
			continue;
		*ret = entry_of(w);
		return true;
	}
	return false;
}

/* ---- totals ----------------------------------------------------------------------------------- */

void queue_count(const struct queue *q, struct queue_counts *ret)
{
	*ret = (struct queue_counts){.messages = q->messages,
		.ready = q->tally.waiting - q->tally.deferred,
		.deferred = q->tally.deferred,
		.held = q->tally.held,
		.active = q->tally.active,
		.destinations = map_count(q->destinations)};
}

uint64_t queue_cause_count(const struct queue *q, uint8_t cause)
{
	return cause < QUEUE_CAUSES ? q->causes[cause] : 0;
}

static struct queue_next_hop next_hop(const struct destination *d)
{
	uint64_t met[QUEUE_CAUSES] = {0};
	struct queue_next_hop hop = {
		.name = str_make(d->key, d->key_n), .not_before_ms = d->until_ms, .trouble = d->trouble};
	for (const struct domain *m = d->domains; m; m = m->next) {
		hop.ready += m->tally.waiting - m->tally.deferred;
		hop.deferred += m->tally.deferred;
		hop.held += m->tally.held;
		hop.active += m->tally.active;
		hop.untold += m->tally.untold;
		for (uint32_t i = 0; i < m->cause_count; i++)
			met[m->causes[i].cause] += m->causes[i].count;
	}
	met[queue_cause(d->trouble.cause)] += hop.untold;
	for (unsigned i = 1; i < QUEUE_CAUSES; i++)
		if (met[i] > hop.of_cause) {
			hop.of_cause = met[i];
			hop.cause = (uint8_t)i;
		}
	return hop;
}

void queue_each_next_hop(
	const struct queue *q, void (*fn)(void *arg, const struct queue_next_hop *hop), void *arg)
{
	struct str key;
	void *value;
	for (size_t at = 0; map_next(q->destinations, &at, &key, &value);) {
		struct queue_next_hop hop = next_hop(value);
		fn(arg, &hop);
	}
}
