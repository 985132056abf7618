/* serve_log: the log files: one that all roles append to, a new one now and then (serve_log.c). */
#ifndef ROLE_SERVE_LOG_H
#define ROLE_SERVE_LOG_H

#include "role/serve.h"

/* Opens today's last file HOME/log/letterlock.<date>.<count> for appending. -1 with *err. */
int logs_open(struct serve *s, struct err *err);
/* From now on goes over to a new file when the day changes or log.max_size is reached, hands it to all
 * roles, and deletes what log.keep and log.max_files keep no longer. */
void logs_watch(struct serve *s);
/* One look: what logs_watch() does every few seconds. */
void logs_look(struct serve *s);

#endif
