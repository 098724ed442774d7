/*
 * What comes from the network and must not fill this peer: records that do not count (of keys that the flock does not know,
 * of revoked ones, without the right), records over a limit, bad signatures.
 *
 * A record that does not count is kept all the same, since a grant may follow it; but only so many, so that one
 * hostile peer cannot take the room of those that count. What is turned away is asked for again by the next
 * reconciliation, so nothing is lost that a grant makes count later.
 */
#include "gossip/core.h"
#include "gossip/trust/bodies.h"

/* An eighth of all records, and of all bytes, that a store may hold. */
#define VOID_RECORDS_MAX (RECORDS_MAX / 8)
#define VOID_BYTES_MAX   (STORE_BYTES_MAX / 8)
/* Refusals of one sort are said once in this time, with how many there were. */
#define SAY_AGAIN_MS MINUTES(10)

static bool is_judged(uint8_t kind)
{
	return !record_is_volatile(kind) &&
	       (kind <= REC_SUCCESSION || kind == REC_REVISION || kind == REC_SETTING);
}

static bool add(const struct stored *s, void *ctx)
{
	struct gossip *g = ctx;

	if (is_judged(s->rec.kind) && !trust_valid(g->trust, s)) {
		g->void_records++;
		g->void_bytes += s->len;
	}
	return true;
}

void quarantine_recount(struct gossip *g)
{
	g->void_records = g->void_bytes = 0;
	store_each(g->store, 0, add, g);
}

/* Would it count, were it here? */
static bool counts(const struct gossip *g, const struct record *r)
{
	return !is_judged(r->kind) || r->kind == REC_GENESIS || trust_may_write(g->trust, r, NULL) == 0;
}

bool quarantine_admits(struct gossip *g, const struct record *r, size_t len, bool *is_void, struct err *err)
{
	*is_void = false;
	/* A record of trust is judged, and counted, once it is on disk; until there is little room left, its inner
	 * signatures need not be checked twice for that. */
	if (r->kind <= REC_SUCCESSION && g->void_records < VOID_RECORDS_MAX / 2 &&
	        g->void_bytes < VOID_BYTES_MAX / 2)
		return true;
	*is_void = !counts(g, r);
	if (!*is_void || (g->void_records < VOID_RECORDS_MAX &&
	                         len <= VOID_BYTES_MAX - MIN(g->void_bytes, (size_t)VOID_BYTES_MAX)))
		return true;
	err_set(err, ERR_FAILED,
	        "%zu records of %zu MiB in all are here that do not count, the most that are kept: another of kind %u is left "
	        "with who has it",
	        g->void_records, g->void_bytes >> 20, r->kind);
	return false;
}

void quarantine_took(struct gossip *g, size_t len)
{
	g->void_records++;
	g->void_bytes += len;
}

void refusal_say(struct gossip *g, enum refusal_sort sort, const struct peer *from, const struct err *err)
{
	struct refusals *r = &g->refusals[sort];

	r->n++;
	if (r->said_at && g->now.mono < r->said_at + SAY_AGAIN_MS)
		return;
	if (from)
		log_warn("gossip", "from peer %016llx: %s (%llu refused so since the last word of it)",
		        (unsigned long long)peer_id(from), err->text, (unsigned long long)r->n);
	else
		log_warn("gossip", "%s", err->text);
	r->said_at = MAX(g->now.mono, (mono_ms)1);
	r->n = 0;
}
