/* GET /orders/:id and GET /orders: reading orders, in batches. */
#include "orders.h"

#include "app.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/json_write.h"
#include "common/base/siphash.h"
#include "common/base/utf8.h"
#include "common/base/uuid.h"
#include "common/http/etag.h"
#include "common/service/worker.h"
#include "order_json.h"
#include "order_page.h"
#include "order_query.h"
#include "order_store.h"
#include "order_views.h"
#include "standby.h"

#include <stdlib.h>
#include <string.h>

enum {
    LIST_BYTES = 256 * 1024, /* a page ends with the order that exceeds this */
    TAG_SIZE = 48,
};

struct lookup {
    struct standby_seen seen; /* must stay first */
    struct uuid id;
    const char *client_id;     /* NULL: any */
    const char *if_none_match; /* NULL: not sent */
};

static void reply_no_order(struct http_request *request) {
    http_reply_problem(request, PROBLEM_ORDER_NOT_FOUND, "There is no such order");
}

/* A failover may lose a change, and the order get another one under the same version. So the tag also depends on the
 * content. Nobody else sees the answer, so the hash needs no secret. */
static void format_tag(char tag[static TAG_SIZE], int64_t version, const struct buf *body) {
    static const uint8_t known[SIPHASH_SECRET_SIZE];
    snprintf(tag, TAG_SIZE, "\"v%lld-%016llx\"", (long long)version,
             (unsigned long long)siphash(known, body->data, body->len));
}

static void reply_view(struct http_request *request, int64_t version, struct buf *body) {
    const struct lookup *lookup = request->command;
    char tag[TAG_SIZE];
    format_tag(tag, version, body);
    if (etag_matches(lookup->if_none_match, tag)) {
        buf_free(body);
        http_reply_empty(request, 304);
    } else {
        http_reply_json(request, 200, body);
    }
    http_reply_header(request, "ETag", "%s", tag);
    http_reply_header(request, "Cache-Control", "private, no-cache");
}

/* Answers with a view, unless the order belongs to another client and the caller may not see it. */
static void answer_with(struct http_request *request, const struct order_view *view) {
    const struct lookup *lookup = request->command;
    struct buf body = {0};
    if (lookup->client_id && strcmp(lookup->client_id, view->client_id) != 0) {
        reply_no_order(request);
    } else {
        buf_append(&body, view->body, view->len);
        reply_view(request, view->version, &body);
    }
}

static struct order_views views_of(const struct order_app *app, struct cache *cache) {
    return (struct order_views){.cache = cache,
                                .memory = app->memory,
                                .identity = app->service.identity,
                                .ttl_ms = app->service.config->order_view_ttl};
}

void orders_get_prepare(struct http_request *request) {
    const struct order_app *app = request->app;
    struct lookup *lookup = arena_alloc(&request->arena, sizeof *lookup);
    const char *match = http_header(request, "If-None-Match");
    struct http_faults faults = {0};
    struct order_view view;
    if (!lookup)
        return;
    standby_see(request, &lookup->seen, &faults);
    if (faults.count) {
        http_reply_faults(request, &faults);
        return;
    }
    if (!uuid_parse(request->params[0], &lookup->id)) {
        reply_no_order(request);
        return;
    }
    lookup->client_id = order_visible_client(request);
    lookup->if_none_match = match ? arena_strdup(&request->arena, match) : NULL;
    request->command = lookup;
    if (lookup->seen.known)
        return;
    struct order_views views = views_of(app, NULL);
    bool hit = order_view_recall(&views, &lookup->id, &request->arena, &view);
    order_lookup_count(&app->series.views_memory, hit);
    if (hit)
        answer_with(request, &view);
}

/* Answers the requests whose views Redis has. The others go into rest. False when out of memory. */
static bool answer_from_views(struct http_worker *worker, struct http_request *requests[], size_t n,
                              struct arena *arena, struct http_request *rest[], size_t *rest_count) {
    const struct order_app *app = worker->app;
    struct uuid *ids = arena_array(arena, n, sizeof *ids);
    struct order_view *views = arena_array(arena, n, sizeof *views);
    if (!ids || !views)
        return false;
    for (size_t i = 0; i < n; i++)
        ids[i] = ((const struct lookup *)requests[i]->command)->id;
    struct order_views kept = views_of(app, worker->cache);
    if (!order_views_find(&kept, ids, n, arena, views))
        return false;
    for (size_t i = 0; i < n; i++) {
        order_lookup_count(&app->series.views_redis, views[i].body);
        if (views[i].body)
            answer_with(requests[i], &views[i]);
        else
            rest[(*rest_count)++] = requests[i];
    }
    return true;
}

/* What a standby does not have is left for the primary. */
static enum db_status answer_from_database(struct http_worker *worker, struct db *db,
                                           struct http_request *requests[], size_t n, struct arena *arena) {
    const struct order_app *app = worker->app;
    struct order_wanted *wanted = arena_array(arena, n, sizeof *wanted);
    const struct order **found = arena_array(arena, n, sizeof *found);
    uint8_t database[DB_IDENTITY_SIZE];
    size_t count = 0;
    if (!wanted || !found)
        return DB_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        const struct lookup *lookup = requests[i]->command;
        wanted[i] = (struct order_wanted){.id = lookup->id, .client_id = lookup->client_id};
    }
    enum db_status status = order_store_find(db, wanted, n, arena);
    if (status != DB_OK)
        return status;
    for (size_t i = 0; i < n; i++) {
        struct buf body = {0};
        if (!wanted[i].order) {
            if (db != worker->reads)
                reply_no_order(requests[i]);
            continue;
        }
        order_view_json(&body, wanted[i].order);
        reply_view(requests[i], wanted[i].order->version, &body);
        found[count++] = wanted[i].order;
    }
    struct order_views kept = views_of(app, worker->cache);
    if (db_identity_of(db, database)) /* that of a standby is not known */
        order_views_put(&kept, database, found, count);
    return DB_OK;
}

/* A view is newer than what a standby has shown. */
static enum db_status read_orders(struct http_worker *worker, struct db *db, struct http_request *requests[],
                                  size_t n) {
    struct http_request *rest[HTTP_BATCH_MAX];
    struct arena arena = {0};
    size_t count = 0;
    enum db_status status = DB_NO_MEMORY;
    if (db == worker->reads)
        status = answer_from_database(worker, db, requests, n, &arena);
    else if (answer_from_views(worker, requests, n, &arena, rest, &count))
        status = count ? answer_from_database(worker, db, rest, count, &arena) : DB_OK;
    arena_free(&arena);
    return status;
}

enum outcome orders_get_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    return db_outcome(standby_read(worker, requests, n, read_orders));
}

struct listing {
    struct standby_seen seen; /* must stay first */
    struct order_page page;
    enum order_status status;
    struct uuid before;
    struct order_change changed;
};

/* The cursor of a list that is sorted by change: 12 hexadecimal digits of the time, and the id. */
enum { CHANGE_TIME = 12 };

static bool parse_change(const char *text, struct order_change *out) {
    char digits[CHANGE_TIME + 1];
    if (strspn(text, "0123456789abcdef") != CHANGE_TIME || text[CHANGE_TIME] != '-')
        return false;
    memcpy(digits, text, CHANGE_TIME);
    digits[CHANGE_TIME] = '\0';
    out->ms = strtoll(digits, NULL, 16);
    return out->ms <= CLOCK_LATEST_MS && uuid_parse(text + CHANGE_TIME + 1, &out->id);
}

static void append_change(struct buf *out, const struct order *order) {
    char id[UUID_TEXT_SIZE];
    uuid_format(&order->id, id);
    buf_printf(out, "\"%012llx-%s\"", (unsigned long long)order->updated_ms, id);
}

/* A list by change begins with updated_since, and goes on after the cursor. Each kind of list has cursors of its own. */
static void read_place(struct http_request *request, struct listing *listing, struct http_faults *faults) {
    const char *cursor = http_query(request, "cursor");
    const int64_t *since = order_query_time(request, "updated_since", true, faults);
    struct order_page *page = &listing->page;
    bool known = true;
    if (since) {
        struct order_change next = {0};
        known = !cursor || parse_change(cursor, &next);
        listing->changed = next.ms >= *since ? next : (struct order_change){.ms = *since};
        page->changed_after = &listing->changed;
    } else if (cursor) {
        known = uuid_parse(cursor, &listing->before);
        page->before = &listing->before;
    }
    if (!known)
        http_fault(faults, "cursor", NULL, "must be the next_cursor of an earlier answer");
}

static void read_created(struct http_request *request, struct order_page *page, struct http_faults *faults) {
    const char *reference = http_query(request, "reference");
    page->created_after = order_query_time(request, "created_after", false, faults);
    page->created_before = order_query_time(request, "created_before", true, faults);
    if (!reference)
        return;
    if (!utf8_valid(reference) || !json_text_plain(reference, ORDER_MAX_REFERENCE))
        http_fault(faults, "reference", NULL, "must be 1 to %d characters without control characters",
                   ORDER_MAX_REFERENCE);
    page->reference = arena_strdup(&request->arena, reference);
}

static void read_listing(struct http_request *request, struct listing *listing, struct http_faults *faults) {
    static const char *const known[] = {"customer_id",    "status",        "limit",
                                        "cursor",         "reference",     "created_after",
                                        "created_before", "updated_since", NULL};
    const char *status = http_query(request, "status");
    struct order_page *page = &listing->page;
    standby_see(request, &listing->seen, faults);
    order_query_known(request, known, faults);
    page->client_id = order_visible_client(request);
    page->customer_id = order_query_text(request, "customer_id", faults);
    if (status && !order_status_parse(status, &listing->status))
        http_fault(faults, "status", NULL, "must be PENDING_SHIPMENT, SHIPPED, DELIVERED or CANCELLED");
    page->status = status ? &listing->status : NULL;
    page->limit = order_query_limit(request, faults);
    read_created(request, page, faults);
    read_place(request, listing, faults);
}

void orders_list_prepare(struct http_request *request) {
    struct http_faults faults = {0};
    struct listing *listing = arena_alloc(&request->arena, sizeof *listing);
    if (!listing)
        return;
    read_listing(request, listing, &faults);
    if (faults.count)
        http_reply_faults(request, &faults);
    else
        request->command = listing;
}

/* orders has one more than the limit, if there are so many. Some may not belong to the page. */
static void reply_page(struct http_request *request, const struct order *orders, size_t count, size_t limit) {
    const struct order_page *page = &((const struct listing *)request->command)->page;
    struct buf body = {0};
    size_t shown = 0, seen = 0;
    bool over = false;
    buf_str(&body, "{\"orders\":[");
    for (; seen < count && shown < limit && body.len < LIST_BYTES && !over; seen++) {
        if (!order_page_has(page, &orders[seen], &over))
            continue;
        if (shown++)
            buf_char(&body, ',');
        order_view_json(&body, &orders[seen]);
    }
    buf_str(&body, "],\"next_cursor\":");
    if (over || (seen == count && count <= limit))
        buf_str(&body, "null");
    else if (page->changed_after)
        append_change(&body, &orders[seen - 1]);
    else
        json_append_uuid(&body, &orders[seen - 1].id);
    buf_char(&body, '}');
    http_reply_json(request, 200, &body);
}

/* Each page is a query of its own, because the pages have nothing in common. */
static enum db_status read_pages(struct http_worker *worker, struct db *db, struct http_request *requests[],
                                 size_t n) {
    (void)worker;
    enum db_status status = DB_OK;
    for (size_t i = 0; status == DB_OK && i < n; i++) {
        struct order_page page = ((const struct listing *)requests[i]->command)->page;
        size_t limit = page.limit++, count; /* one more shows whether there is a next page */
        struct arena arena = {0};           /* not the request's: it may be sent for long */
        struct order *orders;
        status = order_store_list(db, &page, &arena, &orders, &count);
        if (status == DB_OK)
            reply_page(requests[i], orders, count, limit);
        arena_free(&arena);
    }
    return status;
}

enum outcome orders_list_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    return db_outcome(standby_read(worker, requests, n, read_pages));
}
