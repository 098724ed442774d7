/* The line of a sealed key file. What is read asks for no more work than the bounds, and is what formatting gives back. */
#include "node/keyseal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *line = xmalloc(size + 1);
	struct sealed_key k, back;
	struct err err = {0};
	char again[1024];

	memcpy(line, data, size);
	line[size] = '\0';
	line[strcspn(line, "\n")] = '\0';
	keyseal_is(line);
	if (keyseal_parse(&k, line, "file", &err) < 0) {
		assert(err.code && *err.text);
		return 0;
	}
	if (k.passes < 1 || k.passes > SEAL_PASSES_MAX || k.kib < SEAL_KIB_MIN || k.kib > SEAL_KIB_MAX)
		abort();
	keyseal_format(again, sizeof(again), &k);
	again[strcspn(again, "\n")] = '\0';
	if (keyseal_parse(&back, again, "file", NULL) < 0 || memcmp(k.box, back.box, sizeof(k.box)) != 0 ||
	        strcmp(k.kind, back.kind) != 0 || !key32_eq(&k.public_key, &back.public_key) || k.kib != back.kib)
		abort();
	return 0;
}
