/* help: usage texts, the manual page and the API description, all from the tables. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "base/buf.h"
#include "cli/cli.h"

/* The page with all subcommands. */
void help_overview(FILE *to);
/* The text of one subcommand. */
void help_command(FILE *to, const struct cli_command *command);
/* All subcommands of a group ("queue"); false if there is none of that name. */
bool help_group(FILE *to, const char *group);
/* "usage: letterlock domain add NAME [--route HOST:PORT]" */
void help_usage(FILE *to, const struct cli_command *command);
/* letterlock(1) in man format. */
void help_man(struct buf *out);
/* The admin API as OpenAPI 3.1. A new reference. */
json_t *help_openapi(void);

#endif
