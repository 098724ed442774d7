/* The life of a task: it starts, says something, is restarted, stopped, refused; its environment, ports, limits, log. */
#include "tests/unit/node/runtime_world.h"

static void a_task_runs_says_something_and_ends(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "echo hello; echo oops >&2; exit 3");
	id64 id;

	s->restart.condition = RESTART_NONE;
	id = start(w, s);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_FAILED);
	assert_true(task(w, id)->exited);
	assert_int_equal(task(w, id)->exit_code, 3);
	assert_string_equal(task(w, id)->reason, "exited with code 3");
	assert_int_equal(task(w, id)->failures, 1);
	assert_non_null(strstr(log_of(w, id, 10), "hello\n"));
	assert_non_null(strstr(log_of(w, id, 10), "!oops\n"));
}

static void a_clean_end_without_restart_is_done(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "job", "true");
	id64 id;

	s->restart.condition = RESTART_ON_FAILURE;
	id = start(w, s);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_DONE);
}

static void a_task_that_waited_for_others_needs_none_of_them_here(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exit 0");
	struct spec_depends_on db[] = {{.service = "db", .condition = DEPENDS_HEALTHY}};
	id64 id;

	s->restart.condition = RESTART_NONE;
	s->n_depends_on = 1;
	s->depends_on = db;
	id = start(w, s);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_DONE);
	/* And the next agent finds it again. */
	agent_dies(w);
	agent_starts(w);
	assert_non_null(runtime_get(w->rt, id));
}

static void a_crash_restarts_at_once_and_then_waits_longer(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exit 1");
	id64 id;

	s->restart.delay_ms = 10;
	s->restart.max_attempts = 3;
	id = start(w, s);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_FAILED);
	assert_int_equal(task(w, id)->restarts, 3);
	assert_int_equal(task(w, id)->failures, 4);
}

static void the_environment_is_clean_and_says_who_it_is(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "env | sort; id -un; pwd");
	struct kv env[] = {{"GREETING", "hi there"}, {"HOME", "/srv"}};
	struct spec_port ports[] = {{.name = "web-ui", .target = 8080, .mode = PORT_DYNAMIC}};
	const char *log;
	char port[64];
	id64 id;

	setenv("SECRET_OF_THE_AGENT", "x", 1);
	s->restart.condition = RESTART_NONE;
	s->n_env = 2;
	s->env = env;
	s->n_ports = 1;
	s->ports = ports;
	id = start(w, s);
	WAIT(w, ended(w, id));
	log = log_of(w, id, 100);
	assert_null(strstr(log, "SECRET_OF_THE_AGENT"));
	assert_non_null(strstr(log, "STARLING_STACK=shop\n"));
	assert_non_null(strstr(log, "STARLING_SERVICE=web\n"));
	assert_non_null(strstr(log, "STARLING_SLOT=2\n"));
	assert_non_null(strstr(log, "STARLING_PEER=wren\n"));
	assert_non_null(strstr(log, "STARLING_ADDRESS=127.0.0.1\n"));
	assert_non_null(strstr(log, "STARLING_REVISION=0000000000000abc\n"));
	assert_non_null(strstr(log, "GREETING=hi there\n"));
	assert_non_null(strstr(log, "HOME=/srv\n"));
	assert_int_equal(task(w, id)->n_ports, 1);
	snprintf(port, sizeof(port), "PORT=%u\n", task(w, id)->ports[0].port);
	assert_non_null(strstr(log, port));
	snprintf(port, sizeof(port), "STARLING_PORT_WEB_UI=%u\n", task(w, id)->ports[0].port);
	assert_non_null(strstr(log, port));
	if (geteuid() == 0)
		assert_non_null(strstr(log, "nobody\n"));
	assert_non_null(strstr(log, "\n/\n"));
}

static void a_task_that_ignores_sigterm_is_killed_after_its_grace(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "stubborn", "trap '' TERM; echo ready; while :; do sleep 0.05; done");
	id64 id;

	s->stop_grace_ms = 100;
	id = start(w, s);
	WAIT(w, strstr(log_of(w, id, 1), "ready"));
	runtime_stop(w->rt, id, "scaled down");
	assert_int_equal(task(w, id)->state, TASK_STOPPING);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_DONE);
	assert_int_equal(task(w, id)->exit_signal, SIGKILL);
	assert_string_equal(task(w, id)->reason, "scaled down");
}

static void a_task_that_forks_away_leaves_no_orphan(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "daemon",
	        "setsid sh -c 'setsid sleep 1000 & sleep 1000' & (sleep 1000 &) ; sleep 0.1; echo spawned; exec sleep 1000");
	id64 id = start(w, s);

	WAIT(w, strstr(log_of(w, id, 1), "spawned"));
	assert_true(marked(id) >= 4);
	runtime_stop(w->rt, id, "enough");
	WAIT(w, ended(w, id));
	assert_int_equal(marked(id), 0);
}

static void a_missing_command_says_so(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "");
	id64 id;

	s->n_command = 1;
	s->command[0] = "no-such-program";
	id = start(w, s);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_FAILED);
	assert_string_equal(task(w, id)->reason, "web: command \"no-such-program\": not found in PATH");
	assert_int_equal(task(w, id)->restarts, 0);
	assert_true(task(w, id)->refused);
	/* An agent that died before it told anyone knows it again. */
	agent_dies(w);
	agent_starts(w);
	assert_true(task(w, id)->refused);
}

static void a_command_that_ran_once_and_failed_is_no_refusal(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exit 7");
	id64 id;

	s->restart.condition = RESTART_NONE;
	id = start(w, s);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_FAILED);
	assert_false(task(w, id)->refused);
}

static void an_unknown_user_says_so(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "true");
	id64 id;

	s->user = "nosuchuser";
	id = start(w, s);
	assert_int_equal(task(w, id)->state, TASK_FAILED);
	assert_non_null(strstr(task(w, id)->reason, "web: user \"nosuchuser\": not in /etc/passwd"));
	assert_true(task(w, id)->refused);
}

static void a_host_port_in_use_waits_and_then_starts(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exec sleep 1000");
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	struct spec_port ports[] = {{.name = "http", .target = 80, .mode = PORT_HOST}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char expect[128];
	id64 id;

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	getsockname(fd, (struct sockaddr *)&sa, &len);
	ports[0].published = ntohs(sa.sin_port);
	s->n_ports = 1;
	s->ports = ports;
	s->restart.delay_ms = 20;
	id = start(w, s);
	assert_int_equal(task(w, id)->state, TASK_BACKOFF);
	snprintf(expect, sizeof(expect), "web: host port %u/tcp on 127.0.0.1: Address already in use",
	        ports[0].published);
	assert_string_equal(task(w, id)->reason, expect);
	assert_false(task(w, id)->refused);
	WAIT(w, task(w, id)->refused); /* in the way again and again: another peer may be free */
	assert_string_equal(task(w, id)->reason, expect);
	close(fd);
	WAIT(w, is(w, id, TASK_RUNNING));
	assert_false(task(w, id)->refused);
	assert_int_equal(task(w, id)->ports[0].port, ports[0].published);
	assert_string_equal(task(w, id)->reason, "");
}

static void two_tasks_get_two_ports_and_keep_them_over_a_restart(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exec sleep 1000");
	struct spec_port ports[] = {{.name = "8080", .target = 8080, .mode = PORT_DYNAMIC}};
	uint16_t port;
	id64 a, b;

	s->n_ports = 1;
	s->ports = ports;
	a = start(w, s);
	b = start(w, s);
	WAIT(w, is(w, a, TASK_RUNNING) && is(w, b, TASK_RUNNING));
	port = task(w, a)->ports[0].port;
	assert_int_not_equal(port, task(w, b)->ports[0].port);
	assert_true(port >= 27100 && port <= 27200);
	kill((pid_t)task(w, a)->pid, SIGKILL);
	WAIT(w, task(w, a)->restarts == 1);
	assert_int_equal(task(w, a)->ports[0].port, port);
}

static void one_target_on_both_protocols_is_one_host_port(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "dns", "env; exec sleep 1000");
	struct spec_port ports[] = {{.name = "53", .target = 53, .proto = PROTO_UDP, .mode = PORT_DYNAMIC},
	        {.name = "53", .target = 53, .proto = PROTO_TCP, .mode = PORT_DYNAMIC}};
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	char told[64];
	uint16_t port;
	int fd;
	id64 id;

	s->n_ports = 2;
	s->ports = ports;
	id = start(w, s);
	WAIT(w, is(w, id, TASK_RUNNING) && strstr(log_of(w, id, 100), "STARLING_TASK"));
	assert_int_equal(task(w, id)->n_ports, 2);
	port = task(w, id)->ports[0].port;
	assert_int_equal(task(w, id)->ports[1].port, port);
	snprintf(told, sizeof(told), "STARLING_PORT_53=%u\n", port);
	WAIT(w, strstr(log_of(w, id, 100), told));
	snprintf(told, sizeof(told), "\nPORT=%u\n", port);
	WAIT(w, strstr(log_of(w, id, 100), told));
	/* Somebody takes it on one of the two while the task is down: both move. */
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sa.sin_port = htons(port);
	/* Another run of this program may just have done so. */
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		assert_int_equal(listen(fd, 1), 0);
	else
		assert_int_equal(errno, EADDRINUSE);
	kill((pid_t)task(w, id)->pid, SIGKILL);
	WAIT(w, task(w, id)->restarts == 1);
	assert_int_equal(task(w, id)->n_ports, 2);
	assert_int_not_equal(task(w, id)->ports[0].port, port);
	assert_int_equal(task(w, id)->ports[0].port, task(w, id)->ports[1].port);
	close(fd);
}

static void a_follower_hears_what_is_written_and_when_it_is_over(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "echo before; read x < $FIFO; echo after; echo 'no newline\\c'");
	char path[64];
	struct kv env[] = {{"FIFO", path}};
	static struct heard h;
	struct runtime_log *f;
	id64 id;
	int fd;

	memset(&h, 0, sizeof(h));
	snprintf(path, sizeof(path), "/tmp/starling-fifo-%d", (int)getpid());
	assert_int_equal(mkfifo(path, 0666), 0);
	chmod(path, 0666);
	s->n_env = 1;
	s->env = env;
	s->restart.condition = RESTART_NONE;
	id = start(w, s);
	WAIT(w, strstr(log_of(w, id, 1), "before"));
	f = runtime_log_open(w->rt, id, 0, 0, true, hear_more, NULL, NULL);
	assert_non_null(f);
	hear_all(&h, f);
	assert_false(h.over);
	fd = open(path, O_WRONLY);
	assert_int_equal(write(fd, "go\n", 3), 3);
	close(fd);
	WAIT(w, (hear_all(&h, f), h.over));
	assert_string_equal(h.text, "after\nno newline\n");
	runtime_log_close(f);
	/* Of a task that is finished there is nothing to wait for. */
	assert_string_equal(log_of(w, id, 2), "after\nno newline\n");
	unlink(path);
}

static void a_slow_reader_reads_on_where_it_was_and_is_told_what_it_missed(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "i=0; while [ $i -lt 5 ]; do i=$((i+1)); echo line $i; done");
	static struct heard h;
	struct runtime_log_line line;
	struct runtime_log *f;
	char path[300];
	id64 id;
	FILE *next;

	memset(&h, 0, sizeof(h));
	s->restart.condition = RESTART_NONE;
	id = start(w, s);
	WAIT(w, runtime_get(w->rt, id)->state == TASK_DONE);
	f = runtime_log_open(w->rt, id, 0, UINT64_MAX, false, hear_more, NULL, NULL);
	assert_non_null(f);
	assert_int_equal(runtime_log_next(f, &line), 1);
	assert_int_equal(line.len, strlen("line 1"));
	/* Meanwhile rotation goes on, past what it holds open. */
	snprintf(path, sizeof(path), "%s/tasks/", w->dir);
	id64_text(path + strlen(path), id);
	strcat(path, "/log/00000001.log");
	assert_int_equal(unlink(path), 0);
	strcpy(strrchr(path, '/'), "/00000004.log");
	next = fopen(path, "we");
	fputs("1763830231042 o far on\n", next);
	fclose(next);
	hear_all(&h, f);
	assert_true(h.over);
	assert_string_equal(h.text,
	        "line 2\nline 3\nline 4\nline 5\n"
	        "!starling: 2 files of this log were rotated away before they were read\nfar on\n");
	runtime_log_close(f);
}

static void a_limit_of_memory_kills_with_that_reason(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "hog", "exec python3 -c 'x = bytearray(200_000_000); print(len(x))'");
	struct runtime_start r = {.slot = 7, .stack = "shop", .service = s};
	struct err err = {0};
	id64 id;

	s->restart.condition = RESTART_NONE;
	s->limit.memory = 64 << 20;
	s->limit.pids = 20;
	s->limit.cpu_milli = 500;
	task_id(w, r.task_random);
	id = runtime_start(w->rt, &r, &err);
	if (!id) {
		/* No control groups here: then it must say so, and which limit. */
		assert_non_null(strstr(err.text, "hog: the limit of"));
		return;
	}
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_FAILED);
	assert_true(task(w, id)->oom);
	assert_string_equal(task(w, id)->reason, "killed: it used more than its memory limit of 67108864 bytes");
}

static void a_stop_before_the_process_runs_is_kept(void **state)
{
	struct world *w = *state;
	id64 id = start(w, service(w, "web", "exec sleep 1000"));

	assert_int_equal(task(w, id)->state, TASK_STARTING);
	runtime_stop(w->rt, id, "changed my mind");
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_DONE);
}

static const struct CMUnitTest tests[] = {
        STORY(a_task_runs_says_something_and_ends),
        STORY(a_clean_end_without_restart_is_done),
        STORY(a_task_that_waited_for_others_needs_none_of_them_here),
        STORY(a_crash_restarts_at_once_and_then_waits_longer),
        STORY(the_environment_is_clean_and_says_who_it_is),
        STORY(a_task_that_ignores_sigterm_is_killed_after_its_grace),
        STORY(a_task_that_forks_away_leaves_no_orphan),
        STORY(a_missing_command_says_so),
        STORY(a_command_that_ran_once_and_failed_is_no_refusal),
        STORY(an_unknown_user_says_so),
        STORY(a_host_port_in_use_waits_and_then_starts),
        STORY(two_tasks_get_two_ports_and_keep_them_over_a_restart),
        STORY(one_target_on_both_protocols_is_one_host_port),
        STORY(a_follower_hears_what_is_written_and_when_it_is_over),
        STORY(a_slow_reader_reads_on_where_it_was_and_is_told_what_it_missed),
        STORY(a_limit_of_memory_kills_with_that_reason),
        STORY(a_stop_before_the_process_runs_is_kept),
};

WORLD_MAIN(tests)
