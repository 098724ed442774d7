#include "node/image/manifest.h"

#include "base/text.h"

#include <jansson.h>
#include <stdio.h>

#define NAME_OCI        "org.opencontainers.image.ref.name"
#define NAME_CONTAINERD "io.containerd.image.name"
#define NAME_REFERENCE  "vnd.docker.reference.type"

static json_t *load(const void *bytes, size_t len, const char *what, struct err *err)
{
	json_error_t at;
	json_t *root;

	if (len > IMAGE_JSON_MAX) {
		err_set(err, ERR_USAGE, "%s: longer than %d bytes", what, IMAGE_JSON_MAX);
		return NULL;
	}
	root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &at);
	if (!root)
		err_set(err, ERR_USAGE, "%s: no JSON: line %d: %s", what, at.line, at.text);
	return root;
}

/* Text, or empty where it is absent; fail is set where it is something else. */
static const char *text_of(struct arena *arena, const json_t *object, const char *key, bool *fail)
{
	const json_t *v = json_object_get(object, key);

	if (!v || json_is_null(v))
		return "";
	if (!json_is_string(v) || json_string_length(v) != strlen(json_string_value(v))) {
		*fail = true;
		return "";
	}
	return arena_strdup(arena, json_string_value(v));
}

static const char **texts_of(struct arena *arena, const json_t *object, const char *key, size_t *n, bool *fail)
{
	const json_t *list = json_object_get(object, key);
	const char **out;

	*n = 0;
	if (!list || json_is_null(list))
		return NULL;
	if (!json_is_array(list) || json_array_size(list) > IMAGE_LIST_MAX) {
		*fail = true;
		return NULL;
	}
	out = arena_array(arena, json_array_size(list) + 1, sizeof(*out));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);

		if (!json_is_string(v) || json_string_length(v) != strlen(json_string_value(v))) {
			*fail = true;
			return NULL;
		}
		out[(*n)++] = arena_strdup(arena, json_string_value(v));
	}
	return out;
}

static struct image_platform platform_of(struct arena *arena, const json_t *o, bool *fail)
{
	return (struct image_platform){
	        .os = text_of(arena, o, "os", fail),
	        .arch = text_of(arena, o, "architecture", fail),
	        .variant = text_of(arena, o, "variant", fail),
	};
}

static bool read_descriptor(struct descriptor *d, struct arena *arena, const json_t *o)
{
	const json_t *size = json_object_get(o, "size");
	const json_t *notes = json_object_get(o, "annotations");
	const json_t *platform = json_object_get(o, "platform");
	const char *name, *full;
	bool fail = false;

	*d = (struct descriptor){0};
	if (!json_is_object(o))
		return false;
	d->media_type = text_of(arena, o, "mediaType", &fail);
	d->digest = text_of(arena, o, "digest", &fail);
	d->has_platform = json_is_object(platform);
	d->platform = platform_of(arena, platform, &fail);
	name = text_of(arena, notes, NAME_OCI, &fail);
	full = text_of(arena, notes, NAME_CONTAINERD, &fail);
	d->name = *full ? full : *name ? name : NULL;
	d->attestation = *text_of(arena, notes, NAME_REFERENCE, &fail) != '\0';
	if (fail || !digest_valid(d->digest) || !json_is_integer(size) || json_integer_value(size) < 0 ||
	        json_integer_value(size) > IMAGE_BLOB_MAX)
		return false;
	d->size = (uint64_t)json_integer_value(size);
	return true;
}

static struct descriptor *read_descriptors(struct arena *arena, const json_t *list, size_t max, size_t *n)
{
	struct descriptor *out;

	if (!json_is_array(list) || json_array_size(list) > max)
		return NULL;
	*n = json_array_size(list);
	out = arena_array(arena, *n + 1, sizeof(*out));
	for (size_t i = 0; i < *n; i++)
		if (!read_descriptor(&out[i], arena, json_array_get(list, i)))
			return NULL;
	return out;
}

bool image_json_is_index(const void *bytes, size_t len)
{
	json_t *root = load(bytes, len, "", NULL);
	bool is = json_is_array(json_object_get(root, "manifests"));

	json_decref(root);
	return is;
}

int image_index_parse(
        struct image_index *out, struct arena *arena, const void *bytes, size_t len, struct err *err)
{
	json_t *root = load(bytes, len, "the image's index", err);

	if (!root)
		return -1;
	*out = (struct image_index){0};
	out->entries = read_descriptors(arena, json_object_get(root, "manifests"), IMAGE_INDEX_MAX, &out->n);
	json_decref(root);
	return out->entries
	               ? 0
	               : err_set(err, ERR_USAGE,
	                         "the image's index: needs a list of at most %d manifests, each with digest and size",
	                         IMAGE_INDEX_MAX);
}

int image_manifest_parse(
        struct image_manifest *out, struct arena *arena, const void *bytes, size_t len, struct err *err)
{
	json_t *root = load(bytes, len, "the image's manifest", err);
	const json_t *version = json_object_get(root, "schemaVersion");
	int rc = 0;

	if (!root)
		return -1;
	*out = (struct image_manifest){0};
	if (json_is_integer(version) && json_integer_value(version) == 1)
		rc = err_set(err, ERR_USAGE,
		        "the image's manifest: Docker's schema 1, which is older than 2016; push the image again");
	else if (!read_descriptor(&out->config, arena, json_object_get(root, "config")))
		rc = err_set(err, ERR_USAGE, "the image's manifest: config: needs digest and size");
	else if (!(out->layers = read_descriptors(
	                   arena, json_object_get(root, "layers"), IMAGE_LAYERS_MAX, &out->n_layers)))
		rc = err_set(err, ERR_USAGE,
		        "the image's manifest: layers: needs a list of at most %d, each with digest and size",
		        IMAGE_LAYERS_MAX);
	json_decref(root);
	return rc;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **keys_of(struct arena *arena, const json_t *object, size_t *n, bool *fail)
{
	size_t size = json_object_size(object);
	const char **out = arena_array(arena, size + 1, sizeof(*out));
	const char *key;
	json_t *v;

	*n = 0;
	if (size > IMAGE_LIST_MAX) {
		*fail = true;
		return out;
	}
	json_object_foreach ((json_t *)object, key, v)
		out[(*n)++] = arena_strdup(arena, key);
	if (*n)
		qsort(out, *n, sizeof(*out), by_text);
	return out;
}

/* Docker writes nanoseconds. */
static int64_t ns_of(const json_t *o, const char *key, bool *fail)
{
	const json_t *v = json_object_get(o, key);

	if (!v || json_is_null(v))
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		*fail = true;
	return json_integer_value(v) / 1000000;
}

static void read_check(struct image_check *c, struct arena *arena, const json_t *o, bool *fail)
{
	const json_t *retries = json_object_get(o, "Retries");

	c->test = texts_of(arena, o, "Test", &c->n_test, fail);
	c->interval_ms = ns_of(o, "Interval", fail);
	c->timeout_ms = ns_of(o, "Timeout", fail);
	c->start_period_ms = ns_of(o, "StartPeriod", fail);
	c->start_interval_ms = ns_of(o, "StartInterval", fail);
	if (json_is_integer(retries) && json_integer_value(retries) > 0 && json_integer_value(retries) < 10000)
		c->retries = (uint32_t)json_integer_value(retries);
}

int image_config_parse(
        struct image_config *out, struct arena *arena, const void *bytes, size_t len, struct err *err)
{
	json_t *root = load(bytes, len, "the image's config", err);
	const json_t *c = json_object_get(root, "config");
	const json_t *rootfs = json_object_get(root, "rootfs");
	bool fail = false;

	if (!root)
		return -1;
	*out = (struct image_config){0};
	out->platform = platform_of(arena, root, &fail);
	out->user = text_of(arena, c, "User", &fail);
	out->working_dir = text_of(arena, c, "WorkingDir", &fail);
	out->stop_signal = text_of(arena, c, "StopSignal", &fail);
	out->env = texts_of(arena, c, "Env", &out->n_env, &fail);
	out->entrypoint = texts_of(arena, c, "Entrypoint", &out->n_entrypoint, &fail);
	out->command = texts_of(arena, c, "Cmd", &out->n_command, &fail);
	out->volumes = keys_of(arena, json_object_get(c, "Volumes"), &out->n_volumes, &fail);
	out->diff_ids = texts_of(arena, rootfs, "diff_ids", &out->n_diff_ids, &fail);
	read_check(&out->check, arena, json_object_get(c, "Healthcheck"), &fail);
	fail |= out->n_diff_ids > IMAGE_LAYERS_MAX;
	for (size_t i = 0; i < out->n_diff_ids && !fail; i++)
		fail = !digest_valid(out->diff_ids[i]);
	json_decref(root);
	return fail ? err_set(err, ERR_USAGE,
	                      "the image's config: a key has another type than the OCI image specification gives it, or too "
	                      "many entries")
	            : 0;
}

int docker_archive_parse(
        struct docker_image **out, size_t *n, struct arena *arena, const void *bytes, size_t len, struct err *err)
{
	json_t *root = load(bytes, len, "the archive's manifest.json", err);
	bool fail;

	if (!root)
		return -1;
	fail = !json_is_array(root) || json_array_size(root) > IMAGE_INDEX_MAX;
	*n = fail ? 0 : json_array_size(root);
	*out = arena_array(arena, *n + 1, sizeof(**out));
	for (size_t i = 0; i < *n && !fail; i++) {
		const json_t *o = json_array_get(root, i);
		struct docker_image *d = &(*out)[i];

		d->config = text_of(arena, o, "Config", &fail);
		d->layers = texts_of(arena, o, "Layers", &d->n_layers, &fail);
		d->tags = texts_of(arena, o, "RepoTags", &d->n_tags, &fail);
		fail |= !*d->config || d->n_layers > IMAGE_LAYERS_MAX;
	}
	json_decref(root);
	return fail ? err_set(err, ERR_USAGE,
	                      "the archive's manifest.json: needs a list of {Config, RepoTags, Layers}")
	            : 0;
}

static json_t *descriptor_json(const struct descriptor *d)
{
	return json_pack(
	        "{s:s, s:s, s:I}", "mediaType", d->media_type, "digest", d->digest, "size", (json_int_t)d->size);
}

char *image_manifest_make(
        struct arena *arena, const struct descriptor *config, const struct descriptor *layers, size_t n_layers)
{
	json_t *list = json_array();
	json_t *root;
	char *text, *copy;

	for (size_t i = 0; i < n_layers; i++)
		json_array_append_new(list, descriptor_json(&layers[i]));
	root = json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType",
	        "application/vnd.oci.image.manifest.v1+json", "config", descriptor_json(config), "layers", list);
	text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
	copy = arena_strdup(arena, text ? text : "");
	free(text);
	json_decref(root);
	return copy;
}
