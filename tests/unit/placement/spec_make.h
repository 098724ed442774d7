/* Small specs made by hand. */
#ifndef TESTS_UNIT_PLACEMENT_SPEC_MAKE_H
#define TESTS_UNIT_PLACEMENT_SPEC_MAKE_H

#include "placement/spec/spec.h"
#include "tests/unit/unit.h"

static UNUSED void plain_service(struct service *s, const char *name)
{
	static const char *command[] = {"/bin/sleep", "1000"};

	service_defaults(s);
	s->name = name;
	s->n_command = ARRAY_LEN(command);
	s->command = command;
}

static UNUSED struct spec stack_of(struct service *services, size_t n)
{
	return (struct spec){.name = "shop", .n_services = n, .services = services};
}

static UNUSED void encode(struct wr *w, const struct spec *spec)
{
	wr_init(w, BODY_BYTES_MAX);
	spec_encode(w, spec);
	assert_true(wr_ok(w));
}

#endif
