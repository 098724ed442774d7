/*
 * A small simulator for reconcile: N peers, each with its own, see each other's claims late, lose sight of each
 * other, crash, come back. Network, membership and tasks are played by simple rules here (tests/sim has the real
 * gossip); time goes in steps of STEP. Everything follows from one seed.
 */
#ifndef TESTS_UNIT_NODE_FLOCK_H
#define TESTS_UNIT_NODE_FLOCK_H

#include "base/drbg.h"
#include "base/hash.h"
#include "node/reconcile.h"

#include <stdio.h>

#define STEP          25 /* ms */
#define PEERS_MAX     8
#define STACKS        3
#define SERVICES_MAX  3
#define TASKS_MAX     64
#define CLAIMS_EACH   (2 * TASKS_MAX)
#define DEAD_AFTER    SECONDS(4)  /* of suspicion */
#define ISOLATED_FOR  SECONDS(15) /* then accusations go on */
#define REVISIONS_MAX 32

struct stack_version {
	bool removed;
	bool exists;
	struct spec spec;
	struct service services[SERVICES_MAX];
	const char *argv[SERVICES_MAX][2];
};

struct task {
	struct own_task own;
	uint32_t stack;
	mono_ms change_at; /* when its state goes on by itself */
};

struct board {
	uint64_t version;
	bool ready, adopted;
	uint32_t boot;
	size_t n;
	struct claim claims[CLAIMS_EACH];
};

struct seen_peer {
	enum view_state state;
	mono_ms suspected, seen;
	mono_ms change_at; /* next change of what is believed of it; MONO_NEVER */
	uint32_t boot;
	struct board board;
};

struct mail {
	mono_ms at; /* MONO_NEVER: none under way */
	struct board board;
};

struct peer {
	bool host_up, agent_up;
	uint32_t boot;
	struct reconcile *reconcile;
	mono_ms ready_at, isolated_since;
	size_t n_tasks;
	struct task tasks[TASKS_MAX];
	size_t n_refused;
	struct claim refused[TASKS_MAX];
	struct board board; /* own, as published */
	struct seen_peer sees[PEERS_MAX];
	struct mail mail[PEERS_MAX]; /* from each */
	uint32_t revision[STACKS];   /* newest it knows; 0 none */
	mono_ms arrived[STACKS];
	mono_ms revision_at[STACKS]; /* one under way to it */
	uint32_t revision_next[STACKS];
	bool revision_live[STACKS];
	mono_ms wake;
	bool dirty;
};

struct flock {
	struct drbg rnd;
	mono_ms now;
	size_t n;
	struct key32 keys[PEERS_MAX];
	struct facts facts[PEERS_MAX];
	char names[PEERS_MAX][24];
	struct peer peers[PEERS_MAX];
	int side[PEERS_MAX]; /* peers of one side reach each other */
	uint32_t n_revisions;
	struct stack_version versions[STACKS][REVISIONS_MAX];
	id64 next_task;
	/* a slot of a service named "fussy" cannot start on this peer; -1 none */
	int fussy_peer;
	bool drains[PEERS_MAX]; /* known everywhere at once: a setting travels as fast as any record */
	size_t disputes;
	size_t starts;
	size_t stops;
	bool chatty; /* print what happens: STARLING_TEST_CHATTY */
};

static const char *const flock_stacks[STACKS] = {"alpha", "beta", "gamma"};

static mono_ms between(struct flock *f, mono_ms from, mono_ms to)
{
	return from + (mono_ms)drbg_below(&f->rnd, (uint64_t)(to - from + 1));
}

static int flock_by_key(const void *a, const void *b)
{
	return key32_cmp(a, b);
}

static void agent_start(struct flock *f, size_t i)
{
	struct reconcile_config cfg = reconcile_defaults();
	struct peer *p = &f->peers[i];

	p->agent_up = true;
	p->boot++;
	p->reconcile = reconcile_new(&cfg);
	p->ready_at = f->now + between(f, 1000, 3000);
	p->isolated_since = 0;
	p->n_refused = 0;
	p->dirty = true;
	p->wake = MONO_NEVER;
	for (size_t s = 0; s < STACKS; s++) {
		p->arrived[s] = 0;
		p->revision_at[s] = MONO_NEVER;
	}
	for (size_t j = 0; j < f->n; j++) {
		p->sees[j].state = j == i ? VIEW_ALIVE : VIEW_DEAD;
		p->sees[j].suspected = j == i ? 0 : f->now;
		p->sees[j].seen = f->now;
		p->sees[j].change_at = MONO_NEVER;
		/* Others' claims are in memory only; own tasks are found again. */
		p->sees[j].board = (struct board){0};
		p->mail[j].at = MONO_NEVER;
	}
}

static void agent_stop(struct flock *f, size_t i)
{
	struct peer *p = &f->peers[i];

	reconcile_free(p->reconcile);
	p->reconcile = NULL;
	p->agent_up = false;
	(void)f;
}

static void flock_start(struct flock *f, uint64_t seed, size_t n)
{
	memset(f, 0, sizeof(*f));
	drbg_init_u64(&f->rnd, seed, 0);
	f->now = SECONDS(1000);
	f->n = n;
	f->next_task = 1;
	f->fussy_peer = -1;
	f->chatty = getenv("STARLING_TEST_CHATTY") != NULL;
	for (size_t i = 0; i < n; i++)
		drbg_bytes(&f->rnd, f->keys[i].b, sizeof(f->keys[i].b));
	qsort(f->keys, n, sizeof(f->keys[0]), flock_by_key);
	for (size_t i = 0; i < n; i++) {
		snprintf(f->names[i], sizeof(f->names[i]), "p%zu", i);
		f->facts[i] = (struct facts){.name = f->names[i],
		        .version = "0.1.0",
		        .arch = "amd64",
		        .os = "linux",
		        .cpu_milli = 4000,
		        .memory = 8ULL << 30,
		        .drivers = 1 << DRIVER_EXEC,
		        .algorithm = 1};
		f->peers[i].host_up = true;
	}
	for (size_t i = 0; i < n; i++)
		agent_start(f, i);
}

static void flock_end(struct flock *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->peers[i].agent_up)
			agent_stop(f, i);
}

static bool reaches(const struct flock *f, size_t i, size_t j)
{
	return f->peers[i].agent_up && f->peers[j].agent_up && f->side[i] == f->side[j];
}

/* ---- membership ---- */

static void see_members(struct flock *f, size_t i)
{
	struct peer *p = &f->peers[i];
	size_t silent = 0;

	for (size_t j = 0; j < f->n; j++)
		silent += j != i && !reaches(f, i, j);
	if (silent * 2 <= f->n - 1)
		p->isolated_since = 0;
	else if (!p->isolated_since)
		p->isolated_since = f->now;
	for (size_t j = 0; j < f->n; j++) {
		struct seen_peer *s = &p->sees[j];
		bool heard = reaches(f, i, j);
		bool guarded = p->isolated_since && f->now - p->isolated_since < ISOLATED_FOR;

		if (j == i)
			continue;
		if (heard && s->state != VIEW_ALIVE) {
			if (s->change_at == MONO_NEVER || s->change_at > f->now + SECONDS(1))
				s->change_at = f->now + between(f, 50, 1000);
			if (f->now < s->change_at)
				continue;
			s->state = VIEW_ALIVE;
			s->suspected = 0;
		} else if (!heard && s->state == VIEW_ALIVE) {
			if (s->change_at == MONO_NEVER)
				s->change_at = f->now + between(f, 500, 2000);
			if (f->now < s->change_at)
				continue;
			s->state = VIEW_SUSPECT;
			s->suspected = f->now;
		} else if (!heard && s->state == VIEW_SUSPECT && f->now - s->suspected >= DEAD_AFTER &&
		           !guarded) {
			s->state = VIEW_DEAD;
		} else {
			if (heard == (s->state == VIEW_ALIVE))
				s->change_at = MONO_NEVER;
			continue;
		}
		s->seen = f->now;
		s->change_at = MONO_NEVER;
		s->boot = heard ? f->peers[j].boot : s->boot;
		p->dirty = true;
		if (f->chatty)
			printf("%8lld p%zu sees p%zu %s\n", (long long)f->now, i, j,
			        s->state == VIEW_ALIVE     ? "alive"
			        : s->state == VIEW_SUSPECT ? "suspect"
			                                   : "dead");
	}
}

/* ---- what travels ---- */

static void send_board(struct flock *f, size_t from, size_t to, mono_ms least, mono_ms most)
{
	struct mail *m = &f->peers[to].mail[from];

	/* One letter under way per pair; a newer one takes its place and its time. */
	if (m->at == MONO_NEVER)
		m->at = f->now + between(f, least, most);
	m->board = f->peers[from].board;
}

static void deliver(struct flock *f, size_t i)
{
	struct peer *p = &f->peers[i];

	for (size_t j = 0; j < f->n; j++) {
		struct seen_peer *s = &p->sees[j];

		if (j == i || !reaches(f, i, j)) {
			p->mail[j].at = MONO_NEVER;
			continue;
		}
		/* Anti-entropy: whoever is alive and behind gets it again. */
		if (p->mail[j].at == MONO_NEVER && s->board.version != f->peers[j].board.version)
			send_board(f, j, i, 100, 1500);
		if (p->mail[j].at > f->now)
			continue;
		p->mail[j].at = MONO_NEVER;
		if (p->mail[j].board.version == s->board.version)
			continue;
		s->board = p->mail[j].board;
		s->boot = MAX(s->boot, s->board.boot);
		p->dirty = true;
	}
	for (size_t s = 0; s < STACKS; s++) {
		for (size_t j = 0; j < f->n; j++) {
			struct peer *q = &f->peers[j];

			if (j == i || !reaches(f, i, j) || q->revision[s] <= p->revision[s])
				continue;
			if (p->revision_at[s] == MONO_NEVER || p->revision_next[s] < q->revision[s]) {
				p->revision_next[s] = q->revision[s];
				p->revision_at[s] = f->now + between(f, 20, 400);
				/* Received live, unless it comes with a reunion. */
				p->revision_live[s] = q->arrived[s] && f->now - q->arrived[s] < SECONDS(2) &&
				                      f->now >= p->ready_at;
			}
		}
		if (p->revision_at[s] > f->now)
			continue;
		p->revision_at[s] = MONO_NEVER;
		p->revision[s] = p->revision_next[s];
		p->arrived[s] = p->revision_live[s] ? f->now : 0;
		p->dirty = true;
	}
}

/* ---- tasks ---- */

static void advance_tasks(struct flock *f, size_t i)
{
	struct peer *p = &f->peers[i];

	for (size_t k = 0; k < p->n_tasks; k++) {
		struct task *t = &p->tasks[k];

		if (f->now < t->change_at)
			continue;
		t->change_at = MONO_NEVER;
		p->dirty = true;
		if (t->own.stopping) {
			t->own.state = TASK_DONE;
			t->own.healthy_at = 0;
		} else {
			t->own.state = TASK_RUNNING;
			t->own.health = HEALTH_HEALTHY;
			t->own.healthy_at = f->now;
		}
	}
}

static void publish(struct flock *f, size_t i)
{
	struct peer *p = &f->peers[i];
	struct board b = {.version = p->board.version, .boot = p->boot, .adopted = true};

	b.ready = f->now >= p->ready_at;
	for (size_t k = 0; k < p->n_tasks; k++) {
		const struct own_task *t = &p->tasks[k].own;

		b.claims[b.n] = (struct claim){.task = t->task,
		        .slot = t->slot,
		        .revision = t->revision,
		        .content = t->content,
		        .boot = p->boot,
		        .state = t->state,
		        .health = t->health};
		reconcile_claim(p->reconcile, &b.claims[b.n++]);
	}
	for (size_t k = 0; k < p->n_refused; k++) {
		b.claims[b.n] = p->refused[k];
		b.claims[b.n++].boot = p->boot;
	}
	if (!memcmp(&b, &p->board, sizeof(b)))
		return;
	b.version++;
	p->board = b;
	for (size_t j = 0; j < f->n; j++)
		if (j != i && reaches(f, i, j))
			send_board(f, i, j, 10, 300);
}

/* ---- one peer's turn ---- */

struct turn {
	struct arena arena;
	struct view view;
	struct placement placement;
	struct view_member members[PEERS_MAX];
	struct facts facts[PEERS_MAX];
	struct view_stack stacks[STACKS];
	struct view_claim claims[PEERS_MAX * CLAIMS_EACH];
};

static int turn_by_claim(const void *pa, const void *pb)
{
	const struct view_claim *a = pa, *b = pb;

	if (a->c.slot != b->c.slot)
		return a->c.slot < b->c.slot ? -1 : 1;
	if (a->member != b->member)
		return a->member < b->member ? -1 : 1;
	return a->c.task < b->c.task ? -1 : a->c.task > b->c.task;
}

static void add_stacks(struct flock *f, const struct peer *p, struct turn *t)
{
	for (size_t s = 0; s < STACKS; s++) {
		struct stack_version *v = &f->versions[s][p->revision[s]];

		if (!v->exists)
			continue;
		t->stacks[t->view.n_stacks++] = (struct view_stack){.name = flock_stacks[s],
		        .revision_id = s << 32 | p->revision[s],
		        .stamp = p->revision[s],
		        .arrived = p->arrived[s],
		        .spec = v->removed ? NULL : &v->spec,
		        .removed = v->removed,
		        .have_body = !v->removed,
		        .powers = ~0U};
	}
	t->view.stacks = t->stacks;
}

static void build_turn(struct flock *f, size_t i, struct turn *t)
{
	const struct peer *p = &f->peers[i];

	t->view = (struct view){.self = i, .n_members = f->n, .members = t->members, .claims = t->claims};
	arena_init(&t->arena);
	for (size_t j = 0; j < f->n; j++) {
		const struct seen_peer *s = &p->sees[j];
		const struct board *b = j == i ? &p->board : &s->board;

		t->facts[j] = f->facts[j];
		t->facts[j].ready = j == i ? f->now >= p->ready_at : b->ready;
		t->facts[j].adopted = j == i ? true : b->adopted;
		t->members[j] = (struct view_member){.key = f->keys[j],
		        .id = key32_id(&f->keys[j]),
		        .state = j == i ? VIEW_ALIVE : s->state,
		        .boot = j == i ? p->boot : s->boot,
		        .facts_boot = j == i ? p->boot : b->boot,
		        .suspected = s->suspected,
		        .seen = s->seen,
		        .draining = f->drains[j],
		        .facts = b->version ? &t->facts[j] : NULL};
		for (size_t k = 0; k < b->n; k++)
			t->claims[t->view.n_claims++] = (struct view_claim){.c = b->claims[k], .member = j};
	}
	qsort(t->claims, t->view.n_claims, sizeof(t->claims[0]), turn_by_claim);
	add_stacks(f, p, t);
	place(&t->view, &t->arena, &t->placement);
}

static struct task *find_task(struct peer *p, id64 id)
{
	for (size_t k = 0; k < p->n_tasks; k++)
		if (p->tasks[k].own.task == id)
			return &p->tasks[k];
	abort();
}

static void refuse(struct peer *p, const struct placed_slot *ps, const struct turn *t)
{
	if (p->n_refused == TASKS_MAX)
		p->n_refused = 0;
	p->refused[p->n_refused++] = (struct claim){.task = ps->slot,
	        .slot = ps->slot,
	        .revision = t->stacks[ps->stack].revision_id,
	        .state = TASK_REFUSED};
}

static void start_task(struct flock *f, size_t i, const struct turn *t, const struct placed_slot *ps)
{
	const struct view_stack *st = &t->stacks[ps->stack];
	const struct service *svc = &st->spec->services[ps->service];
	struct peer *p = &f->peers[i];
	struct task *task;

	f->starts++;
	if (!strcmp(svc->name, "fussy") && f->fussy_peer == (int)i) {
		refuse(p, ps, t);
		return;
	}
	if (p->n_tasks == TASKS_MAX)
		abort();
	task = &p->tasks[p->n_tasks++];
	*task = (struct task){.own = {.task = f->next_task++ << 4 | i,
	                              .slot = ps->slot,
	                              .stack = st->name,
	                              .revision = st->revision_id,
	                              .content = service_content(svc),
	                              .state = TASK_STARTING,
	                              .health = HEALTH_STARTING},
	        .change_at = f->now + between(f, 50, 800)};
}

static void carry_out(struct flock *f, size_t i, const struct turn *t, const struct reconcile_action *a)
{
	static const char *const kinds[] = {"starts", "stops", "confirms", "forgets", "refuses", "disputes"};
	struct peer *p = &f->peers[i];
	struct task *task;

	if (f->chatty)
		printf("%8lld p%zu %s %016llx: %s\n", (long long)f->now, i, kinds[a->kind],
		        (unsigned long long)a->slot, a->why);
	switch (a->kind) {
	case DO_START:
		start_task(f, i, t, &t->placement.slots[a->placed]);
		break;
	case DO_STOP:
		f->stops++;
		task = find_task(p, a->task);
		task->own.stopping = true;
		task->own.state = TASK_STOPPING;
		task->change_at = f->now + between(f, 20, 1000);
		break;
	case DO_CONFIRM:
		find_task(p, a->task)->own.revision = t->stacks[t->placement.slots[a->placed].stack].revision_id;
		break;
	case DO_FORGET:
		task = find_task(p, a->task);
		*task = p->tasks[--p->n_tasks];
		break;
	case DO_REFUSE:
		refuse(p, &t->placement.slots[a->placed], t);
		break;
	case DO_DISPUTE:
		f->disputes++;
		break;
	}
}

static void take_turn(struct flock *f, size_t i)
{
	static struct turn t;
	struct peer *p = &f->peers[i];
	struct own_task own[TASKS_MAX];
	struct reconcile_action *actions;
	size_t n;

	p->dirty = false;
	publish(f, i);
	build_turn(f, i, &t);
	for (size_t k = 0; k < p->n_tasks; k++)
		own[k] = p->tasks[k].own;
	reconcile_run(p->reconcile, &t.view, &t.placement, own, p->n_tasks, f->now >= p->ready_at,
	        p->isolated_since && f->now - p->isolated_since < ISOLATED_FOR, f->now, &t.arena, &actions, &n,
	        &p->wake);
	for (size_t k = 0; k < n; k++)
		carry_out(f, i, &t, &actions[k]);
	if (n) {
		p->dirty = true;
		publish(f, i);
	}
	arena_free(&t.arena);
}

/* One step of everybody. */
static void flock_step(struct flock *f)
{
	f->now += STEP;
	for (size_t i = 0; i < f->n; i++) {
		struct peer *p = &f->peers[i];

		if (!p->host_up)
			continue;
		advance_tasks(f, i);
		if (!p->agent_up)
			continue;
		see_members(f, i);
		deliver(f, i);
		if (f->now >= p->ready_at && !p->board.ready)
			p->dirty = true;
		if (p->dirty || f->now >= p->wake)
			take_turn(f, i);
	}
}

static void flock_run(struct flock *f, mono_ms ms)
{
	for (mono_ms end = f->now + ms; f->now < end;)
		flock_step(f);
}

/* ---- what happens to it ---- */

static void crash_host(struct flock *f, size_t i)
{
	if (f->peers[i].agent_up)
		agent_stop(f, i);
	f->peers[i].host_up = false;
	/* What ran is gone; its records are found again after the reboot. */
	for (size_t k = 0; k < f->peers[i].n_tasks; k++) {
		f->peers[i].tasks[k].own.state = TASK_LOST;
		f->peers[i].tasks[k].own.healthy_at = 0;
		f->peers[i].tasks[k].change_at = MONO_NEVER;
	}
}

static void boot_host(struct flock *f, size_t i)
{
	f->peers[i].host_up = true;
	if (!f->peers[i].agent_up)
		agent_start(f, i);
}

static void drain(struct flock *f, size_t i, bool on)
{
	f->drains[i] = on;
	for (size_t j = 0; j < f->n; j++)
		f->peers[j].dirty = true;
}

/* A new version of a stack, authored at a peer. The caller fills it in before the next step. */
static struct stack_version *deploy(struct flock *f, size_t s, size_t at)
{
	struct peer *p = &f->peers[at];
	uint32_t r = ++f->n_revisions;
	struct stack_version *v;

	if (r >= REVISIONS_MAX)
		abort();
	v = &f->versions[s][r];
	*v = f->versions[s][p->revision[s]];
	v->exists = true;
	v->removed = false;
	v->spec.name = flock_stacks[s];
	v->spec.services = v->services;
	p->revision[s] = r;
	p->arrived[s] = f->now;
	p->revision_at[s] = MONO_NEVER;
	p->dirty = true;
	return v;
}

static void fill_service(struct stack_version *v, size_t k, const char *name, uint32_t replicas, const char *what)
{
	struct service *s = &v->services[k];

	service_defaults(s);
	s->name = name;
	v->argv[k][0] = "/bin/task";
	v->argv[k][1] = what;
	s->command = v->argv[k];
	s->n_command = 2;
	s->replicas = replicas;
	s->born = k + 1;
}

/* ---- what must hold ---- */

/* Tasks of a slot that run (or are on their way to) on hosts that are up. */
static size_t tasks_of_slot(const struct flock *f, id64 slot, id64 content, size_t *serving)
{
	size_t n = 0;

	*serving = 0;
	for (size_t i = 0; i < f->n; i++)
		for (size_t k = 0; f->peers[i].host_up && k < f->peers[i].n_tasks; k++) {
			const struct own_task *t = &f->peers[i].tasks[k].own;

			if (t->slot != slot || t->state == TASK_DONE || t->state == TASK_LOST)
				continue;
			n++;
			*serving += t->state == TASK_RUNNING && (!content || t->content == content);
		}
	return n;
}

/* Serving slots of one replicated service, at any content. */
static inline size_t serving_slots(const struct flock *f, size_t s, const char *service, uint32_t replicas)
{
	struct key32 flock = {0};
	size_t sum = 0, serving;

	for (uint32_t i = 0; i < replicas; i++) {
		tasks_of_slot(f, slot_id(&flock, flock_stacks[s], service, i), 0, &serving);
		sum += serving > 0;
	}
	return sum;
}

/* An update stops at a slot that a peer refused and that no other takes; the rest then keep what they have. */
static bool update_is_stuck(const struct turn *t, const struct placed_slot *ps)
{
	for (size_t k = 0; k < t->placement.n_slots; k++) {
		const struct placed_slot *other = &t->placement.slots[k];

		if (other->stack != ps->stack || other->service != ps->service || other->owner >= 0 ||
		        other->n_candidates)
			continue;
		for (size_t i = 0; i < t->view.n_claims; i++)
			if (t->claims[i].c.slot == other->slot && t->claims[i].c.state == TASK_REFUSED)
				return true;
	}
	return false;
}

/* Would a peer hand slots over so that the load is more even? */
static inline bool flock_uneven(struct flock *f, size_t at)
{
	static struct turn t;
	struct placed_move one;
	bool uneven;

	build_turn(f, at, &t);
	uneven = place_rebalance(&t.view, &t.placement, &t.arena, &one, 1) > 0;
	arena_free(&t.arena);
	return uneven;
}

/* NULL when all is as wanted: every slot has one task of the current content, which serves, and nothing else runs.
 * Else what is wrong. Asks peer `at`, which must be up. */
static const char *flock_fault(struct flock *f, size_t at)
{
	static struct turn t;
	static char why[200];
	size_t wanted = 0, all = 0;

	why[0] = '\0';
	build_turn(f, at, &t);
	for (size_t k = 0; k < t.placement.n_slots && !why[0]; k++) {
		const struct placed_slot *ps = &t.placement.slots[k];
		const struct service *svc = &t.stacks[ps->stack].spec->services[ps->service];
		size_t serving, n = tasks_of_slot(f, ps->slot, service_content(svc), &serving);

		/* Nowhere to go: then nobody may run it, either. */
		if (ps->owner < 0 && !ps->n_candidates && n == 0)
			continue;
		wanted++;
		if (n == 1 && !serving && update_is_stuck(&t, ps))
			tasks_of_slot(f, ps->slot, 0, &serving);
		if (n != 1 || serving != 1)
			snprintf(why, sizeof(why), "%s/%s/%u (%016llx) has %zu tasks, %zu of them serve",
			        t.stacks[ps->stack].name, svc->name, ps->index, (unsigned long long)ps->slot, n,
			        serving);
	}
	for (size_t i = 0; i < f->n; i++)
		all += f->peers[i].host_up ? f->peers[i].n_tasks : 0;
	if (!why[0] && all != wanted)
		snprintf(why, sizeof(why), "%zu tasks for %zu slots", all, wanted);
	arena_free(&t.arena);
	return why[0] ? why : NULL;
}

#endif
