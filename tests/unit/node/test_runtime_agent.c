/* Agents come and go, shims of other builds are met, records are damaged: tasks go on, and are found again. */
#include "tests/unit/node/runtime_world.h"

static void an_agent_that_dies_is_not_noticed_by_its_tasks(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done");
	char expect[32];
	int64_t pid;
	char last[32];
	unsigned seen = 0;
	const char *log;
	id64 id = start(w, s);

	WAIT(w, is(w, id, TASK_RUNNING) && strstr(log_of(w, id, 1), "line"));
	pid = task(w, id)->pid;
	text_copy(last, sizeof(last), log_of(w, id, 1));
	agent_dies(w);
	agent_starts(w);
	assert_non_null(task(w, id));
	assert_int_equal(task(w, id)->state, TASK_RUNNING);
	assert_int_equal(task(w, id)->pid, pid);
	assert_int_equal(task(w, id)->restarts, 0);
	assert_true(task(w, id)->healthy_at > 0);
	assert_string_equal(task(w, id)->service, "web");
	WAIT(w, strcmp(log_of(w, id, 1), last) != 0);
	runtime_stop(w->rt, id, "enough");
	WAIT(w, ended(w, id));
	log = log_of(w, id, 100000);
	for (const char *p = log; *p; p = strchr(p, '\n') + 1, seen++) {
		snprintf(expect, sizeof(expect), "line %u\n", seen + 1);
		assert_int_equal(strncmp(p, expect, strlen(expect)), 0);
	}
	assert_true(seen >= 2);
}

static void an_exit_while_no_agent_was_there_is_found(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "job", "sleep 0.2; echo finished; exit 7");
	id64 id;

	s->restart.condition = RESTART_NONE;
	id = start(w, s);
	WAIT(w, is(w, id, TASK_RUNNING));
	agent_dies(w);
	while (marked(id))
		usleep(10000);
	agent_starts(w);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_FAILED);
	assert_int_equal(task(w, id)->exit_code, 7);
	assert_non_null(strstr(log_of(w, id, 5), "finished"));
	/* And a third agent still knows. */
	agent_dies(w);
	agent_starts(w);
	assert_int_equal(task(w, id)->state, TASK_FAILED);
	assert_int_equal(task(w, id)->exit_code, 7);
}

static void a_killed_shim_takes_the_task_with_it_and_it_restarts(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "(setsid sleep 1000 &); echo up; exec sleep 1000");
	int64_t pid;
	id64 id = start(w, s);

	WAIT(w, is(w, id, TASK_RUNNING) && strstr(log_of(w, id, 1), "up"));
	pid = task(w, id)->pid;
	kill(shim_of(w, id), SIGKILL);
	WAIT(w, is(w, id, TASK_RUNNING) && task(w, id)->restarts == 1 && task(w, id)->pid);
	assert_int_not_equal(task(w, id)->pid, pid);
	/* The second process and, once it has said so, its own child; nothing of the first. */
	WAIT(w, strcmp(log_of(w, id, 5), "up\nup\n") == 0 && marked(id) == 2);
}

/* The agent's connection to the shim of an adopted task, -1 when there is none: this process is the agent. */
static int connection_to(int shim_pid)
{
	struct ucred who;

	for (int fd = 3; fd < 256; fd++) {
		socklen_t len = sizeof(who);

		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.pid == shim_pid)
			return fd;
	}
	return -1;
}

/* What no shim can make sense of, so that it hangs up. */
static void talk_nonsense(int fd)
{
	assert_int_equal(send(fd, "\xff\xff\x01", 3, MSG_NOSIGNAL), 3);
}

static void a_shim_that_hangs_up_but_lives_does_not_lose_its_task(void **state)
{
	struct world *w = *state;
	id64 id = start(w, service(w, "web", "echo up; exec sleep 1000"));
	int64_t pid;
	int shim;

	WAIT(w, is(w, id, TASK_RUNNING) && strstr(log_of(w, id, 1), "up"));
	pid = task(w, id)->pid;
	agent_dies(w);
	agent_starts(w);
	shim = shim_of(w, id);
	for (int i = 0; i < 3; i++) {
		talk_nonsense(connection_to(shim));
		WAIT(w, connection_to(shim) < 0);
		assert_true(is(w, id, TASK_RUNNING));
		WAIT(w, connection_to(shim) >= 0);
	}
	assert_true(is(w, id, TASK_RUNNING));
	assert_int_equal(task(w, id)->pid, pid);
	assert_int_equal(task(w, id)->restarts, 0);
	assert_int_equal(marked(id), 1);
}

static void a_stop_said_while_the_shim_was_away_is_said_again(void **state)
{
	struct world *w = *state;
	id64 id = start(w, service(w, "web", "echo up; exec sleep 1000"));
	int shim;

	WAIT(w, is(w, id, TASK_RUNNING) && strstr(log_of(w, id, 1), "up"));
	agent_dies(w);
	agent_starts(w);
	shim = shim_of(w, id);
	talk_nonsense(connection_to(shim));
	WAIT(w, connection_to(shim) < 0);
	assert_true(is(w, id, TASK_RUNNING));
	runtime_stop(w->rt, id, "enough");
	WAIT(w, ended(w, id));
	assert_true(is(w, id, TASK_DONE));
	assert_int_equal(task(w, id)->exit_signal, SIGTERM);
	assert_int_equal(task(w, id)->restarts, 0);
}

static void a_shim_skips_what_an_agent_of_another_build_says(void **state)
{
	struct world *w = *state;
	id64 id = start(w, service(w, "web", "echo up; exec sleep 1000"));
	int shim, fd;

	WAIT(w, is(w, id, TASK_RUNNING) && strstr(log_of(w, id, 1), "up"));
	agent_dies(w);
	agent_starts(w);
	shim = shim_of(w, id);
	fd = connection_to(shim);
	/* A kind that is not known, and behind it SHIM_STOP with SIGUSR1 and a grace of a minute. */
	assert_int_equal(send(fd, "\0\3\x63..\0\6\1\x0a\0\0\xea\x60", 13, MSG_NOSIGNAL), 13);
	WAIT(w, task(w, id)->exited);
	assert_int_equal(task(w, id)->exit_signal, SIGUSR1);
}

/* A shim of another build, played by the story: it holds the lock and listens. */
struct actor {
	char dir[250];
	int lock_fd, listen_fd;
};

static void actor_enters(struct world *w, struct actor *a, id64 id)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char name[17], path[300];

	id64_text(name, id);
	snprintf(a->dir, sizeof(a->dir), "%s/tasks/%s", w->dir, name);
	snprintf(path, sizeof(path), "%s/lock", a->dir);
	a->lock_fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(a->lock_fd, LOCK_EX), 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%.80s/shim.sock", a->dir);
	unlink(sa.sun_path);
	a->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(a->listen_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(a->listen_fd, 4), 0);
}

static void say(int fd, struct wr *w)
{
	assert_int_equal(send(fd, w->p, w->len, MSG_NOSIGNAL), (ssize_t)w->len);
	wr_reset(w);
}

static void an_agent_skips_or_asks_again_what_a_shim_of_another_build_says(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exec sleep 1000");
	struct run_record run = {.run = 1, .shim_pid = (uint32_t)getpid(), .pid = 4194000, .started = 5};
	struct exit_record end = {.run = 1, .code = 5, .started = 5, .ended = 6};
	struct actor a;
	struct wr m;
	size_t at;
	id64 id;
	int fd = -1;

	s->restart.condition = RESTART_NONE;
	id = start(w, s);
	WAIT(w, is(w, id, TASK_RUNNING));
	agent_dies(w);
	kill(shim_of(w, id), SIGKILL);
	while (marked(id))
		usleep(1000);
	actor_enters(w, &a, id);
	agent_starts(w);
	fd = accept(a.listen_fd, NULL, NULL);
	assert_true(fd >= 0);
	wr_init(&m, 4096);
	/* A message of tomorrow, then one of today. */
	at = message_begin(&m, (enum shim_message)99);
	wr_u32(&m, 1);
	message_end(&m, at);
	at = message_begin(&m, SHIM_STARTED);
	run_put(&m, &run);
	message_end(&m, at);
	say(fd, &m);
	WAIT(w, task(w, id)->pid == 4194000);
	/* One of today that makes no sense: the agent hangs up, and comes back. */
	at = message_begin(&m, SHIM_STARTED);
	wr_u32(&m, 7);
	message_end(&m, at);
	say(fd, &m);
	close(fd);
	fd = -1;
	WAIT(w, fd >= 0 || (fd = accept(a.listen_fd, NULL, NULL)) >= 0);
	assert_true(is(w, id, TASK_RUNNING));
	assert_int_equal(task(w, id)->restarts, 0);
	at = message_begin(&m, SHIM_EXIT);
	exit_put(&m, &end);
	message_end(&m, at);
	say(fd, &m);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->exit_code, 5);
	close(fd);
	close(a.listen_fd);
	close(a.lock_fd);
	wr_free(&m);
}

static void a_restart_of_the_host_loses_the_task(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exec sleep 1000");
	id64 id = start(w, s);
	char path[300], name[17], old[BOOT_ID_BYTES];
	struct arena arena;
	uint8_t *bytes;
	size_t len;
	char *at;

	WAIT(w, is(w, id, TASK_RUNNING));
	agent_dies(w);
	/* As after a restart: no process, and a record of another boot. */
	kill(shim_of(w, id), SIGKILL);
	while (marked(id))
		usleep(1000);
	id64_text(name, id);
	snprintf(path, sizeof(path), "%s/tasks/%s/task", w->dir, name);
	arena_init(&arena);
	bytes = file_read(AT_FDCWD, path, 1 << 20, &arena, &len, NULL);
	boot_id_read(old);
	at = memmem(bytes, len, old, strlen(old));
	assert_non_null(at);
	memcpy(at, "ffffffff", 8);
	assert_int_equal(file_replace(AT_FDCWD, path, bytes, len, NULL), 0);
	arena_free(&arena);
	agent_starts(w);
	assert_int_equal(task(w, id)->state, TASK_LOST);
	assert_string_equal(task(w, id)->reason, "the host was restarted");
}

static void a_task_that_never_began_leaves_no_folder(void **state)
{
	struct world *w = *state;
	char path[300];

	snprintf(path, sizeof(path), "%s/tasks/00000000000000ee", w->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	agent_dies(w);
	agent_starts(w);
	assert_int_equal(runtime_tasks(w->rt, NULL, 0), 0);
	assert_int_equal(access(path, F_OK), -1);
}

static void without_a_record_nothing_is_started(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exec sleep 1000");
	char dir[200], in_the_way[300], name[17];
	uint8_t random[8];
	id64 id = 0;

	/* As on a full disk: the record of the task that comes next cannot be written. */
	task_id(w, random);
	w->next_id--;
	for (int i = 0; i < 8; i++)
		id = id << 8 | random[i];
	id64_text(name, id);
	snprintf(dir, sizeof(dir), "%s/tasks/%s", w->dir, name);
	snprintf(in_the_way, sizeof(in_the_way), "%s/task.new", dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(mkdir(in_the_way, 0700), 0);
	s->restart.delay_ms = 20;
	assert_int_equal(start(w, s), id);
	assert_int_equal(task(w, id)->state, TASK_BACKOFF);
	assert_non_null(strstr(task(w, id)->reason, "web: its record cannot be written to "));
	assert_int_equal(marked(id), 0);
	assert_int_equal(rmdir(in_the_way), 0);
	WAIT(w, is(w, id, TASK_RUNNING));
}

static void a_damaged_record_is_left_alone_and_hurts_nobody(void **state)
{
	struct world *w = *state;
	id64 id = start(w, service(w, "web", "exec sleep 1000"));
	char path[300];

	WAIT(w, is(w, id, TASK_RUNNING));
	snprintf(path, sizeof(path), "%s/tasks/00000000000000ee", w->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	strcat(path, "/task");
	assert_int_equal(file_replace(AT_FDCWD, path, "\x81\xa7version\x63", 10, NULL), 0);
	agent_dies(w);
	agent_starts(w);
	assert_int_equal(runtime_tasks(w->rt, NULL, 0), 1);
	assert_int_equal(task(w, id)->state, TASK_RUNNING);
	assert_int_equal(access(path, F_OK), 0);
}

static void a_task_of_a_service_that_a_newer_law_forbids_is_found_again(void **state)
{
	struct world *w = *state;
	id64 id = start(w, service(w, "web", "exec sleep 1000"));
	char path[300], name[17];
	struct arena arena;
	uint8_t *bytes, *at;
	int64_t pid;
	size_t len;

	WAIT(w, is(w, id, TASK_RUNNING));
	pid = task(w, id)->pid;
	agent_dies(w);
	/* As if such names had been allowed when the task began. */
	id64_text(name, id);
	snprintf(path, sizeof(path), "%s/tasks/%s/task", w->dir, name);
	arena_init(&arena);
	bytes = file_read(AT_FDCWD, path, 1 << 20, &arena, &len, NULL);
	at = memmem(bytes, len, "\xa3web", 4);
	assert_non_null(at);
	memcpy(at + 1, "123", 3);
	assert_int_equal(file_replace(AT_FDCWD, path, bytes, len, NULL), 0);
	arena_free(&arena);
	agent_starts(w);
	assert_int_equal(runtime_tasks(w->rt, NULL, 0), 1);
	assert_int_equal(task(w, id)->state, TASK_RUNNING);
	assert_int_equal(task(w, id)->pid, pid);
	assert_string_equal(task(w, id)->service, "123");
}

static void a_new_revision_with_the_same_content_is_only_noted(void **state)
{
	struct world *w = *state;
	id64 id = start(w, service(w, "web", "exec sleep 1000"));
	int64_t pid;

	WAIT(w, is(w, id, TASK_RUNNING));
	pid = task(w, id)->pid;
	runtime_confirm(w->rt, id, 0xdef);
	agent_dies(w);
	agent_starts(w);
	assert_int_equal(task(w, id)->revision, 0xdef);
	assert_int_equal(task(w, id)->pid, pid);
}

static void a_long_data_folder_still_works(void **state)
{
	struct world *w = *state;
	char deep[128];
	id64 id;

	agent_dies(w);
	assert_int_equal(folder_remove(AT_FDCWD, w->dir, NULL), 0);
	/* Longer than a socket's path may be, with the rest of the way to it. */
	memset(deep, 'd', sizeof(deep));
	snprintf(w->dir, sizeof(w->dir), "/tmp/starling-%.80s-%d", deep, (int)getpid());
	assert_int_equal(mkdir(w->dir, 0700), 0);
	agent_starts(w);
	id = start(w, service(w, "web", "exec sleep 1000"));
	WAIT(w, is(w, id, TASK_RUNNING));
	agent_dies(w);
	agent_starts(w);
	assert_int_equal(task(w, id)->state, TASK_RUNNING);
}

static const struct CMUnitTest tests[] = {
        STORY(an_agent_that_dies_is_not_noticed_by_its_tasks),
        STORY(an_exit_while_no_agent_was_there_is_found),
        STORY(a_killed_shim_takes_the_task_with_it_and_it_restarts),
        STORY(a_shim_that_hangs_up_but_lives_does_not_lose_its_task),
        STORY(a_stop_said_while_the_shim_was_away_is_said_again),
        STORY(a_shim_skips_what_an_agent_of_another_build_says),
        STORY(an_agent_skips_or_asks_again_what_a_shim_of_another_build_says),
        STORY(a_restart_of_the_host_loses_the_task),
        STORY(a_task_that_never_began_leaves_no_folder),
        STORY(without_a_record_nothing_is_started),
        STORY(a_damaged_record_is_left_alone_and_hurts_nobody),
        STORY(a_task_of_a_service_that_a_newer_law_forbids_is_found_again),
        STORY(a_new_revision_with_the_same_content_is_only_noted),
        STORY(a_long_data_folder_still_works),
};

WORLD_MAIN(tests)
