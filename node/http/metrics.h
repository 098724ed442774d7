/*
 * Metrics as Prometheus reads them (text exposition format 0.0.4).
 *
 *	metrics_counter(m, "starling_dns_queries_total", "DNS queries received.");
 *	metrics_u64(m, counters.queries, NULL);
 *	metrics_gauge(m, "starling_peers", "Peers of the flock as this peer sees them.");
 *	metrics_u64(m, alive, "state", "alive", NULL);
 *	metrics_u64(m, dead, "state", "dead", NULL);
 */
#ifndef NODE_HTTP_METRICS_H
#define NODE_HTTP_METRICS_H

#include "base/buf.h"

struct metrics {
	struct wr *w;
	const char *name; /* of the family begun last */
};

/* Begins a family: everything up to the next one is samples of it. name has static storage and is
 * [a-z_][a-z0-9_]*, a counter's ending with _total; units come last, in base units (_seconds, _bytes). help is one
 * line, escaped here. */
void metrics_counter(struct metrics *m, const char *name, const char *help);
void metrics_gauge(struct metrics *m, const char *name, const char *help);

/* A sample; then label names and values in turn, ended by NULL. Values are escaped, names are literals. */
void metrics_u64(struct metrics *m, uint64_t value, ...) __attribute__((sentinel));
/* For seconds and ratios: thousandths, written exactly ("1.500"). */
void metrics_milli(struct metrics *m, int64_t thousandths, ...) __attribute__((sentinel));

#endif
