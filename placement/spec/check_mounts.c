/* Laws of what is mounted: volumes, tmpfs, devices. */
#include "base/text.h"
#include "placement/spec/check.h"
#include "placement/spec/template.h"

static const char *const propagations[] = {"private", "rprivate", "shared", "rshared", "slave", "rslave"};

bool path_is_clean(const char *path)
{
	if (*path != '/')
		return false;
	if (!path[1])
		return true;
	while (*path == '/') {
		size_t len = strcspn(++path, "/");

		if (!len || (len == 1 && path[0] == '.') || (len == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += len;
	}
	return true;
}

static bool is_propagation(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(propagations); i++)
		if (!strcmp(propagations[i], word))
			return true;
	return false;
}

static bool is_volume(const struct service *s, const char *name)
{
	for (size_t i = 0; i < s->n_volumes; i++)
		if (!strcmp(s->volumes[i], name))
			return true;
	return false;
}

static int check_source(const struct service *s, const struct spec_mount *m, struct err *err)
{
	switch (m->kind) {
	case MOUNT_BIND:
		if (!m->source || !path_is_clean(m->source))
			return fault(err, "volumes: %s: source \"%s\" is not an absolute path without . and ..",
			        m->target, m->source ? m->source : "");
		if (template_check(m->source, err) < 0)
			return err_wrap(err, "volumes: %s", m->target);
		break;
	case MOUNT_VOLUME:
		if (m->source && !text_is_label(m->source, true))
			return fault(err,
			        "volumes: %s: \"%s\" is not a label (a-z, 0-9, - and _): a volume needs such a name",
			        m->target, m->source);
		if (m->source && !is_volume(s, m->source))
			return fault(err,
			        "volumes: %s: %s is not among the volumes that the service is pinned to",
			        m->target, m->source);
		break;
	case MOUNT_TMPFS:
		if (m->source)
			return fault(err, "volumes: %s: a tmpfs has no source", m->target);
		break;
	case MOUNT_SHIPPED: /* check_files() */
		break;
	}
	return 0;
}

static int check_mount(const struct service *s, const struct spec_mount *m, struct err *err)
{
	if (!m->target || !path_is_clean(m->target) || !strcmp(m->target, "/"))
		return fault(err, "volumes: target \"%s\" is not an absolute path below / without . and ..",
		        m->target ? m->target : "");
	if (check_source(s, m, err) < 0)
		return -1;
	if (m->kind != MOUNT_BIND && (m->no_create || m->propagation))
		return fault(err, "volumes: %s: create_host_path and propagation are of binds alone", m->target);
	if (m->propagation && !is_propagation(m->propagation))
		return fault(err,
		        "volumes: %s: propagation \"%s\" is none of private, rprivate, shared, rshared, slave, rslave",
		        m->target, m->propagation);
	if (m->kind != MOUNT_VOLUME && m->no_copy)
		return fault(err, "volumes: %s: nocopy is of named volumes alone", m->target);
	if (m->kind != MOUNT_TMPFS && m->size)
		return fault(err, "volumes: %s: size is of a tmpfs alone", m->target);
	if (m->kind != MOUNT_TMPFS && m->kind != MOUNT_SHIPPED && m->mode)
		return fault(err, "volumes: %s: mode is of a tmpfs alone", m->target);
	if (m->kind == MOUNT_SHIPPED && m->mode > 0777)
		return fault(
		        err, "volumes: %s: mode %o is above 777: a config cannot be setuid", m->target, m->mode);
	if (m->kind != MOUNT_SHIPPED && (m->uid || m->gid))
		return fault(err, "volumes: %s: uid and gid are of a config alone", m->target);
	return 0;
}

/* A volume of a container is found by its mount, of a process by its mount or by STARLING_VOLUME_NAME. */
static int check_pins(const struct service *s, struct err *err)
{
	for (size_t i = 0; i < s->n_volumes && s->image; i++) {
		bool mounted = false;

		for (size_t k = 0; k < s->n_mounts; k++)
			mounted |= s->mounts[k].kind == MOUNT_VOLUME && s->mounts[k].source &&
			           !strcmp(s->mounts[k].source, s->volumes[i]);
		if (!mounted)
			return fault(err,
			        "x-starling.volumes: a container sees no folder of its host: mount %s under `volumes`",
			        s->volumes[i]);
	}
	return 0;
}

static int check_devices(const struct service *s, struct err *err)
{
	for (size_t i = 0; i < s->n_devices; i++) {
		const struct spec_device *d = &s->devices[i];

		if (!d->host || !path_is_clean(d->host) || (d->target && !path_is_clean(d->target)))
			return fault(err,
			        "devices[%zu]: HOST and TARGET are absolute paths, as in /dev/ttyUSB0:/dev/tty0",
			        i);
		if (d->access && (!*d->access || d->access[strspn(d->access, "rwm")] || strlen(d->access) > 3))
			return fault(err, "devices[%zu]: access \"%s\" is not made of r, w and m", i, d->access);
	}
	return 0;
}

int check_mounts(const struct service *s, struct err *err)
{
	for (size_t i = 0; i < s->n_mounts; i++) {
		int order;

		if (check_mount(s, &s->mounts[i], err) < 0)
			return -1;
		order = i ? strcmp(s->mounts[i - 1].target, s->mounts[i].target) : -1;
		if (order >= 0)
			return fault(err, "volumes: target %s %s", s->mounts[i].target,
			        order ? "is not in order" : "stands twice");
	}
	return check_pins(s, err) < 0 ? -1 : check_devices(s, err);
}
