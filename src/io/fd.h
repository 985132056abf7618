/* fd: whole writes and reads on descriptors that do not make one wait long: files, memory, and the
 * command line's socket. What a fiber waits for is a stream (io/stream.h). */
#ifndef IO_FD_H
#define IO_FD_H

#include "base/buf.h"

/* All of `bytes`, also after signals. 0, or -1 with errno. */
int fd_write_all(int fd, struct str bytes);
/* Adds everything up to the end to `out`. 0, or -1 with errno: EFBIG if it is more than the buffer may
 * hold. On failure `out` holds what was read so far. */
int fd_read_all(int fd, struct buf *out);
/* So that the names in a folder, by its path, survive a power cut. 0, or -1 with errno. */
int fd_sync_folder(const char *path);

#endif
