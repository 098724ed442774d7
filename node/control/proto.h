/*
 * The control protocol that the CLI speaks to an agent: on DATA/control.sock as it is, on the peer port inside an
 * encrypted session (role operator or invite), between agents on a peer session that begins with CHANNEL_CONTROL.
 *
 * A byte stream of messages: u32 length (big-endian), then one msgpack map. The agent speaks first:
 *
 *	hello    {hello: 1, flock: bin32, flock_name, peer: bin32, peer_name, boot, nonce: bin16, version, stamp}
 *	request  {verb, seq, args: {...}, auth: {key: bin32, sig: bin64}}      auth only where the verb needs it
 *	reply    {item: any} any number of times; with args.watch: {reset: N} then N items, again after each change
 *	last     {end: {...}} or {error: {code, text}}                       then the next request may be sent
 *
 * An agent with no room for the connection sends {error} in place of its hello, and closes.
 *
 * sig is Ed25519 over "starling request 1", flock, peer, boot, nonce, seq, BLAKE2b(verb), BLAKE2b(args as sent):
 * it holds for one request to one boot of one peer, whoever relays it. stamp is a fresh HLC for authoring; a peer whose
 * clock is doubted (gossip_clock) gives none to an author and takes no record, unless force_clock is true.
 *
 * Verbs, who may ask, arguments -> answer:
 *
 *	status   socket              {} -> end: `status -o json`
 *	members  socket              {watch} -> items: `node ls -o json` rows
 *	stacks   socket              {watch} -> items: `ls -o json` rows
 *	ps       socket              {stack?, watch} -> items: `ps -o json` rows
 *	tasks    socket, peers       {} -> items: ps rows of this peer's own tasks
 *	stack    socket              {stack, author: bin32?, revision: hex digits?, force_clock?} -> end: {exists, removed,
 *	                             revision: bin32, stamp, heads: [bin32], author_heads: [bin32], spec_hash: bin32,
 *	                             asked: bin32, record: bin, author: bin32, author_name, author_powers: bits, counts: bool,
 *	                             lost: [name]}: lost are peers out of reach that may run tasks of it;
 *	                             from `asked` on of the revision asked for, else of the winner. record, as it was signed, is
 *	                             nil unless an operator that may read the stack signed the request: environments may hold
 *	                             secrets
 *	history  socket              {stack} -> items: {revision: hex, stamp, time, author: hex, author_name,
 *	                             author_revoked: bool, parents: [hex], current: bool, conflict: bool, removed: bool,
 *	                             valid: bool, why, body: bool}, newest first; why it does not count
 *	signed   socket              {key: bin32} -> items: {record: hex, stamp, time, kind, what, previous: [hex], valid: bool,
 *	                             why}: an operator's records, newest first
 *	inspect  operator            {stack?, service?, node?} -> end: a map for people and jq
 *	explain  socket              {stack, service, slot?} -> items: {slot, more, owner, why, global: bool, candidates,
 *	                             peers: [{peer, name, number, reason, detail, here: bool, tasks, free: {cpu_milli,
 *	                             cpu_milli_of, memory_bytes, memory_bytes_of}}]}
 *	plan     operator            {spec: bin} -> items: {stack, service, slot, action, from, to, number, why}: what would
 *	                             become of each slot if the signer deployed that spec; action is keep, start, replace, move,
 *	                             stop or nowhere. Slots of other stacks that would make room come too
 *	rebalance socket             {} -> items: {kind: move, stack, service, slot, from, to}, then each living peer as it is
 *	                             and as it would be, {kind: now or then, peer, name, tasks, full_percent, cpu_milli,
 *	                             memory_bytes}
 *	relay    socket              {peer: 16 hex digits, end_to_end: bool} -> item {}: from then on the connection is one with
 *	                             that peer: as peers ask each other, or (end_to_end) with a session inside, as from afar
 *	logs     operator            {stack, service?, slot? or task: text id; tail, since, follow} -> items: {at, stderr,
 *	                             service, slot, task: id, text}, by time; following, {live: true} once the past is told
 *	events   socket, peers       {since, own: bool, watch} -> items: {time, event, stack, service, slot, task, peer, text,
 *	                             told_by}, own: of that peer's tasks only; watching, {live: true} once the past is told
 *	usage    socket, peers       {stack?} -> items: first the host's {at_us, cpu_milli_of, cpu_us, memory_bytes,
 *	                             memory_bytes_of, processes}, then of each task {task, stack, service, slot} and the last 4
 *	exec     deploy              {task: text id, argv: [text], env: ["KEY=VALUE"], user?, dir?, tty, input: bool, rows, cols}
 *	                             -> items: {out: bin} or {err: bin}; end: {code, why}. Meanwhile the client says {in: bin},
 *	                             {eof: true}, {rows, cols} or {signal: number}
 *	submit   the record's author {record: bin, or again: bin32, copies?, wait?: ms, force_clock?} -> end: {id: bin32, copies,
 *	                             wanted, missing: [{peer, name, why}], more}: on how many disks it is; with copies, once it is
 *	                             on so many or the wait is over. again: the id of a record that is here, whose copies
 *	                             are counted anew. missing: peers that should have it and have not confirmed; more of
 *	                             them are only counted
 *	keys     socket              {all: bool?} -> items: {key: hex, name, role, powers: [..], stacks: [..], state};
 *	                             all: revoked ones too
 *	setting  socket              {name} -> end: {heads: [bin32], body: bin or nil, author_name}: of a setting that admins
 *	                             sign (placement/settings.h), what the next one replaces
 *	drain    socket              {peer: 16 hex digits, watch} -> items: {peer, name, state, draining: bool}, then for each
 *	                             task that still runs there {stack, service, slot, task, phase, to, number, reason}; phase is
 *	                             one of waiting, starting, serving (elsewhere: this one is about to stop), stays, stopping
 *	peer     socket              {peer: 16 hex digits} -> end: {key: bin32, resting: [bin32]}: who rests on its word
 *	tokens   socket              {} -> items: `token ls -o json` rows
 *	revocable socket             {key: bin32} -> end: {heads: [bin32], admissions: [bin32]}: what of an operator's key,
 *	                             or of an invite's, counts now, for a revocation to list
 *	images   socket              {} -> items: `image ls -o json` rows
 *	image_pull deploy            {image} -> items: {text}: what it does; end: {images: rows}
 *	image_put admin              {upload?, offset, bytes: bin} -> end: {upload}: a piece of an archive; without a number a new
 *	                             one begins
 *	image_load admin             {upload, name?} -> items: {text}; end: {images: rows}
 *	image_rm admin               {image} -> end: {removed}
 *	leave    admin, local        {patience: ms} -> end: {tasks}; then the agent leaves, and the connection ends with it
 *	join     invite session      {peer: bin32, use?, claim?: bin64} -> see node/join.h
 *	chain    socket              {} -> items: bin: the records that this peer's admission hangs on; see node/join.h
 *	admit    invite session      {record?: bin, from} -> items: trust records; end: {members, next}; see node/join.h
 */
#ifndef NODE_CONTROL_PROTO_H
#define NODE_CONTROL_PROTO_H

#include "base/limits.h"
#include "base/pack.h"

/* Bytes of one message: a record to submit, or one row; whatever is longer is sent as several items. */
#define CONTROL_MESSAGE_MAX (RECORD_BYTES_MAX + 65536)

/* The initiator's first frame on a peer session is this one byte: what the session is for. Frames that follow carry
 * gossip messages, or the control byte stream. */
#define CHANNEL_GOSSIP  0x01
#define CHANNEL_CONTROL 0x02
#define CHANNEL_RELAY   0x03 /* the handshake and frames of a client's own session, as bytes */

struct hello {
	struct key32 flock;
	char flock_name[NAME_MAX_BYTES];
	struct key32 peer;
	char peer_name[NAME_MAX_BYTES];
	uint32_t boot;
	uint8_t nonce[16];
	char version[32];
	uint64_t stamp;
};

struct request {
	char verb[24];
	uint32_t seq;
	const uint8_t *args; /* msgpack map, inside the message */
	size_t args_len;
	bool has_auth;
	struct key32 key;
	uint8_t sig[64];
};

/* Each appends one whole message, length included. */
void proto_hello(struct wr *w, const struct hello *h);
/* args: one packed msgpack map. secret NULL: no auth. */
void proto_request(struct wr *w, const char *verb, uint32_t seq, const struct wr *args, const struct hello *to,
        const uint8_t secret[64]);
/* value: one packed msgpack value. */
void proto_item(struct wr *w, const struct wr *value);
/* A watcher's list begins anew: n items follow. */
void proto_reset(struct wr *w, uint32_t n);
void proto_end(struct wr *w, const struct wr *value);
void proto_error(struct wr *w, const struct err *err);

/* Splits a byte stream into messages: feed, then take until it gives NULL. */
struct proto_in {
	struct wr buf;
	size_t at;
};
void proto_in_init(struct proto_in *in);
void proto_in_free(struct proto_in *in);
int proto_in_feed(struct proto_in *in, const void *bytes, size_t len, struct err *err);
/* The next message's msgpack bytes, valid until the next feed; NULL: none yet (or err set: too long). */
const uint8_t *proto_in_take(struct proto_in *in, size_t *len, struct err *err);

int proto_read_hello(struct hello *out, const uint8_t *msg, size_t len, struct err *err);
int proto_read_request(struct request *out, const uint8_t *msg, size_t len, struct err *err);
/* Was this request signed by its key for this hello? */
bool proto_request_signed(const struct request *r, const struct hello *by);

enum reply_kind { REPLY_ITEM, REPLY_RESET, REPLY_END, REPLY_ERROR };
struct reply {
	enum reply_kind kind;
	const uint8_t *value; /* item, end: msgpack of the value */
	size_t value_len;
	uint32_t n; /* reset: items that follow */
	struct err error;
};
int proto_read_reply(struct reply *out, const uint8_t *msg, size_t len, struct err *err);

#endif
