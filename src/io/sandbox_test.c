/* Each test forks a child that puts walls up and then tries one thing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/sandbox.h"

enum { WORKS = 0, KILLED = 1000 }; /* else: the errno it fails with */
enum { NO_WALLS = 200 };           /* exit status of a child whose walls do not stand */

static char folder[] = "/tmp/letterlock-sandbox-XXXXXX";
static pid_t bystander; /* a process of ours for the children to attack */
static long abi;

struct walls_tried {
	unsigned sets;
	enum sandbox_mode mode;
	unsigned net;
	bool folder; /* may be written to */
};

static int put_up(const struct walls_tried *w)
{
	struct buf missing;
	struct err err = {0};
	buf_init(&missing, 200);
	sandbox_tell("test"); /* as the roles, and in place of the test library's own handler */
	const struct sandbox_path path = {folder, SANDBOX_READ | SANDBOX_WRITE};
	int failed = sandbox_drop(0, 0, 0, &missing, &err) ||
		sandbox_files(&path, w->folder ? 1 : 0, w->net, &missing, &err) ||
		sandbox_calls(w->sets, w->mode, &missing, &err);
	if (failed)
		fprintf(stderr, "%s\n", err.log);
	buf_done(&missing);
	return failed;
}

/* What becomes of attempt() behind the walls. attempt() returns -1 with errno, or anything else. */
static int outcome(struct walls_tried w, long (*attempt)(void))
{
	pid_t pid = fork();
	if (pid == 0) {
		if (put_up(&w))
			_exit(NO_WALLS);
		errno = 0;
		_exit(attempt() == -1 ? errno : WORKS);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? KILLED : -WTERMSIG(status);
	assert_int_not_equal(WEXITSTATUS(status), NO_WALLS);
	return WEXITSTATUS(status);
}

/* ---- attempts */

static long try_nothing(void)
{
	return 0;
}
static long try_passwd(void)
{
	return open("/etc/passwd", O_RDONLY);
}
static long try_make_file(void)
{
	char path[100];
	snprintf(path, sizeof path, "%s/new", folder);
	return open(path, O_RDWR | O_CREAT, 0600);
}
static long try_spool_file(void)
{
	/* What the store does with a large body: unnamed, reopened for reading, named. */
	int fd = open(folder, O_TMPFILE | O_RDWR, 0600);
	char self[40], path[100];
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	snprintf(path, sizeof path, "%s/spooled", folder);
	if (fd < 0 || write(fd, "x", 1) != 1)
		return -1;
	int reader = open(self, O_RDONLY);
	if (reader < 0)
		return -1;
	close(fd);
	if (fcntl(reader, F_SETLEASE, F_RDLCK) < 0)
		return -1;
	snprintf(self, sizeof self, "/proc/self/fd/%d", reader);
	return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}
static long try_write_outside(void)
{
	return open("/tmp/letterlock-outside", O_RDWR | O_CREAT, 0600);
}
static long try_stat(void)
{
	struct stat st;
	return stat("/etc/passwd", &st);
}
static long try_fstat(void)
{
	struct stat st;
	return fstat(0, &st);
}
static long try_exec(void)
{
	return execl("/bin/true", "true", NULL);
}
static long try_fork(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return pid;
}
static void *thread_main(void *arg)
{
	return arg;
}
static long try_thread(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, thread_main, NULL))
		return -1;
	return pthread_join(thread, NULL);
}
static long try_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}
static long try_kill(void)
{
	return kill(bystander, SIGTERM);
}
static long try_kill_nothing(void)
{
	return kill(bystander, 0);
}
static long try_abort(void)
{
	signal(SIGABRT, SIG_IGN);
	return raise(SIGABRT);
}
static long try_ptrace(void)
{
	return ptrace(PTRACE_ATTACH, bystander, NULL, NULL);
}
static long try_read_memory(void)
{
	char here[8];
	struct iovec local = {here, sizeof here}, remote = {folder, sizeof here};
	return process_vm_readv(bystander, &local, 1, &remote, 1, 0);
}
static long try_write_memory(void)
{
	char here[8] = "hostile";
	struct iovec local = {here, sizeof here}, remote = {folder, sizeof here};
	return process_vm_writev(bystander, &local, 1, &remote, 1, 0);
}
static long try_pidfd_open(void)
{
	return syscall(SYS_pidfd_open, bystander, 0);
}
static long try_pidfd_getfd(void)
{
	return syscall(SYS_pidfd_getfd, 0, 0, 0);
}
static long try_io_uring(void)
{
	char params[256] = {0};
	return syscall(SYS_io_uring_setup, 1, params);
}
static long try_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0);
}
static long try_keyctl(void)
{
	return syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}
static long try_mount(void)
{
	return syscall(SYS_mount, "none", folder, "tmpfs", 0, NULL);
}
static long try_userfaultfd(void)
{
	return syscall(SYS_userfaultfd, 0);
}
static long try_perf(void)
{
	return syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0);
}
static long try_exec_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
		? -1
		: 0;
}
static long try_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}
static long try_socket(int family)
{
	return socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}
static long try_internet(void)
{
	return try_socket(AF_INET6);
}
static long try_unix(void)
{
	return try_socket(AF_UNIX);
}
static long try_netlink(void)
{
	return try_socket(AF_NETLINK);
}
static long bind_port(uint16_t port)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
	return bind((int)try_socket(AF_INET), (struct sockaddr *)&sa, sizeof sa);
}
static long try_bind_port(void)
{
	return bind_port(47123);
}
static long try_bind_any(void)
{
	return bind_port(0);
}
static long try_connect(void)
{
	/* Port 1 of loopback: refused by its emptiness, if it is reached at all. */
	struct sockaddr_in sa = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(1)};
	return connect((int)try_socket(AF_INET), (struct sockaddr *)&sa, sizeof sa);
}
static long try_memfd(void)
{
	int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -1 : fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE);
}
static long try_accept(void)
{
	return accept4(0, NULL, NULL, SOCK_CLOEXEC);
}
static long try_isatty(void)
{
	struct {
		char bytes[100];
	} settings;
	return syscall(SYS_ioctl, 0, 0x5401 /* TCGETS */, &settings);
}
static long try_limits(void)
{
	struct rlimit limit;
	return getrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- tests */

static const struct walls_tried least = {.mode = SANDBOX_ENFORCE};

static void test_ordinary_work_goes_on(void **state)
{
	(void)state;
	assert_int_equal(outcome(least, try_nothing), WORKS);
	assert_int_equal(outcome(least, try_fstat), WORKS);
	assert_int_equal(outcome(least, try_limits), WORKS);
	assert_int_equal(outcome(least, try_abort), WORKS);
	/* What libraries try is refused with an error. */
	assert_int_equal(outcome(least, try_stat), EACCES);
	assert_int_equal(outcome(least, try_passwd), EACCES);
	assert_int_equal(outcome(least, try_isatty), ENOTTY);
}

static void test_other_processes_are_out_of_reach(void **state)
{
	(void)state;
	const struct walls_tried most = {
		.sets = CALLS_MEMFD | CALLS_ACCEPT | CALLS_CONNECT | CALLS_FILES | CALLS_THREADS,
		.folder = true,
		.net = SANDBOX_NET_CONNECT};
	long (*const attempts[])(void) = {try_kill, try_kill_nothing, try_ptrace, try_read_memory,
		try_write_memory, try_pidfd_open, try_pidfd_getfd, try_exec, try_fork};
	for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++)
		assert_int_equal(outcome(most, attempts[i]), KILLED);
	assert_int_equal(kill(bystander, 0), 0);
}

static void test_the_kernel_is_out_of_reach(void **state)
{
	(void)state;
	long (*const attempts[])(void) = {try_io_uring, try_bpf, try_keyctl, try_mount, try_userfaultfd,
		try_perf, try_namespace, try_dumpable, try_exec_memory};
	for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++)
		assert_int_equal(outcome(least, attempts[i]), KILLED);
}

static void test_log_mode_still_refuses_the_worst(void **state)
{
	(void)state;
	const struct walls_tried log = {.mode = SANDBOX_LOG};
	long (*const attempts[])(void) = {try_kill, try_ptrace, try_read_memory, try_write_memory,
		try_pidfd_getfd, try_exec, try_io_uring, try_bpf, try_keyctl, try_mount, try_userfaultfd,
		try_perf, try_namespace};
	for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++)
		assert_int_equal(outcome(log, attempts[i]), KILLED);
	assert_int_equal(outcome(log, try_memfd), WORKS);
}

static void test_files(void **state)
{
	(void)state;
	struct walls_tried files = {.sets = CALLS_FILES, .folder = true};
	assert_int_equal(outcome(files, try_make_file), WORKS);
	assert_int_equal(outcome(files, try_spool_file), WORKS);
	assert_int_equal(outcome(files, try_stat), WORKS);
	if (abi < 1)
		skip();
	assert_int_equal(outcome(files, try_passwd), EACCES);
	assert_int_equal(outcome(files, try_write_outside), EACCES);
	files.folder = false;
	assert_int_equal(outcome(files, try_make_file), EACCES);
	files.mode = SANDBOX_LOG; /* Landlock holds in log mode too */
	assert_int_equal(outcome(files, try_passwd), EACCES);
}

static void test_network(void **state)
{
	(void)state;
	struct walls_tried net = {.sets = CALLS_CONNECT, .net = SANDBOX_NET_CONNECT};
	assert_int_equal(outcome(least, try_internet), EACCES);
	assert_int_equal(outcome(least, try_connect), KILLED);
	assert_int_equal(outcome(least, try_accept), KILLED);
	assert_int_equal(outcome(net, try_internet), WORKS);
	assert_int_equal(outcome(net, try_connect), ECONNREFUSED);
	assert_int_equal(outcome(net, try_bind_any), WORKS);
	assert_int_equal(outcome(net, try_unix), EACCES);
	assert_int_equal(outcome(net, try_netlink), EACCES);
	net.sets = CALLS_ACCEPT;
	assert_int_equal(outcome(net, try_accept), ENOTSOCK);
	if (abi < 4)
		skip();
	net.sets = CALLS_CONNECT;
	assert_int_equal(outcome(net, try_bind_port), EACCES);
	net.net = 0;
	assert_int_equal(outcome(net, try_connect), EACCES);
}

static void test_sets(void **state)
{
	(void)state;
	struct walls_tried w = {.sets = CALLS_THREADS};
	assert_int_equal(outcome(w, try_thread), WORKS);
	assert_int_equal(outcome(w, try_fork), KILLED);
	assert_int_equal(outcome(least, try_memfd), KILLED);
	w.sets = CALLS_MEMFD;
	assert_int_equal(outcome(w, try_memfd), WORKS);
	assert_int_equal(outcome(w, try_thread), KILLED);
}

static long child_walls_inside_ours(void)
{
	return put_up(&least) ? -1 : (try_passwd() == -1 && errno == EACCES) ? 0 : -1;
}

static long try_spawn(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	int status;
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return -1;
	pid = fork();
	if (pid == 0)
		_exit(child_walls_inside_ours() ? 1 : 0);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static void test_serve_starts_programs_that_build_their_own_walls(void **state)
{
	(void)state;
	struct buf missing;
	struct err err = {0};
	buf_init(&missing, 200);
	pid_t pid = fork();
	if (pid == 0) {
		sandbox_tell("test");
		const struct sandbox_path all = {"/", SANDBOX_READ | SANDBOX_EXEC};
		if (sandbox_drop(0, 0, 0, &missing, &err) ||
			sandbox_files(&all, 1, SANDBOX_NET_BIND | SANDBOX_NET_CONNECT, &missing, &err) ||
			sandbox_calls(CALLS_SPAWN, SANDBOX_ENFORCE, &missing, &err))
			_exit(NO_WALLS);
		_exit(try_spawn() ? 1 : 0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	struct walls_tried spawn = {.sets = CALLS_SPAWN};
	assert_int_equal(outcome(spawn, try_ptrace), KILLED);
	assert_int_equal(outcome(spawn, try_read_memory), KILLED);
	assert_int_equal(outcome(spawn, try_namespace), KILLED);
}

/* The number behind `name` in /proc/self/status, in `base`. */
static unsigned long long status_of(const char *name, int base)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[200];
	unsigned long long value = ~0ull;
	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, name, strlen(name)))
			value = strtoull(line + strlen(name), NULL, base);
	if (f)
		fclose(f);
	return value;
}

static int dropped_fully(uint32_t uid, const char *want_missing)
{
	struct buf missing;
	struct err err = {0};
	buf_init(&missing, 200);
	if (sandbox_drop(uid, uid, 0, &missing, &err))
		return 1;
	int signo = 0;
	struct rlimit core;
	sandbox_follow_parent();
	prctl(PR_GET_PDEATHSIG, &signo);
	getrlimit(RLIMIT_CORE, &core);
	return strcmp(buf_c(&missing), want_missing) != 0 || (uid && getuid() != uid) ||
		(uid && getegid() != uid) || prctl(PR_GET_DUMPABLE) != 0 || signo != SIGKILL ||
		core.rlim_max != 0 || status_of("NoNewPrivs:", 10) != 1 || status_of("CapEff:", 16) != 0 ||
		status_of("CapPrm:", 16) != 0 || status_of("CapInh:", 16) != 0 || (uid && setuid(0) == 0);
}

static void test_drop(void **state)
{
	(void)state;
	for (int own_user = 0; own_user < 2; own_user++) {
		if (own_user && getuid() != 0)
			skip();
		pid_t pid = fork();
		if (pid == 0)
			_exit(dropped_fully(own_user ? 65534 : 0, own_user ? "" : "uid"));
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

static int set_up(void **state)
{
	(void)state;
	abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, 1);
	bystander = fork();
	if (bystander == 0)
		for (;;)
			pause();
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	static const char *const names[] = {"new", "spooled"};
	char path[100];
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
	kill(bystander, SIGKILL);
	waitpid(bystander, NULL, 0);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary_work_goes_on),
		cmocka_unit_test(test_other_processes_are_out_of_reach),
		cmocka_unit_test(test_the_kernel_is_out_of_reach),
		cmocka_unit_test(test_log_mode_still_refuses_the_worst),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_serve_starts_programs_that_build_their_own_walls),
		cmocka_unit_test(test_drop),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
