/*
 * Bodies of the settings that placement heeds: signed records of admins (gossip's REC_SETTING), told apart by name.
 *
 *	drain/PEER     {"drain": bool}             the peer gets nothing new, and what it runs moves
 *	labels/PEER    {name: text or nil, ...}    laid over the labels that the peer states; nil takes one away
 *	voters         [32 bytes, ...]             keys of the peers that count for `partition: majority`
 *	rebalance      {}                          its stamp alone counts: even out the load now
 *
 * PEER is the peer's id in 16 hex digits. msgpack; keys of maps, and voters, ascend without repetition. Entries of the maps
 * of drain and rebalance that a newer version adds are stepped over.
 */
#ifndef PLACEMENT_SETTINGS_H
#define PLACEMENT_SETTINGS_H

#include "base/limits.h"
#include "placement/facts.h"

#define SETTING_DRAIN     "drain/"
#define SETTING_LABELS    "labels/"
#define SETTING_VOTERS    "voters"
#define SETTING_REBALANCE "rebalance"

/* Bytes of a setting's body: what gossip takes (gossip/store/rules.c). Labels may come to more: the maker's writer, bounded
 * by this, fails then. */
#define SETTING_BYTES_MAX 4096
/* Bytes of a label's name, and of its value, as in facts. */
#define SETTING_LABEL_MAX 255
/* Peers on the list of voters: more make no split better decided, and all of them fit one record. */
#define VOTERS_MAX 64

/* Name of a peer's setting; prefix: SETTING_DRAIN or SETTING_LABELS. */
void setting_name(char out[RECORD_NAME_MAX + 1], const char *prefix, id64 peer);
/* Is that a name of such a setting, as setting_name() writes it, and of which peer? */
bool setting_peer(const char *name, const char *prefix, id64 *peer);

void drain_encode(struct wr *w, bool drain);
int drain_decode(bool *drain, const uint8_t *body, size_t len, struct err *err);

/* At most FACTS_LABELS_MAX, sorted by name; a value of NULL takes the label away. */
void labels_encode(struct wr *w, const struct kv *labels, size_t n);
/* *labels is memory of arena. */
int labels_decode(
        struct kv **labels, size_t *n, struct arena *arena, const uint8_t *body, size_t len, struct err *err);
/* The peer's own labels with those of the setting laid over them, sorted; out has room for n + n_over. Both are sorted. Returns
 * how many. */
size_t labels_overlay(const struct kv *own, size_t n, const struct kv *over, size_t n_over, struct kv *out);

/* 1 to VOTERS_MAX keys, sorted. */
void voters_encode(struct wr *w, const struct key32 *voters, size_t n);
int voters_decode(struct key32 out[VOTERS_MAX], size_t *n, const uint8_t *body, size_t len, struct err *err);

void rebalance_encode(struct wr *w);
int rebalance_decode(const uint8_t *body, size_t len, struct err *err);

#endif
