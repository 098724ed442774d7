/*
 * What 10,000 revisions, and 2,000 admissions, cost an agent: at start, from its disk, with their signatures checked and
 * with them sealed; and when they come from another peer in one reconciliation: the longest time that the loop stands
 * still for one frame, with signatures checked on the loop and ahead on another thread. Prints figures; asserts nothing
 * about time.
 */
#include "base/text.h"
#include "gossip/gossip.h"
#include "node/persist.h"

#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define RECORDS    10000
#define ADMISSIONS 2000
#define STACKS     500
#define BODY       200

struct actor {
	struct key32 key;
	uint8_t secret[64];
};

static struct key32 flock_id;
static struct actor root, admin, peers[2];
static struct wr trust_records[4];
static struct wr records[RECORDS];
static struct key32 ids[RECORDS];
static unsigned n_records;
static const char *what;

static double ms_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void make_flock(void)
{
	struct grant g = {.role = ROLE_ADMIN, .powers = POWER_ALL, .name = "admin"};

	crypto_sign_keypair(root.key.b, root.secret);
	crypto_sign_keypair(admin.key.b, admin.secret);
	for (int i = 0; i < 4; i++)
		wr_init(&trust_records[i], RECORD_BYTES_MAX);
	trust_make_genesis(&trust_records[0], "bench", 1700000000000, root.secret, &flock_id);
	g.operator_key = admin.key;
	trust_make_grant(&trust_records[1], &flock_id, &g, 1, NULL, 0, root.secret);
	for (int i = 0; i < 2; i++) {
		struct admission a;

		crypto_sign_keypair(peers[i].key.b, peers[i].secret);
		trust_vouch_first(&a, &flock_id, &peers[i].key, admin.secret);
		trust_make_admission(&trust_records[2 + i], &flock_id, &a, 2, peers[i].secret);
	}
}

static void make_revisions(void)
{
	uint8_t body[BODY] = {0};

	what = "revisions";
	n_records = RECORDS;
	for (unsigned i = 0; i < n_records; i++) {
		struct record r = {.kind = REC_REVISION, .stamp = 100 + i, .body = body, .body_len = BODY};

		memcpy(body, &i, sizeof(i));
		snprintf(r.name, sizeof(r.name), "stack%u", i % STACKS);
		if (i >= STACKS) {
			r.parents = &ids[i - STACKS];
			r.n_parents = 1;
		}
		record_sign(&r, &flock_id, admin.secret);
		ids[i] = r.id;
		wr_init(&records[i], RECORD_BYTES_MAX);
		record_encode(&records[i], &r);
	}
}

static void make_admissions(void)
{
	what = "admissions";
	n_records = ADMISSIONS;
	for (unsigned i = 0; i < n_records; i++) {
		struct actor peer;
		struct admission a;
		struct record r;

		crypto_sign_keypair(peer.key.b, peer.secret);
		trust_vouch_first(&a, &flock_id, &peer.key, admin.secret);
		wr_init(&records[i], RECORD_BYTES_MAX);
		trust_make_admission(&records[i], &flock_id, &a, 3, peer.secret);
		if (record_decode(&r, records[i].p, records[i].len, NULL) < 0)
			abort();
		ids[i] = r.id;
	}
}

static struct gossip *core(int i)
{
	struct gossip_config cfg = {.key = peers[i].key, .flock = flock_id, .boot = 1, .plain = true};
	struct gossip *g;

	memcpy(cfg.secret, peers[i].secret, sizeof(cfg.secret));
	cfg.seed[0] = (uint8_t)(i + 1);
	cfg.advertise = (struct addr){.family = 4, .port = 7827, .ip = {10, 0, 0, (uint8_t)i}};
	g = gossip_new(&cfg);
	for (int k = 0; k < 4; k++)
		gossip_load(g, trust_records[k].p, trust_records[k].len, NULL);
	return g;
}

/* --- start --- */

static int load(void *ctx, const uint8_t *bytes, size_t len, bool sealed, struct err *err)
{
	return sealed ? gossip_load_verified(ctx, bytes, len, err) : gossip_load(ctx, bytes, len, err);
}

static void start(const char *dir, bool sealed)
{
	struct now now = {.mono = 1000, .wall = 1700000000000};
	struct gossip *g = core(0);
	struct err err = {0};
	struct persist *p;
	double t[4];

	t[0] = ms_now();
	p = persist_open(dir, NULL, NULL, NULL, &err);
	if (!p)
		goto fail;
	if (sealed)
		persist_seal_with(p, peers[0].secret);
	t[1] = ms_now();
	if (persist_each(p, load, g, &err) < 0)
		goto fail;
	t[2] = ms_now();
	gossip_start(g, now);
	t[3] = ms_now();
	printf("start with %u %s, %s: %.0f ms (opening %.0f, loading %.0f, trust and members %.0f)\n", n_records,
	        what, sealed ? "sealed" : "signatures checked", t[3] - t[0], t[1] - t[0], t[2] - t[1],
	        t[3] - t[2]);
	fflush(stdout);
	persist_close(p);
	gossip_free(g);
	return;
fail:
	fprintf(stderr, "%s\n", err.text);
	exit(1);
}

static void fill(const char *dir)
{
	struct err err = {0};
	struct persist *p = persist_open(dir, NULL, NULL, NULL, &err);

	if (!p || persist_begin(p, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	persist_seal_with(p, peers[0].secret);
	for (unsigned i = 0; i < n_records; i++)
		persist_put(p, &ids[i], records[i].p, records[i].len, NULL);
	persist_commit(p, &err);
	persist_close(p);
}

/* --- a reconciliation --- */

/* What one side's loop did: its longest single call, and all of them. */
struct busy {
	double frame_max, frame_sum, disk_max, disk_sum, ahead_sum;
	unsigned frames, written;
};

struct side {
	struct gossip *g;
	uint64_t stream;
	struct busy busy;
	struct key32 to_disk[RECORDS + 16];
	size_t n_to_disk;
};

static struct now now = {.mono = 1000, .wall = 1700000000000};

static void add(double from, double *max, double *sum)
{
	double ms = ms_now() - from;

	*max = MAX(*max, ms);
	*sum += ms;
}

static void take_frame(struct side *to, const uint8_t *bytes, size_t len, bool ahead)
{
	static struct key32 hashes[FRAME_RECORDS_MAX];
	struct good_records good = {.hash = hashes};
	double at = ms_now();

	if (ahead)
		good.n = frame_verify(&flock_id, bytes, len, hashes);
	to->busy.ahead_sum += ms_now() - at;
	at = ms_now();
	gossip_on_verified_frame(to->g, to->stream, bytes, len, &good, now);
	add(at, &to->busy.frame_max, &to->busy.frame_sum);
	to->busy.frames++;
}

/* Carries out what side i asks for; true if anything. */
static bool drain(struct side *s, int i, bool ahead)
{
	struct gossip_action a;
	bool any = false;

	while (gossip_next(s[i].g, &a)) {
		if (a.kind == GOSSIP_FRAME && a.stream == s[i].stream) {
			uint8_t *copy = xmemdup(a.bytes, a.len);

			take_frame(&s[!i], copy, a.len, ahead);
			free(copy);
			any = true;
		} else if (a.kind == GOSSIP_CONNECT && !s[i].stream) {
			s[i].stream = a.stream;
			s[!i].stream = UINT64_C(1) << 63 | 1;
			gossip_on_stream(s[!i].g, s[!i].stream, &peers[i].key, true, now);
			gossip_on_stream(s[i].g, s[i].stream, &peers[!i].key, false, now);
			any = true;
		} else if (a.kind == GOSSIP_PACKET) {
			uint8_t *copy = xmemdup(a.bytes, a.len);
			struct addr from = {.family = 4, .port = 7827, .ip = {10, 0, 0, (uint8_t)i}};

			gossip_on_packet(s[!i].g, &from, copy, a.len, now);
			free(copy);
			any = true;
		} else if (a.kind == GOSSIP_PERSIST) {
			s[i].to_disk[s[i].n_to_disk++] = a.id;
		}
	}
	return any;
}

static void reconcile(bool ahead)
{
	struct side *s = xcalloc(2, sizeof(*s));
	struct busy *b = &s[0].busy;

	for (int i = 0; i < 2; i++)
		s[i].g = core(i);
	for (unsigned i = 0; i < n_records; i++)
		gossip_load_verified(s[1].g, records[i].p, records[i].len, NULL);
	for (int i = 0; i < 2; i++) {
		struct addr other = {.family = 4, .port = 7827, .ip = {10, 0, 0, (uint8_t)!i}};

		gossip_load_addr(s[i].g, &peers[!i].key, &other);
		gossip_start(s[i].g, now);
	}
	for (int round = 0; round < 4000 && s[0].n_to_disk < n_records; round++) {
		bool any = drain(s, 0, ahead);

		any |= drain(s, 1, ahead);
		if (!any) {
			now.mono += 50;
			gossip_tick(s[0].g, now);
			gossip_tick(s[1].g, now);
		}
	}
	if (s[0].n_to_disk < n_records) {
		fprintf(stderr, "only %zu of %u records came\n", s[0].n_to_disk, n_records);
		exit(1);
	}
	for (size_t i = 0; i < s[0].n_to_disk; i++) {
		double at = ms_now();

		gossip_on_disk(s[0].g, &s[0].to_disk[i], true, now);
		gossip_tick(s[0].g, now);
		now.mono = (mono_ms)ms_now() + 1000000;
		add(at, &b->disk_max, &b->disk_sum);
	}
	printf("%u %s in one reconciliation, signatures checked %s: the loop's longest frame %.1f ms, all %u frames "
	       "%.0f ms, on the other thread %.0f ms; then what the disk has written: longest %.2f ms, all %.0f ms\n",
	        n_records, what, ahead ? "ahead" : "on the loop", b->frame_max, b->frames, b->frame_sum,
	        b->ahead_sum, b->disk_max, b->disk_sum);
	fflush(stdout);
	gossip_free(s[0].g);
	gossip_free(s[1].g);
	free(s);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

static int measure(void)
{
	char dir[] = "/tmp/starling-bench-XXXXXX";

	if (!mkdtemp(dir))
		return -1;
	fill(dir);
	start(dir, false);
	start(dir, true);
	reconcile(false);
	reconcile(true);
	for (unsigned i = 0; i < n_records; i++)
		wr_free(&records[i]);
	return nftw(dir, remove_one, 4, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	if (sodium_init() < 0)
		return 1;
	make_flock();
	make_revisions();
	if (measure() < 0)
		return 1;
	make_admissions();
	return measure() < 0;
}
