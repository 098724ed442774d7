/*
 * What place() costs in a large flock: 10,000 slots on 1,000 peers from nothing, with all of them claimed (what
 * every pass of an agent costs), and after one peer was lost. Prints figures; asserts nothing about time.
 */
#include "base/hash.h"
#include "placement/rank.h"

#include <stdio.h>
#include <time.h>

#define PEERS    1000
#define SERVICES 250
#define REPLICAS 40
#define ROUNDS   5

static struct facts facts[PEERS];
static struct view_member members[PEERS];
static struct view_claim *claims;
static struct arena arena;
static struct view view;

/* Processor time: placing is all computing, and other programs may run beside. */
static double ms_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_key(const void *a, const void *b)
{
	return key32_cmp(&((const struct view_member *)a)->key, &((const struct view_member *)b)->key);
}

static int by_slot(const void *pa, const void *pb)
{
	const struct view_claim *a = pa, *b = pb;

	return a->c.slot < b->c.slot ? -1 : a->c.slot > b->c.slot;
}

static void build(void)
{
	static const char *command[] = {"/bin/task"};
	struct spec *spec = arena_alloc(&arena, sizeof(*spec));

	hash32(&view.flock, "bench", 5);
	for (size_t i = 0; i < PEERS; i++) {
		facts[i] = (struct facts){.name = arena_printf(&arena, "p%zu", i),
		        .cpu_milli = 8000,
		        .memory = 32ULL << 30,
		        .drivers = 1 << DRIVER_EXEC,
		        .ready = true,
		        .adopted = true};
		hash32(&members[i].key, &i, sizeof(i));
		members[i].facts = &facts[i];
	}
	qsort(members, PEERS, sizeof(*members), by_key);
	*spec = (struct spec){.name = "bench",
	        .n_services = SERVICES,
	        .services = arena_array(&arena, SERVICES, sizeof(struct service))};
	for (size_t i = 0; i < SERVICES; i++) {
		struct service *s = &spec->services[i];

		service_defaults(s);
		s->name = arena_printf(&arena, "s%03zu", i);
		s->command = command;
		s->n_command = 1;
		s->replicas = REPLICAS;
		s->reserve =
		        (struct spec_resources){.cpu_milli = i % 2 ? 250 : 0, .memory = i % 3 ? 256 << 20 : 0};
	}
	view.stacks = arena_alloc(&arena, sizeof(*view.stacks));
	view.stacks[0] = (struct view_stack){.name = "bench", .spec = spec, .have_body = true, .powers = ~0U};
	view.n_stacks = 1;
	view.members = members;
	view.n_members = PEERS;
}

/* Every slot is taken by its first candidate. */
static void claim_all(const struct placement *p)
{
	claims = arena_array(&arena, p->n_slots, sizeof(*claims));
	for (size_t i = 0; i < p->n_slots; i++)
		if (p->slots[i].n_candidates)
			claims[view.n_claims++] =
			        (struct view_claim){.c = {.slot = p->slots[i].slot, .state = TASK_RUNNING},
			                .member = p->slots[i].candidate[0]};
	qsort(claims, view.n_claims, sizeof(*claims), by_slot);
	view.claims = claims;
}

/* Median of ROUNDS, in milliseconds. */
static double timed(struct placement *p)
{
	double took[ROUNDS];

	for (size_t i = 0; i < ROUNDS; i++) {
		double from = ms_now();

		place(&view, &arena, p);
		took[i] = ms_now() - from;
		for (size_t k = i; k > 0 && took[k] < took[k - 1]; k--) {
			double swap = took[k];

			took[k] = took[k - 1];
			took[k - 1] = swap;
		}
	}
	return took[ROUNDS / 2];
}

/* By what placing weighs: requests, and what a service that requests nothing is felt to take. */
static void print_balance(const struct placement *p)
{
	static struct load load[PEERS];
	static const struct spec_resources nothing;
	uint64_t most = 0, sum = 0;

	for (size_t i = 0; i < p->n_slots; i++)
		load_add(&load[p->slots[i].candidate[0]], &view.stacks[0].spec->services[p->slots[i].service],
		        &arena);
	for (size_t i = 0; i < PEERS; i++) {
		uint64_t full = rank_utilisation(&facts[i], &load[i], &nothing);

		most = MAX(most, full);
		sum += full;
	}
	printf("placement balance: %.2f\n    fullest peer / mean, %zu slots placed from nothing on %d equal peers\n",
	        (double)most * PEERS / (double)sum, p->n_slots, PEERS);
}

int main(void)
{
	struct placement p, after;
	size_t moved = 0, lost = 0;
	double took;

	arena_init(&arena);
	build();
	took = timed(&p);
	printf("placement from nothing: %.1f ms\n    processor time; %zu slots of %d services on %d peers, median of %d\n",
	        took, p.n_slots, SERVICES, PEERS, ROUNDS);
	print_balance(&p);
	claim_all(&p);
	took = timed(&p);
	printf("placement with every slot claimed: %.1f ms\n    the same flock, nothing to do; median of %d\n",
	        took, ROUNDS);
	members[0].state = VIEW_DEAD;
	took = timed(&after);
	for (size_t i = 0; i < after.n_slots; i++) {
		lost += p.slots[i].owner >= 0 && claims[p.slots[i].owner].member == 0;
		moved += after.slots[i].owner != p.slots[i].owner;
	}
	printf("placement after the loss of a peer: %.1f ms\n    %zu slots were lost, %zu moved; median of %d\n",
	        took, lost, moved, ROUNDS);
	arena_free(&arena);
	return 0;
}
