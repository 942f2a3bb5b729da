/* metrics.h: the figures of base/stats.h as text for Prometheus and its kin. */
#ifndef MASTER_METRICS_H
#define MASTER_METRICS_H

#include <event2/buffer.h>
#include <stdbool.h>

#include "master/report.h"

#define METRICS_PROMETHEUS  "text/plain; version=0.0.4; charset=utf-8"
#define METRICS_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Appends all of it, in Prometheus's own format or as OpenMetrics 1.0. */
void metrics_write(struct evbuffer *out, const struct report_source *from, bool is_openmetrics);

/* Appends a label's value: the backslash, the quote and the line feed escaped. */
void metrics_write_label(struct evbuffer *out, const char *value);

#endif
