/* What a drain says while it goes on, and how it ends, against an agent whose lists are scripted. */
#include "tests/unit/unit.h"

#include "cli/drain.h"
#include "cli/undo.h"
#include "placement/place.h"
#include "tests/unit/cli/fake_agent.h"

struct drained {
	struct agent agent;
	char *said;
	size_t len;
	int code;
};

static void begin(struct drained *d)
{
	memset(d, 0, sizeof(*d));
	prepare(&d->agent);
	greet(&d->agent);
	d->agent.cli.errors = open_memstream(&d->said, &d->len);
	d->agent.cli.out = d->agent.cli.errors;
	d->agent.cli.timeout_ms = 300;
}

static void end(struct drained *d)
{
	go(&d->agent);
	d->code = drain_wait(&d->agent.cli, "00000000000000aa", "p3");
	fclose(d->agent.cli.errors);
	finish(&d->agent, NULL);
}

/* A list begins: the peer's own row, and n tasks that must follow. */
static void list(struct drained *d, const char *state, bool draining, uint32_t n)
{
	struct wr row;

	proto_reset(&d->agent.says, n + 1);
	wr_init(&row, 1024);
	pk_map(&row, 4);
	pk_kv_str(&row, "peer", "00000000000000aa");
	pk_kv_str(&row, "name", "p3");
	pk_kv_str(&row, "state", state);
	pk_kv_bool(&row, "draining", draining);
	proto_item(&d->agent.says, &row);
	wr_free(&row);
}

static void task(struct drained *d, uint64_t slot, const char *phase, const char *to, enum place_reason number)
{
	struct wr row;
	char id[24];

	snprintf(id, sizeof(id), "%016llx", (unsigned long long)slot + 1);
	wr_init(&row, 1024);
	pk_map(&row, 8);
	pk_kv_str(&row, "stack", "shop");
	pk_kv_str(&row, "service", "web");
	pk_kv_u64(&row, "slot", slot);
	pk_kv_str(&row, "task", id);
	pk_kv_str(&row, "phase", phase);
	if (to)
		pk_kv_str(&row, "to", to);
	else
		pk_kv_nil(&row, "to");
	pk_kv_u64(&row, "number", number);
	pk_kv_str(&row, "reason", number ? place_reason_text(number) : "");
	proto_item(&d->agent.says, &row);
	wr_free(&row);
}

static void expect(const struct drained *d, const char *text)
{
	if (!strstr(d->said, text))
		fail_msg("not said: %s\nwas said:\n%s", text, d->said);
}

static void each_task_is_told_with_where_it_went(void **state)
{
	struct drained d;

	(void)state;
	begin(&d);
	list(&d, "alive", false, 2); /* the agent has not taken note yet: nothing is said */
	task(&d, 0, "waiting", NULL, REASON_OK);
	task(&d, 1, "waiting", NULL, REASON_OK);
	list(&d, "alive", true, 2);
	task(&d, 0, "starting", "p1", REASON_OK);
	task(&d, 1, "waiting", "p2", REASON_OK);
	list(&d, "alive", true, 2);
	task(&d, 0, "serving", "p1", REASON_OK);
	task(&d, 1, "starting", "p2", REASON_OK);
	list(&d, "alive", true, 1);
	task(&d, 1, "serving", "p2", REASON_OK);
	list(&d, "alive", true, 0);
	end(&d);
	assert_int_equal(d.code, 0);
	expect(&d, "p3 drains: 2 tasks to hand over\n");
	expect(&d, "shop/web/0: handed over from p3 to p1, ");
	expect(&d, "shop/web/1: handed over from p3 to p2, ");
	expect(&d, "p3 is drained: 2 tasks handed over\n");
	free(d.said);
}

static void what_came_and_went_before_the_drain_took_effect_is_not_told(void **state)
{
	struct drained d;

	(void)state;
	begin(&d);
	list(&d, "alive", false, 0); /* an empty peer that does not drain yet is not drained */
	list(&d, "alive", false, 2);
	task(&d, 0, "waiting", NULL, REASON_OK);
	task(&d, 1, "waiting", NULL, REASON_OK);
	list(&d, "alive", true, 1);
	task(&d, 1, "starting", "p2", REASON_OK);
	list(&d, "alive", true, 0);
	end(&d);
	assert_int_equal(d.code, 0);
	expect(&d, "p3 drains: 1 task to hand over\n");
	expect(&d, "shop/web/1: handed over from p3 to p2, ");
	assert_null(strstr(d.said, "shop/web/0"));
	expect(&d, "p3 is drained: 1 task handed over\n");
	free(d.said);
}

static void a_task_that_ended_by_itself_is_not_said_to_be_elsewhere(void **state)
{
	struct drained d;

	(void)state;
	begin(&d);
	list(&d, "alive", true, 1);
	task(&d, 0, "waiting", "p1", REASON_OK);
	list(&d, "alive", true, 0);
	end(&d);
	assert_int_equal(d.code, 0);
	expect(&d, "shop/web/0: no longer on p3\n");
	expect(&d, "p3 is drained: 0 tasks handed over\n");
	free(d.said);
}

static void a_task_that_no_peer_wants_any_more_just_stops(void **state)
{
	struct drained d;

	(void)state;
	begin(&d);
	list(&d, "alive", true, 1);
	task(&d, 0, "stopping", NULL, REASON_OK);
	list(&d, "alive", true, 0);
	end(&d);
	assert_int_equal(d.code, 0);
	expect(&d, "shop/web/0: stopped on p3\n");
	expect(&d, "p3 is drained: 0 tasks handed over\n");
	free(d.said);
}

static void what_fits_nowhere_keeps_running_and_is_named_with_its_reason_and_what_helps(void **state)
{
	struct drained d;

	(void)state;
	begin(&d);
	list(&d, "alive", true, 1);
	task(&d, 4, "stays", NULL, REASON_ROOM);
	d.agent.stays = true;
	end(&d);
	assert_int_equal(d.code, ERR_UNPLACEABLE);
	expect(&d, "1 task of p3 fits on no other peer and keeps running:\n");
	expect(&d, "shop/web/4: stays on p3: not enough cpu or memory left (11); let a host with room join");
	free(d.said);
}

static void that_all_others_drain_is_said_of_them(void **state)
{
	struct drained d;

	(void)state;
	begin(&d);
	list(&d, "alive", true, 1);
	task(&d, 0, "stays", NULL, REASON_DRAINING);
	d.agent.stays = true;
	end(&d);
	assert_int_equal(d.code, ERR_UNPLACEABLE);
	expect(&d,
	        "shop/web/0: stays on p3: every other peer drains too, or is gone (4); `starling node resume` another peer");
	free(d.said);
}

static void what_is_on_its_way_at_the_timeout_is_named_with_where_it_goes(void **state)
{
	struct drained d;

	(void)state;
	begin(&d);
	list(&d, "alive", true, 2);
	task(&d, 0, "stays", NULL, REASON_ROOM);
	task(&d, 1, "starting", "p1", REASON_OK);
	d.agent.stays = true;
	end(&d);
	assert_int_equal(d.code, ERR_TIMEOUT);
	expect(&d, "2 tasks still run on p3; the drain goes on:\n");
	expect(&d, "  shop/web/1: starting, to p1\n");
	free(d.said);
}

static void a_dead_peer_has_nothing_to_hand_over(void **state)
{
	struct drained d;

	(void)state;
	begin(&d);
	list(&d, "dead", true, 0);
	end(&d);
	assert_int_equal(d.code, 0);
	expect(&d, "p3 is dead: others start what it ran by themselves");
	free(d.said);
}

static void an_agent_that_goes_away_does_not_end_the_drain(void **state)
{
	struct drained d;

	(void)state;
	begin(&d);
	d.agent.cli.timeout_ms = SECONDS(20);
	list(&d, "alive", true, 1);
	task(&d, 0, "waiting", "p1", REASON_OK);
	end(&d); /* the fake agent shuts its side after the last word */
	assert_int_not_equal(d.code, 0);
	expect(&d, "no longer waiting; the drain goes on");
	free(d.said);
}

static void an_id_may_be_cut_short_but_not_too_short(void **state)
{
	(void)state;
	assert_true(id_begins("d1f1e17d9c0988a5", "d1f1"));
	assert_true(id_begins("d1f1e17d9c0988a5", "d1f1e17d9c0988a5"));
	assert_false(id_begins("d1f1e17d9c0988a5", "d1f"));
	assert_false(id_begins("d1f1e17d9c0988a5", "d1f2"));
	assert_false(id_begins("d1f1e17d9c0988a5", "d1f1e17d9c0988a50"));
	assert_false(id_begins(NULL, "d1f1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_task_is_told_with_where_it_went),
	        cmocka_unit_test(what_came_and_went_before_the_drain_took_effect_is_not_told),
	        cmocka_unit_test(a_task_that_ended_by_itself_is_not_said_to_be_elsewhere),
	        cmocka_unit_test(a_task_that_no_peer_wants_any_more_just_stops),
	        cmocka_unit_test(what_fits_nowhere_keeps_running_and_is_named_with_its_reason_and_what_helps),
	        cmocka_unit_test(that_all_others_drain_is_said_of_them),
	        cmocka_unit_test(what_is_on_its_way_at_the_timeout_is_named_with_where_it_goes),
	        cmocka_unit_test(a_dead_peer_has_nothing_to_hand_over),
	        cmocka_unit_test(an_agent_that_goes_away_does_not_end_the_drain),
	        cmocka_unit_test(an_id_may_be_cut_short_but_not_too_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
