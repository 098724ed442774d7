/* When a peer reconciles (gossip/antientropy.c): against one scripted other with a store of its own. */
#include "tests/unit/gossip/world.h"

struct other {
	struct store *store;
	struct sync *answer;
};

static void into(void *ctx, const uint8_t *bytes, size_t len)
{
	struct key32 id;

	if (store_put(ctx, bytes, len, false, &id, NULL) != STORE_BAD)
		store_on_disk(ctx, &id);
}

static void answer(struct world *w, struct other *o, const struct gossip_action *a)
{
	uint64_t stream = a->stream;
	struct err err;
	struct wr f;

	if (!o->answer)
		o->answer = sync_respond(o->store, into, o->store);
	assert_int_equal(sync_on_frame(o->answer, a->bytes + 1, a->len - 1, &err), 0);
	wr_init(&f, FRAME_BYTES_MAX);
	wr_u8(&f, FRAME_SYNC_REPLY);
	while (sync_next_frame(o->answer, &f)) {
		gossip_on_frame(w->g, stream, f.p, f.len, w->now);
		wr_reset(&f);
		wr_u8(&f, FRAME_SYNC_REPLY);
	}
	wr_free(&f);
	if (sync_done(o->answer)) {
		sync_free(o->answer);
		o->answer = NULL;
	}
}

/* For so long peer 1 speaks, answers, and acks with digests that differ. */
static void differ(struct world *w, struct other *o, int64_t ms)
{
	static const struct digest_brief none;
	struct gossip_action a;

	for (mono_ms until = w->now.mono + ms; w->now.mono < until;) {
		w->now.mono += 50;
		gossip_tick(w->g, w->now);
		member_heard(w->g, peer(w, 1));
		for (size_t k = 0; k < PROBES_MAX; k++)
			if (w->g->probes[k].used)
				probe_on_ack(w->g, peer(w, 1), w->g->probes[k].seq[0]);
		entropy_on_digests(w->g, peer(w, 1), &none, &none);
		while (gossip_next(w->g, &a))
			if (a.kind == GOSSIP_CONNECT)
				gossip_on_stream(w->g, a.stream, &w->who[1].key, false, w->now);
			else if (a.kind == GOSSIP_FRAME && a.bytes[0] == FRAME_SYNC_ASK)
				answer(w, o, &a);
	}
}

/* Records of strangers are turned away each time, as those are whose author's admission comes along. That is worth a
 * second look or two, and not one without end. */
static void records_of_strangers_do_not_make_it_reconcile_without_end(void **state)
{
	struct world w = world(2);
	struct actor stranger = actor(STRANGER);
	struct record r = {.kind = REC_STATUS, .stamp = UINT64_C(1) << 32 | 1};
	struct packed p = pack(r, "0", "what it runs", 12, &w.flock.id, &stranger);
	struct other o = {.store = flock_store(&w.flock)};
	unsigned n;

	(void)state;
	put(o.store, &p, true);
	tell(&w, MSG_ALIVE, 1, 0, 1);
	member_heard(w.g, peer(&w, 1));
	differ(&w, &o, SECONDS(5));
	n = gossip_counters(w.g)->syncs;
	assert_in_range(n, 2, 5);
	differ(&w, &o, SECONDS(45));
	assert_in_range(gossip_counters(w.g)->syncs - n, 0, 4);
	/* Much later one is worth it again. */
	differ(&w, &o, MINUTES(5));
	n = gossip_counters(w.g)->syncs;
	assert_in_range(n, 12, 30);
	sync_free(o.answer);
	store_free(o.store);
	packed_free(&p);
	end(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(records_of_strangers_do_not_make_it_reconcile_without_end),
	};

	if (sodium_init() < 0)
		return 1;
	log_set(NULL, LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
