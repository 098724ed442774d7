/* The peer port on real loopback sockets: streams between two keys, and everybody else kept at arm's length. */
#include "tests/unit/unit.h"

#include "node/keyfile.h"
#include "node/net/peer_net.h"
#include "node/net/sockaddr.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

/* One side, and what it heard. */
struct side {
	uv_loop_t *loop;
	struct peer_net *net;
	struct keypair keys;
	struct addr addr;
	unsigned packets, ready, frames, closed, refused;
	size_t frame_bytes;
	uint64_t id; /* of the last ready */
	struct key32 other;
	struct addr from;
	uint8_t last[128]; /* start of the last packet or frame */
	size_t last_len;
	char why[256];
	bool in_call; /* set by tests around calls into peer_net: no event may come meanwhile */
	void (*on_frame)(struct side *);
};

static void packet(void *ctx, const struct addr *from, const uint8_t *bytes, size_t len)
{
	struct side *s = ctx;

	s->packets++;
	s->from = *from;
	s->last_len = len;
	memcpy(s->last, bytes, MIN(len, sizeof(s->last)));
}

static void ready(void *ctx, uint64_t id, enum session_role role, const struct key32 *key, bool inbound,
        const struct addr *from)
{
	struct side *s = ctx;

	assert_false(s->in_call);
	assert_int_equal(role, SESSION_PEER);
	assert_int_equal(inbound, id >> 63);
	s->ready++;
	s->id = id;
	s->other = *key;
	s->from = *from;
}

static void frame(void *ctx, uint64_t id, const uint8_t *bytes, size_t len)
{
	struct side *s = ctx;

	assert_false(s->in_call);
	assert_int_equal(id, s->id);
	s->frames++;
	s->frame_bytes += len;
	s->last_len = len;
	memcpy(s->last, bytes, MIN(len, sizeof(s->last)));
	if (s->on_frame)
		s->on_frame(s);
}

static void closed(void *ctx, uint64_t id UNUSED, bool refused, const char *why)
{
	struct side *s = ctx;

	assert_false(s->in_call);
	s->closed++;
	s->refused += refused;
	snprintf(s->why, sizeof(s->why), "%s", why);
}

static const struct peer_net_events events = {packet, ready, frame, closed, NULL};

static void open_side(struct side *s, uv_loop_t *loop, uint8_t n, const char *bind_to, uint8_t flock_byte)
{
	struct key32 flock = {{flock_byte}};
	uint8_t seed[32] = {n};
	struct err err = {0};
	struct addr addr;

	memset(s, 0, sizeof(*s));
	s->loop = loop;
	keypair_from_seed(&s->keys, seed);
	assert_int_equal(addr_parse(&addr, bind_to, 0, &err), 0);
	s->net = peer_net_open(loop, &addr, &flock, s->keys.secret, seed, &events, s, &err);
	if (!s->net)
		fail_msg("%s", err.text);
	peer_net_bound(s->net, &s->addr);
	assert_true(s->addr.port != 0);
}

struct pair {
	uv_loop_t loop;
	struct side a, b;
};

static void open_pair(struct pair *p)
{
	uv_loop_init(&p->loop);
	open_side(&p->a, &p->loop, 1, "127.0.0.1:0", 9);
	open_side(&p->b, &p->loop, 2, "127.0.0.1:0", 9);
}

static void finish(uv_loop_t *loop)
{
	uv_run(loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(loop), 0);
}

static void close_pair(struct pair *p)
{
	peer_net_close(p->a.net);
	peer_net_close(p->b.net);
	finish(&p->loop);
}

/* One turn of the loop. uv_run(UV_RUN_ONCE) may run a timer and then wait for ever for something else. */
static void turn(uv_loop_t *loop)
{
	struct pollfd fd = {.fd = uv_backend_fd(loop), .events = POLLIN};
	int wait = uv_backend_timeout(loop);

	poll(&fd, 1, wait < 0 || wait > 10 ? 10 : wait);
	uv_run(loop, UV_RUN_NOWAIT);
}

#define run_until(loop, condition)                                                                               \
	do {                                                                                                     \
		while (!(condition))                                                                             \
			turn(loop);                                                                              \
	} while (0)

static void connect_pair(struct pair *p)
{
	p->a.in_call = true;
	peer_net_connect(p->a.net, 5, &p->b.addr, &p->b.keys.public_key);
	p->a.in_call = false;
	run_until(&p->loop, p->a.ready && p->b.ready);
	assert_int_equal(p->a.id, 5);
}

/* A socket that knows nothing of our protocols. */
static int stranger(const struct addr *to, int type)
{
	union sockaddr_ip sa;
	socklen_t len = sockaddr_from(&sa, to, AF_INET);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &sa.sa, len), 0);
	return fd;
}

/* True once the other side has closed or reset the connection. */
static bool was_closed(int fd)
{
	uint8_t b[256];
	ssize_t n;

	while ((n = recv(fd, b, sizeof(b), MSG_DONTWAIT)) > 0)
		;
	return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static void packets_travel_with_their_source(void **state UNUSED)
{
	struct pair p;

	open_pair(&p);
	peer_net_send_packet(p.a.net, &p.b.addr, (const uint8_t *)"hello", 5);
	run_until(&p.loop, p.b.packets);
	assert_int_equal(p.b.last_len, 5);
	assert_memory_equal(p.b.last, "hello", 5);
	assert_true(addr_eq(&p.b.from, &p.a.addr));
	close_pair(&p);
}

static void oversize_packets_are_dropped_and_counted(void **state UNUSED)
{
	uint8_t big[PACKET_BYTES_MAX + 1] = {0};
	struct pair p;
	int fd;

	open_pair(&p);
	fd = stranger(&p.b.addr, SOCK_DGRAM);
	assert_int_equal(send(fd, big, sizeof(big), 0), sizeof(big));
	assert_int_equal(send(fd, big, 0, 0), 0);
	assert_int_equal(send(fd, big, PACKET_BYTES_MAX, 0), PACKET_BYTES_MAX);
	run_until(&p.loop, p.b.packets == 2);
	assert_int_equal(p.b.last_len, PACKET_BYTES_MAX);
	assert_int_equal(peer_net_counters(p.b.net)->packets_oversize, 1);
	assert_int_equal(peer_net_counters(p.b.net)->packets_in, 3);
	close(fd);
	close_pair(&p);
}

/* ICMP "port unreachable" comes back for the first packet; it must not spoil what follows. */
static void a_packet_to_nobody_changes_nothing(void **state UNUSED)
{
	struct addr nobody;
	struct pair p;

	open_pair(&p);
	assert_int_equal(addr_parse(&nobody, "127.0.0.1:1", 0, NULL), 0);
	for (int i = 0; i < 10; i++)
		peer_net_send_packet(p.a.net, &nobody, (const uint8_t *)"x", 1);
	peer_net_send_packet(p.a.net, &p.b.addr, (const uint8_t *)"y", 1);
	peer_net_send_packet(p.b.net, &p.a.addr, (const uint8_t *)"z", 1);
	run_until(&p.loop, p.b.packets && p.a.packets);
	close_pair(&p);
}

static void a_stalled_loop_can_hear_before_it_judges(void **state UNUSED)
{
	struct pair p;

	open_pair(&p);
	for (int i = 0; i < 100; i++)
		peer_net_send_packet(p.a.net, &p.b.addr, (const uint8_t *)"x", 1);
	peer_net_read_packets(p.b.net); /* the loop has not run */
	assert_int_equal(p.b.packets, 100);
	close_pair(&p);
}

static void streams_carry_frames_both_ways(void **state UNUSED)
{
	static uint8_t big[FRAME_BYTES_MAX];
	struct pair p;

	open_pair(&p);
	connect_pair(&p);
	assert_memory_equal(&p.a.other, &p.b.keys.public_key, 32);
	assert_memory_equal(&p.b.other, &p.a.keys.public_key, 32);
	assert_true(peer_net_send_frame(p.a.net, p.a.id, (const uint8_t *)"ping", 4));
	run_until(&p.loop, p.b.frames);
	assert_memory_equal(p.b.last, "ping", 4);
	for (int i = 0; i < 20; i++)
		assert_true(peer_net_send_frame(p.b.net, p.b.id, big, sizeof(big)));
	run_until(&p.loop, p.a.frames == 20);
	assert_int_equal(p.a.frame_bytes, 20 * sizeof(big));
	assert_int_equal(peer_net_queued(p.b.net, p.b.id), 0);
	close_pair(&p);
}

static void a_refused_connection_is_told_apart(void **state UNUSED)
{
	struct addr nobody;
	struct pair p;

	open_pair(&p);
	assert_int_equal(addr_parse(&nobody, "127.0.0.1:1", 0, NULL), 0);
	p.a.in_call = true;
	peer_net_connect(p.a.net, 7, &nobody, &p.b.keys.public_key);
	p.a.in_call = false;
	run_until(&p.loop, p.a.closed);
	assert_int_equal(p.a.refused, 1);
	assert_non_null(strstr(p.a.why, "127.0.0.1:1: Connection refused"));
	assert_false(peer_net_send_frame(p.a.net, 7, (const uint8_t *)"x", 1));
	/* No route, no address: closed as well, and not called refused. */
	nobody = (struct addr){0};
	p.a.in_call = true;
	peer_net_connect(p.a.net, 7, &nobody, &p.b.keys.public_key);
	p.a.in_call = false;
	run_until(&p.loop, p.a.closed == 2);
	assert_int_equal(p.a.refused, 1);
	close_pair(&p);
}

static void a_peer_with_another_key_is_hung_up_on(void **state UNUSED)
{
	struct pair p;

	open_pair(&p);
	peer_net_connect(p.a.net, 5, &p.b.addr, &p.a.keys.public_key);
	run_until(&p.loop, p.a.closed);
	assert_int_equal(p.a.ready, 0);
	assert_int_equal(p.a.refused, 0);
	run_until(&p.loop, peer_net_counters(p.b.net)->handshakes_failed);
	assert_int_equal(p.b.ready, 0);
	close_pair(&p);
}

static void a_peer_of_another_flock_is_hung_up_on(void **state UNUSED)
{
	uv_loop_t loop;
	struct side a, b;

	uv_loop_init(&loop);
	open_side(&a, &loop, 1, "127.0.0.1:0", 1);
	open_side(&b, &loop, 2, "127.0.0.1:0", 2);
	peer_net_connect(a.net, 5, &b.addr, &b.keys.public_key);
	run_until(&loop, a.closed);
	assert_int_equal(a.ready + b.ready, 0);
	peer_net_close(a.net);
	peer_net_close(b.net);
	finish(&loop);
}

static void garbage_on_the_port_is_counted_and_harmless(void **state UNUSED)
{
	uint8_t junk[4096];
	struct pair p;
	int fd;

	open_pair(&p);
	for (unsigned round = 0; round < 20; round++) {
		for (size_t i = 0; i < sizeof(junk); i++)
			junk[i] = (uint8_t)((i * 31 + round * 17) ^ (i >> 3));
		if (round % 3 == 0)
			memset(junk, 0xff, 8); /* lengths of 2^32 - 1 */
		if (round % 3 == 1)
			memset(junk, 0, sizeof(junk));
		fd = stranger(&p.b.addr, SOCK_STREAM);
		assert_true(send(fd, junk, sizeof(junk), MSG_NOSIGNAL) > 0);
		run_until(&p.loop, was_closed(fd));
		close(fd);
	}
	assert_int_equal(peer_net_counters(p.b.net)->handshakes_failed, 20);
	assert_int_equal(p.b.ready + p.b.closed, 0); /* its owner never hears of them */
	connect_pair(&p);
	close_pair(&p);
}

/* Plain text where ciphertext of a session is due. */
static void garbage_inside_a_session_ends_it(void **state UNUSED)
{
	struct key32 flock = {{9}};
	uint8_t bytes[4096], seed[32] = {77};
	struct drbg rng;
	struct keypair keys;
	struct session *s;
	struct err err = {0};
	struct pair p;
	const uint8_t *out;
	ssize_t n;
	size_t len;
	int fd;

	open_pair(&p);
	keypair_from_seed(&keys, seed);
	drbg_init(&rng, seed);
	s = session_connect(&flock, SESSION_PEER, keys.secret, NULL, &rng);
	fd = stranger(&p.b.addr, SOCK_STREAM);
	while (!p.b.ready) {
		while (out = session_output(s, &len), len) {
			n = send(fd, out, len, MSG_NOSIGNAL);
			assert_true(n > 0);
			session_sent(s, (size_t)n);
		}
		turn(&p.loop);
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n > 0)
			assert_int_equal(session_feed(s, bytes, (size_t)n, &err), 0);
		while (session_next(s, &err) == SESSION_READY)
			;
	}
	memset(bytes, 0, sizeof(bytes));
	bytes[3] = 100; /* a frame of 100 bytes that no key made */
	assert_int_equal(send(fd, bytes, 104, 0), 104);
	run_until(&p.loop, p.b.closed);
	assert_int_equal(p.b.frames, 0);
	session_free(s);
	close(fd);
	close_pair(&p);
}

static void a_silent_connection_is_closed_in_time(void **state UNUSED)
{
	struct peer_net_limits limits = PEER_NET_LIMITS_DEFAULT;
	struct pair p;
	int silent, slow;

	open_pair(&p);
	limits.handshake_ms = 20;
	peer_net_limit(p.b.net, &limits);
	silent = stranger(&p.b.addr, SOCK_STREAM);
	slow = stranger(&p.b.addr, SOCK_STREAM);
	/* A byte now and then buys no more time. */
	while (!was_closed(slow)) {
		send(slow, "\0", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		uv_run(&p.loop, UV_RUN_NOWAIT);
	}
	run_until(&p.loop, was_closed(silent));
	assert_true(peer_net_counters(p.b.net)->handshakes_late >= 1);
	close(silent);
	close(slow);
	close_pair(&p);
}

static void a_host_that_accepts_and_says_nothing_is_given_up(void **state UNUSED)
{
	struct peer_net_limits limits = PEER_NET_LIMITS_DEFAULT;
	union sockaddr_ip sa;
	socklen_t len = sizeof(sa.v4);
	struct pair p;
	struct addr to;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	open_pair(&p);
	limits.handshake_ms = 20;
	peer_net_limit(p.a.net, &limits);
	assert_int_equal(addr_parse(&to, "127.0.0.1:0", 0, NULL), 0);
	sockaddr_from(&sa, &to, AF_INET);
	assert_int_equal(bind(fd, &sa.sa, len), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, &sa.sa, &len), 0);
	sockaddr_to(&to, &sa);
	peer_net_connect(p.a.net, 5, &to, &p.b.keys.public_key);
	run_until(&p.loop, p.a.closed);
	assert_int_equal(p.a.refused, 0);
	assert_non_null(strstr(p.a.why, "no answer"));
	close(fd);
	close_pair(&p);
}

static void strangers_do_not_take_the_places_of_peers(void **state UNUSED)
{
	struct peer_net_limits limits = PEER_NET_LIMITS_DEFAULT;
	struct pair p;
	int fd[40];

	open_pair(&p);
	limits.inbound_max = 8;
	limits.handshakes_per_second = 1000;
	peer_net_limit(p.b.net, &limits);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		fd[i] = stranger(&p.b.addr, SOCK_STREAM);
	connect_pair(&p);
	assert_true(was_closed(fd[0])); /* the oldest went */
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		close(fd[i]);
	close_pair(&p);
}

static void peers_beyond_the_limit_are_refused(void **state UNUSED)
{
	struct peer_net_limits limits = PEER_NET_LIMITS_DEFAULT;
	struct pair p;

	open_pair(&p);
	limits.inbound_max = 2;
	peer_net_limit(p.b.net, &limits);
	for (uint64_t id = 1; id <= 2; id++) {
		peer_net_connect(p.a.net, id, &p.b.addr, &p.b.keys.public_key);
		run_until(&p.loop, p.b.ready == id && p.a.ready == id);
	}
	peer_net_connect(p.a.net, 3, &p.b.addr, &p.b.keys.public_key);
	run_until(&p.loop, p.a.closed);
	assert_int_equal(p.b.ready, 2);
	assert_int_equal(peer_net_counters(p.b.net)->refused_full, 1);
	peer_net_close_conn(p.a.net, 1);
	run_until(&p.loop, p.b.closed == 1);
	peer_net_connect(p.a.net, 4, &p.b.addr, &p.b.keys.public_key);
	run_until(&p.loop, p.b.ready == 3);
	close_pair(&p);
}

static void one_source_may_not_ask_for_endless_handshakes(void **state UNUSED)
{
	struct peer_net_limits limits = PEER_NET_LIMITS_DEFAULT;
	struct pair p;
	int fd[8];

	open_pair(&p);
	limits.handshakes_per_second = 1;
	peer_net_limit(p.b.net, &limits);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		fd[i] = stranger(&p.b.addr, SOCK_STREAM);
	run_until(&p.loop,
	        peer_net_counters(p.b.net)->accepted + peer_net_counters(p.b.net)->refused_rate == ARRAY_LEN(fd));
	assert_true(peer_net_counters(p.b.net)->refused_rate >= 1);
	assert_true(peer_net_counters(p.b.net)->accepted >= 2);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		close(fd[i]);
	close_pair(&p);
}

/* Without a descriptor to accept with, a waiting connection would wake the loop for ever. */
static void out_of_descriptors_connections_are_refused_and_it_heals(void **state UNUSED)
{
	struct rlimit before, few;
	struct pair p;
	int fd[3], probe;

	open_pair(&p);
	turn(&p.loop);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		fd[i] = stranger(&p.b.addr, SOCK_STREAM); /* the kernel completes them by itself */
	probe = dup(0);
	close(probe);
	getrlimit(RLIMIT_NOFILE, &before);
	few = before;
	few.rlim_cur = (rlim_t)probe; /* every number below it is taken */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		run_until(&p.loop, was_closed(fd[i]));
	assert_int_equal(peer_net_counters(p.b.net)->refused_full, ARRAY_LEN(fd));
	/* Nor can it connect; its owner hears of that like of any other failure. */
	peer_net_connect(p.a.net, 4, &p.b.addr, &p.b.keys.public_key);
	run_until(&p.loop, p.a.closed);
	assert_int_equal(p.a.refused, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		close(fd[i]);
	connect_pair(&p);
	close_pair(&p);
}

static void a_reader_that_does_not_read_is_closed(void **state UNUSED)
{
	static uint8_t big[FRAME_BYTES_MAX];
	uv_loop_t loop_a, loop_b;
	struct side a, b;
	size_t sent = 0;

	uv_loop_init(&loop_a);
	uv_loop_init(&loop_b);
	open_side(&a, &loop_a, 1, "127.0.0.1:0", 9);
	open_side(&b, &loop_b, 2, "127.0.0.1:0", 9);
	peer_net_connect(a.net, 5, &b.addr, &b.keys.public_key);
	while (!a.ready || !b.ready) {
		uv_run(&loop_a, UV_RUN_NOWAIT);
		uv_run(&loop_b, UV_RUN_NOWAIT);
	}
	/* b's loop stands still from here. */
	while (peer_net_send_frame(a.net, 5, big, sizeof(big))) {
		sent += sizeof(big);
		assert_true(peer_net_queued(a.net, 5) <= PEER_NET_QUEUE_MAX + 4096);
		uv_run(&loop_a, UV_RUN_NOWAIT);
	}
	assert_true(sent >= PEER_NET_QUEUE_MAX - sizeof(big));
	assert_int_equal(a.closed, 0); /* said later, not from inside */
	run_until(&loop_a, a.closed);
	assert_non_null(strstr(a.why, "does not read"));
	assert_int_equal(peer_net_counters(a.net)->slow_readers, 1);
	peer_net_close(a.net);
	peer_net_close(b.net);
	finish(&loop_a);
	finish(&loop_b);
}

static void closing_hands_over_what_is_queued(void **state UNUSED)
{
	static uint8_t big[FRAME_BYTES_MAX];
	struct pair p;

	open_pair(&p);
	connect_pair(&p);
	for (int i = 0; i < 40; i++)
		assert_true(peer_net_send_frame(p.a.net, 5, big, sizeof(big)));
	/* Bytes that nobody will read must not cut our own short. */
	assert_true(peer_net_send_frame(p.b.net, p.b.id, big, sizeof(big)));
	p.a.in_call = true;
	peer_net_close_conn(p.a.net, 5);
	peer_net_close_conn(p.a.net, 5);
	p.a.in_call = false;
	assert_false(peer_net_send_frame(p.a.net, 5, big, 1));
	run_until(&p.loop, p.a.closed && p.b.closed);
	assert_int_equal(p.b.frames, 40);
	assert_int_equal(p.a.frames, 0);
	assert_int_equal(p.a.closed, 1);
	assert_int_equal(p.b.closed, 1);
	close_pair(&p);
}

static void hang_up(struct side *s)
{
	peer_net_close_conn(s->net, s->id);
}

static void close_all(struct side *s)
{
	peer_net_close(s->net);
	s->net = NULL;
}

static void a_frame_may_end_its_connection(void **state UNUSED)
{
	struct pair p;

	open_pair(&p);
	connect_pair(&p);
	p.b.on_frame = hang_up;
	for (int i = 0; i < 10; i++)
		peer_net_send_frame(p.a.net, 5, (const uint8_t *)"x", 1);
	run_until(&p.loop, p.a.closed && p.b.closed);
	assert_int_equal(p.b.frames, 1);
	close_pair(&p);
}

static void a_frame_may_end_everything(void **state UNUSED)
{
	struct pair p;

	open_pair(&p);
	connect_pair(&p);
	p.b.on_frame = close_all;
	for (int i = 0; i < 10; i++)
		peer_net_send_frame(p.a.net, 5, (const uint8_t *)"x", 1);
	run_until(&p.loop, p.a.closed);
	assert_int_equal(p.b.frames, 1);
	assert_int_equal(p.b.closed, 0);
	peer_net_close(p.a.net);
	finish(&p.loop);
}

/* The kernel gives a new connection the number that the last one just gave back. */
static void a_descriptor_used_again_is_heard(void **state UNUSED)
{
	struct peer_net_limits limits = PEER_NET_LIMITS_DEFAULT;
	struct pair p;

	open_pair(&p);
	limits.handshakes_per_second = 1000;
	peer_net_limit(p.b.net, &limits);
	for (uint64_t id = 1; id <= 20; id++) {
		/* Ended from inside a call, and at once another one. */
		peer_net_connect(p.a.net, 100 + id, &p.b.addr, &p.b.keys.public_key);
		peer_net_close_conn(p.a.net, 100 + id);
		peer_net_connect(p.a.net, id, &p.b.addr, &p.b.keys.public_key);
		run_until(&p.loop, p.a.closed == id && p.a.ready == id && p.b.ready == id);
		assert_true(peer_net_send_frame(p.a.net, id, (const uint8_t *)"x", 1));
		run_until(&p.loop, p.b.frames == id);
	}
	close_pair(&p);
}

static void a_stream_comes_from_the_address_bound(void **state UNUSED)
{
	uv_loop_t loop;
	struct side a, b;

	uv_loop_init(&loop);
	open_side(&a, &loop, 1, "127.78.1.1:0", 9);
	open_side(&b, &loop, 2, "127.78.1.2:0", 9);
	peer_net_connect(a.net, 5, &b.addr, &b.keys.public_key);
	run_until(&loop, a.ready && b.ready);
	assert_true(addr_ip_eq(&b.from, &a.addr));
	assert_true(addr_eq(&a.from, &b.addr));
	peer_net_close(a.net);
	peer_net_close(b.net);
	finish(&loop);
}

static void one_socket_serves_both_families(void **state UNUSED)
{
	uv_loop_t loop;
	struct side a, b;
	struct addr to;
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	if (fd < 0)
		skip();
	close(fd);
	uv_loop_init(&loop);
	open_side(&a, &loop, 1, "127.0.0.1:0", 9);
	open_side(&b, &loop, 2, "[::]:0", 9);
	assert_int_equal(addr_parse(&to, "127.0.0.1", b.addr.port, NULL), 0);
	peer_net_send_packet(a.net, &to, (const uint8_t *)"x", 1);
	run_until(&loop, b.packets);
	assert_true(addr_eq(&b.from, &a.addr)); /* not ::ffff:127.0.0.1 */
	peer_net_send_packet(b.net, &a.addr, (const uint8_t *)"y", 1);
	run_until(&loop, a.packets);
	peer_net_connect(b.net, 5, &a.addr, &a.keys.public_key);
	run_until(&loop, b.ready && a.ready);
	peer_net_close(a.net);
	peer_net_close(b.net);
	finish(&loop);
}

static void a_port_in_use_is_named(void **state UNUSED)
{
	struct peer_net *second;
	struct key32 flock = {{9}};
	struct err err = {0};
	char text[ADDR_TEXT_MAX];
	struct pair p;

	open_pair(&p);
	second = peer_net_open(&p.loop, &p.a.addr, &flock, p.a.keys.secret, p.a.keys.secret, &events, &p.a, &err);
	assert_null(second);
	addr_text(text, &p.a.addr);
	assert_non_null(strstr(err.text, text));
	assert_non_null(strstr(err.text, "--bind"));
	assert_int_equal(addr_parse(&p.b.addr, "192.0.2.77:0", 0, NULL), 0);
	assert_null(
	        peer_net_open(&p.loop, &p.b.addr, &flock, p.a.keys.secret, p.a.keys.secret, &events, &p.a, &err));
	assert_non_null(strstr(err.text, "no interface"));
	close_pair(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(packets_travel_with_their_source),
	        cmocka_unit_test(oversize_packets_are_dropped_and_counted),
	        cmocka_unit_test(a_packet_to_nobody_changes_nothing),
	        cmocka_unit_test(a_stalled_loop_can_hear_before_it_judges),
	        cmocka_unit_test(streams_carry_frames_both_ways),
	        cmocka_unit_test(a_refused_connection_is_told_apart),
	        cmocka_unit_test(a_peer_with_another_key_is_hung_up_on),
	        cmocka_unit_test(a_peer_of_another_flock_is_hung_up_on),
	        cmocka_unit_test(garbage_on_the_port_is_counted_and_harmless),
	        cmocka_unit_test(garbage_inside_a_session_ends_it),
	        cmocka_unit_test(a_silent_connection_is_closed_in_time),
	        cmocka_unit_test(a_host_that_accepts_and_says_nothing_is_given_up),
	        cmocka_unit_test(strangers_do_not_take_the_places_of_peers),
	        cmocka_unit_test(peers_beyond_the_limit_are_refused),
	        cmocka_unit_test(one_source_may_not_ask_for_endless_handshakes),
	        cmocka_unit_test(out_of_descriptors_connections_are_refused_and_it_heals),
	        cmocka_unit_test(a_reader_that_does_not_read_is_closed),
	        cmocka_unit_test(closing_hands_over_what_is_queued),
	        cmocka_unit_test(a_frame_may_end_its_connection),
	        cmocka_unit_test(a_frame_may_end_everything),
	        cmocka_unit_test(a_descriptor_used_again_is_heard),
	        cmocka_unit_test(a_stream_comes_from_the_address_bound),
	        cmocka_unit_test(one_socket_serves_both_families),
	        cmocka_unit_test(a_port_in_use_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
