/* The shim's talk with agents: launch.h's messages on the socket that it was given, and on shim.sock. */
#include "node/runtime/shim.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static void client_drop(struct shim_client *c)
{
	close(c->fd);
	c->fd = -1;
}

/* Messages are few and small: an agent whose socket is full is stuck, and asks again when it reconnects. */
static void client_send(struct shim_client *c, const struct wr *w)
{
	if (c->fd >= 0 && send(c->fd, w->p, w->len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)w->len)
		client_drop(c);
}

static void send_all(const struct wr *w)
{
	for (size_t i = 0; i < SHIM_CLIENTS_MAX; i++)
		client_send(&shim.clients[i], w);
}

void shim_say_started(struct shim_client *c)
{
	uint8_t buf[SHIM_MESSAGE_MAX];
	struct wr w;
	size_t at;

	wr_fixed(&w, buf, sizeof(buf));
	at = message_begin(&w, SHIM_STARTED);
	run_put(&w, &shim.run);
	message_end(&w, at);
	client_send(c, &w);
}

void shim_say_watchdog(struct shim_client *c)
{
	uint8_t buf[SHIM_MESSAGE_MAX];
	struct wr w;
	size_t at;

	wr_fixed(&w, buf, sizeof(buf));
	at = message_begin(&w, SHIM_WATCHDOG);
	watchdog_put(&w, &shim.fired);
	message_end(&w, at);
	client_send(c, &w);
}

bool shim_agent_connected(void)
{
	for (size_t i = 0; i < SHIM_CLIENTS_MAX; i++)
		if (shim.clients[i].fd >= 0)
			return true;
	return false;
}

void shim_say_checked(enum check_outcome outcome, uint8_t code)
{
	uint8_t buf[SHIM_MESSAGE_MAX];
	size_t len;
	const char *line = tail_line(&shim.check.said, &len);
	struct wr w;
	size_t at;

	wr_fixed(&w, buf, sizeof(buf));
	at = message_begin(&w, SHIM_CHECKED);
	wr_u32(&w, shim.check.seq);
	wr_u8(&w, (uint8_t)outcome);
	wr_u8(&w, code);
	wr_bytes(&w, line + len - MIN(len, (size_t)CHECK_TEXT_MAX), MIN(len, (size_t)CHECK_TEXT_MAX));
	message_end(&w, at);
	send_all(&w);
}

void shim_say_exit(void)
{
	uint8_t buf[SHIM_MESSAGE_MAX];
	struct wr w;
	size_t at;

	wr_fixed(&w, buf, sizeof(buf));
	at = message_begin(&w, SHIM_EXIT);
	exit_put(&w, &shim.exit);
	message_end(&w, at);
	send_all(&w);
}

static bool handle(enum shim_message kind, struct rd *r)
{
	uint32_t value, seq;
	int sig;

	switch (kind) {
	case SHIM_STOP:
		sig = rd_u8(r);
		value = rd_u32(r);
		if (rd_end(r, NULL) == 0 && sig > 0 && sig < NSIG)
			shim_stop(sig, value);
		return rd_ok(r);
	case SHIM_CHECK:
		seq = rd_u32(r);
		value = rd_u32(r);
		if (rd_end(r, NULL) == 0)
			shim_check_begin(seq, value);
		return rd_ok(r);
	default:
		return true; /* of an agent of another build; the task goes on without it */
	}
}

void shim_read(struct shim_client *c)
{
	ssize_t n = recv(c->fd, c->in + c->len, sizeof(c->in) - c->len, MSG_DONTWAIT);
	enum shim_message kind;
	struct rd body;
	int used;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_drop(c);
		return;
	}
	c->len += (size_t)n;
	while ((used = message_take(c->in, c->len, &kind, &body)) > 0) {
		bool good = handle(kind, &body);

		if (!good || c->fd < 0) {
			used = -1;
			break;
		}
		c->len -= (size_t)used;
		memmove(c->in, c->in + used, c->len);
	}
	if (used < 0 && c->fd >= 0)
		client_drop(c);
}

void shim_accept(void)
{
	int fd = accept4(shim.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred who;
	socklen_t len = sizeof(who);

	if (fd < 0)
		return;
	/* The folder is private already; this holds even if somebody opens it up. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && (who.uid == 0 || who.uid == geteuid())) {
		for (size_t i = 0; i < SHIM_CLIENTS_MAX; i++)
			if (shim.clients[i].fd < 0) {
				shim.clients[i].fd = fd;
				shim.clients[i].len = 0;
				shim_say_started(&shim.clients[i]);
				if (shim.fired.run)
					shim_say_watchdog(&shim.clients[i]);
				return;
			}
	}
	close(fd);
}
