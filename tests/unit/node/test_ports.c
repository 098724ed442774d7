#include "tests/unit/unit.h"

#include "node/runtime/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct addr loopback = {.family = 4, .ip = {127, 0, 0, 1}};

/* A socket on a port that the kernel chose. */
static int occupy(int type, uint32_t ip, uint16_t *port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(ip)};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 1), 0);
	getsockname(fd, (struct sockaddr *)&sa, &len);
	*port = ntohs(sa.sin_port);
	return fd;
}

static void a_port_in_use_is_noticed_on_its_own_protocol(void **state)
{
	uint16_t port;
	int fd = occupy(SOCK_STREAM, INADDR_LOOPBACK, &port);

	(void)state;
	assert_int_equal(port_try(&loopback, port, PROTO_TCP), -1);
	assert_int_equal(errno, EADDRINUSE);
	assert_int_equal(port_try(&loopback, port, PROTO_UDP), 0);
	close(fd);
	assert_int_equal(port_try(&loopback, port, PROTO_TCP), 0);
	fd = occupy(SOCK_DGRAM, INADDR_LOOPBACK, &port);
	assert_int_equal(port_try(&loopback, port, PROTO_UDP), -1);
	close(fd);
}

static void a_port_in_use_on_another_address_is_not_given_to_a_task(void **state)
{
	uint16_t port;
	int fd = occupy(SOCK_STREAM, 0x7f4e1234, &port); /* 127.78.18.52, as another peer of this host */
	struct ports p;

	(void)state;
	assert_int_equal(port_try(&loopback, port, PROTO_TCP), 0);
	assert_false(port_free_everywhere(port, PORTS_TCP));
	ports_init(&p, port, port);
	assert_int_equal(ports_find(&p, PORTS_TCP, 0), 0);
	close(fd);
	assert_int_equal(ports_find(&p, PORTS_TCP, 0), port);
}

static void a_port_for_both_protocols_is_free_for_both(void **state)
{
	uint16_t port;
	int fd = occupy(SOCK_DGRAM, INADDR_LOOPBACK, &port);
	struct ports p;

	(void)state;
	ports_init(&p, port, port);
	assert_true(port_free_everywhere(port, PORTS_TCP));
	assert_int_equal(ports_find(&p, PORTS_TCP | PORTS_UDP, 0), 0);
	close(fd);
	assert_int_equal(ports_find(&p, PORTS_TCP | PORTS_UDP, 0), port);
}

static void twins_are_free_ports_of_one_target_and_two_protocols(void **state)
{
	const struct spec_port ports[] = {
	        {.target = 53, .proto = PROTO_UDP, .mode = PORT_DYNAMIC},
	        {.target = 53, .proto = PROTO_UDP, .mode = PORT_DYNAMIC},
	        {.target = 80, .proto = PROTO_TCP, .mode = PORT_DYNAMIC},
	        {.target = 53, .proto = PROTO_TCP, .published = 53, .mode = PORT_HOST},
	        {.target = 53, .proto = PROTO_TCP, .mode = PORT_DYNAMIC},
	        {.target = 80, .proto = PROTO_TCP, .mode = PORT_DYNAMIC},
	};
	static const size_t twins[] = {4, 6, 6, 6, 0, 6};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ports); i++)
		assert_int_equal(ports_twin(ports, ARRAY_LEN(ports), i), twins[i]);
}

static void every_port_is_given_once_until_it_is_released(void **state)
{
	uint16_t base, port;
	int fd = occupy(SOCK_STREAM, INADDR_LOOPBACK, &base);
	struct ports p;

	(void)state;
	close(fd);
	ports_init(&p, base, base);
	port = ports_find(&p, PORTS_TCP, 12345);
	assert_int_equal(port, base);
	assert_true(ports_taken(&p, base));
	assert_int_equal(ports_find(&p, PORTS_TCP, 1), 0);
	ports_release(&p, base);
	assert_int_equal(ports_find(&p, PORTS_TCP, 2), base);
}

static void the_search_begins_where_the_seed_says_and_goes_round(void **state)
{
	struct ports p;
	uint16_t got;

	(void)state;
	ports_init(&p, 28000, 28009);
	got = ports_find(&p, PORTS_TCP, 7);
	assert_in_range(got, 28000, 28009);
	for (uint16_t port = 28007; port <= 28009; port++)
		ports_take(&p, port);
	got = ports_find(&p, PORTS_TCP, 7);
	assert_in_range(got, 28000, 28006);
}

static void a_port_outside_the_range_is_never_marked(void **state)
{
	struct ports p;

	(void)state;
	ports_init(&p, 28000, 28009);
	ports_take(&p, 80);
	assert_false(ports_taken(&p, 80));
	ports_init(&p, 10, 9);
	assert_int_equal(ports_find(&p, PORTS_TCP, 3), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_port_in_use_is_noticed_on_its_own_protocol),
	        cmocka_unit_test(a_port_in_use_on_another_address_is_not_given_to_a_task),
	        cmocka_unit_test(a_port_for_both_protocols_is_free_for_both),
	        cmocka_unit_test(twins_are_free_ports_of_one_target_and_two_protocols),
	        cmocka_unit_test(every_port_is_given_once_until_it_is_released),
	        cmocka_unit_test(the_search_begins_where_the_seed_says_and_goes_round),
	        cmocka_unit_test(a_port_outside_the_range_is_never_marked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
