/* A folder of one test's own, gone with all that is in it when the test ends. */
#ifndef TESTS_UNIT_NODE_SCRATCH_H
#define TESTS_UNIT_NODE_SCRATCH_H

#include "tests/unit/unit.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

struct scratch {
	char dir[64];
	char path[256]; /* of the last scratch_path() */
};

static inline int scratch_setup(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));

	strcpy(s->dir, "/tmp/starling-test-XXXXXX");
	*state = s;
	return mkdtemp(s->dir) ? 0 : -1;
}

static inline int scratch_remove(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

static inline int scratch_teardown(void **state)
{
	struct scratch *s = *state;
	int rc = nftw(s->dir, scratch_remove, 8, FTW_DEPTH | FTW_PHYS);

	free(s);
	return rc;
}

static inline const char *scratch_path(struct scratch *s, const char *name)
{
	snprintf(s->path, sizeof(s->path), "%s/%s", s->dir, name);
	return s->path;
}

#define SCRATCH_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

#endif
