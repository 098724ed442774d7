/* The face of the stack model: defaults, order, bytes, content. */
#include "placement/spec/spec.h"

#include "base/hash.h"
#include "base/pack.h"
#include "base/text.h"
#include "placement/spec/shape.h"

void service_defaults(struct service *s)
{
	shape_defaults(&service_shape, s);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct kv *)a)->key, ((const struct kv *)b)->key);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_kind(const void *a, const void *b)
{
	return strcmp(((const struct spec_generic *)a)->kind, ((const struct spec_generic *)b)->kind);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct service *)a)->name, ((const struct service *)b)->name);
}

static int by_target(const void *a, const void *b)
{
	return strcmp(((const struct spec_mount *)a)->target, ((const struct spec_mount *)b)->target);
}

static int by_limit(const void *a, const void *b)
{
	return strcmp(((const struct spec_ulimit *)a)->name, ((const struct spec_ulimit *)b)->name);
}

static int by_dependency(const void *a, const void *b)
{
	return strcmp(((const struct spec_depends_on *)a)->service, ((const struct spec_depends_on *)b)->service);
}

static int by_path(const void *a, const void *b)
{
	const char *x = ((const struct spec_file *)a)->path, *y = ((const struct spec_file *)b)->path;

	return strcmp(x ? x : "", y ? y : "");
}

static int by_hash(const void *a, const void *b)
{
	return strcmp(((const struct spec_files *)a)->hash, ((const struct spec_files *)b)->hash);
}

static void sort(void *list, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	if (n)
		qsort(list, n, size, cmp);
}

void spec_sort(struct spec *spec)
{
	sort(spec->features, spec->n_features, sizeof(*spec->features), by_text);
	sort(spec->services, spec->n_services, sizeof(*spec->services), by_name);
	for (size_t i = 0; i < spec->n_services; i++) {
		struct service *s = &spec->services[i];

		sort(s->env, s->n_env, sizeof(*s->env), by_key);
		sort(s->labels, s->n_labels, sizeof(*s->labels), by_key);
		sort(s->deploy_labels, s->n_deploy_labels, sizeof(*s->deploy_labels), by_key);
		sort(s->generic, s->n_generic, sizeof(*s->generic), by_kind);
		sort(s->volumes, s->n_volumes, sizeof(*s->volumes), by_text);
		sort(s->annotations, s->n_annotations, sizeof(*s->annotations), by_key);
		sort(s->sysctls, s->n_sysctls, sizeof(*s->sysctls), by_key);
		sort(s->cap_add, s->n_cap_add, sizeof(*s->cap_add), by_text);
		sort(s->cap_drop, s->n_cap_drop, sizeof(*s->cap_drop), by_text);
		for (size_t k = 0; k < s->n_files; k++)
			sort(s->files[k].files, s->files[k].n_files, sizeof(*s->files[k].files), by_path);
		sort(s->files, s->n_files, sizeof(*s->files), by_hash);
		sort(s->mounts, s->n_mounts, sizeof(*s->mounts), by_target);
		sort(s->ulimits, s->n_ulimits, sizeof(*s->ulimits), by_limit);
		sort(s->depends_on, s->n_depends_on, sizeof(*s->depends_on), by_dependency);
	}
}

void spec_encode(struct wr *w, const struct spec *spec)
{
	pk_array(w, 2);
	pk_u64(w, SPEC_VERSION);
	shape_pack(w, &spec_shape, spec, false);
}

/* One spec, one byte form: otherwise two signatures could stand for what looks like the same stack. */
static int check_canonical(const struct spec *spec, const uint8_t *bytes, size_t len, struct err *err)
{
	struct wr w;
	bool same;

	wr_init(&w, len);
	spec_encode(&w, spec);
	same = wr_ok(&w) && w.len == len && !memcmp(w.p, bytes, len);
	wr_free(&w);
	return same ? 0 : err_set(err, ERR_USAGE, "not in canonical form");
}

/* Does the map that follows name features? They are its first key if it has any. Reads from a copy of the reader. */
static bool names_features(struct rd r)
{
	size_t len = 0;
	const char *key;

	if (!up_map(&r))
		return false;
	key = up_str(&r, &len);
	return up_is(key, len, "features") && up_array(&r) > 0;
}

/* kept: from this host's own disk, where it was lawful once. */
static int decode(
        struct spec *out, struct arena *arena, const uint8_t *bytes, size_t len, bool kept, struct err *err)
{
	struct rd r;
	uint64_t version;
	bool lenient;

	memset(out, 0, sizeof(*out));
	if (len > BODY_BYTES_MAX)
		return err_set(err, ERR_USAGE, "decode spec: %zu bytes, more than %d", len, BODY_BYTES_MAX);
	rd_init(&r, bytes, len);
	if (up_array(&r) != 2)
		rd_fail(&r, "version and content expected");
	version = up_u64(&r);
	if (rd_ok(&r) && version != SPEC_VERSION)
		return err_set(err, ERR_USAGE,
		        "decode spec: it is of version %llu and this peer knows %d; upgrade this peer to run it",
		        (unsigned long long)version, SPEC_VERSION);
	lenient = names_features(r);
	shape_unpack(&r, &spec_shape, out, arena, lenient);
	out->arena = arena;
	if (rd_end(&r, err) < 0 || (!kept && spec_check(out, err) < 0) ||
	        (!kept && !lenient && check_canonical(out, bytes, len, err) < 0)) {
		*out = (struct spec){0};
		return err_wrap(err, "decode spec");
	}
	return 0;
}

int spec_decode(struct spec *out, struct arena *arena, const uint8_t *bytes, size_t len, struct err *err)
{
	return decode(out, arena, bytes, len, false, err);
}

int spec_decode_kept(struct spec *out, struct arena *arena, const uint8_t *bytes, size_t len, struct err *err)
{
	return decode(out, arena, bytes, len, true, err);
}

void spec_files_hash(char out[17], const struct spec_files *files)
{
	struct hash_piece pieces[3 * SPEC_TREE_MAX];
	struct key32 hash;
	size_t n = 0;

	for (size_t i = 0; i < MIN(files->n_files, (size_t)SPEC_TREE_MAX); i++) {
		const struct spec_file *f = &files->files[i];

		pieces[n++] = (struct hash_piece){f->path ? f->path : "", f->path ? strlen(f->path) : 0};
		pieces[n++] = (struct hash_piece){f->executable ? "x" : "-", 1};
		pieces[n++] = (struct hash_piece){f->data ? (const void *)f->data : "", f->n_data};
	}
	hash_pieces(&hash, "starling shipped files 1", pieces, n);
	id64_text(out, key32_id(&hash));
}

id64 service_content(const struct service *s)
{
	struct hash_piece piece;
	struct key32 hash;
	struct wr w;

	/* No bound of its own: the service is part of a spec that was bounded. */
	wr_init(&w, SIZE_MAX);
	shape_pack(&w, &service_shape, s, true);
	piece = (struct hash_piece){w.p, w.len};
	hash_pieces(&hash, "starling service content 1", &piece, 1);
	wr_free(&w);
	return key32_id(&hash);
}

/* 0: it restarts with nobody. */
static uint64_t tie_of(const struct spec *spec, const struct service *s)
{
	uint64_t tied = 0;

	for (size_t i = 0; i < s->n_depends_on; i++) {
		const struct service *other = spec_service(spec, s->depends_on[i].service);

		/* In file order of names; a multiplier keeps two that change places apart. */
		if (s->depends_on[i].restart && other)
			tied = tied * 31 + service_content(other);
	}
	return tied & INT64_MAX;
}

void spec_tie(struct spec *spec)
{
	bool changed = true;

	for (size_t i = 0; i < spec->n_services; i++)
		spec->services[i].tied = 0;
	/* Each round reaches one service further along a chain; a circle, which is refused later, is no chain. */
	for (size_t round = 0; changed && round < spec->n_services; round++) {
		changed = false;
		for (size_t i = 0; i < spec->n_services; i++) {
			uint64_t tied = tie_of(spec, &spec->services[i]);

			changed |= tied != spec->services[i].tied;
			spec->services[i].tied = tied;
		}
	}
}

const struct service *spec_service(const struct spec *spec, const char *name)
{
	for (size_t i = 0; i < spec->n_services; i++)
		if (!strcmp(spec->services[i].name, name))
			return &spec->services[i];
	return NULL;
}

bool service_driver_fits(const struct service *s, enum spec_driver d)
{
	if (s->driver != DRIVER_AUTO)
		return d == s->driver;
	return s->image ? d == DRIVER_OCI || d == DRIVER_ENGINE : d == DRIVER_EXEC;
}
