#include "base/pack.h"

#include <msgpack.h>

static int to_wr(void *data, const char *p, size_t len)
{
	wr_bytes(data, p, len);
	return 0;
}

#define PK(w)                                                                                                    \
	&(msgpack_packer)                                                                                        \
	{                                                                                                        \
		.data = (w), .callback = to_wr                                                                   \
	}

void pk_nil(struct wr *w)
{
	msgpack_pack_nil(PK(w));
}

void pk_bool(struct wr *w, bool v)
{
	if (v)
		msgpack_pack_true(PK(w));
	else
		msgpack_pack_false(PK(w));
}

void pk_u64(struct wr *w, uint64_t v)
{
	msgpack_pack_uint64(PK(w), v);
}

void pk_i64(struct wr *w, int64_t v)
{
	msgpack_pack_int64(PK(w), v);
}

void pk_double(struct wr *w, double v)
{
	msgpack_pack_double(PK(w), v);
}

void pk_strn(struct wr *w, const char *s, size_t len)
{
	msgpack_pack_str(PK(w), len);
	msgpack_pack_str_body(PK(w), s, len);
}

void pk_str(struct wr *w, const char *s)
{
	pk_strn(w, s, strlen(s));
}

void pk_bin(struct wr *w, const void *p, size_t len)
{
	msgpack_pack_bin(PK(w), len);
	msgpack_pack_bin_body(PK(w), p, len);
}

void pk_array(struct wr *w, uint32_t n)
{
	msgpack_pack_array(PK(w), n);
}

void pk_map(struct wr *w, uint32_t n)
{
	msgpack_pack_map(PK(w), n);
}

void pk_kv_str(struct wr *w, const char *key, const char *value)
{
	pk_str(w, key);
	pk_str(w, value);
}

void pk_kv_u64(struct wr *w, const char *key, uint64_t value)
{
	pk_str(w, key);
	pk_u64(w, value);
}

void pk_kv_i64(struct wr *w, const char *key, int64_t value)
{
	pk_str(w, key);
	pk_i64(w, value);
}

void pk_kv_bool(struct wr *w, const char *key, bool value)
{
	pk_str(w, key);
	pk_bool(w, value);
}

void pk_kv_bin(struct wr *w, const char *key, const void *p, size_t len)
{
	pk_str(w, key);
	pk_bin(w, p, len);
}

void pk_kv_nil(struct wr *w, const char *key)
{
	pk_str(w, key);
	pk_nil(w);
}
