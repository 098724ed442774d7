/* Numbers of the DNS protocol that we use, by their IANA names. */
#ifndef DNS_PROTO_H
#define DNS_PROTO_H

enum dns_type {
	DNS_TYPE_A = 1,
	DNS_TYPE_NS = 2,
	DNS_TYPE_SOA = 6,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_SRV = 33,
	DNS_TYPE_OPT = 41,
	DNS_TYPE_TKEY = 249,
	DNS_TYPE_TSIG = 250,
	DNS_TYPE_IXFR = 251,
	DNS_TYPE_AXFR = 252,
	DNS_TYPE_MAILB = 253,
	DNS_TYPE_MAILA = 254,
	DNS_TYPE_ANY = 255,
};

#define DNS_CLASS_IN 1

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_BADVERS = 16, /* its upper bits travel in the OPT record (RFC 6891, 6.1.3) */
};

/* Bytes of a message's header (RFC 1035, 4.1.1) and of an OPT record without options (RFC 6891, 6.1.2). */
#define DNS_HEADER_LEN 12
#define DNS_OPT_LEN    11
/* Bytes over UDP that every resolver takes, EDNS or not (RFC 1035, 2.3.4). */
#define DNS_UDP_PLAIN_MAX 512

#endif
