/*
 * Disks. A write takes its time; until it is acknowledged nobody may count on it, and a power cut decides what became
 * of it: there, not there, or there in part. What a host says of itself is kept without sync, so a power cut may
 * take that too.
 */
#include "tests/sim/sim_core.h"
#include "tests/sim/sim_work.h"

/* A write that was asked for: its record may or may not be on the disk. */
struct write {
	struct list at;
	uint64_t number;
	struct key32 id;
	struct sim_blob *blob;
};

struct sim_image {
	struct sim_disk disk;
	uint32_t boot;
};

static struct sim_blob *blob_new(const void *bytes, size_t len)
{
	struct sim_blob *b = xmalloc(sizeof(*b) + len);

	b->len = len;
	memcpy(b->bytes, bytes, len);
	return b;
}

void sim_disk_put(struct map *m, const struct key32 *key, const uint8_t *bytes, size_t len)
{
	free(map_put(m, key, blob_new(bytes, len)));
}

void sim_disk_init(struct sim_disk *d, unsigned peers)
{
	map_init(&d->records, sizeof(struct key32), NULL);
	map_init(&d->gone, sizeof(struct key32), NULL);
	map_init(&d->own, sizeof(struct key32), NULL);
	map_init(&d->moved, sizeof(uint32_t), NULL);
	d->known = xcalloc((peers + 7) / 8, 1);
	list_init(&d->writes);
	d->ms_max = 3;
}

static void map_clear(struct map *m)
{
	map_each (m, value)
		free(value);
	map_free(m);
}

static void write_free(struct write *w)
{
	list_remove(&w->at);
	free(w->blob);
	free(w);
}

static void contents_free(struct sim_disk *d)
{
	map_clear(&d->records);
	map_clear(&d->own);
	map_clear(&d->moved);
	map_free(&d->gone);
	free(d->known);
	d->known = NULL;
}

void sim_disk_free(struct sim_disk *d)
{
	list_each (&d->writes, i)
		write_free(list_entry(i, struct write, at));
	contents_free(d);
}

/* Writes. */

static int64_t write_ms(struct sim *s, const struct sim_disk *d)
{
	int64_t max = sim_chance(s, d->slow) ? d->slow_ms : d->ms_max;

	return 1 + (int64_t)drbg_below(&s->rng, (uint64_t)max);
}

void sim_disk_write(struct sim *s, unsigned peer, const struct gossip_action *a)
{
	struct sim_disk *d = &s->peer[peer].disk;
	struct write *w = xcalloc(1, sizeof(*w));

	w->number = ++s->writes;
	w->id = a->id;
	w->blob = blob_new(a->bytes, a->len);
	list_push_back(&d->writes, &w->at);
	sim_at(s, s->now + write_ms(s, d), peer, EV_WRITTEN, w->number, 0, a->bytes, a->len);
}

static struct write *write_of(struct sim_disk *d, uint64_t number)
{
	list_each (&d->writes, i)
		if (list_entry(i, struct write, at)->number == number)
			return list_entry(i, struct write, at);
	return NULL;
}

void on_written(struct sim *s, unsigned peer, uint64_t number, uint64_t b, const uint8_t *bytes, size_t len)
{
	struct sim_peer *p = &s->peer[peer];
	struct write *w = write_of(&p->disk, number);
	struct key32 id;
	bool ok;

	(void)b, (void)bytes, (void)len;
	if (!w)
		return;
	if (sim_chance(s, p->disk.sync_error)) {
		/* What is on a disk after a failed sync is anybody's guess: the agent stops, as in production. */
		p->disk.stopped = true;
		sim_kill(s, peer);
		return;
	}
	id = w->id;
	ok = !p->disk.full && !sim_chance(s, p->disk.write_error);
	if (ok)
		sim_disk_put(&p->disk.records, &id, w->blob->bytes, w->blob->len);
	write_free(w);
	gossip_on_disk(p->gossip, &id, ok, sim_peer_now(s, peer));
	sim_drain(s, peer);
}

static const struct wr *base_of(const struct sim *s, const struct sim_disk *d, const struct key32 *id)
{
	for (unsigned i = 0; i < d->base; i++) {
		struct record r;

		if (record_decode(&r, s->trust[i].p, s->trust[i].len, NULL) == 0 && key32_eq(&r.id, id))
			return &s->trust[i];
	}
	return NULL;
}

void sim_disk_forget(struct sim *s, unsigned peer, const struct key32 *id)
{
	struct sim_disk *d = &s->peer[peer].disk;
	struct sim_blob *b = map_del(&d->records, id);

	if (!b && base_of(s, d, id))
		map_put(&d->gone, id, d);
	free(b);
}

/* What became of the writes that nobody was told of. */
void sim_disk_agent_gone(struct sim *s, unsigned peer, bool power)
{
	struct sim_disk *d = &s->peer[peer].disk;

	list_each (&d->writes, i) {
		struct write *w = list_entry(i, struct write, at);

		/* The kernel finishes what a killed process wrote; a power cut may stop in the midst of it. */
		switch (drbg_below(&s->rng, power ? 3 : 2)) {
		case 0:
			break;
		case 1:
			if (!d->full)
				sim_disk_put(&d->records, &w->id, w->blob->bytes, w->blob->len);
			break;
		case 2:
			if (d->full || map_get(&d->records, &w->id))
				break; /* a journal keeps what was there before */
			d->torn++;
			sim_disk_put(&d->records, &w->id, w->blob->bytes, drbg_below(&s->rng, w->blob->len));
			break;
		}
		write_free(w);
	}
	if (power && sim_chance(s, 50))
		map_clear(&d->own);
}

bool sim_on_disk(const struct sim *s, unsigned peer, const struct key32 *id)
{
	const struct sim_disk *d = &s->peer[peer].disk;
	const struct sim_blob *b = map_get(&d->records, id);
	struct record r;

	if (b)
		return record_decode(&r, b->bytes, b->len, NULL) == 0;
	return !map_get(&d->gone, id) && base_of(s, d, id);
}

/* Of larger flocks each acceptance would take a look at each disk. */
#define CHECKED_MAX 64
/* A disk that was lost since it acknowledged the record held it all the same. */
#define ACCEPTED_MS SECONDS(10)

void sim_disk_check(struct sim *s, const struct key32 *id, unsigned copies)
{
	unsigned there = 0;

	if (s->n > CHECKED_MAX || (s->disk_lost_at && s->now - s->disk_lost_at < ACCEPTED_MS))
		return;
	for (unsigned i = 0; i < s->n; i++)
		there += sim_on_disk(s, i, id);
	EXPECT(s, there >= copies);
}

/* Addresses. */

void sim_disk_knows(struct sim *s, unsigned peer, unsigned other, const struct addr *addr)
{
	struct sim_disk *d = &s->peer[peer].disk;
	struct addr first = {.family = 4, .port = 7827, .ip = {10, 0, (uint8_t)(other >> 8), (uint8_t)other}};
	uint32_t key = other;

	d->known[other / 8] |= (uint8_t)(1 << other % 8);
	if (addr_eq(addr, &first)) {
		if (d->moved.len)
			free(map_del(&d->moved, &key));
	} else {
		free(map_put(&d->moved, &key, xmemdup(addr, sizeof(*addr))));
	}
}

static void load_addresses(struct sim *s, unsigned peer)
{
	const struct sim_disk *d = &s->peer[peer].disk;

	for (uint32_t i = 0; i < s->n; i++) {
		struct addr first = {.family = 4, .port = 7827, .ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}};
		const struct addr *addr = map_get(&d->moved, &i);

		if (d->known[i / 8] >> i % 8 & 1)
			gossip_load_addr(s->peer[peer].gossip, &s->peer[i].key, addr ? addr : &first);
	}
}

/* Starting. */

static void load(struct sim_peer *p, const struct map *m)
{
	/* Any order must do; the map's own is as good as another, and the same for the same seed. */
	map_each (m, value) {
		const struct sim_blob *b = value;

		if (gossip_load(p->gossip, b->bytes, b->len, NULL) < 0)
			p->disk.refused++;
	}
}

void sim_disk_load(struct sim *s, unsigned peer)
{
	struct sim_peer *p = &s->peer[peer];
	const struct sim_disk *d = &p->disk;

	for (unsigned i = 0; i < d->base; i++) {
		struct record r;

		if (d->gone.len && record_decode(&r, s->trust[i].p, s->trust[i].len, NULL) == 0 &&
		        map_get(&d->gone, &r.id))
			continue;
		gossip_load(p->gossip, s->trust[i].p, s->trust[i].len, NULL);
	}
	load(p, &d->records);
	load(p, &d->own);
	load_addresses(s, peer);
}

/* Images. */

static void copy(struct map *to, const struct map *from, size_t len)
{
	size_t at = 0;
	const void *key;
	void *value;

	map_init(to, from->key_len, NULL);
	while ((value = map_next(from, &at, &key))) {
		const struct sim_blob *b = value;

		map_put(to, key, len ? xmemdup(value, len) : blob_new(b->bytes, b->len));
	}
}

static void copy_contents(struct sim_disk *to, const struct sim_disk *from, unsigned peers)
{
	size_t at = 0;
	const void *key;

	to->base = from->base;
	copy(&to->records, &from->records, 0);
	copy(&to->own, &from->own, 0);
	copy(&to->moved, &from->moved, sizeof(struct addr));
	map_init(&to->gone, sizeof(struct key32), NULL);
	while (map_next(&from->gone, &at, &key))
		map_put(&to->gone, key, to);
	to->known = xmemdup(from->known, (peers + 7) / 8);
}

struct sim_image *sim_disk_image(const struct sim *s, unsigned peer)
{
	struct sim_image *image = xcalloc(1, sizeof(*image));

	copy_contents(&image->disk, &s->peer[peer].disk, s->n);
	image->boot = s->peer[peer].boot;
	return image;
}

void sim_disk_restore(struct sim *s, unsigned peer, const struct sim_image *image)
{
	struct sim_disk *d = &s->peer[peer].disk;

	s->disk_lost_at = s->now;
	contents_free(d);
	copy_contents(d, &image->disk, s->n);
	s->peer[peer].boot = image->boot;
}

void sim_image_free(struct sim_image *image)
{
	contents_free(&image->disk);
	free(image);
}

void sim_disk_lose(struct sim *s, unsigned peer)
{
	struct sim_peer *p = &s->peer[peer];
	struct sim_disk *d = &p->disk;
	const struct wr *own = &s->trust[2 + peer];
	uint8_t *known = xmemdup(d->known, (s->n + 7) / 8);
	struct record r;

	s->disk_lost_at = s->now;
	sim_work_disk_lost(s, peer);
	contents_free(d);
	map_init(&d->records, sizeof(struct key32), NULL);
	map_init(&d->gone, sizeof(struct key32), NULL);
	map_init(&d->own, sizeof(struct key32), NULL);
	map_init(&d->moved, sizeof(uint32_t), NULL);
	/* Trust records come back with a token, and so do addresses. */
	d->known = known;
	if (record_decode(&r, own->p, own->len, NULL) == 0)
		sim_disk_put(&d->records, &r.id, own->p, own->len);
	p->boot = 0;
}
