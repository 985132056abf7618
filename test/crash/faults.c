#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { FILES_MAX = 4096, PATH_KEPT = 256, KILLED = 137 };

static struct fault_rule *rules;
static char program[PATH_KEPT]; /* its file's name: argv[0] may be another */
/* How each descriptor was opened. Two threads never open and close one number at a time. */
static char opened[FILES_MAX][PATH_KEPT];

/* Before the walls, and before the role forgets its environment. */
__attribute__((constructor)) static void read_rules(void)
{
	const char *path = getenv("FAULTS");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *p = (void *)syscall(
		SYS_mmap, NULL, FAULT_RULES * sizeof *rules, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		rules = p;
	syscall(SYS_close, fd);
	char exe[PATH_KEPT];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	exe[n > 0 ? n : 0] = 0;
	const char *slash = strrchr(exe, '/');
	snprintf(program, sizeof program, "%s", slash ? slash + 1 : exe);
}

/* ---- what a call is about --------------------------------------------------------------------- */

static const char *path_of(int fd)
{
	return fd >= 0 && fd < FILES_MAX ? opened[fd] : "";
}

static void note_path(int fd, const char *path)
{
	if (fd >= 0 && fd < FILES_MAX)
		snprintf(opened[fd], PATH_KEPT, "%s", path);
}

/* A path as its opener would write it out; a descriptor opened once more is the same file. */
static void full_path(int dirfd, const char *path, bool unnamed, char dst[PATH_KEPT])
{
	int fd;
	const char *dir = path[0] == '/' ? "" : path_of(dirfd);
	if (sscanf(path, "/proc/self/fd/%d", &fd) == 1)
		snprintf(dst, PATH_KEPT, "%s", path_of(fd));
	else
		snprintf(dst, PATH_KEPT, "%s%s%s%s", dir, *dir ? "/" : "", path, unnamed ? " unnamed" : "");
}

/* ---- striking --------------------------------------------------------------------------------- */

static bool fits(const struct fault_rule *r, const char *call, const char *about)
{
	return __atomic_load_n(&r->armed, __ATOMIC_ACQUIRE) && strcmp(r->call, call) == 0 &&
		strcmp(r->role, program) == 0 && fnmatch(r->pattern, about, 0) == 0;
}

static _Noreturn void die(void)
{
	for (;;)
		syscall(SYS_exit_group, KILLED);
}

static void stall(uint32_t ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
	if (ms)
		syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &t, NULL);
}

/* The rule that strikes now, or NULL. Ends the process if it is to end before the call. */
static const struct fault_rule *strike(const char *call, const char *about)
{
	int saved = errno;
	for (struct fault_rule *r = rules; r && r < rules + FAULT_RULES; r++) {
		if (!fits(r, call, about))
			continue;
		uint32_t seen = __atomic_fetch_add(&r->seen, 1, __ATOMIC_ACQ_REL);
		if (seen < r->skip || seen - r->skip >= r->times)
			continue;
		__atomic_fetch_add(&r->hits, 1, __ATOMIC_ACQ_REL);
		stall(r->stall_ms);
		if (r->act == FAULT_DIE_BEFORE)
			die();
		errno = r->error;
		return r;
	}
	errno = saved;
	return NULL;
}

/* The result of a call that a rule struck without making it: a lie says `good`. */
static long struck(const struct fault_rule *r, long good)
{
	return r->act == FAULT_LIE ? good : -1;
}

/* Whether the call is made: no rule, or one that ends the process after it. */
static bool is_made(const struct fault_rule *r)
{
	return !r || r->act == FAULT_DIE_AFTER;
}

static long after(const struct fault_rule *r, long result)
{
	if (r)
		die();
	return result;
}

/* ---- files ------------------------------------------------------------------------------------ */

static int open_instead(int dirfd, const char *path, int flags, mode_t mode)
{
	char about[PATH_KEPT];
	full_path(dirfd, path, (flags & O_TMPFILE) == O_TMPFILE, about);
	const struct fault_rule *r = strike("open", about);
	if (!is_made(r))
		return (int)struck(r, -1);
	int fd = (int)after(r, syscall(SYS_openat, dirfd, path, flags, mode));
	note_path(fd, about);
	return fd;
}

#include "preload_open.h"

int close(int fd)
{
	note_path(fd, "");
	return (int)syscall(SYS_close, fd);
}

static ssize_t write_at(int fd, const void *p, size_t n, off_t at)
{
	const struct fault_rule *r = strike("write", path_of(fd));
	size_t wanted = r && r->act == FAULT_HALF ? n / 2 : n;
	if (!is_made(r) && r->act != FAULT_HALF)
		return struck(r, (long)n);
	ssize_t done =
		at < 0 ? syscall(SYS_write, fd, p, wanted) : syscall(SYS_pwrite64, fd, p, wanted, at);
	if (r && r->act == FAULT_HALF) {
		errno = r->error;
		return -1;
	}
	return after(r, done);
}

ssize_t write(int fd, const void *p, size_t n)
{
	return write_at(fd, p, n, -1);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return write_at(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	return write_at(fd, p, n, at);
}

static ssize_t read_at(int fd, void *p, size_t n, off_t at)
{
	const struct fault_rule *r = strike("read", path_of(fd));
	return is_made(r) ? after(r, syscall(SYS_pread64, fd, p, n, at)) : struck(r, 0);
}

ssize_t pread(int fd, void *p, size_t n, off_t at)
{
	return read_at(fd, p, n, at);
}

ssize_t pread64(int fd, void *p, size_t n, off64_t at)
{
	return read_at(fd, p, n, at);
}

static int sync_by(long call, int fd)
{
	const struct fault_rule *r = strike("sync", path_of(fd));
	return (int)(is_made(r) ? after(r, syscall(call, fd)) : struck(r, 0));
}

int fsync(int fd)
{
	return sync_by(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return sync_by(SYS_fdatasync, fd);
}

static int truncate_to(int fd, off_t size)
{
	const struct fault_rule *r = strike("truncate", path_of(fd));
	return (int)(is_made(r) ? after(r, syscall(SYS_ftruncate, fd, size)) : struck(r, 0));
}

int ftruncate(int fd, off_t size)
{
	return truncate_to(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
	return truncate_to(fd, size);
}

/* ---- names ------------------------------------------------------------------------------------ */

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	char about[PATH_KEPT];
	full_path(to_dir, to, false, about);
	const struct fault_rule *r = strike("link", about);
	return (int)(is_made(r) ? after(r, syscall(SYS_linkat, from_dir, from, to_dir, to, flags))
							: struck(r, 0));
}

int unlinkat(int dirfd, const char *path, int flags)
{
	char about[PATH_KEPT];
	full_path(dirfd, path, false, about);
	const struct fault_rule *r = strike("unlink", about);
	return (int)(is_made(r) ? after(r, syscall(SYS_unlinkat, dirfd, path, flags)) : struck(r, 0));
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
	char about[PATH_KEPT];
	full_path(dirfd, path, false, about);
	const struct fault_rule *r = strike("mkdir", about);
	return (int)(is_made(r) ? after(r, syscall(SYS_mkdirat, dirfd, path, mode)) : struck(r, 0));
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

/* ---- memory, processes, descriptors ----------------------------------------------------------- */

static void *map(void *at, size_t n, int protection, int flags, int fd, off_t from)
{
	const struct fault_rule *r = strike("mmap", flags & MAP_ANONYMOUS ? "anonymous" : path_of(fd));
	if (!is_made(r))
		return MAP_FAILED;
	return (void *)after(r, syscall(SYS_mmap, at, n, protection, flags, fd, from));
}

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t from)
{
	return map(at, n, protection, flags, fd, from);
}

void *mmap64(void *at, size_t n, int protection, int flags, int fd, off64_t from)
{
	return map(at, n, protection, flags, fd, from);
}

/* The C library's own does more than the system call. */
pid_t fork(void)
{
	static pid_t (*real)(void);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "fork");
	const struct fault_rule *r = strike("fork", "");
	return is_made(r) ? real() : -1;
}

int memfd_create(const char *name, unsigned flags)
{
	const struct fault_rule *r = strike("memfd", name);
	int fd = (int)(is_made(r) ? after(r, syscall(SYS_memfd_create, name, flags)) : -1);
	note_path(fd, name);
	return fd;
}

int accept4(int fd, struct sockaddr *sa, socklen_t *n, int flags)
{
	const struct fault_rule *r = strike("accept", "");
	return (int)(is_made(r) ? after(r, syscall(SYS_accept4, fd, sa, n, flags)) : -1);
}

int socketpair(int domain, int type, int protocol, int pair[2])
{
	const struct fault_rule *r = strike("socketpair", "");
	return (int)(is_made(r) ? after(r, syscall(SYS_socketpair, domain, type, protocol, pair)) : -1);
}
