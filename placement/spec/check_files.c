/* Laws of what travels with a service. The agent writes these files, so that a path must not lead out of its folder. */
#include "placement/spec/check.h"

/* Relative, without empty parts, . and .., and not too deep. */
static bool path_is_within(const char *path)
{
	size_t depth = 0;

	for (;;) {
		size_t len = strcspn(path, "/");

		if (!len || (len == 1 && path[0] == '.') || (len == 2 && path[0] == '.' && path[1] == '.') ||
		        ++depth > SPEC_TREE_DEPTH)
			return false;
		if (!path[len])
			return true;
		path += len + 1;
	}
}

/* Is one path a folder of the other's? */
static bool is_folder_of(const char *folder, const char *path)
{
	size_t len = strlen(folder);

	return !strncmp(folder, path, len) && path[len] == '/';
}

static int check_tree(const struct spec_files *t, struct err *err)
{
	for (size_t i = 0; i < t->n_files; i++) {
		const char *path = t->files[i].path;

		if (!path && t->n_files > 1)
			return fault(err, "files.%s: a file without a path is alone", t->hash);
		if (path && !path_is_within(path))
			return fault(err, "files.%s: \"%s\" is not a path within a folder, at most %d deep",
			        t->hash, path, SPEC_TREE_DEPTH);
		if (i > 0 && strcmp(t->files[i - 1].path, path) >= 0)
			return fault(err, "files.%s: %s stands twice, or is not in order", t->hash, path);
		for (size_t k = 0; k < i; k++)
			if (is_folder_of(t->files[k].path, path))
				return fault(
				        err, "files.%s: %s is a file and a folder", t->hash, t->files[k].path);
	}
	return 0;
}

static const struct spec_files *find(const struct service *s, const char *hash)
{
	for (size_t i = 0; i < s->n_files && hash; i++)
		if (!strcmp(s->files[i].hash, hash))
			return &s->files[i];
	return NULL;
}

static int check_use(const struct service *s, struct err *err)
{
	bool used[SPEC_MOUNTS_MAX] = {false};

	for (size_t i = 0; i < s->n_mounts; i++) {
		const struct spec_mount *m = &s->mounts[i];
		const struct spec_files *t;

		if (m->kind != MOUNT_SHIPPED)
			continue;
		t = find(s, m->source);
		if (!t)
			return fault(err, "volumes: %s: its files are not there", m->target);
		if (!m->read_only)
			return fault(
			        err, "volumes: %s: files that travel with the stack are read-only", m->target);
		used[t - s->files] = true;
	}
	for (size_t i = 0; i < s->n_files; i++)
		if (!used[i])
			return fault(err, "files.%s: nothing mounts it", s->files[i].hash);
	return 0;
}

int check_files(const struct service *s, struct err *err)
{
	for (size_t i = 0; i < s->n_files; i++) {
		const struct spec_files *t = &s->files[i];
		char hash[17];

		if (!t->hash || !t->n_files)
			return fault(err, "files[%zu]: no hash, or no file", i);
		if (check_tree(t, err) < 0)
			return -1;
		spec_files_hash(hash, t);
		if (strcmp(hash, t->hash) != 0)
			return fault(err, "files.%s: its content has the hash %s", t->hash, hash);
		if (i > 0 && strcmp(s->files[i - 1].hash, t->hash) >= 0)
			return fault(err, "files.%s: stands twice, or is not in order", t->hash);
	}
	return check_use(s, err);
}
