/* manual: letterlock-settings(5), written from the table of settings. */
#include "conf/settings.h"

/* Text for roff: hyphens that may be copied, no escapes, no line that begins as a request. */
static void put_text(struct buf *out, const char *text)
{
	for (const char *p = text; *p; p++)
		if (*p == '\\')
			buf_add_c(out, "\\e");
		else if (*p == '-')
			buf_add_c(out, "\\-");
		else if ((*p == '.' || *p == '\'') && (p == text || p[-1] == '\n'))
			buf_addf(out, "\\&%c", *p);
		else
			buf_add_char(out, *p);
}

static void put_limit(const struct setting *s, int64_t value, struct buf *out)
{
	struct setting one = *s;
	struct conf holder = {0};
	if (s->type == SETTING_DURATIONS)
		one.type = SETTING_DURATION;
	one.offset = offsetof(struct conf, smtp_max_size);
	holder.smtp_max_size = (uint64_t)value;
	setting_format(&one, &holder, out);
}

static void put_row(const struct setting *s, struct buf *out)
{
	buf_addf(out, ".TP\n.B %s\n", s->name);
	put_text(out, s->text);
	buf_add_c(out, "\n.br\nType: ");
	put_text(out, setting_type_name(s->type));
	if (s->type == SETTING_NUMBER || s->type == SETTING_SIZE || s->type == SETTING_DURATION ||
		s->type == SETTING_DURATIONS) {
		buf_add_c(out, ", from ");
		put_limit(s, s->min, out);
		buf_add_c(out, " to ");
		put_limit(s, s->max, out);
	}
	buf_add_c(out, ".\nDefault: ");
	put_text(out, s->value[0] ? s->value : "empty");
	buf_add_c(out, ".\nA change takes effect ");
	put_text(out, setting_effect_name(s->effect));
	buf_add_c(out, ".\n");
}

/* "smtp" of "smtp.tls": rows of one group stand together in the table. */
static struct str group(const struct setting *s)
{
	struct str name = str_from_c(s->name);
	return str_take(name, (size_t)str_find(name, '.'));
}

void settings_manual(struct buf *out)
{
	buf_add_c(out,
		".\\\" Made from the table in src/conf/settings.c; its test says how.\n"
		".TH LETTERLOCK\\-SETTINGS 5 \"\" Letterlock\n"
		".SH NAME\n"
		"letterlock\\-settings \\- the settings of the Letterlock mail server\n"
		".SH SYNOPSIS\n"
		".nf\n"
		"letterlock config list\n"
		"letterlock config get NAME\n"
		"letterlock config set NAME VALUE\n"
		".fi\n"
		".SH DESCRIPTION\n"
		"Every setting has a name, a type and a default. A change is checked first: a value that "
		"is\n"
		"not good is refused with the reason, and nothing changes. A good one goes live by "
		"itself;\n"
		"nothing is ever restarted for it. A new value is for new sessions and attempts, those "
		"that\n"
		"run go on with the one they began with.\n"
		".SH SETTINGS\n");
	for (size_t i = 0; i < setting_count; i++) {
		struct str g = group(&settings[i]);
		if (i == 0 || !str_eq(g, group(&settings[i - 1])))
			buf_addf(out, ".SS %.*s\n", STR_ARG(g));
		put_row(&settings[i], out);
	}
	buf_add_c(out, ".SH TYPES\n");
	for (unsigned t = 0; t < SETTING_TYPES; t++) {
		buf_add_c(out, ".TP\n.B ");
		put_text(out, setting_type_name((enum setting_type)t));
		buf_add_c(out, "\n");
		put_text(out, setting_type_help((enum setting_type)t));
		buf_add_c(out, "\n");
	}
	buf_add_c(out, ".SH SEE ALSO\nletterlock(1)\n");
}
