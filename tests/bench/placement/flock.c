#include "tests/bench/placement/flock.h"

#include "base/hash.h"

#include <stdio.h>
#include <time.h>

/* Rounds of placing and doing it, until nothing changes: repair takes two, a chain of them a few more. */
#define ROUNDS_MAX 12

static int by_key(const void *a, const void *b)
{
	return key32_cmp(&((const struct view_member *)a)->key, &((const struct view_member *)b)->key);
}

void flock_open(struct flock *f, uint64_t seed, size_t n, size_t alive, const uint32_t *units, size_t n_units)
{
	memset(f, 0, sizeof(*f));
	arena_init(&f->arena);
	drbg_init_u64(&f->rnd, seed, 0);
	hash32(&f->view.flock, &seed, sizeof(seed));
	f->facts = arena_array(&f->arena, n, sizeof(*f->facts));
	f->members = arena_array(&f->arena, n, sizeof(*f->members));
	f->stacks = arena_array(&f->arena, FLOCK_STACKS_MAX, sizeof(*f->stacks));
	for (size_t i = 0; i < n; i++) {
		uint64_t key[2] = {seed, i};
		uint32_t size = units[i % n_units];

		f->facts[i] = (struct facts){.name = arena_printf(&f->arena, "p%zu", i),
		        .version = "1",
		        .arch = "amd64",
		        .os = "linux",
		        .cpu_milli = (uint64_t)size * UNIT_CPU_MILLI,
		        .memory = (uint64_t)size << 30,
		        .drivers = 1 << DRIVER_EXEC,
		        .algorithm = PLACE_ALGORITHM,
		        .ready = true,
		        .adopted = true};
		f->members[i] = (struct view_member){.state = i < alive ? VIEW_ALIVE : VIEW_LEFT,
		        .boot = 1,
		        .facts_boot = 1,
		        .reachable = true,
		        .facts = &f->facts[i]};
		hash32(&f->members[i].key, key, sizeof(key));
		f->members[i].id = key32_id(&f->members[i].key);
	}
	qsort(f->members, n, sizeof(*f->members), by_key);
	f->view.members = f->members;
	f->view.n_members = n;
	f->view.stacks = f->stacks;
}

void flock_close(struct flock *f)
{
	free(f->claims);
	arena_free(&f->arena);
}

struct service *flock_stack(struct flock *f, uint32_t replicas)
{
	static const char *command[] = {"/bin/task"};
	size_t i = f->view.n_stacks++;
	struct spec *spec = arena_alloc(&f->arena, sizeof(*spec));
	struct service *s = arena_alloc(&f->arena, sizeof(*s));

	if (i == FLOCK_STACKS_MAX)
		abort();
	service_defaults(s);
	s->name = "s";
	s->command = command;
	s->n_command = 1;
	s->replicas = replicas;
	s->reserve.cpu_milli = UNIT_CPU_MILLI;
	s->born = i + 1;
	*spec = (struct spec){.name = arena_printf(&f->arena, "stack%05zu", i), .n_services = 1, .services = s};
	f->stacks[i] = (struct view_stack){.name = spec->name,
	        .revision_id = i + 1,
	        .stamp = i + 1,
	        .spec = spec,
	        .have_body = true,
	        .powers = ~0U};
	return s;
}

size_t flock_alive(const struct flock *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->view.n_members; i++)
		n += f->members[i].state == VIEW_ALIVE;
	return n;
}

size_t flock_pick(struct flock *f, bool alive)
{
	size_t n = flock_alive(f), skip;

	n = alive ? n : f->view.n_members - n;
	if (!n)
		return SIZE_MAX;
	skip = (size_t)drbg_below(&f->rnd, n);
	for (size_t i = 0;; i++)
		if ((f->members[i].state == VIEW_ALIVE) == alive && !skip--)
			return i;
}

uint32_t flock_units(const struct flock *f, size_t member)
{
	return (uint32_t)(f->members[member].facts->cpu_milli / UNIT_CPU_MILLI);
}

uint64_t flock_room(const struct flock *f)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < f->view.n_members; i++)
		if (f->members[i].state == VIEW_ALIVE)
			sum += flock_units(f, i);
	return sum;
}

uint32_t flock_wanted(const struct flock *f)
{
	uint32_t n = 0;

	for (size_t i = 0; i < f->view.n_stacks; i++)
		if (!f->stacks[i].removed)
			n += f->stacks[i].spec->services->replicas;
	return n;
}

void flock_unclaim(struct flock *f, size_t member)
{
	size_t n = 0;

	for (size_t i = 0; i < f->view.n_claims; i++)
		if (f->claims[i].member != member)
			f->claims[n++] = f->claims[i];
	f->view.n_claims = n;
}

/* ---- spots ---- */

static int by_slot(const void *pa, const void *pb)
{
	const struct where *a = pa, *b = pb;

	return a->slot < b->slot ? -1 : a->slot > b->slot;
}

void spot_free(struct spot *s)
{
	free(s->where);
	*s = (struct spot){0};
}

static void spot_open(struct spot *s, size_t most)
{
	*s = (struct spot){.where = xcalloc(most + 1, sizeof(*s->where))};
}

static void spot_sort(struct spot *s)
{
	qsort(s->where, s->n, sizeof(*s->where), by_slot);
}

size_t spot_moved(const struct spot *a, const struct spot *b)
{
	size_t moved = 0;

	for (size_t i = 0, k = 0; i < a->n; i++) {
		while (k < b->n && b->where[k].slot < a->where[i].slot)
			k++;
		if (k < b->n && b->where[k].slot == a->where[i].slot && a->where[i].peer >= 0)
			moved += a->where[i].peer != b->where[k].peer;
	}
	return moved;
}

size_t spot_placed(const struct spot *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->where[i].peer >= 0;
	return n;
}

double spot_peak(const struct flock *f, const struct spot *s)
{
	cleanup_free uint32_t *used = xcalloc(f->view.n_members, sizeof(*used));
	double peak = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->where[i].peer >= 0)
			used[s->where[i].peer]++;
	for (size_t i = 0; i < f->view.n_members; i++)
		if (f->members[i].state == VIEW_ALIVE)
			peak = MAX(peak, (double)used[i] / flock_units(f, i));
	return peak * (double)flock_room(f) / (double)spot_placed(s);
}

/* ---- ours ---- */

static int by_claim(const void *pa, const void *pb)
{
	const struct view_claim *a = pa, *b = pb;

	if (a->c.slot != b->c.slot)
		return a->c.slot < b->c.slot ? -1 : 1;
	return a->member < b->member ? -1 : a->member > b->member;
}

static void add_claim(struct flock *f, struct view_claim *list, size_t *n, const struct placement *p, size_t slot,
        size_t member)
{
	const struct view_stack *st = &f->stacks[p->slots[slot].stack];

	list[(*n)++] = (struct view_claim){.c = {.task = p->slots[slot].slot ^ member,
	                                           .slot = p->slots[slot].slot,
	                                           .revision = st->revision_id,
	                                           .content = service_content(st->spec->services),
	                                           .boot = 1,
	                                           .state = TASK_RUNNING,
	                                           .health = HEALTH_NONE,
	                                           .healthy_since = 1},
	        .member = member};
}

/* Does what the placement says; to: per slot, where a move takes it: -1 nowhere, -2 it does not move. */
static bool follow(struct flock *f, const struct placement *p, const int32_t *to)
{
	struct view_claim *list = xcalloc(p->n_slots + 1, sizeof(*list));
	bool changed = false;
	size_t n = 0;

	for (size_t i = 0; i < p->n_slots; i++) {
		const struct placed_slot *s = &p->slots[i];
		int32_t at = s->owner >= 0 ? (int32_t)f->claims[s->owner].member : -1;
		int32_t next = s->owner < 0  ? (s->n_candidates ? (int32_t)s->candidate[0] : -1)
		               : to[i] != -2 ? to[i]
		                             : at;

		changed |= next != at;
		if (next >= 0)
			add_claim(f, list, &n, p, i, (size_t)next);
	}
	qsort(list, n, sizeof(*list), by_claim);
	free(f->claims);
	f->claims = f->view.claims = list;
	f->view.n_claims = n;
	return changed;
}

static int32_t *targets_of(const struct placement *p, const struct placed_move *moves, size_t n)
{
	int32_t *to = xcalloc(p->n_slots + 1, sizeof(*to));

	for (size_t i = 0; i < p->n_slots; i++)
		to[i] = -2;
	for (size_t i = 0; i < n; i++)
		if (moves[i].to >= 0 || moves[i].why == MOVE_PREEMPT)
			to[moves[i].slot] = moves[i].to;
	return to;
}

void place_ours(struct flock *f, bool hard, struct spot *out)
{
	struct placement p;
	struct arena arena;
	bool changed;
	int round = 0;

	(void)hard;
	arena_init(&arena);
	do {
		cleanup_free int32_t *to = NULL;

		arena_free(&arena);
		place(&f->view, &arena, &p);
		to = targets_of(&p, p.moves, p.n_moves);
		changed = follow(f, &p, to);
	} while (changed && ++round < ROUNDS_MAX);
	arena_free(&arena);
	place(&f->view, &arena, &p);
	spot_open(out, p.n_slots);
	for (size_t i = 0; i < p.n_slots; i++)
		out->where[out->n++] = (struct where){p.slots[i].slot,
		        p.slots[i].owner >= 0 ? (int32_t)f->claims[p.slots[i].owner].member : -1};
	spot_sort(out);
	arena_free(&arena);
}

size_t rebalance_epoch(struct flock *f)
{
	struct placed_move *moves;
	struct placement p;
	struct arena arena;
	size_t most, n;

	arena_init(&arena);
	place(&f->view, &arena, &p);
	most = MAX(1, p.n_slots / REBALANCE_SHARE);
	moves = arena_array(&arena, most, sizeof(*moves));
	n = place_rebalance(&f->view, &p, &arena, moves, most);
	if (n) {
		cleanup_free int32_t *to = targets_of(&p, moves, n);

		follow(f, &p, to);
	}
	arena_free(&arena);
	return n;
}

/* ---- the others ---- */

#define CHOICES        4
#define BOUND_PER_CENT 125

struct rival {
	struct flock *f;
	bool hard;
	uint64_t *key;  /* per member */
	uint32_t *used; /* units */
	uint64_t room, wanted;
};

typedef int32_t rival_choose(const struct rival *r, const struct view_stack *st, id64 slot);

static bool has_room(const struct rival *r, size_t m)
{
	return !r->hard || r->used[m] < flock_units(r->f, m);
}

static struct score rival_score(const struct rival *r, id64 slot, size_t m)
{
	return (struct score){neg_log2(rank_hash(slot, r->key[m])), flock_units(r->f, m)};
}

static int32_t lowest(const struct rival *r, const struct view_stack *st, id64 slot, bool bounded)
{
	struct score best = {0};
	int32_t at = -1;

	for (size_t m = 0; m < r->f->view.n_members; m++) {
		struct score s;

		if (filter_static(&r->f->view, st, st->spec->services, 0, m) != REASON_OK || !has_room(r, m))
			continue;
		if (bounded &&
		        (uint64_t)r->used[m] * r->room * 100 >= r->wanted * flock_units(r->f, m) * BOUND_PER_CENT)
			continue;
		s = rival_score(r, slot, m);
		if (at < 0 || score_less(s, best)) {
			best = s;
			at = (int32_t)m;
		}
	}
	return at;
}

static int32_t choose_rendezvous(const struct rival *r, const struct view_stack *st, id64 slot)
{
	return lowest(r, st, slot, false);
}

static int32_t choose_bounded(const struct rival *r, const struct view_stack *st, id64 slot)
{
	int32_t at = lowest(r, st, slot, true);

	return at >= 0 ? at : lowest(r, st, slot, false);
}

static int32_t choose_of_four(const struct rival *r, const struct view_stack *st, id64 slot)
{
	struct score score[CHOICES];
	size_t member[CHOICES], n = 0, best = 0;

	for (size_t m = 0; m < r->f->view.n_members; m++) {
		struct score s;
		size_t at;

		if (filter_static(&r->f->view, st, st->spec->services, 0, m) != REASON_OK || !has_room(r, m))
			continue;
		s = rival_score(r, slot, m);
		if (n == CHOICES && !score_less(s, score[n - 1]))
			continue;
		at = n < CHOICES ? n++ : n - 1;
		for (; at > 0 && score_less(s, score[at - 1]); at--) {
			score[at] = score[at - 1];
			member[at] = member[at - 1];
		}
		score[at] = s;
		member[at] = m;
	}
	for (size_t i = 1; i < n; i++)
		if ((uint64_t)r->used[member[i]] * flock_units(r->f, member[best]) <
		        (uint64_t)r->used[member[best]] * flock_units(r->f, member[i]))
			best = i;
	return n ? (int32_t)member[best] : -1;
}

static void place_rival(struct flock *f, bool hard, struct spot *out, rival_choose *choose)
{
	struct rival r = {.f = f, .hard = hard, .room = flock_room(f), .wanted = flock_wanted(f)};
	cleanup_free uint64_t *key = xcalloc(f->view.n_members, sizeof(*key));
	cleanup_free uint32_t *used = xcalloc(f->view.n_members, sizeof(*used));

	r.key = key;
	r.used = used;
	for (size_t m = 0; m < f->view.n_members; m++)
		key[m] = rank_peer_key(&f->view.flock, &f->members[m].key);
	spot_open(out, r.wanted);
	for (size_t i = 0; i < f->view.n_stacks; i++) {
		const struct view_stack *st = &f->stacks[i];
		struct key32 service;

		service_hash(&service, st->name, st->spec->services->name);
		for (uint32_t k = 0; !st->removed && k < st->spec->services->replicas; k++) {
			id64 slot = slot_id_in(&f->view.flock, &service, k);
			int32_t at = choose(&r, st, slot);

			if (at >= 0)
				used[at]++;
			out->where[out->n++] = (struct where){slot, at};
		}
	}
	spot_sort(out);
}

void place_rendezvous(struct flock *f, bool hard, struct spot *out)
{
	place_rival(f, hard, out, choose_rendezvous);
}

void place_bounded(struct flock *f, bool hard, struct spot *out)
{
	place_rival(f, hard, out, choose_bounded);
}

void place_four_choices(struct flock *f, bool hard, struct spot *out)
{
	place_rival(f, hard, out, choose_of_four);
}

const struct way ways[WAYS] = {{"Starling", place_ours}, {"weighted rendezvous", place_rendezvous},
        {"bounded loads, 0.25", place_bounded}, {"four choices", place_four_choices}};

/* ---- figures ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), by_value);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double ms_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}
