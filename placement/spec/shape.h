/*
 * The fields of a spec as tables: one row per key, in the order in which keys are packed. Defaults, codec, content
 * hash and diff all walk the same rows, so a new key is one new row (docs/adding-a-spec-key.md).
 *
 * Internal to placement/spec.
 */
#ifndef PLACEMENT_SPEC_SHAPE_H
#define PLACEMENT_SPEC_SHAPE_H

#include "placement/spec/spec.h"

enum field_kind {
	FIELD_TEXT,    /* const char * */
	FIELD_BYTES,   /* const uint8_t * and a count */
	FIELD_TEXTS,   /* const char ** and a count */
	FIELD_KVS,     /* struct kv * and a count; packed as a map */
	FIELD_U16,     /* the integers: bounded by min and max */
	FIELD_U32,     /*  */
	FIELD_I32,     /*  */
	FIELD_I64,     /*  */
	FIELD_U64,     /* at most INT64_MAX */
	FIELD_ENUM,    /* an enum; packed as its name */
	FIELD_BOOL,    /* false is the default; packed as true */
	FIELD_STRUCT,  /* a struct inside, of another shape; packed as a map */
	FIELD_STRUCTS, /* pointer to structs and a count; packed as an array of maps */
};

struct shape;

struct field {
	const char *key;
	enum field_kind kind;
	bool content; /* a task that runs must be replaced when it changes */
	size_t offset;
	size_t count_offset; /* of the size_t beside a list */
	const char *fallback_text;
	int64_t fallback;         /* default of a number */
	int64_t min, max;         /* of a number; max alone: elements of a list, bytes of a text */
	const char *const *names; /* of an enum's values, in order; NULL ends them */
	const struct shape *shape;
};

struct shape {
	size_t size;
	size_t n_fields;
	const struct field *fields; /* sorted by key, bytewise */
};

extern const struct shape spec_shape;
extern const struct shape service_shape;

/* Sets every default. */
void shape_defaults(const struct shape *sh, void *obj);
/* Packs obj as a map without defaults. content_only: only the fields that make a task differ. */
void shape_pack(struct wr *w, const struct shape *sh, const void *obj, bool content_only);
/* Packs the value of one field; nil when it is the default. */
void field_pack(struct wr *w, const struct field *f, const void *obj);
/* Reads a map into obj, over the defaults. Keys must ascend. An unknown key fails, or is stepped over if lenient. */
void shape_unpack(struct rd *r, const struct shape *sh, void *obj, struct arena *arena, bool lenient);
/* The tables' bounds on numbers, texts and lists, for a spec made by hand. */
int shape_check(const struct shape *sh, const void *obj, struct err *err);

#endif
