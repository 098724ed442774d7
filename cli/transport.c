#include "cli/transport.h"

#include "cli/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fail_unix(const char *data_dir, struct err *err)
{
	if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)
		return err_set(err, ERR_FAILED,
		        "no agent runs at %s; start it with `starling agent --data %s`, or name another with --data DIR or "
		        "--peer ADDRESS",
		        data_dir, data_dir);
	if (errno == EACCES || errno == EPERM)
		return err_set(err, ERR_UNAUTHORISED,
		        "%s/control.sock may not be opened by this user; be of its group (starling), or use sudo",
		        data_dir);
	return err_errno(err, "connect to %s/control.sock", data_dir);
}

int transport_unix(struct transport *t, const char *data_dir, struct err *err)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int len = snprintf(to.sun_path, sizeof(to.sun_path), "%s/control.sock", data_dir);

	*t = (struct transport){.fd = -1};
	snprintf(t->to, sizeof(t->to), "the agent at %s", data_dir);
	if (len >= (int)sizeof(to.sun_path))
		return err_set(
		        err, ERR_FAILED, "%s: too long for a socket's path; use a shorter data folder", data_dir);
	t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (t->fd < 0)
		return err_errno(err, "make a socket");
	if (connect(t->fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		fail_unix(data_dir, err);
		transport_close(t);
		return -1;
	}
	fcntl(t->fd, F_SETFL, O_NONBLOCK);
	return 0;
}

/* Waits until events hold; false when ms have passed. */
static bool wait_for(int fd, short events, int64_t ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	mono_ms until = clock_mono() + ms;
	int64_t left = ms;

	do {
		int n = poll(&p, 1, (int)MIN(left, (int64_t)INT32_MAX));

		if (n != 0)
			return n > 0 || errno != EINTR;
		left = until - clock_mono();
	} while (left > 0);
	return false;
}

static int connect_tcp(struct transport *t, const struct addr *addr, int64_t ms, struct err *err)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(addr->port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(addr->port)};
	const struct sockaddr *to = addr->family == 6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
	socklen_t len = addr->family == 6 ? sizeof(v6) : sizeof(v4);
	int one = 1;
	int failed = 0;

	memcpy(&v4.sin_addr, addr->ip, 4);
	memcpy(&v6.sin6_addr, addr->ip, 16);
	t->fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->fd < 0)
		return err_errno(err, "make a socket");
	setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(t->fd, to, len) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return err_errno(err, "connect to %s", t->to);
	if (!wait_for(t->fd, POLLOUT, ms))
		return err_set(
		        err, ERR_TIMEOUT, "connect to %s: no answer; is the host up and the port open?", t->to);
	len = sizeof(failed);
	getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &failed, &len);
	errno = failed;
	if (failed == ECONNREFUSED)
		return err_set(err, ERR_FAILED, "connect to %s: refused; no agent listens there", t->to);
	return failed ? err_errno(err, "connect to %s", t->to) : 0;
}

static int send_all(struct transport *t, const uint8_t *bytes, size_t len, mono_ms until, struct err *err)
{
	while (len) {
		ssize_t n = send(t->fd, bytes, len, MSG_NOSIGNAL);

		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
			return err_errno(err, "write to %s", t->to);
		} else if (!wait_for(t->fd, POLLOUT, until - clock_mono())) {
			return err_set(err, ERR_TIMEOUT, "write to %s: it does not read", t->to);
		}
	}
	return 0;
}

static int flush(struct transport *t, mono_ms until, struct err *err)
{
	size_t len;
	const uint8_t *out = session_output(t->session, &len);
	int ret = send_all(t, out, len, until, err);

	session_sent(t->session, len);
	return ret;
}

/* Through the outer session, if there is one. */
static int send_outer(struct transport *t, const uint8_t *bytes, size_t len, mono_ms until, struct err *err)
{
	if (!t->session)
		return send_all(t, bytes, len, until, err);
	while (len) {
		size_t part = MIN(len, (size_t)FRAME_BYTES_MAX);

		if (session_send(t->session, bytes, part, err) < 0 || flush(t, until, err) < 0)
			return -1;
		bytes += part;
		len -= part;
	}
	return 0;
}

static int flush_inner(struct transport *t, mono_ms until, struct err *err)
{
	size_t len;
	const uint8_t *out = session_output(t->inner, &len);
	int ret = send_outer(t, out, len, until, err);

	session_sent(t->inner, len);
	return ret;
}

/* Reads what there is. Bytes, 0 none, -1 gone. */
static ssize_t read_some(struct transport *t, uint8_t *buf, size_t cap, int64_t ms, struct err *err)
{
	ssize_t n;

	if (!wait_for(t->fd, POLLIN, ms))
		return 0;
	n = recv(t->fd, buf, cap, 0);
	if (n > 0)
		return n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return err_errno(err, "read from %s", t->to);
	return err_set(err, ERR_FAILED, "%s closed the connection", t->to);
}

static int refused(struct transport *t, struct err *err)
{
	err_wrap(
	        err, "session with %s refused: the flock may be another one, or this key not known to it", t->to);
	if (err)
		err->code = ERR_UNAUTHORISED;
	return -1;
}

static int handshake(struct transport *t, mono_ms until, struct err *err)
{
	uint8_t buf[4096];

	for (;;) {
		enum session_event ev = session_next(t->session, err);
		ssize_t n;

		if (ev == SESSION_ERROR)
			return err_wrap(err, "session with %s", t->to);
		if (flush(t, until, err) < 0)
			return -1;
		if (ev == SESSION_READY)
			return 0;
		n = read_some(t, buf, sizeof(buf), until - clock_mono(), err);
		if (n < 0)
			return refused(t, err);
		if (n == 0)
			return err_set(err, ERR_TIMEOUT, "session with %s: no answer in time", t->to);
		if (session_feed(t->session, buf, (size_t)n, err) < 0)
			return -1;
	}
}

static void start_rng(struct transport *t)
{
	uint8_t seed[32];

	randombytes_buf(seed, sizeof(seed));
	drbg_init(&t->rng, seed);
	sodium_memzero(seed, sizeof(seed));
}

int transport_tcp(struct transport *t, const struct addr *addr, const struct key32 *flock, enum session_role role,
        const uint8_t secret[64], int64_t ms, struct err *err)
{
	mono_ms until = clock_mono() + ms;
	char text[ADDR_TEXT_MAX];

	*t = (struct transport){.fd = -1};
	addr_text(text, addr);
	snprintf(t->to, sizeof(t->to), "peer %s", text);
	if (connect_tcp(t, addr, ms, err) < 0) {
		transport_close(t);
		return -1;
	}
	start_rng(t);
	t->session = session_connect(flock, role, secret, NULL, &t->rng);
	if (handshake(t, until, err) < 0) {
		transport_close(t);
		return -1;
	}
	return 0;
}

/* What the session under the inner one delivers, or the socket. 1 some, 0 none within ms, -1. */
static int read_inner(struct transport *t, int64_t ms, struct err *err)
{
	uint8_t buf[FRAME_BYTES_MAX];
	const uint8_t *frame;
	size_t len;
	ssize_t n = read_some(t, buf, sizeof(buf), ms, err);

	if (n <= 0)
		return (int)n;
	if (!t->session)
		return session_feed(t->inner, buf, (size_t)n, err) < 0 ? -1 : 1;
	if (session_feed(t->session, buf, (size_t)n, err) < 0)
		return -1;
	for (;;) {
		switch (session_next(t->session, err)) {
		case SESSION_ERROR:
			return err_wrap(err, "session with %s", t->to);
		case SESSION_FRAME:
			frame = session_frame(t->session, &len);
			if (session_feed(t->inner, frame, len, err) < 0)
				return -1;
			break;
		case SESSION_WAIT:
			return 1;
		case SESSION_READY:
			break;
		}
	}
}

int transport_inner(struct transport *t, const char *name, const struct key32 *flock, enum session_role role,
        const uint8_t secret[64], int64_t ms, struct err *err)
{
	mono_ms until = clock_mono() + ms;

	if (!t->session)
		start_rng(t);
	snprintf(t->to, sizeof(t->to), "peer %s", name);
	t->inner = session_connect(flock, role, secret, NULL, &t->rng);
	for (;;) {
		enum session_event ev = session_next(t->inner, err);
		int n;

		if (ev == SESSION_ERROR)
			return err_wrap(err, "session with %s", t->to);
		if (flush_inner(t, until, err) < 0)
			return -1;
		if (ev == SESSION_READY)
			return 0;
		n = read_inner(t, until - clock_mono(), err);
		if (n < 0)
			return refused(t, err);
		if (n == 0 && clock_mono() >= until)
			return err_set(err, ERR_TIMEOUT, "session with %s: no answer in time", t->to);
	}
}

void transport_close(struct transport *t)
{
	if (t->inner)
		session_free(t->inner);
	t->inner = NULL;
	if (t->session)
		session_free(t->session);
	if (t->fd >= 0)
		close(t->fd);
	t->session = NULL;
	t->fd = -1;
}

const struct key32 *transport_peer(const struct transport *t)
{
	if (t->inner)
		return session_peer(t->inner);
	return t->session ? session_peer(t->session) : NULL;
}

int transport_write(struct transport *t, const uint8_t *bytes, size_t len, int64_t ms, struct err *err)
{
	mono_ms until = clock_mono() + ms;

	if (!t->inner)
		return send_outer(t, bytes, len, until, err);
	while (len) {
		size_t part = MIN(len, (size_t)FRAME_BYTES_MAX);

		if (session_send(t->inner, bytes, part, err) < 0 || flush_inner(t, until, err) < 0)
			return -1;
		bytes += part;
		len -= part;
	}
	return 0;
}

/* Every frame of the innermost session that is whole goes to in; frames of the outer one go to the inner. 1 there were
 * some, 0 none, -1. */
static int open_frames(struct transport *t, struct session *s, struct proto_in *in, struct err *err)
{
	int some = 0;

	for (;;) {
		enum session_event ev = session_next(s, err);
		const uint8_t *frame;
		size_t len;
		int ret;

		if (ev == SESSION_ERROR)
			return err_wrap(err, "session with %s", t->to);
		if (ev == SESSION_WAIT)
			return some;
		if (ev != SESSION_FRAME)
			continue;
		frame = session_frame(s, &len);
		if (t->inner && s == t->session) {
			if (session_feed(t->inner, frame, len, err) < 0)
				return -1;
			ret = open_frames(t, t->inner, in, err);
			some |= ret;
		} else {
			ret = proto_in_feed(in, frame, len, err);
			some = 1;
		}
		if (ret < 0)
			return -1;
	}
}

int transport_read(struct transport *t, struct proto_in *in, int64_t ms, struct err *err)
{
	struct session *first = t->session ? t->session : t->inner;
	uint8_t buf[FRAME_BYTES_MAX];
	int some = 0;
	ssize_t n;

	/* What came together with the handshake's last bytes. */
	if (t->inner)
		some = open_frames(t, t->inner, in, err);
	else if (t->session)
		some = open_frames(t, t->session, in, err);
	if (some)
		return some;
	n = read_some(t, buf, sizeof(buf), ms, err);
	if (n <= 0)
		return (int)n;
	if (!first)
		return proto_in_feed(in, buf, (size_t)n, err) < 0 ? -1 : 1;
	if (session_feed(first, buf, (size_t)n, err) < 0)
		return -1;
	/* Bytes of a frame that is not whole yet are progress all the same. */
	return open_frames(t, first, in, err) < 0 ? -1 : 1;
}
