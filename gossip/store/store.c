#include "gossip/store/store.h"

#include "base/hash.h"
#include "base/map.h"
#include "gossip/store/index.h"
#include "gossip/store/rules.h"

/* What one author has here of the kinds that are limited per author. */
struct author_use {
	size_t unknown_bytes;
	unsigned verdicts;
};

struct store {
	struct key32 flock;
	uint8_t secret[16];
	struct map entries; /* id -> struct entry */
	struct map authors; /* author -> struct author_use */
	struct tree order;
	struct tree digest[2]; /* durable, volatile */
	size_t bytes;
	store_valid *judge;
	void *judge_ctx;
};

struct store *store_new(const struct key32 *flock, const uint8_t hash_secret[16])
{
	struct store *st = xcalloc(1, sizeof(*st));

	st->flock = *flock;
	memcpy(st->secret, hash_secret, sizeof(st->secret));
	map_init(&st->entries, sizeof(struct key32), hash_secret);
	map_init(&st->authors, sizeof(struct key32), hash_secret);
	tree_init_by_order(&st->order);
	tree_init_by_id(&st->digest[0]);
	tree_init_by_id(&st->digest[1]);
	return st;
}

void store_judge(struct store *st, store_valid *valid, void *ctx)
{
	st->judge = valid;
	st->judge_ctx = ctx;
}

bool store_counts(const struct store *st, const struct stored *s)
{
	return !st->judge || st->judge(s, st->judge_ctx);
}

void store_free(struct store *st)
{
	if (!st)
		return;
	map_each (&st->entries, value) {
		struct entry *e = value;

		free((void *)e->s.bytes);
		free(e);
	}
	map_each (&st->authors, use)
		free(use);
	map_free(&st->entries);
	map_free(&st->authors);
	free(st);
}

/* Limits per author. */

static struct author_use *author_use(struct store *st, const struct key32 *author)
{
	struct author_use *use = map_get(&st->authors, author);

	if (!use) {
		use = xcalloc(1, sizeof(*use));
		map_put(&st->authors, author, use);
	}
	return use;
}

static void charge(struct store *st, const struct entry *e, int sign)
{
	const struct record *r = &e->s.rec;
	struct author_use *use;

	if (r->kind != REC_VERDICT && !rule_of(r->kind)->unknown)
		return;
	use = author_use(st, &r->author);
	if (r->kind == REC_VERDICT)
		use->verdicts += (unsigned)sign;
	else
		use->unknown_bytes += (size_t)sign * e->s.len;
	if (!use->verdicts && !use->unknown_bytes)
		free(map_del(&st->authors, &r->author));
}

static int check_room(const struct store *st, const struct record *r, size_t len, struct err *err)
{
	const struct author_use *use = map_get(&st->authors, &r->author);

	if (store_count(st) >= RECORDS_MAX)
		return err_set(err, ERR_FAILED,
		        "the store holds %d records, the most that it may: a new %s is refused. Headers are kept for ever; put "
		        "what does not fit into another flock",
		        RECORDS_MAX, record_kind_name(r->kind));
	if (len > STORE_BYTES_MAX - st->bytes)
		return err_set(err, ERR_FAILED,
		        "the store holds %zu MiB of the %d that it may: a %s of %zu bytes is refused. Deploy smaller stacks: of "
		        "each the last %d specs are kept",
		        st->bytes >> 20, STORE_BYTES_MAX >> 20, record_kind_name(r->kind), len,
		        STACK_BODIES_KEPT);
	if (rule_of(r->kind)->unknown && len + (use ? use->unknown_bytes : 0) > UNKNOWN_BYTES_PER_AUTHOR_MAX)
		return err_set(err, ERR_FAILED,
		        "author %016llx has %zu of the %d bytes that one author's records of unknown kinds may have: one of kind "
		        "%u and %zu bytes is refused. An agent of the version that knows the kind has no such limit",
		        (unsigned long long)key32_id(&r->author), use ? use->unknown_bytes : 0,
		        UNKNOWN_BYTES_PER_AUTHOR_MAX, r->kind, len);
	if (r->kind == REC_VERDICT && use && use->verdicts >= VERDICTS_PER_AUTHOR_MAX)
		return err_set(err, ERR_FAILED,
		        "peer %016llx has given %d verdicts, the most that one may: another is refused",
		        (unsigned long long)key32_id(&r->author), VERDICTS_PER_AUTHOR_MAX);
	return 0;
}

/* Entries. */

static void enter_digest(struct store *st, struct entry *e)
{
	if (e->in_digest)
		return;
	e->in_digest = true;
	tree_insert(&st->digest[record_is_volatile(e->s.rec.kind)], &e->by_id);
}

static void remove_entry(struct store *st, struct entry *e)
{
	if (e->in_digest)
		tree_remove(&st->digest[record_is_volatile(e->s.rec.kind)], &e->by_id);
	tree_remove(&st->order, &e->by_order);
	map_del(&st->entries, &e->s.rec.id);
	charge(st, e, -1);
	st->bytes -= e->s.len;
	free((void *)e->s.bytes);
	free(e);
}

/* Gives e a copy of bytes, of which rec was decoded, and points rec into the copy. */
static void hold(struct store *st, struct entry *e, const struct record *rec, const uint8_t *bytes, size_t len)
{
	uint8_t *copy = xmemdup(bytes, len);

	st->bytes += len - e->s.len;
	e->s.rec = *rec;
	if (rec->parents)
		e->s.rec.parents = (const struct key32 *)(copy + ((const uint8_t *)rec->parents - bytes));
	if (rec->prev)
		e->s.rec.prev = (const struct key32 *)(copy + ((const uint8_t *)rec->prev - bytes));
	if (rec->body)
		e->s.rec.body = copy + (rec->body - bytes);
	free((void *)e->s.bytes); /* last: bytes and rec may point into it */
	e->s.bytes = copy;
	e->s.len = len;
}

static void add_entry(struct store *st, const struct record *rec, const uint8_t *bytes, size_t len, bool on_disk)
{
	struct entry *e = xcalloc(1, sizeof(*e));

	hold(st, e, rec, bytes, len);
	e->s.on_disk = on_disk;
	e->by_order.priority = e->by_id.priority = (uint32_t)siphash(st->secret, &rec->id, sizeof(rec->id));
	map_put(&st->entries, &rec->id, e);
	tree_insert(&st->order, &e->by_order);
	charge(st, e, 1);
	if (on_disk || record_is_volatile(rec->kind))
		enter_digest(st, e);
}

static struct entry *entry_of_key(const struct store *st, uint8_t kind, const struct key32 *key)
{
	struct entry *e = order_first(&st->order, kind, key);

	return e && e->s.rec.kind == kind && key32_eq(&e->s.rec.key, key) ? e : NULL;
}

/* Merging. */

static enum store_verdict put_known(struct store *st, struct entry *e, const struct record *rec,
        const uint8_t *bytes, size_t len, struct err *err)
{
	if (!rec->body || e->s.rec.body)
		return STORE_KNOWN;
	if (len - e->s.len > STORE_BYTES_MAX - st->bytes) {
		err_set(err, ERR_FAILED, "the store holds %zu MiB, the most that it may: a body is refused",
		        st->bytes >> 20);
		return STORE_FULL;
	}
	/* Its hash is in the header, which was verified: the same id means the same header. */
	hold(st, e, rec, bytes, len);
	return STORE_BODY;
}

bool store_signed(const struct key32 *flock, const struct record *rec)
{
	static const struct key32 none;

	return record_verify(rec, rec->kind == REC_GENESIS ? &none : flock);
}

static enum store_verdict put_new(struct store *st, const struct record *rec, const uint8_t *bytes, size_t len,
        bool on_disk, bool checked, struct err *err)
{
	struct entry *current = NULL;

	if (rule_check(rec, err) < 0)
		return STORE_BAD;
	if (rec->kind == REC_GENESIS && !key32_eq(&rec->id, &st->flock)) {
		err_set(err, ERR_UNAUTHORISED, "record: the genesis of another flock");
		return STORE_BAD;
	}
	if (rule_of(rec->kind)->merge == MERGE_LATEST)
		current = entry_of_key(st, rec->kind, &rec->key);
	if (current && order_cmp(&current->s.rec, rec) > 0)
		return STORE_OLD;
	if (!current && check_room(st, rec, len, err) < 0)
		return STORE_FULL;
	if (!checked && !store_signed(&st->flock, rec)) {
		err_set(err, ERR_UNAUTHORISED, "record: the signature of a %s is wrong",
		        record_kind_name(rec->kind));
		return STORE_BAD;
	}
	if (current)
		remove_entry(st, current);
	add_entry(st, rec, bytes, len, on_disk);
	return STORE_NEW;
}

static enum store_verdict put(struct store *st, const uint8_t *bytes, size_t len, bool on_disk, bool checked,
        struct key32 *id_out, struct err *err)
{
	struct record rec;
	struct entry *e;
	enum store_verdict verdict;

	if (record_decode(&rec, bytes, len, err) < 0)
		return STORE_BAD;
	if (id_out)
		*id_out = rec.id;
	e = map_get(&st->entries, &rec.id);
	if (!e)
		return put_new(st, &rec, bytes, len, on_disk, checked, err);
	verdict = put_known(st, e, &rec, bytes, len, err);
	if (on_disk)
		store_on_disk(st, &rec.id);
	return verdict;
}

enum store_verdict store_put(
        struct store *st, const uint8_t *bytes, size_t len, bool on_disk, struct key32 *id_out, struct err *err)
{
	return put(st, bytes, len, on_disk, false, id_out, err);
}

enum store_verdict store_put_verified(
        struct store *st, const uint8_t *bytes, size_t len, bool on_disk, struct key32 *id_out, struct err *err)
{
	return put(st, bytes, len, on_disk, true, id_out, err);
}

void store_on_disk(struct store *st, const struct key32 *id)
{
	struct entry *e = map_get(&st->entries, id);

	if (!e)
		return;
	e->s.on_disk = true;
	enter_digest(st, e);
}

void store_drop(struct store *st, const struct key32 *id)
{
	struct entry *e = map_get(&st->entries, id);

	if (e)
		remove_entry(st, e);
}

void store_drop_author_volatile(struct store *st, const struct key32 *author)
{
	static const struct key32 zero;
	struct entry *next;

	for (struct entry *e = order_first(&st->order, REC_FACTS, &zero); e && record_is_volatile(e->s.rec.kind);
	        e = next) {
		next = order_next(&st->order, e);
		if (key32_eq(&e->s.rec.author, author))
			remove_entry(st, e);
	}
}

void store_drop_body(struct store *st, const struct key32 *id)
{
	struct entry *e = map_get(&st->entries, id);
	struct record header;

	if (!e || !e->s.rec.body || !rule_of(e->s.rec.kind)->apart)
		return;
	header = e->s.rec;
	header.body = NULL;
	hold(st, e, &header, e->s.bytes, e->s.len - header.body_len);
}

/* Reading. */

const uint8_t *store_hash_secret(const struct store *st)
{
	return st->secret;
}

const struct stored *store_get(const struct store *st, const struct key32 *id)
{
	const struct entry *e = map_get(&st->entries, id);

	return e ? &e->s : NULL;
}

size_t store_count(const struct store *st)
{
	return st->entries.len;
}

void store_each(const struct store *st, uint8_t kind, store_visit *fn, void *ctx)
{
	static const struct key32 zero;
	struct entry *next;

	for (struct entry *e = order_first(&st->order, kind, &zero); e && (!kind || e->s.rec.kind == kind);
	        e = next) {
		next = order_next(&st->order, e);
		if (!fn(&e->s, ctx))
			return;
	}
}

void store_each_of_key(const struct store *st, uint8_t kind, const struct key32 *key, store_visit *fn, void *ctx)
{
	for (struct entry *e = entry_of_key(st, kind, key);
	        e && e->s.rec.kind == kind && key32_eq(&e->s.rec.key, key); e = order_next(&st->order, e))
		if (!fn(&e->s, ctx))
			return;
}

const struct stored *store_page(
        const struct store *st, uint8_t kind, const struct key32 *author, const char *name)
{
	struct key32 key;
	const struct entry *e;

	if (rule_of(kind)->merge != MERGE_LATEST)
		return NULL;
	record_key(&key, kind, author, name);
	e = entry_of_key(st, kind, &key);
	return e ? &e->s : NULL;
}

struct digest store_digest(const struct store *st, bool volatile_kinds)
{
	struct digest d;
	struct sum256 sum;

	digest_total(&st->digest[volatile_kinds], &sum, &d.count);
	sum_to_key(&d.root, &sum);
	return d;
}

static bool is_top(const struct key32 *k)
{
	for (size_t i = 0; i < sizeof(k->b); i++)
		if (k->b[i] != 0xff)
			return false;
	return true;
}

struct range_print store_below(const struct store *st, bool volatile_kinds, const struct key32 *hi)
{
	const struct tree *t = &st->digest[volatile_kinds];
	struct range_print p;
	struct sum256 sum;

	if (is_top(hi))
		digest_total(t, &sum, &p.count);
	else
		digest_below(t, hi, &sum, &p.count);
	sum_to_key(&p.sum, &sum);
	return p;
}

struct range_print range_print_sub(const struct range_print *a, const struct range_print *b)
{
	struct range_print p = {.count = a->count - b->count};
	struct sum256 x, y;

	sum_of_key(&x, &a->sum);
	sum_of_key(&y, &b->sum);
	sum_sub(&x, &y);
	sum_to_key(&p.sum, &x);
	return p;
}

struct range_print store_range(
        const struct store *st, bool volatile_kinds, const struct key32 *lo, const struct key32 *hi)
{
	struct range_print below_lo, below_hi;

	if (key32_cmp(lo, hi) >= 0)
		return (struct range_print){0};
	below_lo = store_below(st, volatile_kinds, lo);
	below_hi = store_below(st, volatile_kinds, hi);
	return range_print_sub(&below_hi, &below_lo);
}

size_t store_range_ids(const struct store *st, bool volatile_kinds, const struct key32 *lo,
        const struct key32 *hi, struct key32 *out, size_t max)
{
	const struct tree *t = &st->digest[volatile_kinds];
	size_t all = store_range(st, volatile_kinds, lo, hi).count;
	size_t n = 0;

	for (const struct entry *e = digest_first(t, lo); e && n < MIN(all, max); e = digest_next(t, e))
		out[n++] = e->s.rec.id;
	return all;
}
