/*
 * What placing costs: from nothing, with every slot claimed, and when a peer leaves. Processor time, medians. Prints a
 * table; asserts nothing about time.
 *
 *	bench_cost [--rounds N] [--largest PEERS]
 */
#include "placement/placer.h"
#include "tests/bench/placement/flock.h"

#include <stdio.h>

#define SERVICES  250
#define UNITS     80
#define SLOTS_PER 10 /* per peer */

static size_t rounds = 5, largest = 10000;

static void open_flock(struct flock *f, size_t peers)
{
	static const uint32_t units[] = {UNITS};

	flock_open(f, 1, peers, peers, units, 1);
	for (size_t i = 0; i < SERVICES; i++) {
		struct service *s = flock_stack(f, (uint32_t)(peers * SLOTS_PER / SERVICES));

		s->reserve =
		        (struct spec_resources){.cpu_milli = i % 2 ? 250 : 0, .memory = i % 3 ? 256 << 20 : 0};
	}
}

static int by_claim(const void *pa, const void *pb)
{
	const struct view_claim *a = pa, *b = pb;

	return a->c.slot < b->c.slot ? -1 : a->c.slot > b->c.slot;
}

/* In turn, so that nothing has to be placed first. */
static void claim_all(struct flock *f, const struct placement *p)
{
	f->claims = f->view.claims = xcalloc(p->n_slots, sizeof(*f->claims));
	f->view.n_claims = p->n_slots;
	for (size_t i = 0; i < p->n_slots; i++)
		f->claims[i] = (struct view_claim){
		        .c = {.task = i + 1,
		                .slot = p->slots[i].slot,
		                .boot = 1,
		                .state = TASK_RUNNING,
		                .revision = f->stacks[p->slots[i].stack].revision_id,
		                .content = service_content(f->stacks[p->slots[i].stack].spec->services)},
		        .member = i % f->view.n_members};
	qsort(f->claims, p->n_slots, sizeof(*f->claims), by_claim);
}

static double cold(struct flock *f)
{
	double took[64];

	for (size_t i = 0; i < rounds; i++) {
		struct placement p;
		struct arena arena;
		double from = ms_now();

		arena_init(&arena);
		place(&f->view, &arena, &p);
		took[i] = ms_now() - from;
		arena_free(&arena);
	}
	return median(took, rounds);
}

/* Calls of a placer that has seen the flock: something changes, and back, in turn; the changes are timed. */
static double kept(struct flock *f, void (*change)(struct flock *f, size_t round, bool back))
{
	struct placer *placer = placer_new();
	struct placement p;
	struct arena arena;
	double took[64];

	arena_init(&arena);
	placer_place(placer, &f->view, &arena, &p);
	for (size_t i = 0; i < rounds; i++) {
		double from;

		arena_free(&arena);
		change(f, i, false);
		from = ms_now();
		placer_place(placer, &f->view, &arena, &p);
		took[i] = ms_now() - from;
		arena_free(&arena);
		change(f, i, true);
		placer_place(placer, &f->view, &arena, &p);
	}
	arena_free(&arena);
	placer_free(placer);
	return median(took, rounds);
}

static void nothing(struct flock *f, size_t round, bool back)
{
	(void)f;
	(void)round;
	(void)back;
}

static void leave(struct flock *f, size_t round, bool back)
{
	f->members[round * 7919 % f->view.n_members].state = back ? VIEW_ALIVE : VIEW_DEAD;
}

static void unhealthy(struct flock *f, size_t round, bool back)
{
	f->claims[round * 7919 % f->view.n_claims].c.state = back ? TASK_RUNNING : TASK_UNHEALTHY;
}

static void deploy(struct flock *f, size_t round, bool back)
{
	struct view_stack *st = &f->stacks[round % f->view.n_stacks];
	struct spec *spec = arena_memdup(&f->arena, st->spec, sizeof(*spec));

	(void)back;
	spec->services = arena_memdup(&f->arena, spec->services, sizeof(*spec->services));
	st->spec = spec;
}

/* All slots without placing them: nobody is alive. */
static void list(struct flock *f, struct arena *arena, struct placement *p)
{
	for (size_t i = 0; i < f->view.n_members; i++)
		f->members[i].state = VIEW_LEFT;
	place(&f->view, arena, p);
	for (size_t i = 0; i < f->view.n_members; i++)
		f->members[i].state = VIEW_ALIVE;
}

static void row(const char *what, size_t peers, double ms)
{
	printf("| %s | %zu x %zu | %.2f |\n", what, peers * SLOTS_PER, peers, ms);
	fflush(stdout);
}

static void measure(size_t peers, bool with_cold)
{
	struct placement p;
	struct arena arena;
	struct flock f;

	arena_init(&arena);
	open_flock(&f, peers);
	if (with_cold)
		row("from nothing", peers, cold(&f));
	list(&f, &arena, &p);
	claim_all(&f, &p);
	row("every slot claimed, from nothing", peers, cold(&f));
	row("nothing changed", peers, kept(&f, nothing));
	row("a task changed its state", peers, kept(&f, unhealthy));
	row("a peer leaves", peers, kept(&f, leave));
	row("a stack has a new revision", peers, kept(&f, deploy));
	arena_free(&arena);
	flock_close(&f);
}

int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--rounds"))
			rounds = MIN(MAX(strtoul(argv[i + 1], NULL, 10), 1), 64);
		else if (!strcmp(argv[i], "--largest"))
			largest = strtoul(argv[i + 1], NULL, 10);
	}
	printf("### What placing costs\n\n"
	       "Processor time, median of %zu; %d services, half of them ask for cpu and two thirds for "
	       "memory.\n\n"
	       "| | slots x peers | ms |\n"
	       "|---|---|---|\n",
	        rounds, SERVICES);
	measure(1000, true);
	if (largest >= 10000)
		measure(10000, false);
	return 0;
}
