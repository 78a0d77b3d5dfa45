/* All metrics as text: Prometheus's format 0.0.4, OpenMetrics 1.0, and the table of the documentation. */
#include "private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const kind_names[] = {"counter", "gauge", "histogram"};
static const char *const unit_names[] = {"", "seconds", "bytes"};

/* A recorded number in its unit. */
static void write_number(struct buf *out, enum metric_unit unit, int64_t value) {
    if (unit != METRIC_SECONDS) {
        buf_int(out, value);
        return;
    }
    char digits[16];
    uint64_t whole = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    unsigned fraction = (unsigned)(whole % 1000000000);
    if (value < 0)
        buf_char(out, '-');
    buf_int(out, (int64_t)(whole / 1000000000));
    if (fraction == 0)
        return;
    int len = snprintf(digits, sizeof digits, ".%09u", fraction);
    while (digits[len - 1] == '0')
        len--;
    buf_append(out, digits, (size_t)len);
}

static void write_escaped(struct buf *out, const char *value) {
    for (; *value; value++) {
        if (*value == '\n')
            buf_str(out, "\\n");
        else if (*value == '"' || *value == '\\')
            buf_printf(out, "\\%c", *value);
        else
            buf_char(out, *value);
    }
}

/* The labels with a value; no value is as good as no label. le may be NULL. */
static void write_labels(struct buf *out, const struct metric_series *series, const char *le) {
    const struct metric_info *info = &metric_table[series->metric];
    char separator = '{';
    for (size_t i = 0; info->labels[i]; i++) {
        if (!*series->values[i])
            continue;
        buf_printf(out, "%c%s=\"", separator, info->labels[i]);
        write_escaped(out, series->values[i]);
        buf_char(out, '"');
        separator = ',';
    }
    if (le) {
        buf_printf(out, "%cle=\"%s\"", separator, le);
        separator = ',';
    }
    if (separator == ',')
        buf_char(out, '}');
}

static void write_example(struct buf *out, const struct metric_example *example, enum metric_unit unit) {
    buf_printf(out, " # {trace_id=\"%s\",span_id=\"%s\"} ", example->trace_id, example->span_id);
    write_number(out, unit, example->value);
    buf_printf(out, " %lld.%03d", (long long)example->epoch_ms / 1000, (int)(example->epoch_ms % 1000));
}

/* Copies the example of a series, if there is one and nobody is writing it. */
static bool take_example(struct metric_series *series, struct metric_example *out) {
    struct metric_example *example = &series->example;
    if (atomic_flag_test_and_set_explicit(&example->busy, memory_order_acquire))
        return false;
    memcpy(out->trace_id, example->trace_id, sizeof out->trace_id);
    memcpy(out->span_id, example->span_id, sizeof out->span_id);
    out->value = example->value;
    out->epoch_ms = example->epoch_ms;
    atomic_flag_clear_explicit(&example->busy, memory_order_release);
    return *out->trace_id;
}

static void write_histogram(struct buf *out, struct metric_series *series, enum metrics_format format) {
    const struct metric_info *info = &metric_table[series->metric];
    const struct metric_bounds *bounds = info->bounds;
    struct metric_example example = {.busy = ATOMIC_FLAG_INIT};
    bool has_example = format == METRICS_OPENMETRICS && take_example(series, &example);
    int64_t total = 0;
    for (size_t i = 0; i <= bounds->count; i++) {
        struct buf le = {0};
        bool rest = i == bounds->count;
        total += metric_sum(series, i);
        if (rest)
            buf_str(&le, "+Inf");
        else
            write_number(&le, info->unit, bounds->list[i]);
        if (!rest && format == METRICS_OPENMETRICS && !strchr(le.data ? le.data : "", '.'))
            buf_str(&le, ".0"); /* its numbers of buckets are canonical */
        buf_printf(out, "%s_bucket", info->name);
        write_labels(out, series, le.data ? le.data : "");
        buf_char(out, ' ');
        buf_int(out, total);
        out->failed |= le.failed;
        buf_free(&le);
        if (has_example && (rest || example.value <= bounds->list[i])) {
            write_example(out, &example, info->unit);
            has_example = false;
        }
        buf_char(out, '\n');
    }
    buf_printf(out, "%s_sum", info->name);
    write_labels(out, series, NULL);
    buf_char(out, ' ');
    write_number(out, info->unit, metric_sum(series, bounds->count + 1));
    buf_printf(out, "\n%s_count", info->name);
    write_labels(out, series, NULL);
    buf_printf(out, " %lld\n", (long long)total);
}

static void write_series(struct buf *out, struct metric_series *series, enum metrics_format format) {
    const struct metric_info *info = &metric_table[series->metric];
    if (info->kind == METRIC_HISTOGRAM) {
        write_histogram(out, series, format);
        return;
    }
    buf_str(out, info->name);
    write_labels(out, series, NULL);
    buf_char(out, ' ');
    write_number(out, info->unit, metric_sum(series, 0));
    buf_char(out, '\n');
}

/* OpenMetrics names a counter without its _total. */
static int family_length(const struct metric_info *info, enum metrics_format format) {
    size_t len = strlen(info->name);
    return (int)(format == METRICS_OPENMETRICS && info->kind == METRIC_COUNTER ? len - strlen("_total")
                                                                               : len);
}

static void write_head(struct buf *out, const struct metric_info *info, enum metrics_format format) {
    int len = family_length(info, format);
    buf_printf(out, "# HELP %.*s %s.\n# TYPE %.*s %s\n", len, info->name, info->help, len, info->name,
               kind_names[info->kind]);
    if (format == METRICS_OPENMETRICS && info->unit != METRIC_PLAIN)
        buf_printf(out, "# UNIT %.*s %s\n", len, info->name, unit_names[info->unit]);
}

void metrics_write(struct buf *out, enum metrics_format format) {
    metrics_read_begin();
    for (enum metric metric = 0; metric < METRIC_COUNT; metric++) {
        bool first = true;
        struct metric_series *series;
        for (size_t i = 0; (series = metric_at(i)) != NULL; i++) {
            if (series->metric != metric || atomic_load_explicit(&series->hidden, memory_order_relaxed))
                continue;
            if (first)
                write_head(out, &metric_table[metric], format);
            first = false;
            write_series(out, series, format);
        }
    }
    metrics_read_end();
    if (format == METRICS_OPENMETRICS)
        buf_str(out, "# EOF\n");
}

void metrics_describe(struct buf *out) {
    buf_str(out, "| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for (enum metric metric = 0; metric < METRIC_COUNT; metric++) {
        const struct metric_info *info = &metric_table[metric];
        buf_printf(out, "| `%s` | %s | ", info->name, kind_names[info->kind]);
        for (size_t i = 0; info->labels[i]; i++)
            buf_printf(out, "%s`%s`", i ? ", " : "", info->labels[i]);
        buf_printf(out, " | %s |\n", info->help);
    }
}

const char *metrics_content_type(enum metrics_format format) {
    return format == METRICS_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                         : "text/plain; version=0.0.4; charset=utf-8";
}

/* The weight of one element of an Accept header (RFC 9110 §12.4.2), 0 to 1. */
static double weight_of(const char *element, size_t len) {
    for (const char *at = element; at < element + len; at++)
        if (*at == ';' && strncasecmp(at + 1 + strspn(at + 1, " \t"), "q=", 2) == 0)
            return strtod(at + 1 + strspn(at + 1, " \t") + 2, NULL);
    return 1;
}

/* The highest weight of a media type in an Accept header; 0 when it is not there. */
static double weight_in(const char *accept, const char *type) {
    double highest = 0;
    while (*accept) {
        accept += strspn(accept, " \t,");
        size_t len = strcspn(accept, ","), name = strcspn(accept, ";, \t");
        if (name == strlen(type) && strncasecmp(accept, type, name) == 0 && weight_of(accept, len) > highest)
            highest = weight_of(accept, len);
        accept += len;
    }
    return highest;
}

enum metrics_format metrics_negotiate(const char *accept) {
    if (!accept)
        return METRICS_PROMETHEUS;
    double open = weight_in(accept, "application/openmetrics-text");
    return open > 0 && open >= weight_in(accept, "text/plain") ? METRICS_OPENMETRICS : METRICS_PROMETHEUS;
}
