/* Bodies of settings: each decoder gets the bytes; what one takes comes back equal when it is written again. */
#include "placement/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void labels(const uint8_t *data, size_t size)
{
	struct kv *l, *again, both[2 * FACTS_LABELS_MAX];
	struct arena arena;
	struct wr w;
	size_t n, m;

	arena_init(&arena);
	wr_init(&w, 1 << 20);
	if (labels_decode(&l, &n, &arena, data, size, NULL) == 0) {
		labels_encode(&w, l, n);
		if (labels_decode(&again, &m, &arena, w.p, w.len, NULL) < 0 || n != m)
			abort();
		if (labels_overlay(again, m, l, n, both) > n)
			abort();
	}
	wr_free(&w);
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct key32 voters[VOTERS_MAX];
	bool drain;
	size_t n;

	drain_decode(&drain, data, size, NULL);
	rebalance_decode(data, size, NULL);
	labels(data, size);
	if (voters_decode(voters, &n, data, size, NULL) == 0)
		for (size_t i = 1; i < n; i++)
			if (key32_cmp(&voters[i - 1], &voters[i]) >= 0)
				abort();
	return 0;
}
