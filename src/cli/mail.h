/* mail: messages and recipients as people read them, for queue and trace. */
#ifndef CLI_MAIL_H
#define CLI_MAIL_H

#include "cli/cli.h"

/* "ready", "deferred", with emphasis by what it means. */
void mail_print_state(FILE *to, struct str state);
/* "now", "in 4m", or "". */
struct str mail_next_try(struct cli *c, const json_t *recipient, int64_t now_ms);
/* What is the matter, in one line: cause, and what the peer said. */
struct str mail_reason(struct cli *c, const json_t *recipient);
/* Cause, owner and next step in a block, each line after two blanks. */
void mail_print_cause(struct cli *c, const json_t *cause);
/* How a message came: id, size, when, from where, with what TLS. */
void mail_print_message(struct cli *c, const json_t *message);
/* Its recipients, each with state, reason and next try. */
void mail_print_recipients(struct cli *c, const json_t *message);

#endif
