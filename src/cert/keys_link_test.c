/* keys over a link: what an edge that was taken over may ask, packet by packet. */
#include "cert/keys.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h> /* style: cmocka wants it */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "ask/questions.h"
#include "cert/test_pki.h"
#include "io/body.h"
#include "io/fiber.h"
#include "io/loop.h"

static struct {
	struct keys *keys;
	struct ask_link *to_keys, *from_edge;
	char folder[40];
} world = {.folder = "/tmp/letterlock-keys-link-XXXXXX"};

static int setup(void **state)
{
	struct err err;
	int pair[2];
	(void)state;
	assert_non_null(mkdtemp(world.folder));
	signal(SIGPIPE, SIG_IGN); /* as every role does */
	loop_init();
	world.keys = keys_open(open(world.folder, O_RDONLY | O_DIRECTORY), &err);
	assert_non_null(world.keys);
	ask_pair(pair);
	world.to_keys = ask_link_new(pair[0], "keys", NULL, NULL, NULL);
	world.from_edge = ask_link_new(pair[1], "edge", keys_answer, NULL, world.keys);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ask_link_free(world.to_keys);
	ask_link_free(world.from_edge);
	keys_close(world.keys);
	rmdir(world.folder);
	return 0;
}

static int files_in_folder(void)
{
	int n = 0;
	DIR *d = opendir(world.folder);
	while (d && readdir(d))
		n++;
	closedir(d);
	return n;
}

/* K4: questions as a taken-over edge would put them, good ones and rubbish. */
static void ask_for_more(void *arg)
{
	static const enum ask_kind kinds[] = {ASK_KEY_MAKE, ASK_KEY_PUT, ASK_SELF_SIGN, ASK_PILE,
		ASK_ADMIN, ASK_START, ASK_CONF, (enum ask_kind)0, (enum ask_kind)65535};
	int *ret_answered = arg;
	struct ask_key_make make = {.type = STR("p256")};
	struct pki_pair pair = pki_make((struct pki_wish){.cn = "x"});
	struct buf pem;
	struct err err;
	buf_init(&pem, 1 << 16);
	pki_add_key(&pem, pair.key);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct arena *arena = arena_new();
		struct ask_answer answer;
		int fd = body_from_str(buf_str(&pem), "key", &err);
		*ret_answered += ask_put(world.to_keys, kinds[i], xfer_ask_key_make, &make, (int[]){fd, -1},
							 NULL, NULL, NULL, 5000, arena, &err) == 0;
		*ret_answered += ask_call(world.to_keys, (uint16_t)kinds[i], STR("\xff\xff\xff\xff"), NULL,
							 5000, arena, &answer, &err) == 0;
		assert_true(ask_link_alive(world.to_keys));
		close(fd);
		arena_free(arena);
	}
	buf_done(&pem);
	pki_free(&pair);
	loop_stop();
}

static void test_an_edge_gets_signatures_only(void **state)
{
	int answered = 0, before = files_in_folder();
	(void)state;
	fiber_start("edge", ask_for_more, &answered);
	loop_run();
	assert_int_equal(answered, 0);
	assert_int_equal(files_in_folder(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_edge_gets_signatures_only),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
