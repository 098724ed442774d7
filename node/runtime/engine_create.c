/* A task as the body of POST /containers/create: the Compose keys in the words of the engine's API. */
#include "base/text.h"
#include "node/runtime/engine_parts.h"
#include "node/runtime/env.h"
#include "node/runtime/files.h"
#include "node/runtime/volumes.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>

/* Of the engine's own log of a container, which is read by the agent and holds what it says while no agent is there: as
 * much as a task's log. */
#define ENGINE_LOG_BYTES "5m"
#define ENGINE_LOG_FILES "2"
/* Bytes of a seccomp profile; Docker's own has 13 KiB. */
#define SECCOMP_MAX (1024 * 1024)

static json_t *texts(const char *const *list, size_t n)
{
	json_t *a = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(a, json_string(list[i]));
	return a;
}

static void put(json_t *o, const char *key, json_t *value)
{
	json_object_set_new(o, key, value);
}

static void put_text(json_t *o, const char *key, const char *value)
{
	if (value)
		put(o, key, json_string(value));
}

static void put_texts(json_t *o, const char *key, const char *const *list, size_t n)
{
	if (n)
		put(o, key, texts(list, n));
}

static bool own_network(const struct service *s)
{
	return !s->network_mode || strcmp(s->network_mode, "host") != 0;
}

static void put_id(json_t *o, const char *key, id64 id)
{
	char text[17];

	id64_text(text, id);
	put(o, key, json_string(text));
}

static json_t *labels(const struct driver_task *t)
{
	const struct service *s = t->task->spec;
	json_t *o = json_object();
	char number[16];

	for (size_t i = 0; i < s->n_labels; i++)
		put(o, s->labels[i].key, json_string(s->labels[i].value ? s->labels[i].value : ""));
	put_text(o, LABEL_PEER, t->host->peer_id);
	put_id(o, LABEL_TASK, t->task->task);
	snprintf(number, sizeof(number), "%u", t->run);
	put_text(o, LABEL_RUN, number);
	put_text(o, "starling.stack", t->task->stack);
	put_text(o, "starling.service", t->task->service);
	snprintf(number, sizeof(number), "%u", t->task->index);
	put_text(o, "starling.index", number);
	put_id(o, "starling.slot", t->task->slot);
	put_id(o, "starling.revision", t->task->revision);
	return o;
}

/* ---- mounts ---- */

static json_t *bind_mount(const char *source, const char *target, bool read_only, const char *propagation)
{
	json_t *m = json_pack("{s:s,s:s,s:s,s:b}", "Type", "bind", "Source", source, "Target", target, "ReadOnly",
	        (int)read_only);

	if (propagation)
		put(m, "BindOptions", json_pack("{s:s}", "Propagation", propagation));
	return m;
}

static json_t *mount(const struct driver_task *t, const struct spec_mount *m, struct arena *arena)
{
	json_t *o, *options;

	if (m->kind == MOUNT_BIND)
		return bind_mount(task_template(arena, t->host, t->task, m->source), m->target, m->read_only,
		        m->propagation);
	if (m->kind == MOUNT_VOLUME && m->source)
		return bind_mount(volume_path(arena, t->host->data_dir, t->task->stack, m->source), m->target,
		        m->read_only, NULL);
	o = json_pack("{s:s,s:s,s:b}", "Type", m->kind == MOUNT_VOLUME ? "volume" : "tmpfs", "Target", m->target,
	        "ReadOnly", (int)m->read_only);
	options = json_object();
	if (m->kind == MOUNT_VOLUME) {
		put(options, "NoCopy", json_boolean(m->no_copy));
		put(o, "VolumeOptions", options);
		return o;
	}
	if (m->size)
		put(options, "SizeBytes", json_integer((json_int_t)m->size));
	put(options, "Mode", json_integer((json_int_t)(m->mode ? m->mode : 01777)));
	put(o, "TmpfsOptions", options);
	return o;
}

static bool is_mounted(const struct service *s, const char *volume)
{
	for (size_t i = 0; i < s->n_mounts; i++)
		if (s->mounts[i].kind == MOUNT_VOLUME && s->mounts[i].source &&
		        strcmp(s->mounts[i].source, volume) == 0)
			return true;
	return false;
}

/* A folder of x-starling.volumes that nothing mounts is at its own path, where the environment says it is. */
static json_t *mounts(const struct driver_task *t, struct arena *arena)
{
	const struct service *s = t->task->spec;
	json_t *a = json_array();

	for (size_t i = 0; i < s->n_mounts; i++)
		json_array_append_new(a, mount(t, &s->mounts[i], arena));
	for (size_t i = 0; i < s->n_volumes; i++) {
		const char *path = volume_path(arena, t->host->data_dir, t->task->stack, s->volumes[i]);

		if (!is_mounted(s, s->volumes[i]))
			json_array_append_new(a, bind_mount(path, path, false, NULL));
	}
	return a;
}

/* ---- the parts of the host's side ---- */

static void put_ports(const struct driver_task *t, json_t *config, json_t *host)
{
	const struct service *s = t->task->spec;
	json_t *exposed = json_object(), *bound = json_object();
	char ip[ADDR_TEXT_MAX], key[16], port[8];

	addr_ip_text(ip, &t->host->address);
	for (size_t i = 0; i < t->task->n_ports && own_network(s); i++) {
		const struct spec_port *p = &s->ports[t->task->ports[i].index];
		json_t *list;

		snprintf(key, sizeof(key), "%u/%s", p->target, p->proto == PROTO_UDP ? "udp" : "tcp");
		snprintf(port, sizeof(port), "%u", t->task->ports[i].port);
		put(exposed, key, json_object());
		list = json_object_get(bound, key);
		if (!list) {
			put(bound, key, json_array());
			list = json_object_get(bound, key);
		}
		json_array_append_new(list, json_pack("{s:s,s:s}", "HostIp", ip, "HostPort", port));
	}
	put(config, "ExposedPorts", exposed);
	put(host, "PortBindings", bound);
}

static void put_devices(json_t *host, const struct service *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->n_devices; i++) {
		const struct spec_device *d = &s->devices[i];

		json_array_append_new(a, json_pack("{s:s,s:s,s:s}", "PathOnHost", d->host, "PathInContainer",
		                                 d->target ? d->target : d->host, "CgroupPermissions",
		                                 d->access ? d->access : "rwm"));
	}
	put(host, "Devices", a);
}

static void put_ulimits(json_t *host, const struct service *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->n_ulimits; i++)
		json_array_append_new(
		        a, json_pack("{s:s,s:I,s:I}", "Name", s->ulimits[i].name, "Soft",
		                   (json_int_t)s->ulimits[i].soft, "Hard", (json_int_t)s->ulimits[i].hard));
	put(host, "Ulimits", a);
}

static void put_sysctls(json_t *host, const struct service *s)
{
	json_t *o = json_object();

	for (size_t i = 0; i < s->n_sysctls; i++)
		put(o, s->sysctls[i].key, json_string(s->sysctls[i].value ? s->sysctls[i].value : ""));
	put(host, "Sysctls", o);
}

/* "NAME=ADDRESS" as the API wants it: "NAME:ADDRESS". */
static void put_hosts(json_t *host, const struct service *s, struct arena *arena)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->n_extra_hosts; i++) {
		char *text = arena_strdup(arena, s->extra_hosts[i]);
		char *eq = strchr(text, '=');

		if (eq)
			*eq = ':';
		json_array_append_new(a, json_string(text));
	}
	put(host, "ExtraHosts", a);
}

/* Docker wants the profile's text where the command line has its path; Podman reads the path itself. */
static int put_seccomp(
        const struct engine *e, json_t *a, const char *option, struct arena *arena, struct err *err)
{
	const char *path = option + strlen("seccomp=");
	uint8_t *text;
	size_t len;

	if (path[0] != '/' || e->podman) {
		json_array_append_new(a, json_string(option));
		return 0;
	}
	text = file_read(AT_FDCWD, path, SECCOMP_MAX, arena, &len, err);
	if (!text)
		return err_wrap(err, "security_opt: the seccomp profile");
	json_array_append_new(a, json_string(arena_printf(arena, "seccomp=%s", (char *)text)));
	return 0;
}

static int put_security(
        const struct engine *e, json_t *host, const struct service *s, struct arena *arena, struct err *err)
{
	json_t *a = json_array();
	int rc = 0;

	for (size_t i = 0; i < s->n_security_opt && rc == 0; i++) {
		const char *option = s->security_opt[i];

		if (strcmp(option, "systempaths=unconfined") == 0) {
			put(host, "MaskedPaths", json_array());
			put(host, "ReadonlyPaths", json_array());
		} else if (strncmp(option, "seccomp=", 8) == 0) {
			rc = put_seccomp(e, a, option, arena, err);
		} else {
			json_array_append_new(a, json_string(option));
		}
	}
	put(host, "SecurityOpt", a);
	return rc;
}

static void put_limits(json_t *host, const struct service *s)
{
	if (s->limit.memory) {
		put(host, "Memory", json_integer((json_int_t)s->limit.memory));
		/* Memory and swap together: no swap beyond the limit. */
		put(host, "MemorySwap", json_integer((json_int_t)s->limit.memory));
	}
	if (s->limit.cpu_milli)
		put(host, "NanoCpus", json_integer((json_int_t)s->limit.cpu_milli * 1000000));
	if (s->limit.pids)
		put(host, "PidsLimit", json_integer(s->limit.pids));
	if (s->shm_size)
		put(host, "ShmSize", json_integer((json_int_t)s->shm_size));
	if (s->oom_score_adj)
		put(host, "OomScoreAdj", json_integer(s->oom_score_adj));
}

static json_t *host_config(
        const struct engine *e, const struct driver_task *t, struct arena *arena, json_t *config, struct err *err)
{
	const struct service *s = t->task->spec;
	json_t *h = json_object();

	put(h, "RestartPolicy", json_pack("{s:s}", "Name", "no"));
	put(h, "LogConfig",
	        json_pack("{s:s,s:{s:s,s:s}}", "Type", "json-file", "Config", "max-size", ENGINE_LOG_BYTES,
	                "max-file", ENGINE_LOG_FILES));
	put_texts(h, "CapAdd", s->cap_add, s->n_cap_add);
	put_texts(h, "CapDrop", s->cap_drop, s->n_cap_drop);
	put_texts(h, "Dns", s->dns, s->n_dns);
	put_texts(h, "DnsOptions", s->dns_opt, s->n_dns_opt);
	put_texts(h, "DnsSearch", s->dns_search, s->n_dns_search);
	put_texts(h, "GroupAdd", s->group_add, s->n_group_add);
	put_text(h, "NetworkMode", s->network_mode);
	put_text(h, "PidMode", s->pid);
	put_text(h, "IpcMode", s->ipc);
	put_text(h, "UTSMode", s->uts);
	put(h, "Privileged", json_boolean(s->privileged));
	put(h, "ReadonlyRootfs", json_boolean(s->read_only));
	if (s->init)
		put(h, "Init", json_true());
	put(h, "Mounts", mounts(t, arena));
	put_hosts(h, s, arena);
	put_devices(h, s);
	put_ulimits(h, s);
	put_sysctls(h, s);
	put_limits(h, s);
	put_ports(t, config, h);
	if (put_security(e, h, s, arena, err) == 0)
		return h;
	json_decref(h);
	return NULL;
}

static json_t *environment(const struct driver_task *t, struct arena *arena)
{
	char **env = env_container(arena, t->host, t->task);
	json_t *a = json_array();

	for (; *env; env++)
		json_array_append_new(a, json_string(*env));
	return a;
}

char *engine_create_body(const struct engine *e, const struct driver_task *t, const char *image, struct err *err)
{
	const struct service *s = t->task->spec;
	json_t *c = json_object(), *host;
	struct arena arena;
	char *text = NULL;

	arena_init(&arena);
	put_text(c, "Image", image);
	put_texts(c, "Entrypoint", s->entrypoint, s->n_entrypoint);
	put_texts(c, "Cmd", s->command, s->n_command);
	put(c, "Env", environment(t, &arena));
	put_text(c, "User", s->user);
	put_text(c, "WorkingDir", s->working_dir);
	put_text(c, "Hostname", s->hostname ? task_template(&arena, t->host, t->task, s->hostname) : NULL);
	put_text(c, "Domainname", s->domainname);
	put(c, "Tty", json_boolean(s->tty));
	put(c, "OpenStdin", json_boolean(s->stdin_open));
	put_text(c, "StopSignal", s->stop_signal ? s->stop_signal : "SIGTERM");
	/* Checks are made from here, with the service's timing; one of the image would run beside them. */
	put(c, "Healthcheck", json_pack("{s:[s]}", "Test", "NONE"));
	put(c, "Labels", labels(t));
	host = host_config(e, t, &arena, c, err);
	if (host) {
		put(c, "HostConfig", host);
		text = json_dumps(c, JSON_COMPACT);
		if (!text)
			err_set(err, ERR_USAGE, "a text of the service is not UTF-8");
	}
	json_decref(c);
	arena_free(&arena);
	return text;
}
