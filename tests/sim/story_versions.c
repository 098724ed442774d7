/* Peers of this version and of the next in one flock. */
#include "tests/sim/story.h"

#include "gossip/core.h"

static void expect_nothing_refused(const struct sim *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct gossip_counters *c = gossip_counters(s->peer[i].gossip);

		EXPECT((struct sim *)s, c->drop_bad == 0 && c->records_bad == 0);
	}
}

/* Records of kinds that nobody here understands, by newer peers; how many does this one hold? */
static bool count_new(const struct stored *st, void *ctx)
{
	unsigned *n = ctx;

	*n += st->rec.kind == 20 || st->rec.kind == 40;
	return true;
}

static void expect_new_kinds(struct sim *s, unsigned newer)
{
	for (unsigned i = 0; i < s->n; i++) {
		unsigned n = 0;

		store_each(gossip_store(s->peer[i].gossip), 0, count_new, &n);
		/* One volatile record of each, and at least one of an operator per start. */
		EXPECT(s, n >= 2 * newer);
	}
}

SIM(this_version_and_the_next_converge, .peers = 6)
{
	uint64_t ticket;

	for (unsigned i = 0; i < s->n; i += 2)
		sim_make_newer(s, i);
	WAIT(s, SECONDS(20), sim_converged(s));
	sim_submit(s, 0, "web", "by a newer one", &ticket);
	sim_submit(s, 1, "db", "by an older one", &ticket);
	sim_publish(s, 2, "0", "newer");
	sim_publish(s, 3, "0", "older");
	WAIT(s, SECONDS(20), sim_converged(s));
	for (unsigned i = 0; i < s->n; i++)
		EXPECT(s, sim_stack(s, i, "web") && sim_stack(s, i, "db"));
	EXPECT(s, sim_all_see_page(s, 2, "0", "newer") && sim_all_see_page(s, 3, "0", "older"));
	expect_new_kinds(s, 3);
	expect_nothing_refused(s);
	EXPECT(s, sim_deaths(s) == 0);
}

SIM(versions_that_were_apart_converge, .peers = 6)
{
	uint64_t ticket;

	for (unsigned i = 0; i < 3; i++)
		sim_make_newer(s, i);
	WAIT(s, SECONDS(20), sim_converged(s));
	for (int round = 0; round < 3; round++) {
		sim_split(s, "0 1 2 | 3 4 5");
		for (unsigned i = 0; i < s->n; i++) {
			char body[32];

			snprintf(body, sizeof(body), "%d.%u", round, i);
			sim_submit(s, i, "web", body, &ticket);
			sim_publish(s, i, "0", body);
		}
		/* What a newer one writes at its start comes while they are apart, too. */
		sim_kill(s, 1);
		sim_start(s, 1);
		sim_run(s, SECONDS(60));
		sim_heal(s);
		WAIT(s, MINUTES(2), sim_converged(s));
	}
	expect_new_kinds(s, 3);
	expect_nothing_refused(s);
}

/* Host by host, and back again for one, as an upgrade goes. */
SIM(a_rolling_upgrade_loses_nothing, .peers = 5, .loss = 5)
{
	uint64_t ticket;

	WAIT(s, SECONDS(20), sim_converged(s));
	for (unsigned i = 0; i < s->n; i++) {
		char body[16];

		sim_kill(s, i);
		s->peer[i].newer = true;
		sim_start(s, i);
		snprintf(body, sizeof(body), "%u", i);
		sim_submit(s, (i + 1) % s->n, "web", body, &ticket);
		WAIT(s, SECONDS(30), sim_converged(s));
		for (unsigned k = 0; k < s->n; k++)
			EXPECT(s, strcmp(sim_stack(s, k, "web"), body) == 0);
	}
	sim_kill(s, 2);
	s->peer[2].newer = false;
	sim_start(s, 2);
	WAIT(s, SECONDS(30), sim_converged(s));
	expect_new_kinds(s, 5);
	EXPECT(s, sim_deaths(s) == 0);
}
