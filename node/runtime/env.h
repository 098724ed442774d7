/* The environment of a task: clean, ours first, then the service's own. docs/tasks.md has the table. */
#ifndef NODE_RUNTIME_ENV_H
#define NODE_RUNTIME_ENV_H

#include "node/runtime/runtime.h"
#include "node/runtime/user.h"
#include "placement/spec/template.h"

/* "KEY=VALUE" texts, ended by NULL, in arena memory. STARLING_TASK stands first: it marks the task's processes. The
 * service's environment wins over PATH, HOME, USER, LOGNAME and PORT, never over STARLING_*. */
char **env_build(struct arena *arena, const struct runtime_config *host, const struct runtime_task *task,
        const struct user *user);

/* The same of a container: PATH, HOME and the user's names are its image's. PORT is where it listens, in a network of its
 * own the port's target; STARLING_PORT_* stays the one that others reach it at. A mounted volume's path is its target. */
char **env_container(struct arena *arena, const struct runtime_config *host, const struct runtime_task *task);

/* What swarm's templates stand for in this task (placement/spec/template.h), in arena memory. */
void env_templates(struct template_values *out, struct arena *arena, const struct runtime_config *host,
        const struct runtime_task *task);
/* One text with them: hostname, the source of a bind. text itself when it has none. */
const char *task_template(struct arena *arena, const struct runtime_config *host, const struct runtime_task *task,
        const char *text);

#define ENV_PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#endif
