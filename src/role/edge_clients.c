/* edge_clients: see edge_clients.h.
 *
 * A part is a table of sets: the hash of a client names a set, and the client has one of the entries
 * there or none. An entry is free for another client when none of its sessions is open, the one that
 * was seen least goes first; so a flood from ever new addresses takes no memory beyond the table. If
 * a set is full of clients that are connected, one more is not counted by address, only in all: the
 * sets are large enough that this takes a table that is nearly full.
 *
 * Writing and reading are atomic word by word and no more. What a reader may see half written is a
 * count that is about to be right. */
#include "role/edge_clients.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum { WAYS = 16, SETS = 4096, PAGE = 4096, MINUTE_MS = 60 * 1000 };

struct entry {
	_Atomic uint64_t client;       /* 0: free */
	_Atomic uint32_t sessions;     /* open now */
	_Atomic uint32_t minute;       /* of the next two, since the machine started */
	_Atomic uint32_t came, before; /* sessions begun in that minute, in the one before it */
};

struct part_head {
	_Atomic uint64_t seed;
	_Atomic uint32_t sessions;
	char rest[48]; /* a cache line each */
};

struct table {
	struct part_head heads[CLIENTS_PROCESSES];
	char rest[PAGE - CLIENTS_PROCESSES * sizeof(struct part_head)];
	struct entry parts[CLIENTS_PROCESSES][SETS][WAYS];
};

struct clients {
	struct table *table;
	unsigned process;
};

/* ---- serve ------------------------------------------------------------------------------------- */

int clients_make(struct err *err)
{
	int fd = memfd_create("clients", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd >= 0 && ftruncate(fd, sizeof(struct table)) == 0 &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
		return fd;
	err_temp(err, NULL, "cannot make a table of clients: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

void clients_forget(int fd, unsigned process)
{
	static const struct part_head empty;
	const size_t part = sizeof((struct table *)0)->parts[0];
	if (pwrite(fd, &empty, sizeof empty,
			(off_t)(offsetof(struct table, heads) + process * sizeof empty)) < 0)
		return;
	fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		(off_t)(offsetof(struct table, parts) + process * part), (off_t)part);
}

/* ---- edge -------------------------------------------------------------------------------------- */

struct clients *clients_open(int fd, unsigned process, struct err *err)
{
	struct stat st;
	if (process >= CLIENTS_PROCESSES ||
		(fd >= 0 && (fstat(fd, &st) != 0 || st.st_size != sizeof(struct table)))) {
		err_say(err, "no table of clients, or no part of it for process %u", process);
		return NULL;
	}
	void *map = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE,
		fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		err_say(err, "cannot map the table of clients: %s", strerror(errno));
		return NULL;
	}
	struct clients *c = mem_new(sizeof *c);
	uint64_t seed = 0;
	c->table = map;
	c->process = process;
	if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
		seed = (uintptr_t)c;
	c->table->heads[process].seed = seed;
	return c;
}

void clients_close(struct clients *c)
{
	if (!c)
		return;
	munmap(c->table, sizeof *c->table);
	free(c);
}

/* The first 64 bits of an IPv6 address, or an IPv4 address in a prefix that nobody has. */
static uint64_t client_of(const struct ip *ip)
{
	uint64_t client;
	uint32_t v4;
	memcpy(&client, ip->bytes, sizeof client);
	memcpy(&v4, ip->bytes + 12, sizeof v4);
	if (ip_is_v4(ip))
		client = UINT64_C(0xffff) << 32 | v4;
	return client ? client : 1; /* ::1 begins with 64 zeros */
}

static struct entry *set_of(struct table *t, unsigned process, uint64_t client)
{
	uint64_t h = client ^ t->heads[process].seed;
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return t->parts[process][(h ^ h >> 33) % SETS];
}

static struct entry *find(struct table *t, unsigned process, uint64_t client)
{
	struct entry *set = set_of(t, process, client);
	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].client == client)
			return &set[i];
	return NULL;
}

/* Begins a new minute if there is one. */
static void turn(struct entry *e, uint32_t minute)
{
	if (e->minute == minute)
		return;
	e->before = e->minute + 1 == minute ? e->came : 0;
	e->came = 0;
	e->minute = minute;
}

/* The client's entry in our part, made if need be; NULL: no room. */
static struct entry *take(struct clients *c, uint64_t client, uint32_t minute)
{
	struct entry *e = find(c->table, c->process, client), *set;
	if (!e) {
		set = set_of(c->table, c->process, client);
		for (unsigned i = 0; i < WAYS; i++) {
			if (set[i].client)
				turn(&set[i], minute);
			if (!set[i].sessions &&
				(!e || set[i].came + set[i].before < e->came + e->before || !set[i].client))
				e = &set[i];
		}
		if (!e)
			return NULL;
		e->came = e->before = 0;
		e->client = client;
	}
	turn(e, minute);
	return e;
}

/* What all processes say of the client. */
struct sum {
	uint64_t in_all, sessions, came, before;
};

static struct sum sum_up(struct table *t, uint64_t client, uint32_t minute)
{
	struct sum sum = {0};
	for (unsigned i = 0; i < CLIENTS_PROCESSES; i++) {
		if (!t->heads[i].seed)
			continue; /* never ran */
		sum.in_all += t->heads[i].sessions;
		struct entry *e = find(t, i, client);
		if (!e)
			continue;
		sum.sessions += e->sessions;
		if (e->minute == minute) {
			sum.came += e->came;
			sum.before += e->before;
		} else if (e->minute + 1 == minute) {
			sum.before += e->came;
		}
	}
	return sum;
}

static enum clients_verdict judge(
	const struct sum *sum, const struct clients_limits *limits, uint64_t into_minute_ms)
{
	/* Of the minute before counts what the last sixty seconds reach back into it. */
	uint64_t rate = sum->came + sum->before * (MINUTE_MS - into_minute_ms) / MINUTE_MS;
	return sum->in_all > limits->sessions                     ? CLIENTS_FULL
		: sum->sessions > limits->per_address                 ? CLIENTS_ADDRESS_FULL
		: limits->per_minute > 0 && rate > limits->per_minute ? CLIENTS_TOO_FAST
															  : CLIENTS_WELCOME;
}

enum clients_verdict clients_enter(
	struct clients *c, const struct ip *ip, const struct clients_limits *limits, int64_t now_ms)
{
	uint64_t client = client_of(ip);
	uint32_t minute = (uint32_t)(now_ms / MINUTE_MS);
	struct part_head *head = &c->table->heads[c->process];
	struct entry *e = take(c, client, minute);
	head->sessions++;
	if (e) {
		e->sessions++;
		e->came++;
	}
	struct sum sum = sum_up(c->table, client, minute);
	enum clients_verdict verdict = judge(&sum, limits, (uint64_t)(now_ms % MINUTE_MS));
	if (verdict == CLIENTS_WELCOME)
		return verdict;
	head->sessions--;
	if (e) {
		e->sessions--;
		e->came--;
	}
	return verdict;
}

void clients_leave(struct clients *c, const struct ip *ip)
{
	struct entry *e = find(c->table, c->process, client_of(ip));
	c->table->heads[c->process].sessions--;
	if (e && e->sessions) /* it may have come when there was no room for it */
		e->sessions--;
}
