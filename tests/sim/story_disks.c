/* What is accepted stays: stories of crashes, disks and long absences. */
#include "tests/sim/story.h"

/* The power goes at every moment of a submission, at every set of hosts. */
SIM(every_accepted_record_survives_any_crash_schedule, .peers = 3)
{
	unsigned torn = 0, refused = 0, accepted = 0, n = 0;

	WAIT(s, SECONDS(10), sim_converged(s));
	for (unsigned i = 0; i < s->n; i++)
		s->peer[i].disk.ms_max = 8;
	for (int after_ms = 0; after_ms < 24; after_ms += 2)
		for (unsigned down = 1; down < 8; down++) {
			unsigned copies = 0, wanted;
			uint64_t ticket;
			struct key32 id;
			char body[16];

			snprintf(body, sizeof(body), "%u", ++n);
			id = sim_submit(s, n % 3, "web", body, &ticket);
			sim_run(s, after_ms);
			for (unsigned i = 0; i < s->n; i++)
				if (down >> i & 1)
					sim_crash(s, i);
			sim_accepted(s, ticket, &copies, &wanted);
			sim_run(s, (int64_t)drbg_below(&s->rng, 1000));
			for (unsigned i = 0; i < s->n; i++)
				sim_start(s, i);
			WAIT(s, SECONDS(60), sim_all_alive(s) && sim_digests_equal(s));
			accepted += copies > 0;
			if (copies)
				EXPECT(s, sim_all_have(s, &id));
		}
	for (unsigned i = 0; i < s->n; i++) {
		torn += s->peer[i].disk.torn;
		refused += s->peer[i].disk.refused;
	}
	/* What is half there is refused when it is read, and comes again from others, whole. */
	EXPECT(s, torn > 0 && refused > 0 && accepted > 0);
}

/* With nobody to hand a copy to, the one disk must have it before the operator hears so. */
SIM(a_record_accepted_alone_survives_the_power_cut_that_follows, .peers = 3)
{
	WAIT(s, SECONDS(10), sim_converged(s));
	sim_crash(s, 1);
	sim_crash(s, 2);
	sim_run(s, MINUTES(1));
	s->peer[0].disk.ms_max = 20;
	for (int i = 0; i < 20; i++) {
		unsigned copies, wanted;
		uint64_t ticket;
		struct key32 id = sim_submit(s, 0, "web", "alone", &ticket);

		WAIT(s, SECONDS(4), sim_accepted(s, ticket, &copies, &wanted));
		EXPECT(s, copies == 1);
		sim_crash(s, 0);
		sim_start(s, 0);
		EXPECT(s, sim_has(s, 0, &id));
		sim_run(s, (int64_t)drbg_below(&s->rng, 1000));
	}
}

SIM(a_record_accepted_on_three_survives_loss_of_the_accepting_disk, .peers = 5, .sealed = true)
{
	WAIT(s, SECONDS(10), sim_converged(s));
	for (unsigned i = 0; i < s->n; i++) {
		unsigned copies, wanted;
		uint64_t ticket;
		struct key32 id = sim_submit(s, i, "web", "precious", &ticket);

		WAIT(s, SECONDS(2), sim_accepted(s, ticket, &copies, &wanted));
		EXPECT(s, copies == 3);
		/* At once, before it has spread any further by itself. */
		sim_crash(s, i);
		sim_disk_lose(s, i);
		sim_run(s, SECONDS(20));
		EXPECT(s, sim_all_have(s, &id));
		sim_start(s, i);
		WAIT(s, SECONDS(60), sim_converged(s) && sim_all_have(s, &id));
	}
}

SIM(a_sync_error_stops_the_agent_and_loses_nothing, .peers = 3)
{
	unsigned copies, wanted;
	uint64_t ticket;
	struct key32 id;

	WAIT(s, SECONDS(10), sim_converged(s));
	s->peer[0].disk.sync_error = 100;
	id = sim_submit(s, 0, "web", "v1", &ticket);
	sim_run(s, SECONDS(3));
	EXPECT(s, !s->peer[0].gossip && s->peer[0].disk.stopped);
	/* Nobody was told that it is safe, and it is not pretended to be. */
	EXPECT(s, !sim_accepted(s, ticket, &copies, &wanted));
	s->peer[0].disk.sync_error = 0;
	sim_start(s, 0);
	WAIT(s, SECONDS(30), sim_converged(s));
	id = sim_submit(s, 0, "web", "v2", &ticket);
	WAIT(s, SECONDS(3), sim_accepted(s, ticket, &copies, &wanted));
	EXPECT(s, copies == 3);
	WAIT(s, SECONDS(5), sim_all_have(s, &id));
}

SIM(slow_and_failing_disks_delay_and_do_not_lie, .peers = 5)
{
	WAIT(s, SECONDS(10), sim_converged(s));
	for (unsigned i = 0; i < s->n; i++) {
		s->peer[i].disk.slow = 30;
		s->peer[i].disk.slow_ms = 1500;
		s->peer[i].disk.write_error = 20;
	}
	for (unsigned i = 0; i < 20; i++) {
		unsigned copies, wanted, there = 0;
		uint64_t ticket;
		char name[16];
		struct key32 id;

		snprintf(name, sizeof(name), "stack%u", i);
		id = sim_submit(s, i % s->n, name, "body", &ticket);
		WAIT(s, SECONDS(6), sim_accepted(s, ticket, &copies, &wanted));
		for (unsigned k = 0; k < s->n; k++)
			there += sim_on_disk(s, k, &id);
		EXPECT(s, there >= copies);
		sim_run(s, (int64_t)drbg_below(&s->rng, 1000));
	}
	sim_calm(s);
	WAIT(s, MINUTES(2), sim_converged(s));
}

SIM(an_older_disk_image_catches_up, .peers = 4)
{
	struct sim_image *image;
	uint64_t ticket;
	struct key32 id;

	WAIT(s, SECONDS(10), sim_converged(s));
	sim_submit(s, 1, "web", "v1", &ticket);
	WAIT(s, SECONDS(10), sim_converged(s));
	image = sim_disk_image(s, 1);
	id = sim_submit(s, 1, "web", "v2", &ticket);
	sim_publish(s, 1, "0", "newer");
	WAIT(s, SECONDS(10), sim_converged(s));
	sim_crash(s, 1);
	sim_disk_restore(s, 1, image);
	sim_image_free(image);
	sim_run(s, SECONDS(30));
	sim_start(s, 1);
	WAIT(s, SECONDS(60), sim_converged(s));
	EXPECT(s, sim_all_have(s, &id));
	sim_publish(s, 1, "0", "newest");
	WAIT(s, SECONDS(10), sim_all_see_page(s, 1, "0", "newest"));
}

/* Its boot count begins anew with its disk, and is the very one that others know of its first run. */
SIM(a_lost_disk_is_overtaken_though_the_boot_count_is_the_same, .peers = 4, .sealed = true)
{
	WAIT(s, SECONDS(10), sim_converged(s));
	for (int leaves = 0; leaves < 2; leaves++) {
		uint64_t before = sim_incarnation(s, 0, 1);

		if (leaves)
			sim_leave(s, 1);
		sim_run(s, SECONDS(2));
		sim_crash(s, 1);
		sim_disk_lose(s, 1);
		sim_run(s, SECONDS(2));
		sim_start(s, 1);
		WAIT(s, SECONDS(30), sim_converged(s) && sim_incarnation(s, 0, 1) > before);
		for (unsigned i = 0; i < s->n; i++)
			EXPECT(s, sim_incarnation(s, i, 1) == sim_incarnation(s, 1, 1));
		sim_publish(s, 1, "0", leaves ? "again" : "anew");
		WAIT(s, SECONDS(10), sim_all_see_page(s, 1, "0", leaves ? "again" : "anew"));
	}
}

/* Each of the others has heard of another run of it, and they tell it one after another. */
SIM(late_words_of_earlier_runs_fence_nobody, .peers = 5)
{
	static const char *const alone_with[] = {
	        "0 1 | 2 | 3 | 4", "2 1 | 0 | 3 | 4", "3 1 | 0 | 2 | 4", "4 1 | 0 | 2 | 3"};
	struct sim_image *first;

	WAIT(s, SECONDS(10), sim_converged(s));
	first = sim_disk_image(s, 1);
	for (unsigned i = 0; i < ARRAY_LEN(alone_with); i++) {
		sim_split(s, alone_with[i]);
		sim_kill(s, 1);
		sim_run(s, SECONDS(1));
		sim_start(s, 1);
		sim_run(s, SECONDS(20));
	}
	sim_crash(s, 1);
	sim_disk_restore(s, 1, first);
	sim_image_free(first);
	sim_start(s, 1);
	for (unsigned i = 0; i < ARRAY_LEN(alone_with); i++) {
		sim_split(s, alone_with[i]);
		sim_run(s, SECONDS(30));
		EXPECT(s, !s->peer[1].fenced);
	}
	sim_heal(s);
	WAIT(s, SECONDS(40), sim_converged(s));
}

static void apart(struct sim *s, unsigned away)
{
	uint64_t ticket;
	struct key32 id;

	WAIT(s, SECONDS(10), sim_converged(s));
	sim_submit(s, 0, "web", "v1", &ticket);
	sim_submit(s, 0, "db", "v1", &ticket);
	WAIT(s, SECONDS(10), sim_converged(s));
	sim_crash(s, away);
	sim_run(s, SECONDS(30));
	id = sim_remove(s, 0, "web", &ticket);
	sim_run(s, MINUTES(60) * 24 * 30);
	EXPECT(s, !sim_stack(s, 0, "web") && sim_stack(s, 0, "db"));
	sim_start(s, away);
	/* It begins with what its disk says, hears better, and infects nobody. */
	EXPECT(s, sim_stack(s, away, "web"));
	WAIT(s, MINUTES(1), sim_converged(s) && sim_all_have(s, &id));
	sim_run(s, MINUTES(10));
	for (unsigned i = 0; i < s->n; i++)
		EXPECT(s, !sim_stack(s, i, "web") && sim_stack(s, i, "db"));
}

SIM(removed_stacks_stay_removed_after_thirty_days_apart, .peers = 2, .slow = true)
{
	apart(s, 1);
}

/* The other way round: who was away removes, and edits made meanwhile do not undo it. */
SIM(a_removal_beats_edits_made_apart, .peers = 4)
{
	uint64_t ticket;

	WAIT(s, SECONDS(10), sim_converged(s));
	sim_submit(s, 0, "web", "v1", &ticket);
	WAIT(s, SECONDS(10), sim_converged(s));
	sim_split(s, "0 1 | 2 3");
	sim_run(s, SECONDS(40));
	sim_remove(s, 2, "web", &ticket);
	sim_run(s, SECONDS(10));
	sim_submit(s, 0, "web", "edited later", &ticket);
	sim_run(s, SECONDS(10));
	EXPECT(s, sim_stack(s, 0, "web") && !sim_stack(s, 3, "web"));
	sim_heal(s);
	WAIT(s, MINUTES(2), sim_converged(s));
	for (unsigned i = 0; i < s->n; i++)
		EXPECT(s, !sim_stack(s, i, "web"));
}

SIM(after_healing_the_root_hash_is_equal_everywhere, .peers = 7)
{
	static const char *const sides[] = {
	        "0 1 2 | 3 4 5 6", "0 2 4 6 | 1 3 5", "0 | 1 2 3 4 5 6", "0 1 | 2 3 | 4 5 6"};

	WAIT(s, SECONDS(15), sim_converged(s));
	for (int round = 0; round < 4; round++) {
		sim_split(s, sides[round]);
		s->net.loss = 10;
		for (int i = 0; i < 30; i++) {
			unsigned peer = (unsigned)drbg_below(&s->rng, s->n);
			char name[16], body[32];
			uint64_t ticket;

			snprintf(name, sizeof(name), "stack%u", (unsigned)drbg_below(&s->rng, 5));
			snprintf(body, sizeof(body), "%d.%d", round, i);
			if (drbg_below(&s->rng, 6) == 0)
				sim_remove(s, peer, name, &ticket);
			else
				sim_submit(s, peer, name, body, &ticket);
			sim_publish(s, peer, "0", body);
			sim_run(s, (int64_t)drbg_below(&s->rng, 2000));
		}
		sim_calm(s);
		WAIT(s, MINUTES(2), sim_converged(s));
		for (unsigned i = 1; i < s->n; i++)
			for (unsigned k = 0; k < 5; k++) {
				char name[16];
				const char *here, *there;

				snprintf(name, sizeof(name), "stack%u", k);
				here = sim_stack(s, i, name);
				there = sim_stack(s, 0, name);
				EXPECT(s, !here == !there && (!here || strcmp(here, there) == 0));
			}
	}
}
