#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/doc_check.h"
#include "mail/cause.h"
#include "wire/enhanced.h"

/* One sentence: a capital or a quoted command first, a full stop last, one line. */
static void assert_sentence(const char *s)
{
	size_t n = strlen(s);
	assert_true(n > 10);
	assert_true(s[0] >= 'A' && s[0] <= 'Z');
	assert_int_equal(s[n - 1], '.');
	assert_null(strchr(s, '\n'));
	for (size_t i = 0; i < n; i++)
		assert_true(s[i] >= ' ' && s[i] < 0x7f); /* it stands in bounces */
}

static void rows_are_complete(void **state)
{
	(void)state;
	for (unsigned i = 0; i < cause_count; i++) {
		const struct cause *c = &causes[i];
		char status[16];
		struct str at, code;
		assert_ptr_equal(cause_find(str_from_c(c->id)), c); /* no id twice */
		assert_non_null(cause_owner_name(c->owner));
		snprintf(status, sizeof status, "5.%s", c->enhanced);
		at = str_from_c(status);
		assert_int_equal(enhanced_code(&at, &code), PARSE_DONE);
		assert_int_equal(at.n, 0);
		assert_sentence(c->text);
		assert_sentence(c->next);
		assert_sentence(c->advice);
		assert_null(strstr(c->advice, "letterlock")); /* senders have no such command */
	}
}

static void unknown_ids_give_the_last_row(void **state)
{
	(void)state;
	assert_string_equal(cause_find(STR("tls.expired"))->id, "tls.expired");
	assert_string_equal(cause_find(STR("no.such.cause"))->id, "unknown");
	assert_string_equal(cause_find(STR(""))->id, "unknown");
	assert_string_equal(causes[cause_count - 1].id, "unknown");
}

/* Ids are a contract with scripts: taking one out or renaming it fails here. */
static void ids_stay(void **state)
{
	(void)state;
	static const char *const ids[] = {"dns.no-domain", "dns.server-failed", "dns.timeout",
		"dns.bogus", "dns.null-mx", "dns.no-address", "route.loop", "connect.refused",
		"connect.timeout", "connect.unreachable", "connect.failed", "peer.greeting", "peer.dropped",
		"peer.timeout", "peer.protocol", "tls.not-offered", "tls.refused", "tls.handshake",
		"tls.untrusted-root", "tls.self-signed", "tls.incomplete-chain", "tls.expired",
		"tls.not-yet-valid", "tls.name-mismatch", "tls.invalid-chain", "reply.temporary",
		"reply.permanent", "reply.no-mailbox", "reply.mailbox-full", "reply.policy", "reply.size",
		"local.body", "local.relay-gone", "local.held", "queue.gave-up", "queue.removed",
		"unknown"};
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
		assert_string_equal(cause_find(str_from_c(ids[i]))->id, ids[i]);
}

static void manual_is_up_to_date(void **state)
{
	(void)state;
	struct buf page;
	buf_init(&page, DOC_CHECK_MAX);
	cause_manual(&page);
	assert_true(doc_check("doc/CAUSES.md", buf_str(&page), "mail/cause_test"));
	buf_done(&page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_complete),
		cmocka_unit_test(unknown_ids_give_the_last_row),
		cmocka_unit_test(ids_stay),
		cmocka_unit_test(manual_is_up_to_date),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
