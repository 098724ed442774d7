/*
 * Who may do what (DESIGN section 4): genesis -> root -> grants -> operators; invites -> admissions -> peers.
 * A pure function of the store's trust records: evaluated again whenever one of them arrives, never dependent on
 * the order in which they came.
 */
#ifndef GOSSIP_TRUST_TRUST_H
#define GOSSIP_TRUST_TRUST_H

#include "base/err.h"
#include "gossip/store/store.h"

enum role { ROLE_NONE, ROLE_READ, ROLE_DEPLOY, ROLE_ADMIN, ROLE_ROOT };

/* Powers, checked by every peer on every revision that it would run. */
#define POWER_EXEC_AS_ROOT 0x01
#define POWER_PRIVILEGED   0x02
#define POWER_HOST_BINDS   0x04
#define POWER_DEVICES      0x08
#define POWER_HOST_NETWORK 0x10
#define POWER_PRIORITY     0x20
#define POWER_ALL          0x3f

#define GRANT_GLOBS_MAX 16

/* Body of a grant, as decoded. */
struct grant {
	struct key32 operator_key;
	enum role role;
	uint32_t powers;
	char name[NAME_MAX_BYTES]; /* for people: "admin", "ci" */
	size_t n_globs;
	char globs[GRANT_GLOBS_MAX][NAME_MAX_BYTES]; /* stack names; none means all */
};

/* Uses that one invite may have: more hosts than an installer brings up in one go. */
#define INVITE_USES_MAX 4096

struct invite {
	struct key32 id; /* public half of the invite's key pair */
	uint32_t uses;   /* 1 to INVITE_USES_MAX */
	wall_ms expires; /* judged by the countersigning peer alone */
};

struct trust;

struct trust *trust_new(const struct key32 *flock);
void trust_free(struct trust *t);
/* Reads every trust record of the store again. Cheap: it runs on changes of trust records only. */
void trust_evaluate(struct trust *t, const struct store *st);
/* How often it was evaluated: what trust says is the same while this is. */
uint64_t trust_version(const struct trust *t);

const char *trust_flock_name(const struct trust *t);
/* Is this peer admitted (valid chain from root, not evicted)? */
bool trust_peer(const struct trust *t, const struct key32 *peer);
/* In key order: fills at most max, returns how many there are. */
/* Admitted peers by key, at most max of them into out; returns how many there are in all. */
size_t trust_peers(const struct trust *t, struct key32 *out, size_t max);
/* Of an operator's grants, which add up, the one that says most; or NULL. */
const struct grant *trust_operator(const struct trust *t, const struct key32 *key);
/* Each grant of each operator, by key and then the one that says most first, at most max of them into out; returns how many
 * there are in all. */
size_t trust_operators(const struct trust *t, const struct grant **out, size_t max);
/* The same with the grants that hold no more: of a revoked key, or by one. */
size_t trust_keys(const struct trust *t, const struct grant **out, size_t max);
/* Does a grant of these lists hold? */
bool trust_grant_holds(const struct trust *t, const struct grant *g);
/* The name in the key's first grant of trust_operators(), of a revoked key in the first of trust_keys(); NULL: this flock has
 * never known it. */
const char *trust_key_name(const struct trust *t, const struct key32 *key);
/* May this key read the specs and logs of that stack: has it any role that covers it? */
bool trust_may_read(const struct trust *t, const struct key32 *key, const char *stack);
/* May this key author that revision or setting at all? Says why not in err. (Powers: trust_powers.) */
int trust_may_write(const struct trust *t, const struct record *r, struct err *err);
/* Would that grant, which its author may make, be void from the start: was its key revoked by the author, or from above? */
bool trust_grant_void(const struct trust *t, const struct record *r, const struct grant *g);
/* Powers that a key has on any stack; those that stand behind one revision: of the grants whose globs cover its
 * stack, and that hold for it (a revoked key's listed history keeps its powers). */
uint32_t trust_powers(const struct trust *t, const struct key32 *key);
uint32_t trust_powers_for(const struct trust *t, const struct record *revision);
const char *trust_power_name(uint32_t power);
/* Does this stored record count now: its author may write it, or its chain is valid? */
bool trust_valid(const struct trust *t, const struct stored *s);

/* Makers; each appends one encoded, signed record to w. */
void trust_make_genesis(struct wr *w, const char *flock_name, wall_ms created, const uint8_t root_secret[64],
        struct key32 *flock_out);
/* The same with a successor of the root, named from the start: nobody who gets hold of the root key can name another.
 * NULL: none. */
void trust_make_genesis_named(struct wr *w, const char *flock_name, wall_ms created,
        const struct key32 *successor, const uint8_t root_secret[64], struct key32 *flock_out);
/* prev: the author's own previous heads (store_author_heads), as in every record of an operator. */
/* The flock's root names the key that succeeds it. */
void trust_make_succession(struct wr *w, const struct key32 *flock, const struct key32 *successor, uint64_t stamp,
        const struct key32 *prev, size_t n_prev, const uint8_t root_secret[64]);
void trust_make_grant(struct wr *w, const struct key32 *flock, const struct grant *g, uint64_t stamp,
        const struct key32 *prev, size_t n_prev, const uint8_t granter_secret[64]);
void trust_make_invite(struct wr *w, const struct key32 *flock, const struct invite *inv, uint64_t stamp,
        const struct key32 *prev, size_t n_prev, const uint8_t operator_secret[64]);
/* heads: the key's own records up to which (by prev) its history stays valid, and first peers that it admitted
 * which stay. Counts when the author is root, or granted the key, directly or through others. key may be an invite's
 * too: then heads are the admissions with it that stay, and it counts for the invite's author and keys above. */
void trust_make_revocation(struct wr *w, const struct key32 *flock, const struct key32 *key,
        const struct key32 *heads, size_t n_heads, uint64_t stamp, const struct key32 *prev, size_t n_prev,
        const uint8_t operator_secret[64]);
/* good: those of trust_resting_on() that stay; the others go with it. */
void trust_make_eviction(struct wr *w, const struct key32 *flock, const struct key32 *peer,
        const struct key32 *good, size_t n_good, uint64_t stamp, const struct key32 *prev, size_t n_prev,
        const uint8_t operator_secret[64]);
/* A setting: name, and a body of its kind (placement/settings.h). parents: the heads of that name, which it replaces. */
struct setting_text {
	const char *name;
	const uint8_t *body;
	size_t body_len;
	const struct key32 *parents;
	size_t n_parents;
};
void trust_make_setting(struct wr *w, const struct key32 *flock, const struct setting_text *s, uint64_t stamp,
        const struct key32 *prev, size_t n_prev, const uint8_t operator_secret[64]);
/* Admitted peers that this peer countersigned, or that joined with the invite that it holds, by key, at most max
 * of them into out; returns how many there are in all. */
size_t trust_resting_on(const struct trust *t, const struct key32 *peer, struct key32 *out, size_t max);

/*
 * Admission in two steps. The joiner signs (flock, invite, use, own key) with the invite's key: the claim. An
 * admitted peer countersigns it: the voucher. The joiner then signs the admission record with its own key.
 */
struct admission {
	struct key32 peer;   /* who is admitted; author of the record */
	struct key32 invite; /* zero for the first peer, which an operator's signature admits: see below */
	uint32_t use;
	uint8_t invite_sig[64];
	struct key32 voucher; /* countersigning peer, or the admin key for the first peer of a flock */
	uint8_t voucher_sig[64];
};
void trust_claim_invite(struct admission *a, const struct key32 *flock, const struct key32 *peer,
        const uint8_t invite_secret[64], uint32_t use);
/* Checks claim and invite (known, not expired at `wall`, use number free) and countersigns. */
int trust_vouch(
        const struct trust *t, struct admission *a, const uint8_t peer_secret[64], wall_ms wall, struct err *err);
/* An invite that an admin signed, or NULL. Valid until the next trust_evaluate(). */
const struct invite *trust_invite(const struct trust *t, const struct key32 *invite);
enum invite_state { INVITE_VOID, INVITE_OPEN, INVITE_USED, INVITE_REVOKED, INVITE_EVICTED };
/* What an invite is good for now, apart from its expiry, which the countersigning peer judges. VOID: nobody who may
 * signed it; EVICTED: a peer that holds its secret was evicted. */
enum invite_state trust_invite_state(const struct trust *t, const struct key32 *invite);
/* The record that evicts this peer; false: it is not evicted. */
bool trust_eviction(const struct trust *t, const struct key32 *peer, struct key32 *record);
/* The lowest use number of an invite, `from` or above, that no admission has taken; -1 if none or unknown. */
int64_t trust_free_use(const struct trust *t, const struct key32 *invite, uint32_t from);
/* The first peer: an admin's signature stands in for invite and voucher. */
void trust_vouch_first(
        struct admission *a, const struct key32 *flock, const struct key32 *peer, const uint8_t admin_secret[64]);
void trust_make_admission(struct wr *w, const struct key32 *flock, const struct admission *a, uint64_t stamp,
        const uint8_t peer_secret[64]);

#endif
