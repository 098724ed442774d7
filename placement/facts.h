/* What a peer says of itself (REC_FACTS), and its codec. */
#ifndef PLACEMENT_FACTS_H
#define PLACEMENT_FACTS_H

#include "base/addr.h"
#include "base/arena.h"
#include "placement/spec/spec.h"

#define FACTS_LABELS_MAX 32
#define FACTS_ADDRS_MAX  8
/* Volumes that live on one host. */
#define FACTS_VOLUMES_MAX 1024

struct facts {
	const char *name;    /* peer name: a DNS label */
	const char *version; /* "0.1.0" */
	const char *arch;    /* "amd64", "arm64" ... (Go's names, as Docker shows them) */
	const char *os;      /* "linux" */
	uint64_t cpu_milli;  /* capacity for tasks */
	uint64_t memory;     /* bytes */
	uint32_t drivers;    /* bit (1 << enum spec_driver) */
	uint32_t algorithm;  /* highest version of place() it knows: 1 */
	bool ready;          /* may be given new slots */
	bool adopted;        /* claims of this boot are complete: see DESIGN section 7 */
	wall_ms started;
	size_t n_addrs;
	struct addr addrs
	        [FACTS_ADDRS_MAX]; /* where endpoints of its tasks answer; the first is the usual one; port 0 */
	size_t n_labels;
	struct kv *labels; /* from --label; sorted by key */
	size_t n_features;
	const char **features;
	size_t n_generic;
	struct spec_generic
	        *generic; /* what the host has of devices and the like, from --resource; sorted by kind */
	size_t n_volumes;
	const char **volumes; /* "STACK/NAME": folders that live here; sorted */
	bool leaving;         /* its operator lets it go: as draining */
};

/* How much of a kind of device the host has. */
uint64_t facts_generic(const struct facts *f, const char *kind);
void facts_encode(struct wr *w, const struct facts *f);
int facts_decode(struct facts *out, struct arena *arena, const uint8_t *bytes, size_t len, struct err *err);
bool driver_in(uint32_t drivers, enum spec_driver d);

#endif
