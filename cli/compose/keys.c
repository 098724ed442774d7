/*
 * Every key of the Compose Specification at every level that is read, and what becomes of it. docs/compose.md is
 * made from these tables (tests/unit/cli/test_compose_doc.c holds the two together).
 */
#include "cli/compose/build.h"

#include "base/text.h"

#define NO_DRIVER "needs a container driver (oci, engine), which does not exist yet"
#define PROCESS   "an exec service is a plain process of the host"

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
        {"annotations", NULL, NO_DRIVER "; use `labels`"},
        {"attach", NULL,
                "says whether `compose up` shows this service's logs; remove it and use `starling logs`"},
        {"blkio_config", NULL, NO_DRIVER "; remove it"},
        {"build", NULL,
                "images are not built here, and running one " NO_DRIVER
                "; name a program that is on the hosts with "
                "`command`"},
        {"cap_add", NULL, PROCESS " with no capabilities of its own; remove it"},
        {"cap_drop", NULL, PROCESS " that gains no privileges anyway; remove it"},
        {"cgroup", NULL, NO_DRIVER "; remove it"},
        {"cgroup_parent", NULL, "each task has a cgroup of its own, chosen by the agent; remove it"},
        {"command", take_command,
                "arguments, or program and arguments without `entrypoint`; a string is split by "
                "shell words, and no shell runs it"},
        {"configs", NULL,
                "files for services are not distributed yet; have the file on the hosts, or use `environment`"},
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
        {"depends_on", NULL,
                "services start independently, on any peer, at any time; let this one retry, and find the other by "
                "its name in DNS"},
        {"deploy", take_deploy, "see its own table"},
        {"develop", NULL, "is for `compose watch` on a developer's machine; remove it"},
        {"device_cgroup_rules", NULL, NO_DRIVER "; remove it"},
        {"devices", NULL, "devices are not handed to tasks yet; remove it"},
        {"dns", NULL, "a task uses its host's resolver; set that one, and see STARLING_DNS in the environment"},
        {"dns_opt", NULL, "a task uses its host's resolver; remove it"},
        {"dns_search", NULL, "a task uses its host's resolver; remove it"},
        {"domainname", NULL, PROCESS " and has its name; remove it"},
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
        {"extra_hosts", NULL, PROCESS " and uses its /etc/hosts; put the name there or in DNS"},
        {"gpus", NULL, "devices are not handed to tasks yet; remove it"},
        {"group_add", NULL, "name one group in `user: USER:GROUP`"},
        {"healthcheck", take_healthcheck, "see its own table; DNS names healthy tasks only"},
        {"hostname", NULL, PROCESS " and has its name; use STARLING_SERVICE and STARLING_SLOT"},
        {"image", NULL, "running an image " NO_DRIVER "; name a program that is on the hosts with `command`"},
        {"init", NULL, "a task's children are always reaped; remove it"},
        {"ipc", NULL, NO_DRIVER "; remove it"},
        {"isolation", NULL, "is for Windows containers; remove it"},
        {"label_file", take_label_file, "read by the CLI; `labels` override it"},
        {"labels", take_labels, "map or list, at most 64"},
        {"links", NULL, "find services by name: SERVICE.STACK.starling.internal"},
        {"logging", NULL, "logs are kept and rotated by the agent, see `starling logs`; remove it"},
        {"mac_address", NULL, PROCESS " and has its network; remove it"},
        {"mem_limit", take_mem_limit, "the same as `deploy.resources.limits.memory`, with which it must agree"},
        {"mem_reservation", take_mem_reservation,
                "the same as `deploy.resources.reservations.memory`, with which it must agree"},
        {"mem_swappiness", NULL, "is the host's setting; remove it"},
        {"memswap_limit", NULL, "use `deploy.resources.limits.memory`"},
        {"models", NULL, "models are not provided; pass the address of yours in `environment`"},
        {"network_mode", NULL, PROCESS " in its network; remove it"},
        {"networks", NULL, "service networks come later; services find each other by name in DNS; remove it"},
        {"oom_kill_disable", NULL, "a task beyond its memory limit is killed and restarted; remove it"},
        {"oom_score_adj", NULL, "is chosen by the agent; remove it"},
        {"pid", NULL, PROCESS " and sees its processes; remove it"},
        {"pids_limit", take_pids_limit, "the same as `deploy.resources.limits.pids`, with which it must agree"},
        {"platform", NULL, "use `deploy.placement.constraints`: node.platform.arch == amd64"},
        {"ports", take_ports, "see its own table"},
        {"post_start", NULL, "hooks do not exist yet; do it in the program that starts"},
        {"pre_stop", NULL, "hooks do not exist yet; use `stop_signal` and `stop_grace_period`"},
        {"privileged", NULL, PROCESS "; to run as root say `user: root`, which needs the power exec-as-root"},
        {"profiles", NULL, "a stack is deployed as a whole; put optional services in a file of their own"},
        {"provider", NULL, "other tools are not called; remove the service"},
        {"pull_policy", NULL, "there is no image to pull; remove it"},
        {"pull_refresh_after", NULL, "there is no image to pull; remove it"},
        {"read_only", NULL, NO_DRIVER "; remove it"},
        {"restart", take_restart,
                "no, always, on-failure[:N], unless-stopped (as always: `starling rm` stops for good)"},
        {"runtime", NULL, NO_DRIVER "; remove it"},
        {"scale", take_scale, "the same as `deploy.replicas`, with which it must agree"},
        {"secrets", NULL, "secrets are not distributed yet; have the file on the hosts"},
        {"security_opt", NULL, "tasks always run with no_new_privs; remove it"},
        {"shm_size", NULL, NO_DRIVER "; remove it"},
        {"stdin_open", NULL, "a task's standard input is empty; remove it"},
        {"stop_grace_period", take_stop_grace_period,
                "how long between `stop_signal` and SIGKILL; 10s unless set"},
        {"stop_signal", take_stop_signal, "SIGTERM unless set; with or without SIG"},
        {"storage_opt", NULL, NO_DRIVER "; remove it"},
        {"sysctls", NULL, "are the host's settings; remove it"},
        {"tmpfs", NULL, "Starling mounts nothing for a task yet; remove it, the program sees the host's /tmp"},
        {"tty", NULL, "a task has no terminal; remove it"},
        {"ulimits", NULL, "set limits in the program, or use `deploy.resources.limits`"},
        {"use_api_socket", NULL, "there is no engine's socket to hand over; remove it"},
        {"user", take_user,
                "USER or USER:GROUP, names or numbers of the host; `nobody` when the agent is root and "
                "none is named; root needs the power exec-as-root"},
        {"userns_mode", NULL, NO_DRIVER "; remove it"},
        {"uts", NULL, NO_DRIVER "; remove it"},
        {"volumes", NULL,
                "cannot be mounted yet; " PROCESS
                " and sees its files: use `x-starling.volumes` for a folder that the host keeps"},
        {"volumes_from", NULL, "volumes do not exist yet; remove it"},
        {"working_dir", take_working_dir, "an absolute path on the hosts"},
        {"x-starling", take_x_starling, "what Compose has no key for; see its own table"},
};

#define LEVEL(at, rules, ext)                                                                                    \
	{                                                                                                        \
		at, rules, ARRAY_LEN(rules), ext                                                                 \
	}

const struct key_level level_service = LEVEL("services.*", service_rules, true);

const struct key_level *const key_levels[] = {
        &level_top,
        &level_service,
        &level_env_file,
        &level_port,
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
        &level_probes,
        &level_http,
        &level_tcp,
};
const size_t n_key_levels = ARRAY_LEN(key_levels);
