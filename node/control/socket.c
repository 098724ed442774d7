/* DATA/control.sock: the local CLI's way in. Its permissions are the authority: 0660 for the group `starling`
 * when the agent is root and the group exists, else 0600. */
#include "node/control/socket.h"

#include "base/log.h"
#include "node/control/call.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Bytes queued per client that does not read; beyond it the connection is closed. */
#define CLIENT_QUEUE_MAX (ROWS_BYTES_MAX + 4 * 1024 * 1024)

/* Connections that may wait for accept(). */
#define LISTEN_BACKLOG 32

struct control_socket {
	uv_pipe_t pipe;
	struct control *control;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

struct socket_client {
	uv_pipe_t pipe;
	struct control_conn *conn;
	size_t queued;
	bool closed;
};

struct socket_write {
	uv_write_t req;
	struct socket_client *client;
	size_t len;
	uint8_t bytes[];
};

/* The one place where a client ends: control hears of it when the handle is closed, whoever closed it. */
static void client_closed(uv_handle_t *h)
{
	struct socket_client *s = container_of(h, struct socket_client, pipe);

	if (s->conn)
		control_gone(s->conn);
	free(s);
}

static void client_close(void *ctx)
{
	struct socket_client *s = ctx;

	if (s->closed)
		return;
	s->closed = true;
	uv_close((uv_handle_t *)&s->pipe, client_closed);
}

static void client_written(uv_write_t *req, int status)
{
	struct socket_write *w = container_of(req, struct socket_write, req);

	struct socket_client *s = w->client;

	s->queued -= w->len;
	free(w);
	if (status == 0 && !s->queued && !s->closed)
		control_drained(s->conn);
}

static bool client_write(void *ctx, const uint8_t *bytes, size_t len)
{
	struct socket_client *s = ctx;
	struct socket_write *w;

	if (s->closed || s->queued + len > CLIENT_QUEUE_MAX)
		return false;
	w = xmalloc(sizeof(*w) + len);
	w->client = s;
	w->len = len;
	memcpy(w->bytes, bytes, len);
	s->queued += len;
	if (uv_write(&w->req, (uv_stream_t *)&s->pipe, &(uv_buf_t){.base = (char *)w->bytes, .len = len}, 1,
	            client_written) < 0) {
		s->queued -= len;
		free(w);
		return false;
	}
	return true;
}

/* One read's buffer for all clients: libuv hands it back in the callback before it asks for another. */
static char read_buffer[FRAME_BYTES_MAX];

static void client_alloc(uv_handle_t *h, size_t want, uv_buf_t *buf)
{
	(void)h;
	(void)want;
	*buf = uv_buf_init(read_buffer, sizeof(read_buffer));
}

static void client_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct socket_client *s = container_of(stream, struct socket_client, pipe);

	if (n < 0)
		client_close(s);
	else if (n > 0 && !s->closed)
		control_feed(s->conn, (const uint8_t *)buf->base, (size_t)n);
}

static size_t client_queued(void *ctx)
{
	return ((struct socket_client *)ctx)->queued;
}

static void client_pause(void *ctx, bool pause)
{
	struct socket_client *s = ctx;

	if (s->closed)
		return;
	if (pause)
		uv_read_stop((uv_stream_t *)&s->pipe);
	else
		uv_read_start((uv_stream_t *)&s->pipe, client_alloc, client_read);
}

static void client_new(uv_stream_t *server, int status)
{
	struct control_socket *l = container_of(server, struct control_socket, pipe);
	struct socket_client *s;

	if (status < 0)
		return;
	s = xcalloc(1, sizeof(*s));
	uv_pipe_init(server->loop, &s->pipe, 0);
	if (uv_accept(server, (uv_stream_t *)&s->pipe) < 0) {
		client_close(s);
		return;
	}
	s->conn = control_accept(l->control, ORIGIN_SOCKET, NULL,
	        &(struct control_transport){.write = client_write,
	                .close = client_close,
	                .queued = client_queued,
	                .pause = client_pause,
	                .ctx = s});
	if (!s->conn) {
		log_warn("control", "a client was turned away: %d connections are open already",
		        CONTROL_CONNS_MAX);
		client_close(s);
		return;
	}
	uv_read_start((uv_stream_t *)&s->pipe, client_alloc, client_read);
}

static void listener_closed(uv_handle_t *h)
{
	free(container_of(h, struct control_socket, pipe));
}

void control_socket_close(struct control_socket *l)
{
	unlink(l->path);
	uv_close((uv_handle_t *)&l->pipe, listener_closed);
}

static int open_permissions(const char *path, struct err *err)
{
	const struct group *g = geteuid() == 0 ? getgrnam("starling") : NULL;

	if (g && chown(path, 0, g->gr_gid) < 0)
		return err_errno(err, "give %s to group starling", path);
	if (chmod(path, g ? 0660 : 0600) < 0)
		return err_errno(err, "set permissions of %s", path);
	return 0;
}

struct control_socket *control_socket_open(
        struct control *c, uv_loop_t *loop, const char *data_dir, struct err *err)
{
	struct control_socket *l = xcalloc(1, sizeof(*l));
	mode_t mask;
	int rc;

	l->control = c;
	if ((size_t)snprintf(l->path, sizeof(l->path), "%s/control.sock", data_dir) >= sizeof(l->path)) {
		err_set(err, ERR_USAGE,
		        "data folder %s: its path is too long for a socket (%zu bytes at most); choose a "
		        "shorter one with --data",
		        data_dir, sizeof(l->path) - sizeof("/control.sock"));
		free(l);
		return NULL;
	}
	unlink(l->path); /* left by a crash; the lock on the data folder says that no agent uses it */
	uv_pipe_init(loop, &l->pipe, 0);
	mask = umask(0177);
	rc = uv_pipe_bind(&l->pipe, l->path);
	umask(mask);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&l->pipe, LISTEN_BACKLOG, client_new);
	if (rc < 0) {
		err_set(err, ERR_FAILED, "listen on %s: %s", l->path, uv_strerror(rc));
		uv_close((uv_handle_t *)&l->pipe, listener_closed);
		return NULL;
	}
	if (open_permissions(l->path, err) < 0) {
		control_socket_close(l);
		return NULL;
	}
	return l;
}
