#include "store/queue.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"

enum place { PLACE_GONE, PLACE_HELD, PLACE_HEAP, PLACE_DUE, PLACE_SUSPECT, PLACE_ACTIVE };

enum { KEY_MAX = 1024, NOWHERE = UINT32_MAX };

/* Something with a time, in the heap. */
struct timed {
	int64_t at_ms;
	uint32_t index; /* in the heap; NOWHERE: not in it */
	bool is_destination;
};

struct waiting;
struct list {
	struct waiting *first, *last;
};

/* Recipients by what they do. */
struct tally {
	uint64_t waiting, deferred, held, active; /* waiting: neither held nor active */
	uint64_t untold;                          /* of the waiting ones, those without a cause */
};

struct destination {
	struct timed timed; /* in the heap while it is backing off (K3) */
	struct list due;
	struct destination *prev, *next; /* in the line of those that may go (K2) */
	bool in_line;
	unsigned running, failures;
	struct queue_trouble trouble; /* the last failure; one allocation, at cause.p */
	size_t domains;               /* that lead here */
	struct tally tally;           /* of these, as far as queue_each_next_hop() has added it up */
	size_t key_n;
	char key[];
};

struct domain {
	struct destination *destination, *moving_to;
	size_t recipients;
	struct tally tally;
	size_t name_n;
	char name[];
};

struct message {
	uint64_t id;
	int64_t received_ms;
	uint32_t deaths;
	uint32_t count, open;
	struct waiting *recipients; /* by n */
};

/* One recipient. */
struct waiting {
	struct timed timed;
	struct message *message;
	struct domain *domain;
	struct waiting *prev, *next; /* in a destination's due list or among the suspects */
	uint32_t n;
	uint8_t state; /* enum recipient_state */
	uint8_t place; /* enum place */
	uint8_t wish;  /* enum queue_wish */
	uint8_t cause; /* below QUEUE_CAUSES */
};

struct queue {
	queue_key_fn *key;
	void *arg;
	unsigned concurrency;
	struct map *messages;     /* id -> struct message */
	struct map *domains;      /* name -> struct domain */
	struct map *destinations; /* key -> struct destination */
	struct vec heap;          /* struct timed *, the earliest first */
	struct destination *line_first, *line_last;
	struct list suspects;
	bool suspect_active;
	struct tally tally;
	uint64_t causes[QUEUE_CAUSES]; /* of those who are not active */
};

/* ---- heap ------------------------------------------------------------------------------------- */

static struct timed **heap_at(const struct queue *q, size_t i)
{
	return vec_at(&q->heap, i);
}

static void heap_set(struct queue *q, size_t i, struct timed *t)
{
	*heap_at(q, i) = t;
	t->index = (uint32_t)i;
}

static struct waiting *waiting_of(struct timed *t)
{
	return (struct waiting *)((char *)t - offsetof(struct waiting, timed));
}

static struct destination *backing_off(struct timed *t)
{
	return (struct destination *)((char *)t - offsetof(struct destination, timed));
}

/* By time; of recipients with the same time the older message and the lower number. */
static bool comes_before(struct timed *a, struct timed *b)
{
	if (a->at_ms != b->at_ms || a->is_destination || b->is_destination)
		return a->at_ms < b->at_ms;
	const struct waiting *x = waiting_of(a), *y = waiting_of(b);
	return x->message->id != y->message->id ? x->message->id < y->message->id : x->n < y->n;
}

static void heap_up(struct queue *q, size_t i)
{
	struct timed *t = *heap_at(q, i);
	while (i > 0 && comes_before(t, *heap_at(q, (i - 1) / 2))) {
		heap_set(q, i, *heap_at(q, (i - 1) / 2));
		i = (i - 1) / 2;
	}
	heap_set(q, i, t);
}

static void heap_down(struct queue *q, size_t i)
{
	struct timed *t = *heap_at(q, i);
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= q->heap.n)
			break;
		if (child + 1 < q->heap.n && comes_before(*heap_at(q, child + 1), *heap_at(q, child)))
			child++;
		if (!comes_before(*heap_at(q, child), t))
			break;
		heap_set(q, i, *heap_at(q, child));
		i = child;
	}
	heap_set(q, i, t);
}

static void heap_add(struct queue *q, struct timed *t, int64_t at_ms)
{
	t->at_ms = at_ms;
	vec_add(&q->heap, &t);
	heap_up(q, q->heap.n - 1);
}

static void heap_remove(struct queue *q, struct timed *t)
{
	size_t i = t->index;
	if (i == NOWHERE)
		return;
	t->index = NOWHERE;
	struct timed *last = *heap_at(q, q->heap.n - 1);
	q->heap.n--;
	if (last == t)
		return;
	heap_set(q, i, last);
	heap_up(q, i);
	heap_down(q, last->index);
}

/* ---- lists ------------------------------------------------------------------------------------ */

static void list_add(struct list *l, struct waiting *w)
{
	w->next = NULL;
	w->prev = l->last;
	*(l->last ? &l->last->next : &l->first) = w;
	l->last = w;
}

static void list_remove(struct list *l, struct waiting *w)
{
	*(w->prev ? &w->prev->next : &l->first) = w->next;
	*(w->next ? &w->next->prev : &l->last) = w->prev;
	w->prev = w->next = NULL;
}

static void line_add(struct queue *q, struct destination *d)
{
	d->in_line = true;
	d->next = NULL;
	d->prev = q->line_last;
	*(q->line_last ? &q->line_last->next : &q->line_first) = d;
	q->line_last = d;
}

static void line_remove(struct queue *q, struct destination *d)
{
	d->in_line = false;
	*(d->prev ? &d->prev->next : &q->line_first) = d->next;
	*(d->next ? &d->next->prev : &q->line_last) = d->prev;
	d->prev = d->next = NULL;
}

/* ---- destinations and domains ----------------------------------------------------------------- */

/* Puts the destination into the line or out of it, as it deserves (K2, K3). */
static void line_up(struct queue *q, struct destination *d)
{
	unsigned limit = d->failures ? 1 : q->concurrency;
	bool may = d->due.first && d->running < limit && d->timed.index == NOWHERE;
	if (may && !d->in_line)
		line_add(q, d);
	else if (!may && d->in_line)
		line_remove(q, d);
}

static struct destination *destination_of(struct queue *q, struct str domain)
{
	struct buf key;
	buf_init(&key, KEY_MAX);
	q->key(q->arg, domain, &key);
	struct destination *d = map_get(q->destinations, buf_str(&key));
	if (!d) {
		d = mem_new(sizeof *d + key.n);
		d->timed = (struct timed){.index = NOWHERE, .is_destination = true};
		d->key_n = key.n;
		if (key.n)
			memcpy(d->key, key.p, key.n);
		map_put(q->destinations, buf_str(&key), d);
	}
	buf_done(&key);
	return d;
}

static void set_trouble(struct destination *d, const struct queue_trouble *t)
{
	free((char *)(uintptr_t)d->trouble.cause.p);
	d->trouble = (struct queue_trouble){0};
	if (!t)
		return;
	char *p = mem_new(t->cause.n + t->text.n + 1);
	memcpy(p, t->cause.p, t->cause.n);
	if (t->text.n)
		memcpy(p + t->cause.n, t->text.p, t->text.n);
	d->trouble.cause = str_make(p, t->cause.n);
	d->trouble.text = str_make(p + t->cause.n, t->text.n);
}

static void destination_free(void *arg)
{
	struct destination *d = arg;
	set_trouble(d, NULL);
	free(d);
}

static void destination_drop(struct queue *q, struct destination *d)
{
	if (d->domains || d->running || d->due.first)
		return;
	heap_remove(q, &d->timed);
	if (d->in_line)
		line_remove(q, d);
	map_remove(q->destinations, str_make(d->key, d->key_n));
	destination_free(d);
}

static void destination_forget(struct queue *q, struct destination *d)
{
	d->failures = 0;
	set_trouble(d, NULL);
	heap_remove(q, &d->timed);
	line_up(q, d);
}

static struct domain *domain_of(struct queue *q, struct str name)
{
	struct domain *d = map_get(q->domains, name);
	if (d)
		return d;
	d = mem_new(sizeof *d + name.n);
	d->name_n = name.n;
	if (name.n)
		memcpy(d->name, name.p, name.n);
	d->destination = destination_of(q, name);
	d->destination->domains++;
	map_put(q->domains, name, d);
	return d;
}

static void domain_drop(struct queue *q, struct domain *d)
{
	if (d->recipients)
		return;
	d->destination->domains--;
	destination_drop(q, d->destination);
	map_remove(q->domains, str_make(d->name, d->name_n));
	free(d);
}

/* ---- recipients ------------------------------------------------------------------------------- */

static void tally_add(struct tally *t, const struct tally *of)
{
	t->waiting += of->waiting;
	t->deferred += of->deferred;
	t->held += of->held;
	t->active += of->active;
	t->untold += of->untold;
}

/* Counts the recipient in, or out (`by` -1). */
static void count(struct queue *q, const struct waiting *w, int by)
{
	bool waits = w->place == PLACE_HEAP || w->place == PLACE_DUE || w->place == PLACE_SUSPECT;
	const uint64_t one = (uint64_t)by;
	const struct tally self = {.waiting = waits ? one : 0,
		.deferred = waits && w->state == RECIPIENT_DEFERRED ? one : 0,
		.held = w->place == PLACE_HELD ? one : 0,
		.active = w->place == PLACE_ACTIVE ? one : 0,
		.untold = waits && w->cause == 0 ? one : 0};
	tally_add(&q->tally, &self);
	tally_add(&w->domain->tally, &self);
	q->causes[w->cause] += self.waiting + self.held;
}

static void set_place(struct queue *q, struct waiting *w, enum place place)
{
	count(q, w, -1);
	w->place = (uint8_t)place;
	count(q, w, 1);
}

/* Out of whatever it is in. */
static void detach(struct queue *q, struct waiting *w)
{
	struct destination *d = w->domain->destination;
	if (w->place == PLACE_HEAP)
		heap_remove(q, &w->timed);
	else if (w->place == PLACE_SUSPECT)
		list_remove(&q->suspects, w);
	else if (w->place == PLACE_DUE) {
		list_remove(&d->due, w);
		line_up(q, d);
	}
}

static void make_due(struct queue *q, struct waiting *w)
{
	if (w->message->deaths) {
		set_place(q, w, PLACE_SUSPECT);
		list_add(&q->suspects, w);
		return;
	}
	set_place(q, w, PLACE_DUE);
	list_add(&w->domain->destination->due, w);
	line_up(q, w->domain->destination);
}

/* Gives a recipient that is in nothing its place by its state. Due ones pass through the heap too,
 * since only queue_take() knows what time it is. */
static void attach(struct queue *q, struct waiting *w, int64_t next_ms)
{
	if (w->state == RECIPIENT_HELD) {
		set_place(q, w, PLACE_HELD);
		return;
	}
	set_place(q, w, PLACE_HEAP);
	heap_add(q, &w->timed, next_ms);
}

static struct str message_key(const uint64_t *id)
{
	return str_make((const char *)id, sizeof *id);
}

static void message_free(void *arg)
{
	struct message *m = arg;
	free(m->recipients);
	free(m);
}

static struct message *message_find(const struct queue *q, uint64_t id)
{
	return map_get(q->messages, message_key(&id));
}

/* The first recipient with at least this n; NULL if there is none. */
static struct waiting *recipient_from(const struct message *m, uint32_t n)
{
	uint32_t low = 0, high = m->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (m->recipients[middle].n < n)
			low = middle + 1;
		else
			high = middle;
	}
	while (low < m->count && m->recipients[low].place == PLACE_GONE)
		low++;
	return low < m->count ? &m->recipients[low] : NULL;
}

static struct waiting *recipient_find(const struct queue *q, uint64_t message, uint32_t n)
{
	struct message *m = message_find(q, message);
	struct waiting *w = m ? recipient_from(m, n) : NULL;
	return w && w->n == n ? w : NULL;
}

void queue_add(struct queue *q, uint64_t message, int64_t received_ms, uint32_t deaths,
	const struct queue_recipient *recipients, uint32_t count)
{
	if (count == 0 || message_find(q, message))
		return;
	struct message *m = mem_new(sizeof *m);
	*m = (struct message){.id = message,
		.received_ms = received_ms,
		.deaths = deaths,
		.count = count,
		.open = count,
		.recipients = mem_new(count * sizeof *m->recipients)};
	map_put(q->messages, message_key(&message), m);
	for (uint32_t i = 0; i < count; i++) {
		struct waiting *w = &m->recipients[i];
		w->timed.index = NOWHERE;
		w->message = m;
		w->n = recipients[i].n;
		w->state = (uint8_t)recipients[i].state;
		w->domain = domain_of(q, recipients[i].domain);
		w->domain->recipients++;
		w->cause = recipients[i].cause;
		attach(q, w, recipients[i].next_ms);
	}
}

void queue_settle(
	struct queue *q, uint64_t message, uint32_t n, enum recipient_state state, int64_t next_ms)
{
	struct waiting *w = recipient_find(q, message, n);
	if (!w)
		return;
	detach(q, w);
	set_place(q, w, PLACE_GONE);
	w->state = (uint8_t)state;
	w->wish = WISH_NONE;
	if (!recipient_is_final(state)) {
		attach(q, w, next_ms);
		return;
	}
	struct message *m = w->message;
	w->domain->recipients--;
	domain_drop(q, w->domain);
	if (--m->open == 0) {
		map_remove(q->messages, message_key(&m->id));
		message_free(m);
	}
}

/* ---- taking ----------------------------------------------------------------------------------- */

static void pass_time(struct queue *q, int64_t now_ms)
{
	while (q->heap.n && (*heap_at(q, 0))->at_ms <= now_ms) {
		struct timed *t = *heap_at(q, 0);
		heap_remove(q, t);
		if (t->is_destination)
			line_up(q, backing_off(t));
		else
			make_due(q, waiting_of(t));
	}
}

/* Makes `w` active and with it those of its message that wait at the same place for the same
 * destination (K4). */
static void gather(struct queue *q, struct waiting *w, uint32_t most, struct queue_work *ret)
{
	struct message *m = w->message;
	struct destination *d = w->domain->destination;
	enum place place = w->place;
	*ret = (struct queue_work){.message = m->id,
		.received_ms = m->received_ms,
		.deaths = m->deaths,
		.suspect = place == PLACE_SUSPECT,
		.destination = d};
	if (most > QUEUE_TOGETHER)
		most = QUEUE_TOGETHER;
	for (struct waiting *r = m->recipients; r < m->recipients + m->count && ret->count < most;
		 r++) {
		if (r->place != place || r->domain->destination != d)
			continue;
		detach(q, r);
		set_place(q, r, PLACE_ACTIVE);
		ret->n[ret->count++] = r->n;
	}
	d->running++;
	/* To the end of the line (K2). */
	if (d->in_line)
		line_remove(q, d);
	line_up(q, d);
}

bool queue_take(struct queue *q, int64_t now_ms, uint32_t most, struct queue_work *ret)
{
	pass_time(q, now_ms);
	if (q->suspects.first && !q->suspect_active) {
		gather(q, q->suspects.first, most, ret);
		q->suspect_active = true;
		return true;
	}
	while (q->line_first) {
		struct waiting *w = q->line_first->due.first;
		if (!w->message->deaths) {
			gather(q, w, most, ret);
			return true;
		}
		/* Became a suspect while it was due. */
		detach(q, w);
		make_due(q, w);
	}
	return false;
}

int64_t queue_next_ms(const struct queue *q, int64_t now_ms)
{
	if (q->line_first || (q->suspects.first && !q->suspect_active))
		return now_ms;
	return q->heap.n ? (*heap_at(q, 0))->at_ms : QUEUE_NEVER;
}

static int64_t back_off_ms(unsigned failures)
{
	int64_t ms = QUEUE_BACK_OFF_MS;
	for (unsigned i = 2; i < failures && ms < QUEUE_BACK_OFF_MAX_MS; i++)
		ms *= 2;
	return ms < QUEUE_BACK_OFF_MAX_MS ? ms : QUEUE_BACK_OFF_MAX_MS;
}

static void end_work(struct queue *q, const struct queue_work *work)
{
	struct destination *d = work->destination;
	if (work->suspect)
		q->suspect_active = false;
	d->running--;
}

void queue_put_back(struct queue *q, const struct queue_work *work)
{
	end_work(q, work);
	line_up(q, work->destination);
	destination_drop(q, work->destination);
}

void queue_done(struct queue *q, const struct queue_work *work, const struct queue_trouble *trouble,
	uint32_t deaths, int64_t now_ms)
{
	struct destination *d = work->destination;
	struct message *m = message_find(q, work->message);
	if (m)
		m->deaths = deaths;
	end_work(q, work);
	if (!trouble) {
		destination_forget(q, d);
	} else {
		set_trouble(d, trouble);
		/* Attempts that were under way together fail together: only one of them counts. */
		if (d->timed.index == NOWHERE && (d->failures == 0 || d->running == 0))
			d->failures++;
		if (d->timed.index == NOWHERE && d->failures > 1)
			heap_add(q, &d->timed, now_ms + back_off_ms(d->failures));
		line_up(q, d);
	}
	destination_drop(q, d);
}

static struct waiting *first_stuck(const struct message *m)
{
	for (uint32_t i = 0; i < m->count; i++) {
		struct waiting *w = &m->recipients[i];
		if (w->place == PLACE_DUE && w->domain->destination->timed.index != NOWHERE)
			return w;
	}
	return NULL;
}

bool queue_next_stuck(const struct queue *q, int64_t before_ms, size_t *at, uint64_t *ret_message)
{
	struct str key;
	void *value;
	while (map_next(q->messages, at, &key, &value)) {
		const struct message *m = value;
		if (m->received_ms >= before_ms || !first_stuck(m))
			continue;
		*ret_message = m->id;
		return true;
	}
	return false;
}

bool queue_take_stuck(struct queue *q, uint64_t message, struct queue_work *ret)
{
	struct message *m = message_find(q, message);
	struct waiting *w = m ? first_stuck(m) : NULL;
	if (w)
		gather(q, w, QUEUE_TOGETHER, ret);
	return w != NULL;
}

/* ---- routes ----------------------------------------------------------------------------------- */

static void move_due(struct queue *q, struct destination *from)
{
	struct waiting *next;
	for (struct waiting *w = from->due.first; w; w = next) {
		struct destination *to = w->domain->moving_to;
		next = w->next;
		if (to == from)
			continue;
		list_remove(&from->due, w);
		list_add(&to->due, w);
		line_up(q, to);
	}
	destination_forget(q, from);
}

void queue_regroup(struct queue *q)
{
	struct str key;
	void *value;
	for (size_t at = 0; map_next(q->domains, &at, &key, &value);) {
		struct domain *d = value;
		d->moving_to = destination_of(q, key);
	}
	for (size_t at = 0; map_next(q->destinations, &at, &key, &value);)
		move_due(q, value);
	for (size_t at = 0; map_next(q->domains, &at, &key, &value);) {
		struct domain *d = value;
		d->destination->domains--;
		d->destination = d->moving_to;
		d->destination->domains++;
	}
	for (size_t at = 0; map_next(q->destinations, &at, &key, &value);)
		destination_drop(q, value);
}

void queue_set_concurrency(struct queue *q, unsigned limit)
{
	struct str key;
	void *value;
	q->concurrency = limit ? limit : 1;
	for (size_t at = 0; map_next(q->destinations, &at, &key, &value);)
		line_up(q, value);
}

/* ---- looking ---------------------------------------------------------------------------------- */

bool queue_find(const struct queue *q, uint64_t message, uint32_t n, struct queue_entry *ret)
{
	struct message *m = message_find(q, message);
	struct waiting *w = m ? recipient_from(m, n) : NULL;
	if (!w)
		return false;
	struct destination *d = w->domain->destination;
	int64_t next_ms = w->timed.at_ms;
	if (d->timed.index != NOWHERE && d->timed.at_ms > next_ms)
		next_ms = d->timed.at_ms;
	*ret = (struct queue_entry){.n = w->n,
		.state = w->state,
		.next_ms = next_ms,
		.active = w->place == PLACE_ACTIVE,
		.domain = str_make(w->domain->name, w->domain->name_n),
		.destination = str_make(d->key, d->key_n),
		.trouble = d->trouble};
	return true;
}

void queue_count(const struct queue *q, struct queue_counts *ret)
{
	*ret = (struct queue_counts){.messages = map_count(q->messages),
		.ready = q->tally.waiting - q->tally.deferred,
		.deferred = q->tally.deferred,
		.held = q->tally.held,
		.active = q->tally.active,
		.destinations = map_count(q->destinations)};
}

void queue_set_cause(struct queue *q, uint64_t message, uint32_t n, uint8_t cause)
{
	struct waiting *w = recipient_find(q, message, n);
	if (!w || cause >= QUEUE_CAUSES)
		return;
	count(q, w, -1);
	w->cause = cause;
	count(q, w, 1);
}

uint64_t queue_cause_count(const struct queue *q, uint8_t cause)
{
	return cause < QUEUE_CAUSES ? q->causes[cause] : 0;
}

void queue_each_next_hop(
	struct queue *q, void (*fn)(void *arg, const struct queue_next_hop *hop), void *arg)
{
	struct str key;
	void *value;
	for (size_t at = 0; map_next(q->domains, &at, &key, &value);) {
		const struct domain *d = value;
		tally_add(&d->destination->tally, &d->tally);
	}
	for (size_t at = 0; map_next(q->destinations, &at, &key, &value);) {
		struct destination *d = value;
		const struct queue_next_hop hop = {.name = key,
			.ready = d->tally.waiting - d->tally.deferred,
			.deferred = d->tally.deferred,
			.held = d->tally.held,
			.active = d->tally.active,
			.untold = d->tally.untold,
			.not_before_ms = d->timed.index == NOWHERE ? 0 : d->timed.at_ms,
			.trouble = d->trouble};
		d->tally = (struct tally){0};
		fn(arg, &hop);
	}
}

/* ---- wishes ----------------------------------------------------------------------------------- */

bool queue_reserve(struct queue *q, uint64_t message, uint32_t n)
{
	struct waiting *w = recipient_find(q, message, n);
	if (!w || w->place == PLACE_ACTIVE)
		return false;
	detach(q, w);
	set_place(q, w, PLACE_ACTIVE);
	return true;
}

void queue_set_wish(struct queue *q, uint64_t message, uint32_t n, enum queue_wish wish)
{
	struct waiting *w = recipient_find(q, message, n);
	if (w)
		w->wish = (uint8_t)wish;
}

enum queue_wish queue_wish(const struct queue *q, uint64_t message, uint32_t n)
{
	struct waiting *w = recipient_find(q, message, n);
	return w ? w->wish : WISH_NONE;
}

void queue_reset_destination(struct queue *q, uint64_t message, uint32_t n)
{
	struct waiting *w = recipient_find(q, message, n);
	if (w)
		destination_forget(q, w->domain->destination);
}

/* ---- birth and end ---------------------------------------------------------------------------- */

struct queue *queue_new(queue_key_fn *key, void *arg)
{
	struct queue *q = mem_new(sizeof *q);
	q->key = key;
	q->arg = arg;
	q->concurrency = 1;
	q->messages = map_new();
	q->domains = map_new();
	q->destinations = map_new();
	vec_init(&q->heap, sizeof(struct timed *));
	return q;
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	map_free(q->messages, message_free);
	map_free(q->domains, free);
	map_free(q->destinations, destination_free);
	vec_done(&q->heap);
	free(q);
}
