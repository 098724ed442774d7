/* What an agent refuses at the door of its store. */
#include "tests/unit/gossip/flock.h"

#include "base/pack.h"
#include "node/control/submit_check.h"
#include "placement/settings.h"
#include "placement/spec/spec.h"

#define CI 40

struct scene {
	struct flock f;
	struct store *st;
	struct trust *t;
};

/* CI may deploy anything, with these powers. */
static struct scene scene_new(uint32_t powers)
{
	struct scene s = {.f = flock_new()};
	struct grant g = {.operator_key = actor(CI).key, .role = ROLE_DEPLOY, .powers = powers, .name = "ci"};
	struct packed p;

	s.st = flock_store(&s.f);
	s.t = trust_new(&s.f.id);
	p = make_grant(&s.f.id, &g, &s.f.admin, 11);
	assert_int_equal(put(s.st, &p, true), STORE_NEW);
	packed_free(&p);
	trust_evaluate(s.t, s.st);
	return s;
}

static void scene_free(struct scene *s)
{
	trust_free(s->t);
	store_free(s->st);
	flock_free(&s->f);
}

static int submit(struct scene *s, const char *stack, const struct wr *body, struct err *err)
{
	struct actor ci = actor(CI);
	struct record rec = {.kind = REC_REVISION, .stamp = 50, .body = body->p, .body_len = (uint32_t)body->len};

	text_copy(rec.name, sizeof(rec.name), stack);
	record_sign(&rec, &s->f.id, ci.secret);
	return submit_check(s->t, &rec, err);
}

/* The spec of stack `shop`: one service that runs as this user. */
static struct wr spec_of(const char *user)
{
	const char *argv[] = {"/bin/true"};
	struct service web;
	struct spec spec = {.name = "shop", .n_services = 1, .services = &web};
	struct wr w;

	service_defaults(&web);
	web.name = "web";
	web.user = user;
	web.n_command = 1;
	web.command = argv;
	wr_init(&w, 4096);
	spec_encode(&w, &spec);
	return w;
}

static void a_spec_that_asks_for_no_power_is_taken(void **state)
{
	struct scene s = scene_new(0);
	struct wr body = spec_of("www-data");
	struct err err = {0};

	(void)state;
	if (submit(&s, "shop", &body, &err) < 0)
		fail_msg("%s", err.text);
	wr_free(&body);
	scene_free(&s);
}

static void a_power_that_the_author_lacks_is_refused_by_name(void **state)
{
	struct scene s = scene_new(0);
	struct wr body = spec_of("root");
	struct err err = {0};

	(void)state;
	assert_int_equal(submit(&s, "shop", &body, &err), -1);
	assert_int_equal(err.code, ERR_UNAUTHORISED);
	assert_non_null(
	        strstr(err.text, "stack shop: service web needs the power exec-as-root, which key ci does"));
	scene_free(&s);
	s = scene_new(POWER_EXEC_AS_ROOT);
	assert_int_equal(submit(&s, "shop", &body, &err), 0);
	wr_free(&body);
	scene_free(&s);
}

static void a_spec_of_another_name_is_refused(void **state)
{
	struct scene s = scene_new(0);
	struct wr body = spec_of(NULL);
	struct err err = {0};

	(void)state;
	assert_int_equal(submit(&s, "other", &body, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
	wr_free(&body);
	scene_free(&s);
}

static void a_spec_that_cannot_be_read_is_refused(void **state)
{
	struct scene s = scene_new(0);
	struct wr body = spec_of(NULL);
	struct err err = {0};

	(void)state;
	body.len--;
	assert_int_equal(submit(&s, "shop", &body, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
	body.len = 0;
	assert_int_equal(submit(&s, "shop", &body, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
	wr_free(&body);
	scene_free(&s);
}

static int submit_grant(struct scene *s, const struct grant *g, const struct actor *by, struct err *err)
{
	struct packed p = make_grant(&s->f.id, g, by, 60);
	struct record rec;
	int rc;

	assert_int_equal(record_decode(&rec, p.w.p, p.w.len, NULL), 0);
	rc = submit_check(s->t, &rec, err);
	packed_free(&p);
	return rc;
}

/* Only a key above the one that revoked it brings a key back. */
static void a_grant_to_a_revoked_key_is_refused(void **state)
{
	struct scene s = scene_new(0);
	struct grant g = {.operator_key = actor(CI).key, .role = ROLE_DEPLOY, .name = "ci2"};
	struct grant fresh = {.operator_key = actor(CI + 1).key, .role = ROLE_DEPLOY, .name = "new"};
	struct wr w = record_wr();
	struct err err = {0};
	struct packed p;

	(void)state;
	assert_int_equal(submit_grant(&s, &g, &s.f.admin, &err), 0); /* grants add up */
	trust_make_revocation(&w, &s.f.id, &g.operator_key, NULL, 0, 20, NULL, 0, s.f.admin.secret);
	p = packed_of(w);
	assert_int_equal(put(s.st, &p, true), STORE_NEW);
	packed_free(&p);
	trust_evaluate(s.t, s.st);
	assert_int_equal(submit_grant(&s, &g, &s.f.admin, &err), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_non_null(strstr(err.text, "was revoked"));
	assert_non_null(strstr(err.text, "starling key new"));
	assert_int_equal(submit_grant(&s, &fresh, &s.f.admin, &err), 0);
	/* The root stands above that revocation: its grant holds, as the tree says. */
	assert_int_equal(submit_grant(&s, &g, &s.f.root, &err), 0);
	p = make_grant(&s.f.id, &g, &s.f.root, 70);
	assert_int_equal(put(s.st, &p, true), STORE_NEW);
	packed_free(&p);
	trust_evaluate(s.t, s.st);
	assert_non_null(trust_operator(s.t, &g.operator_key));
	scene_free(&s);
}

static void a_doubted_clock_stamps_nothing_unless_forced(void **state)
{
	struct gossip_clock clock = {.others = 4, .offset_ms = -(3 * 60 + 12) * 1000};
	struct err err = {0};

	(void)state;
	assert_int_equal(clock_check(&clock, "edge-7", false, &err), 0);
	clock.doubted = true;
	assert_int_equal(clock_check(&clock, "edge-7", true, &err), 0);
	assert_int_equal(clock_check(&clock, "edge-7", false, &err), -1);
	assert_int_equal(err.code, ERR_FAILED);
	/* The peer, by how much and which way, and what to do. */
	assert_non_null(strstr(err.text, "edge-7"));
	assert_non_null(strstr(err.text, "3 min 12 s behind"));
	assert_non_null(strstr(err.text, "--peer"));
	assert_non_null(strstr(err.text, "--force-clock"));
}

static int submit_setting(struct scene *s, const char *name, const struct wr *body, int who, struct err *err)
{
	struct setting_text text = {.name = name, .body = body->p, .body_len = body->len};
	struct actor ci = actor(CI);
	struct record rec;
	struct wr w;
	int rc;

	wr_init(&w, RECORD_BYTES_MAX);
	trust_make_setting(&w, &s->f.id, &text, 60, NULL, 0, who == CI ? ci.secret : s->f.admin.secret);
	assert_int_equal(record_decode(&rec, w.p, w.len, err), 0);
	assert_true(record_verify(&rec, &s->f.id));
	rc = submit_check(s->t, &rec, err);
	wr_free(&w);
	return rc;
}

static void only_an_admin_drains_a_peer(void **state)
{
	struct scene s = scene_new(POWER_ALL);
	struct err err = {0};
	struct wr body;

	(void)state;
	wr_init(&body, 64);
	drain_encode(&body, true);
	assert_int_equal(submit_setting(&s, "drain/00000000000000aa", &body, CI, &err), -1);
	assert_int_equal(err.code, ERR_UNAUTHORISED);
	if (submit_setting(&s, "drain/00000000000000aa", &body, 0, &err) < 0)
		fail_msg("%s", err.text);
	wr_free(&body);
	scene_free(&s);
}

static void a_setting_names_what_it_replaces_and_what_its_author_signed_last(void **state)
{
	struct scene s = scene_new(0);
	struct key32 parents[2] = {{{1}}, {{2}}}, prev = {{3}};
	struct setting_text text = {.name = "drain/00000000000000aa", .parents = parents, .n_parents = 2};
	struct record rec;
	struct err err;
	struct wr body, w;

	(void)state;
	wr_init(&body, 64);
	drain_encode(&body, false);
	text.body = body.p;
	text.body_len = body.len;
	wr_init(&w, RECORD_BYTES_MAX);
	trust_make_setting(&w, &s.f.id, &text, 60, &prev, 1, s.f.admin.secret);
	assert_int_equal(record_decode(&rec, w.p, w.len, &err), 0);
	assert_int_equal(rec.kind, REC_SETTING);
	assert_string_equal(rec.name, text.name);
	assert_int_equal(rec.n_parents, 2);
	assert_memory_equal(rec.parents, parents, sizeof(parents));
	assert_int_equal(rec.n_prev, 1);
	assert_memory_equal(rec.prev, &prev, sizeof(prev));
	assert_int_equal(rec.stamp, 60);
	wr_free(&body);
	wr_free(&w);
	scene_free(&s);
}

static void a_setting_that_nobody_would_heed_is_refused(void **state)
{
	static const char *const names[] = {
	        "labels/00000000000000aa", "voters", "rebalance", "drain/aa", "drain", "speed"};
	struct scene s = scene_new(0);
	struct err err = {0};
	struct wr body;

	(void)state;
	wr_init(&body, 64);
	pk_str(&body, "not what any of these takes");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(submit_setting(&s, names[i], &body, 0, &err), -1);
		assert_non_null(strstr(err.text, names[i]));
	}
	wr_free(&body);
	scene_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(only_an_admin_drains_a_peer),
	        cmocka_unit_test(a_setting_names_what_it_replaces_and_what_its_author_signed_last),
	        cmocka_unit_test(a_setting_that_nobody_would_heed_is_refused),
	        cmocka_unit_test(a_grant_to_a_revoked_key_is_refused),
	        cmocka_unit_test(a_doubted_clock_stamps_nothing_unless_forced),
	        cmocka_unit_test(a_spec_that_asks_for_no_power_is_taken),
	        cmocka_unit_test(a_power_that_the_author_lacks_is_refused_by_name),
	        cmocka_unit_test(a_spec_of_another_name_is_refused),
	        cmocka_unit_test(a_spec_that_cannot_be_read_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
