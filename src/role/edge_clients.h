/* edge_clients: who is connected to a group of edge processes, counted across them, for the limits per
 * address and in all. Who counts as one client: an IPv4 address, or the /64 network that an IPv6
 * client has to itself.
 *
 * The counts stand in a memory file of fixed size that serve makes for a group and hands to each of
 * its processes. Each process has a part of its own and writes there only; to judge a connection it
 * adds up what all parts say of the client. So there is no lock, and one that dies takes nothing
 * along: serve empties its part. A hostile process can harm the limits of its own group, and nothing
 * else stands there.
 *
 * A process counts before it looks, so of connections that come to several processes at one moment
 * too many are never let in, at worst one too few. */
#ifndef ROLE_EDGE_CLIENTS_H
#define ROLE_EDGE_CLIENTS_H

#include "conf/conf.h"

enum { CLIENTS_PROCESSES = CONF_PROCESSES_MAX };

/* ---- serve */
/* A new table of an empty group: a descriptor, or -1 with *err. */
int clients_make(struct err *err);
/* Empties the part of a process that is gone. */
void clients_forget(int fd, unsigned process);

/* ---- edge */
struct clients;
/* Maps the table and takes the part of `process` (below CLIENTS_PROCESSES); `fd` stays the caller's.
 * fd -1: a table of this process's own. NULL with *err. */
struct clients *clients_open(int fd, unsigned process, struct err *err);
void clients_close(struct clients *c);

struct clients_limits {
	uint64_t sessions;    /* at a time in the group */
	uint64_t per_address; /* at a time from one client */
	uint64_t per_minute;  /* new ones from one client; 0: no limit */
};
enum clients_verdict { CLIENTS_WELCOME, CLIENTS_FULL, CLIENTS_ADDRESS_FULL, CLIENTS_TOO_FAST };
/* Counts a new session if it is welcome at `now_ms` (clock_steady_ms). Refused ones leave no trace. */
enum clients_verdict clients_enter(
	struct clients *c, const struct ip *ip, const struct clients_limits *limits, int64_t now_ms);
/* The end of a session that was welcome. */
void clients_leave(struct clients *c, const struct ip *ip);

#endif
