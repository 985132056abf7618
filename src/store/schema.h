/* schema: the tables of node.db and the numbers that stand in them. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

/* PRAGMA user_version: this program makes and reads this one. */
enum { NODE_SCHEMA_VERSION = 3 };
extern const char node_schema[];
/* What makes version n + 2 of version n + 1. */
extern const char *const node_upgrades[NODE_SCHEMA_VERSION - 1];

#endif
