/* Images that this host keeps: what the flock wants here and what runs here needs stays, the rest goes in time. */
#include "node/agent_parts.h"
#include "node/image/images.h"
#include "node/runtime/oci_setup.h"

#include "base/log.h"

#include <unistd.h>

/* Between two looks for images that nobody needs, ms; they are kept for a day, so an hour more means little. */
#define COLLECT_MS MINUTES(60)

static void on_timer(uv_timer_t *timer)
{
	agent_collect_images(timer->data);
}

void agent_open_images(struct agent *a)
{
	struct err err = {0};

	/* Containers need root, and so does all that is done with their images. */
	if (geteuid() != 0)
		return;
	a->images = images_new(&a->loop, a->cfg.data_dir, &err);
	if (!a->images) {
		log_warn("image", "no container can run here: %s", err.text);
		return;
	}
	oci_sweep(images_store(a->images), a->cfg.data_dir);
	uv_timer_init(&a->loop, &a->images_timer);
	a->images_timer.data = a;
	uv_timer_start(&a->images_timer, on_timer, (uint64_t)COLLECT_MS, (uint64_t)COLLECT_MS);
}

void agent_close_images(struct agent *a)
{
	if (!a->images)
		return;
	uv_close((uv_handle_t *)&a->images_timer, NULL);
	images_close(a->images);
	a->images = NULL;
}

size_t agent_needed_images(struct agent *a, struct arena *arena, const char ***out)
{
	const struct runtime_task **tasks;
	size_t n_tasks = runtime_tasks(a->runtime, NULL, 0), cap = n_tasks, n = 0;

	for (size_t i = 0; i < a->view.n_stacks; i++)
		cap += a->view.stacks[i].spec ? a->view.stacks[i].spec->n_services : 0;
	*out = arena_array(arena, cap + 1, sizeof(**out));
	tasks = arena_array(arena, n_tasks + 1, sizeof(*tasks));
	runtime_tasks(a->runtime, tasks, n_tasks);
	for (size_t i = 0; i < n_tasks; i++)
		if (tasks[i]->spec->image)
			(*out)[n++] = tasks[i]->spec->image;
	for (size_t i = 0; i < a->view.n_stacks; i++) {
		const struct spec *spec = a->view.stacks[i].spec;

		for (size_t k = 0; spec && k < spec->n_services; k++)
			if (spec->services[k].image)
				(*out)[n++] = spec->services[k].image;
	}
	return n;
}

void agent_collect_images(struct agent *a)
{
	const char **needed;
	struct arena arena;
	size_t n;

	/* Before the first pass nothing is known of what the flock wants. */
	if (!a->images || !a->said_ready)
		return;
	arena_init(&arena);
	n = agent_needed_images(a, &arena, &needed);
	images_collect(a->images, needed, n, IMAGE_KEEP_MS, NULL, NULL);
	arena_free(&arena);
}
