/*
 * Every key of the Compose Specification at every level that is read, and what becomes of it. docs/compose.md is
 * made from these tables (tests/unit/cli/test_compose_doc.c holds the two together).
 */
#include "cli/compose/build.h"

#include "base/text.h"

static void take_user(struct build *b, const char *path, const struct node *n, void *target)
{
	want_text(b, path, n, &((struct draft *)target)->s->user);
}

static void take_working_dir(struct build *b, const char *path, const struct node *n, void *target)
{
	want_text(b, path, n, &((struct draft *)target)->s->working_dir);
}

static void take_stop_signal(struct build *b, const char *path, const struct node *n, void *target)
{
	struct draft *d = target;
	const char *name;

	/* `USR1` is what kill(1) takes, `SIGUSR1` what Compose files mostly say. */
	if (want_text(b, path, n, &name))
		d->s->stop_signal = strncmp(name, "SIG", 3) == 0 ? name : arena_printf(b->arena, "SIG%s", name);
}

static void take_stop_grace_period(struct build *b, const char *path, const struct node *n, void *target)
{
	want_duration(b, path, n, &((struct draft *)target)->s->stop_grace_ms);
}

static void take_scale(struct build *b, const char *path, const struct node *n, void *target)
{
	struct draft *d = target;
	uint64_t replicas;

	d->scale = n;
	if (want_u64(b, path, n, 0, SERVICE_REPLICAS_MAX, &replicas))
		d->s->replicas = (uint32_t)replicas;
}

static const struct key_rule service_rules[] = {
        {"annotations", take_annotations,
                "for the container runtime and its hooks; map or list, at most 64; needs the power privileged"},
        {"attach", NULL,
                "says whether `compose up` shows this service's logs; remove it and use `starling logs`"},
        {"blkio_config", NULL, "weights and rates of disks are not set; remove it"},
        {"build", NULL, "images are not built here; build it, push it to a registry, and name it with `image`"},
        {"cap_add", take_cap_add,
                "capabilities, with or without CAP_, or ALL; a container needs the power privileged for those "
                "beyond the 14 that it has anyway, a process exec-as-root (NET_BIND_SERVICE: host-network)"},
        {"cap_drop", take_cap_drop, "capabilities, with or without CAP_, or ALL"},
        {"cgroup", NULL, "each container has a cgroup namespace of its own; remove it"},
        {"cgroup_parent", NULL, "each task has a cgroup of its own, chosen by the agent; remove it"},
        {"command", take_command,
                "arguments, or program and arguments without `entrypoint`; a string is split by "
                "shell words, and no shell runs it"},
        {"configs", take_configs,
                "a list of configs of the top level, each a read-only file /NAME for the task; or see its own table"},
        {"container_name", NULL,
                "a task's name is STACK/SERVICE/SLOT, and a fixed one allows no second replica; remove it"},
        {"cpu_count", NULL, "is for Windows containers; use `deploy.resources.limits.cpus`"},
        {"cpu_percent", NULL, "is for Windows containers; use `deploy.resources.limits.cpus`"},
        {"cpu_period", NULL, "use `deploy.resources.limits.cpus`"},
        {"cpu_quota", NULL, "use `deploy.resources.limits.cpus`"},
        {"cpu_rt_period", NULL, "real-time scheduling is not offered; remove it"},
        {"cpu_rt_runtime", NULL, "real-time scheduling is not offered; remove it"},
        {"cpu_shares", NULL, "use `deploy.resources.reservations.cpus`"},
        {"cpus", take_cpus, "the same as `deploy.resources.limits.cpus`, with which it must agree"},
        {"cpuset", NULL, "tasks are not pinned to cores; use `deploy.resources.limits.cpus`"},
        {"credential_spec", NULL, "is for Windows containers; remove it"},
        {"depends_on", take_depends_on,
                "a list of services of the stack, or a map; see its own table; a task waits until each of them "
                "has reached its condition"},
        {"deploy", take_deploy, "see its own table"},
        {"develop", NULL, "is for `compose watch` on a developer's machine; remove it"},
        {"device_cgroup_rules", NULL, "name each device under `devices`"},
        {"devices", take_devices, "HOST[:TARGET[:rwm]], or see its own table; needs the power devices"},
        {"dns", take_dns, "one address or a list, instead of the one of the peer"},
        {"dns_opt", take_dns_opt, "a list"},
        {"dns_search", take_dns_search, "one domain or a list"},
        {"domainname", take_domainname, "of the container"},
        {"entrypoint", take_entrypoint, "the program, before `command`; a string is split by shell words"},
        {"env_file", take_env_file,
                "read by the CLI, beside the Compose file; string, list, or list of path, required, "
                "format"},
        {"environment", take_environment,
                "map or list; a name alone takes its value from the CLI's environment, and is left out if unset; "
                "STARLING_* is the agent's"},
        {"expose", NULL, "list the port under `ports` as \"PORT\": it gets a free host port and a name in DNS"},
        {"extends", NULL, "is not followed yet; use a YAML anchor and a merge key << in this file"},
        {"external_links", NULL, "find other stacks by name: SERVICE.STACK.starling.internal"},
        {"extra_hosts", take_extra_hosts,
                "a list of NAME=ADDRESS or NAME:ADDRESS, or a map; the address may be host-gateway"},
        {"gpus", NULL, "name the devices under `devices`, and count them with `generic_resources`; remove it"},
        {"group_add", take_group_add, "a list of names or numbers"},
        {"healthcheck", take_healthcheck, "see its own table; DNS names healthy tasks only"},
        {"hostname", take_hostname, "of the container"},
        {"image", take_image,
                "[HOST[:PORT]/]NAME[:TAG][@DIGEST]; the service is a container then (drivers oci, engine)"},
        {"init", take_init, "true: a small init reaps children and passes signals on; a process has that anyway"},
        {"ipc", take_ipc, "host, which needs the power privileged in a container; private (unless set)"},
        {"isolation", NULL, "is for Windows containers; remove it"},
        {"label_file", take_label_file, "read by the CLI; `labels` override it"},
        {"labels", take_labels, "map or list, at most 64"},
        {"links", NULL, "find services by name: SERVICE.STACK.starling.internal"},
        {"logging", NULL, "logs are kept and rotated by the agent, see `starling logs`; remove it"},
        {"mac_address", NULL, "addresses are chosen by the driver; remove it"},
        {"mem_limit", take_mem_limit, "the same as `deploy.resources.limits.memory`, with which it must agree"},
        {"mem_reservation", take_mem_reservation,
                "the same as `deploy.resources.reservations.memory`, with which it must agree"},
        {"mem_swappiness", NULL, "is the host's setting; remove it"},
        {"memswap_limit", NULL, "use `deploy.resources.limits.memory`"},
        {"models", NULL, "models are not provided; pass the address of yours in `environment`"},
        {"network_mode", take_network_mode,
                "host; bridge: a network of the peer, with NAT; none; unless set bridge under driver engine and host under oci; "
                "the host's network needs the power host-network in a container; a process is always in it"},
        {"networks", NULL, "service networks come later; services find each other by name in DNS; remove it"},
        {"oom_kill_disable", NULL, "a task beyond its memory limit is killed and restarted; remove it"},
        {"oom_score_adj", take_oom_score_adj, "-1000 to 1000; below 0 needs the power priority"},
        {"pid", take_pid, "host, which needs the power privileged in a container"},
        {"pids_limit", take_pids_limit, "the same as `deploy.resources.limits.pids`, with which it must agree"},
        {"platform", take_platform, "linux/ARCH: the same as a constraint on node.platform.arch"},
        {"ports", take_ports, "see its own table"},
        {"post_start", NULL, "hooks do not exist yet; do it in the program that starts"},
        {"pre_stop", NULL, "hooks do not exist yet; use `stop_signal` and `stop_grace_period`"},
        {"privileged", take_privileged,
                "true: a container with all capabilities and devices; needs the power privileged"},
        {"profiles", NULL, "a stack is deployed as a whole; put optional services in a file of their own"},
        {"provider", NULL, "other tools are not called; remove the service"},
        {"pull_policy", take_pull_policy, "missing (unless set; also if_not_present), always, never"},
        {"pull_refresh_after", NULL, "use `pull_policy: always`"},
        {"read_only", take_read_only, "true: the root file system cannot be written"},
        {"restart", take_restart,
                "no, always, on-failure[:N], unless-stopped (as always: what was stopped for good, by `starling "
                "rm`, does not come back)"},
        {"runtime", NULL, "the peer chooses the runtime (crun, runc); remove it"},
        {"scale", take_scale, "the same as `deploy.replicas`, with which it must agree"},
        {"secrets", NULL,
                "would stand readable in the signed stack, which every peer has; have the file on the hosts and bind it"},
        {"security_opt", take_security_opt,
                "no-new-privileges, which a process has anyway; of containers also seccomp=unconfined, "
                "apparmor=PROFILE, label=..., systempaths=unconfined, which need the power privileged"},
        {"shm_size", take_shm_size, "of /dev/shm; 64m unless set"},
        {"stdin_open", take_stdin_open, "true: standard input is open, though nobody writes to it"},
        {"stop_grace_period", take_stop_grace_period,
                "how long between `stop_signal` and SIGKILL; 10s unless set"},
        {"stop_signal", take_stop_signal, "SIGTERM unless set; with or without SIG"},
        {"storage_opt", NULL, "the size of a container's own layer is not limited; remove it"},
        {"sysctls", take_sysctls,
                "map or list; those of the container's own namespaces: net.*, fs.mqueue.*, kernel.msg*, sem, shm*"},
        {"tmpfs", take_tmpfs,
                "one target or a list, each with :size=64m,mode=1777,ro behind it if wanted; always noexec, nosuid, nodev"},
        {"tty", take_tty, "true: a terminal; the log has what is written to it as stdout"},
        {"ulimits", take_ulimits,
                "NAME: N for both, or {soft: N, hard: N}; -1: no limit; rtprio, and nice above 20, need the "
                "power priority"},
        {"use_api_socket", NULL, "there is no engine's socket to hand over; remove it"},
        {"user", take_user,
                "USER or USER:GROUP, names or numbers: of the image, or for a process of the host, where "
                "`nobody` is meant if the agent is root and none is named, and root needs the power exec-as-root"},
        {"userns_mode", NULL, "user namespaces are not used yet; remove it"},
        {"uts", take_uts, "host: the host's name, which needs the power host-network in a container"},
        {"volumes", take_mounts,
                "a list: NAME:TARGET[:ro] of a volume of the top level; /HOST/PATH:TARGET[:ro], which needs the "
                "power host-binds; ./PATH:TARGET:ro beside the Compose file, whose files travel with the stack; "
                "TARGET alone for a folder that ends with the task; or see its own table"},
        {"volumes_from", NULL, "mount the same named volume in both services"},
        {"working_dir", take_working_dir, "an absolute path: in the container, or on the hosts"},
        {"x-starling", take_x_starling, "what Compose has no key for; see its own table"},
};

#define LEVEL(at, rules, ext)                                                                                    \
	{                                                                                                        \
		at, rules, ARRAY_LEN(rules), ext                                                                 \
	}

const struct key_level level_service = LEVEL("services.*", service_rules, true);

const struct key_level *const key_levels[] = {
        &level_top,
        &level_config,
        &level_volume,
        &level_service,
        &level_env_file,
        &level_port,
        &level_mount,
        &level_mount_bind,
        &level_mount_volume,
        &level_mount_tmpfs,
        &level_config_use,
        &level_device,
        &level_depends,
        &level_ulimit,
        &level_healthcheck,
        &level_deploy,
        &level_resources,
        &level_limits,
        &level_reservations,
        &level_generic,
        &level_discrete,
        &level_restart_policy,
        &level_placement,
        &level_preference,
        &level_update_config,
        &level_x_starling,
        &level_prefer,
        &level_process,
        &level_probes,
        &level_http,
        &level_tcp,
};
const size_t n_key_levels = ARRAY_LEN(key_levels);
