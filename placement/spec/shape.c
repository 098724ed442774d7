/* The tables. Keys are the Compose Specification's own paths, so that a diff names what the user wrote. */
#include "placement/spec/shape.h"

#define NUMBER_MAX INT64_MAX
/* Longest duration: 30 days. Longer is taken for a mistake of unit. */
#define DURATION_MAX MINUTES(30 * 24 * 60)

/* Rows. C: content; P: the rest of a struct service, which placement or updates read anew. */
#define TEXT(t, k, m, c)                                                                                         \
	{                                                                                                        \
		.key = (k), .kind = FIELD_TEXT, .content = (c), .offset = offsetof(struct t, m),                 \
		.max = SPEC_TEXT_MAX                                                                             \
	}
#define BYTES(t, k, m, limit, c)                                                                                 \
	{                                                                                                        \
		.key = (k), .kind = FIELD_BYTES, .content = (c), .offset = offsetof(struct t, m),                \
		.count_offset = offsetof(struct t, n_##m), .max = (limit)                                        \
	}
#define TEXTS(t, k, m, limit, c)                                                                                 \
	{                                                                                                        \
		.key = (k), .kind = FIELD_TEXTS, .content = (c), .offset = offsetof(struct t, m),                \
		.count_offset = offsetof(struct t, n_##m), .max = (limit)                                        \
	}
#define KVS(t, k, m, limit, c)                                                                                   \
	{                                                                                                        \
		.key = (k), .kind = FIELD_KVS, .content = (c), .offset = offsetof(struct t, m),                  \
		.count_offset = offsetof(struct t, n_##m), .max = (limit)                                        \
	}
#define NUMBER(t, k, m, type, def, lo, hi, c)                                                                    \
	{                                                                                                        \
		.key = (k), .kind = FIELD_##type, .content = (c), .offset = offsetof(struct t, m),               \
		.fallback = (def), .min = (lo), .max = (hi)                                                      \
	}
#define ENUM(t, k, m, list, c)                                                                                   \
	{                                                                                                        \
		.key = (k), .kind = FIELD_ENUM, .content = (c), .offset = offsetof(struct t, m), .names = (list) \
	}
#define BOOL(t, k, m, c)                                                                                         \
	{                                                                                                        \
		.key = (k), .kind = FIELD_BOOL, .content = (c), .offset = offsetof(struct t, m)                  \
	}
#define STRUCT(t, k, m, sh, c)                                                                                   \
	{                                                                                                        \
		.key = (k), .kind = FIELD_STRUCT, .content = (c), .offset = offsetof(struct t, m),               \
		.shape = &(sh)                                                                                   \
	}
#define STRUCTS(t, k, m, sh, limit, c)                                                                           \
	{                                                                                                        \
		.key = (k), .kind = FIELD_STRUCTS, .content = (c), .offset = offsetof(struct t, m),              \
		.count_offset = offsetof(struct t, n_##m), .max = (limit), .shape = &(sh)                        \
	}
#define SHAPE(t, rows)                                                                                           \
	{                                                                                                        \
		.size = sizeof(struct t), .n_fields = ARRAY_LEN(rows), .fields = (rows)                          \
	}

static const char *const driver_names[] = {"auto", "exec", "oci", "engine", NULL};
static const char *const mode_names[] = {"replicated", "global", NULL};
static const char *const proto_names[] = {"tcp", "udp", NULL};
static const char *const port_mode_names[] = {"dynamic", "host", "ingress", NULL};
static const char *const check_names[] = {"none", "command", "http", "tcp", NULL};
static const char *const restart_names[] = {"any", "on-failure", "none", NULL};
static const char *const op_names[] = {"==", "!=", NULL};
static const char *const partition_names[] = {"run", "majority", "pause", NULL};

static const char *const pull_names[] = {"missing", "always", "never", NULL};
static const char *const mount_names[] = {"bind", "volume", "tmpfs", "shipped", NULL};
static const char *const depends_names[] = {
        "service_started", "service_healthy", "service_completed_successfully", NULL};
static const char *const io_class_names[] = {"default", "best-effort", "idle", NULL};

/* Inside the nested structs every field is content if the struct is; `content` there only has to be true. */
static const struct field constraint_fields[] = {
        TEXT(spec_constraint, "attr", attr, true),
        ENUM(spec_constraint, "op", op, op_names, true),
        TEXT(spec_constraint, "value", value, true),
};
static const struct shape constraint_shape = SHAPE(spec_constraint, constraint_fields);

static const struct field generic_fields[] = {
        TEXT(spec_generic, "kind", kind, true),
        NUMBER(spec_generic, "value", value, U64, 0, 0, SPEC_GENERIC_VALUE_MAX, true),
};
static const struct shape generic_shape = SHAPE(spec_generic, generic_fields);

static const struct field prefer_fields[] = {
        TEXT(spec_prefer, "attr", attr, true),
        ENUM(spec_prefer, "op", op, op_names, true),
        TEXT(spec_prefer, "value", value, true),
        NUMBER(spec_prefer, "weight", weight, I32, 50, -SPEC_PREFER_WEIGHT, SPEC_PREFER_WEIGHT, true),
};
static const struct shape prefer_shape = SHAPE(spec_prefer, prefer_fields);

static const struct field resources_fields[] = {
        NUMBER(spec_resources, "cpu_milli", cpu_milli, U64, 0, 0, SPEC_CPU_MILLI_MAX, true),
        NUMBER(spec_resources, "memory", memory, U64, 0, 0, SPEC_MEMORY_MAX, true),
        NUMBER(spec_resources, "pids", pids, U32, 0, 0, 1LL << 22, true),
};
static const struct shape resources_shape = SHAPE(spec_resources, resources_fields);

static const struct field restart_fields[] = {
        ENUM(spec_restart_policy, "condition", condition, restart_names, true),
        NUMBER(spec_restart_policy, "delay_ms", delay_ms, I64, 0, 0, DURATION_MAX, true),
        NUMBER(spec_restart_policy, "max_attempts", max_attempts, U32, 0, 0, UINT32_MAX, true),
        NUMBER(spec_restart_policy, "window_ms", window_ms, I64, 0, 0, DURATION_MAX, true),
};
static const struct shape restart_shape = SHAPE(spec_restart_policy, restart_fields);

static const struct field check_fields[] = {
        TEXTS(spec_check, "argv", argv, SPEC_ARGS_MAX, true),
        NUMBER(spec_check, "interval_ms", interval_ms, I64, SECONDS(30), 1, DURATION_MAX, true),
        ENUM(spec_check, "kind", kind, check_names, true),
        TEXT(spec_check, "path", path, true),
        TEXT(spec_check, "port", port, true),
        NUMBER(spec_check, "retries", retries, U32, 3, 1, 10000, true),
        NUMBER(spec_check, "start_interval_ms", start_interval_ms, I64, SECONDS(5), 1, DURATION_MAX, true),
        NUMBER(spec_check, "start_period_ms", start_period_ms, I64, 0, 0, DURATION_MAX, true),
        NUMBER(spec_check, "timeout_ms", timeout_ms, I64, SECONDS(30), 1, DURATION_MAX, true),
};
static const struct shape check_shape = SHAPE(spec_check, check_fields);

static const struct field port_fields[] = {
        ENUM(spec_port, "mode", mode, port_mode_names, true),
        TEXT(spec_port, "name", name, true),
        ENUM(spec_port, "protocol", proto, proto_names, true),
        NUMBER(spec_port, "published", published, U16, 0, 0, 65535, true),
        NUMBER(spec_port, "target", target, U16, 0, 0, 65535, true),
};
static const struct shape port_shape = SHAPE(spec_port, port_fields);

static const struct field file_fields[] = {
        BYTES(spec_file, "data", data, BODY_BYTES_MAX, true),
        BOOL(spec_file, "executable", executable, true),
        TEXT(spec_file, "path", path, true),
};
static const struct shape file_shape = SHAPE(spec_file, file_fields);

static const struct field files_fields[] = {
        STRUCTS(spec_files, "files", files, file_shape, SPEC_TREE_MAX, true),
        TEXT(spec_files, "hash", hash, true),
};
static const struct shape files_shape = SHAPE(spec_files, files_fields);

static const struct field mount_fields[] = {
        NUMBER(spec_mount, "gid", gid, U32, 0, 0, UINT32_MAX - 1, true),
        ENUM(spec_mount, "kind", kind, mount_names, true),
        NUMBER(spec_mount, "mode", mode, U32, 0, 0, 07777, true),
        BOOL(spec_mount, "no_copy", no_copy, true),
        BOOL(spec_mount, "no_create", no_create, true),
        TEXT(spec_mount, "propagation", propagation, true),
        BOOL(spec_mount, "read_only", read_only, true),
        NUMBER(spec_mount, "size", size, U64, 0, 0, SPEC_MEMORY_MAX, true),
        TEXT(spec_mount, "source", source, true),
        TEXT(spec_mount, "target", target, true),
        NUMBER(spec_mount, "uid", uid, U32, 0, 0, UINT32_MAX - 1, true),
};
static const struct shape mount_shape = SHAPE(spec_mount, mount_fields);

static const struct field device_fields[] = {
        TEXT(spec_device, "access", access, true),
        TEXT(spec_device, "host", host, true),
        TEXT(spec_device, "target", target, true),
};
static const struct shape device_shape = SHAPE(spec_device, device_fields);

static const struct field ulimit_fields[] = {
        NUMBER(spec_ulimit, "hard", hard, I64, 0, -1, NUMBER_MAX, true),
        TEXT(spec_ulimit, "name", name, true),
        NUMBER(spec_ulimit, "soft", soft, I64, 0, -1, NUMBER_MAX, true),
};
static const struct shape ulimit_shape = SHAPE(spec_ulimit, ulimit_fields);

static const struct field depends_fields[] = {
        ENUM(spec_depends_on, "condition", condition, depends_names, true),
        BOOL(spec_depends_on, "optional", optional, true),
        BOOL(spec_depends_on, "restart", restart, true),
        TEXT(spec_depends_on, "service", service, true),
};
static const struct shape depends_shape = SHAPE(spec_depends_on, depends_fields);

static const struct field process_fields[] = {
        TEXTS(spec_process, "hidden", hidden, SPEC_PATHS_MAX, true),
        ENUM(spec_process, "io_class", io_class, io_class_names, true),
        NUMBER(spec_process, "io_priority", io_priority, U32, 4, 0, 7, true),
        NUMBER(spec_process, "nice", nice, I32, 0, -20, 19, true),
        BOOL(spec_process, "private_tmp", private_tmp, true),
        TEXTS(spec_process, "read_only", read_only, SPEC_PATHS_MAX, true),
        TEXT(spec_process, "rootfs", rootfs, true),
};
static const struct shape process_shape = SHAPE(spec_process, process_fields);

static const struct field service_fields[] = {
        KVS(service, "annotations", annotations, SPEC_LABEL_MAX, true),
        NUMBER(service, "born", born, U64, 0, 0, NUMBER_MAX, false),
        TEXTS(service, "cap_add", cap_add, SPEC_CAPS_MAX, true),
        TEXTS(service, "cap_drop", cap_drop, SPEC_CAPS_MAX, true),
        TEXTS(service, "command", command, SPEC_ARGS_MAX, true),
        STRUCTS(service, "depends_on", depends_on, depends_shape, SPEC_DEPENDS_MAX, false),
        NUMBER(service, "depends_on.restart", tied, U64, 0, 0, NUMBER_MAX, true),
        KVS(service, "deploy.labels", deploy_labels, SPEC_LABEL_MAX, false),
        ENUM(service, "deploy.mode", mode, mode_names, false),
        STRUCTS(service, "deploy.placement.constraints", constraints, constraint_shape, SPEC_CONSTRAINTS_MAX,
                false),
        NUMBER(service, "deploy.placement.max_replicas_per_node", max_replicas_per_node, U32, 0, 0,
                SERVICE_REPLICAS_MAX, false),
        TEXTS(service, "deploy.placement.preferences", spread, SPEC_SPREAD_MAX, false),
        NUMBER(service, "deploy.replicas", replicas, U32, 1, 0, SERVICE_REPLICAS_MAX, false),
        STRUCT(service, "deploy.resources.limits", limit, resources_shape, true),
        STRUCT(service, "deploy.resources.reservations", reserve, resources_shape, true),
        STRUCTS(service, "deploy.resources.reservations.generic_resources", generic, generic_shape,
                SPEC_GENERIC_MAX, true),
        STRUCT(service, "deploy.restart_policy", restart, restart_shape, true),
        NUMBER(service, "deploy.update_config.parallelism", parallelism, U32, 0, 0, SERVICE_REPLICAS_MAX, false),
        STRUCTS(service, "devices", devices, device_shape, SPEC_DEVICES_MAX, true),
        TEXTS(service, "dns", dns, SPEC_DNS_MAX, true),
        TEXTS(service, "dns_opt", dns_opt, SPEC_DNS_MAX, true),
        TEXTS(service, "dns_search", dns_search, SPEC_DNS_MAX, true),
        TEXT(service, "domainname", domainname, true),
        TEXTS(service, "entrypoint", entrypoint, SPEC_ARGS_MAX, true),
        KVS(service, "environment", env, SPEC_ENV_MAX, true),
        TEXTS(service, "extra_hosts", extra_hosts, SPEC_HOSTS_MAX, true),
        STRUCTS(service, "files", files, files_shape, SPEC_MOUNTS_MAX, true),
        TEXTS(service, "group_add", group_add, SPEC_CAPS_MAX, true),
        STRUCT(service, "healthcheck", check, check_shape, true),
        TEXT(service, "hostname", hostname, true),
        TEXT(service, "image", image, true),
        BOOL(service, "init", init, true),
        TEXT(service, "ipc", ipc, true),
        KVS(service, "labels", labels, SPEC_LABEL_MAX, true),
        STRUCTS(service, "mounts", mounts, mount_shape, SPEC_MOUNTS_MAX, true),
        TEXT(service, "name", name, false),
        TEXT(service, "network_mode", network_mode, true),
        NUMBER(service, "oom_score_adj", oom_score_adj, I32, 0, -1000, 1000, true),
        TEXT(service, "pid", pid, true),
        STRUCTS(service, "ports", ports, port_shape, SERVICE_PORTS_MAX, true),
        BOOL(service, "privileged", privileged, true),
        ENUM(service, "pull_policy", pull, pull_names, true),
        BOOL(service, "read_only", read_only, true),
        TEXTS(service, "security_opt", security_opt, SPEC_SECURITY_MAX, true),
        NUMBER(service, "shm_size", shm_size, U64, 0, 0, SPEC_MEMORY_MAX, true),
        BOOL(service, "stdin_open", stdin_open, true),
        NUMBER(service, "stop_grace_period", stop_grace_ms, I64, SECONDS(10), 0, DURATION_MAX, true),
        {.key = "stop_signal",
                .kind = FIELD_TEXT,
                .content = true,
                .offset = offsetof(struct service, stop_signal),
                .fallback_text = "SIGTERM",
                .max = SPEC_TEXT_MAX},
        KVS(service, "sysctls", sysctls, SPEC_SYSCTLS_MAX, true),
        BOOL(service, "tty", tty, true),
        STRUCTS(service, "ulimits", ulimits, ulimit_shape, SPEC_ULIMITS_MAX, true),
        TEXT(service, "user", user, true),
        TEXT(service, "uts", uts, true),
        TEXT(service, "working_dir", working_dir, true),
        ENUM(service, "x-starling.driver", driver, driver_names, true),
        NUMBER(service, "x-starling.failover_after", failover_after_ms, I64, 0, 0, DURATION_MAX, false),
        NUMBER(service, "x-starling.move_after", move_after, U32, 0, 0, 1000, false),
        ENUM(service, "x-starling.partition", partition, partition_names, false),
        STRUCTS(service, "x-starling.prefer", prefer, prefer_shape, SPEC_PREFER_MAX, false),
        NUMBER(service, "x-starling.priority", priority, I32, 0, -1000000, 1000000, false),
        STRUCT(service, "x-starling.process", process, process_shape, true),
        TEXTS(service, "x-starling.volumes", volumes, SPEC_VOLUMES_MAX, true),
        NUMBER(service, "x-starling.watchdog", watchdog_ms, I64, 0, 0, DURATION_MAX, true),
};
const struct shape service_shape = SHAPE(service, service_fields);

static const struct field spec_fields[] = {
        TEXTS(spec, "features", features, SPEC_FEATURES_MAX, false),
        TEXT(spec, "name", name, false),
        STRUCTS(spec, "services", services, service_shape, STACK_SERVICES_MAX, false),
};
const struct shape spec_shape = SHAPE(spec, spec_fields);

const char *spec_driver_name(enum spec_driver d)
{
	return driver_names[d];
}
