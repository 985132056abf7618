/* mail: messages and recipients as people read them, for queue and trace. */
#ifndef CLI_MAIL_H
#define CLI_MAIL_H

#include "cli/cli.h"

/* "now", "in 4m", or "". */
struct str mail_next_try(struct cli *c, const json_t *recipient, int64_t now_ms);
/* What is the matter, in one line: cause, and what the peer said. */
struct str mail_reason(struct cli *c, const json_t *recipient);
/* What holds a recipient up: cause, whose fault, where, what to do, each on a line of its own. */
void mail_print_cause(struct cli *c, const json_t *recipient);
/* How a message came: id, size, when, from where, with what TLS. */
void mail_print_message(struct cli *c, const json_t *message);
/* Its recipients, each with state and next try and what was said last, save of the one that
 * mail_print_cause() has `told` (may be NULL). */
void mail_print_recipients(struct cli *c, const json_t *message, const json_t *told);

#endif
