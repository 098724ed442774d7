#include "base/text.h"
#include "gossip/core.h"

/* Bytes of records sent for the wants of one frame, or packet; the rest comes with the next reconciliation. */
#define WANT_BYTES_MAX (1024 * 1024)
/* Changes of our own status within this time travel together, whatever their pages. */
#define COALESCE_MS 50

static bool is_trust(uint8_t kind)
{
	return kind < REC_REVISION;
}

static struct topic topic_of(const struct record *r)
{
	struct topic t = {{2}};

	/* Of a volatile key only the newest travels; durable records each go their way. */
	memcpy(t.b + 1, record_is_volatile(r->kind) ? r->key.b : r->id.b, 32);
	return t;
}

/* How long it waits for company: an operator's record not at all; our own status not at all, unless we have just
 * spoken; what came from others a moment, as more of it comes along. */
static int64_t hold_for(struct gossip *g, const struct stored *s, const struct peer *from)
{
	int64_t since = g->now.mono - g->own_told;

	if (from)
		return 5 + (int64_t)drbg_below(&g->rng, 10);
	if (!record_is_volatile(s->rec.kind))
		return 0;
	if (since < 0)
		return -since; /* one is due already */
	if (since < COALESCE_MS) {
		g->own_told += COALESCE_MS;
		return COALESCE_MS - since;
	}
	g->own_told = g->now.mono;
	return 0;
}

/* Tells others of a record that is new here: a large one by its id alone, who lacks it pulls it. */
static void spread(struct gossip *g, const struct stored *s, const struct peer *from)
{
	struct have h = {.kind = s->rec.kind,
	        .id = s->rec.id,
	        .key = s->rec.key,
	        .stamp = s->rec.stamp,
	        .len = (uint32_t)s->len};
	struct topic t = topic_of(&s->rec);
	uint8_t brief_buf[128];
	struct wr brief, full;

	wr_fixed(&brief, brief_buf, sizeof(brief_buf));
	wire_put_have(&brief, &h);
	if (s->len <= RECORD_PACKET_MAX) {
		wr_init(&full, PAYLOAD_BYTES_MAX);
		wire_put_record(&full, s->bytes, s->len);
		broadcast_put(&g->bc, BROADCAST_RECORD, &t, 0, full.p, full.len, brief.p, brief.len,
		        spread_limit(g) * 3 / 4);
		wr_free(&full);
	} else {
		broadcast_put(&g->bc, BROADCAST_RECORD, &t, 0, brief.p, brief.len, NULL, 0, 0);
	}
	spread_soon(g, hold_for(g, s, from));
}

void record_tell(struct gossip *g, const struct key32 *key)
{
	const struct stored *s = store_current(g->store, key);

	if (s)
		spread(g, s, NULL);
}

static void counts_now(struct gossip *g, const struct key32 *id, const struct peer *from)
{
	const struct stored *s = store_get(g->store, id);

	if (!s)
		return;
	if (is_trust(s->rec.kind))
		g->trust_changed = true;
	if (s->rec.kind == REC_REVISION)
		trim_later(g, s);
	output_record(g, id, s->rec.kind);
	if (!record_is_volatile(s->rec.kind) || !key32_eq(&s->rec.author, &g->key) ||
	        flap_may_tell(g, &s->rec.key))
		spread(g, s, from);
}

void record_persist(struct gossip *g, const struct stored *s)
{
	struct pending *p = map_get(&g->pending, &s->rec.id);
	struct out *o;

	o = output_new(g, GOSSIP_PERSIST, s->len);
	memcpy(o->bytes, s->bytes, s->len);
	o->action.id = s->rec.id;
	o->action.record_kind = s->rec.kind;
	if (!p) {
		p = xcalloc(1, sizeof(*p));
		p->id = s->rec.id;
		map_put(&g->pending, &p->id, p);
	}
	p->writes++;
}

static void say_kept(struct gossip *g, struct stream *s, const struct key32 *id, bool ok)
{
	stream_frame(g, s, ok ? FRAME_STORED : FRAME_REFUSED, id->b, sizeof(id->b));
}

static void wait_for_disk(struct gossip *g, struct stream *s, const struct key32 *id)
{
	struct pending *p = map_get(&g->pending, id);
	const struct stored *st = store_get(g->store, id);

	if (!p) {
		if (!st || st->on_disk)
			say_kept(g, s, id, true);
	} else if (p->n_waiters < ARRAY_LEN(p->waiters)) {
		p->waiters[p->n_waiters++] = s->id;
	}
}

/* A record of our own that we did not write in this run. */
static void own_from_elsewhere(struct gossip *g, const struct record *r)
{
	uint32_t boot = (uint32_t)(r->stamp >> 32), n = (uint32_t)r->stamp;

	if (boot > g->cfg.boot)
		self_on_newer(g, boot, NULL);
	else if (boot == g->cfg.boot)
		g->record_n = MAX(g->record_n, n);
}

/* Was its signature checked before the frame came here? They stand in the frame's order, so the next is mostly it. */
static bool is_good(struct gossip *g, const uint8_t *bytes, size_t len)
{
	struct key32 hash;

	if (!g->good.n)
		return false;
	hash32(&hash, bytes, len);
	for (size_t i = 0; i < g->good.n; i++)
		if (key32_eq(&g->good.hash[i], &hash)) {
			g->good.hash += i + 1;
			g->good.n -= i + 1;
			return true;
		}
	return false;
}

enum store_verdict record_take(
        struct gossip *g, const uint8_t *bytes, size_t len, struct peer *from, struct stream *stream, bool push)
{
	struct record r;
	struct key32 id;
	struct err err;
	enum store_verdict v;
	bool volatile_, is_void = false;

	if (record_decode(&r, bytes, len, &err) < 0) {
		g->count.records_bad++;
		return STORE_BAD;
	}
	volatile_ = record_is_volatile(r.kind);
	if (volatile_ && !key32_eq(&r.author, &g->key)) {
		const struct peer *author = member_by_id(g, key32_id(&r.author));

		if (!author || !key32_eq(&author->key, &r.author)) {
			g->refused_volatile = true;
			return STORE_KNOWN;
		}
	}
	if (!volatile_ && !store_get(g->store, &r.id) && !quarantine_admits(g, &r, len, &is_void, &err))
		v = STORE_FULL;
	else if (is_good(g, bytes, len))
		v = store_put_verified(g->store, bytes, len, false, &id, &err);
	else
		v = store_put(g->store, bytes, len, false, &id, &err);
	if (v == STORE_BAD || v == STORE_FULL) {
		*(v == STORE_FULL ? &g->count.records_over : &g->count.records_bad) += 1;
		refusal_say(g, v == STORE_FULL ? REFUSED_OVER : REFUSED_BAD, from, &err);
		/* A newer version's form may be unknown here; who passes on what nobody signed did not look. */
		if (v == STORE_BAD && err.code == ERR_UNAUTHORISED && from && stream)
			contact_of(g, from)->bad_frames++;
		if (push && stream && v == STORE_FULL)
			say_kept(g, stream, &r.id, false);
		if (v == STORE_BAD)
			pull_failed(g, &r.id);
		else
			pull_done(g, &r.id);
		return v;
	}
	pull_done(g, &r.id);
	if (v == STORE_NEW && is_void)
		quarantine_took(g, len);
	if (v == STORE_NEW || v == STORE_BODY) {
		if (volatile_) {
			if (key32_eq(&r.author, &g->key) && from)
				own_from_elsewhere(g, &r);
			counts_now(g, &id, from);
		} else {
			hlc_seen(&g->hlc, r.stamp, g->now.wall);
			record_persist(g, store_get(g->store, &id));
		}
	}
	if (push && stream)
		wait_for_disk(g, stream, &r.id);
	return v;
}

void record_stream_gone(struct gossip *g, struct stream *s)
{
	map_each (&g->pending, value) {
		struct pending *p = value;

		for (size_t k = p->n_waiters; k-- > 0;)
			if (p->waiters[k] == s->id)
				p->waiters[k] = p->waiters[--p->n_waiters];
	}
	ticket_stream_gone(g, s);
	pull_stream_gone(g, s);
}

void record_on_want(struct gossip *g, struct peer *from, const struct key32 *ids, size_t n, struct stream *stream)
{
	size_t own = 0, *bytes = stream ? &stream->given : &own;

	for (size_t i = 0; i < n && *bytes < WANT_BYTES_MAX; i++) {
		const struct stored *s = store_get(g->store, &ids[i]);

		if (!s || (!s->on_disk && !record_is_volatile(s->rec.kind)))
			continue;
		*bytes += s->len;
		if (stream) {
			stream_record(g, stream, s->bytes, s->len, false);
		} else if (s->len <= RECORD_PACKET_MAX) {
			uint8_t buf[PAYLOAD_BYTES_MAX];
			struct wr w;

			wr_fixed(&w, buf, sizeof(buf));
			wire_put_record(&w, s->bytes, s->len);
			packet_send(g, from, &w);
		}
	}
}

/* The front door's part. */

void gossip_on_disk(struct gossip *g, const struct key32 *id, bool ok, struct now now)
{
	struct key32 which = *id;
	struct pending *p;

	core_enter(g, now);
	p = map_get(&g->pending, &which);
	if (!p)
		return; /* written again without its body, or dropped meanwhile */
	p->writes--;
	if (!ok) {
		/* Not here then: a later reconciliation brings it again. */
		store_drop(g->store, &which);
		ticket_failed(g, &which);
	} else {
		store_on_disk(g->store, &which);
		counts_now(g, &which, NULL);
		/* Whoever submitted it may act on it at once. */
		if (ticket_waits(g, &which))
			trust_settle(g);
		else
			trust_settle_soon(g);
		ticket_stored(g, &which);
	}
	for (size_t i = 0; i < p->n_waiters; i++) {
		struct stream *s = stream_by_id(g, p->waiters[i]);

		if (s)
			say_kept(g, s, &which, ok);
	}
	p->n_waiters = 0;
	if (!p->writes)
		free(map_del(&g->pending, &which));
	if (!g->ready && !g->pending.len)
		g->entropy_at = MIN(g->entropy_at, g->now.mono);
}

void gossip_publish(
        struct gossip *g, uint8_t kind, const char *name, const uint8_t *body, size_t len, struct now now)
{
	struct record r = {.version = RECORD_VERSION, .kind = kind, .body = body, .body_len = (uint32_t)len};
	const struct stored *before;
	struct key32 id;
	struct wr w;

	core_enter(g, now);
	before = store_page(g->store, kind, &g->key, name ? name : "");
	/* One of an earlier boot is said again: others read the boot from its stamp. */
	if (before && before->rec.stamp >> 32 == g->cfg.boot && before->rec.body_len == len && before->rec.body &&
	        memcmp(before->rec.body, body, len) == 0)
		return;
	text_copy(r.name, sizeof(r.name), name ? name : "");
	r.name_len = (uint8_t)strlen(r.name);
	r.stamp = (uint64_t)g->cfg.boot << 32 | ++g->record_n;
	record_sign(&r, &g->cfg.flock, g->cfg.secret);
	wr_init(&w, RECORD_BYTES_MAX);
	record_encode(&w, &r);
	if (wr_ok(&w) && store_put(g->store, w.p, w.len, false, &id, NULL) == STORE_NEW)
		counts_now(g, &id, NULL);
	wr_free(&w);
}
