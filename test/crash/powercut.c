#include "powercut.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { INODES_MAX = 65536 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static uint64_t records_left = UINT64_MAX;
static dev_t device;
/* Inodes that belong to us. They stay when a file goes: a number that the file system gives out again is
 * announced by a new CUT_MAKE, unless an ignored file got it. */
static uint64_t known[INODES_MAX];
static size_t known_count;

/* ---- the log ---------------------------------------------------------------------------------- */

static void put(const void *p, size_t n)
{
	while (n) {
		ssize_t done = syscall(SYS_write, log_fd, p, n);
		if (done <= 0)
			abort();
		p = (const char *)p + done;
		n -= (size_t)done;
	}
}

static void note(enum powercut_kind kind, uint64_t inode, uint64_t offset, const void *p, size_t n)
{
	unsigned char head[21] = {(unsigned char)kind};
	uint32_t length = (uint32_t)n;
	memcpy(head + 1, &inode, 8);
	memcpy(head + 9, &offset, 8);
	memcpy(head + 17, &length, 4);
	put(head, sizeof head);
	put(p, n);
	if (--records_left == 0)
		_exit(0); /* under the lock: nothing is done that is not noted */
}

static bool is_known(uint64_t inode)
{
	for (size_t i = known_count; i-- > 0;)
		if (known[i] == inode)
			return true;
	return false;
}

static void make_known(uint64_t inode)
{
	if (is_known(inode))
		return;
	if (known_count == INODES_MAX)
		abort();
	known[known_count++] = inode;
}

static void make_unknown(uint64_t inode)
{
	for (size_t i = 0; i < known_count; i++)
		if (known[i] == inode)
			known[i--] = known[--known_count];
}

/* Its inode, if it is one of ours; else 0. */
static uint64_t inode_of(int fd)
{
	struct stat st;
	int saved = errno;
	bool ours = log_fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == device && is_known(st.st_ino);
	errno = saved;
	return ours ? st.st_ino : 0;
}

/* ---- names ------------------------------------------------------------------------------------ */

/* Splits a path into its directory's inode (0: not ours) and its last part. */
static uint64_t directory_of(int dirfd, const char *path, const char **ret_name)
{
	char dir[PATH_MAX];
	struct stat st;
	const char *slash = strrchr(path, '/');
	*ret_name = slash ? slash + 1 : path;
	if (!slash)
		snprintf(dir, sizeof dir, ".");
	else
		snprintf(dir, sizeof dir, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	if (log_fd < 0 || fstatat(dirfd, dir, &st, 0) != 0)
		return 0;
	return st.st_dev == device && is_known(st.st_ino) ? st.st_ino : 0;
}

/* SQLite's shared memory file is no part of what is durable: it is made anew. */
static bool is_ignored(const char *name)
{
	size_t n = strlen(name);
	return n > 4 && strcmp(name + n - 4, "-shm") == 0;
}

static void note_name(enum powercut_kind kind, uint64_t inode, uint64_t dir, const char *name)
{
	if (!is_ignored(name))
		note(kind, inode, dir, name, strlen(name));
}

/* ---- opening ---------------------------------------------------------------------------------- */

static int open_instead(int dirfd, const char *path, int flags, mode_t mode)
{
	const char *name = "";
	struct stat st;
	pthread_mutex_lock(&lock);
	bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;
	bool existed = unnamed || fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
	int fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);
	int saved = errno;
	if (fd >= 0 && log_fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == device) {
		if (unnamed) {
			make_known(st.st_ino);
			note(CUT_MAKE, st.st_ino, 0, "", 0);
		} else if (!existed) {
			uint64_t dir = directory_of(dirfd, path, &name);
			if (dir && is_ignored(name)) {
				make_unknown(st.st_ino);
			} else if (dir) {
				make_known(st.st_ino);
				note_name(CUT_MAKE, st.st_ino, dir, name);
			}
		} else if (flags & O_TRUNC && is_known(st.st_ino)) {
			note(CUT_TRUNCATE, st.st_ino, 0, "", 0);
		}
	}
	pthread_mutex_unlock(&lock);
	errno = saved;
	return fd;
}

#include "preload_open.h"

/* ---- writing and syncing ---------------------------------------------------------------------- */

static ssize_t write_noted(int fd, const void *p, size_t n, off_t at)
{
	pthread_mutex_lock(&lock);
	off_t offset = at >= 0 ? at : (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
	ssize_t done = at >= 0 ? syscall(SYS_pwrite64, fd, p, n, at) : syscall(SYS_write, fd, p, n);
	int saved = errno;
	uint64_t inode = done > 0 ? inode_of(fd) : 0;
	if (inode)
		note(CUT_WRITE, inode, (uint64_t)offset, p, (size_t)done);
	pthread_mutex_unlock(&lock);
	errno = saved;
	return done;
}

ssize_t write(int fd, const void *p, size_t n)
{
	return write_noted(fd, p, n, -1);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return write_noted(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	return write_noted(fd, p, n, at);
}

static int truncate_noted(int fd, off_t size)
{
	pthread_mutex_lock(&lock);
	int result = (int)syscall(SYS_ftruncate, fd, size);
	uint64_t inode = result == 0 ? inode_of(fd) : 0;
	if (inode)
		note(CUT_TRUNCATE, inode, (uint64_t)size, "", 0);
	pthread_mutex_unlock(&lock);
	return result;
}

int ftruncate(int fd, off_t size)
{
	return truncate_noted(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
	return truncate_noted(fd, size);
}

static int sync_noted(long call, int fd)
{
	pthread_mutex_lock(&lock);
	int result = (int)syscall(call, fd);
	uint64_t inode = result == 0 ? inode_of(fd) : 0;
	if (inode)
		note(CUT_SYNC, inode, 0, "", 0);
	pthread_mutex_unlock(&lock);
	return result;
}

int fsync(int fd)
{
	return sync_noted(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return sync_noted(SYS_fdatasync, fd);
}

/* ---- names come and go ------------------------------------------------------------------------ */

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	const char *name;
	struct stat st;
	pthread_mutex_lock(&lock);
	int result = (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
	int saved = errno;
	uint64_t dir = result == 0 ? directory_of(to_dir, to, &name) : 0;
	if (dir && fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
		note_name(CUT_LINK, st.st_ino, dir, name);
	pthread_mutex_unlock(&lock);
	errno = saved;
	return result;
}

int unlinkat(int dirfd, const char *path, int flags)
{
	const char *name;
	struct stat st = {0};
	pthread_mutex_lock(&lock);
	uint64_t dir = directory_of(dirfd, path, &name);
	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		dir = 0;
	int result = (int)syscall(SYS_unlinkat, dirfd, path, flags);
	int saved = errno;
	if (result == 0 && dir)
		note_name(CUT_UNLINK, st.st_ino, dir, name);
	pthread_mutex_unlock(&lock);
	errno = saved;
	return result;
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
	const char *name;
	struct stat st;
	pthread_mutex_lock(&lock);
	int result = (int)syscall(SYS_mkdirat, dirfd, path, mode);
	int saved = errno;
	uint64_t dir = result == 0 ? directory_of(dirfd, path, &name) : 0;
	if (dir && fstatat(dirfd, path, &st, 0) == 0) {
		make_known(st.st_ino);
		note_name(CUT_MKDIR, st.st_ino, dir, name);
	}
	pthread_mutex_unlock(&lock);
	errno = saved;
	return result;
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

/* ---- not expected from the code under test: what the model does not know must not pass --------- */

static _Noreturn void unknown(const char *call)
{
	fprintf(stderr, "powercut: %s() is not in the model\n", call);
	abort();
}

static void only_elsewhere(int fd, const char *call)
{
	if (inode_of(fd))
		unknown(call);
}

int rename(const char *from, const char *to)
{
	(void)from, (void)to;
	unknown("rename");
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	(void)from_dir, (void)from, (void)to_dir, (void)to;
	unknown("renameat");
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	(void)from_dir, (void)from, (void)to_dir, (void)to, (void)flags;
	unknown("renameat2");
}

int link(const char *from, const char *to)
{
	(void)from, (void)to;
	unknown("link");
}

int symlink(const char *to, const char *path)
{
	(void)to, (void)path;
	unknown("symlink");
}

int rmdir(const char *path)
{
	(void)path;
	unknown("rmdir");
}

int truncate(const char *path, off_t size)
{
	(void)path, (void)size;
	unknown("truncate");
}

void sync(void)
{
	unknown("sync");
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
	only_elsewhere(fd, "writev");
	return syscall(SYS_writev, fd, parts, n);
}

ssize_t sendfile(int to, int from, off_t *at, size_t n)
{
	only_elsewhere(to, "sendfile");
	return syscall(SYS_sendfile, to, from, at, n);
}

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *to_at, size_t n, unsigned flags)
{
	only_elsewhere(to, "copy_file_range");
	return syscall(SYS_copy_file_range, from, at, to, to_at, n, flags);
}

/* SQLite's shared memory is ignored; any other file written by memory would escape the log. */
static void *map(void *at, size_t n, int protection, int flags, int fd, off_t from)
{
	if (flags & MAP_SHARED && protection & PROT_WRITE)
		only_elsewhere(fd, "mmap");
	return (void *)syscall(SYS_mmap, at, n, protection, flags, fd, from);
}

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t from)
{
	return map(at, n, protection, flags, fd, from);
}

void *mmap64(void *at, size_t n, int protection, int flags, int fd, off64_t from)
{
	return map(at, n, protection, flags, fd, from);
}

/* ---- begin, marks, end ------------------------------------------------------------------------ */

/* What the process before us knew. */
static int know(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)type, (void)where;
	if (!is_ignored(path))
		make_known(st->st_ino);
	return 0;
}

void powercut_begin(const char *folder, const char *log)
{
	struct stat st;
	int fd =
		(int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || stat(folder, &st) != 0) {
		perror(folder);
		exit(2);
	}
	pthread_mutex_lock(&lock);
	device = st.st_dev;
	log_fd = fd;
	known_count = 0;
	nftw(folder, know, 16, FTW_PHYS);
	note(CUT_FOLDER, st.st_ino, 0, "", 0);
	pthread_mutex_unlock(&lock);
}

void powercut_die_after(uint64_t records)
{
	records_left = records;
}

void powercut_mark(uint64_t number, const char *text)
{
	pthread_mutex_lock(&lock);
	note(CUT_MARK, 0, number, text, strlen(text));
	pthread_mutex_unlock(&lock);
}

void powercut_end(void)
{
	pthread_mutex_lock(&lock);
	close(log_fd);
	log_fd = -1;
	pthread_mutex_unlock(&lock);
}
