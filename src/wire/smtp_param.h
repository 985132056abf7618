/* smtp_param: the values of MAIL and RCPT parameters that travel with a message. */
#ifndef WIRE_SMTP_PARAM_H
#define WIRE_SMTP_PARAM_H

/* RFC 3461 4.1, or-ed; 0 means the parameter was not given. */
enum dsn_notify { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };
/* RFC 3461 4.3. */
enum dsn_ret { RET_UNSET, RET_FULL, RET_HDRS };
/* RFC 6152. */
enum body_type { BODY_UNSET, BODY_7BIT, BODY_8BITMIME };

/* Longest values as written, in bytes: RFC 3461 4.2 and 4.4. */
enum { ORCPT_MAX = 500, ENVID_MAX = 100 };

#endif
