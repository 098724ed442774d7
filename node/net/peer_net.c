#include "node/net/peer_conn.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sodium.h>
#include <time.h>
#include <unistd.h>

/* Tries to find a port that is free for TCP and UDP alike, when any will do. */
#define ANY_PORT_TRIES 16

mono_ms peer_net_now(void)
{
	return (mono_ms)(uv_hrtime() / 1000000);
}

static void on_timer(uv_timer_t *timer)
{
	struct peer_net *n = container_of(timer, struct peer_net, timer);
	mono_ms now = peer_net_now();
	struct list ended;

	list_each (&n->waiting, item) {
		struct peer_conn *c = list_entry(item, struct peer_conn, queue);

		if (c->deadline > now)
			break;
		peer_conn_late(c);
	}
	/* Only those of now: one that an event makes and that fails at once waits for the next turn. */
	list_init(&ended);
	list_each (&n->ended, item) {
		list_remove(item);
		list_push_back(&ended, item);
	}
	while (!list_empty(&ended) && !n->closing) {
		struct peer_conn *c = list_entry(ended.next, struct peer_conn, queue);
		uint64_t id = c->id;
		bool known = c->known, refused = c->refused;
		char why[sizeof(c->why)];

		memcpy(why, c->why, sizeof(why));
		if (!known)
			log_debug("net", "inbound connection: %s", why);
		peer_conn_release(c);
		if (known)
			n->ev.closed(n->ctx, id, refused, why);
	}
	peer_net_arm(n);
}

void peer_net_arm(struct peer_net *n)
{
	if (n->closing) {
		if (!n->handles) {
			sodium_memzero(n->secret, sizeof(n->secret));
			free(n);
		}
	} else if (!list_empty(&n->ended)) {
		uv_timer_start(&n->timer, on_timer, 0, 0);
	} else if (!list_empty(&n->waiting)) {
		struct peer_conn *first = list_entry(n->waiting.next, struct peer_conn, queue);
		mono_ms wait = first->deadline - peer_net_now();

		/* One more than the rest, which was rounded down. */
		uv_timer_start(&n->timer, on_timer, (uint64_t)MAX(wait, 0) + 1, 0);
	} else {
		uv_timer_stop(&n->timer);
	}
}

static void on_packet(void *ctx, const struct addr *from, const uint8_t *bytes, size_t len)
{
	struct peer_net *n = ctx;

	n->ev.packet(n->ctx, from, bytes, len);
}

void peer_net_read_packets(struct peer_net *n)
{
	peer_udp_read(&n->udp, &n->counters, &n->closing, on_packet, n);
}

static void on_udp(uv_poll_t *poll, int status, int events UNUSED)
{
	struct peer_net *n = container_of(poll, struct peer_net, udp_poll);
	int code;
	socklen_t len = sizeof(code);

	if (status < 0) {
		/* An error that waited in the socket; asking for it takes it away. libuv has stopped watching. */
		getsockopt(n->udp.fd, SOL_SOCKET, SO_ERROR, &code, &len);
		uv_poll_start(poll, UV_READABLE, on_udp);
	}
	peer_net_read_packets(n);
}

/* Both sockets on one port. */
static int open_sockets(struct peer_net *n, const struct addr *bind_to, struct err *err)
{
	for (int i = 0; i < ANY_PORT_TRIES; i++) {
		if (peer_listen_open(n, bind_to, err) < 0)
			return -1;
		if (peer_udp_open(&n->udp, &n->bound, err) == 0)
			return 0;
		close(n->listen_fd);
		n->listen_fd = -1;
		if (bind_to->port != 0)
			return -1;
	}
	return -1;
}

static void close_sockets(struct peer_net *n)
{
	if (n->listen_fd >= 0)
		close(n->listen_fd);
	if (n->udp.fd >= 0)
		close(n->udp.fd);
	if (n->spare_fd >= 0)
		close(n->spare_fd);
	n->listen_fd = n->udp.fd = n->spare_fd = -1;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct peer_net *n = handle->data;

	n->handles--;
	peer_net_arm(n);
}

static int watch_sockets(struct peer_net *n, struct err *err)
{
	int rc;

	n->timer.data = n->udp_poll.data = n->listen_poll.data = n;
	uv_timer_init(n->loop, &n->timer);
	n->handles++;
	rc = uv_poll_init(n->loop, &n->udp_poll, n->udp.fd);
	if (rc == 0) {
		n->handles++;
		rc = uv_poll_init(n->loop, &n->listen_poll, n->listen_fd);
		n->handles += rc == 0;
	}
	if (rc == 0)
		rc = uv_poll_start(&n->udp_poll, UV_READABLE, on_udp);
	if (rc == 0)
		rc = uv_poll_start(&n->listen_poll, UV_READABLE, peer_listen_ready);
	if (rc < 0)
		return err_set(err, ERR_FAILED, "peer port: watch its sockets: %s", uv_strerror(rc));
	return 0;
}

struct peer_net *peer_net_open(uv_loop_t *loop, const struct addr *bind_to, const struct key32 *flock,
        const uint8_t secret[64], const uint8_t seed[32], const struct peer_net_events *ev, void *ctx,
        struct err *err)
{
	struct peer_net *n = xcalloc(1, sizeof(*n));
	struct peer_net_limits limits = PEER_NET_LIMITS_DEFAULT;
	uint8_t hash_secret[16];
	char text[ADDR_TEXT_MAX];

	n->loop = loop;
	n->flock = *flock;
	memcpy(n->secret, secret, sizeof(n->secret));
	n->ev = *ev;
	n->ctx = ctx;
	n->listen_fd = n->udp.fd = -1;
	n->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	list_init(&n->conns);
	list_init(&n->waiting);
	list_init(&n->ended);
	drbg_init(&n->rng, seed);
	drbg_bytes(&n->rng, hash_secret, sizeof(hash_secret));
	map_init(&n->by_id, sizeof(uint64_t), hash_secret);
	peer_net_limit(n, &limits);
	if (open_sockets(n, bind_to, err) < 0) {
		int code = errno;

		addr_text(text, bind_to);
		err_wrap(err, "peer port %s", text);
		if (err && code == EADDRINUSE)
			snprintf(err->text + strlen(err->text), sizeof(err->text) - strlen(err->text),
			        "; another agent may run there: give this one --bind ADDR:PORT");
		else if (err && code == EADDRNOTAVAIL)
			snprintf(err->text + strlen(err->text), sizeof(err->text) - strlen(err->text),
			        "; no interface of this host has that address");
		close_sockets(n);
		map_free(&n->by_id);
		free(n);
		return NULL;
	}
	if (watch_sockets(n, err) < 0) {
		peer_net_close(n);
		return NULL;
	}
	return n;
}

void peer_net_limit(struct peer_net *n, const struct peer_net_limits *limits)
{
	uint8_t secret[16];

	n->limits = *limits;
	drbg_bytes(&n->rng, secret, sizeof(secret));
	guard_init(&n->guard, limits->handshakes_per_second, secret);
}

void peer_net_bound(const struct peer_net *n, struct addr *out)
{
	*out = n->bound;
}

void peer_net_send_packet(struct peer_net *n, const struct addr *to, const uint8_t *bytes, size_t len)
{
	peer_udp_send(&n->udp, &n->counters, to, bytes, len);
}

/* The socket of a connection that is on its way; -1 with errno. Its source is the address we listen on, so that
 * others see one host behind its packets and its streams. */
static int start_connect(struct peer_net *n, const struct addr *to)
{
	int fd, yes = 1, family = sockaddr_family(to);
	struct addr from = n->bound;
	union sockaddr_ip sa;
	socklen_t len;

	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	from.port = 0;
	len = sockaddr_from(&sa, &from, family);
	if (!addr_is_any(&from) && from.family == to->family) {
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
		if (bind(fd, &sa.sa, len) < 0)
			goto fail;
	}
	len = sockaddr_from(&sa, to, family);
	if (connect(fd, &sa.sa, len) == 0 || errno == EINPROGRESS)
		return fd;
fail:
	len = (socklen_t)errno;
	close(fd);
	errno = (int)len;
	return -1;
}

void peer_net_connect(struct peer_net *n, uint64_t id, const struct addr *to, const struct key32 *expect)
{
	struct peer_conn *c;
	char text[ADDR_TEXT_MAX];
	int fd, code;

	assert(!(id & INBOUND_ID) && !map_get(&n->by_id, &id));
	errno = EAFNOSUPPORT;
	fd = to->family ? start_connect(n, to) : -1;
	code = errno;
	c = peer_conn_new(n, id, false, fd, to);
	c->expect = *expect;
	if (fd >= 0) {
		peer_conn_connecting(c);
		return;
	}
	addr_text(text, to);
	c->refused = code == ECONNREFUSED;
	peer_conn_end(c, "connect to %s: %s", text, strerror(code));
}

bool peer_net_send_frame(struct peer_net *n, uint64_t id, const uint8_t *bytes, size_t len)
{
	struct peer_conn *c = map_get(&n->by_id, &id);

	return c && peer_conn_send(c, bytes, len);
}

void peer_net_close_conn(struct peer_net *n, uint64_t id)
{
	struct peer_conn *c = map_get(&n->by_id, &id);

	if (c)
		peer_conn_close(c);
}

void peer_net_pause(struct peer_net *n, uint64_t id, bool pause)
{
	struct peer_conn *c = map_get(&n->by_id, &id);

	if (c)
		peer_conn_pause(c, pause);
}

size_t peer_net_queued(const struct peer_net *n, uint64_t id)
{
	const struct peer_conn *c = map_get(&n->by_id, &id);
	size_t len = 0;

	if (c && c->session && c->state != CONN_ENDED)
		session_output(c->session, &len);
	return len;
}

const struct peer_net_counters *peer_net_counters(const struct peer_net *n)
{
	return &n->counters;
}

void peer_net_close(struct peer_net *n)
{
	uv_handle_t *const handles[] = {
	        (uv_handle_t *)&n->timer, (uv_handle_t *)&n->udp_poll, (uv_handle_t *)&n->listen_poll};

	n->closing = true;
	list_each (&n->conns, item) {
		struct peer_conn *c = list_entry(item, struct peer_conn, link);

		peer_conn_let_go(c);
		peer_conn_release(c);
	}
	map_free(&n->by_id);
	for (size_t i = 0; i < ARRAY_LEN(handles); i++)
		if (handles[i]->type != UV_UNKNOWN_HANDLE)
			uv_close(handles[i], on_handle_closed);
	close_sockets(n);
}
