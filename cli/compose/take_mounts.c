/*
 * volumes of a service, and tmpfs. Short: [SOURCE:]TARGET[:OPTION,OPTION...]; a SOURCE with a / is a
 * path of the host, one without is the name of a volume.
 */
#include "base/text.h"
#include "cli/compose/mounts.h"

static bool is_path(const char *source)
{
	return source[0] == '/' || source[0] == '.' || source[0] == '~' || strchr(source, '/');
}

static void take_option(
        struct build *b, const char *path, const struct node *n, struct spec_mount *m, const char *word)
{
	static const char *const propagations[] = {"private", "rprivate", "shared", "rshared", "slave", "rslave"};
	static const char *const no_effect[] = {"cached", "delegated", "consistent"};

	if (!strcmp(word, "rw"))
		return;
	if (!strcmp(word, "ro")) {
		m->read_only = true;
		return;
	}
	if (!strcmp(word, "nocopy")) {
		m->no_copy = true;
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(propagations); i++)
		if (!strcmp(word, propagations[i])) {
			m->propagation = propagations[i];
			return;
		}
	for (size_t i = 0; i < ARRAY_LEN(no_effect); i++)
		if (!strcmp(word, no_effect[i])) {
			diag_warn(b->diags, n->mark, path, "`%s` has no effect on Linux; remove it", word);
			return;
		}
	if (!strcmp(word, "z") || !strcmp(word, "Z"))
		refuse(b, path, n,
		        "files are not relabelled for SELinux; remove `%s` and label them on the hosts", word);
	else
		refuse(b, path, n, "option \"%s\" is none of ro, rw, nocopy and the words of propagation", word);
}

static void take_short(
        struct build *b, const char *path, const struct node *n, struct service *s, struct spec_mount *m)
{
	const char *text;
	const char *parts[3] = {NULL};
	size_t count = 0;
	char *options;

	m->kind = MOUNT_VOLUME;
	if (!want_text(b, path, n, &text))
		return;
	for (;; text++) {
		size_t len = strcspn(text, ":");

		if (count == ARRAY_LEN(parts) || !len) {
			refuse(b, path, n, "is not [SOURCE:]TARGET[:OPTIONS]");
			return;
		}
		parts[count++] = arena_strndup(b->arena, text, len);
		text += len;
		if (!*text)
			break;
	}
	m->target = mount_path(b, parts[count > 1]);
	options = count == 3 ? arena_strdup(b->arena, parts[2]) : NULL;
	while (options) {
		char *comma = strchr(options, ',');

		if (comma)
			*comma = '\0';
		take_option(b, path, n, m, options);
		options = comma ? comma + 1 : NULL;
	}
	if (count > 1 && is_path(parts[0]))
		mount_bind(b, path, n, s, m, parts[0]);
	else
		mount_volume(b, path, n, s, m, count > 1 ? parts[0] : NULL);
}

struct spec_mount *mount_add(struct build *b, const char *path, const struct node *n, struct service *s)
{
	if (s->n_mounts == SPEC_MOUNTS_MAX) {
		refuse(b, path, n, "more than %d mounts", SPEC_MOUNTS_MAX);
		return NULL;
	}
	if (!s->mounts)
		s->mounts = arena_array(b->arena, SPEC_MOUNTS_MAX, sizeof(*s->mounts));
	return &s->mounts[s->n_mounts++];
}

void mount_check_target(struct build *b, const char *path, const struct node *n, const struct service *s)
{
	const struct spec_mount *m = &s->mounts[s->n_mounts - 1];

	for (size_t i = 0; m->target && i + 1 < s->n_mounts; i++)
		if (s->mounts[i].target && !strcmp(s->mounts[i].target, m->target)) {
			refuse(b, path, n, "target %s is mounted already", m->target);
			return;
		}
}

void take_mounts(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = ((struct draft *)target)->s;

	if (n->kind != NODE_LIST) {
		wrong_kind(b, path, n, "a list");
		return;
	}
	for (size_t i = 0; i < n->n; i++) {
		const char *at = path_index(b, path, i);
		struct spec_mount *m = mount_add(b, at, n->items[i], s);

		if (!m)
			return;
		if (n->items[i]->kind == NODE_MAP)
			take_long_mount(b, at, n->items[i], s, m);
		else
			take_short(b, at, n->items[i], s, m);
		mount_check_target(b, at, n->items[i], s);
	}
}

/* An option of `tmpfs: /run:size=64m,mode=1777`. */
static void take_tmpfs_option(
        struct build *b, const char *path, const struct node *n, struct spec_mount *m, const char *word)
{
	static const char *const always[] = {"rw", "noexec", "nosuid", "nodev"};

	for (size_t i = 0; i < ARRAY_LEN(always); i++)
		if (!strcmp(word, always[i]))
			return;
	if (!strcmp(word, "ro"))
		m->read_only = true;
	else if (!strncmp(word, "size=", 5)) {
		if (!text_size(word + 5, &m->size) || !m->size)
			refuse(b, path, n, "\"%s\" is not a size; write it as 64m or 2gb", word + 5);
	} else if (!strncmp(word, "mode=", 5)) {
		if (!mount_mode(word + 5, &m->mode))
			refuse(b, path, n, "\"%s\" is not permissions in octal, as in 1777", word + 5);
	} else {
		refuse(b, path, n, "option \"%s\" is none of size=, mode=, ro, rw, noexec, nosuid, nodev", word);
	}
}

static void take_tmpfs_one(
        struct build *b, const char *path, const struct node *n, struct service *s, const char *text)
{
	struct spec_mount *m = mount_add(b, path, n, s);
	size_t len = strcspn(text, ":");
	char *options;

	if (!m)
		return;
	m->kind = MOUNT_TMPFS;
	m->target = mount_path(b, arena_strndup(b->arena, text, len));
	options = text[len] ? arena_strdup(b->arena, text + len + 1) : NULL;
	while (options) {
		char *comma = strchr(options, ',');

		if (comma)
			*comma = '\0';
		take_tmpfs_option(b, path, n, m, options);
		options = comma ? comma + 1 : NULL;
	}
	mount_check_target(b, path, n, s);
}

void take_tmpfs(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = ((struct draft *)target)->s;
	const char **texts;
	size_t count = 0;

	want_text_or_texts(b, path, n, SPEC_MOUNTS_MAX, &texts, &count);
	for (size_t i = 0; i < count; i++)
		take_tmpfs_one(b, n->kind == NODE_LIST ? path_index(b, path, i) : path,
		        n->kind == NODE_LIST ? n->items[i] : n, s, texts[i]);
}
