/* What a process of the host may be given: limits, rights, and a view of the file system of its own. */
#include "tests/unit/node/runtime_world.h"

#include "node/runtime/caps.h"
#include "node/runtime/cgroup.h"
#include "node/runtime/mountinfo.h"
#include "node/runtime/rlimits.h"

#include <grp.h>
#include <sys/mount.h>
#include <sys/resource.h>

static void need_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("skipped: this needs root\n");
	skip();
}

static const char **list(struct world *w, const char *a, const char *b)
{
	const char **out = arena_array(&w->arena, 2, sizeof(*out));

	out[0] = a;
	out[1] = b;
	return out;
}

/* A service that runs the script once, as root. */
static struct service *once(struct world *w, const char *script)
{
	struct service *s = service(w, "web", script);

	s->restart.condition = RESTART_NONE;
	s->user = geteuid() == 0 ? "root" : NULL;
	return s;
}

/* Runs it to its end; its log. */
static const char *said(struct world *w, const struct service *s)
{
	id64 id = start(w, s);

	WAIT(w, ended(w, id));
	if (!is(w, id, TASK_DONE))
		print_message("%s\n", task(w, id)->reason);
	return log_of(w, id, 100);
}

static const char *refusal(struct world *w, const struct service *s)
{
	struct runtime_start r = {.slot = 7, .revision = 1, .stack = "shop", .service = s};
	static struct err err;

	err = (struct err){0};
	task_id(w, r.task_random);
	assert_int_equal(runtime_start(w->rt, &r, &err), 0);
	return err.text;
}

static struct spec_mount *mount_at(
        struct world *w, struct service *s, enum spec_mount_kind kind, const char *source, const char *target)
{
	struct spec_mount *all = arena_array(&w->arena, s->n_mounts + 1, sizeof(*all));

	if (s->n_mounts)
		memcpy(all, s->mounts, s->n_mounts * sizeof(*all));
	all[s->n_mounts] = (struct spec_mount){.kind = kind, .source = source, .target = target};
	s->mounts = all;
	return &all[s->n_mounts++];
}

static const char *in_dir(struct world *w, const char *name)
{
	return arena_printf(&w->arena, "%s/%s", w->dir, name);
}

static void limits_and_priorities_are_what_the_service_says(void **state)
{
	struct world *w = *state;
	struct spec_ulimit limits[] = {{"core", 0, 0}, {"nofile", 100, 200}};
	struct service *s = once(w, "ulimit -n; ulimit -Hn; ulimit -c; nice; cat /proc/self/oom_score_adj");

	s->ulimits = limits;
	s->n_ulimits = 2;
	s->process.nice = 7;
	s->process.io_class = IO_IDLE;
	s->oom_score_adj = 300;
	assert_string_equal(said(w, s), "100\n200\n0\n7\n300\n");
}

static void a_limit_above_what_the_agent_may_set_is_refused_with_both(void **state)
{
	struct spec_ulimit limit = {"nofile", 1, INT32_MAX};
	struct service s = {.name = "web", .n_ulimits = 1, .ulimits = &limit};
	struct launch l = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(rlimits_of(&l, &s, true, &err), 0);
	assert_int_equal(l.limits[0].resource, RLIMIT_NOFILE);
	assert_int_equal(rlimits_of(&l, &s, false, &err), -1);
	assert_non_null(strstr(err.text, "ulimits.nofile: the hard limit of this host's agent is "));
	limit = (struct spec_ulimit){"nofile", -1, 10};
	assert_int_equal(rlimits_of(&l, &s, true, &err), -1);
	assert_non_null(strstr(err.text, "soft is above hard"));
	limit.name = "nofiles";
	assert_int_equal(rlimits_of(&l, &s, true, &err), -1);
	limit = (struct spec_ulimit){"core", -1, -1};
	assert_int_equal(rlimits_of(&l, &s, true, &err), 0);
	assert_true(l.limits[0].soft == (uint64_t)RLIM_INFINITY);
}

static void capabilities_are_counted_as_compose_does(void **state)
{
	static const char *const add_chown[] = {"CHOWN"}, *const all[] = {"ALL"}, *const both[] = {"ALL", "KILL"},
	                         *const wrong[] = {"chown"};
	static const struct {
		const char *const *add, *const *drop;
		size_t n_add, n_drop;
		bool as_root;
		uint64_t want;
	} table[] = {
	        {NULL, NULL, 0, 0, false, 0},
	        {NULL, NULL, 0, 0, true, 0x2f},
	        {add_chown, NULL, 1, 0, false, 1},
	        {NULL, add_chown, 0, 1, true, 0x2e},
	        {add_chown, all, 1, 1, true, 1},
	        {all, add_chown, 1, 1, false, 0x2e},
	        {all, both, 1, 2, false, 0x0f},
	        {NULL, all, 0, 1, true, 0},
	};
	struct err err = {0};
	uint64_t caps;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct service s = {.cap_add = (const char **)table[i].add,
		        .n_cap_add = table[i].n_add,
		        .cap_drop = (const char **)table[i].drop,
		        .n_cap_drop = table[i].n_drop};

		assert_int_equal(caps_of(&caps, &s, table[i].as_root, 0x2f, &err), 0);
		assert_int_equal(caps, table[i].want);
	}
	struct service s = {.cap_add = (const char **)add_chown, .n_cap_add = 1};

	assert_int_equal(caps_of(&caps, &s, true, 0x2e, &err), -1);
	assert_non_null(strstr(err.text, "does not have CHOWN itself"));
	s.cap_add = (const char **)wrong;
	assert_int_equal(caps_of(&caps, &s, true, ~0ULL, &err), -1);
	assert_non_null(strstr(err.text, "\"chown\" is no capability"));
	assert_int_equal(cap_number("CAP_CHECKPOINT_RESTORE"), 40);
	assert_int_equal(cap_number("SYS_RESOURCE"), 24);
}

#define CAPS "grep -E '^(CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs)' /proc/self/status | tr -d '\\t0 '; id -u"

static void a_user_has_only_the_capabilities_that_it_is_given(void **state)
{
	struct world *w = *state;
	struct service *s;

	need_root();
	s = once(w, CAPS);
	s->user = "65534";
	s->cap_add = list(w, "NET_BIND_SERVICE", NULL);
	s->n_cap_add = 1;
	assert_string_equal(said(w, s), "CapPrm:4\nCapEff:4\nCapBnd:4\nCapAmb:4\nNoNewPrivs:1\n65534\n");
	s = once(w, CAPS);
	s->cap_add = list(w, "CHOWN", "KILL");
	s->n_cap_add = 2;
	s->cap_drop = list(w, "ALL", NULL);
	s->n_cap_drop = 1;
	s->security_opt = list(w, "no-new-privileges=false", NULL);
	s->n_security_opt = 1;
	assert_string_equal(said(w, s), "CapPrm:21\nCapEff:21\nCapBnd:21\nCapAmb:\nNoNewPrivs:\n0\n");
}

/* Without a word of the service about them they stay as they always were. */
static void a_user_that_is_given_none_has_none(void **state)
{
	struct world *w = *state;
	struct service *s = once(w, "grep -E '^(CapEff|CapAmb|NoNewPrivs)' /proc/self/status | tr -d '\\t0 '");

	need_root();
	s->user = "65534";
	assert_string_equal(said(w, s), "CapEff:\nCapAmb:\nNoNewPrivs:1\n");
}

static void groups_are_added_to_those_of_the_user(void **state)
{
	struct world *w = *state;
	struct service *s = once(w, "id -G");

	need_root();
	s->user = "65534:65533";
	s->group_add = list(w, "4242", "tty");
	s->n_group_add = 2;
	assert_string_equal(said(w, s), "65533 5 4242\n");
}

static void a_private_tmp_is_nobody_elses_and_its_checks_see_it(void **state)
{
	struct world *w = *state;
	char name[64];
	struct service *s;
	id64 id;

	snprintf(name, sizeof(name), "/tmp/starling-private-%d", (int)getpid());
	s = service(
	        w, "web", arena_printf(&w->arena, "echo mine > %s; echo mine > /var/tmp/x; sleep 1000", name));
	s->process.private_tmp = true;
	s->check.kind = CHECK_COMMAND;
	s->check.n_argv = 2;
	s->check.argv = list(w, "/usr/bin/test", NULL);
	s->check.argv = arena_array(&w->arena, 3, sizeof(char *));
	s->check.argv[0] = "/usr/bin/test";
	s->check.argv[1] = "-s";
	s->check.argv[2] = arena_strdup(&w->arena, name);
	s->check.n_argv = 3;
	id = start(w, s);
	WAIT(w, task(w, id)->health == HEALTH_HEALTHY);
	assert_int_equal(access(name, F_OK), -1);
	assert_int_equal(marked(id), 2);
}

static void a_read_only_root_leaves_its_volumes_and_tmpfs_writable(void **state)
{
	struct world *w = *state;
	struct service *s;

	need_root();
	s = once(w, "for d in /usr /tmp /run $STARLING_VOLUME_DATA /mnt /dev/shm; do "
	            "if (: > $d/starling-probe-$$) 2>/dev/null; then echo $d; rm $d/starling-probe-$$; fi; done; "
	            "cat /proc/mounts > /dev/null");
	s->read_only = true;
	s->volumes = list(w, "data", NULL);
	s->n_volumes = 1;
	mount_at(w, s, MOUNT_TMPFS, NULL, "/mnt");
	assert_string_equal(
	        said(w, s), arena_printf(&w->arena, "%s/volumes/shop/data\n/mnt\n/dev/shm\n", w->dir));
	/* The host's own mounts are as they were. */
	assert_int_equal(access("/usr", W_OK), 0);
}

static void paths_are_read_only_or_hidden_as_named(void **state)
{
	struct world *w = *state;
	struct service *s;

	need_root();
	mkdir(in_dir(w, "a"), 0755);
	mkdir(in_dir(w, "b"), 0755);
	assert_int_equal(file_replace(AT_FDCWD, in_dir(w, "b/secret"), "x", 1, NULL), 0);
	assert_int_equal(file_replace(AT_FDCWD, in_dir(w, "key"), "x", 1, NULL), 0);
	s = once(w, arena_printf(&w->arena,
	                    "cd %s; touch a/x 2>/dev/null || echo a; touch c && echo c; ls b; cat key; echo end",
	                    w->dir));
	s->process.read_only = list(w, in_dir(w, "a"), NULL);
	s->process.n_read_only = 1;
	s->process.hidden = arena_array(&w->arena, 3, sizeof(char *));
	s->process.hidden[0] = in_dir(w, "b");
	s->process.hidden[1] = in_dir(w, "key");
	s->process.hidden[2] = "/no/such/path";
	s->process.n_hidden = 3;
	assert_string_equal(said(w, s), "a\nc\nend\n");
}

static void what_the_host_has_is_mounted_where_the_service_wants_it(void **state)
{
	struct world *w = *state;
	struct service *s;

	need_root();
	mkdir(in_dir(w, "in"), 0755);
	mkdir(in_dir(w, "ro"), 0755);
	s = once(
	        w, arena_printf(&w->arena,
	                   "cd %s; echo 1 > in/x; touch ro/x 2>/dev/null || echo ro; cat /etc/hostname", w->dir));
	assert_int_equal(file_replace(AT_FDCWD, in_dir(w, "name"), "other\n", 6, NULL), 0);
	mount_at(w, s, MOUNT_BIND, in_dir(w, "name"), "/etc/hostname");
	/* The source is made, the target not. */
	mount_at(w, s, MOUNT_BIND, in_dir(w, "new/source"), in_dir(w, "in"));
	mount_at(w, s, MOUNT_VOLUME, "data", in_dir(w, "ro"))->read_only = true;
	s->volumes = list(w, "data", NULL);
	s->n_volumes = 1;
	assert_string_equal(said(w, s), "ro\nother\n");
	assert_int_equal(access(in_dir(w, "new/source/x"), F_OK), 0);
	assert_int_equal(access(in_dir(w, "in/x"), F_OK), -1);
	assert_int_equal(access(in_dir(w, "volumes/shop/data"), F_OK), 0);
	s = once(w, "exit 0");
	mount_at(w, s, MOUNT_BIND, "/etc", "/no/such/place");
	assert_non_null(strstr(refusal(w, s), "volumes: the target /no/such/place is not on this host"));
	s = once(w, "exit 0");
	mount_at(w, s, MOUNT_BIND, "/no/such/source", "/mnt")->no_create = true;
	s->restart.condition = RESTART_NONE;
	id64 id = start(w, s);

	WAIT(w, ended(w, id));
	assert_true(task(w, id)->refused);
	assert_string_equal(
	        task(w, id)->reason, "web: volumes: /no/such/source of this host: No such file or directory");
}

/* A folder with a static busybox: its own users, its own root, and a trap. */
static void a_root_folder_is_all_that_the_task_sees(void **state)
{
	struct world *w = *state;
	struct service *s;
	char outside[128];
	id64 id;

	need_root();
	if (system("ldd $(which busybox) 2>&1 | grep -q not.a") != 0) {
		print_message("skipped: this needs busybox-static\n");
		skip();
	}
	snprintf(outside, sizeof(outside), "/tmp/starling-trap-%d", (int)getpid());
	assert_int_equal(
	        system(arena_printf(&w->arena,
	                "cd %s && mkdir -p root/bin root/proc root/etc && cp $(which busybox) root/bin/sh && "
	                "echo app:x:4321:4322::/home:/bin/sh > root/etc/passwd && ln -s %s root/trap",
	                w->dir, outside)),
	        0);
	s = once(w, "cd /; echo *; test -d /proc/self && echo proc; id -u; echo x > /data/x; pwd; "
	            "test -d $STARLING_VOLUME_KEPT && echo kept");
	s->command[0] = "/bin/sh";
	s->user = "app";
	s->process.rootfs = in_dir(w, "root");
	s->volumes = list(w, "kept", NULL);
	s->n_volumes = 1;
	mount_at(w, s, MOUNT_TMPFS, NULL, "/data");
	assert_string_equal(said(w, s), "bin data etc proc tmp trap\nproc\n4321\n/\nkept\n");
	assert_int_equal(access(in_dir(w, "root/data/x"), F_OK), -1);
	/* A link inside leads nowhere but inside. */
	mount_at(w, s, MOUNT_TMPFS, NULL, "/trap/x");
	mkdir(outside, 0755);
	id = start(w, s);
	WAIT(w, ended(w, id));
	assert_non_null(strstr(task(w, id)->reason, "the target /trap/x: No such file"));
	assert_int_equal(rmdir(outside), 0);
	s->user = "ghost";
	id = start(w, s);
	WAIT(w, ended(w, id));
	assert_non_null(strstr(task(w, id)->reason, "/root/etc/passwd of this host"));
}

static void every_key_that_a_process_cannot_have_is_refused_by_its_name(void **state)
{
	struct world *w = *state;
	struct kv kv = {"a", "b"};
	struct spec_device device = {.host = "/dev/null"};
	struct spec_mount unnamed = {.kind = MOUNT_VOLUME, .target = "/mnt"}, shared = {.kind = MOUNT_BIND,
	                                                                              .source = "/etc",
	                                                                              .target = "/mnt",
	                                                                              .propagation = "rshared"};
	const char *text[] = {"seccomp=unconfined"};
#define ASK(key_, ...)                                                                                           \
	{                                                                                                        \
		struct service *s = once(w, "exit 0");                                                           \
		const char *why;                                                                                 \
		__VA_ARGS__;                                                                                     \
		why = refusal(w, s);                                                                             \
		if (strncmp(why, "web: " key_ ": ", strlen("web: " key_ ": ")) != 0)                             \
			fail_msg("%s: %s", key_, why);                                                           \
	}
	ASK("annotations", s->n_annotations = 1; s->annotations = &kv);
	ASK("devices", s->n_devices = 1; s->devices = &device);
	ASK("dns", s->n_dns = 1; s->dns = text);
	ASK("dns_opt", s->n_dns_opt = 1; s->dns_opt = text);
	ASK("dns_search", s->n_dns_search = 1; s->dns_search = text);
	ASK("domainname", s->domainname = "x");
	ASK("extra_hosts", s->n_extra_hosts = 1; s->extra_hosts = text);
	ASK("hostname", s->hostname = "x");
	ASK("ipc", s->ipc = "private");
	ASK("network_mode", s->network_mode = "bridge");
	ASK("pid", s->pid = "private");
	ASK("privileged", s->privileged = true);
	ASK("pull_policy", s->pull = PULL_ALWAYS);
	ASK("security_opt", s->n_security_opt = 1; s->security_opt = text);
	ASK("stdin_open", s->stdin_open = true);
	ASK("sysctls", s->n_sysctls = 1; s->sysctls = &kv);
	ASK("tty", s->tty = true);
	ASK("uts", s->uts = "private");
	ASK("volumes", s->n_mounts = 1; s->mounts = &unnamed);
	ASK("volumes", s->n_mounts = 1; s->mounts = &shared);
	ASK("x-starling.process.rootfs", s->process.rootfs = "/no/such/root");
	ASK("cap_add", s->n_cap_add = 1; s->cap_add = text);
	/* And what it has anyway is no reason to refuse one. */
	struct service *s = once(w, "echo fine");

	s->ipc = s->pid = s->uts = s->network_mode = "host";
	s->init = true;
	assert_string_equal(said(w, s), "fine\n");
}

/* Runs a story of this program again, as a user without any rights. */
static void as_plain_user(const char *story)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
		        setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		execl(self, self, story, NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_plain_users_agent_does_what_it_can_and_refuses_the_rest(void **state)
{
	struct world *w = *state;
	const char *chown[] = {"CHOWN"}, *group[] = {"0"};
	struct spec_ulimit high = {"nofile", 10, INT32_MAX}, low = {"nofile", 50, 60};
	struct service *can, *cannot;

	if (geteuid() == 0) {
		if (access(self, X_OK) < 0)
			skip();
		as_plain_user(__func__);
		return;
	}
	can = once(w, "ulimit -n; nice; cat /proc/self/oom_score_adj; id -u");
	can->ulimits = &low;
	can->n_ulimits = 1;
	can->process.nice = 3;
	can->oom_score_adj = 200;
	can->cap_drop = list(w, "ALL", NULL);
	can->n_cap_drop = 1;
	assert_string_equal(said(w, can), "50\n3\n200\n65534\n");
	ASK("cap_add", s->n_cap_add = 1; s->cap_add = chown);
	ASK("x-starling.process.nice", s->process.nice = -1);
	ASK("oom_score_adj", s->oom_score_adj = -1);
	ASK("ulimits.nofile", s->n_ulimits = 1; s->ulimits = &high);
	cannot = once(w, "exit 0");
	cannot->group_add = group;
	cannot->n_group_add = 1;
	id64 id = start(w, cannot);

	WAIT(w, ended(w, id));
	assert_non_null(strstr(task(w, id)->reason, "group_add: \"0\": this agent is not root"));
}

/* By way of a user namespace, where the host has them. */
static void a_plain_users_task_can_have_a_view_of_its_own(void **state)
{
	struct world *w = *state;
	struct service *s;

	if (geteuid() == 0) {
		if (system("setpriv --reuid 65534 --clear-groups unshare -Urm true 2>/dev/null") != 0) {
			print_message("skipped: this host gives plain users no namespaces\n");
			skip();
		}
		as_plain_user(__func__);
		return;
	}
	s = once(
	        w, "id -u; touch /tmp/x && echo tmp; ls /etc 2>&1; grep CapEff /proc/self/status | tr -d '0\\t'");
	s->process.private_tmp = true;
	s->process.hidden = list(w, "/etc", NULL);
	s->process.n_hidden = 1;
	assert_string_equal(
	        said(w, s), "65534\ntmp\nls: cannot open directory '/etc': Permission denied\nCapEff:\n");
}

static void what_a_run_cost_is_known_after_its_end_and_to_the_next_agent(void **state)
{
	struct world *w = *state;
	struct service *s = once(w, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; exit 3");
	id64 id = start(w, s);

	WAIT(w, ended(w, id));
	assert_true(task(w, id)->exited);
	assert_int_equal(task(w, id)->exit_code, 3);
	assert_true(task(w, id)->user_ms + task(w, id)->system_ms > 0);
	assert_true(task(w, id)->max_rss > 100000);
	agent_dies(w);
	agent_starts(w);
	assert_true(task(w, id)->user_ms + task(w, id)->system_ms > 0);
	assert_true(task(w, id)->max_rss > 100000);
}

/* A server that loses one worker and goes on has not run out of memory itself. */
static void a_child_killed_for_memory_is_noted_and_its_parent_ends_as_it_ends(void **state)
{
	struct world *w = *state;
	struct service *s = once(w, "tail /dev/zero; exit 0");
	struct cgroups c;

	cgroup_detect(&c, CGROUP_ROOT, geteuid() == 0);
	if (!c.memory) {
		print_message("skipped: this host gives no control group of memory\n");
		skip();
	}
	s->limit.memory = 32 << 20;
	assert_non_null(
	        strstr(said(w, s), "!starling: the kernel killed 1 process of this task for its memory limit\n"));
	s = once(w, "tail /dev/zero || exit 9");
	s->limit.memory = 32 << 20;
	id64 id = start(w, s);

	WAIT(w, ended(w, id));
	assert_true(task(w, id)->oom);
	assert_non_null(strstr(task(w, id)->reason, "memory limit"));
}

static void a_list_of_mounts_is_read_with_its_escapes(void **state)
{
	char text[] = "22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
	              "broken\n"
	              "23 22 0:21 /a /mnt/with\\040blank\\134 ro,nosuid,nodev,noexec,noatime - tmpfs tmpfs rw\n"
	              "24 22 0:21 /a relative rw - x x rw\n"
	              "25 22 0:21 / /last rw";
	char *p = text;
	struct mount_point m;

	(void)state;
	assert_true(mountinfo_next(&p, &m));
	assert_string_equal(m.path, "/");
	assert_int_equal(m.flags, MS_RELATIME);
	assert_true(mountinfo_next(&p, &m));
	assert_string_equal(m.path, "/mnt/with blank\\");
	assert_int_equal(m.flags, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME);
	assert_true(mountinfo_next(&p, &m));
	assert_string_equal(m.path, "/last");
	assert_false(mountinfo_next(&p, &m));
}

static const struct CMUnitTest tests[] = {
        STORY(limits_and_priorities_are_what_the_service_says),
        cmocka_unit_test(a_limit_above_what_the_agent_may_set_is_refused_with_both),
        cmocka_unit_test(capabilities_are_counted_as_compose_does),
        STORY(a_user_has_only_the_capabilities_that_it_is_given),
        STORY(a_user_that_is_given_none_has_none),
        STORY(groups_are_added_to_those_of_the_user),
        STORY(a_private_tmp_is_nobody_elses_and_its_checks_see_it),
        STORY(a_read_only_root_leaves_its_volumes_and_tmpfs_writable),
        STORY(paths_are_read_only_or_hidden_as_named),
        STORY(what_the_host_has_is_mounted_where_the_service_wants_it),
        STORY(a_root_folder_is_all_that_the_task_sees),
        STORY(every_key_that_a_process_cannot_have_is_refused_by_its_name),
        STORY(a_plain_users_agent_does_what_it_can_and_refuses_the_rest),
        STORY(a_plain_users_task_can_have_a_view_of_its_own),
        STORY(what_a_run_cost_is_known_after_its_end_and_to_the_next_agent),
        STORY(a_child_killed_for_memory_is_noted_and_its_parent_ends_as_it_ends),
        cmocka_unit_test(a_list_of_mounts_is_read_with_its_escapes),
};

WORLD_MAIN(tests)
