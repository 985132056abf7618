/* relay_pool: connections that wait for another message, and TLS contexts that are built once. Both
 * are found by everything that was checked or promised when they were made. */
#ifndef ROLE_RELAY_POOL_H
#define ROLE_RELAY_POOL_H

#include "smtp/smtp_client.h"

/* ---- idle connections */

enum { RELAY_IDLE_MAX = 200 };

struct relay_pool;
struct relay_pool *relay_pool_new(void);
/* After relay_pool_clear() and a turn of the loop. */
void relay_pool_free(struct relay_pool *p);
/* The connection with this key that came last; the caller owns it then. NULL if there is none. */
struct smtp_client *relay_pool_take(struct relay_pool *p, struct str key);
/* Takes the connection over, closes it after `idle_ms` without use, or when there are more than
 * RELAY_IDLE_MAX. In a fiber. */
void relay_pool_put(
	struct relay_pool *p, struct str key, struct smtp_client *client, int64_t idle_ms);
/* Closes all: settings or trust changed. In a fiber. */
void relay_pool_clear(struct relay_pool *p);

/* ---- TLS contexts */

struct relay_tls;
struct relay_tls *relay_tls_new(void);
void relay_tls_free(struct relay_tls *t);
/* The anchors of trust.store, as PEM. -1 with *err if they hold a damaged certificate: the old ones
 * stay (P2). *ret_count says how many there are. */
int relay_tls_trust(struct relay_tls *t, struct str anchors, unsigned *ret_count, struct err *err);
/* The context for a level, and for TLS_VERIFY with the connector's anchors, or those of trust.store
 * if it has none. Stays ours; a session that uses it holds on to it. NULL with *err. */
struct ssl_ctx_st *relay_tls_context(
	struct relay_tls *t, enum tls_level level, struct str connector_trust, struct err *err);

#endif
