/* One peer whose view is made by hand, and its reconcile: for tests of the rules one by one. */
#ifndef TESTS_UNIT_NODE_ONE_PEER_H
#define TESTS_UNIT_NODE_ONE_PEER_H

#include "node/reconcile.h"
#include "tests/unit/placement/cluster.h"
#include "tests/unit/unit.h"

#define TASKS_MAX 16
/* Some time after the origin, so that 0 stays "never". */
#define T0 SECONDS(1000)

static struct cluster c;
static struct placement p;
static struct reconcile *r;
static struct own_task own[TASKS_MAX];
static size_t n_own;
static bool ready, isolated;
static mono_ms now, wake;
static struct reconcile_action *actions;
static size_t n_actions;

/* n peers, all well; we are `self` in order of keys. One stack "hello" of one service "s0". */
static UNUSED struct service *start(size_t n, size_t self)
{
	struct reconcile_config cfg = reconcile_defaults();

	cluster_init(&c, n);
	cluster_sort(&c);
	c.view.self = self;
	r = reconcile_new(&cfg);
	n_own = 0;
	ready = true;
	isolated = false;
	now = T0;
	return cluster_stack(&c, "hello", 1)->services;
}

static UNUSED void finish(void)
{
	reconcile_free(r);
	cluster_free(&c);
}

static UNUSED void run(void)
{
	cluster_sort_claims(&c);
	place(&c.view, &c.arena, &p);
	reconcile_run(r, &c.view, &p, own, n_own, ready, isolated, now, &c.arena, &actions, &n_actions, &wake);
}

static UNUSED void after(mono_ms ms)
{
	now += ms;
	run();
}

static UNUSED id64 slot(uint32_t index)
{
	return slot_id(&c.view.flock, "hello", "s0", index);
}

static UNUSED id64 content(void)
{
	return service_content(&c.specs[0].services[0]);
}

/* Who would start slot 0 as candidate `rank`, if nobody claims it. */
static UNUSED size_t candidate(size_t rank)
{
	place(&c.view, &c.arena, &p);
	assert_true(rank < p.slots[0].n_candidates);
	return p.slots[0].candidate[rank];
}

/* An own task of slot `index`, running and healthy for long, at the current revision. Not in the claims. */
static UNUSED struct own_task *task(uint32_t index)
{
	own[n_own] = (struct own_task){.task = 100 + n_own,
	        .slot = slot(index),
	        .stack = "hello",
	        .revision = c.stacks[0].revision_id,
	        .content = content(),
	        .state = TASK_RUNNING,
	        .health = HEALTH_HEALTHY,
	        .healthy_at = T0 - SECONDS(100)};
	return &own[n_own++];
}

static UNUSED void expect_nothing(void)
{
	assert_int_equal(n_actions, 0);
}

static UNUSED void expect(enum reconcile_kind kind, id64 what)
{
	assert_int_equal(n_actions, 1);
	assert_int_equal(actions[0].kind, kind);
	assert_true((kind == DO_START ? actions[0].slot : actions[0].task) == what);
	assert_non_null(actions[0].why);
}

static UNUSED void refuse(uint32_t index, size_t member)
{
	struct claim *refusal = cluster_claim(&c, slot(index), member, content());

	refusal->state = TASK_REFUSED;
	refusal->revision = c.stacks[0].revision_id;
}

#endif
