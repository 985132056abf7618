#include "wire/smtp_data.h"

void smtp_data_init(struct smtp_data *d)
{
	*d = (struct smtp_data){.state = SMTP_DATA_LINE};
}

/* Goes to just behind the next CR, or to the end, with two searches and no step per byte. */
static const char *text_run(struct smtp_data *d, const char *p, const char *end)
{
	const char *cr = memchr(p, '\r', (size_t)(end - p));
	const char *stop = cr ? cr : end;
	if (!d->bare && memchr(p, '\n', (size_t)(stop - p)))
		d->bare = true;
	if (!cr)
		return end;
	d->state = SMTP_DATA_CR;
	return cr + 1;
}

/* The input ended between the CR and what follows it, in ".CR" at the start of a line. If no LF
 * follows, that CR was content after all: it is in no input any more, so it comes as a constant. */
static enum parse after_dot_cr(struct smtp_data *d, struct str *at, struct str *ret)
{
	if (at->p[0] == '\n') {
		d->state = SMTP_DATA_END;
		*at = str_make(at->p + 1, at->n - 1);
		*ret = str_make("", 0);
		return PARSE_DONE;
	}
	d->state = SMTP_DATA_TEXT;
	d->bare = true;
	*ret = STR("\r");
	return PARSE_MORE;
}

enum parse smtp_data_read(struct smtp_data *d, struct str *at, struct str *ret)
{
	if (at->n && d->state == SMTP_DATA_DOT_CR)
		return after_dot_cr(d, at, ret);
	const char *run = at->p;
	const char *run_end = NULL;
	const char *p = run;
	const char *end = at->n ? p + at->n : p;
	/* A run ends at a dot that is dropped, at the end of the message, or with the input. */
	while (p < end && !run_end && d->state != SMTP_DATA_END) {
		switch (d->state) {
		case SMTP_DATA_LINE:
			d->state = SMTP_DATA_TEXT;
			if (*p == '.') {
				d->state = SMTP_DATA_DOT;
				run_end = p++;
			}
			break;
		case SMTP_DATA_TEXT:
			p = text_run(d, p, end);
			break;
		case SMTP_DATA_CR:
			d->state = SMTP_DATA_LINE;
			if (*p == '\n') {
				p++;
			} else {
				d->state = SMTP_DATA_TEXT;
				d->bare = true;
			}
			break;
		case SMTP_DATA_DOT:
			if (*p != '\r' || (p + 1 < end && p[1] != '\n')) {
				d->state = SMTP_DATA_TEXT;
				break;
			}
			run_end = p;
			d->state = p + 1 < end ? SMTP_DATA_END : SMTP_DATA_DOT_CR;
			p += p + 1 < end ? 2 : 1;
			break;
		case SMTP_DATA_DOT_CR:
		case SMTP_DATA_END:
			break;
		}
	}
	if (!run_end)
		run_end = p;
	*ret = str_make(run, (size_t)(run_end - run));
	*at = str_make(p, (size_t)(end - p));
	return d->state == SMTP_DATA_END ? PARSE_DONE : PARSE_MORE;
}

void smtp_stuff_init(struct smtp_stuff *s)
{
	*s = (struct smtp_stuff){.line_start = true};
}

bool smtp_stuff_write(struct smtp_stuff *s, struct str *at, struct str *ret)
{
	if (at->n == 0)
		return false;
	const char *p = at->p;
	const char *end = p + at->n;
	/* The doubled dot: the one in the input then leads the next run. */
	if (s->line_start && *p == '.') {
		s->line_start = false;
		*ret = STR(".");
		return true;
	}
	do {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		s->line_start = lf && (lf > at->p ? lf[-1] == '\r' : s->after_cr);
		p = lf ? lf + 1 : end;
	} while (p < end && !(s->line_start && *p == '.'));
	s->after_cr = p[-1] == '\r';
	*ret = str_make(at->p, (size_t)(p - at->p));
	*at = str_make(p, (size_t)(end - p));
	return true;
}

struct str smtp_stuff_end(const struct smtp_stuff *s)
{
	return s->line_start ? STR(".\r\n") : STR("\r\n.\r\n");
}
