/* cli: the command line. One table of subcommands (commands.c) gives dispatch, option parsing, help
 * and the manual page. A subcommand asks one admin verb or more and shows the answer, as JSON or for
 * people; it talks to the daemon over HOME/control.sock, or, if that is down and the verb allows it,
 * takes the home's lock and runs the verb itself (ask.c).
 *
 * Exit status: 0 done, 1 refused or failed, 2 usage. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum cli_exit { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli_option {
	const char *name;  /* "--route"; NULL ends the list */
	const char *value; /* "HOST:PORT"; NULL: a flag */
	const char *text;
	bool many; /* may be given more than once */
};

struct cli;
struct cli_command {
	const char *name;      /* "domain add" */
	const char *arguments; /* "NAME", as the usage line shows it */
	unsigned min, max;     /* how many arguments */
	int (*run)(struct cli *c);
	const struct cli_option *options;
	const char *text;    /* one sentence */
	const char *details; /* paragraphs, or NULL */
};
extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;
/* Options that every subcommand takes. */
extern const struct cli_option cli_common_options[];

struct cli_given {
	const struct cli_option *option;
	const char *value;
};
struct cli {
	const struct cli_command *command;
	const char *home; /* --home, LETTERLOCK_HOME or the default */
	bool json, help;
	uint32_t uid; /* who asks, while the daemon is down */
	const char **arguments;
	size_t argument_count;
	struct cli_given *given;
	size_t given_count;
	struct arena *arena;
	struct err usage; /* what is wrong with the command line, if parsing fails */
};

/* Parses argv[1…] into *c, whose arena is set. 0, or -1 with c->usage set (c->command may be NULL,
 * or the subcommand that was meant). No subcommand at all is no failure. */
int cli_parse(struct cli *c, int argc, char **argv);
/* The (last) value of an option; "" for a flag that was given; NULL if it was not. */
const char *cli_value(const struct cli *c, const char *name);
/* The n-th value of an option that may be given many times, or NULL. */
const char *cli_value_n(const struct cli *c, const char *name, size_t n);

/* ---- asking */
/* An object of texts: names and values in turn, ended by NULL; members whose value is NULL are left
 * out. */
json_t *cli_args(const char *name, ...) __attribute__((sentinel));
/* Runs a verb: 0 with a new reference in *ret, or CLI_FAILED after saying why. `args` is taken over.
 * `raw` (may be NULL) goes as the raw body. */
int cli_ask(struct cli *c, const char *verb, json_t *args, const struct str *raw, json_t **ret);
/* As above, and with --json prints the answer: then *ret is NULL and 0 is returned. */
int cli_ask_shown(
	struct cli *c, const char *verb, json_t *args, const struct str *raw, json_t **ret);
/* Says that it failed, as text on stderr or with --json as JSON on stdout. Always CLI_FAILED. */
int cli_fail(const struct cli *c, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Prints JSON with a line end. */
void cli_print_json(const json_t *j);
/* The last lines after a change: revision, and which roles have it. */
void cli_show_change(struct cli *c, const json_t *answer);
/* The whole file in the arena, at most `max` bytes; false after saying why. */
bool cli_read_file(struct cli *c, const char *path, size_t max, struct str *ret);

/* ---- the subcommands */
int cli_setup(struct cli *c);
int cli_serve(struct cli *c);
int cli_status(struct cli *c);
int cli_monitor(struct cli *c);
int cli_fibers(struct cli *c);
int cli_version(struct cli *c);
int cli_service(struct cli *c);
int cli_config_set(struct cli *c);
int cli_config_get(struct cli *c);
int cli_config_list(struct cli *c);
int cli_domain_add(struct cli *c);
int cli_domain_list(struct cli *c);
int cli_domain_remove(struct cli *c);
int cli_connector_add(struct cli *c);
int cli_connector_list(struct cli *c);
int cli_connector_show(struct cli *c);
int cli_connector_remove(struct cli *c);
int cli_queue_list(struct cli *c);
int cli_queue_summary(struct cli *c);
int cli_queue_show(struct cli *c);
int cli_queue_change(struct cli *c);
int cli_trace(struct cli *c);
int cli_cert_import(struct cli *c);
int cli_cert_list(struct cli *c);
int cli_help(struct cli *c);

#endif
