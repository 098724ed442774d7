/*
 * When a record counts: an operator's once enough disks have it, another peer's once ours has it, a volatile one at
 * once and on no disk. One peer's core against scripted others and a scripted disk.
 */
#include "gossip/core.h"
#include "tests/unit/gossip/flock.h"

#define PEERS_MAX 24

/* What a peer does when it is asked to keep a copy. */
enum habit { STORES, STORES_TWICE, IS_SILENT, REFUSES, BREAKS };

struct world {
	struct flock flock;
	struct actor who[PEERS_MAX]; /* 0 is the peer under test */
	enum habit habit[PEERS_MAX];
	bool up[PEERS_MAX];
	unsigned asked[PEERS_MAX]; /* times that it was asked to keep a copy */
	unsigned n;
	struct gossip *g;
	struct now now;
	uint64_t stream[PEERS_MAX], inbound;
	/* What the core asked for. */
	bool disk_holds, disk_fails; /* the disk does not answer; it refuses */
	unsigned persisted, recorded, refused, stored, records_out;
	struct key32 last_persisted;
	bool accepted;
	struct gossip_action answer;
	struct gossip_missing missing[GOSSIP_MISSING_MAX];
};

static struct addr addr_of(unsigned i)
{
	return (struct addr){.family = 4, .port = 7827, .ip = {10, 0, 0, (uint8_t)i}};
}

static struct peer *peer(struct world *w, unsigned i)
{
	return member_by_id(w->g, key32_id(&w->who[i].key));
}

static unsigned number_of(const struct world *w, const struct key32 *key)
{
	unsigned i = 0;

	while (i < w->n && !key32_eq(&w->who[i].key, key))
		i++;
	assert_true(i < w->n);
	return i;
}

static void say(struct world *w, uint64_t stream, uint8_t frame, const struct key32 *id)
{
	uint8_t bytes[33] = {frame};

	memcpy(bytes + 1, id->b, sizeof(id->b));
	gossip_on_frame(w->g, stream, bytes, sizeof(bytes), w->now);
}

static void on_asked(struct world *w, unsigned i, uint64_t stream, const struct key32 *id)
{
	w->asked[i]++;
	switch (w->habit[i]) {
	case STORES_TWICE:
		say(w, stream, FRAME_STORED, id);
		/* fall through */
	case STORES:
		say(w, stream, FRAME_STORED, id);
		break;
	case REFUSES:
		say(w, stream, FRAME_REFUSED, id);
		break;
	case BREAKS:
		w->stream[i] = 0;
		gossip_on_stream_closed(w->g, stream, false, w->now);
		break;
	case IS_SILENT:
		break;
	}
}

static void on_frame(struct world *w, const struct gossip_action *a)
{
	struct record rec;
	struct rd r;
	struct err err;

	rd_init(&r, a->bytes, a->len);
	switch (rd_u8(&r)) {
	case FRAME_STORED:
		w->stored++;
		break;
	case FRAME_REFUSED:
		w->refused++;
		break;
	case FRAME_RECORD:
		w->records_out++;
		if (!(rd_u8(&r) & RECORD_PUSH))
			break;
		rd_u32(&r);
		rd_u32(&r);
		assert_int_equal(record_decode(&rec, r.p, rd_left(&r), &err), 0);
		for (unsigned i = 1; i < w->n; i++)
			if (w->stream[i] == a->stream)
				on_asked(w, i, a->stream, &rec.id);
		break;
	default:
		break;
	}
}

static void on_connect(struct world *w, const struct gossip_action *a)
{
	unsigned i = number_of(w, &a->peer);

	if (!w->up[i]) {
		gossip_on_stream_closed(w->g, a->stream, true, w->now);
		return;
	}
	w->stream[i] = a->stream;
	gossip_on_stream(w->g, a->stream, &w->who[i].key, false, w->now);
}

/* Does what the core asks for. */
static void carry_out(struct world *w)
{
	struct gossip_action a;

	while (gossip_next(w->g, &a)) {
		struct gossip_action copy = a;

		copy.bytes = a.len ? xmemdup(a.bytes, a.len) : NULL;
		switch (a.kind) {
		case GOSSIP_CONNECT:
			on_connect(w, &copy);
			break;
		case GOSSIP_FRAME:
			on_frame(w, &copy);
			break;
		case GOSSIP_PERSIST:
			w->persisted++;
			w->last_persisted = a.id;
			if (!w->disk_holds)
				gossip_on_disk(w->g, &copy.id, !w->disk_fails, w->now);
			break;
		case GOSSIP_RECORD:
			w->recorded++;
			break;
		case GOSSIP_ACCEPTED:
			assert_false(w->accepted);
			w->accepted = true;
			w->answer = a;
			memcpy(w->missing, a.missing, a.n_missing * sizeof(a.missing[0]));
			break;
		default:
			break;
		}
		free((void *)copy.bytes);
	}
}

/* Time passes; whoever is up is heard all the while. */
static void pass(struct world *w, int64_t ms)
{
	mono_ms until = w->now.mono + ms;

	carry_out(w);
	while (w->now.mono < until) {
		w->now.mono = MIN(MAX(gossip_wake(w->g), w->now.mono + 1), until);
		gossip_tick(w->g, w->now);
		for (unsigned i = 1; i < w->n; i++)
			for (size_t k = 0; w->up[i] && k < PROBES_MAX; k++)
				if (w->g->probes[k].used && w->g->probes[k].target == key32_id(&w->who[i].key))
					probe_on_ack(w->g, peer(w, i), w->g->probes[k].seq[0]);
		carry_out(w);
	}
}

/* A peer shows up: it has run, and can be reached. */
static void appear(struct world *w, unsigned i)
{
	struct statement st = {.type = MSG_ALIVE,
	        .subject = key32_id(&w->who[i].key),
	        .incarnation = UINT64_C(1) << 32,
	        .addr = addr_of(i)};

	statement_sign(&st, &w->flock.id, w->who[i].secret);
	member_on_statement(w->g, &st, NULL);
	member_heard(w->g, peer(w, i));
	w->up[i] = true;
	pass(w, 1);
}

/* Its agent ends, and nobody has noticed yet. */
static void go_down(struct world *w, unsigned i)
{
	w->up[i] = false;
	if (w->stream[i])
		gossip_on_stream_closed(w->g, w->stream[i], false, w->now);
	w->stream[i] = 0;
}

/* A flock of n, of which the first `there` have run. */
static struct world *world(unsigned n, unsigned there)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct gossip_config cfg = {.boot = 5, .advertise = addr_of(0), .plain = true};

	w->flock = flock_new();
	w->n = n;
	w->now = (struct now){.mono = 1000, .wall = 1700000000000};
	for (unsigned i = 0; i < n; i++)
		w->who[i] = actor(PEER_A + i);
	cfg.flock = w->flock.id;
	cfg.key = w->who[0].key;
	memcpy(cfg.secret, w->who[0].secret, sizeof(cfg.secret));
	w->g = gossip_new(&cfg);
	gossip_load(w->g, w->flock.genesis.w.p, w->flock.genesis.w.len, NULL);
	gossip_load(w->g, w->flock.grant.w.p, w->flock.grant.w.len, NULL);
	for (unsigned i = 0; i < n; i++) {
		struct wr r = record_wr();
		struct admission a;

		trust_vouch_first(&a, &w->flock.id, &w->who[i].key, w->flock.admin.secret);
		trust_make_admission(&r, &w->flock.id, &a, 1 + i, w->who[i].secret);
		assert_int_equal(gossip_load(w->g, r.p, r.len, NULL), 0);
		wr_free(&r);
	}
	gossip_start(w->g, w->now);
	for (unsigned i = 1; i < there; i++)
		appear(w, i);
	pass(w, 10);
	return w;
}

static void end(struct world *w)
{
	gossip_free(w->g);
	flock_free(&w->flock);
	free(w);
}

static struct key32 submit(struct world *w, unsigned wanted, int64_t wait_ms)
{
	struct packed p = make_revision(&w->flock.id, &w->flock.admin, "web", 50, NULL, 0, "v1");
	struct key32 id = p.id;
	struct err err;

	if (gossip_submit_wanting(w->g, p.w.p, p.w.len, 7, wanted, wait_ms, w->now, &err) < 0)
		fail_msg("%s", err.text);
	packed_free(&p);
	carry_out(w);
	return id;
}

static enum gossip_missing_why missing_why(const struct world *w, unsigned i)
{
	for (size_t k = 0; k < w->answer.n_missing; k++)
		if (key32_eq(&w->missing[k].peer, &w->who[i].key))
			return w->missing[k].why;
	fail_msg("peer %u is not named", i);
	return 0;
}

/* --- operators' records --- */

static void three_disks_are_enough(void **state)
{
	struct world *w = world(6, 6);

	(void)state;
	submit(w, 0, 0);
	assert_true(w->accepted);
	assert_int_equal(w->answer.copies, 3);
	assert_int_equal(w->answer.wanted, 3);
	assert_int_equal(w->answer.n_missing, 0);
	end(w);
}

static void a_peer_that_says_it_twice_is_one_copy(void **state)
{
	struct world *w = world(3, 3);

	(void)state;
	w->habit[1] = STORES_TWICE;
	w->habit[2] = IS_SILENT;
	submit(w, 0, 0);
	assert_false(w->accepted);
	/* Nor over a second stream. */
	gossip_on_stream(w->g, UINT64_C(1) << 63 | 9, &w->who[1].key, true, w->now);
	say(w, UINT64_C(1) << 63 | 9, FRAME_STORED, &w->last_persisted);
	pass(w, 2100);
	assert_true(w->accepted);
	assert_int_equal(w->answer.copies, 2);
	assert_int_equal(w->answer.wanted, 3);
	end(w);
}

static void who_did_not_confirm_is_named_with_why(void **state)
{
	struct world *w = world(4, 4);

	(void)state;
	w->habit[1] = IS_SILENT;
	w->habit[2] = REFUSES;
	go_down(w, 3);
	submit(w, 0, 0);
	pass(w, 2100);
	assert_true(w->accepted);
	assert_int_equal(w->answer.copies, 1);
	assert_int_equal(w->answer.wanted, 3);
	assert_int_equal(w->answer.n_missing, 3);
	assert_int_equal(missing_why(w, 1), MISSING_SILENT);
	assert_int_equal(missing_why(w, 2), MISSING_REFUSED);
	assert_int_equal(missing_why(w, 3), MISSING_UNREACHABLE);
	end(w);
}

static void a_peer_that_joined_and_never_ran_is_not_waited_for(void **state)
{
	struct world *w = world(3, 2);

	(void)state;
	submit(w, 0, 0);
	assert_true(w->accepted);
	assert_int_equal(w->answer.copies, 2);
	assert_int_equal(w->answer.wanted, 2);
	end(w);
}

/* It has run: its last address is known, even to an agent that has started again since. */
static void a_peer_that_is_down_is_counted_and_named(void **state)
{
	struct world *w = world(3, 2);
	struct addr at = addr_of(2);

	(void)state;
	gossip_load_addr(w->g, &w->who[2].key, &at);
	submit(w, 0, 0);
	pass(w, 10);
	assert_true(w->accepted);
	assert_int_equal(w->answer.copies, 2);
	assert_int_equal(w->answer.wanted, 3);
	assert_int_equal(w->answer.n_missing, 1);
	assert_int_equal(missing_why(w, 2), MISSING_UNREACHABLE);
	end(w);
}

static void a_broken_stream_is_tried_once_more_at_once(void **state)
{
	struct world *w = world(2, 2);

	(void)state;
	w->habit[1] = BREAKS;
	submit(w, 0, 0);
	pass(w, 1);
	assert_int_equal(w->asked[1], 2);
	assert_true(w->accepted);
	assert_int_equal(w->answer.copies, 1);
	assert_int_equal(missing_why(w, 1), MISSING_UNREACHABLE);
	end(w);
}

static void a_slow_disk_is_helped_out_by_another(void **state)
{
	struct world *w = world(5, 5);

	(void)state;
	w->habit[1] = w->habit[2] = IS_SILENT;
	submit(w, 0, 0);
	pass(w, 1000);
	assert_true(w->accepted);
	assert_int_equal(w->answer.copies, 3);
	end(w);
}

static void what_is_not_on_our_own_disk_is_not_accepted(void **state)
{
	struct world *w = world(3, 3);

	(void)state;
	w->disk_holds = true;
	submit(w, 0, 0);
	pass(w, 5000);
	assert_false(w->accepted); /* nothing is known yet, whatever others could keep */
	assert_int_equal(w->asked[1] + w->asked[2], 0);
	gossip_on_disk(w->g, &w->last_persisted, false, w->now);
	carry_out(w);
	assert_true(w->accepted);
	assert_int_equal(w->answer.copies, 0);
	assert_null(store_get(gossip_store(w->g), &w->last_persisted));
	end(w);
}

static void asked_for_more_copies_it_waits_for_them(void **state)
{
	struct world *w = world(5, 4);

	(void)state;
	w->habit[1] = REFUSES;
	submit(w, 4, 30000);
	pass(w, 10000);
	assert_false(w->accepted);
	w->habit[1] = STORES; /* there is room again */
	pass(w, 2000);
	assert_true(w->accepted);
	assert_int_equal(w->answer.copies, 4);
	assert_int_equal(w->answer.wanted, 4);
	end(w);
}

static void and_says_at_the_end_what_it_did_not_get(void **state)
{
	struct world *w = world(4, 4);

	(void)state;
	w->habit[3] = IS_SILENT;
	submit(w, 4, 8000);
	pass(w, 7900);
	assert_false(w->accepted);
	pass(w, 200);
	assert_true(w->accepted);
	assert_int_equal(w->answer.copies, 3);
	assert_int_equal(w->answer.n_missing, 1);
	assert_int_equal(missing_why(w, 3), MISSING_SILENT);
	end(w);
}

static void fewer_copies_than_usual_may_be_asked_for(void **state)
{
	struct world *w = world(3, 3);

	(void)state;
	submit(w, 1, 8000);
	assert_true(w->accepted);
	assert_int_equal(w->answer.copies, 1);
	assert_int_equal(w->answer.wanted, 1);
	end(w);
}

static void more_copies_than_peers_are_refused_and_nothing_is_written(void **state)
{
	struct world *w = world(4, 3);
	struct packed p = make_revision(&w->flock.id, &w->flock.admin, "web", 50, NULL, 0, "v1");
	struct err err;

	(void)state;
	assert_int_equal(gossip_submit_wanting(w->g, p.w.p, p.w.len, 7, 4, 1000, w->now, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
	assert_non_null(strstr(err.text, "3 of the flock's peers have ever run"));
	assert_null(store_get(gossip_store(w->g), &p.id));
	carry_out(w);
	assert_int_equal(w->persisted, 0);
	packed_free(&p);
	end(w);
}

/* --- streams: few, and shared by all --- */

#define INBOUND(peer, k) (UINT64_C(1) << 63 | (peer) << 16 | (k))

/* Peer i opens so many streams at once. */
static void open_many(struct world *w, unsigned i, unsigned n)
{
	for (unsigned k = 0; k < n; k++)
		gossip_on_stream(w->g, INBOUND(i, k), &w->who[i].key, true, w->now);
	carry_out(w);
}

/* It keeps each in use with frames of a kind that nobody knows. */
static void one_peer_takes_the_streams_of_nobody_else(void **state)
{
	static const uint8_t unknown[] = {200};
	struct world *w = world(4, 3);
	unsigned held = 0;

	(void)state;
	open_many(w, 1, 100);
	for (int i = 0; i < 10; i++) {
		for (unsigned k = 0; k < 100; k++)
			gossip_on_frame(w->g, INBOUND(1U, k), unknown, sizeof(unknown), w->now);
		w->now.mono += 2000;
		gossip_tick(w->g, w->now);
		carry_out(w);
	}
	for (unsigned k = 0; k < 100; k++)
		held += stream_by_id(w->g, INBOUND(1U, k)) != NULL;
	assert_in_range(held, 1, 4);
	assert_non_null(stream_by_id(w->g, INBOUND(1U, 99U)));
	assert_null(stream_by_id(w->g, INBOUND(1U, 0U)));
	appear(w, 2);
	assert_non_null(stream_to(w->g, peer(w, 2)));
	open_many(w, 3, 1);
	assert_non_null(stream_by_id(w->g, INBOUND(3U, 0U)));
	end(w);
}

/* All streams are taken and rest, and one of those that were asked refuses: another is asked, over a stream that makes
 * room for. Nobody is asked twice, and none of those that are still awaited is closed. */
static void room_for_a_stream_is_not_made_of_those_that_copies_are_awaited_on(void **state)
{
	struct world *w = world(24, 24);
	const struct ticket *t;
	uint64_t asked[PEERS_MAX] = {0};
	unsigned refuses = 0, others = 0;
	struct key32 id;

	(void)state;
	for (unsigned i = 1; i < w->n; i++) {
		w->habit[i] = IS_SILENT;
		go_down(w, i);
		w->up[i] = true;
	}
	w->now.mono += 1;
	id = submit(w, 4, 60000);
	for (unsigned i = 1; i < w->n; i++)
		if (w->asked[i]) {
			asked[i] = w->stream[i];
			refuses = i;
		}
	assert_true(refuses > 0);
	w->now.mono += 1;
	for (unsigned i = 1; i < w->n && w->g->streams.len < 64; i++) {
		if (asked[i])
			continue;
		open_many(w, i, 4);
		peer_set_silent(w->g, peer(w, i), true); /* whoever is asked next has no stream */
	}
	w->now.mono += 3001;
	assert_int_equal(w->g->streams.len, 64);
	say(w, asked[refuses], FRAME_REFUSED, &id);
	carry_out(w);
	t = list_entry(w->g->tickets.next, struct ticket, at);
	for (unsigned i = 1; i < w->n; i++) {
		if (asked[i])
			assert_non_null(stream_by_id(w->g, asked[i]));
		else
			others += w->asked[i];
	}
	assert_int_equal(others, 1);
	for (size_t i = 0; i < t->n_copies; i++)
		for (size_t k = 0; k < i; k++)
			assert_true(t->copy[i].peer != t->copy[k].peer);
	end(w);
}

/* --- records of others, and the disk --- */

static bool digest_has(const struct world *w, bool volatile_kinds, uint32_t before)
{
	return store_digest(gossip_store(w->g), volatile_kinds).count > before;
}

static uint32_t digest_count(const struct world *w, bool volatile_kinds)
{
	return store_digest(gossip_store(w->g), volatile_kinds).count;
}

/* Peer 1 hands it over, and wants to hear when it is on disk. */
static struct key32 hand_over(struct world *w)
{
	struct packed p = make_revision(&w->flock.id, &w->flock.admin, "web", 50, NULL, 0, "v1");
	struct key32 id = p.id;
	struct wr f;

	if (!w->inbound) {
		w->inbound = UINT64_C(1) << 63 | 5;
		gossip_on_stream(w->g, w->inbound, &w->who[1].key, true, w->now);
	}
	carry_out(w);
	w->recorded = w->stored = w->records_out = 0;
	wr_init(&f, FRAME_BYTES_MAX);
	wr_u8(&f, FRAME_RECORD);
	wr_u8(&f, RECORD_PUSH);
	wr_u32(&f, (uint32_t)p.w.len);
	wr_u32(&f, 0);
	wr_bytes(&f, p.w.p, p.w.len);
	gossip_on_frame(w->g, w->inbound, f.p, f.len, w->now);
	wr_free(&f);
	packed_free(&p);
	carry_out(w);
	return id;
}

static void want(struct world *w, const struct key32 *id)
{
	struct wr f;

	wr_init(&f, FRAME_BYTES_MAX);
	wr_u8(&f, FRAME_MSGS);
	wire_put_want(&f, id, 1);
	gossip_on_frame(w->g, w->inbound, f.p, f.len, w->now);
	wr_free(&f);
	carry_out(w);
}

static void a_durable_record_of_another_counts_once_it_is_synced(void **state)
{
	struct world *w = world(3, 3);
	uint32_t before = digest_count(w, false);
	struct key32 id;

	(void)state;
	w->disk_holds = true;
	id = hand_over(w);
	assert_int_equal(w->persisted, 1);
	/* Until it is on disk: not in the digest, not passed on, not given to who asks, not confirmed, not acted on. */
	want(w, &id);
	pass(w, 1000);
	assert_false(digest_has(w, false, before));
	assert_int_equal(w->recorded, 0);
	assert_int_equal(w->stored, 0);
	assert_int_equal(w->records_out, 0);
	gossip_on_disk(w->g, &id, true, w->now);
	carry_out(w);
	assert_true(digest_has(w, false, before));
	assert_int_equal(w->recorded, 1);
	assert_int_equal(w->stored, 1);
	want(w, &id);
	assert_int_equal(w->records_out, 1);
	end(w);
}

static void a_disk_that_refuses_it_is_told_and_nothing_stays(void **state)
{
	struct world *w = world(3, 3);
	uint32_t before = digest_count(w, false);
	struct key32 id;

	(void)state;
	w->disk_fails = true;
	id = hand_over(w);
	assert_int_equal(w->stored, 0);
	assert_int_equal(w->refused, 1);
	assert_false(digest_has(w, false, before));
	assert_null(store_get(gossip_store(w->g), &id));
	w->disk_fails = false;
	hand_over(w);
	assert_true(digest_has(w, false, before));
	end(w);
}

static void volatile_records_count_at_once_and_never_meet_the_disk(void **state)
{
	struct world *w = world(3, 3);
	uint32_t before = digest_count(w, true);
	struct record r = {.kind = REC_STATUS, .stamp = UINT64_C(1) << 32 | 1};
	struct packed p = pack(r, "0", "what it runs", 12, &w->flock.id, &w->who[1]);

	(void)state;
	w->disk_holds = true;
	assert_int_equal(record_take(w->g, p.w.p, p.w.len, peer(w, 1), NULL, false), STORE_NEW);
	carry_out(w);
	assert_int_equal(digest_count(w, true), before + 1);
	assert_int_equal(w->recorded, 1);
	gossip_publish(w->g, REC_STATUS, "0", (const uint8_t *)"what I run", 10, w->now);
	carry_out(w);
	assert_int_equal(digest_count(w, true), before + 2);
	assert_int_equal(w->persisted, 0);
	packed_free(&p);
	end(w);
}

static bool count_bodies(const struct stored *s, void *ctx)
{
	*(unsigned *)ctx += s->rec.body != NULL;
	return true;
}

/* Of 30 revisions 20 keep their bodies; the disk forgets the others' too, and none of it is looked at once for each. */
static void old_bodies_go_from_memory_and_disk_once_for_all_that_came(void **state)
{
	struct world *w = world(3, 3);
	struct key32 parent;
	unsigned bodies = 0;

	(void)state;
	for (unsigned i = 0; i < 30; i++) {
		struct packed p = make_revision(&w->flock.id, &w->flock.admin, "web", 50 + i, &parent, i ? 1 : 0,
		        "a body of some length");

		assert_int_equal(record_take(w->g, p.w.p, p.w.len, peer(w, 1), NULL, false), STORE_NEW);
		parent = p.id;
		packed_free(&p);
	}
	carry_out(w);
	assert_int_equal(w->persisted, 30);
	store_each(gossip_store(w->g), REC_REVISION, count_bodies, &bodies);
	assert_int_equal(bodies, 30);
	pass(w, 200);
	bodies = 0;
	store_each(gossip_store(w->g), REC_REVISION, count_bodies, &bodies);
	assert_int_equal(bodies, STACK_BODIES_KEPT);
	assert_int_equal(w->persisted, 30 + 10); /* their headers, written over them */
	pass(w, 5000);
	assert_int_equal(w->persisted, 30 + 10);
	end(w);
}

static size_t admitted(const struct world *w)
{
	return trust_peers(gossip_trust(w->g), NULL, 0);
}

/* A hundred admissions at once: the first and the last of them are in effect soon, and trust is not judged for each. */
static void trust_records_that_come_together_are_judged_together(void **state)
{
	struct world *w = world(3, 3);
	size_t before = admitted(w);

	(void)state;
	pass(w, 1000);
	for (unsigned i = 0; i < 100; i++) {
		struct wr r = record_wr();
		struct actor who = actor(500 + i);
		struct admission a;

		trust_vouch_first(&a, &w->flock.id, &who.key, w->flock.admin.secret);
		trust_make_admission(&r, &w->flock.id, &a, 10 + i, who.secret);
		assert_int_equal(record_take(w->g, r.p, r.len, peer(w, 1), NULL, false), STORE_NEW);
		wr_free(&r);
		carry_out(w);
	}
	assert_int_equal(admitted(w), before + 1);
	pass(w, 60);
	assert_int_equal(admitted(w), before + 100);
	end(w);
}

/* What was submitted here is in effect when its author has the answer. */
static void a_submitted_grant_holds_once_it_is_accepted(void **state)
{
	struct world *w = world(3, 3);

	(void)state;
	pass(w, 1000);
	for (unsigned i = 0; i < 3; i++) {
		struct actor who = actor(600 + i);
		struct grant g = {.operator_key = who.key, .role = ROLE_DEPLOY, .name = "ci"};
		struct packed p = make_grant(&w->flock.id, &g, &w->flock.admin, 70 + i);
		struct err err;

		w->accepted = false;
		assert_int_equal(gossip_submit(w->g, p.w.p, p.w.len, 7, w->now, &err), 0);
		carry_out(w);
		assert_true(w->accepted);
		assert_non_null(trust_operator(gossip_trust(w->g), &who.key));
		packed_free(&p);
	}
	end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(three_disks_are_enough),
	        cmocka_unit_test(a_peer_that_says_it_twice_is_one_copy),
	        cmocka_unit_test(who_did_not_confirm_is_named_with_why),
	        cmocka_unit_test(a_peer_that_joined_and_never_ran_is_not_waited_for),
	        cmocka_unit_test(a_peer_that_is_down_is_counted_and_named),
	        cmocka_unit_test(a_broken_stream_is_tried_once_more_at_once),
	        cmocka_unit_test(a_slow_disk_is_helped_out_by_another),
	        cmocka_unit_test(what_is_not_on_our_own_disk_is_not_accepted),
	        cmocka_unit_test(asked_for_more_copies_it_waits_for_them),
	        cmocka_unit_test(and_says_at_the_end_what_it_did_not_get),
	        cmocka_unit_test(fewer_copies_than_usual_may_be_asked_for),
	        cmocka_unit_test(more_copies_than_peers_are_refused_and_nothing_is_written),
	        cmocka_unit_test(one_peer_takes_the_streams_of_nobody_else),
	        cmocka_unit_test(room_for_a_stream_is_not_made_of_those_that_copies_are_awaited_on),
	        cmocka_unit_test(a_durable_record_of_another_counts_once_it_is_synced),
	        cmocka_unit_test(a_disk_that_refuses_it_is_told_and_nothing_stays),
	        cmocka_unit_test(volatile_records_count_at_once_and_never_meet_the_disk),
	        cmocka_unit_test(old_bodies_go_from_memory_and_disk_once_for_all_that_came),
	        cmocka_unit_test(trust_records_that_come_together_are_judged_together),
	        cmocka_unit_test(a_submitted_grant_holds_once_it_is_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
