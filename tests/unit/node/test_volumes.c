/* Folders that the host keeps: made once, kept for ever, listed for the facts. */
#include "tests/unit/unit.h"

#include "node/runtime/volumes.h"
#include "node/runtime/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct host {
	char data[64];
	struct arena arena;
};

static int setup(void **state)
{
	struct host *h = xcalloc(1, sizeof(*h));

	strcpy(h->data, "/tmp/starling-volumes-XXXXXX");
	assert_non_null(mkdtemp(h->data));
	arena_init(&h->arena);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	struct host *h = *state;

	assert_int_equal(folder_remove(AT_FDCWD, h->data, NULL), 0);
	arena_free(&h->arena);
	free(h);
	return 0;
}

static int make(struct host *h, const char *stack, const char **names, size_t n, uint32_t uid, struct err *err)
{
	struct service s = {.volumes = names, .n_volumes = n};

	return volumes_make(h->data, stack, &s, uid, uid == geteuid() ? getegid() : uid, err);
}

static struct stat stat_of(struct host *h, const char *stack, const char *name)
{
	struct stat st = {0};

	assert_int_equal(stat(volume_path(&h->arena, h->data, stack, name), &st), 0);
	return st;
}

static void a_volume_is_made_once_and_what_is_in_it_stays(void **state)
{
	static const char *names[] = {"data", "logs"};
	struct host *h = *state;
	struct err err = {0};
	char *file;
	int fd;

	assert_int_equal(make(h, "shop", names, 2, geteuid(), &err), 0);
	assert_int_equal(stat_of(h, "shop", "data").st_mode & 07777, 0700);
	assert_int_equal(stat_of(h, "shop", "logs").st_uid, geteuid());
	file = arena_printf(&h->arena, "%s/kept", volume_path(&h->arena, h->data, "shop", "data"));
	fd = open(file, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(chmod(volume_path(&h->arena, h->data, "shop", "data"), 0750), 0);
	assert_int_equal(make(h, "shop", names, 2, geteuid(), &err), 0);
	assert_int_equal(stat_of(h, "shop", "data").st_mode & 07777, 0750);
	assert_int_equal(access(file, F_OK), 0);
}

static void a_task_of_another_user_gets_its_folder_and_may_pass_to_it(void **state)
{
	static const char *names[] = {"data"};
	struct host *h = *state;
	struct stat st;

	if (geteuid() != 0)
		skip();
	assert_int_equal(make(h, "shop", names, 1, 65534, NULL), 0);
	st = stat_of(h, "shop", "data");
	assert_int_equal(st.st_uid, 65534);
	assert_int_equal(st.st_gid, 65534);
	assert_int_equal(stat(h->data, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0711);
	st = stat_of(h, "shop", ".");
	assert_int_equal(st.st_mode & 07777, 0711);
	assert_int_equal(st.st_uid, 0);
	/* Once made it is its owner's business. */
	assert_int_equal(make(h, "shop", names, 1, 1, NULL), 0);
	assert_int_equal(stat_of(h, "shop", "data").st_uid, 65534);
}

static void volumes_are_listed_in_order_without_what_is_none(void **state)
{
	static const char *names[] = {"data"}, *more[] = {"a", "b"};
	struct host *h = *state;
	const char **list;

	assert_int_equal(volumes_list(h->data, &h->arena, &list), 0);
	assert_int_equal(make(h, "web", names, 1, geteuid(), NULL), 0);
	assert_int_equal(make(h, "db", more, 2, geteuid(), NULL), 0);
	assert_int_equal(mkdir(volume_path(&h->arena, h->data, "db", "Not-A-Label"), 0700), 0);
	assert_int_equal(symlink("/etc", volume_path(&h->arena, h->data, "db", "link")), 0);
	assert_int_equal(volumes_list(h->data, &h->arena, &list), 3);
	assert_string_equal(list[0], "db/a");
	assert_string_equal(list[1], "db/b");
	assert_string_equal(list[2], "web/data");
}

static void a_link_in_the_place_of_a_volume_is_not_followed(void **state)
{
	static const char *names[] = {"data"}, *other[] = {"logs"};
	struct host *h = *state;
	struct err err = {0};

	assert_int_equal(make(h, "shop", other, 1, geteuid(), NULL), 0);
	assert_int_equal(symlink("/tmp", volume_path(&h->arena, h->data, "shop", "data")), 0);
	assert_int_equal(make(h, "shop", names, 1, geteuid(), &err), -1);
	assert_non_null(strstr(err.text, "data"));
}

static void a_host_makes_no_more_than_it_can_tell(void **state)
{
	static const char *one[] = {"x"};
	struct host *h = *state;
	const char **list;
	struct err err = {0};
	size_t n = 0, text = 0;
	int rc;

	do {
		const char *names[] = {arena_printf(&h->arena, "%060zu", n)};

		rc = make(h, "shop", names, 1, geteuid(), &err);
		n += rc == 0;
	} while (rc == 0 && n < 100);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, ERR_UNPLACEABLE);
	assert_int_equal(volumes_list(h->data, &h->arena, &list), n);
	for (size_t i = 0; i < n; i++)
		text += strlen(list[i]);
	assert_true(text <= VOLUMES_TEXT_MAX && text + 65 > VOLUMES_TEXT_MAX);
	/* One that is here already needs no room. */
	one[0] = list[0] + strlen("shop/");
	assert_int_equal(make(h, "shop", one, 1, geteuid(), &err), 0);
}

static void a_discarded_volume_is_gone_at_once_and_a_sweep_deletes_it(void **state)
{
	struct host *h = *state;
	const char *names[] = {"data", "logs"};
	const char **list;
	struct err err;

	assert_int_equal(make(h, "shop", names, 2, geteuid(), &err), 0);
	assert_int_equal(volume_discard(h->data, "shop", "data", &err), 0);
	assert_int_equal(volumes_list(h->data, &h->arena, &list), 1);
	assert_string_equal(list[0], "shop/logs");
	assert_int_equal(volume_discard(h->data, "shop", "data", &err), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_int_equal(access(arena_printf(&h->arena, "%s/volumes/.removed", h->data), F_OK), 0);
	assert_int_equal(volumes_sweep(h->data, &err), 0);
	assert_int_equal(access(arena_printf(&h->arena, "%s/volumes/.removed", h->data), F_OK), -1);
	assert_int_equal(volumes_list(h->data, &h->arena, &list), 1);
}

static void what_is_no_volume_is_not_discarded(void **state)
{
	struct host *h = *state;
	const char *names[] = {"data"};
	struct err err;

	assert_int_equal(make(h, "shop", names, 1, geteuid(), &err), 0);
	assert_int_equal(symlink("data", volume_path(&h->arena, h->data, "shop", "link")), 0);
	assert_int_equal(symlink("shop", arena_printf(&h->arena, "%s/volumes/other", h->data)), 0);
	assert_int_equal(volume_discard(h->data, "shop", "link", &err), -1);
	assert_int_equal(volume_discard(h->data, "other", "data", &err), -1);
	assert_int_equal(volume_discard(h->data, "shop", "..", &err), -1);
	assert_int_equal(volume_discard(h->data, "..", "volumes", &err), -1);
	assert_int_equal(access(volume_path(&h->arena, h->data, "shop", "data"), F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_volume_is_made_once_and_what_is_in_it_stays, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                a_task_of_another_user_gets_its_folder_and_may_pass_to_it, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                volumes_are_listed_in_order_without_what_is_none, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_link_in_the_place_of_a_volume_is_not_followed, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_host_makes_no_more_than_it_can_tell, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                a_discarded_volume_is_gone_at_once_and_a_sweep_deletes_it, setup, teardown),
	        cmocka_unit_test_setup_teardown(what_is_no_volume_is_not_discarded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
