#include "base/addr.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <stdio.h>

bool addr_parse_ip(struct addr *out, const char *text)
{
	struct addr a = {0};

	if (inet_pton(AF_INET, text, a.ip) == 1)
		a.family = 4;
	else if (inet_pton(AF_INET6, text, a.ip) == 1)
		a.family = 6;
	else
		return false;
	*out = a;
	return true;
}

int addr_parse(struct addr *out, const char *text, uint16_t default_port, struct err *err)
{
	char host[ADDR_TEXT_MAX];
	const char *port = NULL;
	uint64_t number = default_port;
	size_t len;

	if (*text == '[') {
		const char *close = strchr(text, ']');

		if (!close || (close[1] && close[1] != ':'))
			return err_set(err, ERR_USAGE, "address %s: write IPv6 as [ADDRESS]:PORT", text);
		len = (size_t)(close - ++text);
		port = close[1] ? close + 2 : NULL;
	} else {
		const char *colon = strchr(text, ':');

		if (colon && strchr(colon + 1, ':')) /* a bare IPv6 address */
			colon = NULL;
		len = colon ? (size_t)(colon - text) : strlen(text);
		port = colon ? colon + 1 : NULL;
	}
	if (len >= sizeof(host))
		return err_set(err, ERR_USAGE, "address %.60s...: not an IP address", text);
	memcpy(host, text, len);
	host[len] = '\0';
	if (!addr_parse_ip(out, host))
		return err_set(
		        err, ERR_USAGE, "address %s: not an IP address; names are not looked up here", host);
	if (port && !text_u64(port, 0, 65535, &number))
		return err_set(err, ERR_USAGE, "address %s: port %s is not a number from 0 to 65535", host, port);
	if (!port && !default_port)
		return err_set(err, ERR_USAGE, "address %s: the port is missing; write %s:PORT", host, host);
	out->port = (uint16_t)number;
	return 0;
}

void addr_ip_text(char out[ADDR_TEXT_MAX], const struct addr *a)
{
	if (a->family == 4)
		inet_ntop(AF_INET, a->ip, out, ADDR_TEXT_MAX);
	else if (a->family == 6)
		inet_ntop(AF_INET6, a->ip, out, ADDR_TEXT_MAX);
	else
		text_copy(out, ADDR_TEXT_MAX, "-");
}

void addr_text(char out[ADDR_TEXT_MAX], const struct addr *a)
{
	char ip[ADDR_TEXT_MAX];

	addr_ip_text(ip, a);
	snprintf(out, ADDR_TEXT_MAX, a->family == 6 ? "[%.45s]:%u" : "%.45s:%u", ip, a->port);
}

bool addr_ip_eq(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && addr_ip_eq(a, b);
}

bool addr_is_any(const struct addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->ip, zero, sizeof(zero)) == 0;
}

bool addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = {[15] = 1};

	return a->family == 4 ? a->ip[0] == 127 : memcmp(a->ip, one, sizeof(one)) == 0;
}

void addr_put(struct wr *w, const struct addr *a)
{
	wr_u8(w, a->family);
	if (!a->family)
		return;
	wr_u16(w, a->port);
	wr_bytes(w, a->ip, a->family == 4 ? 4 : 16);
}

void addr_get(struct rd *r, struct addr *a)
{
	*a = (struct addr){.family = rd_u8(r)};
	if (!a->family)
		return;
	a->port = rd_u16(r);
	if (a->family == 4)
		rd_copy(r, a->ip, 4);
	else if (a->family == 6)
		rd_copy(r, a->ip, 16);
	else
		rd_fail(r, "unknown address family");
	if (!rd_ok(r))
		*a = (struct addr){0};
}
