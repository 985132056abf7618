/* faults: makes chosen calls of chosen roles fail, or end the process in their middle. A library to
 * preload: every role maps the file that FAULTS names before its walls stand, and reads the rules in
 * it at each call, so a test changes them while the roles run (faults.py is its hand). */
#ifndef CRASH_FAULTS_H
#define CRASH_FAULTS_H

#include <stdint.h>

enum { FAULT_RULES = 8, FAULT_TEXT = 48 };

enum fault_act {
	FAULT_FAIL = 1,   /* the call is not made and fails with `error` */
	FAULT_LIE,        /* it is not made and says that it went well */
	FAULT_HALF,       /* half of the bytes are written, then it fails */
	FAULT_DIE_BEFORE, /* the process ends instead of the call, as by kill -9 */
	FAULT_DIE_AFTER,  /* and right after it */
};

struct fault_rule {
	uint32_t armed; /* written last */
	uint32_t act;
	int32_t error;
	uint32_t stall_ms;     /* waits so long first */
	uint32_t skip, times;  /* lets so many pass, then strikes so often */
	uint32_t seen, hits;   /* counted here */
	char role[FAULT_TEXT]; /* name of the program: "store" */
	char call[FAULT_TEXT]; /* "write", for pwrite too; "sync" for both syncs */
	/* fnmatch(3) on what the call is about: the path by which a descriptor was opened; one that was
	 * passed in has none (""). */
	char pattern[FAULT_TEXT];
};

#endif
