/* The responder with real sockets on the loopback. Reads block until an answer or the end of the connection comes;
 * a server that never gives one is caught by the receive timeout, far above what any machine needs. */
#include "tests/unit/unit.h"

#include "dns/proto.h"
#include "node/net/dns_server.h"
#include "node/net/sockaddr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANG_S 20 /* seconds after which a test gives up on an answer */

static struct dns_server *server;
static struct addr at;

static struct addr loopback(void)
{
	struct addr a;

	assert_true(addr_parse_ip(&a, "127.0.0.1"));
	return a;
}

/* A zone with one service whose A record is 10.0.0.last, n addresses in all. */
static struct zone *zone_with(uint8_t last, uint32_t n)
{
	struct zone_builder *b = zone_builder_new("z", "a", 1, NULL, NULL, last);

	for (uint32_t i = 0; i < n; i++) {
		struct zone_endpoint e = {.addr = {.family = 4, .ip = {10, (uint8_t)(i >> 8), (uint8_t)i, last}},
		        .slot = i,
		        .peer = i};

		zone_add_endpoint(b, "s", "web", &e);
	}
	return zone_build(b);
}

static void swap(struct dns_server *s, struct zone *z)
{
	dns_server_swap(s, z);
	zone_unref(z);
}

static void start(const struct dns_limits *limits)
{
	struct addr a = loopback();
	struct err err = {0};

	server = dns_server_start(&a, 1, limits, &err);
	assert_non_null(server);
	assert_int_equal(dns_server_addrs(server, &at, 1), 1);
	assert_int_not_equal(at.port, 0);
}

static int begin(void **state)
{
	(void)state;
	start(NULL);
	swap(server, zone_with(1, 1));
	return 0;
}

static int end(void **state)
{
	(void)state;
	dns_server_stop(server);
	server = NULL;
	return 0;
}

static int connect_to(const struct addr *a, int type)
{
	union sockaddr_ip sa;
	socklen_t len = sockaddr_from(&sa, a, sockaddr_family(a));
	struct timeval limit = {.tv_sec = HANG_S};
	int fd = socket(sockaddr_family(a), type, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(connect(fd, &sa.sa, len), 0);
	return fd;
}

/* The query for web.s.z A; returns its length. */
static size_t query(uint8_t *out, uint16_t id, bool edns)
{
	static const uint8_t question[] = "\3web\1s\1z\0\0\1\0"; /* the literal's own NUL ends the class... */
	static const uint8_t opt[] = {0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0};
	size_t len = 12;

	memset(out, 0, len);
	out[0] = (uint8_t)(id >> 8);
	out[1] = (uint8_t)id;
	out[5] = 1;
	out[11] = edns;
	memcpy(out + len, question, sizeof(question) - 1);
	len += sizeof(question) - 1;
	out[len++] = 1; /* ...which is IN */
	if (edns) {
		memcpy(out + len, opt, sizeof(opt));
		len += sizeof(opt);
	}
	return len;
}

static uint16_t u16_at(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Last byte of the first A record's address in an answer to query(). */
static uint8_t first_address(const uint8_t *answer, size_t len)
{
	assert_true(len >= 12 + 13 + 16);
	assert_int_equal(u16_at(answer + 2) & 15, DNS_NOERROR);
	assert_true(u16_at(answer + 6) >= 1);
	return answer[12 + 13 + 15];
}

static size_t ask(int fd, uint16_t id, bool edns, uint8_t *answer, size_t cap)
{
	uint8_t q[64];
	ssize_t n;

	assert_true(send(fd, q, query(q, id, edns), 0) > 0);
	n = recv(fd, answer, cap, 0);
	assert_true(n >= 12);
	assert_int_equal(u16_at(answer), id);
	return (size_t)n;
}

static void read_whole(int fd, uint8_t *out, size_t len)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = recv(fd, out + got, len - got, 0);

		assert_true(n > 0);
		got += (size_t)n;
	}
}

/* One message of a TCP connection; returns its length. */
static size_t read_message(int fd, uint8_t *out)
{
	uint8_t prefix[2];

	read_whole(fd, prefix, 2);
	read_whole(fd, out, u16_at(prefix));
	return u16_at(prefix);
}

static bool at_end(int fd)
{
	uint8_t byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	assert_false(n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)); /* HANG_S went by */
	return n <= 0;
}

static size_t tcp_query(uint8_t *out, uint16_t id)
{
	size_t len = query(out + 2, id, false);

	out[0] = (uint8_t)(len >> 8);
	out[1] = (uint8_t)len;
	return len + 2;
}

static void a_query_over_udp_is_answered(void **state)
{
	uint8_t answer[DNS_UDP_MAX];
	int fd = connect_to(&at, SOCK_DGRAM);

	(void)state;
	assert_int_equal(first_address(answer, ask(fd, 77, false, answer, sizeof(answer))), 1);
	close(fd);
}

static void before_a_zone_comes_and_after_it_goes_it_is_servfail(void **state)
{
	uint8_t answer[DNS_UDP_MAX];
	int fd;

	(void)state;
	start(NULL);
	fd = connect_to(&at, SOCK_DGRAM);
	ask(fd, 1, false, answer, sizeof(answer));
	assert_int_equal(u16_at(answer + 2) & 15, DNS_SERVFAIL);
	swap(server, zone_with(9, 1));
	assert_int_equal(first_address(answer, ask(fd, 2, false, answer, sizeof(answer))), 9);
	dns_server_swap(server, NULL);
	ask(fd, 3, false, answer, sizeof(answer));
	assert_int_equal(u16_at(answer + 2) & 15, DNS_SERVFAIL);
	close(fd);
}

static void rfc7766_6_2_1_pipelined_queries_are_answered_in_order_on_one_connection(void **state)
{
	enum { N = 500 };
	static uint8_t sent[N * 64];
	uint8_t answer[DNS_UDP_MAX];
	size_t len = 0, done = 0;
	int fd = connect_to(&at, SOCK_STREAM);

	(void)state;
	for (uint16_t i = 0; i < N; i++)
		len += tcp_query(sent + len, i);
	/* In pieces that respect no boundary. */
	for (size_t piece = 1; done < len; piece = piece * 2 % 1021 + 1) {
		ssize_t n = send(fd, sent + done, MIN(piece, len - done), 0);

		assert_true(n > 0);
		done += (size_t)n;
	}
	for (uint16_t i = 0; i < N; i++) {
		size_t n = read_message(fd, answer);

		assert_int_equal(u16_at(answer), i);
		assert_int_equal(first_address(answer, n), 1);
	}
	close(fd);
}

static void rfc7766_8_what_udp_truncates_tcp_gives_whole(void **state)
{
	static uint8_t answer[DNS_TCP_MAX];
	uint8_t q[64];
	int udp = connect_to(&at, SOCK_DGRAM), tcp = connect_to(&at, SOCK_STREAM);

	(void)state;
	swap(server, zone_with(1, 300));
	ask(udp, 1, true, answer, sizeof(answer));
	assert_true(answer[2] & 2); /* TC */
	assert_true(send(tcp, q, tcp_query(q, 2), 0) > 0);
	read_message(tcp, answer);
	assert_false(answer[2] & 2);
	assert_int_equal(u16_at(answer + 6), 300);
	close(udp);
	close(tcp);
}

static void a_client_that_has_sent_all_still_gets_its_answers(void **state)
{
	uint8_t sent[128], answer[DNS_UDP_MAX];
	size_t len = tcp_query(sent, 1);
	int fd = connect_to(&at, SOCK_STREAM);

	(void)state;
	len += tcp_query(sent + len, 2);
	assert_int_equal(send(fd, sent, len, 0), len);
	shutdown(fd, SHUT_WR);
	read_message(fd, answer);
	read_message(fd, answer);
	assert_int_equal(u16_at(answer), 2);
	assert_true(at_end(fd));
	close(fd);
}

/* 200 answers of 48 KB each, and nobody reads until all was asked: what does not fit into the sockets waits in one
 * round of answers, and the rest of the queries waits unread. */
static void a_slow_reader_gets_everything_in_the_end(void **state)
{
	enum { N = 200 };
	static uint8_t sent[N * 64], answer[DNS_TCP_MAX];
	size_t len = 0, done = 0;
	uint16_t got = 0;
	int fd = connect_to(&at, SOCK_STREAM);

	(void)state;
	swap(server, zone_with(1, 3000));
	for (uint16_t i = 0; i < N; i++)
		len += tcp_query(sent + len, i);
	while (done < len) {
		ssize_t n = send(fd, sent + done, len - done, 0);

		assert_true(n > 0);
		done += (size_t)n;
	}
	for (; got < N; got++) {
		read_message(fd, answer);
		assert_int_equal(u16_at(answer), got);
		assert_int_equal(u16_at(answer + 6), 3000);
	}
	close(fd);
}

static void garbage_is_dropped_or_refused_and_the_server_lives(void **state)
{
	static uint8_t noise[4096];
	uint8_t answer[DNS_UDP_MAX];
	int udp = connect_to(&at, SOCK_DGRAM), fd;

	(void)state;
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)(i * 167 + i / 3);
	for (size_t len = 0; len < 64; len++)
		send(udp, noise + len, len, 0);
	send(udp, noise, sizeof(noise), 0); /* longer than any query */
	fd = connect_to(&at, SOCK_STREAM);
	send(fd, "\xff\xff", 2, 0); /* announces 65,535 bytes */
	assert_true(at_end(fd));
	close(fd);
	fd = connect_to(&at, SOCK_STREAM);
	send(fd, "\0\0", 2, 0); /* an empty message */
	assert_true(at_end(fd));
	close(fd);
	fd = connect_to(&at, SOCK_STREAM);
	send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0);
	assert_true(at_end(fd));
	close(fd);
	fd = connect_to(&at, SOCK_DGRAM);
	assert_int_equal(first_address(answer, ask(fd, 5, false, answer, sizeof(answer))), 1);
	close(fd);
	close(udp);
}

static void connections_that_complete_no_query_are_closed(void **state)
{
	struct dns_limits limits = dns_limits_default();
	uint8_t q[64];
	int silent, halfway;

	(void)state;
	limits.idle = 1;
	start(&limits);
	silent = connect_to(&at, SOCK_STREAM);
	halfway = connect_to(&at, SOCK_STREAM);
	send(halfway, q, tcp_query(q, 1) - 1, MSG_NOSIGNAL);
	assert_true(at_end(silent));
	assert_true(at_end(halfway));
	close(silent);
	close(halfway);
}

static void a_new_connection_takes_the_place_of_the_longest_idle(void **state)
{
	struct dns_limits limits = dns_limits_default();
	uint8_t q[64], answer[DNS_UDP_MAX];
	int fds[4];

	(void)state;
	limits.connections = 3;
	start(&limits);
	swap(server, zone_with(1, 1));
	for (int i = 0; i < 4; i++) {
		fds[i] = connect_to(&at, SOCK_STREAM);
		send(fds[i], q, tcp_query(q, (uint16_t)i), 0);
		read_message(fds[i], answer); /* it is accepted and has been active */
	}
	assert_true(at_end(fds[0]));
	for (int i = 1; i < 4; i++) {
		send(fds[i], q, tcp_query(q, 9), 0);
		read_message(fds[i], answer);
		assert_int_equal(u16_at(answer), 9);
	}
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

static void one_source_cannot_take_all_connections(void **state)
{
	struct dns_limits limits = dns_limits_default();
	uint8_t q[64], answer[DNS_UDP_MAX];
	int fds[3];

	(void)state;
	limits.limit_loopback = true;
	limits.connections_per_source = 2;
	start(&limits);
	swap(server, zone_with(1, 1));
	for (int i = 0; i < 3; i++) {
		fds[i] = connect_to(&at, SOCK_STREAM);
		send(fds[i], q, tcp_query(q, (uint16_t)i), 0);
		read_message(fds[i], answer);
	}
	assert_true(at_end(fds[0]));
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

/* The limit is per second and the burst is twice that: of 1,000 queries at once some get no answer, and all are
 * counted. */
static void a_source_over_its_rate_is_not_answered(void **state)
{
	struct dns_limits limits = dns_limits_default();
	struct dns_counters c;
	uint8_t q[64];
	int fd;

	(void)state;
	limits.limit_loopback = true;
	limits.queries_per_second = 1;
	start(&limits);
	swap(server, zone_with(1, 1));
	fd = connect_to(&at, SOCK_DGRAM);
	for (uint16_t sent = 0; sent < 1000; sent += 50) {
		for (uint16_t i = 0; i < 50; i++) /* few enough that no socket buffer overflows */
			assert_true(send(fd, q, query(q, i, false), 0) > 0);
		do
			dns_server_counters(server, &c);
		while (c.queries < sent + 50u);
	}
	assert_true(c.dropped > 900);
	assert_true(c.answers >= 2);
	assert_int_equal(c.answers + c.dropped, 1000);
	close(fd);
}

static void counters_tell_what_was_asked(void **state)
{
	struct dns_counters c;
	uint8_t answer[DNS_UDP_MAX];
	int fd = connect_to(&at, SOCK_DGRAM);

	(void)state;
	for (uint16_t i = 0; i < 10; i++)
		ask(fd, i, false, answer, sizeof(answer));
	/* Published after the answer is sent: wait for the last. */
	do
		dns_server_counters(server, &c);
	while (c.queries < 10);
	assert_int_equal(c.queries, 10);
	assert_int_equal(c.answers, 10);
	assert_int_equal(c.dropped, 0);
	close(fd);
}

static void a_port_in_use_is_named_with_what_to_do(void **state)
{
	struct err err = {0};
	char port[16];

	(void)state;
	assert_null(dns_server_start(&at, 1, NULL, &err));
	snprintf(port, sizeof(port), "127.0.0.1:%u", at.port);
	assert_non_null(strstr(err.text, port));
	assert_non_null(strstr(err.text, "UDP"));
	assert_non_null(strstr(err.text, "Address already in use"));
	assert_non_null(strstr(err.text, "--dns"));
}

static void a_port_that_only_tcp_holds_is_in_use_as_well(void **state)
{
	struct addr a = loopback();
	union sockaddr_ip sa;
	socklen_t len = sockaddr_from(&sa, &a, AF_INET);
	struct err err = {0};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(bind(fd, &sa.sa, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	len = sizeof(sa);
	assert_int_equal(getsockname(fd, &sa.sa, &len), 0);
	sockaddr_to(&a, &sa);
	assert_null(dns_server_start(&a, 1, NULL, &err));
	assert_non_null(strstr(err.text, "TCP"));
	close(fd);
}

static void no_address_and_too_many_are_errors(void **state)
{
	struct addr many[DNS_LISTEN_MAX + 1];
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = loopback();
	assert_null(dns_server_start(many, 0, NULL, &err));
	assert_int_equal(err.code, ERR_USAGE);
	assert_null(dns_server_start(many, ARRAY_LEN(many), NULL, &err));
}

static void several_addresses_answer_and_the_answer_comes_from_the_one_asked(void **state)
{
	struct addr want[3], bound[3], asked;
	struct err err = {0};
	uint8_t answer[DNS_UDP_MAX];

	(void)state;
	want[0] = loopback();
	assert_true(addr_parse_ip(&want[1], "127.78.1.2"));
	assert_true(addr_parse_ip(&want[2], "0.0.0.0"));
	server = dns_server_start(want, 3, NULL, &err);
	assert_non_null(server);
	swap(server, zone_with(4, 1));
	assert_int_equal(dns_server_addrs(server, bound, 3), 3);
	for (int i = 0; i < 3; i++) {
		int fd;

		asked = bound[i];
		if (i == 2) /* any address: ask one that routing would not choose as a source */
			assert_true(addr_parse_ip(&asked, "127.99.88.77"));
		asked.port = bound[i].port;
		/* A connected socket takes only what comes from where it asked. */
		fd = connect_to(&asked, SOCK_DGRAM);
		assert_int_equal(first_address(answer, ask(fd, 3, false, answer, sizeof(answer))), 4);
		close(fd);
	}
}

/* --- swaps under load --- */

struct load {
	pthread_t thread;
	bool tcp;
	atomic_uint_fast64_t answered;
	/* The oldest zone that may still answer: raised after each swap has returned. */
	atomic_int least, most;
	atomic_bool stop, failed;
	const char *failure; /* read after the thread has ended */
};

static bool valid_answer(struct load *l, const uint8_t *answer, size_t len, uint16_t id, int least)
{
	int got;

	l->failure = "an answer that is none";
	if (len < 12 + 13 + 16 || u16_at(answer) != id || u16_at(answer + 6) != 1)
		return false;
	got = answer[12 + 13 + 15];
	l->failure = "an answer from a zone that was gone before it was asked, or that is not there yet";
	if (got < least || got > atomic_load(&l->most))
		return false;
	l->failure = NULL;
	return true;
}

static void *client(void *arg)
{
	struct load *l = arg;
	union sockaddr_ip sa;
	socklen_t sa_len = sockaddr_from(&sa, &at, AF_INET);
	struct timeval limit = {.tv_sec = HANG_S};
	int fd = socket(AF_INET, l->tcp ? SOCK_STREAM : SOCK_DGRAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, &sa.sa, sa_len) < 0)
		l->failure = "cannot connect";
	for (uint16_t id = 0; !l->failure && !atomic_load(&l->stop); id++) {
		int least = atomic_load(&l->least);
		uint8_t q[64], answer[DNS_UDP_MAX + 2];
		size_t len = l->tcp ? tcp_query(q, id) : query(q, id, false);
		ssize_t n;

		l->failure = "an answer was lost";
		if (send(fd, q, len, 0) < 0)
			break;
		n = recv(fd, answer, sizeof(answer), 0);
		if (n <= (l->tcp ? 2 : 0))
			break;
		if (!valid_answer(l, answer + (l->tcp ? 2 : 0), (size_t)n - (l->tcp ? 2 : 0), id, least))
			break;
		atomic_fetch_add(&l->answered, 1);
	}
	atomic_store(&l->failed, l->failure != NULL);
	close(fd);
	return NULL;
}

static void swaps_under_load_lose_no_answer_and_never_give_an_old_one(void **state)
{
	/* Static: the threads may still be at work when an assertion leaves this function. */
	static struct load loads[2] = {
	        {.tcp = false, .least = 1, .most = 1}, {.tcp = true, .least = 1, .most = 1}};

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&loads[i].thread, NULL, client, &loads[i]), 0);
	for (int gen = 2; gen <= 200; gen++) {
		struct zone *z = zone_with((uint8_t)gen, 1);
		uint64_t before[2];

		for (int i = 0; i < 2; i++)
			atomic_store(&loads[i].most, gen);
		swap(server, z);
		for (int i = 0; i < 2; i++) {
			atomic_store(&loads[i].least, gen);
			before[i] = atomic_load(&loads[i].answered);
		}
		/* Some generations are replaced before anybody asks, most are asked for. */
		for (int i = 0; i < 2 && gen % 8; i++)
			while (!atomic_load(&loads[i].failed) && atomic_load(&loads[i].answered) < before[i] + 2)
				continue;
	}
	for (int i = 0; i < 2; i++) {
		atomic_store(&loads[i].stop, true);
		pthread_join(loads[i].thread, NULL);
		if (loads[i].failure)
			fail_msg("%s: %s", i ? "TCP" : "UDP", loads[i].failure);
		assert_true(atomic_load(&loads[i].answered) >= 2 * 150);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_query_over_udp_is_answered, begin, end),
	        cmocka_unit_test_teardown(before_a_zone_comes_and_after_it_goes_it_is_servfail, end),
	        cmocka_unit_test_setup_teardown(
	                rfc7766_6_2_1_pipelined_queries_are_answered_in_order_on_one_connection, begin, end),
	        cmocka_unit_test_setup_teardown(rfc7766_8_what_udp_truncates_tcp_gives_whole, begin, end),
	        cmocka_unit_test_setup_teardown(a_client_that_has_sent_all_still_gets_its_answers, begin, end),
	        cmocka_unit_test_setup_teardown(a_slow_reader_gets_everything_in_the_end, begin, end),
	        cmocka_unit_test_setup_teardown(garbage_is_dropped_or_refused_and_the_server_lives, begin, end),
	        cmocka_unit_test_teardown(connections_that_complete_no_query_are_closed, end),
	        cmocka_unit_test_teardown(a_new_connection_takes_the_place_of_the_longest_idle, end),
	        cmocka_unit_test_teardown(one_source_cannot_take_all_connections, end),
	        cmocka_unit_test_teardown(a_source_over_its_rate_is_not_answered, end),
	        cmocka_unit_test_setup_teardown(counters_tell_what_was_asked, begin, end),
	        cmocka_unit_test_setup_teardown(a_port_in_use_is_named_with_what_to_do, begin, end),
	        cmocka_unit_test(a_port_that_only_tcp_holds_is_in_use_as_well),
	        cmocka_unit_test(no_address_and_too_many_are_errors),
	        cmocka_unit_test_teardown(several_addresses_answer_and_the_answer_comes_from_the_one_asked, end),
	        cmocka_unit_test_setup_teardown(
	                swaps_under_load_lose_no_answer_and_never_give_an_old_one, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
