/*
 * What each kind of record looks like and how two of one key merge: one table (DESIGN section 6). Adding a kind
 * means adding a row here; docs/store.md explains the rules.
 */
#ifndef GOSSIP_STORE_RULES_H
#define GOSSIP_STORE_RULES_H

#include "gossip/store/record.h"

enum merge_rule {
	MERGE_GROW,   /* every record is kept */
	MERGE_LATEST, /* per key the highest (stamp, id) is kept */
	MERGE_GRAPH,  /* every header is kept; heads are those that no other of the key names as parent */
};

enum name_form {
	NAME_ANY,
	NAME_EMPTY,
	NAME_STACK,  /* a DNS label */
	NAME_PAGE,   /* empty, or a decimal number below PAGES_MAX */
	NAME_FILLED, /* anything but empty */
};

struct rule {
	enum merge_rule merge;
	enum name_form name;
	uint32_t body_max; /* bytes */
	bool apart;        /* the header may come without its body, which is fetched by id */
	bool unknown;      /* a kind that this version does not know: kept and forwarded, within limits */
};

const struct rule *rule_of(uint8_t kind);
/* Does a record have the form that its kind asks for? Never depends on other records. */
int rule_check(const struct record *r, struct err *err);
/* "grant", "stack revision"; "kind 77" is "unknown". For messages. */
const char *record_kind_name(uint8_t kind);

#endif
