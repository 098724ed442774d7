/* Where replicas may, should and would rather run: constraints, spreading, wishes. */
#include "base/text.h"
#include "cli/compose/build.h"

/* "ATTRIBUTE == VALUE"; what attributes there are is placement's law, checked with the whole spec. */
static void take_constraint(struct build *b, const char *path, const struct node *n, struct spec_constraint *c)
{
	const char *text;
	const char *op;
	size_t attr_len;

	if (!want_text(b, path, n, &text))
		return;
	op = strstr(text, "==");
	if (!op)
		op = strstr(text, "!=");
	text += strspn(text, " \t");
	attr_len = op && op > text ? (size_t)(op - text) : 0;
	while (attr_len && (text[attr_len - 1] == ' ' || text[attr_len - 1] == '\t'))
		attr_len--;
	if (!attr_len || !op[2 + strspn(op + 2, " \t")]) {
		refuse(b, path, n,
		        "must be ATTRIBUTE == VALUE or ATTRIBUTE != VALUE, as in node.labels.zone == a");
		return;
	}
	c->attr = arena_strndup(b->arena, text, attr_len);
	c->op = *op == '=' ? OP_EQ : OP_NE;
	op += 2;
	op += strspn(op, " \t");
	c->value = arena_strndup(b->arena, op, strlen(op));
	for (char *end = (char *)c->value + strlen(c->value);
	        end > c->value && (end[-1] == ' ' || end[-1] == '\t');)
		*--end = '\0';
}

static void take_constraints(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = ((struct draft *)target)->s;

	if (n->kind != NODE_LIST) {
		wrong_kind(b, path, n, "a list");
		return;
	}
	if (n->n > SPEC_CONSTRAINTS_MAX) {
		refuse(b, path, n, "more than %d constraints", SPEC_CONSTRAINTS_MAX);
		return;
	}
	s->constraints = arena_array(b->arena, n->n, sizeof(*s->constraints));
	s->n_constraints = n->n;
	for (size_t i = 0; i < n->n; i++)
		take_constraint(b, path_index(b, path, i), n->items[i], &s->constraints[i]);
}

static void take_max_replicas(struct build *b, const char *path, const struct node *n, void *target)
{
	uint64_t v;

	if (want_u64(b, path, n, 0, SERVICE_REPLICAS_MAX, &v))
		((struct draft *)target)->s->max_replicas_per_node = (uint32_t)v;
}

static void take_spread(struct build *b, const char *path, const struct node *n, void *target)
{
	want_text(b, path, n, target);
}

static const struct key_rule preference_rules[] = {
        {"spread", take_spread,
                "node.labels.NAME, engine.labels.NAME or node.hostname: replicas are spread evenly over its values; a "
                "list spreads by the first, then within each value by the next"},
};
const struct key_level level_preference = {
        "services.*.deploy.placement.preferences[]", preference_rules, ARRAY_LEN(preference_rules), true};

static void take_preferences(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = ((struct draft *)target)->s;

	if (n->kind != NODE_LIST) {
		wrong_kind(b, path, n, "a list");
		return;
	}
	if (n->n > SPEC_SPREAD_MAX) {
		refuse(b, path, n, "more than %d preferences", SPEC_SPREAD_MAX);
		return;
	}
	s->spread = arena_array(b->arena, n->n, sizeof(*s->spread));
	s->n_spread = n->n;
	for (size_t i = 0; i < n->n; i++) {
		const char *at = path_index(b, path, i);
		size_t errors = b->diags->errors;

		take_map(b, at, n->items[i], &level_preference, &s->spread[i]);
		if (!s->spread[i] && b->diags->errors == errors && !b->skipped)
			refuse(b, at, n->items[i], "has no `spread`, as in {spread: node.labels.zone}");
	}
}

static const struct key_rule placement_rules[] = {
        {"constraints", take_constraints,
                "node.id, node.hostname, node.labels.NAME, node.platform.os, node.platform.arch, engine.labels.NAME with "
                "== or !=; node.role == manager holds everywhere"},
        {"max_replicas_per_node", take_max_replicas, "0, no limit, unless set"},
        {"preferences", take_preferences, "a list of at most 4, outermost first; see its own table"},
};
const struct key_level level_placement = {
        "services.*.deploy.placement", placement_rules, ARRAY_LEN(placement_rules), true};

void take_placement(struct build *b, const char *path, const struct node *n, void *target)
{
	take_map(b, path, n, &level_placement, target);
}

/* x-starling.prefer: "ATTRIBUTE == VALUE", or {label: that, weight: 80}. */
static void take_label(struct build *b, const char *path, const struct node *n, void *target)
{
	struct spec_prefer *p = target;
	struct spec_constraint c = {0};

	take_constraint(b, path, n, &c);
	p->attr = c.attr;
	p->op = c.op;
	p->value = c.value;
}

static void take_weight(struct build *b, const char *path, const struct node *n, void *target)
{
	const char *text;
	bool minus;
	uint64_t v;

	if (!want_text(b, path, n, &text))
		return;
	minus = *text == '-';
	if (!text_u64(text + minus, 1, SPEC_PREFER_WEIGHT, &v))
		refuse(b, path, n, "\"%s\" is not a whole number from 1 to %d, or from -1 to -%d", text,
		        SPEC_PREFER_WEIGHT, SPEC_PREFER_WEIGHT);
	else
		((struct spec_prefer *)target)->weight = minus ? -(int32_t)v : (int32_t)v;
}

static const struct key_rule prefer_rules[] = {
        {"label", take_label, "ATTRIBUTE == VALUE or !=, as in `deploy.placement.constraints`; needed"},
        {"weight", take_weight,
                "1 to 100 (Kubernetes' scale): how much a peer for which it holds is preferred; -1 to -100: avoided; 50 "
                "unless set"},
};
const struct key_level level_prefer = {
        "services.*.x-starling.prefer[]", prefer_rules, ARRAY_LEN(prefer_rules), false};

void take_prefer(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = ((struct draft *)target)->s;

	if (n->kind != NODE_LIST) {
		wrong_kind(b, path, n, "a list");
		return;
	}
	if (n->n > SPEC_PREFER_MAX) {
		refuse(b, path, n, "more than %d entries", SPEC_PREFER_MAX);
		return;
	}
	s->prefer = arena_array(b->arena, n->n, sizeof(*s->prefer));
	s->n_prefer = n->n;
	for (size_t i = 0; i < n->n; i++) {
		const char *at = path_index(b, path, i);
		size_t errors = b->diags->errors;

		s->prefer[i].weight = SPEC_PREFER_WEIGHT / 2;
		if (n->items[i]->kind != NODE_MAP)
			take_label(b, at, n->items[i], &s->prefer[i]);
		else
			take_map(b, at, n->items[i], &level_prefer, &s->prefer[i]);
		if (!s->prefer[i].attr && b->diags->errors == errors && !b->skipped)
			refuse(b, at, n->items[i], "has no `label`, as in {label: node.labels.disk == ssd}");
	}
}
