#include "io/xfer.h"

#include <endian.h>

struct xfer xfer_writer(struct buf *out)
{
	return (struct xfer){.out = out};
}

struct xfer xfer_reader(struct str in, struct arena *arena)
{
	return (struct xfer){.reading = true, .in = in, .arena = arena};
}

bool xfer_done(const struct xfer *x)
{
	return !x->bad && (x->reading ? x->in.n == 0 : !x->out->overflow);
}

/* Moves `n` bytes between the value and the wire. */
static void bytes(struct xfer *x, void *v, size_t n)
{
	if (!x->reading) {
		buf_add(x->out, str_make(v, n));
	} else if (x->bad || x->in.n < n) {
		x->bad = true;
		memset(v, 0, n);
	} else {
		memcpy(v, x->in.p, n);
		x->in = str_make(x->in.p + n, x->in.n - n);
	}
}

void xfer_u8(struct xfer *x, uint8_t *v)
{
	bytes(x, v, sizeof *v);
}

void xfer_u16(struct xfer *x, uint16_t *v)
{
	uint16_t wire = htole16(*v);
	bytes(x, &wire, sizeof wire);
	*v = le16toh(wire);
}

void xfer_u32(struct xfer *x, uint32_t *v)
{
	uint32_t wire = htole32(*v);
	bytes(x, &wire, sizeof wire);
	*v = le32toh(wire);
}

void xfer_u64(struct xfer *x, uint64_t *v)
{
	uint64_t wire = htole64(*v);
	bytes(x, &wire, sizeof wire);
	*v = le64toh(wire);
}

void xfer_i64(struct xfer *x, int64_t *v)
{
	uint64_t u = (uint64_t)*v;
	xfer_u64(x, &u);
	*v = (int64_t)u;
}

void xfer_bool(struct xfer *x, bool *v)
{
	uint8_t u = x->reading ? 0 : *v;
	xfer_u8(x, &u);
	if (u > 1)
		x->bad = true;
	*v = u == 1;
}

void xfer_enum(struct xfer *x, void *v, unsigned last)
{
	unsigned value = 0;
	if (!x->reading)
		memcpy(&value, v, sizeof value);
	uint8_t u = (uint8_t)value;
	xfer_u8(x, &u);
	if (u > last) {
		x->bad = true;
		u = 0;
	}
	value = u;
	memcpy(v, &value, sizeof value);
}

void xfer_str(struct xfer *x, struct str *v, size_t max)
{
	uint32_t n = x->reading ? 0 : (uint32_t)v->n;
	if (!x->reading && v->n > max) {
		x->bad = true;
		n = 0;
	}
	xfer_u32(x, &n);
	if (!x->reading) {
		buf_add(x->out, str_make(v->p, n));
		return;
	}
	if (x->bad || n > max || x->in.n < n) {
		x->bad = true;
		*v = STR("");
		return;
	}
	*v = str_take(x->in, n);
	x->in = str_make(x->in.p + n, x->in.n - n);
}

void xfer_list(struct xfer *x, void *list, uint32_t *n, size_t size, uint32_t max)
{
	if (!x->reading && *n > max)
		x->bad = true;
	xfer_u32(x, n);
	if (!x->reading)
		return;
	/* An element takes at least one byte on the wire: a hostile count buys no memory. */
	if (x->bad || *n > max || *n > x->in.n) {
		x->bad = true;
		*n = 0;
	}
	void *elements = arena_alloc(x->arena, *n * size);
	memcpy(list, &elements, sizeof elements);
}
