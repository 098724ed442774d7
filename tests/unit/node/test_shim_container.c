/*
 * A shim whose task is a container: its runtime here is a shell script that leaves a process behind, as `runc run
 * --detach` does, so that these stories need neither root nor a runtime. Real ones are in tests/e2e.
 */
#include "tests/unit/node/runtime_world.h"

#include "node/runtime/link.h"
#include "node/runtime/link_end.h"
#include "node/runtime/procs.h"

struct container {
	char dir[64];
	uv_loop_t loop;
	struct runtime_config host;
	struct runtime_task task;
	struct service service;
	struct cgroups cgroups;
	struct driver_task d;
	struct driver_run *run;
	struct driver_event started, last, checked;
	bool is_started, is_over, is_checked;
};

static void on_event(void *ctx, const struct driver_event *ev)
{
	struct container *c = ctx;

	if (ev->kind == DRIVER_STARTED) {
		c->started = *ev;
		c->is_started = true;
	} else if (ev->kind == DRIVER_CHECKED) {
		c->checked = *ev;
		c->is_checked = true;
	} else if (ev->kind == DRIVER_EXITED || ev->kind == DRIVER_LOST) {
		c->last = *ev;
		c->is_over = true;
		link_release(c->run);
		c->run = NULL;
	}
}

static int make(void **state)
{
	struct container *c = xcalloc(1, sizeof(*c));
	uint32_t pid = (uint32_t)getpid();

	strcpy(c->dir, "/tmp/starling-container-XXXXXX");
	assert_non_null(mkdtemp(c->dir));
	assert_int_equal(uv_loop_init(&c->loop), 0);
	c->host.self_exe = self;
	service_defaults(&c->service);
	c->task.spec = &c->service;
	c->task.task = (id64)pid << 16 | 0xc0;
	c->d = (struct driver_task){
	        .host = &c->host, .cgroups = &c->cgroups, .task = &c->task, .dir = c->dir, .run = 1};
	c->d.dir_fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = c;
	return 0;
}

static int unmake(void **state)
{
	struct container *c = *state;

	if (c->run)
		link_release(c->run);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&c->loop), 0);
	close(c->d.dir_fd);
	assert_int_equal(marked(c->task.task), 0);
	assert_int_equal(folder_remove(AT_FDCWD, c->dir, NULL), 0);
	free(c);
	return 0;
}

/* The runtime is `sh -c script DIR`. */
static void launch(struct container *c, const char *script, const char *check)
{
	char mark[64] = "STARLING_TASK=";
	char *argv[] = {"/bin/sh", "-c", (char *)script, c->dir, NULL};
	char *clean[] = {"/bin/sh", "-c",
	        "runc --root $0/runc delete -f $CONTAINER 2>/dev/null; echo cleared >> $0/cleared", c->dir, NULL};
	char *checks[] = {"/bin/sh", "-c", (char *)check, c->dir, NULL};
	char name[64] = "CONTAINER=";
	char *env[] = {mark, name, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	struct launch l = {
	        .run = 1,
	        .argv = argv,
	        .env = env,
	        .check = checks,
	        .cwd = "/",
	        .stop_signal = SIGTERM,
	        .stop_grace_ms = 10000,
	        .pid_file = "pid",
	        .cleanup = clean,
	};
	struct err err = {0};
	struct wr w;

	id64_text(mark + strlen(mark), c->task.task);
	id64_text(name + strlen(name), c->task.task);
	wr_init(&w, LAUNCH_BYTES_MAX);
	launch_put(&w, &l);
	assert_int_equal(file_replace(c->d.dir_fd, "launch", w.p, w.len, &err), 0);
	wr_free(&w);
	c->run = link_launch(&c->loop, &c->d, on_event, c, &err);
	if (!c->run)
		fail_msg("%s", err.text);
}

static const char *file(struct container *c, const char *name)
{
	static char text[8192];
	int fd = openat(c->d.dir_fd, name, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n] = '\0';
	return text;
}

/* Leaves `sh -c body` behind and says its pid; what it does is the container. */
#define DETACH(body) "setsid /bin/sh -c '" body "' & echo $! > $0/pid; echo starting >&2; exit 0"

static void a_container_is_what_its_runtime_leaves_behind(void **state)
{
	struct container *c = *state;
	struct proc p;

	launch(c, DETACH("echo hello; while :; do sleep 0.01; [ -e $0/end ] && exit 7; done' $0 '"), "exit 0");
	WAIT(c, c->is_started);
	assert_int_equal(c->started.run.pid, atoi(file(c, "pid")));
	assert_true(proc_read((int)c->started.run.pid, &p));
	assert_int_equal(p.ppid, c->started.run.shim_pid);
	WAIT(c, strstr(file(c, "log/00000001.log"), " o hello\n"));
	assert_non_null(strstr(file(c, "log/00000001.log"), " e starting\n"));
	close(openat(c->d.dir_fd, "end", O_CREAT | O_WRONLY, 0600));
	WAIT(c, c->is_over);
	assert_int_equal(c->last.kind, DRIVER_EXITED);
	assert_int_equal(c->last.exit.step, STEP_NONE);
	assert_int_equal(c->last.exit.code, 7);
	assert_string_equal(file(c, "cleared"), "cleared\n");
}

static void a_runtime_that_fails_gives_the_reason_in_its_own_words(void **state)
{
	struct container *c = *state;

	launch(c,
	        "echo first >&2; echo 'time=\"x\" level=error msg=\"exec: \\\"nosuch\\\": not found\"' >&2; exit 1",
	        "exit 0");
	WAIT(c, c->is_over);
	assert_false(c->is_started);
	assert_int_equal(c->last.kind, DRIVER_EXITED);
	assert_int_equal(c->last.exit.step, STEP_RUNTIME);
	assert_string_equal(c->last.text, "exec: \"nosuch\": not found");
	assert_string_equal(file(c, "cleared"), "cleared\n");
}

static void a_runtime_that_names_no_process_of_its_own_is_not_believed(void **state)
{
	struct container *c = *state;

	launch(c, "echo 1 > $0/pid", "exit 0");
	WAIT(c, c->is_over);
	assert_int_equal(c->last.exit.step, STEP_RUNTIME);
	assert_non_null(strstr(c->last.text, "names no process of it"));
}

static void a_container_that_ignores_its_stop_signal_is_killed_with_all_of_it(void **state)
{
	struct container *c = *state;

	launch(c, DETACH("trap \"\" TERM; setsid sleep 1000 & echo ready; while :; do sleep 1000; done"),
	        "exit 0");
	WAIT(c, strstr(file(c, "log/00000001.log"), " o ready\n"));
	link_stop(c->run, SIGTERM, 50);
	WAIT(c, c->is_over);
	assert_true(c->last.exit.signalled);
	assert_int_equal(c->last.exit.code, SIGKILL);
	assert_int_equal(marked(c->task.task), 0);
	assert_string_equal(file(c, "cleared"), "cleared\n");
}

static void a_containers_check_is_its_runtimes_command(void **state)
{
	struct container *c = *state;

	launch(c, DETACH("exec sleep 1000"), "cat $0/pid; exit 3");
	WAIT(c, c->is_started);
	link_check(c->run, 5, 10000);
	WAIT(c, c->is_checked);
	assert_int_equal(c->checked.outcome, CHECK_FAILED);
	assert_int_equal(c->checked.code, 3);
	assert_int_equal(atoi(c->checked.text), c->started.run.pid);
	link_stop(c->run, SIGTERM, 10000);
	WAIT(c, c->is_over);
}

/* Processes in the pid namespace of one. */
static int in_namespace_of(int pid)
{
	char path[64], theirs[64] = "", other[64];
	DIR *dir = opendir("/proc");
	struct dirent *e;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	assert_true(readlink(path, theirs, sizeof(theirs) - 1) > 0);
	while ((e = readdir(dir))) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/%.20s/ns/pid", e->d_name);
		len = readlink(path, other, sizeof(other) - 1);
		other[MAX(len, 0)] = '\0';
		n += len > 0 && strcmp(theirs, other) == 0;
	}
	closedir(dir);
	return n;
}

/* The container's process has no tie to the shim that the kernel knows of: the agent does it. */
static void a_container_whose_shim_is_killed_is_killed_and_cleared_away_by_the_agent(void **state)
{
	struct container *c = *state;

	launch(c, DETACH("setsid sleep 1000 & while :; do sleep 1000; done"), "exit 0");
	WAIT(c, c->is_started);
	kill((int)c->started.run.shim_pid, SIGKILL);
	WAIT(c, c->is_over);
	assert_int_equal(c->last.kind, DRIVER_LOST);
	assert_int_equal(marked(c->task.task), 0);
	WAIT(c, !strcmp(file(c, "cleared"), "cleared\n"));
}

static void an_agent_that_comes_later_finds_the_container(void **state)
{
	struct container *c = *state;
	struct driver_event ended;

	launch(c, DETACH("exec sleep 1000"), "exit 0");
	WAIT(c, c->is_started);
	link_release(c->run);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	c->is_started = false;
	c->run = link_adopt(&c->loop, &c->d, (mono_ms)(uv_hrtime() / 1000000) + PATIENCE_MS, on_event, c, &ended);
	assert_non_null(c->run);
	WAIT(c, c->is_started);
	assert_int_equal(c->started.run.pid, atoi(file(c, "pid")));
	link_stop(c->run, SIGTERM, 10000);
	WAIT(c, c->is_over);
	assert_int_equal(c->last.exit.code, SIGTERM);
}

/* A bundle for the real runc, whose root holds a static busybox and nothing else. Its output is the script's exit. */
#define BUNDLE                                                                                                   \
	"cd $0 && mkdir -p b/rootfs/bin && cp $(which busybox) b/rootfs/bin/sh && cd b && runc spec && "         \
	"sed -i -e \"s/\\\"sh\\\"/\\\"sh\\\",\\\"-c\\\",\\\"while :; do sleep 1; done\\\"/\" "                   \
	"-e \"s/\\\"terminal\\\": true/\\\"terminal\\\": false/\" "                                              \
	"-e \"s/\\\"TERM=xterm\\\"/\\\"$STARLING\\\"/\" config.json"

/* `runc exec` that is killed leaves the command behind, inside of the container. */
static void a_check_that_hangs_inside_a_real_container_is_killed_there(void **state)
{
	struct container *c = *state;
	char id[17], script[1024], check[256];

	id64_text(id, c->task.task);
	if (geteuid() != 0 ||
	        system("runc --version >/dev/null 2>&1 && ldd $(which busybox) 2>&1 | grep -q not.a") != 0) {
		print_message("skipped: this needs root, runc and busybox-static\n");
		skip();
	}
	snprintf(script, sizeof(script),
	        "export STARLING=STARLING_TASK=$STARLING_TASK; " BUNDLE
	        " && exec runc --root $0/runc run --detach --pid-file $0/pid %s",
	        id);
	snprintf(check, sizeof(check), "exec runc --root $0/runc exec %s /bin/sh -c \"sleep 1000; :\"", id);
	launch(c, script, check);
	WAIT(c, c->is_started || c->is_over);
	if (!c->is_started)
		fail_msg("%s", c->last.text);
	link_check(c->run, 5, 1000);
	WAIT(c, c->is_checked);
	assert_int_equal(c->checked.outcome, CHECK_TIMED_OUT);
	/* Its first process and the sleep of its loop. */
	WAIT(c, in_namespace_of((int)c->started.run.pid) <= 2);
	link_stop(c->run, SIGTERM, 0);
	WAIT(c, c->is_over);
}

#define CONTAINER(name) cmocka_unit_test_setup_teardown(name, make, unmake)

static const struct CMUnitTest tests[] = {
        CONTAINER(a_container_is_what_its_runtime_leaves_behind),
        CONTAINER(a_runtime_that_fails_gives_the_reason_in_its_own_words),
        CONTAINER(a_runtime_that_names_no_process_of_its_own_is_not_believed),
        CONTAINER(a_container_that_ignores_its_stop_signal_is_killed_with_all_of_it),
        CONTAINER(a_containers_check_is_its_runtimes_command),
        CONTAINER(a_container_whose_shim_is_killed_is_killed_and_cleared_away_by_the_agent),
        CONTAINER(an_agent_that_comes_later_finds_the_container),
        CONTAINER(a_check_that_hangs_inside_a_real_container_is_killed_there),
};

WORLD_MAIN(tests)
