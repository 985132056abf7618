/* A bounce whose texts all come from outside. Whatever they hold, it is a message: lines end with
 * CRLF and are at most 998 long, without NUL, 7-bit unless it says otherwise, and its boundary stands
 * at the beginning of exactly four lines.
 *
 * The input is a row of slices: a length byte (times 8 if it is above 200), then that many bytes. */
#include <assert.h>
#include <stdlib.h>

#include "mail/bounce.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str take(struct str *rest)
{
	if (rest->n == 0)
		return str_make("", 0);
	size_t n = (unsigned char)rest->p[0];
	if (n > 200)
		n *= 8;
	struct str part = str_take(str_skip(*rest, 1), n);
	*rest = str_skip(*rest, 1 + part.n);
	return part;
}

static void assert_message(struct str text, bool has_8bit)
{
	size_t line = 0;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		assert(c != 0);
		assert(has_8bit || (unsigned char)c < 0x80);
		assert((c == '\n') == (i > 0 && text.p[i - 1] == '\r'));
		line = c == '\n' ? 0 : line + 1;
		assert(line <= 999); /* with its CR */
	}
	assert(text.n > 2 && text.p[text.n - 1] == '\n');
}

static void assert_boundary(struct str text)
{
	/* No text from outside can stand at the beginning of a line of the header. */
	static const char before[] = "\nContent-Type: multipart/report; "
								 "report-type=delivery-status;\r\n boundary=\"";
	const char *at = memmem(text.p, text.n, before, sizeof before - 1);
	assert(at);
	struct str line, boundary = str_skip(text, (size_t)(at - text.p) + sizeof before - 1);
	boundary = str_take(boundary, (size_t)str_find(boundary, '"'));
	unsigned found = 0;
	while (str_split(&text, '\n', &line))
		found += str_starts(line, STR("--")) && str_starts(str_skip(line, 2), boundary);
	assert(found == 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bounce_recipient r[3];
	struct bounce b = {.hostname = STR("mail.example.org"), .id = STR("0123456789ABC")};
	struct buf out;
	bool has_8bit;
	char *copy = malloc(size + !size); /* style: the fuzzer owns it */
	memcpy(copy, data, size);
	struct str rest = str_make(copy, size);
	struct str flags = take(&rest);
	unsigned flag = flags.n ? (unsigned char)flags.p[0] : 0;

	b.sender = STR("a@example.org");
	b.queue_id = STR("0123456789ABD");
	b.full = flag & 1;
	b.recipients = r;
	b.recipient_count = 1 + flag / 64 % 3;
	b.body = take(&rest);
	b.prefix = take(&rest);
	b.envid = take(&rest);
	for (size_t i = 0; i < 3; i++)
		r[i] = (struct bounce_recipient){
			.action = (enum bounce_action)((flag >> i * 2) % 3),
			.code = (uint16_t)(flag & 2 ? 550 : 0),
			.address = take(&rest),
			.orcpt = take(&rest),
			.text = take(&rest),
			.enhanced = take(&rest),
			.command = take(&rest),
			.cause = take(&rest),
			.remote_host = take(&rest),
			.remote_address = take(&rest),
			.tls = take(&rest),
		};
	buf_init(&out, BOUNCE_MAX);
	assert(bounce_write(&b, &out, &has_8bit) && !out.overflow);
	assert_message(buf_str(&out), has_8bit);
	assert_boundary(buf_str(&out));
	buf_done(&out);
	free(copy);
	return 0;
}
