#include "store/certificates.h"

#include <fcntl.h>
#include <unistd.h>

#include "ask/ask_keys.h"
#include "ask/questions.h"
#include "base/log.h"
#include "io/body.h"
#include "store/admin_verbs.h"

enum { ASK_MS = 30 * 1000, CHAIN_BYTES_MAX = 256 * 1024 };

static const char key_type[] = "p256";

/* Commits `c` as a change of its own, and hands it out. */
static int add(struct admin *a, const struct site_certificate *c, struct str who,
	struct arena *arena, struct err *err)
{
	if (admin_change_begin(a, who, err) < 0)
		return -1;
	if (site_put_certificate(a->db, c, err) < 0) {
		admin_change_abandon(a);
		return -1;
	}
	return admin_change_finish(a, arena, err);
}

/* A certificate for *.example.org serves mail.example.org too. */
static bool serves(const struct site *s, struct str name)
{
	ptrdiff_t dot = str_find(name, '.');
	for (size_t i = 0; i < s->conf->certificate_count; i++) {
		struct str rest = s->conf->certificates[i].names, served;
		while (str_split(&rest, ' ', &served))
			if (str_eq_nocase(served, name) ||
				(dot > 0 && str_starts(served, STR("*.")) &&
					str_eq_nocase(str_skip(served, 1), str_skip(name, (size_t)dot))))
				return true;
	}
	return false;
}

/* A new key and a certificate that signs itself. */
static int make(struct admin *a, struct str name, struct arena *arena, struct site_certificate *ret,
	struct err *err)
{
	struct ask_key_make wanted = {.type = str_from_c(key_type)};
	struct ask_key_answer key = {0};
	struct ask_self_sign_answer signed_one = {0};
	if (ask_put(a->keys, ASK_KEY_MAKE, xfer_ask_key_make, &wanted, NULL, xfer_ask_key_answer, &key,
			NULL, ASK_MS, arena, err) < 0)
		return -1;
	struct ask_self_sign sign = {.key_id = key.key_id, .name = name};
	if (ask_put(a->keys, ASK_SELF_SIGN, xfer_ask_self_sign, &sign, NULL, xfer_ask_self_sign_answer,
			&signed_one, NULL, ASK_MS, arena, err) < 0)
		return -1;
	*ret =
		(struct site_certificate){.facts = signed_one.facts, .chain = signed_one.certificate_pem};
	return 0;
}

int certificates_ensure(struct admin *a, struct str who, struct err *err)
{
	struct site_certificate c = {0};
	struct arena *arena = arena_new();
	struct str name = arena_dup(arena, a->site->conf->hostname);
	int r = 0;
	if (!serves(a->site, name)) {
		r = make(a, name, arena, &c, err);
		if (r == 0)
			r = add(a, &c, who, arena, err);
		if (r == 0) {
			log_info(
				"certificate.made", "name=%.*s key=%.*s", STR_ARG(name), STR_ARG(c.facts.key_id));
			r = 1;
		}
	}
	arena_free(arena);
	return r;
}

/* Has a worker of its own read the pile. fds[0]: the chain, fds[1]: the key. */
static int read_pile(struct admin *a, int pile, struct ask_pile *question, struct arena *arena,
	struct ask_pile_answer *ret, int ret_fds[ASK_FDS], struct err *err)
{
	int worker[ASK_FDS];
	if (ask_put(a->serve, ASK_WORKER, NULL, NULL, NULL, NULL, NULL, worker, ASK_MS, arena, err) < 0)
		return -1;
	if (worker[0] < 0)
		return err_temp(err, "no import worker", "serve gave no import worker");
	struct ask_link *link = ask_link_new(worker[0], "import", NULL, NULL, NULL);
	int fds[ASK_FDS] = {pile, -1};
	int r = ask_put(link, ASK_PILE, xfer_ask_pile, question, fds, xfer_ask_pile_answer, ret,
		ret_fds, ASK_MS, arena, err);
	ask_link_free(link);
	return r;
}

/* The chain and the key become ours: keys has the key, *c the chain. */
static int take_pair(struct admin *a, const int fds[ASK_FDS], const struct certificate_facts *facts,
	struct arena *arena, struct site_certificate *c, struct err *err)
{
	struct ask_key_answer key = {0};
	struct str chain;
	if (fds[0] < 0 || fds[1] < 0)
		return err_temp(err, "import failed", "import gave no chain or no key");
	if (facts->names.n == 0)
		return err_say(err,
			"the certificate names no host (it has no subjectAltName with a DNS "
			"name), so no client would accept it; have it issued again with one");
	if (body_map(fds[0], CHAIN_BYTES_MAX, &chain, err) < 0)
		return -1;
	c->chain = arena_dup(arena, chain);
	c->facts = *facts;
	body_unmap(chain);
	const int key_fds[ASK_FDS] = {fds[1], -1};
	if (ask_put(a->keys, ASK_KEY_PUT, NULL, NULL, key_fds, xfer_ask_key_answer, &key, NULL, ASK_MS,
			arena, err) < 0)
		return -1;
	if (!str_eq(key.key_id, facts->key_id))
		return err_say(err, "the private key does not belong to the certificate");
	return 0;
}

int certificates_import(struct admin *a, int pile, struct ask_pile *question, struct str who,
	struct arena *arena, struct ask_pile_answer *ret, struct err *err)
{
	struct site_certificate c = {0};
	int fds[ASK_FDS] = {-1, -1};
	int r = read_pile(a, pile, question, arena, ret, fds, err);
	if (r == 0)
		r = take_pair(a, fds, &ret->facts, arena, &c, err);
	if (r == 0)
		r = add(a, &c, who, arena, err);
	for (int i = 0; i < ASK_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (r == 0)
		log_info("certificate.imported", "thumbprint=%.*s names=%.*s", STR_ARG(c.facts.thumbprint),
			STR_ARG(c.facts.names));
	return r;
}
