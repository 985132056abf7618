#include "base/log_thin.h"

#include "base/log.h"

bool log_thin_may(struct log_thin *t, const char *event, int64_t now_ms)
{
	if (!t->begun) {
		*t = (struct log_thin){.begun = true, .left = LOG_THIN_BURST, .filled_ms = now_ms};
	} else if (t->left < LOG_THIN_BURST) {
		int64_t more = (now_ms - t->filled_ms) / LOG_THIN_EVERY_MS;
		t->filled_ms += more * LOG_THIN_EVERY_MS;
		t->left =
			more > LOG_THIN_BURST - (int64_t)t->left ? LOG_THIN_BURST : t->left + (unsigned)more;
	} else {
		t->filled_ms = now_ms;
	}
	if (t->left == 0) {
		t->held++;
		return false;
	}
	t->left--;
	if (t->held)
		log_info("log.thinned", "event=%s lines=%llu", event, (unsigned long long)t->held);
	t->held = 0;
	return true;
}
