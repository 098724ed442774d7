#include "tests/unit/unit.h"

#include "base/drbg.h"
#include "base/hash.h"
#include "base/pack.h"
#include "dns/answer.h"
#include "node/view.h"
#include "placement/settings.h"

#include <sodium.h>

/* One peer's gossip core that was told of two peers and of stacks, without a network. */
struct world {
	struct gossip *g;
	struct key32 flock;
	struct key32 peer[3];
	uint8_t peer_secret[3][64];
	uint8_t admin_secret[64];
	struct key32 admin;
	struct hlc hlc;
	struct viewer *viewer;
	struct arena arena;
	struct view view;
	struct placement placement;
	mono_ms now;
};

static const struct now noon = {.mono = 1000, .wall = 1790000000000};

static void make_key(struct key32 *pk, uint8_t secret[64], uint8_t number)
{
	uint8_t seed[32] = {number};

	crypto_sign_seed_keypair(pk->b, secret, seed);
}

static void load(struct world *w, struct wr *bytes)
{
	struct err err = {0};

	if (gossip_load(w->g, bytes->p, bytes->len, &err) < 0)
		fail_msg("%s", err.text);
	wr_free(bytes);
}

/* third: number of one more peer's key; 0: there are two. */
static void world_open_with(struct world *w, uint8_t third)
{
	struct gossip_config cfg = {.boot = 3, .advertise = {.family = 4, .port = 7827, .ip = {127, 78, 0, 1}}};
	struct grant grant = {.role = ROLE_ADMIN, .powers = POWER_ALL, .name = "admin"};
	uint8_t root_secret[64];
	struct key32 root;
	struct wr genesis, bytes;

	*w = (struct world){0};
	make_key(&root, root_secret, 1);
	make_key(&w->admin, w->admin_secret, 2);
	make_key(&w->peer[0], w->peer_secret[0], 3);
	make_key(&w->peer[1], w->peer_secret[1], 4);
	make_key(&w->peer[2], w->peer_secret[2], third);
	wr_init(&genesis, RECORD_BYTES_MAX);
	trust_make_genesis(&genesis, "test", noon.wall, root_secret, &w->flock);
	cfg.key = w->peer[0];
	memcpy(cfg.secret, w->peer_secret[0], 64);
	cfg.flock = w->flock;
	w->g = gossip_new(&cfg);
	load(w, &genesis);
	grant.operator_key = w->admin;
	wr_init(&bytes, RECORD_BYTES_MAX);
	trust_make_grant(&bytes, &w->flock, &grant, hlc_now(&w->hlc, noon.wall), NULL, 0, root_secret);
	load(w, &bytes);
	for (int i = 0; i < (third ? 3 : 2); i++) {
		struct admission a = {0};

		trust_vouch_first(&a, &w->flock, &w->peer[i], w->admin_secret);
		wr_init(&bytes, RECORD_BYTES_MAX);
		trust_make_admission(&bytes, &w->flock, &a, hlc_now(&w->hlc, noon.wall), w->peer_secret[i]);
		load(w, &bytes);
	}
	gossip_start(w->g, noon);
	w->viewer = viewer_new(&w->flock);
	arena_init(&w->arena);
}

static void world_open(struct world *w)
{
	world_open_with(w, 0);
}

static void world_close(struct world *w)
{
	viewer_free(w->viewer);
	arena_free(&w->arena);
	gossip_free(w->g);
}

static void add_facts(struct world *w, int peer, const char *name)
{
	struct facts f = {.name = name,
	        .version = "1",
	        .arch = "amd64",
	        .os = "linux",
	        .cpu_milli = 1000,
	        .memory = 1 << 30,
	        .drivers = 1u << DRIVER_EXEC,
	        .algorithm = 1,
	        .ready = true,
	        .adopted = true,
	        .n_addrs = 1,
	        .addrs = {{.family = 4, .ip = {127, 78, 0, (uint8_t)(peer + 1)}}}};
	struct record r = {.version = RECORD_VERSION, .kind = REC_FACTS, .stamp = 3ULL << 32 | 1};
	struct wr body, bytes;

	wr_init(&body, BODY_BYTES_MAX);
	facts_encode(&body, &f);
	r.body = body.p;
	r.body_len = (uint32_t)body.len;
	record_sign(&r, &w->flock, w->peer_secret[peer]);
	wr_init(&bytes, RECORD_BYTES_MAX);
	record_encode(&bytes, &r);
	load(w, &bytes);
	wr_free(&body);
}

/* A stack "shop" with one service "web" of two replicas and a port; signed by whoever holds secret. */
static struct key32 add_stack(struct world *w, const char *user, const uint8_t secret[64])
{
	const char *argv[] = {"/bin/true"};
	struct spec_port port = {.name = "http", .target = 80};
	struct service s;
	struct spec spec = {.name = "shop", .n_services = 1, .services = &s};
	struct record r = {.version = RECORD_VERSION, .kind = REC_REVISION, .name = "shop", .name_len = 4};
	struct wr body, bytes;

	service_defaults(&s);
	s.name = "web";
	s.n_command = 1;
	s.command = argv;
	s.user = user;
	s.replicas = 2;
	s.n_ports = 1;
	s.ports = &port;
	s.born = 7;
	wr_init(&body, BODY_BYTES_MAX);
	spec_encode(&body, &spec);
	r.stamp = hlc_now(&w->hlc, noon.wall);
	r.body = body.p;
	r.body_len = (uint32_t)body.len;
	record_sign(&r, &w->flock, secret);
	wr_init(&bytes, RECORD_BYTES_MAX);
	record_encode(&bytes, &r);
	load(w, &bytes);
	wr_free(&body);
	return r.id;
}

static void look(struct world *w, const struct claim *own, size_t n)
{
	arena_free(&w->arena);
	viewer_build(w->viewer, w->g, &w->peer[0], own, n, w->now, &w->arena, &w->view);
	place(&w->view, &w->arena, &w->placement);
}

static void members_come_sorted_with_their_facts(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	add_facts(&w, 0, "till");
	add_facts(&w, 1, "till");
	look(&w, NULL, 0);
	assert_int_equal(w.view.n_members, 2);
	assert_true(key32_cmp(&w.view.members[0].key, &w.view.members[1].key) < 0);
	assert_true(key32_eq(&w.view.members[w.view.self].key, &w.peer[0]));
	assert_string_equal(w.view.members[0].facts->name, "till");
	/* Two peers of one name are told apart by their ids. */
	assert_non_null(strchr(view_member_name(&w.view, 0, &w.arena), '~'));
	world_close(&w);
}

static void a_stack_counts_when_its_author_may_write_it(void **state)
{
	struct key32 stranger, id;
	uint8_t secret[64];
	struct world w;

	(void)state;
	world_open(&w);
	make_key(&stranger, secret, 9);
	add_stack(&w, NULL, secret);
	look(&w, NULL, 0);
	assert_int_equal(w.view.n_stacks, 0);
	id = add_stack(&w, NULL, w.admin_secret);
	look(&w, NULL, 0);
	assert_int_equal(w.view.n_stacks, 1);
	assert_true(key32_eq(&w.view.stacks[0].revision, &id));
	assert_string_equal(w.view.stacks[0].spec->services[0].name, "web");
	assert_false(w.view.stacks[0].conflict); /* the stranger's head is none */
	world_close(&w);
}

static void a_body_that_comes_after_its_header_is_seen(void **state)
{
	struct world whole, w;
	const struct stored *s;
	struct key32 id;
	struct wr bytes;

	(void)state;
	world_open(&whole);
	id = add_stack(&whole, NULL, whole.admin_secret);
	s = store_get(gossip_store(whole.g), &id);
	world_open(&w);
	wr_init(&bytes, RECORD_BYTES_MAX);
	wr_bytes(&bytes, s->bytes, s->len - s->rec.body_len);
	load(&w, &bytes);
	look(&w, NULL, 0);
	assert_int_equal(w.view.n_stacks, 1);
	assert_false(w.view.stacks[0].have_body);
	wr_init(&bytes, RECORD_BYTES_MAX);
	wr_bytes(&bytes, s->bytes, s->len);
	load(&w, &bytes);
	look(&w, NULL, 0);
	assert_true(w.view.stacks[0].have_body);
	world_close(&whole);
	world_close(&w);
}

/* The stack's own records are the same; what they amount to is not. */
static void a_key_that_is_granted_a_role_brings_its_stacks(void **state)
{
	struct grant grant = {.role = ROLE_DEPLOY, .name = "ci"};
	uint8_t root_secret[64], secret[64];
	struct record rec;
	struct key32 root;
	struct wr bytes;
	struct world w;

	(void)state;
	world_open(&w);
	make_key(&root, root_secret, 1);
	make_key(&grant.operator_key, secret, 9);
	add_stack(&w, NULL, secret);
	look(&w, NULL, 0);
	assert_int_equal(w.view.n_stacks, 0);
	wr_init(&bytes, RECORD_BYTES_MAX);
	trust_make_grant(&bytes, &w.flock, &grant, hlc_now(&w.hlc, noon.wall), NULL, 0, root_secret);
	assert_int_equal(record_decode(&rec, bytes.p, bytes.len, NULL), 0);
	assert_int_equal(gossip_submit(w.g, bytes.p, bytes.len, 1, noon, NULL), 0);
	gossip_on_disk(w.g, &rec.id, true, noon);
	look(&w, NULL, 0);
	gossip_tick(w.g, (struct now){.mono = noon.mono + 100, .wall = noon.wall + 100});
	look(&w, NULL, 0);
	assert_int_equal(w.view.n_stacks, 1);
	wr_free(&bytes);
	world_close(&w);
}

static void news_is_what_arrived_live(void **state)
{
	struct key32 id;
	struct world w;

	(void)state;
	world_open(&w);
	id = add_stack(&w, NULL, w.admin_secret);
	viewer_on_revision(w.viewer, &id, false, 5000);
	look(&w, NULL, 0);
	assert_int_equal(w.view.stacks[0].arrived, 0);
	viewer_on_revision(w.viewer, &id, true, 5000);
	look(&w, NULL, 0);
	assert_int_equal(w.view.stacks[0].arrived, 5000);
	world_close(&w);
}

/* Asks the zone for an A record of name; gives the number of answers and the response code. */
static unsigned ask(const struct zone *z, const char *name, unsigned *rcode)
{
	uint8_t query[300] = {0, 1, 1, 0, 0, 1};
	uint8_t out[DNS_UDP_MAX];
	struct dns_counters counters = {0};
	size_t len = 12;

	while (*name) {
		size_t n = strcspn(name, ".");

		query[len++] = (uint8_t)n;
		memcpy(query + len, name, n);
		len += n;
		name += n + (name[n] == '.');
	}
	query[len++] = 0;
	memcpy(query + len, "\0\1\0\1", 4);
	len = dns_answer(z, query, len + 4, false, 0, out, sizeof(out), &counters);
	assert_true(len >= 12);
	*rcode = out[3] & 15;
	return (unsigned)(out[6] << 8 | out[7]);
}

static void names_follow_serving_claims(void **state)
{
	struct addr ns = {.family = 4, .ip = {127, 78, 0, 1}};
	struct claim c = {.task = 1, .boot = 3, .state = TASK_RUNNING, .n_ports = 1, .ports = {{.port = 20001}}};
	struct zone *z;
	struct world w;
	unsigned rcode;

	(void)state;
	world_open(&w);
	add_facts(&w, 0, "till");
	add_stack(&w, NULL, w.admin_secret);
	look(&w, NULL, 0);
	z = view_zone(&w.view, &w.placement, ZONE_DEFAULT, &ns, 1);
	assert_int_equal(ask(z, "web.shop.starling.internal", &rcode), 0);
	assert_int_equal(rcode, 0); /* it exists: no data, not no such name */
	assert_int_equal(ask(z, "cart.shop.starling.internal", &rcode), 0);
	assert_int_equal(rcode, 3);
	/* So it is with a peer that is dead or has left; alive again it has its addresses. */
	for (enum view_state s = VIEW_ALIVE; s <= VIEW_LEFT; s++) {
		zone_unref(z);
		for (size_t i = 0; i < w.view.n_members; i++)
			if (w.view.members[i].facts)
				w.view.members[i].state = s;
		z = view_zone(&w.view, &w.placement, ZONE_DEFAULT, &ns, 1);
		assert_int_equal(ask(z, "till.node.starling.internal", &rcode), s <= VIEW_SUSPECT);
		assert_int_equal(rcode, 0);
		assert_int_equal(ask(z, "else.node.starling.internal", &rcode), 0);
		assert_int_equal(rcode, 3);
	}
	zone_unref(z);
	c.slot = slot_id(&w.flock, "shop", "web", 1);
	look(&w, &c, 1);
	z = view_zone(&w.view, &w.placement, ZONE_DEFAULT, &ns, 2);
	assert_int_equal(ask(z, "web.shop.starling.internal", &rcode), 1);
	assert_int_equal(ask(z, "1.web.shop.starling.internal", &rcode), 1);
	assert_int_equal(ask(z, "0.web.shop.starling.internal", &rcode), 0);
	assert_int_equal(ask(z, "till.node.starling.internal", &rcode), 1);
	zone_unref(z);
	/* Who does not own the slot is not named, though it serves: it has handed it over, or came second. */
	for (size_t i = 0; i < w.placement.n_slots; i++)
		if (w.placement.slots[i].slot == c.slot) {
			w.placement.slots[i].predecessor = w.placement.slots[i].owner;
			w.placement.slots[i].owner = -1;
		}
	z = view_zone(&w.view, &w.placement, ZONE_DEFAULT, &ns, 2);
	assert_int_equal(ask(z, "web.shop.starling.internal", &rcode), 0);
	zone_unref(z);
	c.health = HEALTH_UNHEALTHY;
	c.state = TASK_UNHEALTHY;
	look(&w, &c, 1);
	z = view_zone(&w.view, &w.placement, ZONE_DEFAULT, &ns, 3);
	assert_int_equal(ask(z, "web.shop.starling.internal", &rcode), 0);
	assert_int_equal(rcode, 0);
	zone_unref(z);
	world_close(&w);
}

/* The zone of what is seen now, with the hash of what it is made of. */
static struct zone *zone_now(struct world *w, const struct claim *own, size_t n, struct key32 *hash)
{
	struct addr ns = {.family = 4, .ip = {127, 78, 0, 1}};

	look(w, own, n);
	view_zone_hash(&w->view, &w->placement, &ns, hash);
	return view_zone(&w->view, &w->placement, ZONE_DEFAULT, &ns, 1);
}

static void the_hash_of_names_tells_zones_apart(void **state)
{
	struct claim c[2] = {
	        {.task = 1, .boot = 3, .state = TASK_RUNNING, .n_ports = 1, .ports = {{.port = 20001}}}};
	struct key32 hash[8];
	struct zone *z[8];
	struct world w;
	size_t n = 0;

	(void)state;
	world_open(&w);
	add_facts(&w, 0, "till");
	add_stack(&w, NULL, w.admin_secret);
	c[0].slot = slot_id(&w.flock, "shop", "web", 0);
	c[1] = c[0];
	c[1].slot = slot_id(&w.flock, "shop", "web", 1);
	z[n] = zone_now(&w, NULL, 0, &hash[n]), n++;
	z[n] = zone_now(&w, c, 1, &hash[n]), n++;
	z[n] = zone_now(&w, c, 2, &hash[n]), n++;
	c[0].failures++; /* names do not show that */
	z[n] = zone_now(&w, c, 2, &hash[n]), n++;
	c[0].ports[0].port++;
	z[n] = zone_now(&w, c, 2, &hash[n]), n++;
	c[0].state = TASK_UNHEALTHY;
	z[n] = zone_now(&w, c, 2, &hash[n]), n++;
	add_stack(&w, "nobody", w.admin_secret);
	z[n] = zone_now(&w, c, 2, &hash[n]), n++;
	add_facts(&w, 1, "tiller");
	z[n] = zone_now(&w, c, 2, &hash[n]), n++;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++)
			assert_int_equal(key32_eq(&hash[i], &hash[k]), zone_equal(z[i], z[k]));
	assert_true(key32_eq(&hash[2], &hash[3]));
	for (size_t i = 0; i < n; i++)
		zone_unref(z[i]);
	world_close(&w);
}

static void a_claim_finds_its_slot(void **state)
{
	struct world w;
	id64 slot;

	(void)state;
	world_open(&w);
	add_facts(&w, 0, "till");
	add_stack(&w, NULL, w.admin_secret);
	look(&w, NULL, 0);
	slot = slot_id(&w.flock, "shop", "web", 0);
	assert_non_null(view_slot(&w.placement, slot));
	assert_int_equal(view_slot(&w.placement, slot)->index, 0);
	assert_null(view_slot(&w.placement, slot ^ 1));
	world_close(&w);
}

/* ---- claims ---- */

static void add_page(struct world *w, const uint8_t secret[64], struct drbg *r, uint64_t n)
{
	struct record rec = {
	        .version = RECORD_VERSION, .kind = REC_STATUS, .stamp = 3ULL << 32 | n, .name_len = 1};
	struct wr body, bytes;
	uint8_t count = (uint8_t)drbg_below(r, 6);

	rec.name[0] = (char)('0' + drbg_below(r, 3));
	wr_init(&body, PAGE_BYTES_MAX);
	wr_u8(&body, count);
	for (uint8_t i = 0; i < count; i++)
		claim_put(&body, &(struct claim){.task = drbg_below(r, 1000),
		                         .slot = drbg_below(r, 8),
		                         .boot = 1,
		                         .state = (enum task_state)drbg_below(r, 8)});
	rec.body = body.p;
	rec.body_len = (uint32_t)body.len;
	record_sign(&rec, &w->flock, secret);
	wr_init(&bytes, RECORD_BYTES_MAX);
	record_encode(&bytes, &rec);
	load(w, &bytes);
	wr_free(&body);
}

static void of_a_peers_many_claims_to_one_slot_the_first_few_count(void **state)
{
	struct record rec = {
	        .version = RECORD_VERSION, .kind = REC_STATUS, .stamp = 3ULL << 32 | 1, .name_len = 1};
	const struct claim own[] = {{.task = 70, .slot = 5, .boot = 3}, {.task = 71, .slot = 6, .boot = 3}};
	struct wr body, bytes;
	struct world w;

	(void)state;
	world_open(&w);
	rec.name[0] = '0';
	wr_init(&body, PAGE_BYTES_MAX);
	wr_u8(&body, 10);
	for (uint8_t i = 0; i < 10; i++)
		claim_put(&body, &(struct claim){.task = 100U - i, .slot = i == 9 ? 6 : 5, .boot = 1});
	rec.body = body.p;
	rec.body_len = (uint32_t)body.len;
	record_sign(&rec, &w.flock, w.peer_secret[1]);
	wr_init(&bytes, RECORD_BYTES_MAX);
	record_encode(&bytes, &rec);
	load(&w, &bytes);
	wr_free(&body);
	for (int pass = 0; pass < 2; pass++) {
		size_t theirs = 0;

		look(&w, own, ARRAY_LEN(own));
		assert_int_equal(w.view.n_claims, SLOT_CLAIMS_MAX + 3);
		for (size_t i = 0; i < w.view.n_claims; i++) {
			const struct view_claim *c = &w.view.claims[i];

			if (c->member == w.view.self || c->c.slot != 5)
				continue;
			assert_true(c->c.task == 92 + theirs);
			theirs++;
		}
		assert_int_equal(theirs, SLOT_CLAIMS_MAX);
	}
	world_close(&w);
}

static void expect_same_claims(const struct view *a, const struct view *b)
{
	assert_int_equal(a->n_members, b->n_members);
	assert_int_equal(a->n_claims, b->n_claims);
	for (size_t i = 0; i < a->n_claims; i++) {
		assert_int_equal(a->claims[i].member, b->claims[i].member);
		assert_true(a->claims[i].c.slot == b->claims[i].c.slot);
		assert_true(a->claims[i].c.task == b->claims[i].c.task);
		assert_int_equal(a->claims[i].c.state, b->claims[i].c.state);
	}
}

/* What a viewer sees that has seen others before is what one sees that has not: of a flock of two, and of the same with a
 * third peer, in turn. */
static void claims_that_were_kept_are_those_of_the_pages(void **state)
{
	(void)state;
	for (uint8_t seed = 1; seed <= 40; seed++) {
		struct world w[2]; /* the first one's viewer sees both */
		struct drbg r;

		drbg_init_u64(&r, seed, 0);
		world_open_with(&w[0], 0);
		world_open_with(&w[1], (uint8_t)(20 + seed)); /* its key: before, between or after the others */
		for (uint64_t i = 1; i < 40; i++) {
			struct claim own[2] = {{.task = 1, .slot = drbg_below(&r, 8), .boot = 3},
			        {.task = 2, .slot = drbg_below(&r, 8), .boot = 3}};
			size_t n_own = (size_t)drbg_below(&r, 3);
			struct world *now = &w[drbg_below(&r, 4) == 0];
			struct view kept, fresh;

			for (uint64_t k = drbg_below(&r, 3); k > 0; k--)
				for (int both = 0; both < 2; both++) {
					struct drbg same;

					drbg_init_u64(&same, seed, 10 * i + k);
					add_page(&w[both], now->peer_secret[1], &same, 10 * i + k);
				}
			if (now == &w[1])
				add_page(now, now->peer_secret[2], &r, i);
			arena_free(&w[0].arena);
			viewer_build(w[0].viewer, now->g, &now->peer[0], own, n_own, 0, &w[0].arena, &kept);
			viewer_free(w[1].viewer);
			w[1].viewer = viewer_new(&now->flock);
			viewer_build(w[1].viewer, now->g, &now->peer[0], own, n_own, 0, &w[0].arena, &fresh);
			assert_int_equal(kept.n_members, now == &w[1] ? 3 : 2);
			expect_same_claims(&kept, &fresh);
		}
		world_close(&w[0]);
		world_close(&w[1]);
	}
}

/* ---- settings ---- */

/* parent: what it replaces, NULL none. */
static struct key32 add_setting(struct world *w, const char *name, const struct wr *body,
        const struct key32 *parent, const uint8_t secret[64])
{
	struct record r = {.version = RECORD_VERSION,
	        .kind = REC_SETTING,
	        .stamp = hlc_now(&w->hlc, noon.wall),
	        .body = body->p,
	        .body_len = (uint32_t)body->len,
	        .n_parents = parent ? 1 : 0,
	        .parents = parent};
	struct wr bytes;

	r.name_len = (uint8_t)snprintf(r.name, sizeof(r.name), "%s", name);
	record_sign(&r, &w->flock, secret);
	wr_init(&bytes, RECORD_BYTES_MAX);
	record_encode(&bytes, &r);
	load(w, &bytes);
	return r.id;
}

static struct key32 set_drain(
        struct world *w, int peer, bool drain, const struct key32 *parent, const uint8_t secret[64])
{
	char name[RECORD_NAME_MAX + 1];
	struct key32 id;
	struct wr body;

	wr_init(&body, SETTING_BYTES_MAX);
	drain_encode(&body, drain);
	setting_name(name, SETTING_DRAIN, key32_id(&w->peer[peer]));
	id = add_setting(w, name, &body, parent, secret);
	wr_free(&body);
	return id;
}

static const struct view_member *member(struct world *w, int peer)
{
	look(w, NULL, 0);
	for (size_t i = 0; i < w->view.n_members; i++)
		if (key32_eq(&w->view.members[i].key, &w->peer[peer]))
			return &w->view.members[i];
	fail_msg("no member %d", peer);
	return NULL;
}

static void a_peer_drains_until_it_is_resumed(void **state)
{
	struct key32 drain, stranger;
	uint8_t secret[64];
	struct world w;

	(void)state;
	world_open(&w);
	make_key(&stranger, secret, 9);
	set_drain(&w, 1, true, NULL, secret);
	assert_false(member(&w, 1)->draining); /* a stranger may not */
	drain = set_drain(&w, 1, true, NULL, w.admin_secret);
	assert_true(member(&w, 1)->draining);
	assert_false(member(&w, 0)->draining);
	set_drain(&w, 1, false, &drain, w.admin_secret);
	assert_false(member(&w, 1)->draining);
	world_close(&w);
}

static void of_settings_made_on_two_sides_of_a_split_drain_wins(void **state)
{
	(void)state;
	for (int first = 0; first < 2; first++) {
		struct world w;

		world_open(&w);
		set_drain(&w, 1, first, NULL, w.admin_secret);
		set_drain(&w, 1, !first, NULL, w.admin_secret);
		assert_true(member(&w, 1)->draining);
		world_close(&w);
	}
}

static void add_leaving_facts(struct world *w, int peer, uint32_t boot)
{
	static struct kv labels[] = {{"disk", "ssd"}, {"zone", "a"}};
	struct facts f = {.name = "kite",
	        .version = "1",
	        .arch = "amd64",
	        .os = "linux",
	        .ready = true,
	        .leaving = true,
	        .n_labels = 2,
	        .labels = labels};
	struct record r = {.version = RECORD_VERSION, .kind = REC_FACTS, .stamp = (uint64_t)boot << 32 | 1};
	struct wr body, bytes;

	wr_init(&body, BODY_BYTES_MAX);
	facts_encode(&body, &f);
	r.body = body.p;
	r.body_len = (uint32_t)body.len;
	record_sign(&r, &w->flock, w->peer_secret[peer]);
	wr_init(&bytes, RECORD_BYTES_MAX);
	record_encode(&bytes, &r);
	load(w, &bytes);
	wr_free(&body);
}

static void who_says_that_it_leaves_is_draining_in_that_run(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	add_leaving_facts(&w, 0, 2); /* this peer runs for the third time */
	assert_false(member(&w, 0)->draining);
	add_leaving_facts(&w, 0, 3);
	assert_true(member(&w, 0)->draining);
	world_close(&w);
}

static void signed_labels_lie_over_those_that_a_peer_states(void **state)
{
	const struct kv over[] = {{"disk", NULL}, {"rack", "7"}, {"zone", "b"}};
	char name[RECORD_NAME_MAX + 1];
	const struct view_member *m;
	struct world w;
	struct wr body;

	(void)state;
	world_open(&w);
	add_leaving_facts(&w, 1, 1);
	wr_init(&body, SETTING_BYTES_MAX);
	labels_encode(&body, over, ARRAY_LEN(over));
	for (int peer = 0; peer < 2; peer++) { /* nothing is known of the first */
		setting_name(name, SETTING_LABELS, key32_id(&w.peer[peer]));
		add_setting(&w, name, &body, NULL, w.admin_secret);
		m = member(&w, peer);
		assert_int_equal(m->n_labels, 2);
		assert_string_equal(m->labels[0].key, "rack");
		assert_string_equal(m->labels[1].key, "zone");
		assert_string_equal(m->labels[1].value, "b");
	}
	assert_string_equal(m->facts->labels[1].value, "a"); /* engine.labels */
	wr_free(&body);
	world_close(&w);
}

static void voters_and_the_order_to_rebalance_are_the_newest_signed(void **state)
{
	struct key32 one, two[2];
	struct world w;
	struct wr body;

	(void)state;
	world_open(&w);
	memcpy(two, w.peer, sizeof(two));
	if (key32_cmp(&two[0], &two[1]) > 0) {
		two[0] = w.peer[1];
		two[1] = w.peer[0];
	}
	look(&w, NULL, 0);
	assert_int_equal(w.view.n_voters, 0);
	assert_true(!w.view.rebalance);
	wr_init(&body, SETTING_BYTES_MAX);
	voters_encode(&body, two, 1);
	add_setting(&w, SETTING_VOTERS, &body, NULL, w.peer_secret[0]); /* no operator */
	look(&w, NULL, 0);
	assert_int_equal(w.view.n_voters, 0);
	one = add_setting(&w, SETTING_VOTERS, &body, NULL, w.admin_secret);
	wr_reset(&body);
	voters_encode(&body, two, 2);
	add_setting(&w, SETTING_VOTERS, &body, &one, w.admin_secret);
	wr_reset(&body);
	rebalance_encode(&body);
	one = add_setting(&w, SETTING_REBALANCE, &body, NULL, w.admin_secret);
	look(&w, NULL, 0);
	assert_int_equal(w.view.n_voters, 2);
	assert_memory_equal(w.view.voters, two, sizeof(two));
	assert_true(w.view.rebalance == w.hlc.last);
	/* What cannot be read is passed over. */
	wr_reset(&body);
	pk_bool(&body, true);
	add_setting(&w, SETTING_REBALANCE, &body, &one, w.admin_secret);
	look(&w, NULL, 0);
	assert_true(!w.view.rebalance);
	wr_free(&body);
	world_close(&w);
}

static void a_boot_that_does_not_say_what_it_found_is_overdue_after_a_while(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	w.now = 1000;
	assert_false(member(&w, 0)->overdue);
	assert_true(viewer_due(w.viewer) == w.now + ADOPT_WITHIN);
	w.now += ADOPT_WITHIN - 1;
	assert_false(member(&w, 0)->overdue);
	w.now++;
	assert_true(member(&w, 0)->overdue);
	assert_true(viewer_due(w.viewer) == MONO_NEVER);
	add_facts(&w, 0, "till"); /* it has */
	assert_false(member(&w, 0)->overdue);
	world_close(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(members_come_sorted_with_their_facts),
	        cmocka_unit_test(a_stack_counts_when_its_author_may_write_it),
	        cmocka_unit_test(a_body_that_comes_after_its_header_is_seen),
	        cmocka_unit_test(a_key_that_is_granted_a_role_brings_its_stacks),
	        cmocka_unit_test(news_is_what_arrived_live),
	        cmocka_unit_test(names_follow_serving_claims),
	        cmocka_unit_test(the_hash_of_names_tells_zones_apart),
	        cmocka_unit_test(a_claim_finds_its_slot),
	        cmocka_unit_test(of_a_peers_many_claims_to_one_slot_the_first_few_count),
	        cmocka_unit_test(claims_that_were_kept_are_those_of_the_pages),
	        cmocka_unit_test(a_peer_drains_until_it_is_resumed),
	        cmocka_unit_test(of_settings_made_on_two_sides_of_a_split_drain_wins),
	        cmocka_unit_test(who_says_that_it_leaves_is_draining_in_that_run),
	        cmocka_unit_test(signed_labels_lie_over_those_that_a_peer_states),
	        cmocka_unit_test(voters_and_the_order_to_rebalance_are_the_newest_signed),
	        cmocka_unit_test(a_boot_that_does_not_say_what_it_found_is_overdue_after_a_while),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
