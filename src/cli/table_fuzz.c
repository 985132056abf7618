/* What people see of texts that strangers wrote: whatever a member of an answer holds, no control
 * character gets to the terminal, and a table keeps its rows.
 *
 *   input = u8 columns, *slice cell */
#include <stdio.h>

#include "base/fuzz.h"
#include "cli/table.h"

static void check_clean(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		assert(!ascii_is_control(s.p[i]));
		/* C1 controls, as UTF-8 writes them. */
		unsigned char next = i + 1 < s.n ? (unsigned char)s.p[i + 1] : 0;
		assert((unsigned char)s.p[i] != 0xc2 || next < 0x80 || next >= 0xa0);
	}
}

static void try_texts(struct str cell, struct arena *arena)
{
	json_t *object = json_object();
	json_object_set_new(object, "text", json_stringn(cell.p, cell.n));
	struct str shown = text_of(arena, object, "text");
	check_clean(shown);
	check_clean(text_time(arena, text_clean(arena, cell)));
	check_clean(text_span(arena, text_time_ms(cell)));
	check_clean(text_size(arena, text_time_ms(cell)));
	assert(text_of(arena, object, "none").n == 0);
	json_decref(object);
}

/* All that was printed, a line at a time; '\n' is the only control character. */
static size_t check_lines(struct str printed)
{
	struct str line;
	size_t lines = 0;
	while (str_split(&printed, '\n', &line) && printed.p) {
		check_clean(line);
		lines++;
	}
	assert(line.n == 0);
	return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const headers[] = {"A", "A|>Size", "A|B|>C|D"};
	struct str script = str_make((const char *)data, size);
	struct arena *arena = arena_new();
	struct table t;
	char *printed = NULL;
	size_t n = 0, cells = 0;
	FILE *to = open_memstream(&printed, &n);
	table_init(&t, arena, headers[fuzz_byte(&script) % (sizeof headers / sizeof *headers)]);
	while (script.n > 0) {
		struct str cell = fuzz_slice(&script);
		try_texts(cell, arena);
		table_add(&t, cell);
		cells++;
	}
	table_print(&t, to);
	fflush(to);
	assert(check_lines(str_make(printed, n)) == 1 + cells / t.columns);
	for (size_t i = 0; i < t.cell_count; i++)
		text_wrap(to, 3, 3, t.cells[i]);
	fclose(to);
	check_lines(str_make(printed, n));
	free(printed);
	arena_free(arena);
	return 0;
}
