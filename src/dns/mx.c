#include "dns/mx.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/mem.h"
#include "wire/domain_name.h"

uint32_t mx_random_kernel(void *arg, uint32_t n)
{
	uint32_t v;
	(void)arg;
	/* Numbers at the end of the range that would favour the small results are thrown again. */
	uint32_t limit = UINT32_MAX - UINT32_MAX % n;
	do
		if (getrandom(&v, sizeof v, 0) != sizeof v)
			mem_exhausted(sizeof v);
	while (v >= limit);
	return v % n;
}

static int better(const void *a, const void *b)
{
	const struct mx_host *x = a, *y = b;
	return (x->preference > y->preference) - (x->preference < y->preference);
}

static bool known(const struct mx_list *list, struct str name)
{
	for (size_t i = 0; i < list->count; i++)
		if (str_eq_nocase(list->hosts[i].name, name))
			return true;
	return false;
}

/* Fisher and Yates: every order is as likely. */
static void shuffle(struct mx_host *hosts, size_t n, mx_random *random, void *arg)
{
	for (; n > 1; n--) {
		size_t i = random(arg, (uint32_t)n);
		struct mx_host swap = hosts[i];
		hosts[i] = hosts[n - 1];
		hosts[n - 1] = swap;
	}
}

struct mx_list mx_sort(
	const struct dns_answer *answer, mx_random *random, void *arg, struct arena *arena)
{
	struct mx_list list = {.hosts = arena_alloc(arena, answer->count * sizeof *list.hosts)};
	struct mx_host *all = arena_alloc(arena, answer->count * sizeof *all);
	size_t n = 0, roots = 0;
	for (size_t i = 0; i < answer->count; i++) {
		const struct dns_record *record = &answer->records[i];
		if (record->type != DNS_MX)
			continue;
		if (record->mx.host.n == 0)
			roots++;
		else if (domain_name_dns_ok(record->mx.host))
			all[n++] = (struct mx_host){record->mx.preference, record->mx.host};
		else
			list.unusable++;
	}
	/* RFC 7505 3: null MX is the only record, whatever its preference; beside others it is a
	 * mistake to be passed over. */
	list.null_mx = roots > 0 && n == 0 && list.unusable == 0;
	if (!list.null_mx)
		list.unusable += roots;
	qsort(all, n, sizeof *all, better);
	for (size_t from = 0, to; from < n; from = to) {
		for (to = from + 1; to < n && all[to].preference == all[from].preference;)
			to++;
		shuffle(all + from, to - from, random, arg);
	}
	for (size_t i = 0; i < n; i++)
		if (!known(&list, all[i].name))
			list.hosts[list.count++] = all[i];
	return list;
}
