/*
 * What only a task's owner knows (pid, restarts, exits), asked of other agents over a peer session on the control
 * channel. One connection per peer, kept while it is used; one question at a time on each.
 */
#include "base/log.h"
#include "base/map.h"
#include "base/text.h"
#include "node/control/call.h"

/* Connection ids: gossip's have none of the top bits, inbound ones the top bit, a relay's the third (verb_relay.c). */
#define ASK_ID_BIT (1ULL << 62)

/* An unused connection is closed after this long. */
#define ASK_IDLE SECONDS(30)

/* Lists that may wait at once; more are answered from what is known. */
#define ASK_WAITERS_MAX 64

/* Tasks of other peers remembered, 0.5 KiB each: what a busy list needs; beyond it columns stay empty. */
#define DETAILS_MAX 16384

struct ask_peer {
	struct key32 key;
	uint64_t id; /* connection; 0 none */
	bool greeted;
	bool asking; /* a question is under way, or will be once greeted */
	uint32_t seq;
	mono_ms used;
	struct hello hello;
	struct proto_in in;
};

struct waiter {
	void (*done)(void *);
	void *ctx;
	mono_ms until;
	size_t n;
	struct key32 *peers;
};

struct ask {
	struct agent *agent;
	struct control *control;
	struct map peers;   /* key -> ask_peer */
	struct map details; /* task id -> detail */
	uint64_t next_id;
	struct waiter waiters[ASK_WAITERS_MAX];
	size_t n_waiters;
	uv_timer_t *timer; /* its own memory: freed by its close callback */
};

static void on_timer(uv_timer_t *t);

struct ask *ask_new(struct control *c, struct agent *a)
{
	struct ask *ask = xcalloc(1, sizeof(*ask));

	ask->agent = a;
	ask->control = c;
	ask->next_id = ASK_ID_BIT;
	map_init(&ask->peers, sizeof(struct key32), NULL);
	map_init(&ask->details, sizeof(id64), NULL);
	ask->timer = xcalloc(1, sizeof(*ask->timer));
	uv_timer_init(&a->loop, ask->timer);
	ask->timer->data = ask;
	uv_unref((uv_handle_t *)ask->timer);
	return ask;
}

static void timer_closed(uv_handle_t *h)
{
	free(h);
}

void ask_free(struct ask *ask)
{
	map_each (&ask->peers, p) {
		proto_in_free(&((struct ask_peer *)p)->in);
		free(p);
	}
	map_each (&ask->details, d)
		free(d);
	map_free(&ask->peers);
	map_free(&ask->details);
	for (size_t i = 0; i < ask->n_waiters; i++)
		free(ask->waiters[i].peers);
	uv_close((uv_handle_t *)ask->timer, timer_closed);
	free(ask);
}

const struct detail *ask_detail(const struct ask *ask, id64 task)
{
	return map_get(&ask->details, &task);
}

bool ask_is(const struct ask *ask, uint64_t id)
{
	(void)ask;
	return (id & ASK_ID_BIT) && !(id >> 63);
}

static struct ask_peer *by_id(struct ask *ask, uint64_t id)
{
	map_each (&ask->peers, p)
		if (((struct ask_peer *)p)->id == id)
			return p;
	return NULL;
}

/* --- waiters --- */

static bool still_asking(struct ask *ask, const struct waiter *w)
{
	for (size_t i = 0; i < w->n; i++) {
		const struct ask_peer *p = map_get(&ask->peers, &w->peers[i]);

		if (p && p->asking)
			return true;
	}
	return false;
}

static void remove_waiter(struct ask *ask, size_t i)
{
	free(ask->waiters[i].peers);
	ask->waiters[i] = ask->waiters[--ask->n_waiters];
}

static void arm(struct ask *ask)
{
	mono_ms now = agent_now(ask->agent).mono;
	mono_ms next = now + ASK_IDLE;

	for (size_t i = 0; i < ask->n_waiters; i++)
		next = MIN(next, ask->waiters[i].until);
	if (ask->peers.len)
		uv_timer_start(ask->timer, on_timer, (uint64_t)MAX(next - now, 0), 0);
}

/* done() may start or cancel other waits: begin again after each. */
static void wake_waiters(struct ask *ask)
{
	mono_ms now = agent_now(ask->agent).mono;
	bool again = true;

	while (again) {
		again = false;
		for (size_t i = 0; i < ask->n_waiters && !again; i++) {
			struct waiter w = ask->waiters[i];

			if (still_asking(ask, &w) && now < w.until)
				continue;
			remove_waiter(ask, i);
			w.done(w.ctx);
			again = true;
		}
	}
	arm(ask);
}

void ask_cancel(struct ask *ask, void *ctx)
{
	for (size_t i = ask->n_waiters; i-- > 0;)
		if (ask->waiters[i].ctx == ctx)
			remove_waiter(ask, i);
}

/* --- one question --- */

static void fail(struct ask *ask, struct ask_peer *p)
{
	uint64_t id = p->id;

	p->id = 0;
	p->greeted = false;
	p->asking = false;
	proto_in_free(&p->in);
	if (id)
		peer_net_close_conn(ask->agent->net, id);
}

static void put_question(struct ask *ask, struct ask_peer *p)
{
	struct wr args;
	struct wr w;

	wr_init(&args, 16);
	pk_map(&args, 0);
	wr_init(&w, 1024);
	proto_request(&w, "tasks", p->seq++, &args, &p->hello, NULL);
	p->used = agent_now(ask->agent).mono;
	if (!peer_net_send_frame(ask->agent->net, p->id, w.p, w.len))
		fail(ask, p);
	wr_free(&w);
	wr_free(&args);
}

static bool is_stale(const struct detail *d, const struct key32 *peer, uint32_t keep)
{
	return key32_eq(&d->peer, peer) && (!keep || d->round != keep);
}

/* Drops what is known of a peer's tasks, except what its answer `keep` listed (0: all). */
static void forget_details(struct ask *ask, const struct key32 *peer, uint32_t keep)
{
	id64 gone[256];
	size_t n;

	do {
		n = 0;
		map_each (&ask->details, d)
			if (n < ARRAY_LEN(gone) && is_stale(d, peer, keep))
				gone[n++] = ((struct detail *)d)->task;
		for (size_t i = 0; i < n; i++)
			free(map_del(&ask->details, &gone[i]));
	} while (n == ARRAY_LEN(gone));
}

static void take_row(struct ask *ask, const struct ask_peer *p, const uint8_t *bytes, size_t len)
{
	struct detail d = {.peer = p->key, .round = p->seq};

	if (detail_read(&d, bytes, len) == 0 && ask->details.len < DETAILS_MAX)
		free(map_put(&ask->details, &d.task, xmemdup(&d, sizeof(d))));
}

static void take_message(struct ask *ask, struct ask_peer *p, const uint8_t *msg, size_t len)
{
	struct reply reply;
	struct err err;

	if (!p->greeted) {
		if (proto_read_hello(&p->hello, msg, len, &err) < 0) {
			fail(ask, p);
			return;
		}
		p->greeted = true;
		put_question(ask, p);
		return;
	}
	if (proto_read_reply(&reply, msg, len, &err) < 0 || reply.kind == REPLY_ERROR) {
		log_debug("control", "a peer did not list its tasks: %s",
		        reply.kind == REPLY_ERROR ? reply.error.text : err.text);
		fail(ask, p);
	} else if (reply.kind == REPLY_ITEM) {
		take_row(ask, p, reply.value, reply.value_len);
	} else if (reply.kind == REPLY_END) {
		p->asking = false;
		forget_details(ask, &p->key, p->seq);
	}
}

void ask_ready(struct ask *ask, uint64_t id)
{
	static const uint8_t channel = CHANNEL_CONTROL;

	/* The other side greets once it sees what this session is for. */
	if (by_id(ask, id))
		peer_net_send_frame(ask->agent->net, id, &channel, 1);
}

void ask_frame(struct ask *ask, uint64_t id, const uint8_t *bytes, size_t len)
{
	struct ask_peer *p = by_id(ask, id);
	struct err err = {0};
	const uint8_t *msg;
	size_t msg_len;

	if (!p)
		return;
	if (proto_in_feed(&p->in, bytes, len, &err) < 0)
		fail(ask, p);
	while (p->id == id && (msg = proto_in_take(&p->in, &msg_len, &err)))
		take_message(ask, p, msg, msg_len);
	if (p->id == id && err.code)
		fail(ask, p);
	if (!p->asking)
		wake_waiters(ask);
}

void ask_closed(struct ask *ask, uint64_t id)
{
	struct ask_peer *p = by_id(ask, id);

	if (!p)
		return;
	p->id = 0;
	fail(ask, p);
	wake_waiters(ask);
}

static void ask_one(struct ask *ask, const struct key32 *key)
{
	struct ask_peer *p = map_get(&ask->peers, key);
	struct member m;

	if (!gossip_member(ask->agent->gossip, key, &m))
		return;
	if (!p) {
		p = xcalloc(1, sizeof(*p));
		p->key = *key;
		map_put(&ask->peers, key, p);
	}
	if (p->asking)
		return;
	p->asking = true;
	if (p->id && p->greeted) {
		put_question(ask, p);
		return;
	}
	proto_in_init(&p->in);
	p->seq = 0;
	p->id = ++ask->next_id;
	p->used = agent_now(ask->agent).mono;
	peer_net_connect(ask->agent->net, p->id, &m.addr, key);
}

bool ask_refresh(struct ask *ask, const struct key32 *peers, size_t n, void (*done)(void *), void *ctx)
{
	struct waiter w = {.done = done, .ctx = ctx, .until = agent_now(ask->agent).mono + ASK_TIMEOUT, .n = n};

	if (ask->n_waiters == ASK_WAITERS_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		ask_one(ask, &peers[i]);
	w.peers = (struct key32 *)peers;
	if (!still_asking(ask, &w))
		return false;
	w.peers = xmemdup(peers, n * sizeof(*peers));
	ask->waiters[ask->n_waiters++] = w;
	arm(ask);
	return true;
}

/* Ends waits that took too long, closes connections that nobody uses, forgets tasks of peers without one. */
static void on_timer(uv_timer_t *t)
{
	struct ask *ask = t->data;
	mono_ms now = agent_now(ask->agent).mono;
	struct ask_peer *idle;

	do {
		idle = NULL;
		map_each (&ask->peers, v) {
			struct ask_peer *p = v;

			if (p->asking && now - p->used > 2 * ASK_TIMEOUT)
				fail(ask, p);
			if (!p->asking && now - p->used > ASK_IDLE)
				idle = p;
		}
		if (idle) {
			fail(ask, idle);
			forget_details(ask, &idle->key, 0);
			map_del(&ask->peers, &idle->key);
			free(idle);
		}
	} while (idle);
	wake_waiters(ask);
}
