/*
 * What an idle flock costs each peer, and what a member costs in memory and time.
 *
 *	bench_idle [--seed N] [--smallest N] [--largest N]
 */
#include "base/hash.h"
#include "tests/bench/gossip/flock.h"

#include <malloc.h>
#include <sodium.h>

static const unsigned sizes[] = {10, 100, 1000, 10000};

#define IDLE_MS SECONDS(60)

struct result {
	double packets, bytes, cpu_us;
};

static uint64_t seed;
static unsigned smallest, largest;

static void job(size_t i, void *out)
{
	struct bench_flock flock;
	struct result *r = out;
	uint64_t packets = 0, bytes = 0;
	struct sim *s;
	double cpu;

	if (sizes[i] > largest || sizes[i] < smallest)
		return;
	bench_flock_start(&flock, sizes[i], NULL, seed, NULL);
	s = flock.sim;
	sim_run(s, SECONDS(30));
	for (unsigned k = 0; k < s->n; k++)
		s->peer[k].sent_packets = s->peer[k].sent_bytes = 0;
	cpu = bench_cpu_seconds();
	sim_run(s, IDLE_MS);
	cpu = bench_cpu_seconds() - cpu;
	for (unsigned k = 0; k < s->n; k++) {
		packets += s->peer[k].sent_packets;
		bytes += s->peer[k].sent_bytes;
	}
	r->packets = (double)packets / s->n / (IDLE_MS / 1000);
	r->bytes = (double)bytes / s->n / (IDLE_MS / 1000);
	r->cpu_us = cpu * 1e6 / s->n / (IDLE_MS / 1000);
	bench_flock_end(&flock);
}

static double in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return (double)(m.uordblks + m.hblkhd);
}

/* Memory of one core per member: that it knows, and that it also talks to (sealed, as an agent does). */
static void memory(double *known, double *spoken)
{
	enum { MEMBERS = 2000 };
	struct key32 *roster = xcalloc(MEMBERS, sizeof(*roster));
	struct gossip_config cfg = {.boot = 1, .roster = roster, .n_roster = MEMBERS};
	static uint8_t secrets[MEMBERS][64];
	struct gossip_action a;
	struct gossip *g;
	double before;

	for (unsigned i = 0; i < MEMBERS; i++) {
		uint8_t seed32[32] = {(uint8_t)i, (uint8_t)(i >> 8), 7};

		crypto_sign_seed_keypair(roster[i].b, secrets[i], seed32);
	}
	cfg.key = roster[0];
	memcpy(cfg.secret, secrets[0], 64);
	cfg.advertise = (struct addr){.family = 4, .port = 7827, .ip = {10, 0, 0, 1}};
	before = in_use();
	g = gossip_new(&cfg);
	gossip_start(g, (struct now){.mono = 1000, .wall = 1});
	for (unsigned i = 1; i < MEMBERS; i++) {
		struct statement st = {.type = MSG_ALIVE,
		        .subject = key32_id(&roster[i]),
		        .incarnation = UINT64_C(1) << 32,
		        .addr = {.family = 4, .port = 7827, .ip = {10, 1, (uint8_t)(i >> 8), (uint8_t)i}}};

		statement_sign(&st, &cfg.flock, secrets[i]);
		gossip_load_statement(g, &st);
	}
	while (gossip_next(g, &a))
		;
	*known = (in_use() - before) / MEMBERS;
	/* Long enough to have pinged everybody. */
	for (mono_ms now = 1000; now < 1000 + 2 * MEMBERS * 1000;) {
		now = MAX(gossip_wake(g), now + 1);
		gossip_tick(g, (struct now){.mono = now, .wall = 1});
		while (gossip_next(g, &a))
			;
	}
	*spoken = (in_use() - before) / MEMBERS;
	gossip_free(g);
	free(roster);
}

int main(int argc, char **argv)
{
	static struct result r[ARRAY_LEN(sizes)];
	double known, spoken;

	if (sodium_init() < 0)
		return 1;
	seed = bench_option(argc, argv, "seed", 1);
	smallest = (unsigned)bench_option(argc, argv, "smallest", 0);
	largest = (unsigned)bench_option(argc, argv, "largest", 10000);
	bench_jobs(ARRAY_LEN(sizes), r, sizeof(r[0]), job);
	memory(&known, &spoken);
	printf("### What an idle flock costs each peer\n\n" BENCH_HOW
	       "lan profile, no loss, means over %lld s, sent (as many are received); seed %llu. CPU is the\n"
	       "simulator's whole, so the core's share is less.\n\n"
	       "| N | packets/s | bytes/s | CPU per peer and second |\n|---|---|---|---|\n",
	        (long long)(IDLE_MS / 1000), (unsigned long long)seed);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		if (r[i].packets > 0)
			printf("| %u | %.2f | %.0f | %.0f us |\n", sizes[i], r[i].packets, r[i].bytes,
			        r[i].cpu_us);
	printf("\nMemory per member in a flock of 2,000: %.0f bytes for one that is known, %.0f for one that was\n"
	       "talked to and lost (contact, keys, accusations).\n",
	        known, spoken);
	return 0;
}
