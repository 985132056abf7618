#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/socket.h"
#include "cli/table.h"
#include "io/fd.h"
#include "store/admin.h"
#include "store/store.h"

enum { HTTP_OK = 200 };

void cli_print_json(const json_t *j)
{
	json_dumpf(j, stdout, JSON_INDENT(2));
	fputc('\n', stdout);
}

json_t *cli_args(const char *name, ...)
{
	json_t *args = json_object();
	va_list ap;
	va_start(ap, name);
	for (; name; name = va_arg(ap, const char *)) {
		const char *value = va_arg(ap, const char *);
		/* A word that is not UTF-8 can name nothing here; said to be missing, or not found. */
		if (value)
			json_object_set_new(args, name, json_string(value));
	}
	va_end(ap);
	return args;
}

static void show_error(const struct cli *c, json_t *error)
{
	json_t *e = json_object_get(error, "error");
	const char *text = json_string_value(json_object_get(e, "message"));
	const char *field = json_string_value(json_object_get(e, "field"));
	if (c->json) {
		cli_print_json(error);
		return;
	}
	fputs("letterlock: ", stderr);
	/* Where an option was meant, it is named; the texts speak of arguments by themselves. */
	for (const struct cli_option *o = c->command->options; field && o && o->name; o++)
		if (strcmp(o->name + 2, field) == 0)
			fprintf(stderr, "%s: ", o->name);
	fprintf(stderr, "%s\n", text ? text : "the daemon refused without a reason");
}

int cli_fail(const struct cli *c, const char *code, const char *fmt, ...)
{
	char text[640];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_t *error = json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", text);
	show_error(c, error);
	json_decref(error);
	return CLI_FAILED;
}

bool cli_read_file(struct cli *c, const char *path, size_t max, struct str *ret)
{
	struct buf b;
	buf_init(&b, max);
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	bool good = fd >= 0 && fd_read_all(fd, &b) == 0;
	if (good)
		*ret = arena_dup(c->arena, buf_str(&b));
	else if (errno == EFBIG)
		cli_fail(c, "bad-file", "%s: more than %zu bytes", path, max);
	else
		cli_fail(c, "bad-file", "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	mem_wipe(b.p, b.cap); /* it may be a key */
	buf_done(&b);
	return good;
}

/* ---- the daemon is down: the verb runs here */

static int not_running(const struct cli *c)
{
	return cli_fail(c, "not-running",
		"letterlock is not running (start it with: letterlock serve --home %s)", c->home);
}

/* False after saying that there is nothing in the home to work on. */
static bool has_installation(const struct cli *c)
{
	const char *site = arena_fmt(c->arena, "%s/" SITE_DB "%c", c->home, 0).p;
	if (access(site, F_OK) == 0)
		return true;
	if (errno == EACCES)
		cli_fail(c, "forbidden", "%s: only root and the owner of this home may ask", c->home);
	else
		cli_fail(c, "no-home",
			"%s holds no installation; make one with: letterlock setup --home %s --hostname NAME",
			c->home, c->home);
	return false;
}

/* Root makes no files that the owner of the home could not use afterwards. */
static bool become_owner(struct cli *c)
{
	struct stat st;
	c->uid = getuid();
	if (stat(c->home, &st) < 0) {
		cli_fail(c, "failed", "%s: %s", c->home, strerror(errno));
		return false;
	}
	if (geteuid() != 0 || st.st_uid == 0)
		return true;
	if (setgroups(0, NULL) == 0 && setgid(st.st_gid) == 0 && setuid(st.st_uid) == 0)
		return true;
	cli_fail(c, "failed", "cannot become the owner of %s: %s", c->home, strerror(errno));
	return false;
}

/* The descriptor that holds the home's lock, or -1 after saying why. */
static int take_lock(const struct cli *c)
{
	int dir = open(c->home, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = dir < 0 ? -1 : openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (dir >= 0)
		close(dir);
	if (fd < 0) {
		cli_fail(c, "failed", "%s/lock: %s", c->home, strerror(errno));
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	cli_fail(c, "busy",
		"%s is in use: letterlock is starting or stopping, or another command is at "
		"work; try again in a moment",
		c->home);
	close(fd);
	return -1;
}

static bool needs_queue(const char *verb)
{
	return strncmp(verb, "queue.", 6) == 0 || strcmp(verb, "trace") == 0;
}

/* Runs the verb on the opened home. */
static unsigned run_opened(
	struct cli *c, struct admin *a, const char *verb, struct str args, struct str *ret)
{
	struct err err = {0};
	if (needs_queue(verb)) {
		a->store = store_open(c->home, a->site, &err);
		if (!a->store) {
			cli_fail(c, "failed", "%s", err.log);
			return 0;
		}
	}
	struct str who = admin_who(c->uid, c->arena);
	unsigned status = admin_run(a, str_from_c(verb), args, -1, who, c->arena, ret);
	if (a->store)
		store_close(a->store);
	return status;
}

/* The HTTP status, or 0 after saying why there is none. */
static unsigned run_here(struct cli *c, const char *verb, struct str args, struct str *ret)
{
	struct admin a = {0};
	struct err err = {0};
	unsigned status = 0;
	const struct admin_verb *v = admin_verb_find(str_from_c(verb));
	if (!has_installation(c))
		return 0;
	if (!v || (v->flags & ADMIN_DAEMON)) {
		not_running(c);
		return 0;
	}
	log_open(STDERR_FILENO, LOG_ERROR);
	int lock = become_owner(c) ? take_lock(c) : -1;
	if (lock < 0)
		return 0;
	if (admin_open(&a, c->home, &err) < 0)
		cli_fail(c, "failed", "%s", err.log);
	else
		status = run_opened(c, &a, verb, args, ret);
	admin_close(&a);
	close(lock);
	return status;
}

/* ---- both ways */

/* The HTTP status with the answer's text, or 0 after saying why there is none. */
static unsigned run(
	struct cli *c, const char *verb, struct str args, const struct str *raw, struct str *ret)
{
	unsigned status = 0;
	struct err err = {0};
	switch (socket_ask(c->home, verb, args, raw, c->arena, &status, ret, &err)) {
	case SOCKET_ANSWER:
		return status;
	case SOCKET_DOWN:
		return run_here(c, verb, args, ret);
	case SOCKET_FAILED:
		break;
	}
	cli_fail(c, "failed", "%s", err.log);
	return 0;
}

int cli_ask(struct cli *c, const char *verb, json_t *args, const struct str *raw, json_t **ret)
{
	json_error_t why;
	struct str answer = {0};
	char *text = json_dumps(args, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(args);
	unsigned status = run(c, verb, str_from_c(text), raw, &answer);
	free(text);
	if (status == 0)
		return CLI_FAILED;
	json_t *j = json_loadb(answer.p, answer.n, JSON_ALLOW_NUL, &why);
	if (!j)
		return cli_fail(c, "failed", "the answer of the daemon is not JSON (status %u)", status);
	if (status == HTTP_OK) {
		*ret = j;
		return CLI_DONE;
	}
	show_error(c, j);
	json_decref(j);
	return CLI_FAILED;
}

int cli_ask_shown(
	struct cli *c, const char *verb, json_t *args, const struct str *raw, json_t **ret)
{
	*ret = NULL;
	int status = cli_ask(c, verb, args, raw, ret);
	if (status == CLI_DONE && c->json) {
		cli_print_json(*ret);
		json_decref(*ret);
		*ret = NULL;
	}
	return status;
}

void cli_show_change(struct cli *c, const json_t *answer)
{
	struct buf took;
	size_t i;
	json_t *role;
	long long revision = json_integer_value(json_object_get(answer, "revision"));
	if (!json_is_true(json_object_get(answer, "live"))) {
		printf("Written as revision %lld. Letterlock is not running; it takes effect at the next "
			   "start.\n",
			revision);
		return;
	}
	buf_init(&took, 4096);
	json_array_foreach(json_object_get(answer, "roles"), i, role)
	{
		struct str name = text_of(c->arena, role, "role");
		struct str report = text_of(c->arena, role, "report");
		uint64_t number;
		if (str_to_u64(report, UINT64_MAX, &number))
			buf_addf(&took, "%s%.*s", took.n ? ", " : "", STR_ARG(name));
		else
			printf("  %.*s: %.*s\n", STR_ARG(name), STR_ARG(report));
	}
	printf(
		"Live as revision %lld%s%.*s.\n", revision, took.n ? " in " : "", STR_ARG(buf_str(&took)));
	buf_done(&took);
}
