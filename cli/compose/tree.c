#include "cli/compose/tree.h"
#include "base/text.h"

#include <yaml.h>

struct anchor {
	const char *name;
	struct node *node;
};

struct reader {
	yaml_parser_t parser;
	const struct source *src;
	struct arena *arena;
	struct diags *diags;
	tree_text *change;
	void *ctx;
	size_t n_anchors;
	struct anchor anchors[TREE_ANCHORS_MAX];
	/* "services.web.ports[1]", kept as the reader descends. */
	char path[512];
	bool failed;
};

static struct mark mark_of(const struct reader *r, yaml_mark_t m)
{
	return (struct mark){r->src, (uint32_t)m.line + 1, (uint32_t)m.column + 1};
}

static void fail(struct reader *r, struct mark at, const char *why)
{
	diag_error(r->diags, at, r->path, "%s", why);
	r->failed = true;
}

/* Line and column of a byte, for faults that libyaml knows by offset alone. */
static struct mark mark_at(const struct reader *r, size_t offset)
{
	struct mark at = {r->src, 1, 1};

	for (size_t i = 0; i < MIN(offset, r->src->len); i++) {
		at.line += r->src->text[i] == '\n';
		at.column = r->src->text[i] == '\n' ? 1 : at.column + 1;
	}
	return at;
}

static bool next_event(struct reader *r, yaml_event_t *ev)
{
	const yaml_parser_t *p = &r->parser;
	struct mark at;

	if (yaml_parser_parse(&r->parser, ev))
		return true;
	at = p->error == YAML_READER_ERROR ? mark_at(r, p->problem_offset) : mark_of(r, p->problem_mark);
	diag_error(r->diags, at, NULL, "not YAML: %s%s%s%s", p->context ? p->context : "", p->context ? ": " : "",
	        p->problem ? p->problem : "cannot be read",
	        strchr(r->src->text, '\t') && p->error == YAML_SCANNER_ERROR
	                ? " (YAML is indented with blanks, not tabs)"
	                : "");
	r->failed = true;
	return false;
}

static size_t path_push_key(struct reader *r, const char *key)
{
	size_t len = strlen(r->path);

	snprintf(r->path + len, sizeof(r->path) - len, "%s%s", len ? "." : "", key);
	return len;
}

static size_t path_push_index(struct reader *r, size_t i)
{
	size_t len = strlen(r->path);

	snprintf(r->path + len, sizeof(r->path) - len, "[%zu]", i);
	return len;
}

static struct node *node_new(struct reader *r, enum node_kind kind, struct mark at)
{
	struct node *n = arena_alloc(r->arena, sizeof(*n));

	n->kind = kind;
	n->mark = at;
	n->weight = 1;
	return n;
}

static void grow(struct reader *r, struct node *n, size_t weight)
{
	n->weight += weight; /* both are at most TREE_NODES_MAX: no overflow */
	if (n->weight > TREE_NODES_MAX && !r->failed)
		fail(r, n->mark,
		        "aliases expand to more than 100000 nodes; write the file without that many anchors");
}

/* An anchor counts once its node is whole, so no node can hold itself. The newest of a name wins, as YAML says. */
static void anchor_set(struct reader *r, const yaml_char_t *name, struct node *n)
{
	if (!name || r->failed)
		return;
	if (r->n_anchors == TREE_ANCHORS_MAX) {
		fail(r, n->mark, "more than 1000 anchors");
		return;
	}
	r->anchors[r->n_anchors++] = (struct anchor){arena_strdup(r->arena, (const char *)name), n};
}

static struct node *anchor_get(struct reader *r, const char *name, struct mark at)
{
	for (size_t i = r->n_anchors; i-- > 0;)
		if (strcmp(r->anchors[i].name, name) == 0)
			return r->anchors[i].node;
	diag_error(r->diags, at, r->path, "alias *%s: no anchor &%s stands before it", name, name);
	r->failed = true;
	return NULL;
}

/* !!str and friends only state what a value is; tags like !reset change what merging does. */
static void check_tag(struct reader *r, const yaml_char_t *tag, struct mark at, struct node *n)
{
	const char *t = (const char *)tag;

	if (!t || !*t)
		return;
	if (strcmp(t, YAML_STR_TAG) == 0 || strcmp(t, "!") == 0)
		n->plain = false;
	else if (strcmp(t, "!reset") == 0 || strcmp(t, "!override") == 0)
		diag_error(r->diags, at, r->path,
		        "tag %s only means something when several files are merged; remove it", t);
	else if (strncmp(t, "tag:yaml.org,2002:", 18) != 0)
		diag_error(r->diags, at, r->path, "tag %s is not known; remove it", t);
}

static struct node *read_scalar(struct reader *r, const yaml_event_t *ev)
{
	struct node *n = node_new(r, NODE_SCALAR, mark_of(r, ev->start_mark));
	const char *text = (const char *)ev->data.scalar.value;
	size_t len = ev->data.scalar.length;

	n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	check_tag(r, ev->data.scalar.tag, n->mark, n);
	if (!text_is_utf8(text, len)) {
		diag_error(r->diags, n->mark, r->path, "holds a NUL byte or is not UTF-8");
		text = "";
		len = 0;
	}
	n->text = arena_strndup(r->arena, text, len);
	if (r->change && strchr(n->text, '$')) {
		const char *changed = r->change(r->ctx, n->text, n->mark, r->path);

		n->broken = !changed;
		n->text = changed ? changed : "";
		if (!*n->text)
			n->plain = false; /* an unset variable is empty text, not null */
	}
	return n;
}

static struct node *read_node(struct reader *r, yaml_event_t *ev, unsigned depth);

static struct node *read_list(struct reader *r, const yaml_event_t *start, unsigned depth)
{
	struct node *n = node_new(r, NODE_LIST, mark_of(r, start->start_mark));
	size_t cap = 0;

	check_tag(r, start->data.sequence_start.tag, n->mark, n);
	while (!r->failed) {
		yaml_event_t ev;
		struct node *item;
		size_t path;

		if (!next_event(r, &ev))
			return n;
		if (ev.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&ev);
			break;
		}
		path = path_push_index(r, n->n);
		item = read_node(r, &ev, depth);
		r->path[path] = '\0';
		if (!item)
			return n;
		if (n->n == cap) {
			struct node **bigger = arena_array(r->arena, cap ? cap * 2 : 8, sizeof(*bigger));

			if (n->n)
				memcpy(bigger, n->items, n->n * sizeof(*bigger));
			n->items = bigger;
			cap = cap ? cap * 2 : 8;
		}
		n->items[n->n++] = item;
		grow(r, n, item->weight);
	}
	return n;
}

static void map_add(struct reader *r, struct node *n, size_t *cap, struct pair p)
{
	if (n->n == *cap) {
		size_t bigger_cap = *cap ? *cap * 2 : 8;
		struct pair *bigger = arena_array(r->arena, bigger_cap, sizeof(*bigger));

		if (n->n)
			memcpy(bigger, n->pairs, n->n * sizeof(*bigger));
		n->pairs = bigger;
		*cap = bigger_cap;
	}
	n->pairs[n->n++] = p;
	grow(r, n, 1 + p.value->weight);
}

/* `<<`: the other map's keys, where this one has none of its own. */
static void merge_from(struct reader *r, struct node *n, size_t *cap, const struct node *from, struct mark at)
{
	if (from->kind == NODE_LIST) {
		for (size_t i = 0; i < from->n && !r->failed; i++) {
			if (from->items[i]->kind == NODE_LIST)
				diag_error(r->diags, at, r->path, "a merge key << takes a map or a list of maps");
			else
				merge_from(r, n, cap, from->items[i], at);
		}
		return;
	}
	if (from->kind != NODE_MAP) {
		diag_error(r->diags, at, r->path, "a merge key << takes a map or a list of maps, not %s",
		        node_kind_text(from));
		return;
	}
	for (size_t i = 0; i < from->n && !r->failed; i++)
		if (!node_get(n, from->pairs[i].key))
			map_add(r, n, cap, from->pairs[i]);
}

/* Reads a key; NULL after an error. Keys are never interpolated. */
static const char *read_key(struct reader *r, yaml_event_t *ev, struct mark *at, bool *merge)
{
	const char *text;

	*at = mark_of(r, ev->start_mark);
	if (ev->type != YAML_SCALAR_EVENT) {
		fail(r, *at, "a key must be text");
		return NULL;
	}
	text = (const char *)ev->data.scalar.value;
	if (!text_is_utf8(text, ev->data.scalar.length)) {
		fail(r, *at, "a key holds a NUL byte or is not UTF-8");
		return NULL;
	}
	*merge = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(text, "<<") == 0;
	return arena_strndup(r->arena, text, ev->data.scalar.length);
}

/* Keys of one map: the search for duplicates is linear, and Compose files have tens. */
#define MAP_KEYS_MAX 1024

static struct node *read_map(struct reader *r, const yaml_event_t *start, unsigned depth)
{
	struct node *n = node_new(r, NODE_MAP, mark_of(r, start->start_mark));
	struct node *merged = NULL;
	struct mark merged_at = n->mark;
	size_t cap = 0;

	check_tag(r, start->data.mapping_start.tag, n->mark, n);
	while (!r->failed) {
		yaml_event_t ev;
		struct pair p = {0};
		const struct pair *twin;
		bool merge = false;
		size_t path;

		if (!next_event(r, &ev))
			return n;
		if (ev.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&ev);
			break;
		}
		p.key = read_key(r, &ev, &p.mark, &merge);
		yaml_event_delete(&ev);
		if (!p.key || !next_event(r, &ev))
			return n;
		path = path_push_key(r, p.key);
		p.value = read_node(r, &ev, depth);
		twin = merge ? NULL : node_pair(n, p.key);
		if (p.value && (twin || (merge && merged)))
			diag_error(r->diags, p.mark, r->path, "stands here twice; the first is in line %u",
			        twin ? twin->mark.line : merged_at.line);
		r->path[path] = '\0';
		if (!p.value)
			return n;
		if (merge) {
			merged = p.value;
			merged_at = p.mark;
		} else if (!twin) {
			map_add(r, n, &cap, p);
		}
		if (n->n > MAP_KEYS_MAX)
			fail(r, n->mark, "more than 1024 keys");
	}
	if (merged && !r->failed)
		merge_from(r, n, &cap, merged, merged_at);
	return n;
}

/* Takes over ev. NULL or a partial node after a failure that ends reading. */
static struct node *read_node(struct reader *r, yaml_event_t *ev, unsigned depth)
{
	struct node *n = NULL;
	struct mark at = mark_of(r, ev->start_mark);

	if (depth == TREE_DEPTH_MAX) {
		fail(r, at, "nested more than 32 deep");
		yaml_event_delete(ev);
		return NULL;
	}
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		n = read_scalar(r, ev);
		anchor_set(r, ev->data.scalar.anchor, n);
		break;
	case YAML_SEQUENCE_START_EVENT:
		n = read_list(r, ev, depth + 1);
		anchor_set(r, ev->data.sequence_start.anchor, n);
		break;
	case YAML_MAPPING_START_EVENT:
		n = read_map(r, ev, depth + 1);
		anchor_set(r, ev->data.mapping_start.anchor, n);
		break;
	case YAML_ALIAS_EVENT:
		n = anchor_get(r, (const char *)ev->data.alias.anchor, at);
		break;
	default:
		fail(r, at, "a value is missing");
	}
	yaml_event_delete(ev);
	return r->failed ? NULL : n;
}

static struct node *read_document(struct reader *r)
{
	struct node *root = NULL;
	bool ended = false;

	while (!r->failed && !ended) {
		yaml_event_t ev;

		if (!next_event(r, &ev))
			break;
		switch (ev.type) {
		case YAML_STREAM_START_EVENT:
		case YAML_DOCUMENT_START_EVENT:
			if (root && ev.type == YAML_DOCUMENT_START_EVENT)
				fail(r, mark_of(r, ev.start_mark), "a second document (---): one stack per file");
			yaml_event_delete(&ev);
			break;
		case YAML_DOCUMENT_END_EVENT:
		case YAML_STREAM_END_EVENT:
			ended = ev.type == YAML_STREAM_END_EVENT;
			yaml_event_delete(&ev);
			break;
		default:
			root = read_node(r, &ev, 0);
		}
	}
	if (!r->failed && !root)
		fail(r, (struct mark){r->src, 1, 1}, "the file is empty; it needs at least `services:`");
	return r->failed ? NULL : root;
}

struct node *tree_parse(
        const struct source *src, struct arena *arena, struct diags *diags, tree_text *change, void *ctx)
{
	struct reader *r;
	struct node *root;

	if (src->len > COMPOSE_BYTES_MAX) {
		diag_error(diags, (struct mark){src, 0, 0}, NULL, "larger than 1 MiB");
		return NULL;
	}
	r = arena_alloc(arena, sizeof(*r));
	r->src = src;
	r->arena = arena;
	r->diags = diags;
	r->change = change;
	r->ctx = ctx;
	if (!yaml_parser_initialize(&r->parser)) {
		diag_error(diags, (struct mark){src, 0, 0}, NULL, "no memory for the YAML parser");
		return NULL;
	}
	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)src->text, src->len);
	root = read_document(r);
	yaml_parser_delete(&r->parser);
	return root;
}
