#include "dns/reverse.h"

static const uint8_t in_addr_arpa[] = "\7in-addr\4arpa";
static const uint8_t ip6_arpa[] = "\3ip6\4arpa";

/* One number of an IPv4 address: decimal, at most 255, no leading zero, so that each address has one name. */
static bool octet(const uint8_t *label, uint8_t *out)
{
	unsigned v = 0;

	if (label[0] > 3 || (label[0] > 1 && label[1] == '0'))
		return false;
	for (size_t i = 1; i <= label[0]; i++) {
		if (label[i] < '0' || label[i] > '9')
			return false;
		v = v * 10 + (unsigned)(label[i] - '0');
	}
	*out = (uint8_t)v;
	return v <= UINT8_MAX;
}

static bool nibble(const uint8_t *label, uint8_t *out)
{
	uint8_t c = label[1];

	if (label[0] != 1)
		return false;
	if (c >= '0' && c <= '9')
		*out = (uint8_t)(c - '0');
	else if (c >= 'a' && c <= 'f')
		*out = (uint8_t)(c - 'a' + 10);
	else
		return false;
	return true;
}

static bool ends_with(const struct dns_name *name, size_t labels, const uint8_t *suffix, size_t len)
{
	size_t at = name->n_labels == labels + 2 ? name->at[labels] : name->len;

	return name->len - at == len && memcmp(name->wire + at, suffix, len) == 0;
}

bool dns_reverse_address(struct addr *out, const struct dns_name *name)
{
	uint8_t v;

	memset(out, 0, sizeof(*out));
	if (ends_with(name, 4, in_addr_arpa, sizeof(in_addr_arpa))) {
		out->family = 4;
		for (size_t i = 0; i < 4; i++)
			if (!octet(name->wire + name->at[i], &out->ip[3 - i]))
				return false;
		return true;
	}
	if (ends_with(name, 32, ip6_arpa, sizeof(ip6_arpa))) {
		out->family = 6;
		for (size_t i = 0; i < 32; i++) {
			if (!nibble(name->wire + name->at[i], &v))
				return false;
			out->ip[15 - i / 2] |= (uint8_t)(i % 2 ? v << 4 : v);
		}
		return true;
	}
	return false;
}
