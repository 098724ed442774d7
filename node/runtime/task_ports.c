/* Which host ports a task has, before each start. */
#include "node/runtime/task.h"

/* Where pub.ports holds the port that the spec lists at index; n_ports when it does not. */
static size_t entry_of(const struct task *t, size_t index)
{
	size_t at = 0;

	while (at < t->pub.n_ports && t->pub.ports[at].index != index)
		at++;
	return at;
}

static void set_port(struct task *t, size_t index, uint16_t port)
{
	size_t at = entry_of(t, index);

	t->pub.ports[at].index = (uint8_t)index;
	t->pub.ports[at].port = port;
	if (at == t->pub.n_ports)
		t->pub.n_ports++;
}

/* The port of the last run is no longer this task's. */
static void drop_port(struct task *t, size_t index)
{
	size_t at = entry_of(t, index);

	if (at == t->pub.n_ports)
		return;
	ports_release(&t->rt->ports, t->pub.ports[at].port);
	t->pub.ports[at] = t->pub.ports[--t->pub.n_ports];
}

/* A dynamic port of the last run is kept while it is free; else another is found. A twin gets the same one: by the
 * target both have one name, and STARLING_PORT_NAME tells one number. */
static int choose_dynamic(struct task *t, size_t index, struct err *err)
{
	const struct service *s = t->pub.spec;
	const struct spec_port *want = &s->ports[index];
	struct ports *all = &t->rt->ports;
	size_t twin = ports_twin(s->ports, s->n_ports, index), at = entry_of(t, index);
	unsigned protos = 1u << want->proto;
	uint16_t port;

	if (twin < index)
		return 0; /* chosen with that one */
	if (twin < s->n_ports) {
		size_t other = entry_of(t, twin);

		protos = PORTS_TCP | PORTS_UDP;
		/* Of an earlier build, which gave them two. */
		if (at < t->pub.n_ports && other < t->pub.n_ports &&
		        t->pub.ports[other].port != t->pub.ports[at].port)
			drop_port(t, twin);
		at = entry_of(t, index);
	}
	if (at < t->pub.n_ports && port_free_everywhere(t->pub.ports[at].port, protos)) {
		port = t->pub.ports[at].port;
	} else {
		drop_port(t, index);
		if (twin < s->n_ports)
			drop_port(t, twin);
		port = ports_find(all, protos, t->pub.task + index * 7919 + t->run_number);
	}
	if (!port)
		return err_set(err, ERR_FAILED, "%s: no free host port in %u-%u for port %s", t->pub.service,
		        all->first, all->last, want->name);
	set_port(t, index, port);
	if (twin < s->n_ports)
		set_port(t, twin, port);
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
