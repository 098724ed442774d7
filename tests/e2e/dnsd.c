/*
 * The agent's responder with a fixed zone, for clients that others wrote (test_dns_clients.py): `dnsd ADDR[:PORT]`
 * prints the address that it answers on, and ends with its standard input.
 *
 *	web.shop   3 slots, 2 serve (10.0.0.1, 10.0.0.2); port http = 8080 at 20001, 20002; revision r1
 *	idle.shop  2 slots, none serves
 *	six.shop   one slot at 2001:db8::1
 *	big.shop   100 slots at 10.1.0.0 to 10.1.0.99: more than fits into a datagram
 *	a, b       peers at 10.0.0.1 and 10.0.0.2
 */
#include "node/net/dns_server.h"

#include <stdio.h>

static void serve(struct zone_builder *b, const char *service, uint32_t slot, const char *ip, uint64_t peer,
        const struct zone_port *port)
{
	struct zone_endpoint e = {
	        .slot = slot, .peer = peer, .peer_name = "a", .n_ports = port ? 1 : 0, .ports = port};

	addr_parse_ip(&e.addr, ip);
	zone_add_endpoint(b, "shop", service, &e);
}

static struct zone *fixed_zone(const struct addr *self)
{
	struct zone_builder *b = zone_builder_new(ZONE_DEFAULT, "a", 1, NULL, self, 42);
	struct zone_port one = {"http", "tcp", 8080, 20001}, two = {"http", "tcp", 8080, 20002};
	struct addr peers[2];

	zone_add_service(b, "shop", "web", "r1", 3, false, &one, 1);
	serve(b, "web", 0, "10.0.0.1", 1, &one);
	serve(b, "web", 1, "10.0.0.2", 2, &two);
	zone_add_service(b, "shop", "idle", "r1", 2, false, &one, 1);
	zone_add_service(b, "shop", "six", "r1", 1, false, NULL, 0);
	serve(b, "six", 0, "2001:db8::1", 1, NULL);
	zone_add_service(b, "shop", "big", "r1", 100, false, NULL, 0);
	for (uint32_t i = 0; i < 100; i++) {
		char ip[ADDR_TEXT_MAX];

		snprintf(ip, sizeof(ip), "10.1.0.%u", i);
		serve(b, "big", i, ip, i, NULL);
	}
	addr_parse_ip(&peers[0], "10.0.0.1");
	addr_parse_ip(&peers[1], "10.0.0.2");
	zone_add_peer(b, "a", &peers[0], 1);
	zone_add_peer(b, "b", &peers[1], 1);
	return zone_build(b);
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct addr at;
	struct dns_server *server;
	struct zone *zone;
	char text[ADDR_TEXT_MAX];

	if (argc != 2 || addr_parse(&at, argv[1], 53, &err) < 0) {
		fprintf(stderr, "usage: dnsd ADDR[:PORT]\n");
		return 2;
	}
	server = dns_server_start(&at, 1, NULL, &err);
	if (!server) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	dns_server_addrs(server, &at, 1);
	zone = fixed_zone(&at);
	dns_server_swap(server, zone);
	zone_unref(zone);
	addr_text(text, &at);
	printf("%s\n", text);
	fflush(stdout);
	while (getchar() != EOF)
		continue;
	dns_server_stop(server);
	return 0;
}
