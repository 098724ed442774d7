/*
 * A claim: what a peer says of a task it runs (DESIGN section 6). Only the owner writes it. Packed into status
 * pages of at most PAGE_BYTES_MAX bytes; an entry never changes page while it lives.
 */
#ifndef PLACEMENT_CLAIM_H
#define PLACEMENT_CLAIM_H

#include "base/buf.h"
#include "base/limits.h"

enum task_state {
	TASK_PENDING,
	TASK_PREPARING,
	TASK_STARTING,
	TASK_RUNNING,
	TASK_UNHEALTHY,
	TASK_STOPPING,
	TASK_BACKOFF,
	TASK_DONE,
	TASK_FAILED,
	TASK_LOST,
	/* Not a task of its own: this peer cannot run the slot (at this revision); the next candidate acts. */
	TASK_REFUSED,
};

/* How much of the flock the owner saw alive at worst within the last minute: of two sides of a split, the larger one
 * keeps what both run. */
enum claim_sight { SIGHT_MOST, SIGHT_HALF, SIGHT_FEW };

enum task_health { HEALTH_NONE, HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };

const char *task_state_name(enum task_state s);
const char *task_health_name(enum task_health h);

struct claim {
	id64 task;
	id64 slot;
	id64 revision; /* first 8 bytes of the revision's id that the task was started or last confirmed under */
	id64 content;  /* service_content() of what runs */
	uint32_t boot;
	enum task_state state;
	enum task_health health;
	enum claim_sight sight; /* reconcile_sight() */
	wall_ms healthy_since;  /* the owner's clock; for showing, and settled = since + monitor; 0 not healthy */
	uint8_t failures;       /* in a row, at this revision; saturating */
	bool replaces; /* started because nobody, as its owner saw it, had the slot: yields to who did all along */
	id64 handover_to; /* peer id, or 0 */
	uint8_t n_ports;
	struct {
		uint8_t index; /* into the service's ports */
		uint16_t port; /* host port */
	} ports[SERVICE_PORTS_MAX];
};

/* Serving: running, and healthy or without a check. What DNS answers with. */
bool claim_serves(const struct claim *c);

/* At most CLAIM_BYTES_MAX bytes; pictured in claim.c. Fields that a newer version adds are stepped over, its new
 * states read as pending and its new healths as unhealthy, so that its claims are never lost on an older peer. */
void claim_put(struct wr *w, const struct claim *c);
void claim_get(struct rd *r, struct claim *c);
/* A page is a count (one byte) and that many claims. More than max is an error. */
int claims_decode(const uint8_t *bytes, size_t len, struct claim *out, size_t max, size_t *n, struct err *err);

/* Slot of a replicated service: BLAKE2b-64(flock, service id, index); of a global one the peer takes the index's
 * place. service id = BLAKE2b-256(stack, service). */
void service_hash(struct key32 *out, const char *stack, const char *service);
/* Of a service whose hash is at hand, for those who list many. */
id64 slot_id_in(const struct key32 *flock, const struct key32 *service, uint32_t index);
id64 slot_id(const struct key32 *flock, const char *stack, const char *service, uint32_t index);
id64 slot_id_global(const struct key32 *flock, const char *stack, const char *service, const struct key32 *peer);

/* Which page each of this peer's claims stands on: place on the first page with room, keep it there. Room is
 * counted at CLAIM_BYTES_MAX per claim, so a claim that grows (ports, handover) never has to move. */
#define PAGE_CLAIMS_MAX ((PAGE_BYTES_MAX - 1) / CLAIM_BYTES_MAX)
/* Most claims that one peer can publish, and so most tasks that it may run. */
#define CLAIMS_MAX (PAGES_MAX * PAGE_CLAIMS_MAX)
/* Claims of one slot that count of one peer: a task, one that it replaces, one that is to stop, and a refusal. */
#define SLOT_CLAIMS_MAX 4
struct pager;
struct pager *pager_new(void);
void pager_free(struct pager *p);
/* Gives all current claims; then pager_page() gives each page's bytes (possibly empty) for 0..pager_pages()-1. A
 * claim is the same one while (task, slot) is. Returns how many found no page, 0 for at most CLAIMS_MAX. */
size_t pager_set(struct pager *p, const struct claim *claims, size_t n);
/* Never shrinks: a page that became empty has to be published once more. */
size_t pager_pages(const struct pager *p);
/* *changed: differs from when it was last asked for. */
const uint8_t *pager_page(struct pager *p, size_t page, size_t *len, bool *changed);

#endif
