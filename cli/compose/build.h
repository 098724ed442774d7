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
	size_t unset_n; /* variables already warned of */
	const char *unset[64];
	struct mark at; /* of the value being interpolated */
	bool skipped;   /* a value whose variables failed was left out: laws of the whole would only mislead */
};

/* target: what this level fills in. */
typedef void take_key(struct build *b, const char *path, const struct node *value, void *target);

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

extern const struct key_level level_top, level_service, level_healthcheck, level_port, level_env_file,
        level_deploy, level_resources, level_limits, level_reservations, level_generic, level_discrete,
        level_restart_policy, level_placement, level_preference, level_update_config, level_x_starling,
        level_prefer, level_probes, level_http, level_tcp;
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
void finish_env(struct build *b, const char *path, struct draft *d);
void finish_deploy(struct build *b, const char *path, struct draft *d);
void finish_health(struct build *b, const char *path, struct draft *d);
/* The HTTP and TCP probes under x-starling. */
void take_probes(struct build *b, const char *path, const struct node *n, void *draft);
/* Map or list of KEY=VALUE into kvs. is_env: a name without a value is kept with value NULL, which is "" otherwise, and
 * names that spec_env_reserved() are refused. */
void take_kvs(struct build *b, const char *path, const struct node *n, struct kvs *out, bool is_env);

#endif
