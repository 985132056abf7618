#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/table.h"

enum { TRUST_FILE_MAX = 1024 * 1024, TRUST_TEXT_MAX = 4 * 1024 * 1024 };

/* The certificates of a PEM file and nothing else of it, so that no comment and no key travels. An
 * empty slice after saying why. */
static struct str read_anchors(struct cli *c, const char *path)
{
	struct str file;
	struct str result = {0};
	if (!cli_read_file(c, path, TRUST_FILE_MAX, &file))
		return result;
	BIO *in = BIO_new_mem_buf(file.p, (int)file.n), *out = BIO_new(BIO_s_mem());
	int n = 0;
	for (X509 *x; in && out && (x = PEM_read_bio_X509_AUX(in, NULL, NULL, NULL)); n++) {
		PEM_write_bio_X509(out, x);
		X509_free(x);
	}
	/* The list ends where there is no further block; anything else is damage. */
	bool clean = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	char *bytes;
	long size = out ? BIO_get_mem_data(out, &bytes) : 0;
	if (!clean)
		cli_fail(c, "bad-file", "%s: certificate number %d is damaged", path, n + 1);
	else if (n == 0)
		cli_fail(c, "bad-file", "%s: there is no certificate in PEM form in it", path);
	else
		result = arena_dup(c->arena, str_make(bytes, (size_t)size));
	BIO_free(in);
	BIO_free(out);
	return result;
}

/* Human names of a connector's facts, one a line. */
static void show(struct cli *c, const json_t *k)
{
	struct str checked = text_of(c->arena, k, "name_checked");
	struct str anchors = text_of(c->arena, k, "anchors");
	struct str helo = text_of(c->arena, k, "helo");
	bool from_setting = str_eq(text_of(c->arena, k, "tls_origin"), STR("relay.tls"));
	struct str for_domain = text_of(c->arena, k, "for");
	style_begin(stdout, STYLE_BOLD);
	printf("%.*s\n", STR_ARG(text_of(c->arena, k, "name")));
	style_end(stdout);
	printf("  host     %.*s\n", STR_ARG(text_of(c->arena, k, "host")));
	printf("  for      %.*s\n",
		STR_ARG(str_eq(for_domain, STR("*")) ? STR("all domains without a way of their own")
											 : for_domain));
	printf("  tls      %.*s%s\n", STR_ARG(text_of(c->arena, k, "tls")),
		from_setting ? " (as relay.tls says)" : "");
	printf("  name     %.*s\n",
		STR_ARG(checked.n ? checked : STR("(none: an address; give --sni to have one checked)")));
	printf("  trust    %.*s\n",
		STR_ARG(str_eq(anchors, STR("0"))
				? STR("the trust store (trust.store)")
				: arena_fmt(c->arena, "%.*s certificate%s of its own", STR_ARG(anchors),
					  str_eq(anchors, STR("1")) ? "" : "s")));
	printf("  helo     %.*s\n", STR_ARG(helo.n ? helo : STR("server.hostname")));
}

int cli_connector_add(struct cli *c)
{
	json_t *j;
	struct str anchors = {0};
	const char *trust = cli_value(c, "--trust");
	if (trust && (anchors = read_anchors(c, trust)).n == 0)
		return CLI_FAILED;
	json_t *args = cli_args("name", c->arguments[0], "host", c->arguments[1], "for",
		cli_value(c, "--for"), "tls", cli_value(c, "--tls"), "helo", cli_value(c, "--helo"), "sni",
		cli_value(c, "--sni"), NULL);
	if (trust)
		json_object_set_new(args, "trust", json_stringn(anchors.p, anchors.n));
	int status = cli_ask_shown(c, "connector.add", args, NULL, &j);
	if (!j)
		return status;
	printf("Added the connector ");
	show(c, json_object_get(j, "connector"));
	cli_show_change(c, j);
	json_decref(j);
	return status;
}

int cli_connector_list(struct cli *c)
{
	json_t *j, *k;
	size_t i;
	struct table t;
	int status = cli_ask_shown(c, "connector.list", json_object(), NULL, &j);
	if (!j)
		return status;
	json_t *list = json_object_get(j, "connectors");
	table_init(&t, c->arena, "CONNECTOR|HOST|FOR|TLS|NAME CHECKED|TRUST");
	json_array_foreach(list, i, k)
	{
		bool own = json_integer_value(json_object_get(k, "anchors")) > 0;
		table_add(&t, text_of(c->arena, k, "name"));
		table_add(&t, text_of(c->arena, k, "host"));
		table_add(&t, text_of(c->arena, k, "for"));
		table_add(&t, text_of(c->arena, k, "tls"));
		table_add(&t, text_of(c->arena, k, "name_checked"));
		table_add(&t, own ? STR("its own") : STR("trust.store"));
	}
	if (json_array_size(list))
		table_print(&t, stdout);
	else
		printf("No connectors: mail goes by the routes of domains, else by MX.\n"
			   "Add one with: letterlock connector add NAME HOST:PORT --tls verify\n");
	json_decref(j);
	return status;
}

int cli_connector_show(struct cli *c)
{
	json_t *j;
	int status =
		cli_ask_shown(c, "connector.show", cli_args("name", c->arguments[0], NULL), NULL, &j);
	if (!j)
		return status;
	show(c, j);
	json_decref(j);
	return status;
}

int cli_connector_remove(struct cli *c)
{
	json_t *j;
	int status =
		cli_ask_shown(c, "connector.remove", cli_args("name", c->arguments[0], NULL), NULL, &j);
	if (!j)
		return status;
	printf("Removed %.*s: mail that was to take this way takes another.\n",
		STR_ARG(text_of(c->arena, j, "removed")));
	cli_show_change(c, j);
	json_decref(j);
	return status;
}
