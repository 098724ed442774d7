/* The JSON of images, as archives and registries give it. The first byte chooses which kind. What is read keeps its bounds. */
#include "node/image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_index(struct arena *arena, const uint8_t *data, size_t size)
{
	static const struct image_platform here = {"linux", "amd64", ""};
	struct image_index index;
	struct err err = {0};

	if (image_index_parse(&index, arena, data, size, &err) < 0)
		return;
	if (index.n > IMAGE_INDEX_MAX || (!image_index_pick(&index, &here, &err) && !err.code))
		abort();
}

static void read_manifest(struct arena *arena, const uint8_t *data, size_t size)
{
	struct image_manifest m, again;
	char *text;

	if (image_manifest_parse(&m, arena, data, size, NULL) < 0)
		return;
	if (m.n_layers > IMAGE_LAYERS_MAX || !m.config.digest)
		abort();
	/* What we make of the same parts is read as the same. */
	text = image_manifest_make(arena, &m.config, m.layers, m.n_layers);
	if (image_manifest_parse(&again, arena, text, strlen(text), NULL) < 0 || again.n_layers != m.n_layers ||
	        strcmp(again.config.digest, m.config.digest) != 0)
		abort();
}

static void read_config(struct arena *arena, const uint8_t *data, size_t size)
{
	struct image_config c;

	if (image_config_parse(&c, arena, data, size, NULL) < 0)
		return;
	if (c.n_env > IMAGE_LIST_MAX || c.n_command > IMAGE_LIST_MAX || c.n_diff_ids > IMAGE_LAYERS_MAX)
		abort();
	for (size_t i = 0; i < c.n_env; i++)
		if (!c.env[i])
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct docker_image *images;
	struct arena arena;
	size_t n;

	if (!size)
		return 0;
	arena_init(&arena);
	switch (data[0] % 4) {
	case 0:
		read_index(&arena, data + 1, size - 1);
		break;
	case 1:
		read_manifest(&arena, data + 1, size - 1);
		break;
	case 2:
		read_config(&arena, data + 1, size - 1);
		break;
	default:
		if (docker_archive_parse(&images, &n, &arena, data + 1, size - 1, NULL) == 0 &&
		        n > IMAGE_INDEX_MAX)
			abort();
	}
	arena_free(&arena);
	return 0;
}
