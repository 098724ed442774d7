/*
 * A stack as agents know it: the canonical form of a Compose file, after interpolation and checks. No YAML here;
 * cli/compose makes it, spec_encode() gives it the one byte form that is signed.
 *
 * All memory of a spec belongs to one arena. Absent texts are NULL, absent numbers 0 unless a comment says other.
 */
#ifndef PLACEMENT_SPEC_SPEC_H
#define PLACEMENT_SPEC_SPEC_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"

#define SPEC_VERSION 1

struct kv {
	const char *key;
	const char *value;
};

enum spec_driver { DRIVER_AUTO, DRIVER_EXEC, DRIVER_OCI, DRIVER_ENGINE };
enum spec_mode { MODE_REPLICATED, MODE_GLOBAL };
enum spec_proto { PROTO_TCP, PROTO_UDP };
enum spec_port_mode { PORT_DYNAMIC, PORT_HOST, PORT_INGRESS };

struct spec_port {
	const char *name; /* Compose `name`, or the target's number as text; never NULL */
	uint16_t target;
	uint16_t published; /* host port for PORT_HOST; 0: a free one is chosen (PORT_DYNAMIC) */
	enum spec_proto proto;
	enum spec_port_mode mode;
};

enum spec_check_kind { CHECK_NONE, CHECK_COMMAND, CHECK_HTTP, CHECK_TCP };

/* healthcheck (command) or x-starling.probes (http, tcp), with Compose's timing. */
struct spec_check {
	enum spec_check_kind kind;
	size_t n_argv;
	const char **argv;         /* CMD as it is; CMD-SHELL as /bin/sh -c TEXT */
	const char *port;          /* http, tcp: port name or target number */
	const char *path;          /* http */
	int64_t interval_ms;       /* 30 s */
	int64_t timeout_ms;        /* 30 s */
	int64_t start_period_ms;   /* 0 */
	int64_t start_interval_ms; /* 5 s */
	uint32_t retries;          /* 3 */
};

enum spec_restart { RESTART_ANY, RESTART_ON_FAILURE, RESTART_NONE };

struct spec_restart_policy {
	enum spec_restart condition; /* absent key: any */
	int64_t delay_ms;            /* first delay after the one immediate restart; doubles; 0 means 500 ms */
	uint32_t max_attempts;       /* 0: no limit */
	int64_t window_ms;           /* run this long and it counts as a success; 0 means 5 s */
};

enum spec_op { OP_EQ, OP_NE };

struct spec_constraint {
	const char *attr; /* "node.labels.zone" */
	enum spec_op op;
	const char *value;
};

struct spec_resources {
	uint64_t cpu_milli; /* thousandths of a core; 0 none */
	uint64_t memory;    /* bytes; 0 none */
	uint32_t pids;      /* limits only; 0 none */
};

/* A device or other countable thing of a host: "gpu" 2. */
struct spec_generic {
	const char *kind; /* a DNS label */
	uint64_t value;
};

/* A wish, not a condition: a peer for which it holds is preferred by its weight. */
struct spec_prefer {
	const char *attr; /* as in a constraint: "node.labels.ssd" */
	enum spec_op op;
	const char *value;
	int32_t weight; /* 1 to 100, the Kubernetes scale; negative: avoided. 50 unless set */
};

enum spec_partition { PARTITION_RUN, PARTITION_MAJORITY, PARTITION_PAUSE };

enum spec_pull { PULL_MISSING, PULL_ALWAYS, PULL_NEVER };

enum spec_mount_kind {
	MOUNT_BIND,   /* source: an absolute path of the host, which may hold templates (template.h) */
	MOUNT_VOLUME, /* source: a name within the stack; NULL: a fresh folder that ends with the task */
	MOUNT_TMPFS,  /* no source */
	/* source: the hash of one of the service's files. The runtime writes them into the task's folder and gives drivers
	 * a read-only MOUNT_BIND of that (node/runtime/shipped.h), so that no driver ever sees this kind in its calls but in
	 * accept. */
	MOUNT_SHIPPED,
};

/* What travels with the stack: a file (of `configs`), or a tree of files (a relative source of a bind). */
struct spec_file {
	const char *path; /* within the tree, as "conf.d/a.conf"; NULL: this one file is all */
	bool executable;
	size_t n_data;
	const uint8_t *data;
};

struct spec_files {
	const char *hash; /* 16 hex digits, of all below: spec_files_hash() */
	size_t n_files;
	struct spec_file *files; /* sorted by path */
};

/* One entry of `volumes` or `tmpfs`; `x-starling.volumes` are no mounts, but folders told by environment. A tmpfs is
 * mounted noexec, nosuid and nodev, as Docker does. */
struct spec_mount {
	enum spec_mount_kind kind;
	const char *source;
	const char *target; /* an absolute path in the task's view, without ., .. or empty parts; never / */
	bool read_only;
	bool no_create; /* bind: refused if the host has no such path (`create_host_path: false`); else it is made */
	bool no_copy;            /* volume: a fresh one is not filled with what the image has at target */
	const char *propagation; /* bind: private, rprivate, shared, rshared, slave, rslave; NULL: rprivate */
	uint64_t size;           /* tmpfs: bytes; 0: the kernel's default */
	uint32_t mode;           /* tmpfs: permissions, as 01777; 0: that. shipped: of a file, 0: 0444 */
	uint32_t uid, gid;       /* shipped: owner, where the agent is root */
};

struct spec_device {
	const char *host;   /* path on the host */
	const char *target; /* path in the task's view; NULL: the same */
	const char *access; /* of r, w, m; NULL: rwm */
};

struct spec_ulimit {
	const char *name;   /* "nofile" */
	int64_t soft, hard; /* -1: unlimited */
};

enum spec_depends { DEPENDS_STARTED, DEPENDS_HEALTHY, DEPENDS_COMPLETED };

struct spec_depends_on {
	const char *service;
	enum spec_depends condition;
	bool restart;  /* restarted when the other is updated or restarted by an operator */
	bool optional; /* `required: false`: a service that is not in the stack is no error */
};

enum spec_io_class { IO_DEFAULT, IO_BEST_EFFORT, IO_IDLE };

/* x-starling.process: what a process of the host (driver exec) may get beside Compose's keys. */
struct spec_process {
	const char *rootfs; /* its root: an absolute path of the host */
	bool private_tmp;   /* /tmp and /var/tmp of its own */
	int32_t nice;       /* -20 to 19 */
	enum spec_io_class io_class;
	uint32_t io_priority; /* of best-effort: 0 to 7; 4 unless set */
	size_t n_read_only;
	const char **read_only; /* paths that it cannot write */
	size_t n_hidden;
	const char **hidden; /* paths that it does not see */
};

struct service {
	const char *name;
	enum spec_driver driver;
	const char *image; /* a reference, pinned as NAME:TAG@sha256:...; needs oci or engine */
	enum spec_pull pull;
	size_t n_entrypoint;
	const char **entrypoint;
	size_t n_command;
	const char **command;
	size_t n_env;
	struct kv *env; /* sorted by key; values may hold templates (template.h) */
	const char *user;
	const char *working_dir;
	size_t n_ports;
	struct spec_port *ports; /* in file order */
	struct spec_check check;
	const char *stop_signal; /* "SIGTERM" */
	int64_t stop_grace_ms;   /* 10 s */
	struct spec_restart_policy restart;
	size_t n_labels;
	struct kv *labels; /* service labels, sorted by key */
	size_t n_deploy_labels;
	struct kv *deploy_labels;
	enum spec_mode mode;
	uint32_t replicas; /* 1 */
	size_t n_constraints;
	struct spec_constraint *constraints;
	uint32_t max_replicas_per_node; /* 0: no limit */
	/* deploy.placement.preferences: attributes over whose values replicas are spread evenly, outermost first. */
	size_t n_spread;
	const char **spread;
	struct spec_resources reserve;
	struct spec_resources limit;
	size_t n_generic;
	struct spec_generic *generic; /* deploy.resources.reservations.generic_resources; sorted by kind */
	/* x-starling */
	size_t n_prefer;
	struct spec_prefer *prefer;
	/* Folders kept by the host, named within the stack: a service runs only where they are, once they are anywhere.
	 * Those of x-starling.volumes, and the source of each mount of a named volume. */
	size_t n_volumes;
	const char **volumes;      /* sorted */
	int64_t failover_after_ms; /* 0: the flock's default */
	enum spec_partition partition;
	int32_t priority;     /* 0 */
	int64_t watchdog_ms;  /* its task stops when no agent was there for so long; 0 never */
	uint32_t parallelism; /* deploy.update_config.parallelism; 0 means 1 */
	uint32_t
	        move_after; /* failures in a row after which another peer takes the slot; 0: the default of the runtime */
	struct spec_process process;
	/* What a container gets; those that a process can have too are honoured by driver exec (docs/compose.md). */
	size_t n_annotations;
	struct kv *annotations; /* sorted by key */
	size_t n_cap_add;
	const char **cap_add; /* "NET_ADMIN" without CAP_, or "ALL"; sorted */
	size_t n_cap_drop;
	const char **cap_drop;
	size_t n_devices;
	struct spec_device *devices;
	size_t n_dns;
	const char **dns; /* addresses, in file order */
	size_t n_dns_opt;
	const char **dns_opt;
	size_t n_dns_search;
	const char **dns_search;
	const char *domainname;
	size_t n_extra_hosts;
	const char **extra_hosts; /* "NAME=ADDRESS" or "NAME=host-gateway", in file order */
	size_t n_files;
	struct spec_files *files; /* that its mounts of kind shipped name; sorted by hash */
	size_t n_group_add;
	const char **group_add; /* names or numbers */
	const char *hostname;   /* may hold templates (template.h) */
	bool init;              /* a small init as its first process */
	const char *ipc;        /* "host"; NULL: its own */
	size_t n_mounts;
	struct spec_mount *mounts; /* sorted by target */
	const char *network_mode;  /* "host", "bridge", "none"; NULL: the driver's default */
	int32_t oom_score_adj;     /* -1000 to 1000 */
	const char *pid;           /* "host"; NULL: its own */
	bool privileged;
	bool read_only; /* its root file system */
	/* "no-new-privileges", "no-new-privileges=false"; "seccomp=", "apparmor=", "label=", "systempaths=" with a value */
	size_t n_security_opt;
	const char **security_opt;
	uint64_t shm_size; /* bytes; 0: 64 MiB */
	bool stdin_open;
	size_t n_sysctls;
	struct kv *sysctls; /* sorted by key */
	bool tty;
	size_t n_ulimits;
	struct spec_ulimit *ulimits; /* sorted by name */
	const char *uts;             /* "host"; NULL: its own */
	size_t n_depends_on;
	struct spec_depends_on *depends_on; /* sorted by service */
	uint64_t tied; /* spec_tie(): of the contents of those that it restarts with; 0 none */
	/* HLC of the first revision in which this service stood; the CLI copies it from the parent revision. */
	uint64_t born;
};

struct spec {
	struct arena *arena;
	const char *name;
	size_t n_services;
	struct service *services; /* sorted by name */
	size_t n_features;
	const char **features; /* what a peer must be able to do; sorted; none yet */
};

/* Bounds on texts and lists of one service; the codec and the Compose parser refuse more. */
#define SPEC_TEXT_MAX        4096
#define SPEC_ARGS_MAX        256
#define SPEC_ENV_MAX         512
#define SPEC_LABEL_MAX       64
#define SPEC_CONSTRAINTS_MAX 16
#define SPEC_FEATURES_MAX    32
#define SPEC_SPREAD_MAX      4
#define SPEC_GENERIC_MAX     16
#define SPEC_PREFER_MAX      16
#define SPEC_VOLUMES_MAX     16
#define SPEC_PREFER_WEIGHT   100 /* largest */
#define SPEC_CAPS_MAX        64  /* above what the kernel knows */
#define SPEC_DEVICES_MAX     64
#define SPEC_DNS_MAX         16
#define SPEC_HOSTS_MAX       64
#define SPEC_MOUNTS_MAX      64
#define SPEC_SECURITY_MAX    16
#define SPEC_SYSCTLS_MAX     64
#define SPEC_ULIMITS_MAX     16 /* RLIM_NLIMITS */
#define SPEC_DEPENDS_MAX     64
#define SPEC_PATHS_MAX       64
#define SPEC_TREE_MAX        256 /* files of one tree: more is a program's, for an image */
#define SPEC_TREE_DEPTH      10  /* folders of a path in it: below what the runtime removes with a task */
/* Most of one generic resource, asked for or offered. */
#define SPEC_GENERIC_VALUE_MAX (1LL << 32)
/* Least watchdog, ms: an agent that is restarted or replaced is back within 2 s, of which the init system waits 1 s, and on
 * a host at its limits within twice that. A shorter one would stop tasks at every upgrade. */
#define SPEC_WATCHDOG_MIN SECONDS(5)
/* Largest amounts of cpu (thousandths of a core) and memory (bytes), asked for or offered: sums of as many as there
 * are claims, and their products with a thousand, fit 64 and 128 bits. */
#define SPEC_CPU_MILLI_MAX (1LL << 40)
#define SPEC_MEMORY_MAX    (1LL << 50)

/* Defaults of an empty service, as the comments above give them. */
void service_defaults(struct service *s);
/* Puts services, environments, labels and features in order, as the canonical form wants them. */
void spec_sort(struct spec *spec);
/* Makes the content of a service with `depends_on.*.restart: true` follow the contents of those services, and of those
 * that they follow: an update of one is then an update of both. After spec_sort(). */
void spec_tie(struct spec *spec);
/* Canonical bytes: msgpack, [version, map], map keys sorted, defaults left out. Equal specs give equal bytes.
 * The spec must be in order (spec_sort) and pass spec_check. */
void spec_encode(struct wr *w, const struct spec *spec);
/* From bytes that may be hostile; every text and list is bounded, any but the canonical form is refused. Runs
 * spec_check(). A spec that names features may hold keys that this version does not know: they are stepped over,
 * since placement gives such a service to no peer without the feature. Texts are copied to the arena. */
int spec_decode(struct spec *out, struct arena *arena, const uint8_t *bytes, size_t len, struct err *err);
/* The same of what this host wrote itself once it had passed: a law that a newer version adds must not make it lose sight of
 * a task that runs. Bounds of texts and lists hold; laws and the canonical form are not asked. */
int spec_decode_kept(struct spec *out, struct arena *arena, const uint8_t *bytes, size_t len, struct err *err);
/* Laws of a spec apart from its syntax: names, ranges, ports unique, exec has a command ... First fault only; the
 * message starts with its path: "services.web: ports[1]: ...". */
int spec_check(const struct spec *spec, struct err *err);
/* The laws of one service, apart from what it says of others: for the Compose parser, which then names all faults. Starts
 * with the same path. */
int service_check(const struct service *s, struct err *err);
/* Names in a task's environment that are the runtime's alone (docs/tasks.md): a service cannot set them. */
#define SPEC_ENV_RESERVED "STARLING_"
#define SPEC_ENV_RESERVED_TEXT                                                                                   \
	"names that start with " SPEC_ENV_RESERVED " are reserved for what the agent tells a task; choose another"
bool spec_env_reserved(const char *key);
/* The hash of files that are in order; out gets 17 bytes. */
void spec_files_hash(char out[17], const struct spec_files *files);
/* Hash of what makes a running task of this service differ: not replicas, placement, deploy labels, born. */
id64 service_content(const struct service *s);
const struct service *spec_service(const struct spec *spec, const char *name);
/* POWER_* (gossip/trust) bits that running this service needs; the numbers are repeated here because placement
 * never includes gossip; node/view asserts that they agree. `agent_root`: the agent runs as root. */
#define SPEC_POWER_EXEC_AS_ROOT 0x01
#define SPEC_POWER_PRIVILEGED   0x02
#define SPEC_POWER_HOST_BINDS   0x04
#define SPEC_POWER_DEVICES      0x08
#define SPEC_POWER_HOST_NETWORK 0x10
#define SPEC_POWER_PRIORITY     0x20
uint32_t service_powers(const struct service *s);
/* Does the driver suit this service? One that names none takes exec without an image, oci or engine with one. */
bool service_driver_fits(const struct service *s, enum spec_driver d);
/* How many slots an update may change at once. */
static inline uint32_t service_parallelism(const struct service *s)
{
	return s->parallelism ? s->parallelism : 1;
}
/* Failures in a row after which a slot is to move, unless the service says so: with the default delays they take 8 s, in
 * which what is only slow to come, as a database that restarts, has come. */
#define SERVICE_MOVE_AFTER 5
static inline uint32_t service_move_after(const struct service *s)
{
	return s->move_after ? s->move_after : SERVICE_MOVE_AFTER;
}
/* "auto", "exec", "oci", "engine". */
const char *spec_driver_name(enum spec_driver d);

#endif
