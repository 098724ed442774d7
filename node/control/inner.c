#include "node/control/inner.h"

#include "base/log.h"

struct inner {
	struct agent *agent;
	struct control_transport outer;
	struct session *session;
	struct control_conn *conn; /* once the client has proved its key */
	bool closed;
};

static void inner_close(void *ctx)
{
	struct inner *in = ctx;

	if (in->closed)
		return;
	in->closed = true;
	in->outer.close(in->outer.ctx);
}

static bool flush(struct inner *in)
{
	size_t len;
	const uint8_t *out = session_output(in->session, &len);
	bool ok = !len || in->outer.write(in->outer.ctx, out, len);

	session_sent(in->session, len);
	return ok;
}

static bool inner_write(void *ctx, const uint8_t *bytes, size_t len)
{
	struct inner *in = ctx;
	struct err err;

	while (len) {
		size_t n = MIN(len, (size_t)FRAME_BYTES_MAX);

		if (session_send(in->session, bytes, n, &err) < 0 || !flush(in))
			return false;
		bytes += n;
		len -= n;
	}
	return true;
}

static size_t inner_queued(void *ctx)
{
	struct inner *in = ctx;

	return in->outer.queued(in->outer.ctx);
}

static void inner_pause(void *ctx, bool pause)
{
	struct inner *in = ctx;

	in->outer.pause(in->outer.ctx, pause);
}

struct inner *inner_new(struct agent *a, const struct control_transport *outer)
{
	struct inner *in = xcalloc(1, sizeof(*in));

	in->agent = a;
	in->outer = *outer;
	in->session = session_accept(&a->flock, a->keys.secret, &a->rng);
	return in;
}

/* An operator's key only: peers have their own way in, and an invite's is used where its token says. */
static void proved(struct inner *in)
{
	struct control_transport t = {
	        .write = inner_write,
	        .close = inner_close,
	        .queued = inner_queued,
	        .pause = inner_pause,
	        .ctx = in,
	};

	if (session_role(in->session) == SESSION_OPERATOR && flush(in))
		in->conn = control_accept(in->agent->control, ORIGIN_OPERATOR, session_peer(in->session), &t);
	if (!in->conn)
		inner_close(in);
}

void inner_feed(struct inner *in, const uint8_t *bytes, size_t len)
{
	struct err err = {0};
	size_t n;

	if (in->closed)
		return;
	if (session_feed(in->session, bytes, len, &err) < 0) {
		inner_close(in);
		return;
	}
	while (!in->closed) {
		const uint8_t *frame;

		switch (session_next(in->session, &err)) {
		case SESSION_WAIT:
			if (!flush(in))
				inner_close(in);
			return;
		case SESSION_READY:
			proved(in);
			break;
		case SESSION_FRAME:
			frame = session_frame(in->session, &n);
			control_feed(in->conn, frame, n);
			break;
		case SESSION_ERROR:
			log_debug("control", "a relayed session was closed: %s", err.text);
			inner_close(in);
			break;
		}
	}
}

void inner_drained(struct inner *in)
{
	if (!in->closed && in->conn)
		control_drained(in->conn);
}

void inner_free(struct inner *in)
{
	in->closed = true;
	if (in->conn)
		control_gone(in->conn);
	session_free(in->session);
	free(in);
}
