#include "tests/unit/dns/dns_test.h"

#include "dns/name.h"

static struct zone *z;
static struct a a;

static int setup(void **state)
{
	(void)state;
	z = small_zone();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	a_free(&a);
	zone_unref(z);
	return 0;
}

static void a_service_answers_with_the_addresses_that_serve_it(void **state)
{
	(void)state;
	ask(&a, z, "web.hello.starling.internal", DNS_TYPE_A);
	/* b serves two slots from one address: a set has no doubles. */
	assert_string_equal(answers(&a), "web.hello.starling.internal. A 10.0.0.1; "
	                                 "web.hello.starling.internal. A 10.0.0.2");
	assert_int_equal(a.c.answers, 1);
	ask(&a, z, "six.hello.starling.internal", DNS_TYPE_AAAA);
	assert_string_equal(answers(&a), "six.hello.starling.internal. AAAA 2001:db8::3");
	ask(&a, z, "six.hello.starling.internal", DNS_TYPE_A);
	assert_string_equal(answers(&a), "six.hello.starling.internal. A 10.0.0.3");
}

static void a_service_that_nothing_serves_is_empty_and_not_absent(void **state)
{
	static const char *const names[] = {"api.hello.starling.internal", "tasks.api.hello.starling.internal",
	        "nearest.api.hello.starling.internal", "0.api.hello.starling.internal",
	        "1.api.hello.starling.internal", "3.web.hello.starling.internal"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		ask(&a, z, names[i], DNS_TYPE_A);
		expect_nodata(&a);
	}
	ask(&a, z, "_9000._tcp.api.hello.starling.internal", DNS_TYPE_SRV);
	expect_nodata(&a);
	ask(&a, z, "_9000._tcp.1.api.hello.starling.internal", DNS_TYPE_SRV);
	expect_nodata(&a);
	ask(&a, z, "_tcp.1.api.hello.starling.internal", DNS_TYPE_SRV);
	expect_nodata(&a);
}

static void slots_beyond_the_replicas_do_not_exist(void **state)
{
	static const char *const names[] = {"4.web.hello.starling.internal", "2.api.hello.starling.internal",
	        "00.api.hello.starling.internal", "01.api.hello.starling.internal",
	        "-1.api.hello.starling.internal", "4294967296.api.hello.starling.internal",
	        "x.1.api.hello.starling.internal", "_9000._udp.1.api.hello.starling.internal",
	        "tasks.1.api.hello.starling.internal", "0.log.hello.starling.internal"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		ask(&a, z, names[i], DNS_TYPE_A);
		expect_nxdomain(&a);
	}
}

static void a_slot_answers_with_its_own_address(void **state)
{
	(void)state;
	ask(&a, z, "1.web.hello.starling.internal", DNS_TYPE_A);
	assert_string_equal(answers(&a), "1.web.hello.starling.internal. A 10.0.0.2");
}

static void srv_names_each_task_with_its_port_and_address(void **state)
{
	(void)state;
	ask(&a, z, "_http._tcp.web.hello.starling.internal", DNS_TYPE_SRV);
	assert_string_equal(answers(&a),
	        "_http._tcp.web.hello.starling.internal. SRV 0 1 20000 0.web.hello.starling.internal.; "
	        "_http._tcp.web.hello.starling.internal. SRV 0 1 20001 1.web.hello.starling.internal.; "
	        "_http._tcp.web.hello.starling.internal. SRV 0 1 20002 2.web.hello.starling.internal.");
	assert_string_equal(additional(&a), "0.web.hello.starling.internal. A 10.0.0.1; "
	                                    "1.web.hello.starling.internal. A 10.0.0.2; "
	                                    "2.web.hello.starling.internal. A 10.0.0.2");
}

static void srv_works_by_port_name_by_number_and_for_one_slot(void **state)
{
	(void)state;
	ask(&a, z, "_8080._tcp.web.hello.starling.internal", DNS_TYPE_SRV);
	assert_int_equal(ldns_pkt_ancount(a.pkt), 3);
	ask(&a, z, "_8080._tcp.tasks.web.hello.starling.internal", DNS_TYPE_SRV);
	assert_int_equal(ldns_pkt_ancount(a.pkt), 3);
	ask(&a, z, "_http._tcp.2.web.hello.starling.internal", DNS_TYPE_SRV);
	assert_string_equal(answers(&a),
	        "_http._tcp.2.web.hello.starling.internal. SRV 0 1 20002 2.web.hello.starling.internal.");
	ask(&a, z, "_http._udp.web.hello.starling.internal", DNS_TYPE_SRV);
	expect_nxdomain(&a);
	ask(&a, z, "_http._udp.2.web.hello.starling.internal", DNS_TYPE_SRV);
	expect_nxdomain(&a);
}

static void srv_of_a_global_service_names_its_peers(void **state)
{
	(void)state;
	ask(&a, z, "_syslog._udp.log.hello.starling.internal", DNS_TYPE_SRV);
	assert_string_equal(answers(&a),
	        "_syslog._udp.log.hello.starling.internal. SRV 0 1 514 a.log.hello.starling.internal.; "
	        "_syslog._udp.log.hello.starling.internal. SRV 0 1 514 c.log.hello.starling.internal.");
	ask(&a, z, "c.log.hello.starling.internal", DNS_TYPE_A);
	assert_string_equal(answers(&a), "c.log.hello.starling.internal. A 10.0.0.3");
}

static void txt_tells_the_revision(void **state)
{
	(void)state;
	ask(&a, z, "web.hello.starling.internal", DNS_TYPE_TXT);
	assert_string_equal(answers(&a), "web.hello.starling.internal. TXT \"revision=8c1d\"");
	ask(&a, z, "api.hello.starling.internal", DNS_TYPE_TXT);
	assert_string_equal(answers(&a), "api.hello.starling.internal. TXT \"revision=8c1d\"");
	ask(&a, z, "starling.internal", DNS_TYPE_TXT);
	assert_string_equal(answers(&a), "starling.internal. TXT \"peer=a\"");
}

static void nearest_is_the_same_peer_else_the_same_zone_else_all(void **state)
{
	static const struct {
		uint64_t self;
		const char *label;
		const char *want;
	} cases[] = {
	        {PEER_A, "east", "nearest.web.hello.starling.internal. A 10.0.0.1"},
	        {PEER_B, "east", "nearest.web.hello.starling.internal. A 10.0.0.2"},
	        {0xd4, "east",
	                "nearest.web.hello.starling.internal. A 10.0.0.1; "
	                "nearest.web.hello.starling.internal. A 10.0.0.2"},
	        {0xd4, NULL,
	                "nearest.web.hello.starling.internal. A 10.0.0.1; "
	                "nearest.web.hello.starling.internal. A 10.0.0.2"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct zone *there = small_zone_seen_from(cases[i].self, "d", cases[i].label);

		ask(&a, there, "nearest.web.hello.starling.internal", DNS_TYPE_A);
		assert_string_equal(answers(&a), cases[i].want);
		zone_unref(there);
	}
	struct zone *west = small_zone_seen_from(0xd4, "d", "west");
	ask(&a, west, "nearest.log.hello.starling.internal", DNS_TYPE_A);
	assert_string_equal(answers(&a), "nearest.log.hello.starling.internal. A 10.0.0.3");
	ask(&a, west, "_514._udp.nearest.log.hello.starling.internal", DNS_TYPE_SRV);
	assert_string_equal(answers(&a), "_514._udp.nearest.log.hello.starling.internal. SRV 0 1 514 "
	                                 "c.log.hello.starling.internal.");
	zone_unref(west);
}

static void peers_have_names_and_their_addresses_lead_back(void **state)
{
	(void)state;
	ask(&a, z, "c.node.starling.internal", DNS_TYPE_A);
	assert_string_equal(answers(&a), "c.node.starling.internal. A 10.0.0.3");
	ask(&a, z, "c.node.starling.internal", DNS_TYPE_AAAA);
	assert_string_equal(answers(&a), "c.node.starling.internal. AAAA 2001:db8::3");
	ask(&a, z, "d.node.starling.internal", DNS_TYPE_A);
	expect_nxdomain(&a);
	ask(&a, z, "3.0.0.10.in-addr.arpa", DNS_TYPE_PTR);
	assert_string_equal(answers(&a), "3.0.0.10.in-addr.arpa. PTR c.node.starling.internal.");
	ask(&a, z, "3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", DNS_TYPE_PTR);
	assert_int_equal(ldns_pkt_ancount(a.pkt), 1);
	ask(&a, z, "4.0.0.10.in-addr.arpa", DNS_TYPE_PTR);
	assert_int_equal(rcode(&a), LDNS_RCODE_REFUSED);
	ask(&a, z, "3.0.0.10.in-addr.arpa", DNS_TYPE_A);
	assert_int_equal(rcode(&a), LDNS_RCODE_NOERROR);
	assert_int_equal(ldns_pkt_ancount(a.pkt), 0);
	assert_int_equal(ldns_pkt_nscount(a.pkt), 1);
}

static void an_address_that_only_tasks_have_is_named_after_them(void **state)
{
	struct addr addr = ip("172.16.0.9");
	struct zone_builder *b = zone_builder_new("z", "a", 1, NULL, NULL, 7);
	struct zone_endpoint e = {.addr = addr, .slot = 3, .peer = 1, .peer_name = "a"};
	struct zone *t;

	(void)state;
	zone_add_endpoint(b, "s", "web", &e);
	zone_add_endpoint(b, "s", "web", &e); /* a second task of the slot, while an update goes on */
	t = zone_build(b);
	ask(&a, t, "9.0.16.172.in-addr.arpa", DNS_TYPE_PTR);
	assert_string_equal(answers(&a), "9.0.16.172.in-addr.arpa. PTR 3.web.s.z.");
	zone_unref(t);
}

static void while_one_slot_runs_on_two_peers_srv_pairs_ports_with_addresses(void **state)
{
	struct zone_builder *b = zone_builder_new("z", "a", 1, NULL, NULL, 7);
	struct zone_port p = {"http", "tcp", 80, 20000};
	struct zone_endpoint e = {
	        .addr = ip("10.0.0.1"), .peer = 0xa, .peer_name = "a", .n_ports = 1, .ports = &p};
	struct zone *t;

	(void)state;
	zone_add_endpoint(b, "s", "web", &e);
	e.addr = ip("10.0.0.2"), e.peer = 0xb, e.peer_name = "b", p.port = 20777;
	zone_add_endpoint(b, "s", "web", &e);
	t = zone_build(b);
	ask(&a, t, "_http._tcp.web.s.z", DNS_TYPE_SRV);
	assert_string_equal(answers(&a), "_http._tcp.web.s.z. SRV 0 1 20000 0-000000000000000a.web.s.z.; "
	                                 "_http._tcp.web.s.z. SRV 0 1 20777 0-000000000000000b.web.s.z.");
	assert_string_equal(additional(&a), "0-000000000000000a.web.s.z. A 10.0.0.1; "
	                                    "0-000000000000000b.web.s.z. A 10.0.0.2");
	ask(&a, t, "0.web.s.z", DNS_TYPE_A);
	assert_string_equal(answers(&a), "0.web.s.z. A 10.0.0.1; 0.web.s.z. A 10.0.0.2");
	zone_unref(t);
}

static void two_peers_of_one_name_keep_apart_in_a_global_service(void **state)
{
	struct zone_builder *b = zone_builder_new("z", "a", 1, NULL, NULL, 7);
	struct zone_port p = {"x", "tcp", 80, 80};
	struct zone_endpoint e = {
	        .addr = ip("10.0.0.1"), .peer = 0xa, .peer_name = "twin", .n_ports = 1, .ports = &p};
	struct zone *t;

	(void)state;
	zone_add_service(b, "s", "log", "r", 0, true, &p, 1);
	zone_add_endpoint(b, "s", "log", &e);
	e.addr = ip("10.0.0.2"), e.peer = 0xb;
	zone_add_endpoint(b, "s", "log", &e);
	t = zone_build(b);
	ask(&a, t, "_x._tcp.log.s.z", DNS_TYPE_SRV);
	assert_string_equal(answers(&a), "_x._tcp.log.s.z. SRV 0 1 80 peer-000000000000000a.log.s.z.; "
	                                 "_x._tcp.log.s.z. SRV 0 1 80 peer-000000000000000b.log.s.z.");
	ask(&a, t, "twin.log.s.z", DNS_TYPE_A);
	assert_int_equal(ldns_pkt_ancount(a.pkt), 2);
	zone_unref(t);
}

/* The order in which facts arrive must not show. */
static void equal_input_in_any_order_gives_equal_snapshots(void **state)
{
	struct zone_port p = {"http", "tcp", 80, 20000}, q = {"dns", "udp", 53, 53};
	struct zone *first = NULL;

	(void)state;
	for (int order = 0; order < 24; order++) {
		struct zone_builder *b = zone_builder_new("z", "a", 1, NULL, NULL, 100 + (uint32_t)order);
		int steps[4], left[4] = {0, 1, 2, 3}, n = 4, rest = order;
		struct zone *built;

		for (int i = 0; i < 4; i++) {
			int pick = rest % n;

			rest /= n;
			steps[i] = left[pick];
			left[pick] = left[--n];
		}
		for (int i = 0; i < 4; i++) {
			struct addr one = ip("10.0.0.1"), two = ip("10.0.0.2");
			struct zone_endpoint e = {.addr = steps[i] == 1 ? one : two,
			        .slot = (uint32_t)steps[i],
			        .peer = (uint64_t)steps[i],
			        .peer_name = steps[i] == 1 ? "p" : "q",
			        .n_ports = 1,
			        .ports = steps[i] == 1 ? &p : &q};

			if (steps[i] == 0)
				zone_add_service(b, "s", "web", "r", 3, false, &p, 1);
			else if (steps[i] == 3)
				zone_add_peer(b, "p", &one, 1);
			else
				zone_add_endpoint(b, "s", "web", &e);
		}
		built = zone_build(b);
		assert_int_equal(zone_serial(built), 100 + order);
		if (first) {
			assert_true(zone_equal(first, built));
			zone_unref(built);
		} else {
			first = built;
		}
	}
	struct zone *other = small_zone();
	assert_false(zone_equal(first, other));
	assert_true(zone_equal(z, other));
	zone_unref(other);
	zone_unref(first);
}

static void a_changed_port_or_address_is_another_zone(void **state)
{
	struct zone *zones[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct zone_builder *b = zone_builder_new("z", "a", 1, NULL, NULL, 1);
		struct zone_port p = {"http", "tcp", 80, i == 1 ? 2 : 1};
		struct zone_endpoint e = {
		        .addr = ip(i == 2 ? "10.0.0.2" : "10.0.0.1"), .n_ports = 1, .ports = &p};

		zone_add_endpoint(b, "s", "web", &e);
		zones[i] = zone_build(b);
	}
	assert_false(zone_equal(zones[0], zones[1]));
	assert_false(zone_equal(zones[0], zones[2]));
	for (int i = 0; i < 3; i++)
		zone_unref(zones[i]);
}

static void names_that_dns_cannot_say_are_left_out_and_counted(void **state)
{
	char longest[64], apex[ZONE_APEX_MAX + 1];
	struct addr addr = ip("10.0.0.1");
	struct zone_endpoint e = {.addr = addr, .peer_name = "a"};
	struct zone_builder *b;
	struct zone *t;

	(void)state;
	memset(longest, 'x', 63);
	longest[63] = '\0';
	for (size_t i = 0; i < ZONE_APEX_MAX; i++)
		apex[i] = i % 32 == 31 ? '.' : 'z';
	apex[ZONE_APEX_MAX] = '\0';
	assert_true(zone_apex_ok(apex));
	b = zone_builder_new(apex, "a", 1, NULL, &addr, 1);
	zone_add_service(b, longest, longest, "r", 1, false, &(struct zone_port){longest, "tcp", 80, 80}, 1);
	zone_add_endpoint(b, longest, longest, &e);
	zone_add_peer(b, "with.dot", &addr, 1);
	t = zone_build(b);
	assert_true(zone_omitted(t) > 0);
	ask(&a, t, apex, DNS_TYPE_SOA);
	assert_int_equal(ldns_pkt_ancount(a.pkt), 1);
	zone_unref(t);
	assert_int_equal(zone_omitted(z), 0);
}

static void an_apex_must_be_a_name_of_sensible_length(void **state)
{
	char text[ZONE_APEX_MAX + 2];

	(void)state;
	assert_true(zone_apex_ok(ZONE_DEFAULT));
	assert_true(zone_apex_ok("cluster.local"));
	assert_false(zone_apex_ok(""));
	assert_false(zone_apex_ok("."));
	assert_false(zone_apex_ok("a..b"));
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	text[50] = '.';
	assert_false(zone_apex_ok(text));
}

/* 10,000 declared slots without an endpoint are one number; with one they stay within a few dozen bytes each. */
static void memory_follows_the_endpoints_and_not_the_declarations(void **state)
{
	struct zone_builder *b = zone_builder_new("z", "a", 1, NULL, NULL, 1);
	struct zone_port p = {"http", "tcp", 80, 20000};
	struct zone_endpoint e = {.addr = ip("10.0.0.1"), .peer = 7, .peer_name = "a", .n_ports = 1, .ports = &p};
	struct zone *t;

	(void)state;
	zone_add_service(b, "s", "web", "r", 10000, false, &p, 1);
	t = zone_build(b);
	assert_true(zone_bytes(t) < 4096);
	ask(&a, t, "9999.web.s.z", DNS_TYPE_A);
	assert_int_equal(rcode(&a), LDNS_RCODE_NOERROR);
	ask(&a, t, "10000.web.s.z", DNS_TYPE_A);
	assert_int_equal(rcode(&a), LDNS_RCODE_NXDOMAIN);
	zone_unref(t);
	b = zone_builder_new("z", "a", 1, NULL, NULL, 1);
	zone_add_service(b, "s", "web", "r", 10000, false, &p, 1);
	for (e.slot = 0; e.slot < 10000; e.slot++)
		zone_add_endpoint(b, "s", "web", &e);
	t = zone_build(b);
	assert_true(zone_bytes(t) < 10000 * 400);
	ask(&a, t, "_80._tcp.9999.web.s.z", DNS_TYPE_SRV);
	assert_string_equal(answers(&a), "_80._tcp.9999.web.s.z. SRV 0 1 20000 9999.web.s.z.");
	zone_unref(t);
}

static void references_keep_a_snapshot_alive(void **state)
{
	(void)state;
	assert_ptr_equal(zone_ref(z), z);
	zone_unref(z);
	ask(&a, z, "web.hello.starling.internal", DNS_TYPE_A);
	assert_int_equal(ldns_pkt_ancount(a.pkt), 2);
	zone_unref(NULL);
}

static void a_builder_can_be_dropped(void **state)
{
	struct zone_builder *b = zone_builder_new("z", "a", 1, "east", NULL, 1);

	(void)state;
	zone_add_service(b, "s", "web", "r", 1, false, NULL, 0);
	zone_builder_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_service_answers_with_the_addresses_that_serve_it),
	        cmocka_unit_test(a_service_that_nothing_serves_is_empty_and_not_absent),
	        cmocka_unit_test(slots_beyond_the_replicas_do_not_exist),
	        cmocka_unit_test(a_slot_answers_with_its_own_address),
	        cmocka_unit_test(srv_names_each_task_with_its_port_and_address),
	        cmocka_unit_test(srv_works_by_port_name_by_number_and_for_one_slot),
	        cmocka_unit_test(srv_of_a_global_service_names_its_peers),
	        cmocka_unit_test(txt_tells_the_revision),
	        cmocka_unit_test(nearest_is_the_same_peer_else_the_same_zone_else_all),
	        cmocka_unit_test(peers_have_names_and_their_addresses_lead_back),
	        cmocka_unit_test(an_address_that_only_tasks_have_is_named_after_them),
	        cmocka_unit_test(while_one_slot_runs_on_two_peers_srv_pairs_ports_with_addresses),
	        cmocka_unit_test(two_peers_of_one_name_keep_apart_in_a_global_service),
	        cmocka_unit_test(equal_input_in_any_order_gives_equal_snapshots),
	        cmocka_unit_test(a_changed_port_or_address_is_another_zone),
	        cmocka_unit_test(names_that_dns_cannot_say_are_left_out_and_counted),
	        cmocka_unit_test(an_apex_must_be_a_name_of_sensible_length),
	        cmocka_unit_test(memory_follows_the_endpoints_and_not_the_declarations),
	        cmocka_unit_test(references_keep_a_snapshot_alive),
	        cmocka_unit_test(a_builder_can_be_dropped),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
