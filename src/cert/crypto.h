/* crypto: how this program uses libcrypto: set up without any file, and with the thread's error
 * queue empty whenever a function of ours returns (fiber.h, F1). */
#ifndef CERT_CRYPTO_H
#define CERT_CRYPTO_H

#include <stdbool.h>

/* Sets libcrypto up with its default provider. The system's openssl.cnf is not read, so the
 * strength of what we accept does not depend on it, and nothing is opened behind a wall. Later calls
 * do nothing. Ends the process if the library cannot be used. */
void crypto_init(void);

/* For processes in which private keys are: before crypto_init() and any other use of libcrypto. What
 * the library gives back is overwritten from then on, and the numbers of keys are in memory that stands
 * in no core dump and, if this returns true, goes to no swap (false: the limit of locked memory, ulimit
 * -l, is below CRYPTO_LOCKED). What RSA keeps beside them to be quick is in ordinary memory. */
enum { CRYPTO_LOCKED = 4 * 1024 * 1024 };
bool crypto_guard(void);

/* Loads an OpenSSL provider until the process ends. False if OpenSSL refuses (its queue says why). */
bool crypto_load(const char *provider);

enum { CRYPTO_TEXT = 160 };
/* Takes all errors off the queue and writes the reason of the oldest into dst ("wrong tag"), with
 * its data if it has any; "unknown reason" if the queue was empty. Returns dst. */
const char *crypto_drain(char dst[CRYPTO_TEXT]);

#endif
