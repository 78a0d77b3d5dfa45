/* Query arguments that several routes of orders have. */
#include "order_query.h"

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/utf8.h"
#include "order.h"

#include <errno.h>
#include <stdlib.h>

enum { LIMIT_DEFAULT = 20, LIMIT_MAX = 100 };

const char *order_visible_client(const struct http_request *request) {
    return token_has_scope(request->claims.scope, "order:read:all") ? NULL : request->claims.client_id;
}

void order_query_known(struct http_request *request, const char *const known[], struct http_faults *faults) {
    const char *fault = http_query_fault(request, known);
    if (fault)
        http_fault(faults, utf8_valid(fault) ? fault : "?", NULL,
                   "is unknown, was sent twice, or has no value");
}

const char *order_query_text(struct http_request *request, const char *name, struct http_faults *faults) {
    const char *value = http_query(request, name);
    if (!value)
        return NULL;
    if (!utf8_valid(value) || !json_text_plain(value, ORDER_MAX_ID_LENGTH))
        http_fault(faults, name, NULL, "must be 1 to %d characters without control characters",
                   ORDER_MAX_ID_LENGTH);
    return arena_strdup(&request->arena, value);
}

const int64_t *order_query_time(struct http_request *request, const char *name, bool up,
                                struct http_faults *faults) {
    const char *text = http_query(request, name);
    int64_t *ms = text ? arena_alloc(&request->arena, sizeof *ms) : NULL;
    if (ms && !clock_parse_any(text, up, ms))
        http_fault(faults, name, NULL,
                   "must be a time such as 2026-01-31T08:15:30Z; the + of an offset is written as %%2B");
    return ms;
}

size_t order_query_number(struct http_request *request, const char *name, size_t least, size_t most,
                          size_t fallback, struct http_faults *faults) {
    const char *text = http_query(request, name);
    char *end;
    if (!text)
        return fallback;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (errno || *end || text[0] < '0' || text[0] > '9' || number < least || number > most)
        http_fault(faults, name, NULL, "must be a number from %zu to %zu", least, most);
    return number;
}

size_t order_query_limit(struct http_request *request, struct http_faults *faults) {
    return order_query_number(request, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, faults);
}
