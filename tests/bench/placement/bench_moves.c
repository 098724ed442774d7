/*
 * What moves when something changes, and how even the load is, at first and after long churn: ours beside rules that
 * remember nothing. Prints tables; asserts nothing.
 *
 *	bench_moves [--seeds N] [--first SEED] [--largest PEERS]
 */
#include "tests/bench/placement/flock.h"

#include <stdio.h>

#define SLOTS_PER_PEER 10
#define REPLICAS       20  /* of each service, in half of them; the others have 5 */
#define LEAVES         5   /* from the same start, one peer each */
#define CHURN          400 /* events */

static size_t seeds = 5, first_seed = 1, largest = 1000;

/* ---- how flocks are made ---- */

struct kind {
	const char *name;
	uint32_t units[4];
	size_t n_units;
	uint32_t fill; /* per cent of all units that are asked for */
	bool hard;
};

/* Units are such that there are about SLOTS_PER_PEER slots for each peer. */
static const struct kind uniform = {"equal peers, half full", {20}, 1, 50, false};
static const struct kind mixed = {"capacities 1, 2, 4, 8, half full", {6, 12, 24, 48}, 4, 50, false};
static const struct kind uniform_full = {"equal peers, 95% full", {20}, 1, 95, true};
static const struct kind mixed_full = {"capacities 1, 2, 4, 8, 95% full", {6, 12, 24, 48}, 4, 95, true};

static void fill(struct flock *f, uint32_t slots)
{
	for (uint32_t i = 0; slots; i++) {
		uint32_t n = MIN(slots, i % 2 ? REPLICAS : REPLICAS / 4);

		flock_stack(f, n);
		slots -= n;
	}
}

static void open_kind(struct flock *f, const struct kind *k, uint64_t seed, size_t peers, size_t spare)
{
	flock_open(f, seed, peers + spare, peers, k->units, k->n_units);
	fill(f, (uint32_t)(flock_room(f) * k->fill / 100));
}

/* ---- a peer leaves ---- */

struct tally {
	double moved, least, lost;
};

static void leave_once(
        struct flock *f, const struct kind *k, const struct way *w, const struct spot *before, struct tally *t)
{
	size_t n_claims = f->view.n_claims, gone = flock_pick(f, true);
	struct view_claim *claims = xmemdup(f->claims, (n_claims + 1) * sizeof(*claims));
	struct spot after;
	size_t least = 0;

	for (size_t i = 0; i < before->n; i++)
		least += before->where[i].peer == (int32_t)gone;
	f->members[gone].state = VIEW_LEFT;
	w->place(f, k->hard, &after);
	t->moved += (double)spot_moved(before, &after);
	t->least += (double)least;
	t->lost += (double)(spot_placed(before) - spot_placed(&after));
	spot_free(&after);
	f->members[gone].state = VIEW_ALIVE;
	free(f->claims);
	f->claims = f->view.claims = claims;
	f->view.n_claims = n_claims;
}

static double moved_on_a_leave(
        const struct kind *k, const struct way *w, uint64_t seed, size_t peers, double *lost)
{
	struct tally t = {0};
	struct spot before;
	struct flock f;

	open_kind(&f, k, seed, peers, 0);
	f.claims = f.view.claims = xcalloc(1, sizeof(*f.claims));
	w->place(&f, k->hard, &before);
	for (int i = 0; i < LEAVES; i++)
		leave_once(&f, k, w, &before, &t);
	spot_free(&before);
	flock_close(&f);
	*lost = t.lost;
	return t.moved / t.least;
}

static size_t size_of(size_t i)
{
	static const size_t sizes[] = {50, 200, 1000};

	return i < ARRAY_LEN(sizes) && sizes[i] <= largest ? sizes[i] : 0;
}

static void print_head(const char *first)
{
	printf("| %s |", first);
	for (size_t w = 0; w < WAYS; w++)
		printf(" %s |", ways[w].name);
	printf("\n|---|");
	for (size_t w = 0; w < WAYS; w++)
		printf("---|");
	printf("\n");
}

static void print_leaves(const struct kind *k)
{
	for (size_t s = 0; size_of(s); s++) {
		printf("| %s, %zu peers |", k->name, size_of(s));
		for (size_t w = 0; w < WAYS; w++) {
			double values[64], lost, lost_all = 0;

			for (size_t i = 0; i < seeds; i++) {
				values[i] = moved_on_a_leave(k, &ways[w], first_seed + i, size_of(s), &lost);
				lost_all += lost;
			}
			printf(" %.2f", median(values, seeds));
			if (lost_all > 0)
				printf(" (%.0f unplaced)", lost_all);
			printf(" |");
			fflush(stdout);
		}
		printf("\n");
	}
}

/* ---- what concerns others ---- */

enum change { JOIN, ADD, REMOVE, SCALE, CHANGES };
static const char *const change_names[] = {
        "a peer joins", "a stack is added", "a stack is removed", "a stack is scaled"};

static void change(struct flock *f, enum change c)
{
	size_t i = (size_t)drbg_below(&f->rnd, f->view.n_stacks);

	switch (c) {
	case JOIN:
		f->members[flock_pick(f, false)].state = VIEW_ALIVE;
		break;
	case ADD:
		flock_stack(f, REPLICAS);
		break;
	case REMOVE:
		f->stacks[i].removed = true;
		break;
	default:
		f->stacks[i].spec->services->replicas += REPLICAS;
	}
}

static double moved_by(enum change c, const struct way *w, uint64_t seed, size_t peers)
{
	struct spot before, after;
	struct flock f;
	double moved;

	open_kind(&f, &uniform, seed, peers, 1);
	w->place(&f, false, &before);
	change(&f, c);
	w->place(&f, false, &after);
	moved = 100.0 * (double)spot_moved(&before, &after) / (double)before.n;
	spot_free(&before);
	spot_free(&after);
	flock_close(&f);
	return moved;
}

static void print_changes(void)
{
	size_t peers = MIN(largest, 200);

	for (enum change c = JOIN; c < CHANGES; c++) {
		printf("| %s, %zu peers |", change_names[c], peers);
		for (size_t w = 0; w < WAYS; w++) {
			double values[64];

			for (size_t i = 0; i < seeds; i++)
				values[i] = moved_by(c, &ways[w], first_seed + i, peers);
			printf(" %.2f%% |", median(values, seeds));
			fflush(stdout);
		}
		printf("\n");
	}
}

/* ---- balance and churn ---- */

/* Members come and go, stacks are scaled up and down, so that about as much is asked for as at first. */
static size_t churn_event(struct flock *f, size_t peers)
{
	size_t forced = 0, m;

	if (drbg_below(&f->rnd, 2)) {
		struct service *s = f->stacks[drbg_below(&f->rnd, f->view.n_stacks)].spec->services;
		bool up = flock_wanted(f) < peers * SLOTS_PER_PEER;

		s->replicas = up ? s->replicas + 5 : s->replicas - MIN(5, s->replicas - 1);
		return 0;
	}
	m = flock_pick(f, flock_alive(f) >= peers);
	if (f->members[m].state != VIEW_ALIVE) {
		f->members[m].state = VIEW_ALIVE;
		return 0;
	}
	f->members[m].state = VIEW_LEFT;
	for (size_t i = 0; i < f->view.n_claims; i++)
		forced += f->claims[i].member == m;
	flock_unclaim(f, m);
	return forced;
}

struct churn {
	double fresh, after, per_forced;
};

static struct churn churn_once(const struct kind *k, const struct way *w, uint64_t seed, size_t peers)
{
	bool ours = w->place == place_ours;
	size_t forced = 0, moves = 0;
	struct churn c;
	struct spot s;
	struct flock f;

	open_kind(&f, k, seed, peers, MAX(peers / 10, 2));
	w->place(&f, k->hard, &s);
	c.fresh = spot_peak(&f, &s);
	for (int i = 0; i < CHURN; i++) {
		forced += churn_event(&f, peers);
		if (!ours)
			continue;
		spot_free(&s);
		w->place(&f, k->hard, &s);
		moves += rebalance_epoch(&f);
	}
	spot_free(&s);
	w->place(&f, k->hard, &s);
	c.after = spot_peak(&f, &s);
	c.per_forced = forced ? (double)moves / (double)forced : 0;
	spot_free(&s);
	flock_close(&f);
	return c;
}

static void add_cell(char *row, size_t cap, double value)
{
	size_t len = strlen(row);

	snprintf(row + len, cap - len, " %.2f |", value);
}

static void print_churn(const struct kind *k)
{
	for (size_t s = 0; size_of(s); s++) {
		double per_forced[64];
		char row[2][512] = {"", ""};

		for (size_t w = 0; w < WAYS; w++) {
			double fresh[64], after[64];

			for (size_t i = 0; i < seeds; i++) {
				struct churn c = churn_once(k, &ways[w], first_seed + i, size_of(s));

				fresh[i] = c.fresh;
				after[i] = c.after;
				if (!w)
					per_forced[i] = c.per_forced;
			}
			add_cell(row[0], sizeof(row[0]), median(fresh, seeds));
			add_cell(row[1], sizeof(row[1]), median(after, seeds));
		}
		printf("| fresh: %s, %zu peers |%s\n", k->name, size_of(s), row[0]);
		printf("| after %d events |%s\n", CHURN, row[1]);
		printf("| rebalance moves per forced move | %.2f | - | - | - |\n", median(per_forced, seeds));
		fflush(stdout);
	}
}

static void read_options(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		size_t v = strtoul(argv[i + 1], NULL, 10);

		if (!strcmp(argv[i], "--seeds"))
			seeds = MIN(MAX(v, 1), 64);
		else if (!strcmp(argv[i], "--first"))
			first_seed = v;
		else if (!strcmp(argv[i], "--largest"))
			largest = v;
	}
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	printf("### Moved when a peer leaves, as a multiple of what it had\n\n"
	       "Slots on another peer than before, all services together, over the slots that stood on the peer "
	       "that left; %d leaves from the same start, about %d slots of one unit per peer, services of %d "
	       "and %d replicas; medians of %zu seeds. At 95%% nobody places beyond a peer's units.\n\n",
	        LEAVES, SLOTS_PER_PEER, REPLICAS / 4, REPLICAS, seeds);
	print_head("");
	print_leaves(&uniform);
	print_leaves(&mixed);
	print_leaves(&uniform_full);
	print_leaves(&mixed_full);
	printf("\n### Moved by what concerns others\n\nShare of the slots that stood before and still do.\n\n");
	print_head("");
	print_changes();
	printf("\n"
	       "### Balance: fullest peer / mean, of units used / units there\n\n"
	       "Fresh, and after %d events: half of them a service scaled by 5, half a peer that leaves or "
	       "joins (a tenth of the peers is away at most). Ours moves at most one in %d slots after each "
	       "event to rebalance; the others place afresh.\n\n",
	        CHURN, REBALANCE_SHARE);
	print_head("");
	print_churn(&uniform);
	print_churn(&mixed);
	return 0;
}
