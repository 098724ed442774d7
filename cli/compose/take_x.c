/* x-starling: what a service needs to say that Compose has no key for. Its unknown keys are refused. */
#include "base/text.h"
#include "cli/compose/build.h"

static void take_driver(struct build *b, const char *path, const struct node *n, void *target)
{
	static const char *const names[] = {"auto", "exec", "oci", "engine"}; /* as enum spec_driver */
	size_t i;

	if (want_word(b, path, n, names, ARRAY_LEN(names), &i))
		((struct draft *)target)->s->driver = (enum spec_driver)i;
}

static void take_failover_after(struct build *b, const char *path, const struct node *n, void *target)
{
	want_duration(b, path, n, &((struct draft *)target)->s->failover_after_ms);
}

static void take_partition(struct build *b, const char *path, const struct node *n, void *target)
{
	static const char *const names[] = {"run", "majority", "pause"}; /* as enum spec_partition */
	size_t i;

	if (want_word(b, path, n, names, ARRAY_LEN(names), &i))
		((struct draft *)target)->s->partition = (enum spec_partition)i;
}

static void take_priority(struct build *b, const char *path, const struct node *n, void *target)
{
	int64_t v;

	if (want_i64(b, path, n, -1000, 1000, &v))
		((struct draft *)target)->s->priority = (int32_t)v;
}

static void take_move_after(struct build *b, const char *path, const struct node *n, void *target)
{
	uint64_t v;

	if (want_u64(b, path, n, 1, 1000, &v))
		((struct draft *)target)->s->move_after = (uint32_t)v;
}

static void take_watchdog(struct build *b, const char *path, const struct node *n, void *target)
{
	want_duration(b, path, n, &((struct draft *)target)->s->watchdog_ms);
}

static void take_volumes(struct build *b, const char *path, const struct node *n, void *target)
{
	struct draft *d = target;
	const char **names;
	size_t count;

	if (!want_texts(b, path, n, SPEC_VOLUMES_MAX, &names, &count))
		return;
	for (size_t i = 0; i < count; i++) {
		const char *at = path_index(b, path, i);

		if (!text_is_label(names[i], true))
			refuse(b, at, n->items[i],
			        "\"%s\" is not a label (a-z, 0-9, - and _); name the folder, not a path of the host",
			        names[i]);
		for (size_t k = 0; k < i; k++)
			if (strcmp(names[i], names[k]) == 0)
				refuse(b, at, n->items[i], "%s stands twice", names[i]);
		pin_volume(b, at, n->items[i], d->s, names[i]);
	}
}

static const struct key_rule x_starling_rules[] = {
        {"driver", take_driver,
                "auto (unless set): exec without `image`, else engine or oci, whichever a peer has; exec; oci; engine"},
        {"failover_after", take_failover_after, "how long a lost peer's tasks wait before they start elsewhere"},
        {"move_after", take_move_after,
                "failures in a row, exits or checks, after which another peer takes the slot"},
        {"partition", take_partition,
                "run (unless set): each side of a split serves; majority: only a side that sees more than half of the "
                "flock's voters does (starling voters set); pause: nothing is replaced because its peer seems dead"},
        {"prefer", take_prefer,
                "a list of wishes, as in `- node.labels.disk == ssd`; with a weight see its own table; peers for which "
                "they hold are preferred, none is excluded"},
        {"priority", take_priority,
                "-1000 to 1000; higher is placed first; other than 0 needs the power priority"},
        {"probes", take_probes, "a check over HTTP or TCP instead of a healthcheck command"},
        {"process", take_process, "more for a process of the host; see its own table"},
        {"schedule", NULL, "jobs do not exist yet; remove it"},
        {"volumes", take_volumes,
                "a list of at most 16 names: folders of the stack that the host keeps; the task finds each in "
                "STARLING_VOLUME_NAME, and once it lives on a peer the service runs only there"},
        {"watchdog", take_watchdog, "a task stops itself when its agent was gone for so long"},
};
const struct key_level level_x_starling = {
        "services.*.x-starling", x_starling_rules, ARRAY_LEN(x_starling_rules), false};

void take_x_starling(struct build *b, const char *path, const struct node *n, void *target)
{
	take_map(b, path, n, &level_x_starling, target);
}
