/* The laws of a spec: each broken by itself, with the message that names it. */
#include "placement/spec/diff.h"
#include "placement/spec/shape.h"
#include "base/drbg.h"
#include "base/pack.h"
#include "tests/unit/placement/spec_make.h"

/* Breaks one law of a good service of an image, or of a process, and expects that the message names it. */
#define BREAK_LAW(of_image, change, why)                                                                         \
	do {                                                                                                     \
		plain_service(&s, "web");                                                                        \
		s.image = of_image;                                                                              \
		spec = stack_of(&s, 1);                                                                          \
		assert_int_equal(spec_check(&spec, NULL), 0);                                                    \
		change;                                                                                          \
		err = (struct err){0};                                                                           \
		assert_int_equal(spec_check(&spec, &err), -1);                                                   \
		if (!strstr(err.text, why))                                                                      \
			fail_msg("\"%s\" does not say \"%s\"", err.text, why);                                   \
	} while (0)

#define MANY "0123456789012345678901234567890123456789012345678901234567890123"

static void law_breakers_are_named(void **state)
{
	struct spec_port clash[] = {{.name = "a", .target = 1}, {.name = "a", .target = 2}};
	struct spec_port same_host[] = {{.name = "a", .target = 1, .published = 80, .mode = PORT_HOST},
	        {.name = "b", .target = 2, .published = 80, .mode = PORT_HOST}};
	struct spec_port ingress[] = {{.name = "a", .target = 1, .published = 80, .mode = PORT_INGRESS}};
	struct spec_port no_host[] = {{.name = "a", .target = 1, .mode = PORT_HOST}};
	struct spec_port free_published[] = {{.name = "a", .target = 1, .published = 80}};
	struct spec_port no_target[] = {{.name = "a"}};
	struct kv twice[] = {{"A", "1"}, {"A", "2"}}, equals[] = {{"A=B", "1"}},
	          reserved[] = {{"STARLING_STACK", "1"}}, template[] = {{"A", "{{.Task}}"}};
	struct spec_constraint worker[] = {{"node.role", OP_EQ, "worker"}};
	struct spec_constraint unknown[] = {{"node.ip", OP_EQ, "1"}}, bare[] = {{"node.labels.", OP_EQ, "1"}};
	const char *argv[] = {"x"}, *empty[] = {""};
	char long_text[SPEC_TEXT_MAX + 2];
	struct service s;
	struct spec spec = stack_of(&s, 1);
	struct err err;

	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
#define BREAK(change, why) BREAK_LAW(NULL, change, why)
	BREAK(spec.name = NULL, "stack name \"\"");
	BREAK(spec.name = "Shop", "not a DNS label");
	BREAK(spec.name = "my_shop", "not a DNS label");
	BREAK(spec.name = MANY, "not a DNS label");
	BREAK(spec.name = "node", "reserved");
	BREAK(spec.name = "42", "all digits");
	BREAK(spec.n_services = 0, "services: none");
	BREAK(s.name = "tasks", "reserved");
	BREAK(s.name = "nearest", "reserved");
	BREAK(s.name = "7", "all digits");
	BREAK(s.name = "-web", "not a DNS label");
	BREAK(s.n_command = 0, "command: missing");
	BREAK((s.n_command = 1, s.command = empty), "command[0]");
	BREAK(s.driver = DRIVER_OCI, "the oci driver needs one");
	BREAK((s.image = "x", s.driver = DRIVER_EXEC), "remove `image`");
	BREAK(s.image = "", "image: must not be empty");
	BREAK(s.replicas = SERVICE_REPLICAS_MAX + 1, "deploy.replicas: 10001");
	BREAK(s.user = "", "user:");
	BREAK(s.user = "a b", "user:");
	BREAK(s.user = "a:", "user:");
	BREAK(s.user = "-1", "user:");
	BREAK(s.working_dir = "srv", "absolute");
	BREAK(s.working_dir = long_text, "longer than");
	BREAK(s.stop_signal = "TERM", "stop_signal");
	BREAK(s.stop_grace_ms = -1, "stop_grace_period");
	BREAK(s.restart.delay_ms = -1, "deploy.restart_policy: delay_ms");
	BREAK((s.n_env = 2, s.env = twice), "environment.A: stands twice");
	BREAK((s.n_env = 1, s.env = reserved),
	        "environment.STARLING_STACK: names that start with STARLING_ are reserved");
	BREAK((s.n_env = 1, s.env = equals), "cannot hold =");
	BREAK((s.n_env = 1, s.env = template), "environment.A: {{.Task}} is no template");
	BREAK((s.n_ports = 2, s.ports = clash), "ports[1]: name \"a\" is taken by ports[0]");
	BREAK((s.n_ports = 2, s.ports = same_host), "ports[1]: host port 80");
	BREAK((s.n_ports = 1, s.ports = ingress), "until the proxy exists");
	BREAK((s.n_ports = 1, s.ports = no_host), "needs `published`");
	BREAK((s.n_ports = 1, s.ports = free_published), "chosen freely");
	BREAK((s.n_ports = 1, s.ports = no_target), "target 0");
	BREAK((s.n_ports = 9, s.ports = clash), "ports: 9 entries");
	BREAK((s.n_constraints = 1, s.constraints = worker), "every peer takes specs");
	BREAK((s.n_constraints = 1, s.constraints = unknown), "unknown attribute");
	BREAK((s.n_constraints = 1, s.constraints = bare), "unknown attribute");
	BREAK((s.reserve.memory = 2, s.limit.memory = 1), "memory reserved");
	BREAK((s.reserve.cpu_milli = 2, s.limit.cpu_milli = 1), "cpu reserved");
	BREAK(s.check.kind = CHECK_COMMAND, "no command");
	BREAK((s.check.n_argv = 1, s.check.argv = argv), "keep one");
	BREAK(s.check.kind = CHECK_TCP, "no port");
	BREAK((s.check.kind = CHECK_TCP, s.check.port = "80"), "none of the service's TCP ports");
	BREAK((s.check.kind = CHECK_HTTP, s.check.port = "a", s.n_ports = 1, s.ports = clash), "start with /");
	BREAK(s.watchdog_ms = SPEC_WATCHDOG_MIN - 1,
	        "x-starling.watchdog: 4999 ms is shorter than the restart of an agent");
	BREAK(s.check.retries = 0, "retries");
	BREAK(s.check.interval_ms = 0, "healthcheck: interval_ms");
#undef BREAK
}

static void law_breakers_among_containers_are_named(void **state)
{
	struct spec_mount relative[] = {{.source = "/a", .target = "b"}},
	                  twice[] = {{.source = "/a", .target = "/b"}, {.source = "/a", .target = "/b"}};
	struct spec_mount climbs[] = {{.source = "/a/../etc", .target = "/b"}},
	                  empty_part[] = {{.source = "/a", .target = "/b//c"}};
	struct spec_mount unpinned[] = {{.kind = MOUNT_VOLUME, .source = "data", .target = "/b"}};
	struct spec_mount template[] = {{.source = "/srv/{{.X}}", .target = "/b"}};
	struct spec_mount of_bind[] = {{.kind = MOUNT_VOLUME, .target = "/b", .no_create = true}};
	struct spec_mount huge[] = {{.kind = MOUNT_TMPFS, .target = "/b", .mode = 010000}};
	struct spec_device device[] = {{.host = "dev"}};
	struct spec_ulimit none[] = {{"nofiles", 1, 1}}, upside[] = {{"core", 2, 1}},
	                   both[] = {{"core", 1, 1}, {"core", 1, 1}};
	struct kv host_set[] = {{"vm.swappiness", "1"}}, net[] = {{"net.core.somaxconn", "1"}},
	          odd[] = {{"net./../x", "1"}};
	const char *text[] = {"x"}, *kill[] = {"KILL"}, *unordered[] = {"KILL", "CHOWN"}, *blank[] = {"a b"};
	const char *volume[] = {"data"}, *option[] = {"seccomp="};
	struct service s;
	struct spec spec = stack_of(&s, 1);
	struct err err;

	(void)state;
#define BREAK(change, why) BREAK_LAW("web:1", change, why)
	BREAK(s.image = "--help", "image: \"--help\" is not a reference");
	BREAK(s.image = "a b", "not a reference");
	BREAK(s.image = "a/", "not a reference");
	BREAK((s.n_mounts = 1, s.mounts = relative), "volumes: target \"b\"");
	BREAK((s.n_mounts = 1, s.mounts = empty_part), "volumes: target \"/b//c\"");
	BREAK((s.n_mounts = 2, s.mounts = twice), "volumes: target /b stands twice");
	BREAK((s.n_mounts = 1, s.mounts = climbs), "without . and ..");
	BREAK((s.n_mounts = 1, s.mounts = unpinned), "data is not among the volumes");
	BREAK((s.n_mounts = 1, s.mounts = of_bind), "are of binds alone");
	BREAK((s.n_mounts = 1, s.mounts = huge), "mounts[0]: mode: 4096 is out of range");
	BREAK((s.n_volumes = 1, s.volumes = volume), "mount data under `volumes`");
	BREAK((s.n_devices = 1, s.devices = device), "devices[0]");
	BREAK((s.n_ulimits = 1, s.ulimits = none), "ulimits.nofiles");
	BREAK((s.n_ulimits = 1, s.ulimits = upside), "ulimits.core: soft is above hard");
	BREAK((s.n_ulimits = 2, s.ulimits = both), "ulimits.core: stands twice");
	BREAK((s.n_sysctls = 1, s.sysctls = host_set), "sysctls.vm.swappiness: is the host's");
	BREAK((s.n_sysctls = 1, s.sysctls = odd), "not a setting's name");
	BREAK((s.n_sysctls = 1, s.sysctls = net, s.network_mode = "host"), "would be set on the host");
	BREAK((s.n_cap_add = 1, s.cap_add = text), "cap_add: \"x\" is no capability");
	BREAK((s.n_cap_add = 2, s.cap_add = unordered), "cap_add: CHOWN is not in order");
	BREAK((s.n_cap_add = 1, s.cap_add = kill, s.n_cap_drop = 1, s.cap_drop = kill), "keep one");
	BREAK((s.n_security_opt = 1, s.security_opt = option), "security_opt[0]");
	BREAK((s.n_dns = 1, s.dns = text), "dns[0]: \"x\" is not an address");
	BREAK((s.n_dns_search = 1, s.dns_search = blank), "dns_search[0]");
	BREAK((s.n_extra_hosts = 1, s.extra_hosts = text), "extra_hosts[0]");
	BREAK((s.n_group_add = 1, s.group_add = blank), "group_add[0]");
	BREAK(s.hostname = "a..b", "hostname");
	BREAK(s.hostname = "a-{{.Slot}}", "hostname: {{.Slot}} is no template");
	BREAK(s.hostname = "-{{.Task.Slot}}", "is not a host's name");
	BREAK((s.n_mounts = 1, s.mounts = template), "volumes: /b: {{.X}} is no template");
	BREAK((s.hostname = "a", s.uts = "host"), "uts: host");
	BREAK(s.network_mode = "container:x", "network_mode");
	BREAK(s.pid = "x", "pid: \"x\" is not host");
	BREAK(s.oom_score_adj = 1001, "oom_score_adj");
	BREAK(s.process.nice = 1, "x-starling.process: is of processes");
	BREAK((s.image = NULL, s.process.rootfs = "/"), "x-starling.process.rootfs: \"/\"");
	BREAK((s.image = NULL, s.process.io_priority = 0), "x-starling.process.io_priority");
	BREAK((s.image = NULL, s.process.n_hidden = 1, s.process.hidden = text), "x-starling.process.hidden[0]");
#undef BREAK
}

static void files_that_travel_with_a_service_stay_within_their_folder(void **state)
{
	static const char *const bad[] = {
	        "../x", "/etc/passwd", "a/../../x", ".", "..", "a//b", "a/", "", "1/2/3/4/5/6/7/8/9/10/11"};
	struct spec_file tree[] = {{.path = "a/b"}, {.path = "c", .executable = true}};
	struct spec_file clash[] = {{.path = "a"}, {.path = "a/b"}},
	                 alone[] = {{.n_data = 1, .data = (const uint8_t *)"x"}},
	                 two[] = {{.path = "a"}, {.path = "b"}};
	struct spec_files files = {NULL, 2, tree};
	struct spec_mount mount = {.kind = MOUNT_SHIPPED, .target = "/x", .read_only = true};
	struct service s, changed;
	struct spec spec = stack_of(&s, 1), back;
	struct arena arena;
	char hash[17];
	struct err err;
	struct wr w;

	(void)state;
	plain_service(&s, "web");
	s.n_files = s.n_mounts = 1; /* a process */
	s.files = &files;
	s.mounts = &mount;
	files.hash = mount.source = hash;
#define LAWFUL() (spec_files_hash(hash, &files), spec_check(&spec, &err) == 0)
	if (!LAWFUL())
		fail_msg("%s", err.text);
	encode(&w, &spec);
	arena_init(&arena);
	assert_int_equal(spec_decode(&back, &arena, w.p, w.len, NULL), 0);
	assert_string_equal(back.services[0].files[0].files[1].path, "c");
	assert_true(back.services[0].files[0].files[1].executable);
	assert_int_equal(service_powers(&s), 0);
	arena_free(&arena);
	wr_free(&w);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		files.n_files = 1;
		tree[0].path = bad[i];
		if (LAWFUL())
			fail_msg("%s is lawful", bad[i]);
	}
	files.files = clash;
	files.n_files = 2;
	assert_false(LAWFUL());
	assert_non_null(strstr(err.text, "a is a file and a folder"));
	files.files = alone;
	files.n_files = 1;
	assert_true(LAWFUL());
	/* What is in it makes a task differ. */
	changed = s;
	id64 before = service_content(&changed);
	alone[0].data = (const uint8_t *)"y";
	assert_int_equal(spec_check(&spec, &err), -1);
	assert_non_null(strstr(err.text, "its content has the hash"));
	assert_true(LAWFUL());
	assert_true(service_content(&s) != before);
	mount.mode = 01777;
	assert_false(LAWFUL());
	mount.mode = 0777;
	mount.read_only = false;
	assert_false(LAWFUL());
	mount.read_only = true;
	mount.source = "0000000000000000";
	assert_false(LAWFUL());
	assert_non_null(strstr(err.text, "its files are not there"));
	s.n_mounts = 0;
	assert_false(LAWFUL());
	assert_non_null(strstr(err.text, "nothing mounts it"));
	s.n_mounts = 1;
	mount.source = hash;
	files.files = two;
	files.n_files = 2;
	assert_true(LAWFUL());
	two[1].path = "a";
	assert_false(LAWFUL());
	two[0].path = NULL;
	assert_false(LAWFUL());
#undef LAWFUL
}

static void a_circle_of_dependencies_is_named(void **state)
{
	struct spec_depends_on on_b[] = {{.service = "b"}}, on_c[] = {{.service = "c"}},
	                       on_a[] = {{.service = "a"}}, on_none[] = {{.service = "x"}},
	                       optional[] = {{.service = "x", .optional = true}},
	                       done[] = {{.service = "b", .condition = DEPENDS_COMPLETED}},
	                       twice[] = {{.service = "b"}, {.service = "b"}};
	struct service s[4];
	struct spec spec = stack_of(s, 4);
	struct err err = {0};

	(void)state;
	for (int i = 0; i < 4; i++)
		plain_service(&s[i], (const char *const[]){"a", "b", "c", "d"}[i]);
	for (int i = 0; i < 4; i++)
		s[i].n_depends_on = 1;
	s[0].depends_on = on_b;
	s[1].depends_on = on_c;
	s[2].n_depends_on = 0;
	s[3].depends_on = on_b; /* two ways to one service are no circle */
	assert_int_equal(spec_check(&spec, NULL), 0);
	s[2].n_depends_on = 1;
	s[2].depends_on = on_a;
	assert_int_equal(spec_check(&spec, &err), -1);
	assert_non_null(strstr(err.text,
	        "services.a: depends_on: goes in a circle, so that none could start: a -> b -> c -> a"));
	s[2].depends_on = on_c; /* itself */
	assert_int_equal(spec_check(&spec, &err), -1);
	assert_non_null(strstr(err.text, "c -> c"));
	s[2].depends_on = on_none;
	assert_int_equal(spec_check(&spec, &err), -1);
	assert_non_null(strstr(err.text, "services.c: depends_on.x: the stack has no such service"));
	s[2].depends_on = optional;
	assert_int_equal(spec_check(&spec, NULL), 0);
	s[2].n_depends_on = 0;
	s[0].depends_on = done;
	assert_int_equal(spec_check(&spec, &err), -1);
	assert_non_null(strstr(err.text, "services.a: depends_on.b: b never completes"));
	s[1].restart.condition = RESTART_ON_FAILURE;
	assert_int_equal(spec_check(&spec, NULL), 0);
	s[0].depends_on = twice;
	s[0].n_depends_on = 2;
	assert_int_equal(spec_check(&spec, &err), -1);
	assert_non_null(strstr(err.text, "stands twice"));
}

/* As many services as there may be, each of which needs the next: as deep as the walk goes. */
static void the_longest_chain_of_dependencies_is_walked(void **state)
{
	static struct service s[STACK_SERVICES_MAX];
	static struct spec_depends_on on[STACK_SERVICES_MAX];
	static char names[STACK_SERVICES_MAX][16];
	struct spec spec = stack_of(s, STACK_SERVICES_MAX);
	struct err err = {0};

	(void)state;
	for (int i = 0; i < STACK_SERVICES_MAX; i++)
		snprintf(names[i], sizeof(names[i]), "s%03u", (unsigned)i % 1000);
	for (int i = 0; i < STACK_SERVICES_MAX; i++) {
		plain_service(&s[i], names[i]);
		on[i].service = names[(i + 1) % STACK_SERVICES_MAX];
		s[i].depends_on = &on[i];
		s[i].n_depends_on = i + 1 < STACK_SERVICES_MAX;
	}
	assert_int_equal(spec_check(&spec, NULL), 0);
	s[STACK_SERVICES_MAX - 1].n_depends_on = 1;
	assert_int_equal(spec_check(&spec, &err), -1);
	assert_non_null(strstr(err.text, "s000 -> s001"));
}

static void tcp_and_udp_may_share_a_name_and_a_port(void **state)
{
	struct spec_port ports[] = {{.name = "53", .target = 53, .published = 53, .mode = PORT_HOST},
	        {.name = "53", .target = 53, .published = 53, .mode = PORT_HOST, .proto = PROTO_UDP}};
	struct service s;
	struct spec spec = stack_of(&s, 1);

	(void)state;
	plain_service(&s, "dns");
	s.n_ports = 2;
	s.ports = ports;
	assert_int_equal(spec_check(&spec, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(law_breakers_are_named),
	        cmocka_unit_test(law_breakers_among_containers_are_named),
	        cmocka_unit_test(files_that_travel_with_a_service_stay_within_their_folder),
	        cmocka_unit_test(a_circle_of_dependencies_is_named),
	        cmocka_unit_test(the_longest_chain_of_dependencies_is_walked),
	        cmocka_unit_test(tcp_and_udp_may_share_a_name_and_a_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
