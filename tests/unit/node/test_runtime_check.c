/* Health checks of real tasks. */
#include "tests/unit/node/runtime_world.h"

static void a_command_check_turns_healthy_then_unhealthy_and_restarts(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "echo $$ > /tmp/starling-health-$STARLING_TASK; exec sleep 1000");
	const char *argv[] = {"/bin/sh", "-c", "echo looking; test -s /tmp/starling-health-$STARLING_TASK"};
	char path[64] = "/tmp/starling-health-";
	id64 id;

	s->check.kind = CHECK_COMMAND;
	s->check.n_argv = 3;
	s->check.argv = argv;
	s->check.interval_ms = 30;
	s->check.retries = 2;
	id = start(w, s);
	WAIT(w, task(w, id)->health == HEALTH_HEALTHY);
	assert_true(task(w, id)->healthy_at > 0);
	id64_text(path + strlen(path), id);
	unlink(path);
	WAIT(w, task(w, id)->restarts == 1);
	assert_int_equal(task(w, id)->failures, 1);
	WAIT(w, task(w, id)->health == HEALTH_HEALTHY);
	unlink(path);
}

static void a_check_that_hangs_is_killed_and_counts_as_failed(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exec sleep 1000");
	const char *argv[] = {"/bin/sh", "-c", "sleep 1000; true"};
	id64 id;

	s->restart.condition = RESTART_NONE;
	s->check.kind = CHECK_COMMAND;
	s->check.n_argv = 3;
	s->check.argv = argv;
	s->check.interval_ms = 30;
	s->check.timeout_ms = 30;
	s->check.retries = 1;
	id = start(w, s);
	WAIT(w, is(w, id, TASK_UNHEALTHY));
	assert_non_null(strstr(task(w, id)->reason, "command check failed 1 times: took too long"));
	/* With restart "none" it is left alone. */
	assert_int_equal(task(w, id)->restarts, 0);
	assert_true(task(w, id)->pid > 0);
}

#define SERVER                                                                                                   \
	"exec python3 -c 'import http.server,os,sys\n"                                                           \
	"class H(http.server.BaseHTTPRequestHandler):\n"                                                         \
	" def do_GET(s):\n"                                                                                      \
	"  s.send_response(200 if s.path==\"/up\" else 503); s.end_headers(); s.wfile.write(b\"x\"*30000)\n"     \
	"http.server.HTTPServer((os.environ[\"STARLING_ADDRESS\"],int(os.environ[\"PORT\"])),H).serve_forever()'"

static void an_http_check_asks_the_tasks_own_port(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", SERVER);
	struct service *sick = service(w, "sick", SERVER);
	struct spec_port ports[] = {{.name = "web", .target = 8080, .mode = PORT_DYNAMIC}};
	id64 good, bad;

	s->n_ports = sick->n_ports = 1;
	s->ports = sick->ports = ports;
	s->check.kind = CHECK_HTTP;
	s->check.port = "web";
	s->check.path = "/up";
	s->check.interval_ms = 5000;
	sick->check = s->check;
	sick->check.path = "/down";
	sick->check.interval_ms = 1000;
	sick->check.retries = 1;
	sick->restart.condition = RESTART_NONE;
	good = start(w, s);
	bad = start(w, sick);
	assert_int_equal(task(w, good)->health, HEALTH_STARTING);
	WAIT(w, task(w, good)->health == HEALTH_HEALTHY);
	WAIT(w, is(w, bad, TASK_UNHEALTHY));
	assert_non_null(strstr(task(w, bad)->reason, "http check failed 1 times: HTTP status 503"));
	/* Being asked must not look like a fault in the server's log. */
	assert_null(strstr(log_of(w, good, 1000), "reset"));
	assert_null(strstr(log_of(w, good, 1000), "Broken pipe"));
}

static void a_tcp_check_needs_a_listener(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", SERVER);
	struct spec_port ports[] = {{.name = "web", .target = 8080, .mode = PORT_DYNAMIC}};
	id64 id;

	s->n_ports = 1;
	s->ports = ports;
	s->check.kind = CHECK_TCP;
	s->check.port = "8080";
	s->check.interval_ms = 5000;
	id = start(w, s);
	WAIT(w, task(w, id)->health == HEALTH_HEALTHY);
}

/* Names lead to the host's new address; what listens at the old one alone is found out by its check. */
static void when_the_hosts_address_changes_checks_and_new_processes_follow(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", SERVER);
	struct spec_port ports[] = {{.name = "web", .target = 8080, .mode = PORT_DYNAMIC}};
	struct addr moved = {.family = 4, .ip = {127, 0, 0, 2}, .port = 7827};
	id64 id;

	s->n_ports = 1;
	s->ports = ports;
	s->check.kind = CHECK_TCP;
	s->check.port = "8080";
	s->check.interval_ms = 30;
	s->check.retries = 2;
	s->check.start_period_ms = PATIENCE_MS;
	id = start(w, s);
	WAIT(w, task(w, id)->health == HEALTH_HEALTHY);
	runtime_set_address(w->rt, &moved);
	assert_int_equal(task(w, id)->health, HEALTH_HEALTHY);
	WAIT(w, task(w, id)->restarts == 1);
	WAIT(w, task(w, id)->health == HEALTH_HEALTHY);
	assert_int_equal(task(w, id)->restarts, 1);
}

static void a_healthy_task_stays_healthy_over_an_agents_restart(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exec sleep 1000");
	const char *argv[] = {"/bin/true"};
	mono_ms since;
	id64 id;

	s->check.kind = CHECK_COMMAND;
	s->check.n_argv = 1;
	s->check.argv = argv;
	id = start(w, s);
	WAIT(w, task(w, id)->health == HEALTH_HEALTHY);
	since = task(w, id)->healthy_at;
	agent_dies(w);
	agent_starts(w);
	assert_int_equal(task(w, id)->health, HEALTH_HEALTHY);
	assert_int_equal(task(w, id)->healthy_at, since);
}

static const struct CMUnitTest tests[] = {
        STORY(a_command_check_turns_healthy_then_unhealthy_and_restarts),
        STORY(a_check_that_hangs_is_killed_and_counts_as_failed),
        STORY(an_http_check_asks_the_tasks_own_port),
        STORY(a_tcp_check_needs_a_listener),
        STORY(when_the_hosts_address_changes_checks_and_new_processes_follow),
        STORY(a_healthy_task_stays_healthy_over_an_agents_restart),
};

WORLD_MAIN(tests)
