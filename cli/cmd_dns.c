/* starling dns query NAME [TYPE]: asks the responder as any resolver would, and says what the answer means. */
#include "base/addr.h"
#include "base/text.h"
#include "cli/client.h"
#include "cli/output.h"
#include "dns/zone.h"

#include <ldns/ldns.h>
#include <strings.h>

const struct cli_option cmd_dns_query_options[] = {
        {"server", 0, OPT_TEXT, "ADDR[:PORT]", "ask there; else where this agent answers"},
        {"tcp", 0, OPT_FLAG, NULL, "ask over TCP from the start"},
        {0},
};

/* Milliseconds for an answer when --timeout says nothing, and how often UDP is tried in it. */
#define QUERY_TIMEOUT_MS 5000
#define QUERY_TRIES      3
#define DNS_PORT         53

/* What the agent says of itself. A responder on all addresses is asked on the loopback. */
static int server_of_agent(struct cli *cli, struct addr *out, struct err *err)
{
	struct client *c = client_open(cli, err);
	json_t *status = c ? client_get(c, "status", NULL, false, err) : NULL;
	const char *text = json_string_value(json_object_get(json_object_get(status, "dns"), "address"));
	int rc = -1;

	if (status && !text)
		err_set(err, ERR_FAILED, "this agent answers no DNS (--dns none): name a server with --server");
	else if (!status)
		err_wrap(err, "ask the agent where it answers DNS (or give --server ADDR:PORT)");
	else
		rc = addr_parse(out, text, DNS_PORT, err);
	if (rc == 0 && addr_is_any(out)) {
		uint16_t port = out->port;

		addr_parse_ip(out, out->family == 6 ? "::1" : "127.0.0.1");
		out->port = port;
	}
	json_decref(status);
	client_close(c);
	return rc;
}

/* The name asked for: an address turned around, a name with its last dot as it stands, one that ends with our zone as
 * well; any other is taken to be in our zone, so that "web.hello" will do. */
static ldns_rdf *name_of(const char *text, struct err *err)
{
	size_t len = strlen(text), zone = strlen(ZONE_DEFAULT) - 1;
	bool whole = len && text[len - 1] == '.';
	bool ours = len >= zone && strncasecmp(text + len - zone, ZONE_DEFAULT, zone) == 0 &&
	            (len == zone || text[len - zone - 1] == '.');
	char full[512];
	ldns_rdf *address = NULL, *name = NULL;
	struct addr ip;

	if (addr_parse_ip(&ip, text)) {
		address = ldns_rdf_new_frm_data(
		        ip.family == 6 ? LDNS_RDF_TYPE_AAAA : LDNS_RDF_TYPE_A, ip.family == 6 ? 16 : 4, ip.ip);
		name = ldns_rdf_address_reverse(address);
		ldns_rdf_deep_free(address);
		return name;
	}
	if (len && (size_t)snprintf(full, sizeof(full), "%s%s", text,
	                   whole  ? ""
	                   : ours ? "."
	                          : "." ZONE_DEFAULT) < sizeof(full))
		name = ldns_dname_new_frm_str(full);
	if (!name)
		err_set(err, ERR_USAGE, "\"%s\" is no domain name: labels of 1-63 bytes joined by dots", text);
	return name;
}

/* Names that begin with an underscore are services, addresses have names. */
static int type_of(const struct cli *cli, ldns_rr_type *out, struct err *err)
{
	struct addr ip;

	if (cli->n_args > 1)
		*out = ldns_get_rr_type_by_name(cli->args[1]);
	else if (addr_parse_ip(&ip, cli->args[0]))
		*out = LDNS_RR_TYPE_PTR;
	else
		*out = *cli->args[0] == '_' ? LDNS_RR_TYPE_SRV : LDNS_RR_TYPE_A;
	if (*out == 0)
		return err_set(
		        err, ERR_USAGE, "\"%s\" is no record type: A, AAAA, SRV, TXT, PTR, ...", cli->args[1]);
	return 0;
}

static ldns_resolver *resolver_for(const struct cli *cli, const struct addr *server)
{
	int64_t ms = cli->timeout_ms ? cli->timeout_ms : QUERY_TIMEOUT_MS;
	ldns_resolver *r = ldns_resolver_new();
	ldns_rdf *address = ldns_rdf_new_frm_data(server->family == 6 ? LDNS_RDF_TYPE_AAAA : LDNS_RDF_TYPE_A,
	        server->family == 6 ? 16 : 4, server->ip);
	struct timeval each = {.tv_sec = ms / QUERY_TRIES / 1000, .tv_usec = ms / QUERY_TRIES % 1000 * 1000};

	ldns_resolver_push_nameserver(r, address);
	ldns_rdf_deep_free(address);
	ldns_resolver_set_port(r, server->port);
	ldns_resolver_set_timeout(r, each);
	ldns_resolver_set_retry(r, QUERY_TRIES);
	ldns_resolver_set_retrans(r, 0);
	ldns_resolver_set_edns_udp_size(r, 1232);
	ldns_resolver_set_fallback(r, true); /* truncated: once more over TCP */
	ldns_resolver_set_usevc(r, cli_flag(cli, "tcp"));
	ldns_resolver_set_recursive(r, true);
	return r;
}

/* One line that says what the answer means for a service. */
static void explain(char *out, size_t cap, const ldns_pkt *pkt, const char *name, const char *type)
{
	size_t n = ldns_pkt_ancount(pkt);

	switch (ldns_pkt_get_rcode(pkt)) {
	case LDNS_RCODE_NOERROR:
		if (n)
			snprintf(out, cap, "%s has %zu %s record%s%s", name, n, type, n == 1 ? "" : "s",
			        ldns_pkt_tc(pkt) ? ", and more than fit into one message" : "");
		else
			snprintf(out, cap,
			        "%s exists, but has no %s record now: a service without a healthy task, or a name that "
			        "has other types only",
			        name, type);
		return;
	case LDNS_RCODE_NXDOMAIN:
		snprintf(out, cap,
		        "%s does not exist: no such stack, service, slot, port or peer (`starling ls` shows "
		        "services; end a name with a dot to ask for it as it stands)",
		        name);
		return;
	case LDNS_RCODE_SERVFAIL:
		snprintf(out, cap, "the responder is not ready yet: its agent has not seen the flock's state");
		return;
	case LDNS_RCODE_REFUSED:
		snprintf(out, cap,
		        "the responder does not answer for %s: only for its own zone and for the "
		        "addresses of peers and tasks",
		        name);
		return;
	default:
		snprintf(out, cap, "the responder could not do anything with the question");
	}
}

static char *rdata_text(const ldns_rr *rr)
{
	ldns_buffer *b = ldns_buffer_new(512);
	char *text;

	for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
		char *one = ldns_rdf2str(ldns_rr_rdf(rr, i));

		ldns_buffer_printf(b, "%s%s", i ? " " : "", one ? one : "");
		free(one);
	}
	text = ldns_buffer_export2str(b);
	ldns_buffer_free(b);
	return text;
}

static json_t *section_json(const ldns_rr_list *list)
{
	json_t *out = json_array();

	for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
		const ldns_rr *rr = ldns_rr_list_rr(list, i);
		char *name = ldns_rdf2str(ldns_rr_owner(rr));
		char *type = ldns_rr_type2str(ldns_rr_get_type(rr));
		char *data = rdata_text(rr);

		json_array_append_new(out, json_pack("{s:s, s:I, s:s, s:s}", "name", name, "ttl",
		                                   (json_int_t)ldns_rr_ttl(rr), "type", type, "data", data));
		free(name);
		free(type);
		free(data);
	}
	return out;
}

static json_t *answer_json(
        const ldns_pkt *pkt, const char *server, const char *name, const char *type, const char *meaning)
{
	char *rcode = ldns_pkt_rcode2str(ldns_pkt_get_rcode(pkt));
	json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:I, s:o, s:o, s:o, s:s}", "server", server,
	        "name", name, "type", type, "rcode", rcode, "authoritative", ldns_pkt_aa(pkt), "truncated",
	        ldns_pkt_tc(pkt), "query_ms", (json_int_t)ldns_pkt_querytime(pkt), "answers",
	        section_json(ldns_pkt_answer(pkt)), "authority", section_json(ldns_pkt_authority(pkt)),
	        "additional", section_json(ldns_pkt_additional(pkt)), "meaning", meaning);

	free(rcode);
	return out;
}

static void print_section(FILE *out, const char *title, const json_t *list)
{
	const json_t *rr;
	size_t i;

	if (json_array_size(list))
		fprintf(out, ";; %s\n", title);
	json_array_foreach (list, i, rr)
		fprintf(out, "%-40s %3lld  IN  %-5s %s\n", json_string_value(json_object_get(rr, "name")),
		        (long long)json_integer_value(json_object_get(rr, "ttl")),
		        json_string_value(json_object_get(rr, "type")),
		        json_string_value(json_object_get(rr, "data")));
}

static void print_answer(const struct cli *cli, const json_t *a)
{
	const json_t *rr;
	size_t i;

	if (cli->format == FORMAT_JSON) {
		out_json(cli->out, a);
		return;
	}
	if (cli->quiet) {
		json_array_foreach (json_object_get(a, "answers"), i, rr)
			fprintf(cli->out, "%s\n", json_string_value(json_object_get(rr, "data")));
		return;
	}
	fprintf(cli->out, ";; %s %s at %s: %s, %lld ms\n", json_string_value(json_object_get(a, "name")),
	        json_string_value(json_object_get(a, "type")), json_string_value(json_object_get(a, "server")),
	        json_string_value(json_object_get(a, "rcode")),
	        (long long)json_integer_value(json_object_get(a, "query_ms")));
	print_section(cli->out, "answer", json_object_get(a, "answers"));
	print_section(cli->out, "authority", json_object_get(a, "authority"));
	print_section(cli->out, "additional", json_object_get(a, "additional"));
	fprintf(cli->out, ";; %s\n", json_string_value(json_object_get(a, "meaning")));
}

/* Asks and prints. Returns the exit code: 0 when there are records, 1 when there are none, as scripts want it. */
static int ask(struct cli *cli, const struct addr *server, ldns_rdf *name, ldns_rr_type type, struct err *err)
{
	char where[ADDR_TEXT_MAX], meaning[768];
	ldns_resolver *r = resolver_for(cli, server);
	char *name_text = ldns_rdf2str(name), *type_text = ldns_rr_type2str(type);
	ldns_pkt *pkt = NULL;
	ldns_status status = ldns_resolver_send(&pkt, r, name, type, LDNS_RR_CLASS_IN, LDNS_RD);
	int code;

	addr_text(where, server);
	if (status == LDNS_STATUS_OK && pkt) {
		json_t *a;

		explain(meaning, sizeof(meaning), pkt, name_text, type_text);
		a = answer_json(pkt, where, name_text, type_text, meaning);
		print_answer(cli, a);
		json_decref(a);
		code = ldns_pkt_ancount(pkt) ? 0 : ERR_FAILED;
	} else {
		err_set(err, ERR_TIMEOUT,
		        "ask %s for %s: no answer (%s); is an agent listening there? `starling "
		        "status` says where it answers",
		        where, name_text, ldns_get_errorstr_by_id(status));
		code = cli_fail(cli, err);
	}
	ldns_pkt_free(pkt);
	free(name_text);
	free(type_text);
	ldns_resolver_deep_free(r);
	return code;
}

int cmd_dns_query(struct cli *cli)
{
	const char *at = cli_text(cli, "server");
	struct err err = {0};
	struct addr server;
	ldns_rr_type type;
	ldns_rdf *name;
	int code;

	if (type_of(cli, &type, &err) < 0 ||
	        (at ? addr_parse(&server, at, DNS_PORT, &err) : server_of_agent(cli, &server, &err)) < 0)
		return cli_fail(cli, &err);
	name = name_of(cli->args[0], &err);
	if (!name)
		return cli_fail(cli, &err);
	code = ask(cli, &server, name, type, &err);
	ldns_rdf_deep_free(name);
	return code;
}
