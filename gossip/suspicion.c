#include "gossip/core.h"

/*
 * From suspect to dead. The time to refute shrinks with each independent accuser (Lifeguard, LHA-Suspicion):
 *
 *	timeout = max - (max - min) * log(C + 1) / log(K + 1),  min = alpha * unit * max(1, log10 n), max = beta * min
 *
 * with C confirmations of K. When time is up an accuser signs `dead`; it is believed with two accusers' signatures,
 * one where fewer than two others could sign. A few members (deputies, by rank) probe a suspect at once, so that
 * the second opinion comes within one probe round in a flock of any size.
 */

/* Members that give a second opinion at once. */
#define DEPUTIES SUSPICION_K
/* A member known by hearsay alone, which neither we nor those asked to help could reach for so long, is accused. */
#define HEARSAY_MS SECONDS(10)
/* Those who saw nothing themselves let the accusers sign first. */
#define BYSTANDER_MS 500

/* 1000 * log10(n), by linear interpolation between powers of two; exact enough for a timeout. */
static int64_t log10_milli(size_t n)
{
	int64_t log2 = 0;
	size_t base = 1;

	while (base * 2 <= n) {
		base *= 2;
		log2 += 1000;
	}
	log2 += (int64_t)((n - base) * 1000 / base);
	return log2 * 30103 / 100000;
}

/* Others that are alive, as far as we hear, and not p: who could confirm. */
static size_t others_alive(const struct gossip *g, const struct peer *p)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_peers; i++)
		n += g->peers[i] != p && g->peers[i]->state == MEMBER_ALIVE && !g->peers[i]->silent;
	return n;
}

/* Signatures that `dead` takes: two, or one in a flock of three or fewer that still speak (us, p, another). */
static size_t needed(const struct gossip *g, const struct peer *p)
{
	return others_alive(g, p) <= 1 ? 1 : 2;
}

static int64_t timeout(const struct gossip *g, const struct peer *p)
{
	/* 1000 * log(C + 1) / log(K + 1) for K = 1, 2, 3 */
	static const int64_t shrink[SUSPICION_K + 1][SUSPICION_K + 1] = {
	        {1000, 1000, 1000, 1000}, {0, 1000, 1000, 1000}, {0, 631, 1000, 1000}, {0, 500, 792, 1000}};
	int64_t min = SUSPICION_ALPHA * g->prof->suspicion_unit *
	              MAX(INT64_C(1000), log10_milli(g->n_peers + 1)) / 1000;
	int64_t max = SUSPICION_BETA * min;
	size_t k = MIN((size_t)SUSPICION_K, others_alive(g, p));
	size_t c = p->sus.n ? MIN(p->sus.n - 1, (size_t)SUSPICION_K) : 0;

	return max - (max - min) * shrink[k][c] / 1000;
}

static void arm(struct gossip *g, struct peer *p)
{
	p->sus.deadline = p->suspected + p->sus.grace + timeout(g, p) + (p->sus.ours ? 0 : BYSTANDER_MS);
	g->suspicion_at = MIN(g->suspicion_at, p->sus.deadline);
}

void suspicion_clear(struct peer *p)
{
	p->sus = (struct suspicion){0};
}

static struct accusation *find(struct peer *p, id64 accuser)
{
	for (size_t i = 0; i < p->sus.n; i++)
		if (p->sus.by[i].accuser == accuser)
			return &p->sus.by[i];
	return NULL;
}

/* A place for a new accuser. Once all are taken only a `dead` may displace a mere `suspect`. */
static struct accusation *place(struct peer *p, const struct statement *st)
{
	struct accusation *a = find(p, st->accuser);

	if (!a && p->sus.n < ACCUSERS_MAX)
		a = &p->sus.by[p->sus.n++];
	for (size_t i = 0; !a && st->type == MSG_DEAD && i < p->sus.n; i++)
		if (!p->sus.by[i].has_dead) {
			a = &p->sus.by[i];
			*a = (struct accusation){0};
		}
	if (a)
		a->accuser = st->accuser;
	return a;
}

static bool dead_enough(const struct gossip *g, const struct peer *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->sus.n; i++)
		n += p->sus.by[i].has_dead;
	return n >= needed(g, p);
}

/* Notes a verified accusation, passes it on, and draws the conclusion. */
static void note(struct gossip *g, struct peer *p, const struct statement *st)
{
	struct accusation *a = place(p, st);

	if (!a)
		return;
	if (st->type == MSG_DEAD) {
		a->dead = *st;
		a->has_dead = true;
	} else {
		a->suspect = *st;
		a->has_suspect = true;
	}
	if (st->accuser == g->id)
		p->sus.ours = true;
	member_broadcast(g, BROADCAST_ACCUSE, st);
	member_set_state(g, p, MEMBER_SUSPECT);
	if (dead_enough(g, p)) {
		member_set_state(g, p, MEMBER_DEAD);
		return;
	}
	arm(g, p);
}

static struct statement accusation(const struct gossip *g, const struct peer *p, enum msg_type type)
{
	struct statement st = {.type = type, .subject = p->id, .incarnation = p->incarnation, .accuser = g->id};

	statement_sign(&st, &g->cfg.flock, g->cfg.secret);
	return st;
}

void suspicion_accuse(struct gossip *g, struct peer *p)
{
	struct statement st;

	if (!member_up(p) || !p->incarnation || p->sus.ours)
		return;
	/* Who has not answered us in this boot is not accused, unless another does: it may be our own path that is
	 * bad. But not for ever, or two that start beside a corpse would count on it. */
	if (!p->reachable && p->state != MEMBER_SUSPECT && g->now.mono - p->since < HEARSAY_MS)
		return;
	st = accusation(g, p, MSG_SUSPECT);
	note(g, p, &st);
	p->recheck_at = g->now.mono + g->prof->period / 2;
	g->suspicion_at = MIN(g->suspicion_at, p->recheck_at);
}

/* Is this peer one of the few who look for themselves? Rank by hash, so that all agree without a word. */
static bool is_deputy(const struct gossip *g, const struct peer *p)
{
	uint8_t key[16] = {0};
	uint64_t own;
	size_t before = 0;

	memcpy(key, &p->id, 8);
	memcpy(key + 8, &p->incarnation, 8);
	own = siphash(key, &g->id, sizeof(g->id));
	for (size_t i = 0; i < g->n_peers; i++)
		if (g->peers[i] != p && member_up(g->peers[i]) &&
		        siphash(key, &g->peers[i]->id, sizeof(id64)) < own)
			before++;
	return before < DEPUTIES;
}

void suspicion_on_statement(struct gossip *g, struct peer *p, const struct statement *st)
{
	const struct peer *accuser = member_by_id(g, st->accuser);
	struct accusation *a = find(p, st->accuser);
	bool first = p->state == MEMBER_ALIVE;

	if (!accuser || accuser == p || (a && (a->has_dead || (a->has_suspect && st->type == MSG_SUSPECT))))
		return;
	if (!a && p->sus.n == ACCUSERS_MAX && st->type == MSG_SUSPECT)
		return;
	if (!statement_verify(st, &g->cfg.flock, &accuser->key))
		return;
	isolation_confirmed(g);
	note(g, p, st);
	if (first && p->state == MEMBER_SUSPECT && is_deputy(g, p))
		probe_target(g, p);
}

/* Our timer ran out. */
static void fire(struct gossip *g, struct peer *p)
{
	struct statement st;

	if (isolation_holds(g)) {
		p->sus.grace += g->prof->period / 2;
		arm(g, p);
		return;
	}
	if (!p->sus.fired && (p->sus.ours || p->sus.n >= 2 || needed(g, p) == 1)) {
		p->sus.fired = true;
		st = accusation(g, p, MSG_DEAD);
		note(g, p, &st);
	} else if (dead_enough(g, p)) {
		/* Others who could have spoken have gone meanwhile. */
		member_set_state(g, p, MEMBER_DEAD);
	}
	if (p->state != MEMBER_SUSPECT)
		return;
	/* One voice is not enough: ask for others' eyes again, and go on looking. */
	p->sus.grace = g->now.mono + 2 * g->prof->period - p->suspected - timeout(g, p);
	arm(g, p);
	for (size_t i = 0; i < p->sus.n; i++)
		if (p->sus.by[i].has_suspect)
			member_broadcast(g, BROADCAST_ACCUSE, &p->sus.by[i].suspect);
	probe_target(g, p);
}

void suspicion_tick(struct gossip *g)
{
	mono_ms next = MONO_NEVER;

	if (g->now.mono < g->suspicion_at)
		return;
	for (size_t i = 0; i < g->n_peers; i++) {
		struct peer *p = g->peers[i];

		if (p->state != MEMBER_SUSPECT)
			continue;
		/* Anew each time: those who could confirm may have become fewer. */
		arm(g, p);
		if (g->now.mono >= p->sus.deadline)
			fire(g, p);
		if (p->state != MEMBER_SUSPECT)
			continue;
		if (p->sus.ours && g->now.mono >= p->recheck_at) {
			p->recheck_at = g->now.mono + g->prof->period;
			probe_target(g, p);
		}
		next = MIN(next, p->sus.ours ? MIN(p->sus.deadline, p->recheck_at) : p->sus.deadline);
	}
	g->suspicion_at = next;
}

mono_ms suspicion_wake(const struct gossip *g)
{
	return g->suspicion_at;
}

void suspicion_shift(struct gossip *g, int64_t by)
{
	for (size_t i = 0; i < g->n_peers; i++)
		if (g->peers[i]->state == MEMBER_SUSPECT)
			g->peers[i]->sus.grace += by;
	if (g->suspicion_at != MONO_NEVER)
		g->suspicion_at = g->now.mono;
}
