/* What a container engine answers: the first byte chooses the reader, the rest are its bytes. */
#include "node/runtime/engine_answer.h"
#include "node/runtime/engine_frames.h"

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void each_container(void *ctx, const char *id, id64 task, uint32_t run)
{
	(void)ctx;
	(void)run;
	if (!task || strlen(id) > ENGINE_ID_MAX)
		abort();
}

static void each_frame(void *ctx, bool is_stderr, const char *text, size_t len)
{
	size_t used = 0;

	(void)is_stderr;
	*(size_t *)ctx += len;
	if (len > FRAME_MAX || (engine_time(text, len, &used) && used > len))
		abort();
}

/* Cut into pieces of any size, a stream says the same. */
static void frames(bool terminal, const char *bytes, size_t len)
{
	struct frames whole = {.terminal = terminal}, cut = {.terminal = terminal};
	size_t all = 0, again = 0;
	bool ok = frames_feed(&whole, bytes, len, each_frame, &all), still = true;

	for (size_t at = 0; at < len && still;) {
		size_t n = MIN(len - at, 1 + at % 7);

		still = frames_feed(&cut, bytes + at, n, each_frame, &again);
		at += n;
	}
	frames_end(&whole, each_frame, &all);
	frames_end(&cut, each_frame, &again);
	if (ok != still || all != again)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data + 1;
	char text[ENGINE_TEXT_MAX + 1], id[ENGINE_ID_MAX + 1];
	struct engine_version version;
	struct engine_state state;
	struct engine_event event;
	struct engine_pull pull;
	struct engine_exec exec;

	if (!size)
		return 0;
	size--;
	switch (data[0]) {
	case 's':
		answer_state(&state, bytes, size, NULL);
		break;
	case 'v':
		answer_version(&version, bytes, size, NULL);
		break;
	case 'e':
		answer_event(&event, bytes, size, NULL);
		break;
	case 'p':
		answer_pull(&pull, bytes, size, NULL);
		break;
	case 'x':
		answer_exec(&exec, bytes, size, NULL);
		break;
	case 'i':
		answer_id(id, bytes, size, NULL);
		break;
	case 'l':
		answer_list(bytes, size, each_container, NULL, NULL);
		break;
	case 'm':
		answer_message(text, 500, bytes, size);
		if (!text[0] || !text_is_utf8(text, strlen(text)))
			abort();
		break;
	case 't':
		frames(true, bytes, size);
		break;
	default:
		frames(false, bytes, size);
		break;
	}
	return 0;
}
