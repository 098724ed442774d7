#include "gossip/core.h"

/* Actions that wait to be drained. An edge that never drains loses packets, not memory. */
#define OUT_MAX 65536

struct out *output_new(struct gossip *g, enum gossip_action_kind kind, size_t len)
{
	struct out *o = xcalloc(1, sizeof(*o) + len);

	o->action.kind = kind;
	o->action.bytes = o->bytes;
	o->action.len = len;
	list_push_back(&g->out, &o->at);
	g->n_out++;
	return o;
}

void output_bytes(struct gossip *g, enum gossip_action_kind kind, const struct addr *addr, uint64_t stream,
        const void *bytes, size_t len)
{
	struct out *o;

	if (kind == GOSSIP_PACKET && g->n_out >= OUT_MAX)
		return;
	o = output_new(g, kind, len);
	if (addr)
		o->action.addr = *addr;
	o->action.stream = stream;
	if (len)
		memcpy(o->bytes, bytes, len);
}

static void output_change(struct gossip *g, const struct key32 *key, bool waits)
{
	if (!waits)
		output_new(g, GOSSIP_MEMBER, 0)->action.peer = *key;
}

void output_member(struct gossip *g, struct peer *p)
{
	output_change(g, &p->key, p->announced);
	p->announced = true;
}

void output_self(struct gossip *g)
{
	output_change(g, &g->key, g->announced);
	g->announced = true;
}

void output_member_drained(struct gossip *g, const struct key32 *key)
{
	struct peer *p = member_by_id(g, key32_id(key));

	if (p)
		p->announced = false;
	else if (key32_eq(key, &g->key))
		g->announced = false;
}

void output_record(struct gossip *g, const struct key32 *id, uint8_t kind)
{
	struct out *o = output_new(g, GOSSIP_RECORD, 0);

	o->action.id = *id;
	o->action.record_kind = kind;
}
