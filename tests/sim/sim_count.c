/* What is counted while a flock works: who serves which slot, how long nobody does, whom DNS names. */
#include "base/hash.h"
#include "placement/slots.h"
#include "tests/sim/sim_core.h"
#include "tests/sim/sim_work.h"

#include <string.h>

/* Answers of DNS are used for so long, ms (DNS_TTL_S). */
#define ANSWERS_LIVE SECONDS(1)

static bool serves(const struct sim_task *t)
{
	return t->w.own.state == TASK_RUNNING && t->w.own.health == HEALTH_HEALTHY && !t->w.own.stopping;
}

static struct sim_slot *slot_of(struct sim *s, id64 id)
{
	struct sim_slot *slot = map_get(&s->works->slots, &id);

	if (slot)
		return slot;
	slot = xcalloc(1, sizeof(*slot));
	slot->slot = id;
	map_put(&s->works->slots, &id, slot);
	return slot;
}

/* Does a claim that some peer knows say that the slot goes from one of the two hosts to the other? */
static bool says_handover(const struct sim *s, id64 slot, unsigned a, unsigned b)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct work *work = s->works->worker[i].work;
		const struct view *v = work ? work_view(work) : NULL;
		struct range r = v ? claims_of(v, slot) : (struct range){0};

		for (size_t k = r.from; k < r.to; k++) {
			const struct key32 *from = &v->members[v->claims[k].member].key;
			id64 to = v->claims[k].c.handover_to;

			if ((key32_eq(from, &s->peer[a].key) && to == key32_id(&s->peer[b].key)) ||
			        (key32_eq(from, &s->peer[b].key) && to == key32_id(&s->peer[a].key)))
				return true;
		}
	}
	return false;
}

static bool handed_over(const struct sim *s, const struct sim_task *t)
{
	for (unsigned i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->works->worker[i].n_tasks; k++) {
			const struct sim_task *other = s->works->worker[i].tasks[k];

			if (other != t && other->serving && other->w.own.slot == t->w.own.slot &&
			        !says_handover(s, t->w.own.slot, t->host, i))
				return false;
		}
	return true;
}

void sim_count_serving(struct sim *s, struct sim_task *t)
{
	struct sim_slot *slot;
	bool now = serves(t);

	if (now == t->serving)
		return;
	t->serving = now;
	slot = slot_of(s, t->w.own.slot);
	if (now) {
		if (slot->served && !slot->serving)
			slot->dark_ms += s->now - slot->dark_since;
		slot->served = true;
		if (slot->serving++ && !handed_over(s, t)) {
			s->works->doubles++;
			if (s->works->strict)
				sim_fail(s, __FILE__, __LINE__, "two tasks of one slot serve, not by a handover");
		}
	} else if (--slot->serving == 0) {
		slot->dark_since = s->now;
	}
}

int64_t sim_dark(const struct sim *s)
{
	int64_t dark = 0;

	map_each (&s->works->slots, value) {
		const struct sim_slot *slot = value;

		dark += slot->dark_ms;
		if (slot->served && !slot->serving)
			dark += s->now - slot->dark_since;
	}
	return dark;
}

void sim_count_anew(struct sim *s)
{
	map_each (&s->works->slots, value) {
		struct sim_slot *slot = value;

		slot->dark_ms = 0;
		slot->dark_since = s->now;
		slot->served = slot->serving > 0;
	}
	s->works->starts = s->works->stops = s->works->refusals = s->works->doubles = s->works->evened = 0;
}

unsigned sim_tasks_on(const struct sim *s, unsigned host)
{
	const struct sim_worker *w = &s->works->worker[host];
	unsigned n = 0;

	for (size_t i = 0; i < w->n_tasks; i++)
		n += !sim_task_over(w->tasks[i]);
	return n;
}

unsigned sim_serving(const struct sim *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->works->worker[i].n_tasks; k++)
			n += s->works->worker[i].tasks[k]->serving;
	return n;
}

/* As node/zone.c chooses. */
static bool names(const struct view *v, const struct placement *p, size_t claim)
{
	const struct view_claim *c = &v->claims[claim];
	const struct placed_slot *slot = view_slot(p, c->c.slot);

	return slot && slot->predecessor != (int32_t)claim && claim_serves(&c->c) && claim_is_live(v, c);
}

static struct sim_task *task_of(const struct sim *s, const struct key32 *host, id64 task)
{
	int i = sim_by_key(s, host);

	for (size_t k = 0; i >= 0 && k < s->works->worker[i].n_tasks; k++)
		if (s->works->worker[i].tasks[k]->w.own.task == task)
			return s->works->worker[i].tasks[k];
	return NULL;
}

void sim_count_named(struct sim *s, unsigned viewer)
{
	const struct work *work = s->works->worker[viewer].work;
	uint64_t bit = UINT64_C(1) << viewer % 64;
	const struct view *v;

	if (!s->works->strict)
		return;
	v = work_view(work);
	for (size_t i = 0; i < v->n_claims; i++) {
		struct sim_task *t = task_of(s, &v->members[v->claims[i].member].key, v->claims[i].c.task);

		if (!t)
			continue;
		if (names(v, work_placement(work), i)) {
			t->named |= bit;
		} else if (t->named & bit) {
			t->named &= ~bit;
			t->unnamed_at = s->now;
		}
	}
}

void sim_count_gone(struct sim *s, unsigned viewer)
{
	for (unsigned i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->works->worker[i].n_tasks; k++)
			s->works->worker[i].tasks[k]->named &= ~(UINT64_C(1) << viewer % 64);
}

void sim_count_stop(struct sim *s, struct sim_task *t, const char *why)
{
	if (s->works->strict && t->serving && !strncmp(why, "handed over", 11) &&
	        (t->named || s->now - t->unnamed_at < ANSWERS_LIVE))
		sim_fail(s, __FILE__, __LINE__, "a task stops that an answer of DNS may still name");
}
