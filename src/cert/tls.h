/* tls: the contexts of TLS sessions, what a peer's certificate is worth, and how both are told.
 *
 * Rules that hold for every context (DESIGN section 12): no renegotiation, no 0-RTT, no compression,
 * no session cache; buffers are given back while idle; an end of the stream without close_notify is
 * an end, no error. The system's openssl.cnf is not read: what applies stands here. Contexts are
 * built once per revision of the settings and shared by sessions; free them with SSL_CTX_free(),
 * sessions hold on to theirs. All functions leave the thread's OpenSSL error queue empty. */
#ifndef CERT_TLS_H
#define CERT_TLS_H

#include "ask/record.h"
#include "conf/conf.h"
#include "io/ask.h"

struct ssl_st;      /* SSL */
struct ssl_ctx_st;  /* SSL_CTX */
struct evp_pkey_st; /* EVP_PKEY */

/* Sets OpenSSL up, without any file; call it before the walls close. Later calls do nothing. The
 * contexts below call it too. Ends the process if the library cannot be used at all. */
void tls_init(void);

/* ---- server ---------------------------------------------------------------------------------- */

/* A context for all of conf->certificates: TLS 1.2 and 1.3, ECDHE with AEAD ciphers. The first
 * one for conf->hostname serves peers that send no name or an unknown one (RFC 6066 3: we go on), the
 * first one if there is none; the others are chosen by SNI and conf_certificate.names, exact names
 * before wildcards, a wildcard for one whole left-most label; the first certificate that has a name
 * and can be used serves it. Each is tried: the chain read, a text signed by `keys`. *faults (may be
 * NULL) gets a line about each that failed.
 *
 * Private keys stay in `keys`: each handshake asks ASK_SIGN over *keys, so the fiber waits in
 * SSL_accept(). *keys is read at each signature and may be replaced or NULL (the handshake then
 * fails); the pointer itself must outlive the context. The context copies what it needs of `conf`.
 *
 * TLS 1.3 sends no session tickets: a ticket key must be shared by the edges of a listener group and
 * rotate, so it has to come from `keys`; until it does, every handshake is a full one.
 * NULL with *err if there is no certificate that can be used. */
struct ssl_ctx_st *tls_server_context(
	const struct conf *conf, struct ask_link **keys, struct buf *faults, struct err *err);
/* Tries one certificate. 0, or -1 with *err: which one, and why it cannot serve. */
int tls_server_prove(const struct conf_certificate *c, struct ask_link **keys, struct err *err);

/* The same with one certificate whose private key is at hand: for tests and peers of tests. `chain`
 * is PEM, leaf first. The key stays the caller's. */
struct ssl_ctx_st *tls_server_context_with_key(
	struct str chain, struct evp_pkey_st *key, struct err *err);

/* ---- client ---------------------------------------------------------------------------------- */

/* A context for one outbound level. The handshake never fails for the sake of the certificate: the
 * peer's chain is checked and the faults noted, tls_peer_verdict() tells them, and whoever wants
 * TLS_VERIFY closes before any mail. `anchors` is PEM, any number of certificates, text around them
 * is skipped; each is trusted as it is, an intermediate or a leaf too. Empty: nothing is trusted.
 *
 *   TLS_MAY      TLS 1.0 up, security level 0, legacy servers
 *   TLS_ENCRYPT  TLS 1.2 up, no verdict asked for
 *   TLS_VERIFY   TLS 1.2 up
 *
 * NULL with *err if `anchors` holds a damaged certificate (its number is named), or none although
 * it is not empty. Building one from the system's file takes 35 ms: keep it. */
struct ssl_ctx_st *tls_client_context(enum tls_level level, struct str anchors, struct err *err);
/* Number of anchors in a client context. */
unsigned tls_client_anchors(const struct ssl_ctx_st *ctx);

/* stream_prepare_tls for stream_connect_tls() with a context of tls_client_context(); arg is a
 * `const struct str *` with the host to name: it is sent as SNI unless it is an address or empty.
 * (Pass the same or nothing as `sni`.) Sets the time of the check from base/clock.h. */
int tls_client_prepare(struct ssl_st *ssl, void *host, struct err *err);

/* ---- what a handshake gave --------------------------------------------------------------------- */

/* What the peer's certificate is worth. */
struct tls_verdict {
	const char *cause; /* NULL: verified; else an id of mail/cause.c, the worst of all faults */
	char text[512];    /* one line: "verified", or all faults, worst first, separated by "; " */
};
/* Judges the chain the peer presented, its dates, and its names against `host`, each on its own:
 *
 *   tls.invalid-chain   a signature does not fit, or a certificate may not sign or serve TLS
 *   tls.self-signed     the peer's own certificate is self-signed and no anchor
 *   tls.untrusted-root  the chain ends in a root that is no anchor
 *   tls.incomplete-chain  a certificate between the peer's and its root was not sent
 *   tls.expired, tls.not-yet-valid  any certificate of the chain
 *   tls.name-mismatch   no subjectAltName fits `host`
 *
 * worst first in this order. Names after RFC 9525: dNSName only, the common name is never looked at;
 * a wildcard stands for one whole left-most label; an address literal ("192.0.2.1", "[IPv6:…]" or
 * bare) is compared with iPAddress only. A client context only, after its handshake. */
void tls_peer_verdict(struct ssl_st *ssl, struct str host, struct tls_verdict *ret);

/* "TLSv1.3 TLS_AES_256_GCM_SHA384", in `arena`. */
struct str tls_text(const struct ssl_st *ssl, struct arena *arena);
/* Adds EVENT_TLS (version, cipher, group, SNI) and, for a client, one EVENT_CERTIFICATE per depth
 * of the chain as presented ("0 s:CN=… i:CN=… 2026-01-01 to 2027-01-01 sha256=…"). */
void tls_describe(const struct ssl_st *ssl, struct record *r);

#endif
