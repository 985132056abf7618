/* host_port: a host and its port as people write them (RFC 3986 3.2.2). */
#ifndef WIRE_HOST_PORT_H
#define WIRE_HOST_PORT_H

#include "base/str.h"

/* host-port = ( host / "[" host "]" ) [ ":" port ]
 * Takes it apart; whether the parts are good is for the caller to say. Without a port *ret_port is
 * empty. Two colons or more outside of brackets are all host: an IPv6 address that lacks them. False,
 * and nothing changed, if a bracket stays open, or something else than a port stands behind it, or
 * nothing behind the colon. The parts are slices of `s`. */
bool host_port_split(struct str s, struct str *ret_host, struct str *ret_port);
/* port = 1*DIGIT, from 1 to 65535 */
bool port_parse(struct str s, uint16_t *ret);

#endif
