/* Hosts: agents that start and end, and what their clocks say. */
#include "tests/sim/sim_core.h"
#include "tests/sim/sim_work.h"

/* An agent that leaves goes on for so long, so that others hear it. */
#define LEAVE_MS SECONDS(1)

/* Clocks. */

static mono_ms mono_of(const struct sim_peer *p, mono_ms now)
{
	return p->clock + now + (now - p->ppm_at) * p->ppm / 1000000;
}

struct now sim_peer_now(const struct sim *s, unsigned peer)
{
	const struct sim_peer *p = &s->peer[peer];
	int64_t ahead = (s->now - p->ppm_at) * p->ppm / 1000000;

	return (struct now){.mono = p->clock + s->now + ahead, .wall = SIM_WALL_START + s->now + p->skew + ahead};
}

mono_ms sim_moment(const struct sim *s, unsigned peer, mono_ms mono)
{
	const struct sim_peer *p = &s->peer[peer];
	int64_t left = MAX(mono - mono_of(p, s->now), INT64_C(0));
	mono_ms at = s->now + left * 1000000 / (1000000 + p->ppm);

	while (mono_of(p, at) < mono)
		at++;
	return MAX(at, s->now + 1);
}

void sim_drift(struct sim *s, unsigned peer, int64_t ppm)
{
	struct sim_peer *p = &s->peer[peer];
	struct now now = sim_peer_now(s, peer);

	p->clock = now.mono - s->now;
	p->skew = now.wall - s->now - SIM_WALL_START;
	p->ppm = ppm;
	p->ppm_at = s->now;
	if (p->gossip)
		sim_drain(s, peer);
}

void sim_step_clock(struct sim *s, unsigned peer, int64_t ms)
{
	s->peer[peer].skew += ms;
}

/* What a core asks for. */

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
		sim_disk_write(s, peer, a);
		break;
	case GOSSIP_FORGET:
		sim_disk_forget(s, peer, &a->id);
		break;
	case GOSSIP_MEMBER:
		sim_view_member(s, peer, &a->peer);
		sim_work_kick(s, peer);
		break;
	case GOSSIP_RECORD: {
		const struct stored *r = store_get(gossip_store(p->gossip), &a->id);

		/* A host keeps its own status over restarts. */
		if (r && record_is_volatile(r->rec.kind) && key32_eq(&r->rec.author, &p->key))
			sim_disk_put(&p->disk.own, &r->rec.key, r->bytes, r->len);
		sim_work_record(s, peer, &a->id);
		break;
	}
	case GOSSIP_ACCEPTED:
		sim_disk_check(s, &a->id, a->copies);
		map_put(&s->accepted, &a->ticket,
		        (void *)(uintptr_t)(UINT64_C(1) << 16 | a->copies << 8 | a->wanted));
		break;
	case GOSSIP_BOOT:
		p->boot = (uint32_t)a->ticket;
		sim_work_kick(s, peer);
		break;
	case GOSSIP_FENCED:
		p->fenced = true;
		sim_at(s, s->now, peer, EV_STOP, 0, 0, NULL, 0);
		break;
	}
}

static void arm(struct sim *s, unsigned peer)
{
	struct sim_peer *p = &s->peer[peer];
	mono_ms wake = gossip_wake(p->gossip);

	if (wake == MONO_NEVER)
		return;
	wake = sim_moment(s, peer, wake);
	if (wake < p->armed) {
		p->armed = wake;
		sim_at(s, wake, peer, EV_TICK, ++p->alarm, 0, NULL, 0);
	}
}

void sim_drain(struct sim *s, unsigned peer)
{
	struct sim_peer *p = &s->peer[peer];
	struct gossip_action a;

	while (gossip_next(p->gossip, &a)) {
		if (p->liar && !sim_liar_says(s, peer, &a))
			continue;
		carry_out(s, peer, &a);
	}
	arm(s, peer);
	sim_work_drained(s, peer);
}

void on_tick(struct sim *s, unsigned peer, uint64_t a, uint64_t b, const uint8_t *bytes, size_t len)
{
	struct sim_peer *p = &s->peer[peer];

	(void)b, (void)bytes, (void)len;
	if (a != p->alarm)
		return; /* another, earlier one has been armed since */
	p->armed = MONO_NEVER;
	gossip_tick(p->gossip, sim_peer_now(s, peer));
	sim_drain(s, peer);
}

/* Starting and ending. */

void sim_start(struct sim *s, unsigned i)
{
	struct sim_peer *p = &s->peer[i];
	const struct sim_hooks *hooks = &s->opt.hooks;
	struct gossip_config cfg = {.key = p->key,
	        .flock = s->flock,
	        .profile = s->opt.profile,
	        .advertise = p->addr,
	        .plain = !s->opt.sealed};

	if (p->gossip)
		return;
	cfg.boot = ++p->boot;
	p->runs++;
	p->host_down = p->suspended = p->fenced = p->disk.stopped = false;
	p->frozen_until = 0;
	p->armed = MONO_NEVER;
	memcpy(cfg.secret, p->secret, sizeof(cfg.secret));
	drbg_bytes(&s->rng, cfg.boot_id, sizeof(cfg.boot_id));
	drbg_bytes(&s->rng, cfg.seed, sizeof(cfg.seed));
	/* A monotonic clock begins anew with its machine: anywhere within a day. */
	p->clock = 1000 + (mono_ms)drbg_below(&s->rng, 86400000) - s->now;
	p->skew += (s->now - p->ppm_at) * p->ppm / 1000000;
	p->ppm_at = s->now;
	if (hooks->config)
		hooks->config(s, i, &cfg, hooks->ctx);
	p->gossip = gossip_new(&cfg);
	sim_view_started(s, i);
	sim_disk_load(s, i);
	gossip_start(p->gossip, sim_peer_now(s, i));
	if (p->newer)
		sim_newer_started(s, i);
	sim_work_started(s, i);
	sim_drain(s, i);
}

static void end(struct sim *s, unsigned i, bool power)
{
	struct sim_peer *p = &s->peer[i];

	if (!p->gossip)
		return;
	sim_view_ended(s, i);
	sim_work_ended(s, i);
	p->runs++;
	sim_net_agent_gone(s, i);
	sim_disk_agent_gone(s, i, power);
	gossip_free(p->gossip);
	p->gossip = NULL;
}

void sim_kill(struct sim *s, unsigned i)
{
	end(s, i, false);
}

void sim_crash(struct sim *s, unsigned i)
{
	s->peer[i].host_down = true;
	end(s, i, true);
	sim_work_power_cut(s, i);
}

void on_stop(struct sim *s, unsigned peer, uint64_t a, uint64_t b, const uint8_t *bytes, size_t len)
{
	(void)a, (void)b, (void)bytes, (void)len;
	sim_kill(s, peer);
}

void sim_leave(struct sim *s, unsigned i)
{
	gossip_leave(sim_agent(s, i), sim_peer_now(s, i));
	sim_at(s, s->now + LEAVE_MS, i, EV_STOP, 0, 0, NULL, 0);
	sim_drain(s, i);
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
	struct sim_peer *p = &s->peer[i];

	if (!p->suspended)
		p->frozen_until = MAX(p->frozen_until, s->now + ms);
}

void sim_starve(struct sim *s, unsigned peer, int64_t ms, unsigned events, int64_t again_ms)
{
	sim_freeze(s, peer, ms);
	s->peer[peer].budget = events;
	s->peer[peer].starved_until = s->now + again_ms;
}

void sim_suspend(struct sim *s, unsigned i, int64_t ms)
{
	struct sim_peer *p = &s->peer[i];

	if (p->frozen_until > s->now)
		return;
	p->suspended = true;
	p->frozen_until = s->now + ms;
	/* As CLOCK_MONOTONIC does: it stands. The wall clock goes on. */
	p->clock -= ms;
}

void sim_move_to(struct sim *s, unsigned i, const struct addr *to)
{
	struct sim_peer *p = &s->peer[i];

	p->addr = *to;
	sim_net_own(s, i, to);
	if (!p->gossip)
		return;
	gossip_set_advertise(p->gossip, to, sim_peer_now(s, i));
	sim_drain(s, i);
}

void sim_move(struct sim *s, unsigned i)
{
	struct addr to = s->peer[i].addr;

	to.ip[1]++;
	sim_move_to(s, i, &to);
}

void sim_knows(struct sim *s, unsigned peer, unsigned other)
{
	struct sim_peer *p = &s->peer[peer];
	const struct sim_peer *o = &s->peer[other];

	sim_disk_knows(s, peer, other, &o->addr);
	if (!p->gossip)
		return;
	gossip_load_addr(p->gossip, &o->key, &o->addr);
	sim_drain(s, peer);
}
