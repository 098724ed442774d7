/*
 * Golden files pin formats: tests/golden/NAME holds what the code must produce, as text. A difference means that
 * the format changed: then the version in it, its picture and docs/wire.md change too, and WRITE_GOLDEN=1 in the
 * environment writes the file anew.
 */
#ifndef TESTS_UNIT_GOSSIP_GOLDEN_H
#define TESTS_UNIT_GOSSIP_GOLDEN_H

#include "tests/unit/unit.h"

#include "base/text.h"

#include <stdlib.h>

static inline void golden_text(const char *name, const char *text)
{
	char path[128], golden[8192] = "";
	FILE *f;

	snprintf(path, sizeof(path), "tests/golden/%s", name);
	if (getenv("WRITE_GOLDEN")) {
		f = fopen(path, "w");
		assert_non_null(f);
		fprintf(f, "%s\n", text);
		fclose(f);
	}
	f = fopen(path, "r");
	assert_non_null(f);
	if (fscanf(f, "%8191s", golden) != 1)
		golden[0] = '\0';
	fclose(f);
	assert_string_equal(text, golden);
}

static inline void golden_hex(const char *name, const void *bytes, size_t len)
{
	char hex[8192];

	assert_true(2 * len < sizeof(hex));
	hex_encode(hex, bytes, len);
	golden_text(name, hex);
}

#endif
