/* submit: an operator's record, and on how many disks it is. */
#include "base/hash.h"
#include "base/text.h"
#include "node/control/call.h"
#include "node/control/submit_check.h"

#include <limits.h>

/* How long an operator may wait for copies, ms: an hour is longer than anybody watches. */
#define SUBMIT_WAIT_MAX_MS (60 * 60 * 1000)

/* The record: given, or one that is here already and whose copies are to be counted again. */
static int take_record(const struct call *c, const uint8_t **bytes, size_t *len, struct err *err)
{
	const struct stored *s;
	const uint8_t *id;
	struct key32 key;
	size_t id_len;
	bool again, given;

	if (arg_bin(c, "again", &id, &id_len, &again, err) < 0)
		return -1;
	if (!again)
		return arg_bin(c, "record", bytes, len, &given, err);
	if (id_len != sizeof(key))
		return err_set(err, ERR_USAGE, "submit: an id has %zu bytes", sizeof(key));
	memcpy(key.b, id, sizeof(key.b));
	s = store_get(gossip_store(c->agent->gossip), &key);
	if (!s)
		return err_set(
		        err, ERR_FAILED, "this peer does not have that record any more; run the command again");
	*bytes = s->bytes;
	*len = s->len;
	return 0;
}

void verb_submit(struct call *c)
{
	struct agent *a = c->agent;
	uint64_t copies = 0, wait_ms = 0;
	const uint8_t *bytes;
	struct record rec;
	struct err err;
	bool given;
	size_t len;

	if (take_record(c, &bytes, &len, &err) < 0 || arg_u64(c, "copies", &copies, &given, &err) < 0 ||
	        arg_u64(c, "wait", &wait_ms, &given, &err) < 0 || record_decode(&rec, bytes, len, &err) < 0 ||
	        submit_check(gossip_trust(a->gossip), &rec, &err) < 0 || call_check_clock(c, &err) < 0) {
		call_fail(c, &err);
		return;
	}
	c->state = xmemdup(&rec.id, sizeof(rec.id));
	c->free_state = free;
	do
		c->ticket = drbg_u64(&a->rng);
	while (!c->ticket);
	if (gossip_submit_wanting(a->gossip, bytes, len, c->ticket, (unsigned)MIN(copies, (uint64_t)UINT_MAX),
	            (int64_t)MIN(wait_ms, (uint64_t)SUBMIT_WAIT_MAX_MS), agent_now(a), &err) < 0) {
		agent_pump(a);
		call_fail(c, &err);
		return;
	}
	agent_pump(a);
}

static const char *why_text(uint8_t why)
{
	switch (why) {
	case MISSING_REFUSED:
		return "could not write it; is its disk full?";
	case MISSING_SILENT:
		return "has not confirmed in time";
	default:
		return "cannot be reached";
	}
}

static void pack_missing(struct agent *a, const struct gossip_missing *m, struct arena *arena, struct wr *w)
{
	const char *name = NULL;
	char id[17];

	for (size_t i = 0; i < a->view.n_members && !name; i++)
		if (key32_eq(&a->view.members[i].key, &m->peer))
			name = view_member_name(&a->view, i, arena);
	id64_text(id, key32_id(&m->peer));
	pk_map(w, 3);
	pk_kv_str(w, "peer", id);
	pk_kv_str(w, "name", name ? name : id);
	pk_kv_str(w, "why", why_text(m->why));
}

void submit_answer(struct call *c, const struct gossip_action *accepted)
{
	struct arena arena;
	struct err err;
	struct wr w;

	if (!accepted->copies) {
		err_set(&err, ERR_FAILED, "not accepted, nothing was written: %s",
		        *c->agent->disk_why ? c->agent->disk_why
		                            : "this peer could not write to its disk; see its log");
		call_fail(c, &err);
		return;
	}
	arena_init(&arena);
	wr_init(&w, CONTROL_MESSAGE_MAX);
	pk_map(&w, 5);
	pk_kv_bin(&w, "id", c->state, 32);
	pk_kv_u64(&w, "copies", accepted->copies);
	pk_kv_u64(&w, "wanted", accepted->wanted);
	pk_str(&w, "missing");
	pk_array(&w, (uint32_t)accepted->n_missing);
	for (size_t i = 0; i < accepted->n_missing; i++)
		pack_missing(c->agent, &accepted->missing[i], &arena, &w);
	pk_kv_u64(&w, "more", accepted->more_missing);
	call_end(c, &w);
	wr_free(&w);
	arena_free(&arena);
}
