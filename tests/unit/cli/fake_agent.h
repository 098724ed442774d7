/* An agent whose every byte is scripted: a socket in a folder of its own, one connection. */
#ifndef TESTS_UNIT_CLI_FAKE_AGENT_H
#define TESTS_UNIT_CLI_FAKE_AGENT_H

#include "cli/client.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct agent {
	char dir[64];
	int listener;
	pthread_t thread;
	struct wr says; /* all at once, to the first who connects */
	bool stays;     /* having said it, it is silent, and does not close */
	struct cli cli;
};

/* Says its piece, then reads until the client has gone, so that no reset swallows what was said. */
static inline void *serve(void *arg)
{
	struct agent *a = arg;
	int fd = accept(a->listener, NULL, NULL);
	char buf[4096];

	for (size_t at = 0; at < a->says.len;) {
		ssize_t n = send(fd, a->says.p + at, a->says.len - at, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		at += (size_t)n;
	}
	if (!a->stays)
		shutdown(fd, SHUT_WR);
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	close(fd);
	return NULL;
}

static inline void prepare(struct agent *a)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	memset(a, 0, sizeof(*a));
	strcpy(a->dir, "/tmp/starling-test-XXXXXX");
	assert_non_null(mkdtemp(a->dir));
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/control.sock", a->dir);
	a->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(a->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(a->listener, 1), 0);
	a->cli.data_dir = a->dir;
	a->cli.key_path = "/nonexistent/operator.key";
	wr_init(&a->says, 4 * CONTROL_MESSAGE_MAX);
}

static inline void greet(struct agent *a)
{
	struct hello h = {.flock_name = "birds", .peer_name = "one", .boot = 1, .version = "9", .stamp = 77};

	h.peer.b[0] = 0xab;
	proto_hello(&a->says, &h);
}

static inline void say_row(struct agent *a, const char *name)
{
	struct wr row;

	wr_init(&row, 1024);
	pk_map(&row, 1);
	pk_kv_str(&row, "name", name);
	proto_item(&a->says, &row);
	wr_free(&row);
}

static inline void say_end(struct agent *a)
{
	struct wr end;

	wr_init(&end, 1024);
	pk_map(&end, 1);
	pk_kv_str(&end, "state", "ready");
	proto_end(&a->says, &end);
	wr_free(&end);
}

static inline void go(struct agent *a)
{
	assert_true(wr_ok(&a->says));
	assert_int_equal(pthread_create(&a->thread, NULL, serve, a), 0);
}

static inline void finish(struct agent *a, struct client *c)
{
	char path[100];

	client_close(c);
	pthread_join(a->thread, NULL);
	close(a->listener);
	snprintf(path, sizeof(path), "%s/control.sock", a->dir);
	unlink(path);
	rmdir(a->dir);
	wr_free(&a->says);
}

#endif
