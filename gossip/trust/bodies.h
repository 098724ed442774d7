/* Bodies of trust records: msgpack arrays with a fixed order of fields; drawn in docs/wire.md. */
#ifndef GOSSIP_TRUST_BODIES_H
#define GOSSIP_TRUST_BODIES_H

#include "base/pack.h"
#include "gossip/trust/trust.h"

/* Bytes of any of these bodies but an eviction's list. */
#define TRUST_BODY_MAX 4096

struct genesis {
	char name[NAME_MAX_BYTES];
	wall_ms created;
	struct key32 root;
	struct key32 successor; /* of the root, named at the founding; zero: none */
};

/* Lists are read in place: n blobs of 32 bytes, each behind its msgpack head; see body_next_key(). */
struct key_list {
	struct rd at;
	uint32_t n;
};

struct revocation {
	struct key32 key;
	struct key_list heads;
};

struct eviction {
	struct key32 peer;
	struct key_list good; /* peers whose admissions rest on it that stay */
};

void body_put_genesis(struct wr *w, const struct genesis *g);
void body_put_grant(struct wr *w, const struct grant *g);
void body_put_invite(struct wr *w, const struct invite *inv);
void body_put_admission(struct wr *w, const struct admission *a);
/* The key that succeeds the record's author as the flock's root. */
void body_put_succession(struct wr *w, const struct key32 *successor);
/* Revocation: the key and the author's heads that stay valid. Eviction: the peer and the peers that stay. */
void body_put_key_and_list(struct wr *w, const struct key32 *key, const struct key32 *list, size_t n);

int body_get_genesis(struct genesis *g, const struct record *r, struct err *err);
int body_get_grant(struct grant *g, const struct record *r, struct err *err);
int body_get_invite(struct invite *inv, const struct record *r, struct err *err);
/* The peer is the record's author. */
int body_get_admission(struct admission *a, const struct record *r, struct err *err);
int body_get_revocation(struct revocation *v, const struct record *r, struct err *err);
int body_get_eviction(struct eviction *e, const struct record *r, struct err *err);
int body_get_succession(struct key32 *successor, const struct record *r, struct err *err);
/* The next key of a list; false at its end. */
bool body_next_key(struct key_list *l, struct key32 *out);

/* The signatures inside an admission: of the invite's key over the claim, of the voucher over the whole. */
void admission_sign_claim(struct admission *a, const struct key32 *flock, const uint8_t invite_secret[64]);
bool admission_claim_signed(const struct admission *a, const struct key32 *flock);
void admission_sign_voucher(struct admission *a, const struct key32 *flock, const uint8_t secret[64]);
bool admission_voucher_signed(const struct admission *a, const struct key32 *flock);

#endif
