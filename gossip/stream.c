#include "gossip/core.h"
#include "gossip/trust/bodies.h"

/* Streams kept at once: enough for every neighbour that a peer reconciles with; each costs a socket. */
#define STREAMS_MAX 64
/* Of these one peer may hold so many that it opened itself: one is what it needs, and each that broke unnoticed on our
 * side stays until it is idle. More close its oldest, so nobody can take the streams of all others. */
#define STREAMS_OF_ONE 4
/* Closed after this long without a frame. */
#define STREAM_IDLE_MS SECONDS(30)
/* When all are taken, one that rests for this long may be closed for another: nobody waits for an answer on it. */
#define STREAM_RESTS_MS SECONDS(3)
/* A reconciliation whose other side says nothing for this long has failed. */
#define SYNC_SILENT_MS SECONDS(10)
/* A handshake that takes longer is given up. */
#define STREAM_OPEN_MS SECONDS(5)
/* Bytes that wait for one handshake: a record of the largest size and some. */
#define BACKLOG_MAX (2 * RECORD_BYTES_MAX)
/* Bytes of what is told to a peer whose admission does not count, of why: hundreds of ordinary records. */
#define FAREWELL_BYTES_MAX (256 * 1024)
/* Bytes of a record in one frame. */
#define PART_MAX 60000
/* Records with bad signatures, however they came, before a stream is closed; one frame that makes no sense is enough. */
#define BAD_FRAMES_MAX 8

struct stream *stream_by_id(const struct gossip *g, uint64_t id)
{
	return map_get(&g->streams, &id);
}

struct stream *stream_open_to(struct gossip *g, const struct peer *p)
{
	map_each (&g->streams, value) {
		struct stream *s = value;

		if (s->peer == p && s->open)
			return s;
	}
	return NULL;
}

static struct stream *opening_to(struct gossip *g, const struct peer *p)
{
	map_each (&g->streams, value) {
		struct stream *s = value;

		if (s->peer == p)
			return s;
	}
	return NULL;
}

static struct stream *stream_add(struct gossip *g, uint64_t id, struct peer *p)
{
	struct stream *s = xcalloc(1, sizeof(*s));

	s->id = id;
	s->peer = p;
	s->opened = s->used = g->now.mono;
	wr_init(&s->backlog, BACKLOG_MAX);
	wr_init(&s->part, RECORD_BYTES_MAX);
	map_put(&g->streams, &id, s);
	return s;
}

static void stream_free(struct gossip *g, struct stream *s)
{
	map_del(&g->streams, &s->id);
	record_stream_gone(g, s);
	if (s->ask)
		contact_of(g, s->peer)->sync_after = g->now.mono + SECONDS(2);
	sync_free(s->ask);
	sync_free(s->answer);
	wr_free(&s->backlog);
	wr_free(&s->part);
	free(s);
}

/* Is there room for one more? If need be, the one that was used longest ago and serves nothing makes it. One that a copy
 * is awaited on serves: closing it would have another asked in the midst of asking one. */
static bool make_room(struct gossip *g)
{
	struct stream *oldest = NULL;

	if (g->streams.len < STREAMS_MAX)
		return true;
	map_each (&g->streams, value) {
		struct stream *s = value;

		if (s->open && !s->ask && !s->answer && g->now.mono - s->used >= STREAM_RESTS_MS &&
		        (!oldest || s->used < oldest->used) && !ticket_asked_over(g, s))
			oldest = s;
	}
	if (!oldest)
		return false;
	stream_close(g, oldest);
	return true;
}

/* p opens one more: it keeps its newest. */
static void limit_inbound(struct gossip *g, const struct peer *p)
{
	struct stream *oldest = NULL;
	unsigned n = 0;

	map_each (&g->streams, value) {
		struct stream *s = value;

		if (s->peer != p || !s->inbound)
			continue;
		n++;
		if (!oldest || s->opened < oldest->opened || (s->opened == oldest->opened && s->id < oldest->id))
			oldest = s;
	}
	if (n >= STREAMS_OF_ONE)
		stream_close(g, oldest);
}

struct stream *stream_to(struct gossip *g, struct peer *p)
{
	struct stream *s = stream_open_to(g, p);
	struct addr to = peer_advertised(p);
	struct out *o;

	if (!s)
		s = opening_to(g, p);
	if (s)
		return s;
	if (!to.family)
		to = peer_addr(p);
	if (!to.family || !make_room(g))
		return NULL;
	s = stream_add(g, ++g->stream_seq, p);
	o = output_new(g, GOSSIP_CONNECT, 0);
	o->action.addr = to;
	o->action.peer = p->key;
	o->action.stream = s->id;
	return s;
}

static void send_frame(struct gossip *g, struct stream *s, const void *bytes, size_t len)
{
	g->count.frames_out++;
	output_bytes(g, GOSSIP_FRAME, NULL, s->id, bytes, len);
}

void stream_frame(struct gossip *g, struct stream *s, uint8_t type, const void *bytes, size_t len)
{
	struct wr w;

	s->used = g->now.mono;
	if (!s->open) {
		wr_u32(&s->backlog, (uint32_t)len + 1);
		wr_u8(&s->backlog, type);
		wr_bytes(&s->backlog, bytes, len);
		return;
	}
	wr_init(&w, FRAME_BYTES_MAX);
	wr_u8(&w, type);
	wr_bytes(&w, bytes, len);
	if (wr_ok(&w))
		send_frame(g, s, w.p, w.len);
	wr_free(&w);
}

void stream_record(struct gossip *g, struct stream *s, const uint8_t *bytes, size_t len, bool push)
{
	size_t at = 0;

	while (at < len) {
		size_t n = MIN(len - at, (size_t)PART_MAX);
		struct wr w;

		wr_init(&w, FRAME_BYTES_MAX);
		wr_u8(&w, push ? RECORD_PUSH : 0);
		wr_u32(&w, (uint32_t)len);
		wr_u32(&w, (uint32_t)at);
		wr_bytes(&w, bytes + at, n);
		stream_frame(g, s, FRAME_RECORD, w.p, w.len);
		wr_free(&w);
		at += n;
	}
}

/* Sends records of a kind to somebody who is turned away, as many as there is room for. */
struct farewell {
	struct gossip *g;
	struct stream *s;
	size_t left; /* bytes */
};

static bool say_farewell(const struct stored *st, void *ctx)
{
	struct farewell *f = ctx;

	if (st->len > f->left)
		return false;
	f->left -= st->len;
	stream_record(f->g, f->s, st->bytes, st->len, false);
	return true;
}

/* Admissions with the invites that one peer joined with, or tried to. */
struct rivals {
	struct farewell *f;
	struct map invites;
};

static bool note_invite(const struct stored *st, void *ctx)
{
	struct rivals *r = ctx;
	struct admission a;

	if (body_get_admission(&a, &st->rec, NULL) == 0)
		map_put(&r->invites, &a.invite, r);
	return true;
}

static bool say_rival(const struct stored *st, void *ctx)
{
	struct rivals *r = ctx;
	struct admission a;

	if (body_get_admission(&a, &st->rec, NULL) < 0 || !map_get(&r->invites, &a.invite))
		return true;
	return say_farewell(st, r->f);
}

/* Its admission does not count: why is among these. Strangers, who have none, are told nothing. */
static void say_why(struct gossip *g, struct stream *s, const struct key32 *peer)
{
	struct farewell f = {.g = g, .s = s, .left = FAREWELL_BYTES_MAX};
	struct rivals r = {.f = &f};
	struct key32 key;

	map_init(&r.invites, sizeof(struct key32), NULL);
	record_key(&key, REC_ADMISSION, peer, "");
	store_each_of_key(g->store, REC_ADMISSION, &key, note_invite, &r);
	if (r.invites.len) {
		store_each(g->store, REC_REVOCATION, say_farewell, &f);
		store_each(g->store, REC_EVICTION, say_farewell, &f);
		store_each(g->store, REC_SUCCESSION, say_farewell, &f);
		store_each(g->store, REC_ADMISSION, say_rival, &r);
	}
	map_free(&r.invites);
}

void gossip_turn_away(struct gossip *g, uint64_t stream, const struct key32 *peer, struct now now)
{
	struct stream s = {.gossip = g, .id = stream, .open = true};
	struct key32 id;
	const struct stored *st;

	core_enter(g, now);
	st = trust_eviction(g->trust, peer, &id) ? store_get(g->store, &id) : NULL;
	if (st)
		stream_record(g, &s, st->bytes, st->len, false);
	else
		say_why(g, &s, peer);
	output_bytes(g, GOSSIP_CLOSE, NULL, stream, NULL, 0);
}

void stream_close(struct gossip *g, struct stream *s)
{
	output_bytes(g, GOSSIP_CLOSE, NULL, s->id, NULL, 0);
	stream_free(g, s);
}

/* When a stream has outlived its use. */
static mono_ms ends_at(const struct stream *s)
{
	if (!s->open)
		return s->opened + STREAM_OPEN_MS;
	return s->ask || s->answer ? s->sync_heard + SYNC_SILENT_MS : s->used + STREAM_IDLE_MS;
}

/* Streams of p (NULL: of anyone) that end at `until` or before, by id: none may go while the map is walked, and closing
 * one may close others, when it has records pushed elsewhere. */
static size_t streams_where(
        const struct gossip *g, const struct peer *p, mono_ms until, uint64_t out[STREAMS_MAX])
{
	size_t n = 0;

	map_each (&g->streams, value) {
		struct stream *s = value;

		if ((!p || s->peer == p) && ends_at(s) <= until && n < STREAMS_MAX)
			out[n++] = s->id;
	}
	return n;
}

static void close_each(struct gossip *g, const uint64_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct stream *s = stream_by_id(g, ids[i]);

		if (s)
			stream_close(g, s);
	}
}

void stream_close_peer(struct gossip *g, const struct peer *p)
{
	uint64_t found[STREAMS_MAX];
	size_t n = streams_where(g, p, MONO_NEVER, found);

	close_each(g, found, n);
}

void stream_tick(struct gossip *g)
{
	uint64_t found[STREAMS_MAX];
	size_t n = streams_where(g, NULL, g->now.mono, found);

	close_each(g, found, n);
}

mono_ms stream_wake(const struct gossip *g)
{
	mono_ms at = MONO_NEVER;

	map_each (&g->streams, value)
		at = MIN(at, ends_at(value));
	return at;
}

void stream_free_all(struct gossip *g)
{
	uint64_t found[STREAMS_MAX];
	size_t n = streams_where(g, NULL, MONO_NEVER, found);

	for (size_t i = 0; i < n; i++)
		stream_free(g, stream_by_id(g, found[i]));
	map_free(&g->streams);
}

static void flush_backlog(struct gossip *g, struct stream *s)
{
	struct rd r;

	rd_init(&r, s->backlog.p, s->backlog.len);
	while (wr_ok(&s->backlog) && rd_left(&r)) {
		uint32_t len = rd_u32(&r);

		send_frame(g, s, rd_bytes(&r, len), len);
	}
	wr_free(&s->backlog);
	wr_init(&s->backlog, BACKLOG_MAX);
}

void gossip_on_stream(struct gossip *g, uint64_t stream, const struct key32 *peer, bool inbound, struct now now)
{
	struct peer *p;
	struct stream *s;

	core_enter(g, now);
	p = member_by_id(g, key32_id(peer));
	if (p && !key32_eq(&p->key, peer))
		p = NULL;
	s = stream_by_id(g, stream);
	if (p && inbound && !s)
		limit_inbound(g, p);
	if (!p || (inbound && (s || !make_room(g)))) {
		if (s)
			stream_free(g, s);
		output_bytes(g, GOSSIP_CLOSE, NULL, stream, NULL, 0);
		return;
	}
	if (!s && !inbound) {
		/* We gave it up meanwhile. */
		output_bytes(g, GOSSIP_CLOSE, NULL, stream, NULL, 0);
		return;
	}
	if (!s)
		s = stream_add(g, stream, p);
	s->inbound = inbound;
	s->open = true;
	s->used = g->now.mono;
	member_heard(g, p);
	probe_on_stream(g, p);
	flush_backlog(g, s);
}

/* Part of a record; taken when the last one is here. */
static bool on_part(struct gossip *g, struct stream *s, struct rd *r)
{
	uint8_t flags = rd_u8(r);
	uint32_t total = rd_u32(r), at = rd_u32(r);
	size_t n = rd_left(r);
	const uint8_t *bytes = rd_bytes(r, n);

	if (!rd_ok(r) || total > RECORD_BYTES_MAX || at != (at ? s->part.len : 0) || n > total - at)
		return false;
	if (!at)
		wr_reset(&s->part);
	pull_progress(g, s);
	wr_bytes(&s->part, bytes, n);
	if (s->part.len < total)
		return true;
	record_take(g, s->part.p, s->part.len, s->peer, s, flags & RECORD_PUSH);
	wr_reset(&s->part);
	return true;
}

static bool on_messages(struct gossip *g, struct stream *s, struct rd *r)
{
	uint64_t id = s->id;
	struct msg m;
	struct wr reply;

	s->given = 0;
	wr_init(&reply, FRAME_BYTES_MAX - 1);
	/* A message may end the stream that it came on: two deaths of its sender, whose streams are closed. */
	while (stream_by_id(g, id) == s && wire_next(r, &m))
		on_message(g, s->peer, &m, &reply, s);
	if (stream_by_id(g, id) != s)
		wr_reset(&reply);
	if (reply.len && wr_ok(&reply))
		stream_frame(g, s, FRAME_MSGS, reply.p, reply.len);
	wr_free(&reply);
	return rd_ok(r);
}

static bool on_kept(struct gossip *g, struct stream *s, struct rd *r, bool stored)
{
	struct key32 id;

	while (rd_left(r)) {
		rd_key32(r, &id);
		if (!rd_ok(r))
			break;
		if (stored)
			ticket_on_stored(g, s, &id);
		else
			ticket_on_refused(g, s, &id);
	}
	return rd_ok(r);
}

void gossip_on_frame(struct gossip *g, uint64_t stream, const uint8_t *bytes, size_t len, struct now now)
{
	struct stream *s;
	struct rd r;
	bool good = false;

	core_enter(g, now);
	g->count.frames_in++;
	s = stream_by_id(g, stream);
	if (!s || !s->open)
		return;
	s->used = g->now.mono;
	member_heard(g, s->peer);
	probe_on_stream(g, s->peer);
	rd_init(&r, bytes, len);
	switch (rd_u8(&r)) {
	case FRAME_MSGS:
		good = on_messages(g, s, &r);
		break;
	case FRAME_RECORD:
		good = on_part(g, s, &r);
		break;
	case FRAME_STORED:
		good = on_kept(g, s, &r, true);
		break;
	case FRAME_REFUSED:
		good = on_kept(g, s, &r, false);
		break;
	case FRAME_SYNC_ASK:
		good = entropy_on_frame(g, s, true, r.p, rd_left(&r)) == 0;
		break;
	case FRAME_SYNC_REPLY:
		good = entropy_on_frame(g, s, false, r.p, rd_left(&r)) == 0;
		break;
	default:
		/* A newer peer may say more than we understand; an empty frame says nothing. */
		good = len > 0;
		break;
	}
	if (stream_by_id(g, stream) != s || (good && s->peer->contact->bad_frames < BAD_FRAMES_MAX))
		return;
	g->count.drop_bad++;
	s->peer->contact->bad_frames = 0;
	stream_close(g, s);
}

void gossip_on_verified_frame(struct gossip *g, uint64_t stream, const uint8_t *bytes, size_t len,
        const struct good_records *good, struct now now)
{
	g->good = *good;
	gossip_on_frame(g, stream, bytes, len, now);
	g->good = (struct good_records){0};
}

void gossip_on_stream_closed(struct gossip *g, uint64_t stream, bool refused, struct now now)
{
	struct stream *s;

	/* A refused connection says that no agent listens there, not that the host is gone: it proves nothing. */
	(void)refused;
	core_enter(g, now);
	s = stream_by_id(g, stream);
	if (s)
		stream_free(g, s);
}
