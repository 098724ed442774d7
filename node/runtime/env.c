#include "node/runtime/env.h"

#include "base/hash.h"
#include "base/text.h"
#include "node/runtime/volumes.h"

/* STARLING_* and the usual ones; then a port's number and a volume's path each. */
#define OWN_MAX (16 + SERVICE_PORTS_MAX + SPEC_VOLUMES_MAX)

struct env {
	struct arena *arena;
	char **list;
	size_t n;
};

/* Replaces an earlier text of the same key. */
static void set(struct env *e, const char *key, const char *value)
{
	char *text = arena_printf(e->arena, "%s=%s", key, value);
	size_t len = strlen(key) + 1;

	for (size_t i = 0; i < e->n; i++)
		if (strncmp(e->list[i], text, len) == 0) {
			e->list[i] = text;
			return;
		}
	e->list[e->n++] = text;
}

static void set_id(struct env *e, const char *key, id64 id)
{
	char text[17];

	id64_text(text, id);
	set(e, key, text);
}

/* "STARLING_PORT_", "web-admin" -> STARLING_PORT_WEB_ADMIN */
static void set_named(struct env *e, const char *prefix, const char *name, const char *value)
{
	char *key = arena_printf(e->arena, "%s%s", prefix, name);

	for (char *p = key; *p; p++) {
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
		else if (!((*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9')))
			*p = '_';
	}
	set(e, key, value);
}

/* Where the task itself listens. */
static uint16_t own_port(const struct runtime_task *t, size_t i, bool targets)
{
	return targets ? t->spec->ports[t->ports[i].index].target : t->ports[i].port;
}

static void set_ports(struct env *e, const struct runtime_task *t, bool targets)
{
	bool one = t->n_ports > 0;

	for (size_t i = 0; i < t->n_ports; i++) {
		set_named(e, "STARLING_PORT_", t->spec->ports[t->ports[i].index].name,
		        arena_printf(e->arena, "%u", t->ports[i].port));
		one &= own_port(t, i, targets) == own_port(t, 0, targets);
	}
	if (one)
		set(e, "PORT", arena_printf(e->arena, "%u", own_port(t, 0, targets)));
}

void env_templates(struct template_values *out, struct arena *arena, const struct runtime_config *host,
        const struct runtime_task *t)
{
	bool global = t->spec->mode == MODE_GLOBAL;
	struct key32 service;
	char id[17];

	/* Swarm counts slots from 1, and those of a global service not at all. */
	out->text[TEMPLATE_TASK_SLOT] = global ? "0" : arena_printf(arena, "%u", t->index + 1);
	id64_text(id, t->task);
	out->text[TEMPLATE_TASK_ID] = arena_strdup(arena, id);
	out->text[TEMPLATE_NODE_HOSTNAME] = host->peer_name;
	out->text[TEMPLATE_NODE_ID] = host->peer_id;
	service_hash(&service, t->stack, t->service);
	id64_text(id, key32_id(&service));
	out->text[TEMPLATE_SERVICE_ID] = arena_strdup(arena, id);
	out->text[TEMPLATE_SERVICE_NAME] = arena_printf(arena, "%s_%s", t->stack, t->service);
	out->text[TEMPLATE_TASK_NAME] = arena_printf(arena, "%s.%s.%s", out->text[TEMPLATE_SERVICE_NAME],
	        out->text[global ? TEMPLATE_NODE_ID : TEMPLATE_TASK_SLOT], out->text[TEMPLATE_TASK_ID]);
}

const char *task_template(
        struct arena *arena, const struct runtime_config *host, const struct runtime_task *t, const char *text)
{
	struct template_values values;

	env_templates(&values, arena, host, t);
	return template_expand(arena, text, &values);
}

static void set_own(struct env *e, const struct runtime_config *host, const struct runtime_task *t)
{
	char address[ADDR_TEXT_MAX];

	e->list = arena_array(e->arena, OWN_MAX + t->spec->n_env + 1, sizeof(*e->list));
	set_id(e, "STARLING_TASK", t->task);
	set(e, "STARLING_STACK", t->stack);
	set(e, "STARLING_SERVICE", t->service);
	set(e, "STARLING_SLOT", arena_printf(e->arena, "%u", t->index));
	set_id(e, "STARLING_REVISION", t->revision);
	set(e, "STARLING_PEER", host->peer_name);
	set(e, "STARLING_PEER_ID", host->peer_id);
	addr_ip_text(address, &host->address);
	set(e, "STARLING_ADDRESS", address);
	if (host->dns.family) {
		addr_text(address, &host->dns);
		set(e, "STARLING_DNS", address);
	}
}

static void set_services(struct env *e, const struct runtime_config *host, const struct runtime_task *t)
{
	const struct service *s = t->spec;
	struct template_values templates;

	env_templates(&templates, e->arena, host, t);
	for (size_t i = 0; i < s->n_env; i++)
		if (strncmp(s->env[i].key, "STARLING_", 9) != 0)
			set(e, s->env[i].key,
			        s->env[i].value ? template_expand(e->arena, s->env[i].value, &templates) : "");
}

char **env_build(struct arena *arena, const struct runtime_config *host, const struct runtime_task *t,
        const struct user *user)
{
	struct env e = {.arena = arena};

	set_own(&e, host, t);
	set(&e, "PATH", ENV_PATH_DEFAULT);
	set(&e, "HOME", user->home);
	set(&e, "USER", user->name);
	set(&e, "LOGNAME", user->name);
	set_ports(&e, t, false);
	for (size_t i = 0; i < t->spec->n_volumes; i++)
		set_named(&e, "STARLING_VOLUME_", t->spec->volumes[i],
		        volume_path(arena, host->data_dir, t->stack, t->spec->volumes[i]));
	set_services(&e, host, t);
	return e.list;
}

static const char *seen_at(const struct service *s, const char *volume)
{
	for (size_t i = 0; i < s->n_mounts; i++)
		if (s->mounts[i].kind == MOUNT_VOLUME && s->mounts[i].source &&
		        strcmp(s->mounts[i].source, volume) == 0)
			return s->mounts[i].target;
	return NULL;
}

char **env_container(struct arena *arena, const struct runtime_config *host, const struct runtime_task *t)
{
	const struct service *s = t->spec;
	struct env e = {.arena = arena};

	set_own(&e, host, t);
	set_ports(&e, t, !s->network_mode || strcmp(s->network_mode, "host") != 0);
	for (size_t i = 0; i < s->n_volumes; i++) {
		const char *at = seen_at(s, s->volumes[i]);

		set_named(&e, "STARLING_VOLUME_", s->volumes[i],
		        at ? at : volume_path(arena, host->data_dir, t->stack, s->volumes[i]));
	}
	set_services(&e, host, t);
	return e.list;
}
