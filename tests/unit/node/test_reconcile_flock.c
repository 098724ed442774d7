/* Flocks of several peers, each deciding for itself: stories with figures. STARLING_TEST_CHATTY=1 tells what happens. */
#include "tests/unit/node/flock.h"
#include "tests/unit/unit.h"

static struct flock f;

#define WEB_REPLICAS 6

static void deploy_web(const char *what)
{
	struct stack_version *v = deploy(&f, 0, 0);

	v->spec.n_services = 1;
	fill_service(v, 0, "web", WEB_REPLICAS, what);
}

static void run_until_well(mono_ms most, size_t at)
{
	mono_ms end = f.now + most;

	do
		flock_run(&f, STEP);
	while (flock_fault(&f, at) && f.now < end);
	if (flock_fault(&f, at))
		fail_msg("after %lld ms: %s", (long long)most, flock_fault(&f, at));
}

static size_t tasks_on(size_t i)
{
	return f.peers[i].n_tasks;
}

static void begin(uint64_t seed, size_t n)
{
	flock_start(&f, seed, n);
	flock_run(&f, SECONDS(10));
}

static void a_deployment_runs_within_a_second_each_slot_once(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		begin(seed, 3);
		deploy_web("1");
		run_until_well(1500, 0);
		assert_int_equal(f.starts, WEB_REPLICAS); /* nobody had to yield */
		for (size_t i = 0; i < 3; i++)
			assert_int_equal(tasks_on(i), 2);
		flock_run(&f, SECONDS(100));
		assert_int_equal(f.starts, WEB_REPLICAS); /* and nothing moves afterwards */
		assert_int_equal(f.stops, 0);
		flock_end(&f);
	}
}

static void a_lost_hosts_replicas_run_elsewhere_within_seconds(void **state)
{
	mono_ms worst = 0, sum = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		mono_ms lost;

		begin(seed, 3);
		deploy_web("1");
		flock_run(&f, SECONDS(20));
		lost = f.now;
		crash_host(&f, 2);
		run_until_well(SECONDS(15), 0);
		worst = MAX(worst, f.now - lost);
		sum += f.now - lost;
		assert_int_equal(f.starts, WEB_REPLICAS + 2);
		flock_end(&f);
	}
	print_message(
	        "host lost to all replicas serving: mean %lld ms, worst %lld ms of 40 (suspected after 0.5-2 s, "
	        "dead 4 s later)\n",
	        (long long)sum / 40, (long long)worst);
}

static void a_host_that_comes_back_stops_what_moved(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		size_t kept;

		begin(seed, 3);
		deploy_web("1");
		flock_run(&f, SECONDS(20));
		/* The cable is pulled: its tasks go on, and so does it. */
		f.side[2] = 1;
		flock_run(&f, seed % 2 ? SECONDS(8) : SECONDS(60));
		kept = f.stops;
		f.side[2] = 0;
		run_until_well(SECONDS(20), 0);
		flock_run(&f, SECONDS(30)); /* after a minute the load is evened out */
		assert_null(flock_fault(&f, 0));
		/* The two that served all along kept theirs; only the one that was away stopped any. */
		assert_int_equal(tasks_on(0) + tasks_on(1), WEB_REPLICAS);
		assert_true(f.stops > kept);
		flock_end(&f);
	}
}

/* R13: three peers carry eight each of what six shared; they start looking at different moments. */
static void an_uneven_flock_is_evened_out_one_slot_a_minute(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct stack_version *v;
		mono_ms last = 0;

		begin(seed, 6);
		v = deploy(&f, 0, 0);
		v->spec.n_services = 1;
		fill_service(v, 0, "web", 24, "1");
		flock_run(&f, SECONDS(20));
		for (size_t i = 3; i < 6; i++)
			crash_host(&f, i);
		flock_run(&f, SECONDS(40));
		assert_null(flock_fault(&f, 0));
		for (size_t i = 3; i < 6; i++)
			boot_host(&f, i);
		flock_run(&f, SECONDS(20));
		f.starts = 0;
		for (size_t moved = 0; flock_uneven(&f, 0) || moved < 2;) {
			flock_run(&f, 500);
			if (f.starts == moved)
				continue;
			assert_int_equal(f.starts, moved + 1);
			assert_true(!moved || f.now - last >= SECONDS(55)); /* news takes its time */
			moved = f.starts;
			last = f.now;
		}
		flock_end(&f);
	}
}

static void a_pause_shorter_than_suspicion_starts_nothing(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		begin(seed, 4);
		deploy_web("1");
		flock_run(&f, SECONDS(20));
		for (int i = 0; i < 10; i++) {
			f.side[3] = 1;
			flock_run(&f, 4000);
			f.side[3] = 0;
			flock_run(&f, 3000);
		}
		assert_int_equal(f.starts, WEB_REPLICAS);
		assert_int_equal(f.stops, 0);
		flock_end(&f);
	}
}

static void an_agents_restart_moves_nothing(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		begin(seed, 3);
		deploy_web("1");
		flock_run(&f, SECONDS(20));
		agent_stop(&f, 1);
		flock_run(&f, 1000);
		agent_start(&f, 1);
		flock_run(&f, SECONDS(100));
		assert_null(flock_fault(&f, 0));
		assert_int_equal(f.starts, WEB_REPLICAS);
		assert_int_equal(f.stops, 0);
		flock_end(&f);
	}
}

static void an_update_never_takes_two_slots_at_once(void **state)
{
	mono_ms sum = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		mono_ms begun, end;

		begin(seed, 3);
		deploy_web("1");
		flock_run(&f, SECONDS(20));
		deploy_web("2");
		begun = f.now;
		end = f.now + SECONDS(120);
		do {
			flock_run(&f, STEP);
			assert_true(serving_slots(&f, 0, "web", WEB_REPLICAS) >= WEB_REPLICAS - 1);
		} while (flock_fault(&f, 0) && f.now < end);
		assert_null(flock_fault(&f, 0));
		assert_int_equal(f.starts, 2 * WEB_REPLICAS);
		assert_int_equal(f.stops, WEB_REPLICAS);
		sum += f.now - begun;
		flock_end(&f);
	}
	print_message(
	        "update of %d slots one by one: mean %lld ms of 40 (stop 20-1000 ms, start 50-800 ms each)\n",
	        WEB_REPLICAS, (long long)sum / 40);
}

static void scaling_touches_only_what_it_adds_and_removes(void **state)
{
	(void)state;
	begin(7, 3);
	deploy_web("1");
	flock_run(&f, SECONDS(20));
	fill_service(deploy(&f, 0, 1), 0, "web", 9, "1");
	run_until_well(SECONDS(3), 0);
	assert_int_equal(f.starts, 9);
	flock_run(&f, SECONDS(10));
	fill_service(deploy(&f, 0, 2), 0, "web", 2, "1");
	run_until_well(SECONDS(3), 0);
	assert_int_equal(f.starts, 9);
	assert_int_equal(f.stops, 7);
	flock_end(&f);
}

static void a_removed_stack_stops_everywhere(void **state)
{
	(void)state;
	begin(8, 3);
	deploy_web("1");
	flock_run(&f, SECONDS(20));
	deploy(&f, 0, 1)->removed = true;
	flock_run(&f, SECONDS(3));
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(tasks_on(i), 0);
	flock_end(&f);
}

static void who_cannot_start_it_is_passed_over_at_once(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		begin(seed, 3);
		f.fussy_peer = 1;
		deploy(&f, 0, 0)->spec.n_services = 1;
		fill_service(&f.versions[0][1], 0, "fussy", 4, "1");
		run_until_well(3000, 0);
		assert_int_equal(tasks_on(1), 0);
		flock_end(&f);
	}
}

/* Every slot has been served at each step. */
static void run_served(mono_ms most)
{
	for (mono_ms end = f.now + most; f.now < end;) {
		flock_run(&f, STEP);
		assert_int_equal(serving_slots(&f, 0, "web", WEB_REPLICAS), WEB_REPLICAS);
	}
}

static void a_drained_peer_hands_over_all_it_has_and_no_slot_is_ever_without(void **state)
{
	mono_ms sum = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		size_t on;
		mono_ms from;

		begin(seed, 3);
		deploy_web("1");
		flock_run(&f, SECONDS(20));
		on = tasks_on(1);
		assert_true(on > 0);
		from = f.now;
		drain(&f, 1, true);
		while (tasks_on(1) && f.now - from < SECONDS(30))
			run_served(STEP);
		sum += f.now - from;
		assert_int_equal(tasks_on(1), 0);
		run_served(SECONDS(100));
		assert_int_equal(f.starts, WEB_REPLICAS + on);
		assert_int_equal(f.stops, on);
		assert_null(flock_fault(&f, 0));
		/* Its work does not come back by itself at once, and what is new goes there again. */
		drain(&f, 1, false);
		run_served(SECONDS(10));
		assert_int_equal(f.starts, WEB_REPLICAS + on);
		flock_end(&f);
	}
	print_message("drain of a third of six replicas: mean %lld ms of 40 (2 s of it for old answers of DNS)\n",
	        (long long)sum / 40);
}

static void a_target_that_dies_in_a_handover_is_replaced_and_no_slot_is_ever_without(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		mono_ms wait;

		begin(seed, 4);
		deploy_web("1");
		flock_run(&f, SECONDS(20));
		drain(&f, 0, true);
		wait = between(&f, 0, 3000);
		run_served(wait);
		crash_host(&f, 1);
		flock_run(&f, SECONDS(60));
		assert_int_equal(tasks_on(0), 0);
		assert_null(flock_fault(&f, 2));
		flock_end(&f);
	}
}

static void an_owner_that_dies_in_a_handover_leaves_one_task(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		begin(seed, 4);
		deploy_web("1");
		flock_run(&f, SECONDS(20));
		drain(&f, 0, true);
		flock_run(&f, between(&f, 0, 3000));
		if (seed % 2)
			crash_host(&f, 0);
		else
			agent_stop(&f, 0);
		flock_run(&f, SECONDS(30));
		boot_host(&f, 0);
		flock_run(&f, SECONDS(60));
		assert_null(flock_fault(&f, 2));
		assert_int_equal(tasks_on(0), 0);
		flock_end(&f);
	}
}

static void when_all_drain_all_stays_where_it_is(void **state)
{
	(void)state;
	begin(10, 3);
	deploy_web("1");
	flock_run(&f, SECONDS(20));
	for (size_t i = 0; i < 3; i++)
		drain(&f, i, true);
	run_served(SECONDS(60));
	assert_int_equal(f.starts, WEB_REPLICAS);
	assert_int_equal(f.stops, 0);
	flock_end(&f);
}

static void the_last_survivor_takes_what_it_has_room_for(void **state)
{
	(void)state;
	begin(9, 3);
	deploy_web("1");
	f.versions[0][1].services[0].reserve.cpu_milli = 1000;
	flock_run(&f, SECONDS(20));
	crash_host(&f, 0);
	crash_host(&f, 1);
	flock_run(&f, SECONDS(60));
	assert_int_equal(tasks_on(2), 4); /* of 4 cores */
	boot_host(&f, 0);
	boot_host(&f, 1);
	run_until_well(SECONDS(30), 2);
	flock_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_deployment_runs_within_a_second_each_slot_once),
	        cmocka_unit_test(a_lost_hosts_replicas_run_elsewhere_within_seconds),
	        cmocka_unit_test(a_host_that_comes_back_stops_what_moved),
	        cmocka_unit_test(an_uneven_flock_is_evened_out_one_slot_a_minute),
	        cmocka_unit_test(a_pause_shorter_than_suspicion_starts_nothing),
	        cmocka_unit_test(an_agents_restart_moves_nothing),
	        cmocka_unit_test(an_update_never_takes_two_slots_at_once),
	        cmocka_unit_test(scaling_touches_only_what_it_adds_and_removes),
	        cmocka_unit_test(a_removed_stack_stops_everywhere),
	        cmocka_unit_test(who_cannot_start_it_is_passed_over_at_once),
	        cmocka_unit_test(a_drained_peer_hands_over_all_it_has_and_no_slot_is_ever_without),
	        cmocka_unit_test(a_target_that_dies_in_a_handover_is_replaced_and_no_slot_is_ever_without),
	        cmocka_unit_test(an_owner_that_dies_in_a_handover_leaves_one_task),
	        cmocka_unit_test(when_all_drain_all_stays_where_it_is),
	        cmocka_unit_test(the_last_survivor_takes_what_it_has_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
