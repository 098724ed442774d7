/* Who may say what: stories of forged, replayed, revoked and back-dated records, and of strangers. */
#include "tests/sim/story.h"

#include "gossip/core.h"

#include <sodium.h>

static void operator_keys(struct sim *s, struct key32 *pub, uint8_t secret[64])
{
	uint8_t seed[32];

	drbg_bytes(&s->rng, seed, sizeof(seed));
	crypto_sign_seed_keypair(pub->b, secret, seed);
}

static void admin_says(struct sim *s, unsigned peer, struct wr *w)
{
	struct err err;

	if (gossip_submit(s->peer[peer].gossip, w->p, w->len, ++s->tickets, sim_peer_now(s, peer), &err) < 0)
		sim_fail(s, __FILE__, __LINE__, err.text);
	wr_free(w);
	sim_drain(s, peer);
}

static size_t heads_of(const struct sim *s, unsigned peer, const uint8_t secret[64], struct key32 *out)
{
	struct key32 author;

	memcpy(author.b, secret + 32, 32);
	return store_author_heads(gossip_store(s->peer[peer].gossip), &author, out);
}

static void grant(struct sim *s, unsigned peer, const struct key32 *key)
{
	struct grant g = {
	        .operator_key = *key, .role = ROLE_DEPLOY, .name = "ci", .n_globs = 1, .globs = {"web"}};
	struct gossip *core = s->peer[peer].gossip;
	struct key32 prev[RECORD_REFS_MAX];
	struct wr w;

	wr_init(&w, RECORD_BYTES_MAX);
	trust_make_grant(&w, &s->flock, &g, gossip_stamp(core, sim_peer_now(s, peer).wall), prev,
	        heads_of(s, peer, s->admin, prev), s->admin);
	admin_says(s, peer, &w);
}

/* Everything of the key that is not an ancestor of these heads is void from now on. */
static void revoke(struct sim *s, unsigned peer, const struct key32 *key, const struct key32 *heads, size_t n)
{
	struct gossip *core = s->peer[peer].gossip;
	struct key32 prev[RECORD_REFS_MAX];
	struct wr w;

	wr_init(&w, RECORD_BYTES_MAX);
	trust_make_revocation(&w, &s->flock, key, heads, n, gossip_stamp(core, sim_peer_now(s, peer).wall), prev,
	        heads_of(s, peer, s->admin, prev), s->admin);
	admin_says(s, peer, &w);
}

static struct record revision(const char *stack, const char *body, const struct key32 *parent)
{
	struct record r = {
	        .kind = REC_REVISION, .body = (const uint8_t *)body, .body_len = (uint32_t)strlen(body) + 1};

	snprintf(r.name, sizeof(r.name), "%s", stack);
	r.parents = parent;
	r.n_parents = parent != NULL;
	return r;
}

/* Past the front door: a compromised peer takes into its store whatever has a good signature, and hands it on. */
static void smuggle(struct sim *s, unsigned peer, struct record *r, const uint8_t secret[64])
{
	struct gossip *g = s->peer[peer].gossip;
	struct wr w;

	record_sign(r, &s->flock, secret);
	wr_init(&w, RECORD_BYTES_MAX);
	record_encode(&w, r);
	core_enter(g, sim_peer_now(s, peer));
	EXPECT(s, record_take(g, w.p, w.len, NULL, NULL, false) == STORE_NEW);
	wr_free(&w);
	sim_drain(s, peer);
}

static bool all_run(const struct sim *s, const char *stack, const char *body)
{
	for (unsigned i = 0; i < s->n; i++) {
		const char *here = s->peer[i].gossip ? sim_stack(s, i, stack) : body;

		if (!here != !body || (body && strcmp(here, body) != 0))
			return false;
	}
	return true;
}

SIM(what_a_revoked_key_signs_later_or_back_dates_takes_no_effect, .peers = 5)
{
	struct key32 ci, heads[RECORD_REFS_MAX];
	uint8_t secret[64];
	uint64_t ticket, early;
	struct record r;
	struct err err;

	WAIT(s, SECONDS(15), sim_converged(s));
	early = gossip_stamp(s->peer[0].gossip, sim_peer_now(s, 0).wall);
	operator_keys(s, &ci, secret);
	grant(s, 0, &ci);
	WAIT(s, SECONDS(10), sim_converged(s));
	r = revision("web", "v1", NULL);
	EXPECT(s, sim_submit_as(s, 3, &r, secret, &ticket, &err));
	WAIT(s, SECONDS(10), all_run(s, "web", "v1"));
	revoke(s, 1, &ci, heads, heads_of(s, 1, secret, heads));
	WAIT(s, SECONDS(10), sim_converged(s));
	EXPECT(s, all_run(s, "web", "v1"));

	/* At the door it is refused with a reason. */
	r = revision("web", "stolen", heads);
	EXPECT(s, !sim_submit_as(s, 2, &r, secret, &ticket, &err));
	/* Smuggled in: signed now; back-dated behind v1; back-dated beside v1, before all that the key ever did. */
	r = revision("web", "stolen", heads);
	r.stamp = gossip_stamp(s->peer[4].gossip, sim_peer_now(s, 4).wall);
	r.prev = heads;
	r.n_prev = 1;
	smuggle(s, 4, &r, secret);
	r.stamp = early + 1;
	smuggle(s, 4, &r, secret);
	r = revision("web", "stolen", NULL);
	r.stamp = early + 2;
	smuggle(s, 4, &r, secret);
	r = revision("web", "", heads);
	r.flags = RECORD_FLAG_REMOVAL;
	r.body_len = 0;
	r.stamp = early + 3;
	smuggle(s, 4, &r, secret);
	WAIT(s, SECONDS(30), sim_converged(s));
	/* All have them, for all to see; none counts anywhere. */
	EXPECT(s, sim_all_have(s, &r.id));
	EXPECT(s, all_run(s, "web", "v1"));
	for (unsigned i = 0; i < s->n; i++) {
		sim_kill(s, i);
		sim_start(s, i);
	}
	WAIT(s, SECONDS(30), sim_converged(s));
	EXPECT(s, all_run(s, "web", "v1"));
}

/* One side revokes a key while the other, which does not know, still takes what it signs. */
SIM(a_revocation_wins_over_what_the_other_side_took_meanwhile, .peers = 6)
{
	struct key32 ci, heads[RECORD_REFS_MAX];
	uint8_t secret[64];
	uint64_t ticket;
	struct record r;
	struct err err;

	WAIT(s, SECONDS(15), sim_converged(s));
	operator_keys(s, &ci, secret);
	grant(s, 0, &ci);
	WAIT(s, SECONDS(10), sim_converged(s));
	r = revision("web", "v1", NULL);
	EXPECT(s, sim_submit_as(s, 0, &r, secret, &ticket, &err));
	WAIT(s, SECONDS(10), all_run(s, "web", "v1"));
	sim_split(s, "0 1 2 | 3 4 5");
	sim_run(s, SECONDS(30));
	revoke(s, 0, &ci, heads, heads_of(s, 0, secret, heads));
	r = revision("web", "v2", heads);
	EXPECT(s, sim_submit_as(s, 4, &r, secret, &ticket, &err));
	sim_run(s, SECONDS(10));
	EXPECT(s, strcmp(sim_stack(s, 5, "web"), "v2") == 0 && strcmp(sim_stack(s, 1, "web"), "v1") == 0);
	sim_heal(s);
	WAIT(s, MINUTES(2), sim_converged(s));
	EXPECT(s, all_run(s, "web", "v1"));
}

SIM(what_nobody_granted_takes_no_effect, .peers = 5)
{
	struct key32 nobody, ci;
	uint8_t secret[64], ci_secret[64];
	uint64_t ticket;
	struct record r;
	struct err err;

	WAIT(s, SECONDS(15), sim_converged(s));
	sim_submit(s, 0, "web", "v1", &ticket);
	operator_keys(s, &nobody, secret);
	operator_keys(s, &ci, ci_secret);
	grant(s, 0, &ci);
	WAIT(s, SECONDS(15), sim_converged(s));
	r = revision("web", "nobody's", NULL);
	EXPECT(s, !sim_submit_as(s, 1, &r, secret, &ticket, &err));
	r.stamp = UINT64_C(1) << 62;
	smuggle(s, 1, &r, secret);
	/* A key that may write one stack writes another. */
	r = revision("db", "not its own", NULL);
	EXPECT(s, !sim_submit_as(s, 1, &r, ci_secret, &ticket, &err));
	smuggle(s, 2, &r, ci_secret);
	/* A peer's key is no operator's. */
	r = revision("web", "a peer's", NULL);
	r.stamp = UINT64_C(1) << 61;
	smuggle(s, 3, &r, s->peer[3].secret);
	WAIT(s, SECONDS(30), sim_converged(s));
	EXPECT(s, all_run(s, "web", "v1"));
	EXPECT(s, all_run(s, "db", NULL));
}

/* Packets with a spoofed source: garbage, unknown senders, and true packets played again from elsewhere. */
SIM(strangers_get_no_answer_and_nobody_is_sent_more_than_it_sent, .peers = 4, .sealed = true, .loss = 20)
{
	const struct addr victim = {.family = 4, .port = 53, .ip = {198, 51, 100, 7}};

	WAIT(s, SECONDS(10), sim_converged(s));
	/* Each packet that leaves is checked: see tests/sim/sim_packets.c. A liar taps the wire and plays it back. */
	sim_lie(s, 3, (struct sim_lies){.replay = true});
	for (int i = 0; i < 2000; i++) {
		uint8_t packet[PACKET_BYTES_MAX];
		size_t len = drbg_below(&s->rng, sizeof(packet));
		unsigned to = (unsigned)drbg_below(&s->rng, 3);
		id64 sender = key32_id(&s->peer[(to + 1) % 3].key);

		drbg_bytes(&s->rng, packet, sizeof(packet));
		packet[0] = PACKET_VERSION;
		packet[1] = 1 + i % 2;
		/* Half of them name a member as their sender. */
		for (int k = 0; k < 8 && i % 4 < 2; k++)
			packet[2 + k] = (uint8_t)(sender >> (56 - 8 * k));
		sim_inject(s, to, &victim, packet, len);
		sim_run(s, 30);
	}
	WAIT(s, SECONDS(10), sim_all_alive(s));
	EXPECT(s, sim_sent_to_stranger(s, &victim) == 0);
	EXPECT(s, gossip_counters(s->peer[0].gossip)->drop_unknown > 0);
	EXPECT(s, gossip_counters(s->peer[0].gossip)->drop_bad > 0);
}
