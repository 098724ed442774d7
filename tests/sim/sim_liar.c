/*
 * A compromised peer: it holds a valid, admitted key, and a script says what it sends. A real core beneath keeps its
 * sessions and knows who is there, so that every lie comes sealed and from a member in good standing.
 */
#include "tests/sim/sim_liar.h"

#include "gossip/core.h"

/* The script's next line comes so often. */
#define TURN_MS 40
struct peer *liar_anyone(struct sim *s, struct gossip *g)
{
	return g->n_peers ? g->peers[drbg_below(&s->rng, g->n_peers)] : NULL;
}

static struct stream *a_stream(struct sim *s, struct gossip *g, struct peer *to)
{
	struct stream *st = to ? stream_to(g, to) : NULL;

	(void)s;
	return st && st->open ? st : NULL;
}

static void tell(struct gossip *g, struct peer *to, const struct statement *st)
{
	uint8_t buf[PAYLOAD_BYTES_MAX];
	struct wr w;

	wr_fixed(&w, buf, sizeof(buf));
	wire_put_statement(&w, st);
	packet_send(g, to, &w);
}

/* Suspect and dead, well signed, at the incarnation that counts or one that does not exist yet. */
static void accuse(struct sim *s, struct gossip *g, struct peer *to)
{
	struct peer *whom = liar_anyone(s, g);
	struct statement st = {.type = drbg_below(&s->rng, 2) ? MSG_SUSPECT : MSG_DEAD,
	        .subject = peer_id(whom),
	        .incarnation = whom->incarnation + (drbg_below(&s->rng, 4) ? 0 : drbg_below(&s->rng, 1000)),
	        .accuser = g->id};

	statement_sign(&st, &g->cfg.flock, g->cfg.secret);
	tell(g, to, &st);
}

/* In another's name, with our own signature. */
static void forge_statement(struct sim *s, struct gossip *g, struct peer *to)
{
	static const enum msg_type types[] = {MSG_ALIVE, MSG_LEFT, MSG_SUSPECT, MSG_DEAD};
	struct peer *whom = liar_anyone(s, g), *accuser = liar_anyone(s, g);
	struct statement st = {.type = types[drbg_below(&s->rng, ARRAY_LEN(types))],
	        .subject = peer_id(whom),
	        .incarnation = whom->incarnation + drbg_below(&s->rng, 3),
	        .accuser = peer_id(accuser),
	        .addr = {.family = 4, .port = 6666, .ip = {10, 66, 6, 6}}};

	statement_sign(&st, &g->cfg.flock, g->cfg.secret);
	tell(g, to, &st);
}

/* Signs with our own key, then says that `author` did; NULL: it is ours, though we have no right to it. */
static void send_record(
        struct gossip *g, struct peer *to, struct stream *st, struct record *r, const struct key32 *author)
{
	struct wr record, w;

	record_sign(r, &g->cfg.flock, g->cfg.secret);
	if (author)
		r->author = *author;
	wr_init(&record, RECORD_BYTES_MAX);
	record_encode(&record, r);
	wr_init(&w, PAYLOAD_BYTES_MAX);
	wire_put_record(&w, record.p, record.len);
	if (wr_ok(&w))
		packet_send(g, to, &w);
	else if (st && wr_ok(&record))
		stream_record(g, st, record.p, record.len, false);
	wr_free(&w);
	wr_free(&record);
}

static void forge_record(struct sim *s, struct gossip *g, struct peer *to)
{
	static const uint8_t kinds[] = {REC_GRANT, REC_INVITE, REC_ADMISSION, REC_REVOCATION, REC_EVICTION,
	        REC_REVISION, REC_REVISION, REC_SETTING, REC_FACTS, REC_STATUS, REC_STATUS};
	static const char *const names[] = {"web", "forged", "0"};
	struct key32 admin;
	struct record r = {.kind = kinds[drbg_below(&s->rng, ARRAY_LEN(kinds))],
	        .stamp = drbg_u64(&s->rng) >> drbg_below(&s->rng, 40),
	        .body = (const uint8_t *)"forged",
	        .body_len = sizeof("forged")};

	snprintf(r.name, sizeof(r.name), "%s", names[drbg_below(&s->rng, ARRAY_LEN(names))]);
	memcpy(admin.b, s->admin + 32, 32);
	switch (drbg_below(&s->rng, 3)) {
	case 0:
		send_record(g, to, NULL, &r, &admin);
		break;
	case 1:
		send_record(g, to, NULL, &r, &liar_anyone(s, g)->key);
		break;
	default:
		if (!record_is_volatile(r.kind))
			send_record(g, to, NULL, &r, NULL);
		break;
	}
}

/* Trust that we give ourselves: well formed and well signed, by someone who has none to give. */
static void forge_trust(struct sim *s, struct gossip *g, struct peer *to)
{
	struct peer *whom = liar_anyone(s, g);
	uint64_t stamp = gossip_stamp(g, g->now.wall);
	struct grant grant = {.operator_key = g->key, .role = ROLE_ADMIN, .powers = POWER_ALL, .name = "me"};
	struct key32 admin;
	struct wr record, w;

	memcpy(admin.b, s->admin + 32, 32);
	wr_init(&record, RECORD_BYTES_MAX);
	switch (drbg_below(&s->rng, 3)) {
	case 0:
		trust_make_grant(&record, &s->flock, &grant, stamp, NULL, 0, g->cfg.secret);
		break;
	case 1:
		trust_make_eviction(&record, &s->flock, &whom->key, NULL, 0, stamp, NULL, 0, g->cfg.secret);
		break;
	default:
		trust_make_revocation(&record, &s->flock, &admin, NULL, 0, stamp, NULL, 0, g->cfg.secret);
		break;
	}
	wr_init(&w, PAYLOAD_BYTES_MAX);
	wire_put_record(&w, record.p, record.len);
	packet_send(g, to, &w);
	wr_free(&w);
	wr_free(&record);
}

static void forge(struct sim *s, struct gossip *g, struct peer *to)
{
	switch (drbg_below(&s->rng, 3)) {
	case 0:
		forge_statement(s, g, to);
		break;
	case 1:
		forge_record(s, g, to);
		break;
	default:
		forge_trust(s, g, to);
		break;
	}
}

/* Claims and verdicts: what it may say, said of everything. */
static void claim(struct sim *s, struct sim_liar *l, struct gossip *g)
{
	char name[32], body[PAGE_BYTES_MAX];
	size_t len = 100 + drbg_below(&s->rng, sizeof(body) - 100);

	memset(body, 'c', len);
	memcpy(body, &l->said, sizeof(l->said));
	snprintf(name, sizeof(name), "%u", (unsigned)drbg_below(&s->rng, PAGES_MAX));
	if (drbg_below(&s->rng, 3)) {
		gossip_publish(g, REC_STATUS, name, (const uint8_t *)body, len, g->now);
		return;
	}
	snprintf(name, sizeof(name), "web/api%u", (unsigned)drbg_below(&s->rng, 100));
	gossip_publish(g, REC_VERDICT, name, (const uint8_t *)body, 40, g->now);
}

static void garbage_frame(struct sim *s, struct gossip *g, struct stream *st)
{
	static const uint8_t types[] = {
	        FRAME_MSGS, FRAME_SYNC_ASK, FRAME_SYNC_REPLY, FRAME_RECORD, FRAME_STORED, 0, 99};
	uint8_t junk[2000];

	drbg_bytes(&s->rng, junk, sizeof(junk));
	stream_frame(
	        g, st, types[drbg_below(&s->rng, ARRAY_LEN(types))], junk, drbg_below(&s->rng, sizeof(junk)));
}

/* A record that says it is as long as they come, and never ends, or is longer than any may be. */
static void endless_record(struct sim *s, struct gossip *g, struct stream *st)
{
	cleanup_free uint8_t *bytes = xcalloc(1, 60000);
	struct wr w;

	wr_init(&w, FRAME_BYTES_MAX);
	wr_u8(&w, RECORD_PUSH);
	wr_u32(&w, drbg_below(&s->rng, 2) ? RECORD_BYTES_MAX : UINT32_MAX);
	wr_u32(&w, 0);
	wr_bytes(&w, bytes, 60000);
	stream_frame(g, st, FRAME_RECORD, w.p, w.len);
	wr_free(&w);
}

static void huge_record(struct sim *s, struct gossip *g, struct peer *to, struct stream *st)
{
	cleanup_free uint8_t *body = xcalloc(1, BODY_BYTES_MAX);
	struct record r = {.kind = drbg_below(&s->rng, 2) ? 200 : REC_VERDICT,
	        .stamp = drbg_u64(&s->rng),
	        .body = body,
	        .body_len = BODY_BYTES_MAX};

	drbg_bytes(&s->rng, body, 32);
	snprintf(r.name, sizeof(r.name), "huge%u", (unsigned)drbg_below(&s->rng, 1000));
	send_record(g, to, st, &r, NULL);
}

static void announce_nothing(struct sim *s, struct gossip *g, struct peer *to)
{
	struct have h = {.kind = REC_REVISION, .stamp = UINT64_MAX, .len = RECORD_BYTES_MAX};
	uint8_t buf[PAYLOAD_BYTES_MAX];
	struct key32 want[WANT_IDS_MAX];
	struct wr w;

	wr_fixed(&w, buf, sizeof(buf));
	drbg_bytes(&s->rng, &h.id, sizeof(h.id));
	h.key = h.id;
	wire_put_have(&w, &h);
	for (size_t i = 0; i < WANT_IDS_MAX / 2; i++)
		drbg_bytes(&s->rng, &want[i], sizeof(want[i]));
	wire_put_want(&w, want, WANT_IDS_MAX / 2);
	packet_send(g, to, &w);
}

static void flood(struct sim *s, struct gossip *g, struct peer *to)
{
	struct stream *st = a_stream(s, g, to);

	switch (drbg_below(&s->rng, 4)) {
	case 0:
		announce_nothing(s, g, to);
		break;
	case 1:
		huge_record(s, g, to, st);
		break;
	case 2:
		if (st)
			endless_record(s, g, st);
		break;
	default:
		if (st)
			garbage_frame(s, g, st);
		break;
	}
}

/* One line of the script. */
static void speak(struct sim *s, struct sim_liar *l, struct gossip *g)
{
	struct peer *to = liar_anyone(s, g);

	if (!to)
		return;
	l->said++;
	if (l->lies.accuse)
		accuse(s, g, to);
	if (l->lies.forge)
		forge(s, g, to);
	if (l->lies.replay)
		liar_replay(s, l, g, to);
	if (l->lies.claim)
		claim(s, l, g);
	if (l->lies.flood)
		flood(s, g, to);
}

void on_lie(struct sim *s, unsigned peer, uint64_t a, uint64_t b, const uint8_t *bytes, size_t len)
{
	struct sim_peer *p = &s->peer[peer];

	(void)a, (void)b, (void)bytes, (void)len;
	if (!p->gossip || !p->liar)
		return;
	core_enter(p->gossip, sim_peer_now(s, peer));
	p->liar->speaking = true;
	speak(s, p->liar, p->gossip);
	sim_drain(s, peer);
	p->liar->speaking = false;
	sim_at(s, s->now + TURN_MS, peer, EV_LIE, 0, 0, NULL, 0);
}

bool sim_liar_says(const struct sim *s, unsigned liar, const struct gossip_action *a)
{
	const struct sim_liar *l = s->peer[liar].liar;

	return l->speaking || !l->lies.silent || (a->kind != GOSSIP_PACKET && a->kind != GOSSIP_FRAME);
}

bool sim_liar_mute(const struct sim_peer *p)
{
	return p->liar && p->liar->lies.silent;
}

void sim_lie(struct sim *s, unsigned peer, struct sim_lies lies)
{
	struct sim_peer *p = &s->peer[peer];

	if (!p->liar) {
		p->liar = xcalloc(1, sizeof(*p->liar));
		sim_at(s, s->now, peer, EV_LIE, 0, 0, NULL, 0);
	}
	p->liar->lies = lies;
}

void sim_liar_free(struct sim_liar *l)
{
	free(l);
}
