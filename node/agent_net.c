/* The agent's peer port: what arrives is gossip's, or the control protocol's. */
#include "base/log.h"
#include "node/agent_parts.h"
#include "node/control/control.h"
#include "node/control/inner.h"

/* An established session, by its id. */
struct link {
	uint64_t id;
	struct agent *agent;
	struct key32 key;
	enum session_role role;
	enum {
		LINK_NEW,
		LINK_GOSSIP,
		LINK_CONTROL,
		LINK_RELAY
	} use; /* new: waits for the initiator's channel byte */
	struct control_conn *control;
	struct inner *inner; /* LINK_RELAY */
};

static void link_free(struct agent *a, struct link *l)
{
	map_del(&a->links, &l->id);
	free(l);
}

/* --- control over a session --- */

static bool link_write(void *ctx, const uint8_t *bytes, size_t len)
{
	struct link *l = ctx;

	while (len) {
		size_t n = MIN(len, (size_t)FRAME_BYTES_MAX);

		if (!peer_net_send_frame(l->agent->net, l->id, bytes, n))
			return false;
		bytes += n;
		len -= n;
	}
	return true;
}

static void link_close(void *ctx)
{
	struct link *l = ctx;

	peer_net_close_conn(l->agent->net, l->id);
}

static size_t link_queued(void *ctx)
{
	struct link *l = ctx;

	return peer_net_queued(l->agent->net, l->id);
}

static void link_pause(void *ctx, bool pause)
{
	struct link *l = ctx;

	peer_net_pause(l->agent->net, l->id, pause);
}

static struct control_transport transport_of(struct link *l)
{
	return (struct control_transport){
	        .write = link_write, .close = link_close, .queued = link_queued, .pause = link_pause, .ctx = l};
}

static void serve_control(struct link *l, enum control_origin origin)
{
	struct control_transport t = transport_of(l);

	l->use = LINK_CONTROL;
	l->control = control_accept(l->agent->control, origin, &l->key, &t);
	if (!l->control)
		peer_net_close_conn(l->agent->net, l->id);
}

/* --- events --- */

static void on_packet(void *ctx, const struct addr *from, const uint8_t *bytes, size_t len)
{
	struct agent *a = ctx;

	gossip_on_packet(a->gossip, from, bytes, len, agent_now(a));
	agent_pump(a);
}

static void on_ready(void *ctx, uint64_t id, enum session_role role, const struct key32 *key, bool inbound,
        const struct addr *from)
{
	static const uint8_t gossip_channel = CHANNEL_GOSSIP;
	struct agent *a = ctx;
	struct link *l;

	(void)from;
	if (!inbound && control_ask_ready(a->control, id))
		return;
	if (inbound && role == SESSION_PEER && !trust_peer(gossip_trust(a->gossip), key)) {
		log_debug("agent", "a session of a peer that is not admitted was closed");
		gossip_turn_away(a->gossip, id, key, agent_now(a));
		agent_pump(a);
		return;
	}
	l = xcalloc(1, sizeof(*l));
	l->id = id;
	l->agent = a;
	l->key = *key;
	l->role = role;
	map_put(&a->links, &l->id, l);
	if (!inbound) {
		l->use = LINK_GOSSIP;
		peer_net_send_frame(a->net, id, &gossip_channel, 1);
		gossip_on_stream(a->gossip, id, key, false, agent_now(a));
		agent_pump(a);
	} else if (role == SESSION_OPERATOR) {
		serve_control(l, ORIGIN_OPERATOR);
	} else if (role == SESSION_INVITE) {
		serve_control(l, ORIGIN_INVITE);
	}
}

static void first_frame(struct link *l, const uint8_t *bytes, size_t len)
{
	struct agent *a = l->agent;

	if (len == 1 && bytes[0] == CHANNEL_GOSSIP) {
		l->use = LINK_GOSSIP;
		gossip_on_stream(a->gossip, l->id, &l->key, true, agent_now(a));
		agent_pump(a);
	} else if (len == 1 && bytes[0] == CHANNEL_CONTROL) {
		serve_control(l, ORIGIN_PEER);
	} else if (len == 1 && bytes[0] == CHANNEL_RELAY) {
		struct control_transport t = transport_of(l);

		l->use = LINK_RELAY;
		l->inner = inner_new(a, &t);
	} else {
		log_debug("agent", "a peer's session began with something else than a channel and was closed");
		peer_net_close_conn(a->net, l->id);
	}
}

/* A frame whose records were looked at on the verifier's thread. */
static void on_checked(
        void *ctx, uint64_t stream, const uint8_t *bytes, size_t len, const struct good_records *good)
{
	struct agent *a = ctx;

	gossip_on_verified_frame(a->gossip, stream, bytes, len, good, agent_now(a));
	agent_pump(a);
}

int agent_net_open(struct agent *a, struct err *err)
{
	a->verifier = verifier_new(&a->loop, &a->flock, on_checked, a, err);
	return a->verifier ? 0 : -1;
}

static void on_frame(void *ctx, uint64_t id, const uint8_t *bytes, size_t len)
{
	struct agent *a = ctx;
	struct link *l;

	if (control_ask_frame(a->control, id, bytes, len))
		return;
	l = map_get(&a->links, &id);
	if (!l)
		return;
	switch (l->use) {
	case LINK_NEW:
		first_frame(l, bytes, len);
		break;
	case LINK_GOSSIP:
		if (!verifier_take(a->verifier, id, bytes, len)) {
			gossip_on_frame(a->gossip, id, bytes, len, agent_now(a));
			agent_pump(a);
		}
		break;
	case LINK_CONTROL:
		if (l->control)
			control_feed(l->control, bytes, len);
		break;
	case LINK_RELAY:
		inner_feed(l->inner, bytes, len);
		break;
	}
}

static void on_closed(void *ctx, uint64_t id, bool refused, const char *why)
{
	struct agent *a = ctx;
	struct link *l;

	log_debug("agent", "session %llx closed: %s", (unsigned long long)id, why ? why : "done");
	if (control_ask_closed(a->control, id, refused, why))
		return;
	l = map_get(&a->links, &id);
	if (l && l->use == LINK_CONTROL && l->control)
		control_gone(l->control);
	if (l && l->inner)
		inner_free(l->inner);
	/* A stream of ours that never came up has no link, and gossip waits to hear of it. */
	if (l ? l->use == LINK_GOSSIP : !(id >> 63)) {
		verifier_flush(a->verifier, id);
		gossip_on_stream_closed(a->gossip, id, refused, agent_now(a));
		agent_pump(a);
	}
	if (l)
		link_free(a, l);
}

static void on_drained(void *ctx, uint64_t id)
{
	struct agent *a = ctx;
	struct link *l;

	if (control_ask_drained(a->control, id))
		return;
	l = map_get(&a->links, &id);
	if (l && l->control)
		control_drained(l->control);
	else if (l && l->inner)
		inner_drained(l->inner);
}

const struct peer_net_events agent_net_events = {
        .packet = on_packet,
        .ready = on_ready,
        .frame = on_frame,
        .closed = on_closed,
        .drained = on_drained,
};

void agent_net_drop(struct agent *a, const struct key32 *peer)
{
	cleanup_free uint64_t *ids = xcalloc(a->links.len + 1, sizeof(*ids));
	size_t n = 0;

	/* Closing one takes its link out of the map. */
	map_each (&a->links, value) {
		const struct link *l = value;

		if (l->role == SESSION_PEER && (!peer || key32_eq(&l->key, peer)))
			ids[n++] = l->id;
	}
	for (size_t i = 0; i < n; i++)
		peer_net_close_conn(a->net, ids[i]);
}

void agent_net_free(struct agent *a)
{
	map_each (&a->links, l) {
		if (((struct link *)l)->control)
			control_gone(((struct link *)l)->control);
		if (((struct link *)l)->inner)
			inner_free(((struct link *)l)->inner);
		free(l);
	}
	map_free(&a->links);
}
