#include "dns/answer.h"

#include "dns/response.h"
#include "dns/reverse.h"

/* Offsets beyond 14 bits cannot be pointed to (RFC 1035, 4.1.4). */
#define POINTER_MAX 0x3fff

/* All items from the start-th on, round and round: each query begins elsewhere, and what has no room is another
 * part each time. Returns how many there was room for. */
static uint16_t put_set(struct response *r, size_t owner, const struct zone_set *set, uint32_t start)
{
	uint16_t n = 0;

	for (uint32_t i = 0; i < set->n && n < UINT16_MAX; i++, n++) {
		uint32_t at = start + i;

		if (!response_item(r, owner, set, at < set->n ? at : at - set->n))
			break;
	}
	return n;
}

/* A and AAAA of a name that the answer mentions, its owner a pointer to where. Sets go in whole or not at all;
 * what does not fit is left out silently (RFC 2181, 9). */
static void add_addresses(struct response *r, const struct zone_node *n, size_t owner)
{
	static const uint16_t types[] = {DNS_TYPE_A, DNS_TYPE_AAAA};

	if (owner > POINTER_MAX)
		return;
	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		const struct zone_set *set = zone_set_of(r->z, n, types[t]);
		size_t before = r->len;
		uint16_t put = set ? put_set(r, owner, set, 0) : 0;

		if (set && put < set->n)
			r->len = before;
		else
			r->additionals += put;
	}
}

/* The targets stand where put_set() wrote them: walk the answer section, which is ours and of one type. */
static void add_srv_targets(struct response *r, size_t at, const struct zone_set *set, uint32_t start)
{
	const struct zone_srv *srv = (const struct zone_srv *)(r->z->data + set->at);
	uint32_t first = srv[start].target, before = ZONE_NO_NODE;

	for (uint32_t i = 0; i < r->answers; i++) {
		uint32_t target = srv[(start + i) % set->n].target;

		/* Items are sorted by target: a double is the one before, or the first, when we began amid it. */
		if (target != before && (i == 0 || target != first))
			add_addresses(r, &r->z->nodes[target], at + 12 + 6);
		before = target;
		at += 12 + (size_t)(r->p[at + 10] << 8 | r->p[at + 11]);
	}
}

static void answer_set(struct response *r, const struct zone_set *set, uint64_t shuffle)
{
	uint32_t start = (uint32_t)(shuffle % set->n);
	size_t at = r->len;

	r->answers = put_set(r, DNS_HEADER_LEN, set, start);
	r->truncated = r->answers < set->n;
	if (set->type == DNS_TYPE_SRV)
		add_srv_targets(r, at, set, start);
	else if (set->type == DNS_TYPE_NS && r->answers)
		add_addresses(r, &r->z->nodes[r->z->ns], at + 12);
}

/* RFC 8482, 4.1: ANY gets one of the sets, the smallest, so that it is no use for amplification. */
static const struct zone_set *smallest_set(const struct zone *z, const struct zone_node *n)
{
	const struct zone_set *best = NULL;

	for (uint32_t i = 0; i < n->n_sets; i++)
		if (!best || z->sets[n->sets_at + i].n < best->n)
			best = &z->sets[n->sets_at + i];
	return best;
}

/* The name exists, or not, but what was asked for does not: SOA says for how long to believe it. */
static void deny(struct response *r, size_t soa_owner)
{
	if (response_soa(r, soa_owner))
		r->authorities = 1;
	else
		r->truncated = true;
}

/* Names of an address. Each address of ours counts as a zone of its own: its siblings are none of our business. */
static enum dns_rcode answer_reverse(struct response *r)
{
	struct addr ip;
	const struct zone_reverse *names;
	size_t n = 0;

	if (!dns_reverse_address(&ip, &r->q->name))
		return DNS_REFUSED;
	names = zone_find_reverse(r->z, &ip, &n);
	if (n == 0)
		return DNS_REFUSED;
	if (r->q->type != DNS_TYPE_PTR && r->q->type != DNS_TYPE_ANY) {
		deny(r, DNS_HEADER_LEN);
		return DNS_NOERROR;
	}
	for (size_t i = 0; i < n && r->answers < UINT16_MAX; i++) {
		r->truncated = !response_ptr(r, DNS_HEADER_LEN, &r->z->nodes[names[i].node]);
		if (r->truncated)
			break;
		r->answers++;
	}
	return DNS_NOERROR;
}

static enum dns_rcode answer_name(struct response *r, uint64_t shuffle)
{
	const struct zone_node *node;
	const struct zone_set *set = NULL;
	size_t rel_len;
	enum zone_found found = zone_find(r->z, &r->q->name, &node, &rel_len);

	if (found == ZONE_OUTSIDE)
		return answer_reverse(r);
	r->apex_at = DNS_HEADER_LEN + rel_len;
	if (found == ZONE_NAME_NONE) {
		deny(r, r->apex_at);
		return DNS_NXDOMAIN;
	}
	if (found == ZONE_NAME_NODE)
		set = r->q->type == DNS_TYPE_ANY ? smallest_set(r->z, node) : zone_set_of(r->z, node, r->q->type);
	if (set)
		answer_set(r, set, shuffle);
	else
		deny(r, r->apex_at);
	return DNS_NOERROR;
}

/* Questions that no zone is asked about. */
static enum dns_rcode check_question(const struct dns_query *q)
{
	switch (q->type) {
	case DNS_TYPE_OPT:
	case DNS_TYPE_TKEY:
	case DNS_TYPE_TSIG:
		return DNS_FORMERR;
	case DNS_TYPE_AXFR:
	case DNS_TYPE_IXFR:
		return DNS_REFUSED;
	case DNS_TYPE_MAILA:
	case DNS_TYPE_MAILB:
		return DNS_NOTIMP;
	default:
		return q->class == DNS_CLASS_IN ? DNS_NOERROR : DNS_REFUSED;
	}
}

static void count(struct dns_counters *c, enum dns_rcode rcode, const struct response *r)
{
	switch (rcode) {
	case DNS_NOERROR:
		if (r->answers || r->truncated)
			c->answers++;
		else
			c->nodata++;
		break;
	case DNS_FORMERR:
		c->formerr++;
		break;
	case DNS_SERVFAIL:
		c->servfail++;
		break;
	case DNS_NXDOMAIN:
		c->nxdomain++;
		break;
	case DNS_NOTIMP:
		c->notimp++;
		break;
	case DNS_REFUSED:
		c->refused++;
		break;
	case DNS_BADVERS:
		c->badvers++;
		break;
	}
	c->truncated += r->truncated;
}

static size_t size_limit(const struct dns_query *q, bool tcp, size_t cap)
{
	size_t limit = DNS_UDP_PLAIN_MAX;

	if (tcp)
		limit = DNS_TCP_MAX;
	else if (q->has_edns) /* less than 512 means 512 (RFC 6891, 6.2.3) */
		limit = MIN(MAX(q->udp_size, DNS_UDP_PLAIN_MAX), DNS_UDP_MAX);
	return MIN(limit, cap);
}

size_t dns_answer(const struct zone *z, const uint8_t *query, size_t len, bool tcp, uint64_t shuffle,
        uint8_t *out, size_t cap, struct dns_counters *counters)
{
	struct dns_query q;
	struct response r = {.z = z, .q = &q, .p = out};
	enum dns_rcode rcode;
	int fault = dns_query_read(&q, query, len);

	counters->queries++;
	if (fault < 0 || cap < response_fixed_len(&q)) {
		counters->dropped++;
		return 0;
	}
	response_begin(&r, query, size_limit(&q, tcp, cap));
	rcode = (enum dns_rcode)fault;
	if (rcode == DNS_NOERROR)
		rcode = check_question(&q);
	if (rcode == DNS_NOERROR)
		rcode = z ? answer_name(&r, shuffle) : DNS_SERVFAIL;
	count(counters, rcode, &r);
	return response_finish(&r, rcode);
}
