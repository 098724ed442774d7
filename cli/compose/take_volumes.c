/* The top level's volumes, and what may be mounted of the host: volumes, paths. */
#include "base/text.h"
#include "cli/compose/mounts.h"
#include "cli/near.h"

static void take_volume_driver(struct build *b, const char *path, const struct node *n, void *target)
{
	const char *name;

	(void)target;
	if (want_text(b, path, n, &name) && strcmp(name, "local") != 0)
		refuse(b, path, n,
		        "\"%s\": volume drivers are not called; a volume is a folder of its host (local)", name);
}

static void take_volume_external(struct build *b, const char *path, const struct node *n, void *target)
{
	bool external;

	(void)target;
	if (want_bool(b, path, n, &external) && external)
		refuse(b, path, n,
		        "volumes made elsewhere are not known; remove it: the volume is made where it is first used");
}

static const struct key_rule volume_rules[] = {
        {"driver", take_volume_driver, "local, which is a folder of the host; others do not exist"},
        {"driver_opts", NULL,
                "a volume is a folder of its host, without options yet; bind a host's path instead"},
        {"external", take_volume_external, "false; true is refused: volumes made elsewhere are not known"},
        {"labels", NULL, "nobody would see them; label the service"},
        {"name", NULL, "a volume is called STACK/NAME, by its key; remove it"},
};
const struct key_level level_volume = {"volumes.*", volume_rules, ARRAY_LEN(volume_rules), true};

static bool name_is_lawful(struct build *b, const char *path, struct mark at, const char *name)
{
	if (text_is_label(name, true))
		return true;
	diag_error(b->diags, at, path, "\"%s\" is not a label (a-z, 0-9, - and _): a volume needs such a name",
	        name);
	return false;
}

void check_volumes(struct build *b, const struct node *volumes)
{
	if (volumes->kind != NODE_MAP) {
		wrong_kind(b, "volumes", volumes, "a map");
		return;
	}
	b->volumes = volumes;
	for (size_t i = 0; i < volumes->n; i++) {
		const struct pair *p = &volumes->pairs[i];
		const char *at = path_key(b, "volumes", p->key);

		if (!strncmp(p->key, "x-", 2))
			continue;
		name_is_lawful(b, at, p->mark, p->key);
		if (!node_is_null(p->value))
			take_map(b, at, p->value, &level_volume, NULL);
	}
}

void pin_volume(struct build *b, const char *path, const struct node *n, struct service *s, const char *name)
{
	for (size_t i = 0; i < s->n_volumes; i++)
		if (!strcmp(s->volumes[i], name))
			return;
	if (s->n_volumes == SPEC_VOLUMES_MAX) {
		refuse(b, path, n, "more than %d volumes", SPEC_VOLUMES_MAX);
		return;
	}
	if (!s->volumes)
		s->volumes = arena_array(b->arena, SPEC_VOLUMES_MAX, sizeof(*s->volumes));
	s->volumes[s->n_volumes++] = name;
}

bool mount_mode(const char *text, uint32_t *out)
{
	char *end;
	unsigned long v;

	if (!*text || text[strspn(text, "01234567")] || strlen(text) > 5)
		return false;
	v = strtoul(text, &end, 8);
	*out = (uint32_t)v;
	return !*end && v > 0 && v <= 07777;
}

const char *mount_path(struct build *b, const char *path)
{
	char *out = arena_strdup(b->arena, path);
	size_t len = 0;

	for (const char *p = path; *p; p++)
		if (*p != '/' || !len || out[len - 1] != '/')
			out[len++] = *p;
	while (len > 1 && out[len - 1] == '/')
		len--;
	out[len] = '\0';
	return out;
}

void mount_files(struct build *b, struct service *s, struct spec_mount *m, struct spec_files *files)
{
	struct service one = {.n_files = 1, .files = files};
	struct spec probe = {.n_services = 1, .services = &one};
	char hash[17];

	spec_sort(&probe);
	spec_files_hash(hash, files);
	files->hash = arena_strdup(b->arena, hash);
	m->kind = MOUNT_SHIPPED;
	m->source = files->hash;
	m->read_only = true;
	for (size_t i = 0; i < s->n_files; i++)
		if (!strcmp(s->files[i].hash, hash))
			return;
	if (!s->files)
		s->files = arena_array(b->arena, SPEC_MOUNTS_MAX, sizeof(*s->files));
	s->files[s->n_files++] = *files; /* as many as mounts at most */
}

/* A path beside the Compose file: its content travels with the stack. */
static void ship(struct build *b, const char *path, const struct node *n, struct service *s, struct spec_mount *m,
        const char *source)
{
	const char *file =
	        strcmp(b->folder, ".") == 0 ? source : arena_printf(b->arena, "%s/%s", b->folder, source);
	struct spec_files files = {0};
	struct err err = {0};
	int ret;

	if (!m->read_only) {
		refuse(b, path, n,
		        "\"%s\" is beside the Compose file, and no peer has it: mark it read-only (:ro), and its "
		        "files travel with "
		        "the stack; what is written belongs into a named volume",
		        source);
		return;
	}
	ret = b->io->tree(b->io->ctx, file, BODY_BYTES_MAX, b->arena, &files, &err);
	if (ret > 0)
		refuse(b, path, n, "no file or folder %s", file);
	else if (ret < 0)
		refuse(b, path, n, "%s", err.text);
	else
		mount_files(b, s, m, &files);
}

void mount_bind(struct build *b, const char *path, const struct node *n, struct service *s, struct spec_mount *m,
        const char *source)
{
	m->kind = MOUNT_BIND;
	if (source[0] == '/')
		m->source = want_templates(b, path, n, source) ? mount_path(b, source) : NULL;
	else if (source[0] == '~')
		refuse(b, path, n, "\"%s\" is the home of whoever deploys; name an absolute path of the hosts",
		        source);
	else
		ship(b, path, n, s, m, source);
}

void mount_volume(struct build *b, const char *path, const struct node *n, struct service *s,
        struct spec_mount *m, const char *name)
{
	m->kind = MOUNT_VOLUME;
	if (name && strstr(name, "{{")) {
		refuse(b, path, n,
		        "the name of a volume pins the whole service, so it is the same for all its tasks; use "
		        "templates in the "
		        "path of a bind, or a folder for each STARLING_SLOT in the volume");
		return;
	}
	if (!name || !name_is_lawful(b, path, n->mark, name))
		return;
	if (!b->volumes || !node_pair(b->volumes, name)) {
		const char *names[64];
		size_t count = b->volumes ? MIN(b->volumes->n, ARRAY_LEN(names)) : 0;
		const char *near;

		for (size_t i = 0; i < count; i++)
			names[i] = b->volumes->pairs[i].key;
		near = near_word(name, names, count);
		if (near)
			refuse(b, path, n, "volume \"%s\" is not declared; did you mean `%s`?", name, near);
		else
			refuse(b, path, n,
			        "volume \"%s\" is not declared; add it under `volumes` at the top level", name);
		return;
	}
	m->source = name;
	pin_volume(b, path, n, s, name);
}
