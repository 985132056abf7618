/* socket: one HTTP request to the daemon over HOME/control.sock. */
#ifndef CLI_SOCKET_H
#define CLI_SOCKET_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum socket_result {
	SOCKET_ANSWER,
	SOCKET_DOWN,  /* nobody listens: the daemon does not run */
	SOCKET_FAILED /* *err says */
};

/* Asks `verb` with `args` (JSON) and, unless NULL, *raw as the raw body. With SOCKET_ANSWER *ret_status
 * is the HTTP status and *ret_body the body, in `arena`. */
enum socket_result socket_ask(const char *home, const char *verb, struct str args,
	const struct str *raw, struct arena *arena, unsigned *ret_status, struct str *ret_body,
	struct err *err);

/* What a server said, cut into status and body: the whole of `bytes` must be one answer with a
 * Content-Length. -1 with *err: it is not, or was cut off. */
int socket_parse(struct str bytes, unsigned *ret_status, struct str *ret_body, struct err *err);

#endif
