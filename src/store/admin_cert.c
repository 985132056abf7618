#include "store/admin_verbs.h"

#include "store/certificates.h"

json_t *admin_certificate_json(const struct site_certificate *c)
{
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "id",
		(json_int_t)c->id, "names", admin_json(c->facts.names), "serves", admin_json(c->serves),
		"subject", admin_json(c->facts.subject), "issuer", admin_json(c->facts.issuer),
		"thumbprint", admin_json(c->facts.thumbprint), "key_id", admin_json(c->facts.key_id),
		"key_type", admin_json(c->facts.key_type), "self_signed", c->facts.self_signed,
		"not_before", admin_json_time(c->facts.not_before_ms), "not_after",
		admin_json_time(c->facts.not_after_ms), "imported_at", admin_json_time(c->imported_ms),
		"imported_by", admin_json(c->imported_by));
}

/* The names and sizes of the files that the body is made of. */
static bool take_files(struct admin_call *c, struct ask_pile *ret)
{
	json_t *names = json_object_get(c->args, "files"), *sizes = json_object_get(c->args, "sizes");
	size_t n = json_array_size(names);
	if (n != json_array_size(sizes) || n > PILE_FILES_MAX) {
		admin_refuse(c, 400, "bad-argument", "files",
			"\"files\" and \"sizes\" must be of one length, at most %d", PILE_FILES_MAX);
		return false;
	}
	ret->files = arena_alloc(c->arena, n * sizeof *ret->files + 1);
	ret->file_count = (uint32_t)n;
	for (size_t i = 0; i < n; i++) {
		json_t *name = json_array_get(names, i);
		ret->files[i].name = str_make(json_string_value(name), json_string_length(name));
		ret->files[i].size = (uint64_t)json_integer_value(json_array_get(sizes, i));
	}
	return true;
}

json_t *admin_cert_import(struct admin_call *c)
{
	struct ask_pile pile = {.passphrase = admin_text(c, "passphrase")};
	struct ask_pile_answer answer = {0};
	struct err err = {0};
	if (!take_files(c, &pile))
		return NULL;
	if (certificates_import(c->admin, c->raw, &pile, c->who, c->arena, &answer, &err) < 0)
		return admin_refuse_err(c, "certificate-refused", NULL, &err);
	json_t *reply = admin_change_json(c);
	json_object_set_new(reply, "summary", admin_json(answer.summary));
	json_object_set_new(reply, "findings", admin_lines_json(answer.findings));
	/* The newest comes first; another import may have come between only if this one is older. */
	for (size_t i = c->admin->site->certificate_count; i-- > 0;)
		if (str_eq(c->admin->site->certificates[i].facts.thumbprint, answer.facts.thumbprint))
			json_object_set_new(
				reply, "certificate", admin_certificate_json(&c->admin->site->certificates[i]));
	return reply;
}

json_t *admin_cert_list(struct admin_call *c)
{
	const struct site *s = c->admin->site;
	json_t *list = json_array();
	for (size_t i = 0; i < s->certificate_count; i++)
		json_array_append_new(list, admin_certificate_json(&s->certificates[i]));
	return json_pack("{s:o}", "certificates", list);
}
