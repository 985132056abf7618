/* control: the group of edge that serves the admin API on the local socket; it looks into nothing and
 * decides nothing, store does (control.c). */
#ifndef ROLE_CONTROL_H
#define ROLE_CONTROL_H

struct role;

/* Goes on where edge's main leaves off: after role_hello(), before the walls. */
_Noreturn void control_main(struct role *r);

#endif
