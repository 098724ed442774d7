#include "base/limits.h"
#include "cli/client.h"
#include "cli/spec_file.h"

json_t *spec_json(const struct spec *spec)
{
	json_t *versioned;
	json_t *value;
	struct wr w;

	wr_init(&w, BODY_BYTES_MAX);
	spec_encode(&w, spec); /* [version, map] */
	versioned = value_json(w.p, w.len);
	value = json_incref(json_array_get(versioned, 1));
	json_decref(versioned);
	wr_free(&w);
	return value;
}
