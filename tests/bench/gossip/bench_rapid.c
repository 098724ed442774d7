/*
 * Rapid's scenarios (Suresh et al., USENIX ATC 2018, section 7): 1,000 peers with 10 crashes at once; 1% whose ingress
 * is cut for 20 s and open for 20 s; 1% at 80% loss; and 2,000 that join.
 *
 *	bench_rapid [--seed N] [--peers N] [--joining N]
 */
#include "tests/bench/gossip/flock.h"

#include <sodium.h>

#define RUN_S 90

enum scenario { CRASH, FLIPFLOP, LOSS, JOIN, SCENARIOS };

static const char *const names[] = {
        "10 crash at once", "1%, ingress cut 20 s on, 20 s off", "1% at 80% loss", "all join through one"};

struct result {
	double mean, p99, most; /* KB/s received per peer and second */
	unsigned sizes;         /* distinct flock sizes seen by healthy peers */
	unsigned false_deaths;  /* healthy peers taken for dead by healthy ones */
	unsigned faulty_deaths; /* faulty ones taken for dead by healthy ones */
	double settled_s;       /* until all healthy agree */
	unsigned peers;
};

struct run {
	struct bench_flock flock;
	bool *faulty;
	unsigned *down; /* members that each viewer holds for dead or left */
	bool *size_seen;
	struct result *r;
};

static uint64_t seed;
static unsigned peers, joining;

static void on_member(
        struct sim *s, unsigned viewer, unsigned subject, enum member_state was, enum member_state is, void *ctx)
{
	struct run *run = ctx;
	bool was_up = was == MEMBER_ALIVE || was == MEMBER_SUSPECT,
	     up = is == MEMBER_ALIVE || is == MEMBER_SUSPECT;

	if (!run->down || was_up == up)
		return;
	run->down[viewer] += up ? -1U : 1U;
	if (run->faulty[viewer])
		return;
	run->size_seen[s->n - run->down[viewer]] = true;
	if (up)
		return;
	if (run->faulty[subject])
		run->r->faulty_deaths++;
	else
		run->r->false_deaths++;
}

/* Bytes received by each running peer in each second so far. */
struct meter {
	double *kb;
	size_t n, cap;
	uint64_t *before;
};

static void meter_second(struct meter *m, const struct sim *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		uint64_t now = s->peer[i].got_bytes;

		if (s->peer[i].gossip) {
			if (m->n == m->cap) {
				m->cap = MAX(m->cap * 2, (size_t)4096);
				m->kb = xrealloc(m->kb, m->cap * sizeof(*m->kb));
			}
			m->kb[m->n++] = (double)(now - m->before[i]) / 1000;
		}
		m->before[i] = now;
	}
}

/* Do all healthy peers see the same: the healthy up, and (crashed) the others not? */
static bool agreed(const struct run *run, bool others_gone)
{
	const struct sim *s = run->flock.sim;

	for (unsigned v = 0; v < s->n; v++) {
		unsigned gone = 0;

		if (run->faulty[v])
			continue;
		for (unsigned k = 0; k < s->n && others_gone; k++)
			gone += run->faulty[k];
		if (run->down[v] != gone)
			return false;
	}
	return true;
}

static void fault(struct run *run, enum scenario which, unsigned second)
{
	struct sim *s = run->flock.sim;

	for (unsigned i = 0; i < s->n; i++) {
		if (!run->faulty[i])
			continue;
		switch (which) {
		case CRASH:
			if (!second)
				sim_crash(s, i);
			break;
		case FLIPFLOP:
			s->peer[i].deaf = second % 40 < 20;
			break;
		case LOSS:
			s->peer[i].loss = 80;
			break;
		default:
			break;
		}
	}
}

static void steady(struct run *run, enum scenario which)
{
	struct sim *s = run->flock.sim;
	struct meter m = {.before = xcalloc(s->n, sizeof(*m.before))};
	double sum = 0;

	sim_run(s, SECONDS(20));
	run->down = xcalloc(s->n, sizeof(*run->down));
	for (unsigned i = 0; i < s->n / 100; i++)
		run->faulty[i * 97 % s->n] = true;
	meter_second(&m, s);
	m.n = 0;
	for (unsigned second = 0; second < RUN_S; second++) {
		fault(run, which, second);
		sim_run(s, SECONDS(1));
		meter_second(&m, s);
		if (agreed(run, which == CRASH)) {
			if (!run->r->settled_s && (which != CRASH || second))
				run->r->settled_s = second + 1;
		} else {
			run->r->settled_s = 0;
		}
	}
	for (size_t i = 0; i < m.n; i++)
		sum += m.kb[i];
	run->r->mean = sum / (double)m.n;
	run->r->p99 = percentile(m.kb, m.n, .99);
	run->r->most = percentile(m.kb, m.n, 1);
	free(m.kb);
	free(m.before);
}

/* A flock of one; the others start within a second and know its address alone. Admissions are made already (the
 * roster): what is timed is membership, as in the reference. */
static void join(struct run *run)
{
	struct sim *s = run->flock.sim;
	struct meter m = {.before = xcalloc(s->n, sizeof(*m.before))};
	double sum = 0;
	mono_ms began = s->now;

	for (unsigned i = 1; i < s->n; i++) {
		sim_start(s, i);
		sim_knows(s, i, 0);
		if (i % 20 == 0)
			sim_run(s, 10);
	}
	for (unsigned second = 0; second < 180 && !sim_all_alive(s); second++) {
		sim_run(s, SECONDS(1));
		meter_second(&m, s);
	}
	run->r->settled_s = sim_all_alive(s) ? (double)(s->now - began) / 1000 : -1;
	for (size_t i = 0; i < m.n; i++)
		sum += m.kb[i];
	run->r->mean = m.n ? sum / (double)m.n : 0;
	run->r->p99 = percentile(m.kb, m.n, .99);
	run->r->most = percentile(m.kb, m.n, 1);
	free(m.kb);
	free(m.before);
}

static void job(size_t i, void *out)
{
	struct sim_hooks hooks = {.member = on_member};
	unsigned n = i == JOIN ? joining : peers;
	struct run run = {.r = out};

	run.r->peers = n;
	run.faulty = xcalloc(n, sizeof(bool));
	run.size_seen = xcalloc(n + 1, sizeof(bool));
	if (i == JOIN) {
		bench_flock_begin(&run.flock, n, 1, NULL, seed, &hooks);
		join(&run);
	} else {
		bench_flock_start(&run.flock, n, NULL, seed, &hooks);
		steady(&run, (enum scenario)i);
	}
	for (unsigned k = 0; k <= n; k++)
		run.r->sizes += run.size_seen[k];
	bench_flock_end(&run.flock);
	free(run.faulty);
	free(run.down);
	free(run.size_seen);
}

int main(int argc, char **argv)
{
	static struct result r[SCENARIOS];

	if (sodium_init() < 0)
		return 1;
	seed = bench_option(argc, argv, "seed", 1);
	peers = (unsigned)bench_option(argc, argv, "peers", 1000);
	joining = (unsigned)bench_option(argc, argv, "joining", 2000);
	bench_jobs(SCENARIOS, r, sizeof(r[0]), job);
	printf("### Rapid's scenarios\n\n" BENCH_HOW
	       "lan profile, %u peers (%u join), %u s each, seed %llu; KB received per peer and second, UDP and\n"
	       "streams. \"settled\": all healthy peers hold all healthy ones, and no crashed one, for up from then\n"
	       "on. Sizes: distinct sizes of the flock that healthy peers saw.\n\n"
	       "| | mean | 99th | most | sizes seen | settled after (s) | healthy taken for dead | faulty taken for "
	       "dead |\n|---|---|---|---|---|---|---|---|\n",
	        peers, joining, RUN_S, (unsigned long long)seed);
	for (size_t i = 0; i < SCENARIOS; i++) {
		printf("| %s | %.2f | %.2f | %.1f |", names[i], r[i].mean, r[i].p99, r[i].most);
		if (i == JOIN)
			printf(" | %.1f (memberlist in the paper: up to 95) | | |\n", r[i].settled_s);
		else
			printf(" %u | %.0f | %u | %u |\n", r[i].sizes, r[i].settled_s, r[i].false_deaths,
			        r[i].faulty_deaths);
	}
	return 0;
}
