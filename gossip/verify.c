#include "gossip/verify.h"

#include "base/hash.h"
#include "gossip/core.h"

typedef void visit(void *ctx, const uint8_t *bytes, size_t len);

static void visit_part(struct rd *r, visit *fn, void *ctx)
{
	uint32_t total, at;
	size_t n;

	rd_u8(r);
	total = rd_u32(r);
	at = rd_u32(r);
	n = rd_left(r);
	if (rd_ok(r) && at == 0 && n == total)
		fn(ctx, r->p, n);
}

static void visit_messages(struct rd *r, visit *fn, void *ctx)
{
	struct msg m;

	while (wire_next(r, &m))
		if (m.type == MSG_RECORD)
			fn(ctx, m.bytes, m.len);
}

/* Each whole record in a frame; a malformed frame ends it, the core says the rest. */
static void each_record(const uint8_t *frame, size_t len, visit *fn, void *ctx)
{
	struct rd r;

	rd_init(&r, frame, len);
	switch (rd_u8(&r)) {
	case FRAME_MSGS:
		visit_messages(&r, fn, ctx);
		break;
	case FRAME_RECORD:
		visit_part(&r, fn, ctx);
		break;
	case FRAME_SYNC_ASK:
		sync_each_record(r.p, rd_left(&r), true, fn, ctx);
		break;
	case FRAME_SYNC_REPLY:
		sync_each_record(r.p, rd_left(&r), false, fn, ctx);
		break;
	default:
		break;
	}
}

static void note(void *ctx, const uint8_t *bytes, size_t len)
{
	(void)bytes;
	(void)len;
	*(bool *)ctx = true;
}

bool frame_has_records(const uint8_t *frame, size_t len)
{
	bool any = false;

	each_record(frame, len, note, &any);
	return any;
}

struct check {
	const struct key32 *flock;
	struct key32 *out;
	size_t n;
};

static void check(void *ctx, const uint8_t *bytes, size_t len)
{
	struct check *c = ctx;
	struct record rec;

	if (c->n == FRAME_RECORDS_MAX || record_decode(&rec, bytes, len, NULL) < 0 ||
	        !store_signed(c->flock, &rec))
		return;
	hash32(&c->out[c->n++], bytes, len);
}

size_t frame_verify(
        const struct key32 *flock, const uint8_t *frame, size_t len, struct key32 out[FRAME_RECORDS_MAX])
{
	struct check c = {flock, out, 0};

	each_record(frame, len, check, &c);
	return c.n;
}
