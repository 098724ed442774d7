/*
 * Queries per second of the responder over UDP on the loopback, beside a program that sends each datagram back as
 * it came: what the kernel leaves to be reached. One client with IN_FLIGHT queries always under way; server and
 * client each on a core of their own where there are two. All are measured in turn, ROUNDS times, so that whatever
 * else the machine does meets each alike; medians are printed. The processor time of the server's thread per query
 * says what one core could do at most, client or not.
 */
#include "node/net/dns_server.h"
#include "node/net/sockaddr.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define IN_FLIGHT 64
#define ROUNDS    7
#define ROUND_MS  500
#define NAMES     200
#define PACKET    512

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double now(void)
{
	return seconds(CLOCK_MONOTONIC);
}

/* Of all threads but this one, the client: of the server that is at work. */
static double server_cpu(void)
{
	return seconds(CLOCK_PROCESS_CPUTIME_ID) - seconds(CLOCK_THREAD_CPUTIME_ID);
}

/* The system call itself, also under musl, whose function makes one call for each message. */
static int send_batch(int fd, struct mmsghdr *msgs, int n)
{
	return (int)syscall(SYS_sendmmsg, fd, msgs, (unsigned)n, 0);
}

static void pin(pthread_t thread, int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
	pthread_setaffinity_np(thread, sizeof(set), &set);
}

/* --- the baseline: the responder's own socket calls, and nothing between them --- */

struct echo {
	int fd;
	struct mmsghdr msgs[32];
	struct iovec iov[32];
	union sockaddr_ip from[32];
	uint8_t bytes[32][PACKET];
};

static void *echo_run(void *arg)
{
	struct echo *e = arg;

	for (;;) {
		int n;

		for (int i = 0; i < 32; i++) {
			e->iov[i] = (struct iovec){e->bytes[i], PACKET};
			e->msgs[i].msg_hdr = (struct msghdr){.msg_iov = &e->iov[i],
			        .msg_iovlen = 1,
			        .msg_name = &e->from[i],
			        .msg_namelen = sizeof(e->from[i])};
		}
		n = recvmmsg(e->fd, e->msgs, 32, MSG_WAITFORONE, NULL);
		if (n <= 0 || e->msgs[0].msg_len == 0)
			return NULL; /* an empty datagram ends it */
		for (int i = 0; i < n; i++)
			e->iov[i].iov_len = e->msgs[i].msg_len;
		for (int sent = 0; sent < n;) {
			int k = send_batch(e->fd, e->msgs + sent, n - sent);

			sent += k > 0 ? k : 1;
		}
	}
}

/* --- the client --- */

struct queries {
	size_t n;
	size_t len[NAMES];
	uint8_t bytes[NAMES][PACKET];
};

static void add_query(struct queries *q, const char *name, uint16_t type)
{
	uint8_t *p = q->bytes[q->n];
	size_t at = 12;

	memset(p, 0, 12);
	p[2] = 1; /* RD */
	p[5] = 1;
	p[11] = 1;
	while (*name) {
		size_t n = strcspn(name, ".");

		p[at++] = (uint8_t)n;
		memcpy(p + at, name, n);
		at += n;
		name += n + (name[n] == '.');
	}
	p[at++] = 0;
	p[at++] = (uint8_t)(type >> 8);
	p[at++] = (uint8_t)type;
	p[at++] = 0;
	p[at++] = 1;
	memcpy(p + at, "\0\0\51\x4\xd0\0\0\0\0\0\0", 11); /* OPT, 1232 bytes */
	q->len[q->n++] = at + 11;
}

/* One round: how many answers in how many seconds. */
static double round_of(int fd, const struct queries *q, uint64_t *answered)
{
	static uint8_t in[IN_FLIGHT][1500], out[IN_FLIGHT][PACKET];
	struct mmsghdr rx[IN_FLIGHT] = {0}, tx[IN_FLIGHT] = {0};
	struct iovec rx_iov[IN_FLIGHT], tx_iov[IN_FLIGHT];
	double start = now(), end = start + ROUND_MS / 1000.0, at = start;
	uint64_t next = 0;
	int to_send = IN_FLIGHT;

	*answered = 0;
	for (int i = 0; i < IN_FLIGHT; i++) {
		rx_iov[i] = (struct iovec){in[i], sizeof(in[i])};
		rx[i].msg_hdr = (struct msghdr){.msg_iov = &rx_iov[i], .msg_iovlen = 1};
		tx[i].msg_hdr = (struct msghdr){.msg_iov = &tx_iov[i], .msg_iovlen = 1};
	}
	while (at < end) {
		int n;

		for (int i = 0; i < to_send; i++, next++) {
			size_t k = next % q->n;

			memcpy(out[i], q->bytes[k], q->len[k]);
			out[i][0] = (uint8_t)(next >> 8);
			out[i][1] = (uint8_t)next;
			tx_iov[i] = (struct iovec){out[i], q->len[k]};
		}
		for (int sent = 0; sent < to_send;) {
			n = send_batch(fd, tx + sent, to_send - sent);
			sent += n > 0 ? n : 0;
		}
		n = recvmmsg(fd, rx, IN_FLIGHT, MSG_WAITFORONE, NULL);
		/* Nothing for as long as the socket waits: all were lost; begin anew. */
		to_send = n > 0 ? n : IN_FLIGHT;
		*answered += n > 0 ? (uint64_t)n : 0;
		at = now();
	}
	while (recvmmsg(fd, rx, IN_FLIGHT, MSG_WAITFORONE, NULL) > 0)
		continue; /* what was still under way */
	return at - start;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct series {
	const char *what;
	const struct queries *queries;
	int fd;
	double rates[ROUNDS];
	double cpu[ROUNDS]; /* microseconds of the server per query */
};

static void open_series(struct series *s, const char *what, const struct addr *at, const struct queries *q)
{
	union sockaddr_ip sa;
	socklen_t len = sockaddr_from(&sa, at, sockaddr_family(at));
	struct timeval wait = {.tv_usec = 50000};

	s->what = what;
	s->queries = q;
	s->fd = socket(sockaddr_family(at), SOCK_DGRAM, 0);
	if (s->fd < 0 || setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
	        connect(s->fd, &sa.sa, len) < 0) {
		perror("connect");
		exit(1);
	}
}

static void measure(struct series *all, size_t n)
{
	uint64_t answered;

	for (size_t i = 0; i < n; i++)
		round_of(all[i].fd, all[i].queries, &answered); /* warms up */
	for (int r = 0; r < ROUNDS; r++)
		for (size_t i = 0; i < n; i++) {
			double cpu = server_cpu();
			double took = round_of(all[i].fd, all[i].queries, &answered);

			all[i].cpu[r] = (server_cpu() - cpu) * 1e6 / (double)MAX(answered, 1);
			all[i].rates[r] = (double)answered / took;
		}
	for (size_t i = 0; i < n; i++) {
		struct series *s = &all[i];

		qsort(s->rates, ROUNDS, sizeof(s->rates[0]), by_value);
		qsort(s->cpu, ROUNDS, sizeof(s->cpu[0]), by_value);
		printf("%s: %.0f queries/s (%.0f to %.0f in %d runs of %d ms), %.0f%% of the echo\n"
		       "    %d in flight from one client; %.2f us of the server's core each: %.0f queries/s at most, "
		       "%.0f%% of the echo\n",
		        s->what, s->rates[ROUNDS / 2], s->rates[0], s->rates[ROUNDS - 1], ROUNDS, ROUND_MS,
		        100 * s->rates[ROUNDS / 2] / all[0].rates[ROUNDS / 2], IN_FLIGHT, s->cpu[ROUNDS / 2],
		        1e6 / s->cpu[ROUNDS / 2], 100 * all[0].cpu[ROUNDS / 2] / s->cpu[ROUNDS / 2]);
		close(s->fd);
	}
}

/* 200 services of 3 replicas. */
static struct zone *zone_of(struct queries *addresses, struct queries *srv)
{
	struct zone_builder *b = zone_builder_new(ZONE_DEFAULT, "a", 1, NULL, NULL, 1);
	double start = now();
	struct zone *z;

	for (uint32_t s = 0; s < NAMES; s++) {
		struct zone_port port = {"http", "tcp", 8080, 20000};
		char stack[16], name[80];

		snprintf(stack, sizeof(stack), "stack%u", s);
		zone_add_service(b, stack, "web", "0123456789abcdef", 3, false, &port, 1);
		for (uint32_t i = 0; i < 3; i++) {
			struct zone_endpoint e = {.addr = {.family = 4, .ip = {10, 0, (uint8_t)s, (uint8_t)i}},
			        .slot = i,
			        .peer = i,
			        .peer_name = "p",
			        .n_ports = 1,
			        .ports = &port};

			zone_add_endpoint(b, stack, "web", &e);
		}
		snprintf(name, sizeof(name), "web.%s.%s", stack, ZONE_DEFAULT);
		add_query(addresses, name, 1);
		snprintf(name, sizeof(name), "_http._tcp.web.%s.%s", stack, ZONE_DEFAULT);
		add_query(srv, name, 33);
	}
	z = zone_build(b);
	printf("zone of %d services with 3 endpoints each: %.2f ms to build, %zu bytes\n", NAMES,
	        (now() - start) * 1000, zone_bytes(z));
	return z;
}

static pthread_t start_echo(struct addr *at)
{
	static struct echo e;
	union sockaddr_ip sa;
	socklen_t len = sockaddr_from(&sa, at, AF_INET);
	pthread_t thread;

	e.fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (e.fd < 0 || bind(e.fd, &sa.sa, len) < 0 || getsockname(e.fd, &sa.sa, &len) < 0 ||
	        pthread_create(&thread, NULL, echo_run, &e) != 0) {
		perror("echo");
		exit(1);
	}
	sockaddr_to(at, &sa);
	return thread;
}

int main(void)
{
	static struct queries addresses, srv;
	struct addr at = {.family = 4, .ip = {127, 0, 0, 1}}, echo_at = at;
	struct err err = {0};
	struct zone *zone = zone_of(&addresses, &srv);
	struct series all[3];
	struct dns_server *server;
	pthread_t echo;

	/* Both servers inherit core 0 from this thread, which then moves to core 1. */
	pin(pthread_self(), 0);
	server = dns_server_start(&at, 1, NULL, &err);
	if (!server) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	echo = start_echo(&echo_at);
	pin(pthread_self(), 1);
	dns_server_addrs(server, &at, 1);
	dns_server_swap(server, zone);
	zone_unref(zone);
	open_series(&all[0], "UDP echo, the baseline", &echo_at, &addresses);
	open_series(&all[1], "DNS, A of a service with 3 endpoints", &at, &addresses);
	open_series(&all[2], "DNS, SRV with 3 targets and their addresses", &at, &srv);
	measure(all, ARRAY_LEN(all));
	open_series(&all[0], "", &echo_at, &addresses);
	send(all[0].fd, "", 0, 0); /* ends it */
	pthread_join(echo, NULL);
	close(all[0].fd);
	dns_server_stop(server);
	return 0;
}
