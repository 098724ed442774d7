/* Members and stacks. */
#include "node/view_parts.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"

#include <stdio.h>

_Static_assert(SPEC_POWER_EXEC_AS_ROOT == POWER_EXEC_AS_ROOT && SPEC_POWER_PRIVILEGED == POWER_PRIVILEGED &&
                       SPEC_POWER_HOST_BINDS == POWER_HOST_BINDS && SPEC_POWER_DEVICES == POWER_DEVICES &&
                       SPEC_POWER_HOST_NETWORK == POWER_HOST_NETWORK && SPEC_POWER_PRIORITY == POWER_PRIORITY,
        "placement repeats the numbers of gossip's powers");

struct viewer *viewer_new(const struct key32 *flock)
{
	struct viewer *v = xcalloc(1, sizeof(*v));

	v->flock = *flock;
	map_init(&v->specs, sizeof(struct key32), NULL);
	map_init(&v->facts, sizeof(struct key32), NULL);
	map_init(&v->settings, sizeof(struct key32), NULL);
	map_init(&v->boots, sizeof(struct key32), NULL);
	arena_init(&v->held.arena);
	view_claims_init(&v->claims);
	return v;
}

static void decoded_free(struct decoded *d)
{
	arena_free(&d->arena);
	free(d);
}

static void cache_free(struct map *m)
{
	map_each (m, d)
		decoded_free(d);
	map_free(m);
}

void viewer_free(struct viewer *v)
{
	if (!v)
		return;
	cache_free(&v->specs);
	cache_free(&v->facts);
	cache_free(&v->settings);
	map_each (&v->boots, b)
		free(b);
	map_free(&v->boots);
	arena_free(&v->held.arena);
	free(v->held.stacks);
	free(v->held.settings);
	view_claims_free(&v->claims);
	free(v);
}

void viewer_on_revision(struct viewer *v, const struct key32 *id, bool live, mono_ms now)
{
	if (live)
		v->arrivals[v->n_arrivals++ % ARRIVALS_MAX] = (struct arrival){.id = *id, .at = now};
}

static mono_ms arrived(const struct viewer *v, const struct key32 *id)
{
	size_t n = MIN(v->n_arrivals, (size_t)ARRIVALS_MAX);

	for (size_t i = 0; i < n; i++)
		if (key32_eq(&v->arrivals[i].id, id))
			return v->arrivals[i].at;
	return 0;
}

static void mark_unused(struct map *m)
{
	map_each (m, d)
		((struct decoded *)d)->used = false;
}

static void drop_unused(struct map *m)
{
	struct decoded *gone[64];
	size_t n;

	do {
		n = 0;
		map_each (m, d)
			if (!((struct decoded *)d)->used && n < ARRAY_LEN(gone))
				gone[n++] = d;
		for (size_t i = 0; i < n; i++) {
			map_del(m, &gone[i]->id);
			decoded_free(gone[i]);
		}
	} while (n == ARRAY_LEN(gone));
}

static int decode(struct decoded *d, const struct stored *s, enum body body, struct err *err)
{
	const uint8_t *p = s->rec.body;
	size_t len = s->rec.body_len;

	switch (body) {
	case BODY_SPEC:
		return spec_decode(&d->spec, &d->arena, p, len, err);
	case BODY_FACTS:
		return facts_decode(&d->facts, &d->arena, p, len, err);
	case BODY_DRAIN:
		return drain_decode(&d->drain, p, len, err);
	case BODY_LABELS:
		return labels_decode(&d->labels.kv, &d->labels.n, &d->arena, p, len, err);
	case BODY_VOTERS:
		break;
	}
	return voters_decode(d->voters.key, &d->voters.n, p, len, err);
}

struct decoded *decoded_get(struct map *m, const struct stored *s, enum body body)
{
	static const char *const names[] = {[BODY_SPEC] = "revision",
	        [BODY_FACTS] = "facts",
	        [BODY_DRAIN] = "setting",
	        [BODY_LABELS] = "setting",
	        [BODY_VOTERS] = "setting"};
	struct decoded *d = map_get(m, &s->rec.id);
	struct err err = {0};

	if (!d) {
		d = xcalloc(1, sizeof(*d));
		d->id = s->rec.id;
		arena_init(&d->arena);
		d->bad = decode(d, s, body, &err) < 0;
		if (d->bad)
			log_warn("view", "%s record of %s cannot be read and is passed over: %s", names[body],
			        s->rec.name[0] ? s->rec.name : "a peer", err.text);
		map_put(m, &d->id, d);
	}
	d->used = true;
	return d->bad ? NULL : d;
}

/* --- members --- */

static enum view_state state_of(enum member_state s)
{
	switch (s) {
	case MEMBER_ALIVE:
		return VIEW_ALIVE;
	case MEMBER_SUSPECT:
		return VIEW_SUSPECT;
	case MEMBER_LEFT:
		return VIEW_LEFT;
	case MEMBER_DEAD:
		break;
	}
	return VIEW_DEAD;
}

static int by_key(const void *a, const void *b)
{
	return key32_cmp(&((const struct view_member *)a)->key, &((const struct view_member *)b)->key);
}

/* Has this boot been here for ADOPT_WITHIN without saying what it found of the tasks of the one before? */
static bool is_overdue(struct viewer *v, const struct view_member *m, mono_ms now)
{
	struct boot *b = map_get(&v->boots, &m->key);

	if (!b) {
		b = xcalloc(1, sizeof(*b));
		b->key = m->key;
		map_put(&v->boots, &b->key, b);
	}
	b->used = true;
	if (b->boot != m->boot) {
		b->boot = m->boot;
		b->since = now;
	}
	if (!m->boot || (m->facts && m->facts_boot >= m->boot && m->facts->adopted))
		return false;
	if (now - b->since < ADOPT_WITHIN)
		v->due = MIN(v->due, b->since + ADOPT_WITHIN);
	return now - b->since >= ADOPT_WITHIN;
}

static void drop_unused_boots(struct viewer *v)
{
	struct boot *gone[64];
	size_t n;

	do {
		n = 0;
		map_each (&v->boots, b)
			if (!((struct boot *)b)->used && n < ARRAY_LEN(gone))
				gone[n++] = b;
		for (size_t i = 0; i < n; i++) {
			map_del(&v->boots, &gone[i]->key);
			free(gone[i]);
		}
	} while (n == ARRAY_LEN(gone));
	map_each (&v->boots, b)
		((struct boot *)b)->used = false;
}

static void build_members(struct viewer *v, const struct gossip *g, const struct key32 *self, mono_ms now,
        struct arena *arena, struct view *out)
{
	size_t n = gossip_members(g, NULL, 0);
	struct member *m = xcalloc(n, sizeof(*m));

	n = MIN(n, gossip_members(g, m, n));
	out->members = arena_array(arena, n, sizeof(*out->members));
	out->n_members = n;
	for (size_t i = 0; i < n; i++) {
		struct view_member *vm = &out->members[i];
		const struct stored *s = store_page(gossip_store(g), REC_FACTS, &m[i].key, "");
		struct decoded *d = s && s->rec.body ? decoded_get(&v->facts, s, BODY_FACTS) : NULL;

		*vm = (struct view_member){
		        .key = m[i].key,
		        .id = key32_id(&m[i].key),
		        .state = state_of(m[i].state),
		        .boot = (uint32_t)(m[i].incarnation >> 32),
		        .suspected = m[i].suspected,
		        .seen = m[i].since,
		        .reachable = m[i].reachable,
		};
		if (d) {
			vm->facts = &d->facts;
			vm->facts_boot = (uint32_t)(s->rec.stamp >> 32);
			vm->labels = d->facts.labels;
			vm->n_labels = d->facts.n_labels;
			vm->draining = d->facts.leaving && vm->facts_boot >= vm->boot;
		}
		vm->overdue = is_overdue(v, vm, now);
	}
	drop_unused_boots(v);
	free(m);
	qsort(out->members, n, sizeof(*out->members), by_key);
	for (size_t i = 0; i < n; i++)
		if (key32_eq(&out->members[i].key, self))
			out->self = i;
}

/* --- stacks --- */

struct stack_walk {
	struct viewer *v;
	const struct gossip *g;
};

bool view_counts(const struct stored *s, void *trust)
{
	return trust_valid(trust, s);
}

static void add_stack(const char *name, void *ctx)
{
	struct stack_walk *w = ctx;
	struct held *h = &w->v->held;
	struct stack_heads heads;
	struct view_stack *vs;
	const struct stored *winner;
	struct decoded *d;

	store_stack_heads(gossip_store(w->g), name, view_counts, (void *)gossip_trust(w->g), &heads);
	if (!heads.n)
		return;
	if (h->n_stacks == h->cap_stacks) {
		h->cap_stacks = h->cap_stacks ? h->cap_stacks * 2 : 16;
		h->stacks = xrealloc(h->stacks, h->cap_stacks * sizeof(*h->stacks));
	}
	winner = heads.head[0];
	vs = &h->stacks[h->n_stacks++];
	*vs = (struct view_stack){
	        .name = arena_strdup(&h->arena, name),
	        .revision = winner->rec.id,
	        .revision_id = key32_id(&winner->rec.id),
	        .stamp = winner->rec.stamp,
	        .arrived = arrived(w->v, &winner->rec.id),
	        .conflict = heads.n > 1,
	        .removed = winner->rec.flags & RECORD_FLAG_REMOVAL,
	        .powers = trust_powers_for(gossip_trust(w->g), &winner->rec),
	};
	h->wanting |= !vs->removed && !winner->rec.body;
	if (vs->removed || !winner->rec.body)
		return;
	d = decoded_get(&w->v->specs, winner, BODY_SPEC);
	vs->have_body = d != NULL;
	vs->spec = d ? &d->spec : NULL;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct view_stack *)a)->name, ((const struct view_stack *)b)->name);
}

static bool held_is_current(const struct viewer *v, const struct gossip *g)
{
	struct digest now = store_digest(gossip_store(g), false);
	const struct held *h = &v->held;

	return h->stands && !h->wanting && h->arrivals == v->n_arrivals &&
	       h->trust == trust_version(gossip_trust(g)) && h->digest.count == now.count &&
	       key32_eq(&h->digest.root, &now.root);
}

static void gather_held(struct viewer *v, const struct gossip *g)
{
	struct stack_walk w = {.v = v, .g = g};
	struct held *h = &v->held;

	mark_unused(&v->specs);
	mark_unused(&v->settings);
	arena_free(&h->arena);
	h->n_stacks = 0;
	h->wanting = false;
	h->digest = store_digest(gossip_store(g), false);
	h->trust = trust_version(gossip_trust(g));
	h->arrivals = v->n_arrivals;
	store_each_stack(gossip_store(g), add_stack, &w);
	if (h->n_stacks)
		qsort(h->stacks, h->n_stacks, sizeof(*h->stacks), by_name);
	view_settings_gather(v, g);
	drop_unused(&v->specs);
	drop_unused(&v->settings);
	h->stands = true;
}

static void build_stacks(const struct viewer *v, struct arena *arena, struct view *out)
{
	out->n_stacks = v->held.n_stacks;
	out->stacks = arena_memdup(arena, v->held.stacks, out->n_stacks * sizeof(*out->stacks));
	for (size_t i = 0; i < out->n_stacks; i++)
		out->stacks[i].name = arena_strdup(arena, out->stacks[i].name);
}

void viewer_build(struct viewer *v, const struct gossip *g, const struct key32 *self, const struct claim *own,
        size_t n_own, mono_ms now, struct arena *arena, struct view *out)
{
	*out = (struct view){.flock = v->flock};
	v->due = MONO_NEVER;
	mark_unused(&v->facts);
	if (!held_is_current(v, g))
		gather_held(v, g);
	build_members(v, g, self, now, arena, out);
	view_settings_apply(v, arena, out);
	build_stacks(v, arena, out);
	view_claims(v, g, own, n_own, arena, out);
	drop_unused(&v->facts);
}

mono_ms viewer_due(const struct viewer *v)
{
	return v->due;
}

const char *view_member_name(const struct view *view, size_t member, struct arena *arena)
{
	const struct view_member *m = &view->members[member];
	char id[17];

	id64_text(id, m->id);
	if (!m->facts)
		return arena_strdup(arena, id);
	for (size_t i = 0; i < view->n_members; i++)
		if (i != member && view->members[i].facts &&
		        !strcmp(view->members[i].facts->name, m->facts->name))
			return arena_printf(arena, "%s~%.8s", m->facts->name, id);
	return m->facts->name;
}

const struct placed_slot *view_slot(const struct placement *p, id64 slot)
{
	for (size_t i = 0; i < p->n_slots; i++)
		if (p->slots[i].slot == slot)
			return &p->slots[i];
	return NULL;
}
