/* http_gate: what evhttp lets through and must not be believed: requests whose length or origin two
 * readers could see differently (RFC 9112 3.2, 6.1, 6.3). Each refusal closes the connection. */
#ifndef ROLE_HTTP_GATE_H
#define ROLE_HTTP_GATE_H

#include <event2/http.h>

/* NULL: the request may go on; else what is wrong with it, one sentence for the client. */
const char *http_gate(const struct evkeyvalq *headers);

#endif
