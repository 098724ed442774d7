#include "node/control/row.h"

#include "base/text.h"

void row_id(struct wr *w, const char *key, id64 id)
{
	char text[17];

	id64_text(text, id);
	pk_kv_str(w, key, text);
}

static void pack_endpoints(struct wr *w, const struct task_row *t, const struct view_member *m)
{
	char ip[ADDR_TEXT_MAX];
	uint32_t n = 0;

	pk_str(w, "endpoints");
	if (!t->claim || !t->spec || !m || !m->facts || !m->facts->n_addrs) {
		pk_array(w, 0);
		return;
	}
	addr_ip_text(ip, &m->facts->addrs[0]);
	for (size_t i = 0; i < t->claim->n_ports; i++)
		n += t->claim->ports[i].index < t->spec->n_ports;
	pk_array(w, n);
	for (size_t i = 0; i < t->claim->n_ports; i++) {
		const struct spec_port *p;

		if (t->claim->ports[i].index >= t->spec->n_ports)
			continue;
		p = &t->spec->ports[t->claim->ports[i].index];
		pk_map(w, 4);
		pk_kv_str(w, "name", p->name);
		pk_kv_str(w, "proto", p->proto == PROTO_UDP ? "udp" : "tcp");
		pk_kv_str(w, "address", ip);
		pk_kv_u64(w, "port", t->claim->ports[i].port);
	}
}

static void pack_exit(struct wr *w, const struct task_row *t)
{
	pk_str(w, "exit");
	if (!t->known || !t->exited) {
		pk_nil(w);
		return;
	}
	pk_map(w, 6);
	pk_str(w, "code");
	if (t->exit_signal)
		pk_nil(w);
	else
		pk_i64(w, t->exit_code);
	pk_str(w, "signal");
	if (t->exit_signal)
		pk_i64(w, t->exit_signal);
	else
		pk_nil(w);
	pk_kv_bool(w, "oom", t->oom);
	pk_kv_u64(w, "user_ms", t->user_ms);
	pk_kv_u64(w, "system_ms", t->system_ms);
	pk_kv_u64(w, "max_rss", t->max_rss);
}

void row_pack(struct agent *a, const struct task_row *t, struct arena *arena, struct rows *r)
{
	const struct view_member *m = t->member >= 0 ? &a->view.members[t->member] : NULL;
	struct member member = {0};
	char text[ADDR_TEXT_MAX];
	struct wr *w = &r->w;

	pk_map(w, 19);
	pk_kv_str(w, "stack", t->stack);
	pk_kv_str(w, "service", t->service);
	pk_kv_u64(w, "slot", t->slot);
	if (t->claim)
		row_id(w, "task", t->claim->task);
	else
		pk_kv_nil(w, "task");
	if (m) {
		row_id(w, "peer", m->id);
		pk_kv_str(w, "peer_name", view_member_name(&a->view, (size_t)t->member, arena));
		gossip_member(a->gossip, &m->key, &member);
		addr_ip_text(text, m->facts && m->facts->n_addrs ? &m->facts->addrs[0] : &member.addr);
		pk_kv_str(w, "address", text);
	} else {
		pk_kv_nil(w, "peer");
		pk_kv_nil(w, "peer_name");
		pk_kv_nil(w, "address");
	}
	pk_kv_str(w, "state", t->claim ? task_state_name(t->claim->state) : task_state_name(TASK_PENDING));
	pk_kv_str(w, "health", t->claim ? task_health_name(t->claim->health) : task_health_name(HEALTH_NONE));
	pk_kv_str(w, "reason", t->reason ? t->reason : "");
	row_id(w, "revision", t->revision);
	pk_kv_str(w, "driver", spec_driver_name(t->driver));
	if (t->known && t->pid)
		pk_kv_i64(w, "pid", t->pid);
	else
		pk_kv_nil(w, "pid");
	if (t->known)
		pk_kv_u64(w, "restarts", t->restarts);
	else
		pk_kv_u64(w, "restarts", 0);
	pack_exit(w, t);
	pk_str(w, "started_at");
	if (t->known && t->started_at) {
		char time[25];

		text_time(time, t->started_at);
		pk_str(w, time);
	} else {
		pk_nil(w);
	}
	pk_str(w, "retry_at");
	if (t->known && t->retry_at) {
		char time[25];

		text_time(time, t->retry_at);
		pk_str(w, time);
	} else {
		pk_nil(w);
	}
	pack_endpoints(w, t, m);
	pk_kv_bool(w, "current", t->current);
	rows_end(r);
}

void row_from_runtime(struct task_row *t, const struct runtime_task *rt)
{
	t->known = true;
	t->pid = rt->pid;
	t->restarts = rt->restarts;
	t->exited = rt->exited;
	t->exit_code = rt->exit_code;
	t->exit_signal = rt->exit_signal;
	t->oom = rt->oom;
	t->user_ms = rt->user_ms;
	t->system_ms = rt->system_ms;
	t->max_rss = rt->max_rss;
	t->started_at = rt->started_at;
	t->retry_at = rt->retry_at;
	if (rt->reason[0])
		t->reason = rt->reason;
}

static void fill_from_detail(struct task_row *t, const struct detail *d)
{
	t->known = true;
	t->pid = d->pid;
	t->restarts = d->restarts;
	t->exited = d->exited;
	t->exit_code = d->exit_code;
	t->exit_signal = d->exit_signal;
	t->oom = d->oom;
	t->user_ms = d->user_ms;
	t->system_ms = d->system_ms;
	t->max_rss = d->max_rss;
	t->started_at = d->started_at;
	t->retry_at = d->retry_at;
	if (d->reason[0])
		t->reason = d->reason;
}

void row_known(struct agent *a, struct task_row *t)
{
	const struct runtime_task *rt;
	const struct detail *d;

	if (!t->claim || t->member < 0)
		return;
	if ((size_t)t->member == a->view.self) {
		rt = runtime_get(a->runtime, t->claim->task);
		if (rt)
			row_from_runtime(t, rt);
		return;
	}
	d = ask_detail(control_asker(a->control), t->claim->task);
	if (d)
		fill_from_detail(t, d);
}

struct named {
	const char *name;
	size_t member;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

size_t *row_members_by_name(const struct view *v, struct arena *arena)
{
	struct named *order = arena_array(arena, v->n_members, sizeof(*order));
	size_t *out = arena_array(arena, v->n_members, sizeof(*out));

	for (size_t i = 0; i < v->n_members; i++)
		order[i] = (struct named){.name = view_member_name(v, i, arena), .member = i};
	if (v->n_members)
		qsort(order, v->n_members, sizeof(*order), by_name);
	for (size_t i = 0; i < v->n_members; i++)
		out[i] = order[i].member;
	return out;
}
