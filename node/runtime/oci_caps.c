/* Capabilities of a container: Docker's default set, what a service adds and drops. */
#include "node/runtime/oci_config.h"

#include <stdio.h>
#include <sys/prctl.h>

/* As capabilities(7) numbers them. */
static const char *const names[] = {"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL",
        "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN",
        "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
        "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
        "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM",
        "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"};

static const char *const defaults[] = {"CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID",
        "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"};

static bool has(const char *const *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

size_t oci_caps(struct arena *arena, const struct service *s, const char ***out)
{
	bool add_all = s->privileged || has(s->cap_add, s->n_cap_add, "ALL");
	bool drop_all = !s->privileged && has(s->cap_drop, s->n_cap_drop, "ALL");
	size_t n = 0;

	*out = arena_array(arena, ARRAY_LEN(names), sizeof(**out));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		bool on = add_all || (!drop_all && has(defaults, ARRAY_LEN(defaults), names[i]));

		if (!s->privileged && has(s->cap_drop, s->n_cap_drop, names[i]))
			on = false;
		/* What is named counts over what is meant by ALL. */
		if (has(s->cap_add, s->n_cap_add, names[i]))
			on = true;
		/* One that this host cannot give (its own bounding set lacks it) is left out of "all" alone. */
		if (on && add_all && !has(s->cap_add, s->n_cap_add, names[i]) &&
		        prctl(PR_CAPBSET_READ, (unsigned long)i, 0, 0, 0) != 1)
			on = false;
		if (on)
			(*out)[n++] = arena_printf(arena, "CAP_%s", names[i]);
	}
	return n;
}
