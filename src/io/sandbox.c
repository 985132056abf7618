/* sandbox: see sandbox.h. Capabilities by libcap-ng, files by Landlock, calls by libseccomp. */
#include "io/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cap-ng.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>

#include "base/log.h"

/* Debian 12's headers do not know them yet, or not beside <signal.h>. */
enum { SIGSYS_BY_SECCOMP = 1 /* SYS_SECCOMP */ };
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65 /* Linux 6.3 */
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

static void name_missing(struct buf *missing, const char *wall)
{
	if (missing->n)
		buf_add_char(missing, ' ');
	buf_add_c(missing, wall);
}

/* ---- view of the file system ------------------------------------------------------------------ */

int sandbox_view(int folder, struct buf *missing, struct err *err)
{
	if (fchdir(folder) < 0)
		return err_say(err, "cannot enter the folder it may see: %s", strerror(errno));
	if (chroot(".") == 0)
		return 0;
	if (errno != EPERM)
		return err_say(err, "cannot make a folder its root: %s", strerror(errno));
	name_missing(missing, "view");
	return 0;
}

/* ---- uid and privileges ---------------------------------------------------------------------- */

static int drop_bounding(uint64_t keep, struct err *err)
{
	if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		return 0; /* without it the bounding set stays, and is of no use to us either */
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap) < 0)
			return err_say(err, "cannot drop capability %d: %s", cap, strerror(errno));
	return 0;
}

static int drop_capabilities(uint64_t keep, struct err *err)
{
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	uint64_t had = 0;
	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (keep >> cap & 1 && capng_have_capability(CAPNG_PERMITTED, cap))
			had |= UINT64_C(1) << cap;
	capng_clear(CAPNG_SELECT_CAPS);
	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (had >> cap & 1)
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, cap);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return err_say(err, "cannot drop capabilities: %s", strerror(errno));
	return 0;
}

/* Who keeps capabilities keeps its uid by intent; for the others, none of their own is a gap. */
static int change_id(
	uint32_t uid, uint32_t gid, uint64_t keep, struct buf *missing, struct err *err)
{
	if (uid == 0 || uid == getuid()) {
		if (!keep)
			name_missing(missing, "uid");
		return 0;
	}
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return err_say(err, "cannot become uid %u, gid %u: %s", uid, gid, strerror(errno));
	return 0;
}

int sandbox_drop(uint32_t uid, uint32_t gid, uint64_t keep, struct buf *missing, struct err *err)
{
	capng_get_caps_process();
	if (drop_bounding(keep, err) || change_id(uid, gid, keep, missing, err))
		return -1;
	capng_get_caps_process();
	if (drop_capabilities(keep, err))
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_say(err, "cannot set no_new_privs: %s", strerror(errno));
	const struct rlimit none = {0, 0};
	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_say(err, "cannot forbid core dumps: %s", strerror(errno));
	return 0;
}

void sandbox_follow_parent(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

/* ---- files and ports: Landlock ---------------------------------------------------------------- */

/* Debian 12's headers end at ABI 2; what came later is named here, after the kernel's own header. */
enum {
	FS_TRUNCATE = 1 << 14,  /* ABI 3 */
	FS_IOCTL_DEV = 1 << 15, /* ABI 5 */
	NET_BIND_TCP = 1 << 0,  /* ABI 4 */
	NET_CONNECT_TCP = 1 << 1,
	SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0, /* ABI 6 */
	SCOPE_SIGNAL = 1 << 1,
	RULE_NET_PORT = 2,

	FS_ABI_1 = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1,
	FS_ON_FILES = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
		LANDLOCK_ACCESS_FS_READ_FILE | FS_TRUNCATE,
	FS_WRITE = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
		LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
		LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE,
};

/* struct landlock_ruleset_attr of ABI 6. An older kernel takes it as long as what it does not know
 * is zero. */
struct ruleset {
	uint64_t fs, net, scoped;
};
struct net_port {
	uint64_t access, port;
};

static struct ruleset ruleset_for(long abi, unsigned net, struct buf *missing)
{
	struct ruleset rules = {.fs = FS_ABI_1};
	if (abi >= 2)
		rules.fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		rules.fs |= FS_TRUNCATE;
	if (abi >= 5)
		rules.fs |= FS_IOCTL_DEV;
	if (abi < 4)
		name_missing(missing, "landlock-net");
	else
		rules.net = (net & SANDBOX_NET_BIND ? 0 : NET_BIND_TCP) |
			(net & SANDBOX_NET_CONNECT ? 0 : NET_CONNECT_TCP);
	if (abi < 6)
		name_missing(missing, "landlock-scope");
	else
		rules.scoped = SCOPE_SIGNAL | (net & SANDBOX_NET_BIND ? 0 : SCOPE_ABSTRACT_UNIX_SOCKET);
	return rules;
}

static int allow_path(
	int ruleset, const struct ruleset *rules, const struct sandbox_path *path, struct err *err)
{
	struct landlock_path_beneath_attr rule = {.parent_fd = open(path->path, O_PATH | O_CLOEXEC)};
	struct stat st;
	if (rule.parent_fd < 0 || fstat(rule.parent_fd, &st) < 0)
		return err_say(err, "%s: %s", path->path, strerror(errno));
	if (path->access & SANDBOX_READ)
		rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	if (path->access & SANDBOX_WRITE)
		rule.allowed_access |= FS_WRITE;
	if (path->access & SANDBOX_EXEC)
		rule.allowed_access |= LANDLOCK_ACCESS_FS_EXECUTE;
	rule.allowed_access &= rules->fs;
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= FS_ON_FILES;
	long failed = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	int why = errno;
	close(rule.parent_fd);
	return failed ? err_say(err, "Landlock refuses %s: %s", path->path, strerror(why)) : 0;
}

static int fill_ruleset(int ruleset, const struct ruleset *rules, const struct sandbox_path *paths,
	size_t n, unsigned net, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (allow_path(ruleset, rules, &paths[i], err))
			return -1;
	/* Who connects may choose its own address, but not a port to be found at. */
	const struct net_port any = {NET_BIND_TCP, 0};
	if (rules->net & NET_BIND_TCP && net & SANDBOX_NET_CONNECT &&
		syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &any, 0))
		return err_say(err, "Landlock refuses port 0: %s", strerror(errno));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_landlock_restrict_self, ruleset, 0))
		return err_say(err, "Landlock: %s", strerror(errno));
	return 0;
}

int sandbox_files(
	const struct sandbox_path *paths, size_t n, unsigned net, struct buf *missing, struct err *err)
{
	long abi =
		syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1) {
		name_missing(missing, "landlock");
		return 0;
	}
	struct ruleset rules = ruleset_for(abi, net, missing);
	int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
	if (fd < 0)
		return err_say(err, "Landlock: %s", strerror(errno));
	int failed = fill_ruleset(fd, &rules, paths, n, net, err);
	close(fd);
	return failed;
}

/* ---- system calls: seccomp -------------------------------------------------------------------- */

/* Every role: memory, time, the descriptors it holds, its loop, its exit. */
static const char *const base_calls[] = {
	/* descriptors */
	"read", "write", "readv", "writev", "pread64", "pwrite64", "recvfrom", "recvmsg", "shutdown",
	"close", "close_range", "fstat", "lseek", "dup", "dup2", "dup3", "getsockopt", "getsockname",
	"getpeername", "pipe", "pipe2",
	/* loop */
	"poll", "ppoll", "select", "pselect6", "epoll_create1", "epoll_ctl", "epoll_wait",
	"epoll_pwait", "epoll_pwait2", "eventfd2", "timerfd_create", "timerfd_settime",
	"timerfd_gettime",
	/* memory */
	"munmap", "mremap", "madvise", "brk", "mlock", "munlock",
	/* time, chance, itself */
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
	"getrandom", "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid",
	"getrusage", "uname", "sysinfo", "sched_yield", "sched_getaffinity", "futex", "set_robust_list",
	"rseq", "membarrier",
	/* signals and the end */
	"rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "exit", "exit_group", NULL};

/* sendfile: a body that outgrows its memory file moves to the spool. */
static const char *const memfd_calls[] = {
	"memfd_create", "ftruncate", "fallocate", "sendfile", NULL};

static const char *const accept_calls[] = {"accept", "accept4", NULL};

static const char *const connect_calls[] = {"connect", "bind", "sendmmsg", "recvmmsg", NULL};

static const char *const file_calls[] = {"open", "openat", "creat", "stat", "lstat", "statx",
	"access", "faccessat", "faccessat2", "readlink", "readlinkat", "getcwd", "getdents64", "mkdir",
	"mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat",
	"fsync", "fdatasync", "sync_file_range", "ftruncate", "fallocate", "fadvise64", "fchmod",
	"fchown", "umask", "statfs", "fstatfs", "flock", "copy_file_range", "sendfile", NULL};

/* serve's own, and what a program and its walls need on their way up. */
static const char *const spawn_calls[] = {"execve", "fork", "vfork", "kill", "tgkill", "wait4",
	"waitid", "setpgid", "setsid", "getpgrp", "listen", "socketpair", "inotify_init1",
	"inotify_add_watch", "inotify_rm_watch", "chdir", "fchdir", "chroot", "chmod", "fchmodat",
	"chown", "fchownat", "symlink", "symlinkat", "prctl", "arch_prctl", "set_tid_address", "capget",
	"capset", "setgroups", "setresuid", "setresgid", "setrlimit", "getrlimit", "seccomp",
	"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "timer_create",
	"timer_settime", "mlock2", "mmap", "mprotect", "fcntl", "ioctl", "sendto", "sendmsg",
	"sendmmsg", "setsockopt", "rt_sigaction", NULL};

/* Never, in no mode: they reach into other processes or deep into the kernel. (In SANDBOX_ENFORCE
 * they are refused with all the rest.) */
static const char *const never_calls[] = {"ptrace", "process_vm_readv", "process_vm_writev",
	"process_madvise", "pidfd_getfd", "pidfd_open", "pidfd_send_signal", "kcmp", "io_uring_setup",
	"io_uring_enter", "io_uring_register", "bpf", "add_key", "keyctl", "request_key", "mount",
	"umount2", "move_mount", "open_tree", "fsopen", "fsmount", "mount_setattr", "pivot_root",
	"unshare", "setns", "userfaultfd", "perf_event_open", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
	"tkill", "execveat", "init_module", "finit_module", "delete_module", "kexec_load",
	"kexec_file_load", "reboot", "swapon", "swapoff", "open_by_handle_at", "name_to_handle_at",
	"mknod", "mknodat", "modify_ldt", "acct", "quotactl", NULL};

/* Never for those who start no programs. */
static const char *const child_calls[] = {"execve", "fork", "vfork", "setuid", "setgid", "setreuid",
	"setregid", "setresuid", "setresgid", "setgroups", "capset", "setpgid", "setsid", "chroot",
	NULL};

/* Tried by libraries, which cope when told no: refused with an error instead of a kill. */
static const char *const probe_calls[] = {"open", "openat", "stat", "lstat", "statx", "access",
	"faccessat", "faccessat2", "readlink", "readlinkat", "getcwd", "statfs", "getdents64", NULL};

/* A call that libseccomp does not know by name, or this machine does not have, is not in the filter;
 * then the default holds. */
static int add_calls(scmp_filter_ctx filter, uint32_t action, const char *const *names)
{
	for (; *names; names++) {
		int call = seccomp_syscall_resolve_name(*names);
		if (call >= 0 && seccomp_rule_add(filter, action, call, 0) < 0)
			return -1;
	}
	return 0;
}

/* Allows `call` when its argument number `arg`, under `mask`, is one of `values`. */
static int add_values(
	scmp_filter_ctx filter, int call, unsigned arg, uint32_t mask, const int *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
				SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, mask, (uint32_t)values[i])) < 0)
			return -1;
	return 0;
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Calls that are harmless or not by their arguments, for those who start no programs. */
static int add_by_argument(scmp_filter_ctx filter, unsigned sets)
{
	static const int fcntls[] = {F_GETFL, F_SETFL, F_GETFD, F_SETFD, F_DUPFD_CLOEXEC, F_GET_SEALS};
	static const int memfd_fcntls[] = {F_ADD_SEALS};
	static const int file_fcntls[] = {F_GETLK, F_SETLK, F_SETLKW, F_OFD_SETLK, F_SETLEASE};
	static const int ioctls[] = {FIONREAD, FIONBIO};
	static const int prctls[] = {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE};
	static const int not_exec[] = {0};
	const int self[] = {getpid()};
	if (add_values(filter, SCMP_SYS(fcntl), 1, UINT32_MAX, fcntls, COUNT(fcntls)) ||
		add_values(filter, SCMP_SYS(ioctl), 1, UINT32_MAX, ioctls, COUNT(ioctls)) ||
		add_values(filter, SCMP_SYS(prctl), 0, UINT32_MAX, prctls, COUNT(prctls)) ||
		add_values(filter, SCMP_SYS(mmap), 2, PROT_EXEC, not_exec, 1) ||
		add_values(filter, SCMP_SYS(mprotect), 2, PROT_EXEC, not_exec, 1) ||
		add_values(filter, SCMP_SYS(tgkill), 0, UINT32_MAX, self, 1) ||
		add_values(filter, SCMP_SYS(kill), 0, UINT32_MAX, self, 1))
		return -1;
	if (sets & CALLS_MEMFD &&
		add_values(filter, SCMP_SYS(fcntl), 1, UINT32_MAX, memfd_fcntls, COUNT(memfd_fcntls)))
		return -1;
	if (sets & CALLS_FILES &&
		add_values(filter, SCMP_SYS(fcntl), 1, UINT32_MAX, file_fcntls, COUNT(file_fcntls)))
		return -1;
	/* Whoever took the role over shall not make SIGSYS his own and feel his way along the walls. */
	if (seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(rt_sigaction), 1,
			SCMP_A0(SCMP_CMP_EQ, SIGSYS)) < 0 ||
		seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(rt_sigaction), 1, SCMP_A0(SCMP_CMP_NE, SIGSYS)) < 0)
		return -1;
	/* isatty() of stdio; own limits may be read, none set. */
	return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 1,
			   SCMP_A1(SCMP_CMP_EQ, TCGETS)) < 0 ||
			seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
				SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0)) < 0
		? -1
		: 0;
}

/* glibc's fstat() is newfstatat() on an empty path, so that one stays even where no path is. That it
 * is empty no filter can see: what is left is for sandbox_view() to hide. */
static int add_stat(scmp_filter_ctx filter, unsigned sets)
{
	if (sets & (CALLS_FILES | CALLS_SPAWN))
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 0);
	if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
			SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH)) < 0)
		return -1;
	return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(newfstatat), 1,
		SCMP_A3(SCMP_CMP_NE, AT_EMPTY_PATH));
}

/* TCP and UDP over the internet, and local sockets for serve, which speaks to the service manager and
 * asks the system who its users are. Netlink is tried by libraries, which cope. */
static int add_sockets(scmp_filter_ctx filter, unsigned sets)
{
	static const uint32_t families[] = {AF_INET, AF_INET6};
	static const uint32_t kinds[][2] = {
		{SOCK_STREAM, 0}, {SOCK_STREAM, IPPROTO_TCP}, {SOCK_DGRAM, 0}, {SOCK_DGRAM, IPPROTO_UDP}};
	const uint32_t flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
	if (!(sets & CALLS_CONNECT))
		return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 0);
	uint32_t local = sets & CALLS_SPAWN ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EACCES);
	if (seccomp_rule_add(filter, local, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX)) < 0 ||
		seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1,
			SCMP_A0(SCMP_CMP_EQ, AF_NETLINK)) < 0)
		return -1;
	for (size_t f = 0; f < COUNT(families); f++)
		for (size_t k = 0; k < COUNT(kinds); k++)
			if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
					SCMP_A0(SCMP_CMP_EQ, families[f]),
					SCMP_A1(SCMP_CMP_MASKED_EQ, ~flags & UINT32_MAX, kinds[k][0]),
					SCMP_A2(SCMP_CMP_EQ, kinds[k][1])) < 0)
				return -1;
	return 0;
}

/* What is sent, and how a socket is set up: behind an option may stand a filter or a protocol module
 * deep in the kernel, so they are named one by one. Those for CALLS_CONNECT are libunbound's and ours.
 *
 * MSG_FASTOPEN connects without connect(), and past Landlock: a listening socket that was shut down
 * can be sent out with it. */
static int add_sending(scmp_filter_ctx filter, unsigned sets)
{
	static const struct {
		unsigned sets; /* one of them needs it; 0: all do */
		uint32_t level, name;
	} options[] = {
		{0, SOL_SOCKET, SO_SNDBUF},
		{CALLS_ACCEPT | CALLS_CONNECT, IPPROTO_TCP, TCP_NODELAY},
		{CALLS_ACCEPT | CALLS_CONNECT, IPPROTO_TCP, TCP_QUICKACK},
		{CALLS_CONNECT, IPPROTO_TCP, TCP_MAXSEG},
		{CALLS_CONNECT, SOL_SOCKET, SO_REUSEADDR},
		{CALLS_CONNECT, SOL_SOCKET, SO_RCVBUF},
		{CALLS_CONNECT, IPPROTO_IP, IP_MTU_DISCOVER},
		{CALLS_CONNECT, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT},
		{CALLS_CONNECT, IPPROTO_IPV6, IPV6_V6ONLY},
		{CALLS_CONNECT, IPPROTO_IPV6, IPV6_MTU},
		{CALLS_CONNECT, IPPROTO_IPV6, IPV6_MTU_DISCOVER},
	};
	static const int none[] = {0};
	const uint32_t fast_open = sets & CALLS_CONNECT ? 0 : MSG_FASTOPEN;
	if (add_values(filter, SCMP_SYS(sendto), 3, fast_open, none, 1) ||
		add_values(filter, SCMP_SYS(sendmsg), 2, fast_open, none, 1))
		return -1;
	for (size_t i = 0; i < COUNT(options); i++)
		if ((!options[i].sets || options[i].sets & sets) &&
			seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2,
				SCMP_A1(SCMP_CMP_EQ, options[i].level), SCMP_A2(SCMP_CMP_EQ, options[i].name)) < 0)
			return -1;
	return 0;
}

/* clone() shows its flags to the filter, clone3() does not: glibc takes the first when the second is
 * said to be missing. */
static int add_clone(scmp_filter_ctx filter, unsigned sets)
{
	static const int no_namespace[] = {0};
	static const int thread[] = {CLONE_THREAD};
	const uint32_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
		CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
	if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) < 0)
		return -1;
	if (sets & CALLS_SPAWN)
		return add_values(filter, SCMP_SYS(clone), 0, namespaces, no_namespace, 1);
	if (sets & CALLS_THREADS)
		return add_values(filter, SCMP_SYS(clone), 0, CLONE_THREAD, thread, 1);
	return 0;
}

/* What is neither allowed nor refused with an error by this has the filter's default. */
static int fill_filter(scmp_filter_ctx filter, unsigned sets)
{
	const struct {
		unsigned set;
		const char *const *calls;
	} extra[] = {{CALLS_MEMFD, memfd_calls}, {CALLS_ACCEPT, accept_calls},
		{CALLS_CONNECT, connect_calls}, {CALLS_FILES, file_calls}, {CALLS_SPAWN, spawn_calls}};
	if (add_calls(filter, SCMP_ACT_ALLOW, base_calls))
		return -1;
	for (size_t i = 0; i < COUNT(extra); i++)
		if (sets & extra[i].set && add_calls(filter, SCMP_ACT_ALLOW, extra[i].calls))
			return -1;
	/* Limits of others are not ours to read or set. */
	if (sets & CALLS_SPAWN &&
		seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_EQ, 0)) <
			0)
		return -1;
	if (!(sets & CALLS_SPAWN) && (add_by_argument(filter, sets) || add_sending(filter, sets)))
		return -1;
	if (!(sets & (CALLS_FILES | CALLS_SPAWN)) &&
		add_calls(filter, SCMP_ACT_ERRNO(EACCES), probe_calls))
		return -1;
	return add_stat(filter, sets) < 0 || add_sockets(filter, sets) < 0 ||
			add_clone(filter, sets) < 0
		? -1
		: 0;
}

/* Another process's signals in a mode that lets most things through. */
static int add_never(scmp_filter_ctx filter, unsigned sets)
{
	if (add_calls(filter, SCMP_ACT_TRAP, never_calls))
		return -1;
	if (sets & CALLS_SPAWN)
		return 0;
	if (seccomp_rule_add(filter, SCMP_ACT_TRAP, SCMP_SYS(kill), 1,
			SCMP_A0(SCMP_CMP_NE, (uint32_t)getpid())) < 0 ||
		seccomp_rule_add(filter, SCMP_ACT_TRAP, SCMP_SYS(tgkill), 1,
			SCMP_A0(SCMP_CMP_NE, (uint32_t)getpid())) < 0)
		return -1;
	return add_calls(filter, SCMP_ACT_TRAP, child_calls);
}

/* ---- who runs into a wall ---- */

static const char *walled; /* the role */

/* A forbidden call was not made; the process says which one, and dies of the same signal, for which
 * its handler stands no longer. (The signal is our own call's, so no lock of the log or the allocator
 * is held: what those call is allowed.) */
static void on_forbidden(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (info->si_code == SIGSYS_BY_SECCOMP) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, info->si_syscall);
		log_error("role.forbidden", "role=%s call=%s number=%d", walled, name ? name : "unknown",
			info->si_syscall);
	}
	kill(getpid(), signal);
}

void sandbox_tell(const char *role)
{
	const struct sigaction action = {
		.sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER};
	walled = role;
	sigaction(SIGSYS, &action, NULL);
}

int sandbox_calls(unsigned sets, enum sandbox_mode mode, struct buf *missing, struct err *err)
{
	if (mode == SANDBOX_OFF || prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0) {
		name_missing(missing, "seccomp");
		return 0;
	}
	if (mode == SANDBOX_LOG)
		name_missing(missing, "seccomp");
	if (sets & CALLS_SPAWN) { /* the filter of serve holds for all its children too */
		sets |= CALLS_MEMFD | CALLS_ACCEPT | CALLS_CONNECT | CALLS_FILES;
		/* The others' filters let no memory become code at all. */
		if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) < 0)
			name_missing(missing, "mdwe");
	}
	scmp_filter_ctx filter = seccomp_init(mode == SANDBOX_ENFORCE ? SCMP_ACT_TRAP : SCMP_ACT_LOG);
	if (!filter)
		return err_say(err, "no memory for a seccomp filter");
	/* Another machine's numbers mean other calls. */
	seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* A binary tree of the numbers instead of a chain: a few steps for each call. */
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	int failed = fill_filter(filter, sets);
	if (!failed && mode == SANDBOX_LOG)
		failed = add_never(filter, sets);
	if (!failed)
		failed = seccomp_load(filter);
	seccomp_release(filter);
	return failed ? err_say(err, "cannot put up the seccomp filter: %s", strerror(errno)) : 0;
}
