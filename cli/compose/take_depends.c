/* depends_on: a list of services, or a map of them with conditions. */
#include "cli/compose/build.h"
#include "cli/near.h"

static void take_condition(struct build *b, const char *path, const struct node *n, void *target)
{
	/* As enum spec_depends. */
	static const char *const words[] = {
	        "service_started", "service_healthy", "service_completed_successfully"};
	size_t i;

	if (want_word(b, path, n, words, ARRAY_LEN(words), &i))
		((struct spec_depends_on *)target)->condition = (enum spec_depends)i;
}

static void take_required(struct build *b, const char *path, const struct node *n, void *target)
{
	bool required;

	if (want_bool(b, path, n, &required))
		((struct spec_depends_on *)target)->optional = !required;
}

static void take_depends_restart(struct build *b, const char *path, const struct node *n, void *target)
{
	want_bool(b, path, n, &((struct spec_depends_on *)target)->restart);
}

static const struct key_rule depends_rules[] = {
        {"condition", take_condition,
                "service_started (unless set), service_healthy, service_completed_successfully: what the other must have "
                "reached, on any peer, before a task of this one starts"},
        {"required", take_required, "false: that the stack has no such service is no error"},
        {"restart", take_depends_restart, "true: started again after the other was updated"},
};
const struct key_level level_depends = {"services.*.depends_on.*", depends_rules, ARRAY_LEN(depends_rules), true};

void take_depends_on(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = ((struct draft *)target)->s;

	if (n->kind == NODE_SCALAR) {
		wrong_kind(b, path, n, "a list or a map");
		return;
	}
	if (n->n > SPEC_DEPENDS_MAX) {
		refuse(b, path, n, "more than %d services", SPEC_DEPENDS_MAX);
		return;
	}
	s->depends_on = arena_array(b->arena, n->n, sizeof(*s->depends_on));
	for (size_t i = 0; i < n->n; i++) {
		struct spec_depends_on *d = &s->depends_on[s->n_depends_on];

		if (n->kind == NODE_MAP) {
			d->service = n->pairs[i].key;
			if (!node_is_null(n->pairs[i].value))
				take_map(b, path_key(b, path, d->service), n->pairs[i].value, &level_depends, d);
		} else if (!want_text(b, path_index(b, path, i), n->items[i], &d->service)) {
			continue;
		}
		s->n_depends_on++;
	}
}

/* Where an entry of depends_on stands. */
static struct mark mark_of(const struct node *n, const char *service)
{
	for (size_t i = 0; i < n->n; i++)
		if (n->kind == NODE_MAP ? !strcmp(n->pairs[i].key, service)
		                        : n->items[i]->kind == NODE_SCALAR && !strcmp(n->items[i]->text, service))
			return n->kind == NODE_MAP ? n->pairs[i].mark : n->items[i]->mark;
	return n->mark;
}

void check_dependencies(struct build *b, const struct node *services)
{
	const char *names[STACK_SERVICES_MAX];
	size_t count = 0;

	for (size_t i = 0; i < b->spec->n_services; i++)
		names[count++] = b->spec->services[i].name;
	for (size_t i = 0; i < b->spec->n_services; i++) {
		const struct service *s = &b->spec->services[i];
		const struct node *node = node_get(services, s->name);

		for (size_t k = 0; k < s->n_depends_on; k++) {
			const struct spec_depends_on *d = &s->depends_on[k];
			const struct node *n = node_get(node, "depends_on");
			const char *at = path_key(
			        b, path_key(b, path_key(b, "services", s->name), "depends_on"), d->service);
			const char *near;

			if (d->optional || spec_service(b->spec, d->service))
				continue;
			near = near_word(d->service, names, count);
			diag_error(b->diags, mark_of(n, d->service), at, "the stack has no such service%s%s%s",
			        near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
		}
	}
}
