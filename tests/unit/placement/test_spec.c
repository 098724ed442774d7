#include "placement/spec/diff.h"
#include "placement/spec/shape.h"
#include "base/drbg.h"
#include "base/pack.h"
#include "tests/unit/placement/spec_make.h"

/* One service of every key, so that each row of the table is packed and read. */
static void full_service(struct service *s)
{
	static const char *entrypoint[] = {"/usr/bin/env"};
	static const char *command[] = {"python3", "-m", "http.server", ""};
	static const char *argv[] = {"/bin/true"};
	static struct kv env[] = {{"A", ""}, {"PATH", "/bin"}};
	static struct kv labels[] = {{"tier", "front"}};
	static struct kv deploy_labels[] = {{"owner", "web team"}};
	static struct spec_port ports[] = {{.name = "http", .target = 8080},
	        {.name = "8443", .target = 8443, .published = 443, .mode = PORT_HOST}};
	static struct spec_constraint constraints[] = {
	        {"node.labels.zone", OP_EQ, "a"}, {"node.hostname", OP_NE, "kite"}};

	static struct kv pairs[] = {{"net.core.somaxconn", "1024"}};
	static const char *texts[] = {"AUDIT_WRITE", "KILL"};
	static const char *hosts[] = {"db=10.0.0.2"}, *dns[] = {"9.9.9.9"}, *opts[] = {"no-new-privileges"};
	static const char *volumes[] = {"data"};
	static struct spec_device devices[] = {{"/dev/fuse", NULL, "rw"}};
	static struct spec_ulimit ulimits[] = {{"nofile", 1000, -1}};
	static struct spec_depends_on depends[] = {{"db", DEPENDS_HEALTHY, true, true}};
	static struct spec_mount mounts[] = {
	        {.source = "/srv", .target = "/a", .no_create = true, .propagation = "rslave"},
	        {.kind = MOUNT_VOLUME, .source = "data", .target = "/b", .read_only = true, .no_copy = true},
	        {.kind = MOUNT_TMPFS, .target = "/c", .size = 4096, .mode = 0700}};

	service_defaults(s);
	s->name = "web_front";
	s->image = "registry:5000/web:1";
	s->pull = PULL_NEVER;
	s->n_annotations = s->n_sysctls = 1;
	s->annotations = s->sysctls = pairs;
	s->n_cap_add = 1;
	s->cap_add = texts;
	s->n_cap_drop = 1;
	s->cap_drop = &texts[1];
	s->n_devices = s->n_ulimits = s->n_depends_on = s->n_volumes = 1;
	s->devices = devices;
	s->ulimits = ulimits;
	s->depends_on = depends;
	s->volumes = volumes;
	s->n_dns = s->n_dns_opt = s->n_dns_search = s->n_extra_hosts = s->n_group_add = s->n_security_opt = 1;
	s->dns = s->dns_opt = s->dns_search = s->group_add = dns;
	s->extra_hosts = hosts;
	s->security_opt = opts;
	s->domainname = "example.org";
	s->hostname = "web";
	s->init = s->privileged = s->read_only = s->stdin_open = s->tty = true;
	s->ipc = NULL;
	s->pid = "host";
	s->n_mounts = ARRAY_LEN(mounts);
	s->mounts = mounts;
	s->network_mode = "bridge";
	s->oom_score_adj = -7;
	s->shm_size = 1 << 20;
	s->move_after = 4;
	s->n_entrypoint = ARRAY_LEN(entrypoint);
	s->entrypoint = entrypoint;
	s->n_command = ARRAY_LEN(command);
	s->command = command;
	s->n_env = ARRAY_LEN(env);
	s->env = env;
	s->user = "www-data";
	s->working_dir = "/srv";
	s->n_ports = ARRAY_LEN(ports);
	s->ports = ports;
	s->check = (struct spec_check){.kind = CHECK_COMMAND,
	        .n_argv = 1,
	        .argv = argv,
	        .interval_ms = 1000,
	        .timeout_ms = 500,
	        .start_period_ms = 2000,
	        .start_interval_ms = 100,
	        .retries = 2};
	s->stop_signal = "SIGINT";
	s->stop_grace_ms = 3000;
	s->restart = (struct spec_restart_policy){RESTART_ON_FAILURE, 100, 5, 1000};
	s->n_labels = ARRAY_LEN(labels);
	s->labels = labels;
	s->n_deploy_labels = ARRAY_LEN(deploy_labels);
	s->deploy_labels = deploy_labels;
	s->replicas = 6;
	s->n_constraints = ARRAY_LEN(constraints);
	s->constraints = constraints;
	s->max_replicas_per_node = 2;
	s->reserve = (struct spec_resources){250, 64 << 20, 0};
	s->limit = (struct spec_resources){500, 128 << 20, 100};
	s->failover_after_ms = 9000;
	s->partition = PARTITION_PAUSE;
	s->priority = -5;
	s->watchdog_ms = 60000;
	s->parallelism = 3;
	s->born = 0x0123456789abcdef;
}

static void keys_of_every_table_ascend(void **state)
{
	const struct shape *shapes[] = {&spec_shape, &service_shape};

	(void)state;
	for (size_t s = 0; s < ARRAY_LEN(shapes); s++) {
		for (size_t i = 1; i < shapes[s]->n_fields; i++)
			assert_true(strcmp(shapes[s]->fields[i - 1].key, shapes[s]->fields[i].key) < 0);
		for (size_t i = 0; i < shapes[s]->n_fields; i++) {
			const struct shape *in = shapes[s]->fields[i].shape;

			for (size_t k = 1; in && k < in->n_fields; k++)
				assert_true(strcmp(in->fields[k - 1].key, in->fields[k].key) < 0);
		}
	}
}

static void every_key_comes_back_as_it_was(void **state)
{
	struct service services[2];
	struct spec spec = stack_of(services, 2), back;
	struct arena arena;
	struct wr w, again;

	(void)state;
	plain_service(&services[0], "db");
	full_service(&services[1]);
	encode(&w, &spec);
	arena_init(&arena);
	assert_int_equal(spec_decode(&back, &arena, w.p, w.len, NULL), 0);
	encode(&again, &back);
	assert_int_equal(w.len, again.len);
	assert_memory_equal(w.p, again.p, w.len);

	const struct service *web = spec_service(&back, "web_front");
	assert_non_null(web);
	assert_string_equal(web->user, "www-data");
	assert_string_equal(web->env[0].value, "");
	assert_string_equal(web->command[3], "");
	assert_int_equal(web->ports[1].published, 443);
	assert_int_equal(web->ports[1].mode, PORT_HOST);
	assert_int_equal(web->constraints[1].op, OP_NE);
	assert_int_equal(web->priority, -5);
	assert_int_equal(web->limit.pids, 100);
	assert_int_equal(web->restart.condition, RESTART_ON_FAILURE);
	assert_true(web->born == 0x0123456789abcdef);
	assert_string_equal(web->mounts[0].propagation, "rslave");
	assert_string_equal(web->mounts[1].source, "data");
	assert_int_equal(web->mounts[2].mode, 0700);
	assert_int_equal(web->ulimits[0].hard, -1);
	assert_string_equal(web->devices[0].access, "rw");
	assert_null(web->devices[0].target);
	assert_int_equal(web->depends_on[0].condition, DEPENDS_HEALTHY);
	assert_true(web->depends_on[0].optional && web->tty && web->privileged);
	assert_int_equal(web->oom_score_adj, -7);
	assert_null(spec_service(&back, "nobody"));

	/* What was left out is the default, not zero. */
	const struct service *db = spec_service(&back, "db");
	assert_string_equal(db->stop_signal, "SIGTERM");
	assert_int_equal(db->stop_grace_ms, 10000);
	assert_int_equal(db->replicas, 1);
	assert_int_equal(db->check.interval_ms, 30000);
	assert_int_equal(db->check.timeout_ms, 30000);
	assert_int_equal(db->check.start_interval_ms, 5000);
	assert_int_equal(db->check.retries, 3);
	wr_free(&w);
	wr_free(&again);
	arena_free(&arena);
}

static void defaults_take_no_bytes(void **state)
{
	struct service s, t;
	struct spec a = stack_of(&s, 1), b = stack_of(&t, 1);
	struct wr wa, wb;

	(void)state;
	plain_service(&s, "web");
	plain_service(&t, "web");
	t.stop_signal = NULL; /* NULL and the default's text mean the same */
	encode(&wa, &a);
	encode(&wb, &b);
	assert_int_equal(wa.len, wb.len);
	assert_memory_equal(wa.p, wb.p, wa.len);
	assert_true(wa.len < 64);
	wr_free(&wa);
	wr_free(&wb);
}

static void order_in_the_file_does_not_matter(void **state)
{
	struct kv env1[] = {{"B", "2"}, {"A", "1"}}, env2[] = {{"A", "1"}, {"B", "2"}};
	struct service x[2], y[2];
	struct spec a = stack_of(x, 2), b = stack_of(y, 2);
	struct wr wa, wb;

	(void)state;
	plain_service(&x[0], "web");
	plain_service(&x[1], "db");
	plain_service(&y[0], "db");
	plain_service(&y[1], "web");
	x[0].env = env1;
	y[1].env = env2;
	x[0].n_env = y[1].n_env = 2;
	spec_sort(&a);
	spec_sort(&b);
	encode(&wa, &a);
	encode(&wb, &b);
	assert_int_equal(wa.len, wb.len);
	assert_memory_equal(wa.p, wb.p, wa.len);
	wr_free(&wa);
	wr_free(&wb);
}

/* ---- hostile bytes ---- */

static int decode(const struct wr *w, struct err *err)
{
	struct arena arena;
	struct spec spec;
	int rc;

	arena_init(&arena);
	rc = spec_decode(&spec, &arena, w->p, w->len, err);
	arena_free(&arena);
	return rc;
}

static void every_truncation_is_refused(void **state)
{
	struct service s;
	struct spec spec = stack_of(&s, 1);
	struct wr w, cut;

	(void)state;
	full_service(&s);
	encode(&w, &spec);
	for (size_t len = 0; len < w.len; len++) {
		/* A copy of exactly that length, so that the sanitizer sees a read beyond it. */
		wr_init(&cut, BODY_BYTES_MAX);
		wr_bytes(&cut, w.p, len);
		assert_int_equal(decode(&cut, NULL), -1);
		wr_free(&cut);
	}
	wr_free(&w);
}

static void a_changed_byte_never_gives_a_second_form(void **state)
{
	struct service s;
	struct spec spec = stack_of(&s, 1), back;
	struct arena arena;
	struct wr w, again;
	size_t accepted = 0;

	(void)state;
	full_service(&s);
	encode(&w, &spec);
	for (size_t i = 0; i < w.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			w.p[i] ^= (uint8_t)(1 << bit);
			arena_init(&arena);
			if (spec_decode(&back, &arena, w.p, w.len, NULL) == 0) {
				encode(&again, &back);
				assert_int_equal(again.len, w.len);
				assert_memory_equal(again.p, w.p, w.len);
				wr_free(&again);
				accepted++;
			}
			arena_free(&arena);
			w.p[i] ^= (uint8_t)(1 << bit);
		}
	assert_true(accepted > 0); /* a changed letter of a value is another good spec */
	wr_free(&w);
}

static void expect_refused(struct wr *w, const char *why)
{
	struct err err = {0};

	assert_int_equal(decode(w, &err), -1);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
	assert_int_equal(err.code, ERR_USAGE);
	wr_free(w);
}

static void head(struct wr *w, uint32_t keys)
{
	wr_init(w, BODY_BYTES_MAX);
	pk_array(w, 2);
	pk_u64(w, SPEC_VERSION);
	pk_map(w, keys);
}

static void what_is_not_canonical_is_refused(void **state)
{
	struct wr w;

	(void)state;
	wr_init(&w, 64);
	pk_array(&w, 2);
	pk_u64(&w, 2);
	pk_map(&w, 0);
	expect_refused(&w, "version 2");

	head(&w, 1);
	pk_kv_str(&w, "nmae", "shop");
	expect_refused(&w, "unknown key");

	head(&w, 2);
	pk_kv_str(&w, "name", "shop");
	pk_kv_str(&w, "name", "shop");
	expect_refused(&w, "out of order");

	head(&w, 1);
	wr_u8(&w, 0xa0 | 8);
	wr_bytes(&w, "services", 8);
	wr_u8(&w, 0xdd); /* an array of 2^32 - 1 */
	wr_u32(&w, UINT32_MAX);
	expect_refused(&w, "more elements than there are bytes");

	head(&w, 2);
	pk_kv_str(&w, "name", "shop");
	pk_str(&w, "services");
	pk_array(&w, 1);
	pk_map(&w, 3);
	pk_str(&w, "command");
	pk_array(&w, 1);
	pk_str(&w, "x");
	pk_kv_u64(&w, "deploy.replicas", 1); /* the default, written out */
	pk_kv_str(&w, "name", "web");
	expect_refused(&w, "canonical");

	head(&w, 2);
	pk_kv_str(&w, "name", "shop");
	pk_str(&w, "services");
	pk_array(&w, 1);
	pk_map(&w, 3);
	pk_str(&w, "command");
	pk_array(&w, 1);
	pk_str(&w, "x");
	pk_kv_u64(&w, "deploy.replicas", 10001);
	pk_kv_str(&w, "name", "web");
	expect_refused(&w, "out of range");

	head(&w, 1);
	pk_str(&w, "services");
	pk_array(&w, STACK_SERVICES_MAX + 1);
	for (int i = 0; i <= STACK_SERVICES_MAX; i++)
		pk_map(&w, 0);
	expect_refused(&w, "list too long");
}

static void a_spec_of_the_future_is_read_when_it_names_its_feature(void **state)
{
	struct arena arena;
	struct spec spec;
	struct wr w;

	(void)state;
	for (int named = 0; named < 2; named++) {
		head(&w, named ? 3 : 2);
		if (named) {
			pk_str(&w, "features");
			pk_array(&w, 1);
			pk_str(&w, "teleport");
		}
		pk_kv_str(&w, "name", "shop");
		pk_str(&w, "services");
		pk_array(&w, 1);
		pk_map(&w, 3);
		pk_str(&w, "command");
		pk_array(&w, 1);
		pk_str(&w, "x");
		pk_kv_str(&w, "name", "web");
		pk_kv_str(&w, "teleport", "there");
		arena_init(&arena);
		assert_int_equal(spec_decode(&spec, &arena, w.p, w.len, NULL), named ? 0 : -1);
		if (named) {
			assert_int_equal(spec.n_features, 1);
			assert_string_equal(spec.services[0].name, "web");
		}
		arena_free(&arena);
		wr_free(&w);
	}
}

static void random_bytes_are_refused(void **state)
{
	struct drbg rnd;
	uint8_t bytes[256];

	(void)state;
	drbg_init_u64(&rnd, 1, 0);
	for (int i = 0; i < 20000; i++) {
		struct wr w;
		size_t len = (size_t)drbg_below(&rnd, sizeof(bytes));

		drbg_bytes(&rnd, bytes, len);
		wr_fixed(&w, bytes, sizeof(bytes));
		w.len = len;
		assert_int_equal(decode(&w, NULL), -1);
	}
}

/* ---- content and powers ---- */

static void content_is_what_makes_a_running_task_differ(void **state)
{
	struct service s;
	const char *other[] = {"/bin/sleep", "1001"};
	struct kv kv[] = {{"A", "1"}};
	struct spec_constraint constraint[] = {{"node.hostname", OP_EQ, "kite"}};
	id64 before;

	(void)state;
	plain_service(&s, "web");
	before = service_content(&s);
	assert_true(before != 0);
/* Each change by itself, from the same start. */
#define CONTENT(change, differs)                                                                                 \
	do {                                                                                                     \
		plain_service(&s, "web");                                                                        \
		change;                                                                                          \
		assert_int_equal(service_content(&s) != before, differs);                                        \
	} while (0)
	CONTENT(s.replicas = 9, false);
	CONTENT(s.mode = MODE_GLOBAL, false);
	CONTENT((s.n_deploy_labels = 1, s.deploy_labels = kv), false);
	CONTENT((s.n_constraints = 1, s.constraints = constraint), false);
	CONTENT(s.max_replicas_per_node = 1, false);
	CONTENT(s.born = 77, false);
	CONTENT(s.parallelism = 4, false);
	CONTENT(s.priority = 4, false);
	CONTENT(s.failover_after_ms = 4, false);
	CONTENT(s.partition = PARTITION_PAUSE, false);
	CONTENT(s.name = "api", false);
	CONTENT(s.stop_signal = NULL, false);
	CONTENT(s.command = other, true);
	CONTENT((s.n_env = 1, s.env = kv), true);
	CONTENT((s.n_labels = 1, s.labels = kv), true);
	CONTENT(s.user = "nobody", true);
	CONTENT(s.check.retries = 9, true);
	CONTENT(s.stop_grace_ms = 9, true);
	CONTENT(s.restart.condition = RESTART_NONE, true);
	CONTENT(s.limit.memory = 9, true);
	CONTENT(s.watchdog_ms = 9, true);
#undef CONTENT
}

static void powers_follow_user_and_priority(void **state)
{
	struct service s;

	(void)state;
	plain_service(&s, "web");
	assert_int_equal(service_powers(&s), 0);
	s.user = "nobody";
	assert_int_equal(service_powers(&s), 0);
	s.user = "rooted:www";
	assert_int_equal(service_powers(&s), 0);
	for (const char *const *u =
	                (const char *const[]){"root", "0", "00", "root:www", "0:0", "www:0", "www:root", NULL};
	        *u; u++) {
		s.user = *u;
		assert_int_equal(service_powers(&s), SPEC_POWER_EXEC_AS_ROOT);
	}
	s.priority = -1;
	assert_int_equal(service_powers(&s), SPEC_POWER_EXEC_AS_ROOT | SPEC_POWER_PRIORITY);
}

/* Each way out of a container, and each right of a process, by itself. */
static void every_way_to_harm_a_host_needs_its_power(void **state)
{
	static const char *const caps[] = {"NET_BIND_SERVICE", "CHOWN", "SYS_ADMIN", "ALL"};
	struct spec_mount bind[] = {{.source = "/", .target = "/x"}},
	                  volume[] = {{.kind = MOUNT_VOLUME, .target = "/x"}};
	const char *cap[1], *root[] = {"0"}, *nnp[] = {"no-new-privileges"},
	                    *new_privs[] = {"no-new-privileges=false"}, *unconfined[] = {"seccomp=unconfined"};
	struct spec_device device[] = {{"/dev/sda", NULL, "r"}};
	struct spec_ulimit rt[] = {{"rtprio", 0, 1}}, nice20[] = {{"nice", 20, 20}}, nice[] = {{"nice", 20, 21}},
	                   no_limit[] = {{"nice", -1, -1}};
	struct kv kv[] = {{"run.oci.hooks", "x"}};
	struct service s;

	(void)state;
/* In a process, and in a container. */
#define NEEDS(change, process, container)                                                                        \
	do {                                                                                                     \
		plain_service(&s, "web");                                                                        \
		change;                                                                                          \
		assert_int_equal(service_powers(&s), process);                                                   \
		s.image = "web";                                                                                 \
		s.driver = DRIVER_ENGINE;                                                                        \
		assert_int_equal(service_powers(&s), container);                                                 \
	} while (0)
	NEEDS(s.user = "root", SPEC_POWER_EXEC_AS_ROOT, 0);
	NEEDS((s.n_group_add = 1, s.group_add = root), SPEC_POWER_EXEC_AS_ROOT, 0);
	cap[0] = caps[0];
	NEEDS((s.n_cap_add = 1, s.cap_add = cap), SPEC_POWER_HOST_NETWORK, 0);
	cap[0] = caps[1];
	NEEDS((s.n_cap_add = 1, s.cap_add = cap), SPEC_POWER_EXEC_AS_ROOT, 0);
	cap[0] = caps[2];
	NEEDS((s.n_cap_add = 1, s.cap_add = cap), SPEC_POWER_EXEC_AS_ROOT, SPEC_POWER_PRIVILEGED);
	cap[0] = caps[3];
	NEEDS((s.n_cap_add = 1, s.cap_add = cap), SPEC_POWER_EXEC_AS_ROOT, SPEC_POWER_PRIVILEGED);
	NEEDS((s.n_cap_drop = 1, s.cap_drop = cap), 0, 0);
	NEEDS(s.privileged = true, SPEC_POWER_PRIVILEGED, SPEC_POWER_PRIVILEGED);
	NEEDS((s.n_security_opt = 1, s.security_opt = nnp), 0, 0);
	NEEDS((s.n_security_opt = 1, s.security_opt = new_privs), SPEC_POWER_EXEC_AS_ROOT, 0);
	NEEDS((s.n_security_opt = 1, s.security_opt = unconfined), 0, SPEC_POWER_PRIVILEGED);
	NEEDS((s.n_annotations = 1, s.annotations = kv), 0, SPEC_POWER_PRIVILEGED);
	NEEDS(s.pid = "host", 0, SPEC_POWER_PRIVILEGED);
	NEEDS(s.ipc = "host", 0, SPEC_POWER_PRIVILEGED);
	NEEDS(s.uts = "host", 0, SPEC_POWER_HOST_NETWORK);
	NEEDS(s.network_mode = "host", 0, SPEC_POWER_HOST_NETWORK);
	NEEDS(s.network_mode = "bridge", 0, 0);
	NEEDS((s.n_mounts = 1, s.mounts = bind), SPEC_POWER_HOST_BINDS, SPEC_POWER_HOST_BINDS);
	NEEDS((s.n_mounts = 1, s.mounts = volume), 0, 0);
	NEEDS(s.process.rootfs = "/srv/root", SPEC_POWER_HOST_BINDS, 0);
	NEEDS((s.n_devices = 1, s.devices = device), SPEC_POWER_DEVICES, SPEC_POWER_DEVICES);
	NEEDS(s.oom_score_adj = -1, SPEC_POWER_PRIORITY, SPEC_POWER_PRIORITY);
	NEEDS(s.oom_score_adj = 1, 0, 0);
	NEEDS(s.process.nice = -1, SPEC_POWER_PRIORITY, SPEC_POWER_PRIORITY);
	NEEDS((s.n_ulimits = 1, s.ulimits = rt), SPEC_POWER_PRIORITY, SPEC_POWER_PRIORITY);
	NEEDS((s.n_ulimits = 1, s.ulimits = nice20), 0, 0);
	NEEDS((s.n_ulimits = 1, s.ulimits = nice), SPEC_POWER_PRIORITY, SPEC_POWER_PRIORITY);
	NEEDS((s.n_ulimits = 1, s.ulimits = no_limit), SPEC_POWER_PRIORITY, SPEC_POWER_PRIORITY);
#undef NEEDS
	/* Driver oci, which a peer may choose, uses the host's network unless it is told. */
	plain_service(&s, "web");
	s.image = "web";
	assert_int_equal(service_powers(&s), SPEC_POWER_HOST_NETWORK);
	s.driver = DRIVER_OCI;
	assert_int_equal(service_powers(&s), SPEC_POWER_HOST_NETWORK);
	s.network_mode = "none";
	assert_int_equal(service_powers(&s), 0);
}

/* ---- diff ---- */

static void who_restarts_with_another_changes_when_that_does(void **state)
{
	static const char *commands[3][1] = {{"/bin/a"}, {"/bin/b"}, {"/bin/c"}};
	struct spec_depends_on on_a = {"a", DEPENDS_STARTED, true, false},
	                       on_b = {"b", DEPENDS_STARTED, true, false};
	struct service s[3];
	struct spec spec = {.name = "shop", .n_services = 3, .services = s};
	id64 before, plain;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = {"a", "b", "c"};

		service_defaults(&s[i]);
		s[i].name = names[i];
		s[i].n_command = 1;
		s[i].command = commands[i];
	}
	s[1].n_depends_on = s[2].n_depends_on = 1;
	s[1].depends_on = &on_a;
	s[2].depends_on = &on_b;
	plain = service_content(&s[2]);
	spec_tie(&spec);
	before = service_content(&s[2]);
	assert_true(before != plain);
	spec_tie(&spec);
	assert_true(service_content(&s[2]) == before);
	commands[0][0] = "/bin/other"; /* two steps away */
	spec_tie(&spec);
	assert_true(service_content(&s[2]) != before);
	on_b.restart = false;
	spec_tie(&spec);
	assert_true(service_content(&s[2]) == plain);
}

static void a_diff_names_services_and_keys(void **state)
{
	struct service old[3], new[3];
	struct spec from = stack_of(old, 3), to = stack_of(new, 3);
	struct spec_diff d;
	struct arena arena;

	(void)state;
	plain_service(&old[0], "api");
	plain_service(&old[1], "db");
	plain_service(&old[2], "web");
	plain_service(&new[0], "api");
	plain_service(&new[1], "cache");
	plain_service(&new[2], "web");
	old[0].born = 5; /* not written by a user: no change */
	new[2].user = "www";
	new[2].replicas = 4;
	arena_init(&arena);
	spec_diff(&from, &to, &arena, &d);
	assert_int_equal(d.n_services, 4);
	assert_string_equal(d.services[0].name, "api");
	assert_int_equal(d.services[0].kind, DIFF_SAME);
	assert_string_equal(d.services[1].name, "cache");
	assert_int_equal(d.services[1].kind, DIFF_ADDED);
	assert_string_equal(d.services[2].name, "db");
	assert_int_equal(d.services[2].kind, DIFF_REMOVED);
	assert_string_equal(d.services[3].name, "web");
	assert_int_equal(d.services[3].kind, DIFF_CHANGED);
	assert_true(d.services[3].replaces_tasks);
	assert_int_equal(d.services[3].n_keys, 2);
	assert_string_equal(d.services[3].keys[0], "deploy.replicas");
	assert_string_equal(d.services[3].keys[1], "user");

	new[2].user = NULL;
	spec_diff(&from, &to, &arena, &d);
	assert_false(d.services[3].replaces_tasks);
	spec_diff(NULL, &to, &arena, &d);
	assert_int_equal(d.added, 3);
	spec_diff(&from, NULL, &arena, &d);
	assert_int_equal(d.removed, 3);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(keys_of_every_table_ascend),
	        cmocka_unit_test(every_key_comes_back_as_it_was),
	        cmocka_unit_test(defaults_take_no_bytes),
	        cmocka_unit_test(order_in_the_file_does_not_matter),
	        cmocka_unit_test(every_truncation_is_refused),
	        cmocka_unit_test(a_changed_byte_never_gives_a_second_form),
	        cmocka_unit_test(what_is_not_canonical_is_refused),
	        cmocka_unit_test(a_spec_of_the_future_is_read_when_it_names_its_feature),
	        cmocka_unit_test(random_bytes_are_refused),
	        cmocka_unit_test(content_is_what_makes_a_running_task_differ),
	        cmocka_unit_test(powers_follow_user_and_priority),
	        cmocka_unit_test(every_way_to_harm_a_host_needs_its_power),
	        cmocka_unit_test(who_restarts_with_another_changes_when_that_does),
	        cmocka_unit_test(a_diff_names_services_and_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
