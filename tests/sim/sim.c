/* The engine: events, hosts, disks. */
#include "tests/sim/sim.h"

#include <sodium.h>

/* Unix ms at the start of every simulation: any fixed date. */
#define WALL_START INT64_C(1790000000000)

struct sim_event {
	mono_ms at;
	uint64_t order;
	unsigned peer, run;
	sim_event_fn *fn;
	uint64_t a, b;
	size_t len;
	uint8_t bytes[];
};

/* Heap of events by (time, order of making). */

static bool before(const struct sim_event *x, const struct sim_event *y)
{
	return x->at != y->at ? x->at < y->at : x->order < y->order;
}

static void push(struct sim *s, struct sim_event *e)
{
	size_t i = s->heap_len++;

	if (s->heap_len > s->heap_cap) {
		s->heap_cap = s->heap_cap ? s->heap_cap * 2 : 1024;
		s->heap = xrealloc(s->heap, s->heap_cap * sizeof(*s->heap));
	}
	while (i && before(e, s->heap[(i - 1) / 2])) {
		s->heap[i] = s->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	s->heap[i] = e;
}

static struct sim_event *pop(struct sim *s)
{
	struct sim_event *top = s->heap[0], *last = s->heap[--s->heap_len];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= s->heap_len)
			break;
		if (child + 1 < s->heap_len && before(s->heap[child + 1], s->heap[child]))
			child++;
		if (!before(s->heap[child], last))
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = last;
	return top;
}

void sim_at(struct sim *s, mono_ms at, unsigned peer, sim_event_fn *fn, uint64_t a, uint64_t b, const void *bytes,
        size_t len)
{
	struct sim_event *e = xmalloc(sizeof(*e) + len);

	*e = (struct sim_event){.at = MAX(at, s->now),
	        .order = s->order++,
	        .peer = peer,
	        .run = s->peer[peer].runs,
	        .fn = fn,
	        .a = a,
	        .b = b,
	        .len = len};
	if (len)
		memcpy(e->bytes, bytes, len);
	push(s, e);
}

bool sim_step(struct sim *s, mono_ms until)
{
	struct sim_event *e;
	struct sim_peer *p;

	if (!s->heap_len || s->heap[0]->at > until) {
		s->now = until;
		return false;
	}
	e = pop(s);
	s->now = e->at;
	s->events++;
	p = &s->peer[e->peer];
	if (e->run != p->runs) {
		free(e);
		return true;
	}
	if (p->frozen_until > s->now) {
		/* It will find all this when it wakes. */
		e->at = p->frozen_until;
		e->order = s->order++;
		push(s, e);
		return true;
	}
	e->fn(s, e->peer, e->a, e->b, e->bytes, e->len);
	free(e);
	return true;
}

void sim_advance(struct sim *s, mono_ms until)
{
	mono_ms end = MIN(until, s->now + (s->n > 50 ? 20 : 1));

	while (sim_step(s, end))
		;
}

void sim_run(struct sim *s, int64_t ms)
{
	mono_ms until = s->now + ms;

	while (sim_step(s, until))
		;
}

struct now sim_peer_now(const struct sim *s, unsigned peer)
{
	const struct sim_peer *p = &s->peer[peer];

	return (struct now){.mono = p->clock + s->now, .wall = WALL_START + s->now + p->skew};
}

/* Disk. */

static void disk_free(struct map *m)
{
	map_each (m, value) {
		struct sim_disk_record *d = value;

		free(d->bytes);
		free(d);
	}
	map_free(m);
}

static void disk_put(struct map *m, const struct key32 *key, const uint8_t *bytes, size_t len)
{
	struct sim_disk_record *d = xcalloc(1, sizeof(*d)), *old;

	d->bytes = xmemdup(bytes, len);
	d->len = len;
	old = map_put(m, key, d);
	if (old) {
		free(old->bytes);
		free(old);
	}
}

static void on_written(struct sim *s, unsigned peer, uint64_t a, uint64_t b, const uint8_t *bytes, size_t len)
{
	struct sim_peer *p = &s->peer[peer];
	struct key32 id;
	bool ok = !p->disk_full;

	(void)a;
	(void)b;
	memcpy(id.b, bytes, sizeof(id.b));
	if (ok)
		disk_put(&p->disk, &id, bytes + sizeof(id.b), len - sizeof(id.b));
	gossip_on_disk(p->gossip, &id, ok, sim_peer_now(s, peer));
	sim_drain(s, peer);
}

static void disk_write(struct sim *s, unsigned peer, const struct gossip_action *a)
{
	uint8_t *buf = xmalloc(sizeof(a->id) + a->len);

	memcpy(buf, a->id.b, sizeof(a->id.b));
	memcpy(buf + sizeof(a->id.b), a->bytes, a->len);
	sim_at(s, s->now + 1 + (int64_t)drbg_below(&s->rng, (uint64_t)s->peer[peer].disk_ms), peer, on_written, 0,
	        0, buf, sizeof(a->id) + a->len);
	free(buf);
}

/* A host keeps its own status over restarts, and where it last met the others. */
static void keep(struct sim *s, unsigned peer, const struct gossip_action *a)
{
	struct sim_peer *p = &s->peer[peer];
	struct member m;

	if (a->kind == GOSSIP_RECORD) {
		const struct stored *r = store_get(gossip_store(p->gossip), &a->id);

		if (r && record_is_volatile(r->rec.kind) && key32_eq(&r->rec.author, &p->key))
			disk_put(&p->own, &r->rec.key, r->bytes, r->len);
	} else if (gossip_member(p->gossip, &a->peer, &m)) {
		if (m.addr.family && !key32_eq(&a->peer, &p->key))
			free(map_put(&p->addresses, &a->peer, xmemdup(&m.addr, sizeof(m.addr))));
		if (m.state == MEMBER_DEAD && m.incarnation)
			p->deaths_seen++;
	}
}

static void carry_out(struct sim *s, unsigned peer, const struct gossip_action *a)
{
	struct sim_peer *p = &s->peer[peer];

	switch (a->kind) {
	case GOSSIP_PACKET:
		sim_net_packet(s, peer, &a->addr, a->bytes, a->len);
		break;
	case GOSSIP_CONNECT:
		sim_net_connect(s, peer, a->stream, &a->addr, &a->peer);
		break;
	case GOSSIP_FRAME:
		sim_net_frame(s, peer, a->stream, a->bytes, a->len);
		break;
	case GOSSIP_CLOSE:
		sim_net_close(s, peer, a->stream);
		break;
	case GOSSIP_PERSIST:
		disk_write(s, peer, a);
		break;
	case GOSSIP_FORGET: {
		struct sim_disk_record *d = map_del(&p->disk, &a->id);

		if (d)
			free(d->bytes);
		free(d);
		break;
	}
	case GOSSIP_MEMBER:
	case GOSSIP_RECORD:
		keep(s, peer, a);
		break;
	case GOSSIP_ACCEPTED:
		map_put(&s->accepted, &a->ticket,
		        (void *)(uintptr_t)(UINT64_C(1) << 16 | a->copies << 8 | a->wanted));
		break;
	case GOSSIP_BOOT:
		p->boot = (uint32_t)a->ticket;
		break;
	case GOSSIP_FENCED:
		break;
	}
	if (s->opt.app && s->opt.app->action)
		s->opt.app->action(s, peer, p->app, a);
}

static void on_tick(struct sim *s, unsigned peer, uint64_t a, uint64_t b, const uint8_t *bytes, size_t len)
{
	struct sim_peer *p = &s->peer[peer];

	(void)b;
	(void)bytes;
	(void)len;
	if (a != p->alarm)
		return; /* another, earlier one has been armed since */
	p->armed = MONO_NEVER;
	gossip_tick(p->gossip, sim_peer_now(s, peer));
	sim_drain(s, peer);
}

void sim_drain(struct sim *s, unsigned peer)
{
	struct sim_peer *p = &s->peer[peer];
	const struct sim_app *app = s->opt.app;
	struct gossip_action a;
	mono_ms wake;

	while (gossip_next(p->gossip, &a))
		carry_out(s, peer, &a);
	if (app && app->run) {
		app->run(s, peer, p->app);
		while (gossip_next(p->gossip, &a))
			carry_out(s, peer, &a);
	}
	wake = gossip_wake(p->gossip);
	if (app && app->wake)
		wake = MIN(wake, app->wake(s, peer, p->app));
	if (wake == MONO_NEVER)
		return;
	wake = MAX(wake - p->clock, s->now + 1);
	if (wake < p->armed) {
		p->armed = wake;
		sim_at(s, wake, peer, on_tick, ++p->alarm, 0, NULL, 0);
	}
}

/* Hosts. */

static void set_addr(struct sim *s, unsigned i, unsigned generation)
{
	s->peer[i].addr = (struct addr){
	        .family = 4, .port = 7827, .ip = {10, (uint8_t)generation, (uint8_t)(i >> 8), (uint8_t)i}};
}

static void load(struct gossip *g, struct map *m)
{
	/* Any order must do; the map's own is as good as another, and the same for the same seed. */
	map_each (m, value) {
		struct sim_disk_record *d = value;

		gossip_load(g, d->bytes, d->len, NULL);
	}
}

void sim_start(struct sim *s, unsigned i)
{
	struct sim_peer *p = &s->peer[i];
	struct gossip_config cfg = {.key = p->key,
	        .flock = s->flock,
	        .boot = ++p->boot,
	        .profile = s->opt.profile,
	        .advertise = p->addr,
	        .plain = !s->opt.sealed};
	const void *key;
	size_t at = 0;
	void *addr;

	p->runs++;
	p->host_down = false;
	p->frozen_until = 0;
	p->armed = MONO_NEVER;
	memcpy(cfg.secret, p->secret, sizeof(cfg.secret));
	drbg_bytes(&s->rng, cfg.boot_id, sizeof(cfg.boot_id));
	drbg_bytes(&s->rng, cfg.seed, sizeof(cfg.seed));
	p->clock = (mono_ms)drbg_below(&s->rng, 100000000) - s->now;
	if (p->clock + s->now < 1000)
		p->clock += 1000;
	p->gossip = gossip_new(&cfg);
	load(p->gossip, &p->disk);
	load(p->gossip, &p->own);
	while ((addr = map_next(&p->addresses, &at, &key)))
		gossip_load_addr(p->gossip, key, addr);
	gossip_start(p->gossip, sim_peer_now(s, i));
	if (s->opt.app && s->opt.app->start)
		p->app = s->opt.app->start(s, i, p->app);
	sim_drain(s, i);
}

void sim_kill(struct sim *s, unsigned i)
{
	struct sim_peer *p = &s->peer[i];

	if (!p->gossip)
		return;
	p->runs++;
	sim_net_agent_gone(s, i);
	gossip_free(p->gossip);
	p->gossip = NULL;
}

void sim_crash(struct sim *s, unsigned i)
{
	s->peer[i].host_down = true;
	sim_kill(s, i);
}

void sim_unplug(struct sim *s, unsigned i)
{
	s->peer[i].host_down = true;
}

void sim_plug(struct sim *s, unsigned i)
{
	s->peer[i].host_down = false;
}

void sim_freeze(struct sim *s, unsigned i, int64_t ms)
{
	s->peer[i].frozen_until = s->now + ms;
}

void sim_move(struct sim *s, unsigned i)
{
	struct sim_peer *p = &s->peer[i];

	set_addr(s, i, p->addr.ip[1] + 1u);
	if (!p->gossip)
		return;
	gossip_set_advertise(p->gossip, &p->addr, sim_peer_now(s, i));
	sim_drain(s, i);
}

static void on_left(struct sim *s, unsigned peer, uint64_t a, uint64_t b, const uint8_t *bytes, size_t len)
{
	(void)a;
	(void)b;
	(void)bytes;
	(void)len;
	sim_kill(s, peer);
}

void sim_leave(struct sim *s, unsigned i)
{
	gossip_leave(s->peer[i].gossip, sim_peer_now(s, i));
	sim_at(s, s->now + SECONDS(1), i, on_left, 0, 0, NULL, 0);
	sim_drain(s, i);
}

void sim_split(struct sim *s, const char *sides)
{
	unsigned group = 0;

	for (unsigned i = 0; i < s->n; i++)
		s->peer[i].group = 0;
	while (*sides) {
		char *end;
		unsigned long i = strtoul(sides, &end, 10);

		if (end != sides && i < s->n)
			s->peer[i].group = group;
		else if (*sides == '|')
			group++;
		sides = end != sides ? end : sides + 1;
	}
	s->split = true;
}

void sim_heal(struct sim *s)
{
	s->split = false;
}

void sim_knows(struct sim *s, unsigned peer, unsigned other)
{
	struct sim_peer *p = &s->peer[peer];
	const struct sim_peer *o = &s->peer[other];

	free(map_put(&p->addresses, &o->key, xmemdup(&o->addr, sizeof(o->addr))));
	if (!p->gossip)
		return;
	gossip_load_addr(p->gossip, &o->key, &o->addr);
	sim_drain(s, peer);
}

/* The flock: who is admitted, and what each disk holds at first. */

static void keys(struct sim *s, struct key32 *pub, uint8_t secret[64])
{
	uint8_t seed[32];

	drbg_bytes(&s->rng, seed, sizeof(seed));
	crypto_sign_seed_keypair(pub->b, secret, seed);
}

static void disk_trust(struct sim *s, unsigned i, unsigned from, unsigned to)
{
	for (unsigned k = from; k < to; k++) {
		struct record r;

		record_decode(&r, s->trust[k].p, s->trust[k].len, NULL);
		disk_put(&s->peer[i].disk, &r.id, s->trust[k].p, s->trust[k].len);
	}
}

static void found(struct sim *s)
{
	struct key32 pub;
	struct grant grant = {.role = ROLE_ADMIN, .powers = POWER_ALL, .name = "admin"};

	keys(s, &pub, s->root);
	wr_init(&s->trust[0], RECORD_BYTES_MAX);
	trust_make_genesis(&s->trust[0], "sim", WALL_START, s->root, &s->flock);
	keys(s, &grant.operator_key, s->admin);
	wr_init(&s->trust[1], RECORD_BYTES_MAX);
	trust_make_grant(&s->trust[1], &s->flock, &grant, (uint64_t)WALL_START << 16, NULL, 0, s->root);
	for (unsigned i = 0; i < s->n; i++) {
		struct sim_peer *p = &s->peer[i];
		struct admission a;

		keys(s, &p->key, p->secret);
		trust_vouch_first(&a, &s->flock, &p->key, s->admin);
		wr_init(&s->trust[2 + i], RECORD_BYTES_MAX);
		trust_make_admission(
		        &s->trust[2 + i], &s->flock, &a, ((uint64_t)WALL_START << 16) + i + 1, p->secret);
	}
}

struct sim *sim_new(const char *name, uint64_t seed, const struct sim_options *opt)
{
	struct sim *s = xcalloc(1, sizeof(*s));
	unsigned joined;

	s->name = name;
	s->seed = seed;
	s->opt = *opt;
	s->n = opt->peers;
	s->loss = opt->loss;
	s->delay_max = 1;
	s->no_udp[0] = s->no_udp[1] = -1;
	drbg_init_u64(&s->rng, seed, 0);
	map_init(&s->streams, sizeof(uint64_t), NULL);
	map_init(&s->accepted, sizeof(uint64_t), NULL);
	found(s);
	joined = opt->joined ? opt->joined : s->n;
	for (unsigned i = 0; i < s->n; i++) {
		struct sim_peer *p = &s->peer[i];

		p->disk_ms = 3;
		set_addr(s, i, 0);
		map_init(&p->disk, sizeof(struct key32), NULL);
		map_init(&p->own, sizeof(struct key32), NULL);
		map_init(&p->addresses, sizeof(struct key32), NULL);
		/* Whoever joins brings its own admission, and knows those who were there. */
		disk_trust(s, i, 0, 2 + joined);
		if (i >= joined)
			disk_trust(s, i, 2 + i, 3 + i);
	}
	for (unsigned i = 0; i < joined; i++)
		for (unsigned k = 0; k < joined; k++)
			if (k != i)
				sim_knows(s, i, k);
	for (unsigned i = 0; i < joined && !opt->later; i++)
		sim_start(s, i);
	return s;
}

void sim_free(struct sim *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct sim_peer *p = &s->peer[i];

		sim_kill(s, i);
		if (s->opt.app && s->opt.app->gone)
			s->opt.app->gone(s, i, p->app);
		disk_free(&p->disk);
		disk_free(&p->own);
		map_each (&p->addresses, addr)
			free(addr);
		map_free(&p->addresses);
	}
	for (unsigned i = 0; i < s->n + 2; i++)
		wr_free(&s->trust[i]);
	for (size_t i = 0; i < s->heap_len; i++)
		free(s->heap[i]);
	free(s->heap);
	map_each (&s->streams, stream)
		free(stream);
	map_free(&s->streams);
	map_free(&s->accepted);
	free(s);
}
