/*
 * Operators: the tree of grants from the root, less what was revoked.
 *
 *	root-2 --- root --- admin --- ci       A grant counts when its author is a root or an admin, and it gives no more
 *	       \        \         \-- night    than that author has. A revocation counts against a grant when its author
 *	        \        \- admin2             is above it in the tree. A root's successor stands above it (roots.c), the
 *	         \- admin3                     youngest above all.
 *
 * The tree is built level by level from the root. Who may revoke a grant stands on lower levels, which are
 * settled by then, so the result is a function of the set of records and of nothing else.
 */
#include "base/text.h"
#include "gossip/trust/chain.h"

/* A grant that is known and not yet on the tree. */
struct loose {
	struct grant grant;
	struct key32 author, record;
};

struct gathering {
	struct trust *t;
	const struct store *st;
	struct loose *loose;
	size_t n, cap;
};

void operators_clear(struct trust *t)
{
	for (size_t i = 0; i < t->n_revoked; i++)
		map_free(&t->revoked[i].allowed);
	free(t->revoked);
	for (size_t i = 0; i < t->n_ops; i++)
		free(t->ops[i].against);
	free(t->ops);
	map_free(&t->op_of);
	t->revoked = NULL;
	t->ops = NULL;
	t->n_revoked = t->revoked_cap = t->n_ops = t->ops_cap = t->n_roots = 0;
}

const struct op *op_first(const struct trust *t, const struct key32 *key)
{
	size_t index = (size_t)(uintptr_t)map_get(&t->op_of, key);

	return index ? &t->ops[index - 1] : NULL;
}

const struct op *op_next(const struct trust *t, const struct op *op)
{
	return op->next ? &t->ops[op->next] : NULL;
}

bool op_below(const struct trust *t, const struct op *op, const struct key32 *key)
{
	while (op != &t->ops[0]) {
		op = &t->ops[op->parent];
		if (key32_eq(&op->grant.operator_key, key))
			return true;
	}
	return false;
}

bool op_holds(const struct trust *t, const struct op *op, const struct key32 *record)
{
	for (size_t i = 0; i < op->n_against; i++)
		if (!record || !map_get(&t->revoked[op->against[i]].allowed, record))
			return false;
	return true;
}

/* Does op's key, or one above it, stand behind that revocation? A revoked key's later ones are void like all else that it
 * signs. */
static bool revoked_from(const struct trust *t, const struct op *op, const struct revoked *v)
{
	for (;;) {
		if (key32_eq(&op->grant.operator_key, &v->author) && op_holds(t, op, &v->record))
			return true;
		if (op == &t->ops[0])
			return false;
		op = &t->ops[op->parent];
	}
}

static bool revoked_from_above(const struct trust *t, const struct op *op, const struct revoked *v)
{
	return op != &t->ops[0] && revoked_from(t, &t->ops[op->parent], v);
}

/* What stands above op is on the tree already, and settled. */
static void settle_revocations(struct trust *t, struct op *op)
{
	for (size_t i = 0; i < t->n_revoked; i++) {
		if (!key32_eq(&t->revoked[i].key, &op->grant.operator_key) ||
		        !revoked_from_above(t, op, &t->revoked[i]))
			continue;
		op->against = trust_grown(op->against, op->n_against, &op->against_cap, sizeof(*op->against));
		op->against[op->n_against++] = i;
	}
}

bool trust_grant_void(const struct trust *t, const struct record *r, const struct grant *g)
{
	for (const struct op *op = op_first(t, &r->author); op; op = op_next(t, op)) {
		if (!op_holds(t, op, &r->id) || op_permits(op, g, NULL) < 0)
			continue;
		for (size_t i = 0; i < t->n_revoked; i++)
			if (key32_eq(&t->revoked[i].key, &g->operator_key) && revoked_from(t, op, &t->revoked[i]))
				return true;
	}
	return false;
}

bool trust_is_admin(const struct trust *t, const struct key32 *author, const struct key32 *record)
{
	for (const struct op *op = op_first(t, author); op; op = op_next(t, op))
		if (op->grant.role >= ROLE_ADMIN && op_holds(t, op, record))
			return true;
	return false;
}

bool op_covers(const struct op *op, const char *stack)
{
	for (size_t i = 0; i < op->grant.n_globs; i++)
		if (text_glob(op->grant.globs[i], stack))
			return true;
	return !op->grant.n_globs;
}

/* Does every name that inner matches match outer too? May say no for exotic pairs, never yes wrongly: outer's
 * stars swallow whatever inner's wildcards stand for, but outer's '?' cannot stand for inner's '*'. */
static bool glob_within(const char *outer, const char *inner)
{
	if (strcmp(outer, inner) == 0)
		return true;
	if (strchr(outer, '?') && strchr(inner, '*'))
		return false;
	return text_glob(outer, inner);
}

static bool globs_within(const struct grant *outer, const struct grant *inner)
{
	if (!outer->n_globs)
		return true;
	for (size_t i = 0; i < inner->n_globs; i++) {
		bool within = false;

		for (size_t j = 0; j < outer->n_globs && !within; j++)
			within = glob_within(outer->globs[j], inner->globs[i]);
		if (!within)
			return false;
	}
	return inner->n_globs;
}

int op_permits(const struct op *op, const struct grant *g, struct err *err)
{
	if (op->grant.role < ROLE_ADMIN)
		return err_set(
		        err, ERR_UNAUTHORISED, "key %s may not grant: its role is not admin", op->grant.name);
	if (g->role > op->grant.role)
		return err_set(
		        err, ERR_UNAUTHORISED, "key %s may not grant a role above its own", op->grant.name);
	if (g->powers & ~op->grant.powers)
		return err_set(
		        err, ERR_UNAUTHORISED, "key %s may not grant powers that it has not", op->grant.name);
	if (!globs_within(&op->grant, g))
		return err_set(
		        err, ERR_UNAUTHORISED, "key %s may not grant stacks beyond its own", op->grant.name);
	return 0;
}

void op_add(struct trust *t, const struct grant *g, const struct key32 *record, size_t parent)
{
	size_t at = t->n_ops, first = (size_t)(uintptr_t)map_get(&t->op_of, &g->operator_key);

	t->ops = trust_grown(t->ops, at, &t->ops_cap, sizeof(*t->ops));
	t->ops[at] = (struct op){.grant = *g, .record = *record, .parent = parent};
	t->n_ops++;
	settle_revocations(t, &t->ops[at]);
	if (first) {
		t->ops[at].next = t->ops[first - 1].next;
		t->ops[first - 1].next = at;
	} else {
		map_put(&t->op_of, &g->operator_key, (void *)(uintptr_t)(at + 1));
	}
}

static bool gather_grant(const struct stored *s, void *ctx)
{
	struct gathering *g = ctx;
	struct loose l = {.author = s->rec.author, .record = s->rec.id};

	if (body_get_grant(&l.grant, &s->rec, NULL) < 0)
		return true;
	g->loose = trust_grown(g->loose, g->n, &g->cap, sizeof(l));
	g->loose[g->n++] = l;
	return true;
}

/* Marks everything from which the listed heads descend, along the key's own history. An admission may be listed
 * too: a first peer that the key admitted and that stays. */
static void allow_ancestors(struct revoked *v, struct key_list heads, const struct store *st)
{
	struct key32 *todo = NULL, id;
	size_t n = 0, cap = 0;

	while (body_next_key(&heads, &id)) {
		todo = trust_grown(todo, n, &cap, sizeof(*todo));
		todo[n++] = id;
	}
	while (n) {
		const struct stored *s = store_get(st, &todo[--n]);

		if (!s || map_get(&v->allowed, &s->rec.id))
			continue;
		if (!key32_eq(&s->rec.author, &v->key) && s->rec.kind != REC_ADMISSION)
			continue;
		trust_set_add(&v->allowed, &s->rec.id);
		for (size_t i = 0; s->rec.kind != REC_ADMISSION && i < s->rec.n_prev; i++) {
			todo = trust_grown(todo, n, &cap, sizeof(*todo));
			todo[n++] = s->rec.prev[i];
		}
	}
	free(todo);
}

static bool gather_revocation(const struct stored *s, void *ctx)
{
	struct gathering *g = ctx;
	struct trust *t = g->t;
	struct revocation body;
	struct revoked *v;

	if (body_get_revocation(&body, &s->rec, NULL) < 0)
		return true;
	t->revoked = trust_grown(t->revoked, t->n_revoked, &t->revoked_cap, sizeof(*v));
	v = &t->revoked[t->n_revoked++];
	*v = (struct revoked){.author = s->rec.author, .key = body.key, .record = s->rec.id};
	map_init(&v->allowed, sizeof(struct key32), NULL);
	allow_ancestors(v, body.heads, g->st);
	return true;
}

/* The op among [0, level_end) that carries a loose grant, or -1. */
static long carrier(const struct trust *t, const struct loose *l, size_t level_end)
{
	for (const struct op *op = op_first(t, &l->author); op; op = op_next(t, op)) {
		size_t at = (size_t)(op - t->ops);

		if (at < level_end && op_permits(op, &l->grant, NULL) == 0 && op_holds(t, op, &l->record))
			return (long)at;
	}
	return -1;
}

void operators_evaluate(struct trust *t, const struct store *st)
{
	struct gathering g = {.t = t, .st = st};
	size_t before;

	operators_clear(t);
	t->name[0] = '\0';
	map_init(&t->op_of, sizeof(struct key32), NULL);
	store_each(st, REC_REVOCATION, gather_revocation, &g);
	t->rooted = roots_evaluate(t, st);
	if (!t->rooted)
		return;
	store_each(st, REC_GRANT, gather_grant, &g);
	do { /* one level per round; at most as many rounds as grants */
		before = t->n_ops;
		for (size_t i = 0; i < g.n;) {
			long parent = carrier(t, &g.loose[i], before);

			if (parent < 0) {
				i++;
				continue;
			}
			op_add(t, &g.loose[i].grant, &g.loose[i].record, (size_t)parent);
			g.loose[i] = g.loose[--g.n];
		}
	} while (t->n_ops > before);
	free(g.loose);
	for (size_t i = 0; i < t->n_ops; i++) /* what made a root stays true when that root is retired */
		if (i < t->n_roots || op_holds(t, &t->ops[i], NULL))
			trust_set_add(&t->counts, &t->ops[i].record);
}
