#include "cli/tail.h"

int tail_ask(struct client *c, const struct tail_request *t, struct err *err)
{
	bool service = t->of && t->of->depth >= ADDRESS_SERVICE;
	bool slot = t->of && t->of->depth == ADDRESS_SLOT;
	struct wr args;
	int ret;

	wr_init(&args, 1024);
	pk_map(&args, 1 + service + slot + (t->tail != UINT64_MAX) + (t->since > 0) + t->follow);
	if (t->of)
		pk_kv_str(&args, "stack", t->of->stack);
	else
		pk_kv_str(&args, "task", t->task);
	if (service)
		pk_kv_str(&args, "service", t->of->service);
	if (slot)
		pk_kv_u64(&args, "slot", t->of->slot);
	if (t->tail != UINT64_MAX)
		pk_kv_u64(&args, "tail", t->tail);
	if (t->since > 0)
		pk_kv_u64(&args, "since", (uint64_t)t->since);
	if (t->follow)
		pk_kv_bool(&args, "follow", true);
	ret = client_request(c, "logs", &args, true, err);
	wr_free(&args);
	return ret;
}

bool tail_read(const uint8_t *bytes, size_t len, struct tail_line *out)
{
	struct rd r;
	uint32_t n;

	memset(out, 0, sizeof(*out));
	rd_init(&r, bytes, len);
	n = up_map(&r);
	for (uint32_t i = 0; i < n && rd_ok(&r); i++) {
		size_t key_len;
		const char *key = up_str(&r, &key_len);

		if (up_is(key, key_len, "at"))
			out->at = up_i64(&r);
		else if (up_is(key, key_len, "stderr"))
			out->is_stderr = up_bool(&r);
		else if (up_is(key, key_len, "live"))
			out->live = up_bool(&r);
		else if (up_is(key, key_len, "service"))
			up_str_copy(&r, out->service, sizeof(out->service));
		else if (up_is(key, key_len, "slot"))
			out->slot = (uint32_t)up_u64(&r);
		else if (up_is(key, key_len, "task"))
			out->task = up_u64(&r);
		else if (!up_is(key, key_len, "text"))
			up_skip(&r);
		else if (up_peek(&r) == UP_BIN) /* not UTF-8 */
			out->text = (const char *)up_bin(&r, &out->len);
		else
			out->text = up_str(&r, &out->len);
	}
	return rd_end(&r, NULL) == 0 && (out->text || out->live);
}
