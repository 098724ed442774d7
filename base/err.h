/*
 * Errors are values that gather context on the way up. A function that can fail takes a `struct err *` last
 * and returns 0 (err untouched) or a negative number (err is set). err may be NULL where nobody will read it.
 *
 *	if (read_file(path, &buf, err) < 0)
 *		return err_wrap(err, "load key %s", path);
 *
 * prints "load key /x/y: open: No such file or directory".
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/types.h"

/* The codes are the CLI's exit codes, so that a cause found deep down decides how the process ends. */
enum err_code {
	ERR_NONE = 0,
	ERR_FAILED = 1,       /* anything not named below */
	ERR_USAGE = 2,        /* bad flags, bad spec, malformed input */
	ERR_CHANGES = 3,      /* plan: there are changes */
	ERR_UNPLACEABLE = 4,  /* some slot can run nowhere */
	ERR_ROLLED_BACK = 5,  /* the update failed and was undone */
	ERR_TIMEOUT = 6,      /* the wait ended before the work did */
	ERR_PARTIAL = 7,      /* some peers could not be reached; they are named */
	ERR_UNAUTHORISED = 8, /* the key may not do that */
};

/* Longest message: fits one terminal screen line group and one log line of 1 KiB. */
#define ERR_TEXT_MAX 768

struct err {
	enum err_code code;
	char text[ERR_TEXT_MAX];
};

/* Sets err and returns -1. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* As err_set with ERR_FAILED, and ": strerror(errno)" appended. */
int err_errno(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Puts "context: " before the text; the code stays. Returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
