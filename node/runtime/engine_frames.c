#include "node/runtime/engine_frames.h"

static void add(struct frames *f, const char *bytes, size_t len)
{
	if (!len)
		return;
	if (f->len + len > f->cap) {
		f->cap = MAX(f->len + len, MAX(f->want, 256));
		f->buf = xrealloc(f->buf, f->cap);
	}
	memcpy(f->buf + f->len, bytes, len);
	f->len += len;
}

static void drop(struct frames *f)
{
	free(f->buf);
	f->buf = NULL;
	f->len = f->cap = f->want = f->head_len = 0;
}

static void feed_terminal(struct frames *f, const char *bytes, size_t len, frame_fn *fn, void *ctx)
{
	while (len) {
		const char *newline = memchr(bytes, '\n', len);
		size_t take = newline ? (size_t)(newline - bytes) + 1 : len;

		take = MIN(take, FRAME_MAX - f->len);
		add(f, bytes, take);
		bytes += take;
		len -= take;
		if (f->buf[f->len - 1] == '\n' || f->len == FRAME_MAX) {
			fn(ctx, false, f->buf, f->len);
			drop(f);
		}
	}
}

static bool take_head(struct frames *f, const char **bytes, size_t *len)
{
	size_t take = MIN(*len, sizeof(f->head) - f->head_len);

	memcpy(f->head + f->head_len, *bytes, take);
	f->head_len += take;
	*bytes += take;
	*len -= take;
	if (f->head_len < sizeof(f->head))
		return true;
	f->want = (size_t)f->head[4] << 24 | (size_t)f->head[5] << 16 | (size_t)f->head[6] << 8 | f->head[7];
	/* 3 is the engine's own word, about an error of its. */
	return f->head[0] <= 3 && !f->head[1] && !f->head[2] && !f->head[3] && f->want <= FRAME_MAX;
}

bool frames_feed(struct frames *f, const char *bytes, size_t len, frame_fn *fn, void *ctx)
{
	if (f->terminal) {
		feed_terminal(f, bytes, len, fn, ctx);
		return true;
	}
	while (len || (f->head_len == sizeof(f->head) && f->len == f->want)) {
		size_t take;

		if (f->head_len < sizeof(f->head) && !take_head(f, &bytes, &len))
			return false;
		if (f->head_len < sizeof(f->head))
			return true;
		take = MIN(len, f->want - f->len);
		if (!f->len && take == f->want) {
			/* All of it is here: no copy. */
			fn(ctx, f->head[0] != 1, bytes, take);
			drop(f);
		} else {
			add(f, bytes, take);
			if (f->len == f->want) {
				fn(ctx, f->head[0] != 1, f->buf, f->len);
				drop(f);
			}
		}
		bytes += take;
		len -= take;
	}
	return true;
}

void frames_end(struct frames *f, frame_fn *fn, void *ctx)
{
	if (f->terminal && f->len && fn)
		fn(ctx, false, f->buf, f->len);
	drop(f);
}
