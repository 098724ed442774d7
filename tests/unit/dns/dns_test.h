/* Queries made by hand, answers read by ldns, and a small zone that most tests use. */
#ifndef TESTS_UNIT_DNS_TEST_H
#define TESTS_UNIT_DNS_TEST_H

#include "tests/unit/unit.h"

#include "base/addr.h"
#include "base/buf.h"
#include "dns/answer.h"
#include "dns/proto.h"

#include <ldns/ldns.h>

static inline struct addr ip(const char *text)
{
	struct addr a;

	assert_true(addr_parse_ip(&a, text));
	return a;
}

/* A query under construction, byte by byte as the RFCs draw it. */
struct q {
	uint8_t bytes[4096];
	struct wr w;
};

static inline void q_header(
        struct q *q, uint16_t id, uint16_t flags, uint16_t qd, uint16_t an, uint16_t ns, uint16_t ar)
{
	wr_fixed(&q->w, q->bytes, sizeof(q->bytes));
	wr_u16(&q->w, id);
	wr_u16(&q->w, flags);
	wr_u16(&q->w, qd);
	wr_u16(&q->w, an);
	wr_u16(&q->w, ns);
	wr_u16(&q->w, ar);
}

/* Keeps the case as it is written. */
static inline void q_name(struct q *q, const char *name)
{
	while (*name && *name != '.') {
		size_t n = strcspn(name, ".");

		wr_u8(&q->w, (uint8_t)n);
		wr_bytes(&q->w, name, n);
		name += n + (name[n] == '.');
	}
	wr_u8(&q->w, 0);
}

static inline void q_question(struct q *q, const char *name, uint16_t type, uint16_t class)
{
	q_name(q, name);
	wr_u16(&q->w, type);
	wr_u16(&q->w, class);
}

static inline void q_opt(
        struct q *q, uint16_t size, uint8_t version, bool dnssec_ok, const void *options, size_t len)
{
	wr_u8(&q->w, 0);
	wr_u16(&q->w, DNS_TYPE_OPT);
	wr_u16(&q->w, size);
	wr_u32(&q->w, (uint32_t)version << 16 | (dnssec_ok ? 0x8000 : 0));
	wr_u16(&q->w, (uint16_t)len);
	wr_bytes(&q->w, options, len);
}

/* One question, recursion desired as stub resolvers send it; edns 0: none, else the size announced. */
static inline void q_simple(struct q *q, const char *name, uint16_t type, uint16_t edns)
{
	q_header(q, 0x1234, 0x0100, 1, 0, 0, edns ? 1 : 0);
	q_question(q, name, type, DNS_CLASS_IN);
	if (edns)
		q_opt(q, edns, 0, false, NULL, 0);
}

/* What came back, as bytes and as ldns reads it. */
struct a {
	uint8_t bytes[DNS_TCP_MAX];
	size_t len;
	ldns_pkt *pkt;
	struct dns_counters c;
};

static inline void a_free(struct a *a)
{
	if (a->pkt)
		ldns_pkt_free(a->pkt);
	a->pkt = NULL;
}

/* Every response must be one that ldns can read, whole. */
static inline void ask_raw(
        struct a *a, const struct zone *z, const void *query, size_t len, bool tcp, uint64_t shuffle)
{
	a_free(a);
	memset(&a->c, 0, sizeof(a->c));
	a->len = dns_answer(z, query, len, tcp, shuffle, a->bytes, sizeof(a->bytes), &a->c);
	assert_int_equal(a->c.queries, 1);
	if (a->len)
		assert_int_equal(ldns_wire2pkt(&a->pkt, a->bytes, a->len), LDNS_STATUS_OK);
}

static inline void ask_q(struct a *a, const struct zone *z, const struct q *q)
{
	ask_raw(a, z, q->bytes, q->w.len, false, 0);
}

static inline void ask(struct a *a, const struct zone *z, const char *name, uint16_t type)
{
	struct q q;

	q_simple(&q, name, type, DNS_UDP_MAX);
	ask_q(a, z, &q);
}

static inline int rcode(const struct a *a)
{
	return ldns_pkt_get_rcode(a->pkt);
}

static inline int text_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The records of a section as text, without TTL and class, sorted, joined by "; ": "web.hello.starling.internal. A
 * 10.0.0.1; ...". */
static inline const char *section(ldns_rr_list *list)
{
	static char out[65536];
	size_t n = ldns_rr_list_rr_count(list);
	char **lines = calloc(n + 1, sizeof(*lines));

	for (size_t i = 0; i < n; i++) {
		ldns_rr *rr = ldns_rr_list_rr(list, i);
		char *owner = ldns_rdf2str(ldns_rr_owner(rr));
		char *type = ldns_rr_type2str(ldns_rr_get_type(rr));
		size_t len = (size_t)snprintf(NULL, 0, "%s %s", owner, type);
		char *line = malloc(2048);

		assert_true(len < 1024);
		len = (size_t)sprintf(line, "%s %s", owner, type);
		for (size_t k = 0; k < ldns_rr_rd_count(rr); k++) {
			char *rd = ldns_rdf2str(ldns_rr_rdf(rr, k));

			len += (size_t)snprintf(line + len, 2048 - len, " %s", rd);
			free(rd);
		}
		assert_int_equal(ldns_rr_ttl(rr), DNS_TTL_S);
		assert_int_equal(ldns_rr_get_class(rr), LDNS_RR_CLASS_IN);
		free(owner);
		free(type);
		lines[i] = line;
	}
	qsort(lines, n, sizeof(*lines), text_order);
	out[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		assert_true(strlen(out) + strlen(lines[i]) + 3 < sizeof(out));
		if (i)
			strcat(out, "; ");
		strcat(out, lines[i]);
		free(lines[i]);
	}
	free(lines);
	return out;
}

static inline const char *answers(const struct a *a)
{
	return section(ldns_pkt_answer(a->pkt));
}

static inline const char *authority(const struct a *a)
{
	return section(ldns_pkt_authority(a->pkt));
}

static inline const char *additional(const struct a *a)
{
	return section(ldns_pkt_additional(a->pkt));
}

#define SOA "starling.internal. SOA ns.starling.internal. hostmaster.starling.internal. 7 60 60 3600 1"

static inline void expect_nodata(const struct a *a)
{
	assert_int_equal(rcode(a), LDNS_RCODE_NOERROR);
	assert_int_equal(ldns_pkt_ancount(a->pkt), 0);
	assert_string_equal(authority(a), SOA);
	assert_true(ldns_pkt_aa(a->pkt));
	assert_int_equal(a->c.nodata, 1);
}

static inline void expect_nxdomain(const struct a *a)
{
	assert_int_equal(rcode(a), LDNS_RCODE_NXDOMAIN);
	assert_int_equal(ldns_pkt_ancount(a->pkt), 0);
	assert_string_equal(authority(a), SOA);
	assert_true(ldns_pkt_aa(a->pkt));
	assert_int_equal(a->c.nxdomain, 1);
}

#define PEER_A 0xa1
#define PEER_B 0xb2
#define PEER_C 0xc3

/*
 * Three peers a, b, c in two zones ("east": a, b; "west": c), seen from a or from whom self says. Stack hello:
 *
 *	web    4 slots; slots 0 (a), 1 (b), 2 (b) serve; port http = 8080 -> host ports 20000 to 20002
 *	api    2 slots, none serves; port 9000/tcp
 *	log    global, on a and c, udp port syslog = 514
 *	six    1 slot on c, at 2001:db8::3 and 10.0.0.3
 */
static inline struct zone *small_zone_seen_from(uint64_t self, const char *self_name, const char *label)
{
	struct addr a4 = ip("10.0.0.1"), b4 = ip("10.0.0.2"), c4 = ip("10.0.0.3"), c6 = ip("2001:db8::3");
	struct addr c_both[] = {c4, c6};
	struct zone_builder *b = zone_builder_new("starling.internal.", self_name, self, label, &a4, 7);
	struct zone_port http = {"http", "tcp", 8080, 0};
	struct zone_port nine = {"9000", "tcp", 9000, 0};
	struct zone_port syslog_port = {"syslog", "udp", 514, 514};
	struct zone_endpoint e = {.n_ports = 1, .ports = &http};

	zone_add_service(b, "hello", "web", "8c1d", 4, false, &http, 1);
	e.addr = a4, e.slot = 0, e.peer = PEER_A, e.peer_name = "a", e.zone_label = "east", http.port = 20000;
	zone_add_endpoint(b, "hello", "web", &e);
	e.addr = b4, e.slot = 1, e.peer = PEER_B, e.peer_name = "b", http.port = 20001;
	zone_add_endpoint(b, "hello", "web", &e);
	e.slot = 2, http.port = 20002;
	zone_add_endpoint(b, "hello", "web", &e);
	zone_add_service(b, "hello", "api", "8c1d", 2, false, &nine, 1);
	zone_add_service(b, "hello", "log", "8c1d", 0, true, &syslog_port, 1);
	e.ports = &syslog_port;
	e.addr = a4, e.slot = 0, e.peer = PEER_A, e.peer_name = "a";
	zone_add_endpoint(b, "hello", "log", &e);
	e.addr = c4, e.peer = PEER_C, e.peer_name = "c", e.zone_label = "west";
	zone_add_endpoint(b, "hello", "log", &e);
	zone_add_service(b, "hello", "six", "8c1d", 1, false, NULL, 0);
	e.n_ports = 0;
	zone_add_endpoint(b, "hello", "six", &e);
	e.addr = c6;
	zone_add_endpoint(b, "hello", "six", &e);
	zone_add_peer(b, "a", &a4, 1);
	zone_add_peer(b, "b", &b4, 1);
	zone_add_peer(b, "c", c_both, 2);
	return zone_build(b);
}

static inline struct zone *small_zone(void)
{
	return small_zone_seen_from(PEER_A, "a", "east");
}

#endif
