/* Any bytes as the answer of a daemon: taken only whole, with a status, and the body is a part of what
 * came. One byte less, and it is not taken. */
#include "base/fuzz.h"
#include "cli/socket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = fuzz_copy(data, size);
	unsigned status = 0;
	struct str body;
	struct err err;
	err_clear(&err);
	if (socket_parse(bytes, &status, &body, &err) == 0) {
		assert(status <= 999);
		if (body.n > 0) {
			assert(body.p >= bytes.p && body.p + body.n <= bytes.p + bytes.n);
			struct str cut = str_take(bytes, (size_t)(body.p - bytes.p) + body.n - 1);
			assert(socket_parse(cut, &status, &body, &err) != 0);
		}
	} else {
		assert(err.kind != ERR_NONE && err.log[0]);
	}
	fuzz_free(bytes);
	return 0;
}
