/* A frame between peers, as the verifier's thread reads it before the core does. */
#include "gossip/verify.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct key32 flock = {{1}};
	struct key32 good[FRAME_RECORDS_MAX];
	size_t n = frame_verify(&flock, data, size, good);

	if (n > FRAME_RECORDS_MAX || (n && !frame_has_records(data, size)))
		abort();
	return 0;
}
