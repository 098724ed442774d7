/* The network: who has which address, what each link does to what passes, and NAT. */
#include "tests/sim/sim_core.h"

/* Addresses. Each that a peer ever had stays its own, so that words to an old one go to nobody else. */

struct sim_addr_key sim_addr_key(const struct addr *a)
{
	struct sim_addr_key key = {{a->family, (uint8_t)(a->port >> 8), (uint8_t)a->port}};

	memcpy(key.b + 3, a->ip, sizeof(a->ip));
	return key;
}

void sim_net_own(struct sim *s, unsigned peer, const struct addr *a)
{
	struct sim_addr_key key = sim_addr_key(a);

	map_put(&s->by_addr, &key, (void *)(uintptr_t)(peer + 1));
}

static int owner(const struct sim *s, const struct addr *a)
{
	struct sim_addr_key key = sim_addr_key(a);

	return (int)(uintptr_t)map_get(&s->by_addr, &key) - 1;
}

struct sim_stranger *sim_stranger(struct sim *s, const struct addr *a)
{
	struct sim_addr_key key = sim_addr_key(a);
	struct sim_stranger *stranger;

	if (owner(s, a) >= 0)
		return NULL;
	stranger = map_get(&s->strangers, &key);
	if (!stranger) {
		stranger = xcalloc(1, sizeof(*stranger));
		map_put(&s->strangers, &key, stranger);
	}
	return stranger;
}

uint64_t sim_sent_to_stranger(struct sim *s, const struct addr *to)
{
	const struct sim_stranger *stranger = sim_stranger(s, to);

	return stranger ? stranger->out : 0;
}

/* NAT. */

void sim_nat(struct sim *s, unsigned peer, int64_t lifetime_ms)
{
	struct sim_nat *nat = &s->peer[peer].nat;

	nat->on = lifetime_ms > 0;
	nat->lifetime_ms = lifetime_ms;
	sim_nat_drop(s, peer);
}

void sim_nat_drop(struct sim *s, unsigned peer)
{
	struct sim_nat *nat = &s->peer[peer].nat;
	struct map *holes = &nat->holes;

	(void)s;
	map_each (holes, hole)
		free(hole);
	map_free(holes);
	nat->external = (struct addr){0};
}

/* The mapping, made anew if it was forgotten. */
static void nat_map(struct sim *s, unsigned peer)
{
	struct sim_nat *nat = &s->peer[peer].nat;

	if (nat->external.family && s->now - nat->last > nat->lifetime_ms)
		sim_nat_drop(s, peer);
	nat->last = s->now;
	if (nat->external.family)
		return;
	nat->external = (struct addr){.family = 4,
	        .port = (uint16_t)(40000 + nat->mappings++ % 20000),
	        .ip = {100, 64, (uint8_t)(peer >> 8), (uint8_t)peer}};
	sim_net_own(s, peer, &nat->external);
}

struct addr sim_net_source(struct sim *s, unsigned from, const struct addr *to)
{
	struct sim_nat *nat = &s->peer[from].nat;
	struct sim_addr_key key = sim_addr_key(to);

	if (!nat->on)
		return s->peer[from].addr;
	nat_map(s, from);
	free(map_put(&nat->holes, &key, xmemdup(&s->now, sizeof(s->now))));
	return nat->external;
}

bool sim_nat_lets_in(const struct sim *s, unsigned peer, const struct addr *source)
{
	const struct sim_nat *nat = &s->peer[peer].nat;
	struct sim_addr_key key = sim_addr_key(source);
	const mono_ms *sent;

	if (!nat->on)
		return true;
	sent = map_get(&nat->holes, &key);
	return sent && s->now - *sent <= nat->lifetime_ms;
}

int sim_net_route(const struct sim *s, unsigned from, const struct addr *to)
{
	int target = owner(s, to);
	const struct sim_peer *p;

	if (target < 0)
		return -1;
	p = &s->peer[target];
	if (!addr_eq(to, p->nat.on ? &p->nat.external : &p->addr))
		return -1;
	/* Not through its own NAT back to itself. */
	return (unsigned)target == from ? -1 : target;
}

/* Links. */

struct link_key {
	uint32_t from, to;
};

const struct sim_link *sim_net_link(const struct sim *s, unsigned from, unsigned to)
{
	struct link_key key = {from, to};
	const struct sim_link *own = s->links.len ? map_get(&s->links, &key) : NULL;

	return own ? own : &s->net;
}

struct sim_link *sim_link(struct sim *s, unsigned from, unsigned to)
{
	struct link_key key = {from, to};
	struct sim_link *link = map_get(&s->links, &key);

	if (!link) {
		link = xmemdup(&s->net, sizeof(s->net));
		map_put(&s->links, &key, link);
	}
	return link;
}

void sim_link_both(struct sim *s, unsigned a, unsigned b, struct sim_link link)
{
	*sim_link(s, a, b) = link;
	*sim_link(s, b, a) = link;
}

void sim_links_reset(struct sim *s)
{
	map_each (&s->links, link)
		free(link);
	map_free(&s->links);
}

void sim_cut(struct sim *s, unsigned from, unsigned to)
{
	sim_link(s, from, to)->cut = true;
}

void sim_mend(struct sim *s, unsigned from, unsigned to)
{
	struct sim_link *link = sim_link(s, from, to);

	link->cut = link->cut_udp = false;
}

bool sim_net_blocked(const struct sim *s, unsigned from, unsigned to)
{
	const struct sim_peer *f = &s->peer[from], *t = &s->peer[to];

	return f->host_down || t->host_down || f->mute || t->deaf || (s->split && f->group != t->group) ||
	       sim_net_link(s, from, to)->cut;
}

unsigned sim_net_loss(const struct sim *s, unsigned from, unsigned to)
{
	unsigned loss = sim_net_link(s, from, to)->loss;

	return MIN(MAX(loss, MAX(s->peer[from].loss, s->peer[to].loss)), 100u);
}

int64_t sim_net_delay(struct sim *s, unsigned from, unsigned to)
{
	const struct sim_link *link = sim_net_link(s, from, to);
	int64_t spread = MAX(link->delay_max - link->delay_min, INT64_C(0));

	return link->delay_min + (int64_t)drbg_below(&s->rng, (uint64_t)spread + 1);
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

void sim_calm(struct sim *s)
{
	sim_heal(s);
	sim_links_reset(s);
	s->net = (struct sim_link){.delay_max = 1};
	for (unsigned i = 0; i < s->n; i++) {
		struct sim_peer *p = &s->peer[i];

		p->deaf = p->mute = false;
		p->loss = 0;
		if (p->nat.on)
			sim_nat(s, i, 0);
		p->disk.full = false;
		p->disk.write_error = p->disk.sync_error = p->disk.slow = 0;
	}
}
