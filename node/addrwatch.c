#include "node/addrwatch.h"

#include "base/types.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

/* Messages read per turn of the loop: more than a host with hundreds of addresses sends at once; what is left wakes
 * the loop again. */
#define READS_PER_TURN 64

struct addrwatch {
	uv_poll_t poll;
	uv_timer_t timer;
	int fd;
	unsigned handles;
	void (*changed)(void *ctx);
	void *ctx;
};

static void on_timer(uv_timer_t *timer)
{
	struct addrwatch *w = timer->data;

	w->changed(w->ctx);
}

/* What the messages say is not read: whoever is told looks for itself, which holds even when some were lost. */
static void on_message(uv_poll_t *poll, int status UNUSED, int events UNUSED)
{
	struct addrwatch *w = poll->data;
	uint8_t bytes[4096];

	for (int i = 0; i < READS_PER_TURN; i++) {
		ssize_t n = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		/* ENOBUFS: more changed than the kernel could queue. */
		if (n < 0 && errno != EINTR && errno != ENOBUFS)
			break;
		if (!uv_is_active((uv_handle_t *)&w->timer))
			uv_timer_start(&w->timer, on_timer, ADDRWATCH_GATHER_MS, 0);
	}
	if (status < 0 && !uv_is_closing((uv_handle_t *)poll))
		uv_poll_start(poll, UV_READABLE, on_message);
}

struct addrwatch *addrwatch_open(uv_loop_t *loop, void (*changed)(void *ctx), void *ctx, struct err *err)
{
	struct sockaddr_nl sa = {.nl_family = AF_NETLINK,
	        .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR |
	                     RTMGRP_IPV6_ROUTE};
	struct addrwatch *w;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		err_errno(err, "netlink socket");
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	w = xcalloc(1, sizeof(*w));
	w->fd = fd;
	w->changed = changed;
	w->ctx = ctx;
	w->poll.data = w->timer.data = w;
	uv_timer_init(loop, &w->timer);
	w->handles = 1;
	if (uv_poll_init(loop, &w->poll, fd) == 0)
		w->handles = 2;
	if (w->handles < 2 || uv_poll_start(&w->poll, UV_READABLE, on_message) < 0) {
		err_set(err, ERR_FAILED, "netlink socket: the loop cannot watch it");
		addrwatch_close(w);
		return NULL;
	}
	return w;
}

static void on_closed(uv_handle_t *handle)
{
	struct addrwatch *w = handle->data;

	if (--w->handles == 0)
		free(w);
}

void addrwatch_close(struct addrwatch *w)
{
	unsigned handles = w ? w->handles : 0;

	if (!w)
		return;
	uv_close((uv_handle_t *)&w->timer, on_closed);
	if (handles > 1)
		uv_close((uv_handle_t *)&w->poll, on_closed);
	close(w->fd);
}
