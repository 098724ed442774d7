/*
 * What could harm a host, and so needs a power of the one who signs: docs/compose.md, Powers. A service without an image
 * is a process of the host; one with an image is kept in by namespaces and by the capabilities that Docker gives, and
 * needs a power for each way out of them.
 *
 *	                         process                 container
 *	user, group_add: root    exec-as-root            none: it is root of the container
 *	cap_add                  host-network to listen  privileged, beyond the default set
 *	                         below 1024, else
 *	                         exec-as-root
 *	privileged               privileged              privileged
 *	security_opt             exec-as-root for        privileged, but for no-new-privileges
 *	                         no-new-privileges=false
 *	pid, ipc: host           none: it has them       privileged
 *	uts, network_mode: host  none: it has them       host-network; also without network_mode, unless the driver is
 *	                                                 engine: driver oci then uses the host's network
 *	annotations              none: nobody reads them privileged: the runtime and its hooks obey some
 *	bind, process.rootfs     host-binds              host-binds
 *	devices                  devices                 devices
 *	what goes before others  priority                priority
 */
#include "placement/spec/names.h"
#include "placement/spec/spec.h"

/* RLIMIT_NICE is 20 - nice: above it a process may go before others. */
#define ULIMIT_NICE_ORDINARY 20

/* "root", or a number that is 0 however it is written. */
static bool is_root(const char *name, size_t len)
{
	if (len == 4 && !memcmp(name, "root", 4))
		return true;
	for (size_t i = 0; i < len; i++)
		if (name[i] != '0')
			return false;
	return len > 0;
}

static bool user_is_root(const struct service *s)
{
	if (s->user) {
		size_t user = strcspn(s->user, ":");
		const char *group = s->user + user + (s->user[user] == ':');

		if (is_root(s->user, user) || is_root(group, strlen(group)))
			return true;
	}
	for (size_t i = 0; i < s->n_group_add; i++)
		if (is_root(s->group_add[i], strlen(s->group_add[i])))
			return true;
	return false;
}

/* Capabilities in the host's own namespaces are root's; to listen on low ports is the one that is not. */
static uint32_t process_powers(const struct service *s)
{
	uint32_t powers = user_is_root(s) ? SPEC_POWER_EXEC_AS_ROOT : 0;

	for (size_t i = 0; i < s->n_cap_add; i++)
		powers |= !strcmp(s->cap_add[i], "NET_BIND_SERVICE") ? SPEC_POWER_HOST_NETWORK
		                                                     : SPEC_POWER_EXEC_AS_ROOT;
	/* Setuid programs of the host work then. */
	for (size_t i = 0; i < s->n_security_opt; i++)
		if (!strcmp(s->security_opt[i], "no-new-privileges=false"))
			powers |= SPEC_POWER_EXEC_AS_ROOT;
	if (s->process.rootfs)
		powers |= SPEC_POWER_HOST_BINDS;
	return powers;
}

/* May it come to be in its host's network, as root with NET_RAW? */
static bool in_host_network(const struct service *s)
{
	return s->network_mode ? !strcmp(s->network_mode, "host") : service_driver_fits(s, DRIVER_OCI);
}

static uint32_t container_powers(const struct service *s)
{
	uint32_t powers = 0;

	for (size_t i = 0; i < s->n_cap_add; i++)
		if (!spec_cap_is_default(spec_cap_number(s->cap_add[i])))
			powers |= SPEC_POWER_PRIVILEGED;
	for (size_t i = 0; i < s->n_security_opt; i++)
		if (strncmp(s->security_opt[i], "no-new-privileges", strlen("no-new-privileges")) != 0)
			powers |= SPEC_POWER_PRIVILEGED;
	if (s->pid || s->ipc || s->n_annotations)
		powers |= SPEC_POWER_PRIVILEGED;
	if (s->uts || in_host_network(s))
		powers |= SPEC_POWER_HOST_NETWORK;
	return powers;
}

/* Real-time scheduling, a nice level below 0, and to be spared when memory ends: at the expense of all else there. */
static bool goes_first(const struct service *s)
{
	for (size_t i = 0; i < s->n_ulimits; i++) {
		const struct spec_ulimit *u = &s->ulimits[i];

		if (!strcmp(u->name, "rtprio") && u->hard)
			return true;
		if (!strcmp(u->name, "nice") && (u->hard < 0 || u->hard > ULIMIT_NICE_ORDINARY))
			return true;
	}
	return s->priority || s->process.nice < 0 || s->oom_score_adj < 0;
}

uint32_t service_powers(const struct service *s)
{
	uint32_t powers = s->image ? container_powers(s) : process_powers(s);

	for (size_t i = 0; i < s->n_mounts; i++)
		if (s->mounts[i].kind == MOUNT_BIND)
			powers |= SPEC_POWER_HOST_BINDS;
	if (s->n_devices)
		powers |= SPEC_POWER_DEVICES;
	if (s->privileged)
		powers |= SPEC_POWER_PRIVILEGED;
	if (goes_first(s))
		powers |= SPEC_POWER_PRIORITY;
	return powers;
}
