/*
 * What one pass of an agent costs in a large flock, part by part: the view from the store, the placement, what there is to do,
 * and the names; 10,000 claims on status pages of 1,000 peers. Prints figures; asserts nothing about time.
 */
#include "base/hash.h"
#include "node/reconcile.h"
#include "node/view.h"
#include "placement/placer.h"

#include <sodium.h>
#include <stdio.h>
#include <time.h>

#define PEERS    1000
#define SLOTS    10000
#define STACKS   25
#define SERVICES 10 /* each */
#define ROUNDS   21

enum part { VIEW, PLACE, RECONCILE, NAMES, ZONE, PARTS };
static const char *const part_names[PARTS] = {
        "view", "placement", "reconcile", "whether names changed", "names if they did"};

static struct key32 flock, peer[PEERS];
static uint8_t secret[PEERS][64], admin_secret[64];
static struct gossip *g;
static struct viewer *viewer;
static struct placer *placer;
static struct reconcile *reconcile;
static const struct now noon = {.mono = 100000, .wall = 1790000000000};

static double ms_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void make_key(struct key32 *pk, uint8_t sk[64], uint32_t number)
{
	uint8_t seed[32] = {(uint8_t)(number >> 8), (uint8_t)number};

	crypto_sign_seed_keypair(pk->b, sk, seed);
}

static void load(struct record *r, const struct wr *body, const uint8_t sk[64])
{
	struct err err = {0};
	struct wr bytes;

	if (body) {
		r->body = body->p;
		r->body_len = (uint32_t)body->len;
	}
	r->version = RECORD_VERSION;
	r->name_len = (uint8_t)strlen(r->name);
	record_sign(r, &flock, sk);
	wr_init(&bytes, RECORD_BYTES_MAX);
	record_encode(&bytes, r);
	if (gossip_load_verified(g, bytes.p, bytes.len, &err) < 0) {
		fprintf(stderr, "bench_pass: %s\n", err.text);
		exit(1);
	}
	wr_free(&bytes);
}

static void load_facts(uint32_t i, uint32_t n)
{
	static struct kv labels[] = {{"rack", "7"}, {"zone", "a"}};
	struct record r = {.kind = REC_FACTS, .stamp = 1ULL << 32 | n};
	struct facts f = {.version = "1",
	        .arch = "amd64",
	        .os = "linux",
	        .cpu_milli = 8000,
	        .memory = 32ULL << 30,
	        .drivers = 1u << DRIVER_EXEC,
	        .algorithm = PLACE_ALGORITHM,
	        .ready = true,
	        .adopted = true,
	        .n_labels = 2,
	        .labels = labels,
	        .n_addrs = 1,
	        .addrs = {{.family = 4, .ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}}}};
	char name[16];
	struct wr body;

	snprintf(name, sizeof(name), "p%u", i);
	f.name = name;
	wr_init(&body, BODY_BYTES_MAX);
	facts_encode(&body, &f);
	load(&r, &body, secret[i]);
	wr_free(&body);
}

static const char *stack_name(size_t i)
{
	static char name[16];

	snprintf(name, sizeof(name), "stack%02zu", i);
	return name;
}

static void load_stack(size_t i)
{
	static const char *argv[] = {"/bin/task"};
	static struct spec_port port = {.name = "http", .target = 80};
	struct record r = {.kind = REC_REVISION, .stamp = (uint64_t)noon.wall << 16 | i};
	struct service s[SERVICES];
	struct spec spec = {.name = stack_name(i), .n_services = SERVICES, .services = s};
	char names[SERVICES][8];
	struct wr body;

	for (size_t k = 0; k < SERVICES; k++) {
		service_defaults(&s[k]);
		snprintf(names[k], sizeof(names[k]), "s%zu", k);
		s[k].name = names[k];
		s[k].n_command = 1;
		s[k].command = argv;
		s[k].replicas = SLOTS / STACKS / SERVICES;
		s[k].n_ports = 1;
		s[k].ports = &port;
		s[k].born = 1 + i;
	}
	wr_init(&body, BODY_BYTES_MAX);
	spec_encode(&body, &spec);
	snprintf(r.name, sizeof(r.name), "%s", spec.name);
	load(&r, &body, admin_secret);
	wr_free(&body);
}

/* The tasks of one peer, nine to a page: of all slots every PEERS-th. */
static void load_pages(uint32_t i, uint32_t n)
{
	struct pager *pager = pager_new();
	struct claim claims[SLOTS / PEERS];
	size_t len;
	bool changed;

	for (size_t k = 0; k < SLOTS / PEERS; k++) {
		size_t slot = k * PEERS + i;
		char service[8];

		snprintf(service, sizeof(service), "s%zu", slot % SERVICES);
		claims[k] = (struct claim){.task = slot + 1,
		        .slot = slot_id(&flock, stack_name(slot / SERVICES % STACKS), service,
		                (uint32_t)(slot / SERVICES / STACKS)),
		        .boot = 1,
		        .state = TASK_RUNNING,
		        .healthy_since = n,
		        .n_ports = 1,
		        .ports = {{.port = (uint16_t)(20000 + k)}}};
	}
	pager_set(pager, claims, SLOTS / PEERS);
	for (size_t page = 0; page < pager_pages(pager); page++) {
		struct record r = {.kind = REC_STATUS, .stamp = 1ULL << 32 | n};
		const uint8_t *bytes = pager_page(pager, page, &len, &changed);
		struct wr body = {.p = (uint8_t *)bytes, .len = len};

		snprintf(r.name, sizeof(r.name), "%zu", page);
		load(&r, &body, secret[i]);
	}
	pager_free(pager);
}

static void open_flock(void)
{
	struct gossip_config cfg = {.boot = 1, .advertise = {.family = 4, .port = 7827, .ip = {10, 0, 0, 1}}};
	struct grant grant = {.role = ROLE_ADMIN, .powers = POWER_ALL, .name = "admin"};
	uint8_t root_secret[64];
	struct wr genesis, bytes;
	struct key32 root;

	make_key(&root, root_secret, 20001);
	make_key(&grant.operator_key, admin_secret, 20002);
	for (uint32_t i = 0; i < PEERS; i++)
		make_key(&peer[i], secret[i], i);
	wr_init(&genesis, RECORD_BYTES_MAX);
	trust_make_genesis(&genesis, "bench", noon.wall, root_secret, &flock);
	cfg.key = peer[0];
	memcpy(cfg.secret, secret[0], 64);
	cfg.flock = flock;
	cfg.roster = peer;
	cfg.n_roster = PEERS;
	g = gossip_new(&cfg);
	gossip_load_verified(g, genesis.p, genesis.len, NULL);
	wr_init(&bytes, RECORD_BYTES_MAX);
	trust_make_grant(&bytes, &flock, &grant, (uint64_t)noon.wall << 16, NULL, 0, root_secret);
	gossip_load_verified(g, bytes.p, bytes.len, NULL);
	wr_free(&genesis);
	wr_free(&bytes);
	for (size_t i = 0; i < STACKS; i++)
		load_stack(i);
	for (uint32_t i = 0; i < PEERS; i++) {
		load_facts(i, 1);
		load_pages(i, 2);
	}
	gossip_start(g, noon);
}

struct sums {
	double took[PARTS][ROUNDS];
	size_t slots, owned, claims, endpoints;
};

static void pass(struct sums *s, size_t round)
{
	struct addr ns = {.family = 4, .ip = {10, 0, 0, 1}};
	struct reconcile_action *actions;
	struct placement p;
	struct arena arena;
	struct view view;
	struct key32 hash;
	struct zone *z;
	double at[PARTS + 1];
	mono_ms wake;
	size_t n;

	arena_init(&arena);
	at[VIEW] = ms_now();
	viewer_build(viewer, g, &peer[0], NULL, 0, noon.mono, &arena, &view);
	/* Nobody is there to be heard: all are alive. */
	for (size_t i = 0; i < view.n_members; i++) {
		view.members[i].state = VIEW_ALIVE;
		view.members[i].boot = 1;
	}
	at[PLACE] = ms_now();
	placer_place(placer, &view, &arena, &p);
	at[RECONCILE] = ms_now();
	reconcile_run(reconcile, &view, &p, NULL, 0, true, false, noon.mono, &arena, &actions, &n, &wake);
	at[NAMES] = ms_now();
	view_zone_hash(&view, &p, &ns, &hash);
	at[ZONE] = ms_now();
	z = view_zone(&view, &p, ZONE_DEFAULT, &ns, 1);
	at[PARTS] = ms_now();
	for (size_t i = 0; i < PARTS; i++)
		s->took[i][round] = at[i + 1] - at[i];
	s->slots = p.n_slots;
	s->claims = view.n_claims;
	s->owned = 0;
	for (size_t i = 0; i < p.n_slots; i++)
		s->owned += p.slots[i].owner >= 0;
	zone_unref(z);
	arena_free(&arena);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* change: before each pass. */
static void measure(const char *what, void (*change)(uint32_t round))
{
	struct sums s;
	double all = 0;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		change(i);
		pass(&s, i);
	}
	for (size_t i = 0; i < PARTS; i++) {
		qsort(s.took[i], ROUNDS, sizeof(double), by_value);
		all += i == ZONE ? 0 : s.took[i][ROUNDS / 2];
	}
	printf("a pass of the agent, %s: %.2f ms, without building names\n    ", what, all);
	for (size_t i = 0; i < PARTS; i++)
		printf("%s %.2f, ", part_names[i], s.took[i][ROUNDS / 2]);
	printf("processor time, medians of %d; %zu slots, %zu claims of %d peers, %zu kept\n", ROUNDS, s.slots,
	        s.claims, PEERS, s.owned);
}

static void nothing(uint32_t round)
{
	(void)round;
}

static void a_page(uint32_t round)
{
	static uint32_t n = 100;

	load_pages(1 + round % (PEERS - 1), n++);
}

static void the_facts(uint32_t round)
{
	static uint32_t n = 100;

	load_facts(1 + round % (PEERS - 1), n++);
}

int main(void)
{
	struct reconcile_config timing = reconcile_defaults();
	struct sums first;

	if (sodium_init() < 0)
		return 1;
	open_flock();
	viewer = viewer_new(&flock);
	placer = placer_new();
	reconcile = reconcile_new(&timing);
	pass(&first, 0);
	measure("nothing changed", nothing);
	measure("one peer's tasks changed", a_page);
	measure("one peer's facts changed", the_facts);
	reconcile_free(reconcile);
	placer_free(placer);
	viewer_free(viewer);
	gossip_free(g);
	return 0;
}
