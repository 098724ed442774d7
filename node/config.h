/* What one agent was told on its command line, checked, with defaults filled in (DESIGN sections 10 and 11). */
#ifndef NODE_CONFIG_H
#define NODE_CONFIG_H

#include "base/addr.h"
#include "base/limits.h"
#include "base/log.h"
#include "gossip/gossip.h"
#include "node/datadir.h"
#include "node/hostfacts.h"
#include "node/net/dns_server.h"
#include "placement/facts.h"

/* Peers: UDP and TCP. HTTP on this host. DNS where port 53 is not ours to take. */
#define PEER_PORT         7827
#define HTTP_PORT         7828
#define DNS_FALLBACK_PORT 7853

/* Bytes of a Unix socket's path, its NUL included: sun_path. */
#define ENGINE_PATH_MAX 108

/* The flags as given; NULL or an empty list: not given. Texts are borrowed for config_read() alone. */
struct config_flags {
	const char *data_dir;   /* --data DIR, resolved by the caller (data_dir_default()) */
	const char *name;       /* --name LABEL */
	const char *bind;       /* --bind ADDR[:PORT] */
	const char *advertise;  /* --advertise ADDR[:PORT] */
	const char *http;       /* --http ADDR:PORT, or "none" */
	const char *profile;    /* --profile lan | wan | local */
	const char *log_level;  /* --log debug | info | warn | error */
	const char *const *dns; /* --dns ADDR[:PORT], repeatable, or "none" alone */
	size_t n_dns;
	const char *const *labels; /* --label KEY=VALUE, repeatable */
	size_t n_labels;
	const char *const *resources; /* --resource KIND=N, repeatable */
	size_t n_resources;
	const char *reserve_cpu;    /* --reserve-cpu CORES */
	const char *reserve_memory; /* --reserve-memory SIZE */
	const char *engine_socket;  /* --engine-socket PATH, or "none" */
};

struct config {
	char data_dir[DATA_PATH_MAX];
	char name[NAME_MAX_BYTES]; /* a DNS label */
	struct addr bind;          /* port 0: any free one */
	struct addr advertise;     /* its port is 0 when bind's is: take peer_net_bound()'s */
	bool advertise_found;      /* nobody said which: it is what config_own_addr() found */
	struct addr http;          /* family 0: none */
	struct addr dns[DNS_LISTEN_MAX];
	size_t n_dns;
	bool dns_default; /* nobody said where: dns[0] is 127.78.27.53:53, and dns_fallback is for when it fails */
	struct addr dns_fallback; /* 127.0.0.1:7853 */
	size_t n_labels;
	struct kv labels[FACTS_LABELS_MAX]; /* sorted by key; owned */
	size_t n_generic;
	struct spec_generic generic[SPEC_GENERIC_MAX]; /* sorted by kind; owned */
	uint64_t reserve_cpu_milli, reserve_memory;    /* RESERVE_UNSET: the host's default */
	enum gossip_profile profile;
	enum log_level log_level;
	char engine_socket[ENGINE_PATH_MAX]; /* a path, "none", or "": the usual ones */
};

/* Looks at this host's name and interfaces for the defaults. On an error (ERR_USAGE, names the flag) out is as if
 * freed. */
int config_read(struct config *out, const struct config_flags *in, struct err *err);
void config_free(struct config *cfg);

/* "Web_1.example.org" -> "web-1": what a host's name gives as a peer's name; "peer" when nothing is left of it. */
void config_name_of_host(char out[NAME_MAX_BYTES], const char *host);
/* The address that this host reaches others from: the default route's, else the first global one of an interface,
 * else false. Nothing is sent. Port 0. */
bool config_host_addr(struct addr *out, uint8_t family);
/* The one that others reach a socket at which is bound to `bind`, the unspecified address of either family. */
bool config_own_addr(struct addr *out, const struct addr *bind);
/* Does an interface of this host that is up have this address? The port does not matter. */
bool config_host_has(const struct addr *addr);

#endif
