/*
 * A claim on the wire. Entries are preceded by their length so that later versions can add fields at the end.
 *
 *	 0        1                9               17               25               33           37
 *	+--------+----------------+----------------+----------------+----------------+------------+
 *	| length | task           | slot           | revision       | content        | boot       |
 *	+--------+----------------+----------------+----------------+----------------+------------+
 *	 37       38       39       40              46
 *	+--------+--------+--------+---------------+------------------+---------------------------+
 *	|state   |handover|failures| healthy_since | handover_to (8), | ports: index (1), port (2)|
 *	| |health| |replac|        | (6), Unix ms  | if the bit is set| each                      |
 *	|        | |sight |        |               |                  |                           |
 *	|        | |ports |        |               |                  |                           |
 *	+--------+--------+--------+---------------+------------------+---------------------------+
 */
#include "placement/claim.h"

#include "base/hash.h"

#include <assert.h>

#define HANDOVER_BIT 0x80
#define REPLACES_BIT 0x40
#define SIGHT_SHIFT  4
#define SIGHT_MASK   0x03
#define PORTS_MASK   0x0f
#define FIXED_BYTES  45 /* after the length */

static_assert(1 + FIXED_BYTES + 8 + 3 * SERVICE_PORTS_MAX <= CLAIM_BYTES_MAX, "a claim fits its bound");
static_assert(SERVICE_PORTS_MAX <= PORTS_MASK, "the ports' count fits its bits");
static_assert(1 + PAGE_CLAIMS_MAX * CLAIM_BYTES_MAX <= PAGE_BYTES_MAX, "a page fits its bound");

static const char *const state_names[] = {[TASK_PENDING] = "pending",
        [TASK_PREPARING] = "preparing",
        [TASK_STARTING] = "starting",
        [TASK_RUNNING] = "running",
        [TASK_UNHEALTHY] = "unhealthy",
        [TASK_STOPPING] = "stopping",
        [TASK_BACKOFF] = "backoff",
        [TASK_DONE] = "done",
        [TASK_FAILED] = "failed",
        [TASK_LOST] = "lost",
        [TASK_REFUSED] = "refused"};

static const char *const health_names[] = {[HEALTH_NONE] = "none",
        [HEALTH_STARTING] = "starting",
        [HEALTH_HEALTHY] = "healthy",
        [HEALTH_UNHEALTHY] = "unhealthy"};

const char *task_state_name(enum task_state s)
{
	return state_names[s];
}

const char *task_health_name(enum task_health h)
{
	return health_names[h];
}

bool claim_serves(const struct claim *c)
{
	return c->state == TASK_RUNNING && (c->health == HEALTH_NONE || c->health == HEALTH_HEALTHY);
}

void claim_put(struct wr *w, const struct claim *c)
{
	size_t len = FIXED_BYTES + (c->handover_to ? 8 : 0) + 3 * (size_t)c->n_ports;

	wr_u8(w, (uint8_t)len);
	wr_u64(w, c->task);
	wr_u64(w, c->slot);
	wr_u64(w, c->revision);
	wr_u64(w, c->content);
	wr_u32(w, c->boot);
	wr_u8(w, (uint8_t)(c->state << 4 | c->health));
	wr_u8(w, (uint8_t)((c->handover_to ? HANDOVER_BIT : 0) | (c->replaces ? REPLACES_BIT : 0) |
	                   c->sight << SIGHT_SHIFT | c->n_ports));
	wr_u8(w, c->failures);
	wr_u16(w, (uint16_t)((uint64_t)c->healthy_since >> 32));
	wr_u32(w, (uint32_t)c->healthy_since);
	if (c->handover_to)
		wr_u64(w, c->handover_to);
	for (size_t i = 0; i < c->n_ports; i++) {
		wr_u8(w, c->ports[i].index);
		wr_u16(w, c->ports[i].port);
	}
}

static void get_fields(struct rd *r, struct claim *c)
{
	uint8_t states, flags;

	c->task = rd_u64(r);
	c->slot = rd_u64(r);
	c->revision = rd_u64(r);
	c->content = rd_u64(r);
	c->boot = rd_u32(r);
	states = rd_u8(r);
	c->state = states >> 4 < (int)ARRAY_LEN(state_names) ? states >> 4 : TASK_PENDING;
	c->health = (states & 15) < (int)ARRAY_LEN(health_names) ? states & 15 : HEALTH_UNHEALTHY;
	flags = rd_u8(r);
	c->sight = MIN(flags >> SIGHT_SHIFT & SIGHT_MASK, SIGHT_FEW);
	c->replaces = flags & REPLACES_BIT;
	c->failures = rd_u8(r);
	c->healthy_since = (wall_ms)rd_u16(r) << 32;
	c->healthy_since |= rd_u32(r);
	if (flags & HANDOVER_BIT)
		c->handover_to = rd_u64(r);
	if ((flags & PORTS_MASK) > SERVICE_PORTS_MAX) {
		rd_fail(r, "claim with too many ports");
		return;
	}
	c->n_ports = flags & PORTS_MASK;
	for (size_t i = 0; i < c->n_ports; i++) {
		c->ports[i].index = rd_u8(r);
		c->ports[i].port = rd_u16(r);
	}
}

void claim_get(struct rd *r, struct claim *c)
{
	size_t len = rd_u8(r);
	const uint8_t *at = rd_bytes(r, len);
	struct rd fields;

	memset(c, 0, sizeof(*c));
	if (!at)
		return;
	rd_init(&fields, at, len);
	get_fields(&fields, c);
	if (!rd_ok(&fields))
		rd_fail(r, fields.fail);
}

int claims_decode(const uint8_t *bytes, size_t len, struct claim *out, size_t max, size_t *n, struct err *err)
{
	struct rd r;
	size_t count;

	*n = 0;
	rd_init(&r, bytes, len);
	count = rd_u8(&r);
	if (count > max)
		rd_fail(&r, "page with too many claims");
	for (size_t i = 0; i < count && rd_ok(&r); i++)
		claim_get(&r, &out[i]);
	if (rd_end(&r, err) < 0)
		return err_wrap(err, "decode claims");
	*n = count;
	return 0;
}

static struct hash_piece text_piece(const char *s)
{
	return (struct hash_piece){s, strlen(s)};
}

void service_hash(struct key32 *out, const char *stack, const char *service)
{
	hash_pieces(out, "starling service 1", (struct hash_piece[]){text_piece(stack), text_piece(service)}, 2);
}

id64 slot_id_in(const struct key32 *flock, const struct key32 *service, uint32_t index)
{
	uint8_t be[4] = {(uint8_t)(index >> 24), (uint8_t)(index >> 16), (uint8_t)(index >> 8), (uint8_t)index};
	struct key32 hash;

	hash_pieces(&hash, "starling slot 1",
	        (struct hash_piece[]){
	                {flock->b, sizeof(flock->b)}, {service->b, sizeof(service->b)}, {be, sizeof(be)}},
	        3);
	return key32_id(&hash);
}

id64 slot_id(const struct key32 *flock, const char *stack, const char *service, uint32_t index)
{
	struct key32 svc;

	service_hash(&svc, stack, service);
	return slot_id_in(flock, &svc, index);
}

id64 slot_id_global(const struct key32 *flock, const char *stack, const char *service, const struct key32 *peer)
{
	struct key32 svc, hash;

	service_hash(&svc, stack, service);
	hash_pieces(&hash, "starling global slot 1",
	        (struct hash_piece[]){
	                {flock->b, sizeof(flock->b)}, {svc.b, sizeof(svc.b)}, {peer->b, sizeof(peer->b)}},
	        3);
	return key32_id(&hash);
}
