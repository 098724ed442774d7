/*
 * Peers: admissions whose chain leads to the root, less those evicted.
 *
 *	root -> admin ---------------------> first peer        (an admin's own signature stands in for invite and voucher)
 *	root -> admin -> invite -> claim \
 *	        admitted peer -> voucher --> next peer
 *
 * Peers are admitted level by level from the first ones. Of several that hold the same use number of an invite,
 * one on the lowest level has it, and there the lowest record id; the others of the level take the numbers that are
 * left, in the order of their record ids. So two hosts that were given one number on two sides of a split both come in
 * while the invite has uses left; nobody's admission can rest on one that it displaces; and the result is a function of
 * the set of records alone.
 */
#include "gossip/trust/chain.h"

void peers_clear(struct trust *t)
{
	map_each (&t->invites, value)
		free(value);
	map_free(&t->invites);
	map_free(&t->peers);
	for (size_t i = 0; i < t->n_evicted; i++) {
		map_free(&t->evicted[i].good);
		map_free(&t->evicted[i].invites);
	}
	free(t->evicted);
	free(t->candidates);
	t->evicted = NULL;
	t->candidates = NULL;
	t->n_evicted = t->evicted_cap = t->n_candidates = t->candidates_cap = 0;
}

static bool gather_invite(const struct stored *s, void *ctx)
{
	struct trust *t = ctx;
	struct known_invite *known;
	struct invite inv;

	if (body_get_invite(&inv, &s->rec, NULL) < 0 || !trust_is_admin(t, &s->rec.author, &s->rec.id))
		return true;
	trust_set_add(&t->counts, &s->rec.id);
	known = map_get(&t->invites, &inv.id);
	if (known && key32_cmp(&known->record, &s->rec.id) < 0)
		return true; /* one key invited twice: the lowest record says the terms */
	known = xcalloc(1, sizeof(*known) + (inv.uses + 7) / 8);
	known->invite = inv;
	known->record = s->rec.id;
	known->author = s->rec.author;
	free(map_put(&t->invites, &inv.id, known));
	return true;
}

static bool gather_eviction(const struct stored *s, void *ctx)
{
	struct trust *t = ctx;
	struct eviction body;
	struct evicted *e;
	struct key32 peer;

	if (body_get_eviction(&body, &s->rec, NULL) < 0 || !trust_is_admin(t, &s->rec.author, &s->rec.id))
		return true;
	trust_set_add(&t->counts, &s->rec.id);
	t->evicted = trust_grown(t->evicted, t->n_evicted, &t->evicted_cap, sizeof(*e));
	e = &t->evicted[t->n_evicted++];
	*e = (struct evicted){.peer = body.peer, .record = s->rec.id};
	map_init(&e->good, sizeof(struct key32), NULL);
	map_init(&e->invites, sizeof(struct key32), NULL);
	while (body_next_key(&body.good, &peer))
		trust_set_add(&e->good, &peer);
	return true;
}

static bool is_evicted(const struct trust *t, const struct key32 *peer)
{
	for (size_t i = 0; i < t->n_evicted; i++)
		if (key32_eq(&t->evicted[i].peer, peer))
			return true;
	return false;
}

/* May that author close this invite: its own, or one of an operator below it? Root may close any. */
static bool may_close(const struct trust *t, const struct key32 *author, const struct known_invite *k)
{
	if (key32_eq(author, &k->author))
		return true;
	for (const struct op *op = op_first(t, &k->author); op; op = op_next(t, op))
		if (op_below(t, op, author))
			return true;
	return false;
}

/* Is the invite closed to this admission, by a revocation that does not list it? record NULL: to any new one. */
static bool closed(const struct trust *t, const struct known_invite *k, const struct key32 *record)
{
	for (size_t i = 0; i < t->n_revoked; i++) {
		const struct revoked *v = &t->revoked[i];

		if (key32_eq(&v->key, &k->invite.id) && trust_is_admin(t, &v->author, &v->record) &&
		        may_close(t, &v->author, k) && !(record && map_get(&v->allowed, record)))
			return true;
	}
	return false;
}

/* Does this admission rest on that peer: countersigned by it, or made with an invite that it held? */
static bool rests_on(const struct admission *a, const struct key32 *peer, const struct map *invites_held)
{
	return key32_eq(&a->voucher, peer) || map_get(invites_held, &a->invite);
}

/* Does every eviction, if any, of a peer that this admission rests on let it stay? */
static bool may_stay(const struct trust *t, const struct admission *a)
{
	for (size_t i = 0; i < t->n_evicted; i++)
		if (rests_on(a, &t->evicted[i].peer, &t->evicted[i].invites) &&
		        !map_get(&t->evicted[i].good, &a->peer))
			return false;
	return true;
}

/* An evicted peer knows the secret of the invite that it joined with. */
static void gather_invites_held(struct trust *t)
{
	for (size_t i = 0; i < t->n_evicted; i++)
		for (size_t j = 0; j < t->n_candidates; j++) {
			const struct admission *a = &t->candidates[j].a;

			if (key32_eq(&a->peer, &t->evicted[i].peer) && !key32_is_zero(&a->invite))
				trust_set_add(&t->evicted[i].invites, &a->invite);
		}
}

/* The admission's own two signatures. Of a record (its id names its body) they are checked once: at the door, or
 * when trust is evaluated, whichever comes first. */
static bool signatures_right(const struct trust *t, const struct admission *a, const struct key32 *record)
{
	if (record && map_get(t->verified, record))
		return true;
	if (!key32_is_zero(&a->invite) && !admission_claim_signed(a, &t->flock))
		return false;
	if (!admission_voucher_signed(a, &t->flock))
		return false;
	if (record && t->verified->len <= VERIFIED_MAX)
		trust_set_add(t->verified, record);
	return true;
}

static bool gather_admission(const struct stored *s, void *ctx)
{
	struct trust *t = ctx;
	struct candidate c = {.record = s->rec.id};

	if (body_get_admission(&c.a, &s->rec, NULL) < 0)
		return true;
	if (!signatures_right(t, &c.a, &c.record))
		return true;
	t->candidates = trust_grown(t->candidates, t->n_candidates, &t->candidates_cap, sizeof(c));
	t->candidates[t->n_candidates++] = c;
	return true;
}

/* By voucher, then record id: what one voucher admits is one run, lowest id first. */
static int by_voucher(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int c = key32_cmp(&x->a.voucher, &y->a.voucher);

	return c ? c : key32_cmp(&x->record, &y->record);
}

static int by_record(const void *a, const void *b)
{
	const struct candidate *x = *(struct candidate *const *)a, *y = *(struct candidate *const *)b;

	return key32_cmp(&x->record, &y->record);
}

/* May it come in, if its invite has a use for it? */
static bool eligible(const struct trust *t, const struct candidate *c)
{
	const struct known_invite *k;

	if (map_get(&t->peers, &c->a.peer) || t->peers.len >= MEMBERS_MAX)
		return false;
	if (key32_is_zero(&c->a.invite))
		return trust_is_admin(t, &c->a.voucher, &c->record);
	k = map_get(&t->invites, &c->a.invite);
	return k && c->a.use < k->invite.uses && may_stay(t, &c->a) && !closed(t, k, &c->record);
}

static void admit(struct trust *t, struct candidate *c, uint32_t use)
{
	struct known_invite *k = map_get(&t->invites, &c->a.invite);

	if (k)
		k->taken[use / 8] |= (uint8_t)(1 << use % 8);
	c->admitted = true;
	map_put(&t->peers, &c->a.peer, c);
}

/* The candidates that a voucher countersigned, as a run of the sorted array. */
static struct candidate *run_of(const struct trust *t, const struct key32 *voucher, size_t *n)
{
	size_t lo = 0, hi = t->n_candidates, end;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (key32_cmp(&t->candidates[mid].a.voucher, voucher) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (end = lo; end < t->n_candidates && key32_eq(&t->candidates[end].a.voucher, voucher);)
		end++;
	*n = end - lo;
	return t->candidates + lo;
}

/* Admits one level: candidates in order of their record ids, each if it is eligible: first those whose use number is
 * free, then with what numbers are left. Leaves in level those admitted. */
static size_t admit_level(struct trust *t, struct candidate **level, size_t n)
{
	size_t kept = 0;

	if (n)
		qsort(level, n, sizeof(*level), by_record);
	for (size_t i = 0; i < n; i++) {
		const struct known_invite *k = map_get(&t->invites, &level[i]->a.invite);

		if (eligible(t, level[i]) && !(k && invite_use_taken(k, level[i]->a.use)))
			admit(t, level[i], level[i]->a.use);
	}
	for (size_t i = 0; i < n; i++) {
		int64_t use;

		if (level[i]->admitted || !eligible(t, level[i]))
			continue;
		use = trust_free_use(t, &level[i]->a.invite, 0);
		if (use >= 0)
			admit(t, level[i], (uint32_t)use);
	}
	for (size_t i = 0; i < n; i++)
		if (level[i]->admitted)
			level[kept++] = level[i];
	return kept;
}

static void admit_all(struct trust *t)
{
	struct candidate **level = NULL, **below = NULL;
	size_t n = 0, n_below, cap = 0, below_cap = 0;

	for (size_t i = 0; i < t->n_candidates; i++) {
		if (!key32_is_zero(&t->candidates[i].a.invite))
			continue;
		level = trust_grown(level, n, &cap, sizeof(*level));
		level[n++] = &t->candidates[i];
	}
	while ((n = admit_level(t, level, n))) {
		n_below = 0;
		for (size_t i = 0; i < n; i++) {
			size_t run;
			struct candidate *first = run_of(t, &level[i]->a.peer, &run);

			for (size_t j = 0; j < run; j++) {
				if (key32_is_zero(&first[j].a.invite))
					continue;
				below = trust_grown(below, n_below, &below_cap, sizeof(*below));
				below[n_below++] = &first[j];
			}
		}
		level = trust_grown(level, n_below, &cap, sizeof(*level));
		if (n_below)
			memcpy(level, below, n_below * sizeof(*level));
		n = n_below;
	}
	free(level);
	free(below);
}

void peers_evaluate(struct trust *t, const struct store *st)
{
	peers_clear(t);
	map_init(&t->invites, sizeof(struct key32), NULL);
	map_init(&t->peers, sizeof(struct key32), NULL);
	if (!t->rooted)
		return;
	store_each(st, REC_INVITE, gather_invite, t);
	store_each(st, REC_EVICTION, gather_eviction, t);
	store_each(st, REC_ADMISSION, gather_admission, t);
	if (t->n_candidates)
		qsort(t->candidates, t->n_candidates, sizeof(*t->candidates), by_voucher);
	gather_invites_held(t);
	admit_all(t);
	for (size_t i = 0; i < t->n_evicted; i++)
		map_del(&t->peers, &t->evicted[i].peer);
	map_each (&t->peers, c)
		trust_set_add(&t->counts, &((struct candidate *)c)->record);
}

static int by_key(const void *a, const void *b)
{
	return key32_cmp(a, b);
}

size_t trust_resting_on(const struct trust *t, const struct key32 *peer, struct key32 *out, size_t max)
{
	const struct candidate *held = map_get(&t->peers, peer);
	struct map invites;
	size_t n = 0;

	map_init(&invites, sizeof(struct key32), NULL);
	if (held && !key32_is_zero(&held->a.invite))
		trust_set_add(&invites, &held->a.invite);
	map_each (&t->peers, value) {
		const struct candidate *c = value;

		if (c == held || key32_is_zero(&c->a.invite) || !rests_on(&c->a, peer, &invites))
			continue;
		if (n < max)
			out[n] = c->a.peer;
		n++;
	}
	map_free(&invites);
	if (MIN(n, max))
		qsort(out, MIN(n, max), sizeof(*out), by_key);
	return n;
}

bool trust_may_revoke(const struct trust *t, const struct key32 *author, const struct key32 *key)
{
	const struct known_invite *k = map_get(&t->invites, key);

	for (const struct op *op = op_first(t, key); op; op = op_next(t, op))
		if (op_below(t, op, author))
			return true;
	return k && may_close(t, author, k);
}

enum invite_state trust_invite_state(const struct trust *t, const struct key32 *invite)
{
	const struct known_invite *k = map_get(&t->invites, invite);

	if (!k)
		return INVITE_VOID;
	if (closed(t, k, NULL))
		return INVITE_REVOKED;
	for (size_t i = 0; i < t->n_evicted; i++)
		if (map_get(&t->evicted[i].invites, invite))
			return INVITE_EVICTED;
	return trust_free_use(t, invite, 0) < 0 ? INVITE_USED : INVITE_OPEN;
}

bool trust_eviction(const struct trust *t, const struct key32 *peer, struct key32 *record)
{
	for (size_t i = 0; i < t->n_evicted; i++)
		if (key32_eq(&t->evicted[i].peer, peer)) {
			*record = t->evicted[i].record;
			return true;
		}
	return false;
}

int trust_admission_check(
        const struct trust *t, const struct admission *a, const struct key32 *record, struct err *err)
{
	const struct known_invite *k;

	if (!signatures_right(t, a, record))
		return err_set(err, ERR_UNAUTHORISED, "admission: a signature inside it is wrong");
	if (is_evicted(t, &a->peer))
		return err_set(err, ERR_UNAUTHORISED,
		        "admission: this peer was evicted; give the host a new key (remove its data folder)");
	if (key32_is_zero(&a->invite)) {
		if (trust_is_admin(t, &a->voucher, record))
			return 0;
		return err_set(err, ERR_UNAUTHORISED, "admission: who signed it is no admin of this flock");
	}
	k = map_get(&t->invites, &a->invite);
	if (!k)
		return err_set(err, ERR_UNAUTHORISED,
		        "admission: its invite is not known to this flock, or was revoked; create a new token");
	if (closed(t, k, record))
		return err_set(err, ERR_UNAUTHORISED, "admission: its token was revoked; create a new one");
	if (a->use >= k->invite.uses)
		return err_set(
		        err, ERR_UNAUTHORISED, "admission: use %u of an invite for %u", a->use, k->invite.uses);
	if (!may_stay(t, a))
		return err_set(err, ERR_UNAUTHORISED,
		        "admission: it rests on a peer that was evicted, which knows its token; create a new one");
	if (!map_get(&t->peers, &a->voucher))
		return err_set(err, ERR_UNAUTHORISED, "admission: who vouched for it is not admitted");
	return 0;
}
