/* Shared by the files of the viewer. Internal to node/view*.c. */
#ifndef NODE_VIEW_PARTS_H
#define NODE_VIEW_PARTS_H

#include "base/map.h"
#include "node/view.h"
#include "placement/settings.h"

enum body { BODY_SPEC, BODY_FACTS, BODY_DRAIN, BODY_LABELS, BODY_VOTERS };

/* A decoded body, by the id of the record that carries it. */
struct decoded {
	struct key32 id;
	struct arena arena;
	bool used; /* by the build under way; what is not is dropped at its end */
	bool bad;
	union {
		struct spec spec;
		struct facts facts;
		bool drain;
		struct {
			size_t n;
			struct kv *kv;
		} labels;
		struct {
			size_t n;
			struct key32 key[VOTERS_MAX];
		} voters;
	};
};

/* The boot that a member is in, and since when this peer knows of it. */
struct boot {
	struct key32 key;
	uint32_t boot;
	mono_ms since;
	bool used; /* as in struct decoded */
};

struct arrival {
	struct key32 id;
	mono_ms at;
};

/* Arrivals matter for seconds only; a burst of deployments beyond this counts as not live, which merely waits. */
#define ARRIVALS_MAX 256

/* A setting that holds for a peer: it drains, or has these labels. */
struct held_setting {
	id64 peer;
	const struct decoded *labels; /* NULL: it drains */
};

/* What operators want: a function of the durable records and of whom is trusted, gathered again when these differ. With it go the
 * decoded specs and settings. */
struct held {
	bool stands;
	struct digest digest;
	uint64_t trust;
	size_t arrivals; /* that were noted */
	bool wanting;    /* a body has not come, or was dropped: it may come without any other change */
	struct arena arena;
	size_t n_stacks, cap_stacks;
	struct view_stack *stacks; /* sorted by name */
	size_t n_settings, cap_settings;
	struct held_setting *settings;
	const struct decoded *voters; /* NULL: none */
	uint64_t rebalance;
};

/* A status page whose claims stand among those that are kept. */
struct page {
	struct key32 key; /* the record's */
	struct key32 id;
	bool used; /* as in struct decoded */
};

/* The claims of the last build, so that the next decodes and sorts only what is new. */
struct claims {
	struct map pages; /* struct page, by key */
	size_t n, cap;
	struct view_claim *claims; /* sorted; members as they stood */
	const struct page **page;  /* of each; NULL: this peer's own */
	size_t n_members;
	struct key32 *members;
};

struct viewer {
	struct key32 flock;
	struct map specs;
	struct map facts;
	struct map settings;
	struct map boots; /* of members: struct boot, by key */
	struct held held;
	struct claims claims;
	mono_ms due; /* viewer_due() */
	struct arrival arrivals[ARRIVALS_MAX];
	size_t n_arrivals; /* ever; the newest overwrite the oldest */
};

/* The cached decoding of a record's body. NULL if it cannot be read: said once, when it is first met. */
struct decoded *decoded_get(struct map *m, const struct stored *s, enum body body);
/* store_valid of records that count now; ctx: the trust. */
bool view_counts(const struct stored *s, void *trust);

/* The settings that hold now, into v->held. */
void view_settings_gather(struct viewer *v, const struct gossip *g);
/* Lays them over the members, which stand, and fills in voters and rebalance. */
void view_settings_apply(const struct viewer *v, struct arena *arena, struct view *out);

void view_claims_init(struct claims *c);
void view_claims_free(struct claims *c);
/* All claims of members, which stand, and this peer's own. */
void view_claims(struct viewer *v, const struct gossip *g, const struct claim *own, size_t n_own,
        struct arena *arena, struct view *out);

#endif
