/* Settings: what is said is taken or refused by the flag's name; what is not said has a default that works. */
#include "tests/unit/unit.h"

#include "node/config.h"

static struct config cfg;
static struct err err;

static int read_it(const struct config_flags *flags)
{
	struct config_flags f = *flags;

	if (!f.data_dir)
		f.data_dir = "/tmp/x";
	err = (struct err){0};
	return config_read(&cfg, &f, &err);
}

static void expect_addr(const struct addr *a, const char *want)
{
	char text[ADDR_TEXT_MAX];

	addr_text(text, a);
	assert_string_equal(text, want);
}

static void expect_refused(const struct config_flags *flags, const char *part)
{
	assert_int_equal(read_it(flags), -1);
	assert_int_equal(err.code, ERR_USAGE);
	if (!strstr(err.text, part))
		fail_msg("\"%s\" does not say \"%s\"", err.text, part);
	assert_int_equal(cfg.n_labels, 0);
}

static void nothing_said_gives_what_the_design_says(void **state UNUSED)
{
	assert_int_equal(read_it(&(struct config_flags){0}), 0);
	expect_addr(&cfg.bind, "0.0.0.0:7827");
	expect_addr(&cfg.http, "127.0.0.1:7828");
	assert_true(cfg.dns_default);
	assert_int_equal(cfg.n_dns, 1);
	expect_addr(&cfg.dns[0], "127.78.27.53:53");
	expect_addr(&cfg.dns_fallback, "127.0.0.1:7853");
	assert_false(addr_is_any(&cfg.advertise));
	assert_int_equal(cfg.advertise.port, 7827);
	assert_int_equal(cfg.profile, PROFILE_LAN);
	assert_int_equal(cfg.log_level, LOG_INFO);
	assert_true(cfg.name[0] != '\0');
	config_free(&cfg);
}

static void a_specific_address_is_advertised(void **state UNUSED)
{
	assert_int_equal(read_it(&(struct config_flags){.bind = "127.78.0.1:9000"}), 0);
	expect_addr(&cfg.advertise, "127.78.0.1:9000");
	assert_int_equal(read_it(&(struct config_flags){.bind = "127.78.0.1"}), 0);
	expect_addr(&cfg.bind, "127.78.0.1:7827");
	assert_int_equal(read_it(&(struct config_flags){.bind = "0.0.0.0:9000", .advertise = "192.0.2.7"}), 0);
	expect_addr(&cfg.advertise, "192.0.2.7:9000");
	assert_int_equal(read_it(&(struct config_flags){.advertise = "192.0.2.7:80"}), 0);
	expect_addr(&cfg.advertise, "192.0.2.7:80"); /* forwarded by a router, say */
	assert_int_equal(read_it(&(struct config_flags){.bind = "127.0.0.1:0"}), 0);
	assert_int_equal(cfg.advertise.port, 0); /* known once it is bound */
	assert_int_equal(read_it(&(struct config_flags){.bind = "[::]:7827", .advertise = "192.0.2.7"}), 0);
	expect_addr(&cfg.advertise, "192.0.2.7:7827");
}

static void addresses_that_cannot_work_are_refused(void **state UNUSED)
{
	expect_refused(&(struct config_flags){.bind = "example.org"}, "--bind: address example.org");
	expect_refused(&(struct config_flags){.bind = "1.2.3.4:99999"}, "--bind");
	expect_refused(&(struct config_flags){.bind = "1.2.3.4:x"}, "--bind");
	expect_refused(&(struct config_flags){.bind = ""}, "--bind");
	expect_refused(&(struct config_flags){.advertise = "0.0.0.0"}, "--advertise 0.0.0.0");
	expect_refused(&(struct config_flags){.bind = "127.0.0.1", .advertise = "2001:db8::1"}, "--bind too");
	expect_refused(&(struct config_flags){.http = "0.0.0.0:80"}, "--http 0.0.0.0:80");
	expect_refused(&(struct config_flags){.http = "nowhere"}, "--http");
}

static void dns_may_repeat_or_be_off(void **state UNUSED)
{
	const char *two[] = {"127.0.0.1:53", "192.0.2.1"};
	const char *none[] = {"none"};
	const char *both[] = {"none", "127.0.0.1"};
	const char *many[DNS_LISTEN_MAX + 1];

	assert_int_equal(read_it(&(struct config_flags){.dns = two, .n_dns = 2}), 0);
	assert_int_equal(cfg.n_dns, 2);
	assert_false(cfg.dns_default);
	expect_addr(&cfg.dns[1], "192.0.2.1:53");
	assert_int_equal(read_it(&(struct config_flags){.dns = none, .n_dns = 1, .http = "none"}), 0);
	assert_int_equal(cfg.n_dns, 0);
	assert_false(cfg.dns_default);
	assert_int_equal(cfg.http.family, 0);
	expect_refused(&(struct config_flags){.dns = both, .n_dns = 2}, "--dns");
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = "127.0.0.1:53";
	expect_refused(&(struct config_flags){.dns = many, .n_dns = ARRAY_LEN(many)}, "at most 8");
}

static void names_are_labels(void **state UNUSED)
{
	static const char *const bad[] = {"Web", "a.b", "-a", "a-", "", "a_b", "node", "tasks", "nearest", "17"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		expect_refused(&(struct config_flags){.name = bad[i]}, "--name");
	assert_int_equal(read_it(&(struct config_flags){.name = "rack-7"}), 0);
	assert_string_equal(cfg.name, "rack-7");
}

static void a_hosts_name_becomes_a_label(void **state UNUSED)
{
	static const struct {
		const char *host, *name;
	} table[] = {
	        {"web1", "web1"},
	        {"Web1.Example.org", "web1"},
	        {"my_host", "my-host"},
	        {"--a--", "a"},
	        {"", "peer"},
	        {"...", "peer"},
	        {"\xc3\xa9t\xc3\xa9", "t"},
	        {"42", "peer-42"},
	        {"node.example", "peer-node"},
	        {"localhost", "localhost"},
	        {"0123456789012345678901234567890123456789012345678901234567890123456789",
	                "peer-0123456789012345678901234567890123456789012345678901234567"},
	};
	char name[NAME_MAX_BYTES];

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		config_name_of_host(name, table[i].host);
		assert_string_equal(name, table[i].name);
		assert_int_equal(
		        read_it(&(struct config_flags){.name = name}), 0); /* what we make up, we accept */
	}
}

static void labels_are_sorted_and_said_once(void **state UNUSED)
{
	const char *some[] = {"zone=a", "disk=ssd", "disks=", "a=b=c"};
	const char *twice[] = {"zone=a", "b=c", "zone=b"};
	const char *bad[] = {"zone", "=x", "", "k=\xff"};
	char text[FACTS_LABELS_MAX + 1][16], long_key[200];
	const char *many[FACTS_LABELS_MAX + 1];

	assert_int_equal(read_it(&(struct config_flags){.labels = some, .n_labels = 4}), 0);
	assert_int_equal(cfg.n_labels, 4);
	assert_string_equal(cfg.labels[0].key, "a");
	assert_string_equal(cfg.labels[0].value, "b=c");
	assert_string_equal(cfg.labels[1].key, "disk");
	assert_string_equal(cfg.labels[2].key, "disks");
	assert_string_equal(cfg.labels[2].value, "");
	assert_string_equal(cfg.labels[3].key, "zone");
	config_free(&cfg);
	expect_refused(&(struct config_flags){.labels = twice, .n_labels = 3}, "zone=b: its key was given twice");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		expect_refused(&(struct config_flags){.labels = &bad[i], .n_labels = 1}, "--label");
	memset(long_key, 'k', sizeof(long_key));
	strcpy(long_key + 100, "=v");
	bad[0] = long_key;
	expect_refused(&(struct config_flags){.labels = bad, .n_labels = 1}, "at most 63");
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		snprintf(text[i], sizeof(text[i]), "k%zu=v", i);
		many[i] = text[i];
	}
	expect_refused(&(struct config_flags){.labels = many, .n_labels = ARRAY_LEN(many)}, "more than 32");
	assert_int_equal(read_it(&(struct config_flags){.labels = many, .n_labels = FACTS_LABELS_MAX}), 0);
	config_free(&cfg);
}

static void an_address_of_this_host_is_told_from_another(void **state UNUSED)
{
	struct addr own = {.family = 4, .ip = {127, 0, 0, 1}, .port = 7827};
	struct addr other = {.family = 4, .ip = {192, 0, 2, 1}, .port = 7827}; /* for documentation: RFC 5737 */
	struct addr found;

	assert_true(config_host_has(&own));
	assert_false(config_host_has(&other));
	if (config_own_addr(&found, &(struct addr){.family = 4}))
		assert_true(config_host_has(&found));
	/* Only what the agent found itself is looked up again. */
	assert_int_equal(read_it(&(struct config_flags){.bind = "127.0.0.1"}), 0);
	assert_false(cfg.advertise_found);
	assert_int_equal(read_it(&(struct config_flags){.advertise = "192.0.2.1"}), 0);
	assert_false(cfg.advertise_found);
	assert_int_equal(read_it(&(struct config_flags){0}), 0);
	assert_true(cfg.advertise_found);
	config_free(&cfg);
}

static void words_are_among_those_named(void **state UNUSED)
{
	assert_int_equal(read_it(&(struct config_flags){.profile = "wan", .log_level = "debug"}), 0);
	assert_int_equal(cfg.profile, PROFILE_WAN);
	assert_int_equal(cfg.log_level, LOG_DEBUG);
	expect_refused(&(struct config_flags){.profile = "moon"}, "--profile moon: one of lan, wan, local");
	expect_refused(&(struct config_flags){.log_level = ""}, "one of debug, info, warn, error");
	expect_refused(&(struct config_flags){.data_dir = ""}, "--data");
}

static void resources_are_sorted_and_said_once(void **state UNUSED)
{
	static const char *const some[] = {"ssd=4", "gpu=2"};
	static const char *const twice[] = {"gpu=2", "gpu=1"};
	static const char *const bad[] = {"gpu", "=2", "gpu=", "gpu=-1", "gpu=2.5", "GPU=1", "a b=1"};

	assert_int_equal(read_it(&(struct config_flags){.resources = some, .n_resources = 2}), 0);
	assert_int_equal(cfg.n_generic, 2);
	assert_string_equal(cfg.generic[0].kind, "gpu");
	assert_int_equal(cfg.generic[0].value, 2);
	assert_string_equal(cfg.generic[1].kind, "ssd");
	config_free(&cfg);
	expect_refused(
	        &(struct config_flags){.resources = twice, .n_resources = 2}, "gpu=1: its kind was given twice");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		expect_refused(&(struct config_flags){.resources = &bad[i], .n_resources = 1}, "--resource");
}

static void a_reserve_is_cores_and_bytes(void **state UNUSED)
{
	assert_int_equal(read_it(&(struct config_flags){0}), 0);
	assert_true(cfg.reserve_cpu_milli == RESERVE_UNSET && cfg.reserve_memory == RESERVE_UNSET);
	config_free(&cfg);
	assert_int_equal(read_it(&(struct config_flags){.reserve_cpu = "0.25", .reserve_memory = "512m"}), 0);
	assert_int_equal(cfg.reserve_cpu_milli, 250);
	assert_int_equal(cfg.reserve_memory, 512ULL << 20);
	config_free(&cfg);
	assert_int_equal(read_it(&(struct config_flags){.reserve_cpu = "0", .reserve_memory = "0"}), 0);
	assert_true(!cfg.reserve_cpu_milli && !cfg.reserve_memory);
	config_free(&cfg);
	expect_refused(&(struct config_flags){.reserve_cpu = "many"}, "--reserve-cpu many");
	expect_refused(&(struct config_flags){.reserve_memory = "5%"}, "--reserve-memory 5%");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nothing_said_gives_what_the_design_says),
	        cmocka_unit_test(a_specific_address_is_advertised),
	        cmocka_unit_test(addresses_that_cannot_work_are_refused),
	        cmocka_unit_test(dns_may_repeat_or_be_off),
	        cmocka_unit_test(names_are_labels),
	        cmocka_unit_test(a_hosts_name_becomes_a_label),
	        cmocka_unit_test(labels_are_sorted_and_said_once),
	        cmocka_unit_test(resources_are_sorted_and_said_once),
	        cmocka_unit_test(a_reserve_is_cores_and_bytes),
	        cmocka_unit_test(an_address_of_this_host_is_told_from_another),
	        cmocka_unit_test(words_are_among_those_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
