/*
 * A YAML document as a tree that remembers where everything stands. libyaml gives events; anchors, aliases and
 * merge keys are resolved here, under bounds, so that a small hostile file cannot become a large tree.
 */
#ifndef CLI_COMPOSE_TREE_H
#define CLI_COMPOSE_TREE_H

#include "cli/compose/diag.h"

/* Bytes of a Compose file: real ones are under 64 KiB. */
#define COMPOSE_BYTES_MAX (1024 * 1024)
/* Nesting; Compose itself needs 8. */
#define TREE_DEPTH_MAX 32
/* Nodes, with every alias counted as all that it stands for ("billion laughs"). */
#define TREE_NODES_MAX 100000
/* Anchors in one file. */
#define TREE_ANCHORS_MAX 1000

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct pair;

struct node {
	enum node_kind kind;
	struct mark mark;
	bool plain;  /* scalar: written without quotes, so it may mean null, a bool or a number */
	bool broken; /* scalar: its variables could not be filled in, which was said; its text means nothing */
	const char *text; /* scalar; UTF-8 without NUL */
	size_t n;         /* items or pairs */
	struct node **items;
	struct pair *pairs;
	size_t weight; /* nodes in it, aliases counted in full */
};

struct pair {
	const char *key;
	struct mark mark; /* of the key */
	struct node *value;
};

/* Changes a value's text while the tree is built: interpolation. Gives the new text, or NULL after diag_error(). */
typedef const char *tree_text(void *ctx, const char *text, struct mark at, const char *path);

/* NULL: diags say why. An empty document is an error. change may be NULL. Memory is arena's. */
struct node *tree_parse(
        const struct source *src, struct arena *arena, struct diags *diags, tree_text *change, void *ctx);

/* Key and value, or the value alone; NULL when map is none or has no such key. */
const struct pair *node_pair(const struct node *map, const char *key);
struct node *node_get(const struct node *map, const char *key);
/* Written as nothing, ~ or null. */
bool node_is_null(const struct node *n);
/* "a list", "a map", "nothing", "text": for messages. */
const char *node_kind_text(const struct node *n);

#endif
