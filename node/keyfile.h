/*
 * Key files: 0600, one line of "starling-KIND-key-1 HEXSEED NAME", or sealed by a passphrase (node/keyseal.h). Refused when
 * others can read them.
 */
#ifndef NODE_KEYFILE_H
#define NODE_KEYFILE_H

#include "base/err.h"
#include "base/types.h"

struct keypair {
	struct key32 public_key;
	uint8_t secret[64]; /* libsodium's Ed25519 form */
};

/* Where passphrases come from: writes that of the file at path to out (PASSPHRASE_MAX bytes) and its length. fresh: it is
 * one that is chosen now, to seal the file with. -1 with err when there is none to be had. */
typedef int passphrase_source(void *ctx, const char *path, bool fresh, char *out, size_t *len, struct err *err);
/* For the whole process; until it is called sealed files cannot be opened. */
void keyfile_passphrases(passphrase_source *source, void *ctx);

/* kind: "peer", "operator", "root". */
int keyfile_create(const char *path, const char *kind, const char *name, struct keypair *out, struct err *err);
/* Sealed from the start: the disk never sees the bare key. */
int keyfile_create_sealed(
        const char *path, const char *kind, const char *name, struct keypair *out, struct err *err);
int keyfile_load(const char *path, const char *kind, struct keypair *out, struct err *err);
/* The public half alone, which needs no passphrase. kind as "operator" or "root", or NULL for either. */
int keyfile_public(const char *path, const char *kind, struct key32 *out, struct err *err);
/* Replaces the file by the same key sealed by a passphrase, or bare. *was: it was so already. A peer's key is refused:
 * its agent starts with nobody there to be asked. */
int keyfile_seal(const char *path, bool seal, bool *was, struct err *err);
void keypair_from_seed(struct keypair *out, const uint8_t seed[32]);
/* DATA/peer.key */
void keyfile_peer_path(char *out, size_t cap, const char *data_dir);
/* $STARLING_KEY, else $XDG_CONFIG_HOME/starling/operator.key, else ~/.config/starling/operator.key. */
void keyfile_operator_path(char *out, size_t cap);
/* /var/lib/starling for root, else $XDG_DATA_HOME/starling or ~/.local/share/starling; $STARLING_DATA first. */
void data_dir_default(char *out, size_t cap);

#endif
