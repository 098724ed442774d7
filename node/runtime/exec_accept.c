#include "node/runtime/exec_accept.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONTAINER "; remove it, or run an image under driver oci or engine"

static bool is_other(const char *mode)
{
	return mode && strcmp(mode, "host") != 0;
}

#define NO_NEW_PRIVS "no-new-privileges"
#define NEW_PRIVS    "no-new-privileges=false"

static bool is_in(const char *text, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(text, list[i]) == 0)
			return true;
	return false;
}

bool exec_new_privs(const struct service *s)
{
	for (size_t i = 0; i < s->n_security_opt; i++)
		if (strcmp(s->security_opt[i], NEW_PRIVS) == 0)
			return true;
	return false;
}

static bool has_other_security(const struct service *s)
{
	for (size_t i = 0; i < s->n_security_opt; i++)
		if (strcmp(s->security_opt[i], NEW_PRIVS) != 0 && strcmp(s->security_opt[i], NO_NEW_PRIVS) != 0)
			return true;
	return false;
}

#define ASKS(name, condition)                                                                                    \
	static bool name(const struct service *s)                                                                \
	{                                                                                                        \
		return condition;                                                                                \
	}

ASKS(annotations, s->n_annotations > 0)
ASKS(devices, s->n_devices > 0)
ASKS(dns, s->n_dns > 0)
ASKS(dns_opt, s->n_dns_opt > 0)
ASKS(dns_search, s->n_dns_search > 0)
ASKS(domainname, s->domainname != NULL)
ASKS(extra_hosts, s->n_extra_hosts > 0)
ASKS(hostname, s->hostname != NULL)
ASKS(ipc, is_other(s->ipc))
ASKS(network_mode, is_other(s->network_mode))
ASKS(pid, is_other(s->pid))
ASKS(privileged, s->privileged)
ASKS(pull_policy, s->pull != PULL_MISSING)
ASKS(stdin_open, s->stdin_open)
ASKS(sysctls, s->n_sysctls > 0)
ASKS(tty, s->tty)
ASKS(uts, is_other(s->uts))

/* What a process of the host cannot have at all. */
static const struct {
	const char *key;
	bool (*asks)(const struct service *s);
	const char *why;
} refused[] = {
        {"annotations", annotations, "they are a container's; use `labels`"},
        {"devices", devices,
                "a process sees the host's devices already; remove it, and name the group of the device in "
                "`group_add`"},
        {"dns", dns, "a process has the host's /etc/resolv.conf" CONTAINER},
        {"dns_opt", dns_opt, "a process has the host's /etc/resolv.conf" CONTAINER},
        {"dns_search", dns_search, "a process has the host's /etc/resolv.conf" CONTAINER},
        {"domainname", domainname, "a process has the host's name" CONTAINER},
        {"extra_hosts", extra_hosts, "a process has the host's /etc/hosts" CONTAINER},
        {"hostname", hostname, "a process has the host's name" CONTAINER},
        {"ipc", ipc, "a process shares the host's, as with `ipc: host`" CONTAINER},
        {"network_mode", network_mode,
                "a process is in the host's network, as with `network_mode: host`" CONTAINER},
        {"pid", pid, "a process is among the host's, as with `pid: host`" CONTAINER},
        {"privileged", privileged,
                "a process is in no container that it could be free of; use `user: root`, or `cap_add` with what it "
                "needs"},
        {"pull_policy", pull_policy, "a process has no image; remove it"},
        {"security_opt", has_other_security,
                "only no-new-privileges is known for a process; confine it with the host's own means, as an AppArmor "
                "profile for its program"},
        {"stdin_open", stdin_open, "a task's input is /dev/null; remove it"},
        {"sysctls", sysctls, "they would be the whole host's; set them there"},
        {"tty", tty, "a task's output is its log, not a terminal; remove it"},
        {"uts", uts, "a process has the host's name, as with `uts: host`" CONTAINER},
};

static int refuse(const char *key, const char *why, struct err *err)
{
	return err_set(err, ERR_UNPLACEABLE, "%s: %s", key, why);
}

/* The root has a place for it, or one is made in a root folder of its own. */
static int accept_target(const char *key, const char *target, const struct service *s, struct err *err)
{
	if (s->process.rootfs || access(target, F_OK) == 0)
		return 0;
	return err_set(err, ERR_UNPLACEABLE,
	        "%s: the target %s is not on this host, and nothing is made in a host's own root: make it there, or set "
	        "x-starling.process.rootfs",
	        key, target);
}

static int accept_mount(const struct spec_mount *m, const struct service *s, struct err *err)
{
	static const char *const known[] = {"private", "rprivate", "slave", "rslave"};

	if (m->target[0] != '/' || (m->kind == MOUNT_BIND && m->source[0] != '/'))
		return refuse("volumes", "a path is not absolute", err);
	if (m->kind == MOUNT_VOLUME && !m->source)
		return refuse("volumes", "a volume without a name is an image's; name it, or use `tmpfs`", err);
	if (m->propagation && !is_in(m->propagation, known, ARRAY_LEN(known)))
		return err_set(err, ERR_UNPLACEABLE,
		        "volumes: %s: what a process mounts never gets to the host, so propagation \"%s\" cannot be: use "
		        "rprivate or rslave",
		        m->target, m->propagation);
	return accept_target(m->kind == MOUNT_TMPFS ? "tmpfs" : "volumes", m->target, s, err);
}

static int accept_paths(const char *key, const char **paths, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (paths[i][0] != '/')
			return err_set(err, ERR_USAGE, "%s: \"%s\" is not an absolute path", key, paths[i]);
	return 0;
}

static int accept_view(const struct service *s, struct err *err)
{
	const struct spec_process *p = &s->process;
	struct stat st;

	if (p->rootfs && (p->rootfs[0] != '/' || stat(p->rootfs, &st) < 0 || !S_ISDIR(st.st_mode)))
		return err_set(err, ERR_UNPLACEABLE,
		        "x-starling.process.rootfs: %s is no folder of this host: put the program's files there",
		        p->rootfs);
	for (size_t i = 0; i < s->n_mounts; i++)
		if (accept_mount(&s->mounts[i], s, err) < 0)
			return -1;
	if (s->shm_size && accept_target("shm_size", "/dev/shm", s, err) < 0)
		return -1;
	if (accept_paths("x-starling.process.read_only", p->read_only, p->n_read_only, err) < 0)
		return -1;
	return accept_paths("x-starling.process.hidden", p->hidden, p->n_hidden, err);
}

/* What only root may give. */
static int accept_plain(const struct service *s, struct err *err)
{
#define AS_ROOT "the agent of this host is not root; run it as root, or "

	if (s->process.nice < 0)
		return refuse("x-starling.process.nice", AS_ROOT "use 0 or more", err);
	if (s->oom_score_adj < 0)
		return refuse("oom_score_adj", AS_ROOT "use 0 or more", err);
	return 0;
}

int exec_accept_keys(const struct service *s, bool as_root, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (refused[i].asks(s))
			return refuse(refused[i].key, refused[i].why, err);
	if (!as_root && accept_plain(s, err) < 0)
		return -1;
	return accept_view(s, err);
}
