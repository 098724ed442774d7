#include "cli/tail.h"

#include "base/hash.h"
#include "base/text.h"

struct peers {
	json_t *rows;
};

struct peers *peers_get(struct client *c, struct err *err)
{
	json_t *rows = client_list(c, "members", NULL, false, err);
	struct peers *p;

	if (!rows)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	p->rows = rows;
	return p;
}

void peers_free(struct peers *p)
{
	if (p)
		json_decref(p->rows);
	free(p);
}

static const char *address_of(const struct peers *p, const char *id)
{
	size_t i;
	const json_t *row;

	json_array_foreach (p->rows, i, row) {
		const char *other = json_string_value(json_object_get(row, "id"));

		if (other && strcmp(other, id) == 0)
			return json_string_value(json_object_get(row, "address"));
	}
	return NULL;
}

struct client *peers_open(
        const struct peers *p, const struct cli *cli, const struct client *c, const char *id, struct err *err)
{
	const char *address;
	struct addr addr;
	id64 peer;

	if (!id64_parse(&peer, id)) {
		err_set(err, ERR_FAILED, "peer %s: not a peer's id", id);
		return NULL;
	}
	if (key32_id(&client_hello(c)->peer) == peer)
		return client_open(cli, err);
	address = address_of(p, id);
	if (!address) {
		err_set(err, ERR_FAILED, "peer %s: its address is not known", id);
		return NULL;
	}
	if (addr_parse(&addr, address, 0, err) < 0)
		return NULL;
	return client_open_peer(cli, &addr, &client_hello(c)->flock, peer, err);
}

int tail_request(struct client *c, const char *task, uint64_t tail, wall_ms since, bool follow, struct err *err)
{
	struct wr args;
	int ret;

	wr_init(&args, 1024);
	pk_map(&args, 1 + (tail != UINT64_MAX) + (since > 0) + follow);
	pk_kv_str(&args, "task", task);
	if (tail != UINT64_MAX)
		pk_kv_u64(&args, "tail", tail);
	if (since > 0)
		pk_kv_u64(&args, "since", (uint64_t)since);
	if (follow)
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
		else if (!up_is(key, key_len, "text"))
			up_skip(&r);
		else if (up_peek(&r) == UP_BIN) /* not UTF-8 */
			out->text = (const char *)up_bin(&r, &out->len);
		else
			out->text = up_str(&r, &out->len);
	}
	return rd_end(&r, NULL) == 0 && out->text;
}
