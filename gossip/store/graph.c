/*
 * Records of one key that name each other as parents form a graph: revisions of a stack, settings of one name.
 * Heads are those that nobody valid names as a parent; the winner among heads is what runs.
 *
 *	     a -- b -- d          heads d and c: concurrent edits. Both are kept; the winner runs, the other is
 *	      \                   shown as a conflict until someone signs a revision with both as parents.
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
	*g = (struct graph){.valid = valid, .ctx = ctx};
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

/* Decides between two heads: 1. a removal, 2. the higher stamp, 3. the higher id, which never ties. */
static bool beats(const struct stored *a, const struct stored *b)
{
	bool a_removes = a->rec.flags & RECORD_FLAG_REMOVAL, b_removes = b->rec.flags & RECORD_FLAG_REMOVAL;

	if (a_removes != b_removes)
		return a_removes;
	if (a->rec.stamp != b->rec.stamp)
		return a->rec.stamp > b->rec.stamp;
	return key32_cmp(&a->rec.id, &b->rec.id) > 0;
}

/* Keeps the best STACK_HEADS_MAX, best first. */
static void add_head(struct stack_heads *heads, const struct stored *s)
{
	size_t at = heads->n;

	while (at && beats(s, heads->head[at - 1]))
		at--;
	if (at == STACK_HEADS_MAX)
		return;
	if (heads->n < STACK_HEADS_MAX)
		heads->n++;
	memmove(&heads->head[at + 1], &heads->head[at], (heads->n - 1 - at) * sizeof(heads->head[0]));
	heads->head[at] = s;
}

static void graph_heads(const struct graph *g, struct stack_heads *out)
{
	*out = (struct stack_heads){0};
	for (size_t i = 0; i < g->n; i++)
		if (is_head(g, g->nodes[i]))
			add_head(out, g->nodes[i]);
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

const struct stored *store_setting(const struct store *st, const char *name, store_valid *valid, void *ctx)
{
	static const struct key32 nobody;
	struct stack_heads heads;
	struct key32 key;

	record_key(&key, REC_SETTING, &nobody, name);
	heads_of_key(st, REC_SETTING, &key, valid, ctx, &heads);
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

/* Is the body of g's node i wanted, when nodes are sorted newest first? */
static bool body_wanted(const struct graph *g, size_t i)
{
	return i < STACK_BODIES_KEPT || is_head(g, g->nodes[i]);
}

static void graph_open_sorted(struct graph *g, const struct store *st, const struct key32 *key)
{
	graph_open(g, st, REC_REVISION, key, NULL, NULL);
	if (g->n)
		qsort(g->nodes, g->n, sizeof(*g->nodes), newest_first);
}

size_t store_missing_bodies(const struct store *st, struct key32 *out, size_t max)
{
	struct keys k = {0};
	size_t n = 0;

	store_each(st, REC_REVISION, gather_key, &k);
	for (size_t i = 0; i < k.n && n < max; i++) {
		struct graph g;

		graph_open_sorted(&g, st, &k.first[i]->rec.key);
		for (size_t j = 0; j < g.n && n < max; j++)
			if (g.nodes[j]->rec.body_len && !g.nodes[j]->rec.body && body_wanted(&g, j))
				out[n++] = g.nodes[j]->rec.id;
		graph_close(&g);
	}
	free(k.first);
	return n;
}

void store_trim_bodies(struct store *st, const char *stack, store_valid *keep, void *keep_ctx,
        void (*gone)(const struct stored *header, void *ctx), void *ctx)
{
	static const struct key32 nobody;
	struct key32 key;
	struct graph g;

	record_key(&key, REC_REVISION, &nobody, stack);
	graph_open_sorted(&g, st, &key);
	for (size_t i = 0; i < g.n; i++) {
		if (!g.nodes[i]->rec.body || body_wanted(&g, i) || (keep && keep(g.nodes[i], keep_ctx)))
			continue;
		store_drop_body(st, &g.nodes[i]->rec.id);
		if (gone)
			gone(g.nodes[i], ctx);
	}
	graph_close(&g);
}
