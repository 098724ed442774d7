/*
 * How much of what fits at all is placed: beside an exact maximum flow (Dinic, 1970) where peers are nearly full and
 * services are bound to some of them; and how evenly replicas are spread over zones. Prints tables; asserts nothing.
 *
 *	bench_fit [--seeds N] [--first SEED]
 */
#include "tests/bench/placement/flock.h"
#include "tests/bench/placement/maxflow.h"

#include <stdio.h>

#define UNITS_PER_PEER 10
#define LABELS         4 /* of which each peer has about half, and each service asks for none, one or two */
#define REPLICAS_MAX   12
#define ZONES          3

static size_t seeds = 40, first_seed = 1;
static const uint32_t units[] = {UNITS_PER_PEER};

/* ---- what a flow says ---- */

static size_t flow_of(const struct flock *f)
{
	size_t n = f->view.n_members, m = f->view.n_stacks, most;
	struct maxflow *flow = maxflow_new(n + m + 2);

	for (size_t i = 0; i < m; i++) {
		const struct view_stack *st = &f->stacks[i];

		maxflow_edge(flow, 0, 2 + i, st->spec->services->replicas);
		for (size_t k = 0; k < n; k++)
			if (filter_static(&f->view, st, st->spec->services, 0, k) == REASON_OK)
				maxflow_edge(flow, 2 + i, 2 + m + k, st->spec->services->replicas);
	}
	for (size_t k = 0; k < n; k++)
		maxflow_edge(flow, 2 + m + k, 1, flock_units(f, k));
	most = maxflow_run(flow, 0, 1);
	maxflow_free(flow);
	return most;
}

static const char *const label_names[LABELS] = {"a", "b", "c", "d"};

static void label_peers(struct flock *f)
{
	for (size_t i = 0; i < f->view.n_members; i++) {
		struct kv *kv = arena_array(&f->arena, LABELS, sizeof(*kv));
		size_t n = 0;

		for (size_t l = 0; l < LABELS; l++)
			if (drbg_below(&f->rnd, 2))
				kv[n++] = (struct kv){label_names[l], "yes"};
		f->members[i].labels = kv;
		f->members[i].n_labels = n;
	}
}

static void bind_service(struct flock *f, struct service *s)
{
	static const char *const attrs[LABELS] = {
	        "node.labels.a", "node.labels.b", "node.labels.c", "node.labels.d"};
	size_t from = (size_t)drbg_below(&f->rnd, LABELS);

	s->n_constraints = (size_t)drbg_below(&f->rnd, 3);
	s->constraints = arena_array(&f->arena, 2, sizeof(*s->constraints));
	for (size_t i = 0; i < s->n_constraints; i++)
		s->constraints[i] = (struct spec_constraint){
		        attrs[(from + i) % LABELS], drbg_below(&f->rnd, 4) ? OP_EQ : OP_NE, "yes"};
}

static void open_bound(struct flock *f, uint64_t seed, size_t peers, uint32_t full)
{
	uint32_t left = (uint32_t)(peers * UNITS_PER_PEER * full / 100);

	flock_open(f, seed, peers, peers, units, 1);
	label_peers(f);
	while (left) {
		uint32_t n = 1 + (uint32_t)drbg_below(&f->rnd, REPLICAS_MAX);

		n = MIN(left, n);

		bind_service(f, flock_stack(f, n));
		left -= n;
	}
}

static void print_fit(size_t peers, uint32_t full)
{
	printf("| %zu peers, %u%% full |", peers, full);
	for (size_t w = 0; w < WAYS; w++) {
		double placed = 0, feasible = 0, worst = 1;

		for (size_t i = 0; i < seeds; i++) {
			struct flock f;
			struct spot s;
			double most;

			open_bound(&f, first_seed + i, peers, full);
			most = (double)flow_of(&f);
			ways[w].place(&f, true, &s);
			placed += (double)spot_placed(&s);
			feasible += most;
			worst = MIN(worst, (double)spot_placed(&s) / most);
			spot_free(&s);
			flock_close(&f);
		}
		printf(" %.1f%% (worst %.1f%%) |", 100 * placed / feasible, 100 * worst);
		fflush(stdout);
	}
	printf("\n");
}

/* ---- zones ---- */

/* How far the replicas of one service are from an even spread over the zones. */
static uint32_t excess_skew(const struct flock *f, const struct view_stack *st, const struct spot *s)
{
	uint32_t count[ZONES] = {0}, most = 0, least = UINT32_MAX, even;
	struct key32 hash;

	service_hash(&hash, st->name, st->spec->services->name);
	for (uint32_t k = 0; k < st->spec->services->replicas; k++) {
		id64 slot = slot_id_in(&f->view.flock, &hash, k);

		for (size_t i = 0; i < s->n; i++)
			if (s->where[i].slot == slot && s->where[i].peer >= 0)
				count[f->members[s->where[i].peer].labels[0].value[0] - 'a']++;
	}
	for (size_t z = 0; z < ZONES; z++) {
		most = MAX(most, count[z]);
		least = MIN(least, count[z]);
	}
	even = st->spec->services->replicas % ZONES != 0;
	return most - least > even ? most - least - even : 0;
}

static void open_zones(struct flock *f, uint64_t seed, size_t peers, uint32_t full)
{
	static const char *const names[ZONES] = {"a", "b", "c"};
	static const char *spread[] = {"node.labels.zone"};
	uint32_t left = (uint32_t)(peers * UNITS_PER_PEER * full / 100);

	flock_open(f, seed, peers, peers, units, 1);
	for (size_t i = 0; i < peers; i++) {
		struct kv *kv = arena_alloc(&f->arena, sizeof(*kv));

		*kv = (struct kv){"zone", names[i % ZONES]}; /* members stand by key: at random */
		f->members[i].labels = kv;
		f->members[i].n_labels = 1;
	}
	while (left) {
		uint32_t n = 2 + (uint32_t)drbg_below(&f->rnd, REPLICAS_MAX);
		struct service *s;

		n = MIN(left, n);
		s = flock_stack(f, n);
		s->spread = spread;
		s->n_spread = 1;
		left -= n;
	}
}

static void print_skew(size_t peers, uint32_t full)
{
	printf("| %zu peers, %u%% full |", peers, full);
	for (size_t w = 0; w < WAYS; w++) {
		double skew = 0, services = 0;

		for (size_t i = 0; i < seeds; i++) {
			struct flock f;
			struct spot s;

			open_zones(&f, first_seed + i, peers, full);
			ways[w].place(&f, true, &s);
			for (size_t k = 0; k < f.view.n_stacks; k++, services++)
				skew += excess_skew(&f, &f.stacks[k], &s);
			spot_free(&s);
			flock_close(&f);
		}
		printf(" %.3f |", skew / services);
		fflush(stdout);
	}
	printf("\n");
}

static void print_head(void)
{
	printf("| |");
	for (size_t w = 0; w < WAYS; w++)
		printf(" %s |", ways[w].name);
	printf("\n|---|");
	for (size_t w = 0; w < WAYS; w++)
		printf("---|");
	printf("\n");
}

int main(int argc, char **argv)
{
	static const uint32_t fills[] = {70, 90, 100}, loads[] = {40, 60, 80};

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--seeds"))
			seeds = MAX(strtoul(argv[i + 1], NULL, 10), 1);
		else if (!strcmp(argv[i], "--first"))
			first_seed = strtoul(argv[i + 1], NULL, 10);
	}
	printf("### Placed, of what an exact maximum flow places\n\n"
	       "Peers of %d units, services of up to %d replicas of one unit bound by up to two of %d labels, "
	       "of which each peer has half; all of %zu seeds together, and the worst. \"Full\" is what is "
	       "asked for, of all units. Ours runs until nothing changes: what is to be moved to make room is "
	       "moved.\n\n",
	        UNITS_PER_PEER, REPLICAS_MAX, LABELS, seeds);
	print_head();
	for (size_t n = 10; n <= 40; n += 30)
		for (size_t i = 0; i < ARRAY_LEN(fills); i++)
			print_fit(n, fills[i]);
	printf("\n"
	       "### Zone skew beyond what cannot be helped\n\n"
	       "Most replicas in one of %d zones less fewest, less 1 where the replicas do not divide; mean "
	       "over services that ask for `spread: node.labels.zone`, %zu seeds. The others know no zones.\n\n",
	        ZONES, seeds);
	print_head();
	for (size_t n = 12; n <= 48; n += 36)
		for (size_t i = 0; i < ARRAY_LEN(loads); i++)
			print_skew(n, loads[i]);
	return 0;
}
