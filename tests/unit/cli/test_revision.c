/* What may be signed again, and what may not. */
#include "tests/unit/unit.h"

#include "cli/revision.h"
#include "gossip/store/record.h"
#include "gossip/trust/trust.h"

/* A head that key 1 wrote: one service, which runs as this user. */
static struct stack_head head_of(struct service *s, const char *user, uint32_t author_powers)
{
	struct stack_head h = {.exists = true, .have_spec = true, .author_powers = author_powers};

	service_defaults(s);
	s->name = "db";
	s->user = user;
	h.author.b[0] = 1;
	snprintf(h.author_name, sizeof(h.author_name), "ci");
	h.spec = (struct spec){.name = "shop", .n_services = 1, .services = s};
	return h;
}

static void powers_are_not_lent_by_signing_again(void **state)
{
	struct key32 admin = {.b = {2}};
	struct service s;
	struct stack_head h = head_of(&s, "root", 0);
	struct err err = {0};

	(void)state;
	assert_int_equal(stack_head_may_resign(&h, "shop", &admin, &err), -1);
	assert_int_equal(err.code, ERR_UNAUTHORISED);
	assert_non_null(strstr(err.text, "service db"));
	assert_non_null(strstr(err.text, "exec-as-root"));
	assert_non_null(strstr(err.text, "author ci"));
}

static void what_its_author_may_run_is_signed_again_by_others(void **state)
{
	struct key32 admin = {.b = {2}};
	struct service s;
	struct stack_head h = head_of(&s, "root", POWER_EXEC_AS_ROOT);

	(void)state;
	assert_int_equal(stack_head_may_resign(&h, "shop", &admin, NULL), 0);
	h = head_of(&s, "www-data", 0);
	assert_int_equal(stack_head_may_resign(&h, "shop", &admin, NULL), 0);
}

static void an_author_signs_its_own_again(void **state)
{
	struct service s;
	struct stack_head h = head_of(&s, "root", 0);

	(void)state;
	assert_int_equal(stack_head_may_resign(&h, "shop", &h.author, NULL), 0);
}

/* A record of stack "shop" as an agent would give it. */
static size_t make_record(uint8_t out[4096], struct key32 *id, const char *name, const struct key32 *flock)
{
	struct record r = {.kind = REC_REVISION, .stamp = 5};
	struct service s;
	struct spec spec = {.name = "shop", .n_services = 1, .services = &s};
	uint8_t seed[32] = {5};
	struct keypair key;
	struct wr body, w;

	service_defaults(&s);
	s.name = "db";
	s.image = "db";
	keypair_from_seed(&key, seed);
	wr_init(&body, BODY_BYTES_MAX);
	spec_encode(&body, &spec);
	snprintf(r.name, sizeof(r.name), "%s", name);
	r.body = body.p;
	r.body_len = (uint32_t)body.len;
	record_sign(&r, flock, key.secret);
	wr_fixed(&w, out, 4096);
	record_encode(&w, &r);
	*id = r.id;
	wr_free(&body);
	return w.len;
}

/* Whatever the agent says, only what some key signed as a revision of that stack in that flock is taken. */
static void the_agents_word_on_a_spec_is_not_taken(void **state)
{
	struct key32 flock = {.b = {9}}, other = {.b = {8}}, id;
	uint8_t bytes[4096], foreign[4096];
	struct stack_head h = {.exists = true};
	struct err err = {0};
	struct arena arena;
	size_t len, refused = 0;

	(void)state;
	arena_init(&arena);
	len = make_record(bytes, &id, "shop", &flock);
	h.asked = id;
	if (stack_head_take(&h, "shop", &flock, bytes, len, &arena, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(h.have_spec);
	assert_int_equal(stack_head_take(&h, "shop", &flock, NULL, 0, &arena, &err), 0);
	h = (struct stack_head){.asked = id};
	assert_int_equal(stack_head_take(&h, "db", &flock, bytes, len, &arena, &err), -1);
	assert_int_equal(stack_head_take(&h, "shop", &other, bytes, len, &arena, &err), -1);
	assert_int_equal(err.code, ERR_UNAUTHORISED);
	h.asked = other;
	assert_int_equal(stack_head_take(&h, "shop", &flock, bytes, len, &arena, &err), -1);
	assert_false(h.have_spec);
	for (size_t i = 0; i < len; i++) {
		memcpy(foreign, bytes, len);
		foreign[i] ^= 1;
		h = (struct stack_head){.asked = id};
		refused += stack_head_take(&h, "shop", &flock, foreign, len, &arena, NULL) < 0;
	}
	assert_int_equal(refused, len);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(powers_are_not_lent_by_signing_again),
	        cmocka_unit_test(what_its_author_may_run_is_signed_again_by_others),
	        cmocka_unit_test(an_author_signs_its_own_again),
	        cmocka_unit_test(the_agents_word_on_a_spec_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
