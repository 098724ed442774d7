#include "tests/unit/unit.h"

#include "dns/name.h"
#include "dns/reverse.h"

static size_t read(struct dns_name *n, const char *bytes, size_t len)
{
	return dns_name_read(n, (const uint8_t *)bytes, len);
}

static void a_name_is_read_lower_cased_with_its_labels(void **state)
{
	struct dns_name n;

	(void)state;
	assert_int_equal(read(&n, "\3WeB\5hello\0rest", 15), 11);
	assert_int_equal(n.len, 11);
	assert_memory_equal(n.wire, "\3web\5hello", 11);
	assert_int_equal(n.n_labels, 2);
	assert_int_equal(n.at[0], 0);
	assert_int_equal(n.at[1], 4);
}

static void the_root_is_a_name_without_labels(void **state)
{
	struct dns_name n;

	(void)state;
	assert_int_equal(read(&n, "\0", 1), 1);
	assert_int_equal(n.n_labels, 0);
	assert_true(dns_name_parse(&n, "."));
	assert_int_equal(n.len, 1);
}

static void cut_off_names_are_refused_at_every_length(void **state)
{
	static const char whole[] = "\3web\5hello";
	struct dns_name n;

	(void)state;
	for (size_t len = 0; len < sizeof(whole); len++) {
		/* An own allocation of that size, so that a sanitizer sees one byte too many. */
		char *copy = malloc(len + 1);

		memcpy(copy, whole, len);
		char *exact = realloc(copy, len ? len : 1);
		assert_int_equal(read(&n, exact, len), 0);
		free(exact);
	}
	assert_int_equal(read(&n, whole, sizeof(whole)), sizeof(whole));
}

static void pointers_and_reserved_label_types_are_refused(void **state)
{
	struct dns_name n;

	(void)state;
	assert_int_equal(read(&n, "\xc0\x0c\0", 3), 0);
	assert_int_equal(read(&n, "\3web\xc0\x0c", 6), 0);
	assert_int_equal(read(&n, "\x40\0", 2), 0);
	assert_int_equal(read(&n, "\x80\0", 2), 0);
}

/* RFC 1035, 2.3.4: 63 bytes of label, 255 of name, lengths and root counted. */
static void the_longest_name_passes_and_one_byte_more_does_not(void **state)
{
	uint8_t bytes[300];
	struct dns_name n;
	size_t at = 0;

	(void)state;
	for (int i = 0; i < 3; i++) {
		bytes[at] = 63;
		memset(bytes + at + 1, 'a', 63);
		at += 64;
	}
	bytes[at] = 61; /* 3 * 64 + 62 + 1 = 255 */
	memset(bytes + at + 1, 'b', 63);
	bytes[at + 62] = 0;
	assert_int_equal(dns_name_read(&n, bytes, sizeof(bytes)), 255);
	assert_int_equal(n.len, 255);
	bytes[at] = 62;
	bytes[at + 62] = 'b';
	bytes[at + 63] = 0;
	assert_int_equal(dns_name_read(&n, bytes, sizeof(bytes)), 0);
	bytes[at] = 63; /* and by so much that the last label itself would be written past the end */
	bytes[at + 63] = 'b';
	bytes[at + 64] = 0;
	assert_int_equal(dns_name_read(&n, bytes, sizeof(bytes)), 0);
}

static void a_name_of_127_labels_passes(void **state)
{
	uint8_t bytes[256];
	struct dns_name n;

	(void)state;
	for (size_t i = 0; i < 254; i += 2) {
		bytes[i] = 1;
		bytes[i + 1] = 'x';
	}
	bytes[254] = 0;
	assert_int_equal(dns_name_read(&n, bytes, 255), 255);
	assert_int_equal(n.n_labels, DNS_LABELS_MAX);
	bytes[254] = 1;
	bytes[255] = 0;
	assert_int_equal(dns_name_read(&n, bytes, 256), 0);
}

static void skipping_ends_behind_the_root_or_a_pointer(void **state)
{
	static const uint8_t msg[] = "\3web\0\2ab\xc0\x00tail";

	(void)state;
	assert_int_equal(dns_name_skip(msg, sizeof(msg), 0), 5);
	assert_int_equal(dns_name_skip(msg, sizeof(msg), 5), 10);
	assert_int_equal(dns_name_skip(msg, 9, 5), 0); /* half a pointer */
	assert_int_equal(dns_name_skip(msg, 7, 5), 0); /* half a label */
	assert_int_equal(dns_name_skip(msg, 5, 5), 0); /* nothing at all */
	assert_int_equal(dns_name_skip((const uint8_t *)"\x41x", 2, 0), 0);
}

static void names_are_parsed_from_text_with_or_without_the_last_dot(void **state)
{
	struct dns_name a, b;
	char label[80];

	(void)state;
	assert_true(dns_name_parse(&a, "Starling.Internal."));
	assert_true(dns_name_parse(&b, "starling.internal"));
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.wire, b.wire, a.len);
	assert_false(dns_name_parse(&a, "a..b"));
	assert_false(dns_name_parse(&a, ".a"));
	memset(label, 'a', 64);
	label[64] = '\0';
	assert_false(dns_name_parse(&a, label));
	label[63] = '\0';
	assert_true(dns_name_parse(&a, label));
}

static void a_label_goes_before_a_name_if_it_fits(void **state)
{
	struct dns_name n;
	char label[80];

	(void)state;
	assert_true(dns_name_parse(&n, "b"));
	assert_true(dns_name_prepend(&n, "A"));
	assert_memory_equal(n.wire, "\1a\1b", 5);
	assert_false(dns_name_prepend(&n, ""));
	assert_false(dns_name_prepend(&n, "a.b"));
	assert_false(dns_name_prepend(&n, "a b"));
	memset(label, 'c', 63);
	label[63] = '\0';
	assert_true(dns_name_prepend(&n, label));
	assert_true(dns_name_prepend(&n, label));
	assert_true(dns_name_prepend(&n, label)); /* 5 + 3 * 64 = 197 */
	assert_false(dns_name_prepend(&n, label));
	assert_int_equal(n.len, 197); /* untouched by the failure */
	label[57] = '\0';
	assert_true(dns_name_prepend(&n, label));
	assert_int_equal(n.len, 255);
	assert_false(dns_name_prepend(&n, "x"));
}

static void rfc1035_3_5_addresses_are_read_from_in_addr_arpa(void **state)
{
	static const char *const bad[] = {"0.10.in-addr.arpa", "1.2.3.4.5.in-addr.arpa",
	        "256.0.0.10.in-addr.arpa", "01.0.0.10.in-addr.arpa", "x.0.0.10.in-addr.arpa",
	        "1000.0.0.10.in-addr.arpa", "1.0.0.10.in-addr.com", "arpa", "in-addr.arpa", "1.0.0.10"};
	struct dns_name n;
	struct addr a;

	(void)state;
	assert_true(dns_name_parse(&n, "1.2.0.192.IN-ADDR.arpa"));
	assert_true(dns_reverse_address(&a, &n));
	assert_int_equal(a.family, 4);
	assert_memory_equal(a.ip, "\300\0\2\1", 4);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_true(dns_name_parse(&n, bad[i]));
		assert_false(dns_reverse_address(&a, &n));
	}
}

static void rfc3596_2_5_addresses_are_read_from_ip6_arpa(void **state)
{
	struct dns_name n;
	struct addr a, want;

	(void)state;
	assert_true(
	        dns_name_parse(&n, "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6.arpa"));
	assert_true(dns_reverse_address(&a, &n));
	assert_true(addr_parse_ip(&want, "2001:db8::567:89ab"));
	assert_true(addr_ip_eq(&a, &want));
	assert_true(
	        dns_name_parse(&n, "bb.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"));
	assert_false(dns_reverse_address(&a, &n));
	assert_true(
	        dns_name_parse(&n, "g.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"));
	assert_false(dns_reverse_address(&a, &n));
	assert_true(dns_name_parse(&n, "8.b.d.0.1.0.0.2.ip6.arpa"));
	assert_false(dns_reverse_address(&a, &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_name_is_read_lower_cased_with_its_labels),
	        cmocka_unit_test(the_root_is_a_name_without_labels),
	        cmocka_unit_test(cut_off_names_are_refused_at_every_length),
	        cmocka_unit_test(pointers_and_reserved_label_types_are_refused),
	        cmocka_unit_test(the_longest_name_passes_and_one_byte_more_does_not),
	        cmocka_unit_test(a_name_of_127_labels_passes),
	        cmocka_unit_test(skipping_ends_behind_the_root_or_a_pointer),
	        cmocka_unit_test(names_are_parsed_from_text_with_or_without_the_last_dot),
	        cmocka_unit_test(a_label_goes_before_a_name_if_it_fits),
	        cmocka_unit_test(rfc1035_3_5_addresses_are_read_from_in_addr_arpa),
	        cmocka_unit_test(rfc3596_2_5_addresses_are_read_from_ip6_arpa),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
