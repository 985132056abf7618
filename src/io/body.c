#include "io/body.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/fd.h"

enum { GATHER = 64 * 1024, SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

struct body_writer {
	struct buf gathered;
	int fd; /* -1: all is gathered still */
	uint64_t size;
	uint64_t spool;
	body_spool_open *open_spool;
	void *arg;
	struct err failed;
};

struct body_writer *body_writer_new(body_spool_open *open_spool, void *arg)
{
	struct body_writer *w = mem_new(sizeof *w);
	buf_init(&w->gathered, GATHER);
	w->fd = -1;
	w->open_spool = open_spool;
	w->arg = arg;
	return w;
}

void body_writer_free(struct body_writer *w)
{
	if (!w)
		return;
	buf_done(&w->gathered);
	/* Store, which cannot know that nobody will bring it back, still holds a spool file. */
	if (w->spool && w->fd >= 0 && ftruncate(w->fd, 0) == -1)
		log_warn("body.drop", "err=\"%s\"", strerror(errno));
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}

uint64_t body_writer_size(const struct body_writer *w)
{
	return w->size;
}

static int no_room(struct err *err, const char *doing)
{
	if (errno == ENOSPC || errno == EDQUOT || errno == ENOMEM)
		return err_full(err, "%s: %s", doing, strerror(errno));
	return err_temp(err, "temporary server trouble", "%s: %s", doing, strerror(errno));
}

int body_memory(const char *name, struct err *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd >= 0 ? fd : no_room(err, "memfd_create");
}

int body_seal(int fd, struct err *err)
{
	return fcntl(fd, F_ADD_SEALS, SEALS) == 0 ? 0 : no_room(err, "sealing");
}

/* From the memory file to a file of the spool. */
static int move_to_spool(struct body_writer *w, struct err *err)
{
	int file;
	uint64_t spool;
	if (w->open_spool(w->arg, &file, &spool, err) != 0)
		return -1;
	off_t at = 0, end = w->fd >= 0 ? lseek(w->fd, 0, SEEK_END) : 0;
	while (at < end)
		if (sendfile(file, w->fd, &at, (size_t)(end - at)) <= 0) {
			no_room(err, "writing the message to the spool");
			close(file);
			return -1;
		}
	if (w->fd >= 0)
		close(w->fd);
	w->fd = file;
	w->spool = spool;
	return 0;
}

static int put(struct body_writer *w, struct str bytes, struct err *err)
{
	if (!w->spool && w->open_spool && w->size > BODY_MEMORY_MAX) {
		if (move_to_spool(w, err) != 0)
			return -1;
	} else if (w->fd < 0) {
		w->fd = body_memory("letter", err);
		if (w->fd < 0)
			return -1;
	}
	return fd_write_all(w->fd, bytes) == 0 ? 0 : no_room(err, "writing the message");
}

int body_writer_add(struct body_writer *w, struct str bytes, struct err *err)
{
	if (w->failed.kind == ERR_NONE) {
		w->size += bytes.n;
		bool fits = w->gathered.n + bytes.n <= GATHER;
		if (!fits && w->gathered.n && put(w, buf_str(&w->gathered), &w->failed) == 0)
			buf_clear(&w->gathered);
		if (w->failed.kind == ERR_NONE) {
			if (bytes.n <= GATHER - w->gathered.n)
				buf_add(&w->gathered, bytes);
			else
				put(w, bytes, &w->failed);
		}
	}
	if (w->failed.kind == ERR_NONE)
		return 0;
	if (err)
		*err = w->failed;
	return -1;
}

/* What is small leaves as it was gathered. */
static void finish_small(struct body_writer *w, struct body *ret)
{
	*ret = (struct body){.bytes = buf_str(&w->gathered), .fd = -1, .size = w->size};
	buf_init(&w->gathered, 0);
}

/* Into *ret what has gone through a descriptor. */
static int finish_file(struct body_writer *w, struct body *ret, struct err *err)
{
	if (put(w, buf_str(&w->gathered), err) != 0 || (!w->spool && body_seal(w->fd, err) != 0))
		return -1;
	*ret = (struct body){.fd = w->fd, .size = w->size, .spool = w->spool};
	if (w->spool) { /* no writer may be left when store takes it back */
		close(w->fd);
		ret->fd = -1;
	}
	w->fd = -1;
	return 0;
}

int body_writer_finish(struct body_writer *w, struct body *ret, struct err *err)
{
	int status = 0;
	if (w->failed.kind != ERR_NONE) {
		if (err)
			*err = w->failed;
		status = -1;
	} else if (w->size <= BODY_PACKET_MAX) {
		finish_small(w, ret);
	} else {
		status = finish_file(w, ret, err);
	}
	body_writer_free(w);
	return status;
}

void body_done(struct body *b)
{
	if (b->bytes.n)
		free((void *)(uintptr_t)b->bytes.p);
	if (b->fd >= 0)
		close(b->fd);
	*b = (struct body){.fd = -1};
}

int body_from_str(struct str bytes, const char *name, struct err *err)
{
	int fd = body_memory(name, err);
	if (fd < 0)
		return -1;
	int status = fd_write_all(fd, bytes) == 0 ? body_seal(fd, err) : no_room(err, name);
	if (status == 0)
		return fd;
	close(fd);
	return -1;
}

bool body_is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	return seals >= 0 && (seals & SEALS) == SEALS;
}

static int64_t check(int fd, bool or_read_only, struct err *err)
{
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_temp(err, NULL, "no body came with the request");
	bool read_only = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
	if (!body_is_sealed(fd) && !(or_read_only && read_only))
		return err_temp(err, NULL, "the body that was handed over is not sealed");
	return st.st_size;
}

int64_t body_check(int fd, struct err *err)
{
	return check(fd, false, err);
}

static int map(int fd, bool or_read_only, uint64_t max, struct str *ret, struct err *err)
{
	int64_t size = check(fd, or_read_only, err);
	if (size < 0)
		return -1;
	if ((uint64_t)size > max)
		return err_perm(
			err, NULL, "%lld bytes, more than %llu", (long long)size, (unsigned long long)max);
	if (size == 0) {
		*ret = STR("");
		return 0;
	}
	void *p = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return err_temp(err, NULL, "mmap: %s", strerror(errno));
	*ret = str_make(p, (size_t)size);
	return 0;
}

int body_map(int fd, uint64_t max, struct str *ret, struct err *err)
{
	return map(fd, false, max, ret, err);
}

int body_map_file(int fd, uint64_t max, struct str *ret, struct err *err)
{
	return map(fd, true, max, ret, err);
}

void body_unmap(struct str mapped)
{
	if (mapped.n)
		munmap((void *)(uintptr_t)mapped.p, mapped.n);
}
