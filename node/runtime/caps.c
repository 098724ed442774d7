#include "node/runtime/caps.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* In the kernel's order, which is their numbers. */
static const char *const names[] = {"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL",
        "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN",
        "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
        "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
        "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM",
        "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"};

int cap_number(const char *name)
{
	if (strncmp(name, "CAP_", 4) == 0)
		name += 4;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -1;
}

uint64_t caps_mine(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &header, data) < 0)
		return 0;
	return (uint64_t)data[1].permitted << 32 | data[0].permitted;
}

struct wanted {
	bool all;
	uint64_t named;
};

static int read_names(struct wanted *out, const char *key, const char **list, size_t n, struct err *err)
{
	*out = (struct wanted){0};
	for (size_t i = 0; i < n; i++) {
		int number = cap_number(list[i]);

		if (strcmp(list[i], "ALL") == 0)
			out->all = true;
		else if (number < 0)
			return err_set(err, ERR_USAGE,
			        "%s: \"%s\" is no capability: write one as NET_ADMIN, or ALL", key, list[i]);
		else
			out->named |= 1ULL << number;
	}
	return 0;
}

int caps_of(uint64_t *out, const struct service *s, bool as_root, uint64_t mine, struct err *err)
{
	struct wanted add, drop;

	if (read_names(&add, "cap_add", s->cap_add, s->n_cap_add, err) < 0 ||
	        read_names(&drop, "cap_drop", s->cap_drop, s->n_cap_drop, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (add.named & ~mine & 1ULL << i)
			return err_set(err, ERR_UNPLACEABLE,
			        "cap_add: the agent of this host does not have %s itself%s; remove it, or run the agent as root "
			        "with it",
			        names[i], mine ? "" : ": it is not root");
	if (add.all && !mine)
		return err_set(err, ERR_UNPLACEABLE,
		        "cap_add: ALL of an agent that is not root is none; run it as root");
	if (add.all)
		*out = mine & ~drop.named;
	else if (drop.all)
		*out = add.named;
	else
		*out = ((as_root ? mine : 0) & ~drop.named) | add.named;
	return 0;
}
