/* Each role's walls, from the same table that its main uses: a child puts them up and tries what the
 * role must never do, and what it is there for. (io/sandbox_test.c tries the walls one by one.) */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "role/walls.h"

static char home[] = "/tmp/letterlock-walls-XXXXXX";
static int listener, port; /* a listening socket, as serve hands one to edge */
static pid_t bystander;
static bool in_keys; /* this process is the role keys */

/* ---- attempts: -1 with errno, or anything else if it went well */

static long open_in_home(const char *name, int flags)
{
	char path[200];
	/* keys sees its folder and nothing else, as the root of all or, without root, from within. */
	bool seen = in_keys && str_starts(str_from_c(name), STR("keys/"));
	snprintf(path, sizeof path, "%s/%s", seen ? "." : home, seen ? name + 5 : name);
	return open(path, flags | O_CLOEXEC, 0600);
}
static long read_database(void)
{
	return open_in_home("data/site.db", O_RDONLY);
}
static long make_file(void)
{
	return open_in_home("spool/new", O_RDWR | O_CREAT);
}
static long make_journal(void)
{
	return open_in_home("data/site.db-journal", O_RDWR | O_CREAT);
}
static long read_lock(void)
{
	return open_in_home("lock", O_RDONLY);
}
static long read_key(void)
{
	return open_in_home("keys/key", O_RDONLY);
}
static long make_key(void)
{
	return open_in_home("keys/new", O_RDWR | O_CREAT);
}
static long read_passwords(void)
{
	return open("/etc/passwd", O_RDONLY);
}
static long write_outside(void)
{
	return open("/tmp/letterlock-walls-outside", O_RDWR | O_CREAT, 0600);
}
static long dial(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&sa, sizeof sa);
}
static long listen_anew(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 ? -1 : listen(fd, 1);
}
static long accept_one(void)
{
	/* Nobody calls: EAGAIN says that one may. */
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC) < 0 && errno != EAGAIN ? -1 : 0;
}
static long run_program(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	int status;
	return pid < 0 || waitpid(pid, &status, 0) != pid || status ? -1 : 0;
}
static long become_program(void)
{
	return execl("/bin/true", "true", NULL);
}
static long kill_neighbour(void)
{
	return kill(bystander, SIGKILL);
}
static long trace_neighbour(void)
{
	return ptrace(PTRACE_SEIZE, bystander, NULL, NULL);
}
static long read_neighbour(void)
{
	char here[8];
	struct iovec local = {here, sizeof here}, remote = {home, sizeof here};
	return process_vm_readv(bystander, &local, 1, &remote, 1, 0);
}
static long take_descriptor(void)
{
	return syscall(SYS_pidfd_getfd, 0, 0, 0);
}
static long ring(void)
{
	char params[256] = {0};
	return syscall(SYS_io_uring_setup, 1, params);
}
static long memory_file(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -1 : fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
}
static long become_root(void)
{
	return setuid(0);
}

/* ---- who may */

enum { SERVE = 1, EDGE = 2, STORE = 4, RELAY = 8, KEYS = 16, IMPORT = 32 };
static const char *const roles[] = {"serve", "edge", "store", "relay", "keys", "import"};

static const struct {
	const char *what;
	long (*attempt)(void);
	unsigned may;
} table[] = {
	{"read a database", read_database, SERVE | STORE},
	{"make a journal beside a database", make_journal, SERVE | STORE},
	{"make a file in the spool", make_file, SERVE | STORE},
	{"make a key file", make_key, SERVE | KEYS},
	{"read a key file", read_key, SERVE | KEYS},
	{"read a file of the home itself", read_lock, SERVE},
	{"read a file outside the home", read_passwords, SERVE},
	{"write outside the home", write_outside, 0},
	{"dial out", dial, SERVE | RELAY},
	{"listen on a new socket", listen_anew, SERVE},
	{"accept on a socket it was handed", accept_one, SERVE | EDGE},
	{"run a program", run_program, SERVE},
	{"become another program", become_program, SERVE},
	{"kill another process", kill_neighbour, 0},
	{"trace another process", trace_neighbour, 0},
	{"read another process's memory", read_neighbour, 0},
	{"take another process's descriptor", take_descriptor, 0},
	{"set up an io_uring", ring, 0},
	{"make and seal a memory file", memory_file, SERVE | EDGE | STORE | RELAY | KEYS | IMPORT},
};

static int view_of(const char *role)
{
	struct err err;
	enum walls_view view = walls_find(role)->view;
	int fd = walls_view(view, home, &err);
	assert_true(view == VIEW_ALL || fd >= 0);
	return fd;
}

/* True if the role got through. */
static bool tried(const char *role, long (*attempt)(void))
{
	pid_t pid = fork();
	if (pid == 0) {
		struct buf missing;
		struct err err = {0};
		sandbox_tell(role);
		buf_init(&missing, 200);
		if (walls_up(role, home, view_of(role), 0, 0, SANDBOX_ENFORCE, &missing, &err)) {
			fprintf(stderr, "%s: %s\n", role, err.log);
			_exit(200);
		}
		in_keys = !strcmp(role, "keys");
		_exit(attempt() == -1 ? 1 : 0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return false;
	}
	assert_int_not_equal(WEXITSTATUS(status), 200);
	return WEXITSTATUS(status) == 0;
}

static void test_who_may_do_what(void **state)
{
	(void)state;
	int wrong = 0;
	for (size_t r = 0; r < sizeof roles / sizeof *roles; r++)
		for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
			bool may = table[i].may >> r & 1;
			/* Serve may signal whom it starts; the walls do not tell children from others. */
			if (table[i].attempt == kill_neighbour && r == 0)
				continue;
			if (tried(roles[r], table[i].attempt) == may)
				continue;
			fprintf(stderr, "%s %s %s\n", roles[r], may ? "cannot" : "can", table[i].what);
			wrong++;
		}
	assert_int_equal(wrong, 0);
	assert_int_equal(kill(bystander, 0), 0);
}

static void test_no_way_back_to_root(void **state)
{
	(void)state;
	if (getuid() != 0)
		skip();
	for (size_t r = 1; r < sizeof roles / sizeof *roles; r++) {
		pid_t pid = fork();
		if (pid == 0) {
			struct buf missing;
			struct err err = {0};
			sandbox_tell(roles[r]);
			buf_init(&missing, 200);
			/* The keys folder belongs to root here: its walls must still stand. */
			if (walls_up(roles[r], home, view_of(roles[r]), 65534, 65534, SANDBOX_ENFORCE, &missing,
					&err))
				_exit(200);
			_exit(getuid() == 65534 && become_root() == -1 ? 0 : 1);
		}
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS));
	}
}

static void test_unknown_role_does_not_start(void **state)
{
	(void)state;
	struct buf missing;
	struct err err = {0};
	buf_init(&missing, 200);
	assert_int_equal(walls_up("nobody", home, -1, 0, 0, SANDBOX_ENFORCE, &missing, &err), -1);
	buf_done(&missing);
}

static int set_up(void **state)
{
	(void)state;
	static const char *const files[] = {"data/site.db", "keys/key", "lock"};
	static const char *const folders[] = {"data", "keys", "spool"};
	char path[200];
	if (!mkdtemp(home) || chmod(home, 0711) < 0)
		return -1;
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		snprintf(path, sizeof path, "%s/%s", home, folders[i]);
		if (mkdir(path, 0711) < 0)
			return -1;
	}
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		close((int)open_in_home(files[i], O_RDWR | O_CREAT));
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sa;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(listener, (struct sockaddr *)&sa, sizeof sa) < 0 || listen(listener, 100) < 0 ||
		getsockname(listener, (struct sockaddr *)&sa, &len) < 0)
		return -1;
	port = ntohs(sa.sin_port);
	bystander = fork();
	if (bystander == 0)
		for (;;)
			pause();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	static const char *const names[] = {"data/site.db", "data/site.db-journal", "keys/key",
		"keys/new", "spool/new", "lock", "data", "keys", "spool", ""};
	char path[200];
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", home, names[i]);
		remove(path);
	}
	kill(bystander, SIGKILL);
	waitpid(bystander, NULL, 0);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_may_do_what),
		cmocka_unit_test(test_no_way_back_to_root),
		cmocka_unit_test(test_unknown_role_does_not_start),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
