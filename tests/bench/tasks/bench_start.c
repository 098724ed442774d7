/*
 * How long a task of driver `exec` takes from the agent's decision to its process running: the agent's own calls
 * (exec_prepare's files, the shim's start, its word that the process runs), one task after the other.
 *
 *	bench_start BINARY [N]
 *
 * BINARY is the starling whose shims are started. Prints rows of a markdown table. Beside it the bare minimum: fork and exec
 * of the same command, until exec has happened.
 */
#include "base/text.h"
#include "node/runtime/driver.h"
#include "node/runtime/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUNS_DEFAULT 200
#define RUNS_MAX     10000

struct run {
	bool started, over;
};

static void on_event(void *ctx, const struct driver_event *ev)
{
	struct run *r = ctx;

	r->started |= ev->kind == DRIVER_STARTED;
	r->over |= ev->kind == DRIVER_EXITED || ev->kind == DRIVER_LOST;
	if (r->over && !r->started)
		fprintf(stderr, "it did not start: step %d, %s\n", (int)ev->exit.step, ev->text);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void row(const char *what, double *ms, size_t n)
{
	qsort(ms, n, sizeof(*ms), by_value);
	printf("| %s | %.1f | %.1f | %.1f |\n", what, ms[n / 2], ms[n * 9 / 10], ms[n - 1]);
}

static double now_ms(void)
{
	return (double)uv_hrtime() / 1e6;
}

static double start_one(uv_loop_t *loop, const struct driver_task *t)
{
	struct driver_work *work = NULL;
	struct err err = {0};
	struct run r = {0};
	double begun = now_ms(), took;
	struct driver_run *run = NULL;

	if (driver_exec.prepare(loop, t, on_event, &r, &work, &err) == DRIVER_OK)
		run = driver_exec.launch(loop, t, on_event, &r, &err);
	if (!run) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	while (!r.started && !r.over)
		uv_run(loop, UV_RUN_ONCE);
	took = now_ms() - begun;
	driver_exec.stop(run, 9, 0);
	while (!r.over)
		uv_run(loop, UV_RUN_ONCE);
	driver_exec.release(run);
	uv_run(loop, UV_RUN_DEFAULT);
	if (!r.started)
		exit(1);
	return took;
}

/* Until exec has closed the pipe. */
static double bare(void)
{
	double begun = now_ms(), took;
	int pipes[2];
	char byte;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		exit(1);
	pid = fork();
	if (pid == 0) {
		execl("/bin/sleep", "sleep", "1000", (char *)NULL);
		_exit(127);
	}
	close(pipes[1]);
	while (read(pipes[0], &byte, 1) < 0 && errno == EINTR)
		;
	took = now_ms() - begun;
	close(pipes[0]);
	kill(pid, 9);
	waitpid(pid, NULL, 0);
	return took;
}

int main(int argc, char **argv)
{
	static double ours[RUNS_MAX], least[RUNS_MAX];
	const char *command[] = {"/bin/sleep", "1000"};
	char dir[] = "/tmp/starling-bench-XXXXXX";
	struct runtime_config host = {.data_dir = dir, .self_exe = argc > 1 ? argv[1] : "", .peer_name = "bench"};
	struct service service;
	struct runtime_task task = {.stack = "bench", .service = "web", .spec = &service};
	struct cgroups cgroups;
	struct driver_task t = {.host = &host, .cgroups = &cgroups, .task = &task, .dir = dir};
	size_t n = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : RUNS_DEFAULT;
	uv_loop_t loop;

	if (argc < 2 || n < 1 || n > RUNS_MAX) {
		fprintf(stderr, "usage: bench_start BINARY [N]\n");
		return 2;
	}
	service_defaults(&service);
	service.name = "web";
	service.command = command;
	service.n_command = 2;
	task.task = (id64)getpid() << 8;
	cgroup_detect(&cgroups, CGROUP_ROOT, geteuid() == 0);
	if (uv_loop_init(&loop) < 0 || !mkdtemp(dir))
		return 1;
	t.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < n; i++) {
		t.run = (uint32_t)i + 1;
		ours[i] = start_one(&loop, &t);
		least[i] = bare();
	}
	printf("| start of one task, ms | median | 90%% | largest |\n|---|---|---|---|\n");
	row("`exec`", ours, n);
	row("fork and exec alone", least, n);
	uv_loop_close(&loop);
	cgroup_leave(&cgroups);
	folder_remove(AT_FDCWD, dir, NULL);
	return 0;
}
