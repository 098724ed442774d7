/* deploy, restart, and the older keys that mean the same as some of deploy's. */
#include "base/text.h"
#include "cli/compose/build.h"

/* An amount that two keys may set, as Compose allows: they must agree. */
static void set_amount(struct build *b, const char *path, const struct node *n, uint64_t *slot, uint64_t value)
{
	if (*slot && *slot != value)
		refuse(b, path, n, "differs from the other key that sets the same; keep one");
	*slot = value;
}

static void set_cpus(struct build *b, const char *path, const struct node *n, struct spec_resources *r)
{
	uint64_t v;

	if (want_milli(b, path, n, &v))
		set_amount(b, path, n, &r->cpu_milli, v);
}

static void set_memory(struct build *b, const char *path, const struct node *n, struct spec_resources *r)
{
	uint64_t v;

	if (want_size(b, path, n, &v))
		set_amount(b, path, n, &r->memory, v);
}

static void set_pids(struct build *b, const char *path, const struct node *n, struct spec_resources *r)
{
	uint64_t v;
	uint64_t slot = r->pids;

	if (!want_u64(b, path, n, 1, 4194304, &v)) /* PID_MAX_LIMIT of Linux */
		return;
	set_amount(b, path, n, &slot, v);
	r->pids = (uint32_t)slot;
}

void take_cpus(struct build *b, const char *path, const struct node *n, void *target)
{
	set_cpus(b, path, n, &((struct draft *)target)->s->limit);
}

void take_mem_limit(struct build *b, const char *path, const struct node *n, void *target)
{
	set_memory(b, path, n, &((struct draft *)target)->s->limit);
}

void take_mem_reservation(struct build *b, const char *path, const struct node *n, void *target)
{
	set_memory(b, path, n, &((struct draft *)target)->s->reserve);
}

void take_pids_limit(struct build *b, const char *path, const struct node *n, void *target)
{
	set_pids(b, path, n, &((struct draft *)target)->s->limit);
}

static void take_res_cpus(struct build *b, const char *path, const struct node *n, void *target)
{
	set_cpus(b, path, n, target);
}

static void take_res_memory(struct build *b, const char *path, const struct node *n, void *target)
{
	set_memory(b, path, n, target);
}

static void take_res_pids(struct build *b, const char *path, const struct node *n, void *target)
{
	set_pids(b, path, n, target);
}

static const struct key_rule limits_rules[] = {
        {"cpus", take_res_cpus, "cores, at most three decimals; enforced by the cgroup"},
        {"memory", take_res_memory, "64m, 2gb; enforced by the cgroup"},
        {"pids", take_res_pids, "processes and threads; enforced by the cgroup"},
};
const struct key_level level_limits = {
        "services.*.deploy.resources.limits", limits_rules, ARRAY_LEN(limits_rules), true};

/* One of a device list of Compose, `discrete_resource_spec: {kind: gpu, value: 2}`. */
static void take_kind(struct build *b, const char *path, const struct node *n, void *target)
{
	struct spec_generic *g = target;

	if (!want_text(b, path, n, &g->kind) || text_is_label(g->kind, true))
		return;
	refuse(b, path, n, "\"%s\" is not a label (a-z, 0-9, - and _); write it as the agents' --resource does",
	        g->kind);
	g->kind = NULL;
}

static void take_value(struct build *b, const char *path, const struct node *n, void *target)
{
	want_u64(b, path, n, 1, SPEC_GENERIC_VALUE_MAX, &((struct spec_generic *)target)->value);
}

static const struct key_rule discrete_rules[] = {
        {"kind", take_kind, "the name that agents give it: `starling agent --resource gpu=2`; needed"},
        {"value", take_value, "how many of it; needed"},
};
const struct key_level level_discrete = {
        "services.*.deploy.resources.reservations.generic_resources[].discrete_resource_spec", discrete_rules,
        ARRAY_LEN(discrete_rules), false};

static void take_discrete(struct build *b, const char *path, const struct node *n, void *target)
{
	size_t errors = b->diags->errors;
	struct spec_generic *g = target;

	take_map(b, path, n, &level_discrete, g);
	if (b->diags->errors == errors && !b->skipped && (!g->kind || !g->value))
		refuse(b, path, n, "needs `kind` and `value`, as in {kind: gpu, value: 1}");
}

static const struct key_rule generic_rules[] = {
        {"discrete_resource_spec", take_discrete, "see its own table"},
};
const struct key_level level_generic = {"services.*.deploy.resources.reservations.generic_resources[]",
        generic_rules, ARRAY_LEN(generic_rules), true};

static void take_generic(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = container_of(target, struct service, reserve);

	if (n->kind != NODE_LIST) {
		wrong_kind(b, path, n, "a list");
		return;
	}
	if (n->n > SPEC_GENERIC_MAX) {
		refuse(b, path, n, "more than %d entries", SPEC_GENERIC_MAX);
		return;
	}
	s->generic = arena_array(b->arena, n->n, sizeof(*s->generic));
	s->n_generic = n->n;
	for (size_t i = 0; i < n->n; i++) {
		const char *at = path_index(b, path, i);
		size_t errors = b->diags->errors;

		take_map(b, at, n->items[i], &level_generic, &s->generic[i]);
		if (b->diags->errors == errors && !b->skipped && !s->generic[i].kind)
			refuse(b, at, n->items[i], "needs a `discrete_resource_spec`");
		for (size_t k = 0; k < i; k++)
			if (s->generic[i].kind && s->generic[k].kind &&
			        strcmp(s->generic[i].kind, s->generic[k].kind) == 0)
				refuse(b, at, n->items[i], "%s stands twice; add the values up",
				        s->generic[i].kind);
	}
}

static const struct key_rule reservations_rules[] = {
        {"cpus", take_res_cpus, "what placement sets aside on the peer"},
        {"devices", NULL,
                "devices are not handed to tasks yet; to count them, start agents with `--resource gpu=2` and ask for "
                "`generic_resources`"},
        {"generic_resources", take_generic,
                "a list; what placement sets aside of the things that agents were told they have (--resource)"},
        {"memory", take_res_memory, "what placement sets aside on the peer"},
};
const struct key_level level_reservations = {
        "services.*.deploy.resources.reservations", reservations_rules, ARRAY_LEN(reservations_rules), true};

static void take_limits(struct build *b, const char *path, const struct node *n, void *target)
{
	take_map(b, path, n, &level_limits, &((struct draft *)target)->s->limit);
}

static void take_reservations(struct build *b, const char *path, const struct node *n, void *target)
{
	take_map(b, path, n, &level_reservations, &((struct draft *)target)->s->reserve);
}

static const struct key_rule resources_rules[] = {
        {"limits", take_limits, "what a task may use at most"},
        {"reservations", take_reservations, "what a task is sure to have"},
};
const struct key_level level_resources = {
        "services.*.deploy.resources", resources_rules, ARRAY_LEN(resources_rules), true};

static void take_resources(struct build *b, const char *path, const struct node *n, void *target)
{
	take_map(b, path, n, &level_resources, target);
}

static void take_condition(struct build *b, const char *path, const struct node *n, void *target)
{
	static const char *const words[] = {"any", "on-failure", "none"}; /* as enum spec_restart */
	size_t i;

	if (want_word(b, path, n, words, ARRAY_LEN(words), &i))
		((struct draft *)target)->s->restart.condition = (enum spec_restart)i;
}

static void take_delay(struct build *b, const char *path, const struct node *n, void *target)
{
	want_duration(b, path, n, &((struct draft *)target)->s->restart.delay_ms);
}

static void take_window(struct build *b, const char *path, const struct node *n, void *target)
{
	want_duration(b, path, n, &((struct draft *)target)->s->restart.window_ms);
}

static void take_max_attempts(struct build *b, const char *path, const struct node *n, void *target)
{
	uint64_t v;

	if (want_u64(b, path, n, 0, UINT32_MAX, &v))
		((struct draft *)target)->s->restart.max_attempts = (uint32_t)v;
}

static const struct key_rule restart_policy_rules[] = {
        {"condition", take_condition, "any (unless set), on-failure, none"},
        {"delay", take_delay,
                "before the second restart in a row (the first is at once); doubles from there; 500ms unless set"},
        {"max_attempts", take_max_attempts, "restarts in a row; 0, no limit, unless set"},
        {"window", take_window, "run this long and it counts as a success; 5s unless set"},
};
const struct key_level level_restart_policy = {
        "services.*.deploy.restart_policy", restart_policy_rules, ARRAY_LEN(restart_policy_rules), true};

static void take_restart_policy(struct build *b, const char *path, const struct node *n, void *target)
{
	((struct draft *)target)->restart_policy = n;
	take_map(b, path, n, &level_restart_policy, target);
}

/* no, always, unless-stopped, on-failure[:N]; a bare `no` is false in old YAML, so that is taken too. */
void take_restart(struct build *b, const char *path, const struct node *n, void *target)
{
	struct draft *d = target;
	struct spec_restart_policy *r = &d->s->restart;
	const char *text;
	uint64_t attempts = 0;

	if (!want_text(b, path, n, &text))
		return;
	d->restart = n;
	if (strcmp(text, "no") == 0 || strcmp(text, "false") == 0) {
		r->condition = RESTART_NONE;
	} else if (strcmp(text, "always") == 0 || strcmp(text, "unless-stopped") == 0) {
		r->condition = RESTART_ANY;
	} else if (strcmp(text, "on-failure") == 0 ||
	           (strncmp(text, "on-failure:", 11) == 0 && text_u64(text + 11, 1, UINT32_MAX, &attempts))) {
		r->condition = RESTART_ON_FAILURE;
		r->max_attempts = (uint32_t)attempts;
	} else {
		refuse(b, path, n, "\"%s\" is none of no, always, unless-stopped, on-failure, on-failure:N",
		        text);
	}
}

static void take_parallelism(struct build *b, const char *path, const struct node *n, void *target)
{
	uint64_t v;

	/* 0 is Compose's "all at once". */
	if (want_u64(b, path, n, 0, SERVICE_REPLICAS_MAX, &v))
		((struct draft *)target)->s->parallelism = v ? (uint32_t)v : SERVICE_REPLICAS_MAX;
}

static void take_order(struct build *b, const char *path, const struct node *n, void *target)
{
	static const char *const orders[] = {"stop-first", "start-first"};
	size_t i;

	(void)target;
	if (want_word(b, path, n, orders, ARRAY_LEN(orders), &i) && i == 1)
		refuse(b, path, n, "start-first comes with the update engine; slots are replaced stop-first");
}

#define UPDATE_ENGINE                                                                                            \
	"comes with the update engine; slots are replaced one after the other, each once healthy; remove it"

static const struct key_rule update_config_rules[] = {
        {"delay", NULL, UPDATE_ENGINE},
        {"failure_action", NULL, UPDATE_ENGINE},
        {"max_failure_ratio", NULL, UPDATE_ENGINE},
        {"monitor", NULL, UPDATE_ENGINE},
        {"order", take_order, "stop-first; start-first comes with the update engine"},
        {"parallelism", take_parallelism, "slots replaced at once; 1 unless set; 0: all"},
};
const struct key_level level_update_config = {
        "services.*.deploy.update_config", update_config_rules, ARRAY_LEN(update_config_rules), true};

static void take_update_config(struct build *b, const char *path, const struct node *n, void *target)
{
	take_map(b, path, n, &level_update_config, target);
}

static void take_mode(struct build *b, const char *path, const struct node *n, void *target)
{
	static const char *const modes[] = {"replicated", "global", "replicated-job", "global-job"};
	size_t i;

	if (!want_word(b, path, n, modes, ARRAY_LEN(modes), &i))
		return;
	if (i > 1)
		refuse(b, path, n,
		        "jobs do not exist yet; use replicated with `restart_policy: {condition: none}`");
	else
		((struct draft *)target)->s->mode = i == 1 ? MODE_GLOBAL : MODE_REPLICATED;
}

static void take_endpoint_mode(struct build *b, const char *path, const struct node *n, void *target)
{
	static const char *const modes[] = {"dnsrr", "vip"};
	size_t i;

	(void)target;
	if (want_word(b, path, n, modes, ARRAY_LEN(modes), &i) && i == 1)
		refuse(b, path, n, "virtual addresses do not exist yet; dnsrr is what DNS answers");
}

static void take_replicas(struct build *b, const char *path, const struct node *n, void *target)
{
	struct draft *d = target;
	uint64_t v;

	d->replicas = n;
	if (want_u64(b, path, n, 0, SERVICE_REPLICAS_MAX, &v))
		d->s->replicas = (uint32_t)v;
}

static void take_deploy_labels(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = ((struct draft *)target)->s;
	struct kvs kvs = {0};

	take_kvs(b, path, n, &kvs, false);
	if (kvs.n > SPEC_LABEL_MAX) {
		refuse(b, path, n, "more than %d labels", SPEC_LABEL_MAX);
		return;
	}
	s->deploy_labels = kvs.list;
	s->n_deploy_labels = kvs.n;
}

static const struct key_rule deploy_rules[] = {
        {"endpoint_mode", take_endpoint_mode, "dnsrr; vip comes with virtual addresses"},
        {"labels", take_deploy_labels, "of the service, not of its tasks; at most 64"},
        {"mode", take_mode, "replicated (unless set) or global; jobs come later"},
        {"placement", take_placement, "see its own table"},
        {"replicas", take_replicas, "0 to 10000; 1 unless set"},
        {"resources", take_resources, "see its own tables"},
        {"restart_policy", take_restart_policy, "see its own table; instead of `restart`"},
        {"rollback_config", NULL,
                "rolling back by itself comes with the update engine; deploy the older file; remove it"},
        {"update_config", take_update_config, "see its own table"},
};
const struct key_level level_deploy = {"services.*.deploy", deploy_rules, ARRAY_LEN(deploy_rules), true};

void take_deploy(struct build *b, const char *path, const struct node *n, void *target)
{
	take_map(b, path, n, &level_deploy, target);
}

void finish_deploy(struct build *b, const char *path, struct draft *d)
{
	const struct node *count = d->replicas ? d->replicas : d->scale;

	if (d->restart && d->restart_policy)
		refuse(b, path_key(b, path, "restart"), d->restart,
		        "`deploy.restart_policy` says the same; keep one");
	if (d->scale && d->replicas &&
	        strcmp(d->scale->text ? d->scale->text : "", d->replicas->text ? d->replicas->text : "") != 0)
		refuse(b, path_key(b, path, "scale"), d->scale, "differs from `deploy.replicas`; keep one");
	if (count && d->s->mode == MODE_GLOBAL)
		refuse(b, path_key(b, path, d->replicas ? "deploy.replicas" : "scale"), count,
		        "a global service has one task per peer; remove it or the mode");
}
