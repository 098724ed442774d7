/* A response under construction. Records are written whole or not at all. */
#ifndef DNS_RESPONSE_H
#define DNS_RESPONSE_H

#include "dns/proto.h"
#include "dns/query.h"
#include "dns/snapshot.h"

struct response {
	const struct zone *z; /* NULL: not ready */
	const struct dns_query *q;
	uint8_t *p;
	size_t len;
	size_t cap;     /* less the room that OPT will take */
	size_t apex_at; /* where the question ends with the apex, 0: it does not */
	uint16_t answers, authorities, additionals;
	bool truncated;
};

/* Bytes of the response that every answer to this query has: header, question, OPT. */
size_t response_fixed_len(const struct dns_query *q);
/* Starts with the question as it was asked. r has z, q, p; limit is in bytes, at least response_fixed_len(). */
void response_begin(struct response *r, const uint8_t *query, size_t limit);
/* Appends a record whose owner is a pointer to offset owner; false when it does not fit. Counting is the caller's. */
bool response_item(struct response *r, size_t owner, const struct zone_set *set, uint32_t i);
bool response_soa(struct response *r, size_t owner);
bool response_ptr(struct response *r, size_t owner, const struct zone_node *name);
/* OPT if the query had one, and the header. Returns the length. */
size_t response_finish(struct response *r, enum dns_rcode rcode);

#endif
