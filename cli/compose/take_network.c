/* The names, the resolver and the namespaces of a container; and the platform, which is a constraint. */
#include "base/text.h"
#include "cli/compose/build.h"

static struct service *service_of(void *target)
{
	return ((struct draft *)target)->s;
}

void take_hostname(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = service_of(target);

	if (want_text(b, path, n, &s->hostname))
		want_templates(b, path, n, s->hostname);
}

void take_domainname(struct build *b, const char *path, const struct node *n, void *target)
{
	want_text(b, path, n, &service_of(target)->domainname);
}

void take_dns(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = service_of(target);

	want_text_or_texts(b, path, n, SPEC_DNS_MAX, &s->dns, &s->n_dns);
}

void take_dns_opt(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = service_of(target);

	want_texts(b, path, n, SPEC_DNS_MAX, &s->dns_opt, &s->n_dns_opt);
}

void take_dns_search(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = service_of(target);

	want_text_or_texts(b, path, n, SPEC_DNS_MAX, &s->dns_search, &s->n_dns_search);
}

struct hosts {
	size_t n;
	const char *list[SPEC_HOSTS_MAX];
};

/* An IPv6 address may stand in brackets, as Compose allows. */
static void add_host(struct build *b, const char *path, const struct node *n, struct hosts *out, const char *name,
        size_t name_len, const char *address)
{
	size_t len = strlen(address);

	if (len > 2 && address[0] == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	}
	if (out->n == SPEC_HOSTS_MAX)
		refuse(b, path, n, "more than %d hosts", SPEC_HOSTS_MAX);
	else
		out->list[out->n++] = arena_printf(b->arena, "%.*s=%.*s", (int)name_len, name, (int)len, address);
}

/* "NAME=ADDRESS" or "NAME:ADDRESS" */
static void take_host(struct build *b, const char *path, const struct node *n, struct hosts *out)
{
	const char *text;
	size_t len;

	if (!want_text(b, path, n, &text))
		return;
	len = strcspn(text, "=");
	if (!text[len])
		len = strcspn(text, ":");
	if (!len || !text[len])
		refuse(b, path, n, "is not NAME=ADDRESS");
	else
		add_host(b, path, n, out, text, len, text + len + 1);
}

/* NAME: ADDRESS, or NAME: [ADDRESS, ADDRESS] */
static void take_host_pair(struct build *b, const char *path, const struct pair *p, struct hosts *out)
{
	const char **addresses;
	size_t count = 0;

	want_text_or_texts(b, path, p->value, SPEC_HOSTS_MAX, &addresses, &count);
	for (size_t i = 0; i < count; i++)
		add_host(b, path, p->value, out, p->key, strlen(p->key), addresses[i]);
}

void take_extra_hosts(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = service_of(target);
	struct hosts hosts = {0};

	if (n->kind == NODE_SCALAR) {
		wrong_kind(b, path, n, "a map or a list");
		return;
	}
	for (size_t i = 0; i < n->n; i++) {
		if (n->kind == NODE_LIST)
			take_host(b, path_index(b, path, i), n->items[i], &hosts);
		else
			take_host_pair(b, path_key(b, path, n->pairs[i].key), &n->pairs[i], &hosts);
	}
	s->extra_hosts = arena_array(b->arena, hosts.n, sizeof(*s->extra_hosts));
	s->n_extra_hosts = hosts.n;
	memcpy(s->extra_hosts, hosts.list, hosts.n * sizeof(*hosts.list));
}

/* "service:NAME" and "container:NAME" share a namespace with another; here they may be on two peers. */
static bool shares(struct build *b, const char *path, const struct node *n)
{
	if (n->kind != NODE_SCALAR ||
	        (strncmp(n->text, "service:", 8) != 0 && strncmp(n->text, "container:", 10) != 0))
		return false;
	refuse(b, path, n, "another's namespace cannot be shared, since the two may run on different peers");
	return true;
}

void take_network_mode(struct build *b, const char *path, const struct node *n, void *target)
{
	static const char *const words[] = {"host", "bridge", "none"};
	size_t i;

	if (!shares(b, path, n) && want_word(b, path, n, words, ARRAY_LEN(words), &i))
		service_of(target)->network_mode = words[i];
}

void take_pid(struct build *b, const char *path, const struct node *n, void *target)
{
	static const char *const words[] = {"host"};
	size_t i;

	if (!shares(b, path, n) && want_word(b, path, n, words, ARRAY_LEN(words), &i))
		service_of(target)->pid = words[i];
}

void take_ipc(struct build *b, const char *path, const struct node *n, void *target)
{
	static const char *const words[] = {"host", "private"};
	size_t i;

	if (!shares(b, path, n) && want_word(b, path, n, words, ARRAY_LEN(words), &i))
		service_of(target)->ipc = i ? NULL : words[i];
}

void take_uts(struct build *b, const char *path, const struct node *n, void *target)
{
	static const char *const words[] = {"host"};
	size_t i;

	if (want_word(b, path, n, words, ARRAY_LEN(words), &i))
		service_of(target)->uts = words[i];
}

/* OS/ARCH[/VARIANT]; node.platform.arch knows amd64, arm64, arm ... and no variants. */
void take_platform(struct build *b, const char *path, const struct node *n, void *target)
{
	struct draft *d = target;
	const char *text;
	const char *slash;

	if (!want_text(b, path, n, &text))
		return;
	slash = strchr(text, '/');
	if (strncmp(text, "linux/", 6) != 0 || !text[6] || text[6] == '/') {
		refuse(b, path, n, "\"%s\" is not linux/ARCH, as in linux/amd64", text);
		return;
	}
	text = slash + 1;
	slash = strchr(text, '/');
	if (slash && strcmp(text, "arm64/v8") != 0) {
		refuse(b, path, n, "variants (%s) are not known of peers; label them, and use a constraint",
		        slash + 1);
		return;
	}
	d->platform = slash ? arena_strndup(b->arena, text, (size_t)(slash - text)) : text;
}

void finish_platform(struct build *b, const char *path, struct draft *d)
{
	struct service *s = d->s;
	struct spec_constraint *all;

	if (!d->platform)
		return;
	if (s->n_constraints == SPEC_CONSTRAINTS_MAX) {
		refuse(b, path_key(b, path, "platform"), node_get(d->node, "platform"),
		        "is one constraint more than the %d that are allowed", SPEC_CONSTRAINTS_MAX);
		return;
	}
	all = arena_array(b->arena, s->n_constraints + 1, sizeof(*all));
	if (s->n_constraints)
		memcpy(all, s->constraints, s->n_constraints * sizeof(*all));
	all[s->n_constraints] = (struct spec_constraint){"node.platform.arch", OP_EQ, d->platform};
	s->constraints = all;
	s->n_constraints++;
}
