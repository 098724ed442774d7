#include "gossip/wire.h"

#include <sodium.h>

/* Opens a message: its length is written when the body is complete. */
static size_t begin(struct wr *w, enum msg_type type)
{
	wr_u8(w, (uint8_t)type);
	wr_u16(w, 0);
	return w->len;
}

static void finish(struct wr *w, size_t body)
{
	size_t len = w->len - body;

	if (!wr_ok(w))
		return;
	w->p[body - 2] = (uint8_t)(len >> 8);
	w->p[body - 1] = (uint8_t)len;
}

void wire_put_ping(struct wr *w, uint32_t seq, uint64_t known)
{
	size_t at = begin(w, MSG_PING);

	wr_u32(w, seq);
	wr_u64(w, known);
	finish(w, at);
}

void wire_put_ack(struct wr *w, uint32_t seq, const struct digest_brief *durable,
        const struct digest_brief *volatile_, uint64_t states, wall_ms wall)
{
	size_t at = begin(w, MSG_ACK);

	wr_u32(w, seq);
	wr_bytes(w, durable->b, sizeof(durable->b));
	wr_bytes(w, volatile_->b, sizeof(volatile_->b));
	wr_u64(w, states);
	/* 48 bits of milliseconds, as in a stamp. */
	wr_u16(w, (uint16_t)(MAX(wall, 0) >> 32));
	wr_u32(w, (uint32_t)MAX(wall, 0));
	finish(w, at);
}

void wire_put_nack(struct wr *w, uint32_t seq)
{
	size_t at = begin(w, MSG_NACK);

	wr_u32(w, seq);
	finish(w, at);
}

void wire_put_ping_req(struct wr *w, uint32_t seq, id64 target)
{
	size_t at = begin(w, MSG_PING_REQ);

	wr_u32(w, seq);
	wr_u64(w, target);
	finish(w, at);
}

/* The signed fields, in the order in which they travel. */
static void put_fields(struct wr *w, const struct statement *st)
{
	wr_u64(w, st->subject);
	wr_u64(w, st->incarnation);
	switch (st->type) {
	case MSG_ALIVE:
		addr_put(w, &st->addr);
		wr_bytes(w, st->boot_id, sizeof(st->boot_id));
		break;
	case MSG_SUSPECT:
	case MSG_DEAD:
		wr_u64(w, st->accuser);
		break;
	default:
		break;
	}
}

void wire_put_statement(struct wr *w, const struct statement *st)
{
	size_t at = begin(w, st->type);

	put_fields(w, st);
	wr_bytes(w, st->sig, sizeof(st->sig));
	finish(w, at);
}

static void get_statement(struct rd *r, struct statement *st, enum msg_type type)
{
	*st = (struct statement){.type = type};
	st->subject = rd_u64(r);
	st->incarnation = rd_u64(r);
	if (type == MSG_ALIVE) {
		addr_get(r, &st->addr);
		rd_copy(r, st->boot_id, sizeof(st->boot_id));
	} else if (type == MSG_SUSPECT || type == MSG_DEAD) {
		st->accuser = rd_u64(r);
	}
	rd_copy(r, st->sig, sizeof(st->sig));
}

void wire_put_record(struct wr *w, const uint8_t *bytes, size_t len)
{
	size_t at = begin(w, MSG_RECORD);

	wr_bytes(w, bytes, len);
	finish(w, at);
}

void wire_put_have(struct wr *w, const struct have *h)
{
	size_t at = begin(w, MSG_HAVE);

	wr_u8(w, h->kind);
	wr_key32(w, &h->id);
	wr_key32(w, &h->key);
	wr_u64(w, h->stamp);
	wr_u32(w, h->len);
	finish(w, at);
}

void wire_put_want(struct wr *w, const struct key32 *ids, size_t n)
{
	size_t at = begin(w, MSG_WANT);

	for (size_t i = 0; i < n; i++)
		wr_key32(w, &ids[i]);
	finish(w, at);
}

void wire_put_states(struct wr *w, const uint64_t sums[WIRE_STATES_PARTS])
{
	size_t at = begin(w, MSG_STATES);

	for (size_t i = 0; i < WIRE_STATES_PARTS; i++)
		wr_u64(w, sums[i]);
	finish(w, at);
}

void wire_put_states_list(struct wr *w, uint8_t part, const struct wire_state *list, size_t n)
{
	size_t at = begin(w, MSG_STATES_LIST);

	wr_u8(w, part);
	for (size_t i = 0; i < n; i++) {
		wr_u64(w, list[i].id);
		wr_u64(w, list[i].incarnation);
	}
	finish(w, at);
}

void wire_put_states_want(struct wr *w, const id64 *ids, size_t n)
{
	size_t at = begin(w, MSG_STATES_WANT);

	for (size_t i = 0; i < n; i++)
		wr_u64(w, ids[i]);
	finish(w, at);
}

static void get_want(struct rd *r, struct msg *m)
{
	if (rd_left(r) % sizeof(struct key32) || rd_left(r) / sizeof(struct key32) > WANT_IDS_MAX) {
		rd_fail(r, "want of a wrong length");
		return;
	}
	m->n_want = rd_left(r) / sizeof(struct key32);
	for (size_t i = 0; i < m->n_want; i++)
		rd_key32(r, &m->want[i]);
}

/* At most max entries of `each` bytes, read when they are needed: a message is held in one struct for all types. */
static void get_states(struct rd *r, struct msg *m, size_t each, size_t max)
{
	m->len = rd_left(r);
	if (m->len % each || m->len / each > max)
		rd_fail(r, "states of a wrong length");
	m->bytes = rd_bytes(r, m->len);
}

void wire_get_states(const struct msg *m, uint64_t sums[WIRE_STATES_PARTS])
{
	struct rd r;

	rd_init(&r, m->bytes, m->len);
	for (size_t i = 0; i < WIRE_STATES_PARTS; i++)
		sums[i] = rd_u64(&r);
}

size_t wire_get_states_list(const struct msg *m, struct wire_state *out)
{
	size_t n = 0;
	struct rd r;

	for (rd_init(&r, m->bytes, m->len); rd_left(&r); n++) {
		out[n].id = rd_u64(&r);
		out[n].incarnation = rd_u64(&r);
	}
	return n;
}

size_t wire_get_states_want(const struct msg *m, id64 *out)
{
	size_t n = 0;
	struct rd r;

	for (rd_init(&r, m->bytes, m->len); rd_left(&r); n++)
		out[n] = rd_u64(&r);
	return n;
}

static void get_body(struct rd *r, struct msg *m)
{
	switch (m->type) {
	case MSG_PING:
		m->seq = rd_u32(r);
		m->known = rd_u64(r);
		break;
	case MSG_NACK:
		m->seq = rd_u32(r);
		break;
	case MSG_ACK:
		m->seq = rd_u32(r);
		rd_copy(r, m->durable.b, sizeof(m->durable.b));
		rd_copy(r, m->volatile_.b, sizeof(m->volatile_.b));
		m->states = rd_u64(r);
		m->wall = (wall_ms)rd_u16(r) << 32;
		m->wall |= rd_u32(r);
		break;
	case MSG_PING_REQ:
		m->seq = rd_u32(r);
		m->target = rd_u64(r);
		break;
	case MSG_ALIVE:
	case MSG_LEFT:
	case MSG_SUSPECT:
	case MSG_DEAD:
		get_statement(r, &m->st, m->type);
		break;
	case MSG_RECORD:
		m->len = rd_left(r);
		m->bytes = rd_bytes(r, m->len);
		break;
	case MSG_HAVE:
		m->have.kind = rd_u8(r);
		rd_key32(r, &m->have.id);
		rd_key32(r, &m->have.key);
		m->have.stamp = rd_u64(r);
		m->have.len = rd_u32(r);
		break;
	case MSG_WANT:
		get_want(r, m);
		break;
	case MSG_STATES:
		get_states(r, m, 8, WIRE_STATES_PARTS);
		if (m->len != sizeof(uint64_t) * WIRE_STATES_PARTS)
			rd_fail(r, "states of a wrong length");
		break;
	case MSG_STATES_LIST:
		m->part = rd_u8(r);
		get_states(r, m, 16, WIRE_STATES_MAX);
		break;
	case MSG_STATES_WANT:
		get_states(r, m, 8, WIRE_STATES_MAX);
		break;
	case MSG_END:
		break;
	}
}

/* May a newer peer say more behind the fields that we know? */
static bool may_grow(enum msg_type type)
{
	return type == MSG_PING || type == MSG_ACK || type == MSG_NACK || type == MSG_PING_REQ ||
	       type == MSG_HAVE;
}

bool wire_next(struct rd *r, struct msg *m)
{
	while (rd_left(r)) {
		uint8_t type = rd_u8(r);
		const uint8_t *body;
		struct rd in;
		size_t len;

		if (type == MSG_END)
			return false;
		len = rd_u16(r);
		body = rd_bytes(r, len);
		if (!body)
			return false;
		if (type > MSG_STATES_WANT)
			continue;
		m->type = (enum msg_type)type;
		m->n_want = 0;
		rd_init(&in, body, len);
		get_body(&in, m);
		if (may_grow(m->type) ? !rd_ok(&in) : rd_end(&in, NULL) < 0) {
			rd_fail(r, "malformed message");
			return false;
		}
		return true;
	}
	return false;
}

/* What a statement's signature covers. Long enough for the longest, and asserted by the writer's own bound. */
struct signed_bytes {
	uint8_t buf[160];
	size_t len;
};

static void to_sign(struct signed_bytes *out, const struct statement *st, const struct key32 *flock)
{
	static const char domain[] = "starling member 1";
	struct wr w;

	wr_fixed(&w, out->buf, sizeof(out->buf));
	wr_bytes(&w, domain, sizeof(domain));
	wr_key32(&w, flock);
	wr_u8(&w, (uint8_t)st->type);
	put_fields(&w, st);
	out->len = w.len;
}

void statement_sign(struct statement *st, const struct key32 *flock, const uint8_t secret[64])
{
	struct signed_bytes s;

	to_sign(&s, st, flock);
	crypto_sign_detached(st->sig, NULL, s.buf, s.len, secret);
}

bool statement_verify(const struct statement *st, const struct key32 *flock, const struct key32 *signer)
{
	struct signed_bytes s;

	to_sign(&s, st, flock);
	return crypto_sign_verify_detached(st->sig, s.buf, s.len, signer->b) == 0;
}
