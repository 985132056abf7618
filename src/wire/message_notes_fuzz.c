/* Any message: however it is cut, the notes are the same, and what they say of bytes is true. The
 * first four bytes seed the cuts. */
#include <assert.h>

#include "wire/message_notes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note_all(struct message_notes *n, struct str content, uint32_t seed)
{
	message_notes_init(n);
	while (content.n) {
		seed = seed * 1103515245u + 12345u;
		unsigned random = seed >> 16;
		size_t cut = 1 + (random & 7 ? random >> 3 & 3 : random >> 3 & 127);
		struct str piece = str_take(content, seed ? cut : content.n);
		message_notes_add(n, piece);
		content = str_make(content.p + piece.n, content.n - piece.n);
	}
	message_notes_end(n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message_notes whole, cut;
	uint32_t seed;
	bool has_8bit = false;
	if (size < sizeof(seed))
		return 0;
	memcpy(&seed, data, sizeof(seed));
	struct str content = str_make((const char *)data + sizeof(seed), size - sizeof(seed));

	message_notes_init(&whole);
	message_notes_add(&whole, content);
	message_notes_end(&whole);
	note_all(&cut, content, seed);
	for (size_t i = 0; i < content.n; i++)
		has_8bit |= (unsigned char)content.p[i] > 127;
	assert(whole.size == content.n && whole.longest_line <= content.n);
	assert(whole.has_8bit == has_8bit && whole.has_nul == (str_find(content, 0) >= 0));

	assert(whole.size == cut.size && whole.longest_line == cut.longest_line);
	assert(whole.received == cut.received && whole.has_date == cut.has_date);
	assert(whole.has_from == cut.has_from && whole.has_message_id == cut.has_message_id);
	assert(whole.has_8bit == cut.has_8bit && whole.has_nul == cut.has_nul);
	struct str id = message_notes_id(&whole);
	assert(str_eq(id, message_notes_id(&cut)));
	assert(id.n == 0 || (whole.has_message_id && id.n >= 2 && id.p[id.n - 1] == '>'));
	return 0;
}
