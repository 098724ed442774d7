#include "node/health/health.h"

#include "node/health/probe.h"
#include "node/health/thresholds.h"

#include <stdio.h>

#define TIMEOUT_DEFAULT_MS SECONDS(30)
/* Past the timeout of a command that the shim must kill and report first. */
#define COMMAND_SLACK_MS SECONDS(2)

struct health {
	uv_timer_t timer; /* the next check, or the end of a command's time */
	struct thresholds thresholds;
	const struct spec_check *check;
	struct addr to;
	struct probe *probe;
	uint32_t seq;
	bool waiting; /* for a command */
	bool stopped;
	struct health_events ev;
	void *ctx;
};

static void on_timer(uv_timer_t *t);

static mono_ms loop_now(const struct health *h)
{
	return (mono_ms)uv_now(h->timer.loop);
}

static void arm(struct health *h)
{
	int64_t in = h->thresholds.next - loop_now(h);

	uv_timer_start(&h->timer, on_timer, (uint64_t)MAX(in, 0), 0);
}

static const char *kind_name(const struct spec_check *c)
{
	return c->kind == CHECK_HTTP ? "http" : c->kind == CHECK_TCP ? "tcp" : "command";
}

static void result(struct health *h, bool passed, const char *why)
{
	char text[256];
	bool changed = thresholds_result(&h->thresholds, h->check, passed, loop_now(h));

	arm(h);
	if (!changed)
		return;
	snprintf(text, sizeof(text), "%s check failed %u times: %s", kind_name(h->check), h->thresholds.streak,
	        why);
	/* The callback may stop the watch; nothing is touched after it. */
	h->ev.changed(h->ctx, h->thresholds.health, passed ? "" : text);
}

static void on_probe(void *ctx, bool passed, const char *why)
{
	struct health *h = ctx;

	h->probe = NULL;
	result(h, passed, why);
}

static void on_timer(uv_timer_t *t)
{
	struct health *h = t->data;
	int64_t timeout = h->check->timeout_ms > 0 ? h->check->timeout_ms : TIMEOUT_DEFAULT_MS;

	if (h->waiting) {
		h->waiting = false;
		h->seq++;
		result(h, false, "no answer from the task's shim");
	} else if (h->check->kind == CHECK_COMMAND) {
		h->waiting = true;
		uv_timer_start(&h->timer, on_timer, (uint64_t)(timeout + COMMAND_SLACK_MS), 0);
		h->ev.command(h->ctx, ++h->seq, timeout);
	} else {
		const char *path = h->check->path ? h->check->path : "/";

		h->probe = health_probe_start(
		        t->loop, &h->to, h->check->kind == CHECK_HTTP ? path : NULL, timeout, on_probe, h);
	}
}

struct health *health_start(uv_loop_t *loop, const struct spec_check *check, const struct addr *to,
        enum task_health before, const struct health_events *ev, void *ctx)
{
	struct health *h = xcalloc(1, sizeof(*h));

	uv_timer_init(loop, &h->timer);
	h->timer.data = h;
	h->check = check;
	h->to = *to;
	h->ev = *ev;
	h->ctx = ctx;
	thresholds_init(&h->thresholds, check, before, loop_now(h));
	arm(h);
	return h;
}

void health_checked(struct health *h, uint32_t seq, bool passed, const char *why)
{
	if (h->stopped || !h->waiting || seq != h->seq)
		return;
	h->waiting = false;
	result(h, passed, why);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void health_stop(struct health *h)
{
	if (!h || h->stopped)
		return;
	h->stopped = true;
	if (h->probe)
		health_probe_cancel(h->probe);
	h->probe = NULL;
	uv_close((uv_handle_t *)&h->timer, on_closed);
}
