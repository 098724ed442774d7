#include "node/runtime/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

void ports_init(struct ports *p, uint16_t first, uint16_t last)
{
	memset(p, 0, sizeof(*p));
	p->first = first;
	p->last = last;
}

void ports_take(struct ports *p, uint16_t port)
{
	if (port >= p->first && port <= p->last)
		p->taken[port / 8] |= (uint8_t)(1 << port % 8);
}

void ports_release(struct ports *p, uint16_t port)
{
	p->taken[port / 8] &= (uint8_t) ~(1 << port % 8);
}

bool ports_taken(const struct ports *p, uint16_t port)
{
	return p->taken[port / 8] & 1 << port % 8;
}

static socklen_t to_sockaddr(struct sockaddr_storage *out, const struct addr *address, uint16_t port)
{
	memset(out, 0, sizeof(*out));
	if (address->family == 6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		memcpy(&in6->sin6_addr, address->ip, 16);
		return sizeof(*in6);
	}
	struct sockaddr_in *in = (struct sockaddr_in *)out;

	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	memcpy(&in->sin_addr, address->ip, 4);
	return sizeof(*in);
}

int port_try(const struct addr *address, uint16_t port, enum spec_proto proto)
{
	struct sockaddr_storage sa;
	socklen_t len = to_sockaddr(&sa, address, port);
	int type = proto == PROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;
	int fd = socket(sa.ss_family, type | SOCK_CLOEXEC, 0);
	int on = 1;
	int rc, saved;

	if (fd < 0)
		return -1;
	/* For UDP the option would let two sockets share the port, which is what this must find out. */
	if (proto == PROTO_TCP)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	rc = bind(fd, (struct sockaddr *)&sa, len);
	if (rc == 0 && proto == PROTO_TCP)
		rc = listen(fd, 1);
	saved = errno;
	close(fd);
	errno = saved;
	return rc;
}

static bool free_everywhere(uint16_t port, enum spec_proto proto)
{
	static const struct addr any4 = {.family = 4};
	static const struct addr any6 = {.family = 6};

	if (port_try(&any4, port, proto) < 0)
		return false;
	/* A host without IPv6 fails otherwise than by the port's being in use. */
	return port_try(&any6, port, proto) == 0 || errno != EADDRINUSE;
}

bool port_free_everywhere(uint16_t port, unsigned protos)
{
	return (!(protos & PORTS_TCP) || free_everywhere(port, PROTO_TCP)) &&
	       (!(protos & PORTS_UDP) || free_everywhere(port, PROTO_UDP));
}

uint16_t ports_find(struct ports *p, unsigned protos, uint64_t seed)
{
	uint32_t span = p->last < p->first ? 0 : (uint32_t)(p->last - p->first) + 1;
	uint32_t start = span ? (uint32_t)(seed % span) : 0;

	for (uint32_t i = 0; i < span; i++) {
		uint16_t port = (uint16_t)(p->first + (start + i) % span);

		if (ports_taken(p, port) || !port_free_everywhere(port, protos))
			continue;
		ports_take(p, port);
		return port;
	}
	return 0;
}

static bool alike(const struct spec_port *a, const struct spec_port *b)
{
	return a->mode == PORT_DYNAMIC && b->mode == PORT_DYNAMIC && a->target == b->target;
}

size_t ports_twin(const struct spec_port *ports, size_t n, size_t index)
{
	const struct spec_port *p = &ports[index];
	size_t rank = 0;

	for (size_t i = 0; i < index; i++)
		rank += alike(&ports[i], p) && ports[i].proto == p->proto;
	for (size_t i = 0; i < n; i++)
		if (alike(&ports[i], p) && ports[i].proto != p->proto && rank-- == 0)
			return i;
	return n;
}
