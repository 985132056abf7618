#include "cli/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "io/fd.h"

enum { ANSWER_MAX = 64 * 1024 * 1024 };

/* Connects; the path of a socket is short, that of a home may not be, so the way goes through a
 * descriptor of the home. -1 with errno. */
static int connect_home(const char *home)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int dir = open(home, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -1;
	snprintf(sa.sun_path, sizeof sa.sun_path, "/proc/self/fd/%d/control.sock", dir);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0) {
		int saved = errno;
		close(fd);
		errno = saved;
		fd = -1;
	}
	int saved = errno;
	close(dir);
	errno = saved;
	return fd;
}

static int send_all(int fd, struct str bytes)
{
	while (bytes.n) {
		ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			bytes = str_skip(bytes, (size_t)n);
	}
	return 0;
}

static int exchange(
	int fd, const char *verb, struct str args, const struct str *raw, struct buf *answer)
{
	struct buf head;
	struct str body = raw ? *raw : args;
	buf_init(&head, args.n + 1024);
	buf_addf(&head,
		"POST /v1/%s HTTP/1.1\r\nHost: letterlock\r\nConnection: close\r\n"
		"Content-Type: %s\r\nContent-Length: %zu\r\n",
		verb, raw ? "application/octet-stream" : "application/json", body.n);
	if (raw)
		buf_addf(&head, "Letterlock-Args: %.*s\r\n", STR_ARG(args));
	buf_add_c(&head, "\r\n");
	/* A server that refuses early closes before it has read all: its answer counts, not EPIPE. */
	int sent = send_all(fd, buf_str(&head)) < 0 ? -1 : send_all(fd, body);
	int error = errno;
	buf_done(&head);
	if (fd_read_all(fd, answer) < 0)
		return -1;
	if (sent < 0 && answer->n == 0) {
		errno = error;
		return -1;
	}
	return 0;
}

/* The value of a header field, or an empty slice. */
static struct str header(struct str head, struct str name)
{
	struct str line;
	while (str_split(&head, '\n', &line)) {
		ptrdiff_t colon = str_find(line, ':');
		if (colon > 0 && str_eq_nocase(str_take(line, (size_t)colon), name))
			return str_trim(str_skip(line, (size_t)colon + 1));
	}
	return str_make("", 0);
}

/* status-line = "HTTP/1.1" SP 3DIGIT SP text CRLF                                  RFC 9112 4 */
int socket_parse(struct str bytes, unsigned *ret_status, struct str *ret_body, struct err *err)
{
	uint64_t status, length;
	const char *end = memmem(bytes.p, bytes.n, "\r\n\r\n", 4);
	struct str head = end ? str_make(bytes.p, (size_t)(end - bytes.p)) : str_make("", 0);
	if (!str_starts(head, STR("HTTP/1.")) || head.n < 12 ||
		!str_to_u64(str_take(str_skip(head, 9), 3), 999, &status))
		return err_say(err, "the answer of the daemon cannot be understood");
	struct str body = str_skip(bytes, head.n + 4);
	if (!str_to_u64(header(head, STR("Content-Length")), SIZE_MAX, &length) || body.n < length)
		return err_say(err, "the answer of the daemon broke off; it may be restarting");
	*ret_status = (unsigned)status;
	*ret_body = str_take(body, (size_t)length);
	return 0;
}

enum socket_result socket_ask(const char *home, const char *verb, struct str args,
	const struct str *raw, struct arena *arena, unsigned *ret_status, struct str *ret_body,
	struct err *err)
{
	int fd = connect_home(home);
	if (fd < 0 && (errno == ENOENT || errno == ECONNREFUSED))
		return SOCKET_DOWN;
	if (fd < 0) {
		err_say(err, "%s/control.sock: %s%s", home, strerror(errno),
			errno == EACCES ? " (only root and the owner of this home may ask)" : "");
		return SOCKET_FAILED;
	}
	struct buf answer;
	struct str body;
	buf_init(&answer, ANSWER_MAX);
	int r = exchange(fd, verb, args, raw, &answer);
	if (r < 0)
		err_say(err, "%s/control.sock: %s", home, strerror(errno));
	else
		r = socket_parse(buf_str(&answer), ret_status, &body, err);
	if (r == 0)
		*ret_body = arena_dup(arena, body);
	buf_done(&answer);
	close(fd);
	return r == 0 ? SOCKET_ANSWER : SOCKET_FAILED;
}
