/* The flock at the beginning: who is admitted, and what each disk holds. */
#include "tests/sim/sim_core.h"

#include "base/hash.h"
#include "tests/sim/sim_work.h"

#include <sodium.h>

static void keys(struct sim *s, struct key32 *pub, uint8_t secret[64])
{
	uint8_t seed[32];

	drbg_bytes(&s->rng, seed, sizeof(seed));
	crypto_sign_seed_keypair(pub->b, secret, seed);
}

static void admit(struct sim *s, unsigned i)
{
	struct sim_peer *p = &s->peer[i];
	struct admission a;
	id64 id;

	keys(s, &p->key, p->secret);
	trust_vouch_first(&a, &s->flock, &p->key, s->admin);
	wr_init(&s->trust[2 + i], RECORD_BYTES_MAX);
	trust_make_admission(
	        &s->trust[2 + i], &s->flock, &a, ((uint64_t)SIM_WALL_START << 16) + i + 1, p->secret);
	id = key32_id(&p->key);
	map_put(&s->by_key, &p->key, (void *)(uintptr_t)(i + 1));
	map_put(&s->by_id, &id, (void *)(uintptr_t)(i + 1));
}

static void found(struct sim *s)
{
	struct key32 pub;
	struct grant grant = {.role = ROLE_ADMIN, .powers = POWER_ALL, .name = "admin"};

	s->trust = xcalloc(2 + s->n, sizeof(*s->trust));
	keys(s, &pub, s->root);
	wr_init(&s->trust[0], RECORD_BYTES_MAX);
	trust_make_genesis(&s->trust[0], "sim", SIM_WALL_START, s->root, &s->flock);
	keys(s, &grant.operator_key, s->admin);
	wr_init(&s->trust[1], RECORD_BYTES_MAX);
	trust_make_grant(&s->trust[1], &s->flock, &grant, (uint64_t)SIM_WALL_START << 16, NULL, 0, s->root);
	for (unsigned i = 0; i < s->n; i++)
		admit(s, i);
}

static void set_up(struct sim *s, unsigned i, unsigned joined)
{
	struct sim_peer *p = &s->peer[i];
	const struct wr *own = &s->trust[2 + i];
	struct record r;

	p->clone_of = -1;
	p->addr = (struct addr){.family = 4, .port = 7827, .ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}};
	p->said = xcalloc((s->n + 3) / 4, 1);
	list_init(&p->pipes);
	map_init(&p->nat.holes, SIM_ADDR_KEY, NULL);
	sim_net_own(s, i, &p->addr);
	sim_disk_init(&p->disk, s->n);
	/* Whoever joins brings its own admission, and knows those who were there. */
	p->disk.base = 2 + joined;
	if (i < joined) {
		for (unsigned k = 0; k < joined; k++)
			if (k != i)
				p->disk.known[k / 8] |= (uint8_t)(1 << k % 8);
	} else if (record_decode(&r, own->p, own->len, NULL) == 0) {
		sim_disk_put(&p->disk.records, &r.id, own->p, own->len);
	}
}

struct sim *sim_new(const char *name, uint64_t seed, const struct sim_options *opt)
{
	struct sim *s = xcalloc(1, sizeof(*s));
	unsigned joined;

	s->name = name;
	s->seed = seed;
	s->opt = *opt;
	s->n = MIN(opt->peers, (unsigned)SIM_PEERS_MAX);
	s->net = (struct sim_link){.loss = opt->loss, .delay_max = 1};
	s->answering.peer = -1;
	s->peer = xcalloc(s->n, sizeof(*s->peer));
	s->seen = xcalloc(s->n, sizeof(*s->seen));
	drbg_init_u64(&s->rng, seed, 0);
	map_init(&s->links, 8, NULL);
	map_init(&s->by_key, sizeof(struct key32), NULL);
	map_init(&s->by_id, sizeof(id64), NULL);
	map_init(&s->by_addr, SIM_ADDR_KEY, NULL);
	map_init(&s->strangers, SIM_ADDR_KEY, NULL);
	map_init(&s->pipes, sizeof(uint64_t), NULL);
	map_init(&s->ends, 12, NULL);
	map_init(&s->accepted, sizeof(uint64_t), NULL);
	found(s);
	sim_work_init(s);
	joined = opt->joined ? opt->joined : s->n;
	for (unsigned i = 0; i < s->n; i++)
		set_up(s, i, joined);
	for (unsigned i = 0; i < joined && !opt->later; i++)
		sim_start(s, i);
	return s;
}

void sim_clone(struct sim *s, unsigned peer, unsigned of)
{
	struct sim_image *image = sim_disk_image(s, of);

	sim_disk_restore(s, peer, image);
	sim_image_free(image);
	s->peer[peer].key = s->peer[of].key;
	memcpy(s->peer[peer].secret, s->peer[of].secret, sizeof(s->peer[of].secret));
	s->peer[peer].clone_of = (int)of;
}

void sim_free(struct sim *s)
{
	for (unsigned i = 0; i < s->n; i++)
		sim_kill(s, i);
	sim_work_free(s);
	sim_net_free(s);
	for (unsigned i = 0; i < s->n; i++) {
		struct sim_peer *p = &s->peer[i];

		sim_disk_free(&p->disk);
		map_each (&p->nat.holes, hole)
			free(hole);
		map_free(&p->nat.holes);
		sim_liar_free(p->liar);
		free(p->said);
		wr_free(&s->trust[2 + i]);
	}
	wr_free(&s->trust[0]);
	wr_free(&s->trust[1]);
	for (size_t i = 0; i < s->heap_len; i++)
		free(s->heap[i]);
	free(s->heap);
	map_each (&s->links, link)
		free(link);
	map_each (&s->strangers, stranger)
		free(stranger);
	map_free(&s->links);
	map_free(&s->strangers);
	map_free(&s->by_key);
	map_free(&s->by_id);
	map_free(&s->by_addr);
	map_free(&s->accepted);
	free(s->trust);
	free(s->seen);
	free(s->peer);
	free(s);
}
