/* x-starling.process: what a process of the host may have beside Compose's keys. */
#include "cli/compose/build.h"

static struct spec_process *process_of(void *target)
{
	return &((struct draft *)target)->s->process;
}

static void take_rootfs(struct build *b, const char *path, const struct node *n, void *target)
{
	want_text(b, path, n, &process_of(target)->rootfs);
}

static void take_private_tmp(struct build *b, const char *path, const struct node *n, void *target)
{
	want_bool(b, path, n, &process_of(target)->private_tmp);
}

static void take_nice(struct build *b, const char *path, const struct node *n, void *target)
{
	int64_t v;

	if (want_i64(b, path, n, -20, 19, &v))
		process_of(target)->nice = (int32_t)v;
}

static void take_io_class(struct build *b, const char *path, const struct node *n, void *target)
{
	static const char *const words[] = {"default", "best-effort", "idle"}; /* as enum spec_io_class */
	size_t i;

	if (want_word(b, path, n, words, ARRAY_LEN(words), &i))
		process_of(target)->io_class = (enum spec_io_class)i;
}

static void take_io_priority(struct build *b, const char *path, const struct node *n, void *target)
{
	uint64_t v;

	if (want_u64(b, path, n, 0, 7, &v))
		process_of(target)->io_priority = (uint32_t)v;
}

static void take_paths_read_only(struct build *b, const char *path, const struct node *n, void *target)
{
	struct spec_process *p = process_of(target);

	want_texts(b, path, n, SPEC_PATHS_MAX, &p->read_only, &p->n_read_only);
}

static void take_paths_hidden(struct build *b, const char *path, const struct node *n, void *target)
{
	struct spec_process *p = process_of(target);

	want_texts(b, path, n, SPEC_PATHS_MAX, &p->hidden, &p->n_hidden);
}

static const struct key_rule process_rules[] = {
        {"hidden", take_paths_hidden, "a list of paths of the host that it does not see"},
        {"io_class", take_io_class, "default (unless set: the kernel's), best-effort, idle"},
        {"io_priority", take_io_priority, "of best-effort: 0, the highest, to 7; 4 unless set"},
        {"nice", take_nice, "-20 to 19; 0 unless set; below 0 needs the power priority"},
        {"private_tmp", take_private_tmp, "true: /tmp and /var/tmp of its own, which end with the task"},
        {"read_only", take_paths_read_only, "a list of paths of the host that it cannot write"},
        {"rootfs", take_rootfs,
                "an absolute path of the hosts that becomes its root; needs the power host-binds"},
};
const struct key_level level_process = {
        "services.*.x-starling.process", process_rules, ARRAY_LEN(process_rules), false};

void take_process(struct build *b, const char *path, const struct node *n, void *target)
{
	take_map(b, path, n, &level_process, target);
}
