#include "base/drbg.h"
#include "base/pack.h"
#include "placement/facts.h"
#include "tests/unit/unit.h"

static struct facts full(void)
{
	static struct kv labels[] = {{"rack", "7"}, {"zone", "a"}};
	static const char *features[] = {"teleport"};
	struct facts f = {.name = "kite",
	        .version = "0.1.0",
	        .arch = "amd64",
	        .os = "linux",
	        .cpu_milli = 4000,
	        .memory = 8ULL << 30,
	        .drivers = 1 << DRIVER_EXEC | 1 << DRIVER_OCI,
	        .algorithm = 1,
	        .ready = true,
	        .adopted = true,
	        .started = 1700000000000,
	        .n_addrs = 2,
	        .n_labels = 2,
	        .labels = labels,
	        .n_features = 1,
	        .features = features};

	assert_true(addr_parse_ip(&f.addrs[0], "192.0.2.1"));
	assert_true(addr_parse_ip(&f.addrs[1], "2001:db8::1"));
	return f;
}

static void facts_come_back_as_they_were(void **state)
{
	struct facts f = full(), back;
	struct arena arena;
	struct wr w, again;

	(void)state;
	wr_init(&w, 4096);
	wr_init(&again, 4096);
	arena_init(&arena);
	facts_encode(&w, &f);
	assert_int_equal(facts_decode(&back, &arena, w.p, w.len, NULL), 0);
	facts_encode(&again, &back);
	assert_int_equal(w.len, again.len);
	assert_memory_equal(w.p, again.p, w.len);
	assert_string_equal(back.name, "kite");
	assert_true(back.memory == 8ULL << 30);
	assert_true(back.ready && back.adopted);
	assert_int_equal(back.n_addrs, 2);
	assert_true(addr_eq(&back.addrs[1], &f.addrs[1]));
	assert_string_equal(back.labels[1].key, "zone");
	assert_string_equal(back.features[0], "teleport");
	assert_true(driver_in(back.drivers, DRIVER_OCI));
	assert_false(driver_in(back.drivers, DRIVER_ENGINE));
	wr_free(&w);
	wr_free(&again);
	arena_free(&arena);
}

static void keys_of_a_newer_version_are_stepped_over(void **state)
{
	struct arena arena;
	struct facts f;
	struct wr w;

	(void)state;
	wr_init(&w, 4096);
	pk_map(&w, 3);
	pk_kv_str(&w, "colour", "blue");
	pk_kv_str(&w, "name", "kite");
	pk_str(&w, "wings");
	pk_array(&w, 2);
	pk_nil(&w);
	pk_bool(&w, true);
	arena_init(&arena);
	assert_int_equal(facts_decode(&f, &arena, w.p, w.len, NULL), 0);
	assert_string_equal(f.name, "kite");
	assert_string_equal(f.os, ""); /* never NULL */
	wr_free(&w);
	arena_free(&arena);
}

static void expect_refused(const struct wr *w)
{
	struct arena arena;
	struct facts f;

	arena_init(&arena);
	assert_int_equal(facts_decode(&f, &arena, w->p, w->len, NULL), -1);
	/* Nothing half-read is left behind. */
	assert_int_equal(f.n_labels + f.n_addrs + f.n_features, 0);
	assert_string_equal(f.name, "");
	arena_free(&arena);
}

static void facts_beyond_their_bounds_are_refused(void **state)
{
	struct facts f = full();
	struct wr w;

	(void)state;
	wr_init(&w, 65536);
	f.name = "Kite";
	facts_encode(&w, &f);
	expect_refused(&w);

	f = full();
	f.cpu_milli = SPEC_CPU_MILLI_MAX + 1;
	wr_reset(&w);
	facts_encode(&w, &f);
	expect_refused(&w);

	f = full();
	f.labels = (struct kv[]){{"b", ""}, {"a", ""}};
	wr_reset(&w);
	facts_encode(&w, &f);
	expect_refused(&w);

	wr_reset(&w);
	pk_map(&w, 2);
	pk_str(&w, "labels");
	pk_map(&w, FACTS_LABELS_MAX + 1);
	for (int i = 0; i <= FACTS_LABELS_MAX; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%02d", i);
		pk_kv_str(&w, key, "");
	}
	pk_kv_str(&w, "name", "kite");
	expect_refused(&w);

	wr_reset(&w);
	pk_map(&w, 1);
	pk_str(&w, "addrs");
	pk_array(&w, 1);
	pk_bin(&w, "\x04\0\0\x01", 4);
	expect_refused(&w);
	wr_free(&w);
}

static void every_truncation_is_refused(void **state)
{
	struct facts f = full();
	struct wr w;

	(void)state;
	wr_init(&w, 4096);
	facts_encode(&w, &f);
	for (size_t len = 0; len < w.len; len++) {
		cleanup_free uint8_t *exact = xmemdup(w.p, len);
		struct wr cut = {.p = exact, .len = len};

		expect_refused(&cut);
	}
	wr_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(facts_come_back_as_they_were),
	        cmocka_unit_test(keys_of_a_newer_version_are_stepped_over),
	        cmocka_unit_test(facts_beyond_their_bounds_are_refused),
	        cmocka_unit_test(every_truncation_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
