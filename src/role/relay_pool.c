#include "role/relay_pool.h"

#include <assert.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "cert/tls.h"
#include "io/fiber.h"

/* ---- idle connections ---- */

struct idle {
	struct idle *next;
	struct smtp_client *client;
	int64_t until_ms; /* steady clock */
	struct str key;   /* behind the struct */
};

struct relay_pool {
	struct idle *first; /* the one that came last */
	unsigned count;
	struct fiber *watcher; /* closes what is over; NULL: there is nothing to watch */
};

struct relay_pool *relay_pool_new(void)
{
	return mem_new(sizeof(struct relay_pool));
}

void relay_pool_free(struct relay_pool *p)
{
	assert(!p->first && !p->watcher);
	free(p);
}

/* Takes one out of the list and gives its connection. */
static struct smtp_client *take_out(struct relay_pool *p, struct idle **at)
{
	struct idle *idle = *at;
	struct smtp_client *client = idle->client;
	*at = idle->next;
	p->count--;
	free(idle);
	return client;
}

struct smtp_client *relay_pool_take(struct relay_pool *p, struct str key)
{
	for (struct idle **at = &p->first; *at; at = &(*at)->next)
		if (str_eq((*at)->key, key))
			return take_out(p, at);
	return NULL;
}

static struct idle **ends_first(struct relay_pool *p)
{
	struct idle **first = &p->first;
	for (struct idle **at = first; *at; at = &(*at)->next)
		if ((*at)->until_ms <= (*first)->until_ms)
			first = at;
	return first;
}

/* Lives as long as there is something to watch. The list may change whenever it waits. */
static void watch(void *arg)
{
	struct relay_pool *p = arg;
	while (p->first) {
		struct idle **at = ends_first(p);
		int64_t left = (*at)->until_ms - clock_steady_ms();
		if (left <= 0)
			smtp_client_close(take_out(p, at));
		else
			fiber_park("for idle connections to run out", left);
	}
	p->watcher = NULL;
}

void relay_pool_put(
	struct relay_pool *p, struct str key, struct smtp_client *client, int64_t idle_ms)
{
	struct idle *idle = mem_new(sizeof *idle + key.n);
	*idle = (struct idle){.next = p->first,
		.client = client,
		.until_ms = clock_steady_ms() + idle_ms,
		.key = str_make((char *)(idle + 1), key.n)};
	memcpy(idle + 1, key.p, key.n);
	p->first = idle;
	p->count++;
	if (p->count > RELAY_IDLE_MAX)
		smtp_client_close(take_out(p, ends_first(p)));
	if (p->watcher)
		fiber_wake(p->watcher);
	else
		p->watcher = fiber_start("idle", watch, p);
}

void relay_pool_clear(struct relay_pool *p)
{
	while (p->first)
		smtp_client_close(take_out(p, &p->first));
	if (p->watcher)
		fiber_wake(p->watcher);
}

/* ---- TLS contexts ---- */

enum { CONTEXTS_MAX = 100 }; /* of connectors with anchors of their own */

struct relay_tls {
	SSL_CTX *may, *encrypt, *verify;
	struct map *connectors; /* anchors as PEM -> SSL_CTX */
};

struct relay_tls *relay_tls_new(void)
{
	struct relay_tls *t = mem_new(sizeof *t);
	t->connectors = map_new();
	return t;
}

static void free_context(void *ctx)
{
	SSL_CTX_free(ctx);
}

void relay_tls_free(struct relay_tls *t)
{
	SSL_CTX_free(t->may);
	SSL_CTX_free(t->encrypt);
	SSL_CTX_free(t->verify);
	map_free(t->connectors, free_context);
	free(t);
}

int relay_tls_trust(struct relay_tls *t, struct str anchors, unsigned *ret_count, struct err *err)
{
	SSL_CTX *verify = tls_client_context(TLS_VERIFY, anchors, err);
	if (!verify)
		return -1;
	SSL_CTX_free(t->verify);
	t->verify = verify;
	*ret_count = tls_client_anchors(verify);
	return 0;
}

static SSL_CTX *connector_context(struct relay_tls *t, struct str trust, struct err *err)
{
	SSL_CTX *ctx = map_get(t->connectors, trust);
	if (ctx)
		return ctx;
	ctx = tls_client_context(TLS_VERIFY, trust, err);
	if (!ctx)
		return NULL;
	/* Connectors are changed by hand; whoever reaches this many has forgotten none of worth. */
	if (map_count(t->connectors) >= CONTEXTS_MAX) {
		map_free(t->connectors, free_context);
		t->connectors = map_new();
	}
	map_put(t->connectors, trust, ctx);
	return ctx;
}

struct ssl_ctx_st *relay_tls_context(
	struct relay_tls *t, enum tls_level level, struct str connector_trust, struct err *err)
{
	if (level == TLS_VERIFY && connector_trust.n)
		return connector_context(t, connector_trust, err);
	SSL_CTX **ctx = level == TLS_MAY ? &t->may : level == TLS_ENCRYPT ? &t->encrypt : &t->verify;
	if (!*ctx)
		*ctx = tls_client_context(level, STR(""), err);
	return *ctx;
}
