/* tls_context: what server and client contexts have in common. Only tls.c and tls_server.c use it. */
#ifndef CERT_TLS_CONTEXT_H
#define CERT_TLS_CONTEXT_H

#include <openssl/ssl.h>

/* A context with the rules at the top of tls.h. Never NULL. */
SSL_CTX *tls_context_new(const SSL_METHOD *method);

#endif
