/*
 * The JSON of images: index, manifest, config (OCI image specification 1.0 and Docker's manifest v2, schema 2), and the
 * manifest.json of a docker-archive. Pure. All of it comes from files and networks: what is too large, too many or of
 * a wrong type is refused; tests/fuzz/fuzz_image.c.
 */
#ifndef NODE_IMAGE_MANIFEST_H
#define NODE_IMAGE_MANIFEST_H

#include "base/arena.h"
#include "base/err.h"
#include "node/image/ref.h"

/* Bytes of one such document; registries refuse larger ones as well. */
#define IMAGE_JSON_MAX (4 * 1024 * 1024)
/* Layers of an image: Docker's own bound is 127. */
#define IMAGE_LAYERS_MAX 128
/* Entries of an index: platforms and their attestations. */
#define IMAGE_INDEX_MAX 256
/* Texts in one list of a config (environment, command, volumes, ports). */
#define IMAGE_LIST_MAX 1024
/* Bytes of a blob, as a descriptor announces it: 64 GiB. */
#define IMAGE_BLOB_MAX (64LL << 30)

struct image_platform {
	const char *os;
	const char *arch;
	const char *variant; /* "v7", or empty */
};

struct descriptor {
	const char *media_type; /* or empty */
	const char *digest;
	uint64_t size;
	bool has_platform;
	struct image_platform platform; /* of an index's entry */
	const char *name;               /* annotation: what the image is called, or NULL */
	bool attestation;               /* no image but words about one */
};

struct image_index {
	size_t n;
	struct descriptor *entries;
};

struct image_manifest {
	struct descriptor config;
	size_t n_layers;
	struct descriptor *layers; /* lowest first */
};

struct image_check {
	size_t n_test; /* 0: none; {"NONE"} switches one off */
	const char **test;
	int64_t interval_ms, timeout_ms, start_period_ms, start_interval_ms; /* 0: not said */
	uint32_t retries;
};

struct image_config {
	struct image_platform platform;
	const char *user;        /* or empty */
	const char *working_dir; /* or empty */
	const char *stop_signal; /* or empty */
	size_t n_env, n_entrypoint, n_command, n_volumes, n_diff_ids;
	const char **env; /* "KEY=VALUE" */
	const char **entrypoint;
	const char **command;
	const char **volumes;  /* paths, sorted */
	const char **diff_ids; /* digests of the unpacked layers, lowest first */
	struct image_check check;
};

struct docker_image {
	const char *config; /* path within the archive */
	size_t n_layers, n_tags;
	const char **layers;
	const char **tags;
};

/* Is it an index (a list of manifests)? By its media type, or by what it has. */
bool image_json_is_index(const void *bytes, size_t len);
int image_index_parse(
        struct image_index *out, struct arena *arena, const void *bytes, size_t len, struct err *err);
int image_manifest_parse(
        struct image_manifest *out, struct arena *arena, const void *bytes, size_t len, struct err *err);
int image_config_parse(
        struct image_config *out, struct arena *arena, const void *bytes, size_t len, struct err *err);
int docker_archive_parse(struct docker_image **out, size_t *n, struct arena *arena, const void *bytes, size_t len,
        struct err *err);
/* An OCI manifest of these descriptors, for an archive that has none; JSON text in arena memory. */
char *image_manifest_make(
        struct arena *arena, const struct descriptor *config, const struct descriptor *layers, size_t n_layers);

/* What images call a machine as uname(2) names it: "x86_64" is amd64. Texts are static. */
struct image_platform image_platform_of(const char *machine);
/* This host's. */
struct image_platform image_platform_here(void);
/* The entry for that platform: the same variant before one without, before another; NULL with err, which names those that
 * there are. An entry that says no platform is taken where it is the only one. */
const struct descriptor *image_index_pick(
        const struct image_index *index, const struct image_platform *want, struct err *err);
/* Does a config suit this host? One that does not say is taken. */
int image_platform_check(const struct image_platform *of, const struct image_platform *host, struct err *err);

#endif
