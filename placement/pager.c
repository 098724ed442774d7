/* Pages of claims: an entry stays on the page where it was first put, so a change republishes one page only. */
#include "base/map.h"
#include "placement/claim.h"

struct page {
	size_t n;
	struct claim claims[PAGE_CLAIMS_MAX];
	size_t len;
	uint8_t bytes[PAGE_BYTES_MAX];
	size_t asked_len; /* what pager_page() last gave */
	uint8_t asked[PAGE_BYTES_MAX];
};

struct pager {
	size_t n_pages;
	struct page *pages[PAGES_MAX];
};

struct pager *pager_new(void)
{
	return xcalloc(1, sizeof(struct pager));
}

void pager_free(struct pager *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_pages; i++)
		free(p->pages[i]);
	free(p);
}

struct entry_key {
	id64 task;
	id64 slot;
};

static struct entry_key key_of(const struct claim *c)
{
	return (struct entry_key){c->task, c->slot};
}

/* Takes over what the given claims say of entries that stand already; drops entries that are not among them. What
 * is left in `fresh` then stands on no page yet. */
static void keep(struct page *pg, struct map *fresh)
{
	size_t kept = 0;

	for (size_t i = 0; i < pg->n; i++) {
		struct entry_key key = key_of(&pg->claims[i]);
		const struct claim *now = map_del(fresh, &key);

		if (now)
			pg->claims[kept++] = *now;
	}
	pg->n = kept;
}

static struct page *page_with_room(struct pager *p)
{
	for (size_t i = 0; i < p->n_pages; i++)
		if (p->pages[i]->n < PAGE_CLAIMS_MAX)
			return p->pages[i];
	if (p->n_pages == PAGES_MAX)
		return NULL;
	p->pages[p->n_pages] = xcalloc(1, sizeof(struct page));
	return p->pages[p->n_pages++];
}

static void pack(struct page *pg)
{
	struct wr w;

	wr_fixed(&w, pg->bytes, sizeof(pg->bytes));
	wr_u8(&w, (uint8_t)pg->n);
	for (size_t i = 0; i < pg->n; i++)
		claim_put(&w, &pg->claims[i]);
	pg->len = pg->n ? w.len : 0;
}

size_t pager_set(struct pager *p, const struct claim *claims, size_t n)
{
	struct map fresh;
	size_t homeless = 0;

	map_init(&fresh, sizeof(struct entry_key), NULL);
	for (size_t i = 0; i < n; i++) {
		struct entry_key key = key_of(&claims[i]);

		map_put(&fresh, &key, (void *)&claims[i]);
	}
	for (size_t i = 0; i < p->n_pages; i++)
		keep(p->pages[i], &fresh);
	for (size_t i = 0; i < n; i++) {
		struct entry_key key = key_of(&claims[i]);
		struct page *pg;

		/* Also skips all but the last of two claims with one key. */
		if (map_get(&fresh, &key) != &claims[i])
			continue;
		pg = page_with_room(p);
		if (pg)
			pg->claims[pg->n++] = claims[i];
		else
			homeless++;
	}
	for (size_t i = 0; i < p->n_pages; i++)
		pack(p->pages[i]);
	map_free(&fresh);
	return homeless;
}

size_t pager_pages(const struct pager *p)
{
	return p->n_pages;
}

const uint8_t *pager_page(struct pager *p, size_t page, size_t *len, bool *changed)
{
	struct page *pg = p->pages[page];

	*len = pg->len;
	*changed = pg->len != pg->asked_len || memcmp(pg->bytes, pg->asked, pg->len) != 0;
	memcpy(pg->asked, pg->bytes, pg->len);
	pg->asked_len = pg->len;
	return pg->bytes;
}
