#include "node/runtime/watchdog.h"

#include "placement/spec/spec.h"

void watchdog_init(struct watchdog *w, int64_t limit_ms)
{
	*w = (struct watchdog){.limit_ms = limit_ms, .due = MONO_NEVER};
}

bool watchdog_turn(struct watchdog *w, bool connected, mono_ms now)
{
	if (!w->limit_ms || w->fired)
		return false;
	if (connected) {
		w->due = MONO_NEVER;
		w->excused = false;
		return false;
	}
	if (w->due == MONO_NEVER)
		w->due = now + w->limit_ms;
	if (now < w->due)
		return false;
	if (now - w->due >= WATCHDOG_LATE_MS && !w->excused) {
		w->excused = true;
		w->due = now + MIN(w->limit_ms, SPEC_WATCHDOG_MIN);
		return false;
	}
	w->fired = true;
	w->due = MONO_NEVER;
	return true;
}
