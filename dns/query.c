#include "dns/query.h"

#include "base/buf.h"
#include "dns/proto.h"

/* The DO bit in an OPT record's TTL (RFC 3225, 3). */
#define EDNS_DO 0x8000

/* Options are code, length, bytes; none changes our answers, but a cut-off one is an error (RFC 6891, 6.1.2). */
static bool options_ok(const uint8_t *bytes, size_t len)
{
	struct rd r;

	rd_init(&r, bytes, len);
	while (rd_ok(&r) && rd_left(&r)) {
		rd_u16(&r);
		rd_bytes(&r, rd_u16(&r));
	}
	return rd_ok(&r);
}

/* Steps over one record behind the question, taking what is ours from an OPT. */
static bool read_record(struct dns_query *q, const uint8_t *msg, size_t len, size_t *at, bool additional)
{
	size_t name_at = *at;
	size_t next = dns_name_skip(msg, len, *at);
	struct rd r;
	uint16_t type, class, rdlen;
	uint32_t ttl;
	const uint8_t *rdata;

	if (next == 0)
		return false;
	rd_init(&r, msg + next, len - next);
	type = rd_u16(&r);
	class = rd_u16(&r);
	ttl = rd_u32(&r);
	rdlen = rd_u16(&r);
	rdata = rd_bytes(&r, rdlen);
	if (!rd_ok(&r))
		return false;
	*at = len - rd_left(&r);
	if (type != DNS_TYPE_OPT)
		return true;
	/* One at most, of the root, among the additional records (RFC 6891, 6.1.1). */
	if (!additional || q->has_edns || msg[name_at] != 0)
		return false;
	q->has_edns = true;
	q->udp_size = class;
	q->edns_version = (uint8_t)(ttl >> 16);
	q->dnssec_ok = ttl & EDNS_DO;
	/* Another version may mean another layout: it is answered BADVERS whatever it holds. */
	return q->edns_version > 0 || options_ok(rdata, rdlen);
}

int dns_query_read(struct dns_query *q, const uint8_t *bytes, size_t len)
{
	struct rd r;
	uint32_t questions, before_additional, records;
	size_t at;

	q->has_question = false;
	q->has_edns = false;
	q->edns_version = 0;
	q->dnssec_ok = false;
	rd_init(&r, bytes, len);
	q->id = rd_u16(&r);
	q->flags = rd_u16(&r);
	questions = rd_u16(&r);
	before_additional = rd_u16(&r);
	before_additional += rd_u16(&r);
	records = before_additional + rd_u16(&r);
	if (!rd_ok(&r) || q->flags & DNS_FLAG_QR)
		return -1;
	if (q->flags & DNS_OPCODE_MASK)
		return DNS_NOTIMP;
	if (questions != 1) /* RFC 9619 */
		return DNS_FORMERR;
	at = dns_name_read(&q->name, bytes + DNS_HEADER_LEN, len - DNS_HEADER_LEN);
	if (at == 0 || len - DNS_HEADER_LEN - at < 4)
		return DNS_FORMERR;
	rd_bytes(&r, at);
	q->type = rd_u16(&r);
	q->class = rd_u16(&r);
	q->question_len = at + 4;
	q->has_question = true;
	at += DNS_HEADER_LEN + 4;
	/* Each record takes at least 11 bytes, so that len bounds this whatever the counts say. */
	for (uint32_t i = 0; i < records; i++)
		if (!read_record(q, bytes, len, &at, i >= before_additional))
			return DNS_FORMERR;
	if (at != len)
		return DNS_FORMERR;
	return q->edns_version > 0 ? DNS_BADVERS : DNS_NOERROR;
}
