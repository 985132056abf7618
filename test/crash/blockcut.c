/* blockcut: a disk whose every write and flush is noted. A file system of two files, spoken straight to
 * /dev/fuse: `disk`, to put a loop device on, and `marks`, for what the world was told meanwhile.
 *
 *   blockcut MOUNTPOINT DISK LOG
 *
 * DISK holds the disk's contents. LOG is written as powercut.h describes (CUT_WRITE, CUT_SYNC, CUT_MARK;
 * the disk is inode 2). One request is served at a time, so the log's order is the order in which the
 * disk took them, and what was written before a CUT_SYNC is what that flush made durable. Says "ready";
 * ends when it is unmounted. */
#include "powercut.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ROOT = FUSE_ROOT_ID, DISK, MARKS, WRITE_MAX = 256 * 1024, REQUEST_MAX = WRITE_MAX + 4096 };

static int fuse_fd, disk_fd, log_fd;

static _Noreturn void give_up(const char *what)
{
	perror(what);
	exit(2);
}

static void note(
	enum powercut_kind kind, uint64_t inode, uint64_t offset, const void *p, uint32_t n)
{
	unsigned char head[21] = {(unsigned char)kind};
	memcpy(head + 1, &inode, 8);
	memcpy(head + 9, &offset, 8);
	memcpy(head + 17, &n, 4);
	struct iovec parts[] = {{head, sizeof head}, {(void *)(uintptr_t)p, n}};
	if (writev(log_fd, parts, 2) != (ssize_t)(sizeof head + n))
		give_up("log");
}

/* ---- answers ---------------------------------------------------------------------------------- */

static void answer(const struct fuse_in_header *in, int error, const void *p, size_t n)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof out + n), .error = -error, .unique = in->unique};
	struct iovec parts[] = {{&out, sizeof out}, {(void *)(uintptr_t)p, n}};
	if (writev(fuse_fd, parts, 2) < 0 && errno != ENOENT) /* the asker was interrupted */
		give_up("answer");
}

static struct fuse_attr attributes(uint64_t node)
{
	struct stat st = {0};
	if (node == DISK && fstat(disk_fd, &st) != 0)
		give_up("disk");
	return (struct fuse_attr){.ino = node,
		.size = (uint64_t)st.st_size,
		.blocks = (uint64_t)st.st_size / 512,
		.mode = node == ROOT ? S_IFDIR | 0700 : S_IFREG | 0600,
		.nlink = 1,
		.blksize = 4096};
}

static void answer_attributes(const struct fuse_in_header *in)
{
	struct fuse_attr_out out = {.attr_valid = 3600, .attr = attributes(in->nodeid)};
	answer(in, 0, &out, sizeof out);
}

static void answer_lookup(const struct fuse_in_header *in, const char *name)
{
	uint64_t node = !strcmp(name, "disk") ? DISK : !strcmp(name, "marks") ? MARKS : 0;
	struct fuse_entry_out out = {.nodeid = node, .entry_valid = 3600, .attr_valid = 3600};
	if (!node) {
		answer(in, ENOENT, NULL, 0);
		return;
	}
	out.attr = attributes(node);
	answer(in, 0, &out, sizeof out);
}

static void answer_init(const struct fuse_in_header *in, const struct fuse_init_in *init)
{
	struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = init->max_readahead,
		.flags = init->flags & (FUSE_BIG_WRITES | FUSE_MAX_PAGES),
		.max_background = 16,
		.congestion_threshold = 12,
		.max_write = WRITE_MAX,
		.time_gran = 1,
		.max_pages = WRITE_MAX / 4096};
	answer(in, 0, &out, sizeof out);
}

static void answer_read(const struct fuse_in_header *in, const struct fuse_read_in *r)
{
	static char bytes[WRITE_MAX];
	size_t wanted = r->size < sizeof bytes ? r->size : sizeof bytes;
	ssize_t n = in->nodeid == DISK ? pread(disk_fd, bytes, wanted, (off_t)r->offset) : 0;
	answer(in, n < 0 ? errno : 0, bytes, n > 0 ? (size_t)n : 0);
}

static void answer_write(const struct fuse_in_header *in, const struct fuse_write_in *w)
{
	const char *bytes = (const char *)(w + 1);
	struct fuse_write_out out = {.size = w->size};
	if (in->nodeid == MARKS) {
		note(CUT_MARK, 0, w->offset, bytes, w->size);
	} else if (pwrite(disk_fd, bytes, w->size, (off_t)w->offset) == (ssize_t)w->size) {
		note(CUT_WRITE, DISK, w->offset, bytes, w->size);
	} else {
		answer(in, EIO, NULL, 0);
		return;
	}
	answer(in, 0, &out, sizeof out);
}

/* ---- requests --------------------------------------------------------------------------------- */

static void serve(const struct fuse_in_header *in)
{
	const void *body = in + 1;
	static const struct fuse_open_out opened;
	switch (in->opcode) {
	case FUSE_INIT:
		answer_init(in, body);
		break;
	case FUSE_LOOKUP:
		answer_lookup(in, body);
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR: /* times: nobody looks at them */
		answer_attributes(in);
		break;
	case FUSE_OPEN: {
		struct fuse_open_out out = {.open_flags = in->nodeid == MARKS ? FOPEN_DIRECT_IO : 0};
		answer(in, 0, &out, sizeof out);
		break;
	}
	case FUSE_OPENDIR:
		answer(in, 0, &opened, sizeof opened);
		break;
	case FUSE_READ:
		answer_read(in, body);
		break;
	case FUSE_WRITE:
		answer_write(in, body);
		break;
	case FUSE_FSYNC:
		if (in->nodeid == DISK)
			note(CUT_SYNC, DISK, 0, "", 0);
		answer(in, 0, NULL, 0);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_READDIR:
	case FUSE_ACCESS:
	case FUSE_DESTROY:
		answer(in, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break; /* not to be answered */
	default:
		answer(in, ENOSYS, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	static char request[REQUEST_MAX];
	char options[80];
	if (argc != 4)
		return 2;
	fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	disk_fd = open(argv[2], O_RDWR | O_CLOEXEC);
	log_fd = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fuse_fd < 0 || disk_fd < 0 || log_fd < 0)
		give_up("open");
	snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse_fd);
	if (mount("blockcut", argv[1], "fuse", MS_NOSUID | MS_NODEV, options) != 0)
		give_up("mount");
	puts("ready");
	fflush(stdout);
	for (;;) {
		ssize_t n = read(fuse_fd, request, sizeof request);
		if (n >= (ssize_t)sizeof(struct fuse_in_header))
			serve((const struct fuse_in_header *)request);
		else if (n < 0 && errno == ENODEV)
			return 0;
		else if (n < 0 && errno != EINTR && errno != ENOENT && errno != EAGAIN)
			give_up("request");
	}
}
