#include "store/queue_parts.h"

#include <stdlib.h>

#include "base/id.h"
#include "base/mem.h"

enum {
	KEY_MAX = 1024,
	PASS_MAX = 64, /* recipients that become due in one queue_take(), so that it stays short */
};

static struct waiting *at(const struct queue *q, uint32_t slot)
{
	return waiting_at(&q->table, slot);
}

/* Before the first queue_take() there is no time. */
static int64_t shifted(int64_t ms, int64_t by_ms)
{
	return ms == INT64_MIN ? ms : ms + by_ms;
}

/* All by the same, so their order stays. */
void queue_shift(struct queue *q, int64_t by_ms)
{
	struct str key;
	void *value;
	waiting_heap_shift(&q->table, by_ms);
	for (size_t i = 0; map_next(q->destinations, &i, &key, &value);) {
		struct destination *d = value;
		d->since_ms = shifted(d->since_ms, by_ms);
		if (d->until_ms)
			d->until_ms += by_ms;
	}
	q->now_ms = shifted(q->now_ms, by_ms);
}

/* ---- lists ------------------------------------------------------------------------------------ */

static void list_add(struct queue *q, struct list *l, uint32_t slot)
{
	struct waiting *w = at(q, slot);
	w->next = NO_SLOT;
	w->before = l->last;
	*(l->last != NO_SLOT ? &at(q, l->last)->next : &l->first) = slot;
	l->last = slot;
}

static void list_remove(struct queue *q, struct list *l, const struct waiting *w)
{
	*(w->before != NO_SLOT ? &at(q, w->before)->next : &l->first) = w->next;
	*(w->next != NO_SLOT ? &at(q, w->next)->before : &l->last) = w->before;
}

static void line_add(struct queue *q, struct destination *d)
{
	struct line *l = &q->lines[d->standing];
	d->in_line = true;
	d->next = NULL;
	d->before = l->last;
	*(l->last ? &l->last->next : &l->first) = d;
	l->last = d;
}

static void line_remove(struct queue *q, struct destination *d)
{
	struct line *l = &q->lines[d->standing];
	d->in_line = false;
	*(d->before ? &d->before->next : &l->first) = d->next;
	*(d->next ? &d->next->before : &l->last) = d->before;
}

/* Domains with due recipients stand in the line of their destination. */
static void domain_line_add(struct domain *m)
{
	struct destination *d = m->destination;
	m->line_next = NULL;
	m->line_before = d->line_last;
	*(d->line_last ? &d->line_last->line_next : &d->line_first) = m;
	d->line_last = m;
}

static void domain_line_remove(struct domain *m)
{
	struct destination *d = m->destination;
	*(m->line_before ? &m->line_before->line_next : &d->line_first) = m->line_next;
	*(m->line_next ? &m->line_next->line_before : &d->line_last) = m->line_before;
}

/* ---- how destinations behave (K6) ------------------------------------------------------------- */

static bool backs_off(const struct destination *d)
{
	return d->alarm != NO_SLOT;
}

/* Puts the destination into the line it belongs to, or out of it (K2, K3). */
static void line_up(struct queue *q, struct destination *d)
{
	enum standing standing = d->failures || d->slow ? STANDING_BAD
		: d->reached                                ? STANDING_WELL
													: STANDING_NEW;
	unsigned limit = d->reached && !d->failures ? q->concurrency : 1;
	bool may = d->line_first && d->running < limit && !backs_off(d);
	if (d->in_line && (!may || standing != d->standing))
		line_remove(q, d);
	q->lines[d->standing].running -= d->running;
	q->lines[standing].running += d->running;
	d->standing = standing;
	if (may && !d->in_line)
		line_add(q, d);
}

static bool has_room(const struct queue *q, enum standing standing)
{
	unsigned bad = q->lines[STANDING_BAD].running;
	if (standing == STANDING_BAD)
		return bad < QUEUE_BAD_MAX;
	return standing == STANDING_WELL || bad + q->lines[STANDING_NEW].running < QUEUE_NEW_MAX;
}

static bool is_busy(const struct queue *q, const struct destination *d)
{
	return d->busy_before || q->busy_first == d;
}

static void busy_remove(struct queue *q, struct destination *d)
{
	if (!is_busy(q, d))
		return;
	*(d->busy_before ? &d->busy_before->busy_next : &q->busy_first) = d->busy_next;
	*(d->busy_next ? &d->busy_next->busy_before : &q->busy_last) = d->busy_before;
	d->busy_before = d->busy_next = NULL;
}

static void busy_add(struct queue *q, struct destination *d, int64_t now_ms)
{
	d->since_ms = now_ms;
	d->busy_before = q->busy_last;
	*(q->busy_last ? &q->busy_last->busy_next : &q->busy_first) = d;
	q->busy_last = d;
}

/* Those whose attempts have not moved for so long are slow, though none has ended yet. */
static void find_slow(struct queue *q)
{
	struct destination *d;
	while ((d = q->busy_first) && q->now_ms - d->since_ms > QUEUE_SLOW_MS) {
		busy_remove(q, d);
		d->slow = true;
		line_up(q, d);
	}
}

static void work_begins(struct queue *q, struct destination *d, int64_t now_ms)
{
	if (d->running++ == 0)
		busy_add(q, d, now_ms);
	q->lines[d->standing].running++;
}

static void work_ends(struct queue *q, struct destination *d, int64_t now_ms)
{
	d->running--;
	q->lines[d->standing].running--;
	busy_remove(q, d);
	if (d->running)
		busy_add(q, d, now_ms);
}

/* ---- destinations and domains ----------------------------------------------------------------- */

static struct destination *destination_of(struct queue *q, struct str domain)
{
	struct buf key;
	buf_init(&key, KEY_MAX);
	q->key(q->arg, domain, &key);
	struct destination *d = map_get(q->destinations, buf_str(&key));
	if (!d) {
		d = mem_new(sizeof *d + key.n);
		d->standing = STANDING_NEW;
		d->alarm = NO_SLOT;
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

static void alarm_set(struct queue *q, struct destination *d, int64_t at_ms)
{
	d->alarm = waiting_new(&q->table);
	struct waiting *w = at(q, d->alarm);
	w->destination = d;
	w->next_ms = d->until_ms = at_ms;
	waiting_heap_add(&q->table, d->alarm);
}

static void alarm_drop(struct queue *q, struct destination *d)
{
	if (!backs_off(d))
		return;
	waiting_heap_remove(&q->table, d->alarm);
	waiting_free(&q->table, d->alarm);
	d->alarm = NO_SLOT;
	d->until_ms = 0;
}

static void destination_free(void *arg)
{
	struct destination *d = arg;
	set_trouble(d, NULL);
	free(d);
}

static void destination_drop(struct queue *q, struct destination *d)
{
	if (d->domains || d->running)
		return;
	alarm_drop(q, d);
	map_remove(q->destinations, str_make(d->key, d->key_n));
	destination_free(d);
}

static void destination_forget(struct queue *q, struct destination *d)
{
	d->failures = 0;
	set_trouble(d, NULL);
	alarm_drop(q, d);
	line_up(q, d);
}

static void domain_join(struct queue *q, struct domain *m, struct destination *d)
{
	m->destination = d;
	m->before = NULL;
	m->next = d->domains;
	if (d->domains)
		d->domains->before = m;
	d->domains = m;
	if (m->due.first == NO_SLOT)
		return;
	domain_line_add(m);
	line_up(q, d);
}

static void domain_leave(struct queue *q, struct domain *m)
{
	struct destination *d = m->destination;
	*(m->before ? &m->before->next : &d->domains) = m->next;
	if (m->next)
		m->next->before = m->before;
	if (m->due.first == NO_SLOT)
		return;
	domain_line_remove(m);
	line_up(q, d);
}

static struct domain *domain_of(struct queue *q, struct str name)
{
	struct domain *m = map_get(q->domains, name);
	if (m)
		return m;
	m = mem_new(sizeof *m + name.n);
	m->due = (struct list){NO_SLOT, NO_SLOT};
	m->name_n = (uint32_t)name.n;
	if (name.n)
		memcpy(m->name, name.p, name.n);
	domain_join(q, m, destination_of(q, name));
	map_put(q->domains, name, m);
	return m;
}

static void domain_free(void *arg)
{
	struct domain *m = arg;
	free(m->causes);
	free(m);
}

static void domain_drop(struct queue *q, struct domain *m)
{
	struct destination *d = m->destination;
	if (m->recipients)
		return;
	domain_leave(q, m);
	destination_drop(q, d);
	map_remove(q->domains, str_make(m->name, m->name_n));
	domain_free(m);
}

/* ---- counting --------------------------------------------------------------------------------- */

static void tally_add(struct tally *t, const struct tally *of)
{
	t->waiting += of->waiting;
	t->deferred += of->deferred;
	t->held += of->held;
	t->active += of->active;
	t->untold += of->untold;
}

static void cause_count_add(struct domain *m, uint8_t cause, uint64_t by)
{
	uint32_t i = 0;
	if (cause == 0 || by == 0)
		return;
	while (i < m->cause_count && m->causes[i].cause != cause)
		i++;
	if (i == m->cause_count) {
		m->causes = mem_resize(m->causes, ++m->cause_count, sizeof *m->causes);
		m->causes[i] = (struct cause_count){.cause = cause};
	}
	m->causes[i].count += (uint32_t)by;
	if (m->causes[i].count == 0)
		m->causes[i] = m->causes[--m->cause_count];
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
	cause_count_add(w->domain, w->cause, self.waiting + self.held);
}

uint8_t queue_cause(struct str id)
{
	return id.n ? (uint8_t)(cause_find(id) - causes + 1) : 0;
}

/* ---- recipients ------------------------------------------------------------------------------- */

static uint32_t deaths_of(const struct queue *q, uint64_t message)
{
	if (map_count(q->deaths) == 0)
		return 0;
	return (uint32_t)(uintptr_t)map_get(
		q->deaths, str_make((const char *)&message, sizeof message));
}

static void set_deaths(struct queue *q, uint64_t message, uint32_t deaths)
{
	struct str key = str_make((const char *)&message, sizeof message);
	if (deaths)
		map_put(q->deaths, key, (void *)(uintptr_t)deaths);
	else if (map_count(q->deaths))
		map_remove(q->deaths, key);
}

static void set_place(struct queue *q, struct waiting *w, enum place place)
{
	count(q, w, -1);
	w->place = (uint8_t)place;
	count(q, w, 1);
}

/* Out of whatever it is in. */
static void detach(struct queue *q, uint32_t slot)
{
	struct waiting *w = at(q, slot);
	struct domain *m = w->domain;
	if (w->place == PLACE_HEAP)
		waiting_heap_remove(&q->table, slot);
	else if (w->place == PLACE_SUSPECT)
		list_remove(q, &q->suspects, w);
	else if (w->place == PLACE_DUE) {
		list_remove(q, &m->due, w);
		if (m->due.first == NO_SLOT) {
			domain_line_remove(m);
			line_up(q, m->destination);
		}
	}
}

static void make_due(struct queue *q, uint32_t slot)
{
	struct waiting *w = at(q, slot);
	struct domain *m = w->domain;
	if (deaths_of(q, w->message)) {
		set_place(q, w, PLACE_SUSPECT);
		list_add(q, &q->suspects, slot);
		return;
	}
	bool first = m->due.first == NO_SLOT;
	set_place(q, w, PLACE_DUE);
	list_add(q, &m->due, slot);
	if (first) {
		domain_line_add(m);
		line_up(q, m->destination);
	}
}

/* Gives a recipient that is in nothing its place by its state and time. */
static void attach(struct queue *q, uint32_t slot)
{
	struct waiting *w = at(q, slot);
	if (w->state == RECIPIENT_HELD) {
		set_place(q, w, PLACE_HELD);
	} else if (w->next_ms <= q->now_ms) {
		make_due(q, slot);
	} else {
		set_place(q, w, PLACE_HEAP);
		waiting_heap_add(&q->table, slot);
	}
}

static uint32_t recipient_slot(const struct queue *q, uint64_t message, uint32_t n)
{
	struct waiting_place place;
	uint32_t slot = waiting_from(&q->table, message, n, &place);
	if (slot == NO_SLOT || at(q, slot)->message != message || at(q, slot)->n != n)
		return NO_SLOT;
	return slot;
}

struct waiting *queue_recipient_from(
	const struct queue *q, uint64_t message, uint32_t n, struct waiting_place *ret_at)
{
	uint32_t slot = waiting_from(&q->table, message, n, ret_at);
	if (slot == NO_SLOT || at(q, slot)->message != message)
		return NULL;
	return at(q, slot);
}

void queue_add(struct queue *q, uint64_t message, uint32_t deaths,
	const struct queue_recipient *recipients, uint32_t n)
{
	struct waiting_place place;
	if (n == 0 || queue_recipient_from(q, message, 0, &place))
		return;
	q->messages++;
	set_deaths(q, message, deaths);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t slot = waiting_add(&q->table, message, recipients[i].n);
		struct waiting *w = at(q, slot);
		w->state = (uint8_t)recipients[i].state;
		w->next_ms = recipients[i].next_ms;
		w->domain = domain_of(q, recipients[i].domain);
		w->domain->recipients++;
		w->cause = recipients[i].cause;
		attach(q, slot);
	}
}

static void leave(struct queue *q, uint32_t slot)
{
	struct waiting *w = at(q, slot);
	struct waiting_place place;
	uint64_t message = w->message;
	w->domain->recipients--;
	domain_drop(q, w->domain);
	waiting_remove(&q->table, slot);
	if (queue_recipient_from(q, message, 0, &place))
		return;
	q->messages--;
	set_deaths(q, message, 0);
}

void queue_settle(
	struct queue *q, uint64_t message, uint32_t n, enum recipient_state state, int64_t next_ms)
{
	uint32_t slot = recipient_slot(q, message, n);
	if (slot == NO_SLOT)
		return;
	struct waiting *w = at(q, slot);
	detach(q, slot);
	set_place(q, w, PLACE_GONE);
	w->state = (uint8_t)state;
	w->next_ms = next_ms;
	w->wish = WISH_NONE;
	if (recipient_is_final(state))
		leave(q, slot);
	else
		attach(q, slot);
}

void queue_set_cause(struct queue *q, uint64_t message, uint32_t n, uint8_t cause)
{
	uint32_t slot = recipient_slot(q, message, n);
	if (slot == NO_SLOT || cause >= QUEUE_CAUSES)
		return;
	struct waiting *w = at(q, slot);
	count(q, w, -1);
	w->cause = cause;
	count(q, w, 1);
}

/* ---- taking ----------------------------------------------------------------------------------- */

static void pass_time(struct queue *q, int64_t now_ms)
{
	q->now_ms = now_ms;
	find_slow(q);
	for (int i = 0; i < PASS_MAX; i++) {
		uint32_t slot = waiting_heap_first(&q->table);
		if (slot == NO_SLOT || at(q, slot)->next_ms > now_ms)
			return;
		struct waiting *w = at(q, slot);
		if (w->message == 0) {
			struct destination *d = w->destination;
			alarm_drop(q, d);
			line_up(q, d);
		} else {
			waiting_heap_remove(&q->table, slot);
			make_due(q, slot);
		}
	}
}

/* Makes the recipient active and with it those of its message that wait at the same place for the
 * same destination (K4). */
static void gather(
	struct queue *q, const struct waiting *w, uint32_t most, int64_t now_ms, struct queue_work *ret)
{
	struct domain *m = w->domain;
	struct destination *d = m->destination;
	struct waiting_place place;
	uint64_t message = w->message;
	uint8_t where = w->place;
	*ret = (struct queue_work){.message = message,
		.deaths = deaths_of(q, message),
		.suspect = where == PLACE_SUSPECT,
		.started_ms = now_ms,
		.destination = d};
	if (most > QUEUE_TOGETHER)
		most = QUEUE_TOGETHER;
	uint32_t slot = waiting_from(&q->table, message, 0, &place);
	for (; slot != NO_SLOT && ret->count < most; slot = waiting_next(&q->table, &place)) {
		struct waiting *r = at(q, slot);
		if (r->message != message)
			break;
		if (r->place != where || r->domain->destination != d)
			continue;
		detach(q, slot);
		set_place(q, r, PLACE_ACTIVE);
		ret->n[ret->count++] = r->n;
	}
	work_begins(q, d, now_ms);
	/* Both to the end of their lines (K2). */
	if (m->due.first != NO_SLOT) {
		domain_line_remove(m);
		domain_line_add(m);
	}
	if (d->in_line)
		line_remove(q, d);
	line_up(q, d);
}

/* The next of this standing; NULL: there is none. */
static struct waiting *next_due(struct queue *q, enum standing standing)
{
	struct line *l = &q->lines[standing];
	while (l->first && has_room(q, standing)) {
		uint32_t slot = l->first->line_first->due.first;
		if (!deaths_of(q, at(q, slot)->message))
			return at(q, slot);
		/* Became a suspect while it was due. */
		detach(q, slot);
		make_due(q, slot);
	}
	return NULL;
}

bool queue_take(struct queue *q, int64_t now_ms, uint32_t most, struct queue_work *ret)
{
	pass_time(q, now_ms);
	if (q->suspects.first != NO_SLOT && !q->suspect_active) {
		gather(q, at(q, q->suspects.first), most, now_ms, ret);
		q->suspect_active = true;
		return true;
	}
	for (unsigned i = 0; i < STANDINGS; i++) {
		struct waiting *w = next_due(q, (q->turn + i) % STANDINGS);
		if (!w)
			continue;
		q->turn = (q->turn + i + 1) % STANDINGS;
		gather(q, w, most, now_ms, ret);
		return true;
	}
	return false;
}

int64_t queue_next_ms(const struct queue *q, int64_t now_ms)
{
	for (enum standing i = 0; i < STANDINGS; i++)
		if (q->lines[i].first && has_room(q, i))
			return now_ms;
	if (q->suspects.first != NO_SLOT && !q->suspect_active)
		return now_ms;
	uint32_t first = waiting_heap_first(&q->table);
	return first != NO_SLOT ? at(q, first)->next_ms : QUEUE_NEVER;
}

static int64_t back_off_ms(unsigned failures)
{
	int64_t ms = QUEUE_BACK_OFF_MS;
	for (unsigned i = 2; i < failures && ms < QUEUE_BACK_OFF_MAX_MS; i++)
		ms *= 2;
	return ms < QUEUE_BACK_OFF_MAX_MS ? ms : QUEUE_BACK_OFF_MAX_MS;
}

static void end_work(struct queue *q, const struct queue_work *work, int64_t now_ms)
{
	if (work->suspect)
		q->suspect_active = false;
	work_ends(q, work->destination, now_ms);
}

void queue_put_back(struct queue *q, const struct queue_work *work)
{
	end_work(q, work, q->now_ms);
	line_up(q, work->destination);
	destination_drop(q, work->destination);
}

void queue_done(struct queue *q, const struct queue_work *work, const struct queue_trouble *trouble,
	uint32_t deaths, int64_t now_ms)
{
	struct waiting_place place;
	struct destination *d = work->destination;
	if (queue_recipient_from(q, work->message, 0, &place))
		set_deaths(q, work->message, deaths);
	end_work(q, work, now_ms);
	if (!trouble) {
		d->reached = true;
		d->slow = now_ms - work->started_ms > QUEUE_SLOW_MS;
		destination_forget(q, d);
	} else {
		set_trouble(d, trouble);
		/* Attempts that were under way together fail together: only one of them counts. */
		if (!backs_off(d) && (d->failures == 0 || d->running == 0))
			d->failures++;
		if (!backs_off(d) && d->failures > 1)
			alarm_set(q, d, now_ms + back_off_ms(d->failures));
		line_up(q, d);
	}
	destination_drop(q, d);
}

/* ---- what cannot be tried --------------------------------------------------------------------- */

static bool is_stuck(const struct waiting *w)
{
	return w->place == PLACE_DUE && backs_off(w->domain->destination);
}

bool queue_next_stuck(const struct queue *q, int64_t before_ms, struct queue_place *from,
	uint32_t *steps, uint64_t *ret_message)
{
	struct waiting_place place;
	uint32_t slot = waiting_from(&q->table, from->message, from->n, &place);
	for (; slot != NO_SLOT; slot = waiting_next(&q->table, &place)) {
		const struct waiting *w = at(q, slot);
		if (id_time_ms(w->message) >= before_ms)
			break;
		*from = (struct queue_place){w->message, w->n};
		if (*steps == 0)
			return false;
		--*steps;
		if (is_stuck(w)) {
			*ret_message = w->message;
			*from = (struct queue_place){w->message + 1, 0};
			return true;
		}
	}
	*from = (struct queue_place){0};
	return false;
}

bool queue_take_stuck(struct queue *q, uint64_t message, int64_t now_ms, struct queue_work *ret)
{
	struct waiting_place place;
	uint32_t slot = waiting_from(&q->table, message, 0, &place);
	for (; slot != NO_SLOT; slot = waiting_next(&q->table, &place)) {
		const struct waiting *w = at(q, slot);
		if (w->message != message)
			break;
		if (!is_stuck(w))
			continue;
		gather(q, w, QUEUE_TOGETHER, now_ms, ret);
		return true;
	}
	return false;
}

/* ---- routes ----------------------------------------------------------------------------------- */

void queue_regroup(struct queue *q)
{
	struct str key;
	void *value;
	for (size_t i = 0; map_next(q->domains, &i, &key, &value);) {
		struct domain *m = value;
		struct destination *to = destination_of(q, key);
		if (to == m->destination)
			continue;
		domain_leave(q, m);
		domain_join(q, m, to);
	}
	for (size_t i = 0; map_next(q->destinations, &i, &key, &value);) {
		destination_forget(q, value);
		destination_drop(q, value);
	}
}

void queue_set_concurrency(struct queue *q, unsigned limit)
{
	struct str key;
	void *value;
	q->concurrency = limit ? limit : 1;
	for (size_t i = 0; map_next(q->destinations, &i, &key, &value);)
		line_up(q, value);
}

/* ---- wishes ----------------------------------------------------------------------------------- */

bool queue_reserve(struct queue *q, uint64_t message, uint32_t n)
{
	uint32_t slot = recipient_slot(q, message, n);
	if (slot == NO_SLOT || at(q, slot)->place == PLACE_ACTIVE)
		return false;
	detach(q, slot);
	set_place(q, at(q, slot), PLACE_ACTIVE);
	return true;
}

void queue_set_wish(struct queue *q, uint64_t message, uint32_t n, enum queue_wish wish)
{
	uint32_t slot = recipient_slot(q, message, n);
	if (slot != NO_SLOT)
		at(q, slot)->wish = (uint8_t)wish;
}

enum queue_wish queue_wish(const struct queue *q, uint64_t message, uint32_t n)
{
	uint32_t slot = recipient_slot(q, message, n);
	return slot != NO_SLOT ? at(q, slot)->wish : WISH_NONE;
}

void queue_reset_destination(struct queue *q, uint64_t message, uint32_t n)
{
	uint32_t slot = recipient_slot(q, message, n);
	if (slot != NO_SLOT)
		destination_forget(q, at(q, slot)->domain->destination);
}

/* ---- birth and end ---------------------------------------------------------------------------- */

struct queue *queue_new(queue_key_fn *key, void *arg)
{
	struct queue *q = mem_new(sizeof *q);
	q->key = key;
	q->arg = arg;
	q->concurrency = 1;
	q->now_ms = INT64_MIN;
	waiting_init(&q->table);
	q->suspects = (struct list){NO_SLOT, NO_SLOT};
	q->deaths = map_new();
	q->domains = map_new();
	q->destinations = map_new();
	return q;
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	map_free(q->deaths, NULL);
	map_free(q->domains, domain_free);
	map_free(q->destinations, destination_free);
	waiting_done(&q->table);
	free(q);
}
