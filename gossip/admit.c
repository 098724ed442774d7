#include "gossip/core.h"

/* Members appear and disappear as trust says: by admission and eviction, never by what the detector thinks. */

static void add(struct gossip *g, const struct key32 *key)
{
	struct peer *p = table_add(g, key);

	g->retry_at = MIN(g->retry_at, g->now.mono);
	for (size_t i = 0; i < g->n_hints; i++)
		if (key32_eq(&g->hints[i].key, key))
			contact_of(g, p)->addr = g->hints[i].addr;
	output_member(g, p);
}

/* Our last word to it: the record that put it out, so that it learns of it and stops. */
static void tell_evicted(struct gossip *g, struct peer *p)
{
	struct stream *st = stream_open_to(g, p);
	struct key32 id;
	const struct stored *s = trust_eviction(g->trust, &p->key, &id) ? store_get(g->store, &id) : NULL;
	uint8_t buf[PAYLOAD_BYTES_MAX];
	struct addr to = peer_addr(p);
	struct wr w;

	if (!s)
		return;
	if (st)
		stream_record(g, st, s->bytes, s->len, false);
	wr_fixed(&w, buf, sizeof(buf));
	wire_put_record(&w, s->bytes, s->len);
	/* A long one it hears of when it opens a stream: gossip_turn_away(). */
	if (wr_ok(&w) && to.family)
		packet_send(g, p, &w);
}

static void evict(struct gossip *g, struct peer *p)
{
	log_info("gossip", "peer %016llx is no longer admitted", (unsigned long long)peer_id(p));
	tell_evicted(g, p);
	stream_close_peer(g, p);
	probe_forget(g, p);
	suspicion_withdraw(g, peer_id(p));
	broadcast_drop_subject(&g->bc, peer_id(p));
	store_drop_author_volatile(g->store, &p->key);
	output_member(g, p);
	table_remove(g, p);
}

void member_refresh(struct gossip *g)
{
	size_t n = g->cfg.roster ? g->cfg.n_roster : trust_peers(g->trust, NULL, 0);
	cleanup_free struct key32 *keys = xcalloc(MAX(n, (size_t)1), sizeof(*keys));

	if (g->cfg.roster)
		memcpy(keys, g->cfg.roster, n * sizeof(*keys));
	else
		n = MIN(n, trust_peers(g->trust, keys, n));
	for (size_t i = 0; i < g->n_peers; i++)
		g->peers[i]->admitted = false;
	for (size_t i = 0; i < n; i++) {
		struct peer *p = member_by_id(g, key32_id(&keys[i]));

		if (p)
			p->admitted = key32_eq(&p->key, &keys[i]);
		else if (!key32_eq(&keys[i], &g->key) && g->n_peers < MEMBERS_MAX)
			add(g, &keys[i]);
	}
	/* Who takes the place of one that goes comes from behind it. */
	for (size_t i = 0; i < g->n_peers;)
		if (g->peers[i]->admitted)
			i++;
		else
			evict(g, g->peers[i]);
	early_replay(g);
}
