#include "node/restarts.h"

void restarts_put(struct wr *w, const struct restarts *r)
{
	wr_u32(w, r->in_a_row);
	wr_u64(w, (uint64_t)r->started);
}

void restarts_get(struct restarts *out, const uint8_t *bytes, size_t len)
{
	struct rd r;

	rd_init(&r, bytes, len);
	out->in_a_row = rd_u32(&r);
	out->started = (wall_ms)rd_u64(&r);
	if (rd_end(&r, NULL) < 0)
		*out = (struct restarts){0};
}

int64_t restarts_wait(uint32_t in_a_row)
{
	int64_t wait = RESTART_WAIT_FIRST;

	if (!in_a_row)
		return 0;
	while (--in_a_row && wait < RESTART_WAIT_MAX)
		wait *= 2;
	return MIN(wait, RESTART_WAIT_MAX);
}

int64_t restarts_begin(struct restarts *r, wall_ms now)
{
	/* It takes work only when its wait is over, and must then run calmly. */
	int64_t calm = restarts_wait(r->in_a_row) + RESTART_CALM;
	bool again = r->started && now >= r->started && now - r->started < calm;

	r->in_a_row = again ? r->in_a_row + (r->in_a_row < UINT32_MAX) : 0;
	r->started = now;
	return restarts_wait(r->in_a_row);
}

void restarts_end(struct restarts *r)
{
	*r = (struct restarts){0};
}
