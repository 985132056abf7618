/* admin_mail: messages, recipients and causes as JSON, for the verbs of queue and trace. Inside
 * store/ only. */
#ifndef STORE_ADMIN_MAIL_H
#define STORE_ADMIN_MAIL_H

#include "store/admin_verbs.h"
#include "store/store.h"

json_t *admin_id_json(uint64_t id); /* null for 0 */
/* {"id", "owner", "text", "next"}, or null for an empty id. */
json_t *admin_cause_json(struct str id);
json_t *admin_recipient_json(const struct recipient_row *r);
json_t *admin_message_json(const struct message_row *m);
/* All recipients of a message in whatever state; NULL with *err. */
json_t *admin_recipients_json(struct admin_call *c, uint64_t message, struct err *err);
/* "limit", or the default; false after a refusal. */
bool admin_limit_argument(struct admin_call *c, uint32_t *ret);
/* A next hop with its recipients; recipients by cause, the most frequent first (admin_summary.c). */
json_t *admin_destination_json(const struct store_destination *d);
json_t *admin_causes_json(const uint64_t *counts);
/* The refusal when there is no store. */
json_t *admin_need_store(struct admin_call *c);

#endif
