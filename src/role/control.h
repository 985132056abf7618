/* control: the admin API on the local socket, for the edge of the group "control". HTTP/1.1:
 *
 *   POST /v1/<verb>            the body is a JSON object with the arguments, or empty
 *   POST /v1/<verb>            with a header Letterlock-Args (the JSON object): the body is raw bytes
 *
 * Each request runs in a fiber and becomes one ASK_ADMIN; nothing in it is looked into here. Who may
 * do what is decided by store, which reads the caller's credentials from the connection itself. */
#ifndef ROLE_CONTROL_H
#define ROLE_CONTROL_H

#include "io/ask.h"

struct control;

/* Before any other use of libevent: what it gives back is overwritten, since a request may hold a
 * private key or a passphrase. */
void control_guard(void);
/* After loop_init(). */
struct control *control_new(void);
/* The link to store; NULL while there is none: requests are answered 503. */
void control_set_store(struct control *c, struct ask_link *store);
/* Serves on a listening unix socket, which it takes over. 0, or -1 with *err. */
int control_listen(struct control *c, int fd, struct err *err);
/* Takes no more connections. Requests that run are answered if the process lives long enough. */
void control_stop(struct control *c);
/* Requests that are not answered yet. */
unsigned control_busy(const struct control *c);
/* Tests; a role ends with its process. No request may be under way. */
void control_free(struct control *c);

#endif
