/* Names that Linux gives: capabilities, resource limits. */
#ifndef PLACEMENT_SPEC_NAMES_H
#define PLACEMENT_SPEC_NAMES_H

#include "base/types.h"

/* Capabilities of <linux/capability.h> without CAP_, at their numbers; CAP_CHECKPOINT_RESTORE is the last of Linux 6. */
#define SPEC_N_CAPS 41
extern const char *const spec_cap_names[SPEC_N_CAPS];
/* The number of "NET_ADMIN"; -1: no such capability. */
int spec_cap_number(const char *name);
/* Does a container have it unless it is dropped? The set that Docker gives. */
bool spec_cap_is_default(int number);

/* "nofile" and so on, as Compose and setrlimit(2) in lower case have them. */
bool spec_ulimit_known(const char *name);

#endif
