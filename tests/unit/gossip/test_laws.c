/*
 * The laws of the store, for every kind of record and from seeds: whatever order records come in, however often,
 * and however they were grouped in other stores before, contents, digests, heads and settings are the same.
 */
#include "tests/unit/gossip/flock.h"

#include "base/hash.h"

#define RECORDS 120
#define SEEDS   30

struct world {
	struct flock f;
	struct drbg d;
	struct packed all[RECORDS];
	size_t n;
};

static const uint8_t kinds[] = {REC_GRANT, REC_INVITE, REC_ADMISSION, REC_REVOCATION, REC_EVICTION,
        REC_SUCCESSION, REC_REVISION, REC_REVISION, REC_REVISION, REC_SETTING, REC_SETTING, REC_FACTS, REC_STATUS,
        REC_STATUS, REC_RUNS, REC_VERDICT, 47 /* an unknown volatile kind */, 60, 200};

static void fill(struct world *w, uint8_t kind)
{
	static const char *const stacks[] = {"web", "db"};
	static const char *const settings[] = {"drain/1", "labels/1"};
	struct record r = {.kind = kind, .stamp = drbg_below(&w->d, 6)}; /* few stamps: ties */
	struct actor by = actor(PEER_A + (unsigned)drbg_below(&w->d, 3));
	char name[32] = "", body[64];
	struct key32 parents[3];

	snprintf(body, sizeof(body), "body %u", (unsigned)drbg_below(&w->d, 4));
	if (kind == REC_REVISION || kind == REC_SETTING) {
		/* Parents may be absent, of another key, or come later; all that must not matter. */
		text_copy(name, sizeof(name), (kind == REC_REVISION ? stacks : settings)[drbg_below(&w->d, 2)]);
		r.n_parents = (uint8_t)drbg_below(&w->d, 4);
		r.parents = parents;
		for (size_t i = 0; i < r.n_parents; i++)
			parents[i] = w->n ? w->all[drbg_below(&w->d, w->n)].id : by.key;
	}
	if (kind == REC_REVISION && drbg_below(&w->d, 5) == 0) {
		r.flags = RECORD_FLAG_REMOVAL;
		body[0] = '\0';
	}
	/* Flags of versions to come are kept, and decide nothing. */
	if (drbg_below(&w->d, 4) == 0)
		r.flags |= 0x40;
	if (kind == REC_STATUS)
		snprintf(name, sizeof(name), "%u", (unsigned)drbg_below(&w->d, 2));
	if (kind == REC_VERDICT)
		text_copy(name, sizeof(name), "web/api");
	w->all[w->n++] = pack(r, name, body, strlen(body), &w->f.id, &by);
}

static void world_new(struct world *w, uint64_t seed)
{
	*w = (struct world){.f = flock_new()};
	drbg_init_u64(&w->d, seed, 0);
	while (w->n < RECORDS)
		fill(w, kinds[drbg_below(&w->d, sizeof(kinds))]);
}

static void world_free(struct world *w)
{
	for (size_t i = 0; i < w->n; i++)
		packed_free(&w->all[i]);
	flock_free(&w->f);
}

/* Everything that can be told of a store, hashed. */
struct print {
	struct wr w;
};

static bool print_record(const struct stored *s, void *ctx)
{
	struct print *p = ctx;

	/* Two equal headers may carry different signatures; the id and the body are what counts. */
	wr_key32(&p->w, &s->rec.id);
	wr_u8(&p->w, s->rec.body != NULL);
	if (!record_is_volatile(s->rec.kind))
		wr_u8(&p->w, s->on_disk);
	return true;
}

static void print_stack(const char *stack, void *ctx)
{
	struct print *p = ctx;

	wr_bytes(&p->w, stack, strlen(stack));
}

static struct key32 print_store(const struct store *st)
{
	static const char *const stacks[] = {"web", "db"};
	struct print p;
	struct key32 out;

	wr_init(&p.w, 1 << 20);
	store_each(st, 0, print_record, &p);
	store_each_stack(st, print_stack, &p);
	store_each_setting(st, NULL, NULL, print_record, &p);
	for (size_t i = 0; i < ARRAY_LEN(stacks); i++) {
		struct stack_heads h;

		store_stack_heads(st, stacks[i], NULL, NULL, &h);
		for (size_t j = 0; j < h.n; j++)
			wr_key32(&p.w, &h.head[j]->rec.id);
	}
	for (int v = 0; v < 2; v++) {
		struct digest d = store_digest(st, v);

		wr_key32(&p.w, &d.root);
		wr_u32(&p.w, d.count);
	}
	assert_true(wr_ok(&p.w));
	hash32(&out, p.w.p, p.w.len);
	wr_free(&p.w);
	return out;
}

static void put_one(struct world *w, struct store *st, const struct packed *p)
{
	struct record r;

	record_decode(&r, p->w.p, p->w.len, NULL);
	/* A revision's header may come first, its body later; a disk may confirm at once or later. */
	if (r.kind == REC_REVISION && drbg_below(&w->d, 2))
		store_put(st, p->w.p, p->w.len - r.body_len, drbg_below(&w->d, 2), NULL, NULL);
	put(st, p, drbg_below(&w->d, 2));
	if (!record_is_volatile(r.kind))
		store_on_disk(st, &r.id);
}

static void shuffle(struct world *w, size_t *order, size_t n)
{
	for (size_t i = 0; i < n; i++)
		order[i] = i;
	for (size_t i = n; i-- > 1;) {
		size_t j = drbg_below(&w->d, i + 1), swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
}

static bool copy_to(const struct stored *s, void *ctx)
{
	struct store *st = ctx;

	store_put(st, s->bytes, s->len, s->on_disk, NULL, NULL);
	return true;
}

static void expect_same(uint64_t seed, const char *law, const struct store *st, const struct key32 *expected)
{
	struct key32 got = print_store(st);

	if (!key32_eq(&got, expected))
		fail_msg("%s: contents differ; seed %llu", law, (unsigned long long)seed);
}

static void order_repetition_and_grouping_change_nothing(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world w;
		struct store *plain, *shuffled, *left, *right;
		size_t order[RECORDS];
		struct key32 expected;

		world_new(&w, seed);
		plain = store_new(&w.f.id, test_secret);
		for (size_t i = 0; i < w.n; i++)
			put_one(&w, plain, &w.all[i]);
		expected = print_store(plain);
		for (int round = 0; round < 5; round++) {
			/* Another secret: hash tables and treaps of another shape. */
			uint8_t secret[16] = {(uint8_t)round};

			shuffled = store_new(&w.f.id, secret);
			shuffle(&w, order, w.n);
			for (size_t i = 0; i < w.n; i++) {
				put_one(&w, shuffled, &w.all[order[i]]);
				put_one(&w, shuffled, &w.all[order[drbg_below(&w.d, i + 1)]]);
			}
			expect_same(seed, "order and repetition", shuffled, &expected);
			store_free(shuffled);
		}
		left = store_new(&w.f.id, test_secret);
		right = store_new(&w.f.id, test_secret);
		for (size_t i = 0; i < w.n; i++) {
			size_t side = drbg_below(&w.d, 3); /* some in both */

			if (side != 0)
				put_one(&w, left, &w.all[i]);
			if (side != 1)
				put_one(&w, right, &w.all[i]);
		}
		store_each(left, 0, copy_to, right);
		expect_same(seed, "grouping", right, &expected);
		store_each(right, 0, copy_to, left);
		expect_same(seed, "commutation", left, &expected);
		store_free(plain);
		store_free(left);
		store_free(right);
		world_free(&w);
	}
}

/* The same for each kind alone, so that a failure names the kind. */
static void every_kind_obeys_alone(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(kinds); k++) {
		for (uint64_t seed = 1; seed <= 6; seed++) {
			struct world w = {.f = flock_new()};
			struct key32 expected;
			size_t order[40];

			drbg_init_u64(&w.d, seed, kinds[k]);
			while (w.n < 40)
				fill(&w, kinds[k]);
			for (int round = 0; round < 4; round++) {
				struct store *st = store_new(&w.f.id, test_secret);
				char law[32];

				snprintf(law, sizeof(law), "kind %u", kinds[k]);
				shuffle(&w, order, w.n);
				for (size_t i = 0; i < w.n; i++)
					put_one(&w, st, &w.all[order[i]]);
				if (round == 0)
					expected = print_store(st);
				expect_same(seed, law, st, &expected);
				store_free(st);
			}
			world_free(&w);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(order_repetition_and_grouping_change_nothing),
	        cmocka_unit_test(every_kind_obeys_alone),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
