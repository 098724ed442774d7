/*
 * The responder's thread, for dns_server.c, dns_udp.c and dns_tcp.c only: one epoll loop over a few UDP sockets,
 * their TCP listeners, and connections. All of it belongs to that thread but what is marked as shared.
 */
#ifndef NODE_NET_DNS_WORKER_H
#define NODE_NET_DNS_WORKER_H

#include "base/list.h"
#include "node/net/dns_server.h"
#include "node/net/guard.h"
#include "node/net/sockaddr.h"

#include <pthread.h>
#include <stdatomic.h>

/* Datagrams taken from and given to the kernel in one call: enough to spread the cost of the call, few enough that
 * their buffers stay in the first-level cache. */
#define DNS_BATCH 32
/* Bytes of a query: whatever is longer is no query for us. Padded ones (RFC 8467) are multiples of 128. */
#define DNS_QUERY_MAX 1232
/* Bytes of answers gathered for a connection before they are written: one more of the longest still fits. */
#define DNS_GATHER_BYTES (2 * (2 + DNS_TCP_MAX))

/* What an epoll event points to; the first member of what it is. */
struct dns_source {
	enum { DNS_SOURCE_STOP, DNS_SOURCE_UDP, DNS_SOURCE_LISTENER, DNS_SOURCE_CONN } kind;
	int fd;
	bool any; /* UDP on all addresses: answers must leave from the one that was asked */
};

struct dns_udp; /* buffers of a batch */

struct dns_server {
	struct dns_limits limits;
	struct addr bound[DNS_LISTEN_MAX];
	size_t n;
	struct dns_source udp[DNS_LISTEN_MAX];
	struct dns_source listeners[DNS_LISTEN_MAX];
	struct dns_source stop;
	int epoll_fd;
	pthread_t thread;
	bool started;

	/* Shared: the mailbox (see dns_server.c) and the counters as last published. */
	_Atomic(struct zone *) mailbox;
	atomic_uint_fast64_t published[sizeof(struct dns_counters) / sizeof(uint64_t)];

	struct zone *zone; /* NULL: not ready */
	struct dns_counters counters;
	struct guard guard;
	uint64_t sequence; /* makes each answer begin at another address */
	mono_ms now;
	struct dns_udp *batch;
	struct list conns; /* struct dns_conn, longest idle first */
	size_t n_conns;
	mono_ms accept_at; /* no file descriptors left: listeners rest until then; 0: they do not */
	uint8_t gather[DNS_GATHER_BYTES];
};

/* Takes a new zone from the mailbox if there is one. Called between receiving queries and answering them. */
void dns_take_zone(struct dns_server *s);
/* May this source ask now? Counts it. */
bool dns_allowed(struct dns_server *s, const struct addr *from);
size_t dns_respond(struct dns_server *s, const uint8_t *query, size_t len, bool tcp, uint8_t *out, size_t cap);

struct dns_udp *dns_udp_new(void);
void dns_udp_free(struct dns_udp *u);
void dns_udp_readable(struct dns_server *s, const struct dns_source *socket);

/* epoll events of a connection or a listener. */
void dns_tcp_accept(struct dns_server *s, const struct dns_source *listener);
void dns_conn_event(struct dns_server *s, struct dns_source *conn, uint32_t events);
/* Closes what is idle for too long, wakes resting listeners. Returns ms until there is more to do, -1: never. */
int dns_tcp_tick(struct dns_server *s);
void dns_tcp_close_all(struct dns_server *s);

/* Binds both sockets of an address; bound gets it with its port. */
int dns_listen(const struct addr *want, struct addr *bound, struct dns_source *udp, struct dns_source *tcp,
        struct err *err);

#endif
