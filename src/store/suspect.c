/* Mail that is offered again, because the store that had it died before it answered. One of it may have
 * been the reason. So it goes one at a time, and while it does, its id stands in HOME/data/suspect: if
 * this store dies too, the next one knows which message it had. After the crowd in which it was first,
 * and twice alone, it is refused for good; the innocent are through by then.
 *
 * Nothing here must survive more than the death of a process: the file is not synced. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/id.h"
#include "base/log.h"
#include "io/fd.h"
#include "io/fiber.h"
#include "store/store_parts.h"

enum { TURN_MS = 10, ALONE_MAX = 2 };

/* file = id SP deaths */
static bool read_suspect(const char *path, uint64_t *ret_id, uint64_t *ret_deaths)
{
	char text[40];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;
	if (fd >= 0)
		close(fd);
	struct str rest = n > 0 ? str_make(text, (size_t)n) : STR(""), id;
	return str_split(&rest, ' ', &id) && id_parse(id, ret_id) &&
		str_to_u64(rest, ALONE_MAX, ret_deaths);
}

void suspect_open(struct store *s, const char *home)
{
	char id[ID_TEXT];
	struct suspect *k = &s->suspect;
	snprintf(k->path, sizeof k->path, "%s/" DATA_FOLDER "/suspect", home);
	if (!read_suspect(k->path, &k->id, &k->deaths))
		return;
	k->deaths++;
	log_warn("store.suspect", "message=%s stores=%" PRIu64 " ended while they had it, alone",
		id_format(k->id, id), k->deaths);
	unlink(k->path);
}

static void note(const struct suspect *k, uint64_t id, uint64_t deaths)
{
	char text[40], id_text[ID_TEXT];
	int n = snprintf(text, sizeof text, "%s %" PRIu64, id_format(id, id_text), deaths);
	int fd = open(k->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || fd_write_all(fd, str_make(text, (size_t)n)) != 0)
		log_warn("store.suspect", "message=%s err=\"%s\"", id_text, strerror(errno));
	if (fd >= 0)
		close(fd);
}

int suspect_begin(struct store *s, uint64_t id, struct err *err)
{
	struct suspect *k = &s->suspect;
	while (k->busy)
		fiber_sleep("for another suspect", TURN_MS);
	uint64_t deaths = k->id == id ? k->deaths : 0;
	if (deaths >= ALONE_MAX)
		return err_perm(err, "this message made the server fail three times",
			"accept: refused, since three stores ended while they had this message");
	k->busy = true;
	note(k, id, deaths);
	return 0;
}

void suspect_end(struct store *s)
{
	unlink(s->suspect.path);
	s->suspect.busy = false;
}
