/* Time: a heap of events by (moment, order of making), and the trace over those that happened. */
#include "tests/sim/sim_core.h"

#include "base/hash.h"

struct sim_event {
	mono_ms at;
	uint64_t order;
	unsigned peer, run;
	enum sim_event_kind kind;
	uint64_t a, b;
	size_t len;
	uint8_t bytes[];
};

static sim_event_fn *const on_event[EV_KINDS] = {[EV_TICK] = on_tick,
        [EV_PACKET] = on_packet,
        [EV_ACCEPT] = on_accept,
        [EV_OPENED] = on_opened,
        [EV_FRAME] = on_frame,
        [EV_RETRY] = on_retry,
        [EV_CLOSED] = on_closed,
        [EV_WRITTEN] = on_written,
        [EV_STOP] = on_stop,
        [EV_LIE] = on_lie,
        [EV_WORK] = on_work,
        [EV_ADOPT] = on_adopt,
        [EV_TASK] = on_task};

static bool before(const struct sim_event *x, const struct sim_event *y)
{
	return x->at != y->at ? x->at < y->at : x->order < y->order;
}

static void push(struct sim *s, struct sim_event *e)
{
	size_t i = s->heap_len++;

	if (s->heap_len > s->heap_cap) {
		s->heap_cap = s->heap_cap ? s->heap_cap * 2 : 1024;
		s->heap = xrealloc(s->heap, s->heap_cap * sizeof(*s->heap));
	}
	while (i && before(e, s->heap[(i - 1) / 2])) {
		s->heap[i] = s->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	s->heap[i] = e;
}

static struct sim_event *pop(struct sim *s)
{
	struct sim_event *top = s->heap[0], *last = s->heap[--s->heap_len];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= s->heap_len)
			break;
		if (child + 1 < s->heap_len && before(s->heap[child + 1], s->heap[child]))
			child++;
		if (!before(s->heap[child], last))
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = last;
	return top;
}

void sim_at(struct sim *s, mono_ms at, unsigned peer, enum sim_event_kind kind, uint64_t a, uint64_t b,
        const void *bytes, size_t len)
{
	struct sim_event *e = xmalloc(sizeof(*e) + len);

	*e = (struct sim_event){.at = MAX(at, s->now),
	        .order = s->order++,
	        .peer = peer,
	        .run = peer == SIM_WORLD ? 0 : s->peer[peer].runs,
	        .kind = kind,
	        .a = a,
	        .b = b,
	        .len = len};
	if (len)
		memcpy(e->bytes, bytes, len);
	push(s, e);
}

/* The trace is a chain: the key of each event's hash is the hash of all before it. */
static void trace(struct sim *s, const struct sim_event *e)
{
	uint64_t head[5] = {(uint64_t)e->at, e->peer, e->kind, e->a, e->b};
	uint8_t key[16] = {0};

	memcpy(key, &s->trace, sizeof(s->trace));
	s->trace = siphash(key, head, sizeof(head));
	memcpy(key, &s->trace, sizeof(s->trace));
	s->trace = siphash(key, e->bytes, e->len);
}

uint64_t sim_trace(const struct sim *s)
{
	return s->trace;
}

/* Ended, frozen and sleeping peers: whether the event is not for now. */
static bool put_off(struct sim *s, struct sim_event *e)
{
	struct sim_peer *p = &s->peer[e->peer];

	if (e->run != p->runs) {
		free(e);
		return true;
	}
	if (p->frozen_until <= s->now) {
		p->suspended = false;
		return false;
	}
	if (p->suspended && e->kind == EV_PACKET) {
		free(e); /* nobody was there to take it */
		return true;
	}
	/* It will find all this when it wakes: its timer first, as in any event loop, then what waits in its sockets. */
	e->at = p->frozen_until;
	e->order = e->kind == EV_TICK ? 0 : s->order++;
	push(s, e);
	return true;
}

static void spend(struct sim_peer *p)
{
	if (p->budget && --p->budget == 0)
		p->frozen_until = MAX(p->frozen_until, p->starved_until);
}

bool sim_step(struct sim *s, mono_ms until)
{
	struct sim_event *e;

	if (!s->heap_len || s->heap[0]->at > until) {
		s->now = until;
		return false;
	}
	e = pop(s);
	s->now = e->at;
	s->events++;
	if (e->peer != SIM_WORLD && put_off(s, e))
		return true;
	trace(s, e);
	on_event[e->kind](s, e->peer, e->a, e->b, e->bytes, e->len);
	if (e->peer != SIM_WORLD)
		spend(&s->peer[e->peer]);
	free(e);
	return true;
}

void sim_advance(struct sim *s, mono_ms until)
{
	mono_ms end = MIN(until, s->now + (s->n > 50 ? 20 : 1));

	while (sim_step(s, end))
		;
}

void sim_run(struct sim *s, int64_t ms)
{
	mono_ms until = s->now + ms;

	while (sim_step(s, until))
		;
}

bool sim_chance(struct sim *s, unsigned percent)
{
	return percent && drbg_below(&s->rng, 100) < percent;
}
