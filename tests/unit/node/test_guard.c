/* How often one source may ask: pure, so time is a number here. */
#include "tests/unit/unit.h"

#include "node/net/guard.h"

static const uint8_t secret[16] = {1, 2, 3};

static struct addr v4(uint32_t ip)
{
	return (struct addr){
	        .family = 4, .ip = {(uint8_t)(ip >> 24), (uint8_t)(ip >> 16), (uint8_t)(ip >> 8), (uint8_t)ip}};
}

static unsigned take_all(struct guard *g, const struct addr *a, mono_ms now)
{
	unsigned n = 0;

	while (n < 1000 && guard_take(g, a, now))
		n++;
	return n;
}

static void a_source_has_a_burst_and_then_its_rate(void **state UNUSED)
{
	struct addr a = v4(0x7f000001);
	struct guard g;
	unsigned n = 0;

	guard_init(&g, 10, secret);
	assert_int_equal(take_all(&g, &a, 5000), 20);
	assert_int_equal(take_all(&g, &a, 5099), 0);
	assert_int_equal(take_all(&g, &a, 5100), 1);
	/* Asked every millisecond for ten seconds, it gets ten a second: asking more buys nothing. */
	for (mono_ms now = 5101; now <= 15100; now++)
		n += guard_take(&g, &a, now);
	assert_int_equal(n, 100);
	assert_int_equal(take_all(&g, &a, 1000000), 20); /* a long rest saves up no more than a burst */
}

static void sources_do_not_share(void **state UNUSED)
{
	struct addr a = v4(0x0a000001), b = v4(0x0a000002);
	struct guard g;

	guard_init(&g, 1, secret);
	assert_int_equal(take_all(&g, &a, 0), 2);
	assert_int_equal(take_all(&g, &b, 0), 2);
	a.port = 99; /* a source is an address, whatever its port */
	assert_int_equal(take_all(&g, &a, 0), 0);
}

static void an_ipv6_host_counts_once_for_its_network(void **state UNUSED)
{
	struct addr a = {.family = 6, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
	struct addr same = a, other = a;
	struct guard g;

	same.ip[15] = 2;
	other.ip[7] = 1;
	guard_init(&g, 1, secret);
	assert_int_equal(take_all(&g, &a, 0), 2);
	assert_int_equal(take_all(&g, &same, 0), 0);
	assert_int_equal(take_all(&g, &other, 0), 2);
}

static void a_flood_of_sources_forgets_the_quiet_ones_first(void **state UNUSED)
{
	struct addr busy = v4(0x0a000001);
	struct guard g;

	guard_init(&g, 1, secret);
	assert_int_equal(take_all(&g, &busy, 0), 2);
	for (uint32_t i = 0; i < 20000; i++) {
		struct addr a = v4(0xc0000000 + i);

		assert_true(guard_take(&g, &a, 1 + i / 100));
		/* It keeps asking, so it is remembered, and gets no fresh burst out of the flood. */
		if (i % 2 == 0)
			assert_false(guard_take(&g, &busy, 1 + i / 100));
	}
}

static void time_that_stands_still_or_steps_back_gives_nothing(void **state UNUSED)
{
	struct addr a = v4(1);
	struct guard g;

	guard_init(&g, 1, secret);
	assert_int_equal(take_all(&g, &a, 10000), 2);
	assert_int_equal(take_all(&g, &a, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_source_has_a_burst_and_then_its_rate),
	        cmocka_unit_test(sources_do_not_share),
	        cmocka_unit_test(an_ipv6_host_counts_once_for_its_network),
	        cmocka_unit_test(a_flood_of_sources_forgets_the_quiet_ones_first),
	        cmocka_unit_test(time_that_stands_still_or_steps_back_gives_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
