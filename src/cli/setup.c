#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/table.h"
#include "conf/settings.h"
#include "io/fd.h"
#include "store/node_db.h"
#include "store/site.h"

enum { VALUE_MAX = 64 * 1024 };

static const char *const folders[] = {DATA_FOLDER, "spool", "keys", "certs", "log"};

/* One setting to begin with, in normal form. */
struct first {
	const struct setting *setting;
	struct str value, standard; /* standard: the built-in default */
};

static struct str format(struct cli *c, const struct setting *s, const struct conf *conf)
{
	struct buf b;
	buf_init(&b, VALUE_MAX);
	setting_format(s, conf, &b);
	struct str v = arena_dup(c->arena, buf_str(&b));
	buf_done(&b);
	return v;
}

/* KEY=VALUE into *conf and *ret. */
static int take_setting(
	struct cli *c, struct str key, struct str value, struct conf *conf, struct first *ret)
{
	struct err err = {0};
	ret->setting = setting_find(key);
	if (!ret->setting)
		return cli_fail(c, "unknown-setting",
			"there is no setting \"%.*s\"; `letterlock help --settings` describes all",
			STR_ARG(str_take(key, 60)));
	ret->standard = format(c, ret->setting, conf);
	if (setting_parse(ret->setting, value, conf, &err) < 0)
		return cli_fail(c, "bad-value", "%s", err.log);
	ret->value = format(c, ret->setting, conf);
	return CLI_DONE;
}

/* All settings of the command line, judged one by one and together. */
static int take_settings(struct cli *c, struct conf *conf, struct first *list, size_t *ret_n)
{
	struct err err = {0};
	const char *pair;
	size_t n = 0;
	int status = take_setting(
		c, STR("server.hostname"), str_from_c(cli_value(c, "--hostname")), conf, &list[n++]);
	for (size_t i = 0; status == CLI_DONE && (pair = cli_value_n(c, "--set", i)); i++) {
		struct str rest = str_from_c(pair), key;
		str_split(&rest, '=', &key);
		if (!rest.p)
			return cli_fail(c, "bad-value", "--set takes KEY=VALUE, not \"%.60s\"", pair);
		status = take_setting(c, str_trim(key), str_trim(rest), conf, &list[n++]);
	}
	if (status == CLI_DONE && conf_check(conf, &err) < 0)
		status = cli_fail(c, "bad-value", "%s", err.log);
	*ret_n = n;
	return status;
}

static int make_folder(const struct cli *c, const char *path)
{
	if (mkdir(path, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return cli_fail(c, "failed", "%s: %s", path, strerror(errno));
	/* Made beforehand: for its owner only from now on. */
	if (chmod(path, 0700) < 0)
		return cli_fail(c, "failed", "%s: %s", path, strerror(errno));
	return 0;
}

/* Of what is acknowledged later not even the folders may go in a power cut. The folder above may be
 * one that we cannot read; then whoever made the home in it has to see to it. */
static bool sync_home(struct cli *c)
{
	const char *above = arena_fmt(c->arena, "%s/..%c", c->home, 0).p;
	if (fd_sync_folder(c->home) == 0 && (fd_sync_folder(above) == 0 || errno == EACCES))
		return true;
	cli_fail(c, "failed", "sync of %s: %s", c->home, strerror(errno));
	return false;
}

/* The home as an absolute path, made if need be; false after saying why. */
static bool make_home(struct cli *c)
{
	struct stat st;
	const char *site = arena_fmt(c->arena, "%s/" SITE_DB "%c", c->home, 0).p;
	if (lstat(site, &st) == 0) {
		cli_fail(c, "exists",
			"%s holds an installation already; nothing was changed (see it with: letterlock config "
			"list --home %s)",
			c->home, c->home);
		return false;
	}
	if (make_folder(c, c->home) != 0)
		return false;
	char *absolute = realpath(c->home, NULL);
	if (!absolute) {
		cli_fail(c, "failed", "%s: %s", c->home, strerror(errno));
		return false;
	}
	c->home = arena_dup_c(c->arena, str_from_c(absolute));
	free(absolute);
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		if (make_folder(c, arena_fmt(c->arena, "%s/%s%c", c->home, folders[i], 0).p) != 0)
			return false;
	return sync_home(c);
}

/* Revision 1: the first settings. */
static int write_settings(struct site_db *db, const struct first *list, size_t n, struct err *err)
{
	uint64_t revision;
	int r = site_begin(db, STR("setup"), err);
	for (size_t i = 0; i < n && r == 0; i++)
		r = site_put_setting(db, list[i].setting->name, list[i].standard, list[i].value, err);
	if (r == 0)
		r = site_commit(db, &revision, err);
	if (r < 0)
		site_rollback(db);
	return r;
}

/* node.db first: site.db is what makes a home an installation, so a setup that broke off can be run
 * again. */
static int make_databases(struct cli *c, const struct first *list, size_t n)
{
	struct err err = {0};
	struct db *node = node_db_open(c->home, &err);
	struct site_db *site = node ? site_db_create(c->home, &err) : NULL;
	int r = site ? write_settings(site, list, n, &err) : -1;
	db_close(node);
	if (site)
		site_db_close(site);
	if (r == 0)
		return CLI_DONE;
	if (site)
		unlink(arena_fmt(c->arena, "%s/" SITE_DB "%c", c->home, 0).p);
	return cli_fail(c, "failed", "%s", err.log);
}

static void show_listeners(const char *name, const struct conf_addresses *list, const char *text)
{
	for (size_t i = 0; i < list->n; i++)
		printf("  %-12s  %-22.*s %s\n", name, STR_ARG(list->at[i].text), i == 0 ? text : "");
}

static bool has_low_port(const struct conf_addresses *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->at[i].port < 1024)
			return true;
	return false;
}

static void show(const struct cli *c, const struct conf *conf)
{
	if (c->json) {
		json_t *j = json_pack("{s:s, s:s, s:i}", "home", c->home, "hostname",
			cli_value(c, "--hostname"), "revision", 1);
		cli_print_json(j);
		json_decref(j);
		return;
	}
	printf("Made the installation %s, for its owner only:\n", c->home);
	printf("  data/site.db  settings (revision 1), domains, connectors, certificates\n");
	printf("  data/node.db  the queue; large mail in spool/\n");
	printf("  keys/         private keys; the first one is made at the first start\n");
	printf("  log/, certs/  logs, certificates to be picked up\n");
	printf("It will serve as %.*s on\n", STR_ARG(conf->hostname));
	show_listeners("smtp", &conf->listen_smtp, "mail from other servers");
	show_listeners("submission", &conf->listen_submission, "mail from your users, STARTTLS");
	show_listeners("submissions", &conf->listen_submissions, "mail from your users, TLS");
	if (geteuid() != 0 &&
		(has_low_port(&conf->listen_smtp) || has_low_port(&conf->listen_submission) ||
			has_low_port(&conf->listen_submissions)))
		printf("Ports below 1024 are for root as a rule. Others, for a try:\n"
			   "  letterlock config set listen.smtp 127.0.0.1:2525 --home %s\n",
			c->home);
	printf("Next:\n  letterlock serve --home %s\n", c->home);
}

int cli_setup(struct cli *c)
{
	size_t n = 0, sets = 0;
	if (!cli_value(c, "--hostname")) {
		fprintf(stderr, "letterlock: setup needs --hostname NAME, the full name of this server\n");
		return CLI_USAGE;
	}
	while (cli_value_n(c, "--set", sets))
		sets++;
	struct first *list = arena_alloc(c->arena, (sets + 1) * sizeof *list);
	struct conf *conf = conf_new();
	int status = take_settings(c, conf, list, &n);
	if (status == CLI_DONE)
		status = make_home(c) ? make_databases(c, list, n) : CLI_FAILED;
	if (status == CLI_DONE)
		show(c, conf);
	conf_drop(conf);
	return status;
}
