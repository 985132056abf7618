/* What edges know of the disk, so that they refuse mail at MAIL and ask nobody about it. Each is told
 * when its link comes and when much has changed: as seen a quarter of a second after mail came in,
 * as long as large bodies grow in the spool, and every few seconds, since others use the disk too.
 * Where room is scarce it is looked at all the time, and told after each message before the client
 * hears of it: so its next MAIL is judged by what is left. */
#include "ask/questions.h"
#include "store/space.h"
#include "store/store_parts.h"

enum { SOON_MS = 250, MUCH_SHARE = 16, SCARCE = 64 * 1024 * 1024 };

struct edge_room {
	struct ask_link *link;
	bool told;
	struct ask_room room; /* as told */
};

static bool changed_much(const struct edge_room *e, const struct ask_room *now)
{
	uint64_t much = now->bytes < SCARCE ? 0 : e->room.bytes / MUCH_SHARE;
	return !e->told || e->room.low != now->low || now->bytes > e->room.bytes + much ||
		now->bytes < e->room.bytes - much;
}

/* What an edge has in its hands lies on the disk already, as far as it was lent a file. */
static void tell(struct store *s, struct edge_room *e, const struct writer_room *r)
{
	struct ask_room now = {.low = r->low};
	if (!r->low)
		now.bytes = space_largest(r->to_promise) + spool_lent_bytes(s->spool, e->link);
	if (!changed_much(e, &now))
		return;
	struct buf packed;
	buf_init(&packed, 64);
	struct xfer x = xfer_writer(&packed);
	xfer_ask_room(&x, &now);
	/* Without credit it is told at the next look. */
	e->told = ask_tell(e->link, ASK_ROOM, buf_str(&packed), NULL) == 0;
	if (e->told)
		e->room = now;
	buf_done(&packed);
}

static void look_soon(struct store *s)
{
	if (!s->room_timer || s->room_soon)
		return;
	s->room_soon = true;
	loop_timer_start(s->room_timer, SOON_MS);
}

void room_look(void *arg)
{
	struct store *s = arg;
	struct writer_room r;
	writer_room(s->writer, &r);
	s->room_scarce = r.to_promise < SCARCE;
	for (size_t i = 0; i < s->edges.n; i++)
		tell(s, vec_at(&s->edges, i), &r);
	if (s->room_scarce || spool_lent(s->spool))
		look_soon(s);
}

void room_kick(struct store *s)
{
	if (s->room_scarce)
		room_look(s);
	else
		look_soon(s);
}

static void on_timer(void *arg)
{
	struct store *s = arg;
	s->room_soon = false;
	room_look(s);
}

void store_add_edge(struct store *s, struct ask_link *edge)
{
	struct edge_room e = {.link = edge};
	vec_add(&s->edges, &e);
	room_look(s);
}

void room_forget(struct store *s, const struct ask_link *edge)
{
	for (size_t i = s->edges.n; i-- > 0;)
		if (((struct edge_room *)vec_at(&s->edges, i))->link == edge)
			vec_remove(&s->edges, i);
}

void room_open(struct store *s)
{
	vec_init(&s->edges, sizeof(struct edge_room));
	if (loop_base())
		s->room_timer = loop_timer_new(on_timer, s);
}

void room_close(struct store *s)
{
	if (s->room_timer)
		loop_timer_free(s->room_timer);
	s->room_timer = NULL;
	vec_done(&s->edges);
}
