/* Two bytes code, one byte command, then enhanced code, NUL, text: every reply has a cause, and only
 * 5yz after MAIL is for good. */
#include <assert.h>
#include <stdlib.h>

#include "mail/reply_cause.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str enhanced, text = {"", 0};
	if (size < 3)
		return 0;
	uint16_t code = (uint16_t)((data[0] << 8 | data[1]) % 700);
	enum reply_command command = (enum reply_command)(data[2] % (REPLY_TO_DATA + 1));
	char *copy = malloc(size); /* style: the fuzzer owns it */
	memcpy(copy, data + 3, size - 3);
	struct str rest = str_make(copy, size - 3);
	str_split(&rest, 0, &enhanced);
	if (rest.p)
		text = rest;
	struct reply_verdict v = reply_cause(command, code, enhanced, text);
	assert(v.cause);
	assert(str_eq(str_from_c(v.cause->id), STR("unknown")) == false);
	assert(!v.permanent || (code >= 500 && code < 600 && command >= REPLY_TO_MAIL));
	free(copy);
	return 0;
}
