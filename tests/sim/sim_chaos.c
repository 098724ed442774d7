#include "tests/sim/chaos.h"

#include "tests/sim/sim_core.h"

/* Healing takes no longer than this: the dead are retried every 10 s, a reconciliation that changes nothing backs off
 * to a minute, and a mapping or a frozen agent of the last phase takes up to half a minute more. */
#define HEAL_MS   MINUTES(3)
#define FREEZE_MS SECONDS(30)

static int64_t up_to(struct sim *s, int64_t ms)
{
	return 1 + (int64_t)drbg_below(&s->rng, (uint64_t)ms);
}

static unsigned any_peer(struct sim *s)
{
	return (unsigned)drbg_below(&s->rng, s->n);
}

static bool awake(const struct sim *s, unsigned peer)
{
	return s->peer[peer].gossip && s->peer[peer].frozen_until <= s->now;
}

static void note_accepted(struct sim *s, struct chaos *c)
{
	for (size_t i = 0; i < c->n; i++) {
		unsigned wanted;

		if (c->record[i].disks_lost == UINT32_MAX &&
		        sim_accepted(s, c->record[i].ticket, &c->record[i].copies, &wanted))
			c->record[i].disks_lost = c->disks_lost;
	}
}

/* Hosts. */

static void do_crash(struct sim *s, struct chaos *c, unsigned peer)
{
	(void)c;
	sim_crash(s, peer);
}

static void do_kill(struct sim *s, struct chaos *c, unsigned peer)
{
	(void)c;
	sim_kill(s, peer);
}

static void do_kill_and_start(struct sim *s, struct chaos *c, unsigned peer)
{
	(void)c;
	sim_kill(s, peer);
	sim_start(s, peer);
}

static void do_freeze(struct sim *s, struct chaos *c, unsigned peer)
{
	(void)c;
	if (s->peer[peer].gossip)
		sim_freeze(s, peer, up_to(s, FREEZE_MS));
}

static void do_suspend(struct sim *s, struct chaos *c, unsigned peer)
{
	(void)c;
	if (s->peer[peer].gossip)
		sim_suspend(s, peer, up_to(s, FREEZE_MS));
}

/* Half of them stay where they are: those who all move while they are apart need to be told where the others went. */
static void do_move(struct sim *s, struct chaos *c, unsigned peer)
{
	(void)c;
	if (peer % 2 && (!s->peer[peer].gossip || awake(s, peer)))
		sim_move(s, peer);
}

static void do_leave(struct sim *s, struct chaos *c, unsigned peer)
{
	(void)c;
	if (awake(s, peer))
		sim_leave(s, peer);
}

/* Links. */

static struct sim_link bad_link(struct sim *s)
{
	int64_t delay = (int64_t)drbg_below(&s->rng, 100);

	return (struct sim_link){.loss = (unsigned)drbg_below(&s->rng, 40),
	        .duplicate = (unsigned)drbg_below(&s->rng, 10),
	        .reorder = (unsigned)drbg_below(&s->rng, 20),
	        .delay_min = delay / 2,
	        .delay_max = delay + 1};
}

static void do_bad_net(struct sim *s, struct chaos *c, unsigned peer)
{
	(void)c, (void)peer;
	s->net = bad_link(s);
}

static void do_bad_link(struct sim *s, struct chaos *c, unsigned peer)
{
	(void)c;
	*sim_link(s, peer, any_peer(s)) = bad_link(s);
}

static void do_cut(struct sim *s, struct chaos *c, unsigned peer)
{
	(void)c;
	sim_cut(s, peer, any_peer(s));
}

static void do_cut_udp(struct sim *s, struct chaos *c, unsigned peer)
{
	unsigned other = any_peer(s);

	(void)c;
	sim_link(s, peer, other)->cut_udp = sim_link(s, other, peer)->cut_udp = true;
}

static void do_lossy_peer(struct sim *s, struct chaos *c, unsigned peer)
{
	(void)c;
	s->peer[peer].loss = (unsigned)drbg_below(&s->rng, 90);
}

static void do_one_way_peer(struct sim *s, struct chaos *c, unsigned peer)
{
	(void)c;
	*(drbg_below(&s->rng, 2) ? &s->peer[peer].deaf : &s->peer[peer].mute) = true;
}

static void do_split(struct sim *s, struct chaos *c, unsigned peer)
{
	(void)c, (void)peer;
	for (unsigned i = 0; i < s->n; i++)
		s->peer[i].group = (unsigned)drbg_below(&s->rng, 3);
	s->split = true;
}

static void do_nat(struct sim *s, struct chaos *c, unsigned peer)
{
	(void)c;
	if (s->peer[peer].nat.on) {
		sim_nat_drop(s, peer);
	} else {
		sim_nat(s, peer, SECONDS(5) + up_to(s, SECONDS(60)));
		s->peer[peer].nat.refuses = drbg_below(&s->rng, 2);
	}
}

static void do_calm(struct sim *s, struct chaos *c, unsigned peer)
{
	(void)c, (void)peer;
	sim_calm(s);
}

/* Clocks. */

static void do_clock(struct sim *s, struct chaos *c, unsigned peer)
{
	(void)c;
	if (drbg_below(&s->rng, 2) && (!s->peer[peer].gossip || awake(s, peer)))
		sim_drift(s, peer, (int64_t)drbg_below(&s->rng, 1001) - 500);
	else
		sim_step_clock(s, peer, (int64_t)drbg_below(&s->rng, 40000) - 20000);
}

/* Disks. */

static void do_bad_disk(struct sim *s, struct chaos *c, unsigned peer)
{
	struct sim_disk *d = &s->peer[peer].disk;

	(void)c;
	switch (drbg_below(&s->rng, 4)) {
	case 0:
		d->full = !d->full;
		break;
	case 1:
		d->slow = 30;
		d->slow_ms = 3000;
		break;
	case 2:
		d->write_error = 30;
		break;
	case 3:
		d->sync_error = 10;
		break;
	}
}

static void do_image(struct sim *s, struct chaos *c, unsigned peer)
{
	if (!c->image) {
		c->image = sim_disk_image(s, peer);
		c->image_of = peer;
		return;
	}
	note_accepted(s, c);
	c->disks_lost++;
	sim_crash(s, c->image_of);
	sim_disk_restore(s, c->image_of, c->image);
	sim_image_free(c->image);
	c->image = NULL;
}

static void do_lose_disk(struct sim *s, struct chaos *c, unsigned peer)
{
	note_accepted(s, c);
	c->disks_lost++;
	sim_crash(s, peer);
	sim_disk_lose(s, peer);
}

/* Work goes on. */

static void do_submit(struct sim *s, struct chaos *c, unsigned peer)
{
	static const char *const stacks[] = {"web", "db", "cache"};
	char body[32];
	bool removal = drbg_below(&s->rng, 5) == 0;
	struct err err;

	if (!awake(s, peer) || c->n == CHAOS_RECORDS_MAX)
		return;
	snprintf(body, sizeof(body), "%u", (unsigned)c->n);
	if (!sim_try_submit(s, peer, stacks[drbg_below(&s->rng, 3)], removal ? NULL : body, &c->record[c->n].id,
	            &c->record[c->n].ticket, &err)) {
		c->refused++;
		return;
	}
	c->record[c->n++].disks_lost = UINT32_MAX;
}

/* The power goes, somewhere, while disks are at it. */
static void do_submit_and_crash(struct sim *s, struct chaos *c, unsigned peer)
{
	do_submit(s, c, peer);
	sim_run(s, (int64_t)drbg_below(&s->rng, 8));
	sim_crash(s, drbg_below(&s->rng, 2) ? peer : any_peer(s));
}

static void do_publish(struct sim *s, struct chaos *c, unsigned peer)
{
	char body[32];

	(void)c;
	if (!awake(s, peer))
		return;
	snprintf(body, sizeof(body), "%lld", (long long)s->now);
	sim_publish(s, peer, drbg_below(&s->rng, 2) ? "0" : "1", body);
}

/* How often each comes, relative to the others. */
static const struct {
	void (*fn)(struct sim *s, struct chaos *c, unsigned peer);
	unsigned weight;
} troubles[] = {{do_crash, 3}, {do_kill, 2}, {do_kill_and_start, 2}, {do_freeze, 3}, {do_suspend, 2},
        {do_move, 2}, {do_leave, 1}, {do_bad_net, 2}, {do_bad_link, 3}, {do_cut, 3}, {do_cut_udp, 2},
        {do_lossy_peer, 2}, {do_one_way_peer, 2}, {do_split, 2}, {do_nat, 2}, {do_calm, 3}, {do_clock, 3},
        {do_bad_disk, 3}, {do_image, 1}, {do_lose_disk, 1}, {do_submit, 6}, {do_submit_and_crash, 5},
        {do_publish, 6}};

void chaos_strike(struct sim *s, struct chaos *c)
{
	unsigned total = 0, at;
	unsigned peer = any_peer(s);

	for (size_t i = 0; i < ARRAY_LEN(troubles); i++)
		total += troubles[i].weight;
	at = (unsigned)drbg_below(&s->rng, total);
	for (size_t i = 0; i < ARRAY_LEN(troubles); i++) {
		if (at < troubles[i].weight) {
			c->did[i]++;
			troubles[i].fn(s, c, peer);
			return;
		}
		at -= troubles[i].weight;
	}
}

void chaos_phase(struct sim *s, struct chaos *c, unsigned strikes, int64_t gap_ms_max)
{
	for (unsigned i = 0; i < strikes; i++) {
		chaos_strike(s, c);
		for (unsigned k = 0; k < s->n; k++)
			if (!s->peer[k].gossip && drbg_below(&s->rng, 4) == 0)
				sim_start(s, k);
		sim_run(s, up_to(s, gap_ms_max));
		note_accepted(s, c);
	}
}

/* A record on `copies` disks survives the loss of fewer. */
static bool all_accepted_are_there(const struct sim *s, const struct chaos *c)
{
	for (size_t i = 0; i < c->n; i++) {
		unsigned lost_since = c->disks_lost - c->record[i].disks_lost;

		if (c->record[i].disks_lost != UINT32_MAX && c->record[i].copies > lost_since &&
		        !sim_all_have(s, &c->record[i].id))
			return false;
	}
	return true;
}

void chaos_heal(struct sim *s, struct chaos *c)
{
	mono_ms thawed = s->now;

	sim_calm(s);
	for (unsigned i = 0; i < s->n; i++) {
		s->peer[i].host_down = false;
		thawed = MAX(thawed, s->peer[i].frozen_until);
	}
	/* Some end only now: who was leaving, and whose disk failed at its last write. */
	sim_run(s, thawed + SECONDS(2) - s->now);
	for (unsigned i = 0; i < s->n; i++)
		if (!s->peer[i].gossip)
			sim_start(s, i);
	WAIT(s, HEAL_MS, sim_converged(s));
	EXPECT(s, s->running == s->n);
	note_accepted(s, c);
	EXPECT(s, all_accepted_are_there(s, c));
	for (unsigned i = 1; i < s->n; i++) {
		static const char *const stacks[] = {"web", "db", "cache"};

		for (size_t k = 0; k < ARRAY_LEN(stacks); k++) {
			const char *here = sim_stack(s, i, stacks[k]), *there = sim_stack(s, 0, stacks[k]);

			EXPECT(s, !here == !there && (!here || strcmp(here, there) == 0));
		}
	}
	/* And it stays so. */
	sim_run(s, MINUTES(1));
	EXPECT(s, sim_all_alive(s) && sim_digests_equal(s));
}

void chaos_free(struct chaos *c)
{
	if (c->image)
		sim_image_free(c->image);
	c->image = NULL;
}
