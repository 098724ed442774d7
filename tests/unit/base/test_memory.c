/* Arenas, lists, maps, errors, logs: what every other part stands on. */
#include "tests/unit/unit.h"

#include "base/arena.h"
#include "base/drbg.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"

#include <errno.h>

static void an_arena_gives_zeroed_aligned_memory_that_stays(void **state)
{
	struct arena a;
	uint8_t *piece[300];
	struct drbg rng;

	(void)state;
	drbg_init_u64(&rng, 1, 0);
	arena_init(&a);
	for (size_t i = 0; i < ARRAY_LEN(piece); i++) {
		size_t len = 1 + drbg_below(&rng, i % 50 == 0 ? 20000 : 200);

		piece[i] = arena_alloc(&a, len);
		assert_int_equal((uintptr_t)piece[i] % _Alignof(max_align_t), 0);
		for (size_t k = 0; k < len; k++)
			assert_int_equal(piece[i][k], 0);
		memset(piece[i], (int)(i & 0xff), len);
	}
	for (size_t i = 0; i < ARRAY_LEN(piece); i++)
		assert_int_equal(piece[i][0], i & 0xff);
	assert_true(a.used > 0);
	assert_string_equal(arena_printf(&a, "%s-%d", "slot", 7), "slot-7");
	assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
	arena_free(&a);
	assert_true(a.used == 0 && !a.blocks);
}

struct item {
	int n;
	struct list link;
};

static void a_list_can_be_emptied_while_it_is_walked(void **state)
{
	struct list l;
	struct item items[5];
	int sum = 0;

	(void)state;
	list_init(&l);
	assert_true(list_empty(&l));
	for (int i = 0; i < 5; i++) {
		items[i].n = i;
		if (i % 2)
			list_push_front(&l, &items[i].link);
		else
			list_push_back(&l, &items[i].link);
	}
	assert_int_equal(list_entry(l.next, struct item, link)->n, 3);
	assert_int_equal(list_entry(l.prev, struct item, link)->n, 4);
	list_each (&l, at) {
		sum = sum * 10 + list_entry(at, struct item, link)->n;
		list_remove(at);
	}
	assert_int_equal(sum, 31024);
	assert_true(list_empty(&l));
	list_remove(&items[0].link); /* once more does no harm */
}

/* A long random history of puts and deletes against an array that remembers. */
static void a_map_agrees_with_a_plain_array(void **state)
{
	static int value[512];
	int *model[512] = {0};
	size_t len = 0;
	uint8_t secret[16] = {9};
	struct map m;
	struct drbg rng;

	(void)state;
	drbg_init_u64(&rng, 11, 0);
	map_init(&m, 2, secret);
	for (int round = 0; round < 50000; round++) {
		uint16_t k = (uint16_t)drbg_below(&rng, 512);
		int *want = model[k];

		switch (drbg_below(&rng, 3)) {
		case 0:
			model[k] = &value[drbg_below(&rng, 512)];
			len += !want;
			assert_ptr_equal(map_put(&m, &k, model[k]), want);
			break;
		case 1:
			model[k] = NULL;
			len -= want != NULL;
			assert_ptr_equal(map_del(&m, &k), want);
			break;
		default:
			assert_ptr_equal(map_get(&m, &k), want);
		}
		assert_int_equal(m.len, len);
	}
	size_t at = 0, seen = 0;
	const void *key;
	for (void *v; (v = map_next(&m, &at, &key)); seen++) {
		uint16_t k;

		memcpy(&k, key, sizeof(k));
		assert_ptr_equal(v, model[k]);
	}
	assert_int_equal(seen, len);
	map_free(&m);
}

static void an_error_gathers_context_on_its_way_up(void **state)
{
	struct err err = {0};
	char name[2 * ERR_TEXT_MAX];

	(void)state;
	errno = ENOENT;
	assert_int_equal(err_errno(&err, "open %s", "/x/key"), -1);
	assert_int_equal(err.code, ERR_FAILED);
	err.code = ERR_UNAUTHORISED;
	assert_int_equal(err_wrap(&err, "load %s", "key"), -1);
	assert_string_equal(err.text, "load key: open /x/key: No such file or directory");
	assert_int_equal(err.code, ERR_UNAUTHORISED);
	/* Too long is cut, not overrun; nobody reading it is allowed. */
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	err_set(&err, ERR_USAGE, "%s", name);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	err_wrap(&err, "%s", name);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_int_equal(err_set(NULL, ERR_USAGE, "unread"), -1);
	assert_int_equal(err_wrap(NULL, "unread"), -1);
}

static enum log_level logged_level;
static char logged[LOG_TEXT_MAX];

static void remember(enum log_level level, const char *area, const char *text)
{
	logged_level = level;
	snprintf(logged, sizeof(logged), "%s: %.900s", area, text);
}

static void a_log_line_reaches_the_sink_when_it_matters(void **state)
{
	(void)state;
	log_set(remember, LOG_WARN);
	log_info("task", "started");
	assert_string_equal(logged, "");
	log_error("task", "%s ended with %d", "web/0", 7);
	assert_string_equal(logged, "task: web/0 ended with 7");
	assert_int_equal(logged_level, LOG_ERROR);
	log_set(NULL, LOG_DEBUG);
	log_error("task", "nobody hears this");
	assert_string_equal(logged, "task: web/0 ended with 7");
}

/* The first vector of the SipHash paper's appendix A: key 00..0f, input 00..0e. */
static void siphash_is_siphash(void **state)
{
	uint8_t key[16], in[15];

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	for (uint8_t i = 0; i < 15; i++)
		in[i] = i;
	assert_true(siphash(key, in, sizeof(in)) == 0xa129ca6149be45e5);
}

static void hashed_pieces_do_not_run_into_each_other(void **state)
{
	struct key32 ab_c, a_bc, other;

	(void)state;
	hash_pieces(&ab_c, "test 1", (struct hash_piece[]){{"ab", 2}, {"c", 1}}, 2);
	hash_pieces(&a_bc, "test 1", (struct hash_piece[]){{"a", 1}, {"bc", 2}}, 2);
	hash_pieces(&other, "test 2", (struct hash_piece[]){{"ab", 2}, {"c", 1}}, 2);
	assert_false(key32_eq(&ab_c, &a_bc));
	assert_false(key32_eq(&ab_c, &other));
	hash32(&other, "", 0);
	assert_false(key32_is_zero(&other));
}

static void the_generator_stays_within_its_bounds(void **state)
{
	struct drbg rng;
	unsigned seen[7] = {0};

	(void)state;
	drbg_init_u64(&rng, 5, 1);
	for (int i = 0; i < 7000; i++)
		seen[drbg_below(&rng, 7)]++;
	for (int i = 0; i < 7; i++)
		assert_in_range(seen[i], 800, 1200);
	assert_int_equal(drbg_below(&rng, 0), 0);
	assert_int_equal(drbg_below(&rng, 1), 0);
	for (int i = 0; i < 1000; i++)
		assert_in_range(drbg_jitter(&rng, 1000, 20), 800, 1200);
	assert_int_equal(drbg_jitter(&rng, 1000, 0), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(an_arena_gives_zeroed_aligned_memory_that_stays),
	        cmocka_unit_test(a_list_can_be_emptied_while_it_is_walked),
	        cmocka_unit_test(a_map_agrees_with_a_plain_array),
	        cmocka_unit_test(an_error_gathers_context_on_its_way_up),
	        cmocka_unit_test(a_log_line_reaches_the_sink_when_it_matters),
	        cmocka_unit_test(siphash_is_siphash),
	        cmocka_unit_test(hashed_pieces_do_not_run_into_each_other),
	        cmocka_unit_test(the_generator_stays_within_its_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
