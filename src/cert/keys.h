/* keys: the logic of the role `keys`: a folder of private keys that are made, put in and used here,
 * and never shown.
 *
 * Owns   the folder: one file per key, named by its key id, unencrypted PKCS#8 PEM, mode 0600
 * Rules  K1  a key's file appears whole or not at all, synced with its folder before it is named
 *        K2  nobody gets a private half; the functions below have no way to return one
 *        K3  an edge gets signatures under handshakes only (sign_rule.h)
 *        K4  who may ask what is one table (keys_may)
 * One process owns the folder. Nothing here waits for another role. */
#ifndef CERT_KEYS_H
#define CERT_KEYS_H

#include "ask/ask_keys.h"
#include "ask/questions.h"
#include "base/err.h"

/* A self-signed certificate lives 825 days: the longest that all mail clients take, as Apple's refuse
 * longer ones even if the user trusts them by hand. Nobody's public authority issues more. */
enum { SELF_SIGNED_DAYS = 825, SELF_SIGNED_DAYS_MAX = 3650 };

struct keys;

/* Takes over a descriptor of the folder; files left behind by an interrupted write are removed.
 * NULL with *err; the descriptor is closed then. */
struct keys *keys_open(int folder, struct err *err);
/* Closes the folder and wipes what was held. NULL is allowed. */
void keys_close(struct keys *k);

/* The next four return 0 with *ret, whose texts are in `arena`, or -1 with *err.
 *
 * Makes a key pair of the type "p256", "rsa2048", "rsa3072", "rsa4096" or "ed25519" and keeps it. */
int keys_make(struct keys *k, struct str type, struct arena *arena, struct ask_key_answer *ret,
	struct err *err);
/* Keeps a private key that came from elsewhere (key_read() says in which forms; unencrypted). The
 * same key again is no error. Weak, damaged and unknown ones are refused with the reason. */
int keys_put(struct keys *k, struct str bytes, struct arena *arena, struct ask_key_answer *ret,
	struct err *err);
/* A certificate for q->name, a host name or address literal, signed by its own key: subjectAltName,
 * and common name if it is short enough; for TLS servers only. Good for q->days, at most
 * SELF_SIGNED_DAYS_MAX; 0: SELF_SIGNED_DAYS. */
int keys_self_sign(struct keys *k, const struct ask_self_sign *q, struct arena *arena,
	struct ask_self_sign_answer *ret, struct err *err);
/* Signs the text of a handshake (K3) with the key q->key_id; sign_rule.h says what it may be. */
int keys_sign(struct keys *k, const struct ask_sign *q, struct arena *arena,
	struct ask_sign_answer *ret, struct err *err);

/* True if the role of this name may ask this. */
bool keys_may(const char *role, enum ask_kind kind);
/* An ask_handler; arg is the struct keys. Who asks is the link's name, which `serve` gave. */
void keys_answer(struct ask_question *q, void *keys);

#endif
