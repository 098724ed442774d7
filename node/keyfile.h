/* Key files: 0600, one line of "starling-KIND-key-1 HEXSEED NAME". Refused when others can read them. */
#ifndef NODE_KEYFILE_H
#define NODE_KEYFILE_H

#include "base/err.h"
#include "base/types.h"

struct keypair {
	struct key32 public_key;
	uint8_t secret[64]; /* libsodium's Ed25519 form */
};

/* kind: "peer", "operator", "root". */
int keyfile_create(const char *path, const char *kind, const char *name, struct keypair *out, struct err *err);
int keyfile_load(const char *path, const char *kind, struct keypair *out, struct err *err);
void keypair_from_seed(struct keypair *out, const uint8_t seed[32]);
/* DATA/peer.key */
void keyfile_peer_path(char *out, size_t cap, const char *data_dir);
/* $STARLING_KEY, else $XDG_CONFIG_HOME/starling/operator.key, else ~/.config/starling/operator.key. */
void keyfile_operator_path(char *out, size_t cap);
/* /var/lib/starling for root, else $XDG_DATA_HOME/starling or ~/.local/share/starling; $STARLING_DATA first. */
void data_dir_default(char *out, size_t cap);

#endif
