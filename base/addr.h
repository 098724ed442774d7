/* An IP address and port, without sockets: what configuration, packets and records carry. */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include "base/buf.h"

struct addr {
	uint8_t family; /* 4, 6, or 0 for none */
	uint16_t port;
	uint8_t ip[16]; /* the first 4 for family 4; the rest zero */
};

/* "192.0.2.1:7827" or "[2001:db8::1]:7827". default_port is taken where none is given; 0 makes it required. */
int addr_parse(struct addr *out, const char *text, uint16_t default_port, struct err *err);
/* An address alone, without a port: "192.0.2.1", "2001:db8::1". */
bool addr_parse_ip(struct addr *out, const char *text);
/* Longest text of an address with port, and its NUL. */
#define ADDR_TEXT_MAX 56
void addr_text(char out[ADDR_TEXT_MAX], const struct addr *a);
void addr_ip_text(char out[ADDR_TEXT_MAX], const struct addr *a);
bool addr_eq(const struct addr *a, const struct addr *b);
bool addr_ip_eq(const struct addr *a, const struct addr *b);
/* 0.0.0.0 or :: */
bool addr_is_any(const struct addr *a);
bool addr_is_loopback(const struct addr *a);
/* On the wire: family u8, port u16, 4 or 16 bytes (none for family 0). */
void addr_put(struct wr *w, const struct addr *a);
void addr_get(struct rd *r, struct addr *a);

#endif
