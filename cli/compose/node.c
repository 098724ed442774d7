/* Questions to ask of a node. */
#include "cli/compose/tree.h"

const struct pair *node_pair(const struct node *map, const char *key)
{
	for (size_t i = 0; map->kind == NODE_MAP && i < map->n; i++)
		if (strcmp(map->pairs[i].key, key) == 0)
			return &map->pairs[i];
	return NULL;
}

struct node *node_get(const struct node *map, const char *key)
{
	const struct pair *p = node_pair(map, key);

	return p ? p->value : NULL;
}

bool node_is_null(const struct node *n)
{
	return n->kind == NODE_SCALAR && n->plain &&
	       (!*n->text || strcmp(n->text, "~") == 0 || strcmp(n->text, "null") == 0 ||
	               strcmp(n->text, "Null") == 0 || strcmp(n->text, "NULL") == 0);
}

const char *node_kind_text(const struct node *n)
{
	if (n->kind == NODE_LIST)
		return "a list";
	if (n->kind == NODE_MAP)
		return "a map";
	return node_is_null(n) ? "nothing" : "text";
}
