/* Real tasks whose agent stays away: their shims stop them, and the next agent knows why. */
#define BEFORE_SHIM(dir) hurry(dir)
static void hurry(const char *dir);
#include "tests/unit/node/runtime_world.h"

/* These shims' watchdogs have so much less patience than the service says, which may say 5 s at least. */
#define HURRY 100
/* Milliseconds, of a service: an agent of these stories that is to be back in time of the second one is. */
#define SHORT_MS SPEC_WATCHDOG_MIN
#define LONG_MS  (1500 * HURRY)

static void hurry(const char *dir)
{
	struct arena arena;
	struct launch l;
	char path[400];
	uint8_t *bytes;
	struct wr w;
	size_t len;

	arena_init(&arena);
	snprintf(path, sizeof(path), "%s/launch", dir);
	bytes = file_read(AT_FDCWD, path, LAUNCH_BYTES_MAX, &arena, &len, NULL);
	if (!bytes || launch_get(&l, &arena, bytes, len, NULL) < 0)
		_exit(1);
	l.watchdog_ms /= HURRY;
	wr_init(&w, LAUNCH_BYTES_MAX);
	launch_put(&w, &l);
	file_replace(AT_FDCWD, path, w.p, w.len, NULL);
	wr_free(&w);
	arena_free(&arena);
}

static struct service *guarded(struct world *w, const char *script, int64_t watchdog_ms)
{
	struct service *s = service(w, "web", script);

	s->watchdog_ms = watchdog_ms;
	return s;
}

static void wait_for_the_end_of(id64 id)
{
	while (marked(id))
		usleep(1000);
}

/* By the clock that the watchdog has. */
static uint64_t mono(void)
{
	return uv_hrtime() / 1000000;
}

static void a_task_whose_agent_stays_away_is_stopped_and_found_lost(void **state)
{
	struct world *w = *state;
	id64 id = start(
	        w, guarded(w, "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done", SHORT_MS));

	WAIT(w, is(w, id, TASK_RUNNING) && strstr(log_of(w, id, 1), "up"));
	assert_false(task(w, id)->alone);
	agent_dies(w);
	wait_for_the_end_of(id);
	agent_starts(w);
	WAIT(w, ended(w, id));
	/* Its policy restarts always, but that is not for this agent to decide alone. */
	assert_int_equal(task(w, id)->state, TASK_LOST);
	assert_true(task(w, id)->alone);
	assert_string_equal(task(w, id)->reason, "no agent was there for 5 s: its watchdog stopped it");
	assert_int_equal(task(w, id)->failures, 0);
	assert_int_equal(marked(id), 0);
	assert_non_null(strstr(log_of(w, id, 5), "the watchdog stops this task"));
	assert_non_null(strstr(log_of(w, id, 5), "bye")); /* by its stop signal, not by SIGKILL */
	/* And a third agent still knows. */
	agent_dies(w);
	agent_starts(w);
	assert_int_equal(task(w, id)->state, TASK_LOST);
	assert_true(task(w, id)->alone);
	assert_string_equal(task(w, id)->reason, "no agent was there for 5 s: its watchdog stopped it");
}

static void one_that_does_not_heed_its_signal_is_killed_after_its_grace(void **state)
{
	struct world *w = *state;
	struct service *s = guarded(w, "trap '' TERM; echo up; while :; do sleep 0.01; done", SHORT_MS);
	id64 id;

	s->stop_grace_ms = 100;
	id = start(w, s);
	WAIT(w, is(w, id, TASK_RUNNING) && strstr(log_of(w, id, 1), "up"));
	agent_dies(w);
	wait_for_the_end_of(id);
	agent_starts(w);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_LOST);
	assert_int_equal(task(w, id)->exit_signal, SIGKILL);
}

static void an_agent_that_is_back_in_time_cancels_it_again_and_again(void **state)
{
	struct world *w = *state;
	id64 id = start(w, guarded(w, "exec sleep 1000", LONG_MS));
	uint64_t until;
	int64_t pid;

	WAIT(w, is(w, id, TASK_RUNNING));
	pid = task(w, id)->pid;
	until = mono() + 2 * LONG_MS / HURRY;
	do {
		agent_dies(w);
		agent_starts(w);
		uv_run(&w->loop, UV_RUN_NOWAIT);
	} while (mono() < until);
	assert_true(is(w, id, TASK_RUNNING));
	WAIT(w, !task(w, id)->alone);
	assert_int_equal(task(w, id)->pid, pid);
	assert_int_equal(marked(id), 1);
}

static void an_agent_that_comes_while_it_stops_hears_of_it(void **state)
{
	struct world *w = *state;
	struct service *s = guarded(
	        w, "trap 'touch $FLAG-1' TERM; echo up; while [ ! -e $FLAG-2 ]; do sleep 0.01; done", SHORT_MS);
	char flag[64], going[80], go[80];
	struct kv env[] = {{"FLAG", flag}};
	id64 id;

	snprintf(flag, sizeof(flag), "/tmp/starling-watchdog-%d", (int)getpid());
	snprintf(going, sizeof(going), "%s-1", flag);
	snprintf(go, sizeof(go), "%s-2", flag);
	s->n_env = 1;
	s->env = env;
	id = start(w, s);
	WAIT(w, is(w, id, TASK_RUNNING) && strstr(log_of(w, id, 1), "up"));
	agent_dies(w);
	while (access(going, F_OK) < 0)
		usleep(1000);
	agent_starts(w);
	WAIT(w, is(w, id, TASK_STOPPING));
	assert_true(task(w, id)->alone);
	assert_string_equal(task(w, id)->reason, "no agent was there for 5 s: its watchdog stopped it");
	close(open(go, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_LOST);
	assert_string_equal(task(w, id)->reason, "no agent was there for 5 s: its watchdog stopped it");
	unlink(going);
	unlink(go);
}

static void a_shim_that_was_stopped_lets_the_agent_in_before_it_judges(void **state)
{
	struct world *w = *state;
	id64 id = start(w, guarded(w, "exec sleep 1000", LONG_MS));
	uint64_t until;
	int shim;

	WAIT(w, is(w, id, TASK_RUNNING));
	shim = shim_of(w, id);
	agent_dies(w);
	assert_int_equal(kill(shim, SIGSTOP), 0);
	for (until = mono() + 2 * LONG_MS / HURRY; mono() < until;)
		usleep(10000);
	agent_starts(w);
	assert_int_equal(kill(shim, SIGCONT), 0);
	for (until = mono() + 2 * LONG_MS / HURRY; mono() < until;)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_true(is(w, id, TASK_RUNNING));
	assert_int_equal(marked(id), 1);
}

static void what_ended_by_itself_unseen_is_lost_too(void **state)
{
	struct world *w = *state;
	struct service *s = guarded(w, "read x < $FIFO; exit 3", MINUTES(60));
	struct service *plain;
	char path[64];
	struct kv env[] = {{"FIFO", path}};
	id64 with, without;

	snprintf(path, sizeof(path), "/tmp/starling-watchdog-%d", (int)getpid());
	assert_int_equal(mkfifo(path, 0666), 0);
	chmod(path, 0666);
	s->n_env = 1;
	s->env = env;
	plain = arena_alloc(&w->arena, sizeof(*plain));
	*plain = *s;
	plain->watchdog_ms = 0;
	with = start(w, s);
	without = start(w, plain);
	/* In the middle of its exec a process runs already and shows no environment yet. */
	WAIT(w, is(w, with, TASK_RUNNING) && is(w, without, TASK_RUNNING) && marked(with) && marked(without));
	agent_dies(w);
	while (marked(with) || marked(without)) {
		int fd = open(path, O_WRONLY | O_NONBLOCK);

		if (fd >= 0)
			close(fd);
		usleep(1000);
	}
	agent_starts(w);
	WAIT(w, ended(w, with));
	assert_int_equal(task(w, with)->state, TASK_LOST);
	assert_true(task(w, with)->alone);
	assert_string_equal(task(w, with)->reason, "exited with code 3");
	/* Without a watchdog nobody promised anything: restarted here by its policy. */
	WAIT(w, task(w, without)->restarts == 1);
	assert_false(task(w, without)->alone);
	unlink(path);
}

static void one_in_its_back_off_waits_for_what_others_run(void **state)
{
	struct world *w = *state;
	struct service *s = guarded(w, "exit 1", MINUTES(60));
	id64 id;

	s->restart.delay_ms = MINUTES(60);
	id = start(w, s);
	WAIT(w, is(w, id, TASK_BACKOFF) && task(w, id)->restarts == 1);
	agent_dies(w);
	agent_starts(w);
	assert_int_equal(task(w, id)->state, TASK_LOST);
	assert_true(task(w, id)->alone);
}

static const struct CMUnitTest tests[] = {
        STORY(a_task_whose_agent_stays_away_is_stopped_and_found_lost),
        STORY(one_that_does_not_heed_its_signal_is_killed_after_its_grace),
        STORY(an_agent_that_is_back_in_time_cancels_it_again_and_again),
        STORY(an_agent_that_comes_while_it_stops_hears_of_it),
        STORY(a_shim_that_was_stopped_lets_the_agent_in_before_it_judges),
        STORY(what_ended_by_itself_unseen_is_lost_too),
        STORY(one_in_its_back_off_waits_for_what_others_run),
};

WORLD_MAIN(tests)
