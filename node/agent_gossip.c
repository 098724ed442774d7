/* What the gossip core asks for, carried out: packets, streams, disk; and when to call it again. */
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "node/agent_parts.h"
#include "node/control/control.h"

/* A timer this late, in ms, means that this process or its host stood still. */
#define STALL_READ_FIRST 200

static void persist_record(struct agent *a, const struct gossip_action *act)
{
	struct err err;

	if (persist_put(a->persist, &act->id, act->bytes, act->len, &err) == 0)
		return;
	log_error("store", "record not stored: %s", err.text);
	text_copy(a->disk_why, sizeof(a->disk_why), err.text);
	gossip_on_disk(a->gossip, &act->id, false, agent_now(a));
}

void agent_on_persisted(void *ctx, const struct key32 *id, bool ok, bool fatal, const char *why)
{
	struct agent *a = ctx;

	if (fatal) {
		log_error("store",
		        "the durable store failed (%s): an accepted revision could be lost if this went on; "
		        "check the disk and start the agent again",
		        why);
		if (a->control)
			control_disk_failed(a->control, why);
		agent_stop(a, ERR_FAILED, "durable store failed");
		return;
	}
	if (!ok) {
		log_error("store", "a record could not be stored: %s", why);
		text_copy(a->disk_why, sizeof(a->disk_why), why);
	}
	if (!ok || a->disk_full)
		agent_look_at_disk(a);
	gossip_on_disk(a->gossip, id, ok, agent_now(a));
	agent_pump(a);
}

/* Where a peer was last: a hint under "addr/KEY", so that a restart finds others before anyone finds it. */
static void addr_hint_name(char out[80], const struct key32 *peer)
{
	memcpy(out, "addr/", 5);
	hex_encode(out + 5, peer->b, sizeof(peer->b));
}

static void hint_addr(struct agent *a, const struct key32 *peer, const struct addr *addr)
{
	uint8_t bytes[32];
	char name[80];
	struct wr w;

	wr_fixed(&w, bytes, sizeof(bytes));
	addr_put(&w, addr);
	addr_hint_name(name, peer);
	persist_put_hint(a->persist, name, w.p, w.len);
}

/* Trust is judged at start only; that somebody once signed an admission is enough to try an address. */
bool agent_load_addr(const struct stored *admission, void *ctx)
{
	struct agent *a = ctx;
	uint8_t bytes[32];
	struct addr addr;
	char name[80];
	struct rd r;
	size_t len;

	addr_hint_name(name, &admission->rec.author);
	if (persist_get_hint(a->persist, name, bytes, sizeof(bytes), &len, NULL) < 0 || !len)
		return true;
	rd_init(&r, bytes, len);
	addr_get(&r, &addr);
	if (rd_end(&r, NULL) == 0 && addr.family)
		gossip_load_addr(a->gossip, &admission->rec.author, &addr);
	return true;
}

/* What happened to the peer is in the log already: gossip says it where it is decided. */
static void on_member(struct agent *a, const struct key32 *peer)
{
	struct member m;

	if (!trust_peer(gossip_trust(a->gossip), peer))
		agent_net_drop(a, peer);
	if (!key32_eq(peer, &a->keys.public_key) && gossip_member(a->gossip, peer, &m) && m.addr.family)
		hint_addr(a, peer, &m.addr);
	agent_kick(a);
}

static void on_record(struct agent *a, const struct gossip_action *act)
{
	const struct stored *s = store_get(gossip_store(a->gossip), &act->id);

	work_on_record(a->work, a->gossip, &act->id, agent_now(a));
	/* What we say of ourselves stays over a restart; it is not synced, and others' is not kept at all. */
	if (s && record_is_volatile(act->record_kind) && key32_eq(&s->rec.author, &a->keys.public_key))
		persist_put_own(a->persist, &s->rec.key, s->bytes, s->len);
	agent_kick(a);
}

/* A newer run of this peer was known to others: this boot count counts from now on, after a restart too. */
static void adopt_boot(struct agent *a, uint32_t boot)
{
	uint8_t b[4] = {(uint8_t)(boot >> 24), (uint8_t)(boot >> 16), (uint8_t)(boot >> 8), (uint8_t)boot};
	struct err err;

	a->boot = boot;
	if (persist_meta_put(a->persist, "boot", b, sizeof(b), &err) < 0)
		log_error("agent", "boot count not kept: %s", err.text);
	agent_kick(a);
}

static void carry_out(struct agent *a, const struct gossip_action *act)
{
	switch (act->kind) {
	case GOSSIP_PACKET:
		peer_net_send_packet(a->net, &act->addr, act->bytes, act->len);
		break;
	case GOSSIP_CONNECT:
		peer_net_connect(a->net, act->stream, &act->addr, &act->peer);
		break;
	case GOSSIP_FRAME:
		peer_net_send_frame(a->net, act->stream, act->bytes, act->len);
		break;
	case GOSSIP_CLOSE:
		verifier_forget(a->verifier, act->stream);
		peer_net_close_conn(a->net, act->stream);
		break;
	case GOSSIP_PERSIST:
		persist_record(a, act);
		break;
	case GOSSIP_FORGET:
		persist_forget(a->persist, &act->id, NULL);
		break;
	case GOSSIP_MEMBER:
		on_member(a, &act->peer);
		break;
	case GOSSIP_RECORD:
		on_record(a, act);
		break;
	case GOSSIP_ACCEPTED:
		control_accepted(a->control, act);
		break;
	case GOSSIP_BOOT:
		adopt_boot(a, (uint32_t)act->ticket);
		break;
	case GOSSIP_FENCED:
		log_error("gossip", "%s", act->text);
		agent_stop(a, ERR_FAILED, "another machine runs with this peer's identity");
		break;
	}
}

static void on_gossip_timer(uv_timer_t *t)
{
	struct agent *a = t->data;

	/* After a stall (the process was frozen, the machine slept) hear what waits before judging who is silent. */
	if (agent_now(a).mono - a->gossip_due > STALL_READ_FIRST)
		peer_net_read_packets(a->net);
	gossip_tick(a->gossip, agent_now(a));
	agent_pump(a);
}

void agent_pump(struct agent *a)
{
	struct gossip_action act;
	mono_ms wake, now;

	/* An action may lead back here (a submit's answer ends a call, which begins the next): the outer loop goes
	 * on with what is queued. */
	if (a->pumping)
		return;
	a->pumping = true;
	while (!a->stopping && gossip_next(a->gossip, &act))
		carry_out(a, &act);
	a->pumping = false;
	if (a->stopping)
		return;
	now = agent_now(a).mono;
	wake = gossip_wake(a->gossip);
	a->gossip_due = MAX(wake, now);
	if (wake != MONO_NEVER)
		uv_timer_start(&a->gossip_timer, on_gossip_timer, (uint64_t)MAX(wake - now, 0), 0);
	/* Readiness and isolation are changes that no record announces. */
	if (gossip_ready(a->gossip) != a->was_ready || gossip_isolated(a->gossip) != a->was_isolated)
		agent_kick(a);
	a->was_ready = gossip_ready(a->gossip);
	a->was_isolated = gossip_isolated(a->gossip);
}
