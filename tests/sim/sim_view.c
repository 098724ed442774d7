/*
 * What peers say of each other. Two bits per pair, and counts per subject, follow each GOSSIP_MEMBER, so that
 * neither a story nor a benchmark has to walk over all pairs.
 */
#include "tests/sim/sim_core.h"

/* Nothing known yet is dead, and zero. */
static enum member_state get(const struct sim *s, unsigned viewer, unsigned subject)
{
	return (s->peer[viewer].said[subject / 4] >> subject % 4 * 2 & 3) ^ MEMBER_DEAD;
}

static void set(struct sim *s, unsigned viewer, unsigned subject, enum member_state state)
{
	uint8_t *byte = &s->peer[viewer].said[subject / 4];
	unsigned shift = subject % 4 * 2;

	*byte = (uint8_t)((*byte & ~(3u << shift)) | (unsigned)(state ^ MEMBER_DEAD) << shift);
}

int sim_by_key(const struct sim *s, const struct key32 *key)
{
	return (int)(uintptr_t)map_get(&s->by_key, key) - 1;
}

static bool counts(const struct sim *s, unsigned viewer, unsigned subject)
{
	return viewer != subject && s->peer[viewer].clone_of != (int)subject && s->peer[subject].clone_of < 0;
}

void sim_view_started(struct sim *s, unsigned viewer)
{
	memset(s->peer[viewer].said, 0, (s->n + 3) / 4);
	for (unsigned k = 0; k < s->n; k++)
		s->seen[k][MEMBER_DEAD] += counts(s, viewer, k);
	s->running++;
}

void sim_view_ended(struct sim *s, unsigned viewer)
{
	for (unsigned k = 0; k < s->n; k++)
		s->seen[k][get(s, viewer, k)] -= counts(s, viewer, k);
	s->running--;
}

void sim_view_member(struct sim *s, unsigned viewer, const struct key32 *key)
{
	struct sim_peer *p = &s->peer[viewer];
	const struct sim_hooks *hooks = &s->opt.hooks;
	int found = sim_by_key(s, key);
	unsigned subject = (unsigned)found;
	enum member_state was, is;
	struct member m = {.state = MEMBER_DEAD};

	if (found < 0 || !counts(s, viewer, subject))
		return;
	if (gossip_member(p->gossip, key, &m) && m.addr.family)
		sim_disk_knows(s, viewer, subject, &m.addr);
	was = get(s, viewer, subject);
	is = m.state;
	if (was != is) {
		s->seen[subject][was]--;
		s->seen[subject][is]++;
		set(s, viewer, subject, is);
		p->deaths_seen += is == MEMBER_DEAD && m.incarnation;
	}
	if (hooks->member)
		hooks->member(s, viewer, subject, was, is, hooks->ctx);
}

struct gossip *sim_agent(const struct sim *s, unsigned peer)
{
	if (!s->peer[peer].gossip)
		sim_fail((struct sim *)s, __FILE__, __LINE__, "the story asks an agent that does not run");
	return s->peer[peer].gossip;
}

enum member_state sim_says(const struct sim *s, unsigned viewer, unsigned subject)
{
	struct member m = {.state = MEMBER_DEAD};

	gossip_member(sim_agent(s, viewer), &s->peer[subject].key, &m);
	return m.state;
}

uint64_t sim_incarnation(const struct sim *s, unsigned viewer, unsigned subject)
{
	struct member m = {.incarnation = 0};

	gossip_member(sim_agent(s, viewer), &s->peer[subject].key, &m);
	return m.incarnation;
}

uint32_t sim_boot_seen(const struct sim *s, unsigned viewer, unsigned subject)
{
	return (uint32_t)(sim_incarnation(s, viewer, subject) >> 32);
}

/* Running peers that have a say about subject. */
static unsigned viewers(const struct sim *s, unsigned subject)
{
	unsigned n = 0;

	for (int k = 0; k < 4; k++)
		n += s->seen[subject][k];
	return n;
}

bool sim_all_say(const struct sim *s, unsigned subject, enum member_state state)
{
	return s->seen[subject][state] == viewers(s, subject);
}

bool sim_all_alive(const struct sim *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->peer[i].gossip && s->peer[i].clone_of < 0 && !sim_all_say(s, i, MEMBER_ALIVE))
			return false;
	return true;
}

unsigned sim_deaths(const struct sim *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n; i++)
		n += s->peer[i].deaths_seen;
	return n;
}

bool sim_all_ready(const struct sim *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->peer[i].gossip && !gossip_ready(s->peer[i].gossip))
			return false;
	return true;
}

void sim_view_check(struct sim *s)
{
	for (unsigned i = 0; i < s->n; i++)
		for (unsigned k = 0; s->peer[i].gossip && k < s->n; k++)
			if (counts(s, i, k))
				EXPECT(s, sim_says(s, i, k) == get(s, i, k));
}
