/*
 * Records of one key that name each other as parents form a graph: revisions of a stack, settings of one name.
 * Heads are those that nobody valid names as a parent; the winner among heads is what runs.
 *
 *	     a -- b -- d          heads d and c: concurrent edits. Both are kept; the winner runs, the other is
 *	      \                   shown as a conflict until someone signs a revision with both as parents.
 *	       c
 *
 *	     a -- X -- e          X removed the stack, e is deployed anew. c is of the line that X ended: e wins, however
 *	      \                   late c was made, so a peer that was away brings nothing back.
 *	       c
 */
#include "base/map.h"
#include "gossip/store/index.h"

/* The records of one key that count, and the set of ids they name as parents. */
struct graph {
	store_valid *valid;
	void *ctx;
	const struct stored **nodes;
	size_t n, cap;
	struct map parents;
	const uint8_t *hash_secret;
};

static bool gather(const struct stored *s, void *ctx)
{
	struct graph *g = ctx;

	if (!s->on_disk || (g->valid && !g->valid(s, g->ctx)))
		return true;
	if (g->n == g->cap) {
		g->cap = g->cap ? g->cap * 2 : 16;
		g->nodes = xrealloc(g->nodes, g->cap * sizeof(*g->nodes));
	}
	g->nodes[g->n++] = s;
	for (size_t i = 0; i < s->rec.n_parents; i++)
		if (!key32_eq(&s->rec.parents[i], &s->rec.id))
			map_put(&g->parents, &s->rec.parents[i], g);
	return true;
}

static void graph_open(struct graph *g, const struct store *st, uint8_t kind, const struct key32 *key,
        store_valid *valid, void *ctx)
{
	*g = (struct graph){.valid = valid, .ctx = ctx, .hash_secret = store_hash_secret(st)};
	map_init(&g->parents, sizeof(struct key32), store_hash_secret(st));
	store_each_of_key(st, kind, key, gather, g);
}

static void graph_close(struct graph *g)
{
	map_free(&g->parents);
	free(g->nodes);
}

static bool is_head(const struct graph *g, const struct stored *s)
{
	return !map_get(&g->parents, &s->rec.id);
}

/* A record and how many removals lie on the way to it at most, itself included. */
struct generation {
	const struct stored *s;
	unsigned removals;
	bool settled;
};

struct head {
	const struct stored *s;
	unsigned removals;
};

/* Decides between two heads: 1. a removal, 2. more removals behind it, 3. the higher stamp, 4. the higher id, which
 * never ties. */
static bool beats(const struct head *a, const struct head *b)
{
	bool a_removes = a->s->rec.flags & RECORD_FLAG_REMOVAL, b_removes = b->s->rec.flags & RECORD_FLAG_REMOVAL;

	if (a_removes != b_removes)
		return a_removes;
	if (a->removals != b->removals)
		return a->removals > b->removals;
	if (a->s->rec.stamp != b->s->rec.stamp)
		return a->s->rec.stamp > b->s->rec.stamp;
	return key32_cmp(&a->s->rec.id, &b->s->rec.id) > 0;
}

/* The heads found so far, the best STACK_HEADS_MAX of them, best first. */
struct ranking {
	struct head head[STACK_HEADS_MAX];
	size_t n;
};

static void add_head(struct ranking *r, const struct head *h)
{
	size_t at = r->n;

	while (at && beats(h, &r->head[at - 1]))
		at--;
	if (at == STACK_HEADS_MAX)
		return;
	if (r->n < STACK_HEADS_MAX)
		r->n++;
	memmove(&r->head[at + 1], &r->head[at], (r->n - 1 - at) * sizeof(r->head[0]));
	r->head[at] = *h;
}

static bool any_removal(const struct graph *g)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->nodes[i]->rec.flags & RECORD_FLAG_REMOVAL)
			return true;
	return false;
}

/* Settles one record whose parents are settled, or says which parent is not (a record cannot be its own ancestor: ids
 * are hashes). Parents of other keys, or that do not count, are not in `of`. */
static struct generation *settle(const struct map *of, struct generation *gen)
{
	unsigned most = 0;

	for (size_t i = 0; i < gen->s->rec.n_parents; i++) {
		struct generation *parent = map_get(of, &gen->s->rec.parents[i]);

		if (!parent || parent == gen)
			continue;
		if (!parent->settled)
			return parent;
		most = MAX(most, parent->removals);
	}
	gen->removals = most + !!(gen->s->rec.flags & RECORD_FLAG_REMOVAL);
	gen->settled = true;
	return NULL;
}

/* Counts the removals behind each record of g, in time that grows with records and parents. */
static void count_removals(const struct graph *g, struct generation *gens)
{
	cleanup_free struct generation **todo = xcalloc(g->n + 1, sizeof(struct generation *));
	struct map of;

	map_init(&of, sizeof(struct key32), g->hash_secret);
	for (size_t i = 0; i < g->n; i++) {
		gens[i] = (struct generation){.s = g->nodes[i]};
		map_put(&of, &gens[i].s->rec.id, &gens[i]);
	}
	for (size_t i = 0; i < g->n; i++) {
		size_t depth =
		        0; /* todo is one way up through records that are not settled, so never longer than g->n */

		if (!gens[i].settled)
			todo[depth++] = &gens[i];
		while (depth) {
			struct generation *parent = settle(&of, todo[depth - 1]);

			if (parent)
				todo[depth++] = parent;
			else
				depth--;
		}
	}
	map_free(&of);
}

static void graph_heads(const struct graph *g, struct stack_heads *out)
{
	cleanup_free struct generation *gens = NULL;
	struct ranking r = {.n = 0};

	if (any_removal(g)) {
		gens = xcalloc(g->n, sizeof(*gens));
		count_removals(g, gens);
	}
	for (size_t i = 0; i < g->n; i++)
		if (is_head(g, g->nodes[i]))
			add_head(&r, &(struct head){g->nodes[i], gens ? gens[i].removals : 0});
	*out = (struct stack_heads){.n = r.n};
	for (size_t i = 0; i < r.n; i++)
		out->head[i] = r.head[i].s;
}

static void heads_of_key(const struct store *st, uint8_t kind, const struct key32 *key, store_valid *valid,
        void *ctx, struct stack_heads *out)
{
	struct graph g;

	graph_open(&g, st, kind, key, valid, ctx);
	graph_heads(&g, out);
	graph_close(&g);
}

void store_stack_heads(
        const struct store *st, const char *stack, store_valid *valid, void *ctx, struct stack_heads *out)
{
	static const struct key32 nobody;
	struct key32 key;

	record_key(&key, REC_REVISION, &nobody, stack);
	heads_of_key(st, REC_REVISION, &key, valid, ctx, out);
}

void store_setting_heads(
        const struct store *st, const char *name, store_valid *valid, void *ctx, struct stack_heads *out)
{
	static const struct key32 nobody;
	struct key32 key;

	record_key(&key, REC_SETTING, &nobody, name);
	heads_of_key(st, REC_SETTING, &key, valid, ctx, out);
}

const struct stored *store_setting(const struct store *st, const char *name, store_valid *valid, void *ctx)
{
	struct stack_heads heads;

	store_setting_heads(st, name, valid, ctx, &heads);
	return heads.n ? heads.head[0] : NULL;
}

static bool take_first(const struct stored *s, void *ctx)
{
	*(const struct stored **)ctx = s;
	return false;
}

const struct stored *store_current(const struct store *st, const struct key32 *key)
{
	static const uint8_t single[] = {REC_FACTS, REC_STATUS, REC_RUNS};
	const struct stored *found = NULL;
	struct stack_heads heads;

	for (size_t i = 0; i < ARRAY_LEN(single) && !found; i++)
		store_each_of_key(st, single[i], key, take_first, &found);
	if (found)
		return found;
	heads_of_key(st, REC_SETTING, key, NULL, NULL, &heads);
	return heads.n ? heads.head[0] : NULL;
}

/* Distinct keys of a kind, in key order: one record of each. */
struct keys {
	const struct stored **first;
	size_t n, cap;
};

static bool gather_key(const struct stored *s, void *ctx)
{
	struct keys *k = ctx;

	if (k->n && key32_eq(&k->first[k->n - 1]->rec.key, &s->rec.key))
		return true;
	if (k->n == k->cap) {
		k->cap = k->cap ? k->cap * 2 : 16;
		k->first = xrealloc(k->first, k->cap * sizeof(*k->first));
	}
	k->first[k->n++] = s;
	return true;
}

void store_each_setting(const struct store *st, store_valid *valid, void *valid_ctx, store_visit *fn, void *ctx)
{
	struct keys k = {0};

	store_each(st, REC_SETTING, gather_key, &k);
	for (size_t i = 0; i < k.n; i++) {
		const struct stored *s = store_setting(st, k.first[i]->rec.name, valid, valid_ctx);

		if (s && !fn(s, ctx))
			break;
	}
	free(k.first);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct stored *const *)a)->rec.name, (*(const struct stored *const *)b)->rec.name);
}

void store_each_stack(const struct store *st, void (*fn)(const char *stack, void *), void *ctx)
{
	struct keys k = {0};

	store_each(st, REC_REVISION, gather_key, &k);
	if (k.n)
		qsort(k.first, k.n, sizeof(*k.first), by_name);
	for (size_t i = 0; i < k.n; i++)
		fn(k.first[i]->rec.name, ctx);
	free(k.first);
}

/* Author history: the graph that `prev` makes of all durable records of one author. */

struct history {
	const struct key32 *author;
	const struct stored **nodes;
	size_t n, cap;
	struct map named;
};

static bool gather_history(const struct stored *s, void *ctx)
{
	struct history *h = ctx;

	if (record_is_volatile(s->rec.kind) || !key32_eq(&s->rec.author, h->author))
		return true;
	if (h->n == h->cap) {
		h->cap = h->cap ? h->cap * 2 : 16;
		h->nodes = xrealloc(h->nodes, h->cap * sizeof(*h->nodes));
	}
	h->nodes[h->n++] = s;
	for (size_t i = 0; i < s->rec.n_prev; i++)
		if (!key32_eq(&s->rec.prev[i], &s->rec.id))
			map_put(&h->named, &s->rec.prev[i], h);
	return true;
}

static int newest_first(const void *a, const void *b)
{
	const struct record *x = &(*(const struct stored *const *)a)->rec,
	                    *y = &(*(const struct stored *const *)b)->rec;

	if (x->stamp != y->stamp)
		return x->stamp < y->stamp ? 1 : -1;
	return key32_cmp(&y->id, &x->id);
}

size_t store_author_heads(const struct store *st, const struct key32 *author, struct key32 *out)
{
	struct history h = {.author = author};
	size_t n = 0;

	map_init(&h.named, sizeof(struct key32), store_hash_secret(st));
	store_each(st, 0, gather_history, &h);
	if (h.n)
		qsort(h.nodes, h.n, sizeof(*h.nodes), newest_first);
	for (size_t i = 0; i < h.n && n < RECORD_REFS_MAX; i++)
		if (!map_get(&h.named, &h.nodes[i]->rec.id))
			out[n++] = h.nodes[i]->rec.id;
	map_free(&h.named);
	free(h.nodes);
	return n;
}

/* Bodies. */

static bool body_counts(const struct stored *s, void *ctx)
{
	return store_counts(ctx, s);
}

static bool body_is_void(const struct stored *s, void *ctx)
{
	return !store_counts(ctx, s);
}

/* One stack's revisions that count, and those that do not, each newest first. */
struct bodies {
	struct graph counting, voids;
};

static void bodies_open(struct bodies *b, const struct store *st, const struct key32 *key)
{
	graph_open(&b->counting, st, REC_REVISION, key, body_counts, (void *)st);
	graph_open(&b->voids, st, REC_REVISION, key, body_is_void, (void *)st);
	if (b->counting.n)
		qsort(b->counting.nodes, b->counting.n, sizeof(*b->counting.nodes), newest_first);
	if (b->voids.n)
		qsort(b->voids.nodes, b->voids.n, sizeof(*b->voids.nodes), newest_first);
}

static void bodies_close(struct bodies *b)
{
	graph_close(&b->counting);
	graph_close(&b->voids);
}

/* The i-th of all of them; wanted: is its body? NULL at the end. */
static const struct stored *bodies_at(const struct bodies *b, size_t i, bool *wanted)
{
	if (i < b->counting.n) {
		*wanted = i < STACK_BODIES_KEPT || is_head(&b->counting, b->counting.nodes[i]);
		return b->counting.nodes[i];
	}
	i -= b->counting.n;
	*wanted = i < STACK_BODIES_KEPT;
	return i < b->voids.n ? b->voids.nodes[i] : NULL;
}

static size_t missing_of_key(const struct store *st, const struct key32 *key, struct key32 *out, size_t max)
{
	const struct stored *s;
	struct bodies b;
	bool wanted;
	size_t n = 0;

	bodies_open(&b, st, key);
	for (size_t i = 0; n < max && (s = bodies_at(&b, i, &wanted)); i++)
		if (s->rec.body_len && !s->rec.body && wanted)
			out[n++] = s->rec.id;
	bodies_close(&b);
	return n;
}

size_t store_missing_bodies(const struct store *st, struct key32 *out, size_t max)
{
	struct keys k = {0};
	size_t n = 0;

	store_each(st, REC_REVISION, gather_key, &k);
	for (size_t i = 0; i < k.n && n < max; i++)
		n += missing_of_key(st, &k.first[i]->rec.key, out + n, max - n);
	free(k.first);
	return n;
}

size_t store_missing_bodies_of(const struct store *st, const char *stack, struct key32 *out, size_t max)
{
	static const struct key32 nobody;
	struct key32 key;

	record_key(&key, REC_REVISION, &nobody, stack);
	return missing_of_key(st, &key, out, max);
}

void store_trim_bodies(struct store *st, const char *stack, store_valid *keep, void *keep_ctx,
        void (*gone)(const struct stored *header, void *ctx), void *ctx)
{
	static const struct key32 nobody;
	const struct stored *s;
	struct key32 key;
	struct bodies b;
	bool wanted;

	record_key(&key, REC_REVISION, &nobody, stack);
	bodies_open(&b, st, &key);
	for (size_t i = 0; (s = bodies_at(&b, i, &wanted)); i++) {
		if (!s->rec.body || wanted || (keep && keep(s, keep_ctx)))
			continue;
		store_drop_body(st, &s->rec.id);
		if (gone)
			gone(s, ctx);
	}
	bodies_close(&b);
}
