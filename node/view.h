/*
 * The only translator between layers: from the replicated store to the placement view and to the DNS zone. Pure:
 * the simulator links it too. Decoded specs and facts are cached by record id, since most changes leave them be.
 */
#ifndef NODE_VIEW_H
#define NODE_VIEW_H

#include "dns/zone.h"
#include "gossip/gossip.h"
#include "placement/place.h"

struct viewer;

struct viewer *viewer_new(const struct key32 *flock);
void viewer_free(struct viewer *v);

/* A revision became known. live: this peer was ready and the revision is young, so its new slots may be started at
 * once; otherwise they wait like any orphan. */
void viewer_on_revision(struct viewer *v, const struct key32 *id, bool live, mono_ms now);

/* Builds a view; its memory is arena's, apart from specs and facts, which stay valid until the next build. own are
 * this peer's claims as the runtime has them, fresher than its published pages. */
void viewer_build(struct viewer *v, const struct gossip *g, const struct key32 *self, const struct claim *own,
        size_t n_own, mono_ms now, struct arena *arena, struct view *out);
/* When the next build differs though nothing happens: a boot becomes overdue. MONO_NEVER: it does not. */
mono_ms viewer_due(const struct viewer *v);

/* Name to show for a member: its name, NAME~ID where another has the same, its id where facts are missing. */
const char *view_member_name(const struct view *view, size_t member, struct arena *arena);
/* The slot that a claim is for, or NULL when nothing wants it any more. */
const struct placed_slot *view_slot(const struct placement *p, id64 slot);

/* What DNS serves: every service of every stack, endpoints of serving claims of peers that are alive or suspect. */
struct zone *view_zone(const struct view *view, const struct placement *p, const char *apex,
        const struct addr *ns_addr, uint32_t serial);
/* Of all that such a zone is made of: the same hash, the same zone, apart from apex and serial. A tenth of the work. */
void view_zone_hash(
        const struct view *view, const struct placement *p, const struct addr *ns_addr, struct key32 *out);

#endif
