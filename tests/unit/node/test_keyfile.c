/* Key files: made once, private, told apart by kind. */
#include "tests/unit/node/scratch.h"

#include "node/keyfile.h"

#include <fcntl.h>
#include <sys/stat.h>

static void write_text(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void a_key_made_is_the_key_read(void **state)
{
	const char *path = scratch_path(*state, "a/b/peer.key");
	struct keypair made, read;
	struct err err = {0};
	struct stat st;

	assert_int_equal(keyfile_create(path, "peer", "one", &made, &err), 0);
	assert_int_equal(keyfile_load(path, "peer", &read, &err), 0);
	assert_memory_equal(&made, &read, sizeof(made));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(scratch_path(*state, "a"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void two_keys_differ(void **state)
{
	struct keypair a, b;
	struct err err = {0};

	assert_int_equal(keyfile_create(scratch_path(*state, "a"), "peer", "a", &a, &err), 0);
	assert_int_equal(keyfile_create(scratch_path(*state, "b"), "peer", "a", &b, &err), 0);
	assert_memory_not_equal(&a.public_key, &b.public_key, sizeof(a.public_key));
}

static void a_key_is_never_overwritten(void **state)
{
	const char *path = scratch_path(*state, "root.key");
	struct keypair made, again, read;
	struct err err = {0};

	assert_int_equal(keyfile_create(path, "root", "one", &made, &err), 0);
	assert_int_equal(keyfile_create(path, "root", "two", &again, &err), -1);
	assert_non_null(strstr(err.text, "exists"));
	assert_non_null(strstr(err.text, path));
	assert_int_equal(keyfile_load(path, "root", &read, &err), 0);
	assert_memory_equal(&made, &read, sizeof(made));
}

static void nothing_is_left_of_a_key_that_could_not_be_made(void **state)
{
	struct scratch *s = *state;
	struct keypair key;
	struct err err = {0};
	char dir[256];

	snprintf(dir, sizeof(dir), "%s", scratch_path(s, "file"));
	write_text(dir, "in the way", 0600);
	assert_int_equal(keyfile_create(scratch_path(s, "file/peer.key"), "peer", "x", &key, &err), -1);
	assert_non_null(strstr(err.text, "file/peer.key"));
	assert_int_equal(access(scratch_path(s, "file/peer.key"), F_OK), -1);
}

static void a_key_that_others_may_read_is_refused(void **state)
{
	static const mode_t modes[] = {0644, 0640, 0604, 0620, 0601};
	const char *path = scratch_path(*state, "k");
	struct keypair key;
	struct err err = {0};

	assert_int_equal(keyfile_create(path, "operator", "x", &key, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		assert_int_equal(keyfile_load(path, "operator", &key, &err), -1);
		assert_non_null(strstr(err.text, "chmod 600"));
	}
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(keyfile_load(path, "operator", &key, &err), 0);
}

static void a_key_of_another_kind_is_refused(void **state)
{
	const char *path = scratch_path(*state, "k");
	struct keypair key;
	struct err err = {0};

	assert_int_equal(keyfile_create(path, "root", "x", &key, &err), 0);
	assert_int_equal(keyfile_load(path, "operator", &key, &err), -1);
	assert_non_null(strstr(err.text, "holds a root-key-1"));
	assert_non_null(strstr(err.text, "operator-key-1 is needed"));
}

static void damaged_files_are_refused(void **state)
{
	static const char hex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
	const char *path = scratch_path(*state, "k");
	struct keypair key;
	char text[256];
	struct err err = {0};

	static const char *const texts[] = {"", "\n", "starling-peer-key-1", "starling-peer-key-1 ",
	        "starling-peer-key-1 00", "-----BEGIN PRIVATE KEY-----\nabc\n", "\xff\xfe\n"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		write_text(path, texts[i], 0600);
		assert_int_equal(keyfile_load(path, "peer", &key, &err), -1);
		assert_non_null(strstr(err.text, path));
	}
	for (size_t cut = 1; cut <= strlen(hex); cut++) {
		snprintf(text, sizeof(text), "starling-peer-key-1 %.*s\n", (int)(strlen(hex) - cut), hex);
		write_text(path, text, 0600);
		assert_int_equal(keyfile_load(path, "peer", &key, &err), -1);
	}
	snprintf(text, sizeof(text), "starling-peer-key-1 %s", hex); /* no name, no end of line: still a key */
	write_text(path, text, 0600);
	assert_int_equal(keyfile_load(path, "peer", &key, &err), 0);
}

static void what_is_no_file_is_refused(void **state)
{
	struct scratch *s = *state;
	struct keypair key;
	struct err err = {0};

	assert_int_equal(keyfile_load(s->dir, "peer", &key, &err), -1);
	assert_int_equal(keyfile_load(scratch_path(s, "none"), "peer", &key, &err), -1);
	assert_non_null(strstr(err.text, "No such file"));
	assert_int_equal(mkfifo(scratch_path(s, "fifo"), 0600), 0);
	assert_int_equal(keyfile_load(s->path, "peer", &key, &err), -1);
	assert_non_null(strstr(err.text, "not a regular file"));
}

static void default_paths_follow_the_environment(void **state UNUSED)
{
	char path[256];

	setenv("STARLING_KEY", "/k/my.key", 1);
	keyfile_operator_path(path, sizeof(path));
	assert_string_equal(path, "/k/my.key");
	unsetenv("STARLING_KEY");
	setenv("XDG_CONFIG_HOME", "/cfg", 1);
	keyfile_operator_path(path, sizeof(path));
	assert_string_equal(path, "/cfg/starling/operator.key");
	setenv("XDG_CONFIG_HOME", "", 1);
	setenv("HOME", "/home/ada", 1);
	keyfile_operator_path(path, sizeof(path));
	assert_string_equal(path, "/home/ada/.config/starling/operator.key");
	setenv("STARLING_DATA", "/srv/flock", 1);
	data_dir_default(path, sizeof(path));
	assert_string_equal(path, "/srv/flock");
	unsetenv("STARLING_DATA");
	data_dir_default(path, sizeof(path));
	assert_string_equal(path, geteuid() == 0 ? "/var/lib/starling" : "/home/ada/.local/share/starling");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        SCRATCH_TEST(a_key_made_is_the_key_read),
	        SCRATCH_TEST(two_keys_differ),
	        SCRATCH_TEST(a_key_is_never_overwritten),
	        SCRATCH_TEST(nothing_is_left_of_a_key_that_could_not_be_made),
	        SCRATCH_TEST(a_key_that_others_may_read_is_refused),
	        SCRATCH_TEST(a_key_of_another_kind_is_refused),
	        SCRATCH_TEST(damaged_files_are_refused),
	        SCRATCH_TEST(what_is_no_file_is_refused),
	        cmocka_unit_test(default_paths_follow_the_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
