#include "cli/help.h"

#include "cli/table.h"
#include "conf/settings.h"

enum { MANUAL_MAX = 1024 * 1024, TEXT_COLUMN = 22 };

/* Length of the first word of a subcommand. */
static size_t group_length(const char *name)
{
	return strcspn(name, " ");
}

static bool same_group(const char *a, const char *b)
{
	size_t n = group_length(a);
	return n == group_length(b) && memcmp(a, b, n) == 0;
}

/* Usage in words: also for the manual page. */
static void add_usage(struct buf *out, const struct cli_command *k)
{
	buf_addf(out, "letterlock %s", k->name);
	if (k->arguments[0])
		buf_addf(out, " %s", k->arguments);
	for (const struct cli_option *o = k->options; o && o->name; o++) {
		bool needed = strcmp(k->name, "setup") == 0 && strcmp(o->name, "--hostname") == 0;
		buf_addf(out, needed ? " %s" : " [%s", o->name);
		if (o->value)
			buf_addf(out, " %s", o->value);
		buf_add_c(out, needed ? "" : o->many ? "]..." : "]");
	}
}

void help_usage(FILE *to, const struct cli_command *k)
{
	struct buf b;
	buf_init(&b, MANUAL_MAX);
	add_usage(&b, k);
	fputs("usage: ", to);
	text_wrap(to, 7, 11, buf_str(&b));
	buf_done(&b);
}

static void print_options(FILE *to, const struct cli_option *o)
{
	char name[80];
	for (; o && o->name; o++) {
		int n = snprintf(
			name, sizeof name, "  %s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
		if (n < TEXT_COLUMN)
			fprintf(to, "%-*s", TEXT_COLUMN, name);
		else
			fprintf(to, "%s\n%*s", name, TEXT_COLUMN, "");
		text_wrap(to, TEXT_COLUMN, TEXT_COLUMN, str_from_c(o->text));
	}
}

void help_command(FILE *to, const struct cli_command *k)
{
	help_usage(to, k);
	fputc('\n', to);
	text_wrap(to, 0, 0, str_from_c(k->text));
	if (k->details) {
		fputc('\n', to);
		text_wrap(to, 0, 0, str_from_c(k->details));
	}
	fputc('\n', to);
	print_options(to, k->options);
	print_options(to, cli_common_options);
}

bool help_group(FILE *to, const char *group)
{
	bool found = false;
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *k = &cli_commands[i];
		if (!same_group(k->name, group))
			continue;
		if (!found)
			fprintf(to, "usage: letterlock %s ...\n\n", group);
		found = true;
		fprintf(to, "  %-*s ", TEXT_COLUMN - 3, k->name);
		text_wrap(to, TEXT_COLUMN, TEXT_COLUMN, str_from_c(k->text));
	}
	if (found)
		fprintf(to, "\nMore on each: letterlock help %s ...\n", group);
	return found;
}

void help_overview(FILE *to)
{
	fputs("Letterlock, a mail server whose TLS explains itself.\n\n"
		  "usage: letterlock SUBCOMMAND ... [--home DIR] [--json]\n\n",
		to);
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *k = &cli_commands[i];
		if (i && !same_group(k->name, cli_commands[i - 1].name) &&
			(strchr(k->name, ' ') || strchr(cli_commands[i - 1].name, ' ')))
			fputc('\n', to);
		fprintf(to, "  %-*s ", TEXT_COLUMN - 3, k->name);
		text_wrap(to, TEXT_COLUMN, TEXT_COLUMN, str_from_c(k->text));
	}
	fputs("\nMore on each: letterlock help SUBCOMMAND, or letterlock SUBCOMMAND --help.\n"
		  "First steps: letterlock setup --home DIR --hostname NAME, then letterlock serve --home "
		  "DIR.\n",
		to);
}

/* ---- the manual page */

/* Text for troff: backslashes and hyphens escaped, and no line that looks like a request. */
static void add_roff(struct buf *out, const char *s)
{
	if (*s == '.' || *s == '\'')
		buf_add_c(out, "\\&");
	for (; *s; s++) {
		if (*s == '\\')
			buf_add_c(out, "\\e");
		else if (*s == '-')
			buf_add_c(out, "\\-");
		else
			buf_add_char(out, *s);
	}
}

static void add_options_man(struct buf *out, const struct cli_option *o)
{
	for (; o && o->name; o++) {
		buf_add_c(out, ".TP\n\\fB");
		add_roff(out, o->name);
		buf_add_c(out, "\\fR");
		if (o->value) {
			buf_add_c(out, " \\fI");
			add_roff(out, o->value);
			buf_add_c(out, "\\fR");
		}
		buf_add_c(out, "\n");
		add_roff(out, o->text);
		buf_add_c(out, "\n");
	}
}

static void add_command_man(struct buf *out, const struct cli_command *k)
{
	struct buf usage;
	buf_init(&usage, MANUAL_MAX);
	add_usage(&usage, k);
	buf_add_c(out, ".SS \"");
	add_roff(out, k->name);
	buf_add_c(out, "\"\n.nf\n.B ");
	add_roff(out, buf_c(&usage));
	buf_add_c(out, "\n.fi\n.PP\n");
	add_roff(out, k->text);
	if (k->details) {
		buf_add_c(out, "\n");
		add_roff(out, k->details);
	}
	buf_add_c(out, "\n");
	add_options_man(out, k->options);
	buf_done(&usage);
}

void help_man(struct buf *out)
{
	buf_addf(out,
		".\\\" Written by `letterlock help --man`; a test compares. Do not edit.\n"
		".TH LETTERLOCK 1 \"\" \"letterlock %s\"\n"
		".SH NAME\nletterlock \\- a mail server whose TLS explains itself\n"
		".SH SYNOPSIS\n.B letterlock\n[\\fB\\-\\-home\\fR \\fIDIR\\fR] [\\fB\\-\\-json\\fR]\n"
		".I subcommand\n\\&...\n"
		".SH DESCRIPTION\n"
		"One command sets an installation up, serves it, and asks and changes everything while it "
		"runs.\n"
		"Changes are live: nothing needs a restart, and what is refused leaves everything as it "
		"was.\n"
		"While the server is down, the subcommands of config, domain, connector, queue and trace "
		"work on its files directly.\n"
		".SH OPTIONS\n",
		LETTERLOCK_VERSION);
	add_options_man(out, cli_common_options);
	buf_add_c(out, ".SH SUBCOMMANDS\n");
	for (size_t i = 0; i < cli_command_count; i++)
		add_command_man(out, &cli_commands[i]);
	buf_add_c(out,
		".SH \"EXIT STATUS\"\n"
		".TP\n0\ndone\n"
		".TP\n1\nrefused or failed; the reason stands on standard error, or with "
		"\\-\\-json on standard output as {\"error\": ...}\n"
		".TP\n2\nthe command line cannot be understood\n"
		".SH ENVIRONMENT\n"
		".TP\nLETTERLOCK_HOME\nthe installation, if \\-\\-home is not given\n"
		".TP\nNO_COLOR\nif set, no emphasis on terminals\n"
		".SH FILES\n"
		".TP\nHOME/data/site.db\nsettings, domains, connectors, certificates\n"
		".TP\nHOME/data/node.db, HOME/spool/\nthe queue and the records of sessions\n"
		".TP\nHOME/keys/\nprivate keys\n"
		".TP\nHOME/log/\nlogs\n"
		".TP\nHOME/control.sock\nthe admin API, for root and the owner of the home\n"
		".SH \"SEE ALSO\"\n.BR letterlock\\-settings (5)\n");
}

/* ---- the subcommand */

static int print_manual(void (*write)(struct buf *))
{
	struct buf b;
	buf_init(&b, MANUAL_MAX);
	write(&b);
	fputs(buf_c(&b), stdout);
	buf_done(&b);
	return CLI_DONE;
}

int cli_help(struct cli *c)
{
	char name[80];
	const char *first = c->argument_count ? c->arguments[0] : NULL;
	if (cli_value(c, "--man"))
		return print_manual(help_man);
	if (cli_value(c, "--settings"))
		return print_manual(settings_manual);
	if (cli_value(c, "--openapi")) {
		json_t *api = help_openapi();
		cli_print_json(api);
		json_decref(api);
		return CLI_DONE;
	}
	if (!first) {
		help_overview(stdout);
		return CLI_DONE;
	}
	snprintf(name, sizeof name, "%s%s%s", first, c->argument_count > 1 ? " " : "",
		c->argument_count > 1 ? c->arguments[1] : "");
	for (size_t i = 0; i < cli_command_count; i++)
		if (strcmp(cli_commands[i].name, name) == 0) {
			help_command(stdout, &cli_commands[i]);
			return CLI_DONE;
		}
	if (c->argument_count == 1 && help_group(stdout, first))
		return CLI_DONE;
	fprintf(
		stderr, "letterlock: there is no subcommand \"%s\"; `letterlock help` lists all\n", name);
	return CLI_USAGE;
}
