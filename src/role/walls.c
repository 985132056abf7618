/* walls: see walls.h. Read the table beside DESIGN section 2. */
#include "role/walls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "store/db.h"

#define CAPABILITY(name) (UINT64_C(1) << (name))

static const struct walls walls_of_roles[] = {
	/* serve alone sees files outside the home (certificates, trust stores: read only) and starts the
	 * others. As root it keeps what binds low ports, reads others' files, hands files of the home to
	 * the roles' users and lets its children go over to them, each in a view of its own. */
	{.role = "serve",
		.paths = {{"/", SANDBOX_READ | SANDBOX_EXEC}, {"", SANDBOX_READ | SANDBOX_WRITE},
			{"/dev/null", SANDBOX_READ | SANDBOX_WRITE}},
		.net = SANDBOX_NET_CONNECT | SANDBOX_NET_BIND,
		.calls = CALLS_SPAWN | CALLS_THREADS,
		.keep = CAPABILITY(CAP_NET_BIND_SERVICE) | CAPABILITY(CAP_DAC_OVERRIDE) |
			CAPABILITY(CAP_CHOWN) | CAPABILITY(CAP_FOWNER) | CAPABILITY(CAP_KILL) |
			CAPABILITY(CAP_SETUID) | CAPABILITY(CAP_SETGID) | CAPABILITY(CAP_SETPCAP) |
			CAPABILITY(CAP_SYS_CHROOT),
		.outlives = true},
	{.role = "edge", .view = VIEW_EMPTY, .calls = CALLS_ACCEPT | CALLS_MEMFD},
	/* The databases stand in a folder of their own and not in the home, because Landlock grants a
	 * folder with all below it and takes nothing out again: a store that may make a journal in the
	 * home could read keys/. SQLite stirs /dev/urandom into its names of temporary files. It sees the
	 * names of all files, because it takes spool files by way of /proc/self/fd. */
	{.role = "store",
		.paths = {{DATA_FOLDER, SANDBOX_READ | SANDBOX_WRITE},
			{"spool", SANDBOX_READ | SANDBOX_WRITE}, {"/dev/urandom", SANDBOX_READ}},
		.calls = CALLS_FILES | CALLS_MEMFD | CALLS_THREADS},
	{.role = "relay",
		.view = VIEW_EMPTY,
		.net = SANDBOX_NET_CONNECT,
		.calls = CALLS_CONNECT | CALLS_MEMFD},
	{.role = "keys",
		.view = VIEW_KEYS,
		.paths = {{".", SANDBOX_READ | SANDBOX_WRITE}},
		.calls = CALLS_FILES | CALLS_MEMFD},
	{.role = "import", .view = VIEW_EMPTY, .calls = CALLS_MEMFD},
};

const struct walls *walls_find(const char *role)
{
	for (size_t i = 0; i < sizeof walls_of_roles / sizeof *walls_of_roles; i++)
		if (!strcmp(walls_of_roles[i].role, role))
			return &walls_of_roles[i];
	return NULL;
}

/* The table's paths, those below the home made absolute in `arena`. Returns how many. */
static size_t paths_of(
	const struct walls *w, const char *home, struct arena *arena, struct sandbox_path *ret)
{
	size_t n = 0;
	for (const struct sandbox_path *p = w->paths; p->path; p++, n++) {
		ret[n] = *p;
		if (p->path[0] != '/' && strcmp(p->path, ".") != 0)
			ret[n].path = arena_fmt(arena, "%s/%s", home, p->path).p;
	}
	return n;
}

/* A folder that nobody can ever put anything into. */
static int removed_folder(const char *home, struct arena *arena, struct err *err)
{
	char *path = (char *)(uintptr_t)arena_fmt(arena, "%s/.empty-XXXXXX%c", home, 0).p;
	int fd = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int why = errno;
	if (fd >= 0 && rmdir(path) == 0)
		return fd;
	if (fd >= 0) {
		why = errno;
		close(fd);
	}
	return err_temp(err, NULL, "no empty folder can be made in %s: %s", home, strerror(why));
}

static int keys_folder(const char *home, struct arena *arena, struct err *err)
{
	const char *path = arena_fmt(arena, "%s/keys%c", home, 0).p;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
		err_temp(err, NULL, "%s: %s", path, strerror(errno));
	else if (fd < 0)
		err_say(err, "%s: %s", path, strerror(errno));
	return fd;
}

int walls_view(enum walls_view view, const char *home, struct err *err)
{
	if (view == VIEW_ALL)
		return -1;
	struct arena *arena = arena_new();
	int fd = view == VIEW_KEYS ? keys_folder(home, arena, err) : removed_folder(home, arena, err);
	arena_free(arena);
	return fd;
}

int walls_up(const char *role, const char *home, int view, uint32_t uid, uint32_t gid,
	enum sandbox_mode mode, struct buf *missing, struct err *err)
{
	const struct walls *w = walls_find(role);
	if (!w)
		return err_say(err, "no walls are known for a role %s", role);
	if (view >= 0 && sandbox_view(view, missing, err))
		return -1;
	if (sandbox_drop(uid, gid, w->keep, missing, err))
		return -1;
	if (!w->outlives)
		sandbox_follow_parent();
	if (mode == SANDBOX_OFF) {
		buf_add_c(missing, missing->n ? " landlock seccomp" : "landlock seccomp");
		return 0;
	}
	struct arena *arena = arena_new();
	struct sandbox_path paths[sizeof w->paths / sizeof *w->paths];
	size_t n = paths_of(w, home, arena, paths);
	int failed = sandbox_files(paths, n, w->net, missing, err);
	arena_free(arena);
	return failed ? -1 : sandbox_calls(w->calls, mode, missing, err);
}
