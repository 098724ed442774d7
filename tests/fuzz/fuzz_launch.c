/* Files of a task's folder, as a damaged disk or another build gives them. The first byte chooses which. A launch that is read is
 * one that writing gives back. */
#include "node/runtime/launch.h"
#include "node/runtime/mountinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_launch(const uint8_t *data, size_t size)
{
	struct launch l, again;
	struct arena arena;
	struct wr w;

	arena_init(&arena);
	wr_init(&w, LAUNCH_BYTES_MAX);
	if (launch_get(&l, &arena, data, size, NULL) == 0) {
		launch_put(&w, &l);
		if (!wr_ok(&w) || launch_get(&again, &arena, w.p, w.len, NULL) < 0)
			abort();
		if (again.run != l.run || again.n_mounts != l.n_mounts || again.caps != l.caps ||
		        again.n_limits != l.n_limits || again.nice != l.nice)
			abort();
	}
	wr_free(&w);
	arena_free(&arena);
}

static void read_mounts(const uint8_t *data, size_t size)
{
	char *text = xmalloc(size + 1), *p = text;
	struct mount_point m;

	memcpy(text, data, size);
	text[size] = '\0';
	while (mountinfo_next(&p, &m))
		if (m.path[0] != '/')
			abort();
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct watchdog_record watchdog;
	struct usage_record usage;
	struct fault_record fault;
	struct exit_record ended;
	struct run_record run;

	if (size < 1)
		return 0;
	switch (data[0]) {
	case 'l':
		read_launch(data + 1, size - 1);
		break;
	case 'm':
		read_mounts(data + 1, size - 1);
		break;
	default:
		run_get(&run, data + 1, size - 1, NULL);
		exit_get(&ended, data + 1, size - 1, NULL);
		usage_get(&usage, data + 1, size - 1, NULL);
		watchdog_get(&watchdog, data + 1, size - 1, NULL);
		if (fault_get(&fault, data + 1, size - 1, NULL) == 0 && strlen(fault.text) > FAULT_TEXT_MAX)
			abort();
	}
	return 0;
}
