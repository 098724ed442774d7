/*
 * ports. Short: [[HOST_IP:][PUBLISHED]:]TARGET[/PROTO]. A port without a published one gets a free host port; a
 * published one without `mode: host` means ingress in Compose, which needs the proxy.
 */
#include "base/text.h"
#include "cli/compose/build.h"

#define NO_INGRESS                                                                                               \
	"published without `mode: host` means ingress, which is refused until the proxy exists; use mode: host " \
	"({target: %s, published: %s, mode: host}), or \"%s\" for a free host port"

struct port_draft {
	struct spec_port *port;
	const char *target_text;
	const char *published_text;
	bool host_mode, ingress_mode;
};

static bool is_number(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

static bool parse_port(struct build *b, const char *path, const struct node *n, const char *what,
        const char *text, uint16_t *out)
{
	uint64_t v;

	if (strchr(text, '-') && is_number(arena_strndup(b->arena, text, strcspn(text, "-")))) {
		refuse(b, path, n, "%s \"%s\": ranges are not taken; list each port", what, text);
		return false;
	}
	if (!text_u64(text, 1, 65535, &v)) {
		refuse(b, path, n, "%s \"%s\" is not a port from 1 to 65535", what, text);
		return false;
	}
	*out = (uint16_t)v;
	return true;
}

static bool parse_proto(
        struct build *b, const char *path, const struct node *n, const char *text, enum spec_proto *out)
{
	if (strcmp(text, "tcp") != 0 && strcmp(text, "udp") != 0) {
		refuse(b, path, n, "protocol \"%s\" is neither tcp nor udp", text);
		return false;
	}
	*out = strcmp(text, "udp") == 0 ? PROTO_UDP : PROTO_TCP;
	return true;
}

static void take_short(struct build *b, const char *path, const struct node *n, struct spec_port *port)
{
	const char *text;
	const char *slash;
	const char *colon;
	const char *target;
	uint16_t published;

	if (!want_text(b, path, n, &text))
		return;
	slash = strchr(text, '/');
	if (slash && !parse_proto(b, path, n, slash + 1, &port->proto))
		return;
	text = arena_strndup(b->arena, text, slash ? (size_t)(slash - text) : strlen(text));
	colon = strrchr(text, ':');
	target = colon ? colon + 1 : text;
	if (!parse_port(b, path, n, "port", target, &port->target))
		return;
	port->name = target;
	if (!colon)
		return;
	text = arena_strndup(b->arena, text, (size_t)(colon - text));
	if (strchr(text, ':') || strchr(text, '.'))
		refuse(b, path, n,
		        "a host address cannot be chosen; it is the agent's (--bind); use {target: %s, published: PORT, "
		        "mode: host}",
		        target);
	else if (parse_port(b, path, n, "published port", text, &published))
		refuse(b, path, n, NO_INGRESS, target, text, target);
}

static void take_target(struct build *b, const char *path, const struct node *n, void *target)
{
	struct port_draft *d = target;

	if (want_text(b, path, n, &d->target_text))
		parse_port(b, path, n, "port", d->target_text, &d->port->target);
}

static void take_published(struct build *b, const char *path, const struct node *n, void *target)
{
	struct port_draft *d = target;

	if (want_text(b, path, n, &d->published_text))
		parse_port(b, path, n, "port", d->published_text, &d->port->published);
}

static void take_protocol(struct build *b, const char *path, const struct node *n, void *target)
{
	const char *text;

	if (want_text(b, path, n, &text))
		parse_proto(b, path, n, text, &((struct port_draft *)target)->port->proto);
}

static void take_mode(struct build *b, const char *path, const struct node *n, void *target)
{
	static const char *const modes[] = {"host", "ingress"};
	struct port_draft *d = target;
	size_t mode;

	if (!want_word(b, path, n, modes, ARRAY_LEN(modes), &mode))
		return;
	d->host_mode = mode == 0;
	d->ingress_mode = mode == 1;
	if (d->ingress_mode)
		refuse(b, path, n, "ingress is refused until the proxy exists; use mode: host");
}

static void take_port_name(struct build *b, const char *path, const struct node *n, void *target)
{
	want_text(b, path, n, &((struct port_draft *)target)->port->name);
}

static const struct key_rule port_rules[] = {
        {"app_protocol", NULL, "only the port is known to others, not what is spoken there; remove it"},
        {"host_ip", NULL, "a host address cannot be chosen; it is the agent's (--bind); remove it"},
        {"mode", take_mode, "host: on the peer itself; ingress is refused until the proxy exists"},
        {"name", take_port_name,
                "names the port in DNS (SRV), in STARLING_PORT_NAME and for probes; the target unless set"},
        {"protocol", take_protocol, "tcp (unless set) or udp"},
        {"published", take_published, "the host's port, with `mode: host`; without it a free one is chosen"},
        {"target", take_target, "what the service calls the port; needed"},
};
const struct key_level level_port = {"services.*.ports[]", port_rules, ARRAY_LEN(port_rules), true};

static void take_long(struct build *b, const char *path, const struct node *n, struct spec_port *port)
{
	struct port_draft d = {.port = port};

	take_map(b, path, n, &level_port, &d);
	if (!node_get(n, "target"))
		refuse(b, path, n, "has no `target`");
	if (!d.target_text || !port->target)
		return;
	if (!port->name)
		port->name = d.target_text;
	if (port->published && !d.host_mode && !d.ingress_mode)
		refuse(b, path_key(b, path, "published"), node_get(n, "published"), NO_INGRESS, d.target_text,
		        d.published_text, d.target_text);
	port->mode = port->published ? PORT_HOST : PORT_DYNAMIC;
}

void take_ports(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = ((struct draft *)target)->s;

	if (n->kind != NODE_LIST) {
		wrong_kind(b, path, n, "a list");
		return;
	}
	if (n->n > SERVICE_PORTS_MAX) {
		refuse(b, path, n, "more than %d ports", SERVICE_PORTS_MAX);
		return;
	}
	s->ports = arena_array(b->arena, n->n, sizeof(*s->ports));
	s->n_ports = n->n;
	for (size_t i = 0; i < n->n; i++) {
		const char *at = path_index(b, path, i);

		if (n->items[i]->kind == NODE_MAP)
			take_long(b, at, n->items[i], &s->ports[i]);
		else
			take_short(b, at, n->items[i], &s->ports[i]);
	}
}
