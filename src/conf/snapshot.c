/* snapshot: a conf as bytes, for one role.
 *
 *   snapshot = "letterlock-conf 1" NUL role NUL revision NUL *( name NUL value NUL ) *certificate
 *              "end" NUL
 *   certificate = "certificate" NUL host-names LF key-id LF ( "0" / "1" ) LF chain NUL
 *
 * Names stand in the order of the table, each row of the role once, values in their normal form. */
#include <stdlib.h>

#include "base/hex.h"
#include "base/mem.h"
#include "conf/settings.h"
#include "conf/value.h"

static const char magic[] = "letterlock-conf 1";
enum { KEY_ID_BYTES = 32 };

static void put(struct buf *out, const char *s)
{
	buf_add_c(out, s);
	buf_add_char(out, 0);
}

void conf_pack(const struct conf *c, enum conf_role role, struct buf *out)
{
	put(out, magic);
	buf_addf(out, "%u%c%llu%c", (unsigned)role, 0, (unsigned long long)c->revision, 0);
	for (size_t i = 0; i < setting_count; i++) {
		if (!(settings[i].roles & role))
			continue;
		put(out, settings[i].name);
		setting_format(&settings[i], c, out);
		buf_add_char(out, 0);
	}
	for (size_t i = 0; role == CONF_EDGE && i < c->certificate_count; i++) {
		const struct conf_certificate *cert = &c->certificates[i];
		put(out, "certificate");
		buf_addf(out, "%.*s\n%.*s\n%d\n", STR_ARG(cert->names), STR_ARG(cert->key_id),
			cert->self_signed);
		buf_add(out, cert->chain_pem);
		buf_add_char(out, 0);
	}
	put(out, "end");
}

/* ---- reading ------------------------------------------------------------------------------- */

/* Takes what stands before the next NUL. */
static bool take(struct str *rest, struct str *ret)
{
	ptrdiff_t nul = str_find(*rest, 0);
	if (nul < 0)
		return false;
	*ret = str_take(*rest, (size_t)nul);
	*rest = str_skip(*rest, (size_t)nul + 1);
	return true;
}

static bool take_line(struct str *rest, struct str *ret)
{
	ptrdiff_t lf = str_find(*rest, '\n');
	if (lf < 0)
		return false;
	*ret = str_take(*rest, (size_t)lf);
	*rest = str_skip(*rest, (size_t)lf + 1);
	return true;
}

static int unpack_head(
	struct str *rest, uint64_t *ret_role, uint64_t *ret_revision, struct err *err)
{
	struct str word, role, revision;
	if (!take(rest, &word) || !str_eq(word, str_from_c(magic)))
		return err_say(err, "snapshot: it does not begin as one of this version");
	if (!take(rest, &role) || !str_to_u64(role, CONF_KEYS, ret_role) || !take(rest, &revision) ||
		!str_to_u64(revision, UINT64_MAX, ret_revision))
		return err_say(err, "snapshot: role or revision is no number");
	return 0;
}

static int unpack_rows(struct str *rest, uint64_t role, struct conf *c, struct err *err)
{
	struct str name, value;
	for (size_t i = 0; i < setting_count; i++) {
		if (!(settings[i].roles & role))
			continue;
		if (!take(rest, &name) || !take(rest, &value) ||
			!str_eq(name, str_from_c(settings[i].name)))
			return err_say(err, "snapshot: %s is missing or out of order", settings[i].name);
		if (setting_parse(&settings[i], value, c, err) != 0)
			return -1;
	}
	return 0;
}

static int unpack_certificate(struct str value, struct conf *c, struct err *err)
{
	struct str names = value, key_id, self_signed;
	char quoted[VALUE_QUOTE];
	if (!take_line(&value, &names) || !take_line(&value, &key_id) ||
		!take_line(&value, &self_signed) || names.n > CONF_NAMES_MAX ||
		!hex_ok(key_id, KEY_ID_BYTES) || value.n == 0 ||
		!(str_eq(self_signed, STR("0")) || str_eq(self_signed, STR("1"))))
		return err_say(err, "snapshot: certificate %s is malformed", value_quote(names, quoted));
	if (c->certificate_count == CONF_CERTIFICATES_MAX)
		return err_say(err, "snapshot: more than %d certificates", CONF_CERTIFICATES_MAX);
	c->certificates[c->certificate_count++] = (struct conf_certificate){
		.names = names,
		.key_id = key_id,
		.self_signed = self_signed.p[0] == '1',
		.chain_pem = value,
	};
	return 0;
}

static int unpack_certificates(struct str rest, struct conf *c, struct err *err)
{
	struct str word, value;
	while (take(&rest, &word)) {
		if (str_eq(word, STR("end")) && rest.n == 0)
			return 0;
		if (!str_eq(word, STR("certificate")) || !take(&rest, &value))
			break;
		if (!c->certificates)
			c->certificates =
				arena_alloc(c->arena, CONF_CERTIFICATES_MAX * sizeof *c->certificates);
		if (unpack_certificate(value, c, err) != 0)
			return -1;
	}
	return err_say(err, "snapshot: it does not end as it should");
}

struct conf *conf_unpack(struct str bytes, struct err *err)
{
	uint64_t role;
	if (bytes.n > CONF_SNAPSHOT_MAX) {
		err_say(err, "snapshot: %zu bytes are too many", bytes.n);
		return NULL;
	}
	struct conf *c = mem_new(sizeof *c);
	c->arena = arena_new();
	c->holders = 1;
	struct str rest = arena_dup(c->arena, bytes);
	if (unpack_head(&rest, &role, &c->revision, err) != 0 ||
		unpack_rows(&rest, role, c, err) != 0 || unpack_certificates(rest, c, err) != 0) {
		conf_drop(c);
		return NULL;
	}
	return c;
}
