/* Addresses as names: 1.2.0.192.in-addr.arpa (RFC 1035, 3.5), nibbles below ip6.arpa (RFC 3596, 2.5). */
#ifndef DNS_REVERSE_H
#define DNS_REVERSE_H

#include "base/addr.h"
#include "dns/name.h"

/* False: not the name of one whole address. */
bool dns_reverse_address(struct addr *out, const struct dns_name *name);

#endif
