/*
 * The board between calls. While the same services stand on the same members, a call
 *
 *  1. finds members and claims that differ, and with them the slots that it has to look at again (placer_diff.c);
 *  2. finds these slots' owners again, and moves what they carry from peer to peer;
 *  3. adds up again what the peers carry that are concerned;
 *  4. copies slots and loads, and lets place_on() decide for services that have an orphan or a slot that has to go.
 *
 * Otherwise the board is listed again; hashes of services and slots that were there are taken over.
 *
 * Claims beyond a peer's size are void in the order of slots, so that one slot's owner depends on the slots before it.
 * While no peer's tasks come to more than it has, none is void in any order, and each slot's owner depends on its own claims
 * alone. As soon as one's do, calls are those of place().
 */
#include "placement/placer_parts.h"

/* Bytes of the peers' lists of ports and devices, above which they are all made anew: what peers had before is not freed
 * one by one. */
#define LOADS_BYTES_MAX (4 << 20)

struct placer *placer_new(void)
{
	struct placer *p = xcalloc(1, sizeof(*p));

	arena_init(&p->slots_arena);
	arena_init(&p->loads);
	return p;
}

static void forget_members(struct placer *p)
{
	for (size_t i = 0; i < p->n_members; i++)
		free(p->members[i].carried);
	free(p->members);
	free(p->stacks);
	free(p->voters);
	p->members = NULL;
	p->n_members = 0;
}

void placer_free(struct placer *p)
{
	if (!p)
		return;
	forget_members(p);
	board_free(&p->board);
	arena_free(&p->slots_arena);
	arena_free(&p->loads);
	free(p->claims);
	free(p);
}

/* ---- one slot ---- */

struct finding {
	struct placer *p;
	uint32_t k;
};

static void add_carried(void *ctx, size_t member, bool promised)
{
	const struct finding *f = ctx;
	struct kept *m = &f->p->members[member];
	struct carriers *c = &f->p->carriers[f->k];

	if (m->n_carried == m->cap_carried) {
		m->cap_carried = m->cap_carried ? m->cap_carried * 2 : 16;
		m->carried = xrealloc(m->carried, m->cap_carried * sizeof(*m->carried));
	}
	m->carried[m->n_carried++] = f->k | (promised ? PROMISED : 0);
	m->stale = true;
	if (c->n < CARRIERS_KEPT)
		c->member[c->n] = (uint32_t)member;
	c->n++;
}

static void drop_carried(struct kept *m, uint32_t k)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_carried; i++)
		if ((m->carried[i] & ~PROMISED) != k)
			m->carried[n++] = m->carried[i];
	m->stale |= n != m->n_carried;
	m->n_carried = n;
}

static void drop_carriers(struct placer *p, size_t k)
{
	struct carriers *c = &p->carriers[k];

	if (c->n > CARRIERS_KEPT)
		for (size_t i = 0; i < p->n_members; i++)
			drop_carried(&p->members[i], (uint32_t)k);
	else
		for (size_t i = 0; i < c->n; i++)
			drop_carried(&p->members[c->member[i]], (uint32_t)k);
	c->n = 0;
}

static void find_owner(struct placer *p, size_t k)
{
	struct board bare = p->board;
	struct item *it = &p->board.items[p->item_of[k]];
	struct placed_slot *s = &p->slots.slots[k];
	struct finding f = {p, (uint32_t)k};
	bool loud;

	bare.peers = p->bare;
	s->owner = s->successor = s->predecessor = -1;
	slot_find_owner(&bare, it, s, p->board.claims[k]);
	drop_carriers(p, k);
	slot_each_carrier(&bare, it, s, p->board.claims[k], add_carried, &f);
	loud = s->owner < 0 || must_go(&bare, it, s) != REASON_OK;
	p->n_loud[p->item_of[k]] += loud;
	p->n_loud[p->item_of[k]] -= p->loud[k];
	p->loud[k] = loud;
	it->quiet = !p->n_loud[p->item_of[k]];
}

/* ---- loads ---- */

static void add_up(struct placer *p, size_t member)
{
	struct kept *m = &p->members[member];
	struct peer *peer = &p->board.peers[member];
	bool crowded = false;

	peer->load = (struct load){0};
	for (int promised = 0; promised < 2; promised++) {
		for (size_t i = 0; i < m->n_carried; i++)
			if (!(m->carried[i] & PROMISED) == !promised)
				load_add(&peer->load,
				        p->board.items[p->item_of[m->carried[i] & ~PROMISED]].service, &p->loads);
		if (!promised)
			crowded = peer->facts && (peer->load.cpu_milli > peer->facts->cpu_milli ||
			                                 peer->load.memory > peer->facts->memory);
	}
	p->n_crowded += crowded;
	p->n_crowded -= m->crowded;
	m->crowded = crowded;
	m->stale = false;
}

static void add_up_stale(struct placer *p)
{
	bool all = p->loads.used > LOADS_BYTES_MAX;

	if (all)
		arena_free(&p->loads);
	for (size_t i = 0; i < p->n_members; i++)
		if (all || p->members[i].stale)
			add_up(p, i);
}

/* ---- all of it ---- */

static int by_slot_id(const void *pa, const void *pb)
{
	const struct by_id *a = pa, *b = pb;

	if (a->slot != b->slot)
		return a->slot < b->slot ? -1 : 1;
	return a->k < b->k ? -1 : a->k > b->k;
}

static void index_slots(struct placer *p)
{
	size_t n = p->slots.n_slots;

	p->by_id = arena_array(&p->slots_arena, n, sizeof(*p->by_id));
	p->item_of = arena_array(&p->slots_arena, n, sizeof(*p->item_of));
	p->loud = arena_array(&p->slots_arena, n, sizeof(*p->loud));
	p->carriers = arena_array(&p->slots_arena, n, sizeof(*p->carriers));
	p->dirty = arena_array(&p->slots_arena, n, sizeof(*p->dirty));
	p->dirties = arena_array(&p->slots_arena, n, sizeof(*p->dirties));
	p->n_loud = arena_array(&p->slots_arena, p->board.n_items, sizeof(*p->n_loud));
	p->bare = arena_array(&p->slots_arena, p->board.n_peers, sizeof(*p->bare));
	if (p->board.n_peers)
		memcpy(p->bare, p->board.peers, p->board.n_peers * sizeof(*p->bare));
	for (size_t i = 0; i < p->board.n_items; i++) {
		struct item *it = &p->board.items[i];

		it->quiet = true;
		for (size_t k = it->first; k < it->first + it->n_slots; k++) {
			p->item_of[k] = (uint32_t)i;
			p->by_id[k] = (struct by_id){p->slots.slots[k].slot, (uint32_t)k};
		}
	}
	if (n)
		qsort(p->by_id, n, sizeof(*p->by_id), by_slot_id);
}

static void index_unwanted(struct placer *p)
{
	const struct view *view = p->board.view;
	size_t globals = 0;

	for (size_t i = 0; i < p->board.n_items; i++)
		globals += p->board.items[i].service->mode == MODE_GLOBAL;
	p->n_unwanted = 0;
	p->unwanted = arena_array(&p->slots_arena, globals * p->board.n_peers, sizeof(*p->unwanted));
	for (size_t i = 0; i < p->board.n_items; i++) {
		const struct item *it = &p->board.items[i];

		for (size_t m = 0; it->service->mode == MODE_GLOBAL && m < p->board.n_peers; m++)
			if (!placer_has_slot(p, it, m))
				p->unwanted[p->n_unwanted++] =
				        (struct by_id){slot_id_global(&view->flock, it->stack->spec->name,
				                               it->service->name, &view->members[m].key),
				                (uint32_t)m};
	}
	if (p->n_unwanted)
		qsort(p->unwanted, p->n_unwanted, sizeof(*p->unwanted), by_slot_id);
}

static void list_again(struct placer *p, const struct view *view)
{
	struct board before = p->board;
	struct arena arena = p->slots_arena;
	struct placement slots = p->slots;

	arena_init(&p->slots_arena);
	board_list(&p->board, view, p->stands ? &before : NULL, slots.slots, &p->slots_arena, &p->slots);
	board_free(&before);
	arena_free(&arena);
	arena_free(&p->loads);
	forget_members(p);
	index_slots(p);
	index_unwanted(p);
	placer_keep(p, view);
	p->n_crowded = 0;
	p->n_dirty = 0;
	for (size_t k = 0; k < p->slots.n_slots; k++)
		find_owner(p, k);
	p->stands = true;
}

static void look_again(struct placer *p, const struct view *view)
{
	p->board.view = view;
	for (size_t i = 0; i < p->board.n_items; i++)
		p->board.items[i].stack = &view->stacks[p->board.items[i].stack_index];
	if (!placer_note_changes(p, view)) {
		list_again(p, view);
		return;
	}
	for (size_t i = 0; i < p->n_dirty; i++) {
		p->dirty[p->dirties[i]] = false;
		find_owner(p, p->dirties[i]);
	}
	p->n_dirty = 0;
}

/* Deciding changes loads, and the lists in them where they stand: it works on copies. */
static struct peer *copy_peers(const struct board *b, struct arena *arena)
{
	struct peer *peers = arena_memdup(arena, b->peers, b->n_peers * sizeof(*peers));

	for (size_t i = 0; i < b->n_peers; i++) {
		struct load *l = &peers[i].load;

		if (l->n_ports)
			l->ports = arena_memdup(arena, l->ports, l->cap_ports * sizeof(*l->ports));
		if (l->n_generic)
			l->generic = arena_memdup(arena, l->generic, l->cap_generic * sizeof(*l->generic));
		l->cap_ports = l->n_ports ? l->cap_ports : 0;
		l->cap_generic = l->n_generic ? l->cap_generic : 0;
	}
	return peers;
}

static void decide(const struct placer *p, struct arena *arena, struct placement *out)
{
	struct board b = p->board;

	*out = p->slots;
	out->slots = arena_memdup(arena, p->slots.slots, p->slots.n_slots * sizeof(*out->slots));
	arena_init(&b.scratch);
	b.peers = copy_peers(&b, &b.scratch);
	place_on(&b, arena, out);
	arena_free(&b.scratch);
}

void placer_place(struct placer *p, const struct view *view, struct arena *arena, struct placement *out)
{
	if (p->stands && placer_same_shape(p, view))
		look_again(p, view);
	else
		list_again(p, view);
	add_up_stale(p);
	if (p->n_crowded)
		place(view, arena, out);
	else
		decide(p, arena, out);
}
