#include "base/drbg.h"
#include "base/hash.h"
#include "placement/claim.h"
#include "tests/unit/unit.h"

static struct claim largest(void)
{
	struct claim c = {.task = 1,
	        .slot = UINT64_MAX,
	        .revision = 3,
	        .content = 4,
	        .boot = UINT32_MAX,
	        .state = TASK_REFUSED,
	        .health = HEALTH_UNHEALTHY,
	        .sight = SIGHT_FEW,
	        .healthy_since = (1LL << 48) - 1,
	        .failures = 255,
	        .handover_to = 9,
	        .n_ports = SERVICE_PORTS_MAX};

	for (int i = 0; i < SERVICE_PORTS_MAX; i++) {
		c.ports[i].index = (uint8_t)i;
		c.ports[i].port = (uint16_t)(65535 - i);
	}
	return c;
}

static void the_largest_claim_fits_and_comes_back(void **state)
{
	struct claim c = largest(), back;
	uint8_t bytes[CLAIM_BYTES_MAX];
	struct wr w;
	struct rd r;

	(void)state;
	wr_fixed(&w, bytes, sizeof(bytes));
	claim_put(&w, &c);
	assert_true(wr_ok(&w));
	rd_init(&r, bytes, w.len);
	claim_get(&r, &back);
	assert_int_equal(rd_end(&r, NULL), 0);
	assert_true(back.task == c.task && back.slot == c.slot && back.revision == c.revision);
	assert_true(back.content == c.content && back.boot == c.boot);
	assert_int_equal(back.state, TASK_REFUSED);
	assert_int_equal(back.health, HEALTH_UNHEALTHY);
	assert_int_equal(back.sight, SIGHT_FEW);
	assert_true(back.healthy_since == c.healthy_since);
	assert_int_equal(back.failures, 255);
	assert_true(back.handover_to == 9);
	assert_int_equal(back.n_ports, SERVICE_PORTS_MAX);
	assert_int_equal(back.ports[7].port, 65528);
}

/* The bytes of one claim, pinned: peers of different versions read each other's. */
static void the_bytes_of_a_claim_stay_what_they_are(void **state)
{
	static const uint8_t want[] = {48, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3,
	        0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 5, TASK_RUNNING << 4 | HEALTH_HEALTHY, SIGHT_HALF << 4 | 1, 6, 0,
	        0, 0, 0, 0, 7, 0, 0x4e, 0x20};
	struct claim c = {.task = 1,
	        .slot = 2,
	        .revision = 3,
	        .content = 4,
	        .boot = 5,
	        .state = TASK_RUNNING,
	        .health = HEALTH_HEALTHY,
	        .sight = SIGHT_HALF,
	        .failures = 6,
	        .healthy_since = 7,
	        .n_ports = 1};
	uint8_t bytes[CLAIM_BYTES_MAX];
	struct wr w;

	(void)state;
	c.ports[0].port = 20000;
	wr_fixed(&w, bytes, sizeof(bytes));
	claim_put(&w, &c);
	assert_int_equal(w.len, sizeof(want));
	assert_memory_equal(bytes, want, sizeof(want));
}

static void a_newer_versions_claim_is_still_a_claim(void **state)
{
	struct claim c = largest(), back;
	uint8_t bytes[2 * CLAIM_BYTES_MAX];
	struct wr w;
	struct rd r;

	(void)state;
	wr_fixed(&w, bytes, sizeof(bytes));
	claim_put(&w, &c);
	wr_u32(&w, 0xdeadbeef); /* fields of the future */
	bytes[0] = (uint8_t)(bytes[0] + 4);
	bytes[1 + 36] = 0xff; /* a state and a health of the future */
	rd_init(&r, bytes, w.len);
	claim_get(&r, &back);
	assert_int_equal(rd_end(&r, NULL), 0);
	assert_true(back.slot == c.slot);
	assert_int_equal(back.state, TASK_PENDING);
	assert_int_equal(back.health, HEALTH_UNHEALTHY);
	assert_int_equal(back.ports[7].port, 65528);
}

static size_t page_of(uint8_t *bytes, size_t cap, const struct claim *claims, size_t n)
{
	struct wr w;

	wr_fixed(&w, bytes, cap);
	wr_u8(&w, (uint8_t)n);
	for (size_t i = 0; i < n; i++)
		claim_put(&w, &claims[i]);
	assert_true(wr_ok(&w));
	return w.len;
}

static void a_cut_or_padded_page_is_refused(void **state)
{
	struct claim claims[3] = {largest(), largest(), {.task = 5}}, out[3];
	uint8_t bytes[4 * CLAIM_BYTES_MAX];
	size_t len = page_of(bytes, sizeof(bytes) - 1, claims, 3), n;

	(void)state;
	assert_int_equal(claims_decode(bytes, len, out, 3, &n, NULL), 0);
	assert_int_equal(n, 3);
	assert_true(out[2].task == 5);
	assert_int_equal(claims_decode(bytes, len, out, 2, &n, NULL), -1);
	assert_int_equal(n, 0);
	bytes[len] = 0;
	assert_int_equal(claims_decode(bytes, len + 1, out, 3, &n, NULL), -1);
	for (size_t cut = 0; cut < len; cut++) {
		cleanup_free uint8_t *exact = xmemdup(bytes, cut);

		assert_int_equal(claims_decode(exact, cut, out, 3, &n, NULL), -1);
	}
}

static void random_pages_never_reach_beyond_themselves(void **state)
{
	struct claim out[8];
	struct drbg rnd;
	size_t good = 0;

	(void)state;
	drbg_init_u64(&rnd, 2, 0);
	for (int i = 0; i < 50000; i++) {
		size_t len = (size_t)drbg_below(&rnd, 200), n;
		cleanup_free uint8_t *bytes = xmalloc(len);

		drbg_bytes(&rnd, bytes, len);
		if (len)
			bytes[0] %= 4;
		if (claims_decode(bytes, len, out, 8, &n, NULL) == 0) {
			good++;
			assert_true(n <= 3);
			for (size_t k = 0; k < n; k++) {
				assert_true(out[k].n_ports <= SERVICE_PORTS_MAX);
				assert_non_null(task_state_name(out[k].state));
				assert_non_null(task_health_name(out[k].health));
			}
		}
	}
	assert_true(good > 0);
}

static void only_healthy_running_tasks_serve(void **state)
{
	size_t serving = 0;

	(void)state;
	for (int s = TASK_PENDING; s <= TASK_REFUSED; s++)
		for (int h = HEALTH_NONE; h <= HEALTH_UNHEALTHY; h++)
			serving += claim_serves(&(struct claim){.state = s, .health = h});
	assert_int_equal(serving, 2);
	assert_true(claim_serves(&(struct claim){.state = TASK_RUNNING, .health = HEALTH_NONE}));
	assert_true(claim_serves(&(struct claim){.state = TASK_RUNNING, .health = HEALTH_HEALTHY}));
	assert_string_equal(task_state_name(TASK_UNHEALTHY), "unhealthy");
	assert_string_equal(task_health_name(HEALTH_STARTING), "starting");
}

static void every_slot_has_its_own_id(void **state)
{
	struct key32 flock, other, peer;
	id64 a;

	(void)state;
	hash32(&flock, "a", 1);
	hash32(&other, "b", 1);
	hash32(&peer, "p", 1);
	a = slot_id(&flock, "shop", "web", 0);
	assert_true(a == slot_id(&flock, "shop", "web", 0));
	assert_true(a != slot_id(&flock, "shop", "web", 1));
	assert_true(a != slot_id(&other, "shop", "web", 0));
	assert_true(a != slot_id(&flock, "sho", "pweb", 0));
	assert_true(a != slot_id_global(&flock, "shop", "web", &peer));
	assert_true(a != slot_id(&flock, "web", "shop", 0));
	/* Pinned: a changed hash would move every task of a flock whose peers differ in version. */
	assert_true(a == 0xd729b1a8dbc34d4dULL);
}

/* ---- pages ---- */

/* Which page a task's claim stands on, or -1. Decodes what pager_page() gives, as a peer would. */
static int find_page(struct pager *p, id64 task)
{
	for (size_t i = 0; i < pager_pages(p); i++) {
		struct claim out[PAGE_CLAIMS_MAX];
		bool changed;
		size_t len, n;
		const uint8_t *bytes = pager_page(p, i, &len, &changed);

		if (!len)
			continue;
		assert_true(len <= PAGE_BYTES_MAX);
		assert_int_equal(claims_decode(bytes, len, out, PAGE_CLAIMS_MAX, &n, NULL), 0);
		for (size_t k = 0; k < n; k++)
			if (out[k].task == task)
				return (int)i;
	}
	return -1;
}

static void a_claim_never_changes_page_while_it_lives(void **state)
{
	enum { TASKS = 60, ROUNDS = 400 };
	struct pager *p = pager_new();
	int page[TASKS];
	bool lives[TASKS] = {false};
	struct drbg rnd;

	(void)state;
	drbg_init_u64(&rnd, 3, 0);
	for (int round = 0; round < ROUNDS; round++) {
		struct claim now[TASKS];
		size_t n = 0;

		for (int t = 0; t < TASKS; t++) {
			bool was = lives[t];

			lives[t] = drbg_below(&rnd, 10) ? was : !was;
			if (!lives[t] || !was)
				page[t] = -1;
			if (!lives[t])
				continue;
			/* Small now, as large as can be the next moment. */
			now[n] = drbg_below(&rnd, 2) ? largest() : (struct claim){0};
			now[n].task = (id64)t + 1;
			now[n++].slot = (id64)t;
		}
		assert_int_equal(pager_set(p, now, n), 0);
		for (int t = 0; t < TASKS; t++) {
			int at = find_page(p, (id64)t + 1);

			if (!lives[t]) {
				assert_int_equal(at, -1);
				continue;
			}
			assert_true(at >= 0);
			if (page[t] >= 0)
				assert_int_equal(at, page[t]);
			page[t] = at;
		}
	}
	/* Freed places are used again: never more pages than all tasks at once need. */
	assert_true(pager_pages(p) <= (TASKS + PAGE_CLAIMS_MAX - 1) / PAGE_CLAIMS_MAX);
	pager_free(p);
}

static void only_a_changed_page_is_published_again(void **state)
{
	struct claim claims[2 * PAGE_CLAIMS_MAX];
	struct pager *p = pager_new();
	bool changed;
	size_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(claims); i++)
		claims[i] = (struct claim){.task = i + 1, .slot = i};
	assert_int_equal(pager_set(p, claims, ARRAY_LEN(claims)), 0);
	assert_int_equal(pager_pages(p), 2);
	for (size_t i = 0; i < 2; i++) {
		pager_page(p, i, &len, &changed);
		assert_true(changed);
	}
	claims[PAGE_CLAIMS_MAX].state = TASK_RUNNING; /* stands on the second */
	pager_set(p, claims, ARRAY_LEN(claims));
	pager_page(p, 0, &len, &changed);
	assert_false(changed);
	pager_page(p, 1, &len, &changed);
	assert_true(changed);
	/* All gone: both pages are published empty, once. */
	pager_set(p, NULL, 0);
	assert_int_equal(pager_pages(p), 2);
	pager_page(p, 0, &len, &changed);
	assert_true(changed);
	assert_int_equal(len, 0);
	pager_page(p, 0, &len, &changed);
	assert_false(changed);
	pager_free(p);
}

static void more_claims_than_pages_hold_are_counted(void **state)
{
	struct claim *claims = xcalloc(CLAIMS_MAX + 3, sizeof(*claims));
	struct pager *p = pager_new();

	(void)state;
	for (size_t i = 0; i < CLAIMS_MAX + 3; i++)
		claims[i] = (struct claim){.task = i + 1, .slot = i};
	assert_int_equal(pager_set(p, claims, CLAIMS_MAX + 3), 3);
	assert_int_equal(pager_pages(p), PAGES_MAX);
	assert_int_equal(pager_set(p, claims, CLAIMS_MAX), 0);
	free(claims);
	pager_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_largest_claim_fits_and_comes_back),
	        cmocka_unit_test(the_bytes_of_a_claim_stay_what_they_are),
	        cmocka_unit_test(a_newer_versions_claim_is_still_a_claim),
	        cmocka_unit_test(a_cut_or_padded_page_is_refused),
	        cmocka_unit_test(random_pages_never_reach_beyond_themselves),
	        cmocka_unit_test(only_healthy_running_tasks_serve),
	        cmocka_unit_test(every_slot_has_its_own_id),
	        cmocka_unit_test(a_claim_never_changes_page_while_it_lives),
	        cmocka_unit_test(only_a_changed_page_is_published_again),
	        cmocka_unit_test(more_claims_than_pages_hold_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
