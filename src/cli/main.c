/* letterlock: the command line (cli.h). */
#include <sys/stat.h>

#include "cli/help.h"

static int usage(const struct cli *c)
{
	fprintf(stderr, "letterlock: %s\n", c->usage.log);
	if (c->command)
		help_usage(stderr, c->command);
	else if (c->argument_count == 0 || !help_group(stderr, c->arguments[0]))
		fprintf(stderr, "`letterlock help` lists the subcommands.\n");
	return CLI_USAGE;
}

/* Help was asked for: of a subcommand, a group of them, or everything. */
static int help(const struct cli *c)
{
	if (c->command)
		help_command(stdout, c->command);
	else if (c->argument_count == 0)
		help_overview(stdout);
	else if (!help_group(stdout, c->arguments[0]))
		return usage(c);
	return CLI_DONE;
}

int main(int argc, char **argv)
{
	struct cli c = {.arena = arena_new()};
	int status;
	umask(077);
	int parsed = cli_parse(&c, argc, argv);
	if (c.help)
		status = help(&c);
	else if (parsed < 0)
		status = usage(&c);
	else if (!c.command) {
		help_overview(stderr);
		status = CLI_USAGE;
	} else
		status = c.command->run(&c);
	arena_free(c.arena);
	/* Output that could not be written is no success: a full disk behind a redirection. */
	if (fflush(stdout) != 0 && status == CLI_DONE)
		status = CLI_FAILED;
	return status;
}
