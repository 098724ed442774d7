#include "gossip/trust/trust.h"

#include "base/hash.h"
#include "base/text.h"
#include "gossip/trust/chain.h"

#include <stdio.h>

void *trust_grown(void *array, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return array;
	*cap = MAX(n + 1, *cap ? *cap * 2 : 16);
	return xrealloc(array, *cap * size);
}

void trust_set_add(struct map *set, const struct key32 *k)
{
	static uint8_t present;

	map_put(set, k, &present);
}

struct trust *trust_new(const struct key32 *flock)
{
	struct trust *t = xcalloc(1, sizeof(*t));

	t->flock = *flock;
	t->verified = xcalloc(1, sizeof(*t->verified));
	map_init(t->verified, sizeof(struct key32), NULL);
	map_init(&t->op_of, sizeof(struct key32), NULL);
	map_init(&t->invites, sizeof(struct key32), NULL);
	map_init(&t->peers, sizeof(struct key32), NULL);
	map_init(&t->counts, sizeof(struct key32), NULL);
	return t;
}

void trust_free(struct trust *t)
{
	if (!t)
		return;
	operators_clear(t);
	peers_clear(t);
	map_free(t->verified);
	free(t->verified);
	map_free(&t->counts);
	free(t);
}

void trust_evaluate(struct trust *t, const struct store *st)
{
	map_free(&t->counts);
	/* Forgotten when far more were verified than may be admitted: somebody floods us with admissions. */
	if (t->verified->len > VERIFIED_MAX)
		map_free(t->verified);
	operators_evaluate(t, st);
	peers_evaluate(t, st);
	t->version++;
}

uint64_t trust_version(const struct trust *t)
{
	return t->version;
}

const char *trust_flock_name(const struct trust *t)
{
	return t->name;
}

/* Peers. */

bool trust_peer(const struct trust *t, const struct key32 *peer)
{
	return map_get(&t->peers, peer);
}

static int by_key(const void *a, const void *b)
{
	return key32_cmp(a, b);
}

size_t trust_peers(const struct trust *t, struct key32 *out, size_t max)
{
	size_t all = t->peers.len, at = 0, n = 0;
	cleanup_free struct key32 *keys = xmalloc(all * sizeof(*keys));
	const void *key;

	if (!max)
		return all;
	while (map_next(&t->peers, &at, &key))
		memcpy(&keys[n++], key, sizeof(*keys));
	qsort(keys, n, sizeof(*keys), by_key);
	memcpy(out, keys, MIN(n, max) * sizeof(*keys));
	return all;
}

const struct invite *trust_invite(const struct trust *t, const struct key32 *invite)
{
	const struct known_invite *k = map_get(&t->invites, invite);

	return k ? &k->invite : NULL;
}

int64_t trust_free_use(const struct trust *t, const struct key32 *invite, uint32_t from)
{
	const struct known_invite *k = map_get(&t->invites, invite);

	for (uint32_t use = from; k && use < k->invite.uses; use++)
		if (!invite_use_taken(k, use))
			return use;
	return -1;
}

int trust_vouch(
        const struct trust *t, struct admission *a, const uint8_t peer_secret[64], wall_ms wall, struct err *err)
{
	const struct known_invite *k = map_get(&t->invites, &a->invite);
	const struct candidate *holder = map_get(&t->peers, &a->peer);

	if (!k)
		return err_set(err, ERR_UNAUTHORISED,
		        "this token's invite is not known here, or was revoked; create a new token");
	if (!admission_claim_signed(a, &t->flock))
		return err_set(err, ERR_UNAUTHORISED, "the claim is not signed by the token's key");
	if (wall >= k->invite.expires) {
		char when[25];

		text_time(when, k->invite.expires);
		return err_set(err, ERR_UNAUTHORISED, "the token expired at %s; create a new one", when);
	}
	/* The same claim again is a joiner that did not hear the first answer. */
	if (holder && (!key32_eq(&holder->a.invite, &a->invite) || holder->a.use != a->use))
		return err_set(err, ERR_UNAUTHORISED, "this peer is already in the flock");
	if (a->use >= k->invite.uses || (!holder && invite_use_taken(k, a->use)))
		return err_set(err, ERR_UNAUTHORISED,
		        "use %u of the token is taken or beyond the %u that it allows; create a new token",
		        a->use, k->invite.uses);
	admission_sign_voucher(a, &t->flock, peer_secret);
	return trust_admission_check(t, a, NULL, err);
}

/* Operators. */

/* The heavier first: role, powers, then the id. */
static int by_weight(const void *a, const void *b)
{
	const struct op *x = *(const struct op *const *)a, *y = *(const struct op *const *)b;

	if (x->grant.role != y->grant.role)
		return x->grant.role > y->grant.role ? -1 : 1;
	if (x->grant.powers != y->grant.powers)
		return x->grant.powers > y->grant.powers ? -1 : 1;
	return key32_cmp(&x->record, &y->record);
}

/* Of a key's grants the one that says most: highest role, then most powers, then the record of the lowest id, which all peers
 * agree on. */
static const struct op *best_op(const struct trust *t, const struct key32 *key)
{
	const struct op *best = NULL;

	for (const struct op *op = op_first(t, key); op; op = op_next(t, op)) {
		if (!op_holds(t, op, NULL))
			continue;
		if (!best || by_weight(&op, &best) < 0)
			best = op;
	}
	return best;
}

const struct grant *trust_operator(const struct trust *t, const struct key32 *key)
{
	const struct op *op = best_op(t, key);

	return op ? &op->grant : NULL;
}

const char *trust_key_name(const struct trust *t, const struct key32 *key)
{
	const struct op *best = best_op(t, key);

	for (const struct op *op = best ? NULL : op_first(t, key); op; op = op_next(t, op))
		if (!best || by_weight(&op, &best) < 0)
			best = op;
	return best ? best->grant.name : NULL;
}

bool trust_may_read(const struct trust *t, const struct key32 *key, const char *stack)
{
	for (const struct op *op = op_first(t, key); op; op = op_next(t, op))
		if (op->grant.role >= ROLE_READ && op_covers(op, stack) && op_holds(t, op, NULL))
			return true;
	return false;
}

static int by_operator(const void *a, const void *b)
{
	int order = key32_cmp(&(*(const struct op *const *)a)->grant.operator_key,
	        &(*(const struct op *const *)b)->grant.operator_key);

	return order ? order : by_weight(a, b);
}

static size_t list_grants(const struct trust *t, bool revoked, const struct grant **out, size_t max)
{
	cleanup_free const struct op **all = xmalloc(MAX(t->n_ops, (size_t)1) * sizeof(*all));
	size_t n = 0;

	for (size_t i = 0; i < t->n_ops; i++)
		if (revoked || op_holds(t, &t->ops[i], NULL))
			all[n++] = &t->ops[i];
	qsort(all, n, sizeof(*all), by_operator);
	for (size_t i = 0; i < MIN(n, max); i++)
		out[i] = &all[i]->grant;
	return n;
}

bool trust_grant_holds(const struct trust *t, const struct grant *g)
{
	for (const struct op *op = op_first(t, &g->operator_key); op; op = op_next(t, op))
		if (&op->grant == g)
			return op_holds(t, op, NULL);
	return false;
}

size_t trust_operators(const struct trust *t, const struct grant **out, size_t max)
{
	return list_grants(t, false, out, max);
}

size_t trust_keys(const struct trust *t, const struct grant **out, size_t max)
{
	return list_grants(t, true, out, max);
}

uint32_t trust_powers(const struct trust *t, const struct key32 *key)
{
	uint32_t powers = 0;

	for (const struct op *op = op_first(t, key); op; op = op_next(t, op))
		if (op_holds(t, op, NULL))
			powers |= op->grant.powers;
	return powers;
}

uint32_t trust_powers_for(const struct trust *t, const struct record *revision)
{
	uint32_t powers = 0;

	for (const struct op *op = op_first(t, &revision->author); op; op = op_next(t, op))
		if (op_holds(t, op, &revision->id) && op_covers(op, revision->name))
			powers |= op->grant.powers;
	return powers;
}

const char *trust_power_name(uint32_t power)
{
	switch (power) {
	case POWER_EXEC_AS_ROOT:
		return "exec-as-root";
	case POWER_PRIVILEGED:
		return "privileged";
	case POWER_HOST_BINDS:
		return "host-binds";
	case POWER_DEVICES:
		return "devices";
	case POWER_HOST_NETWORK:
		return "host-network";
	case POWER_PRIORITY:
		return "priority";
	default:
		return "unknown";
	}
}

/* Records. */

static const char *role_name(enum role role)
{
	static const char *const names[] = {"none", "read", "deploy", "admin", "root"};

	return names[role];
}

/* Bytes that the globs of a refusal may take: err's text has room for them and the rest of the sentence. */
#define GLOBS_SHOWN_MAX 400

/* The globs of all grants that let the key deploy, apart by commas; those that do not fit are counted. */
static void name_globs(const struct trust *t, const struct record *r, char out[GLOBS_SHOWN_MAX + 64])
{
	size_t len = 0, more = 0;

	out[0] = '\0';
	for (const struct op *op = op_first(t, &r->author); op; op = op_next(t, op)) {
		if (op->grant.role < ROLE_DEPLOY || !op_holds(t, op, &r->id))
			continue;
		for (size_t i = 0; i < op->grant.n_globs; i++) {
			const char *glob = op->grant.globs[i];

			if (len + strlen(glob) + 2 > GLOBS_SHOWN_MAX)
				more++;
			else
				len += (size_t)snprintf(
				        out + len, GLOBS_SHOWN_MAX + 64 - len, "%s%s", len ? ", " : "", glob);
		}
	}
	if (more)
		snprintf(out + len, GLOBS_SHOWN_MAX + 64 - len, " and %zu more (see starling key ls)", more);
}

static int may_deploy(const struct trust *t, const struct record *r, struct err *err)
{
	const struct op *best = NULL;
	char globs[GLOBS_SHOWN_MAX + 64];

	for (const struct op *op = op_first(t, &r->author); op; op = op_next(t, op)) {
		if (!op_holds(t, op, &r->id))
			continue;
		if (op->grant.role >= ROLE_DEPLOY && op_covers(op, r->name))
			return 0;
		if (!best || by_weight(&op, &best) < 0)
			best = op;
	}
	if (!best)
		return err_set(err, ERR_UNAUTHORISED, "stack %s: the key that signed it was revoked", r->name);
	if (best->grant.role < ROLE_DEPLOY)
		return err_set(err, ERR_UNAUTHORISED,
		        "stack %s: key %s has the role %s, deploying needs deploy or admin; ask an admin for a grant",
		        r->name, best->grant.name, role_name(best->grant.role));
	name_globs(t, r, globs);
	return err_set(err, ERR_UNAUTHORISED,
	        "stack %s: key %s may deploy only stacks that match %s; ask an admin for a grant", r->name,
	        best->grant.name, globs);
}

static int must_be_admin(const struct trust *t, const struct record *r, const char *what, struct err *err)
{
	const struct grant *g = trust_operator(t, &r->author);

	if (trust_is_admin(t, &r->author, &r->id))
		return 0;
	return err_set(err, ERR_UNAUTHORISED, "%s: key %s has the role %s, this needs admin", what,
	        g ? g->name : "(revoked)", role_name(g ? g->role : ROLE_NONE));
}

static int may_grant(const struct trust *t, const struct record *r, struct err *err)
{
	struct grant g;

	if (body_get_grant(&g, r, err) < 0)
		return -1;
	for (const struct op *op = op_first(t, &r->author); op; op = op_next(t, op))
		if (op_holds(t, op, &r->id) && op_permits(op, &g, err) == 0)
			return 0;
	return op_holds(t, op_first(t, &r->author), &r->id)
	               ? -1
	               : err_set(err, ERR_UNAUTHORISED, "grant: the key that signed it was revoked");
}

static int may_admit(const struct trust *t, const struct record *r, struct err *err)
{
	struct admission a;

	if (body_get_admission(&a, r, err) < 0)
		return -1;
	return trust_admission_check(t, &a, &r->id, err);
}

static int must_be_peer(const struct trust *t, const struct record *r, struct err *err)
{
	char id[17];

	if (trust_peer(t, &r->author))
		return 0;
	id64_text(id, key32_id(&r->author));
	return err_set(err, ERR_UNAUTHORISED, "peer %s is not admitted to this flock", id);
}

static int may_succeed(const struct trust *t, const struct record *r, struct err *err)
{
	const struct grant *root = &t->ops[0].grant;
	struct key32 successor;

	/* Once it counts, it does whoever its author is by now. */
	if (map_get(&t->counts, &r->id))
		return 0;
	if (body_get_succession(&successor, r, err) < 0)
		return -1;
	if (!key32_eq(&r->author, &root->operator_key))
		return err_set(err, ERR_UNAUTHORISED,
		        "succession: only the flock's root (%s) names its successor%s", root->name,
		        op_first(t, &r->author)->grant.role == ROLE_ROOT ? ", and this one has been succeeded"
		                                                         : "");
	for (size_t i = 0; i < t->n_roots; i++)
		if (key32_eq(&t->ops[i].grant.operator_key, &successor))
			return err_set(err, ERR_UNAUTHORISED, "succession: that key is %s already",
			        t->ops[i].grant.name);
	return 0;
}

static int may_revoke(const struct trust *t, const struct record *r, struct err *err)
{
	struct revocation v;

	if (body_get_revocation(&v, r, err) < 0 || must_be_admin(t, r, "revocation", err) < 0)
		return -1;
	if (trust_may_revoke(t, &r->author, &v.key))
		return 0;
	return err_set(err, ERR_UNAUTHORISED,
	        "revocation: a key revokes what it granted, directly or through others, and no other; use a key above "
	        "it, or the root key");
}

int trust_may_write(const struct trust *t, const struct record *r, struct err *err)
{
	char id[17];

	if (!t->rooted)
		return err_set(err, ERR_UNAUTHORISED,
		        "this peer has no genesis record of its flock yet; try again soon");
	if (r->kind == REC_ADMISSION)
		return may_admit(t, r, err);
	if (record_is_volatile(r->kind))
		return must_be_peer(t, r, err);
	if (r->kind == REC_GENESIS)
		return key32_eq(&r->id, &t->flock)
		               ? 0
		               : err_set(err, ERR_UNAUTHORISED, "the genesis record of another flock");
	if (!op_first(t, &r->author)) {
		id64_text(id, key32_id(&r->author));
		return err_set(err, ERR_UNAUTHORISED,
		        "key %s is not known to flock %s; an admin can grant it a role", id, t->name);
	}
	switch (r->kind) {
	case REC_REVISION:
		return may_deploy(t, r, err);
	case REC_GRANT:
		return may_grant(t, r, err);
	case REC_INVITE:
		return must_be_admin(t, r, "invite", err);
	case REC_REVOCATION:
		return may_revoke(t, r, err);
	case REC_EVICTION:
		return must_be_admin(t, r, "eviction", err);
	case REC_SUCCESSION:
		return may_succeed(t, r, err);
	case REC_SETTING:
		return must_be_admin(t, r, r->name, err);
	default:
		return err_set(
		        err, ERR_UNAUTHORISED, "records of kind %u are not known to this version", r->kind);
	}
}

bool trust_valid(const struct trust *t, const struct stored *s)
{
	switch (s->rec.kind) {
	case REC_GENESIS:
	case REC_GRANT:
	case REC_INVITE:
	case REC_EVICTION:
	case REC_ADMISSION:
	case REC_SUCCESSION:
		return map_get(&t->counts, &s->rec.id);
	default:
		return trust_may_write(t, &s->rec, NULL) == 0;
	}
}
