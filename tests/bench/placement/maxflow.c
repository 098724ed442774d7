#include "tests/bench/placement/maxflow.h"

struct edge {
	size_t to, next; /* next: of the same node, 0 none */
	uint32_t left;
};

struct maxflow {
	size_t n, n_edges, cap;
	struct edge *edges; /* an edge and its way back stand side by side, from 2 on */
	size_t *first, *at, *queue;
	size_t *level; /* 0: not reached */
};

struct maxflow *maxflow_new(size_t nodes)
{
	struct maxflow *f = xcalloc(1, sizeof(*f));

	f->n = nodes;
	f->n_edges = 2;
	f->first = xcalloc(nodes, sizeof(*f->first));
	f->at = xcalloc(nodes, sizeof(*f->at));
	f->queue = xcalloc(nodes, sizeof(*f->queue));
	f->level = xcalloc(nodes, sizeof(*f->level));
	return f;
}

void maxflow_free(struct maxflow *f)
{
	free(f->edges);
	free(f->first);
	free(f->at);
	free(f->queue);
	free(f->level);
	free(f);
}

static void half(struct maxflow *f, size_t from, size_t to, uint32_t capacity)
{
	if (f->n_edges >= f->cap) {
		f->cap = f->cap ? f->cap * 2 : 64;
		f->edges = xrealloc(f->edges, f->cap * sizeof(*f->edges));
	}
	f->edges[f->n_edges] = (struct edge){.to = to, .next = f->first[from], .left = capacity};
	f->first[from] = f->n_edges++;
}

void maxflow_edge(struct maxflow *f, size_t from, size_t to, uint32_t capacity)
{
	half(f, from, to, capacity);
	half(f, to, from, 0);
}

static bool find_levels(struct maxflow *f, size_t source, size_t sink)
{
	size_t head = 0, tail = 0;

	memset(f->level, 0, f->n * sizeof(*f->level));
	f->level[source] = 1;
	f->queue[tail++] = source;
	while (head < tail) {
		size_t at = f->queue[head++];

		for (size_t e = f->first[at]; e; e = f->edges[e].next) {
			size_t to = f->edges[e].to;

			if (!f->edges[e].left || f->level[to])
				continue;
			f->level[to] = f->level[at] + 1;
			f->queue[tail++] = to;
		}
	}
	return f->level[sink] > 0;
}

/* At most four deep: source, service, peer, sink; and back and forth as levels grow. */
static uint32_t push(struct maxflow *f, size_t at, size_t sink, uint32_t most)
{
	if (at == sink)
		return most;
	for (; f->at[at]; f->at[at] = f->edges[f->at[at]].next) {
		size_t e = f->at[at], to = f->edges[e].to;
		uint32_t got;

		if (!f->edges[e].left || f->level[to] != f->level[at] + 1)
			continue;
		got = push(f, to, sink, MIN(most, f->edges[e].left));
		if (!got)
			continue;
		f->edges[e].left -= got;
		f->edges[e ^ 1].left += got;
		return got;
	}
	return 0;
}

size_t maxflow_run(struct maxflow *f, size_t source, size_t sink)
{
	size_t flow = 0;
	uint32_t got;

	while (find_levels(f, source, sink)) {
		memcpy(f->at, f->first, f->n * sizeof(*f->at));
		while ((got = push(f, source, sink, UINT32_MAX)))
			flow += got;
	}
	return flow;
}
