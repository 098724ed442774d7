#include "node/runtime/user.h"

#include "base/text.h"
#include "node/runtime/files.h"

#include <fcntl.h>
#include <unistd.h>

/* Bytes of passwd or group that are read: 10,000 accounts. */
#define ACCOUNTS_BYTES_MAX (1024 * 1024)
#define NOBODY_ID          65534
#define FIELDS_MAX         7
/* Groups of the agent's own that are looked at. */
#define NGROUPS_MINE 256

const struct user_files user_files_system = {"/etc/passwd", "/etc/group"};

static char *load(struct arena *arena, const char *path)
{
	size_t len;

	return (char *)file_read(AT_FDCWD, path, ACCOUNTS_BYTES_MAX, arena, &len, NULL);
}

/* Cuts the next line of *text into its fields at ':'. Returns how many, 0 at the end. */
static size_t next_entry(char **text, char *field[FIELDS_MAX])
{
	char *line = *text;
	char *end;
	size_t n = 0;

	if (!line || !*line)
		return 0;
	end = strchr(line, '\n');
	*text = end ? end + 1 : NULL;
	if (end)
		*end = '\0';
	for (char *p = line; p && n < FIELDS_MAX; n++) {
		field[n] = p;
		p = strchr(p, ':');
		if (p)
			*p++ = '\0';
	}
	return n;
}

static bool is_id(const char *text, uint32_t *id)
{
	uint64_t v;

	if (!text_u64(text, 0, UINT32_MAX - 1, &v))
		return false;
	*id = (uint32_t)v;
	return true;
}

/* By name, or by uid where name is NULL. */
static bool find_passwd(struct user *out, struct arena *arena, const char *path, const char *name, uint32_t uid)
{
	char *text = load(arena, path);
	char *f[FIELDS_MAX];
	uint32_t id, gid;
	size_t n;

	while ((n = next_entry(&text, f)) > 0) {
		if (n < 6 || !is_id(f[2], &id) || !is_id(f[3], &gid))
			continue;
		if (name ? strcmp(f[0], name) != 0 : id != uid)
			continue;
		out->name = f[0];
		out->uid = id;
		out->gid = gid;
		out->home = *f[5] ? f[5] : "/";
		return true;
	}
	return false;
}

static bool find_group(uint32_t *gid, struct arena *arena, const char *path, const char *name)
{
	char *text = load(arena, path);
	char *f[FIELDS_MAX];
	size_t n;

	while ((n = next_entry(&text, f)) > 0)
		if (n >= 3 && strcmp(f[0], name) == 0 && is_id(f[2], gid))
			return true;
	return false;
}

static bool is_member(char *members, const char *name)
{
	char *save = NULL;

	for (char *m = strtok_r(members, ",", &save); m; m = strtok_r(NULL, ",", &save))
		if (strcmp(m, name) == 0)
			return true;
	return false;
}

/* Groups that list the user by name; beyond the bound they are left out, which only takes rights away. */
static void find_groups(struct user *out, struct arena *arena, const char *path)
{
	char *text = load(arena, path);
	char *f[FIELDS_MAX];
	uint32_t gid;
	size_t n;

	out->n_groups = 0;
	while ((n = next_entry(&text, f)) > 0)
		if (n >= 4 && out->n_groups < LAUNCH_GROUPS_MAX && is_id(f[2], &gid) &&
		        is_member(f[3], out->name))
			out->groups[out->n_groups++] = gid;
}

static int find_named(
        struct user *out, struct arena *arena, const char *text, const struct user_files *files, struct err *err)
{
	char *name = arena_strdup(arena, text);
	char *group = strchr(name, ':');
	uint32_t id;

	if (group)
		*group++ = '\0';
	if (is_id(name, &id)) {
		if (!find_passwd(out, arena, files->passwd, NULL, id))
			*out = (struct user){.name = name, .uid = id, .gid = NOBODY_ID, .home = "/"};
	} else if (!find_passwd(out, arena, files->passwd, name, 0)) {
		return err_set(err, ERR_USAGE,
		        "user \"%s\": not in %s of this host; create it there, or name another", name,
		        files->passwd);
	}
	if (!group) {
		find_groups(out, arena, files->group);
		return 0;
	}
	/* A group that is named is the only one, as in Compose. */
	if (!is_id(group, &out->gid) && !find_group(&out->gid, arena, files->group, group))
		return err_set(err, ERR_USAGE,
		        "group \"%s\": not in %s of this host; create it there, or name another", group,
		        files->group);
	return 0;
}

int user_find(struct user *out, struct arena *arena, const char *text, uint32_t me,
        const struct user_files *files, struct err *err)
{
	*out = (struct user){0};
	if (!text && me == 0) {
		if (!find_passwd(out, arena, files->passwd, "nobody", 0))
			*out = (struct user){.name = "nobody", .uid = NOBODY_ID, .gid = NOBODY_ID, .home = "/"};
		return 0;
	}
	if (!text) {
		if (!find_passwd(out, arena, files->passwd, NULL, me))
			*out = (struct user){.name = arena_printf(arena, "%u", me), .uid = me, .home = "/"};
		return 0;
	}
	if (find_named(out, arena, text, files, err) < 0)
		return -1;
	if (me != 0 && out->uid != me)
		return err_set(err, ERR_UNAUTHORISED,
		        "user \"%s\": this agent is not root, so it starts tasks only as itself (uid %u); leave the "
		        "user out, or run the agent as root",
		        text, me);
	return 0;
}

static bool is_mine(uint32_t gid)
{
	gid_t groups[NGROUPS_MINE];
	int n = getgroups(NGROUPS_MINE, groups);

	for (int i = 0; i < n; i++)
		if (groups[i] == gid)
			return true;
	return gid == getegid();
}

int user_add_groups(struct user *out, struct arena *arena, const char **names, size_t n, uint32_t me,
        const struct user_files *files, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t gid;

		if (!is_id(names[i], &gid) && !find_group(&gid, arena, files->group, names[i]))
			return err_set(err, ERR_UNPLACEABLE,
			        "group_add: \"%s\": not in %s; create it there, or name another", names[i],
			        files->group);
		if (me != 0 && !is_mine(gid))
			return err_set(err, ERR_UNPLACEABLE,
			        "group_add: \"%s\": this agent is not root, and not in that group itself; add its user to the "
			        "group, or run it as root",
			        names[i]);
		if (out->n_groups == LAUNCH_GROUPS_MAX)
			return err_set(err, ERR_UNPLACEABLE,
			        "group_add: with those of its user more than %d groups", LAUNCH_GROUPS_MAX);
		out->groups[out->n_groups++] = gid;
	}
	return 0;
}
