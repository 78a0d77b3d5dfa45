/* Serving the metrics. */
#include "metrics.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/metrics/metrics.h"
#include "common/service/service.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { GZIP_WINDOW = 15 + 16 }; /* the largest window, with the head and tail of gzip (zlib.h) */

/* Whether the client takes gzip. A weight of zero is a refusal (RFC 9110 §12.5.3). */
static bool takes_gzip(const char *accepted) {
    const char *at = accepted ? strcasestr(accepted, "gzip") : NULL;
    if (!at)
        return false;
    at += strlen("gzip");
    at += strspn(at, " \t");
    if (*at != ';')
        return *at == '\0' || *at == ',';
    const char *weight = strcasestr(at, "q=");
    return !weight || strtod(weight + 2, NULL) > 0;
}

/* Replaces the text by its compressed form. False leaves it as it is. */
static bool compress_text(struct buf *text) {
    z_stream stream = {0};
    struct buf small = {0};
    if (text->failed ||
        deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    uLong bound = deflateBound(&stream, text->len);
    char *out = malloc(bound);
    stream.next_in = (Bytef *)text->data;
    stream.avail_in = (uInt)text->len;
    stream.next_out = (Bytef *)out;
    stream.avail_out = (uInt)bound;
    bool good = out && deflate(&stream, Z_FINISH) == Z_STREAM_END;
    if (good)
        buf_append(&small, out, stream.total_out);
    (void)deflateEnd(&stream);
    free(out);
    if (!good || small.failed) {
        buf_free(&small);
        return false;
    }
    buf_free(text);
    *text = small;
    return true;
}

static void metrics_prepare(struct http_request *request) {
    struct buf text = {0};
    enum metrics_format format = metrics_negotiate(http_header(request, "Accept"));
    metrics_write(&text, format);
    bool compressed = takes_gzip(http_header(request, "Accept-Encoding")) && compress_text(&text);
    http_reply_as(request, 200, metrics_content_type(format), &text);
    http_reply_header(request, "Vary", "Accept, Accept-Encoding");
    if (compressed)
        http_reply_header(request, "Content-Encoding", "gzip");
}

static const struct http_route metrics_routes[] = {
    {.method = "GET", .pattern = "/metrics", .prepare = metrics_prepare},
    {0},
};

/* What is counted where metrics are not known. */
static void collect_service(void *cls) {
    struct service *service = cls;
    int64_t now_ms = clock_mono_ms();
    metric_set(metric_series(METRIC_LOG_DROPPED, NULL), (int64_t)log_dropped());
    metric_set(metric_series(METRIC_BREAKER_OPEN, METRIC_LABELS("sqs")),
               breaker_is_open(&service->sqs_breaker, now_ms));
    if (service->daemon->uses_redis)
        metric_set(metric_series(METRIC_BREAKER_OPEN, METRIC_LABELS("redis")),
                   breaker_is_open(&service->redis_breaker, now_ms));
}

void *service_metrics_start(void *app) {
    struct service *service = app;
    struct http_options options;
    metric_set(metric_series(METRIC_BUILD, METRIC_LABELS(service->daemon->name, SERVICE_VERSION)), 1);
    if (!metrics_collect(collect_service, service))
        return NULL;
    if (!config_metrics(service->config, &options))
        return app;
    options.routes = metrics_routes;
    options.app = app;
    service->metrics = http_start(&options);
    if (service->metrics)
        return app;
    metrics_forget(collect_service, service);
    return NULL;
}

void service_metrics_stop(void *app, int64_t deadline_ms) {
    struct service *service = app;
    http_stop(service->metrics, deadline_ms);
    metrics_forget(collect_service, service);
}
