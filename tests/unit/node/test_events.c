/* What counts as having happened, by comparing what is with what was. */
#include "tests/unit/unit.h"

#include "node/events.h"

static struct view_member members[3];
static struct view_stack stacks[2];
static struct view view;

static struct events *begin(void)
{
	memset(members, 0, sizeof(members));
	memset(stacks, 0, sizeof(stacks));
	for (size_t i = 0; i < 3; i++)
		members[i].id = i + 1;
	view = (struct view){.n_members = 2, .members = members, .n_stacks = 0, .stacks = stacks};
	return events_new();
}

/* Kinds told since `from`, with subjects: "joined 3, deployed shop". */
static const char *told(const struct events *e, uint64_t from)
{
	static char text[2000];
	const struct event *ev;
	size_t len = 0;

	text[0] = '\0';
	for (uint64_t seq = from; (ev = events_after(e, seq)); seq = ev->seq)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %.*s%.0llu", len ? ", " : "",
		        event_name(ev->kind), ev->stack[0] ? 20 : 0, ev->stack, (unsigned long long)ev->peer);
	return text;
}

static void what_is_there_at_the_start_has_not_happened(void **state)
{
	struct events *e = begin();

	(void)state;
	stacks[0] = (struct view_stack){.name = "old", .revision_id = 5};
	view.n_stacks = 1;
	events_look(e, &view, false, 10);
	members[1].state = VIEW_DEAD;
	events_look(e, &view, true, 20);
	assert_string_equal(told(e, 0), "");
	members[1].state = VIEW_ALIVE;
	events_look(e, &view, true, 30);
	assert_string_equal(told(e, 0), "back 2");
	events_free(e);
}

static void peers_come_and_go(void **state)
{
	struct events *e = begin();

	(void)state;
	events_look(e, &view, true, 10);
	/* Admitted, not heard of yet: that is no death. */
	members[2].state = VIEW_DEAD;
	view.n_members = 3;
	events_look(e, &view, true, 20);
	assert_string_equal(told(e, 0), "");
	members[2].state = VIEW_ALIVE;
	members[1].draining = true;
	events_look(e, &view, true, 30);
	events_look(e, &view, true, 31);
	assert_string_equal(told(e, 0), "draining 2, joined 3");
	members[2].state = VIEW_SUSPECT;
	members[1].draining = false;
	events_look(e, &view, true, 40);
	members[2].state = VIEW_DEAD;
	events_look(e, &view, true, 50);
	view.n_members = 2;
	events_look(e, &view, true, 60);
	assert_string_equal(told(e, 2), "resumed 2, suspect 3, dead 3, evicted 3");
	events_free(e);
}

static void stacks_are_deployed_changed_and_removed(void **state)
{
	struct events *e = begin();

	(void)state;
	events_look(e, &view, true, 10);
	stacks[0] = (struct view_stack){.name = "shop", .revision_id = 5};
	view.n_stacks = 1;
	events_look(e, &view, true, 20);
	stacks[0].revision_id = 6;
	events_look(e, &view, true, 30);
	stacks[0].removed = true;
	events_look(e, &view, true, 40);
	view.n_stacks = 0;
	events_look(e, &view, true, 50);
	assert_string_equal(told(e, 0), "deployed shop, deployed shop, removed shop");
	events_free(e);
}

static struct runtime_task task_of(struct service *s)
{
	return (struct runtime_task){
	        .task = 9, .stack = "shop", .service = "web", .index = 2, .spec = s, .state = TASK_PENDING};
}

static void a_crash_that_is_over_before_anyone_looks_is_told_all_the_same(void **state)
{
	struct events *e = begin();
	struct service s = {.name = "web"};
	struct runtime_task t = task_of(&s);
	const struct event *ev;

	(void)state;
	events_task(e, &t, 10);
	t.state = TASK_RUNNING;
	events_task(e, &t, 20);
	/* It ended, and runs again. */
	t.restarts = 1;
	t.exited = true;
	t.exit_code = 7;
	events_task(e, &t, 30);
	assert_string_equal(told(e, 0), "started shop, exited shop, restarted shop");
	ev = events_after(e, 1);
	assert_string_equal(ev->text, "exit code 7");
	assert_int_equal(ev->slot, 2);
	/* Now one after the other. */
	t.state = TASK_BACKOFF;
	t.oom = true;
	snprintf(t.reason, sizeof(t.reason), "killed: memory");
	events_task(e, &t, 40);
	t.state = TASK_PREPARING;
	events_task(e, &t, 50);
	t.state = TASK_RUNNING;
	t.restarts = 2;
	events_task(e, &t, 60);
	assert_string_equal(told(e, 3), "oom shop, restarted shop");
	assert_string_equal(events_after(e, 3)->text, "killed: memory");
	events_free(e);
}

static void health_is_told_of_tasks_that_have_a_check(void **state)
{
	struct events *e = begin();
	struct service s = {.name = "web"};
	struct runtime_task t = task_of(&s);

	(void)state;
	t.state = TASK_RUNNING;
	t.health = HEALTH_HEALTHY;
	events_task(e, &t, 10);
	assert_string_equal(told(e, 0), "started shop");
	s.check.kind = CHECK_TCP;
	t.health = HEALTH_UNHEALTHY;
	events_task(e, &t, 20);
	t.health = HEALTH_HEALTHY;
	events_task(e, &t, 30);
	events_task(e, &t, 40);
	assert_string_equal(told(e, 1), "unhealthy shop, healthy shop");
	events_free(e);
}

static void the_oldest_are_forgotten(void **state)
{
	struct events *e = begin();
	uint64_t seq = 0;
	const struct event *ev;
	size_t n = 0;

	(void)state;
	events_look(e, &view, true, 1);
	for (wall_ms i = 0; i < EVENTS_MAX + 100; i++) {
		members[1].draining = !members[1].draining;
		events_look(e, &view, true, 1000 + i);
	}
	for (; (ev = events_after(e, seq)); seq = ev->seq, n++)
		assert_int_equal(ev->at, 1000 + 100 + n);
	assert_int_equal(n, EVENTS_MAX);
	events_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_is_there_at_the_start_has_not_happened),
	        cmocka_unit_test(peers_come_and_go),
	        cmocka_unit_test(stacks_are_deployed_changed_and_removed),
	        cmocka_unit_test(a_crash_that_is_over_before_anyone_looks_is_told_all_the_same),
	        cmocka_unit_test(health_is_told_of_tasks_that_have_a_check),
	        cmocka_unit_test(the_oldest_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
