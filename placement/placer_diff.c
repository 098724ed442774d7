/* What is new in a view since the last one. */
#include "placement/placer_parts.h"

#include "base/hash.h"

static bool same_voters(const struct placer *p, const struct view *view)
{
	return p->n_voters == view->n_voters &&
	       (!p->n_voters || !memcmp(p->voters, view->voters, p->n_voters * sizeof(*p->voters)));
}

static bool same_stack(const struct view_stack *a, const struct view_stack *b)
{
	return a->spec == b->spec && a->removed == b->removed && a->revision_id == b->revision_id &&
	       a->powers == b->powers;
}

bool placer_same_shape(const struct placer *p, const struct view *view)
{
	if (p->n_members != view->n_members || p->n_stacks != view->n_stacks || !same_voters(p, view))
		return false;
	for (size_t i = 0; i < p->n_stacks; i++)
		if (!same_stack(&p->stacks[i], &view->stacks[i]))
			return false;
	for (size_t i = 0; i < p->n_members; i++)
		if (!key32_eq(&p->members[i].member.key, &view->members[i].key))
			return false;
	return true;
}

/* ---- members ---- */

uint64_t placer_labels(const struct view_member *m)
{
	static const uint8_t key[16];
	uint64_t hash = m->n_labels;

	if (m->facts && m->labels == m->facts->labels && m->n_labels == m->facts->n_labels)
		return 0;
	for (size_t i = 0; i < m->n_labels; i++) {
		uint64_t parts[3] = {hash, siphash(key, m->labels[i].key, strlen(m->labels[i].key)),
		        siphash(key, m->labels[i].value, strlen(m->labels[i].value))};

		hash = siphash(key, parts, sizeof(parts));
	}
	return hash | 1;
}

static bool same_member(const struct kept *k, const struct view_member *m)
{
	const struct view_member *o = &k->member;

	return o->state == m->state && o->boot == m->boot && o->draining == m->draining &&
	       o->overdue == m->overdue && o->facts == m->facts && o->facts_boot == m->facts_boot &&
	       k->labels == placer_labels(m);
}

static void keep_member(struct placer *p, size_t i, const struct view_member *m)
{
	struct kept *k = &p->members[i];

	k->member = *m;
	k->labels = placer_labels(m);
	p->board.peers[i].facts = p->bare[i].facts = m->facts;
}

/* A volume that came or went somewhere pins its services elsewhere. */
static bool same_pins(const struct placer *p, const struct view *view)
{
	for (size_t i = 0; i < p->board.n_items; i++) {
		const struct item *it = &p->board.items[i];

		if (it->service->n_volumes && it->pinned != filter_pinned(view, it->stack->spec, it->service))
			return false;
	}
	return true;
}

static size_t note_members(struct placer *p, const struct view *view)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_members; i++) {
		struct kept *k = &p->members[i];

		k->asked = k->changed = !same_member(k, &view->members[i]);
		if (!k->changed)
			continue;
		n++;
		k->stale = true; /* its size may have changed: is it crowded? */
		keep_member(p, i, &view->members[i]);
	}
	return n;
}

/* ---- claims ---- */

static int claim_order(const struct view_claim *a, const struct view_claim *b)
{
	if (a->c.slot != b->c.slot)
		return a->c.slot < b->c.slot ? -1 : 1;
	if (a->member != b->member)
		return a->member < b->member ? -1 : 1;
	return a->c.task < b->c.task ? -1 : a->c.task > b->c.task;
}

/* In what the board depends on. */
static bool same_claim(const struct claim *a, const struct claim *b)
{
	return a->revision == b->revision && a->content == b->content && a->boot == b->boot &&
	       a->state == b->state && a->health == b->health && a->failures == b->failures &&
	       a->sight == b->sight && a->replaces == b->replaces && a->handover_to == b->handover_to;
}

static size_t first_by_id(const struct by_id *list, size_t n, id64 slot)
{
	size_t from = 0, to = n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (list[mid].slot < slot)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

void placer_mark(struct placer *p, size_t k)
{
	if (p->dirty[k])
		return;
	p->dirty[k] = true;
	p->dirties[p->n_dirty++] = k;
}

/* A claim came, went or changed: its slot is looked at again. A global service's slot that is not wanted may become so, and
 * the other way round: ask that of its peer. */
static void note_claim(struct placer *p, const struct view_claim *c)
{
	id64 slot = c->c.slot;

	for (size_t i = first_by_id(p->by_id, p->slots.n_slots, slot);
	        i < p->slots.n_slots && p->by_id[i].slot == slot; i++) {
		int32_t only = p->slots.slots[p->by_id[i].k].peer_only;

		placer_mark(p, p->by_id[i].k);
		if (only >= 0)
			p->members[only].asked = true;
	}
	for (size_t i = first_by_id(p->unwanted, p->n_unwanted, slot);
	        i < p->n_unwanted && p->unwanted[i].slot == slot; i++)
		p->members[p->unwanted[i].k].asked = true;
}

/* Claims were added or taken away: those of each slot stand elsewhere in the view. */
static void shift_ranges(struct placer *p, const struct view *view)
{
	size_t at = 0;

	for (size_t i = 0; i < p->slots.n_slots; i++) {
		struct placed_slot *s = &p->slots.slots[p->by_id[i].k];
		struct range *r = &p->board.claims[p->by_id[i].k];
		int32_t by;

		if (i && p->by_id[i - 1].slot == p->by_id[i].slot)
			at = p->board.claims[p->by_id[i - 1].k].from;
		while (at < view->n_claims && view->claims[at].c.slot < s->slot)
			at++;
		by = (int32_t)at - (int32_t)r->from;
		r->from = at;
		while (at < view->n_claims && view->claims[at].c.slot == s->slot)
			at++;
		r->to = at;
		/* A slot that is dirty forgets these anyway; of the others the claims are the same as before. */
		s->owner += s->owner >= 0 ? by : 0;
		s->successor += s->successor >= 0 ? by : 0;
		s->predecessor += s->predecessor >= 0 ? by : 0;
	}
}

static void keep_claims(struct placer *p, const struct view *view)
{
	if (view->n_claims > p->cap_claims) {
		p->cap_claims = view->n_claims + view->n_claims / 4;
		p->claims = xrealloc(p->claims, p->cap_claims * sizeof(*p->claims));
	}
	if (view->n_claims)
		memcpy(p->claims, view->claims, view->n_claims * sizeof(*p->claims));
	p->n_claims = view->n_claims;
}

/* some: members changed, so their claims are looked at though they are the same. */
static void note_claims(struct placer *p, const struct view *view, bool some)
{
	size_t i = 0, k = 0;
	bool shifted = false;

	while (i < p->n_claims || k < view->n_claims) {
		const struct view_claim *old = &p->claims[i], *new = &view->claims[k];
		int c = i == p->n_claims ? 1 : k == view->n_claims ? -1 : claim_order(old, new);

		if (c) {
			shifted = true;
			note_claim(p, c < 0 ? old : new);
		} else if (!same_claim(&old->c, &new->c)) {
			note_claim(p, new);
			p->claims[i] = *new;
		} else if (some && p->members[new->member].changed) {
			note_claim(p, new);
		}
		i += c <= 0;
		k += c >= 0;
	}
	if (!shifted)
		return;
	shift_ranges(p, view);
	keep_claims(p, view);
}

/* ---- global services ---- */

bool placer_has_slot(const struct placer *p, const struct item *it, size_t member)
{
	size_t from = it->first, to = it->first + it->n_slots;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if ((size_t)p->slots.slots[mid].peer_only < member)
			from = mid + 1;
		else
			to = mid;
	}
	return from < it->first + it->n_slots && (size_t)p->slots.slots[from].peer_only == member;
}

static bool same_globals(const struct placer *p, const struct view *view)
{
	for (size_t i = 0; i < p->board.n_items; i++) {
		const struct item *it = &p->board.items[i];

		for (size_t m = 0; it->service->mode == MODE_GLOBAL && m < p->n_members; m++) {
			id64 slot;

			if (!p->members[m].asked)
				continue;
			slot = slot_id_global(
			        &view->flock, it->stack->spec->name, it->service->name, &view->members[m].key);
			if (global_wanted(&p->board, it, m, claims_of(view, slot)) != placer_has_slot(p, it, m))
				return false;
		}
	}
	return true;
}

bool placer_note_changes(struct placer *p, const struct view *view)
{
	size_t n = note_members(p, view);

	if (n && !same_pins(p, view))
		return false;
	note_claims(p, view, n > 0);
	return same_globals(p, view);
}

void placer_keep(struct placer *p, const struct view *view)
{
	p->members = xcalloc(view->n_members, sizeof(*p->members));
	p->n_members = view->n_members;
	for (size_t i = 0; i < p->n_members; i++) {
		keep_member(p, i, &view->members[i]);
		p->members[i].stale = true;
	}
	p->n_stacks = view->n_stacks;
	p->stacks = xmemdup(view->stacks, view->n_stacks * sizeof(*p->stacks));
	p->n_voters = view->n_voters;
	p->voters = xmemdup(view->voters, view->n_voters * sizeof(*p->voters));
	keep_claims(p, view);
}
