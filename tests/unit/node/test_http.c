/* HTTP on a loop, asked through plain sockets: one loop turn after the other until the answer is complete. */
#include "tests/unit/unit.h"

#include "node/http/http.h"
#include "node/net/sockaddr.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static uv_loop_t loop;
static struct http_server *server;
static struct addr at;
static bool is_ready;
static size_t metrics_bytes;

static bool ready(void *ctx, struct wr *body)
{
	const char *text = is_ready ? "ready" : "waiting for a neighbour";

	assert_ptr_equal(ctx, &loop);
	wr_bytes(body, text, strlen(text));
	return is_ready;
}

static void metrics(void *ctx, struct metrics *m)
{
	assert_ptr_equal(ctx, &loop);
	metrics_counter(m, "starling_test_total", "What was\ntested, \\ and how.");
	metrics_u64(m, 3, "kind", "a \"quoted\"\n\\label", "other", "x", NULL);
	metrics_u64(m, UINT64_MAX, NULL);
	metrics_gauge(m, "starling_test_seconds", "Time.");
	metrics_milli(m, 1500, NULL);
	metrics_milli(m, -7, "sign", "minus", NULL);
	for (size_t i = 0; i < metrics_bytes; i++)
		wr_u8(m->w, '#');
}

static const struct http_callbacks callbacks = {ready, metrics};

static int begin(void **state)
{
	struct err err = {0};
	struct addr a;

	(void)state;
	is_ready = true;
	metrics_bytes = 0;
	assert_true(addr_parse_ip(&a, "127.0.0.1"));
	assert_int_equal(uv_loop_init(&loop), 0);
	server = http_open(&loop, &a, &callbacks, &loop, &err);
	assert_non_null(server);
	http_bound(server, &at);
	assert_int_not_equal(at.port, 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	http_close(server);
	while (uv_run(&loop, UV_RUN_DEFAULT))
		continue;
	assert_int_equal(uv_loop_close(&loop), 0);
	return 0;
}

static int open_connection(void)
{
	union sockaddr_ip sa;
	socklen_t len = sockaddr_from(&sa, &at, AF_INET);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &sa.sa, len), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* Reads until the server closes; turns the loop meanwhile. */
static size_t read_all(int fd, char *out, size_t cap)
{
	size_t len = 0;

	for (;;) {
		ssize_t n = recv(fd, out + len, cap - 1 - len, 0);

		if (n > 0)
			len += (size_t)n;
		else if (n == 0 || errno != EAGAIN)
			break;
		else
			uv_run(&loop, UV_RUN_ONCE);
		assert_true(len < cap - 1);
	}
	out[len] = '\0';
	return len;
}

static const char *request(const char *text)
{
	static char out[2 * HTTP_BODY_MAX];
	int fd = open_connection();

	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	read_all(fd, out, sizeof(out));
	close(fd);
	return out;
}

#define GET(path) request("GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

static const char *body(const char *response)
{
	const char *at_body = strstr(response, "\r\n\r\n");

	assert_non_null(at_body);
	return at_body + 4;
}

static void healthz_is_ok_while_the_loop_turns(void **state)
{
	const char *r = GET("/healthz");

	(void)state;
	assert_non_null(strstr(r, "HTTP/1.1 200 OK"));
	assert_non_null(strstr(r, "Cache-Control: no-store"));
	assert_string_equal(body(r), "ok\n");
}

static void readyz_is_503_with_the_reason_until_ready(void **state)
{
	const char *r;

	(void)state;
	is_ready = false;
	r = GET("/readyz");
	assert_non_null(strstr(r, "HTTP/1.1 503"));
	assert_string_equal(body(r), "waiting for a neighbour\n");
	is_ready = true;
	r = GET("/readyz");
	assert_non_null(strstr(r, "HTTP/1.1 200"));
	assert_string_equal(body(r), "ready\n");
}

static void metrics_are_prometheus_text_with_everything_escaped(void **state)
{
	const char *r = GET("/metrics");

	(void)state;
	assert_non_null(strstr(r, "Content-Type: text/plain; version=0.0.4"));
	assert_string_equal(body(r), "# HELP starling_test_total What was\\ntested, \\\\ and how.\n"
	                             "# TYPE starling_test_total counter\n"
	                             "starling_test_total{kind=\"a \\\"quoted\\\"\\n\\\\label\",other=\"x\"} 3\n"
	                             "starling_test_total 18446744073709551615\n"
	                             "# HELP starling_test_seconds Time.\n"
	                             "# TYPE starling_test_seconds gauge\n"
	                             "starling_test_seconds 1.500\n"
	                             "starling_test_seconds{sign=\"minus\"} -0.007\n");
}

static void a_large_body_arrives_whole_and_a_larger_one_is_an_error(void **state)
{
	const char *r;

	(void)state;
	metrics_bytes = HTTP_BODY_MAX - 1000;
	r = GET("/metrics");
	assert_non_null(strstr(r, "HTTP/1.1 200"));
	assert_true(strlen(body(r)) > metrics_bytes);
	metrics_bytes = HTTP_BODY_MAX;
	r = GET("/metrics");
	assert_non_null(strstr(r, "HTTP/1.1 500"));
}

static void other_paths_are_404_in_json(void **state)
{
	const char *r = GET("/v1/stacks");

	(void)state;
	assert_non_null(strstr(r, "HTTP/1.1 404"));
	assert_non_null(strstr(r, "Content-Type: application/json"));
	assert_non_null(strstr(body(r), "\"status\": 404"));
}

static void other_methods_are_405_with_those_that_are_allowed(void **state)
{
	const char *r = request("POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
	                        "4\r\n\r\nbody");

	(void)state;
	assert_non_null(strstr(r, "HTTP/1.1 405"));
	assert_non_null(strstr(r, "Allow: GET, HEAD"));
}

static void head_has_the_headers_only(void **state)
{
	const char *r = request("HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

	(void)state;
	assert_non_null(strstr(r, "HTTP/1.1 200"));
	assert_non_null(strstr(r, "Content-Length: 3"));
	assert_string_equal(body(r), "");
}

static void one_connection_serves_many_requests(void **state)
{
	static const char two[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	                          "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	const char *r = request(two);

	(void)state;
	r = strstr(r, "ok\n");
	assert_non_null(r);
	assert_non_null(strstr(r + 3, "ok\n"));
}

static void garbage_closes_the_connection_and_the_server_lives(void **state)
{
	static char noise[3 * HTTP_CONNECTION_BYTES];

	(void)state;
	request("\x16\x03\x01\x02\x01\x01\xfc\x03\x03 not http\r\n\r\n");
	memset(noise, 'a', sizeof(noise) - 1);
	memcpy(noise, "GET /", 5);
	assert_null(strstr(request(noise), "200 OK")); /* a line that fits in no memory of ours */
	assert_string_equal(body(GET("/healthz")), "ok\n");
}

static void one_address_cannot_have_all_connections(void **state)
{
	int fds[HTTP_CONNECTIONS_PER_IP + 1];
	const char *r = "";
	char out[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = open_connection();
	assert_int_equal(read_all(fds[HTTP_CONNECTIONS_PER_IP], out, sizeof(out)), 0);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	/* The server learns of each closing in some turn of the loop; then there is room again. */
	for (int i = 0; i < 100 && !*r; i++)
		r = GET("/healthz");
	assert_string_equal(body(r), "ok\n");
}

static void a_port_in_use_is_named_with_what_to_do(void **state)
{
	struct err err = {0};
	char port[32];

	(void)state;
	assert_null(http_open(&loop, &at, &callbacks, &loop, &err));
	snprintf(port, sizeof(port), "127.0.0.1:%u", at.port);
	assert_non_null(strstr(err.text, port));
	assert_non_null(strstr(err.text, "Address already in use"));
	assert_non_null(strstr(err.text, "--http"));
}

static void closing_with_open_connections_leaves_nothing_behind(void **state)
{
	int idle = open_connection(), halfway = open_connection();

	(void)state;
	assert_int_equal(send(halfway, "GET /he", 7, 0), 7);
	GET("/healthz"); /* both have been accepted */
	/* end() closes the server and the loop, which fails if a handle is left. */
	close(idle);
	close(halfway);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(healthz_is_ok_while_the_loop_turns, begin, end),
	        cmocka_unit_test_setup_teardown(readyz_is_503_with_the_reason_until_ready, begin, end),
	        cmocka_unit_test_setup_teardown(metrics_are_prometheus_text_with_everything_escaped, begin, end),
	        cmocka_unit_test_setup_teardown(
	                a_large_body_arrives_whole_and_a_larger_one_is_an_error, begin, end),
	        cmocka_unit_test_setup_teardown(other_paths_are_404_in_json, begin, end),
	        cmocka_unit_test_setup_teardown(other_methods_are_405_with_those_that_are_allowed, begin, end),
	        cmocka_unit_test_setup_teardown(head_has_the_headers_only, begin, end),
	        cmocka_unit_test_setup_teardown(one_connection_serves_many_requests, begin, end),
	        cmocka_unit_test_setup_teardown(garbage_closes_the_connection_and_the_server_lives, begin, end),
	        cmocka_unit_test_setup_teardown(one_address_cannot_have_all_connections, begin, end),
	        cmocka_unit_test_setup_teardown(a_port_in_use_is_named_with_what_to_do, begin, end),
	        cmocka_unit_test_setup_teardown(closing_with_open_connections_leaves_nothing_behind, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
