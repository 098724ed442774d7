/* status, members, keys: this peer and who else there is. */
#include "base/hash.h"
#include "base/text.h"
#include "node/control/call.h"
#include "node/control/fill.h"
#include "node/control/row.h"

#include <stdio.h>

static void pack_addr(struct wr *w, const char *key, const struct addr *a)
{
	char text[ADDR_TEXT_MAX];

	pk_str(w, key);
	if (!a || !a->family) {
		pk_nil(w);
		return;
	}
	addr_text(text, a);
	pk_str(w, text);
}

static void pack_hex(struct wr *w, const char *key, const struct key32 *k)
{
	char text[65];

	hex_encode(text, k->b, sizeof(k->b));
	pk_kv_str(w, key, text);
}

/* One number for people to compare between peers: equal hashes, equal stores. */
static void store_hash(const struct store *st, struct key32 *out)
{
	struct digest durable = store_digest(st, false);
	struct digest status = store_digest(st, true);

	hash_pieces(out, "starling store 1", (struct hash_piece[]){{durable.root.b, 32}, {status.root.b, 32}}, 2);
}

static void pack_peers(struct wr *w, const struct view *v)
{
	static const char *const names[] = {"alive", "suspect", "dead", "left"};
	uint64_t count[ARRAY_LEN(names)] = {0};

	for (size_t i = 0; i < v->n_members; i++)
		count[v->members[i].state]++;
	pk_str(w, "peers");
	pk_map(w, ARRAY_LEN(names));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		pk_kv_u64(w, names[i], count[i]);
}

struct voids {
	const struct trust *trust;
	uint64_t n;
};

static bool add_void(const struct stored *s, void *ctx)
{
	struct voids *v = ctx;

	/* What this version does not know it cannot judge. */
	if (s->rec.kind <= REC_SUCCESSION || s->rec.kind == REC_REVISION || s->rec.kind == REC_SETTING)
		v->n += !trust_valid(v->trust, s);
	return true;
}

/* Records that are kept and do not count: their author's key was revoked, or never had the right. */
static uint64_t count_void(const struct agent *a)
{
	struct voids v = {.trust = gossip_trust(a->gossip)};

	store_each(gossip_store(a->gossip), 0, add_void, &v);
	return v.n;
}

static void pack_cpus(struct wr *w, uint64_t milli)
{
	pk_str(w, "cpus");
	if (milli % 1000)
		pk_double(w, (double)milli / 1000);
	else
		pk_u64(w, milli / 1000);
}

static void pack_size(struct wr *w, const char *key, uint64_t cpu_milli, uint64_t memory)
{
	pk_str(w, key);
	pk_map(w, 2);
	pack_cpus(w, cpu_milli);
	pk_kv_u64(w, "memory_bytes", memory);
}

static void pack_clock(struct wr *w, struct agent *a)
{
	struct gossip_clock clock;

	gossip_clock(a->gossip, agent_now(a), &clock);
	pk_str(w, "clock");
	pk_map(w, 3);
	pk_kv_u64(w, "peers", clock.others);
	pk_kv_i64(w, "offset_ms", clock.offset_ms);
	pk_kv_bool(w, "doubted", clock.doubted);
}

void verb_status(struct call *c)
{
	struct agent *a = c->agent;
	const struct store *st = gossip_store(a->gossip);
	struct addr dns = {0};
	struct addr http = {0};
	struct key32 hash;
	char held[96];
	char id[17];
	struct wr w;

	if (a->dns)
		dns_server_addrs(a->dns, &dns, 1);
	if (a->http)
		http_bound(a->http, &http);
	store_hash(st, &hash);
	id64_text(id, key32_id(&a->keys.public_key));
	wr_init(&w, 4096);
	pk_map(&w, 17);
	pack_hex(&w, "flock", &a->flock);
	pk_kv_str(&w, "flock_name", trust_flock_name(gossip_trust(a->gossip)));
	pk_kv_str(&w, "name", a->cfg.name);
	pk_kv_str(&w, "peer", id);
	pk_kv_str(&w, "version", STARLING_VERSION);
	pk_kv_str(&w, "state", agent_state_name(a));
	if (a->out)
		pk_kv_str(&w, "reason", a->out_why);
	else if (agent_held_text(a, held, sizeof(held)))
		pk_kv_str(&w, "reason", held);
	else
		pk_kv_nil(&w, "reason");
	pack_addr(&w, "address", &a->advertise);
	pack_peers(&w, &a->view);
	pk_str(&w, "store");
	pk_map(&w, 3);
	pk_kv_u64(&w, "records", store_count(st));
	pk_kv_u64(&w, "void", count_void(a));
	pack_hex(&w, "root_hash", &hash);
	pk_str(&w, "dns");
	pk_map(&w, 1);
	pack_addr(&w, "address", &dns);
	pk_str(&w, "http");
	pk_map(&w, 1);
	pack_addr(&w, "address", &http);
	pk_kv_str(&w, "data", a->cfg.data_dir);
	pk_kv_u64(&w, "boot", a->boot);
	pack_clock(&w, a);
	pack_size(&w, "capacity", a->host.cpu_milli, a->host.memory);
	pack_size(&w, "reserve", a->reserve.cpu_milli, a->reserve.memory);
	call_end(c, &w);
	wr_free(&w);
}

static void pack_drivers(struct wr *w, uint32_t drivers)
{
	uint32_t n = 0;

	for (enum spec_driver d = DRIVER_EXEC; d <= DRIVER_ENGINE; d++)
		n += driver_in(drivers, d);
	pk_array(w, n);
	for (enum spec_driver d = DRIVER_EXEC; d <= DRIVER_ENGINE; d++)
		if (driver_in(drivers, d))
			pk_str(w, spec_driver_name(d));
}

/* Draining; drained once nothing runs there any more. */
static const char *availability(const struct view_member *m, const struct fill *f)
{
	return !m->draining ? "active" : f->tasks ? "draining" : "drained";
}

static void pack_member(struct agent *a, size_t i, const struct fill *fill, struct arena *arena, struct wr *w)
{
	static const char *const states[] = {"alive", "suspect", "dead", "left"};
	static const struct facts none;
	const struct view_member *m = &a->view.members[i];
	const struct facts *f = m->facts ? m->facts : &none;
	struct member member = {0};
	char id[17];

	gossip_member(a->gossip, &m->key, &member);
	id64_text(id, m->id);
	pk_map(w, 18);
	pk_kv_str(w, "id", id);
	pk_kv_str(w, "name", view_member_name(&a->view, i, arena));
	pack_addr(w, "address", &member.addr);
	pk_kv_str(w, "state", states[m->state]);
	pk_kv_str(w, "availability", availability(m, fill));
	pk_kv_u64(w, "incarnation", member.incarnation);
	pk_kv_str(w, "version", f->version ? f->version : "");
	pk_kv_str(w, "arch", f->arch ? f->arch : "");
	pk_kv_str(w, "os", f->os ? f->os : "");
	pk_str(w, "drivers");
	pack_drivers(w, f->drivers);
	pk_str(w, "labels");
	pk_map(w, (uint32_t)m->n_labels);
	for (size_t k = 0; k < m->n_labels; k++)
		pk_kv_str(w, m->labels[k].key, m->labels[k].value);
	pack_cpus(w, f->cpu_milli);
	pk_kv_u64(w, "memory_bytes", f->memory);
	pk_kv_u64(w, "tasks", fill->tasks);
	pack_size(w, "reserved", fill->cpu_milli, fill->memory);
	pk_str(w, "resources");
	pk_map(w, (uint32_t)f->n_generic);
	for (size_t k = 0; k < f->n_generic; k++)
		pk_kv_u64(w, f->generic[k].kind, f->generic[k].value);
	if (i == a->view.self)
		pack_size(w, "reserve", a->reserve.cpu_milli, a->reserve.memory);
	else
		pk_kv_nil(w, "reserve");
	pk_kv_bool(w, "self", i == a->view.self);
}

void verb_members(struct call *c)
{
	const struct view *v = &c->agent->view;
	const size_t *order;
	struct fill *fill;
	struct arena arena;
	struct rows r;

	arena_init(&arena);
	rows_init(&r);
	order = row_members_by_name(v, &arena);
	fill = arena_array(&arena, v->n_members, sizeof(*fill));
	fill_members(v, &c->agent->placement, fill);
	for (size_t i = 0; i < v->n_members; i++) {
		pack_member(c->agent, order[i], &fill[order[i]], &arena, &r.w);
		rows_end(&r);
	}
	call_rows(c, &r);
	rows_free(&r);
	arena_free(&arena);
}

/* Grants of a flock's operators: people and CI jobs, not machines. */
#define GRANTS_SHOWN_MAX 1024

/* One grant: a key's grants add up, each gets its row. */
static void pack_grant(const struct trust *t, const struct grant *g, struct wr *w)
{
	static const char *const roles[] = {"none", "read", "deploy", "admin", "root"};
	uint32_t powers = 0;

	pk_map(w, 6);
	pack_hex(w, "key", &g->operator_key);
	pk_kv_str(w, "name", g->name);
	pk_kv_str(w, "role", roles[g->role]);
	for (uint32_t p = 1; p < POWER_ALL; p <<= 1)
		powers += (g->powers & p) != 0;
	pk_str(w, "powers");
	pk_array(w, powers);
	for (uint32_t p = 1; p < POWER_ALL; p <<= 1)
		if (g->powers & p)
			pk_str(w, trust_power_name(p));
	pk_str(w, "stacks");
	pk_array(w, (uint32_t)g->n_globs);
	for (size_t k = 0; k < g->n_globs; k++)
		pk_str(w, g->globs[k]);
	pk_kv_str(w, "state", trust_grant_holds(t, g) ? "active" : "revoked");
}

void verb_keys(struct call *c)
{
	const struct trust *t = gossip_trust(c->agent->gossip);
	const struct grant **g;
	struct err err;
	struct rows r;
	bool all;
	size_t n;

	if (arg_bool(c, "all", &all, &err) < 0) {
		call_fail(c, &err);
		return;
	}
	g = xcalloc(GRANTS_SHOWN_MAX, sizeof(*g));
	n = (all ? trust_keys : trust_operators)(t, g, GRANTS_SHOWN_MAX);
	rows_init(&r);
	for (size_t i = 0; i < MIN(n, (size_t)GRANTS_SHOWN_MAX); i++) {
		pack_grant(t, g[i], &r.w);
		rows_end(&r);
	}
	call_rows(c, &r);
	rows_free(&r);
	free(g);
}
