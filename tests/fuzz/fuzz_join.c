/* What a host that wants to join may send a peer, and what a peer may answer. The first byte says which. */
#include "base/drbg.h"
#include "gossip/store/store.h"
#include "node/join.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct key32 flock = {{1}};
static const struct key32 invite = {{2}};
static const uint8_t secret[64] = {3};

/* Requests, as a peer that knows nobody judges them: everything but decoding is refused. */
static void as_peer(uint8_t which, const uint8_t *bytes, size_t len)
{
	static struct trust *trust;
	struct join_admit admit;
	struct join_ask ask;
	struct err err = {0};
	struct wr answer;

	if (!trust)
		trust = trust_new(&flock);
	if (which == 0 && join_read_ask(&ask, bytes, len, &err) == 0) {
		wr_init(&answer, 4096);
		join_answer(
		        &answer, &ask, &invite, trust, &(struct join_offers){0}, secret, (struct now){0}, &err);
		wr_free(&answer);
	}
	if (which == 1 && join_read_admit(&admit, bytes, len, &err) == 0 && admit.record)
		join_check_admission(admit.record, admit.record_len, &invite, trust, secret, 0, &err);
}

/* Answers: replies, records, addresses. */
static void as_joiner(uint8_t which, const uint8_t *bytes, size_t len)
{
	struct founding *f = founding_new(&flock);
	struct join_reply reply;
	struct err err = {0};
	uint64_t next;

	if (which == 2)
		join_read_reply(&reply, bytes, len, &err);
	if (which == 3)
		founding_add_members(f, bytes, len, &next, &err);
	if (which == 4 && founding_add(f, bytes, len, &err) == 0)
		founding_check(f, &invite, NULL, &err);
	founding_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] % 5 < 2)
		as_peer(data[0] % 5, data + 1, size - 1);
	else
		as_joiner(data[0] % 5, data + 1, size - 1);
	return 0;
}
