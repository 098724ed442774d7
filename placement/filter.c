#include "placement/filter.h"

#include "base/text.h"

const char *place_reason_text(enum place_reason r)
{
	static const char *const texts[] = {[REASON_OK] = "can take it",
	        [REASON_NOT_ALIVE] = "peer is not alive",
	        [REASON_NO_FACTS] = "peer has not said what it is yet",
	        [REASON_NOT_READY] = "peer is not ready yet",
	        [REASON_DRAINING] = "peer is draining",
	        [REASON_FEATURE] = "peer lacks a feature that the stack requires; upgrade it",
	        [REASON_PLATFORM] = "other operating system or architecture",
	        [REASON_DRIVER] = "no driver for this service on the peer",
	        [REASON_CONSTRAINT] = "a placement constraint does not hold",
	        [REASON_CAPACITY] = "reservation is larger than the whole peer",
	        [REASON_REFUSED] = "peer could not start it at this revision",
	        [REASON_ROOM] = "not enough cpu or memory left",
	        [REASON_PORT] = "host port is taken by another slot",
	        [REASON_PER_NODE] = "max_replicas_per_node is reached",
	        [REASON_VOLUME] = "a volume of the service lives on another peer",
	        [REASON_DEVICE] = "peer does not have that many of a device",
	        [REASON_DEVICE_BUSY] = "devices are taken by other slots",
	        [REASON_VOTERS] = "partition: majority needs a list of voters; see `starling voters set`",
	        [REASON_MAKING_ROOM] = "another slot makes room for it",
	        [REASON_FAILING] = "its task keeps failing there",
	        [REASON_POWER] = "the revision's author lacks a power that the service needs"};

	return (size_t)r < ARRAY_LEN(texts) ? texts[r] : "unknown reason";
}

/* ASCII only: names compare alike under every locale. */
static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static bool same_text(const char *a, const char *b)
{
	while (*a && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return lower(*a) == lower(*b);
}

static const char *label_of(const struct kv *labels, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(labels[i].key, name))
			return labels[i].value;
	return NULL;
}

/* The kernel's names beside Go's. */
static const char *arch_name(const char *arch)
{
	if (same_text(arch, "x86_64"))
		return "amd64";
	return same_text(arch, "aarch64") ? "arm64" : arch;
}

static bool id_matches(const struct key32 *key, id64 id, const char *value)
{
	char text[65];

	id64_text(text, id);
	if (same_text(text, value))
		return true;
	hex_encode(text, key->b, sizeof(key->b));
	return same_text(text, value);
}

static bool text_matches(const char *have, const char *want)
{
	return have && same_text(have, want);
}

const char *member_attr(const struct view_member *m, const char *attr)
{
	static const char node_label[] = "node.labels.", engine_label[] = "engine.labels.";

	if (!strncmp(attr, node_label, strlen(node_label)))
		return label_of(m->labels, m->n_labels, attr + strlen(node_label));
	if (!m->facts)
		return NULL;
	if (!strncmp(attr, engine_label, strlen(engine_label)))
		return label_of(m->facts->labels, m->facts->n_labels, attr + strlen(engine_label));
	return !strcmp(attr, "node.hostname") ? m->facts->name : NULL;
}

static bool attr_matches(const struct view_member *m, const char *attr, const char *value)
{
	if (!strcmp(attr, "node.id"))
		return id_matches(&m->key, m->id, value);
	/* Every peer takes specs. */
	if (!strcmp(attr, "node.role"))
		return same_text("manager", value);
	if (!strcmp(attr, "node.platform.os"))
		return text_matches(m->facts->os, value);
	if (!strcmp(attr, "node.platform.arch"))
		return m->facts->arch && same_text(arch_name(m->facts->arch), arch_name(value));
	return text_matches(member_attr(m, attr), value);
}

bool constraint_holds(const struct view_member *m, const struct spec_constraint *c)
{
	return attr_matches(m, c->attr, c->value) == (c->op == OP_EQ);
}

int32_t filter_wishes(const struct view_member *m, const struct service *s)
{
	int32_t sum = 0;

	for (size_t i = 0; i < s->n_prefer && m->facts; i++) {
		const struct spec_constraint c = {s->prefer[i].attr, s->prefer[i].op, s->prefer[i].value};

		if (constraint_holds(m, &c))
			sum += s->prefer[i].weight;
	}
	return sum;
}

static bool has_features(const struct facts *f, const struct spec *spec)
{
	for (size_t i = 0; i < spec->n_features; i++) {
		size_t k = 0;

		while (k < f->n_features && strcmp(f->features[k], spec->features[i]) != 0)
			k++;
		if (k == f->n_features)
			return false;
	}
	return true;
}

static bool has_driver(const struct facts *f, const struct service *s)
{
	for (enum spec_driver d = DRIVER_EXEC; d <= DRIVER_ENGINE; d++)
		if (driver_in(f->drivers, d) && service_driver_fits(s, d))
			return true;
	return false;
}

static bool has_volume(const struct facts *f, const char *stack, const char *name)
{
	size_t len = strlen(stack), from = 0, to = f->n_volumes;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		const char *at = f->volumes[mid];
		int cmp = strncmp(at, stack, len);

		if (cmp == 0)
			cmp = at[len] == '/' ? strcmp(at + len + 1, name) : (unsigned char)at[len] - '/';
		if (cmp == 0)
			return true;
		if (cmp < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return false;
}

uint32_t filter_pinned(const struct view *view, const struct spec *spec, const struct service *s)
{
	uint32_t pinned = 0;

	for (size_t v = 0; v < s->n_volumes; v++)
		for (size_t m = 0; m < view->n_members && !(pinned >> v & 1); m++)
			if (view->members[m].facts && view->members[m].state != VIEW_LEFT &&
			        has_volume(view->members[m].facts, spec->name, s->volumes[v]))
				pinned |= 1U << v;
	return pinned;
}

static bool has_pinned(const struct facts *f, const struct spec *spec, const struct service *s, uint32_t pinned)
{
	for (size_t v = 0; v < s->n_volumes; v++)
		if (pinned >> v & 1 && !has_volume(f, spec->name, s->volumes[v]))
			return false;
	return true;
}

static bool has_devices(const struct facts *f, const struct service *s)
{
	for (size_t i = 0; i < s->n_generic; i++)
		if (facts_generic(f, s->generic[i].kind) < s->generic[i].value)
			return false;
	return true;
}

/* What a peer is and has, apart from its state and its size. */
static enum place_reason filter_nature(
        const struct view_member *m, const struct spec *spec, const struct service *s, uint32_t pinned)
{
	if (!has_features(m->facts, spec))
		return REASON_FEATURE;
	if (!has_driver(m->facts, s))
		return REASON_DRIVER;
	for (size_t i = 0; i < s->n_constraints; i++)
		if (!constraint_holds(m, &s->constraints[i]))
			return REASON_CONSTRAINT;
	if (!has_pinned(m->facts, spec, s, pinned))
		return REASON_VOLUME;
	if (!has_devices(m->facts, s))
		return REASON_DEVICE;
	return REASON_OK;
}

enum place_reason filter_static(const struct view *view, const struct view_stack *stack, const struct service *s,
        uint32_t pinned, size_t member)
{
	const struct view_member *m = &view->members[member];
	const struct facts *f = m->facts;
	enum place_reason r;

	if (service_powers(s) & ~stack->powers)
		return REASON_POWER;
	if (s->partition == PARTITION_MAJORITY && !view->n_voters)
		return REASON_VOTERS;
	if (m->state != VIEW_ALIVE)
		return REASON_NOT_ALIVE;
	if (!f)
		return REASON_NO_FACTS;
	if (!f->ready)
		return REASON_NOT_READY;
	if (m->draining)
		return REASON_DRAINING;
	r = filter_nature(m, stack->spec, s, pinned);
	if (r != REASON_OK)
		return r;
	if (s->reserve.cpu_milli > f->cpu_milli || s->reserve.memory > f->memory)
		return REASON_CAPACITY;
	return REASON_OK;
}

enum place_reason filter_lost(const struct view *view, const struct view_stack *stack, const struct service *s,
        uint32_t pinned, size_t member)
{
	const struct view_member *m = &view->members[member];

	if (m->draining)
		return REASON_DRAINING;
	return m->facts ? filter_nature(m, stack->spec, s, pinned) : REASON_OK;
}
