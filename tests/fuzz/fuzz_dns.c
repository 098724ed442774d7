/*
 * A query to an answer. The first byte chooses transport, buffer and zone, the rest is the query. Whatever comes
 * back must fit, be readable by ldns, and repeat the question.
 */
#include "dns/answer.h"

#include <ldns/ldns.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct zone *make_zone(void)
{
	struct addr self = {.family = 4, .ip = {10, 0, 0, 1}};
	struct zone_builder *b = zone_builder_new(ZONE_DEFAULT, "a", 1, "east", &self, 7);
	struct zone_port port = {"http", "tcp", 8080, 20000};

	zone_add_service(b, "s", "web", "r", 5, false, &port, 1);
	zone_add_service(b, "s", "log", "r", 0, true, &port, 1);
	for (uint32_t i = 0; i < 60; i++) {
		struct zone_endpoint e = {
		        .addr = {.family = i % 4 ? 4 : 6, .ip = {10, 0, 0, (uint8_t)(1 + i % 50)}},
		        .slot = i,
		        .peer = i,
		        .peer_name = i % 2 ? "a" : "b",
		        .zone_label = i % 3 ? "east" : "west",
		        .n_ports = 1,
		        .ports = &port};

		zone_add_endpoint(b, "s", i % 5 ? "web" : "log", &e);
	}
	zone_add_peer(b, "a", &self, 1);
	return zone_build(b);
}

static void check(const uint8_t *query, size_t len, const uint8_t *answer, size_t answer_len, size_t cap)
{
	ldns_pkt *pkt = NULL;

	if (answer_len > cap || answer_len < 12)
		abort();
	if (ldns_wire2pkt(&pkt, answer, answer_len) != LDNS_STATUS_OK)
		abort();
	if (!ldns_pkt_qr(pkt) || ldns_pkt_qdcount(pkt) > 1 || (query[2] & 0x80) || memcmp(query, answer, 2) != 0)
		abort();
	if (ldns_pkt_qdcount(pkt)) {
		/* Header, then a name without pointers: its end is where it is in both. */
		size_t at = 12;

		while (at < len && query[at])
			at += 1 + (size_t)query[at];
		if (at + 5 > len || at + 5 > answer_len || memcmp(query + 12, answer + 12, at + 5 - 12) != 0)
			abort();
	}
	ldns_pkt_free(pkt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t caps[] = {DNS_TCP_MAX, DNS_UDP_MAX, 512, 100};
	static struct zone *zone;
	static uint64_t shuffle;
	struct dns_counters counters = {0};
	bool tcp;
	size_t cap, len;
	uint8_t *out, *query;

	if (size < 1)
		return 0;
	if (!zone)
		zone = make_zone();
	tcp = data[0] & 1;
	cap = caps[data[0] >> 1 & 3];
	out = malloc(cap); /* both of their very sizes, for the sanitizer */
	query = malloc(size);
	memcpy(query, data + 1, size - 1);
	len = dns_answer(data[0] & 8 ? NULL : zone, query, size - 1, tcp, shuffle += 0x9e3779b97f4a7c15u, out,
	        cap, &counters);
	if (len)
		check(query, size - 1, out, len, cap);
	free(query);
	free(out);
	return 0;
}
