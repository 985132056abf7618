#include "store/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/vec.h"
#include "io/fd.h"

enum { DIR_CHARACTERS = 2, DIR_AT = 3, PATH_TEXT = DIR_CHARACTERS + 1 + ID_TEXT };

struct lent {
	const void *borrower;
	uint64_t number;
	int fd; /* read-only */
	int64_t since_ms;
	int64_t idle_ms; /* seen without a writer since then; 0: not */
};

struct spool {
	int fd;
	bool new_dir;    /* a directory was made whose own name is not yet synced */
	struct vec lent; /* struct lent, oldest first */
	uint64_t number;
};

static int fail(struct err *err, const char *doing)
{
	int code = errno;
	if (code == ENOSPC || code == EDQUOT)
		err_full(err, "spool: %s: %s", doing, strerror(code));
	else
		err_temp(err, "temporary server trouble", "spool: %s: %s", doing, strerror(code));
	errno = code;
	return -1;
}

static int open_folder(const char *path, struct err *err)
{
	if (mkdir(path, 0700) == -1 && errno != EEXIST)
		return fail(err, path);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : fail(err, path);
}

struct spool *spool_open(const char *home, struct err *err)
{
	struct buf path;
	buf_init(&path, PATH_MAX);
	int fd = -1;
	if (!buf_addf(&path, "%s/spool", home))
		err_perm(err, "temporary server trouble", "path of the home is too long: %s", home);
	else
		fd = open_folder(buf_c(&path), err);
	buf_done(&path);
	if (fd == -1)
		return NULL;
	struct spool *s = mem_new(sizeof *s);
	vec_init(&s->lent, sizeof(struct lent));
	s->fd = fd;
	return s;
}

void spool_close(struct spool *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->lent.n; i++)
		close(((struct lent *)vec_at(&s->lent, i))->fd);
	vec_done(&s->lent);
	close(s->fd);
	free(s);
}

/* ---- lending ---------------------------------------------------------------------------------- */

/* Mode 0400: not even a process of our own user opens it a second time for writing. */
static int open_unnamed(struct spool *s, struct err *err)
{
	int fd = openat(s->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0400);
	return fd >= 0 ? fd : fail(err, "open an unnamed file");
}

static int reopen_to_read(int fd, struct err *err)
{
	char path[40];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int again = open(path, O_RDONLY | O_CLOEXEC);
	return again >= 0 ? again : fail(err, "open an unnamed file again");
}

/* The kernel grants a read lease only while no descriptor or mapping anywhere can write to the file.
 * Given back at once: from then on nobody can get a writable one. */
static bool has_writer(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK) == -1)
		return true;
	fcntl(fd, F_SETLEASE, F_UNLCK);
	return false;
}

int spool_lend(struct spool *s, const void *borrower, int64_t now_ms, int *ret_fd,
	uint64_t *ret_number, struct err *err)
{
	unsigned his = 0;
	for (size_t i = 0; i < s->lent.n; i++)
		his += ((struct lent *)vec_at(&s->lent, i))->borrower == borrower;
	if (his >= SPOOL_LENT_MAX)
		return err_temp(err, "too many large messages at a time", "spool: all %d files are lent",
			SPOOL_LENT_MAX);
	int fd = open_unnamed(s, err);
	if (fd == -1)
		return -1;
	int ours = reopen_to_read(fd, err);
	if (ours == -1) {
		close(fd);
		return -1;
	}
	struct lent lent = {
		.borrower = borrower, .number = ++s->number, .fd = ours, .since_ms = now_ms};
	vec_add(&s->lent, &lent);
	*ret_fd = fd;
	*ret_number = lent.number;
	return 0;
}

static int check_returned(int fd, uint64_t size, struct err *err)
{
	struct stat st;
	if (has_writer(fd))
		return err_temp(
			err, "temporary server trouble", "spool: a file came back with a writer left");
	if (fstat(fd, &st) == -1)
		return fail(err, "stat");
	if (st.st_size < 0 || (uint64_t)st.st_size != size)
		return err_temp(err, "temporary server trouble",
			"spool: a file of %lld bytes came back as one of %llu", (long long)st.st_size,
			(unsigned long long)size);
	return 0;
}

int spool_take(struct spool *s, const void *borrower, uint64_t number, uint64_t size, int *ret_fd,
	struct err *err)
{
	for (size_t i = 0; i < s->lent.n; i++) {
		struct lent lent = *(struct lent *)vec_at(&s->lent, i);
		if (lent.number != number || lent.borrower != borrower)
			continue;
		vec_remove(&s->lent, i);
		if (check_returned(lent.fd, size, err)) {
			close(lent.fd);
			return -1;
		}
		*ret_fd = lent.fd;
		return 0;
	}
	return err_temp(err, "temporary server trouble", "spool: no file %llu was lent to this edge",
		(unsigned long long)number);
}

static void drop_lent(struct spool *s, size_t i)
{
	close(((struct lent *)vec_at(&s->lent, i))->fd);
	vec_remove(&s->lent, i);
}

void spool_forget(struct spool *s, const void *borrower)
{
	for (size_t i = s->lent.n; i-- > 0;)
		if (((struct lent *)vec_at(&s->lent, i))->borrower == borrower)
			drop_lent(s, i);
}

/* A session that broke off closes its side and tells nobody: seen here by the missing writer. */
void spool_tidy(struct spool *s, int64_t now_ms)
{
	for (size_t i = s->lent.n; i-- > 0;) {
		struct lent *lent = vec_at(&s->lent, i);
		if (has_writer(lent->fd))
			lent->idle_ms = 0;
		else if (!lent->idle_ms)
			lent->idle_ms = now_ms;
		if (now_ms - lent->since_ms >= SPOOL_LENT_MS ||
			(lent->idle_ms && now_ms - lent->idle_ms >= SPOOL_IDLE_MS))
			drop_lent(s, i);
	}
}

unsigned spool_lent(const struct spool *s)
{
	return (unsigned)s->lent.n;
}

uint64_t spool_lent_bytes(const struct spool *s, const void *borrower)
{
	uint64_t bytes = 0;
	struct stat st;
	for (size_t i = 0; i < s->lent.n; i++) {
		const struct lent *lent = vec_at(&s->lent, i);
		if (lent->borrower == borrower && fstat(lent->fd, &st) == 0)
			bytes += (uint64_t)st.st_size;
	}
	return bytes;
}

/* ---- keeping ---------------------------------------------------------------------------------- */

unsigned spool_dir(uint64_t id)
{
	return (unsigned)(id >> 40) & 1023;
}

/* "3F" and "3F/02Q3F…" */
static void name_dir(uint64_t id, char dst[DIR_CHARACTERS + 1])
{
	char text[ID_TEXT];
	id_format(id, text);
	memcpy(dst, text + DIR_AT, DIR_CHARACTERS);
	dst[DIR_CHARACTERS] = 0;
}

static void name_file(uint64_t id, char dst[PATH_TEXT])
{
	char dir[DIR_CHARACTERS + 1], text[ID_TEXT];
	name_dir(id, dir);
	snprintf(dst, PATH_TEXT, "%s/%s", dir, id_format(id, text));
}

int spool_make(struct spool *s, struct str contents, int *ret_fd, struct err *err)
{
	int fd = open_unnamed(s, err);
	if (fd == -1)
		return -1;
	if (fd_write_all(fd, contents) == -1) {
		fail(err, "write a body");
		int code = errno;
		close(fd);
		errno = code;
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

int spool_link(struct spool *s, int fd, uint64_t id, struct err *err)
{
	char from[40], to[PATH_TEXT], dir[DIR_CHARACTERS + 1];
	snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
	name_file(id, to);
	if (linkat(AT_FDCWD, from, s->fd, to, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	if (errno != ENOENT)
		return fail(err, "name a body");
	name_dir(id, dir);
	if (mkdirat(s->fd, dir, 0700) == -1 && errno != EEXIST)
		return fail(err, "mkdir");
	s->new_dir = true;
	if (linkat(AT_FDCWD, from, s->fd, to, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	return fail(err, "name a body");
}

int spool_sync_dir(struct spool *s, uint64_t id, struct err *err)
{
	char dir[DIR_CHARACTERS + 1];
	name_dir(id, dir);
	int fd = openat(s->fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return fail(err, "open a directory");
	if (fsync(fd) == -1) {
		fail(err, "sync a directory");
		close(fd);
		return -1;
	}
	close(fd);
	if (s->new_dir && fsync(s->fd) == -1)
		return fail(err, "sync the spool");
	s->new_dir = false;
	return 0;
}

int spool_read(struct spool *s, uint64_t id, int *ret_fd, struct err *err)
{
	char path[PATH_TEXT];
	name_file(id, path);
	int fd = openat(s->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return fail(err, path);
	*ret_fd = fd;
	return 0;
}

int spool_unlink(struct spool *s, uint64_t id, struct err *err)
{
	char path[PATH_TEXT];
	name_file(id, path);
	if (unlinkat(s->fd, path, 0) == -1 && errno != ENOENT)
		return fail(err, "unlink a body");
	return 0;
}

/* ---- start-up --------------------------------------------------------------------------------- */

/* Files that are not named like ours are left alone: somebody put them there. */
static int sweep_dir(
	int dir_fd, bool (*keep)(void *, uint64_t), void *arg, uint64_t *dropped, struct err *err)
{
	DIR *d = fdopendir(dir_fd);
	if (!d) {
		close(dir_fd);
		return fail(err, "read a directory");
	}
	int result = 0;
	struct dirent *entry;
	while ((entry = readdir(d))) {
		uint64_t id;
		if (!id_parse(str_from_c(entry->d_name), &id) || keep(arg, id))
			continue;
		if (unlinkat(dirfd(d), entry->d_name, 0) == -1)
			result = fail(err, "unlink a body");
		else
			++*dropped;
	}
	closedir(d);
	return result;
}

int spool_sweep(struct spool *s, bool (*keep)(void *arg, uint64_t id), void *arg,
	uint64_t *ret_dropped, struct err *err)
{
	*ret_dropped = 0;
	int again = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again >= 0 ? fdopendir(again) : NULL;
	if (!d) {
		if (again >= 0)
			close(again);
		return fail(err, "read the spool");
	}
	int result = 0;
	struct dirent *entry;
	while (result == 0 && (entry = readdir(d))) {
		if (strlen(entry->d_name) != DIR_CHARACTERS || entry->d_name[0] == '.')
			continue;
		int fd = openat(s->fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			result = sweep_dir(fd, keep, arg, ret_dropped, err);
	}
	closedir(d);
	/* Names of directories made just before a crash. */
	if (result == 0 && fsync(s->fd) == -1)
		result = fail(err, "sync the spool");
	return result;
}
