#include "dns/response.h"

#include "dns/answer.h"

#define SOA_REFRESH_S 60 /* nobody transfers the zone: the three times are what checkers expect of one */
#define SOA_RETRY_S   60
#define SOA_EXPIRE_S  3600
#define POINTER       0xc000
/* Equal, not zero: clients choose by weight, and weight 0 means almost never (RFC 2782). */
#define SRV_WEIGHT 1

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
bool response_soa(struct response *r, size_t owner)
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

bool response_item(struct response *r, size_t owner, const struct zone_set *set, uint32_t i)
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
		return response_soa(r, owner);
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

bool response_ptr(struct response *r, size_t owner, const struct zone_node *name)
{
	uint8_t *p = put_record(r, owner, DNS_TYPE_PTR, name_len(r, name, false));

	return p && put_name(r, p, name, false);
}

size_t response_fixed_len(const struct dns_query *q)
{
	return DNS_HEADER_LEN + (q->has_question ? q->question_len : 0) + (q->has_edns ? DNS_OPT_LEN : 0);
}

void response_begin(struct response *r, const uint8_t *query, size_t limit)
{
	r->cap = limit - (r->q->has_edns ? DNS_OPT_LEN : 0);
	r->len = DNS_HEADER_LEN;
	if (r->q->has_question) /* byte by byte, case and all: resolvers that mix the case compare it */
		memcpy(room(r, r->q->question_len), query + DNS_HEADER_LEN, r->q->question_len);
}

static void put_opt(struct response *r, enum dns_rcode rcode)
{
	uint8_t *p = r->p + r->len; /* response_begin() kept the room */

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

size_t response_finish(struct response *r, enum dns_rcode rcode)
{
	uint16_t flags = DNS_FLAG_QR | (r->q->flags & (DNS_OPCODE_MASK | DNS_FLAG_RD)) | (rcode & 15);

	if (r->answers || r->authorities || r->truncated)
		flags |= DNS_FLAG_AA;
	if (r->truncated)
		flags |= DNS_FLAG_TC;
	if (r->q->has_edns)
		put_opt(r, rcode);
	put_u16(r->p, r->q->id);
	put_u16(r->p + 2, flags);
	put_u16(r->p + 4, r->q->has_question);
	put_u16(r->p + 6, r->answers);
	put_u16(r->p + 8, r->authorities);
	put_u16(r->p + 10, r->additionals);
	return r->len;
}
