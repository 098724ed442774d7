/* What travels with a service is written into the task's folder once, and drivers see binds of it. */
#include "tests/unit/unit.h"

#include "node/runtime/files.h"
#include "node/runtime/shipped.h"
#include "tests/unit/node/scratch.h"

#include <fcntl.h>
#include <sys/stat.h>

#define TEXT(t) .n_data = sizeof(t) - 1, .data = (const uint8_t *)(t)

struct world {
	struct service s;
	struct spec_files files[2];
	struct spec_file conf[1], tree[2];
	struct spec_mount mounts[4];
	int dir_fd;
};

static void fill(struct world *w, const char *dir)
{
	memset(w, 0, sizeof(*w));
	w->conf[0] = (struct spec_file){TEXT("listen 80;\n")};
	w->tree[0] = (struct spec_file){.path = "a/b/run", .executable = true, TEXT("#!/bin/sh\n")};
	w->tree[1] = (struct spec_file){.path = "index.html"};
	w->files[0] = (struct spec_files){"c0", 1, w->conf};
	w->files[1] = (struct spec_files){"c1", 2, w->tree};
	w->mounts[0] =
	        (struct spec_mount){.kind = MOUNT_SHIPPED, .source = "c1", .target = "/a", .read_only = true};
	w->mounts[1] = (struct spec_mount){.source = "/srv", .target = "/b"};
	w->mounts[2] = (struct spec_mount){.kind = MOUNT_SHIPPED,
	        .source = "c0",
	        .target = "/c",
	        .read_only = true,
	        .mode = 0440,
	        .uid = 7,
	        .gid = 8};
	w->mounts[3] =
	        (struct spec_mount){.kind = MOUNT_SHIPPED, .source = "c0", .target = "/d", .read_only = true};
	w->s = (struct service){
	        .name = "web", .n_files = 2, .files = w->files, .n_mounts = 4, .mounts = w->mounts};
	w->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(w->dir_fd >= 0);
}

static void expect(struct world *w, const char *path, const char *text, mode_t mode, uid_t uid)
{
	struct arena arena;
	struct stat st;
	size_t len = 0;
	uint8_t *bytes;

	arena_init(&arena);
	bytes = file_read(w->dir_fd, path, 1000, &arena, &len, NULL);
	assert_non_null(bytes);
	assert_string_equal((char *)bytes, text);
	assert_int_equal(fstatat(w->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode & 07777, mode);
	if (geteuid() == 0)
		assert_int_equal(st.st_uid, uid);
	arena_free(&arena);
}

static void each_mount_has_its_own_files_with_owner_and_mode(void **state)
{
	struct scratch *scratch = *state;
	struct err err = {0};
	struct world w;

	fill(&w, scratch->dir);
	assert_int_equal(shipped_make(w.dir_fd, &w.s, &err), 0);
	expect(&w, "files/0/a/b/run", "#!/bin/sh\n", 0555, 0);
	expect(&w, "files/0/index.html", "", 0444, 0);
	expect(&w, "files/1", "listen 80;\n", 0440, 7);
	expect(&w, "files/2", "listen 80;\n", 0444, 0);
	close(w.dir_fd);
}

static void what_is_there_is_left_and_what_was_half_written_is_begun_anew(void **state)
{
	struct scratch *scratch = *state;
	struct err err = {0};
	struct world w;

	fill(&w, scratch->dir);
	/* An agent was killed here. */
	assert_int_equal(mkdirat(w.dir_fd, "files.new", 0700), 0);
	assert_int_equal(mkdirat(w.dir_fd, "files.new/1", 0700), 0);
	assert_int_equal(shipped_make(w.dir_fd, &w.s, &err), 0);
	expect(&w, "files/1", "listen 80;\n", 0440, 7);
	w.conf[0] = (struct spec_file){TEXT("other\n")};
	assert_int_equal(shipped_make(w.dir_fd, &w.s, &err), 0);
	expect(&w, "files/1", "listen 80;\n", 0440, 7);
	assert_int_equal(folder_remove(w.dir_fd, "files", &err), 0);
	close(w.dir_fd);
}

static void a_driver_sees_read_only_binds(void **state)
{
	const struct service plain = {.name = "web"};
	const struct service *seen;
	struct arena arena;
	struct world w;

	fill(&w, ((struct scratch *)*state)->dir);
	arena_init(&arena);
	seen = shipped_mounted(&arena, "/data/tasks/aa", &w.s);
	assert_int_equal(seen->n_mounts, 4);
	assert_int_equal(seen->n_files, 0);
	assert_int_equal(seen->mounts[0].kind, MOUNT_BIND);
	assert_string_equal(seen->mounts[0].source, "/data/tasks/aa/files/0");
	assert_string_equal(seen->mounts[0].target, "/a");
	assert_true(seen->mounts[0].read_only && seen->mounts[0].no_create);
	assert_string_equal(seen->mounts[1].source, "/srv");
	assert_false(seen->mounts[1].read_only);
	assert_string_equal(seen->mounts[2].source, "/data/tasks/aa/files/1");
	assert_string_equal(seen->mounts[3].source, "/data/tasks/aa/files/2");
	/* What the task is known by stays as it was signed. */
	assert_int_equal(w.s.mounts[0].kind, MOUNT_SHIPPED);
	assert_ptr_equal(shipped_mounted(&arena, "/data/tasks/aa", &plain), &plain);
	arena_free(&arena);
	close(w.dir_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                each_mount_has_its_own_files_with_owner_and_mode, scratch_setup, scratch_teardown),
	        cmocka_unit_test_setup_teardown(what_is_there_is_left_and_what_was_half_written_is_begun_anew,
	                scratch_setup, scratch_teardown),
	        cmocka_unit_test_setup_teardown(a_driver_sees_read_only_binds, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
