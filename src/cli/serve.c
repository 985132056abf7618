#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "store/site.h"

/* The supervisor stands beside us in a build folder (build/libexec/letterlock/serve), and next to the
 * folder of programs once installed (bin/, libexec/letterlock/). */
static const char *find_serve(struct cli *c)
{
	static const char *const places[] = {"libexec/letterlock", "../libexec/letterlock"};
	char *self = realpath("/proc/self/exe", NULL);
	if (!self)
		return NULL;
	struct str folder = str_take(str_from_c(self), (size_t)(strrchr(self, '/') - self));
	const char *found = NULL;
	for (size_t i = 0; i < sizeof places / sizeof *places && !found; i++) {
		const char *path = arena_fmt(c->arena, "%.*s/%s/serve%c", STR_ARG(folder), places[i], 0).p;
		if (access(path, X_OK) == 0)
			found = path;
	}
	free(self);
	return found;
}

int cli_serve(struct cli *c)
{
	const char *walls = cli_value(c, "--walls");
	const char *site = arena_fmt(c->arena, "%s/" SITE_DB "%c", c->home, 0).p;
	const char *serve = find_serve(c);
	const char *argv[] = {
		"letterlock-serve", "--home", c->home, walls ? "--walls" : NULL, walls, NULL};
	if (access(site, F_OK) < 0)
		return cli_fail(c, "no-home",
			"%s holds no installation; make one with: letterlock setup --home %s --hostname NAME",
			c->home, c->home);
	if (!serve)
		return cli_fail(c, "failed",
			"libexec/letterlock/serve is neither beside this program nor beside its folder");
	execv(serve, (char **)argv);
	return cli_fail(c, "failed", "%s: %s", serve, strerror(errno));
}
