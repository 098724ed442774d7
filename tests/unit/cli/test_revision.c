/* What may be signed again, and what may not. */
#include "tests/unit/unit.h"

#include "cli/revision.h"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(powers_are_not_lent_by_signing_again),
	        cmocka_unit_test(what_its_author_may_run_is_signed_again_by_others),
	        cmocka_unit_test(an_author_signs_its_own_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
