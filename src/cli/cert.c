#include "base/buf.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/table.h"

enum { PILE_MAX = 1024 * 1024, PASSPHRASE_MAX = 1024 };

/* All files one after the other, with names and sizes for the args. Its memory may hold a key. */
static bool read_files(struct cli *c, struct buf *pile, json_t *args)
{
	json_t *names = json_array(), *sizes = json_array();
	json_object_set_new(args, "files", names);
	json_object_set_new(args, "sizes", sizes);
	for (size_t i = 0; i < c->argument_count; i++) {
		struct str file;
		if (!cli_read_file(c, c->arguments[i], PILE_MAX, &file))
			return false;
		bool fits = buf_add(pile, file);
		mem_wipe((char *)file.p, file.n);
		if (!fits) {
			cli_fail(c, "bad-file", "the files together are larger than %d bytes", PILE_MAX);
			return false;
		}
		json_t *name = json_string(c->arguments[i]);
		json_array_append_new(names, name ? name : json_string("(file)"));
		json_array_append_new(sizes, json_integer((json_int_t)file.n));
	}
	return true;
}

static bool read_passphrase(struct cli *c, json_t *args)
{
	struct str text, first;
	const char *path = cli_value(c, "--passphrase-file");
	if (!path)
		return true;
	if (!cli_read_file(c, path, PASSPHRASE_MAX, &text))
		return false;
	str_split(&text, '\n', &first);
	json_object_set_new(args, "passphrase", json_stringn(first.p, first.n));
	return true;
}

static void show(struct cli *c, const json_t *k)
{
	struct str serves = text_of(c->arena, k, "serves");
	printf("  names    %.*s\n", STR_ARG(text_of(c->arena, k, "names")));
	printf("  subject  %.*s\n", STR_ARG(text_of(c->arena, k, "subject")));
	printf("  issuer   %.*s%s\n", STR_ARG(text_of(c->arena, k, "issuer")),
		json_is_true(json_object_get(k, "self_signed")) ? " (self-signed, not for public use)"
														: "");
	printf("  valid    %.10s to %.10s\n", text_of(c->arena, k, "not_before").p,
		text_of(c->arena, k, "not_after").p);
	printf("  key      %.*s\n", STR_ARG(text_of(c->arena, k, "key_type")));
	printf("  SHA-256  %.*s\n", STR_ARG(text_of(c->arena, k, "thumbprint")));
	printf(
		"  serves   %.*s\n", STR_ARG(serves.n ? serves : STR("nothing now: an older one, kept")));
}

int cli_cert_import(struct cli *c)
{
	json_t *j = NULL, *args = json_object(), *finding;
	struct buf pile;
	size_t i;
	int status = CLI_FAILED;
	buf_init(&pile, PILE_MAX);
	if (read_files(c, &pile, args) && read_passphrase(c, args)) {
		struct str raw = buf_str(&pile);
		status = cli_ask_shown(c, "cert.import", args, &raw, &j);
	} else {
		json_decref(args);
	}
	if (pile.cap)
		mem_wipe(pile.p, pile.cap);
	buf_done(&pile);
	if (!j)
		return status;
	printf("Imported %.*s\n", STR_ARG(text_of(c->arena, j, "summary")));
	show(c, json_object_get(j, "certificate"));
	json_array_foreach(json_object_get(j, "findings"), i, finding) printf(
		"  note     %.*s\n", STR_ARG(text_clean(c->arena, str_from_c(json_string_value(finding)))));
	cli_show_change(c, j);
	json_decref(j);
	return status;
}

int cli_cert_list(struct cli *c)
{
	json_t *j, *k;
	size_t i;
	int status = cli_ask_shown(c, "cert.list", json_object(), NULL, &j);
	if (!j)
		return status;
	json_t *list = json_object_get(j, "certificates");
	json_array_foreach(list, i, k)
	{
		style_begin(stdout, STYLE_BOLD);
		printf("Certificate %.*s, %.*s\n", STR_ARG(text_of(c->arena, k, "id")),
			STR_ARG(text_time(c->arena, text_of(c->arena, k, "imported_at"))));
		style_end(stdout);
		show(c, k);
	}
	if (json_array_size(list) == 0)
		printf("No certificate yet: the first one is made when letterlock serves.\n");
	json_decref(j);
	return status;
}
