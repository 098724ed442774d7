/* DNS sockets and their thread. The snapshot is swapped in by one atomic pointer; queries never wait. */
#ifndef NODE_NET_DNS_SERVER_H
#define NODE_NET_DNS_SERVER_H

#include "base/addr.h"
#include "dns/answer.h"

#define DNS_LISTEN_MAX 8

struct dns_server;

/* Binds UDP and TCP on each address, starts the thread. A port in use is an error that names it. */
struct dns_server *dns_server_start(const struct addr *addrs, size_t n, struct err *err);
/* Takes its own reference of z; NULL: SERVFAIL until a zone comes. */
void dns_server_swap(struct dns_server *s, struct zone *z);
void dns_server_counters(const struct dns_server *s, struct dns_counters *out);
/* The addresses really bound (port 0 resolved). */
size_t dns_server_addrs(const struct dns_server *s, struct addr *out, size_t max);
void dns_server_stop(struct dns_server *s);

#endif
