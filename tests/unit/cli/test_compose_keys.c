/* Promise 11 by tables: every key that Compose has is honoured, or refused with its line; docs/compose.md says which. */
#include "tests/unit/unit.h"

#include "cli/compose/build.h"
#include "tests/unit/cli/compose_fixture.h"

/* The properties that the Compose Specification's schema gives a service, the top level, deploy and healthcheck. */
static const char *const service_keys[] = {"annotations", "attach", "blkio_config", "build", "cap_add",
        "cap_drop", "cgroup", "cgroup_parent", "command", "configs", "container_name", "cpu_count", "cpu_percent",
        "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpu_shares", "cpus", "cpuset",
        "credential_spec", "depends_on", "deploy", "develop", "device_cgroup_rules", "devices", "dns", "dns_opt",
        "dns_search", "domainname", "entrypoint", "env_file", "environment", "expose", "extends",
        "external_links", "extra_hosts", "gpus", "group_add", "healthcheck", "hostname", "image", "init", "ipc",
        "isolation", "label_file", "labels", "links", "logging", "mac_address", "mem_limit", "mem_reservation",
        "mem_swappiness", "memswap_limit", "models", "network_mode", "networks", "oom_kill_disable",
        "oom_score_adj", "pid", "pids_limit", "platform", "ports", "post_start", "pre_stop", "privileged",
        "profiles", "provider", "pull_policy", "pull_refresh_after", "read_only", "restart", "runtime", "scale",
        "secrets", "security_opt", "shm_size", "stdin_open", "stop_grace_period", "stop_signal", "storage_opt",
        "sysctls", "tmpfs", "tty", "ulimits", "use_api_socket", "user", "userns_mode", "uts", "volumes",
        "volumes_from", "working_dir"};
static const char *const top_keys[] = {
        "version", "name", "include", "services", "models", "networks", "volumes", "secrets", "configs"};
static const char *const deploy_keys[] = {"mode", "endpoint_mode", "replicas", "labels", "rollback_config",
        "update_config", "resources", "restart_policy", "placement"};
static const char *const healthcheck_keys[] = {
        "disable", "interval", "retries", "test", "timeout", "start_period", "start_interval"};
static const char *const port_keys[] = {
        "name", "mode", "host_ip", "target", "published", "protocol", "app_protocol"};

static bool has_row(const struct key_level *level, const char *key)
{
	for (size_t i = 0; i < level->n; i++)
		if (strcmp(level->rules[i].key, key) == 0)
			return true;
	return false;
}

static void check_rows(const struct key_level *level, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!has_row(level, keys[i]))
			fail_msg("%s: no row for %s", level->path, keys[i]);
}

static void every_key_of_the_schema_has_a_row(void **state)
{
	(void)state;
	check_rows(&level_service, service_keys, ARRAY_LEN(service_keys));
	check_rows(&level_top, top_keys, ARRAY_LEN(top_keys));
	check_rows(&level_deploy, deploy_keys, ARRAY_LEN(deploy_keys));
	check_rows(&level_healthcheck, healthcheck_keys, ARRAY_LEN(healthcheck_keys));
	check_rows(&level_port, port_keys, ARRAY_LEN(port_keys));
	/* x-starling is the one key that Compose does not know. */
	assert_int_equal(level_service.n, ARRAY_LEN(service_keys) + 1);
	assert_int_equal(level_top.n, ARRAY_LEN(top_keys) + 1);
}

static void rows_are_in_order_and_say_something(void **state)
{
	(void)state;
	for (size_t k = 0; k < n_key_levels; k++) {
		const struct key_level *level = key_levels[k];

		for (size_t i = 0; i < level->n; i++) {
			assert_true(strlen(level->rules[i].text) > 3);
			assert_true(i == 0 || strcmp(level->rules[i - 1].key, level->rules[i].key) < 0);
		}
	}
}

static void every_refused_key_of_a_service_is_named_with_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < level_service.n; i++) {
		const struct key_rule *rule = &level_service.rules[i];
		struct arena arena;
		struct spec spec;
		char text[256];
		char *want;
		char *said;

		if (rule->take)
			continue;
		arena_init(&arena);
		snprintf(text, sizeof(text), "services:\n  web:\n    command: x\n    %s: something\n", rule->key);
		assert_true(asprintf(&want,
		                    "f.yaml:4:5: services.web.%s: %s\n    4 |     %s: something\n      |     ^\n",
		                    rule->key, rule->text, rule->key) > 0);
		assert_int_equal(fixture_parse(text, &arena, &spec, &said), -1);
		assert_string_equal(said, want);
		free(want);
		free(said);
		arena_free(&arena);
	}
}

static void a_misspelt_key_is_never_ignored(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(service_keys); i++) {
		struct arena arena;
		struct spec spec;
		char text[256];
		char *said;

		arena_init(&arena);
		snprintf(text, sizeof(text), "services:\n  web:\n    command: x\n    %sq: 1\n", service_keys[i]);
		assert_int_equal(fixture_parse(text, &arena, &spec, &said), -1);
		assert_non_null(strstr(said, "f.yaml:4:5: services.web."));
		assert_non_null(strstr(said, "unknown key"));
		free(said);
		arena_free(&arena);
	}
}

#define DOC "docs/compose.md"

/* "exec, oci": who honours it, where that is not everybody. */
static void write_drivers(FILE *out, const struct key_level *level, const struct key_rule *rule)
{
	unsigned drivers = key_drivers(level, rule->key);
	const char *sep = "";

	for (enum spec_driver d = DRIVER_EXEC; rule->take && drivers != ON_ALL && d <= DRIVER_ENGINE; d++)
		if (drivers >> d & 1) {
			fprintf(out, "%s%s", sep, spec_driver_name(d));
			sep = ", ";
		}
	fputs(" | ", out);
}

static void write_level(FILE *out, const struct key_level *level)
{
	bool by_driver = level_by_driver(level);

	fprintf(out, "\n## %s%s%s\n\n", *level->path ? "`" : "The top of the file", level->path,
	        *level->path ? "`" : "");
	fputs(by_driver ? "| key | | drivers | |\n|---|---|---|---|\n" : "| key | | |\n|---|---|---|\n", out);
	for (size_t i = 0; i < level->n; i++) {
		const struct key_rule *rule = &level->rules[i];

		fprintf(out, "| `%s` | %s | ", rule->key, rule->take ? "honoured" : "refused");
		if (by_driver)
			write_drivers(out, level, rule);
		for (const char *c = rule->text; *c; c++)
			fprintf(out, "%s%c", *c == '|' ? "\\" : "", *c);
		fputs(" |\n", out);
	}
	if (level->extensions)
		fputs("\nKeys that begin with `x-` are allowed here and have no meaning.\n", out);
}

static void write_doc(FILE *out)
{
	fputs("# Compose files\n"
	      "\n"
	      "A stack is one file of the Compose Specification with swarm's `deploy` section; what Compose lacks stands\n"
	      "under `x-starling` in a service. A key is either honoured or refused with its line; none is silently\n"
	      "ignored. `starling validate FILE` names everything that is wrong in one go and needs no peer;\n"
	      "`starling validate --print FILE` shows what would be signed.\n"
	      "\n"
	      "Variables (`$VAR ${VAR} ${VAR:-default} ${VAR-default} ${VAR:?why} ${VAR?why} ${VAR:+set} ${VAR+set} $$`)\n"
	      "are filled in from the environment, then from `.env` beside the file. YAML anchors, aliases and merge keys\n"
	      "(`<<`) work; a key that stands twice is an error. Durations are written `500ms`, `10s`, `1m30s`, "
	      "sizes `64m`,\n"
	      "`2gb`.\n"
	      "\n"
	      "## Processes and containers\n"
	      "\n"
	      "A service with `image` is a container: one of the drivers `engine` (Docker, Podman) and `oci` "
	      "(crun, runc) runs\n"
	      "it, whichever a peer has, or the one that `x-starling.driver` names. One without is a process of "
	      "the host, run by\n"
	      "the driver `exec`. Where a table has a column of drivers, a key that names some is refused for "
	      "the others; what\n"
	      "a host cannot keep (a limit without control groups, say) its driver refuses there, with the reason.\n"
	      "\n"
	      "`configs`, and files or folders beside the Compose file that a read-only bind names (`./nginx.conf:/etc/x:ro`),\n"
	      "travel with the stack, so that any peer can run it; both count to the 256 KiB that a stack may have\n"
	      "([tasks](tasks.md#environment)). They are no place for secrets.\n"
	      "\n"
	      "Until service networks exist, a container is reached from another peer by the ports under `ports` alone.\n"
	      "`validate`, `plan` and `deploy` warn of a container without one that another service of the stack "
	      "seems to need:\n"
	      "by `depends_on`, or because its name stands as a host in `environment`, `entrypoint` or `command`.\n"
	      "\n"
	      "## Templates\n"
	      "\n"
	      "Swarm's templates are filled in for each task, in the values of `environment`, in `hostname` and "
	      "in the source of a\n"
	      "bind: `{{.Task.Slot}}` (counts from 1, as in swarm, where STARLING_SLOT counts from 0; 0 in a "
	      "global service),\n"
	      "`{{.Task.ID}}`, `{{.Service.Name}}` (STACK_SERVICE, as swarm calls it), `{{.Service.ID}}`, "
	      "`{{.Task.Name}}`\n"
	      "(STACK_SERVICE.SLOT.TASKID, of a global service STACK_SERVICE.NODEID.TASKID), "
	      "`{{.Node.Hostname}}` (the peer's\n"
	      "name), `{{.Node.ID}}`. Any other `{{` there is refused; `{{\"{{\"}}` stands for the braces "
	      "themselves. Elsewhere\n"
	      "braces mean nothing, as in swarm.\n"
	      "\n"
	      "## Powers\n"
	      "\n"
	      "What could harm a host needs a power of the key that signs (`starling key grant --power`).\n"
	      "\n"
	      "| | process | container |\n"
	      "|---|---|---|\n"
	      "| root in `user` or `group_add` | `exec-as-root` | none: root of the container, kept in by namespaces and "
	      "by the capabilities that Docker gives |\n"
	      "| `cap_add` | `host-network` for NET_BIND_SERVICE, else `exec-as-root` | `privileged` for what is beyond "
	      "AUDIT_WRITE, CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, MKNOD, NET_BIND_SERVICE, NET_RAW, SETFCAP, SETGID, "
	      "SETPCAP, SETUID and SYS_CHROOT |\n"
	      "| `privileged`; `security_opt` but for no-new-privileges, of which `false` needs `exec-as-root` "
	      "in a process; `annotations`, which the runtime and "
	      "its hooks obey | "
	      "- | `privileged` |\n"
	      "| `pid: host`, `ipc: host` | none: it has them | `privileged` |\n"
	      "| `network_mode: host`, `uts: host` | none: it has them | `host-network`; also without `network_mode`, unless "
	      "`x-starling.driver` is engine: driver oci then uses the host's network |\n"
	      "| a path of the host in `volumes` | `host-binds` | `host-binds` |\n"
	      "| `devices` | `devices` | `devices` |\n"
	      "| `x-starling.priority`; `oom_score_adj` below 0; `ulimits` of rtprio above 0 and nice above 20 | "
	      "`priority` | "
	      "`priority` |\n"
	      "\n"
	      "## Tables\n"
	      "\n"
	      "The tables below are made from those that the parser itself uses (`cli/compose/`), and a test "
	      "holds the two\n"
	      "together: after changing a table run `UPDATE_GOLDEN=1 make unit-cli`.\n",
	        out);
	for (size_t i = 0; i < n_key_levels; i++)
		write_level(out, key_levels[i]);
}

static void the_docs_page_says_what_the_tables_say(void **state)
{
	char *want = NULL;
	char *have = NULL;
	size_t len = 0;
	FILE *f;

	(void)state;
	f = open_memstream(&want, &len);
	write_doc(f);
	fclose(f);
	if (getenv("UPDATE_GOLDEN")) {
		f = fopen(DOC, "we");
		assert_non_null(f);
		fputs(want, f);
		fclose(f);
	}
	f = fopen(DOC, "re");
	assert_non_null(f);
	len = 0;
	assert_true(getdelim(&have, &len, '\0', f) > 0);
	fclose(f);
	assert_string_equal(have, want);
	free(have);
	free(want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_key_of_the_schema_has_a_row),
	        cmocka_unit_test(rows_are_in_order_and_say_something),
	        cmocka_unit_test(every_refused_key_of_a_service_is_named_with_its_line),
	        cmocka_unit_test(a_misspelt_key_is_never_ignored),
	        cmocka_unit_test(the_docs_page_says_what_the_tables_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
