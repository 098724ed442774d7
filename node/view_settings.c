/* What operators have set for peers and for the flock: signed records that are laid over what peers say of themselves. */
#include "node/view_parts.h"

struct setting_walk {
	struct viewer *v;
	const struct gossip *g;
};

/* The members with that id: one, unless somebody made a second key that begins like the first. */
static struct view_member *first_of_id(const struct view *view, id64 id)
{
	size_t from = 0, to = view->n_members;

	/* Members are sorted by key, and an id is its beginning. */
	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (view->members[mid].id < id)
			from = mid + 1;
		else
			to = mid;
	}
	return &view->members[from];
}

/* Several that stand were made on two sides of a split, and neither knew of the other: then to drain is the safe one. */
static bool drains(struct setting_walk *w, const char *name)
{
	struct stack_heads heads;

	store_setting_heads(gossip_store(w->g), name, view_counts, (void *)gossip_trust(w->g), &heads);
	for (size_t i = 0; i < heads.n; i++) {
		const struct decoded *d = decoded_get(&w->v->settings, heads.head[i], BODY_DRAIN);

		if (d && d->drain)
			return true;
	}
	return false;
}

static void hold(struct held *h, struct held_setting s)
{
	if (h->n_settings == h->cap_settings) {
		h->cap_settings = h->cap_settings ? h->cap_settings * 2 : 16;
		h->settings = xrealloc(h->settings, h->cap_settings * sizeof(*h->settings));
	}
	h->settings[h->n_settings++] = s;
}

static bool gather_setting(const struct stored *s, void *ctx)
{
	struct setting_walk *w = ctx;
	struct held *h = &w->v->held;
	const struct decoded *d;
	id64 id;

	if (setting_peer(s->rec.name, SETTING_DRAIN, &id)) {
		if (drains(w, s->rec.name))
			hold(h, (struct held_setting){.peer = id});
	} else if (setting_peer(s->rec.name, SETTING_LABELS, &id)) {
		d = decoded_get(&w->v->settings, s, BODY_LABELS);
		if (d)
			hold(h, (struct held_setting){.peer = id, .labels = d});
	} else if (!strcmp(s->rec.name, SETTING_VOTERS)) {
		h->voters = decoded_get(&w->v->settings, s, BODY_VOTERS);
	} else if (!strcmp(s->rec.name, SETTING_REBALANCE) &&
	           rebalance_decode(s->rec.body, s->rec.body_len, NULL) == 0) {
		h->rebalance = s->rec.stamp;
	}
	return true;
}

void view_settings_gather(struct viewer *v, const struct gossip *g)
{
	struct setting_walk w = {.v = v, .g = g};

	v->held.n_settings = 0;
	v->held.voters = NULL;
	v->held.rebalance = 0;
	store_each_setting(gossip_store(g), view_counts, (void *)gossip_trust(g), gather_setting, &w);
}

static void lay_over(struct view_member *m, const struct decoded *d, struct arena *arena)
{
	struct kv *both = arena_array(arena, m->n_labels + d->labels.n, sizeof(*both));

	m->n_labels = labels_overlay(m->labels, m->n_labels, d->labels.kv, d->labels.n, both);
	m->labels = both;
}

void view_settings_apply(const struct viewer *v, struct arena *arena, struct view *out)
{
	const struct view_member *end = out->members + out->n_members;
	const struct held *h = &v->held;

	for (size_t i = 0; i < h->n_settings; i++)
		for (struct view_member *m = first_of_id(out, h->settings[i].peer);
		        m < end && m->id == h->settings[i].peer; m++) {
			if (h->settings[i].labels)
				lay_over(m, h->settings[i].labels, arena);
			else
				m->draining = true;
		}
	if (h->voters) {
		out->voters = h->voters->voters.key;
		out->n_voters = h->voters->voters.n;
	}
	out->rebalance = h->rebalance;
}
