/* What a task is started with: the launch, its user, its environment, signals; and processes as /proc shows them. */
#include "tests/unit/unit.h"

#include "base/drbg.h"
#include "base/pack.h"
#include "base/text.h"
#include "node/runtime/env.h"
#include "node/runtime/files.h"
#include "node/runtime/launch.h"
#include "node/runtime/procs.h"
#include "node/runtime/signals.h"
#include "node/runtime/user.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static struct launch sample(void)
{
	static char *argv[] = {"/bin/web", "--port", "", NULL};
	static char *env[] = {"A=1", "B=two words", NULL};
	static char *check[] = {NULL};
	struct launch l = {
	        .run = 7,
	        .argv = argv,
	        .env = env,
	        .check = check,
	        .cwd = "/srv",
	        .set_user = true,
	        .uid = 65534,
	        .gid = 100,
	        .n_groups = 2,
	        .groups = {5, 6},
	        .n_cgroups = 1,
	        .cgroups = {"/sys/fs/cgroup/pids/starling/x"},
	        .oom_file = NULL,
	        .stop_signal = SIGTERM,
	        .stop_grace_ms = 10000,
	        .watchdog_ms = 3,
	};

	return l;
}

static void a_launch_comes_back_as_it_was(void **state)
{
	struct launch l = sample(), got;
	struct arena arena;
	struct wr w;

	(void)state;
	arena_init(&arena);
	wr_init(&w, LAUNCH_BYTES_MAX);
	launch_put(&w, &l);
	assert_int_equal(launch_get(&got, &arena, w.p, w.len, NULL), 0);
	assert_int_equal(got.run, 7);
	assert_string_equal(got.argv[1], "--port");
	assert_string_equal(got.argv[2], "");
	assert_null(got.argv[3]);
	assert_string_equal(got.env[1], "B=two words");
	assert_null(got.check[0]);
	assert_string_equal(got.cwd, "/srv");
	assert_true(got.set_user);
	assert_int_equal(got.uid, 65534);
	assert_int_equal(got.groups[1], 6);
	assert_string_equal(got.cgroups[0], l.cgroups[0]);
	assert_null(got.oom_file);
	assert_int_equal(got.stop_signal, SIGTERM);
	assert_int_equal(got.watchdog_ms, 3);
	wr_free(&w);
	arena_free(&arena);
}

/* Every cut and thousands of changed bytes: an error or another launch, never a read beyond the end (the tests run
 * with AddressSanitizer, on a copy that ends where the bytes do). */
static void a_damaged_launch_is_refused_or_read_within_its_bounds(void **state)
{
	struct launch l = sample(), got;
	struct arena arena;
	struct drbg d;
	struct wr w;

	(void)state;
	wr_init(&w, LAUNCH_BYTES_MAX);
	launch_put(&w, &l);
	drbg_init_u64(&d, 4, 0);
	for (size_t cut = 0; cut < w.len; cut++) {
		uint8_t *copy = xmemdup(w.p, cut);

		arena_init(&arena);
		assert_int_equal(launch_get(&got, &arena, copy, cut, NULL), -1);
		arena_free(&arena);
		free(copy);
	}
	for (int i = 0; i < 5000; i++) {
		uint8_t *copy = xmemdup(w.p, w.len);

		copy[drbg_below(&d, w.len)] = (uint8_t)drbg_u64(&d);
		copy[drbg_below(&d, w.len)] = (uint8_t)drbg_u64(&d);
		arena_init(&arena);
		if (launch_get(&got, &arena, copy, w.len, NULL) == 0) {
			assert_non_null(got.argv[0]);
			assert_true(got.n_groups <= LAUNCH_GROUPS_MAX && got.n_cgroups <= LAUNCH_CGROUPS_MAX);
			assert_in_range(got.stop_signal, 1, NSIG - 1);
		}
		arena_free(&arena);
		free(copy);
	}
	wr_free(&w);
}

static void records_come_back_and_an_impossible_pid_is_refused(void **state)
{
	struct run_record run = {.run = 3,
	                          .shim_pid = 10,
	                          .pid = 11,
	                          .shim_ticks = 5,
	                          .ticks = 6,
	                          .started = 1234},
	                  r;
	struct exit_record ended = {.run = 3,
	                           .signalled = true,
	                           .code = 9,
	                           .oom = true,
	                           .started = 1,
	                           .ended = 2},
	                   e;
	uint8_t buf[RECORD_FILE_MAX];
	struct wr w;

	(void)state;
	wr_fixed(&w, buf, sizeof(buf));
	run_put(&w, &run);
	assert_true(wr_ok(&w));
	assert_int_equal(run_get(&r, buf, w.len, NULL), 0);
	assert_int_equal(r.ticks, 6);
	assert_int_equal(r.started, 1234);
	assert_int_equal(exit_get(&e, buf, w.len, NULL), -1);
	/* kill(-1) would be everybody. */
	for (uint32_t pid = 0; pid < 2; pid++) {
		run.pid = pid;
		wr_fixed(&w, buf, sizeof(buf));
		run_put(&w, &run);
		assert_int_equal(run_get(&r, buf, w.len, NULL), -1);
	}
	run.pid = UINT32_MAX;
	wr_fixed(&w, buf, sizeof(buf));
	run_put(&w, &run);
	assert_int_equal(run_get(&r, buf, w.len, NULL), -1);
	wr_fixed(&w, buf, sizeof(buf));
	exit_put(&w, &ended);
	assert_int_equal(exit_get(&e, buf, w.len, NULL), 0);
	assert_true(e.signalled && e.oom && e.code == 9);
	assert_int_equal(exit_get(&e, buf, w.len - 1, NULL), -1);
}

/* What is written here was written once and never changes: agents and shims of different builds meet. A change that
 * makes this test fail kills, or leaves without an agent, the tasks of every host that is upgraded. */
static void agents_and_shims_of_all_builds_speak_the_same(void **state)
{
	static const char launch_bytes[] =
	        "dc0012010793c4082f62696e2f776562c4062d2d706f7274c40092c403413d31c40b423d74776f20776f72647390c4042f737276"
	        "c3cdfffe6492050691c41e2f7379732f66732f6367726f75702f706964732f737461726c696e672f78c40000000fcd271003c0";
	struct launch l = sample();
	struct run_record run = {
	        .run = 3, .shim_pid = 10, .pid = 11, .shim_ticks = 5, .ticks = 6, .started = 1234};
	struct exit_record ended = {.run = 3,
	        .step = STEP_EXEC,
	        .step_errno = 13,
	        .signalled = true,
	        .code = 9,
	        .oom = true,
	        .started = 1,
	        .ended = 2};
	struct watchdog_record fired = {.run = 3, .at = 1234}, got;
	struct usage_record cost = {.run = 3, .user_ms = 5, .system_ms = 6, .max_rss = 4096, .oom_kills = 2},
	                    cost_got;
	char hex[1024];
	struct wr w;

	(void)state;
	wr_init(&w, LAUNCH_BYTES_MAX);
	launch_put(&w, &l);
	hex_encode(hex, w.p, w.len);
	assert_string_equal(hex, launch_bytes);
	wr_reset(&w);
	run_put(&w, &run);
	hex_encode(hex, w.p, w.len);
	assert_string_equal(
	        hex, "73725201000000030000000a00000000000000050000000b000000000000000600000000000004d2");
	wr_reset(&w);
	exit_put(&w, &ended);
	hex_encode(hex, w.p, w.len);
	assert_string_equal(hex, "7372450100000003090000000d01090100000000000000010000000000000002");
	wr_reset(&w);
	watchdog_put(&w, &fired);
	hex_encode(hex, w.p, w.len);
	assert_string_equal(hex, "737257010000000300000000000004d2");
	assert_int_equal(watchdog_get(&got, w.p, w.len, NULL), 0);
	assert_true(got.run == 3 && got.at == 1234);
	assert_int_equal(watchdog_get(&got, w.p, w.len - 1, NULL), -1);
	wr_reset(&w);
	usage_put(&w, &cost);
	hex_encode(hex, w.p, w.len);
	assert_string_equal(hex, "7372550100000003000000000000000500000000000000060000000000001000"
	                         "00000002");
	assert_int_equal(usage_get(&cost_got, w.p, w.len, NULL), 0);
	assert_int_equal(cost_got.oom_kills, 2);
	assert_int_equal(usage_get(&cost_got, w.p, w.len - 1, NULL), -1);
	wr_free(&w);
	assert_int_equal(SHIM_STOP, 1);
	assert_int_equal(SHIM_CHECK, 2);
	assert_int_equal(SHIM_STARTED, 16);
	assert_int_equal(SHIM_EXIT, 17);
	assert_int_equal(SHIM_CHECKED, 18);
	assert_int_equal(SHIM_WATCHDOG, 19);
	assert_int_equal(CHECK_PASSED, 0);
	assert_int_equal(CHECK_FAILED, 1);
	assert_int_equal(CHECK_TIMED_OUT, 2);
	assert_int_equal(CHECK_NOT_RUN, 3);
	assert_int_equal(STEP_FORK, 1);
	assert_int_equal(STEP_STDIO, 2);
	assert_int_equal(STEP_CWD, 7);
	assert_int_equal(STEP_NOT_FOUND, 8);
}

static void a_launch_of_a_later_build_is_read_as_far_as_it_is_known(void **state)
{
	struct launch l = sample(), got;
	struct arena arena;
	struct wr w;

	(void)state;
	arena_init(&arena);
	wr_init(&w, LAUNCH_BYTES_MAX);
	launch_put(&w, &l);
	/* Three fields more, of any kind. */
	assert_int_equal(w.p[2], 18);
	w.p[2] = 21;
	pk_map(&w, 1);
	pk_str(&w, "what");
	pk_u64(&w, 99);
	pk_array(&w, 1);
	pk_str(&w, "what is this");
	assert_int_equal(launch_get(&got, &arena, w.p, w.len, NULL), -1);
	pk_nil(&w);
	assert_int_equal(launch_get(&got, &arena, w.p, w.len, NULL), 0);
	assert_int_equal(got.run, 7);
	assert_int_equal(got.watchdog_ms, 3);
	/* One field less is no launch. */
	w.p[2] = 17;
	assert_int_equal(launch_get(&got, &arena, w.p, w.len, NULL), -1);
	wr_free(&w);
	arena_free(&arena);
}

/* The bytes of every key: a shim of any later build reads them. */
static void a_launch_with_all_that_a_process_may_have(struct arena *arena)
{
	static const char more[] =
	        "89a66c696d6974739307cd03e8cd07d0a46e696365fba2696f920204ad6f6f6d5f73636f72655f61646acd012ca96e65775f7072697673c3"
	        "a463617073cd0400a66d6f756e7473929600c4022f61c4022f620b00009601c400c4022f631405cd03ffa4726f6f74c4092f7372762f726f"
	        "6f74a9726561645f6f6e6c79c3";
	struct launch_mount mounts[] = {
	        {.kind = LAUNCH_BIND,
	                .source = "/a",
	                .target = "/b",
	                .read_only = true,
	                .make_source = true,
	                .slave = true},
	        {.kind = LAUNCH_TMPFS,
	                .target = "/c",
	                .size = 5,
	                .mode = 01777,
	                .make_target = true,
	                .no_exec = true},
	};
	struct launch l = sample(), got;
	char hex[2048];
	struct wr w;

	l.n_limits = 1;
	l.limits[0] = (struct launch_limit){7, 1000, 2000};
	l.nice = -5;
	l.io_class = LAUNCH_IO_BEST_EFFORT;
	l.io_priority = 4;
	l.oom_score_adj = 300;
	l.new_privs = true;
	l.set_caps = true;
	l.caps = 1 << 10;
	l.mounts = mounts;
	l.n_mounts = 2;
	l.root = "/srv/root";
	l.read_only_root = true;
	wr_init(&w, LAUNCH_BYTES_MAX);
	launch_put(&w, &l);
	hex_encode(hex, w.p, w.len);
	assert_string_equal(strstr(hex, "89a66c696d697473"), more);
	assert_int_equal(launch_get(&got, arena, w.p, w.len, NULL), 0);
	assert_int_equal(got.limits[0].hard, 2000);
	assert_int_equal(got.nice, -5);
	assert_int_equal(got.io_priority, 4);
	assert_int_equal(got.oom_score_adj, 300);
	assert_true(got.new_privs && got.set_caps && got.read_only_root);
	assert_int_equal(got.caps, 1 << 10);
	assert_int_equal(got.n_mounts, 2);
	assert_true(got.mounts[0].slave && got.mounts[0].make_source && !got.mounts[0].no_exec);
	assert_true(got.mounts[1].no_exec && got.mounts[1].make_target && got.mounts[1].mode == 01777);
	assert_string_equal(got.mounts[1].target, "/c");
	assert_string_equal(got.root, "/srv/root");
	wr_free(&w);
}

static void what_later_builds_added_comes_back_and_its_bytes_stay(void **state)
{
	static const char more[] = "82a87069645f66696c65c403706964a7636c65616e757092c40472756e63c40664656c657465";
	char *cleanup[] = {"runc", "delete", NULL};
	struct launch l = sample(), got;
	struct arena arena;
	char hex[1024];
	struct wr w;

	(void)state;
	arena_init(&arena);
	wr_init(&w, LAUNCH_BYTES_MAX);
	l.pid_file = "pid";
	l.cleanup = cleanup;
	launch_put(&w, &l);
	hex_encode(hex, w.p, w.len);
	assert_int_equal(w.p[2], 19);
	assert_string_equal(hex + strlen(hex) - strlen(more), more);
	assert_int_equal(launch_get(&got, &arena, w.p, w.len, NULL), 0);
	assert_string_equal(got.pid_file, "pid");
	assert_string_equal(got.cleanup[1], "delete");
	assert_null(got.cleanup[2]);
	a_launch_with_all_that_a_process_may_have(&arena);
	/* A key of a build to come. */
	w.p[w.len - strlen(more) / 2 + 1 + 5] ^= 0x20;
	assert_int_equal(launch_get(&got, &arena, w.p, w.len, NULL), 0);
	assert_null(got.pid_file);
	assert_string_equal(got.cleanup[1], "delete");
	for (size_t cut = 0; cut < w.len; cut++)
		assert_int_equal(launch_get(&got, &arena, w.p, cut, NULL), -1);
	wr_free(&w);
	arena_free(&arena);
}

static void a_fault_comes_back_and_a_damaged_one_is_refused(void **state)
{
	struct fault_record f = {.run = 3, .text = "no such image"}, got;
	uint8_t buf[FAULT_FILE_MAX];
	struct wr w;

	(void)state;
	wr_fixed(&w, buf, sizeof(buf));
	fault_put(&w, &f);
	assert_int_equal(fault_get(&got, buf, w.len, NULL), 0);
	assert_int_equal(got.run, 3);
	assert_string_equal(got.text, f.text);
	assert_int_equal(fault_get(&got, buf, 7, NULL), -1);
	buf[w.len - 1] = 0xff;
	assert_int_equal(fault_get(&got, buf, w.len, NULL), -1);
}

static void messages_are_taken_whole_and_within_their_bound(void **state)
{
	uint8_t buf[SHIM_MESSAGE_MAX];
	enum shim_message kind;
	struct rd body;
	struct wr w;
	size_t at;

	(void)state;
	wr_fixed(&w, buf, sizeof(buf));
	at = message_begin(&w, SHIM_STOP);
	wr_u8(&w, 15);
	wr_u32(&w, 1000);
	message_end(&w, at);
	assert_int_equal(w.len, 8);
	for (size_t len = 0; len < w.len; len++)
		assert_int_equal(message_take(buf, len, &kind, &body), 0);
	assert_int_equal(message_take(buf, w.len, &kind, &body), 8);
	assert_int_equal(kind, SHIM_STOP);
	assert_int_equal(rd_u8(&body), 15);
	assert_int_equal(rd_u32(&body), 1000);
	assert_int_equal(rd_end(&body, NULL), 0);
	assert_int_equal(message_take((const uint8_t *)"\0\0", 2, &kind, &body), -1);
	assert_int_equal(message_take((const uint8_t *)"\xff\xff\x01", 3, &kind, &body), -1);
}

static void signals_have_names_numbers_and_real_time_ones(void **state)
{
	static const struct {
		const char *text;
		int number;
	} table[] = {{"SIGTERM", SIGTERM}, {"TERM", SIGTERM}, {"SIGUSR1", SIGUSR1}, {"9", 9}, {"SIGNOPE", 0},
	        {"", 0}, {"0", 0}, {"999", 0}, {"SIG", 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		assert_int_equal(signal_number(table[i].text), table[i].number);
	assert_int_equal(signal_number("SIGRTMIN+3"), SIGRTMIN + 3);
	assert_int_equal(signal_number("SIGRTMIN+99"), 0);
	assert_string_equal(signal_name(SIGKILL), "SIGKILL");
	assert_string_equal(signal_name(50), "signal 50");
}

static char passwd_path[] = "/tmp/starling-passwd-XXXXXX";
static char group_path[] = "/tmp/starling-group-XXXXXX";
static const struct user_files accounts = {passwd_path, group_path};

static void put(char *path, const char *text)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static int make_accounts(void **state)
{
	(void)state;
	put(passwd_path, "root:x:0:0:root:/root:/bin/sh\n"
	                 "broken line\n"
	                 "bad:x:what:1::/:\n"
	                 "nobody:x:65000:65001:nobody:/nonexistent:/usr/sbin/nologin\n"
	                 "app:x:1001:1002::/home/app:/bin/sh\n"
	                 "bare:x:1003:1003:::\n");
	put(group_path, "root:x:0:\nvideo:x:44:app,other\nstaff:x:50:other,app\nappl:x:60:appl\n");
	return 0;
}

static int remove_accounts(void **state)
{
	(void)state;
	unlink(passwd_path);
	unlink(group_path);
	return 0;
}

static void a_user_is_found_by_name_number_and_group(void **state)
{
	static const struct {
		const char *text;
		uint32_t me, uid, gid;
		size_t n_groups;
		const char *home;
	} table[] = {
	        {NULL, 0, 65000, 65001, 0, "/nonexistent"},
	        {NULL, 1001, 1001, 1002, 0, "/home/app"},
	        {"app", 0, 1001, 1002, 2, "/home/app"},
	        {"1001", 0, 1001, 1002, 2, "/home/app"},
	        {"app:staff", 0, 1001, 50, 0, "/home/app"},
	        {"app:7", 0, 1001, 7, 0, "/home/app"},
	        {"4242", 0, 4242, 65534, 0, "/"},
	        {"4242:4343", 0, 4242, 4343, 0, "/"},
	        {"bare", 0, 1003, 1003, 0, "/"},
	        {"root", 0, 0, 0, 0, "/root"},
	        {"app", 1001, 1001, 1002, 2, "/home/app"},
	};
	struct arena arena;
	struct user u;

	(void)state;
	arena_init(&arena);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		assert_int_equal(user_find(&u, &arena, table[i].text, table[i].me, &accounts, NULL), 0);
		assert_int_equal(u.uid, table[i].uid);
		assert_int_equal(u.gid, table[i].gid);
		assert_int_equal(u.n_groups, table[i].n_groups);
		assert_string_equal(u.home, table[i].home);
	}
	arena_free(&arena);
}

static void a_user_that_cannot_be_is_refused_with_its_name(void **state)
{
	struct err err = {0};
	struct arena arena;
	struct user u;

	(void)state;
	arena_init(&arena);
	assert_int_equal(user_find(&u, &arena, "ghost", 0, &accounts, &err), -1);
	assert_non_null(strstr(err.text, "user \"ghost\": not in "));
	assert_int_equal(user_find(&u, &arena, "app:ghosts", 0, &accounts, &err), -1);
	assert_non_null(strstr(err.text, "group \"ghosts\": not in "));
	assert_int_equal(user_find(&u, &arena, "bad", 0, &accounts, &err), -1);
	assert_int_equal(user_find(&u, &arena, "root", 1001, &accounts, &err), -1);
	assert_int_equal(err.code, ERR_UNAUTHORISED);
	assert_non_null(strstr(err.text, "this agent is not root"));
	arena_free(&arena);
}

static const char *value(char **env, const char *key)
{
	size_t len = strlen(key);

	for (; *env; env++)
		if (strncmp(*env, key, len) == 0 && (*env)[len] == '=')
			return *env + len + 1;
	return NULL;
}

static void the_services_environment_wins_but_never_over_ours(void **state)
{
	struct kv env[] = {{"PATH", "/opt/bin"}, {"PORT", "8080"}, {"STARLING_STACK", "forged"}, {"X", NULL}};
	struct spec_port ports[] = {{.name = "web-ui.2", .target = 80}, {.name = "53", .target = 53}};
	struct service s = {.name = "web", .n_env = 4, .env = env, .n_ports = 2, .ports = ports};
	struct runtime_task t = {.task = 0xaa, .stack = "shop", .service = "web", .spec = &s, .n_ports = 1};
	struct runtime_config host = {.address = {.family = 4, .ip = {127, 0, 0, 1}}, .peer_name = "wren"};
	struct user user = {.name = "app", .home = "/home/app"};
	struct arena arena;
	char **list;

	(void)state;
	arena_init(&arena);
	t.ports[0].index = 0;
	t.ports[0].port = 20001;
	list = env_build(&arena, &host, &t, &user);
	assert_string_equal(list[0], "STARLING_TASK=00000000000000aa");
	assert_string_equal(value(list, "STARLING_STACK"), "shop");
	assert_string_equal(value(list, "PATH"), "/opt/bin");
	assert_string_equal(value(list, "PORT"), "8080");
	assert_string_equal(value(list, "STARLING_PORT_WEB_UI_2"), "20001");
	assert_string_equal(value(list, "X"), "");
	assert_string_equal(value(list, "HOME"), "/home/app");
	assert_null(value(list, "STARLING_DNS"));
	host.dns = (struct addr){.family = 4, .ip = {127, 78, 27, 53}, .port = 53};
	s.n_env = 0;
	t.n_ports = 2;
	t.ports[1].index = 1;
	t.ports[1].port = 20002;
	host.data_dir = "/var/lib/starling";
	s.volumes = (const char *[]){"user-data"};
	s.n_volumes = 1;
	list = env_build(&arena, &host, &t, &user);
	assert_string_equal(value(list, "STARLING_VOLUME_USER_DATA"), "/var/lib/starling/volumes/shop/user-data");
	assert_string_equal(value(list, "STARLING_DNS"), "127.78.27.53:53");
	assert_string_equal(value(list, "STARLING_PORT_53"), "20002");
	/* Which of two would it be? */
	assert_null(value(list, "PORT"));
	arena_free(&arena);
}

static void templates_of_swarm_become_what_the_task_is(void **state)
{
	struct kv env[] = {{"ID", "{{.Service.ID}}"}, {"NAME", "{{.Task.Name}} on {{.Node.Hostname}}"}};
	struct service s = {.name = "web", .n_env = 2, .env = env};
	struct runtime_task t = {.task = 0xaa, .stack = "shop", .service = "web", .spec = &s, .index = 2};
	struct runtime_config host = {
	        .address = {.family = 4}, .peer_name = "wren", .peer_id = "0123456789abcdef"};
	struct user user = {.name = "app", .home = "/home/app"};
	struct arena arena;
	char **list;

	(void)state;
	arena_init(&arena);
	list = env_build(&arena, &host, &t, &user);
	/* Swarm's slots count from 1. */
	assert_string_equal(value(list, "NAME"), "shop_web.3.00000000000000aa on wren");
	assert_int_equal(strlen(value(list, "ID")), 16);
	assert_string_equal(
	        task_template(&arena, &host, &t, "/srv/{{.Service.Name}}/{{.Task.Slot}}"), "/srv/shop_web/3");
	s.mode = MODE_GLOBAL;
	assert_string_equal(task_template(&arena, &host, &t, "{{.Task.Slot}} {{.Task.Name}}"),
	        "0 shop_web.0123456789abcdef.00000000000000aa");
	arena_free(&arena);
}

static void a_process_with_a_name_full_of_traps_is_parsed(void **state)
{
	struct proc p;

	(void)state;
	assert_true(proc_parse("42 (a ) R 1 (x) S 7 8 9 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 1", &p));
	assert_int_equal(p.pid, 42);
	assert_int_equal(p.state, 'S');
	assert_int_equal(p.ppid, 7);
	assert_int_equal(p.pgrp, 8);
	assert_int_equal(p.session, 9);
	assert_int_equal(p.ticks, 987654);
	assert_false(proc_parse("42 (cut) S 7", &p));
	assert_false(proc_parse("", &p));
	assert_true(proc_read(getpid(), &p));
	assert_int_equal(p.ppid, getppid());
	assert_false(proc_read(-5, &p));
}

static void a_file_is_replaced_whole_and_read_within_its_bound(void **state)
{
	char dir[] = "/tmp/starling-files-XXXXXX";
	struct err err = {0};
	struct arena arena;
	size_t len;
	int fd;

	(void)state;
	arena_init(&arena);
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(file_replace(fd, "a", "first", 5, NULL), 0);
	assert_int_equal(file_replace(fd, "a", "second one", 10, NULL), 0);
	assert_string_equal(file_read(fd, "a", 10, &arena, &len, NULL), "second one");
	assert_int_equal(len, 10);
	assert_null(file_read(fd, "a", 9, &arena, &len, &err));
	assert_non_null(strstr(err.text, "File too large"));
	assert_null(file_read(fd, "b", 9, &arena, &len, &err));
	assert_string_equal(err.text, "open b: No such file or directory");
	assert_int_equal(file_replace(fd, "no/such", "x", 1, &err), -1);
	close(fd);
	assert_int_equal(folder_remove(AT_FDCWD, dir, NULL), 0);
	assert_int_equal(access(dir, F_OK), -1);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_launch_comes_back_as_it_was),
	        cmocka_unit_test(a_damaged_launch_is_refused_or_read_within_its_bounds),
	        cmocka_unit_test(records_come_back_and_an_impossible_pid_is_refused),
	        cmocka_unit_test(agents_and_shims_of_all_builds_speak_the_same),
	        cmocka_unit_test(a_launch_of_a_later_build_is_read_as_far_as_it_is_known),
	        cmocka_unit_test(what_later_builds_added_comes_back_and_its_bytes_stay),
	        cmocka_unit_test(a_fault_comes_back_and_a_damaged_one_is_refused),
	        cmocka_unit_test(messages_are_taken_whole_and_within_their_bound),
	        cmocka_unit_test(signals_have_names_numbers_and_real_time_ones),
	        cmocka_unit_test(a_user_is_found_by_name_number_and_group),
	        cmocka_unit_test(a_user_that_cannot_be_is_refused_with_its_name),
	        cmocka_unit_test(the_services_environment_wins_but_never_over_ours),
	        cmocka_unit_test(templates_of_swarm_become_what_the_task_is),
	        cmocka_unit_test(a_process_with_a_name_full_of_traps_is_parsed),
	        cmocka_unit_test(a_file_is_replaced_whole_and_read_within_its_bound),
	};

	return cmocka_run_group_tests(tests, make_accounts, remove_accounts);
}
