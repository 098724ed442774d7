#include "node/runtime/oci_files.h"

#include "base/text.h"
#include "node/image/stream.h"
#include "node/image/unpack.h"
#include "node/runtime/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes of a file of names. */
#define NAMES_BYTES_MAX 65536

const char *oci_init_find(void)
{
	static const char *const known[] = {"/usr/bin/docker-init", "/usr/libexec/docker/docker-init",
	        "/usr/bin/tini-static", "/usr/libexec/podman/catatonit", "/usr/bin/catatonit"};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (access(known[i], X_OK) == 0)
			return known[i];
	return NULL;
}

int oci_write(int dir_fd, const char *path, const char *text, struct err *err)
{
	int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	size_t len = strlen(text);
	int rc = 0;

	if (fd < 0 || fchmod(fd, 0644) < 0 || write(fd, text, len) != (ssize_t)len)
		rc = err_errno(err, "write %s", path);
	if (fd >= 0)
		close(fd);
	return rc;
}

static void say(struct wr *w, const char *text)
{
	wr_bytes(w, text, strlen(text));
}

static void put_hosts(struct oci_plan *p, struct wr *w)
{
	const struct service *s = p->service;
	char ip[ADDR_TEXT_MAX];

	addr_ip_text(ip, &p->address);
	say(w, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
	say(w, arena_printf(&p->arena, "%s %s%s%s%s%s\n", ip, p->hostname, s->domainname ? "." : "",
	               s->domainname ? s->domainname : "", s->domainname ? " " : "",
	               s->domainname ? p->hostname : ""));
	for (size_t i = 0; i < s->n_extra_hosts; i++) {
		const char *eq = strchr(s->extra_hosts[i], '=');

		if (eq)
			say(w, arena_printf(&p->arena, "%s %.*s\n",
			               strcmp(eq + 1, "host-gateway") == 0 ? ip : eq + 1,
			               (int)(eq - s->extra_hosts[i]), s->extra_hosts[i]));
	}
}

static void put_host_resolvers(struct wr *w, bool servers_only)
{
	FILE *f = fopen("/etc/resolv.conf", "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		if (!servers_only || strncmp(line, "nameserver", 10) == 0)
			say(w, line);
	if (f)
		fclose(f);
}

static void put_resolvers(struct oci_plan *p, struct wr *w)
{
	const struct service *s = p->service;
	char ip[ADDR_TEXT_MAX];

	for (size_t i = 0; i < s->n_dns; i++)
		say(w, arena_printf(&p->arena, "nameserver %s\n", s->dns[i]));
	/* This peer's responder, where a resolver can ask it: resolv.conf knows no port. */
	if (!s->n_dns && p->dns.family && p->dns.port == 53) {
		addr_ip_text(ip, &p->dns);
		say(w, arena_printf(&p->arena, "nameserver %s\n", ip));
	} else if (!s->n_dns) {
		put_host_resolvers(w, s->n_dns_search || s->n_dns_opt);
	}
	for (size_t i = 0; i < s->n_dns_search; i++)
		say(w, arena_printf(&p->arena, "%s%s%s", i ? " " : "search ", s->dns_search[i],
		               i + 1 == s->n_dns_search ? "\n" : ""));
	for (size_t i = 0; i < s->n_dns_opt; i++)
		say(w, arena_printf(&p->arena, "%s%s%s", i ? " " : "options ", s->dns_opt[i],
		               i + 1 == s->n_dns_opt ? "\n" : ""));
}

static bool is_mounted(const struct service *s, const char *target)
{
	for (size_t i = 0; i < s->n_mounts; i++)
		if (strcmp(s->mounts[i].target, target) == 0)
			return true;
	return false;
}

static void add_bind(
        struct oci_bundle *b, const char *source, const char *target, bool read_only, const char *propagation)
{
	b->binds[b->n_binds++] = (struct oci_bind){source, target, read_only, propagation};
}

int oci_names_make(struct oci_plan *p, struct oci_bundle *b, const char *folder, struct err *err)
{
	static const struct {
		const char *name, *target;
	} files[] = {{"hosts", "/etc/hosts"}, {"resolv.conf", "/etc/resolv.conf"}, {"hostname", "/etc/hostname"}};
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct wr w;
	int rc = fd < 0 ? err_errno(err, "open %s", folder) : 0;

	b->binds = arena_array(&p->arena, SPEC_MOUNTS_MAX + ARRAY_LEN(files), sizeof(*b->binds));
	wr_init(&w, NAMES_BYTES_MAX);
	for (size_t i = 0; i < ARRAY_LEN(files) && rc == 0; i++) {
		wr_reset(&w);
		if (i == 0)
			put_hosts(p, &w);
		else if (i == 1)
			put_resolvers(p, &w);
		else
			say(&w, arena_printf(&p->arena, "%s\n", p->hostname));
		wr_u8(&w, 0);
		rc = wr_ok(&w) ? oci_write(fd, files[i].name, (char *)w.p, err)
		               : err_set(err, ERR_FAILED, "/etc/resolv.conf of this host is longer than %d bytes",
		                         NAMES_BYTES_MAX);
		if (rc == 0 && !is_mounted(p->service, files[i].target))
			add_bind(b, arena_printf(&p->arena, "%s/%s", folder, files[i].name), files[i].target,
			        false, NULL);
	}
	wr_free(&w);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* ---- volumes and binds ---- */

static int empty_stop(void *ctx, const char *name, struct err *err)
{
	(void)name;
	(void)err;
	*(bool *)ctx = false;
	return -1;
}

/* A volume that has nothing in it gets what the image has there, as in Docker. */
static int fill(
        struct oci_plan *p, const struct oci_bundle *b, const char *volume, const char *target, struct err *err)
{
	int root = open(b->rootfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int from = root < 0 ? -1 : open_in_root(root, target, O_RDONLY | O_DIRECTORY);
	int to = from < 0 ? -1 : open(volume, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool empty = true;
	int rc = 0;

	(void)p;
	if (to >= 0) {
		folder_each(to, empty_stop, &empty, NULL);
		if (empty)
			rc = folder_copy(from, to, err);
	}
	if (to >= 0)
		close(to);
	if (from >= 0)
		close(from);
	if (root >= 0)
		close(root);
	return rc < 0 ? err_wrap(err, "fill the volume at %s", target) : 0;
}

static int make_path(struct oci_plan *p, const char *path, struct err *err)
{
	char *text = arena_strdup(&p->arena, path);

	for (char *c = text + 1;; c++) {
		char was = *c;

		if (was && was != '/')
			continue;
		*c = '\0';
		if (mkdir(text, 0755) < 0 && errno != EEXIST)
			return err_errno(err, "make %s on this host", text);
		*c = was;
		if (!was)
			return 0;
	}
}

static const char *bind_source(struct oci_plan *p, struct oci_bundle *b, const struct spec_mount *m, size_t i,
        const struct oci_user *u, struct err *err)
{
	const char *path;

	if (m->kind == MOUNT_BIND) {
		if (access(m->source, F_OK) == 0)
			return m->source;
		if (m->no_create) {
			err_set(err, ERR_UNPLACEABLE, "volumes: %s: no such path on this host", m->source);
			return NULL;
		}
		return make_path(p, m->source, err) < 0 ? NULL : m->source;
	}
	if (m->source) {
		path = volume_path(&p->arena, p->data_dir, p->stack, m->source);
	} else {
		path = arena_printf(&p->arena, "%s/run/%s/volumes/%zu", image_store_dir(p->store), p->task, i);
		if (mkdir(path, 0755) < 0 || chown(path, u->uid, u->gid) < 0) {
			err_errno(err, "make a volume");
			return NULL;
		}
	}
	return !m->no_copy && fill(p, b, path, m->target, err) < 0 ? NULL : path;
}

int oci_binds_make(struct oci_plan *p, struct oci_bundle *b, const struct oci_user *user, struct err *err)
{
	const struct service *s = p->service;

	for (size_t i = 0; i < s->n_mounts; i++) {
		const struct spec_mount *m = &s->mounts[i];
		const char *source;

		if (m->kind == MOUNT_TMPFS)
			continue;
		source = bind_source(p, b, m, i, user, err);
		if (!source)
			return -1;
		add_bind(b, source, m->target, m->read_only, m->propagation);
	}
	return 0;
}
