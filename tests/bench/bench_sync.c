/*
 * Reconciliation of two stores over frames: round trips, frames, bytes each way beside the records' own, and CPU
 * time of both sides together. Rows of markdown. Everything replays: the records are the same in every run.
 *
 * What is counted: round trips until the last record was there, or, without any, until the initiator knew; each frame takes
 * half of one. Bytes are those of sync frames, before a session adds its 22 bytes to each. `records` are the bytes of the
 * encoded records that had to move; what the protocol adds to them is the column `added`.
 */
#include "base/text.h"
#include "gossip/sync.h"

#include <sodium.h>
#include <stdio.h>
#include <time.h>

#define DIFFERENCES_MAX 1000
#define SHARED_MAX      100000

enum where { INITIATOR, RESPONDER, BOTH };
static const char *const where_text[] = {"the initiator", "the responder", "both, split"};

static const struct key32 flock = {{1}};

/* One side: its store, and what came for it. Deliveries are put into the store afterwards, so that checking their
 * signatures is not counted. */
struct side {
	struct store *st;
	size_t n_in, bytes_in;
};

static void deliver(void *ctx, const uint8_t *bytes, size_t len)
{
	struct side *s = ctx;

	(void)bytes;
	s->n_in++;
	s->bytes_in += len;
}

/* A setting of about the size of a real one. */
static struct wr record_of(unsigned n, const uint8_t secret[64])
{
	char body[48] = {0};
	struct record r = {
	        .kind = REC_SETTING, .stamp = n, .body = (const uint8_t *)body, .body_len = sizeof(body)};
	struct wr w;

	snprintf(body, sizeof(body), "zone=%u", n);
	text_copy(r.name, sizeof(r.name), "labels/0123456789abcdef");
	r.name_len = (uint8_t)strlen(r.name);
	record_sign(&r, &flock, secret);
	wr_init(&w, RECORD_BYTES_MAX);
	record_encode(&w, &r);
	return w;
}

static void put(struct store *st, const struct wr *w, struct key32 *id)
{
	if (store_put(st, w->p, w->len, true, id, NULL) != STORE_NEW)
		abort();
}

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

struct result {
	unsigned frames[2]; /* of the initiator, of the responder */
	size_t bytes[2];
	double there; /* round trips until the last record, or the last answer, was there */
	double ms;
};

/* Frames on their way in one direction; each takes half a round trip. */
struct wire {
	struct wr frame[16];
	double at[16];
	size_t first, n;
};

static void emit(struct sync *s, struct wire *wire, double now, struct result *out, int who)
{
	for (;;) {
		size_t slot = (wire->first + wire->n) % ARRAY_LEN(wire->at);
		struct wr *w = &wire->frame[slot];

		wr_init(w, SYNC_FRAME_MAX);
		if (wire->n == ARRAY_LEN(wire->at) || !sync_next_frame(s, w)) {
			wr_free(w);
			return;
		}
		wire->at[slot] = now + 0.5;
		wire->n++;
		out->frames[who]++;
		out->bytes[who] += w->len;
	}
}

static struct result reconcile(struct side *a, struct side *b)
{
	static const struct sync_start start = {.salt = {8}, .equal = {false, true}};
	struct wire wire[2] = {{{{0}}, {0}, 0, 0}};
	struct side *side[2] = {a, b};
	struct sync *s[2];
	struct result out = {0};

	out.ms = -cpu_ms();
	s[0] = sync_begin(a->st, &start, deliver, a);
	s[1] = sync_respond(b->st, deliver, b);
	emit(s[0], &wire[0], 0, &out, 0);
	while (wire[0].n || wire[1].n) {
		int from = !wire[0].n || (wire[1].n && wire[1].at[wire[1].first] < wire[0].at[wire[0].first]);
		struct wire *w = &wire[from];
		struct wr *frame = &w->frame[w->first];
		double now = w->at[w->first];
		size_t before = side[!from]->n_in;
		struct err err;

		if (sync_on_frame(s[!from], frame->p, frame->len, &err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			abort();
		}
		if (from || side[!from]->n_in > before)
			out.there = now;
		wr_free(frame);
		w->first = (w->first + 1) % ARRAY_LEN(w->at);
		w->n--;
		emit(s[!from], &wire[!from], now, &out, !from);
	}
	if (!sync_done(s[0]) || !sync_done(s[1]))
		abort();
	sync_free(s[0]);
	sync_free(s[1]);
	out.ms += cpu_ms();
	return out;
}

static void row(struct side *a, struct side *b, unsigned shared, unsigned differences, enum where where,
        const uint8_t secret[64])
{
	static struct key32 ids[DIFFERENCES_MAX];
	struct result r;
	size_t own = 0;

	for (unsigned i = 0; i < differences; i++) {
		struct wr w = record_of(SHARED_MAX + i, secret);
		bool in_a = where == INITIATOR || (where == BOTH && i % 2 == 0);

		own += w.len;
		put(in_a ? a->st : b->st, &w, &ids[i]);
		wr_free(&w);
	}
	a->n_in = a->bytes_in = b->n_in = b->bytes_in = 0;
	r = reconcile(a, b);
	if (a->n_in + b->n_in != differences || a->bytes_in + b->bytes_in != own) {
		fprintf(stderr, "%zu of %u records came through\n", a->n_in + b->n_in, differences);
		exit(1);
	}
	printf("| %u | %u | %s | %g | %u + %u | %zu | %zu | %zu | %zu | %.2f |\n", shared, differences,
	        differences ? where_text[where] : "-", r.there, r.frames[0], r.frames[1], r.bytes[0], r.bytes[1],
	        own, r.bytes[0] + r.bytes[1] - own, r.ms);
	fflush(stdout);
	for (unsigned i = 0; i < differences; i++) {
		store_drop(a->st, &ids[i]);
		store_drop(b->st, &ids[i]);
	}
}

static void table(unsigned shared, const uint8_t secret[64])
{
	static const unsigned differences[] = {0, 1, 10, 100, DIFFERENCES_MAX};
	static const uint8_t hash[2][16] = {{1}, {2}};
	struct side a = {.st = store_new(&flock, hash[0])}, b = {.st = store_new(&flock, hash[1])};

	for (unsigned i = 0; i < shared; i++) {
		struct wr w = record_of(i, secret);

		put(a.st, &w, NULL);
		put(b.st, &w, NULL);
		wr_free(&w);
	}
	for (size_t d = 0; d < ARRAY_LEN(differences); d++)
		for (enum where where = INITIATOR; where <= (differences[d] ? BOTH : INITIATOR); where++)
			row(&a, &b, shared, differences[d], where, secret);
	store_free(a.st);
	store_free(b.st);
}

int main(void)
{
	static const uint8_t seed[32] = {7};
	uint8_t pk[32], secret[64];

	if (sodium_init() < 0)
		return 1;
	crypto_sign_seed_keypair(pk, secret, seed);
	printf("### Reconciliation of two stores\n\n"
	       "| records shared | differences | only at | round trips | frames | bytes sent by the initiator "
	       "| by the responder | of both, records | added | CPU ms, both |\n"
	       "|---|---|---|---|---|---|---|---|---|---|\n");
	table(1000, secret);
	table(SHARED_MAX, secret);
	return 0;
}
