/* Devices of the host that a container gets. */
#include "node/runtime/oci_config.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static bool describe(
        struct arena *arena, const char *host, const char *target, const char *access, struct oci_device *d)
{
	struct stat st;

	if (stat(host, &st) < 0 || (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)))
		return false;
	*d = (struct oci_device){
	        .path = arena_strdup(arena, target),
	        .type = S_ISCHR(st.st_mode) ? 'c' : 'b',
	        .major = major(st.st_rdev),
	        .minor = minor(st.st_rdev),
	        .mode = st.st_mode & 07777,
	        .uid = st.st_uid,
	        .gid = st.st_gid,
	        .access = access,
	};
	return true;
}

int oci_device_find(struct arena *arena, const struct spec_device *want, struct oci_device *out, struct err *err)
{
	if (describe(arena, want->host, want->target ? want->target : want->host,
	            want->access ? want->access : "rwm", out))
		return 0;
	return err_set(err, ERR_UNPLACEABLE, "devices: %s: no device of this host", want->host);
}

static size_t walk(struct arena *arena, const char *path, unsigned depth, struct oci_device *out, size_t n)
{
	DIR *dir = opendir(path);

	for (struct dirent *e; dir && n < OCI_DEVICES_MAX && (e = readdir(dir));) {
		const char *full = arena_printf(arena, "%s/%s", path, e->d_name);
		struct stat st;

		/* What every container has of its own. */
		if (e->d_name[0] == '.' || strcmp(e->d_name, "pts") == 0 || strcmp(e->d_name, "shm") == 0 ||
		        strcmp(e->d_name, "mqueue") == 0 || strcmp(e->d_name, "console") == 0 ||
		        strcmp(e->d_name, "ptmx") == 0 || lstat(full, &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth < 3)
			n = walk(arena, full, depth + 1, out, n);
		else if (!S_ISLNK(st.st_mode) && describe(arena, full, full, "rwm", &out[n]))
			n++;
	}
	if (dir)
		closedir(dir);
	return n;
}

size_t oci_devices_all(struct arena *arena, struct oci_device *out)
{
	return walk(arena, "/dev", 0, out, 0);
}
