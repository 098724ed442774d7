/*
 * DNS sockets and their thread. The agent hands over a new zone through a mailbox of one atomic pointer; queries
 * never wait, and a query sent after dns_server_swap() returned is answered from that zone.
 */
#ifndef NODE_NET_DNS_SERVER_H
#define NODE_NET_DNS_SERVER_H

#include "base/addr.h"
#include "dns/answer.h"

#define DNS_LISTEN_MAX 8

struct dns_server;

struct dns_limits {
	/* Queries per second from one source address, UDP and TCP together; twice as many at once. What comes from
	 * this host itself is not counted: a loopback sender cannot be forged, and may be all of its programs. */
	unsigned queries_per_second;
	bool limit_loopback;             /* count those as well */
	unsigned connections;            /* TCP, in all: a further one takes the place of the longest idle */
	unsigned connections_per_source; /* the same among those of one address; loopback as above */
	mono_ms idle; /* a connection that completes no query for this long is closed (RFC 7766, 6.2.3) */
};

struct dns_limits dns_limits_default(void);

/* Binds UDP and TCP on each address, starts the thread. A port in use is an error that names it and says what to do;
 * port 0 takes one that is free for both. limits NULL: the default. */
struct dns_server *dns_server_start(
        const struct addr *addrs, size_t n, const struct dns_limits *limits, struct err *err);
/* Takes its own reference of z; NULL: SERVFAIL until a zone comes. From one thread at a time. */
void dns_server_swap(struct dns_server *s, struct zone *z);
/* As of a moment ago. */
void dns_server_counters(const struct dns_server *s, struct dns_counters *out);
/* The addresses really bound (port 0 resolved). */
size_t dns_server_addrs(const struct dns_server *s, struct addr *out, size_t max);
/* Ends the thread, closes everything. NULL is fine. */
void dns_server_stop(struct dns_server *s);

#endif
