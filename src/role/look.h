/* look: what a process tells of itself when somebody watches (ask/ask_look.h). */
#ifndef ROLE_LOOK_H
#define ROLE_LOOK_H

#include "ask/ask_look.h"

/* What a role has to tell beside what every process has; NULL: nothing. `arg` is the role's own. */
typedef void look_fn(struct look_numbers *l, void *arg);
/* For it. The name is a literal; what finds no room is left out. */
void look_number(struct look_numbers *l, const char *name, uint64_t value);
void look_rate(struct look_numbers *l, const char *name, struct meter *m);

/* Packs what was asked for into *out. */
void look_pack(enum look what, look_fn *own, void *arg, struct buf *out);

#endif
