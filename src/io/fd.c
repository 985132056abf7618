#include "io/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

enum { PIECE = 16 * 1024 };

int fd_write_all(int fd, struct str bytes)
{
	while (bytes.n > 0) {
		ssize_t n = write(fd, bytes.p, bytes.n);
		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			bytes = str_skip(bytes, (size_t)n);
	}
	return 0;
}

int fd_read_all(int fd, struct buf *out)
{
	for (;;) {
		size_t left = out->max - out->n;
		char more; /* with the buffer full, only the end may come */
		char *room = left ? buf_reserve(out, left < PIECE ? left : PIECE) : &more;
		ssize_t n = read(fd, room, left ? out->cap - 1 - out->n : 1);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0 && left == 0) {
			errno = EFBIG;
			return -1;
		}
		if (n > 0)
			out->n += (size_t)n;
	}
}

int fd_sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;
	int code = errno;
	if (fd >= 0)
		close(fd);
	errno = code;
	return ok ? 0 : -1;
}
