/* monitor: asks the daemon again and again and shows the answer: as a live picture on a terminal, as
 * lines or JSON elsewhere. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/monitor_screen.h"
#include "cli/socket.h"
#include "cli/table.h"
#include "io/fd.h"

enum {
	SCREEN_MS = 500, /* so that what is new is seen within a second */
	LINES_MS = 1000,
	BEFORE = 4, /* answers that are kept, to compare with one of two seconds ago */
	WAITING = 100,
	COLUMNS = 80,       /* of a terminal that does not say */
	FILE_COLUMNS = 132, /* into a file or a pipe: room for an address at the end of a line */
	HTTP_OK = 200,
	TROUBLE = 320,
};

struct monitor {
	struct cli *c;
	struct arena *arena;   /* of one round */
	json_t *kept[BEFORE];  /* the newest first */
	char trouble[TROUBLE]; /* why there is no newer answer; empty: it is fresh */
};

/* ---- asking ------------------------------------------------------------------------------------ */

static void keep(struct monitor *m, json_t *answer)
{
	json_decref(m->kept[BEFORE - 1]);
	memmove(&m->kept[1], &m->kept[0], (BEFORE - 1) * sizeof *m->kept);
	m->kept[0] = answer;
}

/* The answer's own words about why it is none. */
static void refused(struct monitor *m, const json_t *j)
{
	struct str text = text_of(m->arena, json_object_get(j, "error"), "message");
	str_to_c(text.n ? text : STR("the daemon's answer cannot be understood"), m->trouble,
		sizeof m->trouble);
}

/* Puts the newest answer first. False: there is none, m->trouble says why. */
static bool look(struct monitor *m)
{
	unsigned status = 0;
	struct str body = {0};
	struct err err = {0};
	json_error_t why;
	struct str args = arena_fmt(m->arena, "{\"limit\":%d}", WAITING);
	switch (socket_ask(m->c->home, "monitor", args, NULL, m->arena, &status, &body, &err)) {
	case SOCKET_DOWN:
		snprintf(m->trouble, sizeof m->trouble,
			"letterlock is not running (start it with: letterlock serve --home %s)", m->c->home);
		return false;
	case SOCKET_FAILED:
		str_to_c(str_from_c(err.log), m->trouble, sizeof m->trouble);
		return false;
	case SOCKET_ANSWER:
		break;
	}
	json_t *j = json_loadb(body.p, body.n, JSON_ALLOW_NUL, &why);
	if (status != HTTP_OK || !json_is_object(j)) {
		refused(m, j);
		json_decref(j);
		return false;
	}
	m->trouble[0] = 0;
	keep(m, j);
	return true;
}

static const json_t *before(const struct monitor *m)
{
	for (int i = BEFORE - 1; i > 0; i--)
		if (m->kept[i])
			return m->kept[i];
	return NULL;
}

static void done(struct monitor *m)
{
	for (int i = 0; i < BEFORE; i++)
		json_decref(m->kept[i]);
	arena_free(m->arena);
}

static bool has_colours(void)
{
	const char *no = getenv("NO_COLOR");
	return !(no && *no);
}

/* ---- without a terminal ------------------------------------------------------------------------ */

static int print_once(struct monitor *m)
{
	struct buf out;
	unsigned columns = text_columns(stdout);
	buf_init(&out, SCREEN_MAX);
	struct screen_look picture = {.columns = columns ? columns : FILE_COLUMNS,
		.colours = columns && has_colours(),
		.now = m->kept[0],
		.now_ms = clock_wall_ms()};
	screen_draw(&picture, m->arena, &out);
	fputs(buf_c(&out), stdout);
	buf_done(&out);
	return CLI_DONE;
}

static long long last_second(const json_t *answer, const char *rate)
{
	const json_t *rates = json_object_get(answer, "rates");
	return json_integer_value(json_object_get(json_object_get(rates, rate), "1s"));
}

/* What happened in the last second, and who was put off since the answer before. */
static void print_lines(struct monitor *m)
{
	size_t i;
	json_t *r;
	const json_t *now = m->kept[0], *then = json_object_get(m->kept[1], "waiting");
	const json_t *queue = json_object_get(now, "queue");
	struct str at = text_of(m->arena, now, "at");
	printf(
		"%.*s accepted=%lld delivered=%lld deferred=%lld bounced=%lld refused=%lld bytes_in=%lld "
		"bytes_out=%lld queue=%lld\n",
		STR_ARG(at), last_second(now, "accepted"), last_second(now, "delivered"),
		last_second(now, "deferred"), last_second(now, "bounced") + last_second(now, "expired"),
		last_second(now, "refused"), last_second(now, "bytes_in"), last_second(now, "bytes_out"),
		json_integer_value(json_object_get(queue, "messages")));
	json_array_foreach(json_object_get(now, "waiting"), i, r)
	{
		if (!screen_is_listed(then, r))
			printf("%.*s %.*s\n", STR_ARG(at),
				STR_ARG(screen_waiting_line(r, m->arena, text_time_ms(at))));
	}
}

static void print_json_line(const json_t *answer)
{
	json_dumpf(answer, stdout, JSON_COMPACT);
	putchar('\n');
}

/* A line a second until nobody reads them. The daemon may be away for a while. */
static int print_stream(struct monitor *m)
{
	bool told = false;
	for (;;) {
		if (m->trouble[0]) {
			if (!told)
				fprintf(stderr, "letterlock: %s\n", m->trouble);
		} else if (m->c->json) {
			print_json_line(m->kept[0]);
		} else {
			print_lines(m);
		}
		told = m->trouble[0] != 0;
		if (fflush(stdout) != 0)
			return CLI_FAILED;
		nanosleep(&(struct timespec){.tv_sec = LINES_MS / 1000}, NULL);
		arena_reset(m->arena);
		look(m);
	}
}

/* ---- on a terminal ----------------------------------------------------------------------------- */

static volatile sig_atomic_t ending, resized, suspended;

static void on_signal(int signo)
{
	if (signo == SIGWINCH)
		resized = 1;
	else if (signo == SIGTSTP)
		suspended = 1;
	else
		ending = signo;
}

static struct termios terminal_before;
static bool has_keys;

/* The screen that was there comes back when we leave. */
static void enter_screen(void)
{
	has_keys = tcgetattr(STDIN_FILENO, &terminal_before) == 0;
	if (has_keys) {
		struct termios keys = terminal_before;
		keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		keys.c_cc[VMIN] = 0;
		keys.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSANOW, &keys);
	}
	fd_write_all(STDOUT_FILENO, STR("\033[?1049h\033[?25l\033[2J"));
}

static void leave_screen(void)
{
	fd_write_all(STDOUT_FILENO, STR("\033[0m\033[?25h\033[?1049l"));
	if (has_keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
}

/* Back to the shell until it says to go on. */
static void suspend(void)
{
	suspended = 0;
	leave_screen();
	raise(SIGSTOP);
	enter_screen();
}

static void draw(struct monitor *m)
{
	struct winsize w = {0};
	struct buf out;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_col == 0 || w.ws_row == 0)
		w = (struct winsize){.ws_col = COLUMNS, .ws_row = 24};
	buf_init(&out, SCREEN_MAX);
	struct screen_look picture = {.columns = w.ws_col,
		.rows = w.ws_row,
		.colours = has_colours(),
		.clears = true,
		.now = m->kept[0],
		.before = before(m),
		.trouble = m->trouble[0] ? m->trouble : NULL,
		.now_ms = clock_wall_ms()};
	screen_draw(&picture, m->arena, &out);
	if (fd_write_all(STDOUT_FILENO, buf_str(&out)) != 0)
		ending = SIGHUP; /* the terminal is gone */
	buf_done(&out);
}

static void read_keys(void)
{
	char keys[64];
	ssize_t n = read(STDIN_FILENO, keys, sizeof keys);
	for (ssize_t i = 0; i < n; i++)
		if (keys[i] == 'q' || keys[i] == 'Q')
			ending = SIGINT;
	if (n == 0)
		has_keys = false; /* its end */
}

/* Waits for a key, a signal (let through only here) or the time to ask again. */
static void wait_for(int64_t until_ms, const sigset_t *let_through)
{
	while (!ending && !suspended && !resized) {
		int64_t left = until_ms - clock_steady_ms();
		if (left <= 0)
			return;
		struct timespec t = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
		struct pollfd in = {.fd = has_keys ? STDIN_FILENO : -1, .events = POLLIN};
		if (ppoll(&in, 1, &t, let_through) > 0)
			read_keys();
	}
}

static int show_screen(struct monitor *m)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP};
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t held, let_through;
	sigemptyset(&held);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		sigaddset(&held, signals[i]);
		sigaction(signals[i], &action, NULL);
	}
	sigprocmask(SIG_BLOCK, &held, &let_through);
	enter_screen();
	while (!ending) {
		int64_t next = clock_steady_ms() + SCREEN_MS;
		draw(m);
		wait_for(next, &let_through);
		if (suspended)
			suspend();
		if (resized) {
			resized = 0;
			continue;
		}
		arena_reset(m->arena);
		look(m);
	}
	leave_screen();
	if (ending == SIGINT)
		return CLI_DONE;
	/* As the caller of a program that was ended expects it. */
	signal(ending, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &held, NULL);
	raise(ending);
	return CLI_FAILED;
}

/* ---- */

static bool is_screen(void)
{
	const char *term = getenv("TERM");
	return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

int cli_monitor(struct cli *c)
{
	struct monitor m = {.c = c, .arena = arena_new()};
	bool once = cli_value(c, "--once") != NULL;
	int status = CLI_DONE;
	if (!look(&m))
		status = cli_fail(c, "not-running", "%s", m.trouble);
	else if (once && c->json)
		cli_print_json(m.kept[0]);
	else if (once)
		print_once(&m);
	else if (c->json || !is_screen())
		status = print_stream(&m);
	else
		status = show_screen(&m);
	done(&m);
	return status;
}
