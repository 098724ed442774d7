/* One query, read and checked; nothing of it is interpreted by the zone yet. */
#ifndef DNS_QUERY_H
#define DNS_QUERY_H

#include "dns/name.h"

struct dns_query {
	uint16_t id;
	uint16_t flags;
	bool has_question; /* name, type, class hold, and the first question_len bytes behind the header are it */
	struct dns_name name;
	uint16_t type;
	uint16_t class;
	size_t question_len;
	bool has_edns; /* an OPT record was there: the answer carries one too (RFC 6891, 6.1.1) */
	uint16_t udp_size;
	uint8_t edns_version;
	bool dnssec_ok;
};

#define DNS_FLAG_QR     0x8000
#define DNS_FLAG_AA     0x0400
#define DNS_FLAG_TC     0x0200
#define DNS_FLAG_RD     0x0100
#define DNS_OPCODE_MASK 0x7800

/* Returns the DNS_* rcode that a fault in the query itself calls for, DNS_NOERROR when it can be answered, or -1
 * when nothing must be sent: a response (two servers would answer each other for ever), or no whole header. */
int dns_query_read(struct dns_query *q, const uint8_t *bytes, size_t len);

#endif
