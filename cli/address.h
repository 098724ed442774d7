/* How services and slots are named on the command line: STACK, STACK/SERVICE, STACK/SERVICE/SLOT. */
#ifndef CLI_ADDRESS_H
#define CLI_ADDRESS_H

#include "base/err.h"
#include "base/limits.h"

enum address_depth { ADDRESS_STACK = 1, ADDRESS_SERVICE = 2, ADDRESS_SLOT = 3 };

struct address {
	enum address_depth depth;
	char stack[NAME_MAX_BYTES];
	char service[NAME_MAX_BYTES];
	uint32_t slot;
};

/* At least a service where least says so, and so on. */
int address_parse(struct address *out, const char *text, enum address_depth least, struct err *err);

#endif
