/* Facts on the wire: a msgpack map with ascending keys. Keys that a newer version adds are stepped over. */
#include "placement/facts.h"

#include "base/pack.h"
#include "base/text.h"

/* Bytes of a version, an architecture, an operating system. */
#define SHORT_TEXT_MAX 63
#define LABEL_TEXT_MAX 255

uint64_t facts_generic(const struct facts *f, const char *kind)
{
	for (size_t i = 0; i < f->n_generic; i++)
		if (!strcmp(f->generic[i].kind, kind))
			return f->generic[i].value;
	return 0;
}

static void pack_addrs(struct wr *w, const struct facts *f)
{
	pk_array(w, (uint32_t)f->n_addrs);
	for (size_t i = 0; i < f->n_addrs; i++) {
		uint8_t bytes[19];
		struct wr one;

		wr_fixed(&one, bytes, sizeof(bytes));
		addr_put(&one, &f->addrs[i]);
		pk_bin(w, bytes, one.len);
	}
}

void facts_encode(struct wr *w, const struct facts *f)
{
	pk_map(w, 14 + (f->n_generic > 0) + f->leaving + (f->n_volumes > 0));
	pk_str(w, "addrs");
	pack_addrs(w, f);
	pk_kv_bool(w, "adopted", f->adopted);
	pk_kv_u64(w, "algorithm", f->algorithm);
	pk_kv_str(w, "arch", f->arch);
	pk_kv_u64(w, "cpu_milli", f->cpu_milli);
	pk_kv_u64(w, "drivers", f->drivers);
	pk_str(w, "features");
	pk_array(w, (uint32_t)f->n_features);
	for (size_t i = 0; i < f->n_features; i++)
		pk_str(w, f->features[i]);
	if (f->n_generic) {
		pk_str(w, "generic");
		pk_map(w, (uint32_t)f->n_generic);
		for (size_t i = 0; i < f->n_generic; i++)
			pk_kv_u64(w, f->generic[i].kind, f->generic[i].value);
	}
	pk_str(w, "labels");
	pk_map(w, (uint32_t)f->n_labels);
	for (size_t i = 0; i < f->n_labels; i++)
		pk_kv_str(w, f->labels[i].key, f->labels[i].value);
	if (f->leaving)
		pk_kv_bool(w, "leaving", true);
	pk_kv_u64(w, "memory", f->memory);
	pk_kv_str(w, "name", f->name);
	pk_kv_str(w, "os", f->os);
	pk_kv_bool(w, "ready", f->ready);
	pk_kv_i64(w, "started", f->started);
	pk_kv_str(w, "version", f->version);
	if (f->n_volumes) {
		pk_str(w, "volumes");
		pk_array(w, (uint32_t)f->n_volumes);
		for (size_t i = 0; i < f->n_volumes; i++)
			pk_str(w, f->volumes[i]);
	}
}

static const char *read_text(struct rd *r, struct arena *arena, size_t max)
{
	size_t len = 0;
	const char *s = up_str(r, &len);

	if (s && len > max)
		rd_fail(r, "text too long");
	return s && len <= max ? arena_strndup(arena, s, len) : "";
}

static uint64_t read_number(struct rd *r, uint64_t max)
{
	uint64_t v = up_u64(r);

	if (rd_ok(r) && v > max)
		rd_fail(r, "number out of range");
	return rd_ok(r) ? v : 0;
}

static size_t read_count(struct rd *r, uint32_t n, size_t max)
{
	if (rd_ok(r) && n > max)
		rd_fail(r, "list too long");
	return rd_ok(r) ? n : 0;
}

static void read_addrs(struct rd *r, struct facts *f)
{
	size_t n = read_count(r, up_array(r), FACTS_ADDRS_MAX);

	for (size_t i = 0; i < n && rd_ok(r); i++) {
		size_t len = 0;
		const uint8_t *bytes = up_bin(r, &len);
		struct rd one;

		rd_init(&one, bytes, bytes ? len : 0);
		addr_get(&one, &f->addrs[i]);
		if (rd_end(&one, NULL) < 0 || !f->addrs[i].family)
			rd_fail(r, "not an address");
	}
	f->n_addrs = n;
}

static void read_labels(struct rd *r, struct facts *f, struct arena *arena)
{
	size_t n = read_count(r, up_map(r), FACTS_LABELS_MAX);

	f->labels = arena_array(arena, n, sizeof(*f->labels));
	for (size_t i = 0; i < n && rd_ok(r); i++) {
		f->labels[i].key = read_text(r, arena, LABEL_TEXT_MAX);
		f->labels[i].value = read_text(r, arena, LABEL_TEXT_MAX);
		if (i > 0 && strcmp(f->labels[i - 1].key, f->labels[i].key) >= 0)
			rd_fail(r, "labels out of order");
	}
	f->n_labels = n;
}

static void read_features(struct rd *r, struct facts *f, struct arena *arena)
{
	size_t n = read_count(r, up_array(r), SPEC_FEATURES_MAX);

	f->features = arena_array(arena, n, sizeof(*f->features));
	for (size_t i = 0; i < n && rd_ok(r); i++)
		f->features[i] = read_text(r, arena, SHORT_TEXT_MAX);
	f->n_features = n;
}

static void read_generic(struct rd *r, struct facts *f, struct arena *arena)
{
	size_t n = read_count(r, up_map(r), SPEC_GENERIC_MAX);

	f->generic = arena_array(arena, n, sizeof(*f->generic));
	for (size_t i = 0; i < n && rd_ok(r); i++) {
		f->generic[i].kind = read_text(r, arena, SHORT_TEXT_MAX);
		f->generic[i].value = read_number(r, SPEC_GENERIC_VALUE_MAX);
		if (i > 0 && strcmp(f->generic[i - 1].kind, f->generic[i].kind) >= 0)
			rd_fail(r, "resources out of order");
	}
	f->n_generic = n;
}

static void read_volumes(struct rd *r, struct facts *f, struct arena *arena)
{
	size_t n = read_count(r, up_array(r), FACTS_VOLUMES_MAX);

	f->volumes = arena_array(arena, n, sizeof(*f->volumes));
	for (size_t i = 0; i < n && rd_ok(r); i++) {
		f->volumes[i] = read_text(r, arena, LABEL_TEXT_MAX);
		if (i > 0 && strcmp(f->volumes[i - 1], f->volumes[i]) >= 0)
			rd_fail(r, "volumes out of order");
	}
	f->n_volumes = n;
}

static void read_entry(struct rd *r, struct facts *f, struct arena *arena, const char *key, size_t len)
{
	if (up_is(key, len, "addrs"))
		read_addrs(r, f);
	else if (up_is(key, len, "adopted"))
		f->adopted = up_bool(r);
	else if (up_is(key, len, "algorithm"))
		f->algorithm = (uint32_t)read_number(r, UINT32_MAX);
	else if (up_is(key, len, "arch"))
		f->arch = read_text(r, arena, SHORT_TEXT_MAX);
	else if (up_is(key, len, "cpu_milli"))
		f->cpu_milli = read_number(r, SPEC_CPU_MILLI_MAX);
	else if (up_is(key, len, "drivers"))
		f->drivers = (uint32_t)read_number(r, UINT32_MAX);
	else if (up_is(key, len, "features"))
		read_features(r, f, arena);
	else if (up_is(key, len, "generic"))
		read_generic(r, f, arena);
	else if (up_is(key, len, "labels"))
		read_labels(r, f, arena);
	else if (up_is(key, len, "leaving"))
		f->leaving = up_bool(r);
	else if (up_is(key, len, "memory"))
		f->memory = read_number(r, SPEC_MEMORY_MAX);
	else if (up_is(key, len, "name"))
		f->name = read_text(r, arena, SHORT_TEXT_MAX);
	else if (up_is(key, len, "os"))
		f->os = read_text(r, arena, SHORT_TEXT_MAX);
	else if (up_is(key, len, "ready"))
		f->ready = up_bool(r);
	else if (up_is(key, len, "started"))
		f->started = up_i64(r);
	else if (up_is(key, len, "version"))
		f->version = read_text(r, arena, SHORT_TEXT_MAX);
	else if (up_is(key, len, "volumes"))
		read_volumes(r, f, arena);
	else
		up_skip(r);
}

int facts_decode(struct facts *out, struct arena *arena, const uint8_t *bytes, size_t len, struct err *err)
{
	struct rd r;
	uint32_t n;

	*out = (struct facts){.name = "", .version = "", .arch = "", .os = ""};
	rd_init(&r, bytes, len);
	n = up_map(&r);
	for (uint32_t i = 0; i < n && rd_ok(&r); i++) {
		size_t key_len = 0;
		const char *key = up_str(&r, &key_len);

		if (key)
			read_entry(&r, out, arena, key, key_len);
	}
	if (rd_ok(&r) && !text_is_label(out->name, false))
		rd_fail(&r, "peer name is not a DNS label");
	if (rd_end(&r, err) < 0) {
		*out = (struct facts){.name = "", .version = "", .arch = "", .os = ""};
		return err_wrap(err, "decode facts");
	}
	return 0;
}

bool driver_in(uint32_t drivers, enum spec_driver d)
{
	return drivers >> d & 1;
}
