/*
 * Shared by the files that turn the tree into a spec. Each level of a Compose file (the top, a service, `deploy` ...)
 * is a table with a row for each key there is: taken by a function, or refused with why and what to do. The same
 * tables are docs/compose.md.
 */
#ifndef CLI_COMPOSE_BUILD_H
#define CLI_COMPOSE_BUILD_H

#include "cli/compose/compose.h"
#include "cli/compose/envfile.h"
#include "cli/compose/tree.h"

struct build {
	struct arena *arena;
	struct diags *diags;
	const struct compose_io *io;
	struct vars vars;
	struct envfile dotenv;
	const char *folder; /* of the Compose file; relative paths start here */
	struct spec *spec;
	const struct node *volumes; /* of the top level; NULL: none are declared */
	const struct node *configs; /* the same of configs, with what is in each */
	struct spec_files *config_files;
	size_t unset_n; /* variables already warned of */
	const char *unset[64];
	struct mark at; /* of the value being interpolated */
	bool skipped;   /* a value whose variables failed was left out: laws of the whole would only mislead */
};

/* target: what this level fills in. */
typedef void take_key(struct build *b, const char *path, const struct node *value, void *target);

/* Drivers that honour a key, as bits. */
#define ON_EXEC       (1U << DRIVER_EXEC)
#define ON_OCI        (1U << DRIVER_OCI)
#define ON_ENGINE     (1U << DRIVER_ENGINE)
#define ON_CONTAINERS (ON_OCI | ON_ENGINE)
#define ON_ALL        (ON_EXEC | ON_CONTAINERS)

struct key_rule {
	const char *key;
	take_key *take;   /* NULL: refused */
	const char *text; /* taken: how it is honoured; refused: why, and what to do instead */
};

struct key_level {
	const char *path; /* "services.*.deploy" */
	const struct key_rule *rules;
	size_t n;
	bool extensions; /* x-... keys are allowed and have no meaning */
};

/* Walks a map by its level's table: takes, refuses, names unknown keys. A value that is no map is an error. */
void take_map(
        struct build *b, const char *path, const struct node *map, const struct key_level *level, void *target);

/* Drivers that honour a key of a level, as ON_*. */
unsigned key_drivers(const struct key_level *level, const char *key);
/* Are some of its keys not honoured by all? */
bool level_by_driver(const struct key_level *level);

extern const struct key_level level_top, level_service, level_healthcheck, level_port, level_env_file,
        level_deploy, level_resources, level_limits, level_reservations, level_generic, level_discrete,
        level_restart_policy, level_placement, level_preference, level_update_config, level_x_starling,
        level_prefer, level_probes, level_http, level_tcp, level_volume, level_mount, level_mount_bind,
        level_mount_volume, level_mount_tmpfs, level_device, level_ulimit, level_depends, level_process,
        level_config, level_config_use;
/* All of them, for the docs and their test. */
extern const struct key_level *const key_levels[];
extern const size_t n_key_levels;

/* A service while its keys are read; keys may come in any order, so what depends on others waits for the end. */
struct kvs {
	size_t n, cap;
	struct kv *list;
};

struct draft {
	struct service *s;
	const struct node *node;
	struct kvs env, file_env, labels, file_labels;
	const struct node *restart, *restart_policy;
	const struct node *replicas, *scale;
	const struct node *test, *healthcheck, *probes;
	bool check_disabled;
	const char *platform; /* an architecture, which becomes a constraint */
	unsigned drivers;     /* that honour all of its keys so far, as ON_* */
	unsigned
	        timings; /* which timing keys were given: a key under healthcheck and again under a probe is a fault */
	size_t errors_before;
};

/* Values of a scalar; false after an error that names path. */
bool want_text(struct build *b, const char *path, const struct node *n, const char **out);
bool want_u64(struct build *b, const char *path, const struct node *n, uint64_t min, uint64_t max, uint64_t *out);
bool want_bool(struct build *b, const char *path, const struct node *n, bool *out);
bool want_duration(struct build *b, const char *path, const struct node *n, int64_t *ms);
bool want_size(struct build *b, const char *path, const struct node *n, uint64_t *bytes);
/* A number of cores. */
bool want_milli(struct build *b, const char *path, const struct node *n, uint64_t *milli);
/* A list of texts, at most max. */
bool want_texts(
        struct build *b, const char *path, const struct node *n, size_t max, const char ***out, size_t *count);
/* The same, or one text that stands for a list of one. */
bool want_text_or_texts(
        struct build *b, const char *path, const struct node *n, size_t max, const char ***out, size_t *count);
/* A whole number with or without a minus. */
bool want_i64(struct build *b, const char *path, const struct node *n, int64_t min, int64_t max, int64_t *out);
/* Any {{ in text, the value of n, is a template that tasks know; false after an error at its place. */
bool want_templates(struct build *b, const char *path, const struct node *n, const char *text);
/* One of the n words; "did you mean" otherwise. */
bool want_word(struct build *b, const char *path, const struct node *n, const char *const *words, size_t n_words,
        size_t *out);
/* Says that n should have been `what`. */
void wrong_kind(struct build *b, const char *path, const struct node *n, const char *what);

#define refuse(b, path, node, ...) diag_error((b)->diags, (node)->mark, path, __VA_ARGS__)

void kvs_set(struct build *b, struct kvs *kvs, const char *key, const char *value);
const char *path_key(struct build *b, const char *path, const char *key);
const char *path_index(struct build *b, const char *path, size_t i);

/* Pieces of a service, one file each. */
take_key take_command, take_entrypoint, take_environment, take_env_file, take_labels, take_label_file, take_ports;
take_key take_healthcheck, take_deploy, take_placement, take_prefer, take_x_starling, take_restart;
take_key take_cpus, take_mem_limit, take_mem_reservation, take_pids_limit;
/* take_container.c, take_network.c, take_mounts.c */
take_key take_image, take_pull_policy, take_privileged, take_read_only, take_init, take_tty, take_stdin_open;
take_key take_cap_add, take_cap_drop, take_security_opt, take_ulimits, take_sysctls, take_annotations;
take_key take_group_add, take_shm_size, take_oom_score_adj, take_devices, take_platform;
take_key take_hostname, take_domainname, take_dns, take_dns_opt, take_dns_search, take_extra_hosts;
take_key take_network_mode, take_pid, take_ipc, take_uts;
take_key take_mounts, take_tmpfs, take_depends_on, take_process, take_configs;
/* Services that depends_on names and the stack does not have; services: that node of the file. */
void check_dependencies(struct build *b, const struct node *services);
/* Warns of services that others on another peer could not reach. */
void warn_unreachable(struct build *b, const struct node *services);
/* Adds to the folders that the service is pinned to, once. */
void pin_volume(struct build *b, const char *path, const struct node *n, struct service *s, const char *name);
/* The top level's volumes; names are looked up by take_mounts(). */
void check_volumes(struct build *b, const struct node *volumes);
/* And its configs, which are read here. */
void check_configs(struct build *b, const struct node *configs);
void finish_env(struct build *b, const char *path, struct draft *d);
/* `platform`, as constraints beside those of deploy.placement. */
void finish_platform(struct build *b, const char *path, struct draft *d);
void finish_deploy(struct build *b, const char *path, struct draft *d);
void finish_health(struct build *b, const char *path, struct draft *d);
/* Keys that no driver which the service may have honours are refused where they stand. */
void check_drivers(struct build *b, const char *path, struct draft *d);
/* The HTTP and TCP probes under x-starling. */
void take_probes(struct build *b, const char *path, const struct node *n, void *draft);
/* Map or list of KEY=VALUE into kvs. is_env: a name without a value is kept with value NULL, which is "" otherwise, and
 * names that spec_env_reserved() are refused. */
void take_kvs(struct build *b, const char *path, const struct node *n, struct kvs *out, bool is_env);

#endif
