/* keys: main of the role that keeps private keys; what it does stands in cert/keys.c. Its walls leave
 * it one folder and no network. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cert/crypto.h"
#include "cert/keys.h"
#include "role/start.h"

static void forget_link(struct ask_link *link, void *arg)
{
	(void)arg;
	ask_link_free(link);
}

/* The name of the link is what cert/keys.c judges by: `serve` says who is at the far end. */
static void take_link(struct role *r, const struct ask_link_peer *peer, int fd)
{
	char name[32];
	ask_link_new(fd, str_to_c(peer->role, name, sizeof name), keys_answer, forget_link, r->arg);
}

/* Opened behind the walls, so with the rights that are left. */
static struct keys *open_folder(const struct role *r)
{
	static char path[sizeof r->home + sizeof "/keys"];
	struct err err;
	snprintf(path, sizeof path, "%s/keys", r->home);
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0) {
		log_error("keys.start", "%s: %s", path, strerror(errno));
		return NULL;
	}
	struct keys *keys = keys_open(folder, &err);
	if (!keys)
		log_error("keys.start", "%s", err.log);
	return keys;
}

int main(void)
{
	static const struct role_calls calls = {.link = take_link};
	static struct role r = {.name = "keys", .calls = &calls};
	role_hello(&r);
	crypto_init();
	role_walls(&r);
	r.arg = open_folder(&r);
	if (!r.arg)
		role_exit(&r, 1);
	role_loop(&r);
}
