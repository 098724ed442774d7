/* healthcheck, and the probes that Compose lacks: one check per service, with Compose's timing. */
#include "base/text.h"
#include "cli/compose/build.h"

enum timing { INTERVAL = 1, TIMEOUT = 2, START_PERIOD = 4, START_INTERVAL = 8, RETRIES = 16 };

/* A timing may stand under healthcheck or under the probe, not under both. */
static bool first_time(struct build *b, const char *path, const struct node *n, struct draft *d, enum timing t)
{
	if (d->timings & t) {
		refuse(b, path, n, "is given under `healthcheck` and under the probe; keep one");
		return false;
	}
	d->timings |= t;
	return true;
}

static void take_interval(struct build *b, const char *path, const struct node *n, void *target)
{
	if (first_time(b, path, n, target, INTERVAL))
		want_duration(b, path, n, &((struct draft *)target)->s->check.interval_ms);
}

static void take_timeout(struct build *b, const char *path, const struct node *n, void *target)
{
	if (first_time(b, path, n, target, TIMEOUT))
		want_duration(b, path, n, &((struct draft *)target)->s->check.timeout_ms);
}

static void take_start_period(struct build *b, const char *path, const struct node *n, void *target)
{
	if (first_time(b, path, n, target, START_PERIOD))
		want_duration(b, path, n, &((struct draft *)target)->s->check.start_period_ms);
}

static void take_start_interval(struct build *b, const char *path, const struct node *n, void *target)
{
	if (first_time(b, path, n, target, START_INTERVAL))
		want_duration(b, path, n, &((struct draft *)target)->s->check.start_interval_ms);
}

static void take_retries(struct build *b, const char *path, const struct node *n, void *target)
{
	uint64_t retries;

	if (first_time(b, path, n, target, RETRIES) && want_u64(b, path, n, 1, 1000, &retries))
		((struct draft *)target)->s->check.retries = (uint32_t)retries;
}

static void set_shell(struct build *b, struct spec_check *c, const char *text)
{
	const char **argv = arena_array(b->arena, 3, sizeof(*argv));

	argv[0] = "/bin/sh";
	argv[1] = "-c";
	argv[2] = text;
	c->kind = CHECK_COMMAND;
	c->argv = argv;
	c->n_argv = 3;
}

static void take_test(struct build *b, const char *path, const struct node *n, void *target)
{
	struct draft *d = target;
	struct spec_check *c = &d->s->check;
	const char **words;
	size_t count;

	d->test = n;
	if (n->kind == NODE_SCALAR) {
		const char *text;

		if (!want_text(b, path, n, &text))
			return;
		if (strcmp(text, "NONE") == 0)
			d->check_disabled = true;
		else
			set_shell(b, c, text);
		return;
	}
	if (!want_texts(b, path, n, SPEC_ARGS_MAX, &words, &count))
		return;
	if (count == 1 && strcmp(words[0], "NONE") == 0) {
		d->check_disabled = true;
	} else if (count == 2 && strcmp(words[0], "CMD-SHELL") == 0) {
		set_shell(b, c, words[1]);
	} else if (count > 1 && strcmp(words[0], "CMD") == 0) {
		c->kind = CHECK_COMMAND;
		c->argv = words + 1;
		c->n_argv = count - 1;
	} else {
		refuse(b, path, n, "must be [NONE], [CMD, PROGRAM, ARGUMENT...] or [CMD-SHELL, TEXT]");
	}
}

static void take_disable(struct build *b, const char *path, const struct node *n, void *target)
{
	bool disable;

	if (want_bool(b, path, n, &disable) && disable)
		((struct draft *)target)->check_disabled = true;
}

static const struct key_rule healthcheck_rules[] = {
        {"disable", take_disable, "true: no check"},
        {"interval", take_interval, "30s unless set"},
        {"retries", take_retries, "failures in a row that make it unhealthy; 3 unless set"},
        {"start_interval", take_start_interval, "interval until first healthy; 5s unless set"},
        {"start_period", take_start_period, "failures within it do not count; 0s unless set"},
        {"test", take_test, "text (run by /bin/sh), [CMD, ...], [CMD-SHELL, TEXT] or [NONE]"},
        {"timeout", take_timeout, "30s unless set"},
};
const struct key_level level_healthcheck = {
        "services.*.healthcheck", healthcheck_rules, ARRAY_LEN(healthcheck_rules), true};

void take_healthcheck(struct build *b, const char *path, const struct node *n, void *target)
{
	((struct draft *)target)->healthcheck = n;
	take_map(b, path, n, &level_healthcheck, target);
}

static void take_probe_port(struct build *b, const char *path, const struct node *n, void *target)
{
	want_text(b, path, n, &((struct draft *)target)->s->check.port);
}

static void take_probe_path(struct build *b, const char *path, const struct node *n, void *target)
{
	want_text(b, path, n, &((struct draft *)target)->s->check.path);
}

#define AS_CHECK "as under healthcheck"

static const struct key_rule http_rules[] = {
        {"interval", take_interval, AS_CHECK},
        {"path", take_probe_path, "what is asked for; any answer from 200 to 399 is healthy; / unless set"},
        {"port", take_probe_port, "name or target of one of the service's TCP ports; needed"},
        {"retries", take_retries, AS_CHECK},
        {"start_interval", take_start_interval, AS_CHECK},
        {"start_period", take_start_period, AS_CHECK},
        {"timeout", take_timeout, AS_CHECK},
};
const struct key_level level_http = {
        "services.*.x-starling.probes.http", http_rules, ARRAY_LEN(http_rules), false};

static const struct key_rule tcp_rules[] = {
        {"interval", take_interval, AS_CHECK},
        {"port", take_probe_port, "name or target of one of the service's TCP ports; needed"},
        {"retries", take_retries, AS_CHECK},
        {"start_interval", take_start_interval, AS_CHECK},
        {"start_period", take_start_period, AS_CHECK},
        {"timeout", take_timeout, AS_CHECK},
};
const struct key_level level_tcp = {"services.*.x-starling.probes.tcp", tcp_rules, ARRAY_LEN(tcp_rules), false};

static void take_probe(struct build *b, const char *path, const struct node *n, struct draft *d,
        const struct key_level *level, enum spec_check_kind kind)
{
	struct spec_check *c = &d->s->check;

	if (d->probes) {
		refuse(b, path, n, "a service has one probe; keep http or tcp");
		return;
	}
	d->probes = n;
	take_map(b, path, n, level, d);
	if (n->kind == NODE_MAP && !node_get(n, "port"))
		refuse(b, path, n, "has no `port`");
	if (d->test) /* finish_health() says so */
		return;
	c->kind = kind;
	if (kind == CHECK_HTTP && !c->path)
		c->path = "/";
}

static void take_http(struct build *b, const char *path, const struct node *n, void *target)
{
	take_probe(b, path, n, target, &level_http, CHECK_HTTP);
}

static void take_tcp(struct build *b, const char *path, const struct node *n, void *target)
{
	take_probe(b, path, n, target, &level_tcp, CHECK_TCP);
}

static const struct key_rule probes_rules[] = {
        {"http", take_http, "GET on a port of the service"},
        {"tcp", take_tcp, "a connection to a port of the service"},
};
const struct key_level level_probes = {
        "services.*.x-starling.probes", probes_rules, ARRAY_LEN(probes_rules), false};

void take_probes(struct build *b, const char *path, const struct node *n, void *draft)
{
	take_map(b, path, n, &level_probes, draft);
}

void finish_health(struct build *b, const char *path, struct draft *d)
{
	const char *at = path_key(b, path, "healthcheck");

	if (d->test && d->probes) {
		refuse(b, path_key(b, at, "test"), d->test,
		        "a service has one check: keep this or `x-starling.probes`");
		return;
	}
	if (d->healthcheck && !d->test && !d->probes && !d->check_disabled && d->healthcheck->kind == NODE_MAP)
		refuse(b, at, d->healthcheck, "has no `test`");
	if (d->check_disabled) {
		struct service none;

		service_defaults(&none);
		d->s->check = none.check;
	}
}
