/* Containers of an engine, from start to end, with an engine that fails as real ones do. */
#include "tests/unit/node/runtime_world.h"

#include "tests/unit/node/fake_engine.h"

static struct fake fake;

static int setup_engine(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	strcpy(w->dir, "/tmp/starling-engine-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	arena_init(&w->arena);
	memset(&fake, 0, sizeof(fake));
	snprintf(fake.path, sizeof(fake.path), "%.80s/e.sock", w->dir);
	w->engine = fake.path;
	agent_starts(w);
	fake_opens(&fake, &w->loop);
	*state = w;
	return 0;
}

/* The agent ends without a word; the engine goes on. */
static void agent_restarts(struct world *w)
{
	runtime_close(w->rt);
	fake_dies(&fake);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	fake.asked_len = 0;
	fake.asked[0] = '\0';
	agent_starts(w);
	fake_opens(&fake, &w->loop);
}

static int teardown_engine(void **state)
{
	struct world *w = *state;

	runtime_close(w->rt);
	fake_dies(&fake);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	assert_int_equal(folder_remove(AT_FDCWD, w->dir, NULL), 0);
	arena_free(&w->arena);
	free(w);
	return 0;
}

static struct service *container(struct world *w, const char *name)
{
	struct service *s = service(w, name, "true");

	s->image = "box:1";
	s->driver = DRIVER_ENGINE;
	s->restart.condition = RESTART_NONE;
	return s;
}

static struct fake_container *its(id64 id)
{
	char name[64] = "starling-", found[80];

	id64_text(name + 9, id);
	for (int run = 9; run; run--) {
		snprintf(found, sizeof(found), "%s-%d", name, run);
		if (fake_find(&fake, found))
			return fake_find(&fake, found);
	}
	return NULL;
}

static bool asked(const char *what)
{
	return strstr(fake.asked, what) != NULL;
}

static void a_container_is_made_started_and_its_end_is_told(void **state)
{
	struct world *w = *state;
	struct service *s = container(w, "web");
	id64 id;

	fake.says = "hello";
	id = start(w, s);
	WAIT(w, is(w, id, TASK_RUNNING));
	assert_int_equal(task(w, id)->pid, 4242);
	assert_non_null(strstr(its(id)->body, "\"Image\":\"box:1\""));
	assert_non_null(strstr(its(id)->body, "\"starling.peer\":\"00112233445566aa\""));
	WAIT(w, strstr(log_of(w, id, 9), "hello"));
	fake_says(&fake, its(id), 2, "2026-01-01T00:00:02Z", "last words");
	fake_exits(&fake, its(id), 3);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->exit_code, 3);
	assert_string_equal(log_of(w, id, 9), "hello\n!last words\n");
	WAIT(w, fake_count(&fake) == 0);
}

static void a_kill_for_memory_is_told_as_such(void **state)
{
	struct world *w = *state;
	id64 id = start(w, container(w, "greedy"));

	WAIT(w, is(w, id, TASK_RUNNING));
	its(id)->oom = true;
	fake_exits(&fake, its(id), 137);
	WAIT(w, ended(w, id));
	assert_true(task(w, id)->oom);
	assert_int_equal(task(w, id)->exit_signal, SIGKILL);
}

static void an_image_that_is_not_there_is_pulled_unless_never(void **state)
{
	struct world *w = *state;
	struct service *s = container(w, "web");
	id64 id;

	fake.no_image = true;
	s->image = "reg.example:5000/box:1@sha256:00";
	id = start(w, s);
	WAIT(w, is(w, id, TASK_RUNNING));
	assert_true(asked("POST /v1.41/images/create?fromImage=reg.example%3A5000/box&tag=sha256%3A00\n"));
	assert_non_null(strstr(its(id)->body, "\"Image\":\"reg.example:5000/box@sha256:00\""));
	fake.no_image = true;
	s->pull = PULL_NEVER;
	id = start(w, s);
	WAIT(w, ended(w, id));
	assert_non_null(strstr(task(w, id)->reason, "pull_policy is never"));
	assert_true(task(w, id)->refused);
}

static void a_pull_that_fails_says_why(void **state)
{
	struct world *w = *state;
	id64 id;

	fake.no_image = true;
	fake.pull_says = "{\"status\":\"Pulling\"}\n{\"error\":\"manifest unknown\"}\n";
	id = start(w, container(w, "web"));
	WAIT(w, ended(w, id));
	assert_string_equal(task(w, id)->reason, "web: image box:1 cannot be pulled: manifest unknown");
}

static void a_start_that_fails_says_why_and_leaves_no_container(void **state)
{
	struct world *w = *state;
	id64 id;

	fake.start_says = "exec: nosuch: executable file not found in $PATH";
	id = start(w, container(w, "web"));
	WAIT(w, ended(w, id));
	assert_non_null(strstr(task(w, id)->reason, "executable file not found"));
	assert_true(task(w, id)->refused);
	WAIT(w, fake_count(&fake) == 0);
}

static void a_port_in_use_is_waited_for(void **state)
{
	struct world *w = *state;
	id64 id;

	fake.start_says = "bind: address already in use";
	id = start(w, container(w, "web"));
	WAIT(w, is(w, id, TASK_BACKOFF));
	fake.start_says = NULL;
	WAIT(w, is(w, id, TASK_RUNNING));
	WAIT(w, fake_count(&fake) == 1);
}

static void a_start_whose_answer_is_cut_off_starts_once(void **state)
{
	struct world *w = *state;
	id64 id;

	fake.cut_start = true;
	id = start(w, container(w, "web"));
	WAIT(w, is(w, id, TASK_RUNNING));
	assert_int_equal(task(w, id)->restarts, 0);
	assert_int_equal(fake_count(&fake), 1);
}

static void a_stop_has_its_grace_and_then_kills(void **state)
{
	struct world *w = *state;
	struct service *s = container(w, "stubborn");
	id64 id;

	s->stop_grace_ms = 50;
	fake.stops_ignored = 1;
	id = start(w, s);
	WAIT(w, is(w, id, TASK_RUNNING));
	runtime_stop(w->rt, id, "scaled down");
	WAIT(w, ended(w, id));
	assert_true(asked("/stop?t=1&signal=15\n"));
	assert_true(asked("/kill?signal=9\n"));
	assert_int_equal(task(w, id)->exit_signal, SIGKILL);
	assert_string_equal(task(w, id)->reason, "scaled down");
}

static void a_task_outlives_its_engine_and_ends_that_nobody_saw_are_found(void **state)
{
	struct world *w = *state;
	id64 stays = start(w, container(w, "stays"));
	id64 ends = start(w, container(w, "ends"));

	WAIT(w, is(w, stays, TASK_RUNNING) && is(w, ends, TASK_RUNNING));
	fake_dies(&fake);
	for (int i = 0; i < 20; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_true(is(w, stays, TASK_RUNNING) && is(w, ends, TASK_RUNNING));
	its(ends)->state = 3;
	its(ends)->code = 7;
	fake_opens(&fake, &w->loop);
	WAIT(w, ended(w, ends));
	assert_int_equal(task(w, ends)->exit_code, 7);
	assert_true(is(w, stays, TASK_RUNNING));
	fake_exits(&fake, its(stays), 0);
	WAIT(w, ended(w, stays));
}

/* Docker may say "oom" after "die", and then its state never has it. */
static void a_kill_for_memory_that_is_told_after_the_end_is_heard(void **state)
{
	struct world *w = *state;
	struct service *s = container(w, "web");
	id64 hog, killed;

	s->restart.condition = RESTART_NONE;
	s->limit.memory = 16 << 20;
	hog = start(w, s);
	killed = start(w, s);
	WAIT(w, is(w, hog, TASK_RUNNING) && is(w, killed, TASK_RUNNING));
	fake_exits(&fake, its(hog), 137);
	fake_event(&fake, its(hog), "oom");
	fake_exits(&fake, its(killed), 137);
	WAIT(w, ended(w, hog) && ended(w, killed));
	assert_true(task(w, hog)->oom);
	assert_false(task(w, killed)->oom);
}

static void garbage_ends_no_task(void **state)
{
	struct world *w = *state;
	id64 id = start(w, container(w, "web"));

	WAIT(w, is(w, id, TASK_RUNNING));
	fake.garbage = "{\"Id\":[[[";
	fake.asked_len = 0;
	its(id)->state = 3;
	fake_event(&fake, its(id), "die");
	WAIT(w, strstr(fake.asked, "/json\n") && strstr(strstr(fake.asked, "/json\n") + 1, "/json\n"));
	assert_true(is(w, id, TASK_RUNNING));
	fake.garbage = NULL;
	WAIT(w, ended(w, id));
}

static void another_agent_finds_it_again_and_no_line_is_lost_or_doubled(void **state)
{
	struct world *w = *state;
	struct fake_container *c;
	id64 id;

	fake.says = "one";
	id = start(w, container(w, "web"));
	WAIT(w, is(w, id, TASK_RUNNING));
	c = its(id);
	/* Two of one millisecond, of which the first is written before the agent ends. */
	fake_says(&fake, c, 1, "2026-01-01T00:00:02.0050001Z", "two");
	WAIT(w, strstr(log_of(w, id, 9), "two"));
	agent_restarts(w);
	c->log_len = 0;
	fake_says(&fake, c, 1, "2026-01-01T00:00:02.0050001Z", "two");
	fake_says(&fake, c, 2, "2026-01-01T00:00:02.0050009Z", "three");
	fake_says(&fake, c, 1, "2026-01-01T00:00:03Z", "four");
	WAIT(w, strstr(log_of(w, id, 9), "four"));
	assert_string_equal(log_of(w, id, 9), "one\ntwo\n!three\nfour\n");
	assert_true(is(w, id, TASK_RUNNING));
	assert_false(asked("/start\n"));
	fake_exits(&fake, c, 0);
	WAIT(w, ended(w, id));
}

static void a_container_that_somebody_removed_is_lost_and_restarted(void **state)
{
	struct world *w = *state;
	struct service *s = container(w, "web");
	id64 id;

	s->restart.condition = RESTART_ANY;
	id = start(w, s);
	WAIT(w, is(w, id, TASK_RUNNING));
	its(id)->state = 0;
	agent_restarts(w);
	WAIT(w, is(w, id, TASK_RUNNING) && task(w, id)->restarts == 1);
	assert_int_equal(fake_count(&fake), 1);
}

static void what_nobody_knows_is_removed_and_what_is_not_ours_stays(void **state)
{
	struct world *w = *state;
	struct fake_container *lost = &fake.c[10], *other = &fake.c[11];

	lost->state = other->state = 2;
	strcpy(lost->name, "lost");
	strcpy(lost->id, "aa11");
	strcpy(lost->labels, "{\"starling.task\":\"00000000000000ff\",\"starling.run\":\"1\"}");
	strcpy(other->name, "other");
	strcpy(other->id, "bb22");
	strcpy(other->labels, "{}");
	start(w, container(w, "web"));
	WAIT(w, lost->state == 0);
	assert_int_equal(other->state, 2);
	assert_true(asked("filters=%7B%22label%22%3A%5B%22starling.peer%3D00112233445566aa%22%5D%7D"));
}

static void a_stop_while_the_engine_is_away_is_said_when_it_is_back(void **state)
{
	struct world *w = *state;
	id64 id = start(w, container(w, "web"));

	WAIT(w, is(w, id, TASK_RUNNING));
	fake_dies(&fake);
	runtime_stop(w->rt, id, "enough");
	for (int i = 0; i < 20; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_true(is(w, id, TASK_STOPPING));
	fake_opens(&fake, &w->loop);
	WAIT(w, ended(w, id));
	WAIT(w, fake_count(&fake) == 0);
}

static void what_it_cannot_honour_is_refused_by_name(void **state)
{
	struct world *w = *state;
	struct service *s = container(w, "web");
	struct runtime_start r = {.slot = 7, .revision = 1, .stack = "shop", .service = s};
	struct err err = {0};

	task_id(w, r.task_random);
	s->watchdog_ms = 5000;
	assert_int_equal(runtime_start(w->rt, &r, &err), 0);
	assert_non_null(strstr(err.text, "x-starling.watchdog"));
	s->watchdog_ms = 0;
	s->process.nice = 3;
	assert_int_equal(runtime_start(w->rt, &r, &err), 0);
	assert_non_null(strstr(err.text, "x-starling.process.nice"));
}

static void the_keys_of_a_service_arrive_in_the_words_of_the_api(void **state)
{
	struct world *w = *state;
	struct service *s = container(w, "web");
	struct spec_port ports[] = {{.name = "http", .target = 8080, .mode = PORT_DYNAMIC}};
	struct spec_mount mounts[] = {{.kind = MOUNT_VOLUME, .source = "data", .target = "/data"},
	        {.kind = MOUNT_TMPFS, .target = "/run", .size = 4096}};
	struct spec_ulimit limits[] = {{"nofile", 100, 200}};
	const char *volumes[] = {"data"}, *caps[] = {"NET_ADMIN"}, *hosts[] = {"db=192.0.2.7"};
	const char *security[] = {"no-new-privileges", "systempaths=unconfined"};
	char port[80];
	const char *body;
	id64 id;

	s->n_ports = 1, s->ports = ports;
	s->n_mounts = 2, s->mounts = mounts;
	s->n_volumes = 1, s->volumes = volumes;
	s->n_ulimits = 1, s->ulimits = limits;
	s->n_cap_add = 1, s->cap_add = caps;
	s->n_extra_hosts = 1, s->extra_hosts = hosts;
	s->n_security_opt = 2, s->security_opt = security;
	s->limit.memory = 64 << 20;
	s->limit.cpu_milli = 500;
	s->init = s->read_only = true;
	id = start(w, s);
	WAIT(w, is(w, id, TASK_RUNNING));
	body = its(id)->body;
	snprintf(port, sizeof(port), "\"8080/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"%u\"}]",
	        task(w, id)->ports[0].port);
	assert_non_null(strstr(body, port));
	assert_non_null(strstr(body, "\"PORT=8080\""));
	assert_non_null(strstr(body, "\"STARLING_VOLUME_DATA=/data\""));
	assert_non_null(strstr(body, "/volumes/shop/data\",\"Target\":\"/data\""));
	assert_non_null(strstr(body, "\"SizeBytes\":4096"));
	assert_non_null(strstr(body, "{\"Name\":\"nofile\",\"Soft\":100,\"Hard\":200}"));
	assert_non_null(strstr(body, "\"CapAdd\":[\"NET_ADMIN\"]"));
	assert_non_null(strstr(body, "\"ExtraHosts\":[\"db:192.0.2.7\"]"));
	assert_non_null(strstr(body, "\"SecurityOpt\":[\"no-new-privileges\"]"));
	assert_non_null(strstr(body, "\"MaskedPaths\":[]"));
	assert_non_null(strstr(body, "\"Memory\":67108864"));
	assert_non_null(strstr(body, "\"NanoCpus\":500000000"));
	assert_non_null(strstr(body, "\"Init\":true"));
	assert_non_null(strstr(body, "\"ReadonlyRootfs\":true"));
}

#define ENGINE_STORY(name) cmocka_unit_test_setup_teardown(name, setup_engine, teardown_engine)

static const struct CMUnitTest tests[] = {
        ENGINE_STORY(a_container_is_made_started_and_its_end_is_told),
        ENGINE_STORY(a_kill_for_memory_is_told_as_such),
        ENGINE_STORY(an_image_that_is_not_there_is_pulled_unless_never),
        ENGINE_STORY(a_pull_that_fails_says_why),
        ENGINE_STORY(a_start_that_fails_says_why_and_leaves_no_container),
        ENGINE_STORY(a_port_in_use_is_waited_for),
        ENGINE_STORY(a_start_whose_answer_is_cut_off_starts_once),
        ENGINE_STORY(a_stop_has_its_grace_and_then_kills),
        ENGINE_STORY(a_task_outlives_its_engine_and_ends_that_nobody_saw_are_found),
        ENGINE_STORY(a_kill_for_memory_that_is_told_after_the_end_is_heard),
        ENGINE_STORY(garbage_ends_no_task),
        ENGINE_STORY(another_agent_finds_it_again_and_no_line_is_lost_or_doubled),
        ENGINE_STORY(a_container_that_somebody_removed_is_lost_and_restarted),
        ENGINE_STORY(what_nobody_knows_is_removed_and_what_is_not_ours_stays),
        ENGINE_STORY(a_stop_while_the_engine_is_away_is_said_when_it_is_back),
        ENGINE_STORY(what_it_cannot_honour_is_refused_by_name),
        ENGINE_STORY(the_keys_of_a_service_arrive_in_the_words_of_the_api),
};

WORLD_MAIN(tests)
