/*
 * The claims of a view, from status pages. Most pages are those of the build before: their claims stand sorted already, and the
 * new ones, which are few, are sorted and merged in.
 */
#include "base/log.h"
#include "node/view_parts.h"

#include <sys/types.h>

/* A claim with the page that it is from. */
struct paged {
	struct view_claim c;
	const struct page *page;
};

struct walk {
	struct claims *kept;
	const struct view *view;
	struct paged *fresh;
	size_t n, cap;
	struct page **gone;
	size_t n_gone, cap_gone;
};

void view_claims_init(struct claims *c)
{
	*c = (struct claims){0};
	map_init(&c->pages, sizeof(struct key32), NULL);
}

void view_claims_free(struct claims *c)
{
	map_each (&c->pages, page)
		free(page);
	map_free(&c->pages);
	free(c->claims);
	free(c->page);
	free(c->members);
}

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* The rest is for a peer that states one task twice: all see its claims in the same order, whatever they had before. */
static int by_slot(const struct view_claim *a, const struct view_claim *b)
{
	int c = compare(a->c.slot, b->c.slot);

	c = c ? c : compare(a->member, b->member); /* members are sorted by key */
	c = c ? c : compare(a->c.task, b->c.task);
	if (c)
		return c;
	c = compare(a->c.boot, b->c.boot);
	c = c ? c : compare(a->c.state, b->c.state);
	c = c ? c : compare(a->c.health, b->c.health);
	c = c ? c : compare(a->c.sight, b->c.sight);
	c = c ? c : compare(a->c.replaces, b->c.replaces);
	c = c ? c : compare(a->c.handover_to, b->c.handover_to);
	c = c ? c : compare(a->c.revision, b->c.revision);
	c = c ? c : compare(a->c.content, b->c.content);
	return c ? c : compare((uint64_t)a->c.healthy_since, (uint64_t)b->c.healthy_since);
}

static int by_slot_paged(const void *a, const void *b)
{
	return by_slot(&((const struct paged *)a)->c, &((const struct paged *)b)->c);
}

/* ---- pages ---- */

static void add_fresh(struct walk *w, const struct claim *c, size_t member, const struct page *page)
{
	if (w->n == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 64;
		w->fresh = xrealloc(w->fresh, w->cap * sizeof(*w->fresh));
	}
	w->fresh[w->n++] = (struct paged){.c = {.c = *c, .member = member}, .page = page};
}

static void add_gone(struct walk *w, struct page *page)
{
	page->used = false;
	if (w->n_gone == w->cap_gone) {
		w->cap_gone = w->cap_gone ? w->cap_gone * 2 : 16;
		w->gone = xrealloc(w->gone, w->cap_gone * sizeof(struct page *));
	}
	w->gone[w->n_gone++] = page;
}

static ssize_t member_index(const struct view *view, const struct key32 *key)
{
	size_t from = 0, to = view->n_members;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (key32_cmp(&view->members[mid].key, key) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from < view->n_members && key32_eq(&view->members[from].key, key) ? (ssize_t)from : -1;
}

static void read_page(struct walk *w, const struct stored *s, size_t member)
{
	struct page *page = xcalloc(1, sizeof(*page)), *old;
	struct claim claims[PAGE_BYTES_MAX / 16];
	struct err err;
	size_t n;

	page->key = s->rec.key;
	page->id = s->rec.id;
	page->used = true;
	old = map_put(&w->kept->pages, &page->key, page);
	if (old)
		add_gone(w, old);
	if (claims_decode(s->rec.body, s->rec.body_len, claims, ARRAY_LEN(claims), &n, &err) < 0) {
		log_warn("view", "status page %s of a peer cannot be read and is passed over: %s", s->rec.name,
		        err.text);
		return;
	}
	for (size_t i = 0; i < n; i++)
		add_fresh(w, &claims[i], member, page);
}

static bool visit_page(const struct stored *s, void *ctx)
{
	struct walk *w = ctx;
	struct page *page;
	ssize_t member;

	if (!s->rec.body)
		return true;
	member = member_index(w->view, &s->rec.author);
	if (member < 0 || (size_t)member == w->view->self)
		return true;
	page = map_get(&w->kept->pages, &s->rec.key);
	if (page && key32_eq(&page->id, &s->rec.id))
		page->used = true;
	else
		read_page(w, s, (size_t)member);
	return true;
}

static void gather_unused(struct walk *w)
{
	size_t from = w->n_gone;

	map_each (&w->kept->pages, page)
		if (!((struct page *)page)->used)
			add_gone(w, page);
	for (size_t i = from; i < w->n_gone; i++)
		map_del(&w->kept->pages, &w->gone[i]->key);
}

/* ---- members ---- */

/* Where the members of the last build stand now, -1: nowhere. Both are sorted by key, so claims stay in order. NULL: where they
 * stood. */
static ssize_t *moved_members(const struct claims *kept, const struct view *view)
{
	ssize_t *to;
	size_t i = 0;

	while (i < kept->n_members && i < view->n_members && key32_eq(&kept->members[i], &view->members[i].key))
		i++;
	if (i == kept->n_members)
		return NULL;
	to = xcalloc(kept->n_members, sizeof(*to));
	for (i = 0; i < kept->n_members; i++)
		to[i] = member_index(view, &kept->members[i]);
	return to;
}

static void keep_members(struct claims *kept, const struct view *view)
{
	if (kept->n_members != view->n_members)
		kept->members = xrealloc(kept->members, (view->n_members + 1) * sizeof(*kept->members));
	kept->n_members = view->n_members;
	for (size_t i = 0; i < view->n_members; i++)
		kept->members[i] = view->members[i].key;
}

/* ---- both together ---- */

/* Those of the last build whose page is still here; n of them are left. */
static void drop_old(struct claims *kept, const struct view *view)
{
	ssize_t *to = moved_members(kept, view);
	size_t n = 0;

	for (size_t i = 0; i < kept->n; i++) {
		if (!kept->page[i] || !kept->page[i]->used)
			continue;
		if (n != i) {
			kept->claims[n] = kept->claims[i];
			kept->page[n] = kept->page[i];
		}
		if (to)
			kept->claims[n].member = (size_t)to[kept->claims[n].member];
		n++;
	}
	kept->n = n;
	free(to);
}

static void merge(struct claims *kept, const struct walk *w)
{
	size_t i = kept->n, k = w->n, at = i + k;

	if (at > kept->cap) {
		kept->cap = at + at / 4;
		kept->claims = xrealloc(kept->claims, kept->cap * sizeof(*kept->claims));
		kept->page = xrealloc(kept->page, kept->cap * sizeof(struct page *));
	}
	kept->n = at;
	while (k) { /* from the end, in place */
		at--;
		if (i && by_slot(&kept->claims[i - 1], &w->fresh[k - 1].c) > 0) {
			i--;
			kept->claims[at] = kept->claims[i];
			kept->page[at] = kept->page[i];
		} else {
			k--;
			kept->claims[at] = w->fresh[k].c;
			kept->page[at] = w->fresh[k].page;
		}
	}
}

/* Who owns a slot is found by comparing its claims with each other, so a peer that states thousands for one would keep everybody
 * busy. Of each peer the first in order count, the same for all who look. */
static size_t copy_counted(const struct claims *kept, struct view_claim *out)
{
	size_t n = 0, of_peer = 0;

	for (size_t i = 0; i < kept->n; i++) {
		const struct view_claim *c = &kept->claims[i];
		bool again = i && c->c.slot == c[-1].c.slot && c->member == c[-1].member;

		of_peer = again ? of_peer + 1 : 1;
		if (of_peer <= SLOT_CLAIMS_MAX)
			out[n++] = *c;
	}
	return n;
}

void view_claims(struct viewer *v, const struct gossip *g, const struct claim *own, size_t n_own,
        struct arena *arena, struct view *out)
{
	struct walk w = {.kept = &v->claims, .view = out};

	map_each (&v->claims.pages, page)
		((struct page *)page)->used = false;
	store_each(gossip_store(g), REC_STATUS, visit_page, &w);
	gather_unused(&w);
	for (size_t i = 0; i < n_own; i++)
		add_fresh(&w, &own[i], out->self, NULL);
	if (w.n)
		qsort(w.fresh, w.n, sizeof(*w.fresh), by_slot_paged);
	drop_old(&v->claims, out);
	merge(&v->claims, &w);
	keep_members(&v->claims, out);
	out->claims = arena_array(arena, v->claims.n, sizeof(*out->claims));
	out->n_claims = copy_counted(&v->claims, out->claims);
	for (size_t i = 0; i < w.n_gone; i++)
		free(w.gone[i]);
	free(w.gone);
	free(w.fresh);
}
