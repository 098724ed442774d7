/* What operators have set for peers and for the flock: signed records that are laid over what peers say of themselves. */
#include "node/view_parts.h"

struct setting_walk {
	struct viewer *v;
	const struct gossip *g;
	struct arena *arena;
	struct view *out;
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

static void lay_over(struct setting_walk *w, struct view_member *m, const struct stored *s)
{
	const struct decoded *d = decoded_get(&w->v->settings, s, BODY_LABELS);
	struct kv *both;

	if (!d)
		return;
	both = arena_array(w->arena, m->n_labels + d->labels.n, sizeof(*both));
	m->n_labels = labels_overlay(m->labels, m->n_labels, d->labels.kv, d->labels.n, both);
	m->labels = both;
}

static bool add_setting(const struct stored *s, void *ctx)
{
	struct setting_walk *w = ctx;
	struct view *out = w->out;
	const struct view_member *end = out->members + out->n_members;
	const struct decoded *d;
	struct view_member *m;
	id64 id;

	if (setting_peer(s->rec.name, SETTING_DRAIN, &id)) {
		for (m = first_of_id(out, id); m < end && m->id == id; m++)
			m->draining |= drains(w, s->rec.name);
	} else if (setting_peer(s->rec.name, SETTING_LABELS, &id)) {
		for (m = first_of_id(out, id); m < end && m->id == id; m++)
			lay_over(w, m, s);
	} else if (!strcmp(s->rec.name, SETTING_VOTERS)) {
		d = decoded_get(&w->v->settings, s, BODY_VOTERS);
		if (d) {
			out->voters = d->voters.key;
			out->n_voters = d->voters.n;
		}
	} else if (!strcmp(s->rec.name, SETTING_REBALANCE) &&
	           rebalance_decode(s->rec.body, s->rec.body_len, NULL) == 0) {
		out->rebalance = s->rec.stamp;
	}
	return true;
}

void view_settings(struct viewer *v, const struct gossip *g, struct arena *arena, struct view *out)
{
	struct setting_walk w = {.v = v, .g = g, .arena = arena, .out = out};

	store_each_setting(gossip_store(g), view_counts, (void *)gossip_trust(g), add_setting, &w);
}
