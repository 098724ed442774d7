/* join, admit: a new host asks with an invite's key to become a peer. chain: what shows that this peer is one. What is
 * judged here is in node/join.c. */
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "node/control/call.h"
#include "node/join.h"

void verb_join(struct call *c)
{
	struct agent *a = c->agent;
	struct join_ask ask;
	struct err err;
	struct wr w;

	if (!a->offers) /* few agents are ever asked */
		a->offers = xcalloc(1, sizeof(*a->offers));
	wr_init(&w, 4096);
	if (join_read_ask(&ask, c->req.args, c->req.args_len, &err) < 0 ||
	        join_answer(&w, &ask, &c->key, gossip_trust(a->gossip), a->offers, a->keys.secret, agent_now(a),
	                &err) < 0)
		call_fail(c, &err);
	else
		call_end(c, &w);
	wr_free(&w);
}

static void send_record(const struct stored *s, void *ctx)
{
	struct wr w;

	wr_init(&w, RECORD_BYTES_MAX + 16);
	pk_bin(&w, s->bytes, join_record_len(s));
	call_item(ctx, &w);
	wr_free(&w);
}

/* A page of records and where the flock is; ends the call. */
static void send_flock(struct call *c, uint64_t from)
{
	struct agent *a = c->agent;
	size_t n = gossip_members(a->gossip, NULL, 0);
	struct member *members = xcalloc(n, sizeof(*members));
	uint64_t next = join_page(gossip_store(a->gossip), from, send_record, c);
	struct wr w;

	n = MIN(n, gossip_members(a->gossip, members, n));
	wr_init(&w, 8192);
	join_pack_members(&w, members, n, next);
	free(members);
	call_end(c, &w);
	wr_free(&w);
}

static void admitted(struct call *c, unsigned copies, unsigned wanted)
{
	struct err err;
	char id[17];

	if (copies == 0) {
		err_set(&err, ERR_FAILED, "admit: this peer could not store the admission; see its log");
		call_fail(c, &err);
		return;
	}
	id64_text(id, key32_id(c->state));
	log_info("trust", "peer %s joined the flock; its admission is durable on %u of %u peers", id, copies,
	        wanted);
	send_flock(c, 0);
}

void verb_admit(struct call *c)
{
	struct agent *a = c->agent;
	const struct trust *t = gossip_trust(a->gossip);
	struct join_admit admit;
	struct record rec;
	struct err err;

	if (join_read_admit(&admit, c->req.args, c->req.args_len, &err) < 0 ||
	        join_check_read(&c->key, t, &err) < 0)
		goto fail;
	if (!admit.record) {
		send_flock(c, admit.from);
		return;
	}
	if (join_check_admission(
	            admit.record, admit.record_len, &c->key, t, a->keys.secret, agent_now(a).wall, &err) < 0 ||
	        record_decode(&rec, admit.record, admit.record_len, &err) < 0)
		goto fail;
	c->state = xmemdup(&rec.author, sizeof(rec.author));
	c->free_state = free;
	c->accepted = admitted;
	do
		c->ticket = drbg_u64(&a->rng);
	while (!c->ticket);
	if (gossip_submit(a->gossip, admit.record, admit.record_len, c->ticket, agent_now(a), &err) < 0)
		call_fail(c, &err);
	agent_pump(a);
	return;
fail:
	call_fail(c, &err);
}

void verb_chain(struct call *c)
{
	struct agent *a = c->agent;
	struct wr w;

	join_each_of_chain(gossip_store(a->gossip), gossip_trust(a->gossip), &a->keys.public_key, send_record, c);
	wr_init(&w, 16);
	pk_map(&w, 0);
	call_end(c, &w);
	wr_free(&w);
}
