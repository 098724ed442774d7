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

/* Members that give a second opinion at once, on average. K of them bring the time to refute down to its least, and
 * of eight on average there are fewer than three in 1 of 70 cases; then the next probe round brings more. */
#define DEPUTIES 8
/* Accusations taken of one accuser at once, and per second after that. A split of a large flock makes each peer accuse
 * some dozens within seconds; more than that is a liar, or a broken host. */
#define BLAME_MAX        64
#define BLAME_PER_SECOND 4
/* A death that is refuted within this time was a false one. */
#define REFUTED_SOON_MS SECONDS(10)
/* One that its subject refuted costs its accusers so much more: who is often wrong (a liar, or a host too slow to hear
 * the answers) is soon not listened to for a while, of 32 s at most. */
#define BLAME_REFUTED 8
#define BLAME_DEBT    128
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

/* Others that are up and spoke when last probed, and not p: who could confirm. A mere suspect could: else one liar that
 * suspects everybody would leave nobody to contradict it. */
static size_t others_alive(const struct gossip *g, const struct peer *p)
{
	return g->n_up - g->n_silent - (member_up(p) && !p->silent);
}

/* Signatures that `dead` takes: two, or one in a flock of three or fewer that still speak (us, p, another). */
static size_t needed(const struct gossip *g, const struct peer *p)
{
	return others_alive(g, p) <= 1 || !part(g, PART_SIGNATURES) ? 1 : 2;
}

static int64_t timeout(const struct gossip *g, const struct peer *p)
{
	/* 1000 * log(C + 1) / log(K + 1) for K = 1, 2, 3 */
	static const int64_t shrink[SUSPICION_K + 1][SUSPICION_K + 1] = {
	        {1000, 1000, 1000, 1000}, {0, 1000, 1000, 1000}, {0, 631, 1000, 1000}, {0, 500, 792, 1000}};
	int64_t min =
	        g->tune->alpha * g->tune->suspicion_unit * MAX(INT64_C(1000), log10_milli(g->n_peers + 1)) / 1000;
	int64_t max = (part(g, PART_LHA_SUSPICION) ? g->tune->beta : 1) * min;
	size_t k = MIN((size_t)SUSPICION_K, others_alive(g, p));
	size_t c = p->sus->n ? MIN(p->sus->n - 1, (size_t)SUSPICION_K) : 0;

	return max - (max - min) * shrink[k][MIN(c, k)] / 1000;
}

static void arm(struct gossip *g, struct peer *p)
{
	struct suspicion *sus = p->sus;

	sus->deadline = sus->began + sus->grace + timeout(g, p) +
	                (sus->ours || !part(g, PART_SIGNATURES) ? 0 : BYSTANDER_MS);
	/* A time that shrank may be over already. That is due now, not since then: nobody stood still. */
	g->suspicion_at = MIN(g->suspicion_at, MAX(sus->deadline, g->now.mono));
}

static struct statement *find(struct peer *p, id64 accuser)
{
	for (size_t i = 0; p->sus && i < p->sus->n; i++)
		if (p->sus->by[i].accuser == accuser)
			return &p->sus->by[i];
	return NULL;
}

/* A place for a new accuser's word. Once all are taken only a `dead` may displace a mere `suspect`. */
static struct statement *place(struct gossip *g, struct peer *p, const struct statement *st)
{
	struct suspicion *sus = suspicion_of(g, p);
	struct statement *a = find(p, st->accuser);

	if (!a && sus->n < ACCUSERS_MAX)
		a = &sus->by[sus->n++];
	for (size_t i = 0; !a && st->type == MSG_DEAD && i < sus->n; i++)
		if (sus->by[i].type != MSG_DEAD)
			a = &sus->by[i];
	return a;
}

/* Where one signature is enough it must be our own: a lone liar would otherwise make the other two of three dead to each
 * other. */
static bool dead_enough(const struct gossip *g, const struct peer *p)
{
	bool alone = needed(g, p) == 1 && part(g, PART_SIGNATURES);
	size_t n = 0;

	for (size_t i = 0; i < p->sus->n; i++)
		n += p->sus->by[i].type == MSG_DEAD && (!alone || p->sus->by[i].accuser == g->id);
	return n >= (alone ? 1 : needed(g, p));
}

/* Notes a verified accusation, passes it on, and draws the conclusion. */
static void note(struct gossip *g, struct peer *p, const struct statement *st)
{
	struct statement *a = place(g, p, st);

	if (!a)
		return;
	*a = *st;
	if (st->accuser == g->id)
		p->sus->ours = true;
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
	struct statement st = {
	        .type = type, .subject = peer_id(p), .incarnation = p->incarnation, .accuser = g->id};

	statement_sign(&st, &g->cfg.flock, g->cfg.secret);
	return st;
}

void suspicion_accuse(struct gossip *g, struct peer *p)
{
	struct statement st;

	if (!member_up(p) || !p->incarnation || (p->sus && p->sus->ours))
		return;
	/* Who has not answered us in this boot is not accused, unless another does: it may be our own path that is
	 * bad. But not for ever, or two that start beside a corpse would count on it. */
	if (!p->reachable && p->state != MEMBER_SUSPECT && g->now.mono - p->since < HEARSAY_MS)
		return;
	st = accusation(g, p, MSG_SUSPECT);
	note(g, p, &st);
	if (p->state != MEMBER_SUSPECT || !part(g, PART_SIGNATURES))
		return;
	p->sus->recheck_at = g->now.mono + g->tune->period / 2;
	g->suspicion_at = MIN(g->suspicion_at, p->sus->recheck_at);
}

/*
 * Is this peer one of the few who look for themselves? By hash: each computes it alone, and DEPUTIES of any number
 * are chosen on average.
 */
static bool is_deputy(const struct gossip *g, const struct peer *p)
{
	uint8_t key[16] = {0};
	id64 subject = peer_id(p);

	if (!part(g, PART_SIGNATURES))
		return false;
	memcpy(key, &subject, 8);
	memcpy(key + 8, &p->incarnation, 8);
	return g->n_up < DEPUTIES || siphash(key, &g->id, sizeof(g->id)) < UINT64_MAX / (g->n_up + 1) * DEPUTIES;
}

/* May this accuser be listened to? One that accuses everybody again and again costs each of us a signature to check
 * and all of us a message to pass on. */
static bool listened_to(struct gossip *g, struct peer *accuser)
{
	uint32_t now_s = (uint32_t)(g->now.mono / 1000), passed = now_s - accuser->accused_at;

	accuser->accused_at = now_s;
	accuser->blame -= (uint8_t)MIN((uint64_t)passed * BLAME_PER_SECOND, (uint64_t)accuser->blame);
	if (accuser->blame >= BLAME_MAX) {
		g->count.accusations_dropped++;
		return false;
	}
	return true;
}

void suspicion_refuted(struct gossip *g, struct peer *p)
{
	/* A death that lasted was one, or a split. */
	bool soon = p->state == MEMBER_SUSPECT ||
	            (p->state == MEMBER_DEAD && p->sus && g->now.mono - p->since < REFUTED_SOON_MS);

	for (size_t i = 0; soon && i < p->sus->n; i++) {
		struct peer *accuser = member_by_id(g, p->sus->by[i].accuser);

		if (accuser)
			accuser->blame = (uint8_t)MIN(accuser->blame + BLAME_REFUTED, BLAME_DEBT);
	}
}

void suspicion_on_statement(struct gossip *g, struct peer *p, const struct statement *st, struct peer *from)
{
	struct peer *accuser = member_by_id(g, st->accuser);
	struct statement *a = find(p, st->accuser);
	bool first = p->state == MEMBER_ALIVE;

	if (a && a->type == st->type)
		member_heard_again(g, st, a, from);
	if (!accuser || accuser == p || (a && (a->type == MSG_DEAD || st->type == MSG_SUSPECT)))
		return;
	if (!a && p->sus && p->sus->n == ACCUSERS_MAX && st->type == MSG_SUSPECT)
		return;
	/* Only who really signed it pays for it. */
	if (!listened_to(g, accuser) || !member_signed(g, st, &accuser->key, from))
		return;
	accuser->blame++;
	isolation_confirmed(g);
	note(g, p, st);
	if (first && p->state == MEMBER_SUSPECT && is_deputy(g, p))
		probe_target(g, p);
}

void suspicion_withdraw(struct gossip *g, id64 accuser)
{
	struct statement own;

	for (size_t i = 0; i < g->n_peers; i++) {
		struct peer *p = g->peers[i];
		struct statement *a = find(p, accuser);

		if (!a)
			continue;
		*a = p->sus->by[--p->sus->n];
		if (p->sus->n)
			continue;
		if (p->state == MEMBER_DEAD) {
			/* It must have something to refute that counts. */
			own = accusation(g, p, MSG_DEAD);
			p->sus->by[p->sus->n++] = own;
			p->sus->ours = true;
		}
	}
	for (size_t i = g->n_suspects; i-- > 0;) {
		struct peer *p = g->suspects[i];

		if (p->sus->n)
			continue;
		member_set_state(g, p, MEMBER_ALIVE);
		suspicion_clear(p);
	}
}

void suspicion_confirm(struct gossip *g, struct peer *p, struct peer *to)
{
	struct contact *c = contact_of(g, to);
	uint8_t buf[ACCUSERS_MAX * STATEMENT_BYTES_MAX];
	struct wr w;

	if (!p->sus || g->now.mono - c->told < g->tune->period / 2)
		return;
	wr_fixed(&w, buf, sizeof(buf));
	for (size_t i = 0; i < p->sus->n; i++)
		if (p->sus->by[i].type == MSG_DEAD && p->sus->by[i].accuser != peer_id(to))
			wire_put_statement(&w, &p->sus->by[i]);
	if (!w.len)
		return;
	c->told = g->now.mono;
	packet_send(g, to, &w);
}

/* Our timer ran out. */
static void fire(struct gossip *g, struct peer *p)
{
	struct suspicion *sus = p->sus;
	struct statement st;

	if (isolation_holds(g)) {
		/* From now: the time to refute shrinks, and may be over long since, while all fall silent. */
		sus->grace = g->now.mono + g->tune->period / 2 - sus->began - timeout(g, p);
		arm(g, p);
		return;
	}
	if (!sus->fired && (sus->ours || sus->n >= 2 || needed(g, p) == 1)) {
		sus->fired = true;
		st = accusation(g, p, MSG_DEAD);
		note(g, p, &st);
	} else if (dead_enough(g, p)) {
		/* Others who could have spoken have gone meanwhile. */
		member_set_state(g, p, MEMBER_DEAD);
	}
	if (p->state != MEMBER_SUSPECT)
		return;
	/* One voice is not enough: ask for others' eyes again, and go on looking. */
	sus->grace = g->now.mono + 2 * g->tune->period - sus->began - timeout(g, p);
	arm(g, p);
	for (size_t i = 0; i < sus->n; i++)
		member_broadcast(g, BROADCAST_ACCUSE, &sus->by[i]);
	probe_target(g, p);
}

void suspicion_tick(struct gossip *g)
{
	mono_ms next = MONO_NEVER;

	if (g->now.mono < g->suspicion_at)
		return;
	/* Who ceases to be a suspect is replaced by the last, which was looked at already. */
	for (size_t i = g->n_suspects; i-- > 0;) {
		struct peer *p = g->suspects[i];
		struct suspicion *sus = p->sus;

		/* Anew each time: those who could confirm may have become fewer. */
		arm(g, p);
		if (g->now.mono >= sus->deadline)
			fire(g, p);
		if (p->state != MEMBER_SUSPECT)
			continue;
		if (g->now.mono >= sus->recheck_at) {
			/* A ping, which tells it what it has to refute: a whole round would cost some twenty packets. */
			sus->recheck_at = g->now.mono + g->tune->period;
			probe_greet(g, p);
		}
		next = MIN(next, MAX(MIN(sus->deadline, sus->recheck_at), g->now.mono));
	}
	g->suspicion_at = next;
}

mono_ms suspicion_wake(const struct gossip *g)
{
	return g->suspicion_at;
}

void suspicion_shift(struct gossip *g, int64_t by)
{
	for (size_t i = 0; i < g->n_suspects; i++)
		g->suspects[i]->sus->grace += by;
	if (g->suspicion_at != MONO_NEVER)
		g->suspicion_at = g->now.mono;
}
