/* struct addr to and from what the kernel wants. */
#ifndef NODE_NET_SOCKADDR_H
#define NODE_NET_SOCKADDR_H

#include "base/addr.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* Room for both families; half the size of sockaddr_storage. */
union sockaddr_ip {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* family: of the socket, AF_INET or AF_INET6. An IPv4 address on an IPv6 socket is mapped (RFC 4291, 2.5.5.2).
 * Returns the length, or 0 when the socket cannot carry the address. */
socklen_t sockaddr_from(union sockaddr_ip *out, const struct addr *a, int family);
/* A mapped IPv4 address comes out as family 4, so that one host has one address. Family 0 for others. */
void sockaddr_to(struct addr *out, const union sockaddr_ip *sa);
/* Address family of a socket for this address. */
int sockaddr_family(const struct addr *a);

#endif
