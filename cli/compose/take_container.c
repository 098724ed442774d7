/* What a container gets beside its program, and a process where it can: image, rights, limits, devices. */
#include "base/text.h"
#include "cli/compose/build.h"

static struct service *service_of(void *target)
{
	return ((struct draft *)target)->s;
}

void take_image(struct build *b, const char *path, const struct node *n, void *target)
{
	want_text(b, path, n, &service_of(target)->image);
}

void take_pull_policy(struct build *b, const char *path, const struct node *n, void *target)
{
	/* As enum spec_pull; if_not_present is missing by another name. */
	static const char *const words[] = {"missing", "always", "never", "if_not_present"};
	size_t i;

	if (want_word(b, path, n, words, ARRAY_LEN(words), &i))
		service_of(target)->pull = i == 3 ? PULL_MISSING : (enum spec_pull)i;
}

void take_privileged(struct build *b, const char *path, const struct node *n, void *target)
{
	want_bool(b, path, n, &service_of(target)->privileged);
}

void take_read_only(struct build *b, const char *path, const struct node *n, void *target)
{
	want_bool(b, path, n, &service_of(target)->read_only);
}

void take_init(struct build *b, const char *path, const struct node *n, void *target)
{
	want_bool(b, path, n, &service_of(target)->init);
}

void take_tty(struct build *b, const char *path, const struct node *n, void *target)
{
	want_bool(b, path, n, &service_of(target)->tty);
}

void take_stdin_open(struct build *b, const char *path, const struct node *n, void *target)
{
	want_bool(b, path, n, &service_of(target)->stdin_open);
}

void take_shm_size(struct build *b, const char *path, const struct node *n, void *target)
{
	want_size(b, path, n, &service_of(target)->shm_size);
}

void take_oom_score_adj(struct build *b, const char *path, const struct node *n, void *target)
{
	int64_t v;

	if (want_i64(b, path, n, -1000, 1000, &v))
		service_of(target)->oom_score_adj = (int32_t)v;
}

void take_group_add(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = service_of(target);

	want_texts(b, path, n, SPEC_CAPS_MAX, &s->group_add, &s->n_group_add);
}

/* "cap_net_admin" -> "NET_ADMIN" */
static void take_caps(struct build *b, const char *path, const struct node *n, const char ***out, size_t *count)
{
	size_t kept = 0;

	if (!want_texts(b, path, n, SPEC_CAPS_MAX, out, count))
		return;
	for (size_t i = 0; i < *count; i++) {
		char *name = arena_strdup(b->arena, (*out)[i]);
		size_t k = 0;

		for (char *c = name; *c; c++)
			if (*c >= 'a' && *c <= 'z')
				*c = (char)(*c - 'a' + 'A');
		if (!strncmp(name, "CAP_", 4))
			name += 4;
		while (k < kept && strcmp((*out)[k], name) != 0)
			k++;
		(*out)[k] = name;
		kept += k == kept;
	}
	*count = kept;
}

void take_cap_add(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = service_of(target);

	take_caps(b, path, n, &s->cap_add, &s->n_cap_add);
}

void take_cap_drop(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = service_of(target);

	take_caps(b, path, n, &s->cap_drop, &s->n_cap_drop);
}

#define NNP "no-new-privileges"

/* The canonical text of an option, or NULL: it says the default, or was refused. */
static const char *security_opt(struct build *b, const char *path, const struct node *n, const char *text)
{
	size_t len = strcspn(text, "=:");
	const char *value = text[len] ? text + len + 1 : NULL;
	char *opt;

	if (len == strlen(NNP) && !strncmp(text, NNP, len)) {
		if (!value || !strcmp(value, "true"))
			return NNP;
		if (!strcmp(value, "false"))
			return NNP "=false";
		refuse(b, path, n, "\"%s\" is neither true nor false", value);
		return NULL;
	}
	if (!strcmp(text, "seccomp=builtin") || !strcmp(text, "seccomp:builtin"))
		return NULL;
	if (!strncmp(text, "seccomp", len) && value && strcmp(value, "unconfined") != 0) {
		refuse(b, path, n,
		        "profiles from files are not distributed; use the default, or seccomp=unconfined, which needs the "
		        "power privileged");
		return NULL;
	}
	opt = arena_strdup(b->arena, text);
	if (value)
		opt[len] = '=';
	return opt;
}

void take_security_opt(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = service_of(target);
	size_t kept = 0;

	if (!want_texts(b, path, n, SPEC_SECURITY_MAX, &s->security_opt, &s->n_security_opt))
		return;
	for (size_t i = 0; i < s->n_security_opt; i++) {
		const char *opt = security_opt(b, path_index(b, path, i), n->items[i], s->security_opt[i]);

		if (opt)
			s->security_opt[kept++] = opt;
	}
	s->n_security_opt = kept;
}

static bool want_limit(struct build *b, const char *path, const struct node *n, int64_t *out)
{
	return want_i64(b, path, n, -1, INT64_MAX, out);
}

static void take_soft(struct build *b, const char *path, const struct node *n, void *target)
{
	want_limit(b, path, n, &((struct spec_ulimit *)target)->soft);
}

static void take_hard(struct build *b, const char *path, const struct node *n, void *target)
{
	want_limit(b, path, n, &((struct spec_ulimit *)target)->hard);
}

static const struct key_rule ulimit_rules[] = {
        {"hard", take_hard, "as far as the process may raise it; -1: no limit; needed"},
        {"soft", take_soft, "what it starts with; -1: no limit; needed"},
};
const struct key_level level_ulimit = {"services.*.ulimits.*", ulimit_rules, ARRAY_LEN(ulimit_rules), true};

void take_ulimits(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = service_of(target);

	if (n->kind != NODE_MAP) {
		wrong_kind(b, path, n, "a map");
		return;
	}
	if (n->n > SPEC_ULIMITS_MAX) {
		refuse(b, path, n, "more than %d limits", SPEC_ULIMITS_MAX);
		return;
	}
	s->ulimits = arena_array(b->arena, n->n, sizeof(*s->ulimits));
	s->n_ulimits = n->n;
	for (size_t i = 0; i < n->n; i++) {
		struct spec_ulimit *u = &s->ulimits[i];
		const struct node *value = n->pairs[i].value;
		const char *at = path_key(b, path, n->pairs[i].key);

		u->name = n->pairs[i].key;
		if (value->kind == NODE_MAP) {
			take_map(b, at, value, &level_ulimit, u);
			if (!node_get(value, "soft") || !node_get(value, "hard"))
				refuse(b, at, value, "needs `soft` and `hard`");
		} else if (want_limit(b, at, value, &u->soft)) {
			u->hard = u->soft;
		}
	}
}

static void take_pairs(
        struct build *b, const char *path, const struct node *n, size_t max, struct kv **out, size_t *count)
{
	struct kvs kvs = {0};

	take_kvs(b, path, n, &kvs, false);
	if (kvs.n > max) {
		refuse(b, path, n, "more than %zu entries", max);
		return;
	}
	*out = kvs.list;
	*count = kvs.n;
}

void take_sysctls(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = service_of(target);

	take_pairs(b, path, n, SPEC_SYSCTLS_MAX, &s->sysctls, &s->n_sysctls);
}

void take_annotations(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = service_of(target);

	take_pairs(b, path, n, SPEC_LABEL_MAX, &s->annotations, &s->n_annotations);
}

static void take_device_source(struct build *b, const char *path, const struct node *n, void *target)
{
	want_text(b, path, n, &((struct spec_device *)target)->host);
}

static void take_device_target(struct build *b, const char *path, const struct node *n, void *target)
{
	want_text(b, path, n, &((struct spec_device *)target)->target);
}

static void take_device_access(struct build *b, const char *path, const struct node *n, void *target)
{
	want_text(b, path, n, &((struct spec_device *)target)->access);
}

static const struct key_rule device_rules[] = {
        {"permissions", take_device_access, "of r, w and m (mknod); rwm unless set"},
        {"source", take_device_source, "its path on the host; needed"},
        {"target", take_device_target, "its path for the task; the same unless set"},
};
const struct key_level level_device = {"services.*.devices[]", device_rules, ARRAY_LEN(device_rules), true};

/* HOST[:TARGET[:ACCESS]], HOST:ACCESS as Docker takes it; "VENDOR/CLASS=NAME" is another matter. */
static void take_device(struct build *b, const char *path, const struct node *n, struct spec_device *d)
{
	const char *text;
	const char *parts[3] = {NULL};
	size_t count = 0;

	if (!want_text(b, path, n, &text))
		return;
	if (text[0] != '/' && strchr(text, '=')) {
		refuse(b, path, n, "device names of CDI are not resolved; name the paths of the devices");
		return;
	}
	for (;; text++) {
		size_t len = strcspn(text, ":");

		if (count == ARRAY_LEN(parts)) {
			refuse(b, path, n, "is not HOST[:TARGET[:rwm]]");
			return;
		}
		parts[count++] = arena_strndup(b->arena, text, len);
		text += len;
		if (!*text)
			break;
	}
	d->host = parts[0];
	if (count == 2 && parts[1][0] != '/')
		d->access = parts[1];
	else
		d->target = parts[1];
	if (count == 3)
		d->access = parts[2];
}

void take_devices(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = service_of(target);

	if (n->kind != NODE_LIST) {
		wrong_kind(b, path, n, "a list");
		return;
	}
	if (n->n > SPEC_DEVICES_MAX) {
		refuse(b, path, n, "more than %d devices", SPEC_DEVICES_MAX);
		return;
	}
	s->devices = arena_array(b->arena, n->n, sizeof(*s->devices));
	s->n_devices = n->n;
	for (size_t i = 0; i < n->n; i++) {
		struct spec_device *d = &s->devices[i];

		if (n->items[i]->kind == NODE_MAP)
			take_map(b, path_index(b, path, i), n->items[i], &level_device, d);
		else
			take_device(b, path_index(b, path, i), n->items[i], d);
		/* What says no more than the default is left out. */
		if (d->target && d->host && !strcmp(d->target, d->host))
			d->target = NULL;
		if (d->access && !strcmp(d->access, "rwm"))
			d->access = NULL;
	}
}
