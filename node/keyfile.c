#include "node/keyfile.h"

#include "base/text.h"
#include "node/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes of a key file: prefix, 64 hex digits, a name, with room for a comment that somebody appended. */
#define KEYFILE_BYTES_MAX 1024

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

/* The file appears under its name only when it is whole, and never takes the place of another. */
static int write_new_file(const char *path, const char *text, size_t len, struct err *err)
{
	char tmp[DATA_PATH_MAX + 16];
	int fd, rc;

	if (strlen(path) >= DATA_PATH_MAX)
		return err_set(err, ERR_USAGE, "path %.60s...: longer than %d bytes", path, DATA_PATH_MAX - 1);
	snprintf(tmp, sizeof(tmp), "%s.new.%d", path, (int)getpid());
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, "create %s", tmp);
	rc = write_synced(fd, text, len);
	if (rc < 0)
		rc = err_errno(err, "write %s", tmp);
	else if (link(tmp, path) < 0)
		rc = errno == EEXIST
		             ? err_set(err, ERR_FAILED,
		                       "%s exists and is not overwritten: a lost key cannot be made again; "
		                       "name another file, or move this one away",
		                       path)
		             : err_errno(err, "create %s", path);
	close(fd);
	unlink(tmp);
	if (rc < 0)
		return rc;
	return data_dir_sync_parent(path, err);
}

int keyfile_create(const char *path, const char *kind, const char *name, struct keypair *out, struct err *err)
{
	uint8_t seed[crypto_sign_SEEDBYTES];
	char hex[2 * sizeof(seed) + 1], line[KEYFILE_BYTES_MAX];
	int len, rc;

	if (sodium_init() < 0)
		return err_set(err, ERR_FAILED, "key %s: the kernel gives no random numbers", path);
	if (data_dir_make_parents(path, err) < 0)
		return err_wrap(err, "create %s key", kind);
	randombytes_buf(seed, sizeof(seed));
	hex_encode(hex, seed, sizeof(seed));
	len = snprintf(line, sizeof(line), "starling-%s-key-1 %s %.200s\n", kind, hex, name);
	rc = write_new_file(path, line, (size_t)len, err);
	if (rc == 0)
		keypair_from_seed(out, seed);
	else
		err_wrap(err, "create %s key", kind);
	sodium_memzero(seed, sizeof(seed));
	sodium_memzero(hex, sizeof(hex));
	sodium_memzero(line, sizeof(line));
	return rc;
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

/* "starling-KIND-key-1 HEXSEED[ NAME]". Fills seed. */
static int parse(char *line, const char *path, const char *kind, uint8_t seed[32], struct err *err)
{
	static const char lead[] = "starling-", tail[] = "-key-1";
	char want[64];
	char *end = strchr(line, '\n');
	char *hex, *name;

	if (end)
		*end = '\0';
	hex = strchr(line, ' ');
	if (strncmp(line, lead, strlen(lead)) != 0 || !hex)
		return err_set(err, ERR_FAILED,
		        "key file %s: not a Starling key; its line starts with starling-%s-key-1", path, kind);
	*hex++ = '\0';
	name = strchr(hex, ' ');
	if (name)
		*name = '\0';
	snprintf(want, sizeof(want), "%s%s%s", lead, kind, tail);
	if (strcmp(line, want) != 0)
		return err_set(err, ERR_FAILED, "key file %s: holds a %.40s, and a %s is needed", path,
		        line + strlen(lead), want + strlen(lead));
	if (!hex_decode(seed, 32, hex))
		return err_set(
		        err, ERR_FAILED, "key file %s: the key is cut or damaged; restore it from a copy", path);
	return 0;
}

int keyfile_load(const char *path, const char *kind, struct keypair *out, struct err *err)
{
	char line[KEYFILE_BYTES_MAX + 1];
	uint8_t seed[32];
	ssize_t len;
	int rc, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_errno(err, "key file %s: open", path);
	rc = check_private(fd, path, err);
	if (rc == 0) {
		len = read_all(fd, line, KEYFILE_BYTES_MAX);
		line[MAX(len, 0)] = '\0';
		rc = len < 0 ? err_errno(err, "key file %s: read", path) : parse(line, path, kind, seed, err);
		sodium_memzero(line, sizeof(line));
	}
	close(fd);
	if (rc == 0)
		keypair_from_seed(out, seed);
	sodium_memzero(seed, sizeof(seed));
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
