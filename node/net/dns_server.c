/*
 * The mailbox. `mailbox` holds a reference to the newest zone that the thread has not taken yet, or EMPTY. The agent
 * exchanges a new zone in and releases what it gets back, if the thread had not come for it; the thread exchanges
 * EMPTY in and owns what it gets. Every reference has one owner at any time, so that nothing is freed while it is
 * read and neither side ever waits for the other.
 *
 *	agent   zone_ref(z) -> mailbox -> (not taken: zone_unref)
 *	thread                 mailbox -> zone, until the next one -> zone_unref
 */
#include "node/net/dns_worker.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* Epoll events taken at once. */
#define DNS_EVENTS 32

/* An address that no zone has. */
static max_align_t empty_mark;
#define EMPTY ((struct zone *)(void *)&empty_mark)

struct dns_limits dns_limits_default(void)
{
	return (struct dns_limits){
	        .queries_per_second = 10000, /* a busy host asks some hundreds; 10,000 answers are 10 Mbit/s */
	        .connections = 100,
	        .connections_per_source = 16,
	        .idle = SECONDS(10),
	};
}

void dns_take_zone(struct dns_server *s)
{
	struct zone *z;

	/* A look first: a load costs nothing, an exchange takes the cache line from the agent's core. */
	if (atomic_load_explicit(&s->mailbox, memory_order_relaxed) == EMPTY)
		return;
	z = atomic_exchange_explicit(&s->mailbox, EMPTY, memory_order_acquire);
	if (z == EMPTY)
		return;
	zone_unref(s->zone);
	s->zone = z;
}

void dns_server_swap(struct dns_server *s, struct zone *z)
{
	struct zone *old = atomic_exchange_explicit(&s->mailbox, z ? zone_ref(z) : NULL, memory_order_acq_rel);

	if (old != EMPTY)
		zone_unref(old);
}

bool dns_allowed(struct dns_server *s, const struct addr *from)
{
	if (!s->limits.limit_loopback && addr_is_loopback(from))
		return true;
	return guard_take(&s->guard, from, s->now);
}

/* Spreads a counter over 64 bits (the finaliser of SplitMix64): consecutive queries of one client, say A and AAAA in
 * turn, must not fall on the same address each time. */
static uint64_t spread(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

size_t dns_respond(struct dns_server *s, const uint8_t *query, size_t len, bool tcp, uint8_t *out, size_t cap)
{
	uint64_t shuffle = spread(s->sequence += 0x9e3779b97f4a7c15u);

	return dns_answer(s->zone, query, len, tcp, shuffle, out, cap, &s->counters);
}

/* Each number by itself is exact; together they may be of slightly different moments. */
static void publish(struct dns_server *s)
{
	const uint64_t *from = (const uint64_t *)&s->counters;

	for (size_t i = 0; i < ARRAY_LEN(s->published); i++)
		atomic_store_explicit(&s->published[i], from[i], memory_order_relaxed);
}

void dns_server_counters(const struct dns_server *s, struct dns_counters *out)
{
	uint64_t *to = (uint64_t *)out;

	for (size_t i = 0; i < ARRAY_LEN(s->published); i++)
		to[i] = atomic_load_explicit(&s->published[i], memory_order_relaxed);
}

static mono_ms clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (mono_ms)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *run(void *arg)
{
	struct dns_server *s = arg;
	struct epoll_event events[DNS_EVENTS];
	bool stop = false;

	while (!stop) {
		int n = epoll_wait(s->epoll_fd, events, DNS_EVENTS, dns_tcp_tick(s));
		struct dns_source *listeners[DNS_LISTEN_MAX];
		size_t n_listeners = 0;

		s->now = clock_ms();
		for (int i = 0; i < n; i++) {
			struct dns_source *source = events[i].data.ptr;

			switch (source->kind) {
			case DNS_SOURCE_STOP:
				stop = true;
				break;
			case DNS_SOURCE_UDP:
				dns_udp_readable(s, source);
				break;
			case DNS_SOURCE_CONN:
				dns_conn_event(s, source, events[i].events);
				break;
			case DNS_SOURCE_LISTENER:
				listeners[n_listeners++] = source;
				break;
			}
		}
		/* Last: a new connection may close an old one, which a later one of these events was about. */
		for (size_t i = 0; i < n_listeners; i++)
			dns_tcp_accept(s, listeners[i]);
		publish(s);
	}
	return NULL;
}

static int watch(struct dns_server *s, struct dns_source *source, struct err *err)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = source};

	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, source->fd, &ev) < 0)
		return err_errno(err, "DNS: epoll");
	return 0;
}

static int start_thread(struct dns_server *s, struct err *err)
{
	sigset_t all, before;
	int error;

	/* Signals are the agent's loop's business. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&s->thread, NULL, run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return err_set(err, ERR_FAILED, "DNS: start its thread: %s", strerror(error));
	s->started = true;
	return 0;
}

static int start(struct dns_server *s, const struct addr *addrs, size_t n, struct err *err)
{
	uint8_t secret[16];

	if (n == 0 || n > DNS_LISTEN_MAX)
		return err_set(err, ERR_USAGE, "DNS: %zu addresses to listen on; 1 to %d are possible", n,
		        DNS_LISTEN_MAX);
	if (getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret) ||
	        getrandom(&s->sequence, sizeof(s->sequence), 0) != (ssize_t)sizeof(s->sequence))
		return err_errno(err, "DNS: getrandom");
	s->now = clock_ms();
	guard_init(&s->guard, s->limits.queries_per_second, secret);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->stop.fd = eventfd(0, EFD_CLOEXEC);
	if (s->epoll_fd < 0 || s->stop.fd < 0)
		return err_errno(err, "DNS: epoll");
	if (watch(s, &s->stop, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++, s->n++) {
		if (dns_listen(&addrs[i], &s->bound[i], &s->udp[i], &s->listeners[i], err) < 0)
			return -1;
		if (watch(s, &s->udp[i], err) < 0 || watch(s, &s->listeners[i], err) < 0) {
			s->n++; /* both sockets are open: stopping closes them */
			return -1;
		}
	}
	return start_thread(s, err);
}

struct dns_server *dns_server_start(
        const struct addr *addrs, size_t n, const struct dns_limits *limits, struct err *err)
{
	struct dns_server *s = xcalloc(1, sizeof(*s));

	s->limits = limits ? *limits : dns_limits_default();
	s->epoll_fd = -1;
	s->stop = (struct dns_source){DNS_SOURCE_STOP, -1, false};
	atomic_init(&s->mailbox, EMPTY);
	list_init(&s->conns);
	s->batch = dns_udp_new();
	if (start(s, addrs, n, err) < 0) {
		dns_server_stop(s);
		return NULL;
	}
	return s;
}

size_t dns_server_addrs(const struct dns_server *s, struct addr *out, size_t max)
{
	for (size_t i = 0; i < s->n && i < max; i++)
		out[i] = s->bound[i];
	return s->n;
}

void dns_server_stop(struct dns_server *s)
{
	uint64_t one = 1;

	if (!s)
		return;
	if (s->started) {
		while (write(s->stop.fd, &one, sizeof(one)) < 0 && errno == EINTR)
			continue;
		pthread_join(s->thread, NULL);
	}
	dns_tcp_close_all(s);
	for (size_t i = 0; i < s->n; i++) {
		close(s->udp[i].fd);
		close(s->listeners[i].fd);
	}
	if (s->stop.fd >= 0)
		close(s->stop.fd);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	dns_take_zone(s);
	zone_unref(s->zone);
	dns_udp_free(s->batch);
	free(s);
}
