/* A row of another agent's `tasks`, read: msgpack from a peer, so every field is bounded and may be absent. */
#include "base/text.h"
#include "node/control/call.h"

static void read_exit(struct rd *r, struct detail *d)
{
	uint32_t n;

	if (up_peek(r) == UP_NIL) {
		up_nil(r);
		return;
	}
	d->exited = true;
	n = up_map(r);
	for (uint32_t i = 0; i < n && rd_ok(r); i++) {
		size_t len;
		const char *key = up_str(r, &len);

		if (up_peek(r) == UP_NIL)
			up_nil(r);
		else if (up_is(key, len, "code"))
			d->exit_code = (int)up_i64(r);
		else if (up_is(key, len, "signal"))
			d->exit_signal = (int)up_i64(r);
		else if (up_is(key, len, "oom"))
			d->oom = up_bool(r);
		else if (up_is(key, len, "user_ms"))
			d->user_ms = up_u64(r);
		else if (up_is(key, len, "system_ms"))
			d->system_ms = up_u64(r);
		else if (up_is(key, len, "max_rss"))
			d->max_rss = up_u64(r);
		else
			up_skip(r);
	}
}

static enum spec_driver driver_named(const char *name)
{
	for (enum spec_driver d = DRIVER_AUTO; d <= DRIVER_ENGINE; d++)
		if (!strcmp(spec_driver_name(d), name))
			return d;
	return DRIVER_AUTO;
}

int detail_read(struct detail *d, const uint8_t *bytes, size_t len)
{
	char text[64];
	struct rd r;
	uint32_t n;

	rd_init(&r, bytes, len);
	n = up_map(&r);
	for (uint32_t i = 0; i < n && rd_ok(&r); i++) {
		size_t key_len;
		const char *key = up_str(&r, &key_len);

		if (up_is(key, key_len, "exit")) {
			read_exit(&r, d);
		} else if (up_peek(&r) == UP_NIL) {
			up_nil(&r);
		} else if (up_is(key, key_len, "task")) {
			up_str_copy(&r, text, sizeof(text));
			if (!id64_parse(&d->task, text))
				rd_fail(&r, "task id expected");
		} else if (up_is(key, key_len, "stack")) {
			up_str_copy(&r, d->stack, sizeof(d->stack));
		} else if (up_is(key, key_len, "service")) {
			up_str_copy(&r, d->service, sizeof(d->service));
		} else if (up_is(key, key_len, "driver")) {
			up_str_copy(&r, text, sizeof(text));
			d->driver = driver_named(text);
		} else if (up_is(key, key_len, "slot")) {
			d->slot = (uint32_t)up_u64(&r);
		} else if (up_is(key, key_len, "pid")) {
			d->pid = up_i64(&r);
		} else if (up_is(key, key_len, "restarts")) {
			d->restarts = (uint32_t)up_u64(&r);
		} else if (up_is(key, key_len, "reason")) {
			up_str_copy(&r, d->reason, sizeof(d->reason));
		} else if (up_is(key, key_len, "started_at")) {
			up_str_copy(&r, text, sizeof(text));
			if (!text_time_parse(text, &d->started_at))
				rd_fail(&r, "time expected");
		} else if (up_is(key, key_len, "retry_at")) {
			up_str_copy(&r, text, sizeof(text));
			if (!text_time_parse(text, &d->retry_at))
				rd_fail(&r, "time expected");
		} else {
			up_skip(&r);
		}
	}
	return rd_end(&r, NULL) == 0 && d->task ? 0 : -1;
}
