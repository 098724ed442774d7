/*
 * The life of a task. Every arrow is one row of the table below it; what is not drawn is ignored.
 *
 *	           start            prepared            started              unhealthy
 *	 PENDING ---------> PREPARING ---------> STARTING ---------> RUNNING ----------> UNHEALTHY
 *	                     ^  |  |              |  |               ^  |  ^              |   |
 *	               timer |  |  | refused      |  | refused       |  |  '-- healthy ---'   |
 *	                     |  |  v              |  v               |  |                     |
 *	                     |  | FAILED          | FAILED           |  |                     |
 *	                     |  |                 |                  |  |                     |
 *	                     |  '-- blocked --.   | blocked, exit    |  | exit                | exit
 *	                     |                v   v                  |  v                     |
 *	                     '------------- BACKOFF <----- again ----+--o---------------------'
 *	                                                                |-- done ----> DONE
 *	                                                                '-- failed --> FAILED
 *
 *	 stop:  STARTING, RUNNING, UNHEALTHY ---> STOPPING --- exit ---> DONE
 *	        PENDING, PREPARING, BACKOFF ------------------------> DONE        (no process to wait for)
 *	 gone:  any of these that has not ended ---> LOST             (the host was restarted, or its watchdog fired)
 *
 * An unhealthy task whose policy restarts is told to stop and leaves UNHEALTHY by its exit; with condition "none" it
 * stays there until a check turns healthy again or it ends.
 */
#include "node/runtime/supervise.h"

struct arrow {
	bool drawn;
	enum task_state to;
	enum supervise_action action;
};

#define GO(state, action)                                                                                        \
	{                                                                                                        \
		true, TASK_##state, ACT_##action                                                                 \
	}

static const struct arrow arrows[SUPERVISE_STATES][SUPERVISE_EVENTS] =
        {
                [TASK_PENDING] =
                        {
                                [EV_START] = GO(PREPARING, PREPARE),
                                [EV_STOP] = GO(DONE, END),
                                [EV_GONE] = GO(LOST, END),
                        },
                [TASK_PREPARING] =
                        {
                                [EV_PREPARED] = GO(STARTING, LAUNCH),
                                [EV_BLOCKED] = GO(BACKOFF, WAIT),
                                [EV_REFUSED] = GO(FAILED, END),
                                [EV_STOP] = GO(DONE, END),
                                [EV_GONE] = GO(LOST, END),
                        },
                [TASK_STARTING] =
                        {
                                [EV_STARTED] = GO(RUNNING, WATCH),
                                [EV_BLOCKED] = GO(BACKOFF, WAIT),
                                [EV_REFUSED] = GO(FAILED, END),
                                [EV_EXIT_AGAIN] = GO(BACKOFF, WAIT),
                                [EV_EXIT_DONE] = GO(DONE, END),
                                [EV_EXIT_FAILED] = GO(FAILED, END),
                                [EV_STOP] = GO(STOPPING, STOP),
                                [EV_GONE] = GO(LOST, END),
                        },
                [TASK_RUNNING] =
                        {
                                [EV_UNHEALTHY] = GO(UNHEALTHY, STOP),
                                [EV_UNHEALTHY_KEEP] = GO(UNHEALTHY, NONE),
                                [EV_EXIT_AGAIN] = GO(BACKOFF, WAIT),
                                [EV_EXIT_DONE] = GO(DONE, END),
                                [EV_EXIT_FAILED] = GO(FAILED, END),
                                [EV_STOP] = GO(STOPPING, STOP),
                                [EV_GONE] = GO(LOST, END),
                        },
                [TASK_UNHEALTHY] =
                        {
                                [EV_HEALTHY] = GO(RUNNING, NONE),
                                [EV_EXIT_AGAIN] = GO(BACKOFF, WAIT),
                                [EV_EXIT_DONE] = GO(DONE, END),
                                [EV_EXIT_FAILED] = GO(FAILED, END),
                                [EV_STOP] = GO(STOPPING, STOP),
                                [EV_GONE] = GO(LOST, END),
                        },
                [TASK_STOPPING] =
                        {
                                [EV_BLOCKED] = GO(DONE, END),
                                [EV_REFUSED] = GO(DONE, END),
                                [EV_EXIT_AGAIN] = GO(DONE, END),
                                [EV_EXIT_DONE] = GO(DONE, END),
                                [EV_EXIT_FAILED] = GO(DONE, END),
                                [EV_GONE] = GO(LOST, END),
                        },
                [TASK_BACKOFF] =
                        {
                                [EV_TIMER] = GO(PREPARING, PREPARE),
                                [EV_STOP] = GO(DONE, END),
                                [EV_GONE] = GO(LOST, END),
                        },
};

void supervise_init(struct supervise *s)
{
	*s = (struct supervise){.state = TASK_PENDING};
}

static int64_t window(const struct spec_restart_policy *p)
{
	return p->window_ms > 0 ? p->window_ms : RESTART_WINDOW_DEFAULT_MS;
}

/* Restarts that count against the policy: a run that lasted the window clears those before it. */
static uint32_t streak_now(const struct supervise *s, const struct spec_restart_policy *p, mono_ms now)
{
	bool ran = s->state == TASK_RUNNING || s->state == TASK_UNHEALTHY;

	return ran && now - s->started_at >= window(p) ? 0 : s->streak;
}

enum supervise_event supervise_exit(
        const struct supervise *s, const struct spec_restart_policy *policy, bool failed, mono_ms now)
{
	bool again = policy->condition == RESTART_ANY || (policy->condition == RESTART_ON_FAILURE && failed);

	if (again && policy->max_attempts && streak_now(s, policy, now) >= policy->max_attempts)
		again = false;
	if (again)
		return EV_EXIT_AGAIN;
	return failed ? EV_EXIT_FAILED : EV_EXIT_DONE;
}

enum supervise_event supervise_sick(const struct spec_restart_policy *policy)
{
	return policy->condition == RESTART_NONE ? EV_UNHEALTHY_KEEP : EV_UNHEALTHY;
}

/* 0 for the first restart; then the policy's delay, doubled each time. */
static int64_t backoff(const struct spec_restart_policy *p, uint32_t streak, struct drbg *rng)
{
	int64_t delay = p->delay_ms > 0 ? p->delay_ms : RESTART_DELAY_DEFAULT_MS;
	int64_t most = MAX(delay, BACKOFF_MAX_MS);

	if (!streak)
		return 0;
	for (uint32_t i = 1; i < streak && delay < most; i++)
		delay *= 2;
	return drbg_jitter(rng, MIN(delay, most), BACKOFF_JITTER);
}

static void wait_for_retry(struct supervise *s, enum supervise_event ev, const struct spec_restart_policy *policy,
        mono_ms now, struct drbg *rng)
{
	/* What blocked a start will hardly be gone at once, so its first delay is not 0. */
	uint32_t *count = ev == EV_BLOCKED ? &s->blocked : &s->streak;

	s->retry_in_ms = backoff(policy, *count + (ev == EV_BLOCKED), rng);
	s->retry_at = now + s->retry_in_ms;
	if (*count < UINT32_MAX - 1)
		++*count;
}

enum supervise_action supervise_on(struct supervise *s, enum supervise_event ev,
        const struct spec_restart_policy *policy, mono_ms now, struct drbg *rng)
{
	const struct arrow *a;

	if ((unsigned)s->state >= SUPERVISE_STATES || (unsigned)ev >= SUPERVISE_EVENTS)
		return ACT_NONE;
	a = &arrows[s->state][ev];
	if (!a->drawn)
		return ACT_NONE;
	if (a->action == ACT_WAIT) {
		s->streak = streak_now(s, policy, now);
		wait_for_retry(s, ev, policy, now, rng);
	}
	if (ev == EV_STARTED) {
		s->started_at = now;
		s->blocked = 0;
		s->runs++;
	}
	s->state = a->to;
	return a->action;
}

bool supervise_ended(enum task_state state)
{
	return state == TASK_DONE || state == TASK_FAILED || state == TASK_LOST;
}

bool supervise_live(enum task_state state)
{
	return state == TASK_STARTING || state == TASK_RUNNING || state == TASK_UNHEALTHY ||
	       state == TASK_STOPPING;
}
