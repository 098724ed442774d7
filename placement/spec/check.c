/* Laws of a spec apart from its syntax. Every peer runs them on every revision, the CLI on every file. */
#include "base/text.h"
#include "placement/spec/check.h"
#include "placement/spec/shape.h"
#include "placement/spec/template.h"

/* Names that stand for something else in the zone: SERVICE.STACK beside PEER.node, tasks.SERVICE.STACK ... */
static const char *const reserved_names[] = {"node", "tasks", "nearest"};

static bool all_digits(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

bool spec_env_reserved(const char *key)
{
	return !strncmp(key, SPEC_ENV_RESERVED, strlen(SPEC_ENV_RESERVED));
}

/* what: "stack", "service". */
static int check_name(const char *what, const char *name, bool underscore, struct err *err)
{
	if (!name || !text_is_label(name, underscore))
		return fault(err,
		        "%s name \"%s\" is not a DNS label: use 1 to 63 of a-z, 0-9, -%s, and no - at an end",
		        what, name ? name : "", underscore ? ", _" : "");
	if (all_digits(name))
		return fault(err,
		        "%s name \"%s\" is all digits, which in DNS names stands for a slot: add a letter", what,
		        name);
	for (size_t i = 0; i < ARRAY_LEN(reserved_names); i++)
		if (!strcmp(name, reserved_names[i]))
			return fault(err, "%s name \"%s\" is reserved for DNS: choose another", what, name);
	return 0;
}

static int check_args(const char **args, size_t n, const char *key, struct err *err)
{
	if (n && !*args[0])
		return fault(err, "%s[0]: must not be empty: it is the program to run", key);
	return 0;
}

static int check_kvs(const struct kv *kv, size_t n, const char *key, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (!*kv[i].key)
			return fault(err, "%s: an entry has no name", key);
		if (i > 0 && strcmp(kv[i - 1].key, kv[i].key) >= 0)
			return fault(err, "%s.%s: %s", key, kv[i].key,
			        strcmp(kv[i - 1].key, kv[i].key) == 0 ? "stands twice"
			                                              : "entries are not in order");
	}
	return 0;
}

static int check_port(const struct service *s, size_t i, struct err *err)
{
	const struct spec_port *p = &s->ports[i];

	if (!p->name || !text_is_label(p->name, true))
		return fault(err, "ports[%zu]: name \"%s\" is not a DNS label", i, p->name ? p->name : "");
	if (!p->target)
		return fault(err, "ports[%zu]: target 0: name the port that the service listens on", i);
	if (p->mode == PORT_INGRESS)
		return fault(err,
		        "ports[%zu]: published port %u without `mode: host` means ingress, which is refused until the "
		        "proxy exists: say `mode: host`, or leave `published` out",
		        i, p->published);
	if (p->mode == PORT_HOST && !p->published)
		return fault(err, "ports[%zu]: `mode: host` needs `published`: name the host's port", i);
	if (p->mode == PORT_DYNAMIC && p->published)
		return fault(err, "ports[%zu]: a port that is chosen freely cannot have `published: %u`", i,
		        p->published);
	for (size_t k = 0; k < i; k++) {
		const struct spec_port *o = &s->ports[k];

		if (o->proto != p->proto)
			continue;
		if (!strcmp(o->name, p->name))
			return fault(err, "ports[%zu]: name \"%s\" is taken by ports[%zu]", i, p->name, k);
		if (p->published && o->published == p->published)
			return fault(err, "ports[%zu]: host port %u is taken by ports[%zu]", i, p->published, k);
	}
	return 0;
}

static bool names_port(const struct service *s, const char *port)
{
	uint64_t number = 0;

	text_u64(port, 1, 65535, &number);
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].proto == PROTO_TCP &&
		        (!strcmp(s->ports[i].name, port) || s->ports[i].target == number))
			return true;
	return false;
}

static int check_health(const struct service *s, struct err *err)
{
	const struct spec_check *c = &s->check;

	if (check_args(c->argv, c->n_argv, "healthcheck.test", err) < 0)
		return -1;
	if (c->kind == CHECK_COMMAND && !c->n_argv)
		return fault(err, "healthcheck.test: no command: name the program that checks");
	if (c->kind != CHECK_COMMAND && c->n_argv)
		return fault(err, "healthcheck.test: a command beside a probe of another kind: keep one of them");
	if (c->kind == CHECK_HTTP || c->kind == CHECK_TCP) {
		if (!c->port)
			return fault(err, "x-starling.probes: no port: name one of the service's ports");
		if (!names_port(s, c->port))
			return fault(err,
			        "x-starling.probes: port \"%s\" is none of the service's TCP ports: declare it under "
			        "`ports`",
			        c->port);
	}
	if (c->kind == CHECK_HTTP && (!c->path || c->path[0] != '/'))
		return fault(err, "x-starling.probes: path \"%s\" does not start with /", c->path ? c->path : "");
	if (c->path && c->path[strcspn(c->path, " \r\n\t")])
		return fault(err, "x-starling.probes: path \"%s\" holds blanks", c->path);
	return 0;
}

/* What a constraint may ask of a peer; a name that ends in '.' is followed by a label's name. */
static const char *const constraint_attrs[] = {"node.id", "node.hostname", "node.role", "node.platform.os",
        "node.platform.arch", "node.labels.", "engine.labels."};

static bool is_attr(const char *attr)
{
	for (size_t i = 0; i < ARRAY_LEN(constraint_attrs); i++) {
		const char *known = constraint_attrs[i];
		size_t len = strlen(known);

		if (known[len - 1] == '.' ? !strncmp(attr, known, len) && attr[len] : !strcmp(attr, known))
			return true;
	}
	return false;
}

static int check_constraint(const struct spec_constraint *c, const char *at, size_t i, struct err *err)
{
	if (!c->attr || !c->value)
		return fault(err, "%s[%zu]: an attribute and a value are needed", at, i);
	if (!is_attr(c->attr))
		return fault(err,
		        "%s[%zu]: unknown attribute \"%s\": use node.id, node.hostname, node.labels.NAME, "
		        "node.platform.os, node.platform.arch, node.role or engine.labels.NAME",
		        at, i, c->attr);
	if (!strcmp(c->attr, "node.role") && strcmp(c->value, c->op == OP_EQ ? "manager" : "worker") != 0)
		return fault(err,
		        "%s[%zu]: node.role %s %s holds nowhere: every peer takes specs, so each is a manager and "
		        "none a worker; use a label",
		        at, i, c->op == OP_EQ ? "==" : "!=", c->value);
	return 0;
}

static int check_resources(const struct service *s, struct err *err)
{
	static const char over[] = "deploy.resources: %s reserved is more than its limit: lower the reservation";

	if (s->limit.cpu_milli && s->reserve.cpu_milli > s->limit.cpu_milli)
		return fault(err, over, "cpu");
	if (s->limit.memory && s->reserve.memory > s->limit.memory)
		return fault(err, over, "memory");
	return 0;
}

/* Names as <signal.h> has them; the runtime turns them into numbers. */
static const char *const signals[] = {"SIGHUP", "SIGINT", "SIGQUIT", "SIGABRT", "SIGKILL", "SIGUSR1", "SIGUSR2",
        "SIGPIPE", "SIGALRM", "SIGTERM", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGWINCH",
        "SIGIO", "SIGPWR"};

static int check_stop(const struct service *s, struct err *err)
{
	size_t i = 0;

	while (s->stop_signal && i < ARRAY_LEN(signals) && strcmp(signals[i], s->stop_signal) != 0)
		i++;
	if (i == ARRAY_LEN(signals))
		return fault(
		        err, "stop_signal: \"%s\" is not a signal's name: write it as SIGTERM", s->stop_signal);
	return 0;
}

/* A name or number, or USER:GROUP of them; the runtime looks names up on the host. */
static int check_user(const char *user, struct err *err)
{
	static const char name_bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	size_t len;

	if (!user)
		return 0;
	len = strspn(user, name_bytes);
	if (len && user[len] == ':') {
		size_t group = strspn(user + len + 1, name_bytes);

		len = group ? len + 1 + group : 0;
	}
	if (!len || user[len] || user[0] == '-')
		return fault(err, "user: \"%s\" is not USER or USER:GROUP, each a name or a number", user);
	return 0;
}

static int check_program(const struct service *s, struct err *err)
{
	if (check_args(s->entrypoint, s->n_entrypoint, "entrypoint", err) < 0 ||
	        check_args(s->command, s->n_command, "command", err) < 0)
		return -1;
	if (s->image && s->driver == DRIVER_EXEC)
		return fault(
		        err, "image: the exec driver runs programs of the host: remove `image` or the driver");
	if (!s->image && (s->driver == DRIVER_OCI || s->driver == DRIVER_ENGINE))
		return fault(err, "image: the %s driver needs one", spec_driver_name(s->driver));
	if (!s->image && !s->n_entrypoint && !s->n_command)
		return fault(err, "command: missing: a service without `image` needs the program to run");
	return 0;
}

static int check_env(const struct service *s, struct err *err)
{
	for (size_t i = 0; i < s->n_env; i++) {
		if (strchr(s->env[i].key, '='))
			return fault(err, "environment.%s: a name cannot hold =", s->env[i].key);
		if (spec_env_reserved(s->env[i].key))
			return fault(err, "environment.%s: " SPEC_ENV_RESERVED_TEXT, s->env[i].key);
		if (s->env[i].value && template_check(s->env[i].value, err) < 0)
			return err_wrap(err, "environment.%s", s->env[i].key);
	}
	return 0;
}

/* An attribute over which replicas may be spread, or that a preference may ask. */
static bool is_label_attr(const char *attr)
{
	static const char node[] = "node.labels.", engine[] = "engine.labels.";

	return (!strncmp(attr, node, strlen(node)) && attr[strlen(node)]) ||
	       (!strncmp(attr, engine, strlen(engine)) && attr[strlen(engine)]);
}

static int check_wishes(const struct service *s, struct err *err)
{
	for (size_t i = 0; i < s->n_spread; i++) {
		if (!is_label_attr(s->spread[i]) && strcmp(s->spread[i], "node.hostname") != 0)
			return fault(err,
			        "deploy.placement.preferences[%zu]: spread: \"%s\" is not node.labels.NAME, engine.labels.NAME "
			        "or node.hostname",
			        i, s->spread[i]);
		for (size_t k = 0; k < i; k++)
			if (!strcmp(s->spread[k], s->spread[i]))
				return fault(err, "deploy.placement.preferences[%zu]: stands twice", i);
	}
	for (size_t i = 0; i < s->n_prefer; i++) {
		const struct spec_constraint as_constraint = {
		        s->prefer[i].attr, s->prefer[i].op, s->prefer[i].value};

		if (!as_constraint.attr || !as_constraint.value || !s->prefer[i].weight)
			return fault(err,
			        "x-starling.prefer[%zu]: a label, a value and a weight other than 0 are needed",
			        i);
		if (check_constraint(&as_constraint, "x-starling.prefer", i, err) < 0)
			return -1;
	}
	return 0;
}

static int check_things(const struct service *s, struct err *err)
{
	for (size_t i = 0; i < s->n_generic; i++)
		if (!s->generic[i].kind || !text_is_label(s->generic[i].kind, true) || !s->generic[i].value ||
		        (i > 0 && strcmp(s->generic[i - 1].kind, s->generic[i].kind) >= 0))
			return fault(err,
			        "deploy.resources.reservations.generic_resources[%zu]: a label, once, and how many "
			        "of it are needed",
			        i);
	for (size_t i = 0; i < s->n_volumes; i++)
		if (!text_is_label(s->volumes[i], true) ||
		        (i > 0 && strcmp(s->volumes[i - 1], s->volumes[i]) >= 0))
			return fault(err, "x-starling.volumes[%zu]: \"%s\" is not a label, or stands twice", i,
			        s->volumes[i]);
	return 0;
}

static int check_all(const struct service *s, struct err *err)
{
	if (check_program(s, err) < 0 || check_user(s->user, err) < 0 || check_stop(s, err) < 0 ||
	        check_kvs(s->env, s->n_env, "environment", err) < 0 ||
	        check_kvs(s->labels, s->n_labels, "labels", err) < 0 ||
	        check_kvs(s->annotations, s->n_annotations, "annotations", err) < 0 ||
	        check_kvs(s->deploy_labels, s->n_deploy_labels, "deploy.labels", err) < 0 ||
	        check_resources(s, err) < 0)
		return -1;
	if (check_wishes(s, err) < 0 || check_things(s, err) < 0)
		return -1;
	if (check_env(s, err) < 0 || check_container(s, err) < 0 || check_mounts(s, err) < 0 ||
	        check_files(s, err) < 0 || check_process(s, err) < 0)
		return -1;
	if (s->working_dir && s->working_dir[0] != '/')
		return fault(err, "working_dir: \"%s\" is not an absolute path", s->working_dir);
	for (size_t i = 0; i < s->n_ports; i++)
		if (check_port(s, i, err) < 0)
			return -1;
	for (size_t i = 0; i < s->n_constraints; i++)
		if (check_constraint(&s->constraints[i], "deploy.placement.constraints", i, err) < 0)
			return -1;
	if (s->watchdog_ms && s->watchdog_ms < SPEC_WATCHDOG_MIN)
		return fault(err,
		        "x-starling.watchdog: %lld ms is shorter than the restart of an agent may take, so that each would "
		        "stop the task: use at least %d s",
		        (long long)s->watchdog_ms, (int)(SPEC_WATCHDOG_MIN / 1000));
	return check_health(s, err);
}

int service_check(const struct service *s, struct err *err)
{
	if (check_name("service", s->name, true, err) < 0)
		return err_wrap(err, "services");
	if (shape_check(&service_shape, s, err) < 0 || check_all(s, err) < 0)
		return err_wrap(err, "services.%s", s->name);
	return 0;
}

int spec_check(const struct spec *spec, struct err *err)
{
	if (check_name("stack", spec->name, false, err) < 0)
		return -1;
	if (shape_check(&spec_shape, spec, err) < 0)
		return -1;
	if (!spec->n_services)
		return fault(err, "services: none: a stack has at least one");
	for (size_t i = 0; i < spec->n_features; i++)
		if (!text_is_label(spec->features[i], false) ||
		        (i > 0 && strcmp(spec->features[i - 1], spec->features[i]) >= 0))
			return fault(err, "features[%zu]: not a label, or not in order", i);
	for (size_t i = 0; i < spec->n_services; i++) {
		const struct service *s = &spec->services[i];

		if (service_check(s, err) < 0)
			return -1;
		if (i > 0 && strcmp(spec->services[i - 1].name, s->name) >= 0)
			return fault(err, "services.%s: stands twice, or services are not in order", s->name);
	}
	return check_depends(spec, err);
}
