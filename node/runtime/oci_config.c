#include "node/runtime/oci_config.h"

#include "node/runtime/env.h"

#include <inttypes.h>
#include <stdio.h>

/* Bytes of /dev/shm, as Docker's. */
#define SHM_BYTES (64 << 20)
/* Microseconds of a period of cpu time, as Docker's. */
#define CPU_PERIOD_US 100000

static const char *const masked[] = {"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
        "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
        "/sys/devices/virtual/powercap", "/sys/firmware"};
static const char *const read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

static json_t *texts(const char *const *list, size_t n)
{
	json_t *out = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(out, json_string(list[i]));
	return out;
}

static size_t count(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static bool opt(const struct service *s, const char *want)
{
	for (size_t i = 0; i < s->n_security_opt; i++)
		if (strcmp(s->security_opt[i], want) == 0)
			return true;
	return false;
}

static const char *opt_value(const struct service *s, const char *key)
{
	for (size_t i = 0; i < s->n_security_opt; i++)
		if (strncmp(s->security_opt[i], key, strlen(key)) == 0)
			return s->security_opt[i] + strlen(key);
	return NULL;
}

char **oci_argv(struct arena *arena, const struct service *s, const struct image_config *image)
{
	/* An entrypoint of the service's own makes the image's command mean nothing, as in Compose. */
	const char **first = s->n_entrypoint ? s->entrypoint : image->entrypoint;
	size_t n_first = s->n_entrypoint ? s->n_entrypoint : image->n_entrypoint;
	const char **rest = s->n_command ? s->command : s->n_entrypoint ? NULL : image->command;
	size_t n_rest = s->n_command ? s->n_command : s->n_entrypoint ? 0 : image->n_command;
	char **out = arena_array(arena, n_first + n_rest + 1, sizeof(*out));

	for (size_t i = 0; i < n_first; i++)
		out[i] = (char *)first[i];
	for (size_t i = 0; i < n_rest; i++)
		out[n_first + i] = (char *)rest[i];
	return n_first + n_rest ? out : NULL;
}

/* ---- environment ---- */

static void put(char **list, size_t *n, char *text)
{
	size_t key = strcspn(text, "=") + 1;

	for (size_t i = 0; i < *n; i++)
		if (strncmp(list[i], text, key) == 0) {
			list[i] = text;
			return;
		}
	list[(*n)++] = text;
}

static bool set_by_service(const struct service *s, const char *text)
{
	for (size_t i = 0; i < s->n_env; i++) {
		size_t len = strlen(s->env[i].key);

		if (strncmp(s->env[i].key, text, len) == 0 && text[len] == '=')
			return true;
	}
	return false;
}

/* Of a process of the host; an image has its own. */
static bool of_host(const char *text)
{
	static const char *const keys[] = {"PATH=", "HOME=", "USER=", "LOGNAME="};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strncmp(text, keys[i], strlen(keys[i])) == 0)
			return true;
	return false;
}

char **oci_env(struct arena *arena, const struct oci_bundle *b)
{
	char **out = arena_array(arena, b->image->n_env + count(b->env) + 4, sizeof(*out));
	size_t n = 0;

	put(out, &n, (char *)"PATH=" ENV_PATH_DEFAULT);
	put(out, &n, arena_printf(arena, "HOSTNAME=%s", b->hostname));
	put(out, &n, arena_printf(arena, "HOME=%s", b->user->home));
	for (size_t i = 0; i < b->image->n_env; i++)
		if (strchr(b->image->env[i], '=') && strncmp(b->image->env[i], "STARLING_", 9) != 0)
			put(out, &n, (char *)b->image->env[i]);
	for (size_t i = 0; b->env[i]; i++)
		if (!of_host(b->env[i]) || set_by_service(b->service, b->env[i]))
			put(out, &n, b->env[i]);
	return out;
}

/* ---- process ---- */

static json_t *capabilities(struct arena *arena, const struct oci_bundle *b)
{
	const char **caps;
	size_t n = oci_caps(arena, b->service, &caps);
	json_t *all = texts(caps, n);
	/* Another user than root has them only through programs that bring them, as in Docker. */
	json_t *own = b->user->uid ? json_array() : texts(caps, n);

	return json_pack("{s:o, s:O, s:o}", "bounding", all, "effective", own, "permitted", own);
}

static json_t *rlimits(const struct service *s)
{
	json_t *out = json_array();

	for (size_t i = 0; i < s->n_ulimits; i++) {
		char name[64] = "RLIMIT_";
		size_t len = strlen(name);

		for (const char *p = s->ulimits[i].name; *p && len + 1 < sizeof(name); p++)
			name[len++] = (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
		name[len] = '\0';
		/* Numbers of 64 bits without a sign; JSON here has a sign, and -1 is written as the largest with one, which the
		 * kernel takes as more than anybody has. */
		json_array_append_new(out,
		        json_pack("{s:s, s:I, s:I}", "type", name, "soft",
		                (json_int_t)(s->ulimits[i].soft < 0 ? INT64_MAX : s->ulimits[i].soft), "hard",
		                (json_int_t)(s->ulimits[i].hard < 0 ? INT64_MAX : s->ulimits[i].hard)));
	}
	return out;
}

static json_t *process(struct arena *arena, const struct oci_bundle *b, char **argv)
{
	const struct service *s = b->service;
	json_t *groups = json_array();
	json_t *args = json_array();
	char **env = oci_env(arena, b);
	json_t *p;

	if (b->init) {
		json_array_append_new(args, json_string("/dev/init"));
		json_array_append_new(args, json_string("--"));
	}
	for (size_t i = 0; argv[i]; i++)
		json_array_append_new(args, json_string(argv[i]));
	for (size_t i = 0; i < b->user->n_groups; i++)
		json_array_append_new(groups, json_integer(b->user->groups[i]));
	p = json_pack("{s:b, s:{s:I, s:I, s:i, s:o}, s:o, s:o, s:s, s:o, s:o, s:b, s:i}", "terminal", 0, "user",
	        "uid", (json_int_t)b->user->uid, "gid", (json_int_t)b->user->gid, "umask", 022, "additionalGids",
	        groups, "args", args, "env", texts((const char *const *)env, count(env)), "cwd",
	        s->working_dir           ? s->working_dir
	        : *b->image->working_dir ? b->image->working_dir
	                                 : "/",
	        "capabilities", capabilities(arena, b), "rlimits", rlimits(s), "noNewPrivileges",
	        opt(s, "no-new-privileges"), "oomScoreAdj", (int)s->oom_score_adj);
	if (opt_value(s, "apparmor=") && !opt(s, "apparmor=unconfined"))
		json_object_set_new(p, "apparmorProfile", json_string(opt_value(s, "apparmor=")));
	return p;
}

/* ---- mounts ---- */

static void mount(json_t *list, const char *target, const char *type, const char *source, json_t *options)
{
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "destination", target, "type", type,
	                                    "source", source, "options", options));
}

static void mount_tmpfs(json_t *list, struct arena *arena, const struct spec_mount *m)
{
	json_t *o = json_pack("[s, s, s, s]", "noexec", "nosuid", "nodev", m->read_only ? "ro" : "rw");

	json_array_append_new(o, json_string(arena_printf(arena, "mode=%o", m->mode ? m->mode : 01777)));
	if (m->size)
		json_array_append_new(o, json_string(arena_printf(arena, "size=%" PRIu64, m->size)));
	mount(list, m->target, "tmpfs", "tmpfs", o);
}

static json_t *mounts(struct arena *arena, const struct oci_bundle *b)
{
	const struct service *s = b->service;
	json_t *list = json_array();

	mount(list, "/proc", "proc", "proc", json_pack("[s, s, s]", "nosuid", "noexec", "nodev"));
	mount(list, "/dev", "tmpfs", "tmpfs",
	        json_pack("[s, s, s, s]", "nosuid", "strictatime", "mode=755", "size=65536k"));
	mount(list, "/dev/pts", "devpts", "devpts",
	        json_pack("[s, s, s, s, s, s]", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620",
	                "gid=5"));
	if (s->ipc) {
		mount(list, "/dev/shm", "bind", "/dev/shm",
		        json_pack("[s, s, s, s]", "rbind", "nosuid", "noexec", "nodev"));
		mount(list, "/dev/mqueue", "bind", "/dev/mqueue",
		        json_pack("[s, s, s, s]", "rbind", "nosuid", "noexec", "nodev"));
	} else {
		mount(list, "/dev/shm", "tmpfs", "shm",
		        json_pack("[s, s, s, s, o]", "nosuid", "noexec", "nodev", "mode=1777",
		                json_string(arena_printf(arena, "size=%" PRIu64,
		                        s->shm_size ? s->shm_size : (uint64_t)SHM_BYTES))));
		mount(list, "/dev/mqueue", "mqueue", "mqueue",
		        json_pack("[s, s, s]", "nosuid", "noexec", "nodev"));
	}
	/* sysfs shows the network of who mounts it, so one who shares the host's gets the host's. */
	if (b->netns)
		mount(list, "/sys", "sysfs", "sysfs",
		        json_pack("[s, s, s, s]", "nosuid", "noexec", "nodev", s->privileged ? "rw" : "ro"));
	else
		mount(list, "/sys", "bind", "/sys",
		        json_pack("[s, s, s, s, s]", "rbind", "nosuid", "noexec", "nodev",
		                s->privileged ? "rw" : "ro"));
	if (b->init)
		mount(list, "/dev/init", "bind", b->init, json_pack("[s, s]", "bind", "ro"));
	for (size_t i = 0; i < b->n_binds; i++)
		mount(list, b->binds[i].target, "bind", b->binds[i].source,
		        json_pack("[s, s, s]", "rbind", b->binds[i].read_only ? "ro" : "rw",
		                b->binds[i].propagation ? b->binds[i].propagation : "rprivate"));
	for (size_t i = 0; i < s->n_mounts; i++)
		if (s->mounts[i].kind == MOUNT_TMPFS)
			mount_tmpfs(list, arena, &s->mounts[i]);
	return list;
}

/* ---- linux ---- */

static json_t *namespaces(const struct oci_bundle *b)
{
	const struct service *s = b->service;
	json_t *list = json_pack("[{s:s}]", "type", "mount");

	if (!s->pid)
		json_array_append_new(list, json_pack("{s:s}", "type", "pid"));
	if (!s->ipc)
		json_array_append_new(list, json_pack("{s:s}", "type", "ipc"));
	if (!s->uts)
		json_array_append_new(list, json_pack("{s:s}", "type", "uts"));
	if (b->netns && *b->netns)
		json_array_append_new(list, json_pack("{s:s, s:s}", "type", "network", "path", b->netns));
	else if (b->netns)
		json_array_append_new(list, json_pack("{s:s}", "type", "network"));
	return list;
}

static int devices(struct arena *arena, const struct oci_bundle *b, json_t *nodes, json_t *rules, struct err *err)
{
	const struct service *s = b->service;
	struct oci_device *d = arena_array(arena, OCI_DEVICES_MAX + SPEC_DEVICES_MAX, sizeof(*d));
	size_t n = s->privileged ? oci_devices_all(arena, d) : 0;

	json_array_append_new(rules, json_pack("{s:b, s:s}", "allow", (int)s->privileged, "access", "rwm"));
	for (size_t i = 0; i < s->n_devices; i++, n++)
		if (oci_device_find(arena, &s->devices[i], &d[n], err) < 0)
			return -1;
	for (size_t i = 0; i < n; i++) {
		char type[2] = {d[i].type, '\0'};

		json_array_append_new(
		        nodes, json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i}", "path", d[i].path, "type", type,
		                       "major", (int)d[i].major, "minor", (int)d[i].minor, "fileMode",
		                       (int)d[i].mode, "uid", (int)d[i].uid, "gid", (int)d[i].gid));
		if (!s->privileged)
			json_array_append_new(
			        rules, json_pack("{s:b, s:s, s:i, s:i, s:s}", "allow", 1, "type", type, "major",
			                       (int)d[i].major, "minor", (int)d[i].minor, "access", d[i].access));
	}
	return 0;
}

static json_t *resources(const struct oci_bundle *b, json_t *rules)
{
	const struct spec_resources *l = &b->service->limit;
	json_t *r = json_pack("{s:o}", "devices", rules);

	if (l->memory)
		json_object_set_new(r, "memory", json_pack("{s:I}", "limit", (json_int_t)l->memory));
	if (l->cpu_milli)
		json_object_set_new(r, "cpu",
		        json_pack("{s:I, s:i}", "quota",
		                (json_int_t)MAX(l->cpu_milli * (CPU_PERIOD_US / 1000), (uint64_t)1000), "period",
		                CPU_PERIOD_US));
	if (l->pids)
		json_object_set_new(r, "pids", json_pack("{s:I}", "limit", (json_int_t)l->pids));
	return r;
}

static int linux_part(struct arena *arena, const struct oci_bundle *b, json_t *root, struct err *err)
{
	const struct service *s = b->service;
	json_t *nodes = json_array(), *rules = json_array(), *l;
	json_t *sysctls = json_object();
	const char **caps;
	size_t n_caps = oci_caps(arena, s, &caps);
	bool open = s->privileged || opt(s, "systempaths=unconfined");

	if (devices(arena, b, nodes, rules, err) < 0) {
		json_decref(nodes);
		json_decref(rules);
		json_decref(sysctls);
		return -1;
	}
	for (size_t i = 0; i < s->n_sysctls; i++)
		json_object_set_new(
		        sysctls, s->sysctls[i].key, json_string(s->sysctls[i].value ? s->sysctls[i].value : ""));
	/* runc 1.1 does not know the specification's newer `domainname`. */
	if (s->domainname)
		json_object_set_new(sysctls, "kernel.domainname", json_string(s->domainname));
	l = json_pack("{s:o, s:s, s:o, s:o, s:o, s:s}", "namespaces", namespaces(b), "cgroupsPath",
	        b->cgroup_path, "devices", nodes, "resources", resources(b, rules), "sysctl", sysctls,
	        "rootfsPropagation", "rprivate");
	if (!open) {
		json_object_set_new(l, "maskedPaths", texts(masked, ARRAY_LEN(masked)));
		json_object_set_new(l, "readonlyPaths", texts(read_only, ARRAY_LEN(read_only)));
	}
	if (!s->privileged && !opt(s, "seccomp=unconfined"))
		json_object_set_new(l, "seccomp", oci_seccomp(caps, n_caps));
	json_object_set_new(root, "linux", l);
	return 0;
}

char *oci_config_make(struct arena *arena, const struct oci_bundle *b, struct err *err)
{
	const struct service *s = b->service;
	char **argv = oci_argv(arena, s, b->image);
	json_t *root, *notes;
	char *text;

	if (!argv) {
		err_set(err, ERR_UNPLACEABLE, "the image %s says no command; give the service `command`",
		        s->image);
		return NULL;
	}
	root = json_pack("{s:s, s:o, s:{s:s, s:b}, s:o}", "ociVersion", "1.0.2", "process",
	        process(arena, b, argv), "root", "path", b->rootfs, "readonly", (int)s->read_only, "mounts",
	        mounts(arena, b));
	if (!s->uts)
		json_object_set_new(root, "hostname", json_string(b->hostname));
	notes = json_object();
	for (size_t i = 0; i < s->n_annotations; i++)
		json_object_set_new(notes, s->annotations[i].key,
		        json_string(s->annotations[i].value ? s->annotations[i].value : ""));
	json_object_set_new(root, "annotations", notes);
	if (linux_part(arena, b, root, err) < 0) {
		json_decref(root);
		return NULL;
	}
	text = json_dumps(root, JSON_INDENT(1));
	json_decref(root);
	if (!text)
		err_set(err, ERR_UNPLACEABLE, "its configuration holds text that is no UTF-8");
	return text;
}
