#include "node/config.h"

#include "base/text.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes of a label's key and of its value: 32 of them stay within a facts record. */
#define LABEL_KEY_MAX   64
#define LABEL_VALUE_MAX 128

/* Names that stand for something else in DNS (DESIGN section 9). */
static bool is_reserved(const char *name)
{
	static const char *const words[] = {"node", "tasks", "nearest"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(name, words[i]) == 0)
			return true;
	return strspn(name, "0123456789") == strlen(name);
}

void config_name_of_host(char out[NAME_MAX_BYTES], const char *host)
{
	char label[NAME_MAX_BYTES];
	size_t len = 0;

	for (; *host && *host != '.' && len < sizeof(label) - 1; host++) {
		char c = *host;

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
			c = '-';
		if (c != '-' || len > 0)
			label[len++] = c;
	}
	while (len > 0 && label[len - 1] == '-')
		len--;
	label[len] = '\0';
	if (!len)
		text_copy(out, NAME_MAX_BYTES, "peer");
	else if (is_reserved(label))
		snprintf(out, NAME_MAX_BYTES, "peer-%.58s", label);
	else
		text_copy(out, NAME_MAX_BYTES, label);
}

static int read_name(struct config *out, const char *name, struct err *err)
{
	char host[256] = {0};

	if (!name) {
		if (gethostname(host, sizeof(host) - 1) < 0)
			host[0] = '\0';
		config_name_of_host(out->name, host);
		return 0;
	}
	if (!text_is_label(name, false))
		return err_set(err, ERR_USAGE,
		        "--name %.80s: a peer's name is a DNS label: 1 to 63 of a-z, 0-9 and -, no - at either end",
		        name);
	if (is_reserved(name))
		return err_set(err, ERR_USAGE,
		        "--name %s: means something else in DNS (node, tasks, nearest and numbers are taken)",
		        name);
	text_copy(out->name, sizeof(out->name), name);
	return 0;
}

static bool addr_of_sockaddr(struct addr *out, const struct sockaddr *sa)
{
	*out = (struct addr){0};
	if (sa->sa_family == AF_INET) {
		out->family = 4;
		memcpy(out->ip, &((const struct sockaddr_in *)sa)->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		out->family = 6;
		memcpy(out->ip, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
	}
	return out->family != 0;
}

/* Can peers elsewhere reach it? Not loopback, not link-local (RFC 3927, RFC 4291). */
static bool is_global(const struct addr *a)
{
	if (addr_is_loopback(a) || addr_is_any(a))
		return false;
	if (a->family == 4)
		return !(a->ip[0] == 169 && a->ip[1] == 254);
	return !(a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80);
}

/* Connecting a UDP socket sends nothing; it asks the kernel which source address that route has. The targets are
 * for documentation (RFC 5737, RFC 3849): they follow the default route. */
static bool default_route_addr(struct addr *out, uint8_t family)
{
	struct sockaddr_in to4 = {
	        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0xc0000201)};
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6,
	        .sin6_port = htons(9),
	        .sin6_addr.s6_addr = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
	const struct sockaddr *to = family == 4 ? (struct sockaddr *)&to4 : (struct sockaddr *)&to6;
	socklen_t len = family == 4 ? sizeof(to4) : sizeof(to6);
	struct sockaddr_storage own;
	bool found = false;
	int fd = socket(to->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	if (connect(fd, to, len) == 0) {
		len = sizeof(own);
		found = getsockname(fd, (struct sockaddr *)&own, &len) == 0 &&
		        addr_of_sockaddr(out, (struct sockaddr *)&own) && is_global(out);
	}
	close(fd);
	return found;
}

bool config_host_addr(struct addr *out, uint8_t family)
{
	struct ifaddrs *all;
	bool found = false;

	if (default_route_addr(out, family))
		return true;
	if (getifaddrs(&all) < 0)
		return false;
	for (struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
		struct addr a;

		if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || !addr_of_sockaddr(&a, i->ifa_addr))
			continue;
		if (a.family == family && is_global(&a)) {
			*out = a;
			found = true;
		}
	}
	freeifaddrs(all);
	return found;
}

bool config_own_addr(struct addr *out, const struct addr *bind)
{
	/* :: listens on IPv4 as well, and more hosts have that. */
	return config_host_addr(out, 4) || (bind->family == 6 && config_host_addr(out, 6));
}

bool config_host_has(const struct addr *addr)
{
	struct ifaddrs *all;
	bool found = false;

	if (getifaddrs(&all) < 0)
		return true; /* not known to be gone */
	for (struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
		struct addr a;

		if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || !addr_of_sockaddr(&a, i->ifa_addr))
			continue;
		a.port = addr->port;
		found = addr_eq(&a, addr);
	}
	freeifaddrs(all);
	return found;
}

static int read_advertise(struct config *out, const char *text, struct err *err)
{
	bool dual = out->bind.family == 6 && addr_is_any(&out->bind);

	if (text) {
		/* Port 0 stands for "the one that was bound". */
		if (addr_parse(&out->advertise, text, out->bind.port ? out->bind.port : PEER_PORT, err) < 0)
			return err_wrap(err, "--advertise");
		if (!out->bind.port)
			out->advertise.port = 0;
		if (addr_is_any(&out->advertise))
			return err_set(err, ERR_USAGE,
			        "--advertise %s: not an address that other peers can send to; give one of this host's",
			        text);
		if (out->advertise.family != out->bind.family && !dual)
			return err_set(err, ERR_USAGE,
			        "--advertise %s: the agent does not listen on IPv%u; give --bind too", text,
			        out->advertise.family);
		return 0;
	}
	if (!addr_is_any(&out->bind)) {
		out->advertise = out->bind;
		return 0;
	}
	out->advertise_found = true;
	if (!config_own_addr(&out->advertise, &out->bind)) {
		log_warn("config",
		        "this host has no address that others could reach: only peers on this host can "
		        "talk to this one until --advertise ADDR says otherwise");
		addr_parse_ip(&out->advertise, "127.0.0.1");
	}
	out->advertise.port = out->bind.port;
	return 0;
}

static int read_http(struct config *out, const char *text, struct err *err)
{
	char shown[ADDR_TEXT_MAX];

	if (text && strcmp(text, "none") == 0)
		return 0;
	if (addr_parse(&out->http, text ? text : "127.0.0.1", HTTP_PORT, err) < 0)
		return err_wrap(err, "--http");
	addr_text(shown, &out->http);
	if (!addr_is_loopback(&out->http))
		return err_set(err, ERR_USAGE,
		        "--http %s: HTTP answers on this host only (127.0.0.1 or another loopback address) until it can "
		        "ask for a token",
		        shown);
	return 0;
}

static int read_dns(struct config *out, const struct config_flags *in, struct err *err)
{
	addr_parse(&out->dns_fallback, "127.0.0.1", DNS_FALLBACK_PORT, NULL);
	if (!in->n_dns) {
		out->dns_default = true;
		out->n_dns = 1;
		return addr_parse(&out->dns[0], "127.78.27.53", 53, err);
	}
	if (in->n_dns == 1 && strcmp(in->dns[0], "none") == 0)
		return 0;
	if (in->n_dns > DNS_LISTEN_MAX)
		return err_set(err, ERR_USAGE, "--dns: given %zu times, at most %d", in->n_dns, DNS_LISTEN_MAX);
	for (size_t i = 0; i < in->n_dns; i++)
		if (addr_parse(&out->dns[i], in->dns[i], 53, err) < 0)
			return err_wrap(err, "--dns");
	out->n_dns = in->n_dns;
	return 0;
}

static int read_label(struct config *out, const char *text, struct err *err)
{
	const char *eq = strchr(text, '=');
	char key[LABEL_KEY_MAX];
	size_t at = 0;
	int order = -1;

	if (!eq || eq == text)
		return err_set(err, ERR_USAGE, "--label %.80s: write KEY=VALUE", text);
	if ((size_t)(eq - text) >= sizeof(key) || strlen(eq + 1) >= LABEL_VALUE_MAX)
		return err_set(err, ERR_USAGE, "--label %.40s...: a key has at most %d bytes, a value %d", text,
		        LABEL_KEY_MAX - 1, LABEL_VALUE_MAX - 1);
	if (!text_is_utf8(text, strlen(text)))
		return err_set(err, ERR_USAGE, "--label: not valid UTF-8");
	if (out->n_labels == FACTS_LABELS_MAX)
		return err_set(err, ERR_USAGE, "--label: more than %d", FACTS_LABELS_MAX);
	text_copy(key, (size_t)(eq - text) + 1, text);
	while (at < out->n_labels && (order = strcmp(out->labels[at].key, key)) < 0)
		at++;
	if (at < out->n_labels && order == 0)
		return err_set(err, ERR_USAGE, "--label %s: its key was given twice", text);
	memmove(&out->labels[at + 1], &out->labels[at], (out->n_labels - at) * sizeof(out->labels[0]));
	out->labels[at] = (struct kv){.key = xstrdup(key), .value = xstrdup(eq + 1)};
	out->n_labels++;
	return 0;
}

static int read_resource(struct config *out, const char *text, struct err *err)
{
	const char *eq = strchr(text, '=');
	char kind[NAME_MAX_BYTES];
	size_t at = 0;
	int order = -1;
	uint64_t n;

	if (!eq || eq == text || (size_t)(eq - text) >= sizeof(kind))
		return err_set(err, ERR_USAGE, "--resource %.80s: write KIND=N, as in gpu=2", text);
	text_copy(kind, (size_t)(eq - text) + 1, text);
	if (!text_is_label(kind, true) || !text_u64(eq + 1, 0, SPEC_GENERIC_VALUE_MAX, &n))
		return err_set(err, ERR_USAGE,
		        "--resource %.80s: write KIND=N, a label (a-z, 0-9, - and _) and a whole number, as in gpu=2",
		        text);
	if (out->n_generic == SPEC_GENERIC_MAX)
		return err_set(err, ERR_USAGE, "--resource: more than %d", SPEC_GENERIC_MAX);
	while (at < out->n_generic && (order = strcmp(out->generic[at].kind, kind)) < 0)
		at++;
	if (at < out->n_generic && order == 0)
		return err_set(err, ERR_USAGE, "--resource %s: its kind was given twice", text);
	memmove(&out->generic[at + 1], &out->generic[at], (out->n_generic - at) * sizeof(out->generic[0]));
	out->generic[at] = (struct spec_generic){.kind = xstrdup(kind), .value = n};
	out->n_generic++;
	return 0;
}

static int read_reserve(struct config *out, const struct config_flags *in, struct err *err)
{
	out->reserve_cpu_milli = out->reserve_memory = RESERVE_UNSET;
	if (in->reserve_cpu && (!text_milli(in->reserve_cpu, &out->reserve_cpu_milli) ||
	                               out->reserve_cpu_milli > SPEC_CPU_MILLI_MAX))
		return err_set(
		        err, ERR_USAGE, "--reserve-cpu %.40s: a number of cores, as 0.5 or 2", in->reserve_cpu);
	if (in->reserve_memory &&
	        (!text_size(in->reserve_memory, &out->reserve_memory) || out->reserve_memory > SPEC_MEMORY_MAX))
		return err_set(
		        err, ERR_USAGE, "--reserve-memory %.40s: a size, as 512m or 2g", in->reserve_memory);
	return 0;
}

/* Position of word in words, or -1 with the choices named. */
static int choose(const char *flag, const char *word, const char *const *words, size_t n, struct err *err)
{
	char all[128] = {0};

	for (size_t i = 0; i < n; i++) {
		if (strcmp(word, words[i]) == 0)
			return (int)i;
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? ", " : "", words[i]);
	}
	return err_set(err, ERR_USAGE, "%s %.40s: one of %s", flag, word, all);
}

static int read_words(struct config *out, const struct config_flags *in, struct err *err)
{
	static const char *const profiles[] = {
	        [PROFILE_LAN] = "lan", [PROFILE_WAN] = "wan", [PROFILE_LOCAL] = "local"};
	static const char *const levels[] = {
	        [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};
	int profile = choose("--profile", in->profile ? in->profile : "lan", profiles, ARRAY_LEN(profiles), err);
	int level = profile < 0 ? -1
	                        : choose("--log", in->log_level ? in->log_level : "info", levels,
	                                  ARRAY_LEN(levels), err);

	if (level < 0)
		return -1;
	out->profile = (enum gossip_profile)profile;
	out->log_level = (enum log_level)level;
	return 0;
}

static int read_flags(struct config *out, const struct config_flags *in, struct err *err)
{
	if (!in->data_dir || !*in->data_dir)
		return err_set(err, ERR_USAGE, "--data: the folder's name is empty");
	if (strlen(in->data_dir) >= sizeof(out->data_dir))
		return err_set(err, ERR_USAGE, "--data %.60s...: longer than %zu bytes", in->data_dir,
		        sizeof(out->data_dir) - 1);
	text_copy(out->data_dir, sizeof(out->data_dir), in->data_dir);
	if (addr_parse(&out->bind, in->bind ? in->bind : "0.0.0.0", PEER_PORT, err) < 0)
		return err_wrap(err, "--bind");
	if (read_name(out, in->name, err) < 0 || read_advertise(out, in->advertise, err) < 0 ||
	        read_http(out, in->http, err) < 0 || read_dns(out, in, err) < 0 || read_words(out, in, err) < 0)
		return -1;
	for (size_t i = 0; i < in->n_labels; i++)
		if (read_label(out, in->labels[i], err) < 0)
			return -1;
	for (size_t i = 0; i < in->n_resources; i++)
		if (read_resource(out, in->resources[i], err) < 0)
			return -1;
	return read_reserve(out, in, err);
}

static int read_engine(struct config *out, const char *text, struct err *err)
{
	if (!text)
		return 0;
	if (strcmp(text, "none") != 0 && text[0] != '/')
		return err_set(err, ERR_USAGE,
		        "--engine-socket %.80s: write the absolute path of Docker's or Podman's socket, or none",
		        text);
	if (strlen(text) >= sizeof(out->engine_socket))
		return err_set(err, ERR_USAGE, "--engine-socket: a socket's path has at most %d bytes",
		        ENGINE_PATH_MAX - 1);
	text_copy(out->engine_socket, sizeof(out->engine_socket), text);
	return 0;
}

int config_read(struct config *out, const struct config_flags *in, struct err *err)
{
	*out = (struct config){0};
	if (read_flags(out, in, err) == 0 && read_engine(out, in->engine_socket, err) == 0)
		return 0;
	config_free(out);
	return -1;
}

void config_free(struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_labels; i++) {
		free((char *)cfg->labels[i].key);
		free((char *)cfg->labels[i].value);
	}
	for (size_t i = 0; i < cfg->n_generic; i++)
		free((char *)cfg->generic[i].kind);
	*cfg = (struct config){0};
}
