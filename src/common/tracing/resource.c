/* What is the same in every request to the collector: who sends it. */
#include "private.h"

#include "common/base/instance.h"

#include <string.h>
#include <unistd.h>

/* Whether the list of attributes has this key. */
static bool has_key(const char *list, const char *key) {
    struct pair pair;
    while (tracing_next_pair(&list, &pair))
        if (strcmp(pair.key, key) == 0)
            return true;
    return false;
}

/* Adds an attribute, unless the list overrides it. */
static void add_own(struct encoder *e, const char *list, const char *key, const char *value) {
    if (!has_key(list, key))
        encode_attribute(e, 1, &SPAN_TEXT(key, value));
}

static void add_own_all(struct encoder *e, const struct tracing_options *o) {
    char host[256] = "";
    if (o->named || !has_key(o->resource, "service.name"))
        encode_attribute(e, 1, &SPAN_TEXT("service.name", o->service));
    add_own(e, o->resource, "service.version", SERVICE_VERSION);
    add_own(e, o->resource, "service.instance.id", instance_id());
    if (gethostname(host, sizeof host - 1) == 0)
        add_own(e, o->resource, "host.name", host);
    if (!has_key(o->resource, "process.pid"))
        encode_attribute(e, 1, &SPAN_NUMBER("process.pid", getpid()));
}

bool head_init(struct tracing_head *head, const struct tracing_options *o) {
    struct encoder e = {.data = head->resource, .size = sizeof head->resource};
    size_t resource = encode_open(&e, 1);
    struct pair pair;
    add_own_all(&e, o);
    for (const char *at = o->resource; tracing_next_pair(&at, &pair);)
        if (!o->named || strcmp(pair.key, "service.name") != 0)
            encode_attribute(&e, 1, &SPAN_TEXT(pair.key, pair.value));
    encode_close(&e, resource);
    head->resource_len = e.len;

    struct encoder s = {.data = head->scope, .size = sizeof head->scope};
    size_t scope = encode_open(&s, 1);
    encode_bytes(&s, 1, "order-processing", strlen("order-processing"));
    encode_bytes(&s, 2, SERVICE_VERSION, strlen(SERVICE_VERSION));
    encode_close(&s, scope);
    head->scope_len = s.len;
    return !e.failed && !s.failed;
}

/* ExportTraceServiceRequest has ResourceSpans (field 1): the resource, and ScopeSpans (2) with the scope and the spans. */
void request_write(struct buf *out, const struct tracing_head *head, const uint8_t *spans, size_t len) {
    uint8_t inner_head[16], outer_head[16];
    struct encoder inner = {.data = inner_head, .size = sizeof inner_head};
    struct encoder outer = {.data = outer_head, .size = sizeof outer_head};
    encode_head(&inner, 2, head->scope_len + len);
    encode_head(&outer, 1, head->resource_len + inner.len + head->scope_len + len);
    buf_append(out, outer_head, outer.len);
    buf_append(out, head->resource, head->resource_len);
    buf_append(out, inner_head, inner.len);
    buf_append(out, head->scope, head->scope_len);
    buf_append(out, spans, len);
}
