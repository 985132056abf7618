/* xfer: one function per struct moves it into bytes and back, so both sides of a question cannot
 * disagree. While writing, values go to `out`; while reading, they come from `in`, and everything
 * that does not fit sets `bad`, after which all further values read as zero or empty.
 *
 *   integers little endian; a slice is u32 length and its bytes; a list is u32 count and elements */
#ifndef IO_XFER_H
#define IO_XFER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

struct xfer {
	bool reading;
	bool bad;
	struct buf *out;     /* writing */
	struct str in;       /* reading: what is left */
	struct arena *arena; /* reading: slices point into `in`, lists are allocated here */
};

struct xfer xfer_writer(struct buf *out);
struct xfer xfer_reader(struct str in, struct arena *arena);
/* True if reading took exactly all bytes and nothing was bad, or writing had room. */
bool xfer_done(const struct xfer *x);

void xfer_u8(struct xfer *x, uint8_t *v);
void xfer_u16(struct xfer *x, uint16_t *v);
void xfer_u32(struct xfer *x, uint32_t *v);
void xfer_u64(struct xfer *x, uint64_t *v);
void xfer_i64(struct xfer *x, int64_t *v);
void xfer_bool(struct xfer *x, bool *v);
/* An enum stored in a u8; reading refuses values above `last`. */
void xfer_enum(struct xfer *x, void *v, unsigned last);
void xfer_str(struct xfer *x, struct str *v, size_t max);
/* The count of a list of at most `max` elements of `size` bytes. While reading, *list is allocated
 * (zeroed) for them; the caller then moves each element. */
void xfer_list(struct xfer *x, void *list, uint32_t *n, size_t size, uint32_t max);

#endif
