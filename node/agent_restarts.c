/*
 * After a crash, and another soon after, this peer goes on with what it runs and takes no new work for a while
 * (restarts.h). The count is kept beside the boot count.
 */
#include "base/log.h"
#include "node/agent_parts.h"
#include "node/restarts.h"

#include <stdio.h>

static void keep(struct agent *a, const struct restarts *r)
{
	uint8_t buf[RESTARTS_BYTES];
	struct err err = {0};
	struct wr w;

	wr_fixed(&w, buf, sizeof(buf));
	restarts_put(&w, r);
	if (persist_meta_put(a->persist, "restarts", w.p, w.len, &err) < 0)
		log_warn("agent", "the count of restarts is not kept: %s", err.text);
}

static struct restarts recall(struct agent *a)
{
	uint8_t buf[RESTARTS_BYTES];
	struct restarts r = {0};
	size_t len;

	if (persist_meta_get(a->persist, "restarts", buf, sizeof(buf), &len, NULL) == 0)
		restarts_get(&r, buf, len);
	return r;
}

void agent_count_start(struct agent *a)
{
	struct restarts r = recall(a);
	int64_t wait = restarts_begin(&r, agent_now(a).wall);

	keep(a, &r);
	a->restarts = r.in_a_row;
	a->held_until = agent_now(a).mono + wait;
	if (wait)
		log_warn("agent",
		        "restarted %u %s in a row, soon after the start before: this peer goes on with its tasks "
		        "and takes new work in %lld s",
		        a->restarts, a->restarts == 1 ? "time" : "times", (long long)(wait / 1000));
}

void agent_ended_well(struct agent *a)
{
	struct restarts r = recall(a);

	restarts_end(&r);
	keep(a, &r);
}

mono_ms agent_held_back(struct agent *a)
{
	return agent_now(a).mono < a->held_until ? a->held_until : MONO_NEVER;
}

bool agent_held_text(const struct agent *a, char *out, size_t size)
{
	mono_ms left = a->held_until - agent_now((struct agent *)a).mono;

	if (left <= 0 || strcmp(agent_state_name(a), "waiting") != 0)
		return false;
	snprintf(out, size, "restarted %u %s in a row; takes new work in %lld s", a->restarts,
	        a->restarts == 1 ? "time" : "times", (long long)((left + 999) / 1000));
	return true;
}
