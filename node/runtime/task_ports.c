/* Which host ports a task has, before each start. */
#include "node/runtime/task.h"

/* A dynamic port of the last run is kept while it is free; else another is found. */
static int choose_dynamic(struct task *t, size_t index, struct err *err)
{
	const struct spec_port *want = &t->pub.spec->ports[index];
	struct ports *all = &t->rt->ports;
	size_t at = t->pub.n_ports;

	for (size_t i = 0; i < at; i++)
		if (t->pub.ports[i].index == index)
			at = i;
	if (at < t->pub.n_ports) {
		if (port_free_everywhere(t->pub.ports[at].port, want->proto))
			return 0;
		ports_release(all, t->pub.ports[at].port);
	}
	uint16_t port = ports_find(all, want->proto, t->pub.task + index * 7919 + t->run_number);

	if (!port) {
		if (at < t->pub.n_ports)
			t->pub.ports[at] = t->pub.ports[--t->pub.n_ports];
		return err_set(err, ERR_FAILED, "%s: no free host port in %u-%u for port %s", t->pub.service,
		        all->first, all->last, want->name);
	}
	t->pub.ports[at].index = (uint8_t)index;
	t->pub.ports[at].port = port;
	if (at == t->pub.n_ports)
		t->pub.n_ports++;
	return 0;
}

static int choose_host(struct task *t, size_t index, struct err *err)
{
	const struct spec_port *want = &t->pub.spec->ports[index];
	const struct addr *at = &t->rt->cfg.address;
	char ip[ADDR_TEXT_MAX];
	bool listed = false;

	if (port_try(at, want->published, want->proto) < 0) {
		addr_ip_text(ip, at);
		return err_errno(err, "%s: host port %u/%s on %s", t->pub.service, want->published,
		        want->proto == PROTO_UDP ? "udp" : "tcp", ip);
	}
	for (size_t i = 0; i < t->pub.n_ports; i++)
		listed |= t->pub.ports[i].index == index;
	if (!listed) {
		t->pub.ports[t->pub.n_ports].index = (uint8_t)index;
		t->pub.ports[t->pub.n_ports++].port = want->published;
	}
	return 0;
}

int task_choose_ports(struct task *t, struct err *err)
{
	const struct service *s = t->pub.spec;

	for (size_t i = 0; i < s->n_ports && i < SERVICE_PORTS_MAX; i++) {
		if (s->ports[i].mode == PORT_HOST && choose_host(t, i, err) < 0)
			return -1;
		if (s->ports[i].mode == PORT_DYNAMIC && choose_dynamic(t, i, err) < 0)
			return -1;
	}
	return 0;
}

void task_release_ports(struct task *t)
{
	for (size_t i = 0; i < t->pub.n_ports; i++)
		ports_release(&t->rt->ports, t->pub.ports[i].port);
}
