/*
 * Random zones against a model that is as plain as it can be: lists of services, endpoints and peers that are
 * searched for every question. Whatever is asked, ldns must be able to read the answer and it must hold exactly
 * the model's records. A failure prints the seed: SEED=N replays it alone.
 */
#include "tests/unit/dns/dns_test.h"

#include "base/drbg.h"

#include <stdlib.h>

#define ZONES           150
#define QUESTIONS       60
#define MODEL_SERVICES  6
#define MODEL_ENDPOINTS 24
#define MODEL_PEERS     4
#define MODEL_TEXT      65536

struct model {
	struct drbg rng;
	size_t n_services;
	struct {
		const char *stack, *name;
		uint32_t n_slots;
		bool global;
		struct zone_port port;
	} services[MODEL_SERVICES];
	size_t n_endpoints;
	struct {
		size_t service;
		struct zone_endpoint e;
		struct zone_port port;
	} endpoints[MODEL_ENDPOINTS];
	size_t n_peers;
	struct {
		const char *name, *label;
		struct addr addr;
	} peers[MODEL_PEERS];
	size_t self;
};

static const char *const stacks[] = {"shop", "blog", "a-b", "x"};
static const char *const names[] = {"web", "db", "my_svc", "api"};
static const char *const peer_names[] = {"p0", "p1", "p2", "p3"};
static const char *const labels[] = {"east", "west", NULL};

static size_t pick(struct model *m, size_t n)
{
	return (size_t)drbg_below(&m->rng, n);
}

static void make_model(struct model *m, uint64_t seed)
{
	memset(m, 0, sizeof(*m));
	drbg_init_u64(&m->rng, seed, 1);
	m->n_peers = 1 + pick(m, MODEL_PEERS);
	m->self = pick(m, m->n_peers);
	for (size_t i = 0; i < m->n_peers; i++) {
		m->peers[i].name = peer_names[i];
		m->peers[i].label = labels[pick(m, 3)];
		m->peers[i].addr = i % 2 ? ip("2001:db8::10") : ip("10.1.0.10");
		m->peers[i].addr.ip[i % 2 ? 15 : 3] = (uint8_t)(10 + i);
	}
	for (size_t i = 0, want = pick(m, MODEL_SERVICES + 1); i < want; i++) {
		const char *stack = stacks[pick(m, 4)], *name = names[pick(m, 4)];
		bool taken = false;

		for (size_t k = 0; k < m->n_services; k++)
			taken |= strcmp(m->services[k].stack, stack) == 0 &&
			         strcmp(m->services[k].name, name) == 0;
		if (taken)
			continue;
		m->services[m->n_services].stack = stack;
		m->services[m->n_services].name = name;
		m->services[m->n_services].n_slots = (uint32_t)pick(m, 5);
		m->services[m->n_services].global = pick(m, 3) == 0;
		m->services[m->n_services].port =
		        (struct zone_port){pick(m, 2) ? "http" : "8080", "tcp", 8080, 0};
		m->n_services++;
	}
	for (size_t i = 0; m->n_services && i < pick(m, MODEL_ENDPOINTS + 1); i++) {
		size_t s = pick(m, m->n_services), p = pick(m, m->n_peers);
		bool global = m->services[s].global, twice = false;
		uint32_t slot = global ? 0 : (uint32_t)pick(m, 6);

		/* One task per slot, or per peer: handovers have tests of their own. */
		for (size_t k = 0; k < m->n_endpoints; k++)
			twice |= m->endpoints[k].service == s &&
			         (global ? m->endpoints[k].e.peer == p + 1 : m->endpoints[k].e.slot == slot);
		if (twice)
			continue;
		m->endpoints[m->n_endpoints].service = s;
		m->endpoints[m->n_endpoints].port = m->services[s].port;
		m->endpoints[m->n_endpoints].port.port = (uint16_t)(20000 + m->n_endpoints);
		m->endpoints[m->n_endpoints].e = (struct zone_endpoint){.addr = m->peers[p].addr,
		        .slot = slot,
		        .peer = p + 1,
		        .peer_name = m->peers[p].name,
		        .zone_label = m->peers[p].label,
		        .n_ports = 1};
		m->n_endpoints++;
	}
}

static struct zone *build(struct model *m)
{
	struct zone_builder *b = zone_builder_new("starling.internal", m->peers[m->self].name, m->self + 1,
	        m->peers[m->self].label, &m->peers[0].addr, 7);

	for (size_t i = 0; i < m->n_endpoints; i++) {
		struct zone_endpoint e = m->endpoints[i].e;
		size_t s = m->endpoints[i].service;

		e.ports = &m->endpoints[i].port;
		zone_add_endpoint(b, m->services[s].stack, m->services[s].name, &e);
	}
	for (size_t i = 0; i < m->n_services; i++)
		zone_add_service(b, m->services[i].stack, m->services[i].name, "rev", m->services[i].n_slots,
		        m->services[i].global, &m->services[i].port, 1);
	for (size_t i = 0; i < m->n_peers; i++)
		zone_add_peer(b, m->peers[i].name, &m->peers[i].addr, 1);
	return zone_build(b);
}

/* --- what the model says of a name and a type --- */

struct truth {
	bool exists; /* the name, or something below it */
	char lines[64][512];
	size_t n;
};

static void says(
        struct truth *t, const char *name, const char *owner, uint16_t type, uint16_t wanted, const char *rdata)
{
	char line[512];
	size_t below = strlen(owner), len = strlen(name);

	/* A name exists when something is at it or below it. */
	if (below >= len && strcmp(owner + below - len, name) == 0 &&
	        (below == len || owner[below - len - 1] == '.'))
		t->exists = true;
	if (type != wanted || strcmp(owner, name) != 0)
		return;
	snprintf(line, sizeof(line), "%s %s %s", owner,
	        type == DNS_TYPE_A      ? "A"
	        : type == DNS_TYPE_AAAA ? "AAAA"
	        : type == DNS_TYPE_SRV  ? "SRV"
	                                : "TXT",
	        rdata);
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->lines[i], line) == 0)
			return;
	assert_true(t->n < ARRAY_LEN(t->lines));
	strcpy(t->lines[t->n++], line);
}

static void says_addr(struct truth *t, const char *name, const char *owner, uint16_t wanted, const struct addr *a)
{
	char text[ADDR_TEXT_MAX];

	addr_ip_text(text, a);
	says(t, name, owner, a->family == 4 ? DNS_TYPE_A : DNS_TYPE_AAAA, wanted, text);
}

static void says_ports(struct truth *t, const char *name, const char *base, uint16_t wanted,
        const struct zone_port *port, const char *target)
{
	char owner[400], rdata[400];

	snprintf(rdata, sizeof(rdata), "0 1 %u %s", port->port, target ? target : "");
	snprintf(owner, sizeof(owner), "_%s._tcp.%s", port->name, base);
	says(t, name, owner, target ? DNS_TYPE_SRV : 0, wanted, rdata);
	snprintf(owner, sizeof(owner), "_%u._tcp.%s", port->target, base);
	says(t, name, owner, target ? DNS_TYPE_SRV : 0, wanted, rdata);
}

static bool in_nearest(const struct model *m, size_t endpoint)
{
	const char *label = m->peers[m->self].label;
	bool same_peer = false, same_label = false;

	for (size_t i = 0; i < m->n_endpoints; i++) {
		if (m->endpoints[i].service != m->endpoints[endpoint].service)
			continue;
		same_peer |= m->endpoints[i].e.peer == m->self + 1;
		same_label |=
		        label && m->endpoints[i].e.zone_label && strcmp(m->endpoints[i].e.zone_label, label) == 0;
	}
	if (same_peer)
		return m->endpoints[endpoint].e.peer == m->self + 1;
	if (same_label)
		return m->endpoints[endpoint].e.zone_label &&
		       strcmp(m->endpoints[endpoint].e.zone_label, label) == 0;
	return true;
}

static void truth_of_service(const struct model *m, size_t s, struct truth *t, const char *name, uint16_t type)
{
	static const char *const scopes[] = {"", "tasks.", "nearest."};
	char base[256], owner[300], target[300];

	snprintf(base, sizeof(base), "%s.%s.starling.internal.", m->services[s].name, m->services[s].stack);
	for (size_t k = 0; k < ARRAY_LEN(scopes); k++) {
		snprintf(owner, sizeof(owner), "%s%s", scopes[k], base);
		says(t, name, owner, DNS_TYPE_TXT, type, "\"revision=rev\"");
		says_ports(t, name, owner, type, &m->services[s].port, NULL);
	}
	for (uint32_t slot = 0; slot < m->services[s].n_slots && !m->services[s].global; slot++) {
		snprintf(owner, sizeof(owner), "%u.%s", slot, base);
		says(t, name, owner, 0, type, "");
		says_ports(t, name, owner, type, &m->services[s].port, NULL);
	}
	for (size_t i = 0; i < m->n_endpoints; i++) {
		const struct zone_endpoint *e = &m->endpoints[i].e;

		if (m->endpoints[i].service != s)
			continue;
		if (m->services[s].global)
			snprintf(target, sizeof(target), "%s.%s", e->peer_name, base);
		else
			snprintf(target, sizeof(target), "%u.%s", e->slot, base);
		for (size_t k = 0; k < ARRAY_LEN(scopes); k++) {
			if (k == 2 && !in_nearest(m, i))
				continue;
			snprintf(owner, sizeof(owner), "%s%s", scopes[k], base);
			says_addr(t, name, owner, type, &e->addr);
			says_ports(t, name, owner, type, &m->endpoints[i].port, target);
		}
		says_addr(t, name, target, type, &e->addr);
		says_ports(t, name, target, type, &m->endpoints[i].port, target);
	}
}

static void truth_of(const struct model *m, struct truth *t, const char *name, uint16_t type)
{
	char owner[256];

	memset(t, 0, sizeof(*t));
	for (size_t s = 0; s < m->n_services; s++)
		truth_of_service(m, s, t, name, type);
	for (size_t i = 0; i < m->n_peers; i++) {
		snprintf(owner, sizeof(owner), "%s.node.starling.internal.", m->peers[i].name);
		says_addr(t, name, owner, type, &m->peers[i].addr);
	}
	says_addr(t, name, "ns.starling.internal.", type, &m->peers[0].addr);
}

static int line_order(const void *a, const void *b)
{
	return strcmp(a, b);
}

static const char *truth_text(struct truth *t)
{
	static char out[MODEL_TEXT];

	qsort(t->lines, t->n, sizeof(t->lines[0]), line_order);
	out[0] = '\0';
	for (size_t i = 0; i < t->n; i++) {
		if (i)
			strcat(out, "; ");
		strcat(out, t->lines[i]);
	}
	return out;
}

/* --- questions: mostly near what exists --- */

static void question(struct model *m, char *out, size_t cap)
{
	static const char *const first[] = {"", "", "tasks.", "nearest.", "0.", "1.", "4.", "5.", "p0.", "p1.",
	        "_tcp.", "_http._tcp.", "_8080._tcp.", "_http._udp.", "_8080._tcp.1.", "_http._tcp.tasks.",
	        "_http._tcp.nearest.", "_8080._tcp.p0.", "_tcp.2.", "nope.", "_http._tcp.0.", "_http._tcp.nope."};
	const char *prefix = first[pick(m, ARRAY_LEN(first))];

	switch (pick(m, 8)) {
	case 0:
		snprintf(out, cap, "%s.node.starling.internal.", peer_names[pick(m, 4)]);
		break;
	case 1:
		snprintf(out, cap, "%s%s.starling.internal.", prefix, stacks[pick(m, 4)]);
		break;
	default:
		snprintf(out, cap, "%s%s.%s.starling.internal.", prefix, names[pick(m, 4)], stacks[pick(m, 4)]);
	}
}

static void check(struct model *m, const struct zone *z, struct a *a)
{
	static const uint16_t types[] = {DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_SRV, DNS_TYPE_TXT};
	static struct truth t;
	uint16_t type = types[pick(m, ARRAY_LEN(types))];
	char name[256];
	struct q q;

	question(m, name, sizeof(name));
	truth_of(m, &t, name, type);
	q_simple(&q, name, type, pick(m, 2) ? DNS_UDP_MAX : 0);
	ask_raw(a, z, q.bytes, q.w.len, true, drbg_u64(&m->rng));
	if (rcode(a) != (t.exists ? LDNS_RCODE_NOERROR : LDNS_RCODE_NXDOMAIN))
		print_error("%s type %u\n", name, type);
	assert_int_equal(rcode(a), t.exists ? LDNS_RCODE_NOERROR : LDNS_RCODE_NXDOMAIN);
	assert_string_equal(answers(a), truth_text(&t));
	if (t.n)
		assert_int_equal(ldns_pkt_nscount(a->pkt), 0);
	else
		assert_string_equal(authority(a), SOA);
	/* Over UDP the same, or a part of it with TC. */
	ask_raw(a, z, q.bytes, q.w.len, false, drbg_u64(&m->rng));
	if (!ldns_pkt_tc(a->pkt))
		assert_string_equal(answers(a), truth_text(&t));
}

static uint64_t seed_at_work; /* 0: none failed */

static void every_answer_is_readable_and_holds_what_the_model_says(void **state)
{
	const char *only = getenv("SEED");
	uint64_t first = only ? strtoull(only, NULL, 0) : 1, n = only ? 1 : ZONES;
	struct a a = {0};

	(void)state;
	for (uint64_t seed = first; seed < first + n; seed++) {
		struct model m;
		struct zone *z;

		make_model(&m, seed);
		z = build(&m);
		seed_at_work = seed;
		for (int i = 0; i < QUESTIONS; i++)
			check(&m, z, &a);
		zone_unref(z);
	}
	seed_at_work = 0;
	a_free(&a);
}

static int tell_seed(void **state)
{
	(void)state;
	if (seed_at_work)
		print_error("replay with SEED=%llu\n", (unsigned long long)seed_at_work);
	return 0;
}

/* --- rotation and capacity --- */

static struct zone *many(uint32_t n)
{
	struct zone_builder *b = zone_builder_new("z", "a", 1, NULL, NULL, 1);
	static const struct zone_port p = {"http", "tcp", 80, 80};

	for (uint32_t i = 0; i < n; i++) {
		struct zone_endpoint e = {.addr = {.family = 4, .ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}},
		        .slot = i,
		        .peer = i,
		        .n_ports = 1,
		        .ports = &p};

		zone_add_endpoint(b, "s", "web", &e);
	}
	return zone_build(b);
}

static void each_address_is_first_equally_often(void **state)
{
	struct zone *z = many(5);
	struct a a = {0};
	struct q q;
	int seen[5] = {0};

	(void)state;
	q_simple(&q, "web.s.z", DNS_TYPE_A, DNS_UDP_MAX);
	for (uint64_t shuffle = 0; shuffle < 100; shuffle++) {
		ask_raw(&a, z, q.bytes, q.w.len, false, shuffle);
		assert_int_equal(ldns_pkt_ancount(a.pkt), 5);
		seen[ldns_rdf_data(ldns_rr_rdf(ldns_rr_list_rr(ldns_pkt_answer(a.pkt), 0), 0))[3]]++;
	}
	for (int i = 0; i < 5; i++)
		assert_int_equal(seen[i], 20);
	a_free(&a);
	zone_unref(z);
}

static void srv_additionals_have_no_doubles_wherever_the_answer_begins(void **state)
{
	struct zone_builder *b = zone_builder_new("z", "a", 1, NULL, NULL, 1);
	struct zone_port ports[] = {{"http", "tcp", 80, 1}, {"http", "tcp", 80, 2}, {"http", "tcp", 80, 3}};
	struct zone *z;
	struct a a = {0};
	struct q q;

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		struct zone_endpoint e = {.addr = {.family = 4, .ip = {10, 0, 0, (uint8_t)i}},
		        .slot = i,
		        .n_ports = i + 1,
		        .ports = ports};

		zone_add_endpoint(b, "s", "web", &e);
	}
	z = zone_build(b);
	q_simple(&q, "_http._tcp.web.s.z", DNS_TYPE_SRV, DNS_UDP_MAX);
	for (uint64_t shuffle = 0; shuffle < 12; shuffle++) {
		ask_raw(&a, z, q.bytes, q.w.len, false, shuffle);
		assert_int_equal(ldns_pkt_ancount(a.pkt), 6);
		assert_string_equal(
		        additional(&a), "0.web.s.z. A 10.0.0.0; 1.web.s.z. A 10.0.0.1; 2.web.s.z. A 10.0.0.2");
	}
	a_free(&a);
	zone_unref(z);
}

/* What a buffer cannot hold is left out; nothing is ever written past it. */
static void no_answer_exceeds_its_buffer(void **state)
{
	static const uint16_t types[] = {
	        DNS_TYPE_A, DNS_TYPE_SRV, DNS_TYPE_TXT, DNS_TYPE_SOA, DNS_TYPE_NS, DNS_TYPE_ANY, DNS_TYPE_AAAA};
	static const char *const asked[] = {"web.s.z", "_http._tcp.web.s.z", "z", "nope.z"};
	struct dns_counters c = {0};
	struct zone *z = many(60);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(asked) * ARRAY_LEN(types); i++) {
		struct q q;

		q_simple(&q, asked[i % ARRAY_LEN(asked)], types[i / ARRAY_LEN(asked)], i % 2 ? DNS_UDP_MAX : 0);
		for (size_t cap = 0; cap < 1300; cap += 1 + cap / 64) {
			uint8_t *out = malloc(cap ? cap : 1); /* of that very size, for the sanitizer */
			size_t len = dns_answer(z, q.bytes, q.w.len, i % 3 == 0, i, out, cap, &c);
			ldns_pkt *pkt = NULL;

			assert_true(len <= cap);
			if (len) {
				assert_int_equal(ldns_wire2pkt(&pkt, out, len), LDNS_STATUS_OK);
				ldns_pkt_free(pkt);
			}
			free(out);
		}
	}
	zone_unref(z);
}

/* 64 KiB hold some 4,000 addresses: beyond that even TCP gives a part, and says so. */
static void more_addresses_than_a_message_holds_are_cut_with_tc(void **state)
{
	struct zone *z = many(5000);
	struct a a = {0};
	struct q q;

	(void)state;
	q_simple(&q, "web.s.z", DNS_TYPE_A, DNS_UDP_MAX);
	ask_raw(&a, z, q.bytes, q.w.len, true, 12345);
	assert_true(ldns_pkt_tc(a.pkt));
	assert_int_equal(ldns_pkt_ancount(a.pkt), (65535 - 12 - 13 - 11) / 16);
	q_simple(&q, "_http._tcp.web.s.z", DNS_TYPE_SRV, DNS_UDP_MAX);
	ask_raw(&a, z, q.bytes, q.w.len, true, 12345);
	assert_true(ldns_pkt_tc(a.pkt));
	a_free(&a);
	zone_unref(z);
}

/* Targets beyond the reach of a 14-bit pointer simply get no additional records. */
static void targets_behind_16_kib_have_no_additionals(void **state)
{
	struct zone *z = many(600);
	struct a a = {0};
	struct q q;

	(void)state;
	q_simple(&q, "_http._tcp.web.s.z", DNS_TYPE_SRV, DNS_UDP_MAX);
	ask_raw(&a, z, q.bytes, q.w.len, true, 0);
	assert_false(ldns_pkt_tc(a.pkt));
	assert_int_equal(ldns_pkt_ancount(a.pkt), 600);
	assert_true(ldns_pkt_arcount(a.pkt) > 300 && ldns_pkt_arcount(a.pkt) < 600);
	a_free(&a);
	zone_unref(z);
}

static void random_bytes_never_crash_and_never_get_more_than_a_header_and_their_question(void **state)
{
	struct zone *z = small_zone();
	struct drbg rng;
	struct a a = {0};

	(void)state;
	drbg_init_u64(&rng, 7, 7);
	for (int i = 0; i < 20000; i++) {
		uint8_t bytes[128];
		size_t len = (size_t)drbg_below(&rng, sizeof(bytes));
		uint8_t *exact = malloc(len ? len : 1);

		drbg_bytes(&rng, bytes, sizeof(bytes));
		/* Half of them look like a query at first. */
		if (i % 2 && len > 6)
			memcpy(bytes + 2, "\1\0\0\1", 4);
		memcpy(exact, bytes, len);
		ask_raw(&a, z, exact, len, i % 3 == 0, 0);
		assert_true(a.len <= DNS_HEADER_LEN + len + DNS_OPT_LEN);
		free(exact);
	}
	a_free(&a);
	zone_unref(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_teardown(every_answer_is_readable_and_holds_what_the_model_says, tell_seed),
	        cmocka_unit_test(each_address_is_first_equally_often),
	        cmocka_unit_test(srv_additionals_have_no_doubles_wherever_the_answer_begins),
	        cmocka_unit_test(no_answer_exceeds_its_buffer),
	        cmocka_unit_test(more_addresses_than_a_message_holds_are_cut_with_tc),
	        cmocka_unit_test(targets_behind_16_kib_have_no_additionals),
	        cmocka_unit_test(random_bytes_never_crash_and_never_get_more_than_a_header_and_their_question),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
