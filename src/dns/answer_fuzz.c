/* The first byte chooses the type asked for; the rest is the packet. */
#include "dns/answer.h"
#include "dns/mx.h"

static uint32_t always_last(void *arg, uint32_t n)
{
	(void)arg;
	return n - 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = {DNS_A, DNS_AAAA, DNS_MX, DNS_TXT, DNS_TLSA};
	if (size < 1)
		return 0;
	struct arena *arena = arena_new();
	struct dns_answer answer;
	enum dns_type type = types[data[0] % (sizeof types / sizeof *types)];
	dns_answer_parse(
		str_make((const char *)data + 1, size - 1), STR("a.example"), type, arena, &answer);
	mx_sort(&answer, always_last, NULL, arena);
	dns_answer_text(STR("a.example"), type, &answer, arena);
	arena_free(arena);
	return 0;
}
