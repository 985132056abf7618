/* TLS handshakes a second, private key at hand against private key in a process of its own.
 *
 *   tls_handshake [SECONDS] [CONNECTIONS]
 *
 * Client and server run as fibers of one process over socket pairs, the client verifies; the key
 * process runs the logic of `keys` on a real link. Prints, per key type and version, the rates with
 * their ratio and the CPU time of one handshake: a busy machine bends the former, not the latter. */
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cert/key.h"
#include "cert/keys.h"
#include "cert/test_pki.h"
#include "cert/tls.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/stream.h"

static struct {
	SSL_CTX *server, *client;
	int version;
	int64_t until;
	unsigned done, failed, running;
	clockid_t keys_clock;
} run;

enum { ROUNDS = 3 };

struct pair {
	struct stream *server, *client;
};

static void serve(void *arg)
{
	struct pair *p = arg;
	struct err err;
	if (stream_accept_tls(p->server, run.server, NULL, NULL, &err) == 0)
		stream_put(p->server, STR("220\r\n"));
	stream_close(p->server);
}

static int prepare(SSL *ssl, void *arg, struct err *err)
{
	SSL_set_max_proto_version(ssl, run.version);
	return tls_client_prepare(ssl, arg, err);
}

static void shake_hands(void *arg)
{
	struct pair p;
	struct err err;
	struct str host = STR("localhost"), line;
	int fd[2];
	(void)arg;
	while (clock_steady_ms() < run.until) {
		struct tls_verdict verdict = {.cause = "no handshake"};
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0)
			break;
		p = (struct pair){stream_new_fd(fd[0]), stream_new_fd(fd[1])};
		fiber_start("server", serve, &p);
		if (stream_connect_tls(p.client, run.client, STR(""), prepare, &host, &err) == 0 &&
			stream_line(p.client, 100, &line, &err) == STREAM_LINE)
			tls_peer_verdict(stream_ssl(p.client), host, &verdict);
		stream_close(p.client);
		*(verdict.cause ? &run.failed : &run.done) += 1;
	}
	if (--run.running == 0)
		loop_stop();
}

struct figures {
	double rate;          /* handshakes a second */
	double here, in_keys; /* CPU microseconds of one, both ends */
};

static double cpu_us(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Adds a third of what it saw: the figures are means of three rounds. */
static void measure(SSL_CTX *server, int version, int seconds, int connections, struct figures *add)
{
	run.server = server;
	run.version = version;
	run.done = run.failed = 0;
	run.running = (unsigned)connections;
	int64_t from = clock_steady_ms();
	double here = cpu_us(CLOCK_PROCESS_CPUTIME_ID), in_keys = cpu_us(run.keys_clock);
	run.until = from + seconds * 1000;
	for (int i = 0; i < connections; i++)
		fiber_start("client", shake_hands, NULL);
	loop_run();
	if (run.failed)
		printf("FAILED %u\n", run.failed);
	add->rate += run.done * 1000.0 / (double)(clock_steady_ms() - from) / ROUNDS;
	add->here += (cpu_us(CLOCK_PROCESS_CPUTIME_ID) - here) / run.done / ROUNDS;
	add->in_keys += (cpu_us(run.keys_clock) - in_keys) / run.done / ROUNDS;
}

/* The role `keys` without its walls. */
static void be_keys(int fd, int folder)
{
	struct err err;
	loop_init();
	log_open(2, LOG_ERROR);
	struct keys *keys = keys_open(folder, &err);
	ask_link_new(fd, "edge", keys_answer, NULL, keys);
	loop_run();
	_exit(0);
}

static struct str make_pair(const char *type, const char *folder, struct pki_pair *ret)
{
	static char pem[8192];
	struct buf text, key;
	char id[KEY_ID_TEXT], path[256];
	*ret = pki_make((struct pki_wish){.cn = "localhost", .san = "DNS:localhost", .type = type});
	buf_init(&text, sizeof pem - 1);
	buf_init(&key, sizeof pem);
	pki_add_pem(&text, ret);
	pki_add_key(&key, ret->key);
	snprintf(path, sizeof path, "%s/%s", folder, key_id(ret->key, id));
	int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);
	if (fd < 0 || write(fd, key.p, key.n) != (ssize_t)key.n)
		abort();
	close(fd);
	str_to_c(buf_str(&text), pem, sizeof pem);
	buf_done(&text);
	buf_done(&key);
	return str_from_c(pem);
}

static void compare(
	const char *type, const char *folder, struct ask_link **link, int seconds, int connections)
{
	struct pki_pair pair;
	struct err err;
	struct conf_certificate c = {
		.names = STR("localhost"), .chain_pem = make_pair(type, folder, &pair)};
	struct conf conf = {.hostname = STR("localhost"), .certificates = &c, .certificate_count = 1};
	SSL_CTX *remote = tls_server_context(&conf, link, NULL, &err);
	SSL_CTX *local = tls_server_context_with_key(c.chain_pem, pair.key, &err);
	run.client = tls_client_context(TLS_VERIFY, c.chain_pem, &err);
	if (!remote || !local || !run.client) {
		fprintf(stderr, "%s\n", err.log);
		exit(1);
	}
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct figures at_hand = {0}, apart = {0};
		for (int round = 0; round < ROUNDS; round++) {
			measure(local, version, seconds, connections, &at_hand);
			measure(remote, version, seconds, connections, &apart);
		}
		printf(
			"%-8s TLS 1.%d %2d at once: key at hand %5.0f/s, in keys %5.0f/s, ratio %.2f; CPU us "
			"%.0f, %.0f + %.0f\n",
			type, version == TLS1_3_VERSION ? 3 : 2, connections, at_hand.rate, apart.rate,
			apart.rate / at_hand.rate, at_hand.here, apart.here, apart.in_keys);
	}
	SSL_CTX_free(remote);
	SSL_CTX_free(local);
	SSL_CTX_free(run.client);
	pki_free(&pair);
}

int main(int argc, char **argv)
{
	static const char *const types[] = {"p256", "rsa2048", "ed25519"};
	char folder[] = "/tmp/letterlock-bench-XXXXXX";
	int seconds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1;
	int connections = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 16;
	int fd[2];
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(folder))
		return 1;
	ask_pair(fd);
	pid_t keys = fork();
	if (keys == 0) {
		close(fd[0]);
		be_keys(fd[1], open(folder, O_RDONLY | O_DIRECTORY));
	}
	close(fd[1]);
	clock_getcpuclockid(keys, &run.keys_clock);
	loop_init();
	tls_init();
	struct ask_link *link = ask_link_new(fd[0], "keys", NULL, NULL, NULL);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		compare(types[i], folder, &link, seconds, 1);
		compare(types[i], folder, &link, seconds, connections);
	}
	kill(keys, SIGTERM);
	waitpid(keys, NULL, 0);
	pki_remove_folder(folder);
	return 0;
}
