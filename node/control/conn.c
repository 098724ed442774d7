/* Connections of the control protocol: greeting, requests one after the other, who may ask what. */
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "node/control/call.h"
#include "node/control/socket.h"

struct control_conn {
	struct list link;
	struct control *control;
	struct control_transport to;
	enum control_origin origin;
	struct key32 key;
	struct hello hello;
	struct proto_in in;
	struct call *call; /* under way; further requests wait in `in` */
	uint32_t seq;      /* the next request must have it: a signature holds once */
	mono_ms idle_from; /* when it was greeted, or its last request ended */
	bool closing;
};

/* Milliseconds without a request after which a connection may be closed to make room for another. A CLI asks at once;
 * an agent that asks another connects again when it has to. */
#define IDLE_MS SECONDS(10)

struct control {
	struct agent *agent;
	struct list conns;
	struct list calls;
	struct ask *ask;
	uint64_t relay_seq;
	struct control_socket *socket;
	bool shut; /* control_free() was called; the last connection to go frees it */
};

static void release(struct control *c)
{
	ask_free(c->ask);
	free(c);
}

struct control *control_new(struct agent *a)
{
	struct control *c = xcalloc(1, sizeof(*c));

	c->agent = a;
	list_init(&c->conns);
	list_init(&c->calls);
	c->ask = ask_new(c, a);
	return c;
}

int control_listen(struct control *c, struct err *err)
{
	c->socket = control_socket_open(c, &c->agent->loop, c->agent->cfg.data_dir, err);
	return c->socket ? 0 : -1;
}

struct ask *control_asker(struct control *c)
{
	return c->ask;
}

static void call_free(struct call *call)
{
	if (call->waiting)
		ask_cancel(call->control->ask, call);
	if (call->free_state)
		call->free_state(call->state);
	list_remove(&call->link);
	call->conn->call = NULL;
	free(call->message);
	free(call);
}

size_t call_queued(const struct call *c)
{
	return c->conn->to.queued(c->conn->to.ctx);
}

void call_pause(struct call *c, bool pause)
{
	if (!c->conn->closing)
		c->conn->to.pause(c->conn->to.ctx, pause);
}

bool call_is_closing(const struct call *c)
{
	return c->conn->closing;
}

static void conn_close(struct control_conn *conn)
{
	if (conn->closing)
		return;
	conn->closing = true;
	conn->to.close(conn->to.ctx);
}

void control_free(struct control *c)
{
	if (!c)
		return;
	if (c->socket)
		control_socket_close(c->socket);
	list_each (&c->conns, item) {
		struct control_conn *conn = list_entry(item, struct control_conn, link);

		/* Now, while what calls hold on to is there. */
		if (conn->call)
			call_free(conn->call);
		conn_close(conn);
	}
	c->shut = true;
	if (list_empty(&c->conns))
		release(c);
}

void call_write(struct call *c, const uint8_t *bytes, size_t len)
{
	if (!c->conn->closing && !c->conn->to.write(c->conn->to.ctx, bytes, len))
		conn_close(c->conn);
}

void call_close(struct call *c)
{
	struct control_conn *conn = c->conn;

	call_free(c);
	conn_close(conn);
}

struct call *control_find_call(struct control *c, const struct verb *verb,
        bool (*is)(const struct call *, const void *), const void *ctx)
{
	list_each (&c->calls, item) {
		struct call *call = list_entry(item, struct call, link);

		if (call->verb == verb && call->state && is(call, ctx))
			return call;
	}
	return NULL;
}

size_t control_count_calls(const struct control *c, const struct verb *verb)
{
	size_t n = 0;

	list_each (&c->calls, item)
		n += list_entry(item, struct call, link)->verb == verb;
	return n;
}

static void conn_write(struct control_conn *conn, const struct wr *w)
{
	if (conn->closing || (wr_ok(w) && !w->len)) /* a list may have no rows */
		return;
	if (!wr_ok(w)) {
		log_error("control",
		        "an answer is longer than %d bytes and was not sent; the connection is closed",
		        CONTROL_MESSAGE_MAX);
		conn->closing = true;
	} else if (!conn->to.write(conn->to.ctx, w->p, w->len)) {
		conn->closing = true;
	}
	if (conn->closing)
		conn->to.close(conn->to.ctx);
}

static void greet(struct control_conn *conn)
{
	struct agent *a = conn->control->agent;
	struct wr w;

	conn->hello = (struct hello){.flock = a->flock, .peer = a->keys.public_key, .boot = a->boot};
	text_copy(conn->hello.flock_name, sizeof(conn->hello.flock_name),
	        trust_flock_name(gossip_trust(a->gossip)));
	text_copy(conn->hello.peer_name, sizeof(conn->hello.peer_name), a->cfg.name);
	text_copy(conn->hello.version, sizeof(conn->hello.version), STARLING_VERSION);
	drbg_bytes(&a->rng, conn->hello.nonce, sizeof(conn->hello.nonce));
	conn->hello.stamp = gossip_stamp(a->gossip, agent_now(a).wall);
	wr_init(&w, 4096);
	proto_hello(&w, &conn->hello);
	conn_write(conn, &w);
	wr_free(&w);
}

/* Is there room for one more? If need be, the connection that has asked for nothing for longest makes it. */
static bool make_room(struct control *c)
{
	mono_ms now = agent_now(c->agent).mono;
	struct control_conn *idle = NULL;
	size_t n_open = 0;

	list_each (&c->conns, item) {
		struct control_conn *conn = list_entry(item, struct control_conn, link);

		/* One that speaks with another peer through us has a bound of its own. */
		if (conn->closing || (conn->call && conn->call->bytes))
			continue;
		n_open++;
		if (!conn->call && now - conn->idle_from >= IDLE_MS &&
		        (!idle || conn->idle_from < idle->idle_from))
			idle = conn;
	}
	if (n_open < CONTROL_CONNS_MAX)
		return true;
	if (!idle)
		return false;
	idle->closing = true;
	idle->to.close(idle->to.ctx);
	return true;
}

static void turn_away(const struct control_transport *t)
{
	struct err err;
	struct wr w;

	err_set(&err, ERR_FAILED,
	        "the agent serves %d connections already and all are in use; end some (each --watch and logs -f has "
	        "one), or try again in %d s",
	        CONTROL_CONNS_MAX, (int)(IDLE_MS / 1000));
	wr_init(&w, 4096);
	proto_error(&w, &err);
	t->write(t->ctx, w.p, w.len);
	wr_free(&w);
}

struct control_conn *control_accept(
        struct control *c, enum control_origin origin, const struct key32 *key, const struct control_transport *t)
{
	struct control_conn *conn;

	if (!make_room(c)) {
		turn_away(t);
		return NULL;
	}
	conn = xcalloc(1, sizeof(*conn));
	conn->control = c;
	conn->to = *t;
	conn->origin = origin;
	if (key)
		conn->key = *key;
	proto_in_init(&conn->in);
	conn->idle_from = agent_now(c->agent).mono;
	list_push_back(&c->conns, &conn->link);
	greet(conn);
	return conn;
}

void control_gone(struct control_conn *conn)
{
	struct control *c = conn->control;

	conn->closing = true;
	if (conn->call)
		call_free(conn->call);
	list_remove(&conn->link);
	proto_in_free(&conn->in);
	free(conn);
	if (c->shut && list_empty(&c->conns))
		release(c);
}

void control_drained(struct control_conn *conn)
{
	if (!conn->closing && conn->call && conn->call->drained)
		conn->call->drained(conn->call);
}

static const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < n_verbs; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static void begin(struct control_conn *conn, const uint8_t *msg, size_t len)
{
	struct call *call = xcalloc(1, sizeof(*call));
	struct err err = {0};

	call->conn = conn;
	call->control = conn->control;
	call->agent = conn->control->agent;
	call->origin = conn->origin;
	call->message = xmemdup(msg, len);
	list_push_back(&conn->control->calls, &call->link);
	conn->call = call;
	if (proto_read_request(&call->req, call->message, len, &err) < 0)
		goto fail;
	call->verb = verb_find(call->req.verb);
	if (!call->verb) {
		err_set(&err, ERR_USAGE,
		        "the agent (version %s) does not know the request %s; use a CLI of its version",
		        STARLING_VERSION, call->req.verb);
		goto fail;
	}
	if (call->req.seq != conn->seq) {
		err_set(&err, ERR_USAGE, "request %u came where %u was due on this connection; connect again",
		        call->req.seq, conn->seq);
		goto fail;
	}
	conn->seq++;
	if (call_authorise(call, &conn->hello, &conn->key, &err) < 0 ||
	        arg_bool(call, "watch", &call->watch, &err) < 0)
		goto fail;
	call->verb->run(call);
	return;
fail:
	call_fail(call, &err);
}

/* Takes requests until one is under way that has not ended yet. */
static void serve(struct control_conn *conn)
{
	struct err err = {0};
	const uint8_t *msg;
	size_t len;

	while ((!conn->call || conn->call->input) && !conn->closing) {
		msg = proto_in_take(&conn->in, &len, &err);
		if (!msg)
			break;
		if (conn->call)
			conn->call->input(conn->call, msg, len);
		else
			begin(conn, msg, len);
	}
	if (err.code && !conn->closing) {
		log_warn("control", "a client was cut off: %s", err.text);
		conn->closing = true;
		conn->to.close(conn->to.ctx);
	}
}

void control_feed(struct control_conn *conn, const uint8_t *bytes, size_t len)
{
	struct err err;

	if (conn->closing)
		return;
	if (conn->call && conn->call->bytes) {
		conn->call->bytes(conn->call, bytes, len);
		return;
	}
	if (proto_in_feed(&conn->in, bytes, len, &err) < 0) {
		log_warn("control", "a client was cut off: %s", err.text);
		conn->closing = true;
		conn->to.close(conn->to.ctx);
		return;
	}
	serve(conn);
}

void call_item(struct call *c, const struct wr *value)
{
	struct wr w;

	wr_init(&w, CONTROL_MESSAGE_MAX + 16);
	proto_item(&w, value);
	conn_write(c->conn, &w);
	wr_free(&w);
}

static void finish(struct call *c, struct wr *w)
{
	struct control_conn *conn = c->conn;

	conn_write(conn, w);
	wr_free(w);
	call_free(c);
	conn->idle_from = agent_now(conn->control->agent).mono;
	/* A request that came meanwhile; nested only as deep as requests are pipelined in one read. */
	if (!conn->closing)
		serve(conn);
}

void call_end(struct call *c, const struct wr *value)
{
	struct wr w;

	wr_init(&w, CONTROL_MESSAGE_MAX + 16);
	proto_end(&w, value);
	finish(c, &w);
}

void call_fail(struct call *c, const struct err *err)
{
	struct wr w;

	wr_init(&w, 4096);
	proto_error(&w, err);
	finish(c, &w);
}

void call_rows(struct call *c, struct rows *r)
{
	struct control_conn *conn = c->conn;
	struct key32 hash;
	struct wr w;
	size_t at = 0;

	hash32(&hash, r->w.p, r->w.len);
	if (c->watch && c->sent_once && key32_eq(&hash, &c->last))
		return;
	c->last = hash;
	wr_init(&w, ROWS_BYTES_MAX + 4096);
	if (c->watch)
		proto_reset(&w, (uint32_t)r->n);
	for (size_t i = 0; i < r->n; i++) {
		struct wr row = {.p = r->w.p + at, .len = r->end[i] - at};

		proto_item(&w, &row);
		at = r->end[i];
	}
	c->sent_once = true;
	conn_write(conn, &w);
	wr_free(&w);
	if (!c->watch) {
		wr_init(&w, 16);
		pk_map(&w, 0);
		call_end(c, &w);
		wr_free(&w);
	} else if (conn->closing) {
		call_free(c);
	}
}

void control_changed(struct control *c)
{
	list_each (&c->calls, item) {
		struct call *call = list_entry(item, struct call, link);
		struct err err;

		if (!call->verb)
			continue;
		if (call_authorise_still(call, &err) < 0)
			call_fail(call, &err);
		else if (call->watch && !call->waiting)
			call->verb->run(call);
	}
}

void control_accepted(struct control *c, const struct gossip_action *accepted)
{
	list_each (&c->calls, item) {
		struct call *call = list_entry(item, struct call, link);

		if (!call->ticket || call->ticket != accepted->ticket)
			continue;
		if (call->accepted)
			call->accepted(call, accepted->copies, accepted->wanted);
		else
			submit_answer(call, accepted);
		return;
	}
}

void control_disk_failed(struct control *c, const char *why)
{
	struct err err;

	err_set(&err, ERR_FAILED,
	        "this peer's disk failed, so its agent stops: %s. Whether the change was accepted is not known; look "
	        "with `starling history` or `key ls` on another peer, or once this agent runs again",
	        why);
	list_each (&c->calls, item) {
		struct call *call = list_entry(item, struct call, link);

		if (call->ticket)
			call_fail(call, &err);
	}
}

uint64_t control_relay_id(struct control *c)
{
	return ++c->relay_seq;
}

bool control_ask_ready(struct control *c, uint64_t id)
{
	if (ask_is(c->ask, id))
		ask_ready(c->ask, id);
	else if (relay_is(id))
		relay_ready(c, id);
	else
		return false;
	return true;
}

bool control_ask_frame(struct control *c, uint64_t id, const uint8_t *bytes, size_t len)
{
	if (ask_is(c->ask, id))
		ask_frame(c->ask, id, bytes, len);
	else if (relay_is(id))
		relay_frame(c, id, bytes, len);
	else
		return false;
	return true;
}

bool control_ask_closed(struct control *c, uint64_t id, bool refused, const char *why)
{
	if (ask_is(c->ask, id))
		ask_closed(c->ask, id);
	else if (relay_is(id))
		relay_closed(c, id, refused, why);
	else
		return false;
	return true;
}

bool control_ask_drained(struct control *c, uint64_t id)
{
	if (relay_is(id))
		relay_drained(c, id);
	return ask_is(c->ask, id) || relay_is(id);
}
