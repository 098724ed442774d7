/*
 * Becoming a peer of a flock (DESIGN section 4, invites and admissions). Both sides; no socket here.
 *
 *	joiner                                    a peer (session of role invite: the invite's key is proved)
 *	  |-- join  {peer}                        -->|
 *	  |<-- {use}                                 |  the first use of the invite that is free
 *	  |-- join  {peer, use, claim: sig}       -->|  signed with the invite's key
 *	  |<-- {use, voucher, voucher_sig}           |  it judges expiry, and countersigns
 *	  |-- admit {record}                      -->|  signed with the joiner's key; stored on disk, told to others
 *	  |<-- item: each trust record ...           |
 *	  |<-- {members: [[key, address] ...], next} |  next 0: that was all; else
 *	  |-- admit {from: next}                  -->|  and so on: a page is at most JOIN_PAGE_BYTES
 *
 * A peer that is admitted already (its answers were lost) gets {member: true} and asks admit {from: 0} for the
 * records alone. The joiner believes none of it: it checks the whole chain itself, from the flock id in its token, before
 * it stores anything.
 */
#ifndef NODE_JOIN_H
#define NODE_JOIN_H

#include "base/pack.h"
#include "gossip/gossip.h"
#include "gossip/trust/trust.h"
#include "node/keyfile.h"
#include "node/persist.h"

/* Addresses that a joiner is given: enough to find one that still answers; gossip tells the rest. */
#define JOIN_MEMBERS_MAX 32
/* Bytes of records in one answer: a quarter of what may wait for one reader (PEER_NET_QUEUE_MAX). */
#define JOIN_PAGE_BYTES (1024 * 1024)

/* --- The peer's side --- */

struct join_ask {
	struct key32 peer;
	bool claimed; /* use and claim hold */
	uint32_t use;
	uint8_t claim[64];
};

/* args: the msgpack map of a join request, hostile. */
int join_read_ask(struct join_ask *out, const uint8_t *args, size_t len, struct err *err);
/* Uses that were offered here a moment ago: of many hosts that join at once with one token each gets its own. An
 * offer ends with its admission, or after JOIN_OFFER_MS; what is offered twice all the same goes to one of the two,
 * and the other asks again. Zeroed to begin with. */
#define JOIN_OFFER_MS SECONDS(10)
/* As many as join within that time; beyond it the oldest is forgotten. */
#define JOIN_OFFERS_MAX 256
struct join_offers {
	size_t next;
	struct join_offer {
		id64 invite, peer;
		uint32_t use;
		mono_ms until; /* 0: none */
	} at[JOIN_OFFERS_MAX];
};

/* Appends the answer's map. invite: the key that the session proved. A refusal is ERR_UNAUTHORISED and says why:
 * unknown or revoked invite, expired, used up, evicted peer, wrong signature. */
int join_answer(struct wr *answer, const struct join_ask *ask, const struct key32 *invite, const struct trust *t,
        struct join_offers *offers, const uint8_t peer_secret[64], struct now now, struct err *err);
struct join_admit {
	const uint8_t *record; /* inside args; NULL: it wants the records alone */
	size_t record_len;
	uint64_t from; /* records to pass over: those of earlier pages */
};
int join_read_admit(struct join_admit *out, const uint8_t *args, size_t len, struct err *err);
/* May this record be submitted: an admission by this invite, that we vouched for, its use still free? The caller
 * then hands it to gossip_submit(), and answers once it is on disk. */
int join_check_admission(const uint8_t *record, size_t len, const struct key32 *invite, const struct trust *t,
        const uint8_t peer_secret[64], wall_ms wall, struct err *err);
/* May whoever holds this invite's key be given the records? */
int join_check_read(const struct key32 *invite, const struct trust *t, struct err *err);
/* Every record that trust is judged by, genesis first: those of trust, and whatever else keys signed that were revoked,
 * since a revocation lists the last of a key's records, of any kind. fn false ends it. */
void join_each_record(const struct store *st, bool (*fn)(const struct stored *s, void *ctx), void *ctx);
/* Those of one page, beginning after `from` of them. Returns where the next page begins, 0 after the last. */
uint64_t join_page(
        const struct store *st, uint64_t from, void (*fn)(const struct stored *s, void *ctx), void *ctx);
/* The part of them that one peer's admission hangs on: of admissions only the way from it to the first peer, of invites
 * those on that way and those of revoked keys. */
void join_each_of_chain(const struct store *st, const struct trust *t, const struct key32 *peer,
        void (*fn)(const struct stored *s, void *ctx), void *ctx);
/* How long a record is as it is sent: stack revisions go without their bodies, which nobody needs for this. */
size_t join_record_len(const struct stored *s);
/* Appends the end's map: where members are, the living first, at most JOIN_MEMBERS_MAX. */
void join_pack_members(struct wr *end, const struct member *members, size_t n, uint64_t next);

/* --- The joiner's side --- */

struct join_reply {
	bool member; /* admitted already */
	uint32_t use;
	bool vouched; /* voucher and its signature hold */
	struct key32 voucher;
	uint8_t voucher_sig[64];
};

void join_pack_ask(struct wr *args, const struct key32 *peer);
void join_pack_claim(struct wr *args, const struct admission *a);
int join_read_reply(struct join_reply *out, const uint8_t *bytes, size_t len, struct err *err);
/* record NULL: a page of records alone. */
void join_pack_admit(struct wr *args, const struct wr *record, uint64_t from);

/* What is known of the flock before anything is stored: records and addresses, as a peer (or init) gave them. */
struct founding;

struct founding *founding_new(const struct key32 *flock);
void founding_free(struct founding *f);
/* Takes a record, hostile: its form and signature are checked here, its meaning by founding_check(). */
int founding_add(struct founding *f, const uint8_t *bytes, size_t len, struct err *err);
/* Takes the end of admit's answer. *next 0: no more pages. */
int founding_add_members(struct founding *f, const uint8_t *bytes, size_t len, uint64_t *next, struct err *err);
/* Does everything lead from the flock id to this peer: genesis, its grants, our own admission? voucher: the peer
 * that gave us the records must be admitted as well (NULL: nobody, we are the first). */
int founding_check(struct founding *f, const struct key32 *self, const struct key32 *voucher, struct err *err);
/* Is that peer admitted, by the records alone that it gave? */
int founding_check_peer(struct founding *f, const struct key32 *peer, struct err *err);
/* What they amount to, once one of the checks was made. */
const struct trust *founding_trust(const struct founding *f);
const char *founding_name(const struct founding *f);
size_t founding_peers(const struct founding *f);
/* Writes records, flock id and addresses, all or nothing. p was opened without a loop. */
int founding_store(const struct founding *f, struct persist *p, struct err *err);

/* Is p a peer of a flock already? *flock is set if so. */
int join_flock_of(struct persist *p, bool *known, struct key32 *flock, struct err *err);

#endif
