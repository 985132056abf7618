#include "store/space.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/spool.h"

enum {
	KB = 1024,
	PAGE = 4 * KB,
	RESERVE_MIN = 256 * KB,
	RESERVE_MAX = 16 * KB * KB,
	RESERVE_SHARE = 16, /* of the file system */
	FLOOR_SHARE = 8,
	MARGIN_SHARE = 2, /* of the floor */
	AGAIN_SHARE = 8,  /* of the floor */
	SMALL_MESSAGE = 4 * KB,
	ROWS_BESIDE = 16 * KB, /* of one message: pages of tables and indexes, beside its body */
};

bool space_measure(const char *folder, struct space *ret)
{
	struct statvfs vfs;
	if (statvfs(folder, &vfs) != 0 || vfs.f_blocks == 0)
		return false;
	*ret = (struct space){.total = (uint64_t)vfs.f_blocks * vfs.f_frsize,
		.available = (uint64_t)vfs.f_bavail * vfs.f_frsize};
	return true;
}

uint64_t space_reserve(uint64_t total)
{
	uint64_t share = total / RESERVE_SHARE;
	if (share < RESERVE_MIN)
		return RESERVE_MIN;
	return share < RESERVE_MAX ? share : RESERVE_MAX;
}

bool space_make_reserve(const char *path, uint64_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int failed = fd == -1 || ftruncate(fd, (off_t)bytes) == -1
		? errno
		: posix_fallocate(fd, 0, (off_t)bytes);
	if (fd >= 0)
		close(fd);
	if (failed)
		unlink(path);
	return failed != ENOSPC && failed != EDQUOT;
}

struct space_wal space_wal(uint64_t reserve)
{
	int64_t pages = (int64_t)(reserve / PAGE);
	return (struct space_wal){.idle = pages / 8, .busy = pages / 2, .truncate = pages};
}

uint64_t space_floor(uint64_t total, uint64_t min_free)
{
	return min_free < total / FLOOR_SHARE ? min_free : total / FLOOR_SHARE;
}

uint64_t space_for_mail(uint64_t available, uint64_t floor, uint64_t debt)
{
	uint64_t kept = floor + debt;
	return available > kept ? available - kept : 0;
}

uint64_t space_need(uint64_t rows, uint64_t file)
{
	return 2 * rows + file + ROWS_BESIDE;
}

uint64_t space_largest(uint64_t space)
{
	uint64_t left = space > ROWS_BESIDE ? space - ROWS_BESIDE : 0;
	return left <= 2 * SPOOL_ROW_MAX ? left / 2 : left - SPOOL_ROW_MAX;
}

uint64_t space_to_promise(uint64_t for_mail, uint64_t floor)
{
	uint64_t margin = floor / MARGIN_SHARE;
	return for_mail > margin ? for_mail - margin : 0;
}

bool space_is_low(bool was_low, uint64_t to_promise, uint64_t floor)
{
	return to_promise < space_need(SMALL_MESSAGE, 0) + (was_low ? floor / AGAIN_SHARE : 0);
}
