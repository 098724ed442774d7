/*
 * Services that others would reach by a port that is not published. In swarm an overlay network carries that from peer to
 * peer; here only published ports lead into a container from another peer, until service networks exist. Who needs whom is
 * read from depends_on, and from hosts in environment and command ("db:5432", "@db/", DB_HOST=db): enough for a warning.
 */
#include "cli/compose/build.h"

static bool part_of_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
	       c == '_' || c == '.';
}

/* Does text name the service as a host: name:PORT, //name, @name, or name.STACK? */
static bool names_host(const char *text, const char *name, const char *stack)
{
	size_t len = strlen(name);

	for (const char *at = text; (at = strstr(at, name)); at++) {
		const char *after = at + len;
		bool begins = at == text || !part_of_name(at[-1]);
		bool in_url = at > text && (at[-1] == '@' || (at[-1] == '/' && at > text + 1 && at[-2] == '/'));

		if (!begins)
			continue;
		if (after[0] == ':' && after[1] >= '0' && after[1] <= '9')
			return true;
		if (in_url && !part_of_name(after[0]))
			return true;
		if (after[0] == '.' && !strncmp(after + 1, stack, strlen(stack)) &&
		        (!after[1 + strlen(stack)] || strchr(".:/", after[1 + strlen(stack)])))
			return true;
	}
	return false;
}

/* Does a variable of this name hold a host? */
static bool holds_host(const char *key)
{
	static const char *const words[] = {
	        "HOST", "ADDR", "SERVER", "ENDPOINT", "URL", "URI", "BROKER", "PEER", "SEED"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strstr(key, words[i]))
			return true;
	return false;
}

static bool needs(const struct spec *spec, const struct service *s, const struct service *other)
{
	for (size_t i = 0; i < s->n_depends_on; i++)
		if (!strcmp(s->depends_on[i].service, other->name) &&
		        s->depends_on[i].condition != DEPENDS_COMPLETED)
			return true;
	for (size_t i = 0; i < s->n_env; i++)
		if (s->env[i].value &&
		        (names_host(s->env[i].value, other->name, spec->name) ||
		                (!strcmp(s->env[i].value, other->name) && holds_host(s->env[i].key))))
			return true;
	for (size_t i = 0; i < s->n_entrypoint; i++)
		if (names_host(s->entrypoint[i], other->name, spec->name))
			return true;
	for (size_t i = 0; i < s->n_command; i++)
		if (names_host(s->command[i], other->name, spec->name))
			return true;
	return false;
}

/* In a network of its own, and without a port that leads there. Driver oci uses the host's, unless told. */
static bool is_hidden(const struct service *s)
{
	if (!s->network_mode && s->driver == DRIVER_OCI)
		return false;
	return s->image && !s->n_ports &&
	       (!s->network_mode ||
	               (strcmp(s->network_mode, "host") != 0 && strcmp(s->network_mode, "none") != 0));
}

/* Are both held to one and the same peer? */
static bool on_one_peer(const struct service *a, const struct service *b)
{
	for (size_t i = 0; i < a->n_constraints; i++) {
		const struct spec_constraint *c = &a->constraints[i];

		if (c->op != OP_EQ || (strcmp(c->attr, "node.hostname") != 0 && strcmp(c->attr, "node.id") != 0))
			continue;
		for (size_t k = 0; k < b->n_constraints; k++)
			if (b->constraints[k].op == OP_EQ && !strcmp(b->constraints[k].attr, c->attr) &&
			        !strcmp(b->constraints[k].value, c->value))
				return true;
	}
	return false;
}

/* Names that are listed in one warning. */
#define NEEDED_BY_MAX 8

void warn_unreachable(struct build *b, const struct node *services)
{
	const struct spec *spec = b->spec;

	for (size_t i = 0; i < spec->n_services; i++) {
		const struct service *s = &spec->services[i];
		const struct pair *p = node_pair(services, s->name);
		const char *by = "";
		size_t count = 0;

		for (size_t k = 0; k < spec->n_services && is_hidden(s) && count < NEEDED_BY_MAX; k++) {
			const struct service *other = &spec->services[k];

			if (k == i || !needs(spec, other, s) || on_one_peer(s, other))
				continue;
			by = arena_printf(b->arena, "%s%s%s", by, count ? ", " : "", other->name);
			count++;
		}
		if (count && p)
			diag_warn(b->diags, p->mark, path_key(b, "services", s->name),
			        "has no port under `ports`, and %s may run on another peer, from which it cannot "
			        "be reached "
			        "until service networks exist: list the port there (\"5432\" for a free host "
			        "port, or mode: host), "
			        "or hold both to one peer by a constraint",
			        by);
	}
}
