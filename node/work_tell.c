/* What this peer says of itself to the others: its claims, packed into pages, and its facts. */
#include "base/text.h"
#include "node/work_parts.h"

#include <stdio.h>

/* Claims that change in a burst (a deployment starting its tasks) go out together, at most this late, ms. */
#define PUBLISH_GAP 20

/* How long, in ms, a new host's first facts wait for it to be ready. */
#define FIRST_FACTS_MS 2000

/* ---- claims ---- */

static struct claim claim_of(const struct work *w, const struct work_input *in, const struct work_task *t)
{
	struct claim c = {
	        .task = t->own.task,
	        .slot = t->own.slot,
	        .revision = t->own.revision,
	        .content = t->own.content,
	        .boot = in->boot,
	        .state = t->own.state,
	        .health = t->own.health,
	        .healthy_since = t->healthy_since,
	        .failures = t->own.failures,
	        .n_ports = (uint8_t)t->n_ports,
	};

	for (size_t i = 0; i < t->n_ports; i++) {
		c.ports[i].index = t->ports[i].index;
		c.ports[i].port = t->ports[i].port;
	}
	reconcile_claim(w->reconcile, &c);
	return c;
}

struct claim *work_claims(struct work *w, const struct work_input *in, size_t *n)
{
	struct claim *claims = arena_array(&w->arena, in->n_tasks + w->n_refusals, sizeof(*claims));

	*n = 0;
	for (size_t i = 0; i < in->n_tasks; i++)
		claims[(*n)++] = claim_of(w, in, &in->tasks[i]);
	for (size_t i = 0; i < w->n_refusals; i++)
		claims[(*n)++] = (struct claim){
		        .task = w->refusals[i].slot,
		        .slot = w->refusals[i].slot,
		        .revision = w->refusals[i].revision,
		        .content = w->refusals[i].content,
		        .boot = in->boot,
		        .state = TASK_REFUSED,
		};
	return claims;
}

/* Pages of an earlier boot that this one does not fill stay with others until they are published empty. */
struct stale_pages {
	const struct key32 *self;
	uint32_t boot;
	size_t n;
	char name[16][RECORD_NAME_MAX + 1]; /* the rest follows at the next pass */
};

static bool find_stale(const struct stored *s, void *ctx)
{
	struct stale_pages *p = ctx;

	if (key32_eq(&s->rec.author, p->self) && s->rec.stamp >> 32 != p->boot && s->rec.body_len > 1)
		text_copy(p->name[p->n++], sizeof(p->name[0]), s->rec.name);
	return p->n < ARRAY_LEN(p->name);
}

static void blank_stale_pages(struct work *w, const struct work_input *in)
{
	static const uint8_t no_claims;
	struct stale_pages p = {.self = &w->self, .boot = in->boot};

	store_each(gossip_store(in->gossip), REC_STATUS, find_stale, &p);
	for (size_t i = 0; i < p.n; i++)
		gossip_publish(in->gossip, REC_STATUS, p.name[i], &no_claims, 1, in->now);
}

/* Returns when to call again: burst upon burst waits its turn. */
static mono_ms publish_claims(struct work *w, const struct work_input *in)
{
	size_t n;
	struct claim *claims = work_claims(w, in, &n);
	char name[24];

	pager_set(w->pager, claims, n);
	if (in->now.mono - w->published_at < PUBLISH_GAP)
		return w->published_at + PUBLISH_GAP;
	for (size_t i = 0; i < pager_pages(w->pager); i++) {
		bool changed;
		size_t len;
		const uint8_t *bytes = pager_page(w->pager, i, &len, &changed);

		if (!changed)
			continue;
		w->published_at = in->now.mono;
		snprintf(name, sizeof(name), "%zu", i);
		gossip_publish(in->gossip, REC_STATUS, name, bytes, len, in->now);
	}
	blank_stale_pages(w, in);
	return MONO_NEVER;
}

/* ---- facts ---- */

/* A host that was never here before says nothing of itself until it is ready, or has waited for long: others hold
 * who has said nothing for not ready anyway, and each signs and checks one record less. */
static bool facts_can_wait(const struct work_input *in)
{
	return in->boot == 1 && !gossip_ready(in->gossip) && in->now.wall - in->started < FIRST_FACTS_MS;
}

mono_ms work_publish_facts(const struct work_input *in)
{
	struct facts f = *in->host;
	struct wr out;

	if (facts_can_wait(in))
		return in->now.mono + FIRST_FACTS_MS;
	f.algorithm = PLACE_ALGORITHM;
	f.ready = gossip_ready(in->gossip) && !in->disk_full && !in->held_back;
	f.adopted = in->adopted;
	f.leaving = in->leaving;
	f.started = in->started;
	wr_init(&out, BODY_BYTES_MAX);
	facts_encode(&out, &f);
	/* A body equal to the last is not sent again. */
	gossip_publish(in->gossip, REC_FACTS, "", out.p, out.len, in->now);
	wr_free(&out);
	return MONO_NEVER;
}

mono_ms work_tell(struct work *w, const struct work_input *in)
{
	mono_ms wake = w->wake;

	if (w->acted) /* claims, answers and names must show what was just started and stopped */
		work_look(w, in);
	if (work_drop_old_refusals(w))
		wake = in->now.mono;
	wake = MIN(wake, work_refusals_due(w));
	/* Until the tasks of the last run are found again, what it said of them holds. */
	return in->adopted ? MIN(wake, publish_claims(w, in)) : wake;
}
