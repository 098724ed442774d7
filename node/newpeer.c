#include "node/newpeer.h"

#include "base/hash.h"
#include "base/text.h"
#include "node/db.h"
#include "node/join.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

static bool exists(const char *dir, const char *name)
{
	char path[DATA_PATH_MAX + 32];

	snprintf(path, sizeof(path), "%.*s/%s", DATA_PATH_MAX, dir, name);
	return access(path, F_OK) == 0;
}

/* Loads a key, or makes it where there is none; *made says which. */
static int load_or_make(const char *path, const char *kind, const char *name, bool seal, struct keypair *out,
        bool *made, struct err *err)
{
	int rc;

	*made = access(path, F_OK) < 0 && errno == ENOENT;
	if (!*made)
		return keyfile_load(path, kind, out, err);
	rc = seal ? keyfile_create_sealed(path, kind, name, out, err)
	          : keyfile_create(path, kind, name, out, err);
	*made = rc == 0;
	return rc;
}

static int refuse_member(struct new_peer *n, struct err *err)
{
	struct key32 flock;
	char id[17];
	bool known;

	if (join_flock_of(n->persist, &known, &flock, err) < 0)
		return -1;
	if (!known)
		return 0;
	id64_text(id, key32_id(&flock));
	return err_set(err, ERR_FAILED,
	        "data folder %s: holds a peer of flock %s already; start it with `starling agent --data %s`, or give "
	        "another --data DIR",
	        n->dir, id, n->dir);
}

int new_peer_open(struct new_peer *n, const char *dir, struct err *err)
{
	char path[DATA_PATH_MAX + 32];

	*n = (struct new_peer){0};
	if (strlen(dir) >= sizeof(n->dir))
		return err_set(
		        err, ERR_USAGE, "data folder %.60s...: longer than %zu bytes", dir, sizeof(n->dir) - 1);
	text_copy(n->dir, sizeof(n->dir), dir);
	n->made_dir = access(dir, F_OK) < 0;
	n->made_store = !exists(dir, "store.db");
	n->persist = persist_open(dir, NULL, NULL, NULL, err);
	if (!n->persist) {
		new_peer_close(n, false);
		return -1;
	}
	keyfile_peer_path(path, sizeof(path), dir);
	if (refuse_member(n, err) < 0 ||
	        load_or_make(path, "peer", "peer", false, &n->keys, &n->made_key, err) < 0) {
		new_peer_close(n, false);
		return -1;
	}
	/* What founding and joining write was put into a store before, which verifies. */
	persist_seal_with(n->persist, n->keys.secret);
	return 0;
}

void new_peer_close(struct new_peer *n, bool keep)
{
	char path[DATA_PATH_MAX + 32];

	if (!keep && n->made_key) {
		keyfile_peer_path(path, sizeof(path), n->dir);
		unlink(path);
	}
	/* While the lock is held: whoever comes next must neither find half of it nor lose their own. */
	if (!keep && n->persist && n->made_store) {
		db_unlink(n->dir, "store.db");
		db_unlink(n->dir, "own.db");
	}
	if (!keep && n->persist && n->made_dir) {
		snprintf(path, sizeof(path), "%.*s/lock", DATA_PATH_MAX, n->dir);
		unlink(path);
	}
	if (n->persist)
		persist_close(n->persist);
	if (!keep && n->made_dir)
		rmdir(n->dir);
	sodium_memzero(&n->keys, sizeof(n->keys));
	n->persist = NULL;
}

/* Signs and judges the flock's first records. */
static int write_records(struct founded *out, struct new_peer *n, const char *name, const struct keypair *root,
        const struct keypair *admin, const struct key32 *successor, wall_ms wall, struct err *err)
{
	struct grant grant = {
	        .operator_key = admin->public_key, .role = ROLE_ADMIN, .powers = POWER_ALL, .name = "admin"};
	uint64_t stamp = (uint64_t)wall << 16; /* as hlc.h lays it out; the first stamps of the flock */
	struct founding *f = NULL;
	struct admission a;
	struct wr w[3];
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		wr_init(&w[i], RECORD_BYTES_MAX);
	trust_make_genesis_named(&w[0], name, wall, successor, root->secret, &out->flock);
	trust_make_grant(&w[1], &out->flock, &grant, stamp + 1, NULL, 0, root->secret);
	trust_vouch_first(&a, &out->flock, &n->keys.public_key, admin->secret);
	trust_make_admission(&w[2], &out->flock, &a, stamp + 2, n->keys.secret);
	f = founding_new(&out->flock);
	for (size_t i = 0; i < ARRAY_LEN(w) && rc == 0; i++)
		rc = founding_add(f, w[i].p, w[i].len, err);
	if (rc == 0)
		rc = founding_check(f, &n->keys.public_key, NULL, err);
	if (rc == 0)
		rc = founding_store(f, n->persist, err);
	founding_free(f);
	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		wr_free(&w[i]);
	return rc;
}

/* Whoever overwrote it would cut the keys beside it off from their flock. */
static int refuse_flock_file(const char *path, struct err *err)
{
	if (!path || access(path, F_OK) < 0)
		return 0;
	return err_set(err, ERR_FAILED,
	        "%s: names another flock, whose keys are kept beside it and need it for --peer; give --key FILE in a folder "
	        "of its own, or remove that file if its flock is gone",
	        path);
}

int flock_found(struct founded *out, const char *dir, const char *name, const char *key_path, wall_ms wall,
        const struct found_options *options, struct err *err)
{
	struct keypair root = {0}, admin = {0};
	bool made_root = false;
	struct new_peer n;
	int rc;

	*out = (struct founded){0};
	if (!text_is_label(name, false))
		return err_set(err, ERR_USAGE,
		        "flock name %.80s: a DNS label is needed: 1 to 63 of a-z, 0-9 and -, no - at either end",
		        name);
	if (new_peer_open(&n, dir, err) < 0)
		return -1;
	snprintf(out->root_path, sizeof(out->root_path), "%s/root.key", n.dir);
	rc = refuse_flock_file(options->flock_file, err);
	if (rc == 0)
		rc = load_or_make(out->root_path, "root", name, options->seal, &root, &made_root, err);
	if (rc == 0)
		rc = load_or_make(key_path, "operator", "admin", options->seal, &admin, &out->made_admin, err);
	if (rc == 0)
		rc = write_records(out, &n, name, &root, &admin, options->successor, wall, err);
	out->peer = n.keys.public_key;
	out->root = root.public_key;
	out->admin = admin.public_key;
	if (rc < 0 && made_root)
		unlink(out->root_path);
	if (rc < 0 && out->made_admin)
		unlink(key_path);
	sodium_memzero(&root, sizeof(root));
	sodium_memzero(&admin, sizeof(admin));
	new_peer_close(&n, rc == 0);
	return rc;
}
