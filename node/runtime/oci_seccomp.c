/*
 * System calls that a container does not get. Namespaces and capabilities keep most of the kernel away; this closes what they
 * leave open and no service needs: namespaces of its own (the largest part of the kernel's holes of the last ten years is
 * reached through them), keys, tracing and loading programs into the kernel, and what only an administrator of the host uses.
 * A capability that a service is given opens the calls that it is for, as in Docker. All else is allowed, so that a libc
 * that is newer than this list works.
 */
#include "node/runtime/oci_config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

/* CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET. */
static const json_int_t namespaces[] = {
        0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000};

static const struct {
	const char *call;
	const char *cap; /* who has it may call it; NULL: nobody */
} denied[] = {
        {"acct", "CAP_SYS_PACCT"},
        {"add_key", NULL},
        {"bpf", "CAP_BPF"},
        {"clock_adjtime", "CAP_SYS_TIME"},
        {"clock_settime", "CAP_SYS_TIME"},
        {"create_module", "CAP_SYS_MODULE"},
        {"delete_module", "CAP_SYS_MODULE"},
        {"fanotify_init", "CAP_SYS_ADMIN"},
        {"finit_module", "CAP_SYS_MODULE"},
        {"fsconfig", "CAP_SYS_ADMIN"},
        {"fsmount", "CAP_SYS_ADMIN"},
        {"fsopen", "CAP_SYS_ADMIN"},
        {"fspick", "CAP_SYS_ADMIN"},
        {"init_module", "CAP_SYS_MODULE"},
        {"io_uring_enter", NULL},
        {"io_uring_register", NULL},
        {"io_uring_setup", NULL},
        {"ioperm", "CAP_SYS_RAWIO"},
        {"iopl", "CAP_SYS_RAWIO"},
        {"kcmp", "CAP_SYS_PTRACE"},
        {"kexec_file_load", "CAP_SYS_BOOT"},
        {"kexec_load", "CAP_SYS_BOOT"},
        {"keyctl", NULL},
        {"lookup_dcookie", "CAP_SYS_ADMIN"},
        {"mount", "CAP_SYS_ADMIN"},
        {"mount_setattr", "CAP_SYS_ADMIN"},
        {"move_mount", "CAP_SYS_ADMIN"},
        {"move_pages", "CAP_SYS_NICE"},
        {"nfsservctl", NULL},
        {"open_by_handle_at", "CAP_DAC_READ_SEARCH"},
        {"open_tree", "CAP_SYS_ADMIN"},
        {"perf_event_open", "CAP_PERFMON"},
        {"pivot_root", "CAP_SYS_ADMIN"},
        {"process_madvise", "CAP_SYS_PTRACE"},
        {"process_vm_readv", "CAP_SYS_PTRACE"},
        {"process_vm_writev", "CAP_SYS_PTRACE"},
        {"quotactl", "CAP_SYS_ADMIN"},
        {"quotactl_fd", "CAP_SYS_ADMIN"},
        {"reboot", "CAP_SYS_BOOT"},
        {"request_key", NULL},
        {"setdomainname", "CAP_SYS_ADMIN"},
        {"sethostname", "CAP_SYS_ADMIN"},
        {"setns", "CAP_SYS_ADMIN"},
        {"settimeofday", "CAP_SYS_TIME"},
        {"stime", "CAP_SYS_TIME"},
        {"swapoff", "CAP_SYS_ADMIN"},
        {"swapon", "CAP_SYS_ADMIN"},
        {"syslog", "CAP_SYSLOG"},
        {"umount", "CAP_SYS_ADMIN"},
        {"umount2", "CAP_SYS_ADMIN"},
        {"unshare", "CAP_SYS_ADMIN"},
        {"userfaultfd", "CAP_SYS_PTRACE"},
        {"vhangup", "CAP_SYS_TTY_CONFIG"},
};

static bool has(const char *const *caps, size_t n, const char *cap)
{
	for (size_t i = 0; cap && i < n; i++)
		if (strcmp(caps[i], cap) == 0 || strcmp(caps[i], "CAP_SYS_ADMIN") == 0)
			return true;
	return false;
}

json_t *oci_seccomp(const char *const *caps, size_t n_caps)
{
	json_t *calls = json_array();
	json_t *rules = json_array();

	for (size_t i = 0; i < ARRAY_LEN(denied); i++)
		if (!has(caps, n_caps, denied[i].cap))
			json_array_append_new(calls, json_string(denied[i].call));
	json_array_append_new(rules,
	        json_pack("{s:o, s:s, s:i}", "names", calls, "action", "SCMP_ACT_ERRNO", "errnoRet", EPERM));
	if (!has(caps, n_caps, "CAP_SYS_ADMIN")) {
		for (size_t i = 0; i < ARRAY_LEN(namespaces); i++)
			json_array_append_new(
			        rules, json_pack("{s:[s], s:s, s:i, s:[{s:i, s:I, s:I, s:s}]}", "names", "clone",
			                       "action", "SCMP_ACT_ERRNO", "errnoRet", EPERM, "args", "index", 0,
			                       "value", namespaces[i], "valueTwo", namespaces[i], "op",
			                       "SCMP_CMP_MASKED_EQ"));
		/* Its flags are in memory, where a filter cannot look: a libc falls back to clone. */
		json_array_append_new(rules, json_pack("{s:[s], s:s, s:i}", "names", "clone3", "action",
		                                     "SCMP_ACT_ERRNO", "errnoRet", ENOSYS));
	}
	return json_pack("{s:s, s:o}", "defaultAction", "SCMP_ACT_ALLOW", "syscalls", rules);
}
