/* Maximum flow by Dinic's algorithm (1970): the exact answer that placing is measured against. */
#ifndef TESTS_BENCH_PLACEMENT_MAXFLOW_H
#define TESTS_BENCH_PLACEMENT_MAXFLOW_H

#include "base/types.h"

struct maxflow;

struct maxflow *maxflow_new(size_t nodes);
void maxflow_free(struct maxflow *f);
void maxflow_edge(struct maxflow *f, size_t from, size_t to, uint32_t capacity);
size_t maxflow_run(struct maxflow *f, size_t source, size_t sink);

#endif
