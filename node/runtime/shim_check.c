/* The shim's health command: started like the task, in its user, environment and groups; one at a time. */
#include "node/runtime/shim.h"
#include "node/runtime/shim_child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

void shim_check_begin(uint32_t seq, uint32_t timeout_ms)
{
	struct child_fault fault;
	int out[2];

	if (shim.check.pid || shim.ended)
		return;
	shim.check = (struct shim_check){.seq = seq, .out_fd = -1, .deadline = shim_mono() + timeout_ms};
	if (!shim.launch.check[0] || pipe2(out, O_CLOEXEC) < 0) {
		shim_say_checked(CHECK_NOT_RUN, 0);
		return;
	}
	shim.check.pid = child_start(&shim.launch,
	        &(struct child_start){.argv = shim.launch.check,
	                .out_fd = out[1],
	                .err_fd = out[1],
	                .with_shim = true,
	                .view_of = (int)shim.run.pid},
	        &fault);
	close(out[1]);
	if (shim.check.pid < 0) {
		shim.check.pid = 0;
		close(out[0]);
		shim.check.said.len = (size_t)snprintf(shim.check.said.text, CHECK_TEXT_MAX, "%.60s: %s: %s",
		        shim.launch.check[0], launch_step_text(fault.step), strerror(fault.error));
		shim.check.said.len = MIN(shim.check.said.len, (size_t)CHECK_TEXT_MAX - 1);
		shim_say_checked(CHECK_NOT_RUN, 0);
		return;
	}
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	shim.check.out_fd = out[0];
}

void shim_check_read(void)
{
	char buf[1024];
	ssize_t n;

	while ((n = read(shim.check.out_fd, buf, sizeof(buf))) > 0)
		tail_add(&shim.check.said, buf, (size_t)n);
	if (n == 0) {
		close(shim.check.out_fd);
		shim.check.out_fd = -1;
	}
}

void shim_check_ended(int status)
{
	shim.check.pid = 0;
	if (shim.launch.pid_file)
		shim_runtime_kill_strays();
	if (shim.check.out_fd >= 0)
		shim_check_read();
	if (shim.check.out_fd >= 0)
		close(shim.check.out_fd);
	shim.check.out_fd = -1;
	if (shim.check.timed_out)
		shim_say_checked(CHECK_TIMED_OUT, 0);
	else if (WIFEXITED(status))
		shim_say_checked(WEXITSTATUS(status) ? CHECK_FAILED : CHECK_PASSED, (uint8_t)WEXITSTATUS(status));
	else
		shim_say_checked(CHECK_FAILED, (uint8_t)(128 + WTERMSIG(status)));
}
