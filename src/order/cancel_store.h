/* The SQL of cancelling: notes wishes, and asks delivery-svc. Connections and statuses are those of common/db/db.h. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"
#include "order.h"

#include <stddef.h>

struct cancel_wish { /* strings are borrowed */
    struct uuid order_id;
    const char *client_id; /* whose order it must be */
    const char *reason;    /* NULL: none */
    const char *request_id, *trace;
    /* The result. */
    bool found;
    enum order_cancel_verdict verdict;
    enum order_status status;
    enum order_cancellation cancellation;
};

/* Notes the wishes in the given order, in one transaction, with their history. Those that are new add an event to the
 * outbox. Orders and wishes may repeat. */
enum db_status cancel_store_note(struct db *db, struct cancel_wish *const wishes[], size_t n) MUST_CHECK;
