/* Query bytes in, response bytes out; from one snapshot. No allocation, no clock. RFC 1035, 2181, 2308, 2782,
 * 6891, 7766, 8020, 8482, 9619. */
#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include "dns/zone.h"

#define DNS_UDP_MAX 1232 /* what we ever send over UDP: DNS flag day 2020, no fragments */
#define DNS_TCP_MAX 65535

struct dns_counters {
	uint64_t queries, answers, nodata, nxdomain, refused, formerr, servfail, notimp, badvers, truncated,
	        dropped;
};

/* Returns the response's length, or 0 when nothing must be sent (a response, too short to answer). z NULL: not
 * ready yet, SERVFAIL. shuffle: a number that varies per query, to rotate addresses. */
size_t dns_answer(const struct zone *z, const uint8_t *query, size_t len, bool tcp, uint64_t shuffle,
        uint8_t *out, size_t cap, struct dns_counters *counters);

#endif
