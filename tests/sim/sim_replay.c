/* The liar on the wire: what it swallowed, and what others said once, when it is no longer true. */
#include "tests/sim/sim_liar.h"

#include "gossip/core.h"

/* How old messages must be to be worth repeating. */
#define STALE_MS SECONDS(10)

/* A victim, whom answers shall hit. */
static const struct addr elsewhere = {.family = 4, .port = 9999, .ip = {192, 0, 2, 1}};

static void keep(
        struct sim *s, struct sim_liar *l, const struct addr *from, unsigned to, const void *bytes, size_t len)
{
	struct kept *k = &l->kept[l->at_kept];

	/* Some of the old ones stay: the older, the better the lie. */
	l->at_kept = l->n_kept < KEPT_MAX ? ++l->n_kept % KEPT_MAX : drbg_below(&s->rng, KEPT_MAX);
	*k = (struct kept){.at = s->now, .from = *from, .to = to, .len = len};
	memcpy(k->bytes, bytes, len);
}

/* It sits on the wire: any packet, of anybody to anybody. What gets lost it has swallowed: its copy is the first one that
 * arrives, from where the liar wants the answer to go. */
void sim_liar_taps(
        struct sim *s, unsigned to, const struct addr *from, const uint8_t *bytes, size_t len, bool lost)
{
	for (unsigned i = 0; i < s->n && s->n <= 64; i++) {
		struct sim_liar *l = s->peer[i].liar;

		if (!l || !l->lies.replay || i == to)
			continue;
		if (lost && drbg_below(&s->rng, 2))
			sim_inject(s, to, &elsewhere, bytes, len);
		else if (drbg_below(&s->rng, 10) == 0)
			keep(s, l, from, to, bytes, len);
	}
}

static bool keep_record(const struct stored *st, void *ctx)
{
	struct wr *w = ctx;
	size_t before = w->len;

	/* The last of them that fits; the walk is in key order, so it is one of many over time. */
	if (st->len + MSG_HEADER_BYTES > PAYLOAD_BYTES_MAX || (st->len ^ st->bytes[st->len - 1]) % 3)
		return true;
	wr_reset(w);
	wire_put_record(w, st->bytes, st->len);
	return w->len != before;
}

/* What others say of themselves now, for when it is no longer true. */
static void collect(struct sim *s, struct sim_liar *l, struct gossip *g)
{
	const struct addr none = {0};
	uint8_t buf[PAYLOAD_BYTES_MAX];
	struct peer *p = liar_anyone(s, g);
	struct wr w;

	wr_fixed(&w, buf, sizeof(buf));
	if (p->alive && drbg_below(&s->rng, 2))
		wire_put_statement(&w, p->alive);
	else
		store_each(g->store, 0, keep_record, &w);
	if (w.len && wr_ok(&w))
		keep(s, l, &none, 0, w.p, w.len);
}

void liar_replay(struct sim *s, struct sim_liar *l, struct gossip *g, struct peer *to)
{
	const struct kept *k;
	struct wr w;

	collect(s, l, g);
	k = &l->kept[drbg_below(&s->rng, MAX(l->n_kept, (size_t)1))];
	if (!l->n_kept || (!k->from.family && s->now - k->at < STALE_MS))
		return;
	if (k->from.family) {
		/* To whom it was for, from where it came, or from where a victim is. */
		if (s->peer[k->to].gossip)
			sim_inject(s, k->to, drbg_below(&s->rng, 2) ? &k->from : &elsewhere, k->bytes, k->len);
		return;
	}
	wr_init(&w, PAYLOAD_BYTES_MAX);
	wr_bytes(&w, k->bytes, k->len);
	packet_send(g, to, &w);
	wr_free(&w);
}
