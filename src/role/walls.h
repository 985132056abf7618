/* walls: what each role may touch, in one table (walls.c), put up by the role's main before it reads
 * the first byte from outside. test/walls tries each of them. */
#ifndef ROLE_WALLS_H
#define ROLE_WALLS_H

#include "io/sandbox.h"

enum walls_view {
	VIEW_ALL,   /* names of files everywhere: what they hold is Landlock's */
	VIEW_EMPTY, /* a folder that was removed already */
	VIEW_KEYS,  /* the keys and nothing else */
};

struct walls {
	const char *role;     /* "serve", "edge", "store", "relay", "keys", "import" */
	enum walls_view view; /* what it sees of the file system */
	/* Absolute, or below the home, or "." for the folder it sees; ends with a NULL path. */
	struct sandbox_path paths[6];
	unsigned net;   /* enum sandbox_net */
	unsigned calls; /* enum sandbox_calls */
	uint64_t keep;  /* capabilities, if started with them */
	bool outlives;  /* its parent: serve, which others start */
};

/* NULL if there is no such role. */
const struct walls *walls_find(const char *role);

/* What serve starts a role of this view with: a descriptor that the caller closes, or -1 (VIEW_ALL; or
 * with *err). */
int walls_view(enum walls_view view, const char *home, struct err *err);

/* Puts up the walls of `role`, in order: view (`view` is what walls_view() gave, or -1); uid, gid and
 * capabilities; files and ports; system calls. `home` is absolute; roles without files ignore it (may
 * be NULL). uid 0: none of its own. Folders in the table must exist. Names what this machine cannot give in *missing (sandbox.h). 0, or -1 with
 * *err: the role must not go on. Before it: open what is outside (log), let libraries read their own
 * files (OpenSSL's configuration, the time zone). After it threads may be started. */
int walls_up(const char *role, const char *home, int view, uint32_t uid, uint32_t gid,
	enum sandbox_mode mode, struct buf *missing, struct err *err);

#endif
