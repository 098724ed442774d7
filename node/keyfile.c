#include "node/keyfile.h"

#include "base/text.h"
#include "node/datadir.h"
#include "node/keyseal.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes of a key file: prefix, 64 hex digits (sealed: 320), a name, with room for a comment that somebody appended. */
#define KEYFILE_BYTES_MAX 1024

static passphrase_source *source;
static void *source_ctx;

void keyfile_passphrases(passphrase_source *fn, void *ctx)
{
	source = fn;
	source_ctx = ctx;
}

struct passphrase {
	char text[PASSPHRASE_MAX];
	size_t len;
};

static int ask_passphrase(const char *path, bool fresh, struct passphrase *out, struct err *err)
{
	if (!source)
		return err_set(err, ERR_UNAUTHORISED,
		        "key file %s: sealed by a passphrase, which nobody can be asked for here", path);
	return source(source_ctx, path, fresh, out->text, &out->len, err);
}

void keypair_from_seed(struct keypair *out, const uint8_t seed[32])
{
	crypto_sign_seed_keypair(out->public_key.b, out->secret, seed);
}

/* Writes text to fd and to the disk; the name of the file is the caller's business. */
static int write_synced(int fd, const char *text, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = write(fd, text + at, len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		at += (size_t)n;
	}
	return fsync(fd);
}

/* Writes a file that is to become the one at path, beside it; its name goes to tmp. */
static int write_beside(
        char tmp[DATA_PATH_MAX + 16], const char *path, const char *text, size_t len, struct err *err)
{
	int fd, rc;

	if (strlen(path) >= DATA_PATH_MAX)
		return err_set(err, ERR_USAGE, "path %.60s...: longer than %d bytes", path, DATA_PATH_MAX - 1);
	snprintf(tmp, DATA_PATH_MAX + 16, "%s.new.%d", path, (int)getpid());
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, "create %s", tmp);
	rc = write_synced(fd, text, len);
	if (rc < 0) {
		rc = err_errno(err, "write %s", tmp);
		unlink(tmp);
	}
	close(fd);
	return rc;
}

/* The file appears under its name only when it is whole, and never takes the place of another. */
static int write_new_file(const char *path, const char *text, size_t len, struct err *err)
{
	char tmp[DATA_PATH_MAX + 16];
	int rc = write_beside(tmp, path, text, len, err);

	if (rc < 0)
		return rc;
	if (link(tmp, path) < 0)
		rc = errno == EEXIST
		             ? err_set(err, ERR_FAILED,
		                       "%s exists and is not overwritten: a lost key cannot be made again; "
		                       "name another file, or move this one away",
		                       path)
		             : err_errno(err, "create %s", path);
	unlink(tmp);
	return rc < 0 ? rc : data_dir_sync_parent(path, err);
}

/* One or the other stands there at any moment, whole. */
static int replace_file(const char *path, const char *text, size_t len, struct err *err)
{
	char tmp[DATA_PATH_MAX + 16];

	if (write_beside(tmp, path, text, len, err) < 0)
		return -1;
	if (rename(tmp, path) < 0) {
		err_errno(err, "replace %s", path);
		unlink(tmp);
		return -1;
	}
	return data_dir_sync_parent(path, err);
}

/* The line that a file of this key has. fresh: sealed by a passphrase that is chosen now. */
static int make_line(char line[KEYFILE_BYTES_MAX], const char *path, const char *kind, const char *name,
        const uint8_t seed[32], bool seal, struct err *err)
{
	struct sealed_key k = {.passes = SEAL_PASSES, .kib = SEAL_KIB};
	char hex[2 * crypto_sign_SEEDBYTES + 1];
	struct passphrase pass;
	struct keypair pair;
	int rc;

	if (!seal) {
		hex_encode(hex, seed, crypto_sign_SEEDBYTES);
		snprintf(line, KEYFILE_BYTES_MAX, "starling-%s-key-1 %s %.200s\n", kind, hex, name);
		sodium_memzero(hex, sizeof(hex));
		return 0;
	}
	keypair_from_seed(&pair, seed);
	k.public_key = pair.public_key;
	sodium_memzero(&pair, sizeof(pair));
	text_copy(k.kind, sizeof(k.kind), kind);
	text_copy(k.name, sizeof(k.name), name);
	rc = ask_passphrase(path, true, &pass, err);
	if (rc == 0)
		rc = keyseal_close(&k, seed, pass.text, pass.len, err);
	sodium_memzero(&pass, sizeof(pass));
	if (rc == 0)
		keyseal_format(line, KEYFILE_BYTES_MAX, &k);
	return rc;
}

static int create(
        const char *path, const char *kind, const char *name, bool seal, struct keypair *out, struct err *err)
{
	uint8_t seed[crypto_sign_SEEDBYTES];
	char line[KEYFILE_BYTES_MAX];
	int rc;

	if (sodium_init() < 0)
		return err_set(err, ERR_FAILED, "key %s: the kernel gives no random numbers", path);
	if (data_dir_make_parents(path, err) < 0)
		return err_wrap(err, "create %s key", kind);
	randombytes_buf(seed, sizeof(seed));
	rc = make_line(line, path, kind, name, seed, seal, err);
	if (rc == 0)
		rc = write_new_file(path, line, strlen(line), err);
	if (rc == 0)
		keypair_from_seed(out, seed);
	else
		err_wrap(err, "create %s key", kind);
	sodium_memzero(seed, sizeof(seed));
	sodium_memzero(line, sizeof(line));
	return rc;
}

int keyfile_create(const char *path, const char *kind, const char *name, struct keypair *out, struct err *err)
{
	return create(path, kind, name, false, out, err);
}

int keyfile_create_sealed(
        const char *path, const char *kind, const char *name, struct keypair *out, struct err *err)
{
	return create(path, kind, name, true, out, err);
}

/* A key that others can read or replace is nobody's secret. */
static int check_private(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "key file %s: stat", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_FAILED, "key file %s: not a regular file", path);
	if (st.st_mode & 077)
		return err_set(err, ERR_FAILED,
		        "key file %s: others on this host may open it (mode %03o); if nobody has, run: chmod 600 %s",
		        path, st.st_mode & 0777, path);
	if (st.st_uid != geteuid() && geteuid() != 0)
		return err_set(err, ERR_FAILED, "key file %s: belongs to another user (uid %u)", path,
		        (unsigned)st.st_uid);
	return 0;
}

static ssize_t read_all(int fd, char *buf, size_t cap)
{
	size_t len = 0;

	while (len < cap) {
		ssize_t n = read(fd, buf + len, cap - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* A key file as it stands: bare, or sealed still. */
struct key_line {
	char kind[KEY_KIND_MAX];
	char name[256];
	bool sealed;
	uint8_t seed[32]; /* unless sealed */
	struct sealed_key box;
};

/* "starling-KIND-key-1 HEXSEED[ NAME]" */
static int parse_bare(struct key_line *out, char *line, const char *path, struct err *err)
{
	static const char lead[] = "starling-", tail[] = "-key-1";
	char *hex = strchr(line, ' ');
	size_t len;
	char *name;

	if (strncmp(line, lead, strlen(lead)) != 0 || !hex)
		return err_set(err, ERR_FAILED,
		        "key file %s: not a Starling key; its line starts with starling-KIND-key-1", path);
	*hex++ = '\0';
	len = strlen(line);
	if (len <= strlen(lead) + strlen(tail) || strcmp(line + len - strlen(tail), tail) != 0 ||
	        len - strlen(lead) - strlen(tail) >= sizeof(out->kind))
		return err_set(err, ERR_FAILED, "key file %s: holds a %.40s, which this version does not know",
		        path, line + strlen(lead));
	text_copy(out->kind, len - strlen(lead) - strlen(tail) + 1, line + strlen(lead));
	name = strchr(hex, ' ');
	if (name)
		*name++ = '\0';
	text_copy(out->name, sizeof(out->name), name ? name : "");
	if (!hex_decode(out->seed, sizeof(out->seed), hex))
		return err_set(
		        err, ERR_FAILED, "key file %s: the key is cut or damaged; restore it from a copy", path);
	return 0;
}

static int parse(struct key_line *out, char *line, const char *path, struct err *err)
{
	*out = (struct key_line){0};
	line[strcspn(line, "\n")] = '\0';
	out->sealed = keyseal_is(line);
	if (!out->sealed)
		return parse_bare(out, line, path, err);
	if (keyseal_parse(&out->box, line, path, err) < 0)
		return -1;
	text_copy(out->kind, sizeof(out->kind), out->box.kind);
	text_copy(out->name, sizeof(out->name), out->box.name);
	return 0;
}

static int read_line(struct key_line *out, const char *path, struct err *err)
{
	char line[KEYFILE_BYTES_MAX + 1];
	ssize_t len;
	int rc, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_errno(err, "key file %s: open", path);
	rc = check_private(fd, path, err);
	if (rc == 0) {
		len = read_all(fd, line, KEYFILE_BYTES_MAX);
		line[MAX(len, 0)] = '\0';
		rc = len < 0 ? err_errno(err, "key file %s: read", path) : parse(out, line, path, err);
		sodium_memzero(line, sizeof(line));
	}
	close(fd);
	return rc;
}

static int check_kind(const struct key_line *k, const char *path, const char *kind, struct err *err)
{
	if (!kind || strcmp(k->kind, kind) == 0)
		return 0;
	return err_set(
	        err, ERR_FAILED, "key file %s: holds a %s-key-1, and a %s-key-1 is needed", path, k->kind, kind);
}

/* Asks for the passphrase where there is one. */
static int open_seed(struct key_line *k, const char *path, struct err *err)
{
	struct passphrase pass;
	int rc;

	if (!k->sealed)
		return 0;
	rc = ask_passphrase(path, false, &pass, err);
	if (rc == 0)
		rc = keyseal_open(&k->box, pass.text, pass.len, path, k->seed, err);
	sodium_memzero(&pass, sizeof(pass));
	return rc;
}

int keyfile_load(const char *path, const char *kind, struct keypair *out, struct err *err)
{
	struct key_line k;
	int rc = read_line(&k, path, err);

	if (rc == 0)
		rc = check_kind(&k, path, kind, err);
	if (rc == 0)
		rc = open_seed(&k, path, err);
	if (rc == 0)
		keypair_from_seed(out, k.seed);
	sodium_memzero(&k, sizeof(k));
	return rc;
}

int keyfile_public(const char *path, const char *kind, struct key32 *out, struct err *err)
{
	struct keypair pair;
	struct key_line k;
	int rc = read_line(&k, path, err);

	if (rc == 0)
		rc = check_kind(&k, path, kind, err);
	if (rc == 0 && !kind && strcmp(k.kind, "operator") != 0 && strcmp(k.kind, "root") != 0)
		rc = err_set(err, ERR_FAILED,
		        "key file %s: holds a %s key, and an operator's or a root key is needed", path, k.kind);
	if (rc == 0 && k.sealed) {
		*out = k.box.public_key;
	} else if (rc == 0) {
		keypair_from_seed(&pair, k.seed);
		*out = pair.public_key;
		sodium_memzero(&pair, sizeof(pair));
	}
	sodium_memzero(&k, sizeof(k));
	return rc;
}

int keyfile_seal(const char *path, bool seal, bool *was, struct err *err)
{
	char line[KEYFILE_BYTES_MAX];
	struct key_line k;
	int rc = read_line(&k, path, err);

	*was = rc == 0 && k.sealed == seal;
	if (rc == 0 && strcmp(k.kind, "peer") == 0)
		rc = err_set(err, ERR_USAGE,
		        "key file %s: a peer's key stays as it is: its agent reads it at every start, with nobody there to "
		        "give a passphrase",
		        path);
	if (rc == 0 && !*was)
		rc = open_seed(&k, path, err);
	if (rc == 0 && !*was)
		rc = make_line(line, path, k.kind, k.name, k.seed, seal, err);
	if (rc == 0 && !*was)
		rc = replace_file(path, line, strlen(line), err);
	sodium_memzero(&k, sizeof(k));
	sodium_memzero(line, sizeof(line));
	return rc;
}

void keyfile_peer_path(char *out, size_t cap, const char *data_dir)
{
	snprintf(out, cap, "%s/peer.key", data_dir);
}

/* An environment variable that is set to something; XDG says that an empty one counts as unset. */
static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static const char *home(void)
{
	const char *h = env("HOME");

	return h ? h : geteuid() == 0 ? "/root" : ".";
}

void keyfile_operator_path(char *out, size_t cap)
{
	const char *key = env("STARLING_KEY");
	const char *config = env("XDG_CONFIG_HOME");

	if (key)
		text_copy(out, cap, key);
	else if (config)
		snprintf(out, cap, "%s/starling/operator.key", config);
	else
		snprintf(out, cap, "%s/.config/starling/operator.key", home());
}

void data_dir_default(char *out, size_t cap)
{
	const char *data = env("STARLING_DATA");
	const char *share = env("XDG_DATA_HOME");

	if (data)
		text_copy(out, cap, data);
	else if (geteuid() == 0)
		text_copy(out, cap, "/var/lib/starling");
	else if (share)
		snprintf(out, cap, "%s/starling", share);
	else
		snprintf(out, cap, "%s/.local/share/starling", home());
}
