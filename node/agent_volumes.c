/* Which volumes live here: said in this peer's facts, so that placement keeps their services on it. */
#include "base/log.h"
#include "node/agent_parts.h"
#include "node/runtime/volumes.h"

#include <pthread.h>

void agent_look_at_volumes(struct agent *a)
{
	size_t text = 0, n;

	a->volumes_stale = false;
	arena_free(&a->volumes_arena);
	a->n_volumes = volumes_list(a->cfg.data_dir, &a->volumes_arena, &a->volumes);
	/* More than volumes_make() allows were put there by hand: the first in order count. */
	for (n = 0; n < a->n_volumes && n < FACTS_VOLUMES_MAX; n++) {
		text += strlen(a->volumes[n]);
		if (text > VOLUMES_TEXT_MAX)
			break;
	}
	if (n < a->n_volumes)
		log_warn("agent", "%s/volumes holds %zu volumes; only the first %zu are told to others",
		        a->cfg.data_dir, a->n_volumes, n);
	a->n_volumes = n;
}

static void *sweep(void *data_dir)
{
	struct err err = {0};

	if (volumes_sweep(data_dir, &err) < 0)
		log_warn("volumes", "%s/volumes/.removed: %s; tried again when the agent starts",
		        (const char *)data_dir, err.text);
	free(data_dir);
	return NULL;
}

/* On a thread that nothing waits for: what an agent's end interrupts, its next start goes on with. */
void agent_sweep_volumes(const struct agent *a)
{
	char *data_dir = xstrdup(a->cfg.data_dir);
	pthread_t thread;

	if (pthread_create(&thread, NULL, sweep, data_dir) == 0)
		pthread_detach(thread);
	else
		free(data_dir);
}
