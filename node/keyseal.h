/*
 * Keys sealed by a passphrase: one line of a key file,
 *
 *	starling-KIND-sealed-1 PUBLIC PASSES KIB SALT NONCE BOX NAME
 *
 * PUBLIC is the key's public half (64 hex digits), so that it can be shown and granted without the passphrase. BOX is the
 * seed, sealed by XChaCha20-Poly1305 under Argon2id(passphrase, SALT (32 digits), PASSES, KIB of memory), with NONCE (48)
 * and, authenticated, all fields before it.
 */
#ifndef NODE_KEYSEAL_H
#define NODE_KEYSEAL_H

#include "base/err.h"
#include "base/types.h"

#define KEY_KIND_MAX 16

/* Work to turn a passphrase into a key: RFC 9106's choice for hosts with little memory is 3 passes over 64 MiB. */
#define SEAL_PASSES 3
#define SEAL_KIB    (64 * 1024)
/* What a file may ask for at most: opening a hostile one costs some seconds and a quarter of a GiB, not the host. */
#define SEAL_PASSES_MAX 16
#define SEAL_KIB_MIN    8
#define SEAL_KIB_MAX    (256 * 1024)
/* Bytes of a passphrase: longer ones are files given by mistake. */
#define PASSPHRASE_MAX 1024

struct sealed_key {
	char kind[KEY_KIND_MAX]; /* "operator", "root" */
	struct key32 public_key;
	uint32_t passes, kib;
	uint8_t salt[16], nonce[24], box[32 + 16];
	char name[256];
};

/* Is this the line of a sealed key, good or bad? */
bool keyseal_is(const char *line);
/* Reads a line, hostile; its end of line is gone. path is for messages. */
int keyseal_parse(struct sealed_key *out, const char *line, const char *path, struct err *err);
/* Appends nothing to line but what fits cap: the whole line with its end. */
void keyseal_format(char *line, size_t cap, const struct sealed_key *k);
/* Fills what depends on the passphrase; kind, public_key, name, passes and kib are the caller's. Takes a moment. */
int keyseal_close(struct sealed_key *k, const uint8_t seed[32], const char *pass, size_t len, struct err *err);
/* ERR_UNAUTHORISED: another passphrase, or the file was changed. */
int keyseal_open(const struct sealed_key *k, const char *pass, size_t len, const char *path, uint8_t seed[32],
        struct err *err);

#endif
