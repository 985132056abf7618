/* serve_look: how all roles are, for whoever watches (serve_look.c). */
#ifndef ROLE_SERVE_LOOK_H
#define ROLE_SERVE_LOOK_H

#include "role/serve.h"

/* Answers ASK_GATHER: what each role says of itself, serve too. */
void serve_gather(struct serve *s, struct ask_question *q);

#endif
