/* When has a deployment arrived? Told from rows of `ps` alone. */
#include "tests/unit/unit.h"

#include "cli/slots.h"
#include "placement/place.h"

#define NEW "00000000000000aa"
#define OLD "00000000000000bb"

struct world {
	struct arena arena;
	struct service services[2];
	struct spec spec;
	json_t *rows;
	struct slots got;
};

static void begin(struct world *w, uint32_t web, enum spec_mode other)
{
	memset(w, 0, sizeof(*w));
	arena_init(&w->arena);
	service_defaults(&w->services[0]);
	service_defaults(&w->services[1]);
	w->services[0].name = "web";
	w->services[0].replicas = web;
	w->services[1].name = "all";
	w->services[1].mode = other;
	w->spec = (struct spec){.name = "s", .n_services = other == MODE_GLOBAL ? 2 : 1, .services = w->services};
	w->rows = json_array();
}

static void row(struct world *w, const char *service, int slot, const char *revision, const char *state,
        const char *health)
{
	json_t *r = json_pack("{s:s, s:i, s:s, s:s, s:s, s:s}", "service", service, "slot", slot, "revision",
	        revision, "state", state, "health", health, "task", "t");

	if (strcmp(state, "pending") == 0)
		json_object_set_new(r, "task", json_null());
	json_array_append_new(w->rows, r);
}

static const struct slots *count(struct world *w)
{
	slots_count(&w->got, &w->spec, NEW, w->rows, &w->arena);
	return &w->got;
}

static void end(struct world *w)
{
	json_decref(w->rows);
	arena_free(&w->arena);
}

static void a_running_task_without_a_check_is_settled(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 2, MODE_REPLICATED);
	row(&w, "web", 0, NEW, "running", "none");
	assert_false(count(&w)->done);
	row(&w, "web", 1, NEW, "running", "healthy");
	assert_true(count(&w)->done);
	assert_int_equal(w.got.services[0].settled, 2);
	end(&w);
}

static void an_unproved_or_unhealthy_task_is_not(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, MODE_REPLICATED);
	row(&w, "web", 0, NEW, "running", "starting");
	assert_false(count(&w)->done);
	assert_int_equal(w.got.services[0].running, 1);
	end(&w);
	begin(&w, 1, MODE_REPLICATED);
	row(&w, "web", 0, NEW, "unhealthy", "unhealthy");
	assert_false(count(&w)->done);
	end(&w);
}

static void tasks_of_the_revision_before_do_not_count(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 2, MODE_REPLICATED);
	row(&w, "web", 0, OLD, "running", "healthy");
	row(&w, "web", 1, OLD, "running", "healthy");
	assert_false(count(&w)->done);
	assert_int_equal(w.got.seen, 0);
	row(&w, "web", 0, NEW, "running", "healthy");
	assert_false(count(&w)->done);
	assert_int_equal(w.got.services[0].settled, 1);
	end(&w);
}

static void two_tasks_of_one_slot_count_once(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 2, MODE_REPLICATED);
	row(&w, "web", 0, NEW, "running", "none");
	row(&w, "web", 0, NEW, "running", "none");
	assert_false(count(&w)->done);
	assert_int_equal(w.got.services[0].settled, 1);
	end(&w);
}

static void what_is_done_need_not_run(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, MODE_REPLICATED);
	row(&w, "web", 0, NEW, "done", "none");
	assert_true(count(&w)->done);
	end(&w);
}

static void slots_without_a_peer_and_tasks_that_gave_up_are_told(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 3, MODE_REPLICATED);
	row(&w, "web", 0, NEW, "pending", "none");
	row(&w, "web", 1, NEW, "failed", "none");
	row(&w, "web", 2, OLD, "failed", "none");
	assert_false(count(&w)->done);
	assert_int_equal(w.got.unplaced, 1);
	assert_int_equal(w.got.failed, 1);
	assert_true(slots_row_lags(json_array_get(w.rows, 0), NEW));
	assert_false(slots_row_lags(json_array_get(w.rows, 2), NEW));
	end(&w);
}

static void zero_replicas_are_there_at_once(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 0, MODE_REPLICATED);
	assert_true(count(&w)->done);
	end(&w);
}

static void a_global_service_is_there_when_every_row_is(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 0, MODE_GLOBAL);
	assert_false(count(&w)->done);
	row(&w, "all", 0, NEW, "running", "none");
	assert_true(count(&w)->done);
	row(&w, "all", 0, NEW, "starting", "none");
	assert_false(count(&w)->done);
	assert_int_equal(w.got.services[1].desired, 2);
	end(&w);
}

static void rows_that_make_no_sense_do_no_harm(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1, MODE_REPLICATED);
	json_array_append_new(w.rows, json_object());
	json_array_append_new(w.rows, json_string("row"));
	row(&w, "web", -1, NEW, "running", "none");
	row(&w, "web", 1000000, NEW, "running", "none");
	row(&w, "unknown", 0, NEW, "running", "none");
	assert_false(count(&w)->done);
	end(&w);
}

static void progress_shows_in_the_fingerprint(void **state)
{
	struct world w;
	uint64_t before;

	(void)state;
	begin(&w, 2, MODE_REPLICATED);
	row(&w, "web", 0, NEW, "starting", "starting");
	before = count(&w)->fingerprint;
	assert_int_equal(count(&w)->fingerprint, before);
	row(&w, "web", 1, NEW, "running", "none");
	assert_int_not_equal(count(&w)->fingerprint, before);
	end(&w);
}

/* The answer of explain on a slot: three peers with these reasons. */
static enum slots_fit fit(const char *candidate, int a, int b, int c)
{
	json_t *items = json_pack("[{s:n, s:[], s:[{s:i}, {s:i}, {s:i}]}]", "owner", "candidates", "peers",
	        "number", a, "number", b, "number", c);
	enum slots_fit got;

	if (candidate)
		json_array_append_new(
		        json_object_get(json_array_get(items, 0), "candidates"), json_string(candidate));
	got = slots_fit(items);
	json_decref(items);
	return got;
}

static void only_what_no_time_changes_is_final(void **state)
{
	json_t *none = json_array();

	(void)state;
	assert_int_equal(fit(NULL, REASON_CONSTRAINT, REASON_DRIVER, REASON_CAPACITY), FIT_NOWHERE);
	assert_int_equal(fit(NULL, REASON_CONSTRAINT, REASON_NOT_ALIVE, REASON_CAPACITY), FIT_NOWHERE_NOW);
	assert_int_equal(fit(NULL, REASON_CONSTRAINT, REASON_ROOM, REASON_CAPACITY), FIT_NOWHERE_NOW);
	assert_int_equal(fit(NULL, REASON_POWER, REASON_POWER, REASON_POWER), FIT_WITHOUT_POWER);
	assert_int_equal(fit(NULL, REASON_VOTERS, REASON_VOTERS, REASON_VOTERS), FIT_NOWHERE);
	assert_int_equal(fit(NULL, REASON_CONSTRAINT, REASON_DEVICE, REASON_CAPACITY), FIT_NOWHERE);
	assert_int_equal(fit(NULL, REASON_CONSTRAINT, REASON_DEVICE_BUSY, REASON_CAPACITY), FIT_NOWHERE_NOW);
	assert_int_equal(fit(NULL, REASON_CONSTRAINT, REASON_MAKING_ROOM, REASON_CAPACITY), FIT_SOMEWHERE);
	assert_int_equal(fit("p2", REASON_CONSTRAINT, REASON_OK, REASON_OK), FIT_SOMEWHERE);
	assert_int_equal(slots_fit(none), FIT_SOMEWHERE);
	assert_int_equal(slots_fit(NULL), FIT_SOMEWHERE);
	json_decref(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_running_task_without_a_check_is_settled),
	        cmocka_unit_test(an_unproved_or_unhealthy_task_is_not),
	        cmocka_unit_test(tasks_of_the_revision_before_do_not_count),
	        cmocka_unit_test(two_tasks_of_one_slot_count_once),
	        cmocka_unit_test(what_is_done_need_not_run),
	        cmocka_unit_test(slots_without_a_peer_and_tasks_that_gave_up_are_told),
	        cmocka_unit_test(zero_replicas_are_there_at_once),
	        cmocka_unit_test(a_global_service_is_there_when_every_row_is),
	        cmocka_unit_test(rows_that_make_no_sense_do_no_harm),
	        cmocka_unit_test(progress_shows_in_the_fingerprint),
	        cmocka_unit_test(only_what_no_time_changes_is_final),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
