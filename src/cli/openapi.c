#include "cli/help.h"
#include "store/admin.h"

/* doc/openapi.json is what this writes; a test compares. */

static json_t *type_schema(const struct admin_argument *a)
{
	static const char *const names[] = {
		[ADMIN_TEXT] = "string", [ADMIN_NUMBER] = "integer", [ADMIN_TRUTH] = "boolean"};
	if (a->type == ADMIN_TEXTS || a->type == ADMIN_NUMBERS)
		return json_pack("{s:s, s:{s:s}, s:s}", "type", "array", "items", "type",
			a->type == ADMIN_TEXTS ? "string" : "integer", "description", a->text);
	return json_pack("{s:s, s:s}", "type", names[a->type], "description", a->text);
}

/* The object of arguments. */
static json_t *arguments_schema(const struct admin_verb *v)
{
	json_t *members = json_object(), *needed = json_array();
	for (const struct admin_argument *a = v->arguments; a->name; a++) {
		json_object_set_new(members, a->name, type_schema(a));
		if (a->required)
			json_array_append_new(needed, json_string(a->name));
	}
	json_t *schema = json_pack(
		"{s:s, s:o, s:b}", "type", "object", "properties", members, "additionalProperties", false);
	if (json_array_size(needed))
		json_object_set(schema, "required", needed);
	json_decref(needed);
	return schema;
}

static json_t *json_content(json_t *schema)
{
	return json_pack("{s:{s:o}}", "application/json", "schema", schema);
}

/* Raw verbs take bytes as the body and their arguments in a header. */
static void add_request(json_t *operation, const struct admin_verb *v)
{
	if (v->flags & ADMIN_RAW) {
		json_object_set_new(operation, "parameters",
			json_pack("[{s:s, s:s, s:b, s:s, s:o}]", "name", "Letterlock-Args", "in", "header",
				"required", true, "description", "the arguments; the body is raw bytes", "content",
				json_content(arguments_schema(v))));
		json_object_set_new(operation, "requestBody",
			json_pack("{s:b, s:{s:{s:{s:s, s:s}}}}", "required", true, "content",
				"application/octet-stream", "schema", "type", "string", "format", "binary"));
		return;
	}
	json_object_set_new(operation, "requestBody",
		json_pack("{s:b, s:o}", "required", v->arguments[0].required, "content",
			json_content(arguments_schema(v))));
}

static json_t *operation(const struct admin_verb *v)
{
	json_t *op = json_pack("{s:s, s:s, s:{s:{s:s, s:o}, s:{s:s}}}", "operationId", v->name,
		"summary", v->text, "responses", "200", "description", v->answer, "content",
		json_content(json_pack("{s:s}", "type", "object")), "default", "$ref",
		"#/components/responses/error");
	add_request(op, v);
	json_object_set_new(op, "x-works-while-down", json_boolean(!(v->flags & ADMIN_DAEMON)));
	return op;
}

static json_t *error_response(void)
{
	json_t *text = json_pack("{s:s}", "type", "string");
	json_t *error = json_pack("{s:s, s:{s:O, s:O, s:O}, s:[s, s]}", "type", "object", "properties",
		"code", text, "message", text, "field", text, "required", "code", "message");
	json_t *schema = json_pack("{s:s, s:{s:o}, s:[s]}", "type", "object", "properties", "error",
		error, "required", "error");
	json_decref(text);
	return json_pack("{s:s, s:o}", "description",
		"refused: 400 bad arguments, 403 not root nor the owner of the home, 404 nothing of that "
		"name, 409 there already, 503 not now",
		"content", json_content(schema));
}

json_t *help_openapi(void)
{
	json_t *paths = json_object();
	char path[64];
	for (size_t i = 0; i < admin_verb_count; i++) {
		snprintf(path, sizeof path, "/v1/%s", admin_verbs[i].name);
		json_object_set_new(paths, path, json_pack("{s:o}", "post", operation(&admin_verbs[i])));
	}
	return json_pack("{s:s, s:{s:s, s:s, s:s}, s:o, s:{s:{s:o}}}", "openapi", "3.1.0", "info",
		"title", "Letterlock admin API", "version", LETTERLOCK_VERSION, "description",
		"HTTP/1.1 on the unix socket HOME/control.sock, for root and the owner of the home.",
		"paths", paths, "components", "responses", "error", error_response());
}
