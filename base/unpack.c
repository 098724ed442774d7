/* Bounded msgpack reader: the msgpack specification's formats, in place, without allocation. */
#include "base/pack.h"
#include "base/text.h"

enum up_type up_peek(const struct rd *r)
{
	uint8_t t;

	if (r->fail || r->p == r->end)
		return UP_BAD;
	t = *r->p;
	if (t <= 0x7f || t >= 0xe0 || (t >= 0xcc && t <= 0xd3))
		return UP_INT;
	if ((t & 0xf0) == 0x80 || t == 0xde || t == 0xdf)
		return UP_MAP;
	if ((t & 0xf0) == 0x90 || t == 0xdc || t == 0xdd)
		return UP_ARRAY;
	if ((t & 0xe0) == 0xa0 || (t >= 0xd9 && t <= 0xdb))
		return UP_STR;
	if (t >= 0xc4 && t <= 0xc6)
		return UP_BIN;
	if (t == 0xc0)
		return UP_NIL;
	if (t == 0xc2 || t == 0xc3)
		return UP_BOOL;
	if (t == 0xca || t == 0xcb)
		return UP_DOUBLE;
	return UP_BAD;
}

void up_nil(struct rd *r)
{
	if (rd_u8(r) != 0xc0)
		rd_fail(r, "nil expected");
}

bool up_bool(struct rd *r)
{
	uint8_t t = rd_u8(r);

	if (t != 0xc2 && t != 0xc3)
		rd_fail(r, "boolean expected");
	return t == 0xc3;
}

/* Reads any integer; *negative tells whether v is to be read as int64_t. */
static uint64_t up_int(struct rd *r, bool *negative)
{
	uint8_t t = rd_u8(r);
	int64_t s = 0;

	*negative = false;
	if (t <= 0x7f)
		return t;
	switch (t) {
	case 0xcc:
		return rd_u8(r);
	case 0xcd:
		return rd_u16(r);
	case 0xce:
		return rd_u32(r);
	case 0xcf:
		return rd_u64(r);
	case 0xd0:
		s = (int8_t)rd_u8(r);
		break;
	case 0xd1:
		s = (int16_t)rd_u16(r);
		break;
	case 0xd2:
		s = (int32_t)rd_u32(r);
		break;
	case 0xd3:
		s = (int64_t)rd_u64(r);
		break;
	default:
		if (t < 0xe0)
			rd_fail(r, "integer expected");
		s = (int8_t)t;
	}
	*negative = s < 0;
	return (uint64_t)s;
}

uint64_t up_u64(struct rd *r)
{
	bool negative;
	uint64_t v = up_int(r, &negative);

	if (negative)
		rd_fail(r, "number must not be negative");
	return r->fail ? 0 : v;
}

int64_t up_i64(struct rd *r)
{
	bool negative;
	uint64_t v = up_int(r, &negative);

	if (!negative && v > INT64_MAX)
		rd_fail(r, "number too large");
	return r->fail ? 0 : (int64_t)v;
}

double up_double(struct rd *r)
{
	union {
		uint64_t u;
		double d;
	} d = {0};
	union {
		uint32_t u;
		float f;
	} f = {0};

	switch (rd_u8(r)) {
	case 0xca:
		f.u = rd_u32(r);
		return f.f;
	case 0xcb:
		d.u = rd_u64(r);
		return d.d;
	default:
		rd_fail(r, "floating-point number expected");
		return 0;
	}
}

const char *up_str(struct rd *r, size_t *len)
{
	uint8_t t = rd_u8(r);
	const uint8_t *p;

	if ((t & 0xe0) == 0xa0)
		*len = t & 0x1f;
	else if (t == 0xd9)
		*len = rd_u8(r);
	else if (t == 0xda)
		*len = rd_u16(r);
	else if (t == 0xdb)
		*len = rd_u32(r);
	else
		rd_fail(r, "text expected");
	p = r->fail ? NULL : rd_bytes(r, *len);
	if (p && !text_is_utf8((const char *)p, *len)) {
		rd_fail(r, "text is not UTF-8");
		p = NULL;
	}
	if (!p)
		*len = 0;
	return (const char *)p;
}

const uint8_t *up_bin(struct rd *r, size_t *len)
{
	uint8_t t = rd_u8(r);
	const uint8_t *p;

	if (t == 0xc4)
		*len = rd_u8(r);
	else if (t == 0xc5)
		*len = rd_u16(r);
	else if (t == 0xc6)
		*len = rd_u32(r);
	else
		rd_fail(r, "blob expected");
	p = r->fail ? NULL : rd_bytes(r, *len);
	if (!p)
		*len = 0;
	return p;
}

void up_str_copy(struct rd *r, char *out, size_t cap)
{
	size_t len = 0;
	const char *s = up_str(r, &len);

	if (s && len >= cap) {
		rd_fail(r, "text too long");
		s = NULL;
	}
	if (s)
		memcpy(out, s, len);
	out[s ? len : 0] = '\0';
}

void up_bin_copy(struct rd *r, void *out, size_t want)
{
	size_t len = 0;
	const uint8_t *p = up_bin(r, &len);

	if (p && len != want) {
		rd_fail(r, "blob of another length expected");
		p = NULL;
	}
	if (p && want)
		memcpy(out, p, want);
	else
		memset(out, 0, want);
}

/* A container of n elements, each at least min bytes, must fit what is left. */
static uint32_t bounded(struct rd *r, uint32_t n, size_t min)
{
	if (n > rd_left(r) / min)
		rd_fail(r, "container announces more elements than there are bytes");
	return r->fail ? 0 : n;
}

uint32_t up_array(struct rd *r)
{
	uint8_t t = rd_u8(r);
	uint32_t n = 0;

	if ((t & 0xf0) == 0x90)
		n = t & 0x0f;
	else if (t == 0xdc)
		n = rd_u16(r);
	else if (t == 0xdd)
		n = rd_u32(r);
	else
		rd_fail(r, "array expected");
	return bounded(r, n, 1);
}

uint32_t up_map(struct rd *r)
{
	uint8_t t = rd_u8(r);
	uint32_t n = 0;

	if ((t & 0xf0) == 0x80)
		n = t & 0x0f;
	else if (t == 0xde)
		n = rd_u16(r);
	else if (t == 0xdf)
		n = rd_u32(r);
	else
		rd_fail(r, "map expected");
	return bounded(r, n, 2);
}

bool up_is(const char *s, size_t len, const char *key)
{
	return s && strlen(key) == len && memcmp(s, key, len) == 0;
}

static void skip(struct rd *r, int depth)
{
	size_t len;
	uint32_t n;
	bool negative;

	if (depth > UP_DEPTH_MAX) {
		rd_fail(r, "nested too deeply");
		return;
	}
	switch (up_peek(r)) {
	case UP_NIL:
		up_nil(r);
		break;
	case UP_BOOL:
		up_bool(r);
		break;
	case UP_INT:
		up_int(r, &negative);
		break;
	case UP_DOUBLE:
		up_double(r);
		break;
	case UP_STR:
		up_str(r, &len);
		break;
	case UP_BIN:
		up_bin(r, &len);
		break;
	case UP_ARRAY:
		n = up_array(r);
		for (uint32_t i = 0; i < n && !r->fail; i++)
			skip(r, depth + 1);
		break;
	case UP_MAP:
		n = up_map(r);
		for (uint32_t i = 0; i < n && !r->fail; i++) {
			skip(r, depth + 1);
			skip(r, depth + 1);
		}
		break;
	case UP_BAD:
		rd_fail(r, "unknown msgpack type");
	}
}

void up_skip(struct rd *r)
{
	skip(r, 0);
}
