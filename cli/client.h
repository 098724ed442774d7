/*
 * A blocking client of the control protocol (node/control/proto.h): over DATA/control.sock, or to a far peer over
 * an encrypted session with the operator's key. One request at a time per connection.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "base/addr.h"
#include "cli/cli.h"
#include "node/control/proto.h"
#include "node/keyfile.h"

#include <jansson.h>

struct client;

/* Milliseconds for one question when --timeout says nothing: a list is asked for in well under one second. */
#define CLIENT_TIMEOUT_MS 30000

/* To --peer, else to the agent at the data folder; the agent has greeted when it returns. A far one has proved its key, and
 * shown that the flock admitted it. NULL with err. */
struct client *client_open(const struct cli *cli, struct err *err);
/* To a peer at an address, of that flock; id: the first 8 bytes of its key, 0 any. Needs the operator's key. */
struct client *client_open_peer(
        const struct cli *cli, const struct addr *addr, const struct key32 *flock, id64 id, struct err *err);
/* The same with an invite's key, to join. */
struct client *client_open_invite(const struct cli *cli, const struct addr *addr, const struct key32 *flock,
        const uint8_t secret[64], struct err *err);
/* To the peer with this id (16 hex digits), through the one that client_open() finds, which relays. own: proves the operator's
 * key to it, end to end, so that the one in between can neither read nor change what passes; else it is asked as peers ask
 * each other. When it is the one that is found, nothing is relayed. name: for messages. */
struct client *client_open_through(
        const struct cli *cli, const char *id, const char *name, bool own, struct err *err);
void client_close(struct client *c);
const struct hello *client_hello(const struct client *c);
struct trust;
/* With --peer: who may do what, by the records that showed that the peer is one. NULL over the local socket, whose agent is
 * believed. */
const struct trust *client_trust(const struct client *c);
int client_fd(const struct client *c);
/* --force-clock was given: said with whatever is authored. */
bool client_forces_clock(const struct client *c);

/* Sends one request; args holds one packed map (NULL: an empty one). sign: with the operator's key. */
int client_request(struct client *c, const char *verb, const struct wr *args, bool sign, struct err *err);
/* Says something more to a request that is under way: one packed map. */
int client_tell(struct client *c, const struct wr *value, struct err *err);
/* The next part of the answer within wait_ms (0: what is there already). 1 got it, 0 none yet, -1 broken off.
 * An error that the agent sends is a part, out->kind REPLY_ERROR. out's bytes are valid until the next call. */
int client_next(struct client *c, int64_t wait_ms, struct reply *out, struct err *err);

/* One row of an answer: its msgpack. -1 ends the call with err set. */
typedef int client_row(void *ctx, const uint8_t *bytes, size_t len, struct err *err);
/* Request and whole answer: row for each item (may be NULL), then the end's value copied into end (may be NULL; free
 * with wr_free). Waits at most ms in all (0: --timeout, else CLIENT_TIMEOUT_MS). */
int client_call(struct client *c, const char *verb, const struct wr *args, bool sign, client_row *row, void *ctx,
        struct wr *end, int64_t ms, struct err *err);
/* The same, as JSON: the rows as an array. NULL with err. */
json_t *client_list(struct client *c, const char *verb, const struct wr *args, bool sign, struct err *err);
/* The end's value as JSON. NULL with err. */
json_t *client_get(struct client *c, const char *verb, const struct wr *args, bool sign, struct err *err);

/* msgpack to JSON: blobs become hex, keys keep their order. NULL: malformed, or nested too deep. */
json_t *value_json(const uint8_t *bytes, size_t len);

/* The operator's key of --key; err says how to get one. */
int client_key(const struct cli *cli, struct keypair *out, struct err *err);
/* The flock that the operator's key belongs to, kept in the file `flock` beside it, and where that is. */
#define FLOCK_PATH_MAX (CLI_PATH_MAX + 16)
void client_flock_path(char out[FLOCK_PATH_MAX], const char *key_path);
int client_flock(const struct cli *cli, struct key32 *out, struct err *err);

/* Milliseconds of the monotonic clock. */
mono_ms clock_mono(void);
wall_ms clock_wall(void);

#endif
