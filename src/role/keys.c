/* keys: main of the role that keeps private keys; what it does stands in cert/keys.c. Its walls leave
 * it one folder and no network. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

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

/* The folder it sees is that of the keys. Opened behind the walls, so with the rights that are left. */
static struct keys *open_folder(struct err *err)
{
	int folder = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0) {
		err_say(err, "the folder of the keys: %s", strerror(errno));
		return NULL;
	}
	return keys_open(folder, err);
}

int main(void)
{
	static const struct role_calls calls = {.link = take_link};
	static struct role r = {.name = "keys", .calls = &calls};
	struct err err;
	role_hello(&r);
	if (!crypto_guard())
		r.missing = "memlock";
	crypto_init();
	role_walls(&r);
	r.arg = open_folder(&err);
	if (!r.arg)
		role_fail(&r, &err);
	role_loop(&r);
}
