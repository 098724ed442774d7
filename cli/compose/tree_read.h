/* A file or a folder of the CLI's host, to be shipped with a stack. */
#ifndef CLI_COMPOSE_TREE_READ_H
#define CLI_COMPOSE_TREE_READ_H

#include "cli/compose/compose.h"

/* As compose_io.tree: symbolic links, sockets and the like in a folder are refused by name, since a peer could not have
 * what they stand for; an empty folder leaves no trace. ctx is not used. */
int compose_tree_read(
        void *ctx, const char *path, size_t max, struct arena *arena, struct spec_files *out, struct err *err);

#endif
