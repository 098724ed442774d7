#include "gossip/store/index.h"

static uint64_t load_be64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

void sum_of_key(struct sum256 *out, const struct key32 *k)
{
	for (int i = 0; i < 4; i++)
		out->w[i] = load_be64(k->b + 24 - 8 * i);
}

static void sum_add(struct sum256 *a, const struct sum256 *b)
{
	uint64_t carry = 0;

	for (int i = 0; i < 4; i++) {
		uint64_t t = a->w[i] + carry;

		carry = t < carry;
		a->w[i] = t + b->w[i];
		carry += a->w[i] < t;
	}
}

void sum_sub(struct sum256 *a, const struct sum256 *b)
{
	uint64_t borrow = 0;

	for (int i = 0; i < 4; i++) {
		uint64_t t = a->w[i] - borrow;

		borrow = a->w[i] < borrow;
		borrow += t < b->w[i];
		a->w[i] = t - b->w[i];
	}
}

void sum_to_key(struct key32 *out, const struct sum256 *s)
{
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 8; j++)
			out->b[31 - 8 * i - j] = (uint8_t)(s->w[i] >> 8 * j);
}

int order_cmp(const struct record *a, const struct record *b)
{
	int c;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	c = key32_cmp(&a->key, &b->key);
	if (c)
		return c;
	if (a->stamp != b->stamp)
		return a->stamp < b->stamp ? -1 : 1;
	return key32_cmp(&a->id, &b->id);
}

static int cmp_order(const struct tree_node *a, const struct tree_node *b)
{
	return order_cmp(&entry_by_order(a)->s.rec, &entry_by_order(b)->s.rec);
}

static int cmp_id(const struct tree_node *a, const struct tree_node *b)
{
	return key32_cmp(&entry_by_id(a)->s.rec.id, &entry_by_id(b)->s.rec.id);
}

static void refresh_sum(struct tree_node *n)
{
	struct entry *e = entry_by_id(n);

	sum_of_key(&e->sum, &e->s.rec.id);
	e->count = 1;
	for (int i = 0; i < 2; i++) {
		const struct entry *child = entry_by_id(i ? n->right : n->left);

		if (!child)
			continue;
		sum_add(&e->sum, &child->sum);
		e->count += child->count;
	}
}

void tree_init_by_order(struct tree *t)
{
	*t = (struct tree){.cmp = cmp_order};
}

void tree_init_by_id(struct tree *t)
{
	*t = (struct tree){.cmp = cmp_id, .refresh = refresh_sum};
}

static struct tree_node *refreshed(const struct tree *t, struct tree_node *n)
{
	if (t->refresh)
		t->refresh(n);
	return n;
}

/* Parts the subtree n into what sorts before at and what does not. Depth is O(log n) with high probability. */
static void split(const struct tree *t, struct tree_node *n, const struct tree_node *at,
        struct tree_node **before, struct tree_node **after)
{
	if (!n) {
		*before = *after = NULL;
	} else if (t->cmp(n, at) < 0) {
		split(t, n->right, at, &n->right, after);
		*before = refreshed(t, n);
	} else {
		split(t, n->left, at, before, &n->left);
		*after = refreshed(t, n);
	}
}

/* Joins two subtrees, all of a sorting before all of b. */
static struct tree_node *join(const struct tree *t, struct tree_node *a, struct tree_node *b)
{
	if (!a || !b)
		return a ? a : b;
	if (a->priority > b->priority) {
		a->right = join(t, a->right, b);
		return refreshed(t, a);
	}
	b->left = join(t, a, b->left);
	return refreshed(t, b);
}

static struct tree_node *insert_below(const struct tree *t, struct tree_node *at, struct tree_node *n)
{
	if (!at || n->priority > at->priority) {
		split(t, at, n, &n->left, &n->right);
		return refreshed(t, n);
	}
	if (t->cmp(n, at) < 0)
		at->left = insert_below(t, at->left, n);
	else
		at->right = insert_below(t, at->right, n);
	return refreshed(t, at);
}

static struct tree_node *remove_below(const struct tree *t, struct tree_node *at, struct tree_node *n)
{
	if (at == n)
		return join(t, n->left, n->right);
	if (t->cmp(n, at) < 0)
		at->left = remove_below(t, at->left, n);
	else
		at->right = remove_below(t, at->right, n);
	return refreshed(t, at);
}

void tree_insert(struct tree *t, struct tree_node *n)
{
	t->root = insert_below(t, t->root, n);
}

void tree_remove(struct tree *t, struct tree_node *n)
{
	t->root = remove_below(t, t->root, n);
	n->left = n->right = NULL;
}

/* The first node for which before(node, ctx) is false, given that those for which it is true come first. */
static struct tree_node *partition_point(
        const struct tree *t, bool (*before)(const struct tree_node *, const void *), const void *ctx)
{
	struct tree_node *found = NULL;

	for (struct tree_node *n = t->root; n;) {
		if (before(n, ctx)) {
			n = n->right;
		} else {
			found = n;
			n = n->left;
		}
	}
	return found;
}

struct place {
	uint8_t kind;
	const struct key32 *key;
};

static bool before_place(const struct tree_node *n, const void *ctx)
{
	const struct record *r = &entry_by_order(n)->s.rec;
	const struct place *p = ctx;

	return r->kind != p->kind ? r->kind < p->kind : key32_cmp(&r->key, p->key) < 0;
}

static bool up_to_entry(const struct tree_node *n, const void *ctx)
{
	return order_cmp(&entry_by_order(n)->s.rec, &((const struct entry *)ctx)->s.rec) <= 0;
}

struct entry *order_first(const struct tree *t, uint8_t kind, const struct key32 *key)
{
	struct place p = {kind, key};

	return entry_by_order(partition_point(t, before_place, &p));
}

struct entry *order_next(const struct tree *t, const struct entry *e)
{
	return entry_by_order(partition_point(t, up_to_entry, e));
}

void digest_total(const struct tree *t, struct sum256 *sum, uint32_t *count)
{
	const struct entry *root = entry_by_id(t->root);

	*sum = root ? root->sum : (struct sum256){0};
	*count = root ? root->count : 0;
}

void digest_below(const struct tree *t, const struct key32 *hi, struct sum256 *sum, uint32_t *count)
{
	*sum = (struct sum256){0};
	*count = 0;
	for (const struct tree_node *n = t->root; n;) {
		const struct entry *e = entry_by_id(n), *left = entry_by_id(n->left);
		struct sum256 own;

		if (key32_cmp(&e->s.rec.id, hi) >= 0) {
			n = n->left;
			continue;
		}
		sum_of_key(&own, &e->s.rec.id);
		sum_add(sum, &own);
		*count += 1;
		if (left) {
			sum_add(sum, &left->sum);
			*count += left->count;
		}
		n = n->right;
	}
}

static bool below_id(const struct tree_node *n, const void *ctx)
{
	return key32_cmp(&entry_by_id(n)->s.rec.id, ctx) < 0;
}

static bool up_to_id(const struct tree_node *n, const void *ctx)
{
	return key32_cmp(&entry_by_id(n)->s.rec.id, ctx) <= 0;
}

struct entry *digest_first(const struct tree *t, const struct key32 *lo)
{
	return entry_by_id(partition_point(t, below_id, lo));
}

struct entry *digest_next(const struct tree *t, const struct entry *e)
{
	return entry_by_id(partition_point(t, up_to_id, &e->s.rec.id));
}
