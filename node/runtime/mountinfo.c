#include "node/runtime/mountinfo.h"

#include <string.h>
#include <sys/mount.h>

static bool octal(const char *p)
{
	return p[0] >= '0' && p[0] <= '3' && p[1] >= '0' && p[1] <= '7' && p[2] >= '0' && p[2] <= '7';
}

/* Blanks and backslashes are written as \ooo. */
static void unescape(char *text)
{
	char *to = text;

	for (char *p = text; *p; p++) {
		if (*p == '\\' && octal(p + 1)) {
			*to++ = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			p += 3;
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
}

static unsigned long flags_of(char *options)
{
	static const struct {
		const char *name;
		unsigned long flag;
	} table[] = {{"ro", MS_RDONLY}, {"nosuid", MS_NOSUID}, {"nodev", MS_NODEV}, {"noexec", MS_NOEXEC},
	        {"noatime", MS_NOATIME}, {"nodiratime", MS_NODIRATIME}, {"relatime", MS_RELATIME}};
	unsigned long flags = 0;
	char *save = NULL;

	for (char *o = strtok_r(options, ",", &save); o; o = strtok_r(NULL, ",", &save))
		for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
			if (strcmp(o, table[i].name) == 0)
				flags |= table[i].flag;
	return flags;
}

bool mountinfo_next(char **text, struct mount_point *out)
{
	while (*text && **text) {
		char *line = *text, *end = strchr(line, '\n'), *save = NULL, *field = NULL;

		*text = end ? end + 1 : line + strlen(line);
		if (end)
			*end = '\0';
		/* id, parent, device, root, mount point, options */
		field = strtok_r(line, " ", &save);
		for (int i = 0; i < 4 && field; i++)
			field = strtok_r(NULL, " ", &save);
		out->path = field;
		field = field ? strtok_r(NULL, " ", &save) : NULL;
		if (!field || out->path[0] != '/')
			continue;
		unescape(out->path);
		out->flags = flags_of(field);
		return true;
	}
	return false;
}
