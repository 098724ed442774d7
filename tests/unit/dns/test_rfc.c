/* One test per rule of an RFC; the section is in the test's name. */
#include "tests/unit/dns/dns_test.h"

#include "dns/query.h"

static struct zone *z;
static struct a a;
static struct q q;

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

static uint16_t flags_of(const struct a *r)
{
	return (uint16_t)(r->bytes[2] << 8 | r->bytes[3]);
}

static uint16_t count_at(const struct a *r, size_t at)
{
	return (uint16_t)(r->bytes[at] << 8 | r->bytes[at + 1]);
}

static void rfc1035_4_1_1_the_header_is_ours_and_the_id_and_rd_are_the_askers(void **state)
{
	(void)state;
	q_header(&q, 0xbeef, DNS_FLAG_RD | 0x0230, 1, 0, 0, 0); /* RD, TC, AD, CD */
	q_question(&q, "web.hello.starling.internal", DNS_TYPE_A, DNS_CLASS_IN);
	ask_q(&a, z, &q);
	assert_int_equal(ldns_pkt_id(a.pkt), 0xbeef);
	/* QR, AA, RD; no recursion here, no Z, AD, CD. */
	assert_int_equal(flags_of(&a), DNS_FLAG_QR | DNS_FLAG_AA | DNS_FLAG_RD);
	q_header(&q, 1, 0, 1, 0, 0, 0);
	q_question(&q, "web.hello.starling.internal", DNS_TYPE_A, DNS_CLASS_IN);
	ask_q(&a, z, &q);
	assert_int_equal(flags_of(&a), DNS_FLAG_QR | DNS_FLAG_AA);
}

static void rfc1035_4_1_2_the_question_comes_back_byte_by_byte_in_the_askers_case(void **state)
{
	(void)state;
	q_simple(&q, "wEB.heLLo.StarLing.INTERNAL", DNS_TYPE_A, 0);
	ask_q(&a, z, &q);
	assert_memory_equal(a.bytes + 12, q.bytes + 12, q.w.len - 12);
	assert_int_equal(ldns_pkt_ancount(a.pkt), 2);
	/* Owners point into it, so that they have its case as well. */
	assert_memory_equal(a.bytes + q.w.len, "\xc0\x0c", 2);
}

static void rfc1035_4_1_4_names_compress_to_the_question(void **state)
{
	(void)state;
	ask(&a, z, "nothing.hello.starling.internal", DNS_TYPE_A);
	/* 12 header, 33 + 4 question, SOA: 12 + "ns", pointer + "hostmaster", pointer + 20, OPT 11 */
	assert_int_equal(a.len, 12 + 33 + 4 + 12 + 5 + 13 + 20 + 11);
	expect_nxdomain(&a);
}

static void rfc1035_7_3_a_response_is_never_answered(void **state)
{
	(void)state;
	q_header(&q, 1, DNS_FLAG_QR, 1, 0, 0, 0);
	q_question(&q, "web.hello.starling.internal", DNS_TYPE_A, DNS_CLASS_IN);
	ask_q(&a, z, &q);
	assert_int_equal(a.len, 0);
	assert_int_equal(a.c.dropped, 1);
}

static void rfc1035_4_1_1_less_than_a_header_is_not_answered(void **state)
{
	(void)state;
	q_simple(&q, "web.hello.starling.internal", DNS_TYPE_A, 0);
	for (size_t len = 0; len < DNS_HEADER_LEN; len++) {
		ask_raw(&a, z, q.bytes, len, false, 0);
		assert_int_equal(a.len, 0);
	}
}

static void rfc1035_4_1_1_cut_off_questions_are_format_errors(void **state)
{
	(void)state;
	q_simple(&q, "web.hello.starling.internal", DNS_TYPE_A, DNS_UDP_MAX);
	for (size_t len = DNS_HEADER_LEN; len < q.w.len; len++) {
		ask_raw(&a, z, q.bytes, len, false, 0);
		assert_int_equal(flags_of(&a) & 15, DNS_FORMERR);
		assert_int_equal(a.c.formerr, 1);
	}
}

static void rfc1035_4_1_1_bytes_behind_the_message_are_a_format_error(void **state)
{
	(void)state;
	q_simple(&q, "web.hello.starling.internal", DNS_TYPE_A, 0);
	wr_u8(&q.w, 0);
	ask_q(&a, z, &q);
	assert_int_equal(rcode(&a), LDNS_RCODE_FORMERR);
}

static void rfc1035_4_1_1_other_opcodes_are_not_implemented(void **state)
{
	(void)state;
	for (unsigned opcode = 1; opcode < 16; opcode++) {
		q_header(&q, 7, (uint16_t)(opcode << 11), 1, 0, 0, 0);
		q_question(&q, "starling.internal", DNS_TYPE_SOA, DNS_CLASS_IN);
		ask_q(&a, z, &q);
		assert_int_equal(rcode(&a), LDNS_RCODE_NOTIMPL);
		assert_int_equal(ldns_pkt_get_opcode(a.pkt), opcode);
		assert_int_equal(a.c.notimp, 1);
	}
}

static void rfc1035_3_2_4_other_classes_are_refused(void **state)
{
	static const uint16_t classes[] = {0, 2, 3, 4, 254, 255};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
		q_header(&q, 7, 0, 1, 0, 0, 0);
		q_question(&q, "web.hello.starling.internal", DNS_TYPE_A, classes[i]);
		ask_q(&a, z, &q);
		assert_int_equal(rcode(&a), LDNS_RCODE_REFUSED);
		assert_int_equal(ldns_pkt_ancount(a.pkt), 0);
	}
}

static void rfc1035_3_2_3_transfers_are_refused_and_meta_types_are_no_questions(void **state)
{
	static const struct {
		uint16_t type;
		int rcode;
	} cases[] = {
	        {DNS_TYPE_AXFR, LDNS_RCODE_REFUSED},
	        {DNS_TYPE_IXFR, LDNS_RCODE_REFUSED},
	        {DNS_TYPE_MAILA, LDNS_RCODE_NOTIMPL},
	        {DNS_TYPE_MAILB, LDNS_RCODE_NOTIMPL},
	        {DNS_TYPE_OPT, LDNS_RCODE_FORMERR},
	        {DNS_TYPE_TSIG, LDNS_RCODE_FORMERR},
	        {DNS_TYPE_TKEY, LDNS_RCODE_FORMERR},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		q_simple(&q, "starling.internal", cases[i].type, 0);
		ask_q(&a, z, &q);
		assert_int_equal(rcode(&a), cases[i].rcode);
	}
}

static void rfc1035_4_2_1_without_edns_an_answer_ends_at_512_bytes(void **state)
{
	struct zone_builder *b = zone_builder_new("z", "a", 1, NULL, NULL, 1);
	struct zone *many;

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		struct zone_endpoint e = {
		        .addr = {.family = 4, .ip = {10, 0, 1, (uint8_t)i}}, .slot = i, .peer = i};

		zone_add_endpoint(b, "s", "web", &e);
	}
	many = zone_build(b);
	q_simple(&q, "web.s.z", DNS_TYPE_A, 0);
	ask_raw(&a, many, q.bytes, q.w.len, false, 0);
	assert_true(ldns_pkt_tc(a.pkt));
	assert_true(a.len <= 512 && a.len > 512 - 16);
	assert_int_equal(ldns_pkt_ancount(a.pkt), (512 - 12 - 13) / 16);
	assert_int_equal(a.c.truncated, 1);
	/* Over TCP it is whole. */
	ask_raw(&a, many, q.bytes, q.w.len, true, 0);
	assert_false(ldns_pkt_tc(a.pkt));
	assert_int_equal(ldns_pkt_ancount(a.pkt), 100);
	zone_unref(many);
}

static void rfc2181_5_2_all_records_of_a_set_have_one_ttl(void **state)
{
	(void)state;
	ask(&a, z, "web.hello.starling.internal", DNS_TYPE_A);
	for (size_t i = 0; i < ldns_pkt_ancount(a.pkt); i++)
		assert_int_equal(ldns_rr_ttl(ldns_rr_list_rr(ldns_pkt_answer(a.pkt), i)), 1);
}

static void rfc2181_6_1_the_apex_has_ns_and_soa(void **state)
{
	(void)state;
	ask(&a, z, "starling.internal", DNS_TYPE_SOA);
	assert_string_equal(answers(&a), SOA);
	assert_true(ldns_pkt_aa(a.pkt));
	ask(&a, z, "starling.internal", DNS_TYPE_NS);
	assert_string_equal(answers(&a), "starling.internal. NS ns.starling.internal.");
	assert_string_equal(additional(&a), "ns.starling.internal. A 10.0.0.1");
	ask(&a, z, "ns.starling.internal", DNS_TYPE_A);
	assert_string_equal(answers(&a), "ns.starling.internal. A 10.0.0.1");
	ask(&a, z, "starling.internal", DNS_TYPE_A);
	expect_nodata(&a);
}

/* The target's addresses are extra: that they do not fit does not make the answer incomplete. */
static void rfc2181_9_additional_records_are_left_out_without_tc(void **state)
{
	struct zone_builder *b = zone_builder_new("z", "a", 1, NULL, NULL, 1);
	struct zone_port p = {"http", "tcp", 80, 80};
	struct zone *t;

	(void)state;
	for (uint32_t i = 0; i < 14; i++) {
		struct zone_endpoint e = {.addr = {.family = 4, .ip = {10, 0, 1, (uint8_t)i}},
		        .slot = i,
		        .peer = i,
		        .n_ports = 1,
		        .ports = &p};

		zone_add_endpoint(b, "s", "web", &e);
	}
	t = zone_build(b);
	q_simple(&q, "_http._tcp.web.s.z", DNS_TYPE_SRV, 0);
	ask_raw(&a, t, q.bytes, q.w.len, false, 0);
	assert_false(ldns_pkt_tc(a.pkt));
	assert_int_equal(ldns_pkt_ancount(a.pkt), 14);
	assert_true(ldns_pkt_arcount(a.pkt) < 14);
	zone_unref(t);
}

static void rfc2181_5_1_additional_sets_are_whole_or_absent(void **state)
{
	struct zone_builder *b = zone_builder_new("z", "a", 1, NULL, NULL, 1);
	struct zone_port p = {"http", "tcp", 80, 80};
	unsigned left_out = 0;
	struct zone *t;

	(void)state;
	for (uint8_t i = 0; i < 5 * 8; i++) { /* 5 slots with 8 addresses each */
		struct zone_endpoint e = {.addr = {.family = 4, .ip = {10, 0, i / 8, i}},
		        .slot = i / 8,
		        .peer = 1,
		        .n_ports = 1,
		        .ports = &p};

		zone_add_endpoint(b, "s", "web", &e);
	}
	t = zone_build(b);
	q_simple(&q, "_http._tcp.web.s.z", DNS_TYPE_SRV, 0);
	ask_raw(&a, t, q.bytes, q.w.len, false, 0);
	assert_int_equal(ldns_pkt_ancount(a.pkt), 5);
	for (uint8_t slot = 0; slot < 5; slot++) {
		size_t found = 0;

		for (size_t i = 0; i < ldns_pkt_arcount(a.pkt); i++)
			found += ldns_rdf_data(ldns_rr_rdf(
			                 ldns_rr_list_rr(ldns_pkt_additional(a.pkt), i), 0))[2] == slot;
		assert_true(found == 0 || found == 8);
		left_out += found == 0;
	}
	assert_in_range(left_out, 1, 4); /* some, not all, did fit */
	zone_unref(t);
}

static void rfc2308_2_1_nxdomain_carries_the_soa(void **state)
{
	(void)state;
	ask(&a, z, "nothing.starling.internal", DNS_TYPE_A);
	expect_nxdomain(&a);
}

static void rfc2308_2_2_nodata_carries_the_soa(void **state)
{
	(void)state;
	ask(&a, z, "web.hello.starling.internal", DNS_TYPE_AAAA);
	expect_nodata(&a);
	ask(&a, z, "web.hello.starling.internal", 65); /* HTTPS (RFC 9460), which browsers ask for */
	expect_nodata(&a);
}

static void rfc2308_4_no_is_believed_for_the_lesser_of_ttl_and_minimum(void **state)
{
	const ldns_rr *soa;

	(void)state;
	ask(&a, z, "nothing.starling.internal", DNS_TYPE_A);
	soa = ldns_rr_list_rr(ldns_pkt_authority(a.pkt), 0);
	assert_int_equal(ldns_rr_ttl(soa), DNS_TTL_S);
	assert_int_equal(ldns_rdf2native_int32(ldns_rr_rdf(soa, 6)), DNS_TTL_S);
}

static void rfc2782_srv_targets_are_not_compressed_and_have_addresses(void **state)
{
	static const uint8_t target[] = "\0012\3web\5hello\10starling\10internal";

	(void)state;
	q_simple(&q, "_http._tcp.2.web.hello.starling.internal", DNS_TYPE_SRV, 0);
	ask_q(&a, z, &q);
	assert_string_equal(additional(&a), "2.web.hello.starling.internal. A 10.0.0.2");
	/* Behind the question, which holds those labels as well. */
	const uint8_t *at = memmem(a.bytes + q.w.len, a.len - q.w.len, target, sizeof(target));
	assert_non_null(at);
	/* The additional record's owner is a pointer to that very place. */
	const uint8_t *owner = at + sizeof(target);
	assert_int_equal((owner[0] & 0x3f) << 8 | owner[1], at - a.bytes);
}

static void rfc3596_2_1_addresses_of_both_families_have_their_own_type(void **state)
{
	(void)state;
	ask(&a, z, "six.hello.starling.internal", DNS_TYPE_A);
	assert_int_equal(ldns_pkt_ancount(a.pkt), 1);
	ask(&a, z, "six.hello.starling.internal", DNS_TYPE_AAAA);
	assert_int_equal(ldns_pkt_ancount(a.pkt), 1);
}

static void rfc3597_3_unknown_types_are_asked_like_any_other(void **state)
{
	(void)state;
	ask(&a, z, "web.hello.starling.internal", 0x7abc);
	expect_nodata(&a);
	ask(&a, z, "nothing.hello.starling.internal", 0x7abc);
	expect_nxdomain(&a);
}

static void rfc4343_3_names_compare_without_case(void **state)
{
	(void)state;
	ask(&a, z, "WEB.HELLO.STARLING.INTERNAL", DNS_TYPE_A);
	assert_int_equal(ldns_pkt_ancount(a.pkt), 2);
	ask(&a, z, "_HTTP._TCP.WEB.HELLO.STARLING.INTERNAL", DNS_TYPE_SRV);
	assert_int_equal(ldns_pkt_ancount(a.pkt), 3);
	ask(&a, z, "_9000._TCP.1.API.HELLO.STARLING.INTERNAL", DNS_TYPE_SRV);
	assert_int_equal(a.c.nodata, 1);
}

static void rfc6891_6_1_1_opt_is_answered_with_opt_and_its_absence_with_none(void **state)
{
	(void)state;
	q_simple(&q, "web.hello.starling.internal", DNS_TYPE_A, 4096);
	ask_q(&a, z, &q);
	assert_true(ldns_pkt_edns(a.pkt));
	assert_int_equal(ldns_pkt_edns_udp_size(a.pkt), DNS_UDP_MAX);
	assert_int_equal(ldns_pkt_edns_version(a.pkt), 0);
	q_simple(&q, "nothing.starling.internal", DNS_TYPE_A, 4096);
	ask_q(&a, z, &q);
	assert_true(ldns_pkt_edns(a.pkt));
	q_simple(&q, "web.hello.starling.internal", DNS_TYPE_A, 0);
	ask_q(&a, z, &q);
	assert_false(ldns_pkt_edns(a.pkt));
}

static void rfc6891_6_1_1_two_opt_records_are_a_format_error(void **state)
{
	(void)state;
	q_header(&q, 1, 0, 1, 0, 0, 2);
	q_question(&q, "web.hello.starling.internal", DNS_TYPE_A, DNS_CLASS_IN);
	q_opt(&q, 1232, 0, false, NULL, 0);
	q_opt(&q, 1232, 0, false, NULL, 0);
	ask_q(&a, z, &q);
	assert_int_equal(rcode(&a), LDNS_RCODE_FORMERR);
}

static void rfc6891_6_1_1_opt_belongs_to_the_root_and_the_additional_section(void **state)
{
	(void)state;
	q_header(&q, 1, 0, 1, 0, 0, 1);
	q_question(&q, "web.hello.starling.internal", DNS_TYPE_A, DNS_CLASS_IN);
	q_name(&q, "x");
	wr_u16(&q.w, DNS_TYPE_OPT);
	wr_u16(&q.w, 1232);
	wr_u32(&q.w, 0);
	wr_u16(&q.w, 0);
	ask_q(&a, z, &q);
	assert_int_equal(rcode(&a), LDNS_RCODE_FORMERR);
	q_header(&q, 1, 0, 1, 1, 0, 0);
	q_question(&q, "web.hello.starling.internal", DNS_TYPE_A, DNS_CLASS_IN);
	q_opt(&q, 1232, 0, false, NULL, 0);
	ask_q(&a, z, &q);
	assert_int_equal(rcode(&a), LDNS_RCODE_FORMERR);
}

static void rfc6891_6_1_2_unknown_options_are_ignored_and_broken_ones_are_not(void **state)
{
	/* A cookie (10), padding (12) and one from the experimental range, empty. */
	static const uint8_t fine[] = {0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 12, 0, 2, 0, 0, 0xfe, 0x01, 0, 0};
	static const uint8_t broken[] = {0, 10, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8};

	(void)state;
	q_header(&q, 1, 0, 1, 0, 0, 1);
	q_question(&q, "web.hello.starling.internal", DNS_TYPE_A, DNS_CLASS_IN);
	q_opt(&q, 1232, 0, false, fine, sizeof(fine));
	ask_q(&a, z, &q);
	assert_int_equal(rcode(&a), LDNS_RCODE_NOERROR);
	assert_int_equal(ldns_pkt_ancount(a.pkt), 2);
	q_header(&q, 1, 0, 1, 0, 0, 1);
	q_question(&q, "web.hello.starling.internal", DNS_TYPE_A, DNS_CLASS_IN);
	q_opt(&q, 1232, 0, false, broken, sizeof(broken));
	ask_q(&a, z, &q);
	assert_int_equal(rcode(&a), LDNS_RCODE_FORMERR);
}

static void rfc6891_6_1_3_another_version_is_badvers_and_no_answer(void **state)
{
	static const uint8_t strange[] = {0xff};

	(void)state;
	for (unsigned version = 1; version < 256; version += 127) {
		q_header(&q, 1, 0, 1, 0, 0, 1);
		q_question(&q, "web.hello.starling.internal", DNS_TYPE_A, DNS_CLASS_IN);
		q_opt(&q, 1232, (uint8_t)version, false, strange, sizeof(strange));
		ask_q(&a, z, &q);
		assert_int_equal(flags_of(&a) & 15, DNS_BADVERS & 15);
		assert_int_equal(ldns_pkt_edns_extended_rcode(a.pkt), DNS_BADVERS >> 4);
		assert_int_equal(ldns_pkt_edns_version(a.pkt), 0);
		assert_int_equal(ldns_pkt_ancount(a.pkt), 0);
		assert_int_equal(a.c.badvers, 1);
	}
}

static void rfc6891_6_2_3_sizes_below_512_mean_512_and_ours_is_the_most(void **state)
{
	struct zone_builder *b = zone_builder_new("z", "a", 1, NULL, NULL, 1);
	static const struct {
		uint16_t asked;
		size_t at_most;
	} cases[] = {{1, 512}, {511, 512}, {512, 512}, {1000, 1000}, {1232, 1232}, {4096, 1232}, {65535, 1232}};
	struct zone *many;

	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		struct zone_endpoint e = {
		        .addr = {.family = 4, .ip = {10, 0, 1, (uint8_t)i}}, .slot = i, .peer = i};

		zone_add_endpoint(b, "s", "web", &e);
	}
	many = zone_build(b);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		q_simple(&q, "web.s.z", DNS_TYPE_A, cases[i].asked);
		ask_raw(&a, many, q.bytes, q.w.len, false, 0);
		assert_true(ldns_pkt_tc(a.pkt));
		assert_true(a.len <= cases[i].at_most && a.len > cases[i].at_most - 16);
		assert_true(ldns_pkt_edns(a.pkt)); /* OPT is there however full it is */
	}
	zone_unref(many);
}

static void rfc3225_3_the_do_bit_comes_back(void **state)
{
	(void)state;
	q_header(&q, 1, 0, 1, 0, 0, 1);
	q_question(&q, "web.hello.starling.internal", DNS_TYPE_A, DNS_CLASS_IN);
	q_opt(&q, 1232, 0, true, NULL, 0);
	ask_q(&a, z, &q);
	assert_true(ldns_pkt_edns_do(a.pkt));
	q_simple(&q, "web.hello.starling.internal", DNS_TYPE_A, 1232);
	ask_q(&a, z, &q);
	assert_false(ldns_pkt_edns_do(a.pkt));
}

static void rfc8020_2_above_an_existing_name_nothing_is_nxdomain(void **state)
{
	static const char *const between[] = {"hello.starling.internal", "node.starling.internal",
	        "_tcp.web.hello.starling.internal", "_udp.log.hello.starling.internal",
	        "_tcp.2.web.hello.starling.internal"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(between); i++) {
		ask(&a, z, between[i], DNS_TYPE_A);
		expect_nodata(&a);
	}
}

static void rfc8020_2_below_a_missing_name_everything_is_nxdomain(void **state)
{
	static const char *const below[] = {"nothing.starling.internal", "web.nothing.starling.internal",
	        "_http._tcp.web.nothing.starling.internal", "x.web.hello.starling.internal",
	        "y.x.web.hello.starling.internal", "0.x.web.hello.starling.internal"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(below); i++) {
		ask(&a, z, below[i], DNS_TYPE_A);
		expect_nxdomain(&a);
	}
}

static void rfc8482_4_1_any_gets_one_set(void **state)
{
	ldns_rr_list *got;

	(void)state;
	ask(&a, z, "web.hello.starling.internal", DNS_TYPE_ANY);
	got = ldns_pkt_answer(a.pkt);
	assert_int_equal(ldns_rr_list_rr_count(got), 1);
	assert_int_equal(ldns_rr_get_type(ldns_rr_list_rr(got, 0)), LDNS_RR_TYPE_TXT);
	ask(&a, z, "1.web.hello.starling.internal", DNS_TYPE_ANY);
	assert_string_equal(answers(&a), "1.web.hello.starling.internal. A 10.0.0.2");
	ask(&a, z, "hello.starling.internal", DNS_TYPE_ANY);
	expect_nodata(&a);
	ask(&a, z, "3.web.hello.starling.internal", DNS_TYPE_ANY);
	expect_nodata(&a);
	ask(&a, z, "nothing.starling.internal", DNS_TYPE_ANY);
	expect_nxdomain(&a);
}

static void rfc9619_any_number_of_questions_but_one_is_a_format_error(void **state)
{
	static const uint16_t counts[] = {0, 2, 3, 65535};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		q_header(&q, 1, 0, counts[i], 0, 0, 0);
		for (unsigned k = 0; k < MIN(counts[i], 3); k++)
			q_question(&q, "web.hello.starling.internal", DNS_TYPE_A, DNS_CLASS_IN);
		ask_q(&a, z, &q);
		assert_int_equal(rcode(&a), LDNS_RCODE_FORMERR);
		assert_int_equal(count_at(&a, 4), 0);
		assert_int_equal(a.len, DNS_HEADER_LEN);
	}
}

static void rfc1035_4_1_1_counts_that_promise_more_than_there_is_are_format_errors(void **state)
{
	(void)state;
	q_header(&q, 1, 0, 1, 65535, 65535, 65535);
	q_question(&q, "web.hello.starling.internal", DNS_TYPE_A, DNS_CLASS_IN);
	ask_q(&a, z, &q);
	assert_int_equal(rcode(&a), LDNS_RCODE_FORMERR);
}

static void rfc8945_5_1_records_that_we_do_not_know_are_stepped_over(void **state)
{
	(void)state;
	q_header(&q, 1, 0, 1, 0, 0, 2);
	q_question(&q, "web.hello.starling.internal", DNS_TYPE_A, DNS_CLASS_IN);
	q_opt(&q, 1232, 0, false, NULL, 0);
	q_name(&q, "key.name");
	wr_u16(&q.w, DNS_TYPE_TSIG);
	wr_u16(&q.w, 255);
	wr_u32(&q.w, 0);
	wr_u16(&q.w, 3);
	wr_bytes(&q.w, "abc", 3);
	ask_q(&a, z, &q);
	assert_int_equal(rcode(&a), LDNS_RCODE_NOERROR);
	assert_int_equal(ldns_pkt_ancount(a.pkt), 2);
}

static void names_of_others_are_refused(void **state)
{
	static const char *const others[] = {"example.com", ".", "internal", "notstarling.internal",
	        "starling.internal.com", "1.in-addr.arpa", "8.8.8.8.in-addr.arpa", "xstarling.internal"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		ask(&a, z, others[i], DNS_TYPE_A);
		assert_int_equal(rcode(&a), LDNS_RCODE_REFUSED);
		assert_false(ldns_pkt_aa(a.pkt));
		assert_int_equal(ldns_pkt_nscount(a.pkt), 0);
		assert_int_equal(a.c.refused, 1);
	}
}

static void before_a_zone_came_everything_is_servfail(void **state)
{
	(void)state;
	ask(&a, NULL, "web.hello.starling.internal", DNS_TYPE_A);
	assert_int_equal(rcode(&a), LDNS_RCODE_SERVFAIL);
	assert_int_equal(a.c.servfail, 1);
	assert_true(ldns_pkt_edns(a.pkt));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(rfc1035_4_1_1_the_header_is_ours_and_the_id_and_rd_are_the_askers),
	        cmocka_unit_test(rfc1035_4_1_2_the_question_comes_back_byte_by_byte_in_the_askers_case),
	        cmocka_unit_test(rfc1035_4_1_4_names_compress_to_the_question),
	        cmocka_unit_test(rfc1035_7_3_a_response_is_never_answered),
	        cmocka_unit_test(rfc1035_4_1_1_less_than_a_header_is_not_answered),
	        cmocka_unit_test(rfc1035_4_1_1_cut_off_questions_are_format_errors),
	        cmocka_unit_test(rfc1035_4_1_1_bytes_behind_the_message_are_a_format_error),
	        cmocka_unit_test(rfc1035_4_1_1_counts_that_promise_more_than_there_is_are_format_errors),
	        cmocka_unit_test(rfc1035_4_1_1_other_opcodes_are_not_implemented),
	        cmocka_unit_test(rfc1035_3_2_4_other_classes_are_refused),
	        cmocka_unit_test(rfc1035_3_2_3_transfers_are_refused_and_meta_types_are_no_questions),
	        cmocka_unit_test(rfc1035_4_2_1_without_edns_an_answer_ends_at_512_bytes),
	        cmocka_unit_test(rfc2181_5_2_all_records_of_a_set_have_one_ttl),
	        cmocka_unit_test(rfc2181_5_1_additional_sets_are_whole_or_absent),
	        cmocka_unit_test(rfc2181_6_1_the_apex_has_ns_and_soa),
	        cmocka_unit_test(rfc2181_9_additional_records_are_left_out_without_tc),
	        cmocka_unit_test(rfc2308_2_1_nxdomain_carries_the_soa),
	        cmocka_unit_test(rfc2308_2_2_nodata_carries_the_soa),
	        cmocka_unit_test(rfc2308_4_no_is_believed_for_the_lesser_of_ttl_and_minimum),
	        cmocka_unit_test(rfc2782_srv_targets_are_not_compressed_and_have_addresses),
	        cmocka_unit_test(rfc3225_3_the_do_bit_comes_back),
	        cmocka_unit_test(rfc3596_2_1_addresses_of_both_families_have_their_own_type),
	        cmocka_unit_test(rfc3597_3_unknown_types_are_asked_like_any_other),
	        cmocka_unit_test(rfc4343_3_names_compare_without_case),
	        cmocka_unit_test(rfc6891_6_1_1_opt_is_answered_with_opt_and_its_absence_with_none),
	        cmocka_unit_test(rfc6891_6_1_1_two_opt_records_are_a_format_error),
	        cmocka_unit_test(rfc6891_6_1_1_opt_belongs_to_the_root_and_the_additional_section),
	        cmocka_unit_test(rfc6891_6_1_2_unknown_options_are_ignored_and_broken_ones_are_not),
	        cmocka_unit_test(rfc6891_6_1_3_another_version_is_badvers_and_no_answer),
	        cmocka_unit_test(rfc6891_6_2_3_sizes_below_512_mean_512_and_ours_is_the_most),
	        cmocka_unit_test(rfc8020_2_above_an_existing_name_nothing_is_nxdomain),
	        cmocka_unit_test(rfc8020_2_below_a_missing_name_everything_is_nxdomain),
	        cmocka_unit_test(rfc8482_4_1_any_gets_one_set),
	        cmocka_unit_test(rfc8945_5_1_records_that_we_do_not_know_are_stepped_over),
	        cmocka_unit_test(rfc9619_any_number_of_questions_but_one_is_a_format_error),
	        cmocka_unit_test(names_of_others_are_refused),
	        cmocka_unit_test(before_a_zone_came_everything_is_servfail),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
