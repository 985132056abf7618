/* powercut: notes what a program does to the files below one folder, so that a checker can say what
 * a disk would hold had the power gone at any moment. Linked into a test program, its functions stand
 * in front of the C library's, for SQLite too.
 *
 * The log is a row of records, little endian:
 *
 *   u8 kind, u64 inode, u64 offset, u32 length, then `length` bytes
 *
 * (powercut_model.py reads it.) Every record is written after its call returned, under one lock, so the
 * log's order is an order in which the calls could have happened. */
#ifndef CRASH_POWERCUT_H
#define CRASH_POWERCUT_H

#include <stdint.h>

enum powercut_kind {
	CUT_FOLDER = 1, /* inode of the folder itself; first record */
	CUT_MAKE,       /* a new file: inode; offset: inode of its directory, or 0 (unnamed); name */
	CUT_MKDIR,      /* the same for a directory */
	CUT_WRITE,      /* inode, offset, bytes */
	CUT_TRUNCATE,   /* inode, new size in offset */
	CUT_SYNC,       /* inode of a file or directory */
	CUT_LINK,       /* inode gets a name: offset: inode of the directory; name */
	CUT_UNLINK,     /* the name goes: inode; offset: inode of the directory; name */
	CUT_MARK,       /* the program says something: offset is its number, bytes its text */
};

/* Begins. A new `log`: what is in `folder` must be nothing. One that an earlier process wrote is gone on
 * with: that one died, and what it had not synced is still the kernel's. */
void powercut_begin(const char *folder, const char *log);
/* The process ends, as by kill -9, when it has noted so many records. */
void powercut_die_after(uint64_t records);
/* Notes what the world was told at this moment. */
void powercut_mark(uint64_t number, const char *text);
void powercut_end(void);

#endif
