#include "gossip/core.h"

/* What is said of this peer itself: it refutes, overtakes an older disk image of its own, or gives way to a clone. */

void self_sign(struct gossip *g, enum msg_type type)
{
	g->self = (struct statement){
	        .type = type, .subject = g->id, .incarnation = g->incarnation, .addr = g->cfg.advertise};
	memcpy(g->self.boot_id, g->cfg.boot_id, sizeof(g->self.boot_id));
	statement_sign(&g->self, &g->cfg.flock, g->cfg.secret);
	states_own_incarnation(g, g->incarnation);
}

void self_announce(struct gossip *g, enum broadcast_class c)
{
	broadcast_drop_subject(&g->bc, g->id);
	member_broadcast(g, c, &g->self);
	output_self(g);
}

/* Times that one other run has to go beyond what overtook it before two machines are known to run. Once or twice it
 * may be an earlier run of this machine, whose words reach us late and out of order after its disk was set back. */
#define ADVANCES_OF_A_CLONE 2

/* Does the run with that boot id live, and answer each time that we overtake it? */
static bool goes_on(struct gossip *g, const uint8_t boot_id[16])
{
	if (memcmp(g->rival, boot_id, sizeof(g->rival)) == 0)
		return ++g->advances >= ADVANCES_OF_A_CLONE;
	memcpy(g->rival, boot_id, sizeof(g->rival));
	g->advances = 0;
	return false;
}

/* Others may follow the other machine's packets, and no longer take ours, since its start replaced ours. Each of them
 * goes back to us once it has proved a new one; some later, since the other's last packets may still be under way. */
static void renew(struct gossip *g)
{
	static const int64_t next[] = {SECONDS(2), SECONDS(10), SECONDS(60)};
	uint8_t start[16];

	drbg_bytes(&g->rng, start, sizeof(start));
	seal_renew(&g->seal, start);
	g->renew_at = g->renewals < ARRAY_LEN(next) ? g->now.mono + next[g->renewals++] : MONO_NEVER;
}

void self_on_newer(struct gossip *g, uint32_t boot, const uint8_t boot_id[16])
{
	/* A restored disk is overtaken. If the other goes on, two machines run: the lower boot id gives way. */
	if (boot_id && goes_on(g, boot_id) && memcmp(g->cfg.boot_id, boot_id, sizeof(g->cfg.boot_id)) < 0) {
		if (!g->fenced)
			output_new(g, GOSSIP_FENCED, 0)->action.text =
			        "another machine runs with this peer's key: stop one of them, erase its data folder "
			        "and join it again with a token";
		g->fenced = true;
		return;
	}
	if (boot_id) {
		g->renew_at = g->now.mono;
		g->renewals = 0;
	}
	g->cfg.boot = boot + 1;
	g->incarnation = (uint64_t)g->cfg.boot << 32 | 1;
	g->record_n = 0;
	log_warn("gossip", "a newer run of this peer is known to others (restored disk?): boot count is now %u",
	        g->cfg.boot);
	output_new(g, GOSSIP_BOOT, 0)->action.ticket = g->cfg.boot;
	self_sign(g, MSG_ALIVE);
	self_announce(g, BROADCAST_REFUTE);
}

/* Our answer to all accusations of this incarnation: a higher one. */
static void refute(struct gossip *g)
{
	g->incarnation++;
	g->count.refutes++;
	g->refuted_at = g->now.mono;
	g->refute_at = MONO_NEVER;
	self_sign(g, MSG_ALIVE);
	self_announce(g, BROADCAST_REFUTE);
	health_bad(g);
}

void self_tick(struct gossip *g)
{
	if (g->now.mono >= g->refute_at && !g->leaving)
		refute(g);
	if (g->now.mono >= g->renew_at)
		renew(g);
}

/* An incarnation costs every member a signature to check, so they rise once per period at most, whoever accuses and
 * however often: who is suspected has three periods at least to answer. */
static void refute_in_turn(struct gossip *g)
{
	mono_ms may = g->refuted_at + g->tune->period;

	if (g->now.mono >= may)
		refute(g);
	else
		g->refute_at = MIN(g->refute_at, may);
}

/* Did a run of this peer say so that is newer than ours, or has the same boot count (its disk was lost or set back)? */
static bool of_another_run(const struct gossip *g, const struct statement *st)
{
	if (st->incarnation > g->incarnation)
		return true;
	return st->type == MSG_ALIVE && st->incarnation >> 32 == g->incarnation >> 32 &&
	       memcmp(st->boot_id, g->cfg.boot_id, sizeof(st->boot_id)) != 0;
}

void self_on_statement(struct gossip *g, const struct statement *st, struct peer *from)
{
	const struct peer *accuser;

	if (g->leaving)
		return;
	if (st->type == MSG_ALIVE || st->type == MSG_LEFT) {
		if (of_another_run(g, st) && member_signed(g, st, &g->key, from))
			self_on_newer(
			        g, (uint32_t)(st->incarnation >> 32), st->type == MSG_ALIVE ? st->boot_id : NULL);
		return;
	}
	/* Refuted already, and it has not heard: it shall hear now. */
	if (st->incarnation < g->incarnation && from)
		contact_of(g, from)->introduced = 0;
	if (st->incarnation != g->incarnation || g->refute_at != MONO_NEVER)
		return;
	accuser = member_by_id(g, st->accuser);
	if (!accuser || !member_signed(g, st, &accuser->key, from))
		return;
	log_info("gossip", "refuting a suspicion by peer %016llx", (unsigned long long)st->accuser);
	refute_in_turn(g);
	if (from)
		contact_of(g, from)->introduced = 0;
}
