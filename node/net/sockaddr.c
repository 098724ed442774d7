#include "node/net/sockaddr.h"

#include <arpa/inet.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

int sockaddr_family(const struct addr *a)
{
	return a->family == 6 ? AF_INET6 : AF_INET;
}

socklen_t sockaddr_from(union sockaddr_ip *out, const struct addr *a, int family)
{
	memset(out, 0, sizeof(*out));
	if (family == AF_INET && a->family == 4) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(a->port);
		memcpy(&out->v4.sin_addr, a->ip, 4);
		return sizeof(out->v4);
	}
	if (family != AF_INET6 || (a->family != 4 && a->family != 6))
		return 0;
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = htons(a->port);
	if (a->family == 4) {
		memcpy(out->v6.sin6_addr.s6_addr, mapped, sizeof(mapped));
		memcpy(out->v6.sin6_addr.s6_addr + sizeof(mapped), a->ip, 4);
	} else {
		memcpy(out->v6.sin6_addr.s6_addr, a->ip, 16);
	}
	return sizeof(out->v6);
}

void sockaddr_to(struct addr *out, const union sockaddr_ip *sa)
{
	const uint8_t *ip6 = sa->v6.sin6_addr.s6_addr;

	*out = (struct addr){0};
	if (sa->sa.sa_family == AF_INET) {
		out->family = 4;
		out->port = ntohs(sa->v4.sin_port);
		memcpy(out->ip, &sa->v4.sin_addr, 4);
	} else if (sa->sa.sa_family == AF_INET6) {
		out->port = ntohs(sa->v6.sin6_port);
		if (memcmp(ip6, mapped, sizeof(mapped)) == 0) {
			out->family = 4;
			memcpy(out->ip, ip6 + sizeof(mapped), 4);
		} else {
			out->family = 6;
			memcpy(out->ip, ip6, 16);
		}
	}
}
