/* Verbs of an administrator on settings, domains, connectors and certificates of a home whose daemon
 * is down, one after the other. Every answer is JSON and every refusal has a reason; what was changed
 * loads again as it is now, what was refused changed nothing (P2).
 *
 *   input = *( u8 verb, arguments as in fuzz_verb.h ) */
#include <fcntl.h>
#include <sys/stat.h>

#include "store/fuzz_store.h"
#include "store/fuzz_verb.h"

enum { VERBS = 6, DATABASE_MAX = 1 << 20 };

/* The database as it is before anybody changed it; each run begins with this. */
static struct buf fresh;

static int open_database(int flags)
{
	char path[128];
	snprintf(path, sizeof path, "%s/" SITE_DB, fuzz_home);
	int fd = open(path, flags | O_CLOEXEC, 0600);
	assert(fd >= 0);
	return fd;
}

static void make_home(void)
{
	struct err err;
	struct site_db *db = site_db_create(fuzz_home_make(), &err);
	assert(db);
	site_db_close(db);
	int fd = open_database(O_RDONLY);
	buf_init(&fresh, DATABASE_MAX);
	char *room = buf_reserve(&fresh, DATABASE_MAX - 1);
	ssize_t n = read(fd, room, DATABASE_MAX - 1);
	assert(n > 0);
	fresh.n = (size_t)n;
	close(fd);
}

static void restore(void)
{
	int fd = open_database(O_WRONLY | O_TRUNC);
	ssize_t n = write(fd, fresh.p, fresh.n);
	assert(n == (ssize_t)fresh.n);
	close(fd);
}

/* What is in force, as all roles but `keys` would get it, and where mail goes. */
static void describe(const struct site *s, struct buf *out)
{
	conf_pack(s->conf, CONF_STORE, out);
	conf_pack(s->conf, CONF_EDGE, out);
	conf_pack(s->conf, CONF_RELAY, out);
	for (size_t i = 0; i < s->routes.domain_count; i++)
		buf_addf(out, "%.*s ", STR_ARG(s->routes.domains[i].name));
	for (size_t i = 0; i < s->routes.connector_count; i++)
		buf_addf(out, "%.*s %.*s:%u ", STR_ARG(s->routes.connectors[i].name),
			STR_ARG(s->routes.connectors[i].host), s->routes.connectors[i].port);
}

static void try_verb(struct admin *a, struct str *script, struct arena *arena)
{
	const struct admin_verb *v = &admin_verbs[fuzz_byte(script) % admin_verb_count];
	struct buf before, after, loaded;
	struct err err;
	uint64_t revision = a->site->revision;
	buf_init(&before, 64 << 20);
	buf_init(&after, 64 << 20);
	buf_init(&loaded, 64 << 20);
	describe(a->site, &before);
	unsigned status = fuzz_verb(a, v, fuzz_arguments(v, script, arena), arena);
	describe(a->site, &after);
	struct site *again = site_load(a->db, &err);
	assert(again && again->finding_count == 0);
	describe(again, &loaded);
	assert(again->revision == a->site->revision && str_eq(buf_str(&after), buf_str(&loaded)));
	if (status != 200 || !(v->flags & ADMIN_CHANGES))
		assert(a->site->revision == revision && str_eq(buf_str(&before), buf_str(&after)));
	site_drop(again);
	buf_done(&before);
	buf_done(&after);
	buf_done(&loaded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str script = str_make((const char *)data, size);
	struct admin admin = {0};
	struct err err;
	if (!fresh.n)
		make_home();
	restore();
	assert(admin_open(&admin, fuzz_home, &err) == 0);
	for (int i = 0; script.n > 0 && i < VERBS; i++) {
		struct arena *arena = arena_new();
		try_verb(&admin, &script, arena);
		arena_free(arena);
	}
	admin_close(&admin);
	return 0;
}
