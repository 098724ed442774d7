/* A data folder that becomes a peer: what `starling init` and `starling join` put there, and take away again when
 * they fail. */
#ifndef NODE_NEWPEER_H
#define NODE_NEWPEER_H

#include "node/datadir.h"
#include "node/keyfile.h"
#include "node/persist.h"

struct new_peer {
	char dir[DATA_PATH_MAX];
	struct persist *persist; /* open without a loop */
	struct keypair keys;
	bool made_dir, made_store, made_key;
};

/* Opens or makes folder, store and peer key. A folder that holds a peer already is refused. A key that an
 * interrupted attempt left is used again: the flock may know it by now. */
int new_peer_open(struct new_peer *n, const char *dir, struct err *err);
/* keep false: removes what new_peer_open() made. */
void new_peer_close(struct new_peer *n, bool keep);

/* What `starling init` may be asked for beyond. */
struct found_options {
	const struct key32 *successor; /* of the root, for the genesis; NULL: none */
	const char *
	        flock_file; /* refused when it is there: it says of which flock the keys beside it are; NULL: none */
	bool seal;          /* the keys that are made now by a passphrase: keyfile_passphrases() */
};

/* What `starling init` makes. */
struct founded {
	struct key32 flock, peer, root, admin;
	char root_path[DATA_PATH_MAX + 16];
	bool made_admin; /* the operator key was made now, not found */
};

/* Makes a flock of this host alone: root key in DATA, operator key at key_path (used if it is there), peer key,
 * genesis, the admin's grant, this peer's admission. All or nothing: on failure no file stays that was not there. */
int flock_found(struct founded *out, const char *dir, const char *name, const char *key_path, wall_ms wall,
        const struct found_options *options, struct err *err);

#endif
