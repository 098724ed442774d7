/*
 * A container's output as the engine streams it. Without a terminal in frames, each one line or a part of one:
 *
 *	u8 stream (1 stdout, 2 stderr), 3 bytes of 0, u32 length, big-endian; then so many bytes
 *
 * With a terminal as bare bytes, cut at newlines here. Pure; the bytes may be hostile.
 */
#ifndef NODE_RUNTIME_ENGINE_FRAMES_H
#define NODE_RUNTIME_ENGINE_FRAMES_H

#include "base/types.h"

/* Bytes of one frame: above 16 KiB, at which engines split lines, with a timestamp. */
#define FRAME_MAX (256 * 1024)

struct frames {
	bool terminal;
	uint8_t head[8];
	size_t head_len;
	size_t want; /* bytes of this frame */
	char *buf;   /* allocated while a frame is not whole */
	size_t len, cap;
};

typedef void frame_fn(void *ctx, bool is_stderr, const char *text, size_t len);

/* Calls fn for each whole frame, its newline included. false: it is no such stream. */
bool frames_feed(struct frames *f, const char *bytes, size_t len, frame_fn *fn, void *ctx);
/* What is left of a terminal's last line; then as new. */
void frames_end(struct frames *f, frame_fn *fn, void *ctx);

#endif
