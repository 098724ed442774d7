/*
 * relay: this connection becomes one with another peer. From our {item} on, all bytes of the client go to that peer over a
 * session of ours with it, and all of its bytes to the client, until either side ends.
 *
 *	client ==control.sock, session==> this agent ==peer session==> the peer
 *	       '------------------- CHANNEL_CONTROL: control protocol, as peers ask each other
 *	                            CHANNEL_RELAY: a session of the client's own with that peer, end to end
 *
 * Neither side reads faster than the other writes: what is queued for one stops the reading from the other, so a relay
 * holds at most CALL_QUEUE_HIGH and one read of bytes each way.
 */
#include "base/log.h"
#include "base/text.h"
#include "node/control/call.h"

/* Connection ids: gossip's have none of the top bits, inbound ones the first, ask.c's the second. */
#define RELAY_ID_BIT (1ULL << 61)

/* Relays at once. Each takes a client's connection and a session with a peer, and may hold 2 * CALL_QUEUE_HIGH bytes. */
#define RELAYS_MAX 128

struct relay {
	struct call *call;
	uint64_t id; /* our session with the peer; 0: it has ended */
	char name[NAME_MAX_BYTES];
	uint8_t channel;
	bool up;
	bool held;   /* the client is not read from: the peer does not read */
	bool paused; /* the peer is not read from: the client does not read */
};

static bool has_id(const struct call *c, const void *id)
{
	return ((const struct relay *)c->state)->id == *(const uint64_t *)id;
}

bool relay_is(uint64_t id)
{
	return id >> 61 == RELAY_ID_BIT >> 61;
}

static const struct verb *own_verb(void)
{
	for (size_t i = 0; i < n_verbs; i++)
		if (verbs[i].run == verb_relay)
			return &verbs[i];
	return NULL;
}

static struct relay *find(struct control *c, uint64_t id)
{
	struct call *call = control_find_call(c, own_verb(), has_id, &id);

	return call ? call->state : NULL;
}

static void relay_free(void *state)
{
	struct relay *r = state;

	if (r->id)
		peer_net_close_conn(r->call->agent->net, r->id);
	free(r);
}

static void fail(struct relay *r, enum err_code code, const char *why)
{
	struct err err;

	err_set(&err, code, "peer %s cannot be reached from %s: %s", r->name, r->call->agent->cfg.name, why);
	call_pause(r->call, false);
	call_fail(r->call, &err);
}

static void from_client(struct call *c, const uint8_t *bytes, size_t len)
{
	struct relay *r = c->state;
	struct peer_net *net = c->agent->net;

	while (len && r->id) {
		size_t n = MIN(len, (size_t)FRAME_BYTES_MAX);

		if (!peer_net_send_frame(net, r->id, bytes, n))
			return; /* relay_closed() comes */
		bytes += n;
		len -= n;
	}
	if (r->id && !r->held && peer_net_queued(net, r->id) > CALL_QUEUE_HIGH) {
		r->held = true;
		call_pause(c, true);
	}
}

static void to_client_drained(struct call *c)
{
	struct relay *r = c->state;

	if (!r->id) {
		call_close(c);
	} else if (r->paused) {
		r->paused = false;
		peer_net_pause(c->agent->net, r->id, false);
	}
}

void relay_ready(struct control *c, uint64_t id)
{
	struct relay *r = find(c, id);
	struct wr none;

	if (!r)
		return;
	peer_net_send_frame(r->call->agent->net, id, &r->channel, 1);
	r->up = true;
	wr_init(&none, 16);
	pk_map(&none, 0);
	call_item(r->call, &none);
	wr_free(&none);
	call_pause(r->call, false);
}

void relay_frame(struct control *c, uint64_t id, const uint8_t *bytes, size_t len)
{
	struct relay *r = find(c, id);

	if (!r || call_is_closing(r->call))
		return;
	call_write(r->call, bytes, len);
	if (!call_is_closing(r->call) && !r->paused && call_queued(r->call) > CALL_QUEUE_HIGH) {
		r->paused = true;
		peer_net_pause(r->call->agent->net, id, true);
	}
}

void relay_closed(struct control *c, uint64_t id, bool refused, const char *why)
{
	struct relay *r = find(c, id);

	if (!r)
		return;
	r->id = 0;
	if (!r->up)
		fail(r, ERR_FAILED, refused ? "no agent answers there" : why ? why : "the connection ended");
	else if (!call_queued(r->call))
		call_close(r->call);
}

void relay_drained(struct control *c, uint64_t id)
{
	struct relay *r = find(c, id);

	if (!r || !r->held)
		return;
	r->held = false;
	call_pause(r->call, false);
}

static int read_args(struct call *c, struct relay *r, struct key32 *key, struct addr *addr, struct err *err)
{
	const struct view *v = &c->agent->view;
	struct member m;
	char text[32];
	bool given, end_to_end;
	id64 id;

	if (arg_text(c, "peer", text, sizeof(text), &given, err) < 0 ||
	        arg_bool(c, "end_to_end", &end_to_end, err) < 0)
		return -1;
	r->channel = end_to_end ? CHANNEL_RELAY : CHANNEL_CONTROL;
	if (!id64_parse(&id, text))
		return err_set(err, ERR_USAGE, "relay: \"%s\" is no peer's id", text);
	for (size_t i = 0; i < v->n_members; i++) {
		if (v->members[i].id != id || i == v->self)
			continue;
		*key = v->members[i].key;
		text_copy(r->name, sizeof(r->name), v->members[i].facts ? v->members[i].facts->name : text);
		if (v->members[i].state == VIEW_DEAD)
			return err_set(err, ERR_FAILED, "peer %s cannot be reached: %s takes it for dead",
			        r->name, c->agent->cfg.name);
		if (gossip_member(c->agent->gossip, key, &m) && m.addr.family) {
			*addr = m.addr;
			return 0;
		}
		return err_set(err, ERR_FAILED, "peer %s cannot be reached: its address is not known", r->name);
	}
	return err_set(
	        err, ERR_FAILED, "relay: peer %s is not in this flock, as %s sees it", text, c->agent->cfg.name);
}

void verb_relay(struct call *c)
{
	struct relay *r = xcalloc(1, sizeof(*r));
	struct err err = {0};
	struct key32 key;
	struct addr addr;

	r->call = c;
	if (control_count_calls(c->control, c->verb) > RELAYS_MAX)
		err_set(&err, ERR_FAILED,
		        "relay: peer %s relays for %d others already; try again soon, or ask another peer",
		        c->agent->cfg.name, RELAYS_MAX);
	if (err.code || read_args(c, r, &key, &addr, &err) < 0) {
		free(r);
		call_fail(c, &err);
		return;
	}
	r->id = RELAY_ID_BIT | control_relay_id(c->control);
	c->state = r;
	c->free_state = relay_free;
	c->bytes = from_client;
	c->drained = to_client_drained;
	/* Nothing of the client's is read until there is somebody to take it. */
	call_pause(c, true);
	peer_net_connect(c->agent->net, r->id, &addr, &key);
}
