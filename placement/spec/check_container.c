/* Laws of what a container gets beside its program: its image, rights, limits, names and network. */
#include "base/addr.h"
#include "base/text.h"
#include "placement/spec/check.h"
#include "placement/spec/names.h"
#include "placement/spec/template.h"

/* Longest host name of Linux, HOST_NAME_MAX; longest domain name of RFC 1035 as text. */
#define HOSTNAME_BYTES_MAX 64
#define DOMAIN_BYTES_MAX   253

int check_sorted(const char *const *texts, size_t n, const char *key, struct err *err)
{
	for (size_t i = 1; i < n; i++) {
		int order = strcmp(texts[i - 1], texts[i]);

		if (order >= 0)
			return fault(err, "%s: %s %s", key, texts[i], order ? "is not in order" : "stands twice");
	}
	return 0;
}

/* [HOST[:PORT]/]NAME[:TAG][@DIGEST]. What it names is the image store's; here only that no program that it is handed
 * to can take it for an option, and that it has no blank. */
static int check_image(const char *image, struct err *err)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+-";
	static const char ends[] = "-./:@+_";

	if (!image)
		return 0;
	if (image[strspn(image, bytes)] || strchr(ends, image[0]) || strchr(ends, image[strlen(image) - 1]))
		return fault(err,
		        "image: \"%s\" is not a reference: write it as NAME:TAG, HOST:PORT/NAME:TAG or NAME@sha256:DIGEST",
		        image);
	return 0;
}

static int check_caps(const char *const *caps, size_t n, const char *key, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(caps[i], "ALL") != 0 && spec_cap_number(caps[i]) < 0)
			return fault(
			        err, "%s: \"%s\" is no capability of Linux: write it as NET_ADMIN", key, caps[i]);
	return check_sorted(caps, n, key, err);
}

static int check_rights(const struct service *s, struct err *err)
{
	static const char *const kinds[] = {"seccomp=", "apparmor=", "label=", "systempaths="};

	if (check_caps(s->cap_add, s->n_cap_add, "cap_add", err) < 0 ||
	        check_caps(s->cap_drop, s->n_cap_drop, "cap_drop", err) < 0)
		return -1;
	for (size_t i = 0; i < s->n_cap_add; i++)
		for (size_t k = 0; k < s->n_cap_drop; k++)
			if (!strcmp(s->cap_add[i], s->cap_drop[k]))
				return fault(err, "cap_drop: %s is added by `cap_add`: keep one", s->cap_drop[k]);
	for (size_t i = 0; i < s->n_security_opt; i++) {
		const char *opt = s->security_opt[i];
		bool known = !strcmp(opt, "no-new-privileges") || !strcmp(opt, "no-new-privileges=false");

		for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
			known |= !strncmp(opt, kinds[k], strlen(kinds[k])) && opt[strlen(kinds[k])];
		if (!known)
			return fault(err,
			        "security_opt[%zu]: \"%s\" is none of no-new-privileges[=false], seccomp=, apparmor=, label=, "
			        "systempaths=",
			        i, opt);
	}
	return 0;
}

static int check_ulimits(const struct service *s, struct err *err)
{
	for (size_t i = 0; i < s->n_ulimits; i++) {
		const struct spec_ulimit *u = &s->ulimits[i];

		if (!u->name || !spec_ulimit_known(u->name))
			return fault(err, "ulimits.%s: no such limit of a process", u->name ? u->name : "");
		if (u->hard >= 0 && (u->soft < 0 || u->soft > u->hard))
			return fault(err, "ulimits.%s: soft is above hard", u->name);
		if (i > 0 && strcmp(s->ulimits[i - 1].name, u->name) >= 0)
			return fault(err, "ulimits.%s: stands twice, or is not in order", u->name);
	}
	return 0;
}

/* Settings that belong to a namespace of the container; any other is the host's. */
static int check_sysctls(const struct service *s, struct err *err)
{
	static const char *const ipc[] = {"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
	        "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"};
	bool host_net = s->network_mode && !strcmp(s->network_mode, "host");

	for (size_t i = 0; i < s->n_sysctls; i++) {
		const char *key = s->sysctls[i].key;
		bool net = !strncmp(key, "net.", 4) && key[4];
		bool of_ipc = !strncmp(key, "fs.mqueue.", 10) && key[10];

		for (size_t k = 0; k < ARRAY_LEN(ipc); k++)
			of_ipc |= !strcmp(key, ipc[k]);
		if (key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")] ||
		        strstr(key, ".."))
			return fault(
			        err, "sysctls.%s: not a setting's name: write it as net.core.somaxconn", key);
		if (!net && !of_ipc)
			return fault(err,
			        "sysctls.%s: is the host's, not the container's: only net.*, fs.mqueue.* and kernel.msg*, "
			        "sem, shm* can be set; set it on the hosts",
			        key);
		if ((net && host_net) || (of_ipc && s->ipc))
			return fault(err,
			        "sysctls.%s: would be set on the host, whose %s the container uses: remove it",
			        key, net ? "network" : "ipc");
		if (i > 0 && strcmp(s->sysctls[i - 1].key, key) >= 0)
			return fault(err, "sysctls.%s: stands twice, or is not in order", key);
	}
	return 0;
}

/* Labels of letters, digits and -, with dots between. */
static bool is_hostname(const char *name, size_t max)
{
	const char *p = name;

	if (strlen(name) > max)
		return false;
	for (;;) {
		size_t len = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

		if (!len || len > 63 || p[0] == '-' || p[len - 1] == '-')
			return false;
		if (!p[len])
			return true;
		if (p[len] != '.')
			return false;
		p += len + 1;
	}
}

static int check_host(const char *entry, size_t i, struct err *err)
{
	const char *eq = strchr(entry, '=');
	struct addr a;
	char name[DOMAIN_BYTES_MAX + 1];

	if (eq && (size_t)(eq - entry) < sizeof(name)) {
		text_copy(name, (size_t)(eq - entry) + 1, entry);
		if (is_hostname(name, DOMAIN_BYTES_MAX) &&
		        (!strcmp(eq + 1, "host-gateway") || addr_parse_ip(&a, eq + 1)))
			return 0;
	}
	return fault(err, "extra_hosts[%zu]: \"%s\" is not NAME=ADDRESS", i, entry);
}

static int check_words(const char *const *words, size_t n, const char *key, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (!*words[i] || words[i][strcspn(words[i], " \t\r\n")])
			return fault(err, "%s[%zu]: \"%s\" is empty or holds blanks", key, i, words[i]);
	return 0;
}

/* With each template taken for one letter: how long it becomes is seen where it is expanded. */
static int check_hostname(const char *hostname, struct err *err)
{
	static const struct template_values letters = {{"x", "x", "x", "x", "x", "x", "x"}};
	const char *sample;
	struct arena arena;
	bool lawful;

	if (!hostname)
		return 0;
	if (template_check(hostname, err) < 0)
		return err_wrap(err, "hostname");
	arena_init(&arena);
	sample = template_expand(&arena, hostname, &letters);
	lawful = is_hostname(sample, HOSTNAME_BYTES_MAX);
	arena_free(&arena);
	if (lawful)
		return 0;
	return fault(err, "hostname: \"%s\" is not a host's name: letters, digits and -, at most %d", hostname,
	        HOSTNAME_BYTES_MAX);
}

static int check_names(const struct service *s, struct err *err)
{
	struct addr a;

	if (check_hostname(s->hostname, err) < 0)
		return -1;
	if (s->domainname && !is_hostname(s->domainname, DOMAIN_BYTES_MAX))
		return fault(err, "domainname: \"%s\" is not a domain's name", s->domainname);
	for (size_t i = 0; i < s->n_extra_hosts; i++)
		if (check_host(s->extra_hosts[i], i, err) < 0)
			return -1;
	for (size_t i = 0; i < s->n_dns; i++)
		if (!addr_parse_ip(&a, s->dns[i]))
			return fault(err, "dns[%zu]: \"%s\" is not an address", i, s->dns[i]);
	if (check_words(s->dns_search, s->n_dns_search, "dns_search", err) < 0)
		return -1;
	return check_words(s->dns_opt, s->n_dns_opt, "dns_opt", err);
}

static int check_groups(const struct service *s, struct err *err)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	for (size_t i = 0; i < s->n_group_add; i++) {
		const char *g = s->group_add[i];

		if (!*g || *g == '-' || g[strspn(g, bytes)])
			return fault(err, "group_add[%zu]: \"%s\" is neither a group's name nor a number", i, g);
		for (size_t k = 0; k < i; k++)
			if (!strcmp(s->group_add[k], g))
				return fault(err, "group_add[%zu]: %s stands twice", i, g);
	}
	return 0;
}

static int check_namespaces(const struct service *s, struct err *err)
{
	static const char *const modes[] = {"host", "bridge", "none"};
	const char *const own[][2] = {{"ipc", s->ipc}, {"pid", s->pid}, {"uts", s->uts}};
	size_t i = 0;

	while (s->network_mode && i < ARRAY_LEN(modes) && strcmp(modes[i], s->network_mode) != 0)
		i++;
	if (i == ARRAY_LEN(modes))
		return fault(err, "network_mode: \"%s\" is none of host, bridge, none", s->network_mode);
	for (i = 0; i < ARRAY_LEN(own); i++)
		if (own[i][1] && strcmp(own[i][1], "host") != 0)
			return fault(err, "%s: \"%s\" is not host: remove it for one of its own", own[i][0],
			        own[i][1]);
	if (s->uts && (s->hostname || s->domainname))
		return fault(err, "%s: the container has its host's name by `uts: host`: keep one",
		        s->hostname ? "hostname" : "domainname");
	return 0;
}

int check_container(const struct service *s, struct err *err)
{
	if (check_image(s->image, err) < 0 || check_rights(s, err) < 0 || check_ulimits(s, err) < 0 ||
	        check_sysctls(s, err) < 0 || check_names(s, err) < 0 || check_groups(s, err) < 0)
		return -1;
	return check_namespaces(s, err);
}
