/*
 * Which driver honours which key: those that are not here are honoured by all. A peer asks its driver again (accept), so
 * that a key is refused where it cannot be kept, whatever this table says.
 */
#include "cli/compose/build.h"

static const struct {
	const struct key_level *level;
	const char *key;
	unsigned drivers;
} only[] = {
        {&level_service, "annotations", ON_OCI},
        {&level_service, "devices", ON_CONTAINERS},
        {&level_service, "dns", ON_CONTAINERS},
        {&level_service, "dns_opt", ON_CONTAINERS},
        {&level_service, "dns_search", ON_CONTAINERS},
        {&level_service, "domainname", ON_CONTAINERS},
        {&level_service, "extra_hosts", ON_CONTAINERS},
        {&level_service, "hostname", ON_CONTAINERS},
        {&level_service, "privileged", ON_CONTAINERS},
        {&level_service, "pull_policy", ON_CONTAINERS},
        {&level_service, "stdin_open", ON_ENGINE},
        {&level_service, "sysctls", ON_CONTAINERS},
        {&level_service, "tty", ON_ENGINE},
        {&level_x_starling, "process", ON_EXEC},
        {&level_x_starling, "volumes", ON_EXEC},
        {&level_x_starling, "watchdog", ON_EXEC | ON_OCI},
};

unsigned key_drivers(const struct key_level *level, const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(only); i++)
		if (only[i].level == level && !strcmp(only[i].key, key))
			return only[i].drivers;
	return ON_ALL;
}

bool level_by_driver(const struct key_level *level)
{
	for (size_t i = 0; i < ARRAY_LEN(only); i++)
		if (only[i].level == level)
			return true;
	return false;
}

/* `tty: false` asks for nothing. */
static bool says_no(const struct node *n)
{
	return n->kind == NODE_SCALAR &&
	       (!strcmp(n->text, "false") || !strcmp(n->text, "False") || !strcmp(n->text, "FALSE"));
}

static void check_level(
        struct build *b, const char *path, const struct node *map, const struct key_level *level, struct draft *d)
{
	for (size_t i = 0; i < map->n; i++) {
		const struct pair *p = &map->pairs[i];
		unsigned honour = key_drivers(level, p->key);
		const char *at = path_key(b, path, p->key);

		if (says_no(p->value))
			continue;
		if (d->drivers & honour)
			d->drivers &= honour;
		else if (honour == ON_EXEC)
			diag_error(b->diags, p->mark, at,
			        "is of processes (driver exec), and this is a container; remove it, or `image`");
		else if (d->drivers == ON_EXEC)
			diag_error(b->diags, p->mark, at,
			        "is of containers (oci, engine), and this is a process of the host (driver "
			        "exec); remove it, or "
			        "name an `image`");
		else
			diag_error(b->diags, p->mark, at,
			        "is not honoured by driver %s, which `x-starling.driver` or another key asks for; remove one",
			        d->drivers == ON_OCI ? "oci" : "engine");
	}
}

void check_drivers(struct build *b, const char *path, struct draft *d)
{
	const struct node *x = node_get(d->node, "x-starling");

	d->drivers = 0;
	for (enum spec_driver i = DRIVER_EXEC; i <= DRIVER_ENGINE; i++)
		if (service_driver_fits(d->s, i))
			d->drivers |= 1U << i;
	check_level(b, path, d->node, &level_service, d);
	if (x && x->kind == NODE_MAP)
		check_level(b, path_key(b, path, "x-starling"), x, &level_x_starling, d);
}
