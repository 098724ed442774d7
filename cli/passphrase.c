#include "cli/passphrase.h"

#include "node/keyfile.h"
#include "node/keyseal.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <termios.h>
#include <unistd.h>

/* A command may open one file several times (a session's key, then a signature's): people are asked once. */
static struct {
	char path[CLI_PATH_MAX]; /* of the file that it is known for; empty: of none yet */
	bool fresh;              /* chosen in this run: one for all keys that it makes */
	size_t len;
	char text[PASSPHRASE_MAX];
} given;

static const char *from_env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* Takes the first line; what is in buf is the caller's to wipe. */
static int take_line(const char *buf, size_t n, const char *where, char *out, size_t *len, struct err *err)
{
	const char *end = memchr(buf, '\n', n);

	*len = end ? (size_t)(end - buf) : n;
	if (*len && buf[*len - 1] == '\r')
		--*len;
	if (!*len)
		return err_set(err, ERR_USAGE, "%s: the passphrase is empty", where);
	if (*len > PASSPHRASE_MAX)
		return err_set(err, ERR_USAGE, "%s: a passphrase of more than %d bytes", where, PASSPHRASE_MAX);
	memcpy(out, buf, *len);
	return 0;
}

static int read_file(const char *path, char *out, size_t *len, struct err *err)
{
	char buf[PASSPHRASE_MAX + 2];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t got = 1;
	int rc;

	if (fd < 0)
		return err_errno(err, "passphrase file %s: open", path);
	while (n < sizeof(buf) && got > 0) {
		got = read(fd, buf + n, sizeof(buf) - n);
		if (got > 0)
			n += (size_t)got;
		else if (got < 0 && errno == EINTR)
			got = 1;
	}
	rc = got < 0 ? err_errno(err, "passphrase file %s: read", path) : take_line(buf, n, path, out, len, err);
	close(fd);
	sodium_memzero(buf, sizeof(buf));
	return rc;
}

/* One line without echo; Ctrl-C ends it like every other command. */
static int read_terminal(int tty, const char *prompt, char *out, size_t *len, struct err *err)
{
	struct termios before, silent;
	bool done = false, cancelled = false;

	if (tcgetattr(tty, &before) < 0)
		return err_errno(err, "the terminal");
	silent = before;
	silent.c_lflag &= (tcflag_t) ~(ECHO | ECHONL | ICANON | ISIG);
	silent.c_cc[VMIN] = 1;
	silent.c_cc[VTIME] = 0;
	tcsetattr(tty, TCSAFLUSH,
	        &silent); /* before the prompt: what is typed at it must not be shown, nor flushed */
	dprintf(tty, "%s", prompt);
	*len = 0;
	while (!done) {
		char c;
		ssize_t n = read(tty, &c, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || c == 0x03 || (c == 0x04 && !*len)) /* Ctrl-C, Ctrl-D */
			done = cancelled = true;
		else if (c == '\n' || c == '\r')
			done = true;
		else if (c == 0x7f || c == '\b')
			*len -= !!*len;
		else if (c == 0x15) /* Ctrl-U */
			*len = 0;
		else if (*len < PASSPHRASE_MAX)
			out[(*len)++] = c;
	}
	tcsetattr(tty, TCSAFLUSH, &before);
	dprintf(tty, "\n");
	if (cancelled)
		return err_set(err, ERR_FAILED, "no passphrase was given");
	return *len ? 0 : err_set(err, ERR_USAGE, "the passphrase is empty");
}

static int ask_person(const char *path, bool fresh, char *out, size_t *len, struct err *err)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	char prompt[CLI_PATH_MAX + 64], again[PASSPHRASE_MAX];
	size_t again_len;
	int rc;

	if (tty < 0)
		return err_set(err, ERR_UNAUTHORISED,
		        "key file %s: needs a passphrase, and there is no terminal to ask at; give --passphrase-file FILE, or "
		        "set STARLING_PASSPHRASE_FILE or STARLING_PASSPHRASE",
		        path);
	snprintf(prompt, sizeof(prompt), fresh ? "New passphrase for %s: " : "Passphrase of %s: ", path);
	rc = read_terminal(tty, prompt, out, len, err);
	if (rc == 0 && fresh) {
		rc = read_terminal(tty, "Again: ", again, &again_len, err);
		if (rc == 0 && (again_len != *len || sodium_memcmp(again, out, *len) != 0))
			rc = err_set(err, ERR_FAILED, "the two passphrases differ; nothing was changed");
		sodium_memzero(again, sizeof(again));
	}
	close(tty);
	return rc;
}

static int give(void *ctx, const char *path, bool fresh, char *out, size_t *len, struct err *err)
{
	const struct cli *cli = ctx;
	const char *file = cli->passphrase_file ? cli->passphrase_file : from_env("STARLING_PASSPHRASE_FILE");
	const char *text = from_env("STARLING_PASSPHRASE");
	int rc;

	if (given.len && given.fresh == fresh && (fresh || strcmp(given.path, path) == 0)) {
		memcpy(out, given.text, given.len);
		*len = given.len;
		return 0;
	}
	if (file)
		rc = read_file(file, out, len, err);
	else if (text)
		rc = take_line(text, strlen(text), "STARLING_PASSPHRASE", out, len, err);
	else
		rc = ask_person(path, fresh, out, len, err);
	if (rc < 0)
		return -1;
	snprintf(given.path, sizeof(given.path), "%s", path);
	given.fresh = fresh;
	given.len = *len;
	memcpy(given.text, out, *len);
	return 0;
}

void passphrase_begin(const struct cli *cli)
{
	keyfile_passphrases(give, (void *)cli);
}

void passphrase_end(void)
{
	keyfile_passphrases(NULL, NULL);
	sodium_memzero(&given, sizeof(given));
}
