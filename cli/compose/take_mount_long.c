/* An entry of `volumes` in its long form. */
#include "base/text.h"
#include "cli/compose/mounts.h"

struct mount_draft {
	struct spec_mount *m;
	const char *type;
	const char *source;
	const struct node *source_at;
};

static void take_type(struct build *b, const char *path, const struct node *n, void *target)
{
	/* The first three as enum spec_mount_kind. */
	static const char *const words[] = {"bind", "volume", "tmpfs", "cluster", "image", "npipe"};
	struct mount_draft *d = target;
	size_t i;

	if (!want_word(b, path, n, words, ARRAY_LEN(words), &i))
		return;
	if (i > MOUNT_TMPFS)
		refuse(b, path, n, "mounts of type %s do not exist; use bind, volume or tmpfs", words[i]);
	else
		d->type = words[i];
	d->m->kind = (enum spec_mount_kind)MIN(i, (size_t)MOUNT_TMPFS);
}

static void take_source(struct build *b, const char *path, const struct node *n, void *target)
{
	struct mount_draft *d = target;

	if (want_text(b, path, n, &d->source))
		d->source_at = n;
}

static void take_target(struct build *b, const char *path, const struct node *n, void *target)
{
	const char *text;

	if (want_text(b, path, n, &text))
		((struct mount_draft *)target)->m->target = mount_path(b, text);
}

static void take_mount_read_only(struct build *b, const char *path, const struct node *n, void *target)
{
	want_bool(b, path, n, &((struct mount_draft *)target)->m->read_only);
}

static void take_consistency(struct build *b, const char *path, const struct node *n, void *target)
{
	(void)target;
	diag_warn(b->diags, n->mark, path, "has no effect on Linux; remove it");
}

static void take_propagation(struct build *b, const char *path, const struct node *n, void *target)
{
	want_text(b, path, n, &((struct mount_draft *)target)->m->propagation);
}

static void take_create(struct build *b, const char *path, const struct node *n, void *target)
{
	bool create;

	if (want_bool(b, path, n, &create))
		((struct mount_draft *)target)->m->no_create = !create;
}

static const struct key_rule bind_rules[] = {
        {"create_host_path", take_create,
                "true (unless set): a folder is made where the host has none; false: refused there"},
        {"propagation", take_propagation, "private, rprivate (unless set), shared, rshared, slave, rslave"},
        {"recursive", NULL, "what is mounted below the source is always seen; remove it"},
        {"selinux", NULL, "files are not relabelled for SELinux; label them on the hosts"},
};
const struct key_level level_mount_bind = {"services.*.volumes[].bind", bind_rules, ARRAY_LEN(bind_rules), true};

static void take_nocopy(struct build *b, const char *path, const struct node *n, void *target)
{
	want_bool(b, path, n, &((struct mount_draft *)target)->m->no_copy);
}

static const struct key_rule mount_volume_rules[] = {
        {"labels", NULL, "nobody would see them; label the service"},
        {"nocopy", take_nocopy,
                "true: a fresh volume stays empty, instead of getting what the image has at the target"},
        {"subpath", NULL, "a volume is mounted whole; make two of it"},
};
const struct key_level level_mount_volume = {
        "services.*.volumes[].volume", mount_volume_rules, ARRAY_LEN(mount_volume_rules), true};

static void take_size(struct build *b, const char *path, const struct node *n, void *target)
{
	want_size(b, path, n, &((struct mount_draft *)target)->m->size);
}

static void take_mode(struct build *b, const char *path, const struct node *n, void *target)
{
	const char *text;

	if (want_text(b, path, n, &text) && !mount_mode(text, &((struct mount_draft *)target)->m->mode))
		refuse(b, path, n, "\"%s\" is not permissions in octal, as in 1777", text);
}

static const struct key_rule mount_tmpfs_rules[] = {
        {"mode", take_mode, "permissions in octal; 1777 unless set"},
        {"size", take_size, "64m; half of the host's memory unless set, within the service's limit"},
};
const struct key_level level_mount_tmpfs = {
        "services.*.volumes[].tmpfs", mount_tmpfs_rules, ARRAY_LEN(mount_tmpfs_rules), true};

static void take_bind_part(struct build *b, const char *path, const struct node *n, void *target)
{
	take_map(b, path, n, &level_mount_bind, target);
}

static void take_volume_part(struct build *b, const char *path, const struct node *n, void *target)
{
	take_map(b, path, n, &level_mount_volume, target);
}

static void take_tmpfs_part(struct build *b, const char *path, const struct node *n, void *target)
{
	take_map(b, path, n, &level_mount_tmpfs, target);
}

static const struct key_rule mount_rules[] = {
        {"bind", take_bind_part, "see its own table"},
        {"consistency", take_consistency, "taken with a warning: has no effect on Linux"},
        {"image", NULL, "images are not mounted; copy the files into the service's image"},
        {"read_only", take_mount_read_only, "true: cannot be written through this mount"},
        {"source", take_source,
                "bind: an absolute path of the hosts, or one beside the Compose file with read_only; volume: a "
                "name of the top level, or none for a folder that "
                "ends with the task"},
        {"target", take_target, "an absolute path for the task; needed"},
        {"tmpfs", take_tmpfs_part, "see its own table"},
        {"type", take_type, "bind, volume or tmpfs; needed"},
        {"volume", take_volume_part, "see its own table"},
};
const struct key_level level_mount = {"services.*.volumes[]", mount_rules, ARRAY_LEN(mount_rules), true};

void take_long_mount(
        struct build *b, const char *path, const struct node *n, struct service *s, struct spec_mount *m)
{
	struct mount_draft d = {.m = m};
	size_t errors = b->diags->errors;

	take_map(b, path, n, &level_mount, &d);
	if (b->diags->errors != errors || b->skipped)
		return;
	if (!d.type || !m->target) {
		refuse(b, path, n, "needs `type` and `target`");
		return;
	}
	if (m->kind == MOUNT_TMPFS && d.source)
		refuse(b, path_key(b, path, "source"), d.source_at, "a tmpfs has no source");
	else if (m->kind == MOUNT_BIND && !d.source)
		refuse(b, path, n, "a bind needs `source`, a path of the hosts");
	else if (m->kind == MOUNT_BIND)
		mount_bind(b, path_key(b, path, "source"), d.source_at, s, m, d.source);
	else if (m->kind == MOUNT_VOLUME)
		mount_volume(b, d.source ? path_key(b, path, "source") : path, d.source ? d.source_at : n, s, m,
		        d.source);
}
