#include "base/clock.h"
#include "cli/cli.h"
#include "cli/table.h"

static void heading(const char *text)
{
	putchar('\n');
	style_begin(stdout, STYLE_BOLD);
	printf("%s\n", text);
	style_end(stdout);
}

static const char *role_text(struct str role)
{
	static const struct {
		const char *role, *text;
	} texts[] = {
		{"serve", "supervisor"},
		{"store", "queue and settings"},
		{"keys", "private keys"},
		{"relay", "mail to other servers"},
		{"mx", "mail from other servers"},
		{"user", "mail from your users"},
		{"control", "this command line"},
	};
	ptrdiff_t number = str_find(role, '-'); /* of the processes of one group: mx-2 */
	if (number >= 0)
		role = str_take(role, (size_t)number);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (str_eq(role, str_from_c(texts[i].role)))
			return texts[i].text;
	return "";
}

static struct str up_for(struct cli *c, const json_t *role)
{
	uint64_t since;
	if (!str_eq(text_of(c->arena, role, "state"), STR("running")) ||
		!str_to_u64(text_of(c->arena, role, "since"), INT64_MAX, &since) || since == 0)
		return STR("");
	return text_span(c->arena, clock_wall_ms() - (int64_t)since);
}

static void print_roles(struct cli *c, const json_t *roles)
{
	size_t i;
	json_t *r;
	struct table t;
	table_init(&t, c->arena, "ROLE|STATE|>PID|>UP|>RESTARTS|DOES");
	json_array_foreach((json_t *)roles, i, r)
	{
		struct str name = text_of(c->arena, r, "role"), pid = text_of(c->arena, r, "pid");
		table_add(&t, name);
		table_add(&t, text_of(c->arena, r, "state"));
		table_add(&t, str_eq(pid, STR("0")) ? STR("") : pid);
		table_add(&t, up_for(c, r));
		table_add(&t, text_of(c->arena, r, "restarts"));
		table_addf(&t, "%s", role_text(name));
	}
	table_print(&t, stdout);
}

static void print_listeners(struct cli *c, const json_t *listeners)
{
	size_t i;
	json_t *l;
	struct table t;
	table_init(&t, c->arena, "LISTENER|ADDRESS|TLS");
	json_array_foreach((json_t *)listeners, i, l)
	{
		struct str tls = text_of(c->arena, l, "tls");
		table_add(&t, text_of(c->arena, l, "listener"));
		table_add(&t, text_of(c->arena, l, "address"));
		table_add(&t, str_eq(tls, STR("implicit")) ? STR("from the first byte") : tls);
	}
	table_print(&t, stdout);
}

static void print_certificates(struct cli *c, const json_t *certificates)
{
	size_t i;
	json_t *k;
	json_array_foreach((json_t *)certificates, i, k)
	{
		struct str note = text_of(c->arena, k, "note");
		struct str until = text_of(c->arena, k, "not_after");
		int64_t left = text_time_ms(until) - clock_wall_ms();
		printf("%.*s", STR_ARG(text_of(c->arena, k, "serves")));
		if (note.n) {
			printf(": ");
			style_begin(stdout, STYLE_WARN);
			printf("%.*s", STR_ARG(note));
			style_end(stdout);
		} else {
			printf(", by %.*s", STR_ARG(text_of(c->arena, k, "issuer")));
		}
		printf("\n  until %.10s (%.*s left), %.*s\n  SHA-256 %.*s\n", until.p,
			STR_ARG(text_span(c->arena, left)), STR_ARG(text_of(c->arena, k, "key_type")),
			STR_ARG(text_of(c->arena, k, "thumbprint")));
	}
}

static long long number(const json_t *object, const char *member)
{
	return json_integer_value(json_object_get(object, member));
}

static void print_queue(const json_t *q)
{
	long long messages = number(q, "messages");
	if (messages)
		printf("%lld message%s; recipients: %lld ready, %lld at work, %lld deferred, %lld held\n",
			messages, messages == 1 ? "" : "s", number(q, "ready"), number(q, "active"),
			number(q, "deferred"), number(q, "held"));
	else
		printf("empty\n");
	printf("since the start: %lld accepted, %lld delivered, %lld bounced, %lld expired\n",
		number(q, "accepted"), number(q, "delivered"), number(q, "bounced"), number(q, "expired"));
}

static void print_degraded(struct cli *c, const json_t *degraded)
{
	size_t i;
	json_t *d;
	json_array_foreach((json_t *)degraded, i, d)
	{
		style_begin(stdout, STYLE_BAD);
		printf("! ");
		text_wrap(stdout, 2, 2, text_of(c->arena, d, "text"));
		style_end(stdout);
	}
	if (json_array_size(degraded) == 0) {
		style_begin(stdout, STYLE_GOOD);
		printf("All is as it should be.\n");
		style_end(stdout);
	}
}

int cli_status(struct cli *c)
{
	json_t *j;
	int status = cli_ask_shown(c, "status", json_object(), NULL, &j);
	if (!j)
		return status;
	style_begin(stdout, STYLE_BOLD);
	printf("%.*s", STR_ARG(text_of(c->arena, j, "hostname")));
	style_end(stdout);
	printf("  letterlock %.*s, up %.*s, settings revision %.*s, %.*s\n",
		STR_ARG(text_of(c->arena, j, "version")),
		STR_ARG(text_span(c->arena, number(j, "uptime_ms"))),
		STR_ARG(text_of(c->arena, j, "revision")), STR_ARG(text_of(c->arena, j, "home")));
	print_degraded(c, json_object_get(j, "degraded"));
	heading("Roles");
	print_roles(c, json_object_get(j, "roles"));
	heading("Listeners");
	print_listeners(c, json_object_get(j, "listeners"));
	heading("Certificates in use");
	print_certificates(c, json_object_get(j, "certificates"));
	heading("Queue");
	print_queue(json_object_get(j, "queue"));
	json_decref(j);
	return status;
}

int cli_service(struct cli *c)
{
	json_t *j;
	const char *name = c->argument_count ? c->arguments[0] : NULL;
	const char *op = c->command->name + sizeof "service";
	const char *verb = arena_fmt(c->arena, "service.%s%c", op, 0).p;
	int status = cli_ask_shown(c, verb, cli_args("service", name, NULL), NULL, &j);
	if (!j)
		return status;
	print_roles(c, json_object_get(j, "roles"));
	json_decref(j);
	return status;
}

int cli_version(struct cli *c)
{
	if (c->json) {
		json_t *j = json_pack("{s:s, s:s}", "name", "letterlock", "version", LETTERLOCK_VERSION);
		cli_print_json(j);
		json_decref(j);
	} else {
		printf("letterlock %s\n", LETTERLOCK_VERSION);
	}
	return CLI_DONE;
}
