#include "placement/settings.h"

#include "base/pack.h"
#include "base/text.h"

#include <stdio.h>

void setting_name(char out[RECORD_NAME_MAX + 1], const char *prefix, id64 peer)
{
	char id[17];

	id64_text(id, peer);
	snprintf(out, RECORD_NAME_MAX + 1, "%s%s", prefix, id);
}

bool setting_peer(const char *name, const char *prefix, id64 *peer)
{
	size_t len = strlen(prefix);
	char again[RECORD_NAME_MAX + 1];
	uint8_t id[8];

	if (strncmp(name, prefix, len) != 0 || strlen(name) != len + 16 ||
	        !hex_decode(id, sizeof(id), name + len))
		return false;
	*peer = 0;
	for (size_t i = 0; i < 8; i++)
		*peer = *peer << 8 | id[i];
	/* One spelling per peer: capitals name another setting, which nobody heeds. */
	setting_name(again, prefix, *peer);
	return !strcmp(again, name);
}

static int end(struct rd *r, const char *setting, struct err *err)
{
	return rd_end(r, err) < 0 ? err_wrap(err, "setting %s", setting) : 0;
}

/* ---- drain, rebalance: maps that may grow ---- */

/* Steps through a map's entries: true while there is one, whose name is in key; the caller reads the value. Names ascend. */
struct entries {
	struct rd *r;
	uint32_t left;
	const char *last;
	size_t last_len;
};

static int compare(const char *a, size_t n, const char *b, size_t m)
{
	int c = memcmp(a, b, MIN(n, m));

	return c ? c : n < m ? -1 : n > m;
}

static struct entries entries_of(struct rd *r)
{
	return (struct entries){.r = r, .left = up_map(r)};
}

static bool next_entry(struct entries *e, const char **key, size_t *len)
{
	if (!rd_ok(e->r) || !e->left)
		return false;
	e->left--;
	*len = 0;
	*key = up_str(e->r, len);
	if (*key && e->last && compare(e->last, e->last_len, *key, *len) >= 0)
		rd_fail(e->r, "names out of order");
	e->last = *key;
	e->last_len = *len;
	return rd_ok(e->r);
}

void drain_encode(struct wr *w, bool drain)
{
	pk_map(w, 1);
	pk_kv_bool(w, "drain", drain);
}

int drain_decode(bool *drain, const uint8_t *body, size_t len, struct err *err)
{
	bool said = false;
	const char *key;
	size_t key_len;
	struct entries e;
	struct rd r;

	*drain = false;
	rd_init(&r, body, len);
	e = entries_of(&r);
	while (next_entry(&e, &key, &key_len)) {
		if (up_is(key, key_len, "drain")) {
			*drain = up_bool(&r);
			said = true;
		} else {
			up_skip(&r);
		}
	}
	if (rd_ok(&r) && !said)
		rd_fail(&r, "\"drain\" is missing");
	return end(&r, "drain", err);
}

void rebalance_encode(struct wr *w)
{
	pk_map(w, 0);
}

int rebalance_decode(const uint8_t *body, size_t len, struct err *err)
{
	const char *key;
	size_t key_len;
	struct entries e;
	struct rd r;

	rd_init(&r, body, len);
	e = entries_of(&r);
	while (next_entry(&e, &key, &key_len))
		up_skip(&r);
	return end(&r, "rebalance", err);
}

/* ---- labels ---- */

void labels_encode(struct wr *w, const struct kv *labels, size_t n)
{
	pk_map(w, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		if (labels[i].value)
			pk_kv_str(w, labels[i].key, labels[i].value);
		else
			pk_kv_nil(w, labels[i].key);
	}
}

static const char *label_text(struct rd *r, struct arena *arena, const char *s, size_t len)
{
	if (s && len > SETTING_LABEL_MAX)
		rd_fail(r, "text too long");
	return s && len <= SETTING_LABEL_MAX ? arena_strndup(arena, s, len) : "";
}

static const char *label_value(struct rd *r, struct arena *arena)
{
	size_t len = 0;
	const char *s;

	if (up_peek(r) == UP_NIL) {
		up_nil(r);
		return NULL;
	}
	s = up_str(r, &len);
	return label_text(r, arena, s, len);
}

int labels_decode(
        struct kv **labels, size_t *n, struct arena *arena, const uint8_t *body, size_t len, struct err *err)
{
	const char *key;
	size_t key_len;
	struct entries e;
	struct rd r;

	*labels = NULL;
	*n = 0;
	rd_init(&r, body, len);
	e = entries_of(&r);
	if (rd_ok(&r) && e.left > FACTS_LABELS_MAX)
		rd_fail(&r, "too many labels");
	if (rd_ok(&r))
		*labels = arena_array(arena, e.left, sizeof(**labels));
	while (next_entry(&e, &key, &key_len)) {
		struct kv *l = &(*labels)[(*n)++];

		if (!key_len)
			rd_fail(&r, "a label without a name");
		l->key = label_text(&r, arena, key, key_len);
		l->value = label_value(&r, arena);
	}
	return end(&r, "labels", err);
}

size_t labels_overlay(const struct kv *own, size_t n, const struct kv *over, size_t n_over, struct kv *out)
{
	size_t i = 0, k = 0, to = 0;

	while (i < n || k < n_over) {
		int c = i == n ? 1 : k == n_over ? -1 : strcmp(own[i].key, over[k].key);

		if (c < 0) {
			out[to++] = own[i++];
			continue;
		}
		i += c == 0;
		if (over[k].value)
			out[to++] = over[k];
		k++;
	}
	return to;
}

/* ---- voters ---- */

void voters_encode(struct wr *w, const struct key32 *voters, size_t n)
{
	pk_array(w, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		pk_bin(w, voters[i].b, sizeof(voters[i].b));
}

int voters_decode(struct key32 out[VOTERS_MAX], size_t *n, const uint8_t *body, size_t len, struct err *err)
{
	uint32_t count;
	struct rd r;

	*n = 0;
	rd_init(&r, body, len);
	count = up_array(&r);
	if (rd_ok(&r) && (!count || count > VOTERS_MAX))
		rd_fail(&r, "not 1 to 64 voters");
	for (uint32_t i = 0; i < count && rd_ok(&r); i++) {
		up_bin_copy(&r, out[i].b, sizeof(out[i].b));
		if (rd_ok(&r) && i > 0 && key32_cmp(&out[i - 1], &out[i]) >= 0)
			rd_fail(&r, "voters out of order");
		*n = i + 1;
	}
	return end(&r, "voters", err);
}
