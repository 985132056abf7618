/* preload_open: open(2) under the four names by which the C library knows it, for a library that stands
 * in front of it. Included by such a one only, behind its own open_instead(). */
#ifndef CRASH_PRELOAD_OPEN_H
#define CRASH_PRELOAD_OPEN_H

#include <fcntl.h>
#include <stdarg.h>
#include <sys/types.h>

static mode_t mode_argument(int flags, va_list ap)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

#define OPEN(name)                                        \
	int name(const char *path, int flags, ...)            \
	{                                                     \
		va_list ap;                                       \
		va_start(ap, flags);                              \
		mode_t mode = mode_argument(flags, ap);           \
		va_end(ap);                                       \
		return open_instead(AT_FDCWD, path, flags, mode); \
	}
#define OPENAT(name)                                      \
	int name(int dirfd, const char *path, int flags, ...) \
	{                                                     \
		va_list ap;                                       \
		va_start(ap, flags);                              \
		mode_t mode = mode_argument(flags, ap);           \
		va_end(ap);                                       \
		return open_instead(dirfd, path, flags, mode);    \
	}
#undef open
#undef open64
#undef openat
#undef openat64
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

#endif
