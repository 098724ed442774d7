#include "node/runtime/oci_user.h"

#include "base/text.h"

#define FIELDS_MAX 7

/* The fields of the next line at *text, copied to arena; 0 at the end. */
static size_t next_entry(struct arena *arena, const char **text, char *field[FIELDS_MAX])
{
	const char *line = *text;
	size_t len, n = 0;
	char *copy;

	if (!line || !*line)
		return 0;
	len = strcspn(line, "\n");
	*text = line[len] ? line + len + 1 : NULL;
	copy = arena_strndup(arena, line, len);
	for (char *p = copy; p && n < FIELDS_MAX; n++) {
		field[n] = p;
		p = strchr(p, ':');
		if (p)
			*p++ = '\0';
	}
	return MAX(n, (size_t)1);
}

static bool is_id(const char *text, uint32_t *id)
{
	uint64_t v;

	if (!text_u64(text, 0, UINT32_MAX - 1, &v))
		return false;
	*id = (uint32_t)v;
	return true;
}

/* By name, or by uid where name is NULL. *account: its name. */
static bool find_account(struct oci_user *out, struct arena *arena, const char *passwd, const char *name,
        uint32_t uid, const char **account)
{
	char *f[FIELDS_MAX];
	uint32_t id, gid;
	size_t n;

	while ((n = next_entry(arena, &passwd, f)) > 0) {
		if (n < 6 || !is_id(f[2], &id) || !is_id(f[3], &gid) ||
		        (name ? strcmp(f[0], name) != 0 : id != uid))
			continue;
		out->uid = id;
		out->gid = gid;
		out->home = *f[5] ? f[5] : "/";
		*account = f[0];
		return true;
	}
	return false;
}

static bool find_group(uint32_t *gid, struct arena *arena, const char *group, const char *name)
{
	char *f[FIELDS_MAX];
	size_t n;

	if (is_id(name, gid))
		return true;
	while ((n = next_entry(arena, &group, f)) > 0)
		if (n >= 3 && strcmp(f[0], name) == 0 && is_id(f[2], gid))
			return true;
	return false;
}

static void add_group(struct oci_user *u, uint32_t gid)
{
	for (size_t i = 0; i < u->n_groups; i++)
		if (u->groups[i] == gid)
			return;
	if (u->n_groups < OCI_GROUPS_MAX)
		u->groups[u->n_groups++] = gid;
}

static bool is_member(const char *members, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = members; *p; p += strcspn(p, ","), p += *p == ',')
		if (strncmp(p, name, len) == 0 && (!p[len] || p[len] == ','))
			return true;
	return false;
}

/* Groups that list the account by name. */
static void add_memberships(struct oci_user *u, struct arena *arena, const char *group, const char *account)
{
	char *f[FIELDS_MAX];
	uint32_t gid;
	size_t n;

	while ((n = next_entry(arena, &group, f)) > 0)
		if (n >= 4 && is_id(f[2], &gid) && is_member(f[3], account))
			add_group(u, gid);
}

int oci_user_find(struct oci_user *out, struct arena *arena, const char *text, const char *passwd,
        const char *group, const char *const *extra, size_t n_extra, struct err *err)
{
	char *name = arena_strdup(arena, text && *text ? text : "0");
	char *of = strchr(name, ':');
	const char *account = NULL;
	uint32_t id;

	*out = (struct oci_user){.home = "/"};
	if (of)
		*of++ = '\0';
	if (is_id(name, &id)) {
		if (!find_account(out, arena, passwd, NULL, id, &account))
			out->uid = id;
	} else if (!find_account(out, arena, passwd, name, 0, &account)) {
		return err_set(err, ERR_UNPLACEABLE,
		        "user \"%s\": not in /etc/passwd of the image; name one of the image's, or a number",
		        name);
	}
	if (of && *of && !find_group(&out->gid, arena, group, of))
		return err_set(err, ERR_UNPLACEABLE,
		        "group \"%s\": not in /etc/group of the image; name one of the image's, or a number", of);
	/* A group that is named is the only one, but for group_add. */
	if (account && !(of && *of))
		add_memberships(out, arena, group, account);
	for (size_t i = 0; i < n_extra; i++) {
		if (!find_group(&id, arena, group, extra[i]))
			return err_set(err, ERR_UNPLACEABLE,
			        "group_add: \"%s\": not in /etc/group of the image; name one of the image's, or a number",
			        extra[i]);
		add_group(out, id);
	}
	return 0;
}
