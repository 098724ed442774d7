#include "dns/answer.h"

#include "dns/proto.h"
#include "dns/query.h"
#include "dns/reverse.h"
#include "dns/snapshot.h"

#define SOA_REFRESH_S 60 /* nobody transfers the zone: the three times are what checkers expect of one */
#define SOA_RETRY_S   60
#define SOA_EXPIRE_S  3600
/* Offsets beyond 14 bits cannot be pointed to (RFC 1035, 4.1.4). */
#define POINTER_MAX 0x3fff
#define POINTER     0xc000
/* Equal, not zero: clients choose by weight, and weight 0 means almost never (RFC 2782). */
#define SRV_WEIGHT 1

/* The response as it grows. Records are written whole or not at all. */
struct response {
	const struct zone *z;
	const struct dns_query *q;
	uint8_t *p;
	size_t len;
	size_t cap;     /* less the room that OPT will take */
	size_t apex_at; /* where the question ends with the apex, 0: it does not */
	uint16_t answers, authorities, additionals;
	bool truncated;
};

static void put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_u32(uint8_t *p, uint32_t v)
{
	put_u16(p, (uint16_t)(v >> 16));
	put_u16(p + 2, (uint16_t)v);
}

/* Room for len more bytes, or NULL. */
static uint8_t *room(struct response *r, size_t len)
{
	uint8_t *p = r->p + r->len;

	if (len > r->cap - r->len)
		return NULL;
	r->len += len;
	return p;
}

/* Owner (a pointer to offset owner), type, class, TTL; rdlen bytes of rdata follow at the place returned. */
static uint8_t *put_record(struct response *r, size_t owner, uint16_t type, size_t rdlen)
{
	uint8_t *p = room(r, 12 + rdlen);

	if (!p)
		return NULL;
	put_u16(p, (uint16_t)(POINTER | owner));
	put_u16(p + 2, type);
	put_u16(p + 4, DNS_CLASS_IN);
	put_u32(p + 6, DNS_TTL_S);
	put_u16(p + 10, (uint16_t)rdlen);
	return p + 12;
}

/* A name of the zone as rdata or owner, with the apex in full or as a pointer into the question. */
static size_t name_len(const struct response *r, const struct zone_node *n, bool compress)
{
	return n->name_len + (compress && r->apex_at ? 2 : (size_t)r->z->apex.len);
}

static uint8_t *put_apex(const struct response *r, uint8_t *p, bool compress)
{
	if (compress && r->apex_at) {
		put_u16(p, (uint16_t)(POINTER | r->apex_at));
		return p + 2;
	}
	memcpy(p, r->z->apex.wire, r->z->apex.len);
	return p + r->z->apex.len;
}

static uint8_t *put_name(const struct response *r, uint8_t *p, const struct zone_node *n, bool compress)
{
	memcpy(p, r->z->names + n->name_at, n->name_len);
	return put_apex(r, p + n->name_len, compress);
}

static const struct zone_node *node_at(const struct zone *z, uint32_t index)
{
	return &z->nodes[index];
}

/* The same record for the apex and, in negative answers, for the authority section (RFC 2308, 3). */
static bool put_soa(struct response *r, size_t owner)
{
	static const uint8_t hostmaster[] = "\12hostmaster"; /* the root byte is the apex' business */
	const struct zone_node *ns = node_at(r->z, r->z->ns);
	size_t apex_len = r->apex_at ? 2 : (size_t)r->z->apex.len;
	uint8_t *p = put_record(
	        r, owner, DNS_TYPE_SOA, name_len(r, ns, true) + sizeof(hostmaster) - 1 + apex_len + 20);

	if (!p)
		return false;
	p = put_name(r, p, ns, true);
	memcpy(p, hostmaster, sizeof(hostmaster) - 1);
	p = put_apex(r, p + sizeof(hostmaster) - 1, true);
	put_u32(p, r->z->serial);
	put_u32(p + 4, SOA_REFRESH_S);
	put_u32(p + 8, SOA_RETRY_S);
	put_u32(p + 12, SOA_EXPIRE_S);
	put_u32(p + 16, DNS_TTL_S); /* how long "no" may be believed (RFC 2308, 4) */
	return true;
}

static bool put_item(struct response *r, size_t owner, const struct zone_set *set, uint32_t i)
{
	const uint8_t *data = r->z->data + set->at;
	const struct zone_node *ns = node_at(r->z, r->z->ns);
	const struct zone_srv *srv;
	uint8_t *p;

	switch (set->type) {
	case DNS_TYPE_A:
		p = put_record(r, owner, set->type, 4);
		return p && memcpy(p, data + i * 4, 4);
	case DNS_TYPE_AAAA:
		p = put_record(r, owner, set->type, 16);
		return p && memcpy(p, data + i * 16, 16);
	case DNS_TYPE_TXT:
		p = put_record(r, owner, set->type, 1 + (size_t)data[0]);
		return p && memcpy(p, data, 1 + (size_t)data[0]);
	case DNS_TYPE_NS:
		p = put_record(r, owner, set->type, name_len(r, ns, true));
		return p && put_name(r, p, ns, true);
	case DNS_TYPE_SOA:
		return put_soa(r, owner);
	case DNS_TYPE_SRV:
		srv = (const struct zone_srv *)data + i;
		/* RFC 2782 keeps the target uncompressed. */
		p = put_record(r, owner, set->type, 6 + name_len(r, node_at(r->z, srv->target), false));
		if (!p)
			return false;
		put_u16(p, 0);
		put_u16(p + 2, SRV_WEIGHT);
		put_u16(p + 4, srv->port);
		put_name(r, p + 6, node_at(r->z, srv->target), false);
		return true;
	default:
		return false;
	}
}

/* All items from the start-th on, round and round: each query begins elsewhere, and what has no room is another
 * part each time. Returns how many there was room for. */
static uint16_t put_set(struct response *r, size_t owner, const struct zone_set *set, uint32_t start)
{
	uint16_t n = 0;

	for (uint32_t i = 0; i < set->n && n < UINT16_MAX; i++, n++) {
		uint32_t at = start + i;

		if (!put_item(r, owner, set, at < set->n ? at : at - set->n))
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
			add_addresses(r, node_at(r->z, target), at + 12 + 6);
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
		add_addresses(r, node_at(r->z, r->z->ns), at + 12);
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
	if (put_soa(r, soa_owner))
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
		const struct zone_node *node = node_at(r->z, names[i].node);
		uint8_t *p = put_record(r, DNS_HEADER_LEN, DNS_TYPE_PTR, name_len(r, node, false));

		r->truncated = !p;
		if (!p)
			break;
		put_name(r, p, node, false);
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

static void put_opt(struct response *r, enum dns_rcode rcode)
{
	uint8_t *p = r->p + r->len;

	p[0] = 0;
	put_u16(p + 1, DNS_TYPE_OPT);
	put_u16(p + 3, DNS_UDP_MAX);
	p[5] = (uint8_t)(rcode >> 4);
	p[6] = 0; /* the version that we speak */
	put_u16(p + 7, r->q->dnssec_ok ? 0x8000 : 0);
	put_u16(p + 9, 0);
	r->len += DNS_OPT_LEN;
	r->additionals++;
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
	size_t fixed;
	uint16_t flags;
	enum dns_rcode rcode;
	int fault = dns_query_read(&q, query, len);

	counters->queries++;
	fixed = DNS_HEADER_LEN + (q.has_question ? q.question_len : 0) + (q.has_edns ? DNS_OPT_LEN : 0);
	if (fault < 0 || cap < fixed) {
		counters->dropped++;
		return 0;
	}
	r.cap = size_limit(&q, tcp, cap) - (q.has_edns ? DNS_OPT_LEN : 0);
	r.len = DNS_HEADER_LEN;
	if (q.has_question) /* byte by byte, case and all: resolvers that mix the case compare it */
		memcpy(room(&r, q.question_len), query + DNS_HEADER_LEN, q.question_len);
	rcode = (enum dns_rcode)fault;
	if (rcode == DNS_NOERROR)
		rcode = check_question(&q);
	if (rcode == DNS_NOERROR)
		rcode = z ? answer_name(&r, shuffle) : DNS_SERVFAIL;
	count(counters, rcode, &r);

	flags = DNS_FLAG_QR | (q.flags & (DNS_OPCODE_MASK | DNS_FLAG_RD)) | (rcode & 15);
	if (r.answers || r.authorities || r.truncated)
		flags |= DNS_FLAG_AA;
	if (r.truncated)
		flags |= DNS_FLAG_TC;
	if (q.has_edns)
		put_opt(&r, rcode);
	put_u16(out, q.id);
	put_u16(out + 2, flags);
	put_u16(out + 4, q.has_question);
	put_u16(out + 6, r.answers);
	put_u16(out + 8, r.authorities);
	put_u16(out + 10, r.additionals);
	return r.len;
}
