/*
 * What any history of a flock comes to: a quiet, connected flock has exactly one owner per placeable slot, it is evened
 * out, and it stays so. A history that breaks the law is made as short as it gets (shrink.h), and then told.
 * STARLING_TEST_SEED=N replays one history, STARLING_TEST_SECONDS bounds the search, STARLING_TEST_CHATTY=1 tells all.
 */
#include "tests/unit/node/flock.h"
#include "tests/unit/shrink.h"

#include <time.h>

/* Events of a history, at most. */
#define EVENTS_MAX 14

static struct flock f;
static uint64_t seed;
static bool told;

static void random_deploy(void)
{
	static const char *const names[] = {"api", "fussy", "web"};
	static const char *const whats[] = {"1", "2", "3"};
	size_t s = (size_t)draw(STACKS), at = (size_t)draw(f.n);
	struct stack_version *v;

	if (!f.peers[at].agent_up || f.now < f.peers[at].ready_at || f.n_revisions + 1 >= REVISIONS_MAX)
		return;
	v = deploy(&f, s, at);
	if (f.chatty)
		printf("%8lld deploy %s at p%zu\n", (long long)f.now, flock_stacks[s], at);
	if (chance(5)) {
		v->removed = true;
		return;
	}
	v->spec.n_services = 1 + (size_t)draw(SERVICES_MAX);
	for (size_t k = 0; k < v->spec.n_services; k++) {
		fill_service(v, k, names[k], (uint32_t)draw(5), whats[draw(3)]);
		if (chance(4))
			v->services[k].reserve.cpu_milli = 800;
		if (chance(5))
			v->services[k].max_replicas_per_node = 1;
		if (chance(6))
			v->services[k].mode = MODE_GLOBAL;
		if (chance(4))
			v->services[k].parallelism = 2;
	}
}

static void tell(size_t i, const char *what)
{
	if (f.chatty)
		printf("%8lld p%zu %s\n", (long long)f.now, i, what);
}

static void random_event(void)
{
	size_t i = (size_t)draw(f.n);

	switch (draw(9)) {
	case 0:
		tell(i, "is lost");
		crash_host(&f, i);
		break;
	case 1:
	case 2:
		tell(i, "boots, unless it is up");
		boot_host(&f, i);
		break;
	case 3:
		if (!f.peers[i].host_up || !f.peers[i].agent_up)
			break;
		tell(i, "loses its agent");
		agent_stop(&f, i);
		break;
	case 4:
		for (size_t k = 0; k < f.n; k++) {
			f.side[k] = (int)draw(2);
			tell(k, f.side[k] ? "is on the other side of a split" : "is on this side of a split");
		}
		break;
	case 5:
		tell(i, "and all others are together again");
		memset(f.side, 0, sizeof(f.side));
		break;
	case 6:
		tell(i, f.drains[i] ? "resumes" : "drains");
		drain(&f, i, !f.drains[i]);
		break;
	default:
		random_deploy();
	}
}

static void heal(void)
{
	memset(f.side, 0, sizeof(f.side));
	for (size_t i = 0; i < f.n; i++)
		boot_host(&f, i);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void clean_up(void)
{
	flock_end(&f);
}

static void each_slot_has_one_owner(void)
{
	size_t n = 1 + (size_t)draw(PEERS_MAX);

	flock_start(&f, seed, n);
	f.chatty |= told;
	f.fussy_peer = chance(2) ? (int)draw(n) : -1;
	flock_run(&f, SECONDS(10));
	random_deploy();
	for (uint64_t events = draw(EVENTS_MAX + 1); events > 0; events--) {
		random_event();
		flock_run(&f, (mono_ms)draw(SECONDS(12)));
	}
	heal();
	flock_run(&f, SECONDS(150));
	/* Evening out goes on for a while, one handover after the other. */
	for (mono_ms until = f.now + MINUTES(15); (flock_uneven(&f, 0) || flock_fault(&f, 0)) && f.now < until;)
		flock_run(&f, SECONDS(10));
	if (flock_fault(&f, 0)) {
		snprintf(tape.why, sizeof(tape.why), "%s", flock_fault(&f, 0));
		longjmp(tape.back, 1);
	}
	LAW(!flock_uneven(&f, 0));
	flock_run(&f, SECONDS(10));
	f.starts = f.stops = 0;
	flock_run(&f, SECONDS(30));
	LAW(!f.starts && !f.stops);
}

static void after_any_history_each_slot_has_one_owner(void **state)
{
	const char *one = getenv("STARLING_TEST_SEED"), *limit = getenv("STARLING_TEST_SECONDS");
	double end = seconds() + (limit ? atof(limit) : 5.0);
	size_t n = 0;

	(void)state;
	for (seed = one ? strtoull(one, NULL, 10) : 1; n == 0 || (!one && seconds() < end); seed++, n++) {
		drbg_init_u64(&tape.rng, seed, 0);
		tape.n = 0;
		tape.replay = false;
		if (!law_fails(each_slot_has_one_owner, clean_up))
			continue;
		print_message("seed %llu: %s; made short:\n", (unsigned long long)seed, tape.why);
		clean_up();
		shrink(each_slot_has_one_owner, clean_up, seconds);
		clean_up();
		told = true;
		law_fails(each_slot_has_one_owner, clean_up);
		fail_msg("seed %llu: %zu peers: %s", (unsigned long long)seed, f.n, tape.why);
	}
	print_message("%zu random histories\n", n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(after_any_history_each_slot_has_one_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
