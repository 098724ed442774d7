#include "placement/spec/diff.h"

#include "placement/spec/shape.h"

const char *diff_kind_name(enum diff_kind k)
{
	static const char *const names[] = {"same", "added", "removed", "changed"};

	return names[k];
}

static bool field_equal(const struct field *f, const struct service *a, const struct service *b)
{
	struct wr wa, wb;
	bool equal;

	/* Both are parts of specs that were bounded. */
	wr_init(&wa, SIZE_MAX);
	wr_init(&wb, SIZE_MAX);
	field_pack(&wa, f, a);
	field_pack(&wb, f, b);
	equal = wa.len == wb.len && !memcmp(wa.p, wb.p, wa.len);
	wr_free(&wa);
	wr_free(&wb);
	return equal;
}

static void compare(
        const struct service *from, const struct service *to, struct arena *arena, struct service_diff *d)
{
	d->keys = arena_array(arena, service_shape.n_fields, sizeof(*d->keys));
	for (size_t i = 0; i < service_shape.n_fields; i++) {
		const struct field *f = &service_shape.fields[i];

		if (!strcmp(f->key, "born") || field_equal(f, from, to))
			continue;
		d->keys[d->n_keys++] = f->key;
		d->replaces_tasks |= f->content;
	}
	d->kind = d->n_keys ? DIFF_CHANGED : DIFF_SAME;
}

/* Both lists are sorted by name: walk them side by side. */
void spec_diff(const struct spec *from, const struct spec *to, struct arena *arena, struct spec_diff *out)
{
	size_t n_from = from ? from->n_services : 0;
	size_t n_to = to ? to->n_services : 0;
	size_t a = 0, b = 0;

	*out = (struct spec_diff){0};
	out->services = arena_array(arena, n_from + n_to, sizeof(*out->services));
	while (a < n_from || b < n_to) {
		struct service_diff *d = &out->services[out->n_services++];
		int c = a == n_from ? 1 : b == n_to ? -1 : strcmp(from->services[a].name, to->services[b].name);

		d->name = c <= 0 ? from->services[a].name : to->services[b].name;
		if (c < 0)
			d->kind = DIFF_REMOVED;
		else if (c > 0)
			d->kind = DIFF_ADDED;
		else
			compare(&from->services[a], &to->services[b], arena, d);
		a += c <= 0;
		b += c >= 0;
		out->added += d->kind == DIFF_ADDED;
		out->removed += d->kind == DIFF_REMOVED;
		out->changed += d->kind == DIFF_CHANGED;
		out->same += d->kind == DIFF_SAME;
	}
}
